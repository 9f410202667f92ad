"""The WebSocket API door: signed requests, and the user stream on the same connection."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson
from aiohttp import web

from trading.simulator import access, errors
from trading.simulator.access import Permission
from trading.simulator.faults import FaultKind
from trading.simulator.frames import Outlet
from trading.simulator.gate import Answer, Gate, Request
from trading.simulator.operations import SOCKET, Operation
from trading.simulator.streams import LARGEST_MESSAGE, PING_EVERY_S
from trading.simulator.users import UserConnection

SUBSCRIBE: Final = "userDataStream.subscribe.signature"
UNSUBSCRIBE: Final = "userDataStream.unsubscribe"
SUBSCRIBE_OPERATION: Final = Operation(lambda p: 2, Permission.READ, lambda exchange, key, p: key)
MALFORMED: Final = errors.ApiError(400, -1135, "JSON request is malformed.")
Id = str | int | None


@dataclass(slots=True)
class _Session:
    gate: Gate
    connection: UserConnection
    socket: web.WebSocketResponse


async def serve(request: web.Request, gate: Gate) -> web.StreamResponse:
    """Serve one connection until either side ends it."""
    socket = web.WebSocketResponse(heartbeat=PING_EVERY_S, compress=False, max_msg_size=LARGEST_MESSAGE)
    await socket.prepare(request)
    session = _Session(gate, UserConnection(Outlet(request)), socket)
    gate.exchange.users.join(session.connection)
    try:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT and not await _reply(session, message.data):
                break
    finally:
        gate.exchange.users.leave(session.connection)
    return socket


async def _reply(session: _Session, text: str) -> bool:
    """Answer one request; False if a fault ended the connection."""
    try:
        request_id, method, parameters = _parse(text)
    except errors.ApiError as refused:
        await _send(session, _body(session.gate, None, Answer(refused.status, refused.body)))
        return True
    answer = await _answer(session, method, parameters)
    if answer.fault is not None:
        return await _garbled(session, request_id, answer)
    await _send(session, _body(session.gate, request_id, answer))
    return True


async def _answer(session: _Session, method: str, parameters: dict[str, str]) -> Answer:
    if method == UNSUBSCRIBE:
        return _unsubscribe(session, parameters)
    operation = SUBSCRIBE_OPERATION if method == SUBSCRIBE else SOCKET.get(method)
    if operation is None:
        return Answer(400, errors.ApiError(400, -1000, f"Unknown method: {method[:60]}").body)
    signed = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()) if name != "signature")
    answer = await session.gate.handle(
        Request(
            target=method,
            operation=operation,
            parameters=parameters,
            key_name=parameters.get("apiKey"),
            signed=signed,
            signature=parameters.get("signature"),
        )
    )
    if method == SUBSCRIBE and answer.status == 200:
        subscription = session.connection.subscribe(answer.body.account)
        return Answer(200, {"subscriptionId": subscription}, account=answer.account, fault=answer.fault)
    return answer


def _unsubscribe(session: _Session, parameters: Mapping[str, str]) -> Answer:
    try:
        wanted = access.integer(parameters, "subscriptionId")
    except errors.ApiError as refused:
        return Answer(refused.status, refused.body)
    subscriptions = list(session.connection.accounts)
    for subscription in subscriptions if wanted is None else [wanted]:
        session.gate.exchange.users.terminate(session.connection, subscription, now_ms=session.gate.exchange.now_ms())
    return Answer(200, {})


def _parse(text: str) -> tuple[Id, str, dict[str, str]]:
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MALFORMED from error
    if not isinstance(message, dict):
        raise MALFORMED
    request_id, method, parameters = message.get("id"), message.get("method"), message.get("params") or {}
    if isinstance(request_id, bool) or not isinstance(request_id, str | int | None):
        raise MALFORMED
    if not isinstance(method, str) or not isinstance(parameters, dict):
        raise MALFORMED
    return request_id, method, {name: _text(value) for name, value in parameters.items() if value is not None}


def _text(value: object) -> str:
    """Return a parameter as it is signed: booleans in lower case, numbers as they stand."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise errors.ApiError(400, -1100, "Illegal characters found in a parameter: expected text or a number.")


def _body(gate: Gate, request_id: Id, answer: Answer) -> bytes:
    limits = [{**gate.exchange.weights.describe(), "count": gate.exchange.weights.used}]
    reply: dict[str, Any] = {"id": request_id, "status": answer.status}
    if answer.status == 200:
        reply["result"] = answer.body
    else:
        reply["error"] = answer.body
        if answer.retry_after is not None and answer.retry_after.isdigit():
            reply["error"] = {**answer.body, "data": {"retryAfter": _retry_at(gate, answer.retry_after)}}
    reply["rateLimits"] = limits
    return orjson.dumps(reply)


def _retry_at(gate: Gate, seconds: str) -> int:
    return gate.exchange.now_ms() + int(seconds[:9]) * 1_000


async def _send(session: _Session, body: bytes) -> None:
    await session.socket.send_str(body.decode())


async def _garbled(session: _Session, request_id: Id, answer: Answer) -> bool:
    kind = answer.fault.kind if answer.fault else None
    if kind in (FaultKind.DROP_REQUEST, FaultKind.DROP_RESPONSE):
        session.gate.exchange.users.cut(session.connection)
        return False
    if kind is FaultKind.HTML or kind is FaultKind.EMPTY:
        return True  # no reply at all: the nearest thing on a socket
    body = _body(session.gate, request_id, answer)
    if kind is FaultKind.TRUNCATED:
        body = body[: len(body) // 2]
    elif kind is FaultKind.GARBAGE:
        body = b"{not json"
    await _send(session, body)
    return True

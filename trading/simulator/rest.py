"""The REST door: HTTP in, Binance's replies out."""

from typing import Final

import orjson
from aiohttp import web

from trading.simulator import access, errors
from trading.simulator.faults import FaultKind
from trading.simulator.gate import Answer, Gate, Request
from trading.simulator.operations import REST

LARGEST_BODY: Final = 65_536  # bytes
JSON: Final = "application/json"
# As a web firewall in front of Binance sends it (recorded 2018).
FIREWALL_PAGE: Final = (
    '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN" "http://www.w3.org/TR/html4/loose.dtd">\n'
    "<HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE>\n</HEAD><BODY>\n<H1>403 ERROR</H1>\n"
    "<H2>The request could not be satisfied.</H2>\nRequest blocked.\n</BODY></HTML>"
)
GARBAGE: Final = b"\x00\xff\xfe{not json"


async def serve(request: web.Request, gate: Gate, path: str) -> web.StreamResponse:
    """Answer one HTTP request for `path`, an address of Binance's."""
    operation = REST.get((request.method, path))
    if operation is None:
        return web.Response(
            status=404, text="<html><body><h2>404 Not found</h2></body></html>", content_type="text/html"
        )
    try:
        body = (await request.read()).decode("utf-8") if request.body_exists else ""
        parameters = access.parse(request.rel_url.raw_query_string, body)
    except UnicodeDecodeError:
        return _response(gate, Answer(400, errors.ApiError(400, -1100, "Illegal characters found in the body.").body))
    except errors.ApiError as refused:
        return _response(gate, Answer(refused.status, refused.body))
    signed, signature = access.split_signature(request.rel_url.raw_query_string, body)
    answer = await gate.handle(
        Request(
            target=f"{request.method} {path}",
            operation=operation,
            parameters=parameters,
            key_name=request.headers.get("X-MBX-APIKEY"),
            signed=signed,
            signature=signature,
        )
    )
    return _garbled(request, gate, answer) if answer.fault else _response(gate, answer)


def _response(gate: Gate, answer: Answer) -> web.Response:
    weight = str(gate.exchange.weights.used)
    headers = {"x-mbx-used-weight": weight, "x-mbx-used-weight-1m": weight}
    if answer.account:
        ten, day = gate.exchange.order_counts.used(answer.account)
        headers |= {"x-mbx-order-count-10s": str(ten), "x-mbx-order-count-1d": str(day)}
    if answer.retry_after is not None:
        headers["Retry-After"] = answer.retry_after
    return web.Response(status=answer.status, body=orjson.dumps(answer.body), content_type=JSON, headers=headers)


def _garbled(request: web.Request, gate: Gate, answer: Answer) -> web.StreamResponse:
    kind = answer.fault.kind if answer.fault else None
    if kind in (FaultKind.DROP_REQUEST, FaultKind.DROP_RESPONSE):
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)
    if kind is FaultKind.HTML:
        return web.Response(status=answer.fault.status, text=FIREWALL_PAGE, content_type="text/html")  # type: ignore[union-attr]  # kind came from it
    if kind is FaultKind.EMPTY:
        return web.Response(status=answer.fault.status)  # type: ignore[union-attr]  # kind came from it
    if kind is FaultKind.TRUNCATED:
        whole = orjson.dumps(answer.body)
        return web.Response(status=answer.status, body=whole[: len(whole) // 2], content_type=JSON)
    if kind is FaultKind.GARBAGE:
        return web.Response(status=200, body=GARBAGE, content_type=JSON)
    return _response(gate, answer)

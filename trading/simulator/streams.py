"""Market streams: subscriptions, broadcast in the exchange's order, and clients that cannot keep up."""

import json
import re
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import aiohttp
from aiohttp import web

from trading.simulator.frames import Outlet, Sleep, text_frame

STREAM_NAME: Final = re.compile(r"^[a-z0-9]{1,20}@(trade|bookTicker|depth(@100ms)?)$")
MAX_STREAMS: Final = 1_024  # per connection (Binance)
CONTROL_PER_SECOND: Final = 5  # messages a client may send per second (Binance)
LARGEST_MESSAGE: Final = 65_536  # bytes
PING_EVERY_S: Final = 20.0  # Binance
HIGH_WATER: Final = 262_144  # bytes waiting for one client before the replay waits for it
PATIENCE_S: Final = 5.0  # a client that blocks the replay for longer is disconnected
POLL_S: Final = 0.002
INVALID_REQUEST: Final = 2
INVALID_JSON: Final = 3


class MarketConnection:
    """One client of the market streams."""

    def __init__(self, outlet: Outlet, *, combined: bool) -> None:
        self.outlet = outlet
        self.combined = combined  # wrap each message as {"stream": ..., "data": ...}
        self.streams: set[str] = set()


class MarketStreams:
    """All market connections; `publish` encodes once and keeps one order for everybody."""

    def __init__(self, *, patience_s: float = PATIENCE_S, high_water: int = HIGH_WATER) -> None:
        self._connections: set[MarketConnection] = set()
        self._subscribers: dict[str, list[MarketConnection]] = {}
        self._patience_s = patience_s
        self._high_water = high_water
        self.silent = False  # fault: connections stay, nothing is sent
        self.losing = 0  # fault: so many next messages are lost
        self.disconnected = 0  # clients cut because they could not keep up

    @property
    def count(self) -> int:
        """Number of connections."""
        return len(self._connections)

    def subscribers(self, stream: str) -> list[MarketConnection]:
        """Return who listens to `stream`; an empty list costs the exchange no encoding."""
        return self._subscribers.get(stream, [])

    def publish(self, stream: str, text: str, to: Iterable[MarketConnection]) -> None:
        """Queue one message of `stream`."""
        if self.silent:
            return
        if self.losing:
            self.losing -= 1
            return
        payload = text.encode()
        raw = text_frame(payload)
        wrapped = b""
        for connection in to:
            if connection.combined:
                wrapped = wrapped or text_frame(b'{"stream":"' + stream.encode() + b'","data":' + payload + b"}")
                connection.outlet.add(wrapped)
            else:
                connection.outlet.add(raw)

    def broadcast(self, name: str, message: dict[str, Any]) -> None:
        """Queue a message of the replay itself on every connection."""
        self.publish(name, json.dumps(message, separators=(",", ":")), self._connections)

    def inject(self, frame: bytes) -> None:
        """Write `frame` as it is to every connection, at once (fault)."""
        for connection in self._connections:
            connection.outlet.flush()
            connection.outlet.add(frame)
            connection.outlet.flush()

    def flush(self) -> None:
        """Write everything that waits."""
        for connection in self._connections:
            connection.outlet.flush()

    @property
    def congested(self) -> bool:
        """True while some client has not read what it was sent."""
        return any(c.outlet.backlog > self._high_water for c in self._connections)

    async def drain(self, sleep: Sleep) -> None:
        """Wait until every client has caught up; disconnect those that do not within the patience."""
        deadline = time.monotonic() + self._patience_s
        while self.congested:
            if time.monotonic() > deadline:
                self._cut_the_slow()
                return
            await sleep(POLL_S)

    def _cut_the_slow(self) -> None:
        for connection in list(self._connections):
            if connection.outlet.backlog > self._high_water:
                self.disconnected += 1
                self.cut(connection)

    def cut(self, connection: MarketConnection) -> None:
        """Drop one client."""
        self.leave(connection)
        connection.outlet.cut()

    def finish(self) -> None:
        """Say goodbye to every client."""
        for connection in list(self._connections):
            self.leave(connection)
            connection.outlet.finish()

    def cut_all(self) -> int:
        """Drop every client; return how many (fault)."""
        connections = list(self._connections)
        for connection in connections:
            self.cut(connection)
        return len(connections)

    # --- subscriptions ------------------------------------------------------------------------------------

    def join(self, connection: MarketConnection) -> None:
        """Take a new client in."""
        self._connections.add(connection)

    def leave(self, connection: MarketConnection) -> None:
        """Forget a client."""
        self._connections.discard(connection)
        self.unsubscribe(connection, list(connection.streams))

    def subscribe(self, connection: MarketConnection, streams: Iterable[str]) -> None:
        """Send `streams` to the client from now on."""
        for stream in streams:
            if stream not in connection.streams:
                connection.streams.add(stream)
                self._subscribers.setdefault(stream, []).append(connection)

    def unsubscribe(self, connection: MarketConnection, streams: Iterable[str]) -> None:
        """Send `streams` to the client no longer."""
        for stream in streams:
            if stream in connection.streams:
                connection.streams.discard(stream)
                self._subscribers[stream].remove(connection)

    def answer(self, connection: MarketConnection, text: str) -> dict[str, Any]:
        """Return the reply to one control message, after doing what it asks."""
        try:
            message = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return _error(INVALID_JSON, "Invalid JSON: expected value at line 1 column 1", None)
        if not isinstance(message, dict):
            return _error(INVALID_REQUEST, "Invalid request: expected an object", None)
        request_id = message.get("id")
        if not _is_request_id(request_id):
            return _error(INVALID_REQUEST, "Invalid request: request ID must be an unsigned integer", None)
        return self._obey(connection, message, request_id)

    def _obey(self, connection: MarketConnection, message: dict[str, Any], request_id: object) -> dict[str, Any]:
        method, parameters = message.get("method"), message.get("params", [])
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": sorted(connection.streams), "id": request_id}
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            shown = str(method)[:40]
            text = (
                f"Invalid request: unknown variant {shown}, expected one of SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS"
            )
            return _error(INVALID_REQUEST, text, request_id)
        if not isinstance(parameters, list) or not all(_is_stream(name) for name in parameters):
            return _error(INVALID_REQUEST, "Invalid request: invalid stream", request_id)
        if method == "UNSUBSCRIBE":
            self.unsubscribe(connection, parameters)
        elif len(connection.streams | set(parameters)) > MAX_STREAMS:
            return _error(INVALID_REQUEST, f"Invalid request: more than {MAX_STREAMS} streams", request_id)
        else:
            self.subscribe(connection, parameters)
        return {"result": None, "id": request_id}


class ControlRate:
    """Counts what a client sends within one second."""

    def __init__(self, limit: int = CONTROL_PER_SECOND) -> None:
        self._limit = limit
        self._times: deque[float] = deque()

    def exceeded(self, now: float) -> bool:
        """Count one message at `now` (monotonic seconds); True once there were too many."""
        self._times.append(now)
        while now - self._times[0] >= 1.0:
            self._times.popleft()
        return len(self._times) > self._limit


async def serve(
    request: web.Request, streams: MarketStreams, names: Iterable[str], *, combined: bool
) -> web.StreamResponse:
    """Serve one market connection until either side ends it; `names` are streams asked for in the address."""
    socket = web.WebSocketResponse(heartbeat=PING_EVERY_S, compress=False, max_msg_size=LARGEST_MESSAGE)
    await socket.prepare(request)
    connection = MarketConnection(Outlet(request), combined=combined)
    streams.join(connection)
    streams.subscribe(connection, (name for name in names if _is_stream(name)))
    rate = ControlRate()
    try:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            if rate.exceeded(time.monotonic()):
                await socket.close(code=aiohttp.WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                break
            await socket.send_str(json.dumps(streams.answer(connection, message.data)))
    finally:
        streams.leave(connection)
    return socket


def _is_request_id(value: object) -> bool:
    if value is None:
        return True
    if isinstance(value, str):
        return len(value) <= 36
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_stream(name: object) -> bool:
    return isinstance(name, str) and STREAM_NAME.fullmatch(name) is not None


def _error(code: int, text: str, request_id: object) -> dict[str, Any]:
    return {"error": {"code": code, "msg": text}, "id": request_id}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")

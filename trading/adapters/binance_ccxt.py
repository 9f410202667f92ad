"""ccxt's Binance at an address of our choice, with our own judgement of every reply."""

import asyncio
import email.utils
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import aiohttp
import ccxt
import ccxt.pro
import orjson

from trading.adapters import binance_wire as wire
from trading.ports import FateUnknown, FeedBroken, KeyRevoked, Leave, NotFound, Refused, Throttled, VenueError

log = logging.getLogger(__name__)

RECV_WINDOW_MS: Final = 2_000  # bounds how late an order may still be accepted (reliability.md, decision 4)
REQUEST_TIMEOUT_MS: Final = 5_000
CONNECT_TIMEOUT_MS: Final = 3_000
PING_EVERY_S: Final = 1.0
SILENT_ROUNDS: Final = 2  # without a pong or anything else end a half-open connection within 3 s
DEFAULT_WAIT_MS: Final = 60_000
SHORTEST_WAIT_MS: Final = 1_000
LONGEST_WAIT_MS: Final = 3 * 24 * 3_600_000  # the longest ban Binance documents
MINUTE_MS: Final = 60_000
WEIGHT_LIMIT: Final = 6_000  # request weight per minute and address
CANCEL_RESERVE: Final = 500  # weight kept back so that a kill always passes

BANNED_UNTIL: Final = re.compile(r"banned until (\d{13})\b")
LEAVE: ContextVar[Leave | None] = ContextVar("leave", default=None)
TELL_SENT: ContextVar[Callable[[], None] | None] = ContextVar("tell_sent", default=None)

# What is safe to do after each code of the venue; a code that is missing here means: the request may be live.
# Source: binance-spot-api-docs, errors.md.
THROTTLED_CODES: Final = frozenset({-1003, -1015, -1034})
NOT_FOUND_CODES: Final = frozenset({-2011, -2013})
KEY_CODES: Final = frozenset({-1002, -2014, -2015})
REFUSED_CODES: Final = frozenset(
    {-1010, -1013, -1014, -1020, -1021, -1022, -1033, -1035, -2010, -2016, -2021, -2022, -2026, -2035, -2038, -2039}
    | set(range(-1199, -1099))  # parameters the venue could not accept
)
CLOCK_CODE: Final = -1021


class Reply(ccxt.ExchangeError):  # type: ignore[misc]  # ccxt ships no types
    """A reply that is no success, exactly as it came."""

    def __init__(self, *, status: int, code: int | None, message: str, retry_after: str | None) -> None:
        super().__init__(f"HTTP {status}, code {code}: {message[:200]}")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


def outcome(error: BaseException, *, now_ms: int) -> VenueError:
    """Return what is safe to do after `error`; our own table decides, never ccxt's class.

    ccxt files "status unknown" codes (-1006, -1007) under ExchangeError and a revoked key under rate limits. `now_ms`
    (UTC) turns dates in the reply into waiting times.
    """
    if isinstance(error, VenueError):
        return error
    if not isinstance(error, Reply):
        return FateUnknown(f"{type(error).__name__}: {error}")
    if error.status in {418, 429} or (error.status < 500 and error.code in THROTTLED_CODES):
        return Throttled(str(error), _wait_ms(error, now_ms))
    if error.status >= 500 or error.code is None:
        return FateUnknown(str(error))
    if error.code in NOT_FOUND_CODES:
        return NotFound(error.message, str(error.code))
    if error.code in KEY_CODES:
        return KeyRevoked(error.message, str(error.code))
    if error.code in REFUSED_CODES:
        return Refused(error.message, str(error.code))
    return FateUnknown(str(error))


def _wait_ms(reply: Reply, now_ms: int) -> int:
    """Return how long to send nothing: the header, else the time in the text, else a minute; hostile values bounded."""
    wait_ms = _header_ms(reply.retry_after, now_ms)
    if wait_ms is None and (match := BANNED_UNTIL.search(reply.message)):
        wait_ms = int(match.group(1)) - now_ms
    if wait_ms is None or wait_ms < 0:
        return DEFAULT_WAIT_MS
    return min(max(wait_ms, SHORTEST_WAIT_MS), LONGEST_WAIT_MS)


def _header_ms(text: str | None, now_ms: int) -> int | None:
    """Return `Retry-After` (seconds or an HTTP date) in ms from now, None when it is absent or unreadable."""
    stripped = (text or "").strip()
    if stripped.isascii() and stripped.isdigit():
        return int(stripped[:9]) * 1_000 if len(stripped) <= 9 else LONGEST_WAIT_MS
    try:
        return int(email.utils.parsedate_to_datetime(stripped).timestamp() * 1_000) - now_ms
    except (TypeError, ValueError, OverflowError):
        return None


@dataclass(slots=True)
class Allowance:
    """What the venue still lets this address ask; times are monotonic, so a clock that jumps frees nothing."""

    monotonic: Callable[[], float] = time.monotonic
    limit: int = WEIGHT_LIMIT
    _used: int = 0
    _minute: int = 0
    _blocked_until: float = 0.0
    _banned_until: float = 0.0

    def check(self, *, cancels: bool) -> None:
        """Let the request pass.

        Raises:
            Throttled: the venue told us to wait, or the weight that is left is reserved for cancels.
        """
        now = self.monotonic()
        until = self._banned_until if cancels else max(self._banned_until, self._blocked_until)
        if now < until:
            raise Throttled("the venue told us to wait; nothing was sent.", int((until - now) * 1_000) + 1)
        reserve = 0 if cancels else CANCEL_RESERVE
        if self._minute == int(now // 60) and self._used >= self.limit - reserve:
            left_ms = int((60 - now % 60) * 1_000)
            raise Throttled("the request weight of this minute is used; nothing was sent.", left_ms)

    def note_used(self, header: str | None) -> None:
        """Take over the weight of this minute as the venue counts it."""
        if header and header.isascii() and header.isdigit() and len(header) < 10:
            self._used, self._minute = int(header), int(self.monotonic() // 60)

    def block(self, wait_ms: int, *, banned: bool) -> None:
        """Send nothing for `wait_ms`; cancels still pass unless the address is `banned`."""
        until = self.monotonic() + wait_ms / 1_000
        self._blocked_until = max(self._blocked_until, until)
        if banned:
            self._banned_until = max(self._banned_until, until)


# Market streams and WebSocket API of the venues that keep them elsewhere. Source: ccxt 4.5, binance.py, urls.
STREAMS: Final[Mapping[str, tuple[str, str]]] = {
    "https://api.binance.com": ("wss://stream.binance.com:9443/ws", "wss://ws-api.binance.com:443/ws-api/v3"),
    "https://testnet.binance.vision": (
        "wss://stream.testnet.binance.vision/ws",
        "wss://ws-api.testnet.binance.vision/ws-api/v3",
    ),
}


def addresses(base_url: str) -> dict[str, Any]:
    """Return the URL table of a venue that speaks Binance's dialect at `base_url` (http or https)."""
    base = base_url.rstrip("/")
    own = base.replace("http", "ws", 1)
    # "/stream" must stay in the address: pro/binance.py is_spot_url() looks for it.
    stream, api = STREAMS.get(base, (f"{own}/stream/ws", f"{own}/ws-api/v3"))
    rest = dict.fromkeys(("public", "private", "v1"), f"{base}/api/v3")
    return {"api": {**rest, "ws": {"spot": stream, "ws-api": {"spot": api}}}}


class Binance(ccxt.pro.binance):  # type: ignore[misc]  # ccxt ships no types
    """One connection of one key: REST, and streams whose messages go to `on_message` unparsed."""

    def __init__(
        self,
        base_url: str,
        *,
        key: str = "",
        secret: str = "",
        timeout_ms: int = REQUEST_TIMEOUT_MS,
        allowance: Allowance | None = None,
    ) -> None:
        """`base_url` is where the venue listens; `allowance` may be shared by clients behind one address."""
        super().__init__(
            {
                "apiKey": key,
                "secret": secret,
                "timeout": timeout_ms,
                "verify": not base_url.startswith("http://"),  # loading certificates nobody shows costs 0.1 s
                "enableRateLimit": False,  # the venue's own count decides, see Allowance
                "urls": addresses(base_url),
                "streaming": {
                    "connectionTimeout": CONNECT_TIMEOUT_MS,
                },
                "options": {
                    "defaultType": "spot",
                    "fetchMarkets": {"types": ["spot"]},
                    "fetchCurrencies": False,
                    "recvWindow": RECV_WINDOW_MS,
                    # ccxt would sign and POST again: the same order twice.
                    "maxRetriesOnFailure": 0,
                    "ws": {"options": {"compress": 0}},
                },
            }
        )
        self.timeout_on_exit = 0
        self.allowance = allowance or Allowance()
        self.on_message: Callable[[dict[str, Any]], None] | None = None
        self.unreadable = 0  # messages that were no JSON object: dropped
        self._trace = aiohttp.TraceConfig()
        self._trace.on_request_start.append(_is_prepared)
        self._trace.on_request_chunk_sent.append(_leaves)
        self._trace.on_request_redirect.append(_is_redirected)
        self._trace.freeze()

    async def call(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        signed: bool = True,
        cancels: bool = False,
        leave: Leave | None = None,
    ) -> Any:
        """Send one request, once, and return the decoded reply.

        `leave` is awaited when the request is signed, before its first byte goes out; what it raises is raised.
        A request the venue denies for our clock sets the clock; readings and cancels then go once more, orders do not.

        Raises:
            Throttled, Refused, NotFound, KeyRevoked, FateUnknown: what is safe to do next.
        """
        LEAVE.set(leave)
        send = partial(self._send, method, path, dict(params or {}), signed=signed, cancels=cancels)
        try:
            return await send()
        except Refused as error:
            if error.code != str(CLOCK_CODE) or not signed:
                raise
            await self._set_clock()
            if method == "POST":
                raise
        return await send()

    async def clock_skew_ms(self, *, cancels: bool = False) -> float:
        """Return venue clock minus ours, in ms, corrected for half the round trip.

        Raises:
            Throttled, Refused, KeyRevoked, FateUnknown: the venue's clock could not be read.
        """
        left, started = time.time_ns(), time.monotonic_ns()
        reply = await self._send("GET", "time", {}, signed=False, cancels=cancels)
        half_ns = (time.monotonic_ns() - started) // 2
        try:
            venue_ns = wire.milliseconds(wire.mapping(reply, "time"), "serverTime")
        except wire.Unreadable as error:
            raise FateUnknown(str(error)) from error
        return (venue_ns - left - half_ns) / wire.MS

    async def _set_clock(self) -> None:
        """Stamp what follows with the venue's time; without an answer everything stays as it is."""
        LEAVE.set(None)  # both are about the request that was denied
        TELL_SENT.set(None)
        try:
            # A kill waits for this: it may use the reserve of the cancels.
            skew_ms = await self.clock_skew_ms(cancels=True)
        except VenueError as error:
            log.warning("the venue denied our clock and did not tell its own: %s", error)
            return
        log.warning("the venue's clock is %+.0f ms from ours: requests carry its time from now on", skew_ms)
        self.options["timeDifference"] = -round(skew_ms)  # ccxt counts ours minus the venue's

    async def _send(self, method: str, path: str, params: dict[str, Any], *, signed: bool, cancels: bool) -> Any:
        self.allowance.check(cancels=cancels)
        arguments = (path, ["private" if signed else "public"], method, dict(params), {"cost": 1})
        return await self._judged(self.request(*arguments))

    async def get(self, url: str) -> Any:
        """Return the decoded reply of one address outside the venue's API.

        Raises:
            FateUnknown: there is no readable answer.
        """
        return await self._judged(self.fetch(url))

    async def post(self, url: str, body: Mapping[str, Any]) -> Any:
        """Send `body` to one address outside the venue's API and return the decoded reply.

        Raises:
            VenueError: refused, or there is no readable answer.
        """
        headers = {"Content-Type": "application/json"}
        return await self._judged(self.fetch(url, "POST", headers, orjson.dumps(body).decode()))

    async def _judged(self, request: Awaitable[Any]) -> Any:
        try:
            return await request
        except (ccxt.BaseError, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            judged = outcome(error, now_ms=self.milliseconds())
            if isinstance(judged, Throttled):
                self.allowance.block(judged.retry_after_ms, banned=isinstance(error, Reply) and error.status == 418)
            raise judged from error

    async def listen(self, url: str, name: str, request: Mapping[str, Any]) -> asyncio.Future[Any]:
        """Open `url`, send `request` and return a future that ends only when the connection does.

        Raises:
            FeedBroken: the connection could not be made.
        """
        self.open()
        client = self.client(url)
        ended: asyncio.Future[Any] = client.future(name)
        try:
            connected = client.connect(self.session)
            # ccxt tells `ended` of a connection that could not be made, and leaves `connected` pending for ever.
            await asyncio.wait({connected, ended}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                await ended
            await client.send(dict(request))
        except (ccxt.BaseError, aiohttp.ClientError, OSError, ConnectionError) as error:
            ended.cancel()
            raise FeedBroken(f"{url}: {error}") from error
        return ended

    async def hang_up(self, url: str) -> None:
        """Close the stream at `url`; the next `listen` opens a new one."""
        if (client := self.clients.pop(url, None)) is not None:
            await client.close()

    # --- ccxt's own hooks -------------------------------------------------------------------------------------

    def client(self, url: str) -> Any:
        """Return the stream at `url`; its text comes to us before ccxt looks at it."""
        client = super().client(url)
        client.handle_text_or_binary_message = partial(self._read, client)
        client.ping_loop = partial(_keep_alive, client)
        return client

    def _read(self, client: Any, data: str | bytes) -> None:
        try:
            message = orjson.loads(data)
        except ValueError:
            message = None
        if isinstance(message, dict):
            self.handle_message(client, message)
        else:
            self.unreadable += 1

    def open(self, lazy: bool = False) -> None:
        """Open the HTTP session, once, with a trace that sees the moment a request body leaves."""
        super().open(lazy)
        if self.session is not None and self._trace not in self.session.trace_configs:
            self.session.trace_configs.append(self._trace)

    def handle_message(self, client: Any, message: dict[str, Any]) -> None:
        """Give market and account messages to the reader; ccxt keeps its own bookkeeping of requests."""
        if "id" not in message:
            if self.on_message is not None:
                self.on_message(message)
        elif "error" in message and "status" not in message:  # a subscription was refused
            client.reject(ccxt.ExchangeError(f"{message['error']}"))
        else:
            super().handle_message(client, message)

    def handle_errors(
        self,
        code: int,
        reason: str,
        url: str,
        method: str,
        headers: Mapping[str, str],
        body: str,
        response: Any,
        request_headers: Any,
        request_body: Any,
    ) -> None:
        """Raise `Reply` for everything that is no success; ccxt's own tables are not asked."""
        self.allowance.note_used(_header(headers, "x-mbx-used-weight-1m"))
        found = response.get("code") if isinstance(response, dict) else None
        venue_code = found if type(found) is int else None
        if 200 <= code < 300 and (venue_code is None or venue_code >= 0):
            return
        message = response.get("msg") if isinstance(response, dict) else None
        raise Reply(
            status=code if code >= 100 else 400,  # the WebSocket API passes the venue's code here
            code=venue_code,
            message=message if isinstance(message, str) else f"{reason} {body}"[:200],
            retry_after=_header(headers, "retry-after"),
        )


@dataclass(slots=True)
class Pulse:
    """Judges a connection by rounds of one ping each, not by the clock.

    A process that could not run for some seconds finds its timers due before it has read what waits for it: by the
    clock (as in ccxt) every such pause would end every stream. Anything that arrives is a sign of life, because a pong
    may wait behind a thousand ticks. After a pause longer than its lease a loop starts anew anyway.
    """

    heard_at: int | None = None
    silent: int = 0  # rounds

    def is_lost(self, heard_at: int | None) -> bool:
        """Count one round, at whose end the newest message came at `heard_at`; True after too many without any."""
        self.silent = self.silent + 1 if heard_at == self.heard_at else 0
        self.heard_at = heard_at
        return self.silent >= SILENT_ROUNDS


async def _keep_alive(client: Any) -> None:
    """Ping until the stream ends or is lost; in place of ccxt's own loop."""
    pulse = Pulse()
    while not client.closed():
        await asyncio.sleep(PING_EVERY_S)
        if pulse.is_lost(client.last_message_at):
            client.on_error(ccxt.RequestTimeout(f"{client.url}: nothing came, and no answer to our pings."))
            return
        try:
            await client.connection.ping()
        except (aiohttp.ClientError, OSError) as error:
            if not client.closed():
                client.on_error(ccxt.NetworkError(f"{error}"))
            return


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name), None)


async def _is_prepared(_session: Any, _context: Any, _parameters: Any) -> None:
    """aiohttp calls this in the task that sends, before it takes a connection."""
    if (leave := LEAVE.get()) is not None:
        await leave()


async def _leaves(_session: Any, _context: Any, _parameters: Any) -> None:
    """aiohttp calls this right before the bytes of a request body go to the socket."""
    if (tell := TELL_SENT.get()) is not None:
        tell()


async def _is_redirected(_session: Any, _context: Any, _parameters: Any) -> None:
    """aiohttp calls this before it follows; after a 307 or 308 it would POST the same order up to ten times."""
    raise aiohttp.ClientError("the venue sent us elsewhere; we do not follow.")

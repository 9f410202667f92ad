"""A small market, real clients and a way to wait: what the simulator's tests share."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp
import ccxt.pro
from yarl import URL

from trading.simulator.access import key_name, secret_of
from trading.simulator.replay import BOOK, BUY_PRINT, SELL_PRINT, Row, RowRecording

START_NS = 1_723_161_254_000_000_000
MS = 1_000_000
PATIENCE_S = 60.0  # only a failing test waits that long
Answer = TypeVar("Answer")
TRADE, CANCEL, READ = (key_name("production", purpose) for purpose in ("trade", "cancel", "read"))


def book(
    at_ms: int, bid: int = 6_000_000, ask: int = 6_000_001, *, bid_lots: int = 100_000, ask_lots: int = 100_000
) -> Row:
    """Return a BTCUSDT top: 60000.00 / 60000.01 with one BTC on each side unless told."""
    return Row(START_NS + at_ms * MS, 0, BOOK, bid, bid_lots, ask, ask_lots)


def printed(at_ms: int, price: int, lots: int = 100_000, *, sold: bool = True) -> Row:
    """Return a BTCUSDT print."""
    return Row(START_NS + at_ms * MS, 0, SELL_PRINT if sold else BUY_PRINT, price, lots, 0, 0)


def recording(*rows: Row, name: str = "hand-made") -> RowRecording:
    """Return a BTCUSDT recording."""
    return RowRecording(name, ("BTCUSDT",), rows)


async def until(met: Callable[[], bool], *, what: str = "the condition") -> None:
    """Let others run until `met`; fail after the patience."""
    deadline = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < deadline, f"{what} did not come true"
        await asyncio.sleep(0.001)


async def soon(awaitable: Awaitable[Answer]) -> Answer:
    """Return the result of `awaitable`; fail after the patience."""
    return await asyncio.wait_for(awaitable, PATIENCE_S)


def now_ms() -> int:
    """Return the wall clock in ms."""
    return time.time_ns() // MS


def sign(parameters: dict[str, Any], key: str = TRADE, *, secret: str | None = None) -> str:
    """Return a signed query string."""
    query = urlencode({"timestamp": now_ms(), **parameters})
    code = hmac.new((secret or secret_of(key)).encode(), query.encode(), hashlib.sha256).hexdigest()
    return f"{query}&signature={code}"


class Rest:
    """A plain HTTP client that signs."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url
        self.headers: dict[str, str] = {}

    async def raw(self, method: str, path: str, query: str = "", *, key: str | None = None) -> tuple[int, Any]:
        """Send `query` as it stands."""
        headers = {"X-MBX-APIKEY": key} if key else {}
        async with self.session.request(
            method, URL(f"{self.url}{path}?{query}", encoded=True), headers=headers
        ) as reply:
            self.headers = {name.lower(): value for name, value in reply.headers.items()}
            body = await reply.text()
            is_json = reply.content_type == "application/json"
            return reply.status, await reply.json() if is_json else body

    async def signed(self, method: str, path: str, key: str = TRADE, **parameters: Any) -> tuple[int, Any]:
        """Send a signed request."""
        return await self.raw(method, path, sign(parameters, key), key=key)

    async def order(self, key: str = TRADE, **parameters: Any) -> tuple[int, Any]:
        """Place a LIMIT BUY of 0.001 BTC at 59000 unless told otherwise; None leaves a parameter out."""
        wanted = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001"}
        wanted |= {"price": "59000"} | parameters
        return await self.signed("POST", "/api/v3/order", key, **{k: v for k, v in wanted.items() if v is not None})

    async def sim(self, path: str, document: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Ask the control plane."""
        async with self.session.post(f"{self.url}/sim/{path}", json=document) as reply:
            return reply.status, await reply.json()

    async def status(self) -> dict[str, Any]:
        """Return the control plane's status."""
        async with self.session.get(f"{self.url}/sim/status") as reply:
            return dict(await reply.json())


def binance(url: str, key: str = TRADE) -> Any:
    """Return the installed ccxt.pro Binance, unmodified but for its addresses."""
    stream = url.replace("http", "ws", 1)
    client = ccxt.pro.binance(
        {
            "apiKey": key,
            "secret": secret_of(key),
            "enableRateLimit": False,
            "options": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False},
        }
    )
    addresses = dict.fromkeys(("public", "private", "v1"), f"{url}/api/v3") | {"sapi": f"{url}/sapi/v1"}
    sockets = {"spot": f"{stream}/stream/ws", "ws-api": {"spot": f"{stream}/ws-api/v3"}}
    client.urls["api"] = {**client.urls["api"], **addresses, "ws": {**client.urls["api"]["ws"], **sockets}}
    return client

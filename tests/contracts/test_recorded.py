"""The adapter against replies as the real venue gave them, and as a broken network gives them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final

import pytest

from tests.contracts.conftest import ACCOUNT, SYMBOL, instruments
from tests.contracts.loopback import Answer, Asked, End, loopback, says
from tests.contracts.test_venue import order
from trading.adapters import cancel_http
from trading.adapters.binance_ccxt import DEFAULT_WAIT_MS, LONGEST_WAIT_MS
from trading.adapters.cancel_http import CancelClient, UnableToCancel
from trading.adapters.venue_ccxt import BinanceVenue
from trading.ports import FateUnknown, NotFound, Refused, Throttled, VenueError

ERRORS: Final = [
    json.loads(line) for line in (Path(__file__).parent / "recorded/errors.jsonl").read_text().splitlines()
]
TIMEOUT_MS: Final = 250
ABOUT_MS: Final = 5_000  # a slow machine between the answer and our look at it


@asynccontextmanager
async def venue_at(url: str) -> AsyncIterator[BinanceVenue]:
    """Open an account at `url`."""
    venue = BinanceVenue(url, account=ACCOUNT, key="k", secret="s", instruments=instruments(), timeout_ms=TIMEOUT_MS)
    try:
        yield venue
    finally:
        await venue.close()


def failure(code: int, text: str = "", status: int = 400, **headers: str) -> Answer:
    return says({"code": code, "msg": text}, status, **headers)


# --- every recorded error -------------------------------------------------------------------------------------

# One row per line of errors.jsonl: the status it is served with (the recorded, else the documented), what follows.
OUTCOMES: Final = [
    (418, Throttled), (418, Throttled), (418, Throttled), (429, Throttled), (429, Throttled), (400, Throttled),
    (400, Refused), (400, Refused), (400, Refused),  # the clock
    (400, Refused), (400, NotFound), (400, NotFound), (400, Refused), (400, Refused), (400, Refused),
    (504, FateUnknown), (500, FateUnknown), (504, FateUnknown), (403, FateUnknown), (451, FateUnknown),
]  # fmt: skip


def served(error: dict[str, Any], status: int) -> Answer:
    """Return a recorded error as the bytes it came in."""
    assert error["http"] in {None, status}
    if error["code"] is None:
        return Answer(status, error.get("body", "").encode(), content_type=error.get("content_type", "text/html"))
    body = error.get("verbatim", "").partition("{")[2]
    return Answer(status, f"{{{body}".encode() if body else json.dumps({k: error[k] for k in ("code", "msg")}).encode())


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [(error, *expected) for error, expected in zip(ERRORS, OUTCOMES, strict=True)],
    ids=[f"{error['code']} {(error['msg'] or '')[:30]}" for error in ERRORS],
)
async def test_every_recorded_error_says_what_is_safe_next(
    error: dict[str, Any], status: int, kind: type[VenueError]
) -> None:
    async with loopback([served(error, status)]) as server, venue_at(server.url) as venue:
        with pytest.raises(VenueError) as raised:
            await venue.submit(order(1))

    assert type(raised.value) is kind
    assert server.count("POST") == 1


# --- no order leaves twice ------------------------------------------------------------------------------------

HTML: Final = b"<HTML><TITLE>403 ERROR</TITLE></HTML>"
AMBIGUOUS: Final = {
    "no answer in time": Answer(silent=True, end=End.HANG),
    "closed without a word": Answer(silent=True),
    "reset without a word": Answer(silent=True, end=End.RESET),
    "reset in the body": Answer(body=b'{"symbol":"BTC', missing=200, end=End.RESET),
    "closed in the body": Answer(body=b'{"symbol":"BTC', missing=200),
    "body never ends": Answer(body=b'{"symbol":"BTC', missing=200, end=End.HANG),
    "truncated JSON": Answer(body=b'{"symbol":"BTCUSDT","orderId":28,"cli'),
    "success without a body": Answer(),
    "success with a page": Answer(body=HTML, content_type="text/html"),
    "another document": says([]),
    "a number": says(5),
    "not UTF-8": Answer(body=b'{"msg":"\xff\xfe"}'),
    "deep nesting": Answer(body=b"[" * 100_000),
    "403 page": Answer(403, HTML, content_type="text/html"),
    "500": failure(-1000, status=500),
    "502 page": Answer(502, b"<html>Bad Gateway</html>", content_type="text/html"),
    "503 empty": Answer(503),
    "504 empty": Answer(504),
    "503 that names a refusal": failure(-2010, "Account has insufficient balance", 503),
    "-1000": failure(-1000),
    "-1001": failure(-1001, "Internal error; unable to process your request."),
    "-1006": failure(-1006, "An unexpected response was received from the message bus."),
    "-1007": failure(-1007, "Timeout waiting for response from backend server."),
    "a code nobody knows": failure(-9_999),
    "a code that is text": says({"code": "-2010", "msg": "x"}, 400),
    "301": Answer(301, headers={"Location": "/api/v3/order"}),
    "307, which repeats a POST": Answer(307, headers={"Location": "/api/v3/order"}),
    "308, which repeats a POST": Answer(308, headers={"Location": "/api/v3/order"}),
    "302": Answer(302, headers={"Location": "/api/v3/order"}),
}  # fmt: skip
WHAT: Final[dict[str, Callable[[BinanceVenue], Awaitable[object]]]] = {
    "submit": lambda venue: venue.submit(order(1)),
    "cancel": lambda venue: venue.cancel(SYMBOL, "gc-production-1-1"),
    "cancel all": lambda venue: venue.cancel_all(SYMBOL),
    "open orders": lambda venue: venue.open_orders(SYMBOL),
    "order": lambda venue: venue.order(SYMBOL, "gc-production-1-1"),
    "fills": lambda venue: venue.fills_since(SYMBOL, 0),
    "balances": lambda venue: venue.balances(),
    "instruments": lambda venue: venue.instruments([SYMBOL]),
    "time": lambda venue: venue.clock_skew_ms(),
}


@pytest.mark.parametrize("answer", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_an_ambiguous_answer_leaves_the_fate_open_and_is_never_followed_by_a_second_order(
    answer: Answer,
) -> None:
    async with loopback([answer]) as server, venue_at(server.url) as venue:
        with pytest.raises(FateUnknown):
            await venue.submit(order(1))

    assert server.count("POST") == 1


@pytest.mark.parametrize("code", [-1021, -1003, -1015, -2010, -2015])
async def test_what_was_denied_is_not_sent_again_either(code: int) -> None:
    async with loopback([failure(code)]) as server, venue_at(server.url) as venue:
        with pytest.raises((Refused, Throttled)):
            await venue.submit(order(1))

    assert server.count("POST") == 1


@pytest.mark.parametrize("what", [name for name in WHAT if name != "submit"])
async def test_no_defect_of_a_reply_is_taken_for_an_answer(what: str) -> None:
    defects = [name for name in AMBIGUOUS if name not in {"no answer in time", "body never ends"}]
    if what in {"open orders", "fills", "cancel all"}:
        defects.remove("another document")  # an empty list is their answer when there is nothing
    for name in defects:
        async with loopback([AMBIGUOUS[name]]) as server, venue_at(server.url) as venue:
            with pytest.raises(FateUnknown):
                pytest.fail(f"{name}: {await WHAT[what](venue)}")


# --- waiting as told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [
        ("30", 30_000),
        ("0", 1_000),
        ("-5", DEFAULT_WAIT_MS),
        ("1e9", DEFAULT_WAIT_MS),
        ("NaN", DEFAULT_WAIT_MS),
        ("9" * 400, LONGEST_WAIT_MS),
        ("in 40 s", 40_000),
        ("Wed, 10 Aug 2005 00:07:20 GMT", DEFAULT_WAIT_MS),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT_MS),
        ("Wed, 99 Foo 99999 99:99:99 GMT", DEFAULT_WAIT_MS),
        (None, DEFAULT_WAIT_MS),
    ],
)
@pytest.mark.parametrize("status", [429, 418])
async def test_nothing_leaves_before_the_venue_allows_it(status: int, header: str | None, wait_ms: int) -> None:
    if header == "in 40 s":
        header = formatdate(time.time() + 40, usegmt=True)
    headers = {} if header is None else {"Retry_After": header}
    answers = [failure(-1003, "Too many requests", status, **headers), says([])]
    async with loopback(answers) as server, venue_at(server.url) as venue:
        with pytest.raises(Throttled) as first:
            await venue.submit(order(1))
        with pytest.raises(Throttled) as second:
            await venue.submit(order(2))
        if status == 429:
            assert await venue.cancel_all(SYMBOL) == []
        else:  # a ban that is ignored grows
            with pytest.raises(Throttled):
                await venue.cancel_all(SYMBOL)

    assert wait_ms - ABOUT_MS <= first.value.retry_after_ms <= wait_ms
    assert first.value.retry_after_ms - ABOUT_MS <= second.value.retry_after_ms <= first.value.retry_after_ms + 1
    assert (server.count("POST"), server.count("DELETE")) == (1, int(status == 429))


# --- our clock and the venue's --------------------------------------------------------------------------------


class StrictClock:
    """A venue whose clock is `ahead_ms` ahead of ours and which compares, as Binance: +1 s, -recvWindow."""

    def __init__(self, ahead_ms: int) -> None:
        self.ahead_ms = ahead_ms
        self.times_told = 0

    def __call__(self, asked: Asked) -> Answer:
        now_ms = time.time_ns() // 1_000_000 + self.ahead_ms
        if asked.path.endswith("/time"):
            self.times_told += 1
            return says({"serverTime": now_ms})
        stamp_ms, window_ms = int(asked.parameters["timestamp"]), int(asked.parameters["recvWindow"])
        if not now_ms - window_ms <= stamp_ms < now_ms + 1_000:
            return failure(-1021, "Timestamp for this request is outside of the recvWindow.")
        return says([])


SKEWS: Final = [-3_600_000, -5_000, 5_000, 86_400_000]


@pytest.mark.parametrize("ahead_ms", SKEWS)
async def test_a_kill_goes_through_although_our_clock_is_wrong(ahead_ms: int) -> None:
    clock = StrictClock(ahead_ms)
    async with loopback(clock) as server, venue_at(server.url) as venue:
        assert await venue.cancel_all(SYMBOL) == []
        assert await venue.open_orders(SYMBOL) == []

    assert clock.times_told == 1
    assert server.count("DELETE") == 2


@pytest.mark.parametrize("ahead_ms", SKEWS)
async def test_a_watchdog_whose_clock_is_wrong_still_cancels(ahead_ms: int) -> None:
    async with loopback(StrictClock(ahead_ms)) as server:
        client = CancelClient(server.url, key="k", secret="s")

        assert await asyncio.to_thread(client.cancel_all, SYMBOL) == 0
        assert await asyncio.to_thread(client.open_orders, SYMBOL) == 0


@pytest.mark.parametrize("answer", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_a_watchdog_takes_no_defect_for_a_cancel(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancel_http, "TIMEOUT_S", TIMEOUT_MS / 1_000)
    answer = answer if answer.body != b"[]" else says({})
    async with loopback([answer]) as server:
        client = CancelClient(server.url, key="k", secret="s")

        with pytest.raises(UnableToCancel):
            await asyncio.to_thread(client.cancel_all, SYMBOL)


async def test_an_order_denied_for_our_clock_sets_it_and_is_not_sent_again() -> None:
    left: list[str] = []

    async def leave() -> None:
        left.append("left")

    async with loopback(StrictClock(5_000)) as server, venue_at(server.url) as venue:
        with pytest.raises(Refused) as refusal:
            await venue.submit(order(1), leave=leave)
        assert server.count("POST") == 1
        assert left == ["left"]
        await venue.open_orders(SYMBOL)

    assert refusal.value.code == "-1021"
    assert [asked.path.rpartition("/")[2] for asked in server.asked] == ["order", "time", "openOrders"]


async def test_a_venue_that_denies_every_clock_is_asked_twice_and_no_more() -> None:
    def deny(asked: Asked) -> Answer:
        return says({"serverTime": 1}) if asked.path.endswith("time") else failure(-1021)

    async with loopback(deny) as server, venue_at(server.url) as venue:
        with pytest.raises(Refused):
            await venue.cancel_all(SYMBOL)

    assert server.count("DELETE") == 2


async def test_a_venue_that_does_not_tell_its_time_is_asked_as_before() -> None:
    async with loopback([failure(-1021), Answer(body=HTML)]) as server, venue_at(server.url) as venue:
        with pytest.raises(FateUnknown):
            await venue.cancel_all(SYMBOL)

    assert [asked.method for asked in server.asked] == ["DELETE", "GET", "DELETE"]


async def test_the_skew_is_measured_against_the_venues_clock() -> None:
    async with loopback(StrictClock(750)) as server, venue_at(server.url) as venue:
        assert await venue.clock_skew_ms() == pytest.approx(750, abs=TIMEOUT_MS)
        assert await venue.clock_skew_ms() >= 500  # measuring alone corrects nothing: the risk loop must see it

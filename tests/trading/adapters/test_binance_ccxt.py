"""What is safe after each failure: our own table, on replies as they were recorded from the venue."""

import asyncio
from typing import Any

import ccxt
import pytest

from trading.adapters import binance_ccxt
from trading.adapters.binance_ccxt import (
    CANCEL_RESERVE,
    DEFAULT_WAIT_MS,
    LONGEST_WAIT_MS,
    SILENT_ROUNDS,
    WEIGHT_LIMIT,
    Allowance,
    Binance,
    Pulse,
    Reply,
    addresses,
    outcome,
)
from trading.ports import FateUnknown, FeedBroken, KeyRevoked, NotFound, Refused, Throttled, VenueError

NOW_MS = 1_660_090_000_000


def reply(status: int, code: int | None, message: str = "", retry_after: str | None = None) -> Reply:
    return Reply(status=status, code=code, message=message, retry_after=retry_after)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (reply(400, -2010, "Account has insufficient balance for requested action."), Refused),
        (reply(400, -2010, "Duplicate order sent."), Refused),
        (reply(400, -1013, "Filter failure: LOT_SIZE"), Refused),
        (reply(400, -1021, "Timestamp for this request is outside of the recvWindow."), Refused),
        (reply(400, -1102, "Mandatory parameter 'signature' was not sent"), Refused),
        (reply(400, -1121, "Invalid symbol."), Refused),
        (reply(400, -2011, "Unknown order sent."), NotFound),
        (reply(400, -2013, "Order does not exist."), NotFound),
        (reply(401, -2015, "Invalid API-key, IP, or permissions for action."), KeyRevoked),
        (reply(401, -2014, "API-key format invalid."), KeyRevoked),
        (reply(429, -1003, "Too many requests; current request has limited."), Throttled),
        (reply(400, -1015, "Too many new orders; current limit is 50 orders per 10 SECOND."), Throttled),
        (reply(418, -1003, "Way too much request weight used; IP banned until 1660090423228."), Throttled),
        (reply(400, -1006, "An unexpected response was received from the message bus."), FateUnknown),
        (reply(504, -1007, "Timeout waiting for response from backend server."), FateUnknown),
        (reply(400, -1007, "Timeout waiting for response from backend server."), FateUnknown),
        (reply(500, -1000, "An unknown error occured while processing the request."), FateUnknown),
        (reply(503, -2010, "whatever a gateway makes of it"), FateUnknown),
        (reply(504, None, ""), FateUnknown),
        (reply(403, None, "<HTML><TITLE>403 ERROR</TITLE></HTML>"), FateUnknown),
        (reply(200, None, "not json"), FateUnknown),
        (reply(400, -9999, "a code of next year"), FateUnknown),
        (ccxt.RequestTimeout("slow"), FateUnknown),
        (ccxt.ExchangeNotAvailable("reset by peer"), FateUnknown),
        (ccxt.ExchangeError("half a body"), FateUnknown),
        (TimeoutError(), FateUnknown),
        (ConnectionResetError(), FateUnknown),
        (ValueError("json"), FateUnknown),
    ],
    ids=str,
)
def test_every_failure_says_what_is_safe_next(error: Exception, kind: type[VenueError]) -> None:
    assert type(outcome(error, now_ms=NOW_MS)) is kind


def test_what_is_judged_already_stays_as_it_is() -> None:
    judged = FeedBroken("gone")

    assert outcome(judged, now_ms=NOW_MS) is judged


@pytest.mark.parametrize(
    ("header", "message", "wait_ms"),
    [
        ("30", "", 30_000),
        (" 30 ", "", 30_000),
        (None, "", DEFAULT_WAIT_MS),
        ("", "", DEFAULT_WAIT_MS),
        ("soon", "", DEFAULT_WAIT_MS),
        ("-5", "", DEFAULT_WAIT_MS),
        ("0", "", 1_000),
        ("1.5", "", DEFAULT_WAIT_MS),
        ("１２", "", DEFAULT_WAIT_MS),  # noqa: RUF001  # full-width digits are the case
        ("999999999", "", LONGEST_WAIT_MS),
        ("9" * 5_000, "", LONGEST_WAIT_MS),
        ("Wed, 10 Aug 2022 00:07:20 GMT", "", 40_000),
        ("Wed, 10 Aug 2005 00:07:20 GMT", "", DEFAULT_WAIT_MS),
        (None, "IP banned until 1660090423228. Please use the websocket", 423_228),
        (None, "IP banned until 1560090423228.", DEFAULT_WAIT_MS),
        (None, "IP banned until 9999999999999.", LONGEST_WAIT_MS),
        ("20", "IP banned until 1660090423228.", 20_000),
    ],
)
def test_the_wait_is_the_venues_and_hostile_values_are_bounded(header: str | None, message: str, wait_ms: int) -> None:
    judged = outcome(reply(429, -1003, message, header), now_ms=NOW_MS)

    assert isinstance(judged, Throttled)
    assert judged.retry_after_ms == wait_ms


# --- how much may be asked ------------------------------------------------------------------------------------


class Time:
    """A clock for monotonic time that is moved by hand."""

    def __init__(self) -> None:
        self.now = 600.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def test_after_a_429_only_cancels_pass_until_the_time_is_up(time: Time) -> None:
    allowance = Allowance(time)

    allowance.block(5_000, banned=False)

    with pytest.raises(Throttled) as refusal:
        allowance.check(cancels=False)
    assert refusal.value.retry_after_ms == 5_001
    allowance.check(cancels=True)
    time.now += 5.0
    allowance.check(cancels=False)


def test_a_ban_holds_cancels_back_too(time: Time) -> None:
    allowance = Allowance(time)

    allowance.block(5_000, banned=True)

    with pytest.raises(Throttled):
        allowance.check(cancels=True)


def test_the_last_weight_of_a_minute_is_kept_for_cancels(time: Time) -> None:
    allowance = Allowance(time)

    allowance.note_used(str(WEIGHT_LIMIT - CANCEL_RESERVE - 1))
    allowance.check(cancels=False)
    allowance.note_used(str(WEIGHT_LIMIT - CANCEL_RESERVE))

    with pytest.raises(Throttled):
        allowance.check(cancels=False)
    allowance.check(cancels=True)
    time.now += 60.0
    allowance.check(cancels=False)


@pytest.mark.parametrize("header", [None, "", "many", "-1", "9" * 50])
def test_a_weight_that_is_no_number_is_ignored(time: Time, header: str | None) -> None:
    allowance = Allowance(time)

    allowance.note_used(header)

    allowance.check(cancels=False)


# --- ccxt as we need it ---------------------------------------------------------------------------------------


@pytest.fixture
def exchange() -> Binance:
    return Binance("http://127.0.0.1:1", key="k", secret="s")


def test_ccxt_never_sends_an_order_again(exchange: Binance) -> None:
    """maxRetriesOnFailure signs and POSTs anew: the same order twice."""
    assert exchange.options["maxRetriesOnFailure"] == 0
    assert exchange.handle_option_integer_and_params({}, "order", "maxRetriesOnFailure", 0)[0] == 0


def test_ccxt_signs_with_a_short_window_and_keeps_our_id(exchange: Binance) -> None:
    request: dict[str, Any] = exchange.sign("order", ["private"], "POST", {"newClientOrderId": "gc-micro-1-1"})

    assert "recvWindow=2000" in request["body"]
    assert "newClientOrderId=gc-micro-1-1" in request["body"]
    assert "x-TKT5PX2F" not in request["body"]


def test_the_stream_address_is_one_that_ccxt_takes_for_spot() -> None:
    assert addresses("http://127.0.0.1:8900/")["api"] == {
        "public": "http://127.0.0.1:8900/api/v3",
        "private": "http://127.0.0.1:8900/api/v3",
        "v1": "http://127.0.0.1:8900/api/v3",
        "ws": {"spot": "ws://127.0.0.1:8900/stream/ws", "ws-api": {"spot": "ws://127.0.0.1:8900/ws-api/v3"}},
    }


def test_certificates_are_checked_wherever_there_are_some() -> None:
    assert Binance("https://api.binance.com").verify is True


# --- streams --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard_at", "is_lost"),
    [
        ([1, 2, 3], [False, False, False]),
        ([1, 1, 2, 2], [False, False, False, False]),
        ([1, 1, 1], [False, False, True]),
        ([None, None], [False, True]),
    ],
    ids=["each ping answered", "one answer late", "half open", "never a word"],
)
def test_a_stream_is_lost_after_two_rounds_without_a_message(heard_at: list[int | None], is_lost: list[bool]) -> None:
    pulse = Pulse()

    assert [pulse.is_lost(at) for at in heard_at] == is_lost


class HalfOpen:
    """A connection that takes pings and never answers."""

    def __init__(self) -> None:
        self.pings = 0
        self.closed = False

    async def ping(self) -> None:
        self.pings += 1

    async def close(self) -> None:
        self.closed = True


async def test_a_half_open_stream_is_closed(exchange: Binance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance_ccxt, "PING_EVERY_S", 0)
    client = exchange.client("ws://127.0.0.1:1/stream/ws/0")
    client.connection = connection = HalfOpen()
    ended = client.future("market")

    await client.ping_loop()

    assert isinstance(client.error, ccxt.RequestTimeout)
    assert ended.done()
    assert connection.pings == SILENT_ROUNDS - 1
    client.connection = None
    await exchange.close()


async def test_a_stream_that_nobody_serves_breaks_at_once_each_time(exchange: Binance) -> None:
    url = "ws://127.0.0.1:1/stream/ws/0"
    for _ in range(2):
        with pytest.raises(FeedBroken, match="Cannot connect"):
            await asyncio.wait_for(exchange.listen(url, "market", {}), 10)
        await exchange.hang_up(url)
    await exchange.close()


async def test_nobody_listening_is_no_proof_that_nothing_was_sent(exchange: Binance) -> None:
    with pytest.raises(FateUnknown):
        await exchange.call("POST", "order", {"newClientOrderId": "gc-micro-1-1"})
    await exchange.close()


@pytest.mark.parametrize(
    ("base", "table"), [("https://api.binance.com", "api"), ("https://testnet.binance.vision", "test")]
)
def test_the_streams_of_a_real_venue_are_where_ccxt_knows_them(base: str, table: str) -> None:
    known = ccxt.pro.binance().urls[table]

    found = addresses(base)["api"]

    assert found["private"] == known["private"]
    assert found["ws"] == {"spot": known["ws"]["spot"], "ws-api": {"spot": known["ws"]["ws-api"]["spot"]}}

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from tests.trading.simulator.scene import START_NS, Rest, book, printed, recording, soon, until
from trading.domain.market import BookTop
from trading.domain.orders import OrderType, Side
from trading.domain.venue_orders import NewOrder
from trading.simulator import listing
from trading.simulator.exchange import Exchange, ExchangeClock
from trading.simulator.player import Player, SpeedError
from trading.simulator.replay import LAP_STRIDE, RowRecording
from trading.simulator.server import RunningExchange, running_exchange

SECOND = 1_000_000_000
DESK = "production"


class Time:
    """Stands still but for those who sleep."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND)
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Stage:
    """A player on made-up time, with everything it published."""

    def __init__(self, played: RowRecording, **options: Any) -> None:
        self.time = Time()
        self.exchange = Exchange(listing.load(), clock=ExchangeClock())
        self.exchange.open_accounts()
        self.at_s: list[tuple[float, int]] = []  # when which price was played
        self.messages: list[dict[str, Any]] = []
        self.on_event: Callable[[], None] = lambda: None
        self.exchange.streams.broadcast = self._hear  # type: ignore[method-assign]  # a listener instead of sockets
        publish = self.exchange.publish

        def note(event: Any) -> None:
            price = event.bid_ticks if isinstance(event, BookTop) else event.price_ticks
            self.at_s.append((round(self.time.now_ns / SECOND, 2), price))
            self.on_event()
            publish(event)

        self.exchange.publish = note  # type: ignore[method-assign]  # a listener instead of sockets
        self.player = Player(
            self.exchange, played, monotonic_ns=lambda: self.time.now_ns, sleep=self.time.sleep, **options
        )

    def _hear(self, name: str, message: dict[str, Any]) -> None:
        self.messages.append(message)

    async def play(self, until_s: float) -> None:
        task = asyncio.create_task(self.player.run())
        while self.time.now_ns < until_s * SECOND and not task.done():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


LAP = recording(book(0, 100, 101), book(1_000, 102, 103), book(3_000, 104, 105))


# --- pace -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("speed", "expected"),
    [
        (1.0, [(0.0, 100), (1.0, 102), (3.0, 104), (5.0, 100), (6.0, 102), (8.0, 104)]),
        (10.0, [(0.0, 100), (0.1, 102), (0.3, 104), (2.3, 100), (2.4, 102), (2.6, 104)]),
    ],
)
async def test_events_come_at_a_multiple_of_real_time_with_a_seam_between_laps(
    speed: float, expected: list[tuple[float, int]]
) -> None:
    stage = Stage(LAP, speed=speed)

    await stage.play(expected[-1][0] + 0.01)

    assert len(stage.at_s) == len(expected)
    for (at_s, price), (wanted_s, wanted_price) in zip(stage.at_s, expected, strict=True):
        assert price == wanted_price
        assert at_s == pytest.approx(wanted_s, abs=0.02)


async def test_a_new_speed_holds_from_where_the_replay_stands() -> None:
    stage = Stage(LAP, speed=1.0)
    asyncio.get_running_loop().call_soon(stage.player.set_speed, 10.0)

    await stage.play(0.35)

    assert [price for _, price in stage.at_s] == [100, 102, 104]


async def test_a_paused_replay_stands_still_and_goes_on_where_it_stood() -> None:
    stage = Stage(LAP, speed=1.0)
    stage.player.pause(True)
    await stage.play(30.0)
    assert stage.at_s == []

    stage.player.pause(False)
    await stage.play(stage.time.now_ns / SECOND + 1.1)

    assert [price for _, price in stage.at_s] == [100, 102]


async def test_a_replay_that_cannot_keep_up_slows_down_and_says_so() -> None:
    stage = Stage(recording(*(book(ms, 100 + ms % 7, 200) for ms in range(60_000))), speed=60.0)

    async def slow_flush(seconds: float) -> None:
        await stage.time.sleep(max(seconds, 0.1))  # every batch takes a tenth of a second

    stage.player._sleep = slow_flush

    await stage.play(6.0)

    measured = [m["effective_speed"] for m in stage.messages if m["e"] == "replayStatus" and m["state"] == "TRADING"]
    assert stage.player.speed == 60.0
    assert 0.0 < measured[-1] < 5.0
    assert len(stage.at_s) == stage.player.events_played


@pytest.mark.parametrize("speed", [0.0, 0.99, 60.1, -1.0, float("nan"), float("inf")])
def test_a_speed_outside_the_range_is_refused(speed: float) -> None:
    with pytest.raises(SpeedError, match=r"outside 1\.\.60 times real time"):
        Stage(LAP, speed=speed)


async def test_the_status_tells_lap_progress_and_label() -> None:
    stage = Stage(LAP, speed=1.0)

    await stage.play(1.5)

    status = stage.player.status()
    assert {name: status[name] for name in ("lap", "dataset", "label", "state", "progress", "paused")} == {
        "lap": 1,
        "dataset": "hand-made",
        "label": "ticks",
        "state": "TRADING",
        "progress": 0.333333,
        "paused": False,
    }
    assert status["effective_speed"] == pytest.approx(1.0, abs=0.05)


async def test_statuses_are_sent_about_once_a_second() -> None:
    stage = Stage(recording(book(0), book(60_000)), speed=1.0)

    await stage.play(10.5)

    assert 10 <= len([m for m in stage.messages if m["e"] == "replayStatus"]) <= 13


# --- seam -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def short() -> AsyncIterator[RunningExchange]:
    """An exchange on the wall clock, paused before the last event of its lap."""
    rows = [book(0), printed(1, 6_000_000), book(20_000, 5_990_000, 5_990_001)]
    async with running_exchange(recording=recording(*rows), speed=1.0, seam_pause_s=0.01) as running:
        await until(lambda: running.player.events_played == 2)
        running.player.pause(True)
        yield running


async def test_a_seam_expires_settles_and_starts_the_next_lap(
    session: aiohttp.ClientSession, short: RunningExchange
) -> None:
    rest = Rest(session, short.url)
    async with (
        session.ws_connect(f"{short.ws_url}/ws/btcusdt@bookTicker") as market,
        session.ws_connect(f"{short.ws_url}/ws-api/v3") as socket,
    ):
        connection = await user_connection(short, socket)
        connection.subscribe(DESK)
        await rest.order(type="MARKET", price=None, timeInForce=None, quantity="0.1")
        await rest.order(newClientOrderId="resting")
        equity = sum_at_bid(short, 5_990_000)
        short.player.set_speed(60.0)
        short.player.pause(False)
        seam = await message_of(market, "replaySeam")
        states = [(m["lap"], m["state"]) for m in [await message_of(market, "replayStatus") for _ in range(2)]]
        account = [json.loads(m.data)["event"] async for m in limited(socket, 10)]

    assert seam["lap"] == 2
    assert seam["prices"] == {"BTCUSDT": "59900.00"}
    assert states == [(2, "BREAK"), (2, "TRADING")]
    assert sum_at_bid(short, 5_990_000) == equity
    assert short.exchange.venue.balances(DESK)["BTC"].total == 0
    after = [(e["e"], e.get("X") or e.get("a")) for e in account[5:]]
    assert after == [
        ("executionReport", "EXPIRED"),
        ("outboundAccountPosition", None),
        ("balanceUpdate", "BTC"),
        ("balanceUpdate", "USDT"),
        ("outboundAccountPosition", None),
    ]
    assert [(change["a"], change["d"]) for change in account[7:9]] == [
        ("BTC", "-0.10000000"),
        ("USDT", "5990.00000000"),
    ]
    status = await rest.status()
    assert status["seams"][0]["prices"] == {"BTCUSDT": "59900.00"}


async def user_connection(running: RunningExchange, socket: Any) -> Any:
    await until(lambda: running.exchange.users.count == 1)
    return next(iter(running.exchange.users._connections))


def sum_at_bid(running: RunningExchange, bid_ticks: int) -> Decimal:
    balances = running.exchange.venue.balances(DESK)
    base = balances["BTC"].total if "BTC" in balances else Decimal(0)
    return balances["USDT"].total + base * bid_ticks / 100


async def message_of(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = await soon(socket.receive_json())
        if message.get("e") == kind:
            return message


async def limited(socket: aiohttp.ClientWebSocketResponse, count: int) -> AsyncIterator[aiohttp.WSMessage]:
    for _ in range(count):
        yield await soon(socket.receive())


async def test_no_order_is_taken_during_a_break() -> None:
    stage = Stage(LAP)
    stage.exchange.open_market(["BTCUSDT"])
    order = NewOrder("a", "BTCUSDT", Side.BUY, OrderType.LIMIT, 1_000, 5_900_000)

    stage.exchange.close_market()

    with pytest.raises(Exception, match="-1013 Market is closed"):
        stage.exchange.place(DESK, order)


async def test_numbers_of_a_new_lap_never_go_back() -> None:
    stage = Stage(LAP, speed=60.0)

    await stage.play(5.0)

    assert stage.exchange.lap >= 3
    top = stage.exchange.tapes["BTCUSDT"].top
    assert top is not None
    assert top.update_id > stage.exchange.lap * LAP_STRIDE - LAP_STRIDE


async def test_another_recording_starts_after_a_seam() -> None:
    stage = Stage(recording(book(0), book(600_000)), speed=1.0)
    other = recording(book(0, 7, 8), book(600_000, 9, 10), name="other")
    stage.on_event = lambda: stage.player.change_recording(other) if stage.exchange.lap == 1 else None

    await stage.play(3.0)

    assert [m["lap"] for m in stage.messages if m["e"] == "replaySeam"] == [2]
    assert stage.player.status()["dataset"] == "other"
    assert stage.at_s[-1][1] == 7


# --- lockstep -----------------------------------------------------------------------------------------------------


async def test_lockstep_moves_time_only_by_steps(rest: Rest, frozen: RunningExchange) -> None:
    assert (await rest.raw("GET", "/api/v3/time"))[1] == {"serverTime": START_NS // 1_000_000}

    answer = await rest.sim("step")

    assert answer == (
        200,
        {
            "end": False,
            "published": True,
            "event": {"symbol": "BTCUSDT", "kind": "trade", "id": 100_000_001},
            "at_ns": START_NS + 10_000_000,
            "user_events_sent": {"micro": 0, "production": 0},
        },
    )
    assert (await rest.raw("GET", "/api/v3/time"))[1] == {"serverTime": START_NS // 1_000_000 + 10}


async def test_a_step_that_fills_an_order_tells_its_owner_before_the_market(
    rest: Rest, frozen: RunningExchange, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(f"{frozen.ws_url}/ws-api/v3") as socket:
        connection = await user_connection(frozen, socket)
        connection.subscribe(DESK)
        await rest.order(price="59995", quantity="0.1")
        steps = [(await rest.sim("step"))[1] for _ in range(5)]

    assert [(s["published"], s["event"]["kind"], s["event"]["id"] % LAP_STRIDE) for s in steps] == [
        (True, "trade", 1),
        (True, "book", 2),
        (False, "trade", 2),
        (True, "trade", 2),
        (True, "book", 3),
    ]
    assert [s["user_events_sent"][DESK] for s in steps] == [1, 1, 2, 2, 2]
    assert (await rest.sim("step"))[1]["end"] is True
    assert (await rest.sim("step"))[1]["end"] is True


async def test_the_market_sees_an_event_only_once_it_is_published(rest: Rest, frozen: RunningExchange) -> None:
    await rest.order(price="59995", quantity="0.1")
    for _ in range(3):
        await rest.sim("step")

    _, trades = await rest.raw("GET", "/api/v3/trades", "symbol=BTCUSDT")
    assert len(trades) == 1
    await rest.sim("step")
    _, trades = await rest.raw("GET", "/api/v3/trades", "symbol=BTCUSDT")
    assert len(trades) == 2


async def test_stepping_a_paced_exchange_is_refused(rest_playing: Rest) -> None:
    status, body = await rest_playing.sim("step")

    assert (status, body) == (400, {"error": "step: the exchange was not started with --lockstep."})


def test_an_event_that_is_held_back_is_published_at_the_next_step() -> None:
    stage = Stage(recording(book(0), book(20_000)))

    steps = [stage.player.step(hold=True)["published"] for _ in range(2)]

    assert steps == [False, True]
    assert [price for _, price in stage.at_s] == [6_000_000]
    assert stage.player.events_played == 1

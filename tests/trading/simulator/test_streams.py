import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.simulator.scene import Rest, book, printed, recording, soon, until
from trading.simulator.frames import text_frame
from trading.simulator.replay import LAP_STRIDE
from trading.simulator.server import RunningExchange, running_exchange
from trading.simulator.streams import ControlRate, MarketConnection, MarketStreams

Socket = aiohttp.ClientWebSocketResponse
BOTH = ["btcusdt@trade", "btcusdt@bookTicker"]


@pytest.fixture
async def socket(session: aiohttp.ClientSession, frozen: RunningExchange) -> AsyncIterator[Socket]:
    async with session.ws_connect(f"{frozen.ws_url}/stream/ws/0") as opened:
        yield opened


async def ask(socket: Socket, method: str, params: Any = None, request_id: Any = 1) -> Any:
    await socket.send_json({"method": method, "params": params, "id": request_id})
    return await soon(socket.receive_json())


async def test_one_connection_gets_its_streams_in_the_exchanges_order(frozen: RunningExchange, socket: Socket) -> None:
    assert await ask(socket, "SUBSCRIBE", BOTH) == {"result": None, "id": 1}

    for _ in range(4):
        frozen.player.step()

    assert [await soon(socket.receive_json()) for _ in range(4)] == [
        {
            "e": "trade",
            "E": 1_723_161_254_010,
            "s": "BTCUSDT",
            "t": 100_000_001,
            "p": "60000.00000000",
            "q": "1.00000000",
            "T": 1_723_161_254_010,
            "m": True,
            "M": True,
        },
        {
            "u": 100_000_002,
            "s": "BTCUSDT",
            "b": "60000.00000000",
            "B": "0.50000000",
            "a": "60000.01000000",
            "A": "1.00000000",
        },
        {
            "e": "trade",
            "E": 1_723_161_254_030,
            "s": "BTCUSDT",
            "t": 100_000_002,
            "p": "59990.00000000",
            "q": "0.40000000",
            "T": 1_723_161_254_030,
            "m": True,
            "M": True,
        },
        {
            "u": 100_000_003,
            "s": "BTCUSDT",
            "b": "59989.99000000",
            "B": "1.00000000",
            "a": "59990.00000000",
            "A": "1.00000000",
        },
    ]


async def test_subscriptions_are_listed_and_ended(frozen: RunningExchange, socket: Socket) -> None:
    await ask(socket, "SUBSCRIBE", BOTH)
    await ask(socket, "UNSUBSCRIBE", BOTH[:1], "two")

    assert await ask(socket, "LIST_SUBSCRIPTIONS", [], 3) == {"result": ["btcusdt@bookTicker"], "id": 3}
    frozen.player.step()
    frozen.player.step()
    assert (await soon(socket.receive_json()))["u"] == 100_000_002


async def test_a_combined_connection_wraps_each_message_with_its_stream(
    session: aiohttp.ClientSession, frozen: RunningExchange
) -> None:
    async with session.ws_connect(f"{frozen.ws_url}/stream?streams=btcusdt@trade/nonsense") as opened:
        await until(lambda: frozen.exchange.streams.count == 1)
        frozen.player.step()

        message = await soon(opened.receive_json())

    assert message["stream"] == "btcusdt@trade"
    assert message["data"]["t"] == 100_000_001


async def test_a_stream_named_in_the_address_needs_no_subscription(
    session: aiohttp.ClientSession, frozen: RunningExchange
) -> None:
    async with session.ws_connect(f"{frozen.ws_url}/ws/btcusdt@trade") as opened:
        await until(lambda: frozen.exchange.streams.count == 1)
        frozen.player.step()

        assert (await soon(opened.receive_json()))["t"] == 100_000_001


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 3),
        ("{", 3),
        ('{"id":NaN}', 3),
        ("[" * 60_000, 3),
        ("[]", 2),
        ('{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":-1}', 2),
        ('{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":true}', 2),
        ('{"method":"SUBSCRIBE","params":["nonsense"],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":"btcusdt@trade","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2),
        ('{"method":"LOGIN","id":1}', 2),
    ],
)
async def test_a_defective_control_message_is_answered_with_an_error(socket: Socket, text: str, code: int) -> None:
    await socket.send_str(text)

    assert (await soon(socket.receive_json()))["error"]["code"] == code


async def test_a_client_that_sends_too_many_control_messages_is_disconnected(socket: Socket) -> None:
    for number in range(6):
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})

    messages = [await soon(socket.receive()) for _ in range(6)]

    assert messages[-1].type is aiohttp.WSMsgType.CLOSE
    assert messages[-1].data == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_a_message_beyond_the_limit_ends_the_connection(socket: Socket) -> None:
    await socket.send_str("x" * 100_000)

    assert (await soon(socket.receive())).data == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_too_many_connections_in_five_minutes_are_refused(
    session: aiohttp.ClientSession, frozen: RunningExchange
) -> None:
    for _ in range(300):
        await (await session.ws_connect(f"{frozen.ws_url}/ws")).close()

    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await session.ws_connect(f"{frozen.ws_url}/ws")
    assert refused.value.status == 429


# --- depth ------------------------------------------------------------------------------------------------------


async def test_depth_diffs_join_the_snapshot_without_a_gap(session: aiohttp.ClientSession) -> None:
    tops = [
        book(0),
        book(50, 5_999_900, 6_000_000),
        book(90, 5_999_800, 5_999_900),
        book(150),
        book(260, 6_000_100, 6_000_101),
    ]
    async with (
        running_exchange(recording=recording(*tops), lockstep=True) as running,
        session.ws_connect(f"{running.ws_url}/ws/btcusdt@depth@100ms") as opened,
    ):
        await until(lambda: running.exchange.streams.count == 1)
        running.player.step()
        running.player.step()
        _, snapshot = await Rest(session, running.url).raw("GET", "/api/v3/depth", "symbol=BTCUSDT")
        for _ in range(3):
            running.player.step()
        diffs = [await soon(opened.receive_json()) for _ in range(3)]
        _, final = await Rest(session, running.url).raw("GET", "/api/v3/depth", "symbol=BTCUSDT")

    bids, asks, last = dict(snapshot["bids"]), dict(snapshot["asks"]), snapshot["lastUpdateId"]
    for diff in diffs:
        if diff["u"] <= last:
            continue
        assert diff["U"] <= last + 1 <= diff["u"]
        for side, changes in ((bids, diff["b"]), (asks, diff["a"])):
            side.update(dict(changes))
            for price in [price for price, quantity in side.items() if float(quantity) == 0]:
                del side[price]
        last = diff["u"]
    assert ([*bids.items()], [*asks.items()], last) == (
        [tuple(level) for level in final["bids"]],
        [tuple(level) for level in final["asks"]],
        final["lastUpdateId"],
    )


# --- slow clients -------------------------------------------------------------------------------------------------


class Outlet:
    """A socket whose reader takes nothing."""

    def __init__(self, backlog: int) -> None:
        self.backlog = backlog
        self.was_cut = False

    def cut(self) -> None:
        self.was_cut = True


async def test_a_stalled_client_is_cut_and_the_others_go_on() -> None:
    streams = MarketStreams(patience_s=0.0, high_water=100)
    stalled, quick = Outlet(101), Outlet(100)
    for outlet in (stalled, quick):
        streams.join(MarketConnection(outlet, combined=False))  # type: ignore[arg-type]  # a stub

    async def sleep(seconds: float) -> None:
        return None

    assert streams.congested
    await streams.drain(sleep)

    assert (stalled.was_cut, quick.was_cut, streams.count, streams.disconnected) == (True, False, 1, 1)


async def test_the_replay_waits_for_a_client_that_catches_up() -> None:
    streams = MarketStreams(patience_s=60.0, high_water=100)
    slow = Outlet(300)
    streams.join(MarketConnection(slow, combined=False))  # type: ignore[arg-type]  # a stub
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        slow.backlog -= 100

    await streams.drain(sleep)

    assert len(waits) == 2
    assert not slow.was_cut


async def test_a_client_that_stops_reading_is_disconnected_and_nobody_else_loses_a_message(
    session: aiohttp.ClientSession,
) -> None:
    rows = [book(0)] + [printed(1 + n // 1_000, 6_000_000) for n in range(60_000)]
    async with (
        running_exchange(recording=recording(*rows), speed=60.0, patience_s=1.0, seam_pause_s=0.01) as running,
        session.ws_connect(f"{running.ws_url}/ws/btcusdt@trade"),  # never read
        session.ws_connect(f"{running.ws_url}/ws/btcusdt@trade") as reader,
    ):
        seen = await soon(trade_ids(reader, 50_000))
        assert running.exchange.streams.disconnected == 1

    steps = {later - earlier for earlier, later in pairwise(seen)}
    assert {step for step in steps if step < LAP_STRIDE // 2} == {1}  # a new lap starts a new range of numbers


async def trade_ids(reader: Socket, count: int) -> list[int]:
    ids: list[int] = []
    while len(ids) < count:
        message = await reader.receive_json()
        if message["e"] == "trade":
            ids.append(message["t"])
    return ids


# --- any input ----------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["method", "params", "id"]), inner, max_size=3)
            ),
        ).map(json.dumps),
    )
)
def test_any_control_message_gets_an_answer(text: str) -> None:
    streams = MarketStreams()
    connection = MarketConnection(Outlet(0), combined=False)  # type: ignore[arg-type]  # a stub

    answer = streams.answer(connection, text)

    assert ("result" in answer) is not ("error" in answer)


@pytest.mark.parametrize(("size", "header"), [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_a_frame_has_the_header_its_size_needs(size: int, header: int) -> None:
    frame = text_frame(b"x" * size)

    assert len(frame) == size + header
    assert frame[0] == 0x81


def test_five_messages_in_a_second_are_allowed() -> None:
    rate = ControlRate()

    assert [rate.exceeded(now) for now in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.6)] == [False] * 5 + [True, False]

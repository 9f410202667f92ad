"""What requests make of the venue's answers."""

import asyncio
from decimal import Decimal

import pytest

from trading.adapters.clock_system import SystemClock
from trading.adapters.venue_simulated import InProcessExchange, SimulatedDoor
from trading.domain.events import CancelEverything, OrderEnded, ReadVenue, VenueOrder, VenueRead
from trading.domain.fees import DEMO_FEES
from trading.domain.market import BookTop
from trading.domain.matching import SimulatedVenue
from trading.domain.orders import Order, OrderStatus, OrderType, Purpose, Side
from trading.ports import FateUnknown
from trading.runtime.meter import Meter
from trading.runtime.requests import ASKED_AT_ONCE, Requests
from trading.simulator import listing

ACCOUNT = "production"
SYMBOL = "BTCUSDT"
START_NS = 1_700_000_000_000_000_000
BID, LOTS = 6_000_000, 1_000  # the top of the book
ORDERS = 20


class Troubles:
    """Keeps what went wrong."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def venue_error(self, message: str) -> None:
        self.messages.append(message)

    def key_revoked(self, message: str) -> None:
        raise AssertionError(message)


class Door(SimulatedDoor):
    """A door that remembers which orders were asked for singly, and may lose the answer to a cancel."""

    asked: list[str]
    asking = most_at_once = 0
    loses_answers = False

    async def order(self, symbol: str, client_order_id: str) -> VenueOrder:
        self.asked.append(client_order_id)
        self.asking += 1
        self.most_at_once = max(self.most_at_once, self.asking)
        await asyncio.sleep(0)
        self.asking -= 1
        return await super().order(symbol, client_order_id)

    async def cancel_all(self, symbol: str) -> list[VenueOrder]:
        canceled = await super().cancel_all(symbol)
        if self.loses_answers:
            raise FateUnknown("the answer was lost")
        return canceled


class Desk:
    """The requests of one account with a ladder of resting buys, the highest of them larger than the top."""

    def __init__(self) -> None:
        instrument = listing.load().instruments[SYMBOL]
        venue = SimulatedVenue({SYMBOL: instrument}, DEMO_FEES)
        venue.open_account(ACCOUNT, {"USDT": Decimal(25_000)})
        self.exchange = InProcessExchange(venue)
        self.move(0)
        self.door = Door(self.exchange, account=ACCOUNT, clock=SystemClock())
        self.door.asked = []
        self.troubles = Troubles()
        clock = SystemClock()
        self.requests = Requests(
            self.door, clock=clock, meter=Meter(clock.now_ns), troubles=self.troubles, may_send=lambda: True
        )
        self.names = [f"gc-{ACCOUNT}-1-{number}" for number in range(ORDERS)]

    def move(self, ticks: int) -> None:
        bid = BID + ticks
        self.exchange.on_market(BookTop(SYMBOL, bid, LOTS, bid + 1, LOTS, 1, START_NS, START_NS))

    async def rest(self) -> None:
        for number, name in enumerate(self.names):
            lots = LOTS + 200 if number == 0 else 100
            price = BID - 5 - 100 * number
            await self.door.submit(
                Order(name, SYMBOL, Side.BUY, OrderType.LIMIT_MAKER, lots, price, None, Purpose.GRID, START_NS, BID)
            )

    async def read(self) -> VenueRead:
        wish = ReadVenue("halt", tuple((SYMBOL, name) for name in self.names), ((SYMBOL, 0),))
        (answer,) = await self.requests.read(wish)
        assert isinstance(answer, VenueRead)
        return answer


@pytest.fixture
async def desk() -> Desk:
    made = Desk()
    await made.rest()
    return made


async def test_a_cancel_of_everything_tells_how_each_order_ended(desk: Desk) -> None:
    desk.move(-10)

    ended = await desk.requests.cancel_everything(CancelEverything((SYMBOL,)))

    assert [(e.client_order_id, e.status, e.filled_lots) for e in ended if isinstance(e, OrderEnded)] == [
        (name, OrderStatus.CANCELED, LOTS if name == desk.names[0] else 0) for name in desk.names
    ]


async def test_a_read_after_it_asks_for_no_order_singly_and_still_brings_the_fills(desk: Desk) -> None:
    desk.move(-10)
    await desk.requests.cancel_everything(CancelEverything((SYMBOL,)))

    read = await desk.read()

    assert desk.door.asked == []
    assert [(o.client_order_id, o.status) for o in read.orders] == [(n, OrderStatus.CANCELED) for n in desk.names]
    assert sum(fill.quantity_lots for fill in read.fills) == LOTS == read.orders[0].filled_lots
    assert read.missing == frozenset()


async def test_a_cancel_that_finds_nothing_left_forgets_nothing(desk: Desk) -> None:
    for _ in range(2):
        await desk.requests.cancel_everything(CancelEverything((SYMBOL,)))
        await desk.read()

    assert desk.door.asked == []


async def test_without_an_answer_every_order_is_asked_for_a_few_at_a_time(desk: Desk) -> None:
    desk.door.loses_answers = True

    ended = await desk.requests.cancel_everything(CancelEverything((SYMBOL,)))
    read = await desk.read()

    assert (ended, desk.troubles.messages) == ([], ["the answer was lost"])
    assert desk.door.asked == desk.names
    assert desk.door.most_at_once == ASKED_AT_ONCE
    assert {order.status for order in read.orders} == {OrderStatus.CANCELED}


async def test_orders_of_others_end_without_a_word(desk: Desk) -> None:
    for name in desk.names:
        await desk.door.cancel(SYMBOL, name)
    await desk.door.submit(
        Order("web_1", SYMBOL, Side.BUY, OrderType.LIMIT_MAKER, 100, BID - 5, None, Purpose.GRID, START_NS, BID)
    )

    assert await desk.requests.cancel_everything(CancelEverything((SYMBOL,))) == []
    assert await desk.door.open_orders() == []

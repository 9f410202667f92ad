"""What every venue adapter must do alike."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from tests.contracts.conftest import ACCOUNT, ASK, BID, LOTS, SYMBOL, Door
from trading.domain.events import Event, OrderAccepted, OrderEnded, OrderFilled
from trading.domain.orders import Order, OrderStatus, OrderType, Purpose, Side
from trading.ports import NotFound, Refused, UserEvents

DECIDED_NS = 1_700_000_000_000_000_000


def order(number: int, side: Side = Side.BUY, price_ticks: int | None = None, lots: int = 100) -> Order:
    kind = OrderType.MARKET if price_ticks is None else OrderType.LIMIT_MAKER
    return Order(
        client_order_id=f"gc-{ACCOUNT}-1-{number}",
        symbol=SYMBOL,
        side=side,
        type=kind,
        quantity_lots=lots,
        price_ticks=price_ticks,
        slot=None,
        purpose=Purpose.GRID,
        decided_at_ns=DECIDED_NS,
        reference_ticks=ASK,
    )


async def test_a_market_order_comes_back_with_its_fills(door: Door) -> None:
    answer = await door.venue.submit(order(1))

    assert (answer.order.client_order_id, answer.order.status) == (f"gc-{ACCOUNT}-1-1", OrderStatus.FILLED)
    assert [(f.price_ticks, f.quantity_lots, f.maker, f.side) for f in answer.fills] == [(ASK, 100, False, Side.BUY)]
    assert answer.fills[0].fee == Decimal("0.02400001")
    assert answer.fills[0].fee_asset == "USDT"


async def test_what_the_top_cannot_fill_expires(door: Door) -> None:
    answer = await door.venue.submit(order(1, lots=LOTS + 1))

    assert (answer.order.status, answer.order.filled_lots) == (OrderStatus.EXPIRED, LOTS)


async def test_a_resting_order_is_listed_and_can_be_cancelled(door: Door) -> None:
    await door.venue.submit(order(1, price_ticks=BID - 5))

    listed = await door.venue.open_orders()
    canceled = await door.venue.cancel(SYMBOL, f"gc-{ACCOUNT}-1-1")

    assert [(o.client_order_id, o.status, o.ours) for o in listed] == [
        (f"gc-{ACCOUNT}-1-1", OrderStatus.ACCEPTED, True)
    ]
    assert canceled.status is OrderStatus.CANCELED
    assert await door.venue.open_orders(SYMBOL) == []


async def test_a_cancel_of_nothing_is_not_found(door: Door) -> None:
    with pytest.raises(NotFound) as refusal:
        await door.venue.cancel(SYMBOL, "gc-production-1-404")

    assert refusal.value.code == "-2011"


async def test_an_order_nobody_sent_is_not_found(door: Door) -> None:
    with pytest.raises(NotFound) as refusal:
        await door.venue.order(SYMBOL, "gc-production-1-404")

    assert refusal.value.code == "-2013"


async def test_cancelling_everything_tells_how_each_ended_and_nothing_open_is_no_error(door: Door) -> None:
    for number in (1, 2, 3):
        await door.venue.submit(order(number, price_ticks=BID - number))

    canceled = await door.venue.cancel_all(SYMBOL)

    assert [(o.client_order_id, o.status, o.filled_lots, o.ours) for o in canceled] == [
        (f"gc-{ACCOUNT}-1-{number}", OrderStatus.CANCELED, 0, True) for number in (1, 2, 3)
    ]
    assert canceled == [await door.venue.order(SYMBOL, o.client_order_id) for o in canceled]
    assert await door.venue.cancel_all(SYMBOL) == []


async def test_cancelling_everything_tells_what_had_filled_by_then(door: Door) -> None:
    await door.venue.submit(order(1, price_ticks=BID - 5, lots=LOTS + 200))
    await door.move(-10)

    canceled = await door.venue.cancel_all(SYMBOL)

    assert [(o.client_order_id, o.filled_lots) for o in canceled] == [(f"gc-{ACCOUNT}-1-1", LOTS)]
    assert sum(fill.quantity_lots for fill in await door.venue.fills_since(SYMBOL, 0)) == LOTS


async def test_a_post_only_order_that_would_take_is_refused(door: Door) -> None:
    with pytest.raises(Refused) as refusal:
        await door.venue.submit(order(1, price_ticks=ASK))

    assert refusal.value.code == "-2010"


async def test_more_than_the_balance_is_refused(door: Door) -> None:
    with pytest.raises(Refused) as refusal:
        await door.venue.submit(order(1, price_ticks=BID, lots=10_000_000))

    assert refusal.value.code == "-2010"


async def test_a_filter_is_refused_with_its_name(door: Door) -> None:
    with pytest.raises(Refused, match="NOTIONAL") as refusal:
        await door.venue.submit(order(1, price_ticks=BID, lots=1))

    assert refusal.value.code == "-1013"


async def test_fills_are_read_by_trade_id_complete_and_in_order(door: Door) -> None:
    for number in (1, 2, 3):
        await door.venue.submit(order(number))

    everything = await door.venue.fills_since(SYMBOL, 0)
    later = await door.venue.fills_since(SYMBOL, everything[0].trade_id)

    assert [fill.client_order_id for fill in everything] == [f"gc-{ACCOUNT}-1-{n}" for n in (1, 2, 3)]
    assert later == everything[1:]


async def test_balances_are_totals_and_empty_assets_are_absent(door: Door) -> None:
    before = await door.venue.balances()
    await door.venue.submit(order(1, price_ticks=BID - 5))
    resting = await door.venue.balances()
    await door.venue.submit(order(2))
    after = await door.venue.balances()

    assert before == resting == {"USDT": Decimal(25_000)}
    assert after["BTC"] == Decimal("0.001")
    assert after["USDT"] == Decimal(25_000) - Decimal("60.00001") - Decimal("0.02400001")


async def test_the_account_stream_tells_everything_in_the_venues_order(door: Door) -> None:
    stream = door.venue.user_events()
    assert await anext(stream) == UserEvents((), 0)

    await door.venue.submit(order(1, price_ticks=BID - 5, lots=100))
    await door.move(-6)
    await door.venue.submit(order(2, price_ticks=BID - 50, lots=100))
    await door.venue.cancel(SYMBOL, f"gc-{ACCOUNT}-1-2")

    events = await _events(stream, 4)
    assert [type(event) for event in events] == [OrderAccepted, OrderFilled, OrderAccepted, OrderEnded]
    assert isinstance(events[1], OrderFilled)
    assert isinstance(events[3], OrderEnded)
    filled = events[1].fill
    assert (filled.price_ticks, filled.quantity_lots, filled.maker) == (BID - 5, 100, True)
    assert (events[3].client_order_id, events[3].status) == (f"gc-{ACCOUNT}-1-2", OrderStatus.CANCELED)


async def test_instruments_are_the_venues_and_unknown_symbols_are_absent(door: Door) -> None:
    found = await door.venue.instruments([SYMBOL, "SOLUDT"])

    assert list(found) == [SYMBOL]
    assert (found[SYMBOL].tick_size, found[SYMBOL].min_notional) == (Decimal("0.01"), Decimal(5))


async def _events(stream: AsyncIterator[UserEvents], wanted: int) -> list[Event]:
    events: list[Event] = []
    async with asyncio.timeout(5):
        while len(events) < wanted:
            events += (await anext(stream)).events
    return events

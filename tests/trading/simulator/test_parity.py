"""The exchange behind sockets and the venue of the backtest are one: same events, same orders, same fills."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

import aiohttp

from tests.trading.simulator.scene import Rest
from trading.domain.fees import DEMO_FEES
from trading.domain.market import BookTop, MarketEvent
from trading.domain.matching import SimulatedVenue
from trading.domain.orders import OrderType, Side
from trading.domain.venue_orders import NewOrder, Rejection
from trading.simulator import listing, replay
from trading.simulator.server import running_exchange
from trading.simulator.wire import Format

EVENTS = 4_000
SYMBOL = "BTCUSDT"


def wishes(events: Iterator[MarketEvent]) -> Iterator[tuple[MarketEvent, NewOrder | None]]:
    """Yield every event and, after each fortieth top of the symbol, an order around it."""
    tops = 0
    for event in events:
        order = None
        if isinstance(event, BookTop) and event.symbol == SYMBOL:
            tops += 1
            if tops % 40 == 0:
                order = _wish(tops // 40, event)
        yield event, order


def _wish(number: int, top: BookTop) -> NewOrder:
    side = Side.SELL if number % 3 == 0 else Side.BUY
    kind = (OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT_MAKER)[number % 4 % 3]
    away = (number % 5 - 1) * 20
    price = top.bid_ticks - away if side is Side.BUY else top.ask_ticks + away
    return NewOrder(f"p-{number}", SYMBOL, side, kind, 50 + number, None if kind is OrderType.MARKET else price)


async def test_a_lockstep_exchange_fills_as_the_venue_in_process_does(session: aiohttp.ClientSession) -> None:
    listed = listing.load()
    recording = replay.read("ticks", listed.instruments)
    venue = SimulatedVenue(listed.instruments, DEMO_FEES)
    venue.open_account("production", {"USDT": Decimal(25_000)})
    number_format = Format(listed.instruments[SYMBOL])

    async with running_exchange(recording=recording, lockstep=True, monotonic=lambda: 0.0) as running:
        rest = Rest(session, running.url)
        running.exchange.speed = 100.0  # a hundred times as many orders may be sent
        for event, order in wishes(islice(replay.events(recording), EVENTS)):
            while not running.player.step()["published"]:
                pass
            venue.on_market(event)
            if order is not None:
                assert await _over_sockets(rest, number_format, order) == _in_process(venue, order, event.venue_at_ns)
        _, trades = await rest.signed("GET", "/api/v3/myTrades", symbol=SYMBOL, fromId=0, limit=1_000)
        balances = running.exchange.venue.balances("production")

    fills = venue.fills("production", SYMBOL)
    assert len(fills) > 20
    assert {fill.maker for fill in fills} == {True, False}
    assert trades == [number_format.my_trade(fill) for fill in fills]
    assert balances == venue.balances("production")


async def _over_sockets(rest: Rest, number_format: Format, order: NewOrder) -> tuple[Any, ...]:
    priced = order.price_ticks is not None
    _, reply = await rest.order(
        newClientOrderId=order.client_order_id,
        side=order.side.value,
        type=order.type.value,
        quantity=number_format.quantity(order.quantity_lots),
        price=number_format.price(order.price_ticks) if order.price_ticks is not None else None,
        timeInForce="GTC" if priced else None,
        newOrderRespType="FULL",
    )
    return (reply.get("code"), reply.get("orderId"), reply.get("transactTime"), len(reply.get("fills", [])))


def _in_process(venue: SimulatedVenue, order: NewOrder, now_ns: int) -> tuple[Any, ...]:
    try:
        reports = venue.submit("production", order, now_ns)
    except Rejection as refused:
        return (refused.code, None, None, 0)
    booked = venue.order("production", SYMBOL, order.client_order_id)
    fills = [event for _, event in reports if hasattr(event, "fill")]
    return (None, booked.order_id, booked.accepted_at_ns // 1_000_000, len(fills))

"""Within the venue's order limits a desk is slowed down, sends nothing twice, and gets everything through in the end.

The load test lifts these limits; here they are in force.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.trading.runtime.desk import Console, orders
from trading.domain.orders import OrderStatus
from trading.domain.venue_orders import NewOrder
from trading.simulator.weights import ORDERS_PER_10S

Run = Callable[..., AbstractAsyncContextManager[Console]]
SLUG = "production"
LEFT = 5  # orders of this span of ten seconds
LATE_IN_THE_SPAN_S = 1_009.5
RETRY_AFTER = timedelta(seconds=1)  # whole seconds until the next span begins


@dataclass
class VenueClock:
    """Seconds as the venue counts its spans; they pass when the test says so."""

    now_s: float = LATE_IN_THE_SPAN_S

    def __call__(self) -> float:
        return self.now_s


def use_up(made: Console) -> None:
    for _ in range(ORDERS_PER_10S - LEFT):
        made.exchange.exchange.order_counts.charge(SLUG)


def watch(made: Console) -> list[str]:
    """Return the ids of the orders that arrive at the venue from now on, refused ones among them."""
    arrived: list[str] = []
    place = made.exchange.exchange.place

    def noted(account: str, order: NewOrder) -> Any:
        arrived.append(order.client_order_id)
        return place(account, order)

    made.exchange.exchange.place = noted  # type: ignore[method-assign]  # a witness at the venue's door
    return arrived


def refused() -> list[Any]:
    return [order for order in orders(SLUG, status=OrderStatus.REJECTED) if "THROTTLED" in order.reason]


async def test_a_desk_at_the_order_limit_waits_as_told_and_then_sends_the_rest_under_new_ids(console: Run) -> None:
    clock = VenueClock()
    async with console(monotonic=clock) as made:
        arrived = watch(made)
        use_up(made)
        await made.start(SLUG)
        first, *_ = await made.until(refused)
        clock.now_s += 1.0  # the next span

        def everything_rests() -> bool:
            resting = {order.slot for order in orders(SLUG, status=OrderStatus.ACCEPTED)}
            return len(resting) > LEFT and {order.slot for order in refused()} <= resting

        await made.until(everything_rests)
        denied = {order.client_order_id for order in await made.rows(refused)}
        stored = await made.rows(lambda: orders(SLUG))

        assert "-1015" in first.reason
        assert len(arrived) == len(set(arrived)), "no id was sent twice"
        assert denied.isdisjoint(made.at_venue(SLUG))
        before = [order for order in stored if order.decided_at <= first.updated_at]
        after = [order for order in stored if order.decided_at > first.updated_at]
        assert len([o for o in before if o.status == OrderStatus.ACCEPTED]) == LEFT
        assert after, "the desk goes on"
        assert all(order.decided_at >= first.updated_at + RETRY_AFTER for order in after), "it waits as it is told"
        assert all(order.status == OrderStatus.ACCEPTED for order in after), "later orders go through"


async def test_where_the_limits_are_lifted_no_order_is_refused_for_them(console: Run) -> None:
    async with console(monotonic=VenueClock(), lift_order_limits=True) as made:
        use_up(made)
        await made.start(SLUG)

        await made.until(lambda: len(orders(SLUG, status=OrderStatus.ACCEPTED)) > LEFT)

        assert await made.rows(refused) == []

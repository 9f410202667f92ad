"""What the core makes of the numbers of a mandate that are no limits of exposure: losses, slippage, retries."""

from decimal import Decimal
from typing import Any

import pytest

from tests.trading.domain.hand import CENTRE, SECOND, Hand
from trading.domain.events import Cancel, MetricsKept, OrderEnded, OrderRefused, PersistPause, RaiseAlert, Submit
from trading.domain.limits import ExecutionStyle
from trading.domain.orders import OrderStatus, OrderType, Side

BOTH = frozenset(ExecutionStyle)
WIDE: dict[str, Any] = {
    "max_daily_drawdown_fraction": Decimal("0.4"),
    "max_daily_drawdown_hard_fraction": Decimal("0.5"),
}


def codes(hand: Hand) -> list[str]:
    return [alert.code for alert in hand.journal_of(RaiseAlert)]


@pytest.mark.parametrize(("fall", "sold"), [(0.949, False), (0.95, True)])
def test_a_lot_that_has_lost_as_much_as_one_trade_may_is_sold(fall: float, sold: bool) -> None:
    hand = Hand(slots=2, max_trade_loss_quote=Decimal(1), max_total_exposure_fraction=Decimal(10), **WIDE)
    buy = hand.hold(1)  # about 20 USDT
    price = buy.reference_ticks * (1 - 1 / 20.0)
    hand.top(int(price * (1 + (0.95 - fall) * 10)) - (5_000 if sold else 0))
    hand.seconds(1)

    sells = [o for o in hand.journal.orders.values() if o.side is Side.SELL]
    assert [order.type for order in sells] == [OrderType.MARKET] * sold
    assert ("TRADE_LOSS" in codes(hand)) is sold


def test_what_rests_of_a_losing_lot_is_cancelled_before_it_is_sold() -> None:
    hand = Hand(
        ExecutionStyle.MAKER, slots=1, max_trade_loss_quote=Decimal(1), execution_styles=BOTH,
        max_total_exposure_fraction=Decimal(10), **WIDE,
    )  # fmt: skip
    buy = hand.sent[0]
    hand.accept(buy)
    hand.fill(buy)
    (sell,) = hand.sent
    hand.accept(sell)

    hand.top(int(CENTRE * 0.93))
    assert not hand.of(Cancel), "no tick between two thresholds is looked at"
    asked = hand.seconds(1)
    assert [e.client_order_id for e in asked if isinstance(e, Cancel)] == [sell.client_order_id]
    hand.give(OrderEnded(sell.client_order_id, OrderStatus.CANCELED, 0, hand.now_ns))

    assert [(order.type, order.side) for order in hand.sent] == [(OrderType.MARKET, Side.SELL)]


@pytest.mark.parametrize(("ticks", "paused"), [(200_000, False), (210_000, True)])
def test_a_fill_that_lost_more_to_slippage_than_its_limit_pauses_the_symbol(ticks: int, paused: bool) -> None:
    hand = Hand(slots=2, max_slippage_loss_quote=Decimal("0.66"), max_symbol_drawdown_fraction=None)
    order = hand.buy(1)  # 33 lots of 0.00001: 0.33 USDT for a thousand
    hand.accept(order)
    hand.fill(order, price=order.reference_ticks + ticks)
    hand.seconds(1)

    assert bool(hand.journal_of(PersistPause)) is paused
    assert ("SLIPPAGE" in codes(hand)) is paused
    hand.seconds(2)
    assert codes(hand).count("SLIPPAGE") == paused


def test_a_slot_whose_retries_are_used_up_rests_and_says_so() -> None:
    hand = Hand(ExecutionStyle.MAKER, slots=1, max_retries=1)
    for _ in range(2):
        (order,) = hand.sent
        hand.give(OrderRefused(order.client_order_id, "-2010", "no", hand.now_ns))
        if not hand.sent:
            hand.seconds(1)

    assert not hand.sent
    assert codes(hand).count("RETRIES_USED") == 1
    waited = 1
    while not any(isinstance(effect, Submit) for effect in hand.seconds(1)):
        waited += 1
        hand.read()
    assert waited in (299, 300)


def test_what_never_left_uses_up_no_retry() -> None:
    hand = Hand(ExecutionStyle.MAKER, slots=1, max_retries=1)
    for _ in range(4):
        (order,) = hand.sent
        hand.give(OrderRefused(order.client_order_id, "STALE", "waited too long", hand.now_ns))
        while not hand.sent:
            hand.seconds(1)

    assert "RETRIES_USED" not in codes(hand)


@pytest.mark.parametrize(("more_s", "denied"), [(0, []), (1, ["NOT_MEASURED"])])
def test_nothing_is_sent_that_leaves_no_evidence(more_s: int, denied: list[str]) -> None:
    hand = Hand(slots=2, metrics_every_s=30)
    hand.give(MetricsKept(hand.now_ns))
    hand.now_ns += (30 + more_s) * SECOND
    hand.top(hand.level(1) + 5)
    hand.top(hand.level(1) - 1)

    found = [order.reason for order in hand.journal.orders.values() if order.status is OrderStatus.DENIED]
    assert [reason.partition(":")[0] for reason in found] == denied

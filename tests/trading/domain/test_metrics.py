"""The figures the desk is judged by, each with its denominator."""

from dataclasses import replace
from decimal import Decimal

import pytest

from trading.domain.metrics import HighWater, Pace, Rate, TakerRate, TouchRate, drawdown_fraction, mean_rate
from trading.domain.orders import Order, OrderStatus, OrderType, Purpose, Side

SECOND = 1_000_000_000
ORDER = Order("id", "BTCUSDT", Side.BUY, OrderType.MARKET, 100, None, 0, Purpose.GRID, 0, 1)


@pytest.mark.parametrize(
    ("reference", "equity", "expected"),
    [
        (300, 300, "0"),
        (300, 301, "0"),
        (300, 294, "0.02"),
        (300, 0, "1"),
        (300, -30, "1.1"),
        (0, 0, "0"),
        (0, -1, "1"),
        (-5, -6, "1"),
    ],
)
def test_drawdown_is_the_part_of_the_reference_that_is_lost(reference: int, equity: int, expected: str) -> None:
    assert drawdown_fraction(Decimal(reference), Decimal(equity)) == Decimal(expected)


def test_the_high_water_mark_only_rises() -> None:
    mark = HighWater(Decimal(100))

    drawdowns = [mark.observe(Decimal(equity)) for equity in (110, 99, 120, 120)]

    assert drawdowns == [0, Decimal("0.1"), 0, 0]


@pytest.mark.parametrize(
    ("status", "filled", "expected"),
    [
        (OrderStatus.FILLED, 100, Rate(100, 100, 1)),
        (OrderStatus.EXPIRED, 40, Rate(40, 100, 1)),
        (OrderStatus.REJECTED, 0, Rate(0, 100, 1)),
        (OrderStatus.DENIED, 0, Rate(0, 0, 0)),
        (OrderStatus.UNKNOWN, 0, Rate(0, 0, 0)),
        (OrderStatus.PARTIALLY_FILLED, 40, Rate(0, 0, 0)),
    ],
)
def test_the_taker_fill_rate_counts_orders_that_have_ended(status: OrderStatus, filled: int, expected: Rate) -> None:
    order = replace(ORDER, status=status, filled_lots=filled)
    resting = replace(ORDER, status=OrderStatus.FILLED, type=OrderType.LIMIT_MAKER, filled_lots=100)

    rate = TakerRate()
    rate.end(order)
    rate.end(resting)

    assert rate.rate == expected
    rate.clear()
    assert rate.rate.fraction is None


def test_a_rate_without_a_denominator_is_unknown() -> None:
    assert (Rate(0, 0, 0).fraction, Rate(1, 4, 4).fraction) == (None, 0.25)


def test_the_mean_rate_weighs_orders_and_leaves_out_what_is_unknown() -> None:
    rate = mean_rate([Rate(1, 2, 30), Rate(900, 900, 10), Rate(0, 0, 7)])

    assert (rate.fraction, rate.count) == (0.625, 40)
    assert mean_rate([]).fraction is None


def test_touch_to_fill_counts_each_order_once() -> None:
    touches = TouchRate()
    for name in ("a", "b", "a"):
        touches.touch(name)
    touches.fill("b")
    touches.fill("c")

    assert touches.rate == Rate(2, 3, 3)
    touches.clear()
    assert touches.rate.fraction is None
    assert (touches.touched_ever, touches.filled_ever) == (3, 2)


def test_the_pace_forgets_after_a_minute() -> None:
    pace = Pace()
    for second in (0, 1, 59):
        pace.record(second * SECOND)

    assert pace.within(60 * SECOND, 59 * SECOND) == 3
    assert pace.within(60 * SECOND, 60 * SECOND) == 2
    assert pace.within(10 * SECOND, 60 * SECOND) == 1


def test_a_touched_order_counts_once_however_often_and_its_name_may_be_forgotten() -> None:
    touches = TouchRate()
    for name in ("a", "a", "b", "c"):
        touches.touch(name)
    touches.fill("a")
    touches.fill("d")

    touches.forget({"b"})

    assert touches.rate == Rate(2, 4, 4)
    assert (touches.is_touched("b"), touches.is_touched("c")) == (True, False)

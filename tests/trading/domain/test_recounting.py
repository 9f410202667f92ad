"""The drawdown, counted again from the trades: by hand."""

import numpy as np
import pytest

from trading.domain.dealing import OPENING, Deal
from trading.domain.kernel import FILL, Side
from trading.domain.recounting import drawdown
from trading.domain.tapes import of_trades
from trading.domain.terms import Terms

TAPE = of_trades("ABCUSDT", np.arange(4), np.array([100, 80, 120, 90]), through=False)
NO_FILLS = np.empty(0, FILL)


def test_cash_alone_never_falls() -> None:
    assert drawdown(TAPE, Terms(opening_cash=1_000), 0, 3, NO_FILLS, []) == (0, (0, 1))


def test_nothing_at_all_has_no_peak_to_fall_from() -> None:
    assert drawdown(TAPE, Terms(opening_cash=0), 0, 3, NO_FILLS, []) == (0, None)


def test_the_largest_fall_and_the_deepest_one_may_be_two() -> None:
    """Ten lots held: 1,000, then 800 (a fifth of 1,000), then 1,200, then 900 (a quarter of 1,200)."""
    assert drawdown(TAPE, Terms(opening_cash=0, opening_lots=10), 0, 3, NO_FILLS, []) == (300, (300, 1_200))
    assert drawdown(TAPE, Terms(opening_cash=0, opening_lots=10), 0, 1, NO_FILLS, []) == (200, (200, 1_000))


@pytest.mark.parametrize("why", [OPENING, "stop bound"])
def test_lots_of_a_deal_are_valued_from_then_on(why: str) -> None:
    deal = Deal(0, 0, Side.BUY, 100, 10, False, why)

    assert drawdown(TAPE, Terms(opening_cash=1_000), 0, 1, NO_FILLS, [deal]).money == 200


def test_what_a_deal_costs_is_a_fall_at_once() -> None:
    dear = Deal(2, 2, Side.BUY, 130, 10, False, "trailing up")

    assert drawdown(TAPE, Terms(opening_cash=2_000), 0, 2, NO_FILLS, [dear]) == (100, (100, 2_000))

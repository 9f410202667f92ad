"""The drawdown of a list of trades, counted again from the tape alone."""

from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trading.domain.dealing import OPENING, Deal, money_of
from trading.domain.tapes import Tape
from trading.domain.terms import Fraction, Terms

Ints = NDArray[np.int64]


class Drawdown(NamedTuple):
    """Falls from a peak of the equity: the largest in money, and the one that is largest as a fraction."""

    money: int
    fraction: Fraction | None  # (fall, peak); None: no peak above zero


def drawdown(tape: Tape, terms: Terms, first: int, last: int, fills: NDArray[np.void], deals: list[Deal]) -> Drawdown:
    """Return the drawdown between the events `first` and `last`.

    The equity is valued at every event: after an opening, after the fills, and after the deals where there are any.

    Shapes:
        fills: (m,) kernel.FILL, of these events, oldest first.
    """
    trades = money_of(terms, fills, deals)
    events = np.arange(first, last + 1)
    dealt = np.array(sorted({deal.event for deal in deals if deal.why != OPENING}), np.int64)
    # Keys in the order in which they are valued: 3 e, 3 e + 1 and 3 e + 2 for opening, fills and deals of event e.
    moments = np.unique(np.concatenate([[3 * first], 3 * events + 1, 3 * dealt + 2]))
    done = np.searchsorted(trades.key, moments, side="right")
    cash = terms.opening_cash * terms.scale - _before(trades.paid)[done]
    lots = terms.opening_lots + _before(trades.lots)[done]
    mark = tape.mark[moments // 3]
    before = terms.opening_cash * terms.scale + terms.opening_lots * int(tape.mark[first]) * terms.scale
    equity = np.concatenate([[before], cash + lots * mark * terms.scale])
    return _deepest(equity)


def _before(amounts: Ints) -> Ints:
    """Return the sums of the first 0, 1, 2, ... of `amounts`."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(amounts)])


def _deepest(equity: Ints) -> Drawdown:
    peak = np.maximum.accumulate(equity)
    fall = peak - equity
    positive = peak > 0
    if not positive.any():
        return Drawdown(int(fall.max()), None)
    share = np.where(positive, fall / np.where(positive, peak, 1), -1.0)
    near = np.flatnonzero(share >= share.max() * (1 - 1e-12))  # floats find the candidates, whole numbers decide
    worst = reduce(_deeper, ((int(fall[place]), int(peak[place])) for place in near))
    return Drawdown(int(fall.max()), worst if worst[0] else (0, 1))


def _deeper(a: Fraction, b: Fraction) -> Fraction:
    return b if b[0] * a[1] > a[0] * b[1] else a

"""Trades outside the ladder, and what a list of trades did to the cash."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trading.domain.fees import Fees
from trading.domain.kernel import Side
from trading.domain.limits import ExecutionStyle
from trading.domain.terms import Fraction, Terms

OPENING: Final = "opening"


@dataclass(frozen=True, slots=True)
class Deal:
    """One trade outside the ladder: opening, relay, exit of parked lots, or the end."""

    event: int
    at_ns: int
    side: Side
    ticks: int
    lots: int
    maker: bool
    why: str  # OPENING or a `Why`


def maker_terms(terms: Terms) -> Terms:
    """Return `terms` whose market trades pay the maker fee, in the same unit of money."""
    return replace(terms, taker_fee=(rates(terms)[0], terms.scale))


def fees_of(terms: Terms) -> Fees:
    """Return the fees of `terms` as decimal fractions."""
    return Fees(_decimal(terms.maker_fee), _decimal(terms.taker_fee))


def _decimal(fraction: Fraction) -> Decimal:
    return Decimal(fraction[0]) / fraction[1]


def lowest_cash(terms: Terms, fills: NDArray[np.void], deals: list[Deal]) -> int:
    """Return the lowest cash after any trade, money; at one event the opening comes first, then fills, then deals."""
    taker = terms.style is ExecutionStyle.TAKER
    rows = [(deal.event, 0 if deal.why == OPENING else 2, *_side_and_value(deal), deal.maker) for deal in deals]
    event, order, side, value, maker = np.array(rows, np.int64).reshape(-1, 5).T
    notional = np.concatenate([fills["ticks"] * fills["lots"], value])
    rate = np.where(np.concatenate([np.full(len(fills), not taker), maker != 0]), *rates(terms))
    paid = np.concatenate([fills["side"], side]) * notional * terms.scale + notional * rate
    when = np.concatenate([fills["event"], event])
    at = np.lexsort((np.concatenate([np.ones(len(fills), np.int64), order]), when))
    opening_cash = terms.opening_cash * terms.scale
    return min(opening_cash, opening_cash - int(np.cumsum(paid[at]).max(initial=0)))


def _side_and_value(deal: Deal) -> tuple[int, int]:
    return (1 if deal.side is Side.BUY else -1), deal.ticks * deal.lots


def rates(terms: Terms) -> tuple[int, int]:
    """Return maker and taker fee of a tick x lot, money."""
    scale = terms.scale
    maker, taker = terms.maker_fee, terms.taker_fee
    return maker[0] * (scale // maker[1]), taker[0] * (scale // taker[1])


def beyond_window(resting: int | None, fills: NDArray[np.void]) -> int:
    """Return how many fills came from further than the `resting`-th order of a side at one event."""
    if resting is None or not len(fills):
        return 0
    # One event fills all of its buys in a row, then all of its sells.
    starts = np.flatnonzero((np.diff(fills["event"]) != 0) | (np.diff(fills["side"]) != 0)) + 1
    lengths = np.diff(np.concatenate([[0], starts, [len(fills)]]))
    return int(np.maximum(lengths - resting, 0).sum())

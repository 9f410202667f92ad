"""Trades outside the ladder, and what a list of trades did to the cash."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trading.domain.fees import Fees
from trading.domain.kernel import Side
from trading.domain.limits import ExecutionStyle
from trading.domain.terms import Fraction, Terms

Ints = NDArray[np.int64]

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


class Trades(NamedTuple):
    """Every trade in the order it happened.

    Shapes:
        key: (n,) 3 x event, + 1 for a fill, + 2 for a deal that is no opening; never decreasing.
        paid: (n,) money that left, below zero for a sell; fee included. lots: (n,) bought, below zero: sold.
    """

    key: Ints
    paid: Ints
    lots: Ints


def money_of(terms: Terms, fills: NDArray[np.void], deals: list[Deal]) -> Trades:
    """Return fills and deals as one list: at one event the opening comes first, then fills, then deals."""
    taker = terms.style is ExecutionStyle.TAKER
    rows = [(3 * one.event + (0 if one.why == OPENING else 2), *_signed(one), one.maker) for one in deals]
    key, lots, ticks, maker = np.array(rows, np.int64).reshape(-1, 4).T
    key = np.concatenate([3 * fills["event"] + 1, key])
    lots = np.concatenate([fills["side"] * fills["lots"], lots])
    notional = lots * np.concatenate([fills["ticks"], ticks])
    rate = np.where(np.concatenate([np.full(len(fills), not taker), maker != 0]), *rates(terms))
    at = np.argsort(key, kind="stable")
    return Trades(key[at], (notional * terms.scale + np.abs(notional) * rate)[at], lots[at])


def lowest_cash(terms: Terms, fills: NDArray[np.void], deals: list[Deal]) -> int:
    """Return the lowest cash after any trade, money."""
    spent = np.cumsum(money_of(terms, fills, deals).paid)
    return terms.opening_cash * terms.scale - int(spent.max(initial=0))


def _signed(deal: Deal) -> tuple[int, int]:
    return (deal.lots if deal.side is Side.BUY else -deal.lots), deal.ticks


def rates(terms: Terms) -> tuple[int, int]:
    """Return maker and taker fee of a tick x lot, money."""
    scale = terms.scale
    maker, taker = terms.maker_fee, terms.taker_fee
    return maker[0] * (scale // maker[1]), taker[0] * (scale // taker[1])


def beyond_window(resting: int | None, fills: NDArray[np.void], deals: list[Deal]) -> int:
    """Return how many orders of one side filled at one event beyond the `resting` nearest, exits of parked lots too."""
    if resting is None:
        return 0
    parked = np.array([2 * one.event + (one.side is Side.BUY) for one in deals if one.maker], np.int64)
    _, counts = np.unique(np.concatenate([2 * fills["event"] + (fills["side"] > 0), parked]), return_counts=True)
    return int(np.maximum(counts - resting, 0).sum())

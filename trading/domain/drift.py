"""Backtest drift: how far what a desk did on paper lies from what its backtest does with the same market data."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from itertools import pairwise
from statistics import mean, stdev
from typing import Final, NamedTuple

from trading.domain.metrics import drawdown_fraction
from trading.domain.orders import Side

# Against a backtest that hardly moved every difference is large: below these the quotient is taken of them (ours).
SMALLEST_PNL_FRACTION: Final = Decimal("0.0005")  # of the capital
SMALLEST_DRAWDOWN_FRACTION: Final = Decimal("0.0005")
SMALLEST_SHARPE: Final = Decimal("0.5")
FEWEST_COMPARED: Final = Decimal("0.8")  # of the market time in force; less says nothing of the rest (ours)
DAY_NS: Final = 86_400_000_000_000
YEAR_DAYS: Final = 365  # the market never closes
FEWEST_RETURNS: Final = 7  # days; fewer say nothing of how returns vary
LISTED: Final = 20  # fills of each side that the other does not have
_ZERO: Final = Decimal(0)


class Deal(NamedTuple):
    """One fill, as far as paper and backtest can agree on it."""

    symbol: str
    side: Side
    slot: int | None
    price_ticks: int
    lots: int


class Sample(NamedTuple):
    """The equity at one moment."""

    at_ns: int
    equity_quote: Decimal


class Booked(NamedTuple):
    """One fill with what it earned and when."""

    deal: Deal
    order: str  # its name on that side
    grid_profit_quote: Decimal | None  # of a sale that closed a round trip, else None
    at_ns: int


def fills_digest(deals: Iterable[Deal]) -> str:
    """Return the SHA-256 (hex) of a list of fills in its order, one a line: the same whoever carried them out.

    Left out is what belongs to the way and not to the deal: times, names of orders, and the fee, which a venue rounds
    and the kernel does not.
    """
    digest = sha256()
    for symbol, side, slot, price_ticks, lots in deals:
        digest.update(f"{symbol}|{side}|{slot}|{price_ticks}|{lots}\n".encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Conduct:
    """What one side did over one stretch that began with everything in cash."""

    pnl_quote: Decimal
    drawdown_fraction: Decimal  # largest fall from a high
    round_trips: int
    wins: int  # of them: with a profit after fees
    returns: tuple[Decimal, ...]  # of its whole days


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides over the same stretches."""

    capital_quote: Decimal  # at the beginning; of several stretches the largest
    compared_ns: int
    paper: Conduct
    backtest: Conduct


def conduct(opening: Sample, equity: Sequence[Sample], booked: Iterable[Booked]) -> Conduct:
    """Return what one side did from `opening` on; `equity` oldest first, the last one at the end of the stretch."""
    profits: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in booked:
        if one.deal.side is Side.SELL and one.grid_profit_quote is not None:
            profits[one.order] += one.grid_profit_quote
    series = [opening, *equity]
    closes = [series[0].equity_quote, *_closes(series)]
    return Conduct(
        pnl_quote=series[-1].equity_quote - opening.equity_quote,
        drawdown_fraction=_deepest_fall(one.equity_quote for one in series),
        round_trips=len(profits),
        wins=sum(profit > 0 for profit in profits.values()),
        returns=tuple(after / before - 1 for before, after in pairwise(closes) if before > 0),
    )


def _closes(series: Sequence[Sample]) -> list[Decimal]:
    """Return the last equity of each whole day since the first sample."""
    begin, end = series[0].at_ns, series[-1].at_ns
    days = (end - begin) // DAY_NS
    last = {(one.at_ns - begin) // DAY_NS: one.equity_quote for one in series}
    return [last[day] for day in range(days) if day in last]


def _deepest_fall(equity: Iterable[Decimal]) -> Decimal:
    """Return the largest fall from a high to a later low, as a fraction of that high."""
    peak = deepest = _ZERO
    for one in equity:
        peak = max(peak, one)
        deepest = max(deepest, drawdown_fraction(peak, one))
    return deepest


def joined(parts: Sequence[Comparison]) -> Comparison | None:
    """Return all stretches together, None of none: money and trips add up, of the drawdowns the deepest counts."""
    if not parts:
        return None
    return Comparison(
        max(part.capital_quote for part in parts),
        sum(part.compared_ns for part in parts),
        _together([part.paper for part in parts]),
        _together([part.backtest for part in parts]),
    )


def _together(parts: Sequence[Conduct]) -> Conduct:
    return Conduct(
        sum((part.pnl_quote for part in parts), _ZERO),
        max(part.drawdown_fraction for part in parts),
        sum(part.round_trips for part in parts),
        sum(part.wins for part in parts),
        tuple(one for part in parts for one in part.returns),
    )


def of_pnl(both: Comparison) -> Decimal:
    """Return |paper - backtest| / |backtest| of the P&L."""
    smallest = both.capital_quote * SMALLEST_PNL_FRACTION
    return apart(both.paper.pnl_quote, both.backtest.pnl_quote, smallest)


def of_drawdown(both: Comparison) -> Decimal:
    """Return |paper - backtest| / backtest of the largest drawdown within a stretch."""
    return apart(both.paper.drawdown_fraction, both.backtest.drawdown_fraction, SMALLEST_DRAWDOWN_FRACTION)


def of_win_rate(both: Comparison) -> Decimal | None:
    """Return |paper - backtest| / backtest of the share of round trips that won; None where a side closed none."""
    paper, backtest = both.paper, both.backtest
    if not paper.round_trips or not backtest.round_trips:
        return None
    smallest = Decimal(1) / backtest.round_trips  # one trip
    return apart(Decimal(paper.wins) / paper.round_trips, Decimal(backtest.wins) / backtest.round_trips, smallest)


def of_sharpe(both: Comparison) -> Decimal | None:
    """Return |paper - backtest| / |backtest| of the Sharpe ratios; None with fewer than seven days on a side."""
    paper, backtest = _sharpe(both.paper.returns), _sharpe(both.backtest.returns)
    if paper is None or backtest is None:
        return None
    return apart(paper, backtest, SMALLEST_SHARPE)


def _sharpe(returns: Sequence[Decimal]) -> Decimal | None:
    if len(returns) < FEWEST_RETURNS or not (spread := stdev(returns)):
        return None
    return mean(returns) * Decimal(YEAR_DAYS).sqrt() / spread


def apart(paper: Decimal, backtest: Decimal, smallest: Decimal) -> Decimal:
    """Return the distance as a fraction of the backtest's value, or of `smallest` (> 0) where that is larger."""
    return abs(paper - backtest) / max(abs(backtest), smallest)


class Filled(NamedTuple):
    """What became of one order: all its fills together."""

    lots: int
    value_ticks: int  # ticks x lots
    at_ns: int  # of the last fill


class Apart(NamedTuple):
    """One order that paper and backtest did not fill alike; None where a side has no such order."""

    symbol: str
    side: Side
    slot: int | None
    paper: Filled | None
    backtest: Filled | None

    @property
    def at_ns(self) -> int:
        """When it was filled first, on whichever side."""
        return min(one.at_ns for one in (self.paper, self.backtest) if one is not None)


class Kind(StrEnum):
    """In what an order is apart, the gravest first."""

    PAPER_ONLY = "only on paper"
    BACKTEST_ONLY = "only in the backtest"
    QUANTITY = "another quantity"
    PRICE = "another price"
    TIME = "another time"


def kind_of(one: Apart) -> Kind:
    """Return in what `one` is apart: of several the gravest."""
    ours, theirs = one.paper, one.backtest
    if ours is None or theirs is None:
        return Kind.BACKTEST_ONLY if ours is None else Kind.PAPER_ONLY
    if ours.lots != theirs.lots:
        return Kind.QUANTITY
    return Kind.PRICE if ours.value_ticks != theirs.value_ticks else Kind.TIME


def of_orders(paper: Sequence[Booked], backtest: Sequence[Booked]) -> Decimal | None:
    """Return the share of all orders that are another deal: on one side only, or of another quantity or price.

    The time is no part of it: where neither side waits for the other, no two times are the same. None without orders.
    """
    apart = [one for one in order_by_order(paper, backtest) if kind_of(one) is not Kind.TIME]
    alone = sum(one.backtest is None for one in apart)
    every = alone + sum(len(orders) for orders in _orders(backtest).values())
    return Decimal(len(apart)) / every if every else None


def order_by_order(paper: Iterable[Booked], backtest: Iterable[Booked]) -> list[Apart]:
    """Return every order that was filled at another time, for another price, in another quantity, or on one side only.

    Orders of one slot and side are taken for the same order in the sequence of time, unless the next of the same side
    was filled nearer to it. The oldest comes first.
    """
    ours, theirs = _orders(paper), _orders(backtest)
    found = []
    for place in dict.fromkeys([*ours, *theirs]):
        found += [Apart(*place, one, other) for one, other in _paired(ours[place], theirs[place]) if one != other]
    return sorted(found, key=lambda one: one.at_ns)


def _orders(booked: Iterable[Booked]) -> defaultdict[tuple[str, Side, int | None], list[Filled]]:
    """Return the orders of each symbol, side and slot, by time."""
    of = dict[tuple[tuple[str, Side, int | None], str], Filled]()
    for deal, order, _, at_ns in booked:
        key = (deal.symbol, deal.side, deal.slot), order
        before = of.get(key, Filled(0, 0, at_ns))
        value = before.value_ticks + deal.price_ticks * deal.lots
        of[key] = Filled(before.lots + deal.lots, value, max(before.at_ns, at_ns))
    found = defaultdict[tuple[str, Side, int | None], list[Filled]](list)
    for (place, _), filled in of.items():
        found[place].append(filled)
    for orders in found.values():
        orders.sort(key=lambda one: one.at_ns)
    return found


def _paired(ours: Sequence[Filled], theirs: Sequence[Filled]) -> Iterator[tuple[Filled | None, Filled | None]]:
    """Yield the orders of both sides in pairs by time; one that the next of its own side stands nearer for is alone."""
    i = j = 0
    while i < len(ours) and j < len(theirs):
        one, other = ours[i], theirs[j]
        apart = abs(one.at_ns - other.at_ns)
        if one.at_ns < other.at_ns and i + 1 < len(ours) and abs(ours[i + 1].at_ns - other.at_ns) < apart:
            yield one, None
            i += 1
        elif other.at_ns < one.at_ns and j + 1 < len(theirs) and abs(theirs[j + 1].at_ns - one.at_ns) < apart:
            yield None, other
            j += 1
        else:
            yield one, other
            i, j = i + 1, j + 1
    yield from ((one, None) for one in ours[i:])
    yield from ((None, other) for other in theirs[j:])


def only_on_one_side(paper: Sequence[Booked], backtest: Sequence[Booked]) -> tuple[list[Booked], list[Booked]]:
    """Return the fills that the other side does not have, however often it has others like them."""
    return _missing(paper, backtest), _missing(backtest, paper)


def _missing(of: Sequence[Booked], among: Sequence[Booked]) -> list[Booked]:
    left = Counter(one.deal for one in among)
    found = []
    for one in of:
        if left[one.deal]:
            left[one.deal] -= 1
        else:
            found.append(one)
    return found

"""What a backtest is judged by: its curve, its round trips, its ratios; what cannot be known says why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import numpy as np

from trading.domain import measuring
from trading.domain.curves import POINTS, Curve, Integers, Path, Valued, closes, thinned
from trading.domain.drift import DAY_NS, Deal, fills_digest
from trading.domain.evidence import EMPTY, Equity, Facts, SymbolFacts
from trading.domain.instruments import Instrument
from trading.domain.mark_outs import moved, together
from trading.domain.measuring import Material
from trading.domain.orders import Side
from trading.domain.performance import calmar, sortino
from trading.domain.round_trips import FillLog, RoundTrips

MOST_DRAWN: Final = 2_000  # fills on a chart; of more, every n-th
_ZERO: Final = Decimal(0)
_RATIOS: Final = {
    "sharpe": measuring.MEASURES["sharpe"],
    "sortino": sortino,
    "calmar": calmar,
    "win_rate": measuring.MEASURES["win_rate"],
    "profit_factor": measuring.MEASURES["profit_factor"],
}


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of one grid, whichever engine made it."""

    instrument: Instrument
    levels: tuple[int, ...]  # ticks
    path: Path
    log: FillLog
    trips: RoundTrips
    fill_levels: Integers  # (f,) ticks of the level each fill belongs to
    trip_levels: Integers  # (t,) ticks of the lower level of each round trip
    scale: Decimal  # quote currency of one money unit
    opening_fee: int  # money units, of what was bought to begin with
    opening_turnover: int  # money units
    ended: str  # why
    assumptions: tuple[str, ...]
    parked: tuple[int, int] = (0, 0)  # round trips closed outside any ladder, and their profit in money units
    more: Mapping[str, Any] = field(default_factory=dict)  # what else is told of the run
    first_event: int = 0  # of the tape, where the path begins
    base_lots: int = 0  # what it began with beside the cash
    needs: int = 0  # money units: the most cash it can have spent at any time


@dataclass(frozen=True, slots=True)
class Report:
    """What is told of a run, as plain JSON: amounts and fractions are decimals as text, None is unknown."""

    facts: dict[str, Any]
    curves: dict[str, Any]  # numbers for charts


def report(ran: Ran, *, points: int = POINTS) -> Report:
    """Return everything that is told of `ran`."""
    curve = thinned(ran.path, points)
    facts = {**worth_facts(ran.path, curve, ran.scale), **_earned(ran), **ratios(ran.path, ran.scale, [ran])}
    grid_profit = _amount(earned_until(ran, curve.index), ran.scale)
    drawn = {**worth_curves(ran.path, curve, ran.scale), "grid_profit": grid_profit, **price_curves(ran)}
    return Report({**facts, **mark_out_facts([ran]), **_levels(ran)}, drawn)


def deals(ran: Ran) -> list[Deal]:
    """Return the fills as they are held against those of another way to run the same grid."""
    log, symbol = ran.log, ran.instrument.symbol
    columns = (column.tolist() for column in (log.slot, log.signed_lots, log.ticks))
    return [
        Deal(symbol, Side.BUY if lots > 0 else Side.SELL, slot, ticks, abs(lots))
        for slot, lots, ticks in zip(*columns, strict=True)
    ]


def worth_facts(path: Valued, curve: Curve, scale: Decimal) -> dict[str, Any]:
    """Return what is told of an equity: begin, end, deepest fall, exposure."""
    opening, equity = path.opening, int(curve.equity[-1])
    fall, peak = curve.deepest
    money = {"opening_equity": opening, "equity": equity, "max_drawdown_quote": fall}
    return {
        **{name: text(amount * scale) for name, amount in money.items()},
        "return": text(Decimal(equity - opening) / opening) if opening > 0 else None,
        "max_drawdown": text(Decimal(fall) / peak),
        "exposure_mean": _fraction(curve.exposure_mean),
        "exposure_max": _fraction(curve.exposure_max),
    }


def _earned(ran: Ran) -> dict[str, Any]:
    """Return what of a run can be added to that of another one, and what tells its fills."""
    pnl = int(ran.path.equity(len(ran.path.at_ns) - 1, len(ran.path.at_ns))[0]) - ran.path.opening
    grid_profit = int(ran.trips.profit.sum()) + ran.parked[1]
    money = {
        "pnl": pnl,
        "grid_profit": grid_profit,
        "inventory_pnl": pnl - grid_profit,
        "fees": int(ran.log.fee.sum()) + ran.opening_fee,
        "turnover": int((np.abs(ran.log.signed_lots) * ran.log.ticks).sum()) * ran.path.unit + ran.opening_turnover,
    }
    return {
        "fills": len(ran.log),
        "round_trips": len(ran.trips) + ran.parked[0],
        **{name: text(amount * ran.scale) for name, amount in money.items()},
        "inventory": text(ran.instrument.quantity(int(ran.path.lots[-1]))),
        "events": len(ran.path.at_ns),
        "ended": ran.ended,
        "fills_sha256": fills_digest(deals(ran)),
        "drawn_every": _every(ran),
        **ran.more,
    }


def leg_facts(ran: Ran) -> dict[str, Any]:
    """Return what is told of one of several grids in one purse: what it has of its own."""
    return {"symbol": ran.instrument.symbol, **_earned(ran), **mark_out_facts([ran]), **_levels(ran)}


def mark_out_facts(runs: Sequence[Ran]) -> dict[str, Any]:
    """Return how far the price went against us after all fills of `runs`, and on how many that was measured."""
    found = together(
        (moved(ran.path.at_ns, ran.path.mark, ran.log.event, ran.log.signed_lots),
         ran.instrument.tick_size * ran.instrument.lot_size)
        for ran in runs
    )  # fmt: skip
    fraction = None if found.fraction is None else float(found.fraction)
    return {"mark_out": _fraction(fraction), "mark_out_fills": found.fills}


# --- ratios -----------------------------------------------------------------------------------------------------------


def ratios(path: Valued, scale: Decimal, runs: Sequence[Ran]) -> dict[str, Any]:
    """Return each ratio of an equity and of the round trips of `runs`, and what it was measured on or why unknown."""
    material = _material(path, scale, runs)
    found = {name: measure(material) for name, measure in _RATIOS.items()}
    return {
        **{name: None if one.value is None else text(one.value) for name, one in found.items()},
        "measured_on": {name: one.detail for name, one in found.items()},
        "unknown": {name: one.detail for name, one in found.items() if one.value is None},
    }


def _material(path: Valued, scale: Decimal, runs: Sequence[Ran]) -> Material:
    days = list(closes(path, DAY_NS))
    facts, last = list[Facts](), path.opening * scale
    begin = days[0][0] if days else len(path.at_ns)
    before = Facts(market_ns=_before_ns(path), equity=_equity(path, scale, (0, begin), last))
    for span in days:
        last = facts[-1].equity.last if facts and facts[-1].equity else before.equity.last if before.equity else last
        facts.append(Facts(market_ns=DAY_NS, equity=_equity(path, scale, span, last)))
    return Material.of(_with_trips(before, runs), facts, alerts={}, styles={}, running=frozenset())


def _with_trips(before: Facts, runs: Sequence[Ran]) -> Facts:
    told = {ran.instrument.symbol: _traded(ran) for ran in runs}
    return EMPTY.then(Facts(market_ns=before.market_ns, equity=before.equity, symbols=told))


def _traded(ran: Ran) -> SymbolFacts:
    trips = ran.trips
    return SymbolFacts(
        fills=len(ran.log), round_trips=len(trips), wins=trips.wins,
        gain_quote=trips.gain * ran.scale, loss_quote=trips.loss * ran.scale,
    )  # fmt: skip


def _before_ns(path: Valued) -> int:
    return (int(path.at_ns[-1]) - int(path.at_ns[0])) % DAY_NS


def _equity(path: Valued, scale: Decimal, span: tuple[int, int], before: Decimal) -> Equity:
    """Return the series of one stretch; one without events stays where the one before ended."""
    if span[0] == span[1]:
        return Equity.of(before)
    every = path.equity(*span)
    highs = np.maximum.accumulate(every)
    worst = int(np.argmax((highs - every) / np.maximum(highs, 1)))
    fall, high = int(highs[worst] - every[worst]), max(int(highs[worst]), 1)
    first, last, peak, trough = (int(one) * scale for one in (every[0], every[-1], every.max(), every.min()))
    return Equity(first, last, peak, trough, min(Decimal(fall) / high, Decimal(1)), first, last)


# --- levels -----------------------------------------------------------------------------------------------------------


def _levels(ran: Ran) -> dict[str, Any]:
    """Return every level, what filled at it and what the slot above it earned, lowest first."""
    levels, log, trips = np.array(ran.levels, dtype=np.int64), ran.log, ran.trips
    place, slot = np.searchsorted(levels, ran.fill_levels), np.searchsorted(levels, ran.trip_levels)
    bought = np.bincount(place[log.signed_lots > 0], minlength=len(levels)).tolist()
    sold = np.bincount(place[log.signed_lots < 0], minlength=len(levels)).tolist()
    closed, profit = Counter(slot.tolist()), dict.fromkeys(range(len(levels)), 0)
    for number, earned in zip(slot.tolist(), trips.profit.tolist(), strict=True):
        profit[number] += earned
    prices = [text(ran.instrument.price(ticks)) for ticks in ran.levels]
    return {
        "levels": prices,
        "per_level": [
            {
                "price": price,
                "buys": bought[level],
                "sells": sold[level],
                "round_trips": closed[level],
                "grid_profit": text(profit[level] * ran.scale),
            }
            for level, price in enumerate(prices)
        ],
    }


# --- curves -----------------------------------------------------------------------------------------------------------


def worth_curves(path: Valued, curve: Curve, scale: Decimal) -> dict[str, Any]:
    """Return an equity, its inventory and its falls for charts."""
    return {
        "at": _ms(path.at_ns[curve.index]),
        "equity": _amount(curve.equity, scale),
        "inventory": _amount(curve.value, scale),
        "fell_at": _ms(path.at_ns[curve.deepest_index]),
        "fall": (curve.fall / np.maximum(curve.peak, 1)).round(8).tolist(),
    }


def earned_until(ran: Ran, event: Integers) -> Integers:
    """Return the grid profit of round trips that had closed when each of `event`, of the path, was over."""
    earned = np.concatenate([[0], np.cumsum(ran.trips.profit)])
    found: Integers = earned[np.searchsorted(ran.log.event[ran.trips.closed], event, "right")]
    return found


def price_curves(ran: Ran) -> dict[str, Any]:
    """Return the price with levels and fills for a chart."""
    path, log, drawn = ran.path, ran.log, _drawn(ran)
    price = _extremes(path.mark, len(path.at_ns) // POINTS or 1)
    return {
        "price_at": _ms(path.at_ns[price]),
        "price": _prices(path.mark[price], ran.instrument),
        "levels": _prices(np.array(ran.levels), ran.instrument),
        "fill_at": _ms(path.at_ns[log.event[drawn]]),
        "fill_price": _prices(log.ticks[drawn], ran.instrument),
        "bought": (log.signed_lots[drawn] > 0).tolist(),
    }


def _extremes(values: Integers, width: int) -> Integers:
    """Return the events of the lowest and highest of every `width` values, and the last of all."""
    kept = {0, len(values) - 1}
    for start in range(0, len(values), width):
        part = values[start : start + width]
        kept |= {start + int(np.argmin(part)), start + int(np.argmax(part))}
    return np.array(sorted(kept), dtype=np.int64)


def _drawn(ran: Ran) -> Integers:
    return np.arange(0, len(ran.log), _every(ran))


def _every(ran: Ran) -> int:
    """Return n where a chart shows every n-th fill."""
    return max(-(-len(ran.log) // MOST_DRAWN), 1)


def _ms(at_ns: Integers) -> list[float]:
    return [float(one) for one in (at_ns / 1e6).round(3)]


def _amount(units: Integers, scale: Decimal) -> list[float]:
    return [float(one) for one in (units * float(scale)).round(8)]


def _prices(ticks: Integers, instrument: Instrument) -> list[float]:
    return [float(one) for one in (ticks * float(instrument.tick_size)).round(10)]


# --- numbers ----------------------------------------------------------------------------------------------------------


def text(value: Decimal) -> str:
    """Return `value` in plain digits without zeros at its end."""
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _fraction(value: float | None) -> str | None:
    return None if value is None else f"{value:.8f}".rstrip("0").rstrip(".")

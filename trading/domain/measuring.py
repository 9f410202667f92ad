"""Every metric out of facts: the value, what it was measured on, and numerator and denominator in words."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from statistics import mean, stdev
from types import MappingProxyType
from typing import Final, NamedTuple

from trading.domain import drift
from trading.domain.drift import DAY_NS, FEWEST_RETURNS, YEAR_DAYS, Comparison
from trading.domain.drills import Drill, Outcome
from trading.domain.events import Severity
from trading.domain.evidence import EMPTY, Facts, Slice, SymbolFacts, merged
from trading.domain.latency import Histogram
from trading.domain.limits import ExecutionStyle
from trading.domain.metrics import Rate, mean_rate

HOUR_NS: Final = 3_600_000_000_000
MINUTE_NS: Final = 60_000_000_000
MONTH_DAYS: Final = 30
LARGEST_PROFIT_FACTOR: Final = Decimal(999)  # where hardly anything or nothing was lost: large, and still a number


class Over(StrEnum):
    """The window a metric is measured over; days are of market time, counted from the end."""

    RUN = "run"
    LAST_3_DAYS = "last 3 days"
    EACH_OF_3_DAYS = "each of the last 3 days"


class Tried(NamedTuple):
    """The newest drill of one kind within a window."""

    outcome: Outcome
    at: datetime  # asked for


@dataclass(frozen=True, slots=True)
class Material:
    """Everything the metrics of one window are computed from."""

    before: Facts  # what lies before its oldest whole market day
    days: Sequence[Facts]  # its whole market days, oldest first
    alerts: Mapping[Severity, int] = field(default_factory=dict)  # whose newest occurrence lies in the window
    styles: Mapping[str, ExecutionStyle] = field(default_factory=dict)  # symbol -> of its grid, running or not
    running: frozenset[str] = frozenset()  # symbols a grid runs on
    drills: Mapping[Drill, Tried] = field(default_factory=dict)  # of each kind that was tried in the window
    compared: Comparison | None = None  # of the stretches in the window that were held against their backtest
    facts: Facts = EMPTY  # of the whole window

    @classmethod
    def of(
        cls,
        before: Facts,
        days: Sequence[Facts],
        *,
        alerts: Mapping[Severity, int],
        styles: Mapping[str, ExecutionStyle],
        running: frozenset[str],
        drills: Mapping[Drill, Tried] = MappingProxyType({}),
        compared: Comparison | None = None,
    ) -> "Material":
        """Return the material with its days put together."""
        return cls(before, days, alerts, styles, running, drills, compared, merged((before, *days)))


class Found(NamedTuple):
    """The value of one metric, None where there is nothing to compute it from."""

    value: Decimal | None
    samples: int
    detail: str
    each: tuple[tuple[str, Decimal | None], ...] = ()


# --- days of market time ----------------------------------------------------------------------------------------------


def days_of(slices: Sequence[Slice]) -> tuple[list[Slice], list[list[Slice]]]:
    """Return what lies before the oldest whole market day, and each whole day, oldest first.

    A day is 24 hours of market time in force, counted from the end of `slices`; a slice belongs to the day its middle
    lies in, so a day is at most half a slice longer or shorter, and what was not in force adds nothing to any day.
    """
    passed_ns, places = 0, list[int]()
    for one in reversed(slices):
        market_ns = one.facts.market_ns
        places.append((2 * passed_ns + market_ns) // (2 * DAY_NS))
        passed_ns += market_ns
    days: list[list[Slice]] = [[] for _ in range(passed_ns // DAY_NS)]
    before: list[Slice] = []
    for one, place in zip(slices, reversed(places), strict=True):
        (days[len(days) - 1 - place] if place < len(days) else before).append(one)
    return before, days


# --- metrics ----------------------------------------------------------------------------------------------------------


def _crit_alerts(of: Material) -> Found:
    return _alerts(of, Severity.CRIT)


def _alerts(of: Material, severity: Severity) -> Found:
    count = of.alerts.get(severity, 0)
    return Found(Decimal(count), count, f"{count} {severity} alerts of this account or of all accounts")


def _warn_alerts_per_day(of: Material) -> Found:
    _, count, words = _alerts(of, Severity.WARN)[:3]
    return Found(_ratio(Decimal(count), _days(of)), count, f"{words} in {_words_of_days(of)}")


def _fill_rate(of: Material) -> Found:
    rates = _rates(of)
    mean_of = mean_rate(rates.values())
    words = "; ".join(_words_of_rate(of, symbol, rate) for symbol, rate in rates.items())
    return Found(_fraction(mean_of), mean_of.count, words or "no grid runs")


def _fill_rate_each_symbol(of: Material) -> Found:
    rates = _rates(of)
    each = tuple((symbol, _fraction(rate)) for symbol, rate in rates.items())
    known = [value for _, value in each if value is not None]
    fewest = min((rate.count for rate in rates.values()), default=0)
    words = "; ".join(_words_of_rate(of, symbol, rate) for symbol, rate in rates.items())
    return Found(min(known, default=None), fewest, f"lowest of {words}" if words else "no grid runs", each)


def _percentile(segment: Callable[[Facts], Histogram], percent: float, words: str) -> Callable[[Material], Found]:
    """Return the measure of one percentile of one segment, out of its merged histogram."""

    def measure(of: Material) -> Found:
        histogram = segment(of.facts)
        found = _decimal(histogram.percentile_ms(percent))
        return Found(found, histogram.samples, f"{percent:g} % of {histogram.samples} orders {words}")

    return measure


def _submit_ack(percent: float) -> Callable[[Material], Found]:
    return _percentile(lambda facts: facts.latency, percent, "were acknowledged within this time")


def _tick_submit(percent: float) -> Callable[[Material], Found]:
    return _percentile(lambda facts: facts.tick_submit, percent, "left within this time of the tick that called for it")


def _ack_fill(percent: float) -> Callable[[Material], Found]:
    return _percentile(lambda facts: facts.ack_fill, percent, "began to fill within this time of their ack")


def _reject_rate(of: Material) -> Found:
    total = of.facts.total
    words = f"{total.rejected} of {total.answered} orders that left were rejected by the venue"
    return Found(_ratio(Decimal(total.rejected), Decimal(total.answered)), total.answered, words)


def _reconnects(of: Material) -> Found:
    facts = of.facts
    words = f"lost {facts.feed_losses} times in {_seconds(facts.detailed_ns)} s watched for it"
    return Found(Decimal(facts.feed_losses) if facts.detailed_ns else None, facts.feed_losses, words)


def _symbol_drawdown(of: Material) -> Found:
    known = {symbol: one.drawdown for symbol, one in of.facts.symbols.items() if one.drawdown is not None}
    each = tuple((symbol, known.get(symbol)) for symbol in sorted(known.keys() | of.running))
    samples = of.facts.samples if known else 0
    words = "largest loss of one symbol within a day, as a part of the capital" if each else "no grid runs"
    return Found(max(known.values(), default=None), samples, words, each)


def _kill_drills(of: Material) -> Found:
    """Of the kinds of drill, those whose newest in the window has passed; unknown until each was tried in it."""
    passed = sum(one.outcome is Outcome.PASSED for one in of.drills.values())
    words = "; ".join(_words_of_drill(kind, of.drills.get(kind)) for kind in Drill)
    is_known = len(of.drills) == len(Drill)
    return Found(Decimal(passed) if is_known else None, len(of.drills), f"{passed} of {len(Drill)} kinds: {words}")


def _feed_uptime(of: Material) -> Found:
    facts = of.facts
    words = f"{_seconds(facts.fed_ns)} of {_seconds(facts.watched_ns)} s watched had fresh prices and no obstacle"
    return Found(_ratio(Decimal(facts.fed_ns), Decimal(facts.watched_ns)), facts.samples, words)


def _position_sync(of: Material) -> Found:
    facts = of.facts
    words = f"{facts.in_sync} of {facts.readings} readings of the venue left nothing unexplained"
    return Found(_ratio(Decimal(facts.in_sync), Decimal(facts.readings)), facts.readings, words)


def _daily_drawdown(of: Material) -> Found:
    samples = of.facts.samples
    value = of.facts.daily_drawdown if samples else None
    return Found(value, samples, f"largest of {samples} samples, each against the equity its day began with")


def _high_water_drawdown(of: Material) -> Found:
    return _drawdown(of.facts, "within the window")


def _drawdown(facts: Facts, where: str) -> Found:
    equity = facts.equity
    if equity is None:
        return Found(None, 0, "no equity was recorded")
    words = f"largest fall from a high {where}; highest {_money(equity.peak)}, lowest {_money(equity.trough)}"
    words += ", as without any transfer" if equity.paid_in_last else ""
    return Found(equity.drawdown, facts.samples, words)


def _monthly_drawdown(of: Material) -> Found:
    parts = [Facts(equity=one.equity) for one in (of.before, *of.days)]
    months = [merged(parts[start : start + MONTH_DAYS]) for start in range(max(len(parts) - MONTH_DAYS, 0) + 1)]
    deepest = max(months, key=lambda month: month.equity.drawdown if month.equity else Decimal(-1))
    found = _drawdown(deepest, f"within {MONTH_DAYS} market days that follow each other")
    return found._replace(samples=of.facts.samples)


def _pnl_quote(of: Material) -> Found:
    equity = of.facts.equity
    if equity is None:
        return Found(None, 0, "no equity was recorded")
    words = f"equity from {_money(equity.held_first)} to {_money(equity.held_last)}"
    words += f", {_money(equity.paid_in)} of it paid in" if equity.paid_in else ""
    return Found(equity.pnl, of.facts.samples, words)


def _pnl_per_day_quote(of: Material) -> Found:
    pnl, samples, words, _ = _pnl_quote(of)
    return Found(_ratio(pnl, _days(of)), samples, f"{words} in {_words_of_days(of)}")


def _monthly_return(of: Material) -> Found:
    """A month of the return seen, not compounded; less than a day is too little to speak of a month."""
    _, samples, words, _ = _pnl_quote(of)
    equity = of.facts.equity
    if equity is None or equity.first <= 0 or _days(of) < 1:
        return Found(None, samples, f"{words} in {_words_of_days(of)}; at least a day in force is needed")
    value = (equity.last - equity.first) / equity.first * MONTH_DAYS / _days(of)
    return Found(value, samples, f"{words} in {_words_of_days(of)}, for {MONTH_DAYS} days")


def _fills_per_minute(of: Material) -> Found:
    fills = of.facts.total.fills
    minutes = Decimal(of.facts.market_ns) / MINUTE_NS
    return Found(_ratio(Decimal(fills), minutes), fills, f"{fills} fills in {minutes:.1f} market minutes in force")


def _sharpe(of: Material) -> Found:
    """Mean of the daily returns / their deviation * sqrt(365); the risk-free rate is taken as zero.

    Source:
        W. F. Sharpe (1994), "The Sharpe Ratio", Journal of Portfolio Management 21(1), 49-58.
    """
    returns = daily_returns(of)
    if len(returns) < FEWEST_RETURNS:
        return Found(None, len(returns), f"{len(returns)} whole market days; at least {FEWEST_RETURNS} are needed")
    spread = stdev(returns)
    words = (
        f"{len(returns)} daily returns, mean {mean(returns):.5%}, deviation {spread:.5%}, a year of {YEAR_DAYS} days"
    )
    return Found(_ratio(mean(returns) * Decimal(YEAR_DAYS).sqrt(), spread), len(returns), words)


def daily_returns(of: Material) -> list[Decimal]:
    """Return the return of each whole market day, close to close; the first from the last equity before it."""
    series = [day.equity for day in of.days if day.equity is not None]
    if not series:
        return []
    begin = series[0].first if of.before.equity is None else of.before.equity.last
    closes = [begin, *(equity.last for equity in series)]
    return [close / previous - 1 for previous, close in pairwise(closes) if previous > 0]


def _win_rate(of: Material) -> Found:
    total = of.facts.total
    words = f"{total.wins} of {total.round_trips} round trips with a profit after fees"
    return Found(_ratio(Decimal(total.wins), Decimal(total.round_trips)), total.round_trips, words)


def _profit_factor(of: Material) -> Found:
    """Gains / losses of round trips. Where (next to) nothing was lost the quotient has no bound: it ends at 999."""
    total = of.facts.total
    words = f"gains {_money(total.gain_quote)} / losses {_money(total.loss_quote)} of {total.round_trips} round trips"
    if not total.gain_quote and not total.loss_quote:
        return Found(None, total.round_trips, words if total.round_trips else "no round trip was closed")
    if not total.loss_quote:
        return Found(LARGEST_PROFIT_FACTOR, total.round_trips, f"{words}; without a loss it counts as 999")
    value = min(total.gain_quote / total.loss_quote, LARGEST_PROFIT_FACTOR)
    return Found(value, total.round_trips, words)


def _drift(
    distance: Callable[[Comparison], Decimal | None], shown: Callable[[drift.Conduct], str]
) -> Callable[[Material], Found]:
    """Return the measure of one distance between paper and backtest; unknown where too little time is compared."""

    def measure(of: Material) -> Found:
        both, watched_ns = of.compared, of.facts.watched_ns
        if both is None:
            return Found(None, 0, "no stretch of it was held against its backtest")
        samples = min(both.paper.round_trips, both.backtest.round_trips)
        words = f"paper {shown(both.paper)}, backtest {shown(both.backtest)}"
        share = Decimal(both.compared_ns) / watched_ns if watched_ns else Decimal(0)
        if share < drift.FEWEST_COMPARED:
            return Found(None, samples, f"{words}, but only {share:.0%} of the time watched is compared")
        return Found(distance(both), samples, words)

    return measure


def _drift_sharpe(of: Material) -> Found:
    found = _drift(drift.of_sharpe, lambda one: f"{len(one.returns)} daily returns")(of)
    both = of.compared
    return found._replace(samples=min(len(both.paper.returns), len(both.backtest.returns)) if both else 0)


def _words_of_wins(one: drift.Conduct) -> str:
    return f"{one.wins} of {one.round_trips} round trips won"


MEASURES: Final[Mapping[str, Callable[[Material], Found]]] = {
    "crit_alerts": _crit_alerts,
    "warn_alerts_per_day": _warn_alerts_per_day,
    "fill_rate": _fill_rate,
    "fill_rate_each_symbol": _fill_rate_each_symbol,
    "latency_p50_ms": _submit_ack(50),
    "latency_p95_ms": _submit_ack(95),
    "latency_p99_ms": _submit_ack(99),
    "tick_submit_p50_ms": _tick_submit(50),
    "tick_submit_p95_ms": _tick_submit(95),
    "tick_submit_p99_ms": _tick_submit(99),
    "ack_fill_p50_ms": _ack_fill(50),
    "ack_fill_p95_ms": _ack_fill(95),
    "ack_fill_p99_ms": _ack_fill(99),
    "reject_rate": _reject_rate,
    "reconnects": _reconnects,
    "feed_uptime": _feed_uptime,
    "position_sync": _position_sync,
    "daily_drawdown": _daily_drawdown,
    "symbol_drawdown": _symbol_drawdown,
    "high_water_drawdown": _high_water_drawdown,
    "monthly_drawdown": _monthly_drawdown,
    "pnl_quote": _pnl_quote,
    "pnl_per_day_quote": _pnl_per_day_quote,
    "monthly_return": _monthly_return,
    "fills_per_minute": _fills_per_minute,
    "sharpe": _sharpe,
    "win_rate": _win_rate,
    "profit_factor": _profit_factor,
    "kill_drills": _kill_drills,
    "drift_pnl": _drift(drift.of_pnl, lambda one: f"{_money(one.pnl_quote)}"),
    "drift_drawdown": _drift(drift.of_drawdown, lambda one: f"{one.drawdown_fraction:.3%}"),
    "drift_win_rate": _drift(drift.of_win_rate, _words_of_wins),
    "drift_sharpe": _drift_sharpe,
}


# --- parts ------------------------------------------------------------------------------------------------------------


def _rates(of: Material) -> dict[str, Rate]:
    """Return the fill rate of every symbol a grid runs on, or ran on: switching a grid off hides nothing."""
    ran = {symbol for symbol, facts in of.facts.symbols.items() if facts.ended or facts.touched}
    return {
        symbol: _rate(of.facts.symbols.get(symbol, SymbolFacts()), _style(of, symbol))
        for symbol in sorted(ran | of.running)
    }


def _style(of: Material, symbol: str) -> ExecutionStyle:
    return of.styles.get(symbol, ExecutionStyle.TAKER)


def _rate(facts: SymbolFacts, style: ExecutionStyle) -> Rate:
    """Return the rate that fits the execution style. Source: shared decision 3."""
    if style is ExecutionStyle.MAKER:
        return Rate(facts.touch_filled, facts.touched, facts.touched)
    return Rate(facts.filled_lots, facts.asked_lots, facts.ended)


def _words_of_rate(of: Material, symbol: str, rate: Rate) -> str:
    if _style(of, symbol) is ExecutionStyle.MAKER:
        return f"{symbol} {rate.part} of {rate.whole} touched levels filled"
    return f"{symbol} {rate.part} of {rate.whole} lots filled in {rate.count} market orders"


def _words_of_drill(kind: Drill, tried: Tried | None) -> str:
    name = kind.replace("_", " ").lower()
    return f"{name} not tried" if tried is None else f"{name} {tried.outcome.lower()} {tried.at:%Y-%m-%d %H:%M}"


def _fraction(rate: Rate) -> Decimal | None:
    """Return the share; an order may be touched in one window and fill in the next, and then it is at most 1."""
    share = _ratio(Decimal(rate.part), Decimal(rate.whole))
    return None if share is None else min(share, Decimal(1))


def _ratio(part: Decimal | None, whole: Decimal) -> Decimal | None:
    return part / whole if part is not None and whole else None


def _days(of: Material) -> Decimal:
    return Decimal(of.facts.market_ns) / DAY_NS


def _words_of_days(of: Material) -> str:
    return f"{_days(of):.3f} market days in force"


def _decimal(number: float | None) -> Decimal | None:
    return None if number is None else Decimal(str(number))


def _money(quote: Decimal) -> str:
    return f"{quote:.4f}"


def _seconds(duration_ns: int) -> str:
    return f"{duration_ns // 1_000_000_000}"


def hours_in_force(slices: Iterable[Slice]) -> tuple[Decimal, bool]:
    """Return the hours of market time in force, and whether any of them was accelerated."""
    facts = merged(one.facts for one in slices)
    return Decimal(facts.market_ns) / HOUR_NS, facts.accelerated

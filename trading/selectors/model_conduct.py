"""What the desks did on the symbol of a canary, beside what they did there for as long before it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from trading.domain import model_scores
from trading.domain.evidence import METRICS, Measurement, merged
from trading.domain.measuring import Over, days_of
from trading.domain.model_scores import Measure, Reading
from trading.models import Account
from trading.selectors import desks, evidence, mark_outs

LEAST_WATCHED: Final = Decimal("0.95")  # as of every gate
_RUN: Final = Over.RUN.value
_METRICS: Final = ("fill_rate_each_symbol", "latency_p95_ms", "daily_drawdown", "symbol_drawdown")
# Which of several desks is the worst.
_WORST: Final[Mapping[Measure, Callable[[Sequence[float]], float]]] = {
    Measure.FILL_RATE: min,
    Measure.LATENCY: max,
    Measure.DRAWDOWN: max,
    Measure.MARK_OUT: max,
    Measure.PNL: min,
}

Readings = Mapping[Measure, Reading]


def readings(symbol: str, since: datetime, until: datetime) -> Readings:
    """Return each reading of the desk that does worst on `symbol`; one that nothing is known of is worse than any."""
    running = Account.objects.filter(grids__symbol=symbol, grids__enabled=True).distinct().order_by("id")
    each = [_of_desk(account, symbol, since, until) for account in running]
    return {kind: _worst(kind, [found[kind] for found in each]) for kind in _WORST}


def _worst(kind: Measure, found: Sequence[Reading]) -> Reading:
    unknown = next((one for one in found if not one.is_known), None)
    if unknown is not None or not found:
        return unknown or Reading(None, 0, "no desk runs a grid on this symbol")
    worst = _WORST[kind]([one.value for one in found if one.value is not None])
    return next(one for one in found if one.value == worst)


def _of_desk(account: Account, symbol: str, since: datetime, until: datetime) -> Readings:
    before = since - (until - since)
    now, was = _measured(account, since, until), _measured(account, before, since)
    return {
        Measure.FILL_RATE: _fill_rate(now["fill_rate_each_symbol"], symbol),
        Measure.LATENCY: _risen(now["latency_p95_ms"], was["latency_p95_ms"]),
        Measure.DRAWDOWN: _of_limits(account, symbol, now),
        Measure.MARK_OUT: _marked(account, symbol, before, since, until),
        Measure.PNL: _profit(account, before, since, until),
    }


def _measured(account: Account, since: datetime, until: datetime) -> Mapping[str, Measurement]:
    found = evidence.measure_all(account, {(name, _RUN) for name in _METRICS}, since, until)
    return {name: found[name, _RUN][0] for name in _METRICS}


def _why_unknown(one: Measurement) -> str:
    """Return why the gate would not believe a measurement, or an empty text."""
    metric = METRICS[one.metric]
    if one.samples < metric.fewest:
        return f"{metric.label}: {one.samples} {metric.sample}, at least {metric.fewest} are needed"
    if one.coverage < LEAST_WATCHED:
        return f"{metric.label}: watched {one.coverage:.1%} of the time, {LEAST_WATCHED:.0%} is needed"
    return ""


def _fill_rate(now: Measurement, symbol: str) -> Reading:
    value, why = dict(now.each).get(symbol), _why_unknown(now)
    return Reading(None if why or value is None else float(value), now.samples, why or now.detail)


def _risen(now: Measurement, was: Measurement) -> Reading:
    why = _why_unknown(now) or _why_unknown(was)
    if why or now.value is None or was.value is None or was.value <= 0:
        return Reading(None, now.samples, why or "nothing to compare with")
    return Reading(float(now.value / was.value - 1), now.samples, f"{now.value:.0f} ms now, {was.value:.0f} ms before")


def _of_limits(account: Account, symbol: str, now: Mapping[str, Measurement]) -> Reading:
    """Return the larger part that a drawdown is of its limit: of the account, of the symbol."""
    mandate, daily, of_symbol = desks.mandate_in_force(account), now["daily_drawdown"], now["symbol_drawdown"]
    fell = dict(of_symbol.each).get(symbol)
    why = _why_unknown(daily) or _why_unknown(of_symbol)
    if why or mandate is None or daily.value is None or fell is None:
        return Reading(None, daily.samples, why or f"{account.name} has no mandate, or nothing was measured")
    limits = desks.limits_of(mandate)
    parts = [(daily.value, limits.max_daily_drawdown_fraction), (fell, limits.max_symbol_drawdown_fraction)]
    known = [value / limit for value, limit in parts if limit]
    words = f"{daily.value:.2%} of the account and {fell:.2%} of {symbol} in a day"
    return Reading(float(max(known)) if known else None, daily.samples, words)


def _marked(account: Account, symbol: str, before: datetime, since: datetime, until: datetime) -> Reading:
    """Return how much further the price goes against a fill than before; above zero is worse."""
    now = mark_outs.between(account, symbol, since, until)
    was = mark_outs.between(account, symbol, before, since)
    if now.mark_out.fraction is None or was.mark_out.fraction is None:
        return Reading(None, now.mark_out.fills, (now.why or was.why)[:300])
    risen = float(now.mark_out.fraction - was.mark_out.fraction)
    return Reading(risen, now.mark_out.fills, f"{now.words}; before: {was.words}")


def _profit(account: Account, before: datetime, since: datetime, until: datetime) -> Reading:
    now, was = _daily(account, since, until), _daily(account, before, since)
    if now is None or was is None:
        return Reading(None, 0, "on a whole day no equity was recorded")
    return model_scores.non_inferior(now, was)


def _daily(account: Account, since: datetime, until: datetime) -> list[float] | None:
    """Return what each whole market day earned, as a fraction of what it began with; None where one is not known."""
    _, days = days_of(evidence.slices(account, since, until))
    equities = [merged(one.facts for one in day).equity for day in days]
    known = [float(one.pnl / one.held_first) for one in equities if one is not None and one.held_first > 0]
    return known if len(known) == len(days) else None

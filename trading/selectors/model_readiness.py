"""The upgrade indicators, measured from what is stored: market history, trainings, evaluations, forecasts."""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Max, Min, Sum

from trading.domain.history import SECOND_NS, Kind
from trading.domain.indicators import (
    Estimate,
    Indicator,
    Unit,
    Verdict,
    capacity,
    competition,
    data_volume,
    exact,
    gap_of,
    hardware,
    independent_labels,
    regime_entropy,
    regimes,
    saturation,
)
from trading.models import MarketPart, ModelVersion, TrainingRun
from trading.selectors.market_store import TAPE
from trading.selectors.model_evaluation import Evaluation, number, read_evaluation
from trading.selectors.model_page import losses_by_day
from trading.selectors.models import latencies
from trading.selectors.numbers import UNKNOWN, signed

STAGE_1_PARAMETERS: Final = 27_178  # three stacks of attention over 20 features, as measured
REGIMES: Final = 4  # that stage 0 models
HORIZON_NS: Final = 3_600 * SECOND_NS  # labels of one hour that do not overlap
RETRAINED_EVERY: Final = timedelta(days=7)
SCORED_OVER: Final = timedelta(days=60)
WIDEST: Final = 98  # of the picture's 100: a mark at its end stays inside
EVALUATED: Final = 20  # newest models whose evaluations are read
State = ModelVersion.State
BESIDE: Final = (State.SHADOW, State.CANARY)


@dataclass(frozen=True, slots=True)
class Line:
    """One indicator as the page shows it; the picture is 100 wide, the trigger at its own place."""

    seen: Indicator
    now: str
    interval: str
    trigger: str
    low: float | None  # of the picture, 0 to 100
    high: float | None
    value: float | None
    trigger_at: float

    @property
    def width(self) -> float:
        """Of the interval in the picture."""
        return 0.0 if self.low is None or self.high is None else round(self.high - self.low, 2)


def readiness(now: datetime) -> list[Line]:
    """Return every indicator, in six queries."""
    return [line_of(one) for one in indicators(now)]


def due(lines: Sequence[Line]) -> dict[str, int]:
    """Return how many indicators say what."""
    return {verdict: sum(line.seen.verdict is verdict for line in lines) for verdict in Verdict}


def indicators(now: datetime) -> list[Indicator]:
    """Return every indicator from what is stored."""
    evaluated = _evaluations()
    versions = list(ModelVersion.objects.filter(state__in=(State.CHAMPION, *BESIDE)))
    champion = next((one for one in versions if one.state == State.CHAMPION), None)
    ticks = stored_ticks()
    return [
        data_volume(ticks, 1),
        independent_labels(stored_labels(), STAGE_1_PARAMETERS, 1),
        data_volume(ticks, 4),
        saturation(_first(evaluated, lambda one: one.doublings) or ()),
        capacity(_first(evaluated, lambda one: one.capacity) or ()),
        regimes(_first(evaluated, lambda one: one.regimes), REGIMES),
        regime_entropy(_first(evaluated, lambda one: one.entropy_rise), REGIMES),
        *_behind(champion, versions, now),
        *_hardware(champion, now),
    ]


def stored_ticks() -> int:
    """Return how many trades and tops of the book are stored, sorted into days or not."""
    kinds = (Kind.TRADES, Kind.TOPS, TAPE)
    return MarketPart.objects.filter(kind__in=kinds).aggregate(rows=Sum("rows"))["rows"] or 0


def stored_labels() -> float:
    """Return how many labels of one hour the stored days hold that do not overlap, each symbol by itself."""
    kinds = (Kind.TRADES, Kind.TOPS, Kind.BARS)
    days = MarketPart.objects.filter(kind__in=kinds).values("symbol", "day").order_by()
    spans = days.annotate(first=Min("first_at_ns"), last=Max("last_at_ns")).values_list("first", "last")
    return float(sum((last - first) // HORIZON_NS for first, last in spans))


def line_of(seen: Indicator) -> Line:
    """Return an indicator as the page shows it."""
    has = seen.measured
    scale = _scale(seen)
    spots = (None, None, None) if has is None else tuple(scale(one) for one in (has.low, has.high, has.value))
    is_exact = has is None or has.low == has.high
    return Line(
        seen=seen,
        now=UNKNOWN if has is None else written(has.value, seen.unit),
        interval="" if has is None or is_exact else f"{written(has.low, seen.unit)} to {written(has.high, seen.unit)}",
        trigger=written(seen.trigger, seen.unit),
        low=spots[0], high=spots[1], value=spots[2],
        trigger_at=scale(seen.trigger),
    )  # fmt: skip


def written(value: float, unit: Unit) -> str:
    """Return a number in its unit: 3.1 M, 62.0 %, 4."""
    if unit is Unit.FRACTION:
        return f"{signed(100 * value, 1) if value < 0 else f'{100 * value:,.1f}'} %"
    if unit is Unit.NUMBER or abs(value) < 10_000:
        return f"{value:,.0f}"
    return f"{value / 1e6:,.1f} M" if abs(value) >= 1e6 else f"{value / 1e3:,.1f} k"


def _scale(seen: Indicator) -> Callable[[float], float]:
    """Return where a number lies in the picture: 0 and the trigger are always in it."""
    marks = [0.0, seen.trigger * 1.25]
    marks += [] if seen.measured is None else [seen.measured.low, seen.measured.high]
    low, high = min(marks), max(marks)
    return lambda value: round(WIDEST * (value - low) / (high - low), 2)


def _evaluations() -> list[Evaluation]:
    """Return the newest evaluations, that of the champion first."""
    rows = ModelVersion.objects.filter(evaluation__isnull=False).exclude(state=State.REFUSED)
    found = list(rows.values_list("state", "name", "evaluation")[:EVALUATED])
    found.sort(key=lambda row: row[0] != State.CHAMPION)
    return [read_evaluation(raw, name) for _, name, raw in found]


def _first(evaluated: Sequence[Evaluation], of: Callable[[Evaluation], Any]) -> Any:
    return next((found for one in evaluated if (found := of(one))), None)


def _behind(champion: ModelVersion | None, versions: Sequence[ModelVersion], now: datetime) -> list[Indicator]:
    """Return the champion against the best baseline offline, the rule live, and whoever runs beside it."""
    if champion is None:
        return [competition(None, "the best baseline"), competition(None, "the live rule")]
    offline = read_evaluation(champion.evaluation, champion.name)
    days: dict[int, dict[datetime, tuple[float, float]]] = defaultdict(dict)
    for version, day, ours, rules in losses_by_day([one.pk for one in versions], now - SCORED_OVER):
        days[version][day] = (ours, rules)
    mine = days[champion.pk]
    live = gap_of([ours for ours, _ in mine.values()], [rules for _, rules in mine.values()])
    found = [competition(offline.gap, offline.best or "the best baseline"), competition(live, "the live rule")]
    for one in versions:
        if one.state in BESIDE:
            found.append(competition(_against(mine, days[one.pk]), f"{one.name} {one.digest[:8]}, {one.state.lower()}"))
    return found


def _against(mine: dict[datetime, tuple[float, float]], theirs: dict[datetime, tuple[float, float]]) -> Estimate | None:
    both = sorted(mine.keys() & theirs.keys())
    return gap_of([mine[day][0] for day in both], [theirs[day][0] for day in both])


def _hardware(champion: ModelVersion | None, now: datetime) -> list[Indicator]:
    run = TrainingRun.objects.filter(state=TrainingRun.State.DONE, ended_at__isnull=False).first()
    took = None if champion is None else latencies(now, [champion.pk]).get(champion.pk)
    deadline = None if champion is None else number(champion.card.get("deadline_ms"))
    late = exact(took.p99_us / 1_000 / deadline) if took is not None and deadline else None
    return [
        hardware("memory", "Memory of the last training", _memory(run), "the memory of this machine"),
        hardware("retrain", "Time of the last training", _time(run), f"the {RETRAINED_EVERY.days} days between two"),
        hardware("deadline", "p99 of the champion's answers", late, "its deadline"),
    ]


def _memory(run: TrainingRun | None) -> Estimate | None:
    peak = None if run is None or run.curves is None else number(run.curves.get("peak_bytes"))
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None if peak is None else exact(peak / there)


def _time(run: TrainingRun | None) -> Estimate | None:
    if run is None or run.began_at is None or run.ended_at is None:
        return None
    return exact((run.ended_at - run.began_at) / RETRAINED_EVERY)

"""What was measured of one account in one window; the gates believe nothing else.

However much was traded it is six queries: rolled up hours, the minutes, fills and orders of what is not rolled up yet
(at most some two hours while the roll-up runs), alerts, grids.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Count, Q

from trading.domain import measuring
from trading.domain.events import Severity
from trading.domain.evidence import EMPTY, HOUR, Facts, Measurement, Slice, merged
from trading.domain.limits import ExecutionStyle
from trading.domain.measuring import MEASURES, Material, Over, days_of
from trading.models import Account, Alert, Grid, HourFacts
from trading.models import slices as rows
from trading.selectors.evidence_queries import Query

MINUTE: Final = timedelta(minutes=1)
DAYS: Final = 3  # of the windows that are named after them
JUDGED: Final = (Severity.CRIT, Severity.WARN)


@dataclass(frozen=True, slots=True)
class Window:
    """One span of time that something is measured over."""

    since: datetime
    until: datetime
    wall: timedelta  # whole minutes inside of it
    before: Facts  # what lies before its oldest whole market day
    days: Sequence[Facts]  # its whole market days, oldest first

    def coverage(self, watched_ns: int) -> Decimal:
        """Return the watched part of it, 0 to 1."""
        wall_us = self.wall // timedelta(microseconds=1)
        return min(Decimal(watched_ns) / 1_000 / wall_us, Decimal(1)) if wall_us else Decimal(0)


def slices(account: Account, since: datetime, until: datetime) -> list[Slice]:
    """Return everything known of the whole minutes between `since` and `until`, oldest first; four queries.

    Closed hours come rolled up, the rest from its minutes, orders and fills. Minutes are kept for a week: of an older
    edge inside a rolled up hour only orders and fills are known, and it counts as not watched.
    """
    return _slices(account, since, until, with_rows=True)


def hours_in_force(account: Account, since: datetime, until: datetime) -> tuple[Decimal, bool]:
    """Return the hours in force in the market's time, and whether any of them was accelerated; two queries."""
    return measuring.hours_in_force(_slices(account, since, until, with_rows=False))


def measure(account: Account, metric: str, since: datetime, until: datetime) -> Measurement:
    """Return one metric of `account` from `since` to `until`.

    Raises:
        KeyError: there is no such metric.
    """
    wanted = (metric, Over.RUN)
    (found,) = measure_all(account, [wanted], since, until)[wanted]
    return found


def measure_all(
    account: Account, wanted: Collection[tuple[str, str]], since: datetime, until: datetime
) -> Mapping[tuple[str, str], list[Measurement]]:
    """Return every wanted (metric, window) of `account`; the windows are those of `measuring.Over`, as text.

    One measurement each; for "each of the last 3 days" one for every whole market day there is, oldest first, at most
    three. "last 3 days" of a run that is younger is all of it.

    Raises:
        KeyError: there is no such metric.
        ValueError: there is no such window.
    """
    windows = _windows(slices(account, since, until), since, until)
    materials = _materials(account, [window for some in windows.values() for window in some])
    query = Query(account.pk, _grids_by_style(materials))
    return {
        (metric, over): [_measure(metric, window, materials[id(window)], query) for window in windows[Over(over)]]
        for metric, over in wanted
    }


def _measure(metric: str, window: Window, material: Material, query: Query) -> Measurement:
    value, samples, detail, each = MEASURES[metric](material)
    return Measurement(
        metric=metric,
        value=value,
        samples=samples,
        coverage=window.coverage(material.facts.watched_ns),
        since=window.since,
        until=window.until,
        detail=detail,
        query=query.of(metric, window.since, window.until),
        each=each,
    )


# --- windows ----------------------------------------------------------------------------------------------------------


def _windows(found: Sequence[Slice], since: datetime, until: datetime) -> dict[Over, list[Window]]:
    """Return the windows of each kind; every slice is merged once, into its day."""
    older, days = days_of(found)
    before, facts = _merged(older), [_merged(day) for day in days]
    each = [Window(day[0].since, day[-1].until, _wall(day), EMPTY, [one]) for day, one in zip(days, facts, strict=True)]
    each = each[-DAYS:]
    if each:  # what has just happened belongs to the newest day, though its minute is not whole yet
        each[-1] = replace(each[-1], until=until)
    run = Window(since, until, _wall(found), before, facts)
    last = run
    if len(each) == DAYS:
        wall = sum((day.wall for day in each), timedelta())
        last = Window(each[0].since, until, wall, EMPTY, facts[-DAYS:])
    return {Over.RUN: [run], Over.LAST_3_DAYS: [last], Over.EACH_OF_3_DAYS: each}


def _merged(found: Iterable[Slice]) -> Facts:
    return merged(one.facts for one in found)


def _wall(found: Iterable[Slice]) -> timedelta:
    return sum((one.until - one.since for one in found), timedelta())


def _materials(account: Account, windows: Sequence[Window]) -> dict[int, Material]:
    """Return what the metrics of each window (by its identity) are computed from; two queries."""
    grids = list(Grid.objects.filter(account=account).values_list("symbol", "style", "enabled"))
    styles = {symbol: ExecutionStyle(style) for symbol, style, _ in grids}
    running = frozenset(symbol for symbol, _, enabled in grids if enabled)
    counts = _alerts(account, windows)
    return {
        id(window): Material.of(window.before, window.days, alerts=counts[number], styles=styles, running=running)
        for number, window in enumerate(windows)
    }


def _alerts(account: Account, windows: Sequence[Window]) -> list[dict[Severity, int]]:
    """Return how many alerts, those of all accounts included, last occurred in each window; one query."""
    wanted = {
        f"{severity}_{number}": Count("id", filter=Q(severity=severity, at__gte=window.since, at__lt=window.until))
        for number, window in enumerate(windows)
        for severity in JUDGED
    }
    mine = Alert.objects.filter(Q(account=account) | Q(account=None), severity__in=JUDGED)
    found = mine.aggregate(**wanted)
    return [{severity: found[f"{severity}_{number}"] for severity in JUDGED} for number, _ in enumerate(windows)]


def _grids_by_style(materials: Mapping[int, Material]) -> dict[ExecutionStyle, list[str]]:
    """Return every symbol any window has a fill rate of, by the style that says which."""
    found: dict[ExecutionStyle, list[str]] = {style: [] for style in ExecutionStyle}
    for material in materials.values():
        for symbol in sorted(material.running | material.facts.symbols.keys()):
            style = material.styles.get(symbol, ExecutionStyle.TAKER)
            if symbol not in found[style]:
                found[style].append(symbol)
    return found


# --- slices -----------------------------------------------------------------------------------------------------------


def _slices(account: Account, since: datetime, until: datetime, *, with_rows: bool) -> list[Slice]:
    begin, end = _up(since.astimezone(UTC)), until.astimezone(UTC).replace(second=0, microsecond=0)
    rolled = HourFacts.objects.filter(account=account, hour__gte=begin, hour__lte=end - HOUR).order_by("hour")
    known = [_rolled(hour, facts) for hour, facts in rolled.values_list("hour", "facts")]
    missing = _missing(begin, end, [hour[0].since for hour in known])
    read = rows.read if with_rows else rows.conduct
    fresh = read(account, missing) if missing else []
    return sorted([*(one for hour in known for one in hour), *fresh], key=lambda one: one.since)


def _rolled(hour: datetime, stored: Sequence[Mapping[str, Any]]) -> list[Slice]:
    begins = [hour + one["minute"] * MINUTE for one in stored]
    ends = [*begins[1:], hour + HOUR]
    return [
        Slice(since, until, Facts.from_json(one["facts"]))
        for since, until, one in zip(begins, ends, stored, strict=True)
    ]


def _missing(begin: datetime, end: datetime, hours: Iterable[datetime]) -> list[tuple[datetime, datetime]]:
    """Return the spans between `begin` and `end` that no rolled up hour covers."""
    found, reached = [], begin
    for hour in hours:
        if hour > reached:
            found.append((reached, hour))
        reached = hour + HOUR
    if end > reached:
        found.append((reached, end))
    return found


def _up(at: datetime) -> datetime:
    minute = at.replace(second=0, microsecond=0)
    return minute if minute == at else minute + MINUTE

"""What was measured of one account in one window; the gates believe nothing else.

However much was traded it is eight queries: rolled up hours, the minutes, fills and orders of what is not rolled up
yet (at most some two hours while the roll-up runs), alerts, grids, drills, comparisons.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from typing import Final

import orjson
from django.db import connection
from django.db.models import BooleanField, Count, F, Func, Q, TextField, Value
from django.db.models.functions import Cast

from trading.domain import drift, measuring
from trading.domain.alarms import OF_STRANGERS
from trading.domain.drills import Drill, judge
from trading.domain.events import Severity
from trading.domain.evidence import EMPTY, HOUR, METRICS, Facts, Measurement, Slice, hour_of, merged
from trading.domain.in_force import GridsInForce
from trading.domain.limits import ExecutionStyle
from trading.domain.measuring import MEASURES, Material, Over, Tried, days_of
from trading.models import Account, Alert, ConductSample, HaltDrill, HourFacts, PaperComparison
from trading.models import slices as rows
from trading.selectors import in_force
from trading.selectors.evidence_queries import Query
from trading.selectors.in_force import GridRow

MINUTE: Final = timedelta(minutes=1)
DAYS: Final = 3  # of the windows that are named after them
JUDGED: Final = (Severity.CRIT, Severity.WARN)
CRIT_ALERTS: Final = "crit_alerts"
# Reading what is stored takes several times as long as fetching it; a slice is some 15 kB, and the longest phase at the
# market's own speed has 672 of them.
_SLICES_KEPT: Final = 1_024

Measured = Mapping[tuple[str, str], list[Measurement]]  # (metric, window)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a transaction saw when it began a window: an alert that it did not see lies in it, whatever its time says.

    An alert tells when it happened and is seen when it is stored; between both another transaction may end a window.
    """

    snapshot: str = ""  # PostgreSQL's; empty: only time counts
    transaction: int = 0  # that took it

    @property
    def missed(self) -> Q:
        """What was stored by a transaction that this one neither was nor saw."""
        if not self.snapshot:
            return Q(pk__in=[])
        was_seen = Func(
            F("stored_in"), Value(self.snapshot), function="pg_visible_in_snapshot", arg_joiner="::text::xid8, ",
            template="%(function)s(%(expressions)s::pg_snapshot)", output_field=BooleanField(),
        )  # fmt: skip
        return ~Q(was_seen) & ~Q(stored_in=self.transaction)


ALL_SEEN: Final = Seen()


def seen_now() -> Seen:
    """Return what the transaction in force sees; ask before anything is measured."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_snapshot()::text, pg_current_xact_id()::text::bigint")
        snapshot, transaction = cursor.fetchone()
    return Seen(snapshot, transaction)


@dataclass(frozen=True, slots=True)
class Window:
    """One span of time that something is measured over."""

    since: datetime
    until: datetime
    wall: timedelta  # whole minutes inside of it
    before: Facts  # what lies before its oldest whole market day
    days: Sequence[Facts]  # its whole market days, oldest first
    seen: Seen = ALL_SEEN  # when it began

    @property
    def alerts(self) -> Q:
        """Alerts of this window."""
        return Q(at__lt=self.until) & (Q(at__gte=self.since) | self.seen.missed)

    def coverage(self, watched_ns: int) -> Decimal:
        """Return the watched part of it, 0 to 1."""
        wall_us = self.wall // timedelta(microseconds=1)
        return min(Decimal(watched_ns) / 1_000 / wall_us, Decimal(1)) if wall_us else Decimal(0)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is measured of one account for a gate, out of one reading."""

    measured: Measured
    hours_in_force: Decimal  # of the market
    accelerated: bool  # some of them were a replay faster than time
    grids: GridsInForce | None  # since the grids of the account last changed, however long ago; None: they never did


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


def measure_all(account: Account, wanted: Collection[tuple[str, str]], since: datetime, until: datetime) -> Measured:
    """Return every wanted (metric, window) of `account`; the windows are those of `measuring.Over`, as text.

    One measurement each; for "each of the last 3 days" one for every whole market day there is, oldest first, at most
    three. "last 3 days" of a run that is younger is all of it.

    Raises:
        KeyError: there is no such metric.
        ValueError: there is no such window.
    """
    return evidence(account, wanted, since, until).measured


def evidence(
    account: Account, wanted: Collection[tuple[str, str]], since: datetime, until: datetime, seen: Seen = ALL_SEEN
) -> Evidence:
    """Return what `measure_all` and `hours_in_force` do, in one reading of eight queries; `seen` when the window began.

    Raises:
        KeyError: there is no such metric.
        ValueError: there is no such window.
    """
    found = slices(account, since, until)
    windows = _windows(found, since, until, seen)
    each = [window for some in windows.values() for window in some]
    grids = in_force.grids(account, until)
    materials = _materials(account, grids, each, _drills(account, each))
    query = Query(account.pk, _grids_by_style(materials))
    whole = materials[id(windows[Over.RUN][0])].facts
    hours, accelerated = measuring.hours_in_force([Slice(since, until, whole)])
    measured = {
        (metric, over): [_measure(metric, window, materials[id(window)], query) for window in windows[Over(over)]]
        for metric, over in wanted
    }
    changed = in_force.last_change(grids)
    same = None if changed is None else in_force.since_change(changed, found, since, until, query)
    return Evidence(measured, hours, accelerated, same)


def material(account: Account, found: Sequence[Slice], since: datetime, until: datetime) -> Material:
    """Return what the metrics of the whole window but drills are computed from, out of its `slices`; three queries."""
    (run,) = _windows(found, since, until, ALL_SEEN)[Over.RUN]
    return _materials(account, in_force.grids(account, until), [run], [{}])[id(run)]


def watched_until(account: Account, until: datetime) -> datetime | None:
    """Return the end of the newest minute that was watched before `until`, None where none of the last week was."""
    seen = ConductSample.objects.filter(account=account, at__lt=until).order_by("-at").values_list("at", flat=True)
    newest = seen.first()
    return None if newest is None else newest + MINUTE


def crit_alerts(account: Account, since: datetime, until: datetime, seen: Seen = ALL_SEEN) -> Measured:
    """Return the CRIT alerts of the whole window and nothing else, in one query.

    Nothing is known of who watched it: with an alert that is a miss all the same, without one it is no data.
    """
    window = Window(since, until, timedelta(), EMPTY, [], seen)
    (counts,) = _alerts(account, [window])
    material = Material.of(EMPTY, [], alerts=counts, styles={}, running=frozenset())
    query = Query(account.pk, {style: [] for style in ExecutionStyle})
    return {(CRIT_ALERTS, Over.RUN.value): [_measure(CRIT_ALERTS, window, material, query)]}


def _measure(metric: str, window: Window, material: Material, query: Query) -> Measurement:
    facts = material.facts
    value, samples, detail, each = MEASURES[metric](material)
    return Measurement(
        metric=metric,
        value=value,
        samples=samples,
        coverage=window.coverage(facts.detailed_ns if METRICS[metric].is_detail else facts.watched_ns),
        since=window.since,
        until=window.until,
        detail=detail,
        query=query.of(metric, window.since, window.until, (window.seen.snapshot, window.seen.transaction)),
        each=each,
    )


# --- windows ----------------------------------------------------------------------------------------------------------


def _windows(found: Sequence[Slice], since: datetime, until: datetime, seen: Seen) -> dict[Over, list[Window]]:
    """Return the windows of each kind; every slice is merged once, into its day."""
    older, days = days_of(found)
    before, facts = _merged(older), [_merged(day) for day in days]
    each = [Window(day[0].since, day[-1].until, _wall(day), EMPTY, [one]) for day, one in zip(days, facts, strict=True)]
    each = each[-DAYS:]
    if each:  # what has just happened belongs to the newest day, though its minute is not whole yet
        each[-1] = replace(each[-1], until=until)
    run = Window(since, until, _wall(found), before, facts, seen)
    last = run
    if len(each) == DAYS:
        wall = sum((day.wall for day in each), timedelta())
        last = Window(each[0].since, until, wall, EMPTY, facts[-DAYS:])
    return {Over.RUN: [run], Over.LAST_3_DAYS: [last], Over.EACH_OF_3_DAYS: each}


def _merged(found: Iterable[Slice]) -> Facts:
    return merged(one.facts for one in found)


def _wall(found: Iterable[Slice]) -> timedelta:
    return sum((one.until - one.since for one in found), timedelta())


def _materials(
    account: Account,
    grids: Sequence[GridRow],
    windows: Sequence[Window],
    drills: Sequence[Mapping[Drill, Tried]],
) -> dict[int, Material]:
    """Return what the metrics of each window (by its identity) are computed from; two queries."""
    styles = {grid.symbol: grid.style for grid in grids}
    running = frozenset(grid.symbol for grid in grids if grid.enabled)
    compared = _compared(account, windows)
    return {
        id(window): Material.of(
            window.before, window.days, alerts=alerts, styles=styles, running=running, drills=tried, compared=both
        )
        for window, alerts, tried, both in zip(windows, _alerts(account, windows), drills, compared, strict=True)
    }


def _compared(account: Account, windows: Sequence[Window]) -> list[drift.Comparison | None]:
    """Return what the stretches that lie wholly in each window came to, beside their backtests; one query."""
    since, until = min(window.since for window in windows), max(window.until for window in windows)
    stored = list(PaperComparison.objects.filter(account=account, since__gte=since, until__lte=until).order_by("since"))
    return [
        drift.joined([one.comparison for one in stored if window.since <= one.since and one.until <= window.until])
        for window in windows
    ]


def _alerts(account: Account, windows: Sequence[Window]) -> list[dict[Severity, int]]:
    """Return how many alerts, those of all accounts included, last occurred in each window; one query."""
    wanted = {
        f"{severity}_{number}": Count("id", filter=Q(severity=severity) & window.alerts)
        for number, window in enumerate(windows)
        for severity in JUDGED
    }
    mine = Alert.objects.filter(Q(account=account) | Q(account=None), severity__in=JUDGED).exclude(
        code__in=OF_STRANGERS
    )
    found = mine.aggregate(**wanted)
    return [{severity: found[f"{severity}_{number}"] for severity in JUDGED} for number, _ in enumerate(windows)]


def _drills(account: Account, windows: Sequence[Window]) -> list[dict[Drill, Tried]]:
    """Return the newest drill of each kind that was asked for in each window; one query."""
    since, until = min(window.since for window in windows), max(window.until for window in windows)
    mine = HaltDrill.objects.filter(account=account, asked_at__gte=since, asked_at__lt=until).order_by("id")
    asked = list(mine.values_list("drill", "asked_at", "halt__latched_at", "halt__proven_clear_at"))
    return [
        {
            Drill(kind): Tried(judge(asked_at=at, latched_at=latched, proven_at=proven, at=window.until).outcome, at)
            for kind, at, latched, proven in asked
            if window.since <= at < window.until
        }
        for window in windows
    ]


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
    known = _rolled(account, begin, end)
    missing = _missing(begin, end, sorted({hour_of(one.since) for one in known}))
    read = rows.read if with_rows else rows.conduct
    fresh = read(account, missing) if missing else []
    return sorted([*known, *fresh], key=lambda one: one.since)


def _rolled(account: Account, begin: datetime, end: datetime) -> list[Slice]:
    """Return the slices of the rolled up hours from `begin` to `end`; the database takes their rows apart."""
    each = Cast(Func("facts", function="jsonb_array_elements", set_returning=True), TextField())
    stored = HourFacts.objects.filter(account=account, hour__gte=begin, hour__lte=end - HOUR).order_by("hour")
    found: list[Slice] = []
    for hour, texts in groupby(stored.values_list("hour", each), key=lambda row: row[0]):
        parts = sorted((_read(text) for _, text in texts), key=lambda part: part[0])
        begins = [hour + minute * MINUTE for minute, _ in parts]
        ends = [*begins[1:], hour + HOUR]
        found += map(Slice, begins, ends, (facts for _, facts in parts))
    return found


@lru_cache(_SLICES_KEPT)
def _read(text: str) -> tuple[int, Facts]:
    """Return the minute and the facts of one stored slice; they are shared, and nobody may change them."""
    stored = orjson.loads(text)
    return stored["minute"], Facts.from_json(stored["facts"])


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

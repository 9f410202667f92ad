"""What the market store holds: its series with their days, holes and last check."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from typing import Any, Final

from django.conf import settings

from trading.domain.history import SECOND_NS, Hole, Kind, Series, between
from trading.models import MarketPart

TAPE: Final = "tape"  # what the recorder has not sorted into days yet
_KEY: Final = ("kind", "venue", "symbol", "interval_s")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """One stored series."""

    kind: str
    venue: str
    symbol: str  # empty for what the recorder has not sorted yet
    interval_s: int
    days: int
    parts: int
    rows: int
    size: int  # bytes
    first_ns: int
    last_ns: int
    holes: int
    lost: int
    checked_at: datetime | None  # the oldest check of its parts; None where one was never checked
    problems: tuple[str, ...]
    tick_size: str
    lot_size: str
    steps_from: str

    @property
    def bytes_per_row(self) -> float:
        """Stored bytes a row."""
        return self.size / self.rows if self.rows else 0.0

    @property
    def rows_text(self) -> str:
        """Rows as people read them."""
        return f"{self.rows:,}"

    @property
    def bytes_text(self) -> str:
        """Bytes a row as people read them."""
        return f"{self.bytes_per_row:.2f}"

    @property
    def first_at(self) -> datetime:
        """Time of the first row."""
        return moment(self.first_ns)

    @property
    def last_at(self) -> datetime:
        """Time of the last row."""
        return moment(self.last_ns)

    @property
    def name(self) -> str:
        """As people write it."""
        interval = f"-{self.interval_s}s" if self.interval_s else ""
        return "/".join(word for word in (f"{self.kind}{interval}", self.venue, self.symbol) if word)

    def as_json(self) -> dict[str, Any]:
        """Return the line for machines."""
        return {
            "series": self.name,
            "kind": self.kind,
            "venue": self.venue,
            "symbol": self.symbol,
            "interval_s": self.interval_s,
            "days": self.days,
            "parts": self.parts,
            "rows": self.rows,
            "bytes": self.size,
            "bytes_per_row": round(self.bytes_per_row, 3),
            "first": iso(self.first_ns),
            "last": iso(self.last_ns),
            "holes": self.holes,
            "lost": self.lost,
            "checked_at": self.checked_at.isoformat() if self.checked_at else None,
            "problems": list(self.problems),
            "tick_size": self.tick_size,
            "lot_size": self.lot_size,
            "steps_from": self.steps_from,
        }


@dataclass(frozen=True, slots=True)
class GapLine:
    """One hole of one series."""

    series: str
    hole: Hole
    between_parts: bool

    @property
    def from_at(self) -> datetime:
        """When it begins."""
        return moment(self.hole.from_ns)

    @property
    def until_at(self) -> datetime:
        """When it ends."""
        return moment(self.hole.until_ns)

    @property
    def missing_text(self) -> str:
        """How many rows are missing, as people read it."""
        return f"{self.hole.missing:,}" if self.hole.missing else "not known"

    @property
    def length(self) -> str:
        """How long it is, as people say it."""
        seconds = (self.hole.until_ns - self.hole.from_ns) / SECOND_NS
        for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
            if seconds >= 2 * size:
                return f"{seconds / size:.1f} {unit}"
        return f"{seconds:.1f} s"

    def as_json(self) -> dict[str, Any]:
        """Return the line for machines; `missing` is None where nothing tells how many."""
        return {
            "series": self.series,
            "from": iso(self.hole.from_ns),
            "until": iso(self.hole.until_ns),
            "seconds": round((self.hole.until_ns - self.hole.from_ns) / SECOND_NS, 3),
            "missing": self.hole.missing or None,
        }


def moment(at_ns: int) -> datetime:
    """Return ns since 1970 as an aware datetime, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=at_ns // 1_000)


def iso(at_ns: int) -> str:
    """Return ns since 1970 as 2024-08-08T23:54:15.123456Z."""
    return f"{moment(at_ns):%Y-%m-%dT%H:%M:%S.%f}Z"


def _parts(symbol: str = "", venue: str = "", kind: str = "") -> list[list[MarketPart]]:
    wanted = {name: value for name, value in (("symbol", symbol), ("venue", venue), ("kind", kind)) if value}
    rows = MarketPart.objects.filter(**wanted).order_by(*_KEY, "first_at_ns")
    return [list(group) for _, group in groupby(rows, key=lambda row: tuple(getattr(row, name) for name in _KEY))]


def series_lines(symbol: str = "", venue: str = "", kind: str = "") -> list[SeriesLine]:
    """Return every stored series, in one query."""
    return [_line(rows) for rows in _parts(symbol, venue, kind)]


def _line(rows: Sequence[MarketPart]) -> SeriesLine:
    newest = rows[-1]
    checks = [row.checked_at for row in rows]
    return SeriesLine(
        kind=newest.kind,
        venue=newest.venue,
        symbol=newest.symbol,
        interval_s=newest.interval_s,
        days=len({row.day for row in rows}),
        parts=len(rows),
        rows=sum(row.rows for row in rows),
        size=sum(row.size for row in rows),
        first_ns=rows[0].first_at_ns,
        last_ns=max(row.last_at_ns for row in rows),
        holes=sum(row.hole_count for row in rows) + len(_joints(rows)),
        lost=sum(row.lost for row in rows),
        checked_at=min(found) if len(found := [at for at in checks if at]) == len(checks) else None,
        problems=tuple(row.problem for row in rows if row.problem),
        tick_size=f"{newest.tick_size.normalize():f}",
        lot_size=f"{newest.lot_size.normalize():f}",
        steps_from=newest.steps_from,
    )


def _joints(rows: Sequence[MarketPart]) -> list[Hole]:
    """Return the holes between parts that follow each other."""
    if rows[0].kind == TAPE:
        return []
    series = Series(Kind(rows[0].kind), rows[0].venue, rows[0].symbol, rows[0].interval_s)
    found = (
        between((before.last_at_ns, before.last_id), (after.first_at_ns, after.first_id), series)
        for before, after in pairwise(rows)
    )
    return [hole for hole in found if hole is not None]


def gap_lines(symbol: str = "", venue: str = "", kind: str = "") -> list[GapLine]:
    """Return every hole of every chosen series, in order of time."""
    return [line for rows in _parts(symbol, venue, kind) for line in _gaps(rows)]


def _gaps(rows: Sequence[MarketPart]) -> list[GapLine]:
    name = _line(rows).name
    inside = [GapLine(name, Hole(*hole), False) for row in rows for hole in row.holes]
    joints = [GapLine(name, hole, True) for hole in _joints(rows)]
    return sorted(inside + joints, key=lambda line: line.hole.from_ns)


# --- the page -----------------------------------------------------------------------------------------------------


WIDTH: Final = 1_000  # units of a coverage bar
NARROWEST: Final = 2.0  # of them: what is shorter would not be seen
DRAWN: Final = 200  # holes of one bar
SHOWN_GAPS: Final = 12


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a coverage bar, in units of its width."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """One series on the page: its line, and where between its first and last row it has rows and holes."""

    line: SeriesLine
    stretches: tuple[Stretch, ...]
    holes: tuple[Stretch, ...]

    @property
    def words(self) -> str:
        """What the picture shows."""
        holes = f"{self.line.holes} holes" if self.line.holes else "no hole"
        return f"{self.line.name}: {self.line.first_at:%Y-%m-%d} to {self.line.last_at:%Y-%m-%d}, {holes}"


@dataclass(frozen=True, slots=True)
class Room:
    """What recordings take, and may take."""

    is_on: bool
    used_mb: float
    limit_mb: int
    days: int

    @property
    def words(self) -> str:
        """As people read it."""
        kept = f"{self.used_mb:,.1f} of {self.limit_mb:,} MB, kept for {self.days} days"
        return f"recording: {kept}" if self.is_on else f"recording is switched off (GRIDCONSOLE_RECORD); {kept}"


@dataclass(frozen=True, slots=True)
class DataPage:
    """Everything the page shows."""

    covers: tuple[Coverage, ...]
    gaps: tuple[GapLine, ...]  # the longest
    gap_count: int
    room: Room


def page() -> DataPage:
    """Return every series with its picture and the longest holes, in one query."""
    groups = _parts()
    recorded = sum(row.size for rows in groups for row in rows if row.source == MarketPart.Source.RECORDER)
    room = Room(settings.RECORD_MARKET, recorded / 1_000_000, settings.RECORD_MAX_MB, settings.RECORD_DAYS)
    if not groups:
        return DataPage((), (), 0, room)
    gaps = [line for rows in groups for line in _gaps(rows)]
    longest = sorted(gaps, key=lambda line: line.hole.from_ns - line.hole.until_ns)[:SHOWN_GAPS]
    return DataPage(tuple(_cover(rows) for rows in groups), tuple(longest), len(gaps), room)


def _cover(rows: Sequence[MarketPart]) -> Coverage:
    first_ns = rows[0].first_at_ns
    span_ns = max(1, max(row.last_at_ns for row in rows) - first_ns)

    def stretch(begin_ns: int, end_ns: int) -> Stretch:
        x = WIDTH * (begin_ns - first_ns) / span_ns
        width = max(NARROWEST, WIDTH * (end_ns - begin_ns) / span_ns)
        return Stretch(round(min(x, WIDTH - width), 2), round(width, 2))

    spans = _merged((row.first_at_ns, row.last_at_ns) for row in rows)
    holes = sorted((line.hole for line in _gaps(rows)), key=lambda hole: hole.from_ns - hole.until_ns)[:DRAWN]
    return Coverage(
        _line(rows),
        tuple(stretch(*span) for span in spans),
        tuple(stretch(hole.from_ns, hole.until_ns) for hole in holes),
    )


JOINS_NS: Final = 3_600 * SECOND_NS  # parts nearer to each other are drawn as one; their holes are drawn above


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for begin, end in spans:
        if found and begin - found[-1][1] <= JOINS_NS:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found

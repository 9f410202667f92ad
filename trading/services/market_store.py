"""Take files of market history into the store, whole or not at all, and hold what is stored against its hash."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from trading.adapters import store_tape
from trading.adapters.history_columns import Unreadable
from trading.adapters.history_files import HistoryFile
from trading.adapters.history_names import Meaning, kind_named, meaning_of
from trading.adapters.history_rows import Decoded, Decoder, Measure
from trading.adapters.store_parquet import (
    EPOCH,
    Origin,
    ParquetStore,
    Part,
    PartBroken,
    Staging,
    StoreError,
    day_text,
    file_hash,
)
from trading.domain.history import SECOND_NS, Hole, Kind, Problem, Series, Steps, Unsound
from trading.domain.soundness import Checker
from trading.models import MarketImport, MarketPart, VenueInstrument
from trading.services import audit

LOCK: Final = 0x6D61726B6574  # one writer of the catalogue at a time; readers are not held up
TAPE: Final = "tape"  # a flush of the recorder
INSTRUMENT_VENUES: Final = {"binance-spot": "binance"}  # whose steps the table of instruments has

Progress = Callable[[float, int], None]  # told the fraction done (0..1) and the rows so far


class UnableToImport(Exception):
    """The file was refused and nothing of it is stored; the message names line, field, reason and what to do."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A file and what a person says of it; empty where the name of the file is to say it."""

    path: Path
    symbol: str = ""
    venue: str = ""
    kind: str = ""
    interval: str = ""
    again: bool = False  # replace what is stored of the same time
    only_market: bool = False  # leave out what was not traded on the market


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one file."""

    row: MarketImport
    parts: tuple[Part, ...]
    steps: Steps
    numbered: bool  # it had no ids: rows are counted
    replaced: int  # parts that gave way


@dataclass(frozen=True, slots=True)
class _Survey:
    """What the first reading of a file found: it is sound."""

    series: Series
    steps: Steps
    clock: str
    rows: int
    left_out: int
    numbered: bool


def store() -> ParquetStore:
    """Return the store of this installation."""
    return ParquetStore(Path(settings.MARKET_STORE_DIR))


def import_file(*, wish: Wish, by: str, at: datetime, progress: Progress | None = None) -> Imported:
    """Read `wish.path` twice, first to check all of it, then to store it; catalogue and audit row come together.

    Raises:
        UnableToImport: it cannot be read, breaks a rule, or is stored already.
    """
    tell = progress or (lambda fraction, rows: None)
    try:
        return _import(wish, by, at, tell)
    except (Unreadable, StoreError) as error:
        raise UnableToImport(f"{wish.path.name}: {error} Nothing was stored.") from error


def _import(wish: Wish, by: str, at: datetime, tell: Progress) -> Imported:
    known = set(VenueInstrument.objects.values_list("symbol", flat=True))
    name = wish.path.name
    meaning = meaning_of(name, symbol=wish.symbol, venue=wish.venue, interval=wish.interval, known=known)
    file = HistoryFile(wish.path, kind=kind_named(wish.kind), dump=meaning.dump)
    digest = file_hash(wish.path)
    if not wish.again:
        _refuse_stored(digest, symbol=meaning.symbol, venue=meaning.venue, kind=wish.kind)
    survey = _survey(file, meaning, wish, lambda fraction, rows: tell(fraction / 2, rows))
    origin = Origin("file", survey.clock)
    staging = store().stage({survey.series.symbol: survey.steps}, origin)
    try:
        _write(file, survey, wish, staging, lambda fraction, rows: tell(0.5 + fraction / 2, rows))
        with transaction.atomic():
            return _catalogue(wish, file, digest, survey, staging, by, at)
    except BaseException:
        staging.abandon()
        raise


def _refuse_stored(digest: str, *, symbol: str, venue: str, kind: str) -> None:
    """Refuse bytes that were imported before; one file may hold several symbols and kinds, each imported once."""
    asked = {"kind": kind} if kind else {}
    before = MarketImport.objects.filter(sha256=digest, symbol=symbol, venue=venue, **asked).first()
    if before is not None:
        raise Unreadable(
            f"the same bytes were imported as {before.file_name} at {before.at:%Y-%m-%d %H:%M} UTC; "
            "--again stores them anew."
        )


def _refusal(problem: Problem, where: Callable[[int], str]) -> Unreadable:
    more = f" ({problem.count:,} such rows in this stretch)" if problem.count > 1 else ""
    return Unreadable(f"{where(problem.row)}: {problem.field}: {problem.reason}{more}. {problem.remedy}")


def _survey(file: HistoryFile, meaning: Meaning, wish: Wish, tell: Progress) -> _Survey:
    """Read the whole file once and check it."""
    decoder = Decoder(meaning.symbol, wish.only_market)
    measure, known = Measure(), _known_steps(meaning)
    series: Series | None = None
    checker = Checker(Kind.TRADES)
    for kind, decoded, where in _blocks(file, decoder, tell):
        if series is None:
            series = _series(kind, meaning)
            checker = Checker(kind, series.interval_s * SECOND_NS)
        _feed(checker, decoded, where)
        measure.feed(decoded, known)
    if series is None:
        others = ", ".join(sorted(decoder.others)[:8])
        raise Unreadable(f"no row is about {meaning.symbol}; the file has {others or 'none'}. Give one with --symbol.")
    steps = known if known is not None and measure.fits else _measured(measure)
    return _Survey(series, steps, decoder.clock, checker.rows, decoder.left_out, decoder.numbered)


def _blocks(
    file: HistoryFile, decoder: Decoder, tell: Progress
) -> Iterator[tuple[Kind, Decoded, Callable[[int], str]]]:
    """Yield every block as rows, with where they stand; what cannot be read is refused with its line."""
    rows, position = 0, 0

    def tick(at: int) -> None:
        nonlocal position
        position = at

    for shape, block in file.blocks(tick):
        try:
            decoded = decoder.decode(shape, block)
        except Unsound as error:
            raise _refusal(error.problem, block.where) from error
        rows += len(decoded.places)
        tell(min(1.0, position / file.size), rows)
        if len(decoded.places):
            yield shape.kind, decoded, block.where


def _feed(checker: Checker, decoded: Decoded, where: Callable[[int], str]) -> None:
    before = checker.rows
    try:
        checker.feed(decoded.rows)
    except Unsound as error:
        places = decoded.places
        raise _refusal(error.problem, lambda row: where(int(places[row - before]))) from error


def _series(kind: Kind, meaning: Meaning) -> Series:
    if kind is Kind.BARS and not meaning.interval_s:
        raise Unreadable("its name does not say how long a bar is; give it with --interval, such as 1m.")
    return Series(kind, meaning.venue, meaning.symbol, meaning.interval_s if kind is Kind.BARS else 0)


def _known_steps(meaning: Meaning) -> Steps | None:
    venue = INSTRUMENT_VENUES.get(meaning.venue, meaning.venue)
    row = VenueInstrument.objects.filter(venue=venue, symbol=meaning.symbol).first()
    return Steps(row.tick_size.normalize(), row.lot_size.normalize(), "instrument") if row else None


def _measured(measure: Measure) -> Steps:
    one = Decimal(1)
    return Steps(one.scaleb(-measure.price_decimals), one.scaleb(-measure.quantity_decimals), "data")


def _write(file: HistoryFile, survey: _Survey, wish: Wish, staging: Staging, tell: Progress) -> None:
    """Read the file again and stage every row."""
    decoder = Decoder(survey.series.symbol, wish.only_market)
    for _, decoded, where in _blocks(file, decoder, tell):
        try:
            staging.add(survey.series, decoded.in_steps(survey.steps))
        except Unsound as error:  # it was sound a moment ago
            raise Unreadable(f"{where(0)}: the file changed while it was read; import it again.") from error


def _catalogue(
    wish: Wish, file: HistoryFile, digest: str, survey: _Survey, staging: Staging, by: str, at: datetime
) -> Imported:
    """Give the parts their names and write them down, under the lock of the catalogue."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    if not wish.again:
        _refuse_stored(digest, symbol=survey.series.symbol, venue=survey.series.venue, kind=survey.series.kind)
    parts = staging.commit()
    replaced = _make_room(survey.series, parts, wish.again)
    row = MarketImport.objects.create(
        file_name=file.path.name[:255],
        sha256=digest,
        size=file.size,
        kind=survey.series.kind,
        venue=survey.series.venue,
        symbol=survey.series.symbol,
        interval_s=survey.series.interval_s,
        rows=sum(part.rows for part in parts),
        left_out=survey.left_out,
        hole_count=sum(part.hole_count for part in parts),
        first_at_ns=parts[0].first_ns,
        last_at_ns=parts[-1].last_ns,
        by=by,
        at=at,
    )
    kept = [as_row(part, source=MarketPart.Source.FILE, at=at, imported=row) for part in parts]
    MarketPart.objects.bulk_create(kept)
    payload = {"file": row.file_name, "sha256": digest, "rows": row.rows, "parts": len(parts), "replaced": replaced}
    audit.record(actor=by, action="data.imported", subject=f"data:{survey.series.name}", payload=payload, at=at)
    return Imported(row, tuple(parts), survey.steps, survey.numbered, replaced)


def _make_room(series: Series, parts: Sequence[Part], again: bool) -> int:
    """Refuse parts whose time is stored already, or let those give way.

    A file that gives way is removed when the catalogue no longer names it; one with the same bytes stays as it is.
    """
    stored = of_series(series)
    inside = [
        row
        for row in stored.filter(first_at_ns__lte=parts[-1].last_ns, last_at_ns__gte=parts[0].first_ns)
        if any(row.first_at_ns <= part.last_ns and part.first_ns <= row.last_at_ns for part in parts)
    ]
    if inside and not again:
        row = inside[0]
        whence = row.imported.file_name if row.imported else "the recorder"
        raise Unreadable(
            f"{row.day} of {series.name} is stored already, from {whence}; --again puts this in its place."
        )
    new = {part.path for part in parts}
    for row in inside:
        if row.path not in new:
            transaction.on_commit(partial(store().remove, row.path))
    MarketPart.objects.filter(pk__in=[row.pk for row in inside]).delete()
    return len(inside)


def of_series(series: Series) -> QuerySet[MarketPart]:
    """Return the stored parts of one series, in order of time."""
    return MarketPart.objects.filter(
        kind=series.kind, venue=series.venue, symbol=series.symbol, interval_s=series.interval_s
    ).order_by("first_at_ns")


def as_row(part: Part, *, source: str, at: datetime, imported: MarketImport | None = None, lost: int = 0) -> MarketPart:
    """Return the catalogue's row of a part, not saved yet."""
    return MarketPart(
        source=source,
        imported=imported,
        kind=part.series.kind,
        venue=part.series.venue,
        symbol=part.series.symbol,
        interval_s=part.series.interval_s,
        day=day_text(part.day),
        path=part.path,
        sha256=part.sha256,
        size=part.bytes,
        rows=part.rows,
        first_at_ns=part.first_ns,
        last_at_ns=part.last_ns,
        first_id=part.first_id,
        last_id=part.last_id,
        tick_size=part.steps.tick_size,
        lot_size=part.steps.lot_size,
        steps_from=part.steps.origin,
        holes=[[hole.from_ns, hole.until_ns, hole.missing] for hole in part.holes],
        hole_count=part.hole_count,
        lost=lost,
        stored_at=at,
    )


def as_part(row: MarketPart) -> Part:
    """Return a row of the catalogue as the store knows it."""
    series = Series(Kind(row.kind), row.venue, row.symbol, row.interval_s)
    return Part(
        series=series,
        day=(datetime(row.day.year, row.day.month, row.day.day, tzinfo=UTC) - EPOCH).days,
        path=row.path,
        sha256=row.sha256,
        bytes=row.size,
        rows=row.rows,
        first_ns=row.first_at_ns,
        last_ns=row.last_at_ns,
        first_id=row.first_id,
        last_id=row.last_id,
        steps=Steps(row.tick_size.normalize(), row.lot_size.normalize(), row.steps_from),
        holes=tuple(Hole(*hole) for hole in row.holes),
        hole_count=row.hole_count,
    )


# --- checking -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checked:
    """What reading the store again found."""

    parts: int
    rows: int
    problems: tuple[str, ...]
    orphans: tuple[str, ...]  # files that the catalogue does not name: nobody reads them


def check(
    *, symbol: str = "", venue: str = "", kind: str = "", at: datetime, progress: Progress | None = None
) -> Checked:
    """Read every stored part again, hold it against its hash and its rules, and keep what was found with it."""
    tell = progress or (lambda fraction, rows: None)
    wanted = {name: value for name, value in (("symbol", symbol), ("venue", venue), ("kind", kind)) if value}
    place, rows, problems = store(), 0, []
    found = list(MarketPart.objects.filter(**wanted))
    for done, row in enumerate(found):
        tell(done / len(found), rows)
        problem = _problem_of(place, row)
        rows += row.rows
        problems += [problem] if problem else []
        MarketPart.objects.filter(pk=row.pk).update(checked_at=at, problem=problem[:300])
    known = set(MarketPart.objects.values_list("path", flat=True))
    return Checked(len(found), rows, tuple(problems), tuple(place.orphans(known)))


def _problem_of(place: ParquetStore, row: MarketPart) -> str:
    try:
        if row.kind == TAPE:
            _check_tape(place, row)
        else:
            place.check(as_part(row))
    except PartBroken as error:
        return str(error)
    return ""


def _check_tape(place: ParquetStore, row: MarketPart) -> None:
    found = store_tape.described(place.root, row.path)
    if (found.sha256, found.rows) != (row.sha256, row.rows):
        raise PartBroken(f"{row.path}: its bytes are not those stored. It is a recording: nothing can bring it back.")

"""What the desk itself saw: stored flush by flush, sorted into days when they are over, bounded, and read back."""

import heapq
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, Sum

from trading.adapters import store_tape
from trading.adapters.recorder import Segment, Tape
from trading.adapters.store_parquet import Origin, PartBroken, Staging, StoreError, day_text
from trading.adapters.store_tape import StoredTape, TapePart
from trading.domain.history import Kind, Series, Steps, Unsound
from trading.domain.instruments import Instrument
from trading.domain.market import BookTop, MarketEvent, Trade
from trading.models import MarketPart
from trading.services import audit
from trading.services.market_store import LOCK, TAPE, as_row, store

log = logging.getLogger(__name__)

MB: Final = 1_000_000
FORGOTTEN_S: Final = 300.0  # a file without a row that is older was left by a crash between the two
STAGED_S: Final = 3_600.0  # nobody writes for longer
RECORDER: Final = MarketPart.Source.RECORDER


class UnableToRead(Exception):
    """What was recorded cannot be read back; the message names the part and what to do."""


def steps_of(instruments: Mapping[str, Instrument]) -> dict[str, Steps]:
    """Return the steps of what is recorded, as the venue says."""
    return {
        symbol: Steps(one.tick_size.normalize(), one.lot_size.normalize(), "instrument")
        for symbol, one in instruments.items()
    }


def keep(tape: Tape, *, venue: str, steps: Mapping[str, Steps]) -> None:
    """Store one flush; the recorder's thread calls this. The file counts even where the catalogue is away just now.

    Raises:
        StoreError: the file could not be written; nothing of it is left.
    """
    parts = store_tape.write(store().root, tape, venue=venue, steps=steps)
    try:
        MarketPart.objects.bulk_create([_tape_row(part, datetime.now(UTC)) for part in parts])
    except Exception:  # whatever the database says: `tend` finds the file
        log.exception("a recording is stored, but not in the catalogue yet")
    finally:
        connection.close()  # once a minute: not worth a connection held open


def _tape_row(part: TapePart, at: datetime) -> MarketPart:
    return MarketPart(
        source=RECORDER,
        kind=TAPE,
        venue=part.venue,
        day=day_text(part.day),
        path=part.path,
        sha256=part.sha256,
        size=part.bytes,
        rows=part.rows,
        first_at_ns=part.first_ns,
        last_at_ns=part.last_ns,
        lost=part.lost,
        stored_at=at,
    )


# --- housekeeping -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tended:
    """What housekeeping did."""

    adopted: int  # files the catalogue did not know
    sorted_days: int
    pruned: int  # parts


def tend(at: datetime) -> Tended:
    """Adopt what a crash left out of the catalogue, sort days that are over, and stay within age and room."""
    place = store()
    place.clear_staging(STAGED_S, at.timestamp())
    adopted = _adopt(at)
    days = MarketPart.objects.filter(kind=TAPE, day__lt=at.date()).values_list("venue", "day").distinct()
    sorted_days = sum(sort_day(venue=venue, day=day, at=at) for venue, day in days.order_by("venue", "day"))
    return Tended(adopted, sorted_days, prune(at))


def _adopt(at: datetime) -> int:
    place = store()
    known = set(MarketPart.objects.filter(kind=TAPE).values_list("path", flat=True))
    count = 0
    for path in place.orphans(known):
        if path.startswith(f"kind={TAPE}/") and at.timestamp() - (place.root / path).stat().st_mtime > FORGOTTEN_S:
            with suppress(PartBroken):  # `data check` lists it
                MarketPart.objects.bulk_create(
                    [_tape_row(store_tape.described(place.root, path), at)], ignore_conflicts=True
                )
                count += 1
    return count


def sort_day(*, venue: str, day: date, at: datetime) -> bool:
    """Turn the flushes of one day into one part for each series; False where they cannot be read.

    Files and rows of the flushes go only when the new parts are in the catalogue.
    """
    rows = list(MarketPart.objects.filter(kind=TAPE, venue=venue, day=day).order_by("first_at_ns", "pk"))
    staging: Staging | None = None
    try:
        steps, segments = _common(rows)
        staging = store().stage(steps, Origin("recorder", "received", tuple(asdict(one) for one in segments)))
        for row in rows:
            for series, block in _in_steps(store_tape.read(store().root, row.path), steps):
                staging.add(series, block)
        with transaction.atomic():
            _replace(rows, staging, at)
    except (PartBroken, StoreError, Unsound) as error:
        if staging is not None:
            staging.abandon()
        log.error("the recording of %s at %s stays unsorted: %s", day, venue, error)
        MarketPart.objects.filter(pk__in=[row.pk for row in rows]).update(problem=str(error)[:300])
        return False
    except BaseException:
        if staging is not None:
            staging.abandon()
        raise
    return True


def _common(rows: Sequence[MarketPart]) -> tuple[dict[str, Steps], list[Segment]]:
    """Return the finest steps of the day, by symbol, and its segments in order."""
    steps: dict[str, Steps] = {}
    segments: dict[int, Segment] = {}
    for row in rows:
        about = store().about(row.path)
        for symbol, one in store_tape.steps_of(about).items():
            known = steps.get(symbol, one)
            tick, lot = min(known.tick_size, one.tick_size), min(known.lot_size, one.lot_size)
            steps[symbol] = Steps(tick, lot, one.origin)
        segments |= {segment.at_ns: segment for segment in store_tape.segments_of(about)}
    return steps, [segments[at_ns] for at_ns in sorted(segments)]


def _in_steps(tape: StoredTape, steps: Mapping[str, Steps]) -> Iterator[tuple[Series, dict[str, Any]]]:
    """Yield the series of a flush in the steps of the whole day: the venue may have changed them meanwhile."""
    for series, rows in tape.series():
        wanted, found = steps[series.symbol], tape.steps[series.symbol]
        ticks, lots = factor(found.tick_size, wanted.tick_size), factor(found.lot_size, wanted.lot_size)
        factors = {"_ticks": ticks, "_lots": lots}
        yield series, {name: _scaled(name, values, factors) for name, values in rows.items()}


def factor(found: Decimal, wanted: Decimal) -> int:
    """Return how many of the finer steps `wanted` one of `found` is.

    Raises:
        StoreError: they have no common measure.
    """
    if found % wanted:
        raise StoreError(f"the steps {found} and {wanted} of one day have no common measure.")
    return int(found / wanted)


def _scaled(name: str, values: Any, factors: Mapping[str, int]) -> Any:
    factor = next((factor for ending, factor in factors.items() if name.endswith(ending)), 1)
    return values if factor == 1 else values * factor


def _replace(rows: Sequence[MarketPart], staging: Staging, at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    parts = staging.commit()
    lost = sum(row.lost for row in rows)
    made = [as_row(part, source=RECORDER, at=at) for part in parts]
    if made:
        made[0].lost = lost  # of the day, told once
    MarketPart.objects.bulk_create(made)
    MarketPart.objects.filter(pk__in=[row.pk for row in rows]).delete()
    for row in rows:
        transaction.on_commit(partial(store().remove, row.path))


def prune(at: datetime) -> int:
    """Remove recordings that are too old, then the oldest until the others fit; return how many parts went."""
    recorded = MarketPart.objects.filter(source=RECORDER)
    before = (at - timedelta(days=settings.RECORD_DAYS)).date()
    rows = list(recorded.filter(day__lt=before))
    excess = (recorded.filter(day__gte=before).aggregate(size=Sum("size"))["size"] or 0) - settings.RECORD_MAX_MB * MB
    for row in recorded.filter(day__gte=before).order_by("first_at_ns", "pk"):
        if excess <= 0:
            break
        rows.append(row)
        excess -= row.size
    if rows:
        _remove(rows, at)
    return len(rows)


def _remove(rows: Sequence[MarketPart], at: datetime) -> None:
    size = sum(row.size for row in rows)
    days = sorted({row.day.isoformat() for row in rows})
    payload = {"parts": len(rows), "bytes": size, "first_day": days[0], "last_day": days[-1]}
    with transaction.atomic():
        MarketPart.objects.filter(pk__in=[row.pk for row in rows]).delete()
        audit.record(actor="housekeeping", action="data.pruned", subject="data:recordings", payload=payload, at=at)
        for row in rows:
            transaction.on_commit(partial(store().remove, row.path))


# --- reading back -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event as it was recorded; events with the same `segment_ns` continue each other."""

    segment_ns: int
    sequence: int
    event: MarketEvent


def recorded(symbols: Iterable[str], from_ns: int, to_ns: int, *, venue: str = "") -> Iterator[MarketEvent]:
    """Yield the tops and trades that the desk decided on, in the order they were received.

    `from_ns` <= received < `to_ns`; `venue` is this installation's own unless another is given. Prices are in the
    ticks, quantities in the lots that the venue had then. Seams are not told: see `recorded_in_segments`.

    Raises:
        UnableToRead: a part is gone or broken.
    """
    return (one.event for one in recorded_in_segments(symbols, from_ns, to_ns, venue=venue))


def recorded_in_segments(symbols: Iterable[str], from_ns: int, to_ns: int, *, venue: str = "") -> Iterator[Recorded]:
    """Yield what `recorded` yields with its segment: at a new one prices or numbers do not continue those before.

    Raises:
        UnableToRead: a part is gone or broken.
    """
    wanted = frozenset(symbols)
    rows = overlapping(wanted, from_ns, to_ns, venue)
    streams: dict[tuple[str, str], list[MarketPart]] = {}
    for row in rows:
        streams.setdefault((row.kind, row.symbol), []).append(row)
    try:
        for one in heapq.merge(*(_stream(parts, wanted) for parts in streams.values()), key=_place):
            received_ns = one.event.received_at_ns
            if from_ns <= received_ns < to_ns:
                yield one
    except PartBroken as error:
        raise UnableToRead(str(error)) from error


def overlapping(symbols: Iterable[str], from_ns: int, to_ns: int, venue: str = "") -> list[MarketPart]:
    """Return the recorded parts that touch a span of time and may hold `symbols`, in order of time."""
    return list(
        MarketPart.objects.filter(
            Q(kind=TAPE) | Q(kind__in=(Kind.TRADES, Kind.TOPS), symbol__in=symbols),
            source=RECORDER,
            venue=venue or settings.VENUE,
            first_at_ns__lt=to_ns,
            last_at_ns__gte=from_ns,
        ).order_by("day", "first_at_ns")
    )


def _place(one: Recorded) -> tuple[int, int]:
    return one.segment_ns, one.sequence


def _stream(parts: Sequence[MarketPart], wanted: frozenset[str]) -> Iterator[Recorded]:
    for part in parts:
        if part.kind == TAPE:
            yield from _of_tape(store_tape.read(store().root, part.path), wanted)
        else:
            for block in store().blocks(part.path):
                yield from _events(Kind(part.kind), part.symbol, block)


def _of_tape(tape: StoredTape, wanted: frozenset[str]) -> Iterator[Recorded]:
    found = [_events(series.kind, series.symbol, rows) for series, rows in tape.series() if series.symbol in wanted]
    return heapq.merge(*found, key=_place)


def _events(kind: Kind, symbol: str, rows: Mapping[str, Any]) -> Iterator[Recorded]:
    names = (
        ("price_ticks", "quantity_lots", "buyer_is_maker", "trade_id")
        if kind is Kind.TRADES
        else ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots", "update_id")
    )
    columns = [rows[name].tolist() for name in ("segment_ns", "sequence", "at_ns", "venue_at_ns", *names)]
    for segment, sequence, received, venue_at, *values in zip(*columns, strict=True):
        if kind is Kind.TRADES:
            price, lots, maker, number = values
            event: MarketEvent = Trade(symbol, price, lots, bool(maker), number, venue_at, received)
        else:
            bid, bid_lots, ask, ask_lots, number = values
            event = BookTop(symbol, bid, bid_lots, ask, ask_lots, number, venue_at, received)
        yield Recorded(segment, sequence, event)


def segments(from_ns: int, to_ns: int, *, venue: str = "") -> list[Segment]:
    """Return the segments that touch a span of time, in order, with why each does not continue the one before.

    Raises:
        UnableToRead: a part is gone or broken.
    """
    rows = MarketPart.objects.filter(
        source=RECORDER, venue=venue or settings.VENUE, first_at_ns__lt=to_ns, last_at_ns__gte=from_ns
    )
    found: dict[int, Segment] = {}
    try:
        for row in rows:
            told = store_tape.segments_of(store().about(row.path))
            found |= {segment.at_ns: segment for segment in told}
    except PartBroken as error:
        raise UnableToRead(str(error)) from error
    return [found[at_ns] for at_ns in sorted(found) if at_ns < to_ns]

"""What the desk saw is stored flush by flush, sorted by day, bounded, and read back as the same tape."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from trading.adapters.recorder import TapeRecorder
from trading.adapters.store_parquet import ParquetStore
from trading.domain.history import Steps
from trading.domain.market import BookTop, MarketEvent, Trade
from trading.models import AuditEvent, MarketPart
from trading.selectors import market_store as selectors
from trading.services import market_store, recordings

pytestmark = pytest.mark.django_db

SECOND_NS = 1_000_000_000
AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
YESTERDAY_NS = int((AT - timedelta(days=1)).timestamp()) * SECOND_NS
STEPS = {symbol: Steps(Decimal("0.01"), Decimal("0.001"), "instrument") for symbol in ("BTCUSDT", "ETHUSDT")}
END_NS = YESTERDAY_NS + 10**15


@pytest.fixture(autouse=True)
def store(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ParquetStore:
    settings.MARKET_STORE_DIR = tmp_path / "market"
    # The connection of the test holds its transaction.
    monkeypatch.setattr(connection, "close", lambda: None)
    return ParquetStore(tmp_path / "market")


def lap(count: int, begin_ns: int) -> list[MarketEvent]:
    """Return one lap of a replay: numbers start anew, and so do prices."""
    found: list[MarketEvent] = []
    for n in range(count):
        symbol, at_ns = ("BTCUSDT", "ETHUSDT")[n // 2 % 2], begin_ns + n * SECOND_NS
        if n % 2:
            found.append(BookTop(symbol, 100 + n, 5, 102 + n, 6, 1 + n, 0, at_ns))
        else:
            found.append(Trade(symbol, 101 + n, 2, n % 3 == 0, 1 + n, at_ns - 7, at_ns))
    return found


def record(*laps: list[MarketEvent], steps: dict[str, Steps] = STEPS, limit: int = 10_000) -> TapeRecorder:
    """Flush after every ten events, and mark where a lap begins."""
    tape = TapeRecorder(
        save=lambda tape: recordings.keep(tape, venue="simulator", steps=steps), symbols=tuple(steps), limit=limit
    )
    for number, events in enumerate(laps):
        if number:
            tape.mark(f"lap {number}", events[0].received_at_ns)
        for start in range(0, len(events), 10):
            tape.keep(events[start : start + 10])
            tape.step()
            tape.flush()
    return tape


def read(
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"), begin_ns: int = 0, end_ns: int = END_NS
) -> list[MarketEvent]:
    return list(recordings.recorded(symbols, begin_ns, end_ns))


FIRST, SECOND = lap(35, YESTERDAY_NS), lap(28, YESTERDAY_NS + 100 * SECOND_NS)


def test_what_was_decided_on_comes_back_in_its_order() -> None:
    record(FIRST, SECOND)

    assert read() == FIRST + SECOND
    assert read(("ETHUSDT",)) == [event for event in FIRST + SECOND if event.symbol == "ETHUSDT"]
    begin, end = FIRST[5].received_at_ns, FIRST[9].received_at_ns
    assert read(begin_ns=begin, end_ns=end) == FIRST[5:9]
    assert MarketPart.objects.filter(kind="tape").count() == 7


def test_a_day_that_is_over_becomes_parts_of_the_same_tape(
    store: ParquetStore, django_capture_on_commit_callbacks: Any
) -> None:
    record(FIRST, SECOND)

    with django_capture_on_commit_callbacks(execute=True):
        done = recordings.tend(AT)

    assert (done.sorted_days, MarketPart.objects.filter(kind="tape").count()) == (1, 0)
    assert [line.name for line in selectors.series_lines()] == [
        "tops/simulator/BTCUSDT",
        "tops/simulator/ETHUSDT",
        "trades/simulator/BTCUSDT",
        "trades/simulator/ETHUSDT",
    ]
    assert read() == FIRST + SECOND
    assert store.orphans(set(MarketPart.objects.values_list("path", flat=True))) == []
    assert market_store.check(at=AT).problems == ()
    assert recordings.tend(AT) == recordings.Tended(0, 0, 0)


def test_seams_are_told_so_that_a_reader_can_split_there(django_capture_on_commit_callbacks: Any) -> None:
    record(FIRST, SECOND)

    def split() -> list[int]:
        found = list(recordings.recorded_in_segments(STEPS, 0, END_NS))
        return [sum(one.segment_ns == segment.at_ns for one in found) for segment in recordings.segments(0, END_NS)]

    before = split(), [segment.reason for segment in recordings.segments(0, END_NS)]
    with django_capture_on_commit_callbacks(execute=True):
        recordings.tend(AT)

    assert before == ([35, 28], ["recording began", "lap 1"])
    assert (split(), [segment.reason for segment in recordings.segments(0, END_NS)]) == before


def test_today_stays_as_it_was_flushed_and_reads_on_from_yesterday(django_capture_on_commit_callbacks: Any) -> None:
    today = lap(12, YESTERDAY_NS + 86_400 * SECOND_NS)
    record(FIRST, today)

    with django_capture_on_commit_callbacks(execute=True):
        recordings.tend(AT)

    assert MarketPart.objects.filter(kind="tape").count() == 2
    assert read() == FIRST + today


def test_steps_that_changed_within_the_day_become_the_finer_ones(django_capture_on_commit_callbacks: Any) -> None:
    record(FIRST)
    finer = {symbol: Steps(Decimal("0.001"), Decimal("0.001"), "instrument") for symbol in STEPS}
    record(SECOND, steps=finer)

    with django_capture_on_commit_callbacks(execute=True):
        recordings.tend(AT)

    prices = [event.price_ticks for event in read() if isinstance(event, Trade)]
    expected = [event.price_ticks * 10 for event in FIRST if isinstance(event, Trade)]
    assert prices == expected + [event.price_ticks for event in SECOND if isinstance(event, Trade)]
    assert {line.tick_size for line in selectors.series_lines()} == {"0.001"}


def test_a_broken_flush_keeps_the_day_unsorted_and_says_why(store: ParquetStore) -> None:
    record(FIRST)
    part = MarketPart.objects.filter(kind="tape").first()
    assert part is not None
    (store.root / part.path).write_bytes(b"PAR1")

    assert recordings.tend(AT).sorted_days == 0

    assert all(part.path in row.problem for row in MarketPart.objects.filter(kind="tape"))
    assert not list(store.root.glob(".staging/*"))
    with pytest.raises(recordings.UnableToRead, match="nothing can bring it back"):
        read()
    assert market_store.check(at=AT).problems != ()


def test_a_flush_counts_though_the_catalogue_is_away(monkeypatch: pytest.MonkeyPatch, store: ParquetStore) -> None:
    def away(rows: object) -> None:
        raise OSError("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(MarketPart.objects, "bulk_create", away)
        tape = record(FIRST)

    old = AT + timedelta(days=400)  # the files were written now, whenever that is
    assert (tape.lost, MarketPart.objects.count()) == (0, 0)
    assert recordings._adopt(old) == 4
    assert read() == FIRST
    assert recordings._adopt(old) == 0


@pytest.mark.parametrize(("room_mb", "left"), [(1, 4), (0, 0)])
def test_the_oldest_recordings_go_when_the_room_is_used_up(
    settings: Any, room_mb: int, left: int, store: ParquetStore, django_capture_on_commit_callbacks: Any
) -> None:
    record(FIRST)
    settings.RECORD_MAX_MB = room_mb

    with django_capture_on_commit_callbacks(execute=True):
        gone = recordings.prune(AT)

    assert (gone, MarketPart.objects.count()) == (4 - left, left)
    assert len(store.orphans(set())) == left
    assert AuditEvent.objects.filter(action="data.pruned").count() == (gone > 0)


@pytest.mark.parametrize(("days", "left"), [(1, 4), (0, 0)])
def test_recordings_are_kept_for_so_many_days_and_imports_for_ever(settings: Any, days: int, left: int) -> None:
    record(FIRST)
    imported = MarketPart.objects.first()
    assert imported is not None
    MarketPart.objects.create(
        source="file",
        kind="trades",
        venue="v",
        symbol="BTCUSDT",
        day="2020-01-01",
        path="x",
        sha256="",
        size=1,
        rows=1,
        first_at_ns=1,
        last_at_ns=1,
        stored_at=AT,
    )
    settings.RECORD_DAYS = days

    recordings.prune(AT)

    assert MarketPart.objects.filter(source="recorder").count() == left
    assert MarketPart.objects.filter(source="file").count() == 1


def test_what_was_lost_stays_known_when_the_day_is_sorted(django_capture_on_commit_callbacks: Any) -> None:
    tape = record(FIRST, limit=9)  # ten at once never fit; the last five do

    with django_capture_on_commit_callbacks(execute=True):
        recordings.tend(AT)

    assert tape.lost == 30
    assert sum(line.lost for line in selectors.series_lines()) == 30

"""The recorder keeps events in the order they came, waits for nobody, and counts what it could not keep."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from trading.adapters import store_tape
from trading.adapters.recorder import Tape, TapeRecorder
from trading.adapters.store_parquet import PartBroken, StoreError
from trading.domain.history import DAY_NS, Kind, Steps
from trading.domain.market import BookTop, MarketEvent, Trade

START_NS = 20_000 * DAY_NS - 500
STEPS = {symbol: Steps(Decimal("0.01"), Decimal("0.001"), "instrument") for symbol in ("BTCUSDT", "ETHUSDT")}


def events(count: int, start: int = 0) -> list[MarketEvent]:
    found: list[MarketEvent] = []
    for n in range(start, start + count):
        symbol, at_ns = ("BTCUSDT", "ETHUSDT")[n % 2], START_NS + n
        if n % 3:
            found.append(BookTop(symbol, 100 + n, 5, 102 + n, 6, 1_000 + n, 0, at_ns))
        else:
            found.append(Trade(symbol, 101 + n, 2, n % 2 == 0, 2_000 + n, at_ns - 7, at_ns))
    return found


class Kept:
    """A store in memory that can be broken."""

    def __init__(self) -> None:
        self.tapes: list[Tape] = []
        self.is_full = False

    def save(self, tape: Tape) -> None:
        if self.is_full:
            raise StoreError("the disk is full")
        self.tapes.append(tape)

    def numbers(self) -> list[int]:
        return [number for tape in self.tapes for number in tape.columns["number"].tolist()]

    def reasons(self) -> list[str]:
        return [segment.reason for tape in self.tapes for segment in tape.segments]


@pytest.fixture
def kept() -> Kept:
    return Kept()


def recorder(kept: Kept, *, limit: int = 10_000, flush_events: int = 10_000) -> TapeRecorder:
    return TapeRecorder(
        save=kept.save, symbols=tuple(STEPS), limit=limit, flush_events=flush_events, monotonic=lambda: 0.0
    )


def numbers_of(found: Sequence[MarketEvent]) -> list[int]:
    return [event.update_id if isinstance(event, BookTop) else event.trade_id for event in found]


def test_events_are_stored_in_the_order_they_came(kept: Kept) -> None:
    tape = recorder(kept)

    tape.keep(events(1_500))
    tape.keep(events(3, 1_500))
    tape.step()
    tape.flush()

    assert kept.numbers() == numbers_of(events(1_503))
    assert (tape.stored, tape.lost, kept.reasons()) == (1_503, 0, ["recording began"])


def test_a_seam_begins_a_segment_and_every_file_names_the_segments_it_touches(kept: Kept) -> None:
    tape = recorder(kept)

    tape.keep(events(4))
    tape.mark("lap 2", START_NS + 10)
    tape.keep(events(4, 20))
    tape.step()
    tape.flush()
    tape.keep(events(1, 30))
    tape.step()
    tape.flush()

    first, second = (t.columns["segment_ns"].tolist() for t in kept.tapes)
    assert first == [START_NS] * 4 + [START_NS + 10] * 4
    assert second == [START_NS + 10]
    assert kept.reasons() == ["recording began", "lap 2", "lap 2"]


def test_a_segment_has_a_name_of_its_own_even_in_the_same_nanosecond(kept: Kept) -> None:
    tape = recorder(kept)

    tape.mark("connected", 5)
    tape.mark("lap 1", 5)
    tape.keep(events(1))
    tape.step()
    tape.flush()

    assert [segment.at_ns for segment in kept.tapes[0].segments] == [5, 6]


@pytest.mark.parametrize(("waiting", "lost"), [(10, 0), (11, 11)])
def test_without_room_events_are_lost_whole_counted_and_marked(kept: Kept, waiting: int, lost: int) -> None:
    tape = recorder(kept, limit=20)

    tape.keep(events(10))
    tape.keep(events(waiting, 10))
    tape.step()
    tape.keep(events(2, 40))
    tape.step()
    tape.flush()

    assert (tape.lost, kept.tapes[0].lost) == (lost, lost)
    assert kept.reasons() == ["recording began", *(["events were lost"] if lost else [])]
    assert tape.gauges() == {"recorded_events": 10 + waiting - lost + 2, "recorder_lost_events": lost}


def test_a_full_disk_costs_the_flush_and_the_next_one_says_so(kept: Kept) -> None:
    tape = recorder(kept)
    kept.is_full = True
    tape.keep(events(5))
    tape.step()
    tape.flush()

    kept.is_full = False
    tape.keep(events(2, 5))
    tape.step()
    tape.flush()

    assert (tape.lost, tape.stored, kept.tapes[0].lost) == (5, 2, 5)
    assert kept.reasons()[-1] == "events were lost"


def test_enough_events_are_stored_without_waiting_for_the_minute(kept: Kept) -> None:
    tape = recorder(kept, flush_events=600)

    tape.keep(events(1_300))
    tape.step()

    assert [tape.rows for tape in kept.tapes] == [1_300]


def test_a_clock_set_back_does_not_turn_the_order_around(kept: Kept) -> None:
    tape = recorder(kept)
    late, early = events(1, 100)[0], events(1, 50)[0]

    tape.keep([late, early])
    tape.step()
    tape.flush()

    assert kept.tapes[0].columns["received_at_ns"].tolist() == [late.received_at_ns] * 2


async def test_closing_stores_what_is_left_and_ends_the_thread(kept: Kept) -> None:
    before = threading.active_count()
    tape = recorder(kept).start()

    tape.keep(events(7))
    await tape.close()

    assert kept.numbers() == numbers_of(events(7))
    assert threading.active_count() <= before + 1  # the event loop keeps a helper


async def test_a_recorder_that_never_started_can_be_closed(kept: Kept) -> None:
    await recorder(kept).close()

    assert kept.tapes == []


# --- the file -----------------------------------------------------------------------------------------------------


def flushed(kept: Kept, count: int = 1_000) -> Tape:
    tape = recorder(kept)
    tape.keep(events(count))
    tape.step()
    tape.flush()
    return kept.tapes[-1]


def test_a_flush_is_one_file_a_day_and_comes_back_whole(kept: Kept, tmp_path: Path) -> None:
    parts = store_tape.write(tmp_path, flushed(kept), venue="simulator", steps=STEPS)

    assert [(part.day, part.rows) for part in parts] == [(19_999, 500), (20_000, 500)]
    found = []
    for part in parts:
        stored = store_tape.read(tmp_path, part.path)
        assert store_tape.described(tmp_path, part.path) == part
        assert stored.steps == STEPS
        for series, rows in stored.series():
            number = rows["trade_id" if series.kind is Kind.TRADES else "update_id"]
            found += list(zip(rows["sequence"].tolist(), [series.symbol] * len(number), number.tolist(), strict=True))
    expected = [
        (n, event.symbol, number)
        for n, (event, number) in enumerate(zip(events(1_000), numbers_of(events(1_000)), strict=True))
    ]
    assert sorted(found) == expected


def test_a_write_that_fails_leaves_no_file(kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_tape, "put", full)

    with pytest.raises(StoreError, match="No space left"):
        store_tape.write(tmp_path, flushed(kept), venue="simulator", steps=STEPS)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_cut_file_is_refused(kept: Kept, tmp_path: Path) -> None:
    part = store_tape.write(tmp_path, flushed(kept, 10), venue="simulator", steps=STEPS)[0]
    path = tmp_path / part.path
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(PartBroken, match="nothing can bring it back"):
        store_tape.read(tmp_path, part.path)


def test_prices_are_packed_well(kept: Kept, tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    tape = recorder(kept, limit=200_000, flush_events=10**9)
    bid, at_ns, found = 6_000_000, START_NS + 1_000_000, []
    for n in range(20_000):
        at_ns += int(random.integers(1, 50_000_000))
        bid += int(random.integers(-2, 3))
        found.append(BookTop("BTCUSDT", bid, int(random.integers(1, 9_999)), bid + 1, 6_000, n, 0, at_ns))
    tape.keep(found)
    tape.step()
    tape.flush()

    parts = store_tape.write(tmp_path, kept.tapes[0], venue="simulator", steps=STEPS)

    assert sum(part.bytes for part in parts) / 20_000 < 10


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.trading.adapters import test_recorder as here
kept = here.Kept()
tape = here.flushed(kept, 4_000)
for number in range(10**9):
    if number == 1:
        print("ready", flush=True)
    here.store_tape.write(Path(sys.argv[1]), tape, venue="simulator", steps=here.STEPS)
"""


@pytest.mark.parametrize("after_s", [0.0, 0.013, 0.037])
def test_a_writer_that_is_killed_leaves_no_half_file_under_a_final_name(tmp_path: Path, after_s: float) -> None:
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), str(root)], stdout=subprocess.PIPE, cwd=root
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        with suppress(subprocess.TimeoutExpired):
            writer.wait(after_s)
        writer.kill()

    found = list(tmp_path.glob("kind=*/**/*.parquet"))
    assert found
    for path in found:
        assert store_tape.described(tmp_path, str(path.relative_to(tmp_path))).rows in (
            500,
            3_500,
        )  # to midnight, after

"""Parts of the market store: exact, sorted into days, and seen whole or not at all."""

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from trading.adapters import store_parquet
from trading.adapters.store_parquet import Origin, ParquetStore, Part, PartBroken, Staging, StoreError
from trading.domain.history import DAY_NS, SECOND_NS, Kind, Series, Steps, Unsound

SERIES = Series(Kind.TRADES, "binance-spot", "BTCUSDT")
STEPS = {"BTCUSDT": Steps(Decimal("0.01"), Decimal("0.00001"), "instrument")}
FIRST_NS = 19_900 * DAY_NS - 30 * SECOND_NS  # half a minute before midnight


def tape(count: int = 600, seed: int = 3) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {
        "at_ns": FIRST_NS + np.cumsum(random.integers(0, SECOND_NS // 4, count)),
        "trade_id": np.arange(1, count + 1),
        "price_ticks": 6_000_000 + np.cumsum(random.integers(-3, 4, count)),
        "quantity_lots": random.integers(1, 10_000, count),
        "buyer_is_maker": random.integers(0, 2, count),
    }


def staged(store: ParquetStore, rows: dict[str, Any]) -> Staging:
    staging = store.stage(STEPS, Origin("file", "venue"))
    for start in range(0, len(rows["at_ns"]), 250):
        staging.add(SERIES, {name: values[start : start + 250] for name, values in rows.items()})
    return staging


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    return ParquetStore(tmp_path / "market")


@pytest.fixture
def parts(store: ParquetStore) -> list[Part]:
    return staged(store, tape()).commit()


def files(store: ParquetStore) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file()]


def test_what_is_stored_comes_back_exactly_and_by_day(store: ParquetStore, parts: list[Part]) -> None:
    found = [store.read(part.path) for part in parts]

    assert [part.day for part in parts] == [19_899, 19_900]
    assert parts[1].path.startswith("kind=trades/venue=binance-spot/symbol=BTCUSDT/day=2024-06-26/")
    for name, values in tape().items():
        assert np.array_equal(np.concatenate([part[name] for part in found]), values)


@pytest.mark.parametrize(
    ("days", "bounds"),
    [([], []), ([5], [0, 1]), ([5, 5], [0, 2]), ([5, 6, 6, 9], [0, 1, 3, 4]), ([6, 5, 6], [0, 1, 2, 3])],
)
@pytest.mark.parametrize("offset", [0, DAY_NS - 1])
def test_rows_are_cut_at_midnight(days: list[int], bounds: list[int], offset: int) -> None:
    at_ns = np.array([day * DAY_NS + offset for day in days], dtype=np.int64)

    assert store_parquet._days(at_ns) == bounds


def test_the_file_tells_its_steps_and_packs_its_columns(store: ParquetStore, parts: list[Part]) -> None:
    about = store.about(parts[0].path)
    column = pq.ParquetFile(store.root / parts[0].path).metadata.row_group(0).column(2)

    assert (about["tick_size"], about["lot_size"], about["clock"]) == ("0.01", "0.00001", "venue")
    assert (column.compression, "DELTA_BINARY_PACKED" in column.encodings) == ("ZSTD", True)


def test_nobody_sees_a_part_before_it_is_whole(store: ParquetStore) -> None:
    staging = staged(store, tape())

    before = store.orphans(set())
    parts = staging.commit()

    assert before == []
    assert store.orphans(set()) == sorted(part.path for part in parts)


def test_what_is_abandoned_leaves_nothing(store: ParquetStore) -> None:
    half, whole = staged(store, tape()), staged(store, tape())
    whole.commit()

    half.abandon()
    whole.abandon()

    assert files(store) == []


def test_the_same_bytes_again_are_not_taken_away_by_a_failure(store: ParquetStore, parts: list[Part]) -> None:
    again = staged(store, tape())
    again.commit()

    again.abandon()

    for part in parts:
        store.check(part)  # raises for what is gone


def test_a_full_disk_is_said_in_words_and_leaves_nothing(store: ParquetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(pq.ParquetWriter, "write_table", full)
        with pytest.raises(StoreError, match="No space left on device; free space there"):
            staged(store, tape()).commit()
    with monkeypatch.context() as patched:
        patched.setattr(store_parquet, "put", full)
        with pytest.raises(StoreError, match="No space left"):
            staged(store, tape()).commit()

    assert files(store) == []


def test_unsound_rows_are_not_taken(store: ParquetStore) -> None:
    rows = tape()
    rows["price_ticks"][300] = 0
    with pytest.raises(Unsound):
        staged(store, rows)


def test_a_changed_a_cut_and_a_missing_file_are_found(store: ParquetStore, parts: list[Part]) -> None:
    changed, cut = (store.root / part.path for part in parts)
    content = bytearray(changed.read_bytes())
    content[40] ^= 1
    changed.write_bytes(content)
    cut.write_bytes(cut.read_bytes()[:-100])

    for part in parts:
        with pytest.raises(PartBroken, match="SHA-256"):
            store.check(part)
    with pytest.raises(PartBroken, match="--again"):
        store.read(parts[1].path)
    store.remove(parts[0].path)
    with pytest.raises(PartBroken, match="No such file"):
        store.check(parts[0])


def test_bars_from_trades_equal_a_plain_loop(store: ParquetStore, parts: list[Part]) -> None:
    expected: dict[int, list[int]] = {}
    rows = tape()
    for at_ns, price, lots in zip(rows["at_ns"], rows["price_ticks"], rows["quantity_lots"], strict=True):
        minute = int(at_ns) // (60 * SECOND_NS) * 60 * SECOND_NS
        bar = expected.setdefault(minute, [int(price), int(price), int(price), int(price), 0])
        bar[1:] = [max(bar[1], int(price)), min(bar[2], int(price)), int(price), bar[4] + int(lots)]

    found = store.bars([part.path for part in parts], 60, threads=2)

    names = ("at_ns", "open_ticks", "high_ticks", "low_ticks", "close_ticks", "volume_lots")
    assert list(zip(*(found[name].tolist() for name in names), strict=True)) == [
        (minute, *bar) for minute, bar in expected.items()
    ]


def test_what_a_crash_left_behind_is_cleared_once_it_is_old(store: ParquetStore) -> None:
    staged(store, tape())
    folder = next((store.root / ".staging").iterdir())
    half = folder.with_name("half a flush.new")
    half.write_bytes(b"PAR1")
    for left in (folder, half):
        os.utime(left, (1_000, 1_000))

    assert store.clear_staging(60, 1_060) == 0
    assert store.clear_staging(60, 1_061) == 2
    assert files(store) == []

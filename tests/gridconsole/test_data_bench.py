"""The benchmark of the market store measures sound tapes and notices a store that is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks import data, page
from trading.adapters.store_parquet import ParquetStore
from trading.domain.history import Kind
from trading.domain.soundness import Checker


@pytest.fixture
def tape() -> data.Rows:
    return data.drawn(data.plain(2_000), 5_000, seed=3)


def test_the_drawn_tape_is_sound_and_without_a_hole(tape: data.Rows) -> None:
    checker = Checker(Kind.TRADES)

    checker.feed(tape)

    assert (checker.rows, checker.hole_count) == (5_000, 0)


def test_the_same_seed_draws_the_same_tape(tape: data.Rows) -> None:
    again = data.drawn(data.plain(2_000), 5_000, seed=3)

    assert all(np.array_equal(tape[name], again[name]) for name in tape)


def test_the_dump_that_the_page_imports_holds_the_very_tape(tape: data.Rows, tmp_path: Path) -> None:
    path = tmp_path / "binance-spot_LTCUSDT_trades.parquet"
    pq.write_table(page.as_dump(tape), path)

    read = data.rows_of(path)

    assert {name: values.tolist() for name, values in read.items()} == {n: v.tolist() for n, v in tape.items()}


def test_bars_that_differ_in_one_lot_are_noticed(tape: data.Rows, tmp_path: Path, monkeypatch: Any) -> None:
    store = ParquetStore(tmp_path)
    assert data.bars_are_equal(store, tape)
    right = store.bars

    def wrong(*arguments: Any, **options: Any) -> dict[str, Any]:
        found = right(*arguments, **options)
        found["volume_lots"][-1] += 1
        return found

    monkeypatch.setattr(store, "bars", wrong)

    assert not data.bars_are_equal(store, tape)

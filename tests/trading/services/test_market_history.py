"""Stored history comes back as arrays in one set of steps, cut to the time that was asked for."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import connection

from trading.adapters.recorder import TapeRecorder
from trading.domain.history import SECOND_NS, Kind, Series, Steps
from trading.domain.market import Trade
from trading.models import MarketPart
from trading.services import market_history, market_store, recordings
from trading.services.market_history import NoHistory
from trading.services.market_store import Wish

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DAY_MS = 86_400_000
FIRST_MS = 1_723_075_200_000  # 2024-08-08
SERIES = Series(Kind.TRADES, "binance-spot", "BTCUSDT")


@pytest.fixture
def store_day(settings: Any, tmp_path: Path) -> Callable[[int, list[str]], None]:
    settings.MARKET_STORE_DIR = tmp_path / "market"

    def day(number: int, prices: list[str]) -> None:
        rows = [
            f"{number * 100 + n},{price},0.5,1,{FIRST_MS + number * DAY_MS + n * 30_000},true,true"
            for n, price in enumerate(prices)
        ]
        path = tmp_path / f"BTCUSDT-trades-2024-08-{8 + number:02d}.csv"
        path.write_text("\n".join(rows))
        market_store.import_file(wish=Wish(path, venue="binance-spot"), by="trader", at=AT)

    return day


def test_days_join_in_the_finest_steps(store_day: Callable[[int, list[str]], None]) -> None:
    store_day(0, ["100.5", "101"])
    store_day(1, ["99.25"])

    found = market_history.history(SERIES)

    assert (found.steps.tick_size, found.rows, found.parts, found.checked) == (Decimal("0.01"), 3, 2, False)
    assert found.columns["price_ticks"].tolist() == [10_050, 10_100, 9_925]
    assert [str(day) for day in market_history.days(SERIES)] == ["2024-08-08", "2024-08-09"]


def test_the_begin_belongs_to_the_time_and_the_end_does_not(store_day: Callable[[int, list[str]], None]) -> None:
    store_day(0, ["1.5", "2.5", "3.5", "4.5"])
    second_ns, fourth_ns = ((FIRST_MS + offset) * 1_000_000 for offset in (30_000, 90_000))

    found = market_history.history(SERIES, second_ns, fourth_ns)

    assert found.columns["price_ticks"].tolist() == [25, 35]


def test_only_the_columns_that_are_asked_for_are_read(store_day: Callable[[int, list[str]], None]) -> None:
    store_day(0, ["1.5", "1.6"])

    found = market_history.history(SERIES, columns=("price_ticks",))

    assert set(found.columns) == {"at_ns", "price_ticks"}
    assert found.columns["price_ticks"].tolist() == market_history.history(SERIES).columns["price_ticks"].tolist()


def test_a_checked_history_says_so(store_day: Callable[[int, list[str]], None]) -> None:
    store_day(0, ["1.5"])
    market_store.check(at=AT)

    assert market_history.history(SERIES).checked


def test_what_is_not_stored_or_broken_is_refused(store_day: Callable[[int, list[str]], None]) -> None:
    with pytest.raises(NoHistory, match="data list"):
        market_history.history(SERIES)
    store_day(0, ["1.5", "2.5"])
    with pytest.raises(NoHistory, match="data list"):
        market_history.history(SERIES, to_ns=5)

    MarketPart.objects.update(path="gone.parquet")

    with pytest.raises(NoHistory, match=r"gone\.parquet"):
        market_history.history(SERIES)
    with pytest.raises(NoHistory, match=r"gone\.parquet"):
        market_history.bars(SERIES, 60)


def test_bars_come_out_of_stored_trades(store_day: Callable[[int, list[str]], None]) -> None:
    store_day(0, ["1.5", "3.5", "2.5"])

    found = market_history.bars(SERIES, 60)

    assert [found.columns[name].tolist() for name in ("open_ticks", "high_ticks", "low_ticks", "close_ticks")] == [
        [15, 25],
        [35, 25],
        [15, 25],
        [35, 25],
    ]
    assert found.columns["volume_lots"].tolist() == [10, 5]


def test_bars_of_a_recording_open_and_close_in_the_order_received(
    settings: Any, tmp_path: Path, monkeypatch: Any, django_capture_on_commit_callbacks: Any
) -> None:
    settings.MARKET_STORE_DIR = tmp_path / "market"
    monkeypatch.setattr(connection, "close", lambda: None)
    begin_ns = FIRST_MS * 1_000_000
    steps = {"BTCUSDT": Steps(Decimal("0.01"), Decimal("0.001"), "instrument")}
    tape = TapeRecorder(save=lambda t: recordings.keep(t, venue="simulator", steps=steps), symbols=("BTCUSDT",))
    for lap in range(2):  # ids start anew at the seam, within one minute
        tape.mark(f"lap {lap}", begin_ns + lap * SECOND_NS)
        at_ns = begin_ns + lap * SECOND_NS
        tape.keep([Trade("BTCUSDT", 50 + 10 * lap + n, 1, False, 7 - 3 * lap + n, 0, at_ns) for n in (0, 1)])
    tape.step()
    tape.flush()
    with django_capture_on_commit_callbacks(execute=True):
        recordings.tend(datetime(2024, 8, 9, 12, 0, tzinfo=UTC))

    found = market_history.bars(Series(Kind.TRADES, "simulator", "BTCUSDT"), 60)

    assert {name: values.tolist() for name, values in found.columns.items()} == {
        "at_ns": [begin_ns],
        "open_ticks": [50],
        "high_ticks": [61],
        "low_ticks": [50],
        "close_ticks": [61],
        "volume_lots": [4],
    }
    assert np.issubdtype(found.columns["at_ns"].dtype, np.int64)

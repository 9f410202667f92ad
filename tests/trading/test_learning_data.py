"""Bars to learn from: shipped, from a folder, from the store; whatever cannot be used is refused with the reason."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trading.domain.bars import SECOND_NS
from trading.learning_data import UnableToLoad, load
from trading.services import market_store
from trading.services.market_store import Wish

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FIRST_NS = 1_723_075_200 * SECOND_NS  # 2024-08-08
FIVE_NS = 300 * SECOND_NS


def table(**changed: Any) -> pa.Table:
    columns: dict[str, Any] = {
        "open_ts": pa.array([FIRST_NS, FIRST_NS + FIVE_NS, FIRST_NS + 3 * FIVE_NS], pa.int64()),
        "o": [10.0, 11.0, 12.0],
        "h": [12.0, 12.0, 13.0],
        "l": [9.0, 10.0, 11.0],
        "c": [11.0, 11.5, 12.5],
        "v": [1.0, 0.0, 2.0],
    }
    columns |= changed
    return pa.table({name: values for name, values in columns.items() if values is not None})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pq.write_table(table(), tmp_path / "BTCUSDT.parquet")
    return tmp_path


def test_the_shipped_week_is_seven_symbols_of_minutes() -> None:
    found = load("shipped")

    assert [bars.symbol[:-4] for bars in found] == ["ADA", "BNB", "BTC", "ETH", "LINK", "SOL", "XRP"]
    assert {(bars.bar_ns, len(bars)) for bars in found} == {(60 * SECOND_NS, 10_080)}
    assert load("shipped", ("ETHUSDT",))[0].close.tolist() == found[3].close.tolist()


def test_a_bar_of_a_file_is_known_when_it_closes(folder: Path) -> None:
    (bars,) = load(str(folder))

    assert (bars.symbol, bars.bar_ns) == ("BTCUSDT", FIVE_NS)
    assert (bars.at_ns - FIRST_NS).tolist() == [FIVE_NS, 2 * FIVE_NS, 4 * FIVE_NS]  # one is missing, none is made up
    assert (bars.open[0], bars.high[0], bars.low[0], bars.close[0], bars.volume[0]) == (10, 12, 9, 11, 1)


def test_symbols_come_as_they_are_asked_for(folder: Path) -> None:
    pq.write_table(table(), folder / "ADAUSDT.parquet")
    pq.write_table(table(), folder / "notes about this.parquet")

    assert [bars.symbol for bars in load(str(folder))] == ["ADAUSDT", "BTCUSDT"]
    assert [bars.symbol for bars in load(str(folder), ("BTCUSDT",))] == ["BTCUSDT"]


MINUTES = pa.array([FIRST_NS + k * 60 * SECOND_NS for k in range(3)], pa.int64())


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"h": None}, "column h is missing"),
        ({"open_ts": None, "v": None}, "column open_ts, v is missing"),
        ({"open_ts": [1.5, 2.5, 3.5]}, "open_ts is double"),
        ({"open_ts": pa.array([FIRST_NS, None, FIRST_NS + FIVE_NS], pa.int64())}, "open_ts is int64 with 1 empty"),
        ({"open_ts": pa.array([0, 300, 600], pa.int64())}, "open_ts lies outside"),
        ({"open_ts": pa.array([FIRST_NS, 2**63 - 1, FIRST_NS], pa.int64())}, "open_ts lies outside"),
        ({"open_ts": pa.array([FIRST_NS, FIRST_NS, FIRST_NS], pa.int64())}, "smallest step is 0 s"),
        ({"open_ts": pa.array([FIRST_NS + 9, FIRST_NS + FIVE_NS + 9, FIRST_NS + 2 * FIVE_NS + 9])}, "length of a bar"),
        ({"o": ["10", "11", "12"]}, "o is string"),
        ({"c": [11.0, None, 12.5]}, "c is double with 1 empty"),
        ({"c": [11.0, float("nan"), 12.5]}, "prices of bar 1"),
        ({"l": [9.0, 10.0, 12.6]}, "prices of bar 2"),
        ({"v": [1.0, -1.0, 2.0]}, "volume of bar 1"),
        ({"v": [True, True, True]}, "v is bool"),
    ],
)
def test_a_file_that_holds_no_bars_is_refused(folder: Path, changed: dict[str, Any], reason: str) -> None:
    pq.write_table(table(**changed), folder / "BTCUSDT.parquet")

    with pytest.raises(UnableToLoad, match=r"BTCUSDT\.parquet: .*" + reason):
        load(str(folder))


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_are_refused(folder: Path, rows: int) -> None:
    pq.write_table(table().slice(0, rows), folder / "BTCUSDT.parquet")

    with pytest.raises(UnableToLoad, match=f"it has {rows} rows"):
        load(str(folder))


@pytest.mark.parametrize("cut", [0, 3, 4, 100, -1, -4, -20])
def test_a_file_that_is_cut_short_is_refused(folder: Path, cut: int) -> None:
    path = folder / "BTCUSDT.parquet"
    path.write_bytes(path.read_bytes()[:cut])

    with pytest.raises(UnableToLoad, match="damaged or no Parquet file"):
        load(str(folder))


def test_a_file_with_flipped_bits_is_refused_or_still_holds_bars(folder: Path) -> None:
    path = folder / "BTCUSDT.parquet"
    whole, rng = path.read_bytes(), np.random.default_rng(5)
    refused = 0
    for _ in range(300):
        broken = bytearray(whole)
        broken[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        try:
            load(str(folder))
        except UnableToLoad:
            refused += 1

    assert refused > 50


@pytest.mark.parametrize(
    ("data", "symbols", "reason"),
    [
        ("shipped", ("DOGEUSDT",), "symbols: DOGEUSDT is not shipped"),
        ("shipped", ("BTCUSDT", "BTCUSDT"), "symbols: one comes twice"),
        ("shipped", ("../../etc/passwd",), "symbols: .* is no symbol"),
        ("", (), "data: '' is no folder"),
        ("nowhere", (), "data: 'nowhere' is no folder"),
        ("a\0b", (), "is no folder"),
        ("x" * 5_000, (), "is no folder"),
        ("store:binance-spot", (), "symbols: none is named"),
    ],
)
def test_data_that_are_not_there_are_refused(data: str, symbols: tuple[str, ...], reason: str) -> None:
    with pytest.raises(UnableToLoad, match=reason):
        load(data, symbols)


def test_an_empty_folder_and_a_missing_symbol_are_refused(folder: Path) -> None:
    (folder / "inner").mkdir()

    with pytest.raises(UnableToLoad, match="holds no file"):
        load(str(folder / "inner"))
    with pytest.raises(UnableToLoad, match=r"ETHUSDT\.parquet: there is no such file"):
        load(str(folder), ("ETHUSDT",))


def test_bars_of_two_lengths_are_not_learned_from_together(folder: Path) -> None:
    pq.write_table(table(open_ts=MINUTES), folder / "ETHUSDT.parquet")

    with pytest.raises(UnableToLoad, match="lengths of the bars differ"):
        load(str(folder))


# --- the store --------------------------------------------------------------------------------------------------------


@pytest.fixture
def store_trades(settings: Any, tmp_path: Path) -> Callable[..., None]:
    settings.MARKET_STORE_DIR = tmp_path / "market"

    def store(trades: list[tuple[int, int]], day: int = 8) -> None:
        rows = [f"{number},{100 + number % 7},0.5,1,{FIRST_NS // 10**6 + 1_000 * at_s},true,true"
                for number, at_s in trades]  # fmt: skip
        path = tmp_path / f"BTCUSDT-trades-2024-08-{day:02d}.csv"
        path.write_text("\n".join(rows))
        market_store.import_file(wish=Wish(path, venue="binance-spot"), by="trader", at=AT)

    return store


def minutes(at_ns: Any) -> list[int]:
    return [(int(at) - FIRST_NS) // (60 * SECOND_NS) for at in at_ns]


@pytest.mark.django_db
def test_stored_trades_are_bars_but_those_not_seen_whole(store_trades: Callable[..., None]) -> None:
    numbers = [number for number in range(40) if number not in (14, 15)]  # missing between 221 and 272 s
    store_trades([(number + 1, 17 * number) for number in numbers])

    (bars,) = load("store:binance-spot", ("BTCUSDT",))

    assert minutes(bars.at_ns) == [2, 3, 6, 7, 8, 9, 10, 11]  # closes: no 1, 4, 5, 12
    assert set(bars.volume) <= {1.5, 2.0}
    assert bars.high.max() == 106


@pytest.mark.django_db
@pytest.mark.parametrize(("first_id", "gone"), [(41, []), (42, [1_440, 1_441])], ids=["no trade", "a trade"])
def test_a_trade_that_is_missing_at_midnight_is_missed(
    store_trades: Callable[..., None], first_id: int, gone: list[int]
) -> None:
    last_minutes_s = 86_400 - 17 * 40
    store_trades([(number + 1, last_minutes_s + 17 * number) for number in range(40)])
    store_trades([(first_id + number, 86_400 + 17 * number) for number in range(40)], 9)

    (bars,) = load("store:binance-spot", ("BTCUSDT",))

    assert minutes(bars.at_ns) == [minute for minute in range(1_430, 1_452) if minute not in gone]


@pytest.mark.django_db
def test_a_store_that_holds_no_whole_bar_is_refused(store_trades: Callable[..., None]) -> None:
    with pytest.raises(UnableToLoad, match="data list"):
        load("store:binance-spot", ("BTCUSDT",))
    store_trades([(1, 5), (2, 70)])

    with pytest.raises(UnableToLoad, match="no whole bar"):
        load("store:binance-spot", ("BTCUSDT",))

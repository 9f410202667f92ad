from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain.market import BookTop, Trade
from trading.simulator import listing, replay
from trading.simulator.replay import BARS_LABEL, TICKS_LABEL, ReplayError

INSTRUMENTS = listing.load().instruments
NS = 1_723_161_254_000_000_000
MINUTE = 1_746_835_200_000_000_000
PRICE, QUANTITY, BAR = pa.decimal128(18, 2), pa.decimal128(18, 8), pa.decimal128(18, 5)


def tick(at_ns: int = NS, **changed: Any) -> dict[str, Any]:
    top = {"price": "60000.00", "qty": "1", "ask_price": "60000.01", "ask_qty": "2", "is_buyer_maker": None}
    return {"recv_ts_ns": at_ns, "symbol": "BTCUSDT", "kind": "bbo", **top, **changed}


def sale(at_ns: int = NS, **changed: Any) -> dict[str, Any]:
    return tick(at_ns, kind="trade", is_buyer_maker=True, ask_price=None, ask_qty=None, **changed)


def bar(open_ts: int = MINUTE, symbol: str = "BTCUSDT", **changed: Any) -> dict[str, Any]:
    return {"open_ts": open_ts, "symbol": symbol, "o": "100", "h": "105", "l": "98", "c": "103", "v": "8", **changed}


def write(path: Path, rows: list[dict[str, Any]], **types: Any) -> Path:
    kinds = {"recv_ts_ns": pa.int64(), "open_ts": pa.int64(), "symbol": pa.string(), "kind": pa.string()}
    kinds |= {"price": PRICE, "ask_price": PRICE, "qty": QUANTITY, "ask_qty": QUANTITY, "is_buyer_maker": pa.bool_()}
    kinds |= dict.fromkeys("ohlc", BAR) | {"v": QUANTITY} | types
    columns = {
        name: pa.array([_value(row[name], kinds[name]) for row in rows], kinds[name]) for name in (rows or [tick()])[0]
    }
    pq.write_table(pa.table(columns), path)
    return path


def _value(value: Any, kind: Any) -> Any:
    return Decimal(value) if value is not None and pa.types.is_decimal(kind) else value


# --- the shipped recordings -------------------------------------------------------------------------------------


def test_the_shipped_ticks_replay_in_time_order_with_numbers_that_have_no_hole() -> None:
    recording = replay.read("ticks", INSTRUMENTS)
    last: dict[tuple[str, type], int] = {}
    at_ns = 0

    for event in replay.events(recording):
        number = event.update_id if isinstance(event, BookTop) else event.trade_id
        assert number == last.get((event.symbol, type(event)), replay.LAP_STRIDE) + 1
        assert event.venue_at_ns >= at_ns
        last[event.symbol, type(event)], at_ns = number, event.venue_at_ns

    assert (recording.label, recording.symbols, recording.count) == (TICKS_LABEL, ("BTCUSDT", "ETHUSDT"), 166_351)
    assert sum(number - replay.LAP_STRIDE for number in last.values()) == recording.count
    assert at_ns == recording.last_ns


def test_the_first_shipped_tick_is_exact() -> None:
    first = next(iter(replay.events(replay.read("ticks", INSTRUMENTS))))

    assert first == BookTop(
        "ETHUSDT", 268_380, 30_292, 268_381, 314_395, 100_000_001, 1_723_161_254_024_619_568, 1_723_161_254_024_619_568
    )


def test_the_shipped_bars_cover_seven_symbols_and_say_that_they_are_no_ticks() -> None:
    recording = replay.read("bars", INSTRUMENTS)

    at_ns = [row.at_ns for row in islice(recording.rows(), 20_000)]

    assert (recording.label, recording.count) == (BARS_LABEL, 70_560)
    assert set(recording.symbols) == set(INSTRUMENTS)
    assert at_ns == sorted(at_ns)


# --- bars -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "prints"),
    [
        ({}, [10_000, 9_800, 10_500, 10_300]),
        ({"c": "99"}, [10_000, 10_500, 9_800, 9_900]),
        ({"c": "100"}, [10_000, 9_800, 10_500, 10_000]),
    ],
    ids=["rising", "falling", "flat"],
)
def test_a_bar_prints_its_extremes_in_the_order_of_its_direction(
    tmp_path: Path, changed: dict[str, Any], prints: list[int]
) -> None:
    recording = replay.read(write(tmp_path / "b.parquet", [bar(**changed)]), INSTRUMENTS)

    events = list(replay.events(recording))

    assert [e.price_ticks for e in events if isinstance(e, Trade)] == prints
    for top, trade in zip(events[::2], events[1::2], strict=True):
        assert isinstance(top, BookTop)
        assert isinstance(trade, Trade)
        assert top.ask_ticks - top.bid_ticks == 1
        assert trade.price_ticks == (top.bid_ticks if trade.buyer_is_maker else top.ask_ticks)
        assert trade.quantity_lots == top.bid_lots == top.ask_lots == 200_000


def test_a_bar_without_volume_moves_the_book_and_prints_nothing(tmp_path: Path) -> None:
    recording = replay.read(write(tmp_path / "b.parquet", [bar(v="0")]), INSTRUMENTS)

    assert [type(event) for event in replay.events(recording)] == [BookTop] * 4


def test_bars_of_several_symbols_are_merged_by_time(tmp_path: Path) -> None:
    later = MINUTE + replay.MINUTE_NS
    rows = [bar(), bar(later), bar(MINUTE, "ETHUSDT"), bar(later, "ETHUSDT")]

    events = list(replay.events(replay.read(write(tmp_path / "b.parquet", rows), INSTRUMENTS)))

    assert [e.symbol for e in events[:4]] == ["BTCUSDT", "BTCUSDT", "ETHUSDT", "ETHUSDT"]
    assert [e.venue_at_ns for e in events] == sorted(e.venue_at_ns for e in events)
    assert len(events) == 32


# --- refusals ---------------------------------------------------------------------------------------------------

TICK_FAULTS: list[tuple[list[dict[str, Any]], str]] = [
    ([], "has no rows"),
    ([tick(NS + 2), tick(NS + 1)], "row 1: time goes back"),
    ([tick(), tick(NS // 1_000)], "row 1: recv_ts_ns is not in nanoseconds"),
    ([tick(), tick(None)], "row 1: recv_ts_ns is empty"),  # type: ignore[arg-type]  # a defective file
    ([tick(symbol="DOGEUSDT")], "row 0: symbol 'DOGEUSDT' is not listed"),
    ([tick(symbol=None)], "row 0: symbol is empty"),
    ([tick(kind="depth")], "row 0: kind is neither"),
    ([tick(kind=None)], "row 0: kind is neither"),
    ([tick(), tick(price="60000.01")], "row 1: the ask is not above the bid"),
    ([tick(price="0.00")], "row 0: price is not positive"),
    ([tick(price="-1.00")], "row 0: price is not positive"),
    ([tick(price=None)], "row 0: price is empty"),
    ([tick(qty="-1")], "row 0: qty is not positive"),
    ([tick(qty="0.000001")], "row 0: qty is not a multiple of BTCUSDT's step 0.00001"),
    ([tick(ask_price=None)], "row 0: ask_price is empty"),
    ([tick(ask_qty="-1")], "row 0: ask_qty is negative"),
    ([tick(), sale(qty="0")], "row 1: qty is not positive"),
    ([sale() | {"is_buyer_maker": None}], "row 0: is_buyer_maker is empty"),
]
BAR_FAULTS: list[tuple[list[dict[str, Any]], str]] = [
    ([bar(), bar()], "row 1: the minutes of its symbol are not in rising order"),
    ([bar(MINUTE + replay.MINUTE_NS), bar()], "row 1: the minutes of its symbol are not in rising order"),
    ([bar(MINUTE + 1)], "row 0: open_ts is not a whole minute"),
    ([bar(h="99")], "row 0: o or c lies outside l..h"),
    ([bar(l="101")], "row 0: o or c lies outside l..h"),
    ([bar(l="0.01")], "row 0: price is not positive"),
    ([bar(v="-1")], "row 0: v is negative"),
    ([bar(o="100.001")], "row 0: o is not a multiple of BTCUSDT's step 0.01"),
]


@pytest.mark.parametrize(("rows", "message"), TICK_FAULTS + BAR_FAULTS)
def test_a_defective_file_is_refused_with_the_row_and_what_to_do(
    tmp_path: Path, rows: list[dict[str, Any]], message: str
) -> None:
    path = write(tmp_path / "defective.parquet", rows)

    with pytest.raises(ReplayError) as refused:
        replay.read(path, INSTRUMENTS)

    assert "defective.parquet" in str(refused.value)
    assert message in str(refused.value)
    assert str(refused.value).endswith("dataset.")


def test_a_number_beyond_64_bits_is_refused(tmp_path: Path) -> None:
    wide = pa.decimal128(38, 2)
    path = write(tmp_path / "wide.parquet", [tick(price="9" * 30)], price=wide)

    with pytest.raises(ReplayError, match="row 0: price has too many digits"):
        replay.read(path, INSTRUMENTS)


def test_a_number_of_more_digits_than_any_step_has_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "fine.parquet", [tick(qty="0." + "0" * 29 + "1")], qty=pa.decimal128(38, 30))

    with pytest.raises(ReplayError, match="row 0: qty is not a multiple of BTCUSDT's step"):
        replay.read(path, INSTRUMENTS)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"recv_ts_ns": pa.array([NS])}), tmp_path / "t.parquet")

    with pytest.raises(ReplayError, match="columns symbol, kind, price"):
        replay.read(tmp_path / "t.parquet", INSTRUMENTS)


def test_a_column_of_another_type_is_named(tmp_path: Path) -> None:
    row = tick() | {"price": 60_000.0}

    with pytest.raises(ReplayError, match="column price is double, expected decimal128"):
        replay.read(write(tmp_path / "t.parquet", [row], price=pa.float64()), INSTRUMENTS)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"recv_ts_ns,symbol\n", b"\x00" * 100])
def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.parquet"
    path.write_bytes(content)

    with pytest.raises(ReplayError, match=r"broken\.parquet: cannot be read as Parquet"):
        replay.read(path, INSTRUMENTS)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="choose another dataset"):
        replay.read(tmp_path / "absent.parquet", INSTRUMENTS)


@settings(max_examples=100, deadline=None)
@given(cut=st.integers(0, 3_000), flips=st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 255)), max_size=5))
def test_any_damage_to_a_file_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flips: list[tuple[int, int]]
) -> None:
    path = write(tmp_path_factory.mktemp("fuzz") / "f.parquet", [tick(NS + i) for i in range(20)])
    content = bytearray(path.read_bytes())
    for at, value in flips:
        content[at % len(content)] = value
    path.write_bytes(bytes(content[: len(content) - cut % len(content)]))

    try:
        recording = replay.read(path, INSTRUMENTS)
    except ReplayError:
        return
    assert all(event.venue_at_ns > 0 for event in replay.events(recording))


# --- listing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"symbols": [{"symbol": "X"}]}', '{"symbols": 1}'])
def test_a_defective_listing_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "exchange_info.json"
    path.write_text(content)

    with pytest.raises(listing.ListingError, match=r"exchange_info\.json.*Restore the file"):
        listing.load(path)


def test_every_shipped_filter_is_dated_and_positive() -> None:
    listed = listing.load()

    assert listed.recorded_at.startswith("2021-10-12")
    for instrument in listed.instruments.values():
        assert instrument.tick_size > 0
        assert instrument.lot_size > 0
        assert instrument.min_notional == 5

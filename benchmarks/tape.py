"""Recordings made for a measurement, written as Parquet so that the exchange reads them like any other."""

from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trading.simulator import listing
from trading.simulator.replay import DATASETS

PLAYED_AT: Final = 60  # speed at which a made tape reaches the asked rate; a market that slow passes every floor
SECOND_NS: Final = 1_000_000_000
TICK: Final = -2  # both symbols trade in 0.01
DEPTH: Final = {"BTCUSDT": Decimal(5), "ETHUSDT": Decimal(100)}  # shown at the best price: every order finds its lot
TOPS_TICKS: Final = {"BTCUSDT": 6_200_000, "ETHUSDT": 270_000}
MIDDLES: Final = {  # a price of which 6 USDT are many lots, and what is shown there: every order finds its lot
    "BTCUSDT": (Decimal(62_000), Decimal(5)),
    "ETHUSDT": (Decimal(2_700), Decimal(100)),
    "BNBUSDT": (Decimal(650), Decimal(500)),
    "SOLUSDT": (Decimal(50), Decimal(5_000)),
}
PLACES: Final = 8
BEGIN_NS: Final = 1_723_161_240_000_000_000  # as the shipped ticks: any time after 2009 does
OUT_OF_STEP: Final = {"BTCUSDT": 0.0, "ETHUSDT": 0.5}  # of a swing


def tiled(path: Path, *, copies: int) -> Path:
    """Write the shipped ticks so many times in a row, the price jumping in between; return `path`."""
    table = pq.read_table(DATASETS["ticks"])
    at_ns = table.column("recv_ts_ns").to_numpy()
    span_ns = int(at_ns[-1] - at_ns[0]) + SECOND_NS // 100
    pq.write_table(
        pa.concat_tables([_at(table, at_ns + copy * span_ns) for copy in range(copies)]), path, compression="zstd"
    )
    return path


def swinging(path: Path, *, seconds: float, per_second: int, swing_s: float, depth_fraction: float) -> Path:
    """Write a tape that plays `per_second` ticks for `seconds` at speed `PLAYED_AT`; return `path`.

    Order, kinds and gaps of the ticks are the recorded ones, bursts included, stretched to the rate. Prices swing down
    by `depth_fraction` and back every `swing_s`, so that levels are crossed all the time.
    """
    count = int(seconds * per_second)
    table = pq.read_table(DATASETS["ticks"]).slice(0, count)
    if table.num_rows < count:
        raise ValueError(f"the recording has {table.num_rows} ticks, {count} were asked for.")
    recorded = table.column("recv_ts_ns").to_numpy()
    played_s = (recorded - recorded[0]) / (recorded[-1] - recorded[0]) * seconds
    bids = {symbol: _swing(symbol, played_s, swing_s, depth_fraction) for symbol in TOPS_TICKS}
    table = _at(table, recorded[0] + (played_s * PLAYED_AT * SECOND_NS).astype(np.int64))
    pq.write_table(_priced(table, bids), path, compression="zstd")
    return path


def rising(path: Path, *, seconds: float, per_second: int) -> Path:
    """Write a tape on which no trade price occurs twice: each trade prints one tick above the symbol's last one.

    It plays `per_second` ticks for `seconds` at speed 1, evenly, symbols and kinds in turn.
    """
    count = int(seconds * per_second)
    index = np.arange(count)
    table = pq.read_table(DATASETS["ticks"])
    kinds, symbols = index % 2, index // 2 % 2
    names = np.array(list(TOPS_TICKS))[symbols]
    step = index // 4
    bids = {symbol: TOPS_TICKS[symbol] + step for symbol in TOPS_TICKS}
    empty = pa.table(
        {
            "recv_ts_ns": pa.array(table.column("recv_ts_ns")[0].as_py() + index * SECOND_NS // per_second),
            "symbol": pa.array(names.tolist()),
            "kind": pa.array(np.where(kinds == 0, "bbo", "trade").tolist()),
            "is_buyer_maker": pa.array([False if kind else None for kind in kinds.tolist()]),
        }
    )
    pq.write_table(_priced(empty, bids), path, compression="zstd")
    return path


def zigzag(
    path: Path,
    *,
    seconds: float,
    calm_s: float,
    per_second: int,
    step_fraction: float,
    steps_per_s: float,
    between: tuple[float, float],
) -> Path:
    """Write a tape of four symbols that plays `per_second` ticks for `seconds` at speed `PLAYED_AT`; return `path`.

    Ticks are evenly spaced, symbols in turn, a book top and a print of each. For `calm_s` every price stands at its
    middle, so that a ladder laid then lies around it; then it runs up and down between two distances from it, counted
    in steps of `step_fraction`, at `steps_per_s`. The symbols turn one after another.
    """
    index = np.arange(int(seconds * per_second))
    played_s, kinds, symbols = index / per_second, index % 2, index // 2 % len(MIDDLES)
    low, high = between
    span = high - low
    away = (played_s - calm_s) * steps_per_s - low + symbols * 2 * span / len(MIDDLES)
    steps = np.where(played_s < calm_s, 0.0, low + span - np.abs(away % (2 * span) - span))
    instruments = listing.load().instruments
    units = np.array([int(instruments[symbol].tick_size.scaleb(PLACES)) for symbol in MIDDLES])[symbols]
    middles = np.array([int(price.scaleb(PLACES)) for price, _ in MIDDLES.values()])[symbols]
    lots = np.array([int(depth.scaleb(PLACES)) for _, depth in MIDDLES.values()])[symbols]
    bid = np.rint(middles * (1 + step_fraction * steps) / units).astype(np.int64) * units
    books, sold = kinds == 0, index // (2 * len(MIDDLES)) % 2 == 0
    kind = pa.decimal128(18, PLACES)
    table = pa.table(
        {
            "recv_ts_ns": BEGIN_NS + (played_s * PLAYED_AT * SECOND_NS).astype(np.int64),
            "symbol": pa.DictionaryArray.from_arrays(symbols.astype(np.int8), list(MIDDLES)).cast(pa.string()),
            "kind": pa.DictionaryArray.from_arrays(kinds.astype(np.int8), ["bbo", "trade"]).cast(pa.string()),
            "price": _decimals(np.where(books | sold, bid, bid + units), kind),
            "qty": _decimals(lots, kind),
            "is_buyer_maker": pa.array(sold, mask=books),
            "ask_price": _decimals(bid + units, kind, shown=books),
            "ask_qty": _decimals(lots, kind, shown=books),
        }
    )
    pq.write_table(table, path, compression="zstd")
    return path


def _at(table: Any, at_ns: NDArray[np.int64]) -> Any:
    return table.set_column(table.schema.get_field_index("recv_ts_ns"), "recv_ts_ns", pa.array(at_ns))


def _swing(symbol: str, played_s: NDArray[np.float64], swing_s: float, depth_fraction: float) -> NDArray[np.int64]:
    phase = 2 * np.pi * (played_s / swing_s + OUT_OF_STEP[symbol])
    return (TOPS_TICKS[symbol] * (1 - depth_fraction * (1 - np.cos(phase)) / 2)).astype(np.int64)


def _priced(table: Any, bids: dict[str, NDArray[np.int64]]) -> Any:
    """Return the table with the book one tick wide above `bids`; a print stands where the taker found its price."""
    symbols, kinds = table.column("symbol").to_pylist(), table.column("kind").to_pylist()
    sells = table.column("is_buyer_maker").to_pylist()
    bid = [int(bids[symbol][row]) for row, symbol in enumerate(symbols)]
    books = [kind == "bbo" for kind in kinds]
    price = [low if book or sell else low + 1 for low, book, sell in zip(bid, books, sells, strict=True)]
    ask = [low + 1 if book else None for low, book in zip(bid, books, strict=True)]
    lots = [DEPTH[symbol] for symbol in symbols]
    return pa.table(
        {
            "recv_ts_ns": table.column("recv_ts_ns"),
            "symbol": table.column("symbol"),
            "kind": table.column("kind"),
            "price": _money(price),
            "qty": _quantity(lots),
            "is_buyer_maker": table.column("is_buyer_maker"),
            "ask_price": _money(ask),
            "ask_qty": _quantity([lot if book else None for lot, book in zip(lots, books, strict=True)]),
        }
    )


def _decimals(unscaled: NDArray[np.int64], kind: Any, *, shown: NDArray[np.bool_] | None = None) -> Any:
    """Return a column of decimals, null where not `shown`; each is sixteen bytes, the lower eight first."""
    words = np.stack([unscaled, unscaled >> 63], axis=1)
    mask = None if shown is None else pa.py_buffer(np.packbits(shown, bitorder="little"))
    return pa.Array.from_buffers(kind, len(unscaled), [mask, pa.py_buffer(words)])


def _money(ticks: list[int] | list[int | None]) -> Any:
    values = [None if value is None else Decimal(value).scaleb(TICK) for value in ticks]
    return pa.array(values, type=pa.decimal128(18, 2))


def _quantity(values: list[Decimal] | list[Decimal | None]) -> Any:
    return pa.array(values, type=pa.decimal128(18, 8))

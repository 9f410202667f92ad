"""The bars that come with the product, and bars with holes made of them."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trading.domain.bars import SECOND_NS, Bar, Bars, Bools

FILE: Final = Path(__file__).resolve().parents[3] / "trading" / "data" / "bars_1m_usdm_7sym_20250510-16.parquet"
MINUTE_NS: Final = 60 * SECOND_NS


@cache
def shipped(symbol: str = "BTCUSDT") -> Bars:
    table = pq.read_table(FILE, filters=pc.field("symbol") == symbol)
    prices = [table[name].cast(pa.float64()).to_numpy() for name in ("o", "h", "l", "c", "v")]
    return Bars(symbol, MINUTE_NS, table["open_ts"].to_numpy() + MINUTE_NS, *prices)


def only(bars: Bars, kept: Bools) -> Bars:
    columns = {name: getattr(bars, name)[kept] for name in ("at_ns", "open", "high", "low", "close", "volume")}
    return replace(bars, **columns)


def with_holes(bars: Bars, seed: int = 7) -> Bars:
    """Drop single bars, a few in a row, an hour and a half, and half a day."""
    rng = np.random.default_rng(seed)
    kept = rng.random(len(bars)) > 0.01
    for begin, length in ((2_000, 5), (3_500, 90), (6_000, 720)):
        kept[begin : begin + length] = False
    return only(bars, kept)


def in_fives(bars: Bars) -> Bars:
    """Join five bars of a minute into one, as a venue does."""
    first = int(np.argmax(bars.at_ns % (5 * MINUTE_NS) == MINUTE_NS))
    whole = (len(bars) - first) // 5 * 5
    rows = {name: getattr(bars, name)[first : first + whole].reshape(-1, 5) for name in
            ("at_ns", "open", "high", "low", "close", "volume")}  # fmt: skip
    return Bars(bars.symbol, 5 * MINUTE_NS, rows["at_ns"][:, -1], rows["open"][:, 0], rows["high"].max(axis=1),
                rows["low"].min(axis=1), rows["close"][:, -1], rows["volume"].sum(axis=1))  # fmt: skip


def one_by_one(bars: Bars) -> list[Bar]:
    columns = (bars.at_ns, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return [Bar(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

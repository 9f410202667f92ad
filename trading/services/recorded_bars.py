"""Bars of what this installation recorded, today included: what a model has seen when it begins to listen."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from trading.adapters import store_tape
from trading.adapters.store_parquet import PartBroken, StoreError
from trading.domain.bars import SECOND_NS, Bars, Floats, Ints
from trading.domain.history import Kind
from trading.models import MarketPart
from trading.services.market_store import TAPE, store
from trading.services.recordings import UnableToRead, overlapping

NAMES = ("at_ns", "segment_ns", "sequence", "price_ticks", "quantity_lots")
Block = tuple[Ints, Ints, Ints, Floats, Floats]  # received, segment, sequence, price (quote), volume (base)


def bars(symbol: str, bar_s: int, from_ns: int, to_ns: int) -> Bars | None:
    """Return the whole bars of recorded trades between two times; None where there is none.

    A bar is open <= received < close, as it is live. The first and the last bar of a segment are no whole ones: nobody
    knows what came before its first trade, or after its last.

    Raises:
        UnableToRead: a part is gone or broken.
    """
    rows = overlapping((symbol,), from_ns, to_ns)
    try:
        blocks = [block for row in rows for block in _blocks(row, symbol)]
    except (PartBroken, StoreError) as error:
        raise UnableToRead(str(error)) from error
    if not blocks:
        return None
    at_ns, segment, sequence, price, volume = (np.concatenate(column) for column in zip(*blocks, strict=True))
    order = np.lexsort((sequence, segment))
    order = order[(at_ns[order] >= from_ns) & (at_ns[order] < to_ns)]
    return _bars(symbol, bar_s * SECOND_NS, at_ns[order], segment[order], price[order], volume[order])


def _blocks(row: MarketPart, symbol: str) -> Iterator[Block]:
    if row.kind == TAPE:
        tape = store_tape.read(store().root, row.path)
        for series, rows in tape.series():
            if series.kind is Kind.TRADES and series.symbol == symbol:
                yield _block(rows, float(tape.steps[symbol].tick_size), float(tape.steps[symbol].lot_size))
    elif row.kind == Kind.TRADES:
        for block in store().blocks(row.path, NAMES):
            yield _block(block, float(row.tick_size), float(row.lot_size))


def _block(rows: Mapping[str, Any], tick: float, lot: float) -> Block:
    at_ns, segment, sequence, price, volume = (rows[name] for name in NAMES)
    return at_ns, segment, sequence, price * tick, volume * lot


def _bars(symbol: str, bar_ns: int, at_ns: Ints, segment: Ints, price: Floats, volume: Floats) -> Bars | None:
    if not len(at_ns):
        return None
    number = at_ns // bar_ns
    is_first = np.concatenate(([True], (np.diff(number) != 0) | (np.diff(segment) != 0)))
    first = np.flatnonzero(is_first)
    last = np.concatenate((first[1:], [len(at_ns)])) - 1
    continues = np.diff(segment[first]) == 0
    whole = np.concatenate(([False], continues)) & np.concatenate((continues, [False]))
    if not whole.any():
        return None
    high, low = np.maximum.reduceat(price, first), np.minimum.reduceat(price, first)
    traded = np.add.reduceat(volume, first)
    columns = (price[first], high, low, price[last], traded)
    return Bars(symbol, bar_ns, (number[first][whole] + 1) * bar_ns, *(column[whole] for column in columns))

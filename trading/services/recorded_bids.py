"""Recorded best bids as arrays: what a price was worth at one moment and another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from trading.adapters import store_tape
from trading.adapters.store_parquet import PartBroken, StoreError
from trading.domain.history import Kind, Series
from trading.models import MarketPart
from trading.services.market_store import TAPE, store
from trading.services.recordings import UnableToRead, factor, overlapping

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bids:
    """Best bids of one symbol in the order received; columns are (n,) int64."""

    at_ns: Integers
    segment_ns: Integers
    bid: Integers  # in steps of `tick_size`
    tick_size: Decimal


def bids(symbol: str, from_ns: int, to_ns: int) -> Bids | None:
    """Return the best bids of `symbol` with `from_ns` <= received < `to_ns`; None where nothing was recorded.

    Of this installation's own venue.

    Raises:
        UnableToRead: a part is gone or broken, or the venue's tick changed to one without a common measure.
    """
    rows = overlapping((symbol,), from_ns, to_ns)
    try:
        blocks = [block for row in rows for block in _bids_of(row, symbol)]
        blocks = [block for block in blocks if len(block.at_ns)]
        if not blocks:
            return None
        return _within(_joined_bids(blocks), from_ns, to_ns)
    except (PartBroken, StoreError) as error:
        raise UnableToRead(str(error)) from error


def _bids_of(row: MarketPart, symbol: str) -> Iterator[Bids]:
    if row.kind == TAPE:
        tape = store_tape.read(store().root, row.path)
        found = ((tape.steps[one.symbol].tick_size, rows) for one, rows in tape.series() if _is_tops(one, symbol))
    elif row.kind == Kind.TOPS:
        found = ((row.tick_size, block) for block in store().blocks(row.path, ("at_ns", "segment_ns", "bid_ticks")))
    else:
        return
    for tick_size, rows in found:
        yield Bids(rows["at_ns"], rows["segment_ns"], rows["bid_ticks"], tick_size)


def _is_tops(series: Series, symbol: str) -> bool:
    return series.kind is Kind.TOPS and series.symbol == symbol


def _joined_bids(blocks: Sequence[Bids]) -> Bids:
    tick_size = min(one.tick_size for one in blocks)
    at_ns = np.concatenate([one.at_ns for one in blocks])
    segment_ns = np.concatenate([one.segment_ns for one in blocks])
    bid = np.concatenate([one.bid * factor(one.tick_size, tick_size) for one in blocks])
    order = np.lexsort((segment_ns, at_ns))
    return Bids(at_ns[order], segment_ns[order], bid[order], tick_size)


def _within(bids: Bids, from_ns: int, to_ns: int) -> Bids:
    inside = slice(*np.searchsorted(bids.at_ns, (from_ns, to_ns)).tolist())
    return Bids(bids.at_ns[inside], bids.segment_ns[inside], bids.bid[inside], bids.tick_size)

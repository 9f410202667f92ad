"""Recorded books with their trades, as the queue models are given them: in the order of the venue."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from benchmarks.gridtapes import RECORDED, UnableToMake
from trading.domain import depth
from trading.domain.tapes import Ints

STEPS: Final = {"usdm_BTCUSDT": (1, 3), "usdm_ETHUSDT": (2, 3), "spot_BTCUSDT": (2, 5), "spot_ETHUSDT": (2, 4)}
FILES: Final = {"usdm": "20240808", "spot": "20240808-09"}


@dataclass(frozen=True, slots=True)
class Book:
    """A book and its trades; prices are whole ticks, quantities twice the lots of the venue.

    Twice, so that an order of an odd number of lots is never filled to exactly its last lot by a trade when queues move
    by whole lots: there hftbacktest 2.4.4 keeps the order and fills it again (it ends with code 14).

    Shapes:
        at_ns, kind, ticks, lots: (n,), see `trading.domain.depth.Flow`; the first events are the snapshot.
    """

    at_ns: Ints
    kind: Ints
    ticks: Ints
    lots: Ints

    def __len__(self) -> int:
        return len(self.ticks)

    def first(self, count: int) -> "Book":
        """Return the book cut off after `count` events."""
        return Book(self.at_ns[:count], self.kind[:count], self.ticks[:count], self.lots[:count])

    def sha256(self) -> str:
        """Return the digest of times, prices, kinds and lots as little-endian numbers."""
        digest = sha256(self.at_ns.astype("<i8").tobytes())
        digest.update(self.ticks.astype("<i8").tobytes())
        digest.update(self.kind.astype("i1").tobytes())
        digest.update(self.lots.astype("<i8").tobytes())
        return digest.hexdigest()

    def write(self, path: Path) -> Path:
        """Write the book as the runners read it; return `path`."""
        np.savez(path, at_ns=self.at_ns, kind=self.kind, ticks=self.ticks, lots=self.lots)
        return path

    def opening(self) -> tuple[int, int]:
        """Return best bid and ask of the snapshot, ticks."""
        taken = self.at_ns == self.at_ns[0]
        return int(self.ticks[taken & (self.kind == depth.BID)].max()), int(
            self.ticks[taken & (self.kind == depth.ASK)].min()
        )

    def traded(self) -> tuple[int, int]:
        """Return the lowest and the highest price that traded, ticks."""
        prints = self.ticks[self.kind >= depth.BOUGHT]
        return int(prints.min()), int(prints.max())


def recorded(name: str) -> Book:
    """Return a recording of 8 August 2024: "usdm_BTCUSDT" and the like, see `STEPS`.

    Raises:
        UnableToMake: it is not there.
    """
    paths = [
        RECORDED / "ticks" / f"binance-{name}_{FILES[name.partition('_')[0]]}_{part}.parquet"
        for part in ("l2snap", "trades", "l2diff")
    ]
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        raise UnableToMake(f"{', '.join(missing)}: not in {RECORDED}; put the recordings there")
    snap, trades, diff = (pq.read_table(path) for path in paths)
    ticks, lots = ([_whole(table[column], digits) for table in (snap, trades, diff)]
                   for column, digits in zip(("price", "qty"), STEPS[name], strict=True))  # fmt: skip
    previous = _ints(diff["prev_id"]) if "prev_id" in diff.schema.names and diff["prev_id"].null_count == 0 else None
    snapshot = depth.Snapshot(int(snap["last_update_id"][0].as_py()), _ints(snap["side"]), ticks[0], lots[0])
    at_ns, first_id, final_id, side = (_ints(diff[column]) for column in ("ts_ns", "first_id", "final_id", "side"))
    changes = depth.Changes(at_ns, first_id, final_id, side, ticks[2], lots[2], previous)
    sold = np.asarray(trades["is_buyer_maker"].to_numpy(zero_copy_only=False), bool)
    flow = depth.of_messages(name, snapshot, changes, depth.Prints(_ints(trades["ts_ns"]), ticks[1], lots[1], sold))
    return Book(flow.at_ns, flow.kind, flow.ticks, 2 * flow.lots)


def _whole(column: Any, digits: int) -> Ints:
    found: Ints = np.rint(column.cast("float64").to_numpy() * 10**digits).astype(np.int64)
    return found


def _ints(column: Any) -> Ints:
    return np.ascontiguousarray(column.to_numpy(), np.int64)

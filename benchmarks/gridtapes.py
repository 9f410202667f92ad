"""The tapes on which engines are compared: some made from whole numbers alone, some recorded.

Every tape begins with `FLAT` prints of its first price, so that an engine which acts one row late (backtesting.py) or
needs a first event before it takes an order starts with the same inventory as the others. Time rises strictly: prints
of the same millisecond follow one another by a nanosecond, so an event is known by its time in every engine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from numba import njit
from numpy.typing import NDArray

from gridconsole.profile import BASE_DIR
from trading.simulator.replay import DATASETS

FLAT: Final = 100  # prints
FLAT_GAP_NS: Final = 100_000_000
BEGIN_NS: Final = 1_600_000_000_000_000_000
CENTRE: Final = 10_000  # ticks of 0.01
UNIT: Final = 1 << 16  # parts of a tick
STEP: Final = UNIT * 3 // 8  # of one of the 32 bits above or below the mean: sigma is four of them, 1.5 ticks
LONGEST_STEP: Final = 9 * UNIT
PULL: Final = 55_555  # events in which the distance from the centre falls by 1/e: the price spreads by 2.5
MEAN_BITS: Final = 32
WIDEST_GAP_NS: Final = 200_000_000  # 100 ms on average
TOPS_GAP_NS: Final = 10_000_000
RECORDED: Final = BASE_DIR.parent / "shared" / "data"
LTC: Final = RECORDED / "ticks" / "binance-spot_LTCUSDT_20250621-22_trades.parquet"
ETH: Final = RECORDED / "klines" / "spot_1m" / "ETHUSDT.parquet"
ETH_DIVISOR: Final = 25
SEED: Final = 20_240_808
Ints = NDArray[np.int64]


class UnableToMake(Exception):
    """A tape cannot be had here; the message says why."""


@dataclass(frozen=True, slots=True)
class Prints:
    """One symbol's prints.

    Shapes:
        at_ns, ticks, side: (n,) time, strictly rising; price in ticks of 0.01; 1 where the buyer took, -1 the seller.
    """

    at_ns: Ints
    ticks: Ints
    side: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.ticks)

    def first(self, count: int) -> "Prints":
        """Return the tape cut off after `count` prints."""
        return Prints(self.at_ns[:count], self.ticks[:count], self.side[:count])

    def sha256(self) -> str:
        """Return the digest of times, prices and sides as little-endian numbers."""
        digest = sha256(self.at_ns.astype("<i8").tobytes())
        digest.update(self.ticks.astype("<i8").tobytes())
        digest.update(self.side.astype("i1").tobytes())
        return digest.hexdigest()

    def write(self, path: Path) -> Path:
        """Write the tape as the runners read it, its three arrays one after another; return `path`."""
        with path.open("wb") as file:
            for column, kind in ((self.at_ns, "<i8"), (self.ticks, "<i8"), (self.side, "i1")):
                column.astype(kind).tofile(file)
        return path


def reverting(count: int, *, seed: int = SEED, calm: int = 1) -> Prints:
    """Return a price that is drawn back to 100.00 by steps of at most nine ticks: an Ornstein-Uhlenbeck walk.

    The noise of a step is the number of set bits in 64 random ones: binomial, so nearly normal. All numbers are whole,
    so every machine makes the same tape. The taker's side follows the tick rule.

    Args:
        calm: every step is so many times shorter.
    """
    # `random_raw` is a stream NumPy promises to keep; the distributions of its generators are not.
    raw = np.random.PCG64(seed).random_raw(2 * count)
    noise = (np.bitwise_count(raw[:count]).astype(np.int64) - MEAN_BITS) * (STEP // calm)
    gaps = (raw[count:] % np.uint64(WIDEST_GAP_NS)).astype(np.int64) + 1
    noise[:FLAT] = 0
    ticks = _walk(np.clip(noise, -LONGEST_STEP, LONGEST_STEP))
    return Prints(BEGIN_NS + np.cumsum(gaps), ticks, tick_rule(ticks))


def tops(count: int) -> Prints:
    """Return best bids a hundredth of a second apart, about as often as a real book of 2024 moves, and half as wild."""
    prints = reverting(count, seed=SEED + 2, calm=2)
    return Prints(BEGIN_NS + np.arange(count, dtype=np.int64) * TOPS_GAP_NS, prints.ticks, prints.side)


def ltc() -> Prints:
    """Return 152,763 real trades of LTCUSDT with the sides they had.

    Raises:
        UnableToMake: the recording is not there.
    """
    table = _read(LTC)
    bought = ~np.asarray(table.column("is_buyer_maker").to_numpy(zero_copy_only=False), dtype=bool)
    return _led(_int(table.column("ts_ns")), _cents(table.column("price")), np.where(bought, 1, -1).astype(np.int8))


def shipped() -> Prints:
    """Return the 19,904 trades of BTCUSDT that the product ships, ten minutes of 8 August 2024."""
    table = _read(DATASETS["ticks"])
    symbols, kinds = (np.array(table.column(name).to_pylist()) for name in ("symbol", "kind"))
    table = table.filter((symbols == "BTCUSDT") & (kinds == "trade"))
    bought = ~np.array(table.column("is_buyer_maker").to_pylist(), dtype=bool)
    at_ns, ticks = _int(table.column("recv_ts_ns")), _cents(table.column("price"))
    return _led(at_ns, ticks, np.where(bought, 1, -1).astype(np.int8))


def eth() -> Prints:
    """Return the closes of 550,794 real minutes of ETHUSDT, divided by 25, as prints that jump across lines.

    Raises:
        UnableToMake: the recording is not there.
    """
    table = _read(ETH)
    ticks = np.rint(_cents(table.column("c")) / ETH_DIVISOR).astype(np.int64)
    return _led(_int(table.column("open_ts")), ticks, tick_rule(ticks))


MAKERS: Final[dict[str, Callable[[], Prints]]] = {
    "sparse": lambda: reverting(5_000_000),
    "dense": lambda: reverting(1_000_000, seed=SEED + 1),
    "ltc": ltc,
    "eth": eth,
    "shipped": shipped,
    "tops": lambda: tops(500_000),
}


def tick_rule(ticks: Ints) -> NDArray[np.int8]:
    """Return the taker's side of each print: a buyer above the last price, a seller below, as before where equal."""
    moved = np.sign(np.diff(ticks, prepend=ticks[:1])).astype(np.int8)
    moved[0] = 1
    last = np.maximum.accumulate(np.where(moved != 0, np.arange(len(ticks)), 0))
    return moved[last]


@njit(cache=True)
def _walk(noise: Ints) -> Ints:
    ticks = np.empty(len(noise), np.int64)
    away = 0
    for i in range(len(noise)):
        away += noise[i] - away // PULL
        ticks[i] = CENTRE + (away + UNIT // 2) // UNIT
    return ticks


def _led(at_ns: Ints, ticks: Ints, side: NDArray[np.int8]) -> Prints:
    """Put the flat prints before a recording, and a nanosecond between prints of one time."""
    lead = at_ns[0] - FLAT_GAP_NS * np.arange(FLAT, 0, -1)
    steps = np.arange(len(at_ns))
    strictly = np.maximum.accumulate(at_ns - steps) + steps
    return Prints(
        np.concatenate([lead, strictly]),
        np.concatenate([np.full(FLAT, ticks[0]), ticks]),
        np.concatenate([np.tile(np.array([1, -1], np.int8), FLAT // 2), side]),
    )


def _read(path: Path) -> Any:
    if not path.exists():
        raise UnableToMake(f"{path.name} is not in {RECORDED}; put the recordings there")
    return pq.read_table(path)


def _int(column: Any) -> Ints:
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _cents(column: Any) -> Ints:
    cents: Ints = np.rint(column.cast("float64").to_numpy() * 100).astype(np.int64)
    return cents

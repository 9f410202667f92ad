"""The tape: what a recording says about resting orders, two touch prices and a mark for each event."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

MAX_TICKS: Final = 2**40  # no price has more ticks; keeps every product inside int64
POINTS_PER_BAR: Final = 4

TOUCHED: Final = "A resting order fills at its own price when a trade prints at its price or through it; its whole lot."
THROUGH: Final = "A resting order fills at its own price when a trade prints strictly through it; its whole lot."
TOPS: Final = (
    "A resting order fills at its own price when the opposite best price reaches it; its whole lot, whatever size is "
    "displayed. Inventory is valued at the best bid."
)
BARS: Final = (
    "A bar is read as four points on the shortest way through it: open, low, high, close when it closes at or above "
    "its open, else open, high, low, close. A resting order fills only when a point lies strictly beyond its price."
)


class UnreadableTape(ValueError):
    """A recording cannot be a tape; the message names the field, the place and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """One symbol's events in the order received.

    Shapes:
        at_ns: (n,) time received, ns UTC, never decreasing.
        down: (n,) ticks; a resting buy at L executes when down <= L.
        up: (n,) ticks; a resting sell at L executes when up >= L; up <= down, so no order fills both ways at once.
        mark: (n,) ticks at which the inventory is valued.
    """

    symbol: str
    at_ns: Ints
    down: Ints
    up: Ints
    mark: Ints
    assumptions: tuple[str, ...]
    pad: int = -1  # down = mark + pad and up = mark - pad; -1: prices of their own
    highest: int = field(init=False)  # ticks, of all three arrays

    def __post_init__(self) -> None:
        """Refuse what no recording can be.

        Raises:
            UnreadableTape: no events, unequal lengths, another type, time that runs backwards, a price out of range,
                `up` above `down`, or a `pad` that is not theirs.
        """
        _check_shapes(self)
        _check_times(self.symbol, self.at_ns)
        highest = max(_highest(self.symbol, name, ticks) for name, ticks in _different(self))
        object.__setattr__(self, "highest", highest)
        if self.pad >= 0 and not _is_padded(self):
            raise UnreadableTape(f"{self.symbol} tape: pad is {self.pad}, the touch prices differ; leave it out.")
        if self.up is not self.down:
            _refuse_first(self.symbol, "up", self.up > self.down, "lies above down: the book is crossed; drop the row")

    def __len__(self) -> int:
        return len(self.at_ns)


def part(tape: Tape, start: int, stop: int) -> Tape:
    """Return the events [start, stop) of `tape`, at least one, as a tape.

    Raises:
        UnreadableTape: there is none.
    """
    down, up, mark = tape.down[start:stop], tape.up[start:stop], tape.mark[start:stop]
    if tape.down is tape.mark:  # one array stays one: a sweep and its checks look at it once
        down = mark
    if tape.up is tape.mark:
        up = mark
    return Tape(tape.symbol, tape.at_ns[start:stop], down, up, mark, tape.assumptions, tape.pad)


def of_trades(symbol: str, at_ns: Ints, price_ticks: Ints, *, through: bool) -> Tape:
    """Return the tape of trades: a resting order fills at a print at its price, or only `through` it.

    Shapes:
        at_ns, price_ticks: (n,) int64.

    Raises:
        UnreadableTape: see `Tape`.
    """
    if through:
        return Tape(symbol, at_ns, price_ticks + 1, price_ticks - 1, price_ticks, (THROUGH,), 1)
    return Tape(symbol, at_ns, price_ticks, price_ticks, price_ticks, (TOUCHED,), 0)


def of_tops(symbol: str, at_ns: Ints, bid_ticks: Ints, ask_ticks: Ints) -> Tape:
    """Return the tape of best bids and asks.

    Shapes:
        at_ns, bid_ticks, ask_ticks: (n,) int64, bid <= ask.

    Raises:
        UnreadableTape: see `Tape`.
    """
    return Tape(symbol, at_ns, ask_ticks, bid_ticks, bid_ticks, (TOPS,))


def of_bars(symbol: str, open_at_ns: Ints, open_: Ints, high: Ints, low: Ints, close: Ints, *, bar_ns: int) -> Tape:
    """Return the tape of bars: four points a bar, a quarter of its length apart, with strict trade-through.

    A bar does not tell which extreme came first. The shortest way through all four points is taken (low first when
    the bar rises, high first when it falls: the other order is 2 x |close - open| longer), so that the order of the
    points invents no round trip: the real path crossed at least as many levels.

    Shapes:
        open_at_ns: (m,) int64, start of each bar; open_, high, low, close: (m,) ticks.
        bar_ns: length of a bar, >= 4 ns.

    Raises:
        UnreadableTape: a bar whose high or low does not hold its open and close, bars that overlap, see also `Tape`.
    """
    _check_bars(symbol, open_at_ns, open_, high, low, close, bar_ns)
    low_first = close >= open_
    points = np.stack((open_, np.where(low_first, low, high), np.where(low_first, high, low), close), axis=1)
    offsets = np.arange(POINTS_PER_BAR, dtype=np.int64) * (bar_ns // POINTS_PER_BAR)
    at_ns = (open_at_ns[:, np.newaxis] + offsets).reshape(-1)
    price = np.ascontiguousarray(points.reshape(-1))
    return Tape(symbol, at_ns, price + 1, price - 1, price, (BARS,), 1)


def _different(tape: Tape) -> list[tuple[str, Ints]]:
    named = [("mark", tape.mark), ("down", tape.down), ("up", tape.up)]
    return [(name, ticks) for k, (name, ticks) in enumerate(named) if all(ticks is not t for _, t in named[:k])]


def _is_padded(tape: Tape) -> bool:
    pairs = ((tape.down, tape.pad), (tape.up, -tape.pad))
    return all((not pad and ticks is tape.mark) or np.array_equal(ticks, tape.mark + pad) for ticks, pad in pairs)


def _check_shapes(tape: Tape) -> None:
    arrays = {"at_ns": tape.at_ns, "down": tape.down, "up": tape.up, "mark": tape.mark}
    for name, array in arrays.items():
        if array.dtype != np.int64 or array.ndim != 1 or not array.flags.c_contiguous:
            raise UnreadableTape(f"{tape.symbol} tape: {name} is no plain (n,) array of int64; convert it first.")
        if len(array) != len(tape.at_ns):
            raise UnreadableTape(
                f"{tape.symbol} tape: {name} has {len(array)} rows, at_ns {len(tape.at_ns)}; give one of each an event."
            )
    if not len(tape.at_ns):
        raise UnreadableTape(f"{tape.symbol} tape: it has no events; choose another recording.")


def _check_times(symbol: str, at_ns: Ints) -> None:
    _refuse_first(symbol, "at_ns", at_ns[1:] < at_ns[:-1], "is followed by an earlier time; sort by time received")


def _highest(symbol: str, name: str, ticks: Ints) -> int:
    highest = int(ticks.max())
    if int(ticks.min()) < 0 or highest > MAX_TICKS:
        outside = (ticks < 0) | (ticks > MAX_TICKS)
        _refuse_first(symbol, name, outside, f"is outside 0..{MAX_TICKS} ticks; check the tick size")
    return highest


def _check_bars(symbol: str, open_at_ns: Ints, open_: Ints, high: Ints, low: Ints, close: Ints, bar_ns: int) -> None:
    if bar_ns < POINTS_PER_BAR:
        raise UnreadableTape(f"{symbol} bars: bar_ns is {bar_ns}; use the length of a bar in nanoseconds.")
    if len({len(a) for a in (open_at_ns, open_, high, low, close)}) != 1:
        raise UnreadableTape(f"{symbol} bars: the columns differ in length; give one value of each a bar.")
    wrong = (low > np.minimum(open_, close)) | (high < np.maximum(open_, close))
    _refuse_first(symbol, "low..high", wrong, "does not hold open and close; drop the bar")
    _refuse_first(symbol, "open_at_ns", np.diff(open_at_ns) < bar_ns, "starts a bar that overlaps the next one")


def _refuse_first(symbol: str, name: str, wrong: NDArray[np.bool_], reason: str) -> None:
    if wrong.any():
        raise UnreadableTape(f"{symbol} tape: {name} of event {int(np.argmax(wrong))} {reason}.")

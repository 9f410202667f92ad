"""Many grids at once on recorded bars, compiled, for what learns by acting: exact ledger, strict trade-through.

Once a step every world lays its grid anew around the price; between two steps it is left alone. Each slot of a grid
buys at its lower price and sells at its upper one, over and over. All money is whole numbers, so nothing is rounded but
the fee, which is exact too: one unit of money is a millionth of (tick x lot), and a fee is so many millionths.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import log
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trading.domain.bars import Bars, Floats, Ints

_njit: Any = njit

PPM: Final = 1_000_000
START_TICKS: Final = 1_000_000  # of the first price of a symbol: a tick is a millionth of it
START_LOTS: Final = 10_000  # that the capital buys at the first price of an episode, about
MOST_MONEY: Final = 2**59  # units; a world that owns more has ended
MOST_TICKS: Final = 2**40
MOST_TIMES: Final = 8  # highest over lowest price of an episode: every product then stays inside int64
MAX_LEVELS: Final = 16  # a side
SLOT: Final = 3  # buy ticks, sell ticks, 1 where it holds its lots

ACTIONS: Final = ("spacing", "levels", "size", "skew")
PORTFOLIO: Final = ("inventory", "equity", "drawdown", "alpha", "left", "bought", "sold", "price")
FILLS_SCALE: Final = 10.0  # fills of a step are told in tens

# Columns of the state of a world, all int64; money in units.
AT, FIRST, LAST, CASH, LOTS, START_EQUITY, START_CLOSE, PEAK, EQUITY, CLOSE, BOUGHT, SOLD = range(12)
STATE: Final = 12


class UnsoundWorld(ValueError):
    """No worlds can be made of this; the message names the field, the reason and what to do."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an action may mean at most and at least, and what a fill costs."""

    bars_a_step: int = 12
    fee_ppm: int = 200  # maker, of the notional
    spacing_ppm: tuple[int, int] = (3_000, 30_000)  # between two levels, of the price
    levels: tuple[int, int] = (1, 8)  # a side
    size_ppm: tuple[int, int] = (5_000, 60_000)  # of one order, of the equity

    def __post_init__(self) -> None:
        """Refuse terms that cannot be traded.

        Raises:
            UnsoundWorld: a value is out of range, or a pair does not rise.
        """
        rules = (
            ("bars_a_step", self.bars_a_step >= 1, "is no count above zero"),
            ("fee_ppm", 0 <= self.fee_ppm < PPM // 10, "is outside 0..100,000 millionths"),
            ("spacing_ppm", 1 <= self.spacing_ppm[0] <= self.spacing_ppm[1] <= PPM // 20, "does not rise in 1..50,000"),
            ("levels", 1 <= self.levels[0] <= self.levels[1] <= MAX_LEVELS, f"does not rise in 1..{MAX_LEVELS}"),
            ("size_ppm", 1 <= self.size_ppm[0] <= self.size_ppm[1] <= PPM, "does not rise in 1..1,000,000"),
        )
        for name, holds, reason in rules:
            if not holds:
                raise UnsoundWorld(f"{name}: {getattr(self, name)} {reason}; choose values inside.")

    @property
    def as_ints(self) -> Ints:
        """As the compiled loop reads them."""
        return np.array(
            [self.bars_a_step, self.fee_ppm, *self.spacing_ppm, *self.levels, *self.size_ppm], dtype=np.int64
        )


def points_of_bars(bars: Bars) -> Ints:
    """Return (n, 4) ticks, the shortest way through each bar: the lower extreme first where it rises.

    See `tapes.of_bars`: the other way would invent round trips.
    """
    rises = bars.close >= bars.open
    first, second = np.where(rises, bars.low, bars.high), np.where(rises, bars.high, bars.low)
    return _ticks(np.stack((bars.open, first, second, bars.close), axis=1), float(bars.open[0]))


def points_of_closes(close: Floats) -> Ints:
    """Return (n, 1) ticks where only closes are known; a missing one (NaN) is 0 and must lie in no episode."""
    known = np.flatnonzero(np.isfinite(close))
    if not len(known):
        raise UnsoundWorld("close: none is known; choose other bars.")
    return _ticks(np.where(np.isfinite(close), close, 0.0)[:, np.newaxis], float(close[known[0]]))


def _ticks(prices: Floats, first: float) -> Ints:
    return np.rint(prices / first * START_TICKS).astype(np.int64)


@dataclass(slots=True, eq=False)
class Worlds:
    """`count` worlds over the same points, each in an episode of its own.

    Shapes:
        points: (n, P) ticks of the bars of all symbols, one symbol after the other; the last column is the close.
        state: (count, STATE) int64, columns as above.
        portfolio: (count, len(PORTFOLIO)) float32, what a policy may know of its own books.
        rewards: (count,) float32, of the last step: percent of equity gained beyond a half-half holding.
        done: (count,) whether its episode is over; begin another one before the next step.
    """

    points: Ints
    terms: Terms
    count: int
    state: Ints = field(init=False)
    portfolio: NDArray[np.float32] = field(init=False)
    rewards: NDArray[np.float32] = field(init=False)
    done: NDArray[np.bool_] = field(init=False)
    _terms: Ints = field(init=False)
    _slots: Ints = field(init=False)

    def __post_init__(self) -> None:
        """Make the arrays.

        Raises:
            UnsoundWorld: the points are no (n, P) int64, or `count` is not above zero.
        """
        if self.points.ndim != 2 or self.points.dtype != np.int64 or self.count < 1:
            raise UnsoundWorld("points: no (n, P) array of int64, or no world asked for; see `points_of_bars`.")
        self.points = np.ascontiguousarray(self.points)
        self.state = np.zeros((self.count, STATE), np.int64)
        self.portfolio = np.zeros((self.count, len(PORTFOLIO)), np.float32)
        self.rewards = np.zeros(self.count, np.float32)
        self.done = np.ones(self.count, np.bool_)
        self._terms = self.terms.as_ints
        self._slots = np.zeros((2 * MAX_LEVELS, SLOT), np.int64)

    def begin(self, which: Ints, first: Ints, last: Ints) -> None:
        """Begin an episode in each of the worlds `which`: decides at the close of bar `first`, ends at that of `last`.

        Half the capital is bought at the first close, with its fee. Alike long arrays.

        Raises:
            UnsoundWorld: an episode holds no whole step, leaves the bars, or a price in it is missing or out of range.
        """
        outside = (first < 0) | (last >= len(self.points)) | (last - first < self.terms.bars_a_step)
        if outside.any():
            at = int(np.argmax(outside))
            raise UnsoundWorld(f"episode: {first[at]}..{last[at]} holds no whole step of the bars; choose others.")
        if not _sound(self.points, first, last):
            raise UnsoundWorld("points: a price of an episode is missing, or rose eightfold in it; choose other bars.")
        _begin(self.points, self.state, self.portfolio, self._terms, which, first, last)
        self.done[which] = False

    def step(self, actions: NDArray[np.float32]) -> None:
        """Let every world lay its grid as `actions` (count, 4) say, -1..1 each, and live until the next step."""
        _step(self.points, self.state, self.portfolio, self.rewards, self.done, self._terms, self._slots, actions)

    @property
    def equity(self) -> Floats:
        """(count,) equity over that at the begin of the episode."""
        return self.state[:, EQUITY] / self.state[:, START_EQUITY]


def compiled(function: Callable[..., object]) -> Any:
    """Compile a function that makes no array: nothing is counted."""
    return _njit(cache=True, _nrt=False)(function)


@compiled
def _sound(points: Ints, first: Ints, last: Ints) -> bool:
    for k in range(len(first)):
        low, high = MOST_TICKS, 1
        for bar in range(first[k], last[k] + 1):
            for p in range(points.shape[1]):
                low, high = min(low, points[bar, p]), max(high, points[bar, p])
        if low <= 0 or high > min(MOST_TICKS, MOST_TIMES * low):
            return False
    return True


@compiled
def between(action: float, low: int, high: int) -> int:
    """Return the whole number that an action means: -1 is `low`, 1 is `high`; what is not a number is -1."""
    inside = min(1.0, max(-1.0, action)) if action == action else -1.0
    return low + int((inside + 1.0) * 0.5 * (high - low) + 0.5)


@compiled
def _begin(points: Ints, state: Ints, portfolio: Any, terms: Ints, which: Ints, first: Ints, last: Ints) -> None:
    for k in range(len(which)):
        s = state[which[k]]
        close = points[first[k], points.shape[1] - 1]
        capital = START_TICKS * START_LOTS * PPM
        lots = capital // 2 // (close * (PPM + terms[1]))
        cash = capital - lots * close * (PPM + terms[1])
        equity = cash + lots * close * PPM
        s[AT], s[FIRST], s[LAST] = first[k], first[k], last[k]
        s[CASH], s[LOTS], s[START_EQUITY], s[START_CLOSE] = cash, lots, equity, close
        s[PEAK], s[EQUITY], s[CLOSE], s[BOUGHT], s[SOLD] = equity, equity, close, 0, 0
        portfolio[which[k], :] = 0.0
        portfolio[which[k], 4] = 1.0


@compiled
def _lay(s: Ints, terms: Ints, slots: Ints, a: Any) -> tuple[int, int]:
    """Lay the slots of one world around its close; return how many there are and the lots of each."""
    close, money = s[CLOSE], s[CASH]
    spacing = between(a[0], terms[2], terms[3])
    levels = between(a[1], terms[4], terms[5])
    size = between(a[2], terms[6], terms[7])
    skew = between(a[3], -500, 500)  # thousandths: above zero it buys nearer and sells farther off
    buy_step = max(1, close * (spacing * (1_000 - skew) // 1_000) // PPM)
    sell_step = max(1, close * (spacing * (1_000 + skew) // 1_000) // PPM)
    step = max(1, close * spacing // PPM)
    lots = max(1, s[EQUITY] // PPM * size // PPM // close)
    count, held = 0, s[LOTS]
    for k in range(1, levels + 1):
        price = close - k * buy_step
        cost = price * lots * (PPM + terms[1])
        if price <= 0 or cost > money:  # what rests is paid for, all of it at once
            break
        money -= cost
        slots[count, 0], slots[count, 1], slots[count, 2] = price, price + step, 0
        count += 1
    for k in range(1, levels + 1):
        if held < lots:
            break
        held -= lots
        price = close + k * sell_step
        slots[count, 0], slots[count, 1], slots[count, 2] = max(1, price - step), price, 1
        count += 1
    return count, lots


@compiled
def _edges(slots: Ints, count: int) -> tuple[int, int]:
    """Return the highest price that is bid and the lowest that is asked."""
    bid, ask = 0, 2**62
    for k in range(count):
        if slots[k, 2]:
            ask = min(ask, slots[k, 1])
        else:
            bid = max(bid, slots[k, 0])
    return bid, ask


@compiled
def _touch(s: Ints, slots: Ints, count: int, lots: int, fee_ppm: int, point: int) -> None:
    """Fill what `point` lies strictly beyond, each slot at its own price and once at most."""
    for k in range(count):
        if slots[k, 2] == 0 and point < slots[k, 0]:
            cost = slots[k, 0] * lots * (PPM + fee_ppm)
            if cost <= s[CASH]:  # a slot that sold buys back with what it earned; where fees ate that, it waits
                s[CASH] -= cost
                s[LOTS] += lots
                s[BOUGHT] += 1
                slots[k, 2] = 1
        elif slots[k, 2] == 1 and point > slots[k, 1]:
            s[CASH] += slots[k, 1] * lots * (PPM - fee_ppm)
            s[LOTS] -= lots
            s[SOLD] += 1
            slots[k, 2] = 0


@compiled
def _step(
    points: Ints, state: Ints, portfolio: Any, rewards: Any, done: Any, terms: Ints, slots: Ints, actions: Any
) -> None:
    for w in range(len(state)):
        rewards[w] = 0.0
        if done[w]:
            continue
        s = state[w]
        equity, close = s[EQUITY], s[CLOSE]
        s[BOUGHT], s[SOLD] = 0, 0
        count, lots = _lay(s, terms, slots, actions[w])
        bid, ask = _edges(slots, count)
        stop = s[AT] + terms[0]
        for bar in range(s[AT] + 1, stop + 1):
            for p in range(points.shape[1]):
                point = points[bar, p]
                if point < bid or point > ask:
                    _touch(s, slots, count, lots, terms[1], point)
                    bid, ask = _edges(slots, count)
        s[AT], s[CLOSE] = stop, points[stop, points.shape[1] - 1]
        s[EQUITY] = s[CASH] + s[LOTS] * s[CLOSE] * PPM
        s[PEAK] = max(s[PEAK], s[EQUITY])
        gained, moved = s[EQUITY] / equity - 1.0, s[CLOSE] / close - 1.0
        rewards[w] = 100.0 * (gained - 0.5 * moved)
        done[w] = s[AT] + terms[0] > s[LAST] or s[EQUITY] > MOST_MONEY or s[EQUITY] <= 0
        _tell(s, portfolio[w], moved)


@compiled
def _tell(s: Ints, told: Any, moved: float) -> None:
    grown = s[EQUITY] / s[START_EQUITY]
    told[0] = s[LOTS] * s[CLOSE] * PPM / s[EQUITY] - 0.5
    told[1] = log(grown)
    told[2] = s[EQUITY] / s[PEAK] - 1.0
    told[3] = grown - 0.5 - 0.5 * s[CLOSE] / s[START_CLOSE]
    told[4] = (s[LAST] - s[AT]) / (s[LAST] - s[FIRST])
    told[5] = s[BOUGHT] / FILLS_SCALE
    told[6] = s[SOLD] / FILLS_SCALE
    told[7] = 100.0 * moved

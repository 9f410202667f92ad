"""Looking ahead on a tape: the next event at which something happens, and the lowest mark on the way to it."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np
from numba import njit

from trading.domain.tapes import Ints

NEVER_LOW: Final = -(2**62)  # no price is at or below it
NEVER_HIGH: Final = 2**62  # no price is at or above it

BLOCK: Final = 32  # events a small block
BLOCKS: Final = 32  # small blocks a large one
LARGE: Final = BLOCK * BLOCKS
SPAN: Final = 64  # events looked at together; fewer are not unrolled into vectors

NO_INDEX: Final = np.empty((2, 0), np.int64)

F = TypeVar("F", bound=Callable[..., object])
_njit: Any = njit  # its types do not know that counting can be left out


def compiled(function: F) -> F:
    """Compile a function that makes no array.

    Counting the references to arrays that are only handed in would take longer than the work: two locked instructions
    an array and call.
    """
    made: F = _njit(cache=True, _nrt=False)(function)
    return made


def inlined(function: F) -> F:
    """Compile a function that makes no array into each that calls it: a call copies seven words an array."""
    made: F = _njit(cache=True, _nrt=False, inline="always")(function)
    return made


@njit(cache=True)
def extremes(ticks: Ints, size: int) -> Ints:
    """Return lowest and highest of every whole block of `size`, (2, len // size)."""
    found = np.empty((2, len(ticks) // size), np.int64)
    for block in range(found.shape[1]):
        low = high = ticks[block * size]
        for tick in ticks[block * size : (block + 1) * size]:
            low, high = min(low, tick), max(high, tick)
        found[0, block], found[1, block] = low, high
    return found


@njit(cache=True)
def is_less(a: int, b: int, c: int, d: int) -> bool:
    """Return a/b < c/d exactly for 0 <= a, c and 0 < b, d: continued fractions, no product."""
    while True:
        p, q = a // b, c // d
        if p != q:
            return p < q
        a, c = a - p * b, c - q * d
        if a == 0 or c == 0:
            return a == 0 and c != 0
        # a/b < c/d  <=>  d/c < b/a
        a, b, c, d = d, c, b, a


@inlined
def ratio(a: int, b: int) -> int:
    """Return a // b for b > 0: divided as floats, which is faster where the quotient is below 2**53, and put right."""
    q = int(a / b)
    while q * b > a:
        q -= 1
    while (q + 1) * b <= a:
        q += 1
    return q


@inlined
def quiet(at_ns: Ints, mark: Ints, i: int, stop: int, due: int, low_edge: int, high_edge: int) -> tuple[int, int]:
    """Return the first index in [i, stop) at or beyond an edge or after `due`, else `stop`; the lowest mark before it.

    Whole spans are looked at without a jump, which is what a processor does several at once.
    """
    lowest = NEVER_HIGH
    while i < stop:
        if i % SPAN == 0 and i + SPAN <= stop and at_ns[i + SPAN - 1] <= due:
            span = mark[i : i + SPAN]
            low = high = span[0]
            for k in range(SPAN):
                low, high = min(low, span[k]), max(high, span[k])
            if low > low_edge and high < high_edge:
                lowest = min(lowest, low)
                i += SPAN
                continue
        end = min(stop, (i // SPAN + 1) * SPAN)
        while i < end:
            m = mark[i]
            if m <= low_edge or m >= high_edge or at_ns[i] > due:
                return i, lowest
            lowest = min(lowest, m)
            i += 1
    return i, lowest


@inlined
def quiet_indexed(
    at_ns: Ints, mark: Ints, small: Ints, large: Ints, i: int, stop: int, due: int, low_edge: int, high_edge: int
) -> tuple[int, int]:
    """Like `quiet`, over whole blocks at once where the extremes of a block lie inside the edges.

    Shapes:
        small, large: `extremes` of the marks at BLOCK and LARGE.
    """
    lowest = NEVER_HIGH
    while i < stop:
        if i % LARGE == 0 and i + LARGE <= stop and at_ns[i + LARGE - 1] <= due:
            block = i // LARGE
            if large[0, block] > low_edge and large[1, block] < high_edge:
                lowest = min(lowest, large[0, block])
                i += LARGE
                continue
        if i % BLOCK == 0 and i + BLOCK <= stop and at_ns[i + BLOCK - 1] <= due:
            block = i // BLOCK
            if small[0, block] > low_edge and small[1, block] < high_edge:
                lowest = min(lowest, small[0, block])
                i += BLOCK
                continue
        end = min(stop, (i // BLOCK + 1) * BLOCK)
        while i < end:
            m = mark[i]
            if m <= low_edge or m >= high_edge or at_ns[i] > due:
                return i, lowest
            lowest = min(lowest, m)
            i += 1
    return i, lowest


@inlined
def quiet_wide(
    at_ns: Ints, down: Ints, up: Ints, mark: Ints, i: int, stop: int, due: int, d_low: int, d_high: int, u_low: int,
    u_high: int, m_low: int, m_high: int,
) -> tuple[int, int]:  # fmt: skip
    """Like `quiet` where touch and mark are prices of their own."""
    lowest = NEVER_HIGH
    while i < stop:
        d, u, m = down[i], up[i], mark[i]
        if d <= d_low or d >= d_high or u >= u_high or u <= u_low or m <= m_low or m >= m_high or at_ns[i] > due:
            break
        lowest = min(lowest, m)
        i += 1
    return i, lowest

"""The step of the bar features: sums over windows of the newest bars, and the row that follows from them.

One source, run in two ways: as it stands where a bar comes a minute, compiled where a replay takes years of them.
Squares of returns are summed as whole numbers, so that no sum depends on what was added before or on who adds: both
ways, and wherever the bars began, give the same bits. What is live loads no compiler: one takes more memory than all
models may.
"""

from collections.abc import Callable
from functools import cache
from math import cos, inf, isnan, log, nan, pi, sin, sqrt
from typing import Any, Final

import numpy as np

from trading.domain.bars import Floats, Ints, enough

FLOOR: Final = 1e-9  # variance per hour, a third of a basis point: where nothing moves the logarithm still has a value
LEAST_VOLUME: Final = 1e-3  # of the mean; so that a bar without a trade has a logarithm
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S
WINDOWS_S: Final = (900, HOUR_S, 4 * HOUR_S, DAY_S, WEEK_S)
UNIT: Final = 2.0**48  # of a square or a return, as a whole number: far finer than a tick
MOST: Final = 1.7  # log return of a bar; a week of such squares is still below 2**63 units
FEATURES: Final = (
    "log_rv_1h", "log_rv_4h", "log_rv_24h", "log_rv_7d", "log_rv_coming_hour",
    "log_range_bar", "log_range_15m", "log_range_1h", "jump_share_4h",
    "momentum_1h", "momentum_24h", "extent_24h", "drawdown_24h",
    "log_volume_bar", "log_volume_1h",
    "day_sin", "day_cos", "half_day_cos", "week_sin", "weekend",
)  # fmt: skip

_15M, _1H, _4H, _24H, _7D = range(5)
# What is summed, and over which windows; the ring of each holds the longest, which comes last.
_RINGS: Final = (
    (_1H, _4H, _24H, _7D),  # known returns
    (_1H, _4H, _24H, _7D),  # their squares
    (_1H, _24H),  # returns
    (_15M, _1H, _24H),  # bars
    (_4H,),  # pairs of returns that follow each other
    (_4H,),  # their products, without sign
    (_15M,),  # variance after Garman and Klass
    (_1H,),  # variance after Parkinson
    (_7D,), (_7D,),  # known returns and squares of the hour before each bar; only kept, their sums are not read
)  # fmt: skip
_KNOWN, _SQUARE, _RETURN, _BARS, _PAIRS, _PRODUCT, _GARMAN, _PARKINSON, _HOUR_N, _HOUR_SQ = range(len(_RINGS))
# Places of the sums in `ints`, in the order of `_RINGS`; the rings follow.
_N_1H, _N_4H, _N_24H, _N_7D, _SQ_1H, _SQ_4H, _SQ_24H, _SQ_7D, _SUM_1H, _SUM_24H = range(10)
_BARS_15M, _BARS_1H, _BARS_24H, _PAIRS_4H, _PRODUCTS_4H, _RANGE_15M, _RANGE_1H = range(10, 17)
_SUMS: Final = sum(map(len, _RINGS))
_COUNTED: Final = (_N_1H, _N_4H, _N_24H, _N_7D, _BARS_15M, _BARS_1H, _BARS_24H, _PAIRS_4H)
# Places in `floats`; three trees follow: volume of the hour and of the day, highest price of the day.
_LAST_LOG, _LAST_RETURN, _TREES = 0, 1, 2
# Columns of the layout: a row a sum, then a row a tree.
_BEGIN, _LENGTH, _SPAN, _ENOUGH = range(4)
_VOL_1H, _VOL_24H, _HIGH = range(_SUMS, _SUMS + 3)
_TREE_WINDOWS: Final = (_1H, _24H, _24H)

Vector = Any  # numbers by place: a list or a tuple live, which are quicker one by one; numpy in a replay


def layout(bar_s: int) -> Ints:
    """Return (sums + trees, 4): where its ring or tree begins, how long it is, bars of the window, how many are enough.

    The week is asked for no more bars than a day.
    """
    spans = [window_s // bar_s for window_s in WINDOWS_S]
    least = [enough(min(span, spans[_24H])) for span in spans]
    rows, begin = [], _SUMS
    for windows in _RINGS:
        rows += [(begin, spans[windows[-1]], spans[window], least[window]) for window in windows]
        begin += spans[windows[-1]]
    begin = _TREES
    for window in _TREE_WINDOWS:
        rows.append((begin, 2 * spans[window], spans[window], 0))
        begin += 2 * spans[window]
    return np.array(rows, np.int64)


def fresh(places: Ints) -> tuple[Ints, Floats]:
    """Return the state of one that has seen nothing: whole numbers and others."""
    last_ring, last_tree = places[_SUMS - 1], places[-1]
    ints = np.zeros(last_ring[_BEGIN] + last_ring[_LENGTH], np.int64)
    floats = np.zeros(last_tree[_BEGIN] + last_tree[_LENGTH])
    floats[_LAST_LOG] = floats[_LAST_RETURN] = nan
    floats[places[_HIGH, _BEGIN] :] = -inf
    return ints, floats


def _sum(ints: Vector, places: Vector, first: int, last: int, number: int, value: int) -> None:
    """Let one more bar into the sums `first` to `last`, which share a ring, and the oldest of each out."""
    begin, length = places[first][_BEGIN], places[first][_LENGTH]
    for at in range(first, last + 1):
        ints[at] += value - ints[begin + (number - places[at][_SPAN]) % length]
    ints[begin + number % length] = value


def _add(floats: Vector, place: Vector, number: int, value: float) -> None:
    """Put a value in the place of the one a window ago and add again up to the root: the order is that of the time."""
    begin, span = place[_BEGIN], place[_SPAN]
    at = span + number % span
    floats[begin + at] = value
    at //= 2
    while at >= 1:
        floats[begin + at] = floats[begin + 2 * at] + floats[begin + 2 * at + 1]
        at //= 2


def _lift(floats: Vector, place: Vector, number: int, value: float) -> None:
    """As `_add`, with the higher of two in place of their sum."""
    begin, span = place[_BEGIN], place[_SPAN]
    at = span + number % span
    floats[begin + at] = value
    at //= 2
    while at >= 1:
        floats[begin + at] = max(floats[begin + 2 * at], floats[begin + 2 * at + 1])
        at //= 2


def _units(value: float) -> int:
    return int(value * UNIT)


def _within(value: float) -> float:
    return min(max(value, -MOST), MOST)


def _parkinson(high: float, low: float) -> float:
    """Source: M. Parkinson (1980), Journal of Business 53(1), 61-65."""
    reach = _within(high - low)
    return reach * reach / (4 * log(2.0))


def _garman_klass(open_: float, high: float, low: float, close: float) -> float:
    """Source: M. Garman and M. Klass (1980), Journal of Business 53(1), 67-78; the simplified estimator."""
    reach, body = _within(high - low), _within(close - open_)
    return 0.5 * reach * reach - (2 * log(2.0) - 1) * body * body


def _take_return(ints: Vector, floats: Vector, places: Vector, number: int, log_close: float) -> None:
    """Add the return to this close; none where this bar or the one before is missing (NaN)."""
    r, before = log_close - floats[_LAST_LOG], floats[_LAST_RETURN]
    floats[_LAST_LOG], floats[_LAST_RETURN] = log_close, r
    is_pair = not isnan(r) and not isnan(before)
    known = 0 if isnan(r) else 1
    r = 0.0 if isnan(r) else _within(r)
    before = _within(before) if is_pair else 0.0
    _sum(ints, places, _N_1H, _N_7D, number, known)
    _sum(ints, places, _SQ_1H, _SQ_7D, number, _units(r * r))
    _sum(ints, places, _SUM_1H, _SUM_24H, number, _units(r))
    _sum(ints, places, _PAIRS_4H, _PAIRS_4H, number, 1 if is_pair else 0)
    _sum(ints, places, _PRODUCTS_4H, _PRODUCTS_4H, number, _units(abs(r * before)))
    _keep_hour(ints, places, number)


def _keep_hour(ints: Vector, places: Vector, number: int) -> None:
    for ring, at in ((_SUMS - 2, _N_1H), (_SUMS - 1, _SQ_1H)):
        ints[places[ring][_BEGIN] + number % places[ring][_LENGTH]] = ints[at]


def _take_bar(ints: Vector, floats: Vector, places: Vector, number: int, bar: Vector, present: bool) -> None:
    garman_klass = parkinson = volume = 0.0
    high = -inf
    if present:
        high, low, volume = log(bar[1]), log(bar[2]), bar[4]
        parkinson, garman_klass = _parkinson(high, low), _garman_klass(log(bar[0]), high, low, log(bar[3]))
    _sum(ints, places, _BARS_15M, _BARS_24H, number, 1 if present else 0)
    _sum(ints, places, _RANGE_15M, _RANGE_15M, number, _units(garman_klass))
    _sum(ints, places, _RANGE_1H, _RANGE_1H, number, _units(parkinson))
    _add(floats, places[_VOL_1H], number, volume)
    _add(floats, places[_VOL_24H], number, volume)
    _lift(floats, places[_HIGH], number, high)


def _coming_hour(ints: Vector, places: Vector, number: int) -> float:
    """Return the mean square of the hour to come, of the seven days before; NaN where too little of it is known."""
    day, hour, week = places[_N_24H][_SPAN], places[_N_1H][_SPAN], places[_SUMS - 1][_LENGTH]
    counted, summed = places[_SUMS - 2][_BEGIN], places[_SUMS - 1][_BEGIN]
    squares = count = 0
    for days in range(1, 8):
        at = (number + hour - days * day) % week
        count += ints[counted + at]
        squares += ints[summed + at]
    return float(squares) / float(count) / UNIT if count >= places[_N_1H][_ENOUGH] else nan


def _mean(ints: Vector, total: int, count: int) -> float:
    return float(ints[total]) / float(ints[count]) / UNIT


def _log_variance(per_bar: float, bars_an_hour: float) -> float:
    return log(max(per_bar * bars_an_hour, FLOOR))


def _has_enough(ints: Vector, floats: Vector, places: Vector) -> bool:
    for at in _COUNTED:
        if ints[at] < places[at][_ENOUGH]:
            return False
    volume: float = floats[places[_VOL_24H][_BEGIN] + 1]
    return 0 < volume < inf


def _tell_moves(ints: Vector, floats: Vector, places: Vector, hourly: float, log_close: float, row: Vector) -> None:
    square = _mean(ints, _SQ_4H, _N_4H)
    bipower = pi / 2 * _mean(ints, _PRODUCTS_4H, _PAIRS_4H)
    row[8] = max(square - bipower, 0.0) / max(square, FLOOR / hourly)
    sigma = sqrt(max(_mean(ints, _SQ_24H, _N_24H) * hourly, FLOOR))
    sigma_day = sigma * sqrt(DAY_S / HOUR_S)
    moved = float(ints[_SUM_24H]) / UNIT / sigma_day
    row[9] = float(ints[_SUM_1H]) / UNIT / sigma
    row[10], row[11] = moved, abs(moved)
    row[12] = (log_close - floats[places[_HIGH][_BEGIN] + 1]) / sigma_day


def _tell_volume(ints: Vector, floats: Vector, places: Vector, volume: float, row: Vector) -> None:
    day = floats[places[_VOL_24H][_BEGIN] + 1] / float(ints[_BARS_24H])
    hour = floats[places[_VOL_1H][_BEGIN] + 1] / float(ints[_BARS_1H])
    row[13], row[14] = log(max(volume / day, LEAST_VOLUME)), log(max(hour / day, LEAST_VOLUME))


def _tell_time(at_s: int, row: Vector) -> None:
    turn = 2 * pi * float(at_s % DAY_S) / DAY_S
    row[15], row[16], row[17] = sin(turn), cos(turn), cos(2 * turn)
    row[18] = sin(2 * pi * float(at_s % WEEK_S) / WEEK_S)
    row[19] = 1.0 if (at_s // DAY_S + 3) % 7 >= 5 else 0.0  # 1970 began on a Thursday


def step(
    ints: Vector, floats: Vector, places: Vector, number: int, bar_s: int, bar: Vector, present: bool, row: Vector
) -> bool:
    """Take bar `number` (its close, seconds since 1970 UTC / bar_s) or its absence; return whether `row` was written.

    Args:
        bar: open, high, low, close, volume; sound, and not read where not `present`.
    """
    log_close = log(bar[3]) if present else nan
    _take_return(ints, floats, places, number, log_close)
    _take_bar(ints, floats, places, number, bar, present)
    coming = _coming_hour(ints, places, number)
    if not present or isnan(coming) or not _has_enough(ints, floats, places):
        return False
    hourly = HOUR_S / bar_s
    row[0] = _log_variance(_mean(ints, _SQ_1H, _N_1H), hourly)
    row[1] = _log_variance(_mean(ints, _SQ_4H, _N_4H), hourly)
    row[2] = _log_variance(_mean(ints, _SQ_24H, _N_24H), hourly)
    row[3] = _log_variance(_mean(ints, _SQ_7D, _N_7D), hourly)
    row[4] = _log_variance(coming, hourly)
    row[5] = _log_variance(_parkinson(log(bar[1]), log(bar[2])), hourly)
    row[6] = _log_variance(_mean(ints, _RANGE_15M, _BARS_15M), hourly)
    row[7] = _log_variance(_mean(ints, _RANGE_1H, _BARS_1H), hourly)
    _tell_moves(ints, floats, places, hourly, log_close, row)
    _tell_volume(ints, floats, places, bar[4], row)
    _tell_time(number * bar_s, row)
    return True


def replay(
    ints: Vector, floats: Vector, places: Vector, number: int, bar_s: int, bars: Vector, present: Vector, x: Vector,
    known: Vector,
) -> None:  # fmt: skip
    """Take the bars that follow each other from `number` on, and write a row of `x` and of `known` for each.

    Shapes:
        bars: (n, 5) open, high, low, close, volume; not read where not present.
        present, known: (n,).
        x: (n, F), zeros on entry.
    """
    for k in range(len(bars)):
        known[k] = step(ints, floats, places, number + k, bar_s, bars[k], present[k], x[k])


@cache
def compiled_replay() -> Callable[..., None]:
    """Return `replay`, compiled with every function it is made of."""
    from numba import njit  # here alone: what is live does without
    from numba.extending import register_jitable

    for part in (
        _sum, _add, _lift, _units, _within, _parkinson, _garman_klass, _take_return, _keep_hour, _take_bar,
        _coming_hour, _mean, _log_variance, _has_enough, _tell_moves, _tell_volume, _tell_time, step,
    ):  # fmt: skip
        register_jitable(part)
    made: Callable[..., None] = njit(cache=True)(replay)
    return made

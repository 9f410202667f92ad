"""The compiled step of the bar features: sums over windows of the newest bars, and the row that follows from them.

Each sum is the root of a tree whose leaves are bars by their number, so that what is added to what does not depend on
where the bars began: the last week alone decides, to the last bit.
"""

from math import cos, isfinite, log, pi, sin, sqrt
from typing import Any, Final, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trading.domain.bars import Bools, Floats, Ints, enough

FLOOR: Final = 1e-9  # variance per hour, a third of a basis point: where nothing moves the logarithm still has a value
LEAST_VOLUME: Final = 1e-3  # of the mean; so that an hour without a trade has a logarithm
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S
WINDOWS_S: Final = (900, HOUR_S, 4 * HOUR_S, DAY_S, WEEK_S)
COLUMNS: Final = 5  # of a bar: open, high, low, close, volume
FEATURES: Final = (
    "log_rv_1h", "log_rv_4h", "log_rv_24h", "log_rv_7d", "log_rv_coming_hour",
    "log_range_bar", "log_range_15m", "log_range_1h", "jump_share_4h",
    "momentum_1h", "momentum_24h", "extent_24h", "drawdown_24h",
    "log_volume_bar", "log_volume_1h",
    "day_sin", "day_cos", "half_day_cos", "week_sin", "weekend",
)  # fmt: skip

_15M, _1H, _4H, _24H, _7D = range(5)
# What is summed, and over which window; each is a tree.
_TRACKS: Final = (
    ("returns", _1H), ("returns", _4H), ("returns", _24H), ("returns", _7D),
    ("bars", _15M), ("bars", _1H), ("bars", _24H), ("pairs", _4H),
    ("squares", _1H), ("squares", _4H), ("squares", _24H), ("squares", _7D),
    ("sum", _1H), ("sum", _24H), ("garman_klass", _15M), ("parkinson", _1H), ("neighbours", _4H),
    ("volume", _1H), ("volume", _24H), ("high", _24H),
)  # fmt: skip
(
    _N_1H, _N_4H, _N_24H, _N_7D, _BARS_15M, _BARS_1H, _BARS_24H, _PAIRS,
    _SQ_1H, _SQ_4H, _SQ_24H, _SQ_7D, _SUM_1H, _SUM_24H, _RANGE_15M, _RANGE_1H, _NEIGHBOURS,
    _VOL_1H, _VOL_24H, _HIGH,
) = range(len(_TRACKS))  # fmt: skip
_COUNTS: Final = _PAIRS + 1  # the tracks before it count
_HOURS: Final = len(_TRACKS)  # two rings over the week: the squares of the hour before each bar, and their number
_LAST_LOG, _LAST_RETURN, _HEADER = 0, 1, 2
_BEGIN, _SPAN, _ENOUGH = 0, 1, 2  # columns of the layout
_PARKINSON: Final = 1 / (4 * log(2))  # Parkinson (1980), J. Business 53(1)
_GARMAN_KLASS: Final = 2 * log(2) - 1  # Garman and Klass (1980), J. Business 53(1)

F = TypeVar("F")
_njit: Any = njit  # its types do not know that counting can be left out


def compiled(function: F) -> F:
    """Compile a function that makes no array."""
    made: F = _njit(cache=True, _nrt=False)(function)
    return made


def layout(bar_s: int) -> Ints:
    """Return (tracks + 3, 3): where each tree or ring begins, how many bars it spans, how many of them are enough.

    The last row begins where the state ends. The week is asked for no more than a day.
    """
    spans = [WINDOWS_S[window] // bar_s for _, window in _TRACKS] + [WEEK_S // bar_s] * 2
    sizes = [2 * span for span in spans[:-2]] + spans[-2:]
    begins = np.cumsum([_HEADER, *sizes])
    least = [enough(min(span, DAY_S // bar_s)) for span in spans]
    return np.array([*zip(begins[:-1], spans, least, strict=True), (begins[-1], 0, 0)], np.int64)


def fresh(places: Ints) -> Floats:
    """Return the state of one that has seen nothing."""
    state = np.zeros(places[-1, _BEGIN])
    state[_LAST_LOG] = state[_LAST_RETURN] = np.nan
    begin, span = places[_HIGH, _BEGIN], places[_HIGH, _SPAN]
    state[begin : begin + 2 * span] = -np.inf
    return state


@compiled
def _add(state: Floats, places: Ints, track: int, number: int, value: float) -> None:
    begin, span = places[track, 0], places[track, 1]
    at = span + number % span
    state[begin + at] = value
    at //= 2
    while at >= 1:
        state[begin + at] = state[begin + 2 * at] + state[begin + 2 * at + 1]
        at //= 2


@compiled
def _lift(state: Floats, places: Ints, track: int, number: int, value: float) -> None:
    begin, span = places[track, 0], places[track, 1]
    at = span + number % span
    state[begin + at] = value
    at //= 2
    while at >= 1:
        state[begin + at] = max(state[begin + 2 * at], state[begin + 2 * at + 1])
        at //= 2


@compiled
def _total(state: Floats, places: Ints, track: int) -> float:
    return float(state[places[track, 0] + 1])


@compiled
def _take_return(state: Floats, places: Ints, number: int, log_close: float) -> None:
    """Add the return to this close; none where this bar or the one before is missing (NaN)."""
    change = log_close - state[_LAST_LOG]
    known = 0.0 if np.isnan(change) else 1.0
    pair = 0.0 if np.isnan(change * state[_LAST_RETURN]) else 1.0
    r = change if known else 0.0
    before = state[_LAST_RETURN] if pair else 0.0
    for track in (_N_1H, _N_4H, _N_24H, _N_7D):
        _add(state, places, track, number, known)
    for track in (_SQ_1H, _SQ_4H, _SQ_24H, _SQ_7D):
        _add(state, places, track, number, r * r)
    for track in (_SUM_1H, _SUM_24H):
        _add(state, places, track, number, r)
    _add(state, places, _PAIRS, number, pair)
    _add(state, places, _NEIGHBOURS, number, abs(r) * abs(before))
    state[_LAST_LOG], state[_LAST_RETURN] = log_close, change


@compiled
def _parkinson(bar: Floats) -> float:
    reach = log(bar[1]) - log(bar[2])
    return _PARKINSON * reach * reach


@compiled
def _take_bar(state: Floats, places: Ints, number: int, bar: Floats, present: bool) -> None:
    garman_klass = parkinson = volume = 0.0
    high = -np.inf
    if present:
        high, volume, parkinson = log(bar[1]), bar[4], _parkinson(bar)
        reach, body = high - log(bar[2]), log(bar[3]) - log(bar[0])
        garman_klass = 0.5 * reach * reach - _GARMAN_KLASS * body * body
    for track in (_BARS_15M, _BARS_1H, _BARS_24H):
        _add(state, places, track, number, 1.0 if present else 0.0)
    for track in (_VOL_1H, _VOL_24H):
        _add(state, places, track, number, volume)
    _add(state, places, _RANGE_15M, number, garman_klass)
    _add(state, places, _RANGE_1H, number, parkinson)
    _lift(state, places, _HIGH, number, high)


@compiled
def _take_hour(state: Floats, places: Ints, number: int) -> None:
    at = number % places[_HOURS, 1]
    state[places[_HOURS, 0] + at] = _total(state, places, _SQ_1H)
    state[places[_HOURS + 1, 0] + at] = _total(state, places, _N_1H)


@compiled
def _coming_hour(state: Floats, places: Ints, number: int) -> float:
    """Return the mean square of the same hour of the seven days before; NaN where too little of it is known."""
    day, hour, week = places[_N_24H, 1], places[_N_1H, 1], places[_HOURS, 1]
    squares = count = 0.0
    for days in range(1, 8):
        at = (number + hour - days * day) % week
        squares += state[places[_HOURS, 0] + at]
        count += state[places[_HOURS + 1, 0] + at]
    return squares / count if count >= places[_N_1H, 2] else np.nan


@compiled
def _mean(state: Floats, places: Ints, total: int, count: int) -> float:
    return _total(state, places, total) / _total(state, places, count)


@compiled
def _log_variance(per_bar: float, bars_an_hour: float) -> float:
    return log(max(per_bar * bars_an_hour, FLOOR))


@compiled
def _has_enough(state: Floats, places: Ints) -> bool:
    for track in range(_COUNTS):
        if _total(state, places, track) < places[track, 2]:
            return False
    return _total(state, places, _VOL_24H) > 0


@compiled
def _tell(state: Floats, places: Ints, number: int, bar_s: int, bar: Floats, row: NDArray[np.float32]) -> None:
    hourly = HOUR_S / bar_s
    row[0] = _log_variance(_mean(state, places, _SQ_1H, _N_1H), hourly)
    row[1] = _log_variance(_mean(state, places, _SQ_4H, _N_4H), hourly)
    row[2] = _log_variance(_mean(state, places, _SQ_24H, _N_24H), hourly)
    row[3] = _log_variance(_mean(state, places, _SQ_7D, _N_7D), hourly)
    coming = _coming_hour(state, places, number)
    row[4] = np.nan if np.isnan(coming) else _log_variance(coming, hourly)
    row[5] = _log_variance(_parkinson(bar), hourly)
    row[6] = _log_variance(_mean(state, places, _RANGE_15M, _BARS_15M), hourly)
    row[7] = _log_variance(_mean(state, places, _RANGE_1H, _BARS_1H), hourly)
    square = _mean(state, places, _SQ_4H, _N_4H)
    bipower = pi / 2 * _mean(state, places, _NEIGHBOURS, _PAIRS)
    row[8] = max(square - bipower, 0.0) / max(square, FLOOR / hourly)
    sigma = sqrt(max(_mean(state, places, _SQ_24H, _N_24H) * hourly, FLOOR))
    sigma_day = sigma * sqrt(DAY_S / HOUR_S)
    row[9] = _total(state, places, _SUM_1H) / sigma
    row[10] = _total(state, places, _SUM_24H) / sigma_day
    row[11] = abs(row[10])
    row[12] = (log(bar[3]) - _total(state, places, _HIGH)) / sigma_day
    volume = _mean(state, places, _VOL_24H, _BARS_24H)
    row[13] = log(max(bar[4] / volume, LEAST_VOLUME))
    row[14] = log(max(_mean(state, places, _VOL_1H, _BARS_1H) / volume, LEAST_VOLUME))
    _tell_time(number * bar_s, row)


@compiled
def _tell_time(at_s: int, row: NDArray[np.float32]) -> None:
    turn = 2 * pi * (at_s % DAY_S) / DAY_S
    row[15], row[16], row[17] = sin(turn), cos(turn), cos(2 * turn)
    row[18] = sin(2 * pi * (at_s % WEEK_S) / WEEK_S)
    row[19] = 1.0 if (at_s // DAY_S + 3) % 7 >= 5 else 0.0  # 1970 began on a Thursday


@compiled
def _keep_if_finite(row: NDArray[np.float32]) -> bool:
    for k in range(len(row)):
        if not isfinite(row[k]):
            row[:] = 0.0
            return False
    return True


@compiled
def step(
    state: Floats, places: Ints, number: int, bar_s: int, bar: Floats, present: bool, row: NDArray[np.float32]
) -> bool:
    """Take bar `number` (seconds since 1970 UTC / bar_s) or its absence; return whether `row` is known, 0 if not."""
    _take_return(state, places, number, log(bar[3]) if present else np.nan)
    _take_bar(state, places, number, bar, present)
    _take_hour(state, places, number)
    if not present or not _has_enough(state, places):
        return False
    _tell(state, places, number, bar_s, bar, row)
    return _keep_if_finite(row)


@compiled
def replay(
    state: Floats,
    places: Ints,
    number: int,
    bar_s: int,
    bars: Floats,
    present: Bools,
    x: NDArray[np.float32],
    known: Bools,
) -> None:
    """Take the bars that follow each other from `number` on, and write a row of `x` and of `known` for each.

    Shapes:
        bars: (n, 5) open, high, low, close, volume; not read where not present.
        present, known: (n,).
        x: (n, F), zeros on entry.
    """
    for k in range(len(bars)):
        known[k] = step(state, places, number + k, bar_s, bars[k], present[k], x[k])

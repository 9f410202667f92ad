"""What came after each bar: volatility over each horizon, return, volume, and which of three barriers was met first."""

from dataclasses import dataclass

import numpy as np

from trading.domain.bar_kernel import DAY_S, FLOOR, HOUR_S, LEAST_VOLUME
from trading.domain.bars import SECOND_NS, Bars, Floats, Frame, Ints, UnsoundBars, enough


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What came after each bar of a frame; NaN where it is not known.

    Shapes:
        log_rv: (m, H) log of the mean squared return per hour over each horizon.
        returns: (m,) log return over the first horizon.
        volume: (m,) log of the volume of the first horizon over its mean.
        until_ns: (m,) when the last of them is known: a training window must end before a test window by that much.
    """

    log_rv: Floats
    returns: Floats
    volume: Floats
    until_ns: Ints


def labels_of(bars: Bars, frame: Frame, horizons_s: tuple[int, ...]) -> Labels:
    """Return what came after each row of `frame`, which was made of `bars`.

    A volatility is known where at least 80 % of the returns of its horizon are (both bars exist); the return where the
    bar and the one a horizon later exist; the volume where 80 % of the bars of the horizon and of the day before exist
    and that day had any.

    Raises:
        UnsoundBars: the frame is of other bars, there is no horizon, or one is no multiple of the length of a bar.
    """
    spans = [_bars_in(horizon_s, bars) for horizon_s in horizons_s]
    if not spans:
        raise UnsoundBars("horizons_s: there is none; name at least one.")
    volume = _volumes(bars, frame)
    squares = np.diff(np.log(frame.close), prepend=np.nan) ** 2
    hourly = HOUR_S * SECOND_NS / bars.bar_ns
    log_rv = np.stack([np.log(np.maximum(_after(squares, span) * hourly, FLOOR)) for span in spans], axis=1)
    returns = np.log(_ahead(frame.close, spans[0])) - np.log(frame.close)
    until_ns = frame.at_ns + max(spans) * bars.bar_ns
    return Labels(log_rv, returns, _log_ratio(volume, spans[0], DAY_S * SECOND_NS // bars.bar_ns), until_ns)


def triple_barrier(close: Floats, width: Floats, bars: int, *, up: float = 1.0, down: float = 1.0) -> Floats:
    """Return which barrier each close meets first within `bars`: 1 the upper, -1 the lower, 0 neither.

    The barriers lie `up` and `down` widths away, in log price; a close on a barrier meets it. NaN where the close or
    its width is unknown, where a bar is missing before a barrier is met, or where the closes end before that.

    Shapes:
        close: (m,) quote currency, NaN where the bar is missing.
        width: (m,) log price, > 0, for instance the expected standard deviation over `bars`.

    Raises:
        ValueError: `bars` is less than one, or a barrier is not a positive number of widths away.

    Source:
        M. Lopez de Prado (2018), "Advances in Financial Machine Learning", Wiley, 3.4.
    """
    if bars < 1 or not (up > 0 and down > 0):
        raise ValueError(f"bars, up, down: {bars}, {up}, {down}; use at least one bar and barriers above zero.")
    logs = np.log(close)
    met = np.where(np.isfinite(logs) & np.isfinite(width) & (width > 0), 0.0, np.nan)
    is_open = met == 0
    for ahead in range(1, bars + 1):
        move = _ahead(logs, ahead) - logs
        for hit, side in ((move >= up * width, 1.0), (move <= -down * width, -1.0), (np.isnan(move), np.nan)):
            met[is_open & hit] = side
            is_open &= ~hit
    return met


def _bars_in(horizon_s: int, bars: Bars) -> int:
    if horizon_s < 1 or horizon_s * SECOND_NS % bars.bar_ns:
        raise UnsoundBars(f"horizons_s: {horizon_s} is no multiple of a bar of {bars.bar_ns / SECOND_NS:g} s; use one.")
    return horizon_s * SECOND_NS // bars.bar_ns


def _volumes(bars: Bars, frame: Frame) -> Floats:
    """Return (m,) the volume of each row of the frame, NaN where the bar is missing."""
    volume = np.full(len(frame), np.nan)
    place = (bars.at_ns - frame.at_ns[0]) // bars.bar_ns
    if bars.bar_ns != frame.bar_ns or not len(bars) or place[0] != 0 or place[-1] != len(frame) - 1:
        raise UnsoundBars(f"{bars.symbol}: the frame is of other bars; make it of these.")
    volume[place] = bars.volume
    return volume


def _log_ratio(volume: Floats, span: int, day: int) -> Floats:
    ahead, behind = _after(volume, span), _before(volume, day)
    known = behind > 0
    ratio = np.full(len(volume), np.nan)
    ratio[known] = ahead[known] / behind[known]
    found: Floats = np.log(np.maximum(ratio, LEAST_VOLUME))
    return found


def _ahead(values: Floats, bars: int) -> Floats:
    moved = np.full(len(values), np.nan)
    moved[:-bars] = values[bars:]
    return moved


def _after(values: Floats, bars: int) -> Floats:
    """Return (m,) the mean of the known ones of the `bars` values after each, NaN where there are too few."""
    return _ahead(_before(values, bars), bars)


def _before(values: Floats, bars: int) -> Floats:
    """Return (m,) the mean of the known ones of the `bars` values up to each, itself included."""
    known = np.isfinite(values)
    total, count = _summed(np.where(known, values, 0.0), bars), _summed(known.astype(np.float64), bars)
    mean: Floats = np.divide(total, count, out=np.full(len(values), np.nan), where=count >= enough(bars))
    return mean


def _summed(values: Floats, bars: int) -> Floats:
    running = np.concatenate((np.zeros(1), np.cumsum(values)))
    first = np.maximum(np.arange(1, len(values) + 1) - bars, 0)
    found: Floats = np.maximum(running[1:] - running[first], 0.0)
    return found

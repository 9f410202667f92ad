"""Made frames whose volatility, trend and volume can be learned: two kinds of weather that follow one another."""

import numpy as np

from trading.domain.bars import Frame
from trading.ml.learnable import Labels, Learnable

BAR_S = 300
HORIZONS_S = (3_600, 14_400)
FEATURES = ("short_vol", "long_vol", "move", "trend", "volume", "noise")


def made(bars: int = 1_200, symbols: int = 2, window: int = 16, seed: int = 0) -> Learnable:
    """Return data of `symbols`, each bar known but the first 48 and a hole of three."""
    pairs = [_symbol(f"S{k}", bars, np.random.default_rng([seed, k])) for k in range(symbols)]
    frames, labels = zip(*pairs, strict=True)
    return Learnable("made", FEATURES, BAR_S, HORIZONS_S, window, frames, labels, "made", "0" * 64)


def _symbol(name: str, bars: int, draw: np.random.Generator) -> tuple[Frame, Labels]:
    wild = np.cumsum(draw.random(bars) < 1 / 120) % 2
    sigma = np.where(wild, 0.004, 0.0008)
    moves = sigma * draw.standard_normal(bars) + np.where(wild, -0.0002, 0.0002)
    volume = np.exp(0.3 * draw.standard_normal(bars) + wild)
    close = 100 * np.exp(np.cumsum(moves))
    at_ns = np.arange(1, bars + 1, dtype=np.int64) * BAR_S * 10**9
    short, long = (np.log(_past_mean(moves**2, n) + 1e-12) for n in (12, 48))
    x = np.stack(
        (short, long, moves * 1e3, _past_mean(moves, 12) * 1e4, np.log(volume), draw.standard_normal(bars)), axis=1
    )
    known = np.arange(bars) >= 48
    known[bars // 3 : bars // 3 + 3] = False
    x[~known] = 0
    close[bars // 3 : bars // 3 + 3] = np.nan
    frame = Frame(name, BAR_S * 10**9, at_ns, x.astype(np.float32), known, close)
    return frame, _labels(moves, volume, at_ns)


def _labels(moves: np.ndarray, volume: np.ndarray, at_ns: np.ndarray) -> Labels:
    counts = [horizon // BAR_S for horizon in HORIZONS_S]
    rv = np.stack([np.log(_next_sum(moves**2, n) / n * 12) for n in counts], axis=1)
    until = at_ns + HORIZONS_S[-1] * 10**9
    return Labels(rv, _next_sum(moves, counts[0]), np.log(_next_sum(volume, counts[0]) / 12 / volume.mean()), until)


def _past_mean(values: np.ndarray, n: int) -> np.ndarray:
    sums = np.cumsum(np.concatenate((np.zeros(n), values)))
    return np.asarray((sums[n:] - sums[:-n]) / n)


def _next_sum(values: np.ndarray, n: int) -> np.ndarray:
    sums = np.concatenate(([0.0], np.cumsum(values)))
    found = np.full(len(values), np.nan)
    found[:-n] = sums[n + 1 :] - sums[1:-n]
    return found

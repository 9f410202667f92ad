"""Small made-up markets whose volatility follows a law, so that a net has something to find."""

import numpy as np

from trading.domain.bar_features import FEATURES as NAMES
from trading.domain.bar_features import schema_digest
from trading.domain.bars import Frame
from trading.ml.learnable import Labels, Learnable

BAR_S = 300
BAR_NS = BAR_S * 1_000_000_000
HORIZONS_S = (900, 1_800)
FEATURES = 6


def learnable(
    *,
    symbols: tuple[str, ...] = ("BTCUSDT",),
    bars: int = 600,
    window: int = 16,
    seed: int = 0,
    sign: float = 1.0,
    features: int = FEATURES,
) -> Learnable:
    """Return frames of noise whose labels are a line and a product of what was seen in the last bars."""
    draw = np.random.default_rng(seed)
    made = [_one(symbol, bars, draw, sign, features) for symbol in symbols]
    frames, labels = tuple(frame for frame, _ in made), tuple(label for _, label in made)
    names, schema = NAMES[:features], schema_digest(BAR_S)
    return Learnable(schema, names, BAR_S, HORIZONS_S, window, frames, labels, "made up", f"{seed}{sign}")


def _one(symbol: str, bars: int, draw: np.random.Generator, sign: float, features: int) -> tuple[Frame, Labels]:
    x = (3 + 2 * draw.standard_normal((bars, features))).astype(np.float32)
    known = draw.random(bars) > 0.02
    x[~known] = 0
    z = (x - 3) / 2 * known[:, np.newaxis]
    earlier = np.vstack((np.zeros((2, features)), z[:-2]))
    told = sign * (0.5 * z[:, 0] + 1.5 * earlier[:, 1] * earlier[:, 2])
    log_rv = np.stack((told - 8, 0.5 * told - 8), axis=1) + 0.1 * draw.standard_normal((bars, 2))
    at_ns = (np.arange(bars, dtype=np.int64) + 1_000) * BAR_NS
    last = HORIZONS_S[-1] // BAR_S
    log_rv[-last:] = np.nan
    returns = 0.01 * draw.standard_normal(bars)
    close = np.where(known, 100.0, np.nan)
    frame = Frame(symbol, BAR_NS, at_ns, x, known, close)
    return frame, Labels(log_rv, returns, np.zeros(bars), at_ns + last * BAR_NS)

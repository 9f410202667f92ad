"""More of the same data without a word about the future: noise, windows that end earlier, calmer and wilder markets."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from trading.domain.bars import Bars, Floats, Ints
from trading.ml.learnable import Learnable
from trading.ml.losses import Batch


def noisy(batch: Batch, deviations: Tensor, draw: np.random.Generator) -> Batch:
    """Return `batch` with normal noise of `deviations` (F,) added to each known bar."""
    noise = torch.from_numpy(draw.standard_normal(batch.x.shape).astype(np.float32)) * deviations
    return batch._replace(x=batch.x + noise * batch.known.unsqueeze(-1))


def shifted(data: Learnable, rows: Ints, part: Ints, most: int, draw: np.random.Generator) -> Ints:
    """Return the rows at `part`, each ending up to `most` bars earlier, with the labels of that bar.

    Crops, never rolls: no bar enters a window from its other end. A row moves back only over bars between it and the
    training row before it, so that it stays inside the stretch that may be learned from; `rows` are sorted by frame
    and bar.
    """
    before = np.roll(rows, 1, axis=0)
    near = (before[:, 0] == rows[:, 0]) & (rows[:, 1] - before[:, 1] - 1 <= most)
    near[:1] = False
    room = np.where(near, rows[:, 1] - before[:, 1] - 1, 0)[part]
    back = draw.integers(0, room + 1)
    moved = rows[part] - np.stack((np.zeros_like(back), back), axis=1)
    able = np.array([_able(data, frame, bar) for frame, bar in moved], bool)
    return np.where(able[:, np.newaxis], moved, rows[part])


def scaled(bars: Bars, factor: float) -> Bars:
    """Return a market whose every log return is `factor` times as large: features and labels follow by themselves.

    The log of its mean squared return is higher by 2 log(factor): what a scaling of the features alone forgets.

    Raises:
        UnsoundBars: prices leave what a number holds.
    """
    first = bars.close[:1]

    def wilder(prices: Floats) -> Floats:
        return first * (prices / first) ** factor

    open_, high, low, close = (wilder(each) for each in (bars.open, bars.high, bars.low, bars.close))
    return replace(bars, symbol=f"{bars.symbol}x{factor:g}", open=open_, high=high, low=low, close=close)


def _able(data: Learnable, frame: int, bar: int) -> bool:
    labels = data.labels[frame]
    told = np.isfinite(labels.log_rv[bar]).all() and np.isfinite(labels.returns[bar])
    return bool(data.frames[frame].known[bar] and told and bar >= data.window - 1)

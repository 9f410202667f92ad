"""What would hurt a net most: features pushed against it, and markets that break."""

from dataclasses import replace
from enum import StrEnum
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from trading.domain.bars import Bars, Floats
from trading.ml.losses import Batch, ForecastLoss

FALL: Final = 0.3  # of a crash
CRASH_BARS: Final = 12
STORM: Final = 5.0  # times the usual returns


class Stress(StrEnum):
    """How a market breaks."""

    CRASH = "crash"  # falls by 30 % within twelve bars, wins half of it back in as many
    JUMP = "jump"  # opens 10 % away
    STORM = "storm"  # every return five times as large
    FREEZE = "freeze"  # nobody trades
    HOLE = "hole"  # bars are missing


def fgsm(net: nn.Module, loss: ForecastLoss, batch: Batch, steps: Tensor) -> Batch:
    """Return `batch` with every known feature pushed by `steps` (F,) to where the loss grows.

    Source:
        I. Goodfellow, J. Shlens and C. Szegedy (2015), "Explaining and Harnessing Adversarial Examples",
        arXiv 1412.6572: the fast gradient sign method.
    """
    x = batch.x.detach().clone().requires_grad_()
    cost = loss(net(x, batch.known), batch).sum()
    (slope,) = torch.autograd.grad(cost, x)
    pushed = batch.x + steps.to(batch.x.device) * slope.sign() * batch.known.unsqueeze(-1)
    return batch._replace(x=pushed.detach())


def stressed(bars: Bars, stress: Stress, begin: int, length: int) -> Bars:
    """Return `bars` with a stress from bar `begin` on, over `length` bars; prices after it go on from where it led.

    Raises:
        ValueError: the stress would begin before the second bar or end after the last.
    """
    if not 1 <= begin <= begin + length < len(bars) or length < 1:
        raise ValueError(f"begin: {length} bars from {begin} on are not inside {len(bars)}; choose others.")
    if stress is Stress.HOLE:
        kept = np.r_[0:begin, begin + length : len(bars)]
        columns = ("at_ns", "open", "high", "low", "close", "volume")
        return replace(bars, **{name: getattr(bars, name)[kept] for name in columns})
    if stress is Stress.FREEZE:
        return _frozen(bars, slice(begin, begin + length))
    return _moved(bars, _path(bars, stress, begin, length))


def _path(bars: Bars, stress: Stress, begin: int, length: int) -> Floats:
    """Return (n,) what is added to the log of the close of each bar."""
    returns = np.zeros(len(bars))
    if stress is Stress.JUMP:
        returns[begin] = -np.log1p(0.1)
    elif stress is Stress.CRASH:
        fall = min(CRASH_BARS, max(1, length // 2))
        returns[begin : begin + fall] = np.log1p(-FALL) / fall
        returns[begin + fall : begin + 2 * fall] = np.log1p(FALL / 2 / (1 - FALL)) / fall
    else:
        own = np.diff(np.log(bars.close), prepend=np.log(bars.close[0]))
        returns[begin : begin + length] = (STORM - 1) * own[begin : begin + length]
    return np.cumsum(returns)


def _moved(bars: Bars, path: Floats) -> Bars:
    """Move each bar by `path`; its open by that of the bar before, so a fall is inside the bar that falls."""
    opened = bars.open * np.exp(np.concatenate(([0.0], path[:-1])))
    closed = bars.close * np.exp(path)
    highest = np.maximum(np.maximum(opened, closed), bars.high * np.exp(path))
    lowest = np.minimum(np.minimum(opened, closed), bars.low * np.exp(path))
    return replace(bars, open=opened, close=closed, high=highest, low=lowest)


def _frozen(bars: Bars, where: slice) -> Bars:
    columns = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close", "volume")}
    for name, column in columns.items():
        column[where] = 0.0 if name == "volume" else bars.close[where.start - 1]
    return replace(bars, **columns)

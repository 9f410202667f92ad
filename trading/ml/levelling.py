"""What of a net needs no gradient: scales of features and targets, and the straight line, from training rows."""

from typing import Protocol

import numpy as np
import torch

from trading.domain.bars import Floats, Ints
from trading.ml.learnable import Learnable
from trading.ml.networks.blocks import Heads, Standardize

SHRINKAGE = 1e-3  # of ridge regression, per row, on standardised features
LEAST_SPREAD = 1e-9  # of a feature; one that never changes tells nothing, and its spread is not zero for that
LEAST_TARGET = 1e-6


class Levelled(Protocol):
    """A net that begins with ridge regression."""

    standardize: Standardize
    heads: Heads


@torch.no_grad()
def level(net: Levelled, data: Learnable, rows: Ints) -> None:
    """Set scales, straight line and quantiles of `net` from `rows`, and from nothing else."""
    last, target = data.last(rows).astype(np.float64), data.target(rows, "log_rv")
    spread = last.std(axis=0)
    _set(net.standardize.mean, last.mean(axis=0))
    _set(net.standardize.spread, np.where(spread > LEAST_SPREAD, spread, 1.0))
    mean, spread = target.mean(axis=0), np.maximum(target.std(axis=0), LEAST_TARGET)
    _set(net.heads.target_mean, mean)
    _set(net.heads.target_spread, spread)
    z = net.standardize(torch.from_numpy(last).float(), torch.ones(len(last))).double().numpy()
    _open_quantiles(net.heads, straighten(net.heads, z, (target - mean) / spread))


@torch.no_grad()
def straighten(heads: Heads, z: Floats, y: Floats) -> Floats:
    """Set the straight line to ridge regression of y (n, H) on z (n, F); return what it leaves unexplained."""
    one = np.column_stack((z, np.ones(len(z))))
    shrink = np.diag(np.r_[np.full(z.shape[1], SHRINKAGE * len(z)), 0.0])
    weights = np.linalg.solve(one.T @ one + shrink, one.T @ y)
    _set(heads.straight.weight, weights[:-1].T)
    _set(heads.straight.bias, weights[-1])
    rest: Floats = y - one @ weights
    return rest


def _open_quantiles(heads: Heads, rest: Floats) -> None:
    """Begin with the quantiles where those of the straight line's residuals are."""
    for layer, share, sign in ((heads.below, 0.1, -1), (heads.above, 0.9, 1)):
        away = np.maximum(sign * np.quantile(rest, share, axis=0), 1e-3)
        layer.weight.zero_()
        _set(layer.bias, away + np.log(-np.expm1(-away)))  # the inverse of softplus


def _set(place: torch.Tensor, values: Floats) -> None:
    place.copy_(torch.from_numpy(np.ascontiguousarray(values)))

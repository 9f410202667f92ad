"""Nets that are fitted in seconds: the baseline DLinear, and a small net beside it that may well be the champion."""

from torch import nn

from trading.ml.forecasting import Forecasting
from trading.ml.networks.convolution import Tcn
from trading.ml.networks.dlinear import DLinear, Pointwise


def _tcn(features: int, window: int, *, channels: tuple[int, ...], dropout: float) -> nn.Module:
    return Tcn(features, channels, dropout=dropout)


DLINEAR = Forecasting(0, "dlinear", DLinear, {"quick": {}, "usual": {}})
POINTWISE = Forecasting(0, "pointwise", Pointwise, {"quick": {"hidden": 8}, "usual": {"hidden": 64}})
TCN = Forecasting(
    2,
    "tcn",
    _tcn,
    {"quick": {"channels": (8, 8), "dropout": 0.1}, "usual": {"channels": (24, 24, 24, 24, 24), "dropout": 0.1}},
)

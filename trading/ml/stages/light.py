"""Nets that are fitted in seconds: the baseline DLinear, and two beside it that may well be the champion."""

from typing import Final, cast

from trading.ml.forecasting import Forecasting
from trading.ml.learnable import Stage
from trading.ml.networks.dlinear import Dilated, DLinear, Pointwise

CHANNELS: Final = (24, 24, 24, 24, 24)  # the last layer sees 125 bars: the whole window

DLINEAR: Final = Forecasting(0, "dlinear", DLinear, {"quick": {}, "usual": {}})
POINTWISE: Final = Forecasting(0, "pointwise", Pointwise, {"quick": {"hidden": 8}, "usual": {"hidden": 64}})
TCN: Final = Forecasting(
    2,
    "tcn",
    Dilated,
    {"quick": {"channels": (8, 8), "dropout": 0.1}, "usual": {"channels": CHANNELS, "dropout": 0.1}},
)
# The baseline, and challengers beside the stages.
LIGHT: Final = {each.name: cast(Stage, each) for each in (DLINEAR, POINTWISE, TCN)}
TO_THE_END: Final = {"held_out": 0.0}  # no row is kept for stopping early: the newest ones tell most

"""Stage 1: enhanced feature learning: stacked multi-head attention, residual blocks, interaction."""

from trading.ml.forecasting import Forecasting
from trading.ml.networks.attentive import Attentive

USUAL = {"width": 32, "heads": 4, "stacks": 3, "blocks": 4, "hidden": 64, "dropout": 0.1}

STAGE = Forecasting(
    1,
    "attention",
    Attentive,
    {"quick": {**USUAL, "width": 8, "hidden": 16, "blocks": 1}, "usual": USUAL, "roadmap": {**USUAL, "hidden": 128}},
)

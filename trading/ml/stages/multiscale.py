"""Stage 2: advanced temporal modelling: transformers on two scales, wavelets, dilated convolutions."""

from trading.ml.forecasting import Forecasting
from trading.ml.networks.multiscale import MultiScale

USUAL = {
    "micro": 32,
    "micro_layers": 2,
    "macro": 48,
    "macro_layers": 2,
    "heads": 4,
    "channels": (32, 32, 32),
    "levels": 3,
    "recent": 32,
    "pooled": 4,
    "dropout": 0.1,
}
QUICK = {
    **USUAL,
    "micro": 8,
    "macro": 8,
    "micro_layers": 1,
    "macro_layers": 1,
    "channels": (8,),
    "levels": 2,
    "recent": 8,
}
MILLION = {**USUAL, "micro": 64, "micro_layers": 3, "macro": 96, "macro_layers": 4, "channels": (32, 64, 96)}
ROADMAP = {
    **USUAL,
    "micro": 128,
    "micro_layers": 3,
    "macro": 256,
    "macro_layers": 6,
    "heads": 8,
    "channels": (64, 128, 256),
    "dropout": 0.2,
}

STAGE = Forecasting(
    2, "multiscale", MultiScale, {"quick": QUICK, "usual": USUAL, "million": MILLION, "roadmap": ROADMAP}
)

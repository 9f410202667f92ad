"""What a model says of one symbol, and the words for what keeps it from being heard."""

from dataclasses import dataclass
from enum import StrEnum

from trading.domain.bars import Floats

HORIZONS_S = (3_600, 14_400, 86_400)  # what the volatility is forecast over


class Output(StrEnum):
    """What a net may tell; these are the names of the outputs in its ONNX file."""

    LOG_RV = "log_rv"  # (S, H) log of the mean squared return per hour over each horizon
    LOG_RV_Q = "log_rv_q"  # (S, H, 2) its 10 % and 90 % quantiles
    TREND = "trend"  # (S,) expected return over the first horizon / its standard deviation
    REGIME = "regime"  # (S, K) filtered probabilities, sum 1
    VOLUME = "volume"  # (S,) log of the volume of the next hour over its mean
    ACTION = "action"  # (S, 4) spacing, levels, size, skew, each in -1..1
    UNCERTAINTY = "uncertainty"  # (S,) spread of what its members say of LOG_RV


class Fault(StrEnum):
    """Why the rule-based forecast is used instead of a model."""

    MISSING = "missing"  # no model, or its file cannot be read
    WARMING = "warming"  # too few bars yet
    STALE = "stale"  # the last bar it saw is too old
    NOT_FINITE = "not finite"  # NaN or infinite
    LATE = "late"  # over its deadline
    MISMATCH = "hash mismatch"  # not the file, the features or the shapes its card names
    OUTLIER = "out of distribution"
    DISAGREEMENT = "disagreement"  # with the rule, beyond its limit
    DRIFT = "drift"
    BROKEN = "broken"  # it raised
    HALTED = "halted"
    RECOVERING = "recovering"  # sound again, not long enough


class ModelFault(Exception):
    """A model cannot be used; `fault` says why in one word, the message in a sentence for people."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """What one model said of one symbol after one bar; every number is finite."""

    model: str  # digest of its package
    symbol: str
    at_ns: int  # close of the last bar it saw
    log_rv: tuple[float, ...]  # one a horizon; log of the mean squared return per hour
    log_rv_q: tuple[tuple[float, float], ...] = ()  # 10 %, 90 %; () where it tells none
    trend: float | None = None  # expected return / standard deviation, over the first horizon
    regime: tuple[float, ...] = ()
    uncertainty: float | None = None


Named = dict[str, Floats]  # by `Output`, the first axis is the symbol

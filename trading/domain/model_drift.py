"""Whether what a model sees, or how well it does, is no longer what it was trained on."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trading.domain.bars import Floats

BINS: Final = 10
PSI_LIMIT: Final = 0.25  # "a major shift" in the rule of thumb of credit scoring
CHI_SQUARED: Final = 27.9  # its 99.9 % quantile with BINS - 1 degrees of freedom
DAY_S: Final = 86_400
SPAN_S: Final = 7 * DAY_S  # what is held against the training
HALF: Final = 0.5  # a bar in every bin, so that an empty one has a logarithm
SPANS_S: Final = {"15m": 900, "1h": 3_600, "4h": 14_400, "24h": DAY_S, "7d": SPAN_S}  # by the end of a feature's name
CYCLES: Final = frozenset({"day_sin", "day_cos", "half_day_cos", "week_sin", "weekend"})  # the calendar does not drift
ALLOWED: Final = (
    0.1  # loss a bar by which a model may do worse without being counted, in variances of the target (ours)
)
ALARM: Final = 10.0  # how much more than that, summed (ours): a chance of some 1 in 10 years where nothing has changed
MOST_LOSS: Final = 3.0  # one hour alone decides nothing


class FeatureDrift:
    """Holds the bars of the last week against the deciles of the training, feature by feature.

    The deciles are of all symbols of the training together, so only all of them together can be held against them. The
    index also measures that a week is short: what a feature of a whole day saw in seven of them is seven readings, not
    ten thousand. Under no drift it is about chi-squared over the number of readings, so that much is taken off.

    Source:
        B. Yurdakul and J. Naranjo (2020), "Statistical properties of the population stability index", Journal of Risk
        Model Validation 14(4), 89-100: PSI times the number of readings is about chi-squared with bins - 1 degrees.
    """

    def __init__(
        self, features: tuple[str, ...], bins: tuple[tuple[float, ...], ...], bar_s: int, symbols: tuple[str, ...]
    ) -> None:
        """`bins` (F, 9): the deciles of each feature in training; `symbols` it was trained on."""
        self._bins = np.array(bins)
        self._seen = dict.fromkeys(symbols, 0)
        self._bars, self._least = SPAN_S // bar_s, DAY_S // bar_s
        self._codes: NDArray[np.int8] = np.zeros((len(symbols), self._bars, len(features)), np.int8)
        self._places = {symbol: place for place, symbol in enumerate(symbols)}
        self._counts = np.zeros((len(features), BINS))
        self._rows = np.arange(len(features))
        self._bars_apart = np.array([_memory_s(name, bar_s) / bar_s for name in features])  # between two readings
        self._drifts = np.array([name not in CYCLES for name in features])

    def observe(self, symbol: str, x: NDArray[np.float32]) -> None:
        """Take the features (F,) of one known bar; a symbol it was not trained on says nothing."""
        place = self._places.get(symbol)
        if place is None:
            return
        codes, seen = self._codes[place], self._seen[symbol]
        at = seen % self._bars
        if seen >= self._bars:
            self._counts[self._rows, codes[at]] -= 1
        found = (self._bins < x[:, np.newaxis]).sum(axis=1)
        codes[at] = found
        self._counts[self._rows, found] += 1
        self._seen[symbol] = seen + 1

    def psi(self) -> float | None:
        """Return the highest index of a feature beyond what so few readings show anyway.

        None before a day of bars, or where a symbol of the training has fewer than half as many bars as another.
        """
        held = [min(seen, self._bars) for seen in self._seen.values()]
        if min(held) < self._least or 2 * min(held) < max(held):
            return None
        readings = np.maximum(min(held) / self._bars_apart, 1.0)
        beyond = stability(self._counts) - CHI_SQUARED / readings
        return float(np.max(beyond, where=self._drifts, initial=0.0))


def stability(counts: Floats) -> Floats:
    """Return the population stability index of counts (F, bins) against bins that held equally many in training."""
    bins = counts.shape[1]
    share = (counts + HALF) / (counts.sum(axis=1, keepdims=True) + HALF * bins)
    index: Floats = ((share - 1 / bins) * np.log(share * bins)).sum(axis=1)
    return index


def _memory_s(name: str, bar_s: int) -> int:
    """Return how far apart two readings of a feature are; one whose name does not say it may look back a week.

    What is a logarithm is a level, of volatility or volume, and those stay where they are for days.
    """
    ending = name.rpartition("_")[2]
    span_s = bar_s if ending == "bar" else SPANS_S.get(ending, SPAN_S)
    return max(span_s, DAY_S) if name.startswith("log_") else span_s


@dataclass(slots=True)
class LossDrift:
    """Page-Hinkley's test on how much worse a model does than the rule, in variances of the target.

    One sample is the mean over one horizon: forecasts within it look at the same future. A model is held against its
    own record, and where that is worse than the rule's against the rule.

    Source:
        E. S. Page (1954), "Continuous inspection schemes", Biometrika 41, 100-115; D. Hinkley (1971), Biometrika 58.
    """

    per_sample: int  # forecasts in one horizon
    _within: list[float] = field(default_factory=list)
    _samples: int = 0
    _mean: float = 0.0
    _sum: float = 0.0  # above its lowest so far

    def observe(self, worse: float) -> None:
        """Take one forecast's squared error less the rule's, over the variance of the target."""
        self._within.append(worse)
        if len(self._within) >= self.per_sample:
            self._add(sum(self._within) / len(self._within))
            self._within.clear()

    @property
    def level(self) -> float | None:
        """How far the sum has come; 1 is an alarm; None before a first sample."""
        return self._sum / ALARM if self._samples else None

    def _add(self, sample: float) -> None:
        held = min(max(sample, -MOST_LOSS), MOST_LOSS)
        self._sum = max(self._sum + held - min(self._mean, 0.0) - ALLOWED, 0.0)
        self._samples += 1
        self._mean += (held - self._mean) / self._samples

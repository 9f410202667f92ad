"""What is measured from prices, one message at a time; the same code live and in the backtest."""

from dataclasses import dataclass
from math import exp, isfinite, log, sqrt
from typing import Final

SAMPLE_NS: Final = 1_000_000_000  # returns over a second: shorter ones measure the bouncing of bid and ask
HALF_LIFE_S: Final = 60.0  # an hour-old return weighs nothing, ten seconds alone decide nothing (ours)
MAX_GAP_NS: Final = 30_000_000_000  # no return is measured across a longer silence (bars print every 20 s)
WARM_SAMPLES: Final = 30  # fewer returns say too little
_DECAY: Final = log(2) / HALF_LIFE_S


@dataclass(slots=True)
class EwmaVolatility:
    """Exponentially weighted standard deviation of the log return per square root of a second, streaming.

    A sample is the squared log return of the mid over the time since the last sample, divided by that time; its weight
    halves every `HALF_LIFE_S`. A silence longer than `MAX_GAP_NS` is counted and starts a new first price: no return is
    invented for it.

    Source:
        J. P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th ed. (exponential weights); here the weight
        follows elapsed time, because ticks come unevenly.
    """

    samples: int = 0
    gaps: int = 0
    _variance: float = 0.0  # 1/s
    _weight: float = 0.0  # sum of the weights so far; 1 in the limit
    _last_log: float = 0.0
    _last_at_ns: int | None = None

    @property
    def per_second(self) -> float | None:
        """Standard deviation of the log return over one second; None until warm."""
        if self.samples < WARM_SAMPLES or self._weight <= 0.0:
            return None
        return sqrt(self._variance / self._weight)

    def observe(self, price: float, at_ns: int) -> bool:
        """Take one price (any positive unit) at one time; return True when it made a new sample.

        A price that is not finite and positive, or a time that runs backwards, changes nothing.
        """
        last = self._last_at_ns
        if last is not None and at_ns - last < SAMPLE_NS:
            return False
        if not (isfinite(price) and price > 0.0):
            return False
        if last is None or at_ns - last > MAX_GAP_NS:
            self.gaps += last is not None
            self._last_log, self._last_at_ns = log(price), at_ns
            return False
        self._add(log(price), (at_ns - last) / 1e9)
        self._last_at_ns = at_ns
        return True

    def restart(self) -> None:
        """Forget the last price, keep what was learned: the next price starts a new run (new lap, new connection)."""
        self._last_at_ns = None

    def _add(self, log_price: float, seconds: float) -> None:
        keep = exp(-_DECAY * seconds)
        change = log_price - self._last_log
        self._variance = keep * self._variance + (1.0 - keep) * change * change / seconds
        self._weight = keep * self._weight + (1.0 - keep)
        self._last_log = log_price
        self.samples += 1

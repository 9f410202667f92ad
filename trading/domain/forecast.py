"""The rule-based forecast: from measured volatility to the narrowest step worth having."""

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Final

from trading.domain.features import SAMPLE_NS, EwmaVolatility
from trading.domain.market import BookTop

REACTION_S: Final = 1.0  # price should not cross a step while an order travels; a slow venue round trip (ours)
SIGMAS: Final = 3.0  # how rarely it may happen: once in some 370 seconds of a normal return (ours)
QUIET_BELOW: Final = 0.00003  # volatility per sqrt(second); about 17 % a year (ours)
WILD_ABOVE: Final = 0.00025  # about 140 % a year (ours)
ROUNDING_NS: Final = 1_000_000  # of market time; far more than the product with a speed is ever wrong by
EVERY_NS: Final = 1_000_000_000  # at most one forecast per second of our clock and symbol


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected of one instrument; every number is finite."""

    symbol: str
    volatility_per_second: float  # standard deviation of the log return, 1/sqrt(s)
    spacing_floor_fraction: float  # narrowest sensible grid step, fraction of the price
    regime: str  # "quiet" | "normal" | "wild"
    at_ns: int


def regime(volatility_per_second: float) -> str:
    """Return the word for a volatility; what is not a number is wild, so that nobody trades on it."""
    if volatility_per_second < QUIET_BELOW:
        return "quiet"
    if volatility_per_second <= WILD_ABOVE:
        return "normal"
    return "wild"


def spacing_floor_fraction(volatility_per_second: float) -> float:
    """Return the step that `SIGMAS` standard deviations of the reaction time do not cross.

    Raises:
        ValueError: the volatility is negative, NaN or infinite.
    """
    if not isfinite(volatility_per_second) or volatility_per_second < 0.0:
        raise ValueError(f"volatility_per_second is {volatility_per_second}; use a finite number >= 0.")
    return SIGMAS * volatility_per_second * sqrt(REACTION_S)


class Forecaster:
    """Turns book tops into forecasts, at most one a second and symbol; the same input gives the same forecasts.

    A replay runs faster than its market: `speed` seconds of market pass in a second of ours. Volatility is measured
    in market time, so that a forecast does not depend on how fast the recording is played.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._volatility: dict[str, EwmaVolatility] = {}
        self._told_at_ns: dict[str, int] = {}
        self._no_sample_before_ns: dict[str, int] = {}  # our clock; a little early, and looked at again then
        self._speed = _checked(speed)
        self._clock_ns = 0  # market time at `_since_ns` of our clock
        self._since_ns: int | None = None

    def set_speed(self, speed: float, now_ns: int) -> None:
        """Play `speed` times as fast from now on.

        Raises:
            ValueError: the speed is not finite and positive.
        """
        self._clock_ns, self._since_ns, self._speed = self._market_ns(now_ns), now_ns, _checked(speed)
        self._no_sample_before_ns.clear()

    def observe(self, top: BookTop, now_ns: int) -> Forecast | None:
        """Take one sound book top; return a new forecast when there is one."""
        symbol, bid_ticks, _, ask_ticks, _, _, _, _ = top  # at once: faster than by name
        if now_ns < self._no_sample_before_ns.get(symbol, 0):
            return None
        measure = self._volatility.get(symbol)
        if measure is None:
            measure = self._volatility[symbol] = EwmaVolatility()
        if not measure.observe((bid_ticks + ask_ticks) / 2, self._market_ns(now_ns)):
            return None
        self._no_sample_before_ns[symbol] = now_ns + int((SAMPLE_NS - ROUNDING_NS) / self._speed)
        sigma, told_at_ns = measure.per_second, self._told_at_ns.get(symbol)
        if sigma is None or not isfinite(sigma) or (told_at_ns is not None and now_ns - told_at_ns < EVERY_NS):
            return None
        self._told_at_ns[symbol] = now_ns
        return Forecast(symbol, sigma, spacing_floor_fraction(sigma), regime(sigma), now_ns)

    def restart(self) -> None:
        """Start new runs of prices: a new lap or a new connection; nothing measured spans the seam."""
        for measure in self._volatility.values():
            measure.restart()
        self._no_sample_before_ns.clear()

    def _market_ns(self, now_ns: int) -> int:
        if self._since_ns is None:
            self._since_ns = now_ns
        return self._clock_ns + int((now_ns - self._since_ns) * self._speed)


def _checked(speed: float) -> float:
    if not isfinite(speed) or speed <= 0.0:
        raise ValueError(f"speed is {speed}; it must be finite and above zero.")
    return speed

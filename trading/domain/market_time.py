"""What time it is in a market that is played faster than ours."""

from dataclasses import dataclass


@dataclass(slots=True)
class MarketTime:
    """Market time runs `speed` times as fast as our clock, from the moment it was first asked; ns UTC, both."""

    speed: float = 1.0
    _market_ns: int | None = None  # at `_ours_ns` of our clock
    _ours_ns: int = 0

    def at(self, now_ns: int) -> int:
        """Return the market time at `now_ns` of our clock; they are the same until a market runs faster."""
        if self._market_ns is None:
            self._market_ns = self._ours_ns = now_ns
        return self._market_ns + int((now_ns - self._ours_ns) * self.speed)

    def ours(self, market_ns: int) -> int:
        """Return when it was `market_ns`, on our clock."""
        if self._market_ns is None:
            return market_ns
        return self._ours_ns + int((market_ns - self._market_ns) / self.speed)

    def run_at(self, speed: float, now_ns: int) -> None:
        """Run `speed` times as fast from now on."""
        if speed != self.speed:
            self._market_ns, self._ours_ns, self.speed = self.at(now_ns), now_ns, speed

"""The clock of a replay in lockstep: it is always the time of the last event."""

import asyncio


class ReplayClock:
    """Stands still between events; `advance` is called by whoever reads the events."""

    def __init__(self, now_ns: int = 0) -> None:
        """Start at `now_ns` (UTC)."""
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """Return the time of the last event."""
        return self._now_ns

    def advance(self, at_ns: int) -> None:
        """Move to `at_ns`; time never runs backwards."""
        self._now_ns = max(self._now_ns, at_ns)

    async def sleep(self, seconds: float) -> None:
        """Let others run; a replay waits for nobody."""
        await asyncio.sleep(0)

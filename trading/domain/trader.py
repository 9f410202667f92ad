"""The trader: events in, effects out; every decision of an account is made here."""

from collections.abc import Mapping

from trading.domain.desk import DeskSettings, TraderState, TraderView
from trading.domain.events import Effect, Event
from trading.domain.instruments import Instrument
from trading.domain.limits import Limits


class Trader:
    """One account's core; pure: no clock, no I/O. Feed it events in order, execute its effects in order."""

    def __init__(
        self,
        *,
        settings: DeskSettings,
        limits: Limits,
        instruments: Mapping[str, Instrument],
        epoch: int,
        now_ns: int,
        lap: int = 0,
        state: TraderState | None = None,
    ) -> None:
        raise NotImplementedError

    def start(self, now_ns: int) -> list[Effect]:
        """Return what to do first: open the day on a first start, ask for the first venue read."""
        raise NotImplementedError

    def handle(self, event: Event, now_ns: int) -> list[Effect]:
        """Return the effects of `event`, every persist effect before the first that leaves."""
        raise NotImplementedError

    def view(self, now_ns: int) -> TraderView:
        """Return a snapshot for publishing; reads only."""
        raise NotImplementedError

"""Where everything that happens to one account waits for its turn."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

from trading.domain.events import Event

LIMIT: Final = 400_000  # events; a loop that far behind must start anew


class TooSlow(Exception):
    """More events wait than a loop may fall behind: end it and start anew from stored state."""


class Inbox:
    """Two queues in one: what stops trading overtakes what feeds it."""

    def __init__(self) -> None:
        self._urgent: deque[Event] = deque()
        self._events: deque[Event] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._awake = False

    def __len__(self) -> int:
        return len(self._urgent) + len(self._events)

    def put(self, event: Event) -> None:
        """Append one event."""
        self._events.append(event)
        self.wake()

    def extend(self, events: Iterable[Event]) -> None:
        """Append events in order.

        Raises:
            TooSlow: the reader has fallen too far behind.
        """
        self._events.extend(events)
        if len(self._events) > LIMIT:
            raise TooSlow(f"{len(self._events)} events wait.")
        self.wake()

    def put_urgent(self, event: Event) -> None:
        """Append one event that overtakes all that is not urgent."""
        self._urgent.append(event)
        self.wake()

    def take(self, limit: int) -> list[Event]:
        """Remove and return up to `limit` events, urgent ones first."""
        taken: list[Event] = []
        for queue in (self._urgent, self._events):
            while queue and len(taken) < limit:
                taken.append(queue.popleft())
        return taken

    def wake(self) -> None:
        """End a wait, with or without events."""
        self._awake = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Return when there are events or somebody called `wake` since the last wait."""
        if not self._awake and not self._urgent and not self._events:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        self._awake = False

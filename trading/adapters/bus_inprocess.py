"""The event bus of loops that share one process and one event loop."""

from collections.abc import AsyncIterator, Iterable
from typing import Final

from trading.adapters.mailbox import Mailbox

BACKLOG: Final = 50_000  # payloads a subscriber may lag behind before it is told that it is too slow


class InProcessBus:
    """Hands every payload to every subscriber, in order, without copying."""

    def __init__(self) -> None:
        self.published = 0
        self._mailboxes: dict[str, list[Mailbox[tuple[str, object]]]] = {}

    async def publish(self, topic: str, payload: object) -> None:
        """Send `payload` to every subscriber of `topic`."""
        self.published += 1
        for mailbox in self._mailboxes.get(topic, ()):
            mailbox.put((topic, payload))

    def subscribe(self, *topics: str) -> AsyncIterator[tuple[str, object]]:
        """Yield (topic, payload) from now on.

        Raises:
            OverflowError: this subscriber is too slow.
        """
        mailbox: Mailbox[tuple[str, object]] = Mailbox(limit=BACKLOG)
        for topic in topics:
            self._mailboxes.setdefault(topic, []).append(mailbox)
        return self._read(mailbox, topics)

    async def _read(
        self, mailbox: Mailbox[tuple[str, object]], topics: Iterable[str]
    ) -> AsyncIterator[tuple[str, object]]:
        try:
            while True:
                for item in await mailbox.take():
                    yield item
        finally:
            for topic in topics:
                self._mailboxes[topic].remove(mailbox)

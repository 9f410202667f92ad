"""A queue between callbacks and one coroutine: everything that waits is taken at once."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Keeps items in order until the reader takes them all; a failure ends it after the last item."""

    def __init__(self, *, limit: int) -> None:
        """Hold at most `limit` items: a reader that slow must be told, not fed."""
        self._items: list[T] = []
        self._limit = limit
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def put(self, item: T) -> None:
        """Append one item; beyond the limit the mailbox fails instead."""
        if len(self._items) >= self._limit:
            self.fail(OverflowError(f"{self._limit} items wait: the reader is too slow."))
            return
        self._items.append(item)
        self._wake()

    def fail(self, error: Exception) -> None:
        """Make `take` raise `error` once everything that arrived before is taken."""
        self._failure = self._failure or error
        self._wake()

    async def take(self) -> list[T]:
        """Return everything that waits, at least one item.

        Raises:
            Exception: what `fail` was given.
        """
        while not self._items:
            if self._failure is not None:
                raise self._failure
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        taken, self._items = self._items, []
        return taken

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

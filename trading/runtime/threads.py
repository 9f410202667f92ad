"""One thread per account for what must stay in order at the database, another for what may wait."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, ParamSpec, Protocol, TypeVar

from django.db import connection

from trading.domain.events import Effect

P = ParamSpec("P")
R = TypeVar("R")

CLOSE_LIMIT_S: Final = 1.5


class DatabaseThread:
    """Runs database calls one after another, with a connection of its own."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `call` returns; a connection it broke is not used again."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, _guarded, lambda: call(*args, **kwargs))

    async def close(self) -> None:
        """Finish what runs, give the connection back, end the thread; a call that hangs is not waited for."""
        # Looked up in the thread: each has a connection of its own.
        given_back = asyncio.get_running_loop().run_in_executor(self._executor, lambda: connection.close())
        self._executor.shutdown(wait=False)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await given_back


def _guarded(call: Callable[[], R]) -> R:
    try:
        return call()
    except Exception:
        connection.close()
        raise


class SyncJournal(Protocol):
    """The journal as the services offer it."""

    def commit_now(self, effects: Sequence[Effect], *, at_ns: int) -> frozenset[str]:
        """Store every `Persist` effect of one turn; return the ids of intents that the latch refused."""
        ...


class ThreadJournal:
    """The journal of one account, written by one thread."""

    def __init__(self, journal: SyncJournal, thread: DatabaseThread) -> None:
        self._journal = journal
        self._thread = thread

    async def commit(self, effects: Sequence[Effect], *, at_ns: int) -> frozenset[str]:
        """Store every `Persist` effect of a turn; see `trading.ports.Journal`."""
        return await self._thread.run(self._journal.commit_now, effects, at_ns=at_ns)

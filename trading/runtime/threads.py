"""One thread per account for what must stay in order at the database, another for what may wait."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from django.db import connection
from psycopg import AsyncConnection

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

    async def connect(self) -> AsyncConnection[Any]:
        """Return one more connection to the same database, for the event loop itself; each statement commits."""
        parameters = await self.run(_parameters)
        return await AsyncConnection.connect(**parameters, autocommit=True)

    async def close(self) -> None:
        """Finish what runs, give the connection back, end the thread; a call that hangs is not waited for."""
        # Looked up in the thread: each has a connection of its own.
        given_back = asyncio.get_running_loop().run_in_executor(self._executor, lambda: connection.close())
        self._executor.shutdown(wait=False)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await given_back


def _parameters() -> dict[str, Any]:
    found = connection.get_connection_params()
    return {name: value for name, value in found.items() if name not in {"context", "cursor_factory"}}


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

    def one_call(self, effects: Sequence[Effect], *, at_ns: int) -> list[Any] | None:
        """Return the arguments of the one call that stores the whole turn; None where there is no such call."""
        ...

    def is_stored(self, answer: Any) -> bool:
        """Return whether that call has stored it."""
        ...


class LoopJournal:
    """The journal of one account. What one call can store is asked for by the event loop itself, on a connection of
    its own: handing it to a thread costs as much as storing it. Everything else goes through the thread.
    """

    def __init__(
        self, journal: SyncJournal, thread: DatabaseThread, connection: AsyncConnection[Any], store_turn: str
    ) -> None:
        self._journal = journal
        self._thread = thread
        self._connection = connection
        self._store_turn = store_turn

    async def commit(self, effects: Sequence[Effect], *, at_ns: int) -> frozenset[str]:
        """Store every `Persist` effect of a turn; see `trading.ports.Journal`."""
        call = self._journal.one_call(effects, at_ns=at_ns)
        if call is not None:
            answer = await self._connection.execute(self._store_turn, call, prepare=True)
            if self._journal.is_stored(await answer.fetchone()):
                return frozenset()
        return await self._thread.run(self._journal.commit_now, effects, at_ns=at_ns)

    async def check(self) -> None:
        """Ask the connection; see `trading.ports.Journal`."""
        await self._connection.execute("SELECT 1")

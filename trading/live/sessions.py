"""One eye on the sessions behind all open sockets of this process."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

log = logging.getLogger(__name__)

CHECK_S: Final = 3.0  # with the time that an answer takes, an end is noticed within five seconds
ANSWER_S: Final = 4.0  # a database that takes longer is silent
CHECKS_MISSED_MAX: Final = 7  # half a minute of grace, then the browsers are let go


class SessionEnded(Exception):
    """Signed out, expired, deactivated, in other roles or with another password: the socket must close."""


class DatabaseSilent(Exception):
    """Whether the session still holds could not be read for too long: the socket must close."""


class SessionWatch:
    """Asks for all sockets at once, every `CHECK_S` and whenever `news` is set; never for one alone."""

    def __init__(self, ask: Callable[[Collection[str]], Awaitable[Mapping[str, object]]], news: asyncio.Event) -> None:
        self._ask = ask
        self._news = news
        self._watched: dict[asyncio.Future[None], tuple[str, object]] = {}
        self._rounds: asyncio.Task[None] | None = None

    async def hold(self, session: str, standing: object) -> None:
        """Wait until `ask` answers anything but `standing` for `session`.

        Raises:
            SessionEnded: it does.
            DatabaseSilent: it has not answered for too long.
        """
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watched[ended] = session, standing
        if self._rounds is None:
            self._rounds = asyncio.create_task(self._go_round())
        try:
            await ended
        finally:
            del self._watched[ended]
            if not self._watched and self._rounds is not None:
                self._rounds.cancel()
                self._rounds = None

    async def _go_round(self) -> None:
        missed = 0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_S):
                    await self._news.wait()
            self._news.clear()
            try:
                async with asyncio.timeout(ANSWER_S):
                    found = await self._ask({session for session, _ in self._watched.values()})
            except Exception as error:  # whatever it is: nobody stays because we could not look
                missed += 1
                log.warning("sessions could not be looked at, %d of %d: %s", missed, CHECKS_MISSED_MAX, error)
                if missed > CHECKS_MISSED_MAX:
                    self._end(DatabaseSilent, dict(self._watched))
                continue
            missed = 0
            self._end(SessionEnded, {s: w for s, w in self._watched.items() if found.get(w[0]) != w[1]})

    def _end(self, why: type[Exception], sockets: Mapping[asyncio.Future[None], object]) -> None:
        for socket in sockets:
            if not socket.done():
                socket.set_exception(why())

"""Runs loops: each under a lease, restarted with back-off, with a standby that takes over when the lease is free."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

from trading.ports import Lease, Leases, NotArmed, NotLeader
from trading.runtime.outages import server_went_away

log = logging.getLogger(__name__)

LEASE_MS: Final = 3_000
RENEW_S: Final = 1.0
STANDBY_S: Final = 0.2
BACK_OFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
WELCOME_S: Final = 2.0
WITHHELD_S: Final = 2.0  # people arm it: seconds do not matter
AWAY_S: Final = 0.2  # without database or Valkey there is no lease: asking again costs nobody anything
STABLE_S: Final = 10.0  # a loop that ran this long starts again without a grown wait
BEAT_S: Final = (0.2, 1.0)  # while something starts, and once everything lives
SILENT_S: Final = 4.0  # a loop that took no turn for this long has no heartbeat


class Loop(Protocol):
    """One loop as its host sees it."""

    alive_at: float  # monotonic time of the last turn

    async def run(self) -> None:
        """Work until cancelled; an exception means: start a new one from stored state."""
        ...

    async def close(self) -> None:
        """Release what is held open."""
        ...


@runtime_checkable
class Measured(Protocol):
    """A loop that has numbers for machines."""

    def gauges(self) -> Mapping[str, float]:
        """Return the numbers as they stand now."""
        ...


@dataclass(slots=True)
class Hosted:
    """One kind of loop of one account or feed: how to make it, and how it is doing."""

    name: str  # of the lease, "execution:micro"
    kind: str  # of the heartbeat, "execution"
    make: Callable[[Lease], Awaitable[Loop]]
    leases: Callable[[], Awaitable[Leases]]  # raises NotArmed: no fence is spent on what must not run
    loop: Loop | None = None
    failures: int = 0
    started_at: float = field(default=0.0)
    away: str = ""  # why the lease could not be asked for, while it lasts
    withheld: str = ""  # why it must not run, while that lasts: nobody waits for its heartbeat

    @property
    def is_alive(self) -> bool:
        """True while the loop takes turns."""
        return self.loop is not None and time.monotonic() - self.loop.alive_at < SILENT_S

    def gauges(self) -> Mapping[str, float]:
        """Return the numbers of the loop, none where it has none or takes no turns."""
        return self.loop.gauges() if self.is_alive and isinstance(self.loop, Measured) else {}

    async def forever(self) -> None:
        """Lead whenever the lease can be had, until cancelled."""
        while True:
            lease = await self._acquire()
            if lease is None:
                continue
            try:
                await self._lead(lease)
            except NotArmed as error:
                self._withhold(str(error))
                await asyncio.sleep(WITHHELD_S)
            except Exception as error:  # whatever it is: the next start goes through stored state
                await self._back_off(error)

    async def _acquire(self) -> Lease | None:
        """Return the lease, or None after a short wait: somebody else leads, or who knows that does not answer."""
        try:
            lease = await (await self.leases()).acquire(self.name, ttl_ms=LEASE_MS)
        except NotArmed as error:
            self._withhold(str(error))
            await asyncio.sleep(WITHHELD_S)
            return None
        except Exception as error:  # of the database or of Valkey
            self._say_once(f"{type(error).__name__}: {error}")
            await asyncio.sleep(AWAY_S)
            return None
        self.away = ""
        if lease is None:
            await asyncio.sleep(STANDBY_S)
        return lease

    def _withhold(self, reason: str) -> None:
        if reason != self.withheld:
            log.warning("REFUSED to start: %s", reason, extra={"loop": self.name})
        self.withheld = reason

    def _say_once(self, reason: str) -> None:
        if reason != self.away:
            log.warning("no lease: %s; asking again", reason, extra={"loop": self.name})
        self.away = reason

    async def _lead(self, lease: Lease) -> None:
        """Run one loop for as long as the lease holds.

        Raises:
            NotLeader: the lease was lost; the loop was stopped at once.
            Exception: what ended the loop.
        """
        self.started_at = time.monotonic()
        log.info("loop starts", extra={"loop": self.name, "fence": lease.fence})
        work = asyncio.create_task(self._work(lease))
        keep = asyncio.create_task(self._keep(lease))
        try:
            done, _ = await asyncio.wait({work, keep}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (work, keep):
                task.cancel()
            await asyncio.gather(work, keep, return_exceptions=True)
            await lease.release()

    async def _work(self, lease: Lease) -> None:
        loop = self.loop = await self.make(lease)
        self.withheld = ""
        try:
            await loop.run()
        finally:
            self.loop = None
            with suppress(Exception):
                await loop.close()

    async def _keep(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            if not await lease.renew():
                raise NotLeader(f"the lease {self.name} passed to another process.")

    async def _back_off(self, error: Exception) -> None:
        """Wait before the next start, longer each time the loop itself is at fault."""
        if time.monotonic() - self.started_at > STABLE_S:
            self.failures = 0
        if server_went_away(error):
            wait_s = AWAY_S  # no lease comes while it is away, and what the loop did was right
        else:
            wait_s = BACK_OFF_S[min(self.failures, len(BACK_OFF_S) - 1)]
            self.failures += 1
        log.exception("loop ended; it starts again in %.1f s", wait_s, extra={"loop": self.name})
        await asyncio.sleep(wait_s)


async def host(
    hosted: list[Hosted],
    *,
    stop: asyncio.Event,
    beat: Callable[[frozenset[str]], Awaitable[None]],
    newcomers: Callable[[], Awaitable[Sequence[Hosted]]] | None = None,
) -> None:
    """Run every loop until `stop` is set; about once a second `beat` is told which kinds are alive on this host.

    `newcomers` is asked now and then for loops of accounts that people have made meanwhile.
    """
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(h.forever(), name=h.name) for h in hosted]
    tasks.append(asyncio.create_task(_beats(hosted, beat)))
    if newcomers is not None:
        tasks.append(asyncio.create_task(_welcome(hosted, newcomers, tasks)))
    try:
        await stop.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _welcome(
    hosted: list[Hosted], newcomers: Callable[[], Awaitable[Sequence[Hosted]]], tasks: "list[asyncio.Task[Any]]"
) -> None:
    while True:
        await asyncio.sleep(WELCOME_S)
        with suppress(Exception):  # the database may be away: it is asked again
            for one in await newcomers():
                hosted.append(one)
                tasks.append(asyncio.create_task(one.forever(), name=one.name))


async def _beats(hosted: Sequence[Hosted], beat: Callable[[frozenset[str]], Awaitable[None]]) -> None:
    kinds = {h.kind for h in hosted}
    while True:
        # Of several accounts every one must be alive: the slowest speaks for its kind.
        alive = frozenset(kind for kind in kinds if all(h.is_alive or h.withheld for h in hosted if h.kind == kind))
        with suppress(Exception):
            await beat(alive)
        await asyncio.sleep(BEAT_S[alive == kinds])

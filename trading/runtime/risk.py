"""The risk loop: collects signs, asks the rules, and latches, holds or warns as they say."""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from trading.domain.events import FeedLost, FeedRestored
from trading.domain.watch import CODES, Judgement, Notice, Signs, differ, judge
from trading.ports import Clock, EventBus, VenueError
from trading.runtime.topics import HOLD, MARKET, MarketBatch

log = logging.getLogger(__name__)

SKEW_EVERY_S: Final = 10.0
SKEW_HOLDS_FOR_S: Final = 60.0  # an older reading says nothing of the clock now
SKEW_UNKNOWN: Final = math.nan  # holds orders back, as a skew that is too large
KEPT_LOSSES: Final = 50


@dataclass(slots=True)
class Senses:
    """Where the risk loop learns what it cannot see on the bus, and what it can do; `bootstrap` chooses them."""

    skew_ms: Callable[[], Awaitable[float]]
    beats: Callable[[], Awaitable[Mapping[str, int]]]  # loop -> ns UTC of the newest heartbeat
    builds: Callable[[], Awaitable[Mapping[str, str]]]  # process that lives -> its code and configuration
    halt: Callable[[str], Awaitable[None]]  # latch every account
    warn: Callable[[Notice], Awaitable[None]]
    over: Callable[[frozenset[str]], Awaitable[None]]  # codes that are given notice of no more
    beat: Callable[[int], None]  # the heartbeat file of the watchdog


@dataclass(slots=True)
class _Seen:
    market_at_ns: int | None = None
    lost_at_ns: deque[int] = field(default_factory=lambda: deque(maxlen=KEPT_LOSSES))
    skew_ms: float | None = None
    skew_at_s: float = field(default_factory=time.monotonic)  # of the newest reading, at first: of the start
    beats: dict[str, int] = field(default_factory=dict)
    builds: Mapping[str, str] = field(default_factory=dict)
    builds_differ_since_ns: int | None = None


class RiskLoop:
    """Watches from outside; one judgement a second."""

    def __init__(
        self, *, senses: Senses, bus: EventBus, clock: Clock, on_close: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._senses = senses
        self._on_close = on_close
        self._bus = bus
        self._clock = clock
        self._messages = bus.subscribe(MARKET)
        self._began_ns = clock.now_ns()
        self._seen = _Seen()
        self._holds: frozenset[str] = frozenset()
        self._halted: set[str] = set()
        self._warned: set[Notice] = set()
        self._lasting: frozenset[str] = CODES  # what a loop before this one may have given notice of
        self.alive_at = time.monotonic()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for work in (self._listen(), self._compare_clocks(), self._forever()):
                tasks.create_task(work)

    async def close(self) -> None:
        """Release what the senses hold open."""
        if self._on_close is not None:
            await self._on_close()

    async def step(self) -> None:
        """Judge what was seen by now and do what follows."""
        self.alive_at = time.monotonic()
        now_ns = self._clock.now_ns()
        self._senses.beat(now_ns)
        self._seen.beats.update(await self._senses.beats())
        self._compare_builds(await self._senses.builds(), now_ns)
        await self._act(judge(self._signs(now_ns)))

    def hear(self, batch: MarketBatch) -> None:
        """Take one batch of the market-data loop."""
        now_ns = self._clock.now_ns()
        if isinstance(batch[0], FeedLost):
            self._seen.lost_at_ns.append(now_ns)
        elif not isinstance(batch[0], FeedRestored):
            self._seen.market_at_ns = now_ns

    async def compare_clocks(self, at_s: float) -> None:
        """Measure our clock against the venue's; `at_s` is monotonic. Not known for a minute counts as too far off."""
        try:
            self._seen.skew_ms = await self._senses.skew_ms()
            self._seen.skew_at_s = at_s
        except VenueError as error:
            log.warning("the venue's clock could not be read: %s", error)
            if at_s - self._seen.skew_at_s > SKEW_HOLDS_FOR_S:
                self._seen.skew_ms = SKEW_UNKNOWN

    def _compare_builds(self, builds: Mapping[str, str], now_ns: int) -> None:
        since_ns = self._seen.builds_differ_since_ns
        self._seen.builds = builds
        self._seen.builds_differ_since_ns = (now_ns if since_ns is None else since_ns) if differ(builds) else None

    def _signs(self, now_ns: int) -> Signs:
        return Signs(
            now_ns=now_ns,
            began_ns=self._began_ns,
            market_at_ns=self._seen.market_at_ns,
            market_lost_at_ns=tuple(self._seen.lost_at_ns),
            skew_ms=self._seen.skew_ms,
            beats_at_ns=self._seen.beats,
            builds=self._seen.builds,
            builds_differ_since_ns=self._seen.builds_differ_since_ns,
        )

    async def _act(self, judgement: Judgement) -> None:
        wanted = {halt.reason for halt in judgement.halts}
        for reason in sorted(wanted - self._halted):
            log.error("halt: %s", reason)
            await self._senses.halt(reason)
        self._halted = wanted
        await self._hold(judgement.holds)
        for notice in judgement.notices:
            if notice not in self._warned:
                await self._senses.warn(notice)
        self._warned = set(judgement.notices)
        lasting = frozenset(notice.code for notice in judgement.notices)
        if gone := self._lasting - lasting:
            await self._senses.over(gone)
        self._lasting = lasting

    async def _hold(self, wanted: Mapping[str, str]) -> None:
        for cause in self._holds - wanted.keys():
            await self._bus.publish(HOLD, {"cause": cause, "reason": ""})
        for cause, reason in wanted.items():  # every time: a loop that has just started must hear it, too
            await self._bus.publish(HOLD, {"cause": cause, "reason": reason})
        self._holds = frozenset(wanted)

    async def _listen(self) -> None:
        async for _, payload in self._messages:
            self.hear(cast(MarketBatch, payload))

    async def _compare_clocks(self) -> None:
        while True:
            await self.compare_clocks(time.monotonic())
            await self._clock.sleep(SKEW_EVERY_S)

    async def _forever(self) -> None:
        while True:
            await self.step()
            await self._clock.sleep(1.0)

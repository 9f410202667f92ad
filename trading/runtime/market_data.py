"""The market-data loop: one feed, checked for gaps and silence, passed on whole and in order."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from trading import live
from trading.domain.events import FeedLost, FeedRestored, SeamReached
from trading.domain.instruments import Instrument
from trading.domain.market import BookTop, Defect, MarketEvent, MarketState, Trade
from trading.live import Value
from trading.ports import Clock, EventBus, FeedBroken, MarketFeed, Recorder, ReplayStatus, VenueError
from trading.runtime import show
from trading.runtime.topics import MARKET, MarketItem

log = logging.getLogger(__name__)

MS: Final = 1_000_000  # nanoseconds
STALE_MS: Final = 3_000
UNSOUND_NS: Final = 3_000_000_000  # a symbol that sends nothing but defects for this long is taken up anew
RECONNECT_S: Final = (0.25, 2.0)  # first and longest pause, full jitter; the venue allows one attempt a second
FRAMES_PER_SECOND: Final = 20
SYMBOLS_EVERY_S: Final = 2.0


class MarketDataLoop:
    """Reads the feed, counts what is wrong with it, publishes what is right."""

    def __init__(
        self,
        *,
        feed: MarketFeed,
        instruments: dict[str, Instrument],
        bus: EventBus,
        clock: Clock,
        publisher: show.Publisher,
        is_outdated: Callable[[], Awaitable[bool]] | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        """`is_outdated` says that the desks trade other symbols by now: the loop ends, and its host starts anew.

        `recorder` keeps what the desks decide on; without one nothing is kept.
        """
        self._feed = feed
        self._instruments = instruments
        self._symbols = tuple(instruments)
        self._bus = bus
        self._clock = clock
        self._publisher = publisher
        self._is_outdated = is_outdated
        self._recorder = recorder
        self._states = {symbol: MarketState(symbol) for symbol in instruments}
        self._unsound_since: dict[str, int] = {}
        self._stream: AsyncGenerator[Sequence[MarketItem], None] | None = None
        self._pause_s = RECONNECT_S[0]
        self._is_new = True  # the next batch is the first of a connection
        self._last_at_ns: int | None = None
        self._count = 0
        self._rate: int | None = None  # messages of the last whole second
        self._changes = show.Changes()
        self.reconnects = 0
        self.dropped: dict[Defect, int] = {}
        self.alive_at = time.monotonic()

    async def run(self) -> None:
        """Read and publish until cancelled, or until the desks trade other symbols."""
        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(self._forever(each)) for each in (self.step, self._show)]
            if self._is_outdated is not None:
                await self._watch_symbols(self._is_outdated)
                for task in work:
                    task.cancel()

    async def _watch_symbols(self, is_outdated: Callable[[], Awaitable[bool]]) -> None:
        while not await is_outdated():
            await self._clock.sleep(SYMBOLS_EVERY_S)
        log.info("the desks trade other symbols: the feed is opened anew")

    async def close(self) -> None:
        """Close the feed, and store what was recorded."""
        await self._hang_up()
        await self._feed.close()
        if self._recorder is not None:
            await self._recorder.close()

    async def step(self) -> None:
        """Pass on one batch, or say that the feed broke and wait a moment before the next attempt."""
        self.alive_at = time.monotonic()
        if self._stream is None:
            self._is_new = True
            self._stream = cast("AsyncGenerator[Sequence[MarketItem], None]", self._feed.events(self._symbols))
        try:
            batch = await anext(self._stream)
        except FeedBroken as error:
            await self._lost(str(error))
            return
        if self._is_new:
            await self._restored()
        await self._pass_on(batch)

    # --- reading ------------------------------------------------------------------------------------------------

    async def _lost(self, reason: str) -> None:
        log.warning("market data lost: %s", reason)
        await self._hang_up()
        await self._bus.publish(MARKET, [FeedLost(reason, self._clock.now_ns())])
        self.reconnects += 1
        await self._clock.sleep(random.uniform(0, self._pause_s))
        self._pause_s = min(self._pause_s * 2, RECONNECT_S[1])

    async def _restored(self) -> None:
        """Start counting anew, and tell of the seams that passed while nobody listened."""
        self._is_new, self._pause_s = False, RECONNECT_S[0]
        self._restart()
        now_ns = self._clock.now_ns()
        self._mark("connected", now_ns)
        await self._bus.publish(MARKET, [FeedRestored(now_ns)])
        status = await self.replay_status()
        if status is not None and status.seams:
            await self._bus.publish(MARKET, status.seams)

    async def _pass_on(self, batch: Sequence[MarketItem]) -> None:
        now_ns = self._clock.now_ns()
        self._count += len(batch)
        self._last_at_ns = now_ns
        while batch:
            whole = self._whole_part(batch, now_ns)
            if whole:
                await self._bus.publish(MARKET, batch[:whole] if whole < len(batch) else batch)
            batch = batch[whole:]
            if batch:
                # The stream goes on, only its numbers do not: whoever counts them must start anew.
                self._restart()
                self._mark("market data has a gap", now_ns)
                await self._bus.publish(MARKET, [FeedLost("market data has a gap", now_ns)])
                await self._bus.publish(MARKET, [FeedRestored(now_ns)])

    def _whole_part(self, batch: Sequence[MarketItem], now_ns: int) -> int:
        """Check and count messages; return how many come before some are missing or a symbol makes no sense."""
        accepted: list[MarketEvent] = []
        whole = len(batch)
        for index, item in enumerate(batch):
            if not isinstance(item, BookTop | Trade):
                self._record(accepted)
                accepted = []
                self._restart()
                self._mark(f"lap {item.lap}" if isinstance(item, SeamReached) else "the feed changed", now_ns)
                continue
            defect = self._states[item.symbol].accept(item, now_ns)
            if defect is None:
                accepted.append(item)
                if self._unsound_since:
                    self._unsound_since.pop(item.symbol, None)
                continue
            self.dropped[defect] = self.dropped.get(defect, 0) + 1
            since_ns = self._unsound_since.setdefault(item.symbol, now_ns)
            if defect is Defect.GAP or now_ns - since_ns >= UNSOUND_NS:
                whole = index
                break
        self._record(accepted)
        return whole

    def _record(self, accepted: list[MarketEvent]) -> None:
        if self._recorder is not None:
            self._recorder.keep(accepted)

    def _mark(self, reason: str, now_ns: int) -> None:
        if self._recorder is not None:
            self._recorder.mark(reason, now_ns)

    def _restart(self) -> None:
        self._unsound_since.clear()
        for state in self._states.values():
            state.restart()

    async def _hang_up(self) -> None:
        if self._stream is not None:
            with suppress(FeedBroken):
                await self._stream.aclose()
            self._stream = None

    async def replay_status(self) -> ReplayStatus | None:
        """Return what the replay says of itself; None where the venue is no replay or does not answer."""
        try:
            return await self._feed.replay_status()
        except VenueError as error:
            log.warning("the replay's status is not known: %s", error)
            return None

    # --- showing ------------------------------------------------------------------------------------------------

    async def _show(self) -> None:
        """Publish a second in frames; rate, history and replay status once."""
        counted = self._count
        for _ in range(FRAMES_PER_SECOND):
            await self._tell(self._prices() | self._freshness())
            await self._clock.sleep(1 / FRAMES_PER_SECOND)
        self._rate = self._count - counted
        await self._tell({live.feed("rate"): self._rate} | self._replay(await self.replay_status()))
        history = {
            symbol: (self._clock.now_ns() // MS, float(self._instruments[symbol].price(state.last_trade.price_ticks)))
            for symbol, state in self._states.items()
            if state.last_trade is not None
        }
        if history:
            await self._publisher.prices(history)

    async def _tell(self, values: dict[str, Value]) -> None:
        if changed := self._changes.of(values):
            await self._publisher.values(changed)

    def _prices(self) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for symbol, state in self._states.items():
            instrument = self._instruments[symbol]
            if state.top is not None:
                values[live.market(symbol, "bid")] = float(instrument.price(state.top.bid_ticks))
                values[live.market(symbol, "ask")] = float(instrument.price(state.top.ask_ticks))
            if state.last_trade is not None:
                values[live.market(symbol, "px")] = float(instrument.price(state.last_trade.price_ticks))
            if state.good_at_ns is not None:
                values[live.market(symbol, "t")] = state.good_at_ns // MS
        return values

    def gauges(self) -> dict[str, float]:
        """Return the feed's numbers for machines."""
        recorded = self._recorder.gauges() if self._recorder is not None else {}
        return {**show.feed_gauges(self._rate, self._age_ms(), self.reconnects), **recorded}

    def _freshness(self) -> dict[str, Value]:
        age_ms = self._age_ms()
        if self._stream is None or age_ms is None:
            return {live.feed("state"): "lost", live.feed("age_ms"): age_ms}
        return {live.feed("state"): "live" if age_ms <= STALE_MS else "stale", live.feed("age_ms"): age_ms}

    def _age_ms(self) -> int | None:
        return None if self._last_at_ns is None else (self._clock.now_ns() - self._last_at_ns) // MS

    def _replay(self, status: ReplayStatus | None) -> dict[str, Value]:
        if status is None:
            return {}
        return {
            live.replay("lap"): status.lap,
            live.replay("speed"): status.speed,
            live.replay("eff"): round(status.effective_speed, 2),
            live.replay("progress"): round(status.progress, 4),
            live.replay("label"): status.label,
            live.replay("dataset"): status.dataset,
            live.replay("state"): status.state,
        }

    async def _forever(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await step()

"""What models say, carried: who serves, their bars, their answers in time, the advice that follows, the rows.

Nothing here raises into whoever trades: what fails is logged, and the rule-based forecast goes on.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from trading.domain.advice import Facts, GridAdvice, advise
from trading.domain.bars import Bars
from trading.domain.events import AdviceChanged, FeedLost, FeedRestored, SeamReached
from trading.domain.fallback import Verdict
from trading.domain.learned import Fault, ModelFault, ModelOutput
from trading.domain.market import BookTop, Trade
from trading.domain.market_time import MarketTime
from trading.domain.model_roster import Batch, Came, Heard, Member, Roster
from trading.domain.serving import Answer, Ask, Asked, Judged, Realized, Serving
from trading.ports import Clock, EventBus
from trading.runtime.asking import WAIT_MS, Asker
from trading.runtime.topics import ADVICE, MarketBatch

log = logging.getLogger(__name__)

REFRESH_S: Final = 10.0
LOOK_S: Final = 0.25
STORE_S: Final = 1.0
MOST_TOGETHER: Final = 32  # symbols that a model is asked about at once; all of them wait for the answer
MOST_ASKS: Final = 2_000  # that wait; a host that cannot keep up with bars must not fill its memory
MOST_ROWS: Final = 20_000  # that wait for the database
WAITED_NS: Final = int(WAIT_MS * 1e6)

Steps = Mapping[str, tuple[float, float]]  # by symbol: price of a tick (quote), quantity of a lot (base)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is asked of the world; all of it may fail."""

    roster: Callable[[], Awaitable[Roster]]
    load: Callable[[Member], Awaitable[Asked | ModelFault]]
    steps: Callable[[], Awaitable[Steps]]
    warm: Callable[[str, int], Awaitable[Bars | None]]  # symbol, length of a bar in s: recorded bars, if any
    grids: Callable[[], Awaitable[Mapping[str, Facts]]]  # by symbol, what an advice must know of the grids on it
    store: Callable[[Batch], Awaitable[None]]


class LearnedForecasts:
    """Serves every model that is champion, canary or shadow; with none it costs a look every ten seconds."""

    def __init__(
        self,
        *,
        parts: Parts,
        bus: EventBus,
        clock: Clock,
        on_close: Callable[[], Awaitable[None]],
        asker: Asker | None = None,
    ) -> None:
        """`on_close` releases what `parts` holds open."""
        self._parts, self._bus, self._clock = parts, bus, clock
        self._on_close = on_close
        self._asker = asker or Asker()
        self._serving: Serving | None = None
        self._roster = Roster()
        self._loaded: dict[str, Asked | ModelFault] = {}
        self._steps: Steps = {}
        self._time = MarketTime()
        self._next_close_ns = 0
        self._bar_ns = 0  # the shortest of all models
        self._asks: deque[Ask] = deque()
        self._waiting = asyncio.Event()
        self._refresh = asyncio.Event()
        self._grids: Mapping[str, Facts] = {}
        self._advised: dict[str, str] = {}  # symbol -> model whose advice is in force, "": nobody's
        self._batch = Batch()
        self.lost_asks = self.lost_rows = self.errors = 0

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(self.refresh, self._asked_to_refresh))
            tasks.create_task(self._every(self.answer_all, self._waiting.wait))
            tasks.create_task(self._every(self.look, lambda: self._clock.sleep(LOOK_S)))
            tasks.create_task(self._every(self.store_all, lambda: self._clock.sleep(STORE_S)))

    async def close(self) -> None:
        """Store what waits, and let the thread go."""
        self._asker.close()
        await self.store_all()
        await self._on_close()

    def set_speed(self, speed: float) -> None:
        """The market runs `speed` times as fast as our clock from now on."""
        self._time.run_at(speed, self._clock.now_ns())

    def wake(self) -> None:
        """Look at once who serves."""
        self._refresh.set()

    def gauges(self) -> dict[str, float]:
        """Return what was lost so far."""
        return {"model_asks_lost": self.lost_asks, "model_rows_lost": self.lost_rows, "model_errors": self.errors}

    # --- the market -----------------------------------------------------------------------------------------------

    def observe(self, batch: MarketBatch) -> None:
        """Take market data; whoever is to be asked waits for `answer_all`."""
        serving = self._serving
        if serving is None:
            return
        try:
            self._observe(serving, batch)
        except Exception:  # whatever is wrong with models, the rule goes on
            self.errors += 1
            log.exception("bars of models could not be made")

    def _observe(self, serving: Serving, batch: MarketBatch) -> None:
        market_ns = self._time.at(self._clock.now_ns())
        for item in batch:
            if isinstance(item, Trade):
                step = self._steps.get(item.symbol)
                if step is not None:
                    price, volume = item.price_ticks * step[0], item.quantity_lots * step[1]
                    self._queue(serving.observe(item.symbol, price, volume, market_ns))
            elif not isinstance(item, BookTop) and isinstance(item, SeamReached | FeedLost | FeedRestored):
                serving.restart()
        self._close_bars(serving, market_ns)

    def _close_bars(self, serving: Serving, market_ns: int) -> None:
        if market_ns < self._next_close_ns:
            return
        self._next_close_ns = market_ns // self._bar_ns * self._bar_ns + self._bar_ns
        for symbol in self._steps:
            self._queue(serving.until(symbol, market_ns))

    def _queue(self, asks: Iterable[Ask]) -> None:
        for ask in asks:
            if len(self._asks) >= MOST_ASKS:
                self.lost_asks += 1
            else:
                self._asks.append(ask)
                self._waiting.set()

    # --- answers --------------------------------------------------------------------------------------------------

    async def answer_all(self) -> None:
        """Ask whom the closed bars say, and tell what comes of it."""
        self._waiting.clear()
        while self._asks:
            together, serving = self._next_asks(), self._serving
            if serving is None or together[0].model not in serving.models:
                continue
            found = await self._asker.ask(together)
            if serving is not self._serving:
                continue  # others serve now
            for ask, one in zip(together, found, strict=True):
                await self._take(serving, ask, one)

    def _next_asks(self) -> list[Ask]:
        """Return the oldest question, and what the same model is asked about the same moment of other symbols."""
        first = self._asks.popleft()
        same = [ask for ask in self._asks if ask.model == first.model and ask.at_ns == first.at_ns][: MOST_TOGETHER - 1]
        taken = set(map(id, same))
        self._asks = deque(ask for ask in self._asks if id(ask) not in taken)
        return [first, *same]

    async def _take(self, serving: Serving, ask: Ask, found: Answer | None) -> None:
        market_ns = self._time.at(self._clock.now_ns())
        judged = serving.give_up(ask, WAITED_NS, market_ns) if found is None else serving.take(found, market_ns)
        for came in serving.realized(ask.symbol, ask.at_ns):
            self._remember_realized(came)
        await self._tell(judged)

    async def look(self) -> None:
        """Close the bars whose time is over, and take back advice that grew old."""
        serving = self._serving
        if serving is None:
            return
        market_ns = self._time.at(self._clock.now_ns())
        self._close_bars(serving, market_ns)
        for model, symbol, verdict in serving.look(market_ns):
            log.warning("%s is not heard on %s: %s", model[:8], symbol, verdict.reason)
            await self._take_back(symbol, model)

    async def _tell(self, judged: Judged) -> None:
        member = self._member(judged.model)
        if member is None:
            return
        if member.speaks_on(judged.symbol) and self._speaker(judged.symbol) is member:
            judged = await self._advise(judged)
        self._remember(member, judged)

    async def _advise(self, judged: Judged) -> Judged:
        if not judged.verdict.is_heard or judged.output is None:
            await self._take_back(judged.symbol, judged.model)
            return judged
        try:
            advice = self._advice(judged.output)
        except ModelFault as error:
            await self._take_back(judged.symbol, judged.model)
            return replace(judged, verdict=Verdict(error.fault, str(error)))
        if advice is not None:
            self._advised[judged.symbol] = judged.model
            await self._bus.publish(ADVICE, AdviceChanged(judged.symbol, advice))
        return judged

    def _advice(self, output: ModelOutput) -> GridAdvice | None:
        """Return what `output` asks of the grids of its symbol, for as long as its bar is not too old."""
        facts, member = self._grids.get(output.symbol), self._member(output.model)
        if facts is None or member is None:
            return None
        ours = replace(output, at_ns=self._time.ours(output.at_ns))
        known = facts.at(self._clock.now_ns(), member.card.log_rv[0])
        found = advise(ours, known)
        old_ns = ours.at_ns + int(member.card.ttl_s * 1e9 / self._time.speed)
        return replace(found, valid_until_ns=min(found.valid_until_ns, old_ns))

    async def _take_back(self, symbol: str, model: str) -> None:
        """Say that nothing is asked any more; the first time also what a loop before this one may have asked."""
        if self._advised.get(symbol, model) == model:
            self._advised[symbol] = ""
            await self._bus.publish(ADVICE, AdviceChanged(symbol, None))

    def _member(self, digest: str) -> Member | None:
        return next((one for one in self._roster.members if one.digest == digest), None)

    def _speaker(self, symbol: str) -> Member | None:
        """Return whom the grids of `symbol` hear: its canary before the champion."""
        speakers = [one for one in self._roster.members if one.speaks_on(symbol)]
        return next((one for one in speakers if one.canary_symbol == symbol), speakers[0] if speakers else None)

    # --- who serves -----------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Read who serves; load, warm and put in place what changed."""
        roster = await self._parts.roster()
        if self._serving is not None:
            self._serving.is_halted = roster.is_halted
        again = [
            d for d, found in self._loaded.items() if isinstance(found, ModelFault) and found.fault is Fault.MISSING
        ]
        same = {one.digest for one in roster.members} == self._loaded.keys()
        self._roster = roster
        self._grids = await self._parts.grids() if roster.members else {}
        if not (same and not again):
            for digest in again:
                del self._loaded[digest]
            await self._serve(roster)
        await self._take_back_of_others()

    async def _serve(self, roster: Roster) -> None:
        loaded: dict[str, Asked | ModelFault] = {}
        for number, one in enumerate(roster.members, 1):
            found = self._loaded.get(one.digest)
            if found is None:
                log.info("loading model %s of %s: %s %s", number, len(roster.members), one.name, one.digest[:8])
                found = await self._load(one)
            loaded[one.digest] = found
        self._loaded = loaded
        if not roster.members:
            self._serving = None
            return
        cards = {one.digest: one.card for one in roster.members}
        serving = Serving(loaded, cards)
        serving.is_halted = roster.is_halted
        self._steps = self._steps or await self._parts.steps()
        if self._serving is not None:
            serving.adopt(self._serving)
        await self._warm(serving, {card.bar_s for card in cards.values()})
        self._bar_ns = min(card.bar_s for card in cards.values()) * 1_000_000_000
        self._next_close_ns, self._serving = 0, serving

    async def _load(self, member: Member) -> Asked | ModelFault:
        try:
            found = await self._parts.load(member)
        except Exception as error:  # the database is away: as if the store were
            log.exception("model %s could not be loaded", member.digest[:8])
            return ModelFault(Fault.MISSING, f"it could not be loaded: {type(error).__name__}")
        if isinstance(found, ModelFault):
            log.warning("model %s cannot be used: %s", member.digest[:8], found)
        return found

    async def _warm(self, serving: Serving, lengths: set[int]) -> None:
        if self._time.speed != 1.0:
            return  # what was recorded of a market that runs faster is no bar of its own time
        for symbol in self._steps:
            for bar_s in sorted(lengths):
                if serving.is_warm(symbol, bar_s):
                    continue
                bars = await self._parts.warm(symbol, bar_s)
                if bars is not None:
                    log.info("%s: %s recorded bars of %s s", symbol, len(bars), bar_s)
                    await asyncio.to_thread(serving.warm, bars)

    async def _take_back_of_others(self) -> None:
        for symbol, model in list(self._advised.items()):
            speaker = self._speaker(symbol)
            if model and (speaker is None or speaker.digest != model):
                await self._take_back(symbol, model)

    # --- rows -----------------------------------------------------------------------------------------------------

    async def store_all(self) -> None:
        """Hand the rows that wait to the database; what it does not take is lost, and counted."""
        if not len(self._batch):
            return
        batch, self._batch = self._batch, Batch()
        try:
            await self._parts.store(batch)
        except Exception:
            self.lost_rows += len(batch)
            log.exception("%s rows of models are lost", len(batch))

    def _remember(self, member: Member, judged: Judged) -> None:
        if len(self._batch) >= MOST_ROWS:
            self.lost_rows += 1
            return
        output = judged.output
        low, high = output.log_rv_q[0] if output is not None and output.log_rv_q else (None, None)
        self._batch.heard.append(
            Heard(
                version=member.key,
                symbol=judged.symbol,
                at=self._moment(judged.at_ns),
                fault=judged.verdict.fault or "",
                reason=judged.verdict.reason,
                log_rv=None if output is None else output.log_rv[0],
                low=low,
                high=high,
                trend=None if output is None else output.trend,
                rule_log_rv=judged.rule_log_rv,
                took_us=judged.took_us,
                features_sha256=judged.features_sha256,
                psi=judged.psi,
                loss_drift=judged.loss_drift,
                bars=judged.bars,
                fallbacks=judged.fallbacks,
            )
        )

    def _remember_realized(self, came: Realized) -> None:
        member = self._member(came.model)
        if member is None or len(self._batch) >= MOST_ROWS:
            self.lost_rows += 1
            return
        self._batch.came.append(Came(member.key, came.symbol, self._moment(came.at_ns), came.log_rv))

    def _moment(self, market_ns: int) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self._time.ours(market_ns) // 1_000)

    # --- going on -------------------------------------------------------------------------------------------------

    async def _asked_to_refresh(self) -> None:
        waiting = asyncio.ensure_future(self._refresh.wait())
        sleeping = asyncio.ensure_future(self._clock.sleep(REFRESH_S))
        try:
            await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            sleeping.cancel()
            self._refresh.clear()

    async def _every(self, deed: Callable[[], Awaitable[None]], wait: Callable[[], Awaitable[object]]) -> None:
        """Do it again and again; an exception is one time that it was not done."""
        while True:
            try:
                await deed()
            except Exception:
                self.errors += 1
                log.exception("models: %s failed", getattr(deed, "__name__", "a deed"))
                await self._clock.sleep(STORE_S)
            await wait()

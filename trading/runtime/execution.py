"""The execution loop of one account: events to the core, its records to the database, its requests to the venue."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from trading import live
from trading.domain.desk import TraderView
from trading.domain.events import (
    AdoptionAsked,
    AdviceChanged,
    Cancel,
    CancelEverything,
    CancelRefused,
    Effect,
    Event,
    FeedLost,
    FeedRestored,
    ForecastChanged,
    InstrumentListed,
    MetricsKept,
    OrderFilled,
    Persist,
    PersistFill,
    PersistOrder,
    ReadVenue,
    Submit,
    TimerFired,
    VenueRead,
)
from trading.domain.evidence import Facts
from trading.domain.instruments import Instrument
from trading.domain.latency import Histogram
from trading.domain.market import BookTop, Trade
from trading.domain.trader import Trader
from trading.live import Value
from trading.ports import Clock, EventBus, FeedBroken, Journal, ReplayStatus, Transfers, Venue, VenueError
from trading.runtime import rows, show
from trading.runtime.conduct import Conduct, Look, Pace
from trading.runtime.inbox import Inbox
from trading.runtime.meter import ACK_FILL, SUBMIT_ACK, TICK_SUBMIT, Meter
from trading.runtime.requests import Requests
from trading.runtime.topics import ADVICE, COMMAND, FORECAST, HOLD, MARKET, MarketBatch, Message

log = logging.getLogger(__name__)

SECOND_NS: Final = 1_000_000_000
TURN_LIMIT: Final = 256  # events handled before their records are committed together
ASKED_LONG_AGO_NS: Final = 60 * SECOND_NS  # a person's wish that waited longer is not carried out unasked
MISSED_TIMERS: Final = 5  # seconds made up for after a stall; more would only repeat the same answers
FRAMES_PER_SECOND: Final = 20
SAMPLE_EVERY_S: Final = 5.0
LISTING_AGAIN_S: Final = 3.0
TRANSFER_AGAIN_S: Final = 5.0
LISTING_EVERY_S: Final = 60.0
CONNECT_LIMIT_S: Final = 5.0
RECONNECT_S: Final = (0.25, 4.0)  # first and longest pause between attempts, full jitter
ACCOUNT_STREAM: Final = "account stream"
ARMING: Final = "arming"


@dataclass(slots=True)
class Parts:
    """What one execution loop is made of; `bootstrap` chooses them."""

    account: str
    trader: Trader
    venue: Venue
    journal: Journal
    clock: Clock
    bus: EventBus
    publisher: show.Publisher
    instruments: Mapping[str, Instrument]
    meter: Meter
    is_leader: Callable[[], bool]
    orders: rows.Orders  # the rows as they stood before the core's state was read
    read_rows: Callable[[], Awaitable[rows.Orders]]
    replay_status: Callable[[], Awaitable[ReplayStatus | None]]
    halt: Callable[[str], Awaitable[None]]  # latch this account, with a reason
    not_stored: Callable[[Exception], Awaitable[None]]  # a turn was not stored: latch where that will not pass
    sample_equity: Callable[[TraderView, int], Awaitable[None]]
    sample_latency: Callable[[Mapping[str, Histogram], int], Awaitable[None]]  # of a minute, by segment
    sample_conduct: Callable[[Facts, int], Awaitable[None]]  # of the minute that began then
    keep_reading: Callable[[TraderView, VenueRead, int], Awaitable[None]]  # what a reading showed, for people
    settle_cancel: Callable[[int, bool, str], Awaitable[None]]  # what came of a person's cancel: key, done, detail
    close: Callable[[], Awaitable[None]]  # what else was opened for this loop
    wait_for_answers: Callable[[int], None]  # how long the venue's answers are waited for, ms
    transfers: Transfers | None = None  # None: money that no program moves
    in_order: bool = False  # lockstep: one event a turn, one request at a time, timers come from outside


@dataclass(slots=True)
class _Reading:
    """The venue is read once at a time; of several wishes the newest counts."""

    task: asyncio.Task[None] | None = None
    next: ReadVenue | None = None


class ExecutionLoop:
    """One account, one writer. An exception ends it; the host starts a new one from stored state."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts
        self._inbox = Inbox()
        self._requests = Requests(
            parts.venue,
            clock=parts.clock,
            meter=parts.meter,
            troubles=self,
            may_send=self._may_send,
            transfers=parts.transfers,
        )
        self._requests.awaited = tuple(flow for wish in parts.orders.transfers for flow in wish.told)
        self._reading = _Reading()
        self._obstacles: dict[str, str] = {ACCOUNT_STREAM: "not connected yet"}  # cause -> why no order may leave
        self._hold({"cause": ARMING, "reason": parts.orders.not_armed})
        self._account_since_ns: int | None = None  # when the account stream was opened, until a read has caught up
        self._rows = parts.orders
        self._listed = dict(parts.instruments)
        self._tasks: set[asyncio.Future[None]] = set()
        self._asking: set[asyncio.Future[None]] = set()
        self._last_asked: asyncio.Future[None] | None = None
        self._is_busy = False
        self._heard = 0
        self.reports_seen = 0
        self.failure: BaseException | None = None
        self._last_second = 0
        self._changes = show.Changes()
        self._fills: dict[str, Value] = {}
        self._orders_changed = False
        self._shown: tuple[TraderView, VenueRead, int] | None = None  # the newest reading, for people
        self._connected = asyncio.Event()
        self._key_revoked = False
        self._is_outdated = False  # the grids are not those it was made for
        self._wished: set[int] = set()  # wishes about foreign orders that are being carried out
        self._moving: set[str] = set()  # transfers that were asked of the venue lately
        self._stood_down = ""  # why it is not armed, as the halt was told
        self._conduct = Conduct()
        self._seconds = [0, 0]  # with everything a decision rests on, and all
        self.alive_at = time.monotonic()

    # --- life ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Start and take turns until cancelled, or until the grids are others: the host then starts it anew.

        Raises:
            Exception: whatever went wrong in a turn or in one of its tasks.
        """
        try:
            await self.start()
            while not self._is_outdated:
                await self.step()
            log.info("the grids changed: the loop starts anew")
        finally:
            await self._end()

    async def start(self) -> None:
        """Connect, adopt or cancel what the venue still has, catch up on missed seams, then listen."""
        now_ns = self._p.clock.now_ns()
        self._last_second = now_ns // SECOND_NS
        messages = self._p.bus.subscribe(MARKET, FORECAST, ADVICE, HOLD, COMMAND)
        self._spawn(self._follow_account())
        with suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await self._connected.wait()
        if (status := await self._p.replay_status()) is not None:
            self._inbox.extend(status.seams)  # before the first read: it brings fills of laps that have ended
        await self._carry_out(self._p.trader.start(now_ns), now_ns)
        await self._settle()
        self._spawn(self._follow_bus(messages))
        if not self._p.in_order:  # a replay that stands still has no seconds of its own
            listening = (self._follow_rows(), self._follow_listing(), self._every_second())
            for task in (*listening, self._show(), self._sample()):
                self._spawn(task)

    async def step(self) -> None:
        """Take one turn: everything that waits goes through the core, is committed together, and then leaves."""
        await self._inbox.wait()
        self.alive_at = time.monotonic()
        if self.failure is not None:
            raise self.failure
        self._is_busy = True
        now_ns = self._p.clock.now_ns()
        effects = [] if self._p.in_order else self._timers(now_ns)
        for event in self._inbox.take(1 if self._p.in_order else TURN_LIMIT):
            effects += self._handle(event, now_ns)
        if effects:
            await self._carry_out(effects, now_ns)
        if self._shown is not None:  # only now: browsers that are told of it read what the turn has stored
            self._spawn(self._p.keep_reading(*self._shown))
            self._shown = None
        self._is_busy = False

    @property
    def meter(self) -> Meter:
        """How long each segment took since the loop started."""
        return self._p.meter

    def tell(self, event: Event) -> None:
        """Let `event` wait for its turn."""
        self._inbox.put(event)

    def is_idle(self, published: int) -> bool:
        """Return whether nothing is left to do, once `published` messages have come over the bus."""
        idle = not (self._is_busy or len(self._inbox) or self._asking or self._reading.task)
        return idle and self._heard >= published

    async def _settle(self) -> None:
        """Take turns until nothing is asked of the venue any more."""
        while True:
            while len(self._inbox):
                await self.step()
            asked = [*self._asking, *([self._reading.task] if self._reading.task else [])]
            if not asked:
                return
            await asyncio.wait(asked)

    async def _end(self) -> None:
        tasks = [*self._tasks, *([self._reading.task] if self._reading.task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(Exception):
            await self._p.publisher.values({live.desk(self._p.account, "engine"): "Stopped"})

    async def close(self) -> None:
        """Close what was opened for this loop."""
        await self._p.venue.close()
        await self._p.close()

    # --- a turn -------------------------------------------------------------------------------------------------

    def _timers(self, now_ns: int) -> list[Effect]:
        second = now_ns // SECOND_NS
        first = max(self._last_second + 1, second - MISSED_TIMERS + 1)
        self._last_second = max(self._last_second, second)
        effects: list[Effect] = []
        for due in range(first, second + 1):
            effects += self._p.trader.handle(TimerFired(due * SECOND_NS), due * SECOND_NS)
        return effects

    def _handle(self, event: Event, now_ns: int) -> list[Effect]:
        if isinstance(event, OrderFilled):
            self._p.meter.filled(event.fill.client_order_id)
        elif isinstance(event, VenueRead):
            self._caught_up(event)
        elif isinstance(event, FeedLost | FeedRestored):
            self._conduct.hear(event)
        effects = self._p.trader.handle(event, now_ns)
        if isinstance(event, VenueRead) and not self._p.in_order:
            self._shown = (self._p.trader.view(now_ns), event, now_ns)
            self._conduct.read(self._shown[0].reconcile_agrees)
        if effects:
            tick_at_ns = event.received_at_ns if isinstance(event, BookTop | Trade) else None
            for effect in effects:
                if isinstance(effect, Submit):
                    self._p.meter.decided(effect.order.client_order_id, tick_at_ns)
        return effects

    async def _carry_out(self, effects: Sequence[Effect], now_ns: int) -> None:
        """Store everything of the turn, then let it leave; what lowers risk does not wait for the disk."""
        if self._p.in_order:
            await self._carry_out_in_order(effects, now_ns)
            return
        gates: dict[str, asyncio.Future[bool]] = {}
        for effect in effects:
            if isinstance(effect, CancelEverything):
                self._ask(self._requests.cancel_everything(effect), urgent=True)
            elif isinstance(effect, Cancel):
                self._ask(self._requests.cancel(effect))
            elif isinstance(effect, Submit):  # signed while it is stored; it leaves through its gate, or never
                gate = gates[effect.order.client_order_id] = asyncio.get_running_loop().create_future()
                self._ask(self._requests.submit(effect.order, gate))
        try:
            refused = await self._commit(effects, now_ns)
            for key, gate in gates.items():
                _open(gate, key not in refused)
        finally:
            for gate in gates.values():
                _open(gate, False)
        for effect in effects:
            if isinstance(effect, ReadVenue):
                self._read(effect)

    async def _carry_out_in_order(self, effects: Sequence[Effect], now_ns: int) -> None:
        refused = await self._commit(effects, now_ns)
        for effect in effects:
            if isinstance(effect, CancelEverything):
                self._ask(self._requests.cancel_everything(effect))
            elif isinstance(effect, Cancel):
                self._ask(self._requests.cancel(effect))
            elif isinstance(effect, Submit):
                gate: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
                _open(gate, effect.order.client_order_id not in refused)
                self._ask(self._requests.submit(effect.order, gate))
            elif isinstance(effect, ReadVenue):
                self._ask(self._requests.read(effect))

    async def _commit(self, effects: Sequence[Effect], now_ns: int) -> frozenset[str]:
        """Store what is to be stored; return the intents that the halt latch refused."""
        if not any(isinstance(effect, Persist) for effect in effects):
            return frozenset()
        try:
            refused = await self._p.journal.commit(effects, at_ns=now_ns)
        except Exception as error:
            await self._p.not_stored(error)
            raise
        self._remember(effects)
        if refused:
            # What is halted, and why, is for the rows to say: a halt of the core without a row could never be released.
            log.warning("the halt latch refused intents", extra={"order_id": sorted(refused)})
            self._spawn(self._obey())
        return refused

    def _ask(self, request: Coroutine[Any, Any, list[Event]], *, urgent: bool = False) -> None:
        before = self._last_asked if self._p.in_order else None

        async def ask() -> None:
            if before is not None:
                await asyncio.wait([before])
            for event in await request:
                (self._inbox.put_urgent if urgent and not self._p.in_order else self._inbox.put)(event)

        self._last_asked = self._spawn(ask())
        self._asking.add(self._last_asked)
        self._last_asked.add_done_callback(self._asking.discard)

    def _read(self, effect: ReadVenue) -> None:
        if self._reading.task is not None:
            self._reading.next = effect
            return
        self._reading.task = asyncio.create_task(self._read_now(effect))
        self._reading.task.add_done_callback(self._read_done)

    async def _read_now(self, effect: ReadVenue) -> None:
        for event in await self._requests.read(effect):
            self._inbox.put_urgent(event)

    def _read_done(self, task: "asyncio.Task[None]") -> None:
        self._reading.task = None
        self._note_failure(task)
        if self._reading.next is not None and not task.cancelled():
            following, self._reading.next = self._reading.next, None
            self._read(following)

    # --- what it listens to -------------------------------------------------------------------------------------

    async def _follow_bus(self, messages: AsyncIterator[tuple[str, object]]) -> None:
        async for topic, payload in messages:
            self._heard += 1
            if topic == MARKET:
                self._inbox.extend(cast(MarketBatch, payload))
            elif topic == FORECAST:
                self._inbox.put(cast(ForecastChanged, payload))
            elif topic == ADVICE:
                self._inbox.put(cast(AdviceChanged, payload))
            elif topic == HOLD:
                self._hold(cast(Message, payload))
            elif cast(Message, payload).get("account") in (None, self._p.account):
                self._spawn(self._obey())

    def _hold(self, hold: Message) -> None:
        cause, reason = str(hold["cause"]), str(hold["reason"])
        if reason:
            self._obstacles[cause] = reason
        else:
            self._obstacles.pop(cause, None)

    def _may_send(self) -> bool:
        return not self._obstacles and self._p.is_leader()

    def _caught_up(self, read: VenueRead) -> None:
        """Orders may leave again once a reading has brought what the account stream may have missed."""
        if self._account_since_ns is not None and read.read_at_ns >= self._account_since_ns:
            self._account_since_ns = None
            self._obstacles.pop(ACCOUNT_STREAM, None)

    async def _follow_account(self) -> None:
        """Follow the account stream; while it is away, and until a reading has caught up, no order leaves."""
        pause_s = RECONNECT_S[0]
        while True:
            try:
                async for batch in self._p.venue.user_events():
                    if not self._connected.is_set():
                        self._account_since_ns = self._p.clock.now_ns()
                        self._connected.set()
                        pause_s = RECONNECT_S[0]
                    self._inbox.extend(batch.events)
                    self.reports_seen = batch.seen
            except FeedBroken as error:
                log.warning("account stream lost: %s", error)
                self._obstacles[ACCOUNT_STREAM] = str(error)
                self._account_since_ns = None
                self._connected.clear()
            await self._p.clock.sleep(random.uniform(0, pause_s))
            pause_s = min(pause_s * 2, RECONNECT_S[1])

    async def _follow_rows(self) -> None:
        """Look once a second at what people decided, and whether a turn could be stored: a quiet desk would learn of a
        lost database only with its next order.
        """
        while True:
            await self._p.journal.check()
            await self._obey()
            await self._p.clock.sleep(1.0)

    async def _obey(self) -> None:
        """Read the durable rows and tell the core what changed since the last reading."""
        after = await self._p.read_rows()
        before, self._rows = self._rows, after
        await self._stand_down(after.not_armed)
        if after.timeout_ms is not None and after.timeout_ms != before.timeout_ms:
            self._p.wait_for_answers(after.timeout_ms)
        if after.grids != before.grids:
            self._is_outdated = True
            self._inbox.wake()
        for event in rows.changes(before, after):
            self._inbox.put_urgent(event)
        self._requests.awaited = tuple(flow for wish in after.transfers for flow in wish.told)
        for transfer in after.transfers:
            if self._p.transfers is not None and transfer.flow_id not in self._moving and self._p.is_leader():
                self._moving.add(transfer.flow_id)
                self._spawn(self._move(transfer))
        for wish in after.wishes:
            if wish.key not in self._wished and self._p.is_leader():
                self._wished.add(wish.key)
                self._spawn(self._fulfil(wish))

    async def _stand_down(self, not_armed: str) -> None:
        """Let no order leave while the account is not armed, and halt it: what works at the venue is cancelled."""
        self._hold({"cause": ARMING, "reason": not_armed})
        if not_armed and "" not in self._rows.halts and not_armed != self._stood_down:
            log.error("%s: %s", self._p.account, not_armed)
            await self._p.halt(f"not armed: {not_armed}")
        self._stood_down = not_armed

    async def _fulfil(self, wish: rows.ForeignWish) -> None:
        """Cancel or adopt the one order of others that a person named; the next reading shows what is left.

        The row stays open until this is done: after a crash the cancel is asked again, and finds nothing.
        """
        if self._p.clock.now_ns() - wish.asked_at_ns > ASKED_LONG_AGO_NS:
            await self._p.settle_cancel(wish.key, False, "nobody carried it out within a minute; ask again")
            return
        if wish.adopt:
            self._inbox.put(AdoptionAsked(wish.client_order_id))
            return
        (answer,) = await self._requests.cancel(Cancel(wish.client_order_id, wish.symbol))
        detail = answer.message if isinstance(answer, CancelRefused) else ""
        await self._p.settle_cancel(wish.key, not detail, detail)

    async def _move(self, wish: rows.TransferWish) -> None:
        """Ask for a transfer until its row is booked: what a crash or a lost answer left open is asked again.

        The venue makes it once under its id, and only what a reading shows is booked.
        """
        for event in await self._requests.move(wish.flow_id, wish.amount_quote):
            self._inbox.put(event)
        await self._p.clock.sleep(TRANSFER_AGAIN_S)
        self._moving.discard(wish.flow_id)

    async def _follow_listing(self) -> None:
        """Read status and filters again: a symbol in BREAK is asked about often, a trading one seldom."""
        while True:
            waiting = not all(instrument.trading for instrument in self._listed.values())
            await self._p.clock.sleep(LISTING_AGAIN_S if waiting else LISTING_EVERY_S)
            with suppress(VenueError):  # nothing new is known: what was listed last stays in force
                await self._read_listing()

    async def _read_listing(self) -> None:
        for symbol, instrument in (await self._p.venue.instruments(tuple(self._listed))).items():
            if instrument != self._listed[symbol]:
                self._listed[symbol] = instrument
                self._inbox.put(InstrumentListed(instrument))

    async def _every_second(self) -> None:
        """Wake the loop right after every whole second of the clock."""
        while True:
            left_ns = SECOND_NS - self._p.clock.now_ns() % SECOND_NS
            await self._p.clock.sleep(left_ns / SECOND_NS + 0.001)
            self._inbox.wake()

    # --- what it shows ------------------------------------------------------------------------------------------

    def _remember(self, effects: Sequence[Effect]) -> None:
        """Keep what browsers are told of with the next frame: it is durable now."""
        self._fills |= show.fill_values(self._p.account, effects, self._p.instruments)
        self._orders_changed |= any(isinstance(effect, PersistOrder | PersistFill) for effect in effects)

    async def _show(self) -> None:
        frame = 0
        while True:
            await self._show_frame(once_a_second=frame % FRAMES_PER_SECOND == 0)
            frame += 1
            await self._p.clock.sleep(1 / FRAMES_PER_SECOND)

    async def _show_frame(self, *, once_a_second: bool) -> None:
        view = self._p.trader.view(self._p.clock.now_ns())
        values = show.desk_values(view, self._p.instruments)
        if once_a_second:
            values |= show.latency_values(self._p.account, self._p.meter) | self._uptime()
        fills, self._fills = self._fills, {}
        changed = self._changes.of(values) | fills
        if changed:
            await self._p.publisher.values(changed)
        if once_a_second and self._orders_changed:
            self._orders_changed = False
            await self._p.publisher.events("orders")

    def gauges(self) -> dict[str, float]:
        """Return the desk's numbers for machines."""
        return show.desk_gauges(self._p.trader.view(self._p.clock.now_ns()), self._p.meter)

    def _uptime(self) -> dict[str, Value]:
        self._seconds[0] += not self._obstacles
        self._seconds[1] += 1
        return {live.desk(self._p.account, "uptime"): round(100 * self._seconds[0] / self._seconds[1], 2)}

    async def _sample(self) -> None:
        self._conduct.look(await self._look())
        self._inbox.put(MetricsKept(self._p.clock.now_ns()))  # from here on it is missed
        while True:
            await self._p.clock.sleep(SAMPLE_EVERY_S)
            look = await self._look()
            await self._p.sample_equity(look.view, look.at_ns)
            if (minute := self._conduct.look(look)) is not None:
                await self._keep_minute(*minute)

    async def _look(self) -> Look:
        pace = await self._pace()
        now_ns = self._p.clock.now_ns()
        return Look(
            at_ns=now_ns,
            view=self._p.trader.view(now_ns),
            is_clear=not self._obstacles,
            has_mandate=self._rows.limits is not None and self._p.is_leader(),
            pace=pace,
        )

    async def _pace(self) -> Pace | None:
        """Return how fast the market's time passes; None where the replay does not say."""
        try:
            return Pace.of(await self._p.replay_status())
        except VenueError:
            return None

    async def _keep_minute(self, began_ns: int, facts: Facts) -> None:
        """Store a minute; one that a loop without the lease has seen is another loop's to tell."""
        segments = self._p.meter.take_minute()
        await self._p.sample_latency(segments, self._p.clock.now_ns())
        if self._p.is_leader():
            submit_ack, tick_submit, ack_fill = (
                segments.get(segment, Histogram()) for segment in (SUBMIT_ACK, TICK_SUBMIT, ACK_FILL)
            )
            whole = replace(facts, latency=submit_ack, tick_submit=tick_submit, ack_fill=ack_fill)
            await self._p.sample_conduct(whole, began_ns)
            self._inbox.put(MetricsKept(self._p.clock.now_ns()))

    # --- what went wrong ----------------------------------------------------------------------------------------

    def venue_error(self, message: str) -> None:
        """Keep it in the log; the core hears of every order it concerns."""
        log.warning("venue error: %s", message)

    def key_revoked(self, message: str) -> None:
        """Latch the account, once: no order can be managed with a key the venue does not accept."""
        log.error("the venue no longer accepts our key: %s", message)
        if not self._key_revoked:
            self._key_revoked = True
            self._spawn(self._p.halt(f"the venue no longer accepts the trade key: {message}"))

    def _spawn(self, work: Awaitable[None]) -> "asyncio.Future[None]":
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Future[None]") -> None:
        self._tasks.discard(task)
        self._note_failure(task)

    def _note_failure(self, task: "asyncio.Future[None]") -> None:
        """An exception in any task ends the loop: the state it left behind is not known."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failure = self.failure or error
            self._inbox.wake()


def _open(gate: "asyncio.Future[bool]", is_stored: bool) -> None:
    if not gate.done():
        gate.set_result(is_stored)

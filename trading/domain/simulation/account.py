"""One account of the world: the lives of its trader, what is durable between them, and the bad wire to the venue."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Final

from trading.domain.backtest import read_venue
from trading.domain.events import (
    AdoptionAsked,
    AdviceChanged,
    Cancel,
    CancelEverything,
    CancelRefused,
    Effect,
    Event,
    FeedLost,
    HaltRequested,
    LatchHalt,
    MandateChanged,
    OrderAmbiguous,
    OrderEnded,
    OrderFilled,
    OrderRefused,
    PersistAdoption,
    PersistHaltStage,
    PersistPause,
    ReadVenue,
    Resumed,
    SeamReached,
    Submit,
    SymbolPaused,
    SymbolResumed,
    TimerFired,
    TransferMade,
    VenueRead,
)
from trading.domain.flows import flow_id
from trading.domain.market import BookTop
from trading.domain.orders import Order
from trading.domain.simulation.promises import Promises
from trading.domain.simulation.scenario import INSTRUMENTS, KINDS_FROM, Desk, advice_at_random, edited
from trading.domain.simulation.store import Fenced, Store
from trading.domain.trader import Trader
from trading.domain.venue_orders import NewOrder, Rejection

if TYPE_CHECKING:
    from trading.domain.simulation.world import World

MS: Final = 1_000_000
SECOND_NS: Final = 1_000 * MS
LATEST_ARRIVAL_NS: Final = 12 * SECOND_NS  # recvWindow 2 s, and the venue's own queue holds it for 10 s at most
UNSAID_WAIT_MS: Final = 60_000  # where the venue does not say how long
LEASE_NS: Final = 3 * SECOND_NS
CAUSES: Final = ("drawdown", "venue errors", "no positive number", "bound reached")  # of halts by rule


class Crashed(Exception):
    """kill -9: what was committed stays, everything on its way to the trader is lost."""


class Life:
    """One run of the trader's process, from its start to its end."""

    def __init__(self, account: "Account", fence: int) -> None:
        self.account = account
        self.fence = fence
        self.is_over = False
        self.is_frozen = False
        self.lap = account.store.lap
        self.is_reading = False
        self.next_read: ReadVenue | None = None
        self.wait_until_ns = 0  # the venue wants to be left alone until then, and this life knows
        self.reads = 0  # venue reads it has merged
        self.sound_at: dict[str, int] = {}  # symbol -> when it saw the last sound top
        self.marks: dict[str, int] = {}  # symbol -> last sound bid, ticks
        self._inbox: list[Event] = []
        world = account.world
        self.trader = Trader(
            settings=account.settings,
            limits=account.limits,
            instruments=INSTRUMENTS,
            epoch=fence,
            now_ns=world.now_ns,
            lap=world.lap,
            state=account.store.state(),
        )

    def start(self) -> None:
        """Take the first turn."""
        for seam in self.account.world.seams:  # the venue tells of them before anything else is asked
            self.hear(seam)
        self._guarded(lambda: self.trader.start(self.account.world.now_ns))

    def hear(self, event: Event) -> None:
        """Let `event` wait for its turn; nobody hears anything after the end."""
        if self.is_over:
            return
        self._inbox.append(event)
        if not self.is_frozen and len(self._inbox) == 1:
            self.account.world.at(self.account.world.scenario.turn_ns, self.turn)

    def turn(self) -> None:
        """Handle everything that waits, together."""
        if self.is_over or self.is_frozen or not self._inbox:
            return
        events, self._inbox = self._inbox, []
        self._guarded(partial(self._handle, events))

    def thaw(self) -> None:
        """Wake up after a long sleep and go on as if nothing had happened."""
        self.is_frozen = False
        self.turn()

    def _handle(self, events: list[Event]) -> list[Effect]:
        now_ns, effects = self.account.world.now_ns, list[Effect]()
        for event in events:
            self._note(event, now_ns)
            answer = self.trader.handle(event, now_ns)
            for effect in answer:
                if isinstance(effect, Submit) and self is self.account.life:  # who no longer leads is fenced off below
                    self.account.promises.decided(self, effect.order)
            effects += answer
        return effects

    def _note(self, event: Event, now_ns: int) -> None:
        """Keep what the promises ask for: what this life was told, and when."""
        account = self.account
        account.world.events += 1
        match event:
            case BookTop():
                if account.world.is_sound(event):
                    self.sound_at[event.symbol] = now_ns
                    self.marks[event.symbol] = event.bid_ticks
            case FeedLost():
                self.sound_at.clear()
            case SeamReached(lap) if lap > self.lap:
                self.lap = lap
                self.sound_at.clear()
            case VenueRead():
                self.reads += 1
            case OrderRefused(_, "THROTTLED", _, _, wait_ms):
                self.wait_until_ns = max(self.wait_until_ns, now_ns + (wait_ms or UNSAID_WAIT_MS) * MS)
            case SymbolPaused(symbol) if self is account.life:
                account.promises.paused(symbol, now_ns)
            case SymbolResumed(symbol) if self is account.life:
                account.promises.unpaused(symbol)
            case AdviceChanged(symbol, advice) if self is account.life:
                account.promises.advised(symbol, advice)
            case MandateChanged(limits) if self is account.life and not limits.unsound:
                account.promises.mandate_is_coming(limits)
            case _:
                pass

    def _guarded(self, take_turn: Callable[[], list[Effect]]) -> None:
        try:
            self.account.carry_out(self, take_turn())
        except Crashed:
            self.account.crash(self)
        except Fenced:
            self.is_over = True
            self.account.world.say(f"{self.account.name} life {self.fence} was fenced off")


class Account:
    """A desk at the venue, through all the lives of its trader."""

    def __init__(self, world: "World", desk: Desk) -> None:
        self.world = world
        self.settings = desk.settings
        self.name = desk.settings.account
        self.limits = desk.limits
        self.store = Store(self.name, desk.limits)
        self.promises = Promises(self)
        self.life: Life | None = None
        self._away_until_ns = 0  # the account stream is gone until then
        self._pressed_at_ns = 0
        self.humans: dict[str, str] = {}  # open orders of a person -> symbol
        self.contradictions: list[str] = []

    # --- lives ------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start a new life from what is stored."""
        if self.life is not None and not self.life.is_over and not self.life.is_frozen:
            return
        fence = self.store.fence + 1
        self.store.claim(fence)
        self.promises.new_life()
        self.promises.mandate_is_coming(self.limits)
        self.promises.mandate_has_come()
        self.life = Life(self, fence)
        self.world.say(f"{self.name} starts its life {fence}")
        self.life.start()

    def crash(self, life: Life) -> None:
        """End a life without a word; a supervisor starts the next one."""
        if life.is_over:
            return
        life.is_over = True
        self.world.crashes += 1
        self.world.crashed_at_ns = self.world.now_ns
        self.world.say(f"{self.name} life {life.fence} was killed")
        if life is self.life:
            self.world.at(self.world.random.choice((50, 200, 1_000, 4_000)) * MS, self.begin)

    def freeze(self) -> None:
        """Stop the process for longer than its lease: a standby takes over, the old one wakes up later."""
        life = self.life
        if life is None or life.is_over:
            return
        life.is_frozen = True
        self.world.say(f"{self.name} life {life.fence} is frozen")
        self.world.at(LEASE_NS, self.begin)
        self.world.at(LEASE_NS + self.world.random.randrange(8 * SECOND_NS), life.thaw)

    def hear(self, event: Event) -> None:
        """Tell the life of this moment."""
        if self.life is not None:
            self.life.hear(event)

    def for_this_life(self, event: Event) -> Callable[[], None]:
        """Return a delivery that only the life of this moment gets: another has other connections."""
        life = self.life
        return lambda: life.hear(event) if life is not None else None

    # --- one turn, in the order of the execution loop -----------------------------------------------------------

    def carry_out(self, life: Life, effects: list[Effect]) -> None:
        """What lowers risk leaves at once; everything else after the commit. The process may end at every step."""
        for effect in effects:
            if isinstance(effect, CancelEverything):
                for symbol in effect.symbols:
                    self.world.at(self._delay(), partial(self._cancel_all, life, symbol))
            elif isinstance(effect, Cancel):
                self._cancel(life, effect)
        if effects:
            self._may_crash(life)
        refused = self._commit(life, effects)
        self.promises.mandate_has_come()
        for effect in effects:
            self._follow(effect)
        if effects:
            self._may_crash(life)
        for effect in effects:
            if isinstance(effect, Submit):
                self._submit(life, effect.order, refused)
                self._may_crash(life)
            elif isinstance(effect, ReadVenue):
                self._read(life, effect)

    def _commit(self, life: Life, effects: list[Effect]) -> frozenset[str]:
        return self.store.commit(effects, fence=life.fence, now_ns=self.world.now_ns)

    def _follow(self, effect: Effect) -> None:
        """Hold the promises that begin with a committed record."""
        now_ns = self.world.now_ns
        match effect:
            case LatchHalt(reason, _, _, symbol):
                self.world.say(f"{self.name} {symbol} halts: {reason}")
                self.promises.halted(now_ns, symbol)
                if self.life is not None:
                    self.promises.stopped_for(reason, self.life.marks)
                    self.promises.ended_for(reason, symbol, self.life.marks)
                if not any(cause in reason for cause in CAUSES):
                    self.contradictions.append(reason)
            case PersistHaltStage(stage, _, _, _, symbol):
                self.world.say(f"{self.name} {symbol} is {stage}")
                self.promises.stage(stage, now_ns, symbol)
            case PersistAdoption(name, "", _):
                self.world.say(f"{name} is ours now")
                self.humans.pop(name, None)
            case PersistPause(symbol, reason, _):
                self.promises.paused(symbol, now_ns)
                if "lost an order" in reason:
                    self.contradictions.append(f"{symbol}: {reason}")
            case _:
                pass

    def _may_crash(self, life: Life) -> None:
        if self.world.chance(self.world.faults.crash_in_turn) or self.world.is_the_step():
            raise Crashed
        if life.is_over:
            raise Crashed

    # --- orders out ---------------------------------------------------------------------------------------------

    def _submit(self, life: Life, order: Order, refused: frozenset[str]) -> None:
        world, faults, name = self.world, self.world.faults, order.client_order_id
        if name in refused:
            life.hear(OrderRefused(name, "STALE", "halt latched", world.now_ns))
            for symbol, held in self.store.halts.items():  # the rows say what is halted, read at once
                life.hear(HaltRequested(held.reason, held.flatten, symbol))
            return
        self.promises.order_leaves(life, order)
        world.orders += 1
        world.say(f"{self.name} sends {name} {order.side} {order.type} {order.quantity_lots} {order.symbol}")
        answer = self._answers(life)
        if world.chance(faults.throttled):
            wait_ms = world.random.choice((0, 1_500, 8_000))
            answer(OrderRefused(name, "THROTTLED", "too many requests", world.now_ns, wait_ms))
        elif world.chance(faults.refused):
            answer(OrderRefused(name, "-1021", "timestamp outside of recvWindow", world.now_ns))
        elif world.chance(faults.lost_request):
            self._time_out(life, order)
        elif world.chance(faults.late_request):
            world.at(world.random.randrange(LATEST_ARRIVAL_NS), partial(self._arrive, life, order, answered=False))
            self._time_out(life, order)
        else:
            answered = not world.chance(faults.lost_answer)
            world.at(self._delay(), partial(self._arrive, life, order, answered=answered))
            if not answered:
                self._time_out(life, order)

    def _time_out(self, life: Life, order: Order) -> None:
        patience_ns = self.world.random.choice((1, 4, 20)) * SECOND_NS // 2
        event = OrderAmbiguous(order.client_order_id, "time-out", self.world.now_ns)
        self.world.at(patience_ns, partial(life.hear, event))

    def _arrive(self, life: Life, order: Order, *, answered: bool) -> None:
        world, answer = self.world, self._answers(life)
        request = NewOrder(
            order.client_order_id, order.symbol, order.side, order.type, order.quantity_lots, order.price_ticks
        )
        try:
            reports = world.venue.submit(self.name, request, world.now_ns)
        except Rejection as error:
            if answered:
                answer(OrderRefused(order.client_order_id, str(error.code), error.message, world.now_ns))
            return
        world.say(f"the venue has {order.client_order_id}")
        self.promises.order_accepted(order)
        world.report(reports)
        if answered:
            for _, report in reports:
                answer(report)

    def _answers(self, life: Life) -> Callable[[Event], None]:
        return lambda event: self.world.at(self._delay(), partial(life.hear, event))

    def _cancel(self, life: Life, effect: Cancel) -> None:
        self.promises.cancel_leaves(effect)
        if not self.world.chance(self.world.faults.lost_cancel):
            self.world.at(self._delay(), partial(self._cancel_arrives, life, effect))

    def _cancel_arrives(self, life: Life, effect: Cancel) -> None:
        try:
            self.world.report(
                self.world.venue.cancel(self.name, effect.symbol, effect.client_order_id, self.world.now_ns)
            )
        except Rejection as error:
            self._answers(life)(CancelRefused(effect.client_order_id, error.message, self.world.now_ns))

    def _cancel_all(self, life: Life, symbol: str) -> None:
        """Cancel everything; the answer names what ended, the account stream tells of it too."""
        reports = self.world.venue.cancel_all(self.name, symbol, self.world.now_ns)
        self.world.report(reports)
        if not self.world.chance(self.world.faults.lost_answer):
            for _, report in reports:
                self._answers(life)(report)

    # --- the venue's word ---------------------------------------------------------------------------------------

    def report(self, report: Event) -> None:
        """Send one report over the account stream: late, out of order, twice, or not at all."""
        world = self.world
        if isinstance(report, OrderFilled):
            self.promises.filled(report.fill)
        if isinstance(report, OrderEnded):
            self.humans.pop(report.client_order_id, None)
        self.promises.check()
        if world.now_ns < self._away_until_ns or world.chance(world.faults.dropped_report):
            return
        deliver = self.for_this_life(report)
        world.at(self._delay(), deliver)
        if world.chance(world.faults.doubled):
            world.at(self._delay(), deliver)

    def _read(self, life: Life, request: ReadVenue) -> None:
        """Read once at a time; of several wishes the newest counts, as in the execution loop."""
        if life.is_reading:
            life.next_read = request
            return
        life.is_reading = True
        self._read_now(life, request)

    def _read_done(self, life: Life) -> None:
        life.is_reading = False
        if life.next_read is not None and not life.is_over:
            following, life.next_read = life.next_read, None
            self._read(life, following)

    def _read_now(self, life: Life, request: ReadVenue) -> None:
        """Read in parts, as over a real wire: orders, fills, balances, then transfers, each a little later."""
        world = self.world
        if world.chance(world.faults.failed_read):
            world.at(20 * MS, lambda: self._read_done(life))
            return
        began_ns, parts = world.now_ns, list[VenueRead]()
        step_ns = world.random.randrange(20, 1_200) * MS if world.chance(world.faults.slow_read) else 20 * MS
        for part in (1, 2, 3, 4):
            world.at(part * step_ns, lambda: parts.append(read_venue(world.venue, self.name, request, began_ns)))

        def answer() -> None:
            orders, fills, balances, flows = parts
            life.hear(
                VenueRead(
                    read_at_ns=began_ns,
                    local_open=orders.local_open,
                    orders=orders.orders,
                    missing=orders.missing,
                    fills=fills.fills,
                    balances=balances.balances,
                    flows=flows.flows,
                )
            )
            self._read_done(life)

        world.at(4 * step_ns, answer)

    def _delay(self) -> int:
        return self.world.random.choice((1, 2, 5, 20, 120)) * MS

    # --- one second, and people -----------------------------------------------------------------------------------

    def second(self) -> None:
        """Let a second of this account pass, with whatever people and machines do in it."""
        world, faults = self.world, self.world.faults
        self.hear(TimerFired(world.now_ns - world.now_ns % SECOND_NS))
        self.promises.second(self.life)
        for chance, happen in (
            (faults.crash, self._crash_now),
            (faults.freeze, self.freeze),
            (faults.stream_away, self._lose_stream),
            (faults.halt, self._halt),
            (faults.pause, self._pause),
            (faults.mandate, self._change_mandate),
            (faults.human, self._trade_by_hand),
        ):
            if world.chance(chance):
                happen()
        if world.is_bad and world.purse.random() < world.scenario.transfers:
            self._ask_transfer()
        if world.is_bad and world.editor.random() < world.scenario.edits:
            self._edit_grid()
        if world.is_bad and world.adviser.random() < world.scenario.advice:
            self._advise()
        self._carry_out_transfers()
        if world.is_bad and self.store.halts and world.chance(0.15):
            self.resume(world.random.choice(sorted(self.store.halts)))
        if world.is_bad and self.store.paused and world.chance(0.1):
            self._unpause()

    def _edit_grid(self) -> None:
        """A person edits a running grid: its row is durable, and the loop starts anew from what is stored."""
        editor, grids = self.world.editor, list(self.settings.grids)
        at = editor.randrange(len(grids))
        grids[at] = edited(editor, grids[at], kinds=self.world.scenario.seed >= KINDS_FROM)
        self.world.say(f"a person edits the grid on {grids[at].symbol} of {self.name}: {grids[at]}")
        self.settings = replace(self.settings, grids=tuple(grids))
        self.promises.edited()
        self._crash_now()

    def _advise(self) -> None:
        """A model speaks of one grid, or takes back what it said; nothing of it is durable."""
        adviser = self.world.adviser
        symbol = adviser.choice(self.world.scenario.symbols)
        advice = advice_at_random(adviser, symbol, self.world.now_ns)
        self.world.say(f"a model says of {symbol} of {self.name}: {advice and advice.asks}")
        self.hear(AdviceChanged(symbol, advice))

    def _ask_transfer(self) -> None:
        """Governance asks for money in or out; the row is durable before anyone hears of it."""
        amount = Decimal(self.world.purse.choice((50, 20, -20, -50)))
        name = flow_id(self.name, len(self.store.flows) + len(self.store.transfers) + 1)
        self.world.say(f"{name} is asked for: {amount}")
        self.store.transfers[name] = amount

    def _carry_out_transfers(self) -> None:
        """The loop asks the venue for what its rows ask for, again and again, until it is booked."""
        life = self.life
        if life is None or life.is_over or life.is_frozen:
            return
        for name, amount in self.store.transfers.items():
            if not self.world.chance(self.world.faults.lost_request):
                delay_ns = self.world.purse.randrange(1, 3_000) * MS
                self.world.at(delay_ns, partial(self._transfer_arrives, name, amount))
            life.hear(TransferMade(name))

    def _transfer_arrives(self, name: str, amount: Decimal) -> None:
        before = self.promises.equity(self.world.prices)
        made = len(self.world.venue.transfers(self.name))
        flow = self.world.venue.transfer(self.name, name, "USDT", amount, self.world.now_ns)
        if len(self.world.venue.transfers(self.name)) > made:
            self.world.say(f"the venue has made {name}: {flow.amount_quote}")
            self.promises.paid(flow.amount_quote, before)

    def _crash_now(self) -> None:
        if self.life is not None and not self.life.is_over:
            self.crash(self.life)

    def _lose_stream(self) -> None:
        self._away_until_ns = self.world.now_ns + self.world.random.randrange(1, 6) * SECOND_NS

    def _halt(self) -> None:
        """A person presses HALT, for all or for one symbol: the latch is durable before anyone hears of it."""
        world = self.world
        flatten = world.chance(0.5)
        symbol = world.random.choice(world.scenario.symbols) if world.chance(0.4) else ""
        world.kills += 1
        world.say(f"a person halts {self.name} {symbol}{' and flattens' if flatten else ''}")
        self.store.latch("a person", flatten=flatten, at_ns=world.now_ns, symbol=symbol)
        self.promises.halted(world.now_ns, symbol)
        self._pressed_at_ns = world.now_ns
        self.hear(HaltRequested("a person", flatten, symbol))

    def resume(self, symbol: str) -> None:
        """Two people release a halt that is proven."""
        if self.store.halts[symbol].stage not in ("PROVEN_CLEAR", "FLAT"):
            return
        if self.world.now_ns <= self._pressed_at_ns + SECOND_NS:
            return  # nobody presses HALT and signs its release within a second
        self.world.say(f"two people release {self.name} {symbol}")
        self.store.release(symbol)
        self.promises.released(symbol)
        self.hear(Resumed("two people", symbol))

    def _pause(self) -> None:
        symbol = self.world.random.choice(self.world.scenario.symbols)
        self.world.say(f"a person pauses {symbol} of {self.name}")
        self.store.paused[symbol] = "a person"
        self.hear(SymbolPaused(symbol, "a person"))

    def _unpause(self) -> None:
        symbol = sorted(self.store.paused)[0]
        self.world.say(f"{symbol} of {self.name} is released")
        del self.store.paused[symbol]
        self.hear(SymbolResumed(symbol))

    def _change_mandate(self) -> None:
        limits = self.world.other_limits(self.limits)
        self.world.say(f"{self.name} has a new mandate, version {limits.version} {limits.unsound}")
        if not limits.unsound:  # what is no number is never stored, but it may come over the wire
            self.limits = limits
        self.hear(MandateChanged(limits))

    def _trade_by_hand(self) -> None:
        """A person rests an order far from the market, takes one back, or makes it ours."""
        world = self.world
        if self.humans and world.chance(0.4):
            self.hear(AdoptionAsked(world.random.choice(sorted(self.humans))))
            return
        if self.humans and world.chance(0.5):
            name, symbol = next(iter(self.humans.items()))
            world.report(world.venue.cancel(self.name, symbol, name, world.now_ns))
            return
        symbol = world.random.choice(world.scenario.symbols)
        request = world.human_order(symbol)
        try:
            reports = world.venue.submit(self.name, request, world.now_ns)
        except Rejection:
            return
        self.humans[request.client_order_id] = symbol
        world.report(reports)

    def is_quiet(self) -> bool:
        """Return whether a life is there to be asked."""
        return self.life is not None and not self.life.is_over and not self.life.is_frozen

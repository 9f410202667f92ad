"""Planted bugs: each a small patch of the core or its loop that some seed must find, or the worlds have no teeth."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from trading.domain import core, guard, ladder, market, moving, reconciliation, recovery, risk, strategy
from trading.domain.advice import GridAdvice
from trading.domain.carrying import Why
from trading.domain.clerk import Clerk
from trading.domain.core import Core, SymbolBook
from trading.domain.desk import NeverRan, TraderState
from trading.domain.events import (
    Effect,
    MandateChanged,
    OrderAmbiguous,
    OrderRefused,
    PersistDay,
    PersistFill,
    PersistGrid,
    Submit,
    VenueRead,
)
from trading.domain.flows import Flow, Funding
from trading.domain.grids import GridSpec
from trading.domain.guard import Guard
from trading.domain.halting import FLAT, LATCHED, PROVEN_CLEAR, STOPPED, HaltProcess, refused_intents
from trading.domain.instruments import Instrument
from trading.domain.ledger import Ledger
from trading.domain.limits import Limits, TradingState
from trading.domain.market import MarketState
from trading.domain.orders import WORKING, Fill, Order, OrderStatus, Side
from trading.domain.places import Role
from trading.domain.reconciliation import Finding, LocalBooks, Orphan
from trading.domain.register import Register
from trading.domain.simulation.account import Account, Life
from trading.domain.simulation.run import simulate
from trading.domain.simulation.scenario import ADVICE_FROM, KINDS_FROM, MOVING_FROM
from trading.domain.simulation.store import Fenced, Store
from trading.domain.strategy import Slot
from trading.domain.trader import Trader

Patch = tuple[Any, str, Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted bug."""

    name: str
    patches: tuple[Patch, ...]
    first: int = 0  # world from which on it is hunted


@dataclass(frozen=True, slots=True)
class Hunt:
    """How a planted bug was found."""

    name: str
    seed: int | None  # None: it survived
    violation: str
    seeds: int  # worlds that were tried


def hunt(mutant: Mutant, *, seeds: int) -> Hunt:
    """Live through worlds with the bug in place until one breaks a promise."""
    with planted(mutant):
        for tried in range(seeds):
            seed = mutant.first + tried
            outcome = simulate(seed)
            if outcome.violation:
                return Hunt(mutant.name, seed, outcome.violation, tried + 1)
    return Hunt(mutant.name, None, "", seeds)


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Run with the bug in place, for this process."""
    kept = [(place, attribute, getattr(place, attribute)) for place, attribute, _ in mutant.patches]
    for place, attribute, wrong in mutant.patches:
        setattr(place, attribute, wrong)
    try:
        yield
    finally:
        for place, attribute, right in kept:
            setattr(place, attribute, right)


# --- the fate of an order -------------------------------------------------------------------------------------------


def _timeout_is_failure(self: Clerk, event: OrderAmbiguous, now_ns: int) -> None:
    self.on_refused(OrderRefused(event.client_order_id, "TIMEOUT", "", now_ns), now_ns)


def _post_again(self: Clerk, event: OrderAmbiguous, now_ns: int) -> None:
    order = self._core.register.known.get(event.client_order_id)
    if order is not None and order.is_open:
        self._turn.act(Submit(replace(order)))


def _forget_the_slot(self: Clerk, order: Order, reason: str, now_ns: int) -> None:
    book = self._core.books.get(order.symbol)
    if book is not None:
        self.release(book, book.slot_of(order))


def _forget_after_five_seconds(self: Guard, now_ns: int) -> None:
    for order in list(self._core.register.open.values()):
        if order.status is OrderStatus.UNKNOWN and now_ns - order.decided_at_ns > 5_000_000_000:
            self._clerk.store(order, OrderStatus.REJECTED, now_ns)
            self._clerk.back_off(order, now_ns)


# --- what is at stake -----------------------------------------------------------------------------------------------


def _in_flight_is_no_exposure(self: Register) -> dict[str, int]:
    totals: dict[str, int] = {}
    for order in self.open.values():
        if order.side is Side.BUY and order.status in WORKING:
            totals[order.symbol] = totals.get(order.symbol, 0) + order.reference_ticks * order.remaining_lots
    return totals


def _without(*rules: Callable[..., Any]) -> Patch:
    return risk, "RULES", tuple(rule for rule in risk.RULES if rule not in rules)


def _wrong_sign(order: Order, facts: risk.Exposure, limits: Limits, instrument: Any) -> risk.Denial | None:
    limit = limits.capital_quote * limits.max_symbol_exposure_fraction
    if facts.symbol_worst_quote - risk.notional_quote(order, instrument) > limit:
        return risk.Denial("SYMBOL_EXPOSURE", "")
    return None


def _replaced(rule: Callable[..., Any], wrong: Callable[..., Any]) -> Patch:
    return risk, "RULES", tuple(wrong if each is rule else each for each in risk.RULES)


def _gain_is_loss(opening: Decimal, equity: Decimal) -> Decimal:
    return (equity - opening) / opening


def _day_begins_with_the_process(*args: Any, **named: Any) -> Core:
    restored = _restored_core(*args, **named)
    restored.day = replace(restored.day, opening_equity_quote=restored.ledger.cash)
    return restored


def _pause_forgotten(*args: Any, **named: Any) -> Core:
    restored = _restored_core(*args, **named)
    for book in restored.books.values():
        book.pause = ""
    return restored


def _trades_forgotten(*args: Any, **named: Any) -> Core:
    restored = _restored_core(*args, **named)
    restored.register.today.clear()
    return restored


def _started_at_once(*args: Any, **named: Any) -> Core:
    restored = _restored_core(*args, **named)
    restored.started = True
    return restored


_restored_core = recovery.restored_core
_apply = Ledger.apply


def _fee_is_a_gift(self: Ledger, fill: Fill, *args: Any, **named: Any) -> Any:
    return _apply(self, replace(fill, fee=-fill.fee), *args, **named)


def _old_mandate_handlers(self: Trader, *args: Any, **named: Any) -> None:
    _trader_init(self, *args, **named)
    self._handlers[MandateChanged] = lambda event, now_ns: None


_trader_init = Trader.__init__


# --- the halt ---------------------------------------------------------------------------------------------------------


def _clear_without_a_look(self: HaltProcess, known: Register, *, read_at_ns: int, others_open: int) -> bool:
    if self.state.stage != STOPPED:
        return False
    self.state = replace(self.state, stage=PROVEN_CLEAR)
    return True


def _working(register: Register) -> list[Order]:
    return [order for order in register.grid_orders() if order.status in WORKING]


def _stops_on_working(self: HaltProcess, register: Register) -> bool:
    if self.state.stage != LATCHED or _working(register):
        return False
    self.state = replace(self.state, stage=STOPPED)
    return True


def _clear_on_working(self: HaltProcess, register: Register, *, read_at_ns: int, others_open: int) -> bool:
    if self.state.stage != STOPPED or read_at_ns < self.state.latched_at_ns or _working(register) or others_open:
        return False
    self.state = replace(self.state, stage=PROVEN_CLEAR)
    return True


def _flat_unverified(self: HaltProcess, *, nothing_to_sell: bool) -> bool:
    if self.state.stage != PROVEN_CLEAR or not self.state.flatten:
        return False
    self.state = replace(self.state, stage=FLAT)
    return True


def _latch_in_memory(self: Store, reason: str, *, flatten: bool, at_ns: int, symbol: str = "") -> None:
    return None


def _nothing_refused(self: Store, effects: Any) -> frozenset[str]:
    return frozenset()


def _only_the_account_refuses(self: Store, effects: Any) -> frozenset[str]:
    return refused_intents(effects, TradingState.HALTED if "" in self.halts else TradingState.ACTIVE)


def _symbol_halts_forgotten(*args: Any, **named: Any) -> Core:
    restored = _restored_core(*args, **named)
    restored.halts = {scope: halt for scope, halt in restored.halts.items() if not scope}
    return restored


def _nothing_on_a_symbol(self: Register, scope: str) -> list[Order]:
    return [] if scope else list(self.open.values())


# --- records and lives ------------------------------------------------------------------------------------------------


def _send_first(self: Account, life: Life, effects: list[Effect]) -> None:
    for effect in effects:
        if isinstance(effect, Submit):
            self._submit(life, effect.order, frozenset())
            self._may_crash(life)
    _carry_out(self, life, [effect for effect in effects if not isinstance(effect, Submit)])


_carry_out = Account.carry_out


def _fills_in_a_second_commit(self: Account, life: Life, effects: list[Effect]) -> frozenset[str]:
    now_ns = self.world.now_ns
    first = [effect for effect in effects if not isinstance(effect, PersistFill)]
    refused = self.store.commit(first, fence=life.fence, now_ns=now_ns)
    self._may_crash(life)
    self.store.commit(
        [effect for effect in effects if isinstance(effect, PersistFill)], fence=life.fence, now_ns=now_ns
    )
    return refused


def _audit_after_the_commit(self: Account, life: Life, effects: list[Effect]) -> frozenset[str]:
    if life.fence != self.store.fence:
        raise Fenced
    refused = self.store.refused(effects)
    self.store.apply(effects, refused)
    self.store.commits += 1
    self._may_crash(life)
    self.store.commits -= 1
    self.store.seal(effects, refused, self.world.now_ns)
    return refused


def _fill_is_not_audited(self: Store, effects: Any, refused: frozenset[str], now_ns: int) -> None:
    if any(isinstance(effect, PersistFill) for effect in effects):
        self.commits += 1
        return
    _seal(self, effects, refused, now_ns)


_seal = Store.seal


def _no_fence(self: Store, effects: Any, *, fence: int, now_ns: int) -> frozenset[str]:
    return _commit(self, effects, fence=self.fence, now_ns=now_ns)


_commit = Store.commit


def _only_open_orders(self: Store) -> TraderState | NeverRan:
    state = _state(self)
    return (
        state
        if isinstance(state, NeverRan)
        else replace(state, orders=tuple(order for order in state.orders if order.is_open))
    )


_state = Store.state


# --- reading the venue ------------------------------------------------------------------------------------------------


def _a_person_is_an_orphan(order: Any, local: LocalBooks, read: Any) -> Finding | None:
    if not order.ours and order.status in WORKING:
        return Orphan(order)
    return _judge(order, local, read)


_judge = reconciliation._judge


def _read_counts_from_its_end(self: Life, event: Any) -> None:
    _hear(self, replace(event, read_at_ns=self.account.world.now_ns) if isinstance(event, VenueRead) else event)


_hear = Life.hear


def _not_throttled(self: Clerk, event: OrderRefused, now_ns: int) -> None:
    code = "STALE" if event.code == "THROTTLED" else event.code
    _on_refused(self, replace(event, code=code), now_ns)


_on_refused = Clerk.on_refused


def _believe_everything(self: MarketState, event: Any, now_ns: int) -> None:
    return None


def _end_at_once(self: Clerk, order: Order, status: OrderStatus, filled_lots: int, now_ns: int) -> None:
    self.store(order, status, now_ns)
    book = self._core.books.get(order.symbol)
    if book is not None:
        self.release(book, book.slot_of(order))


# --- transfers --------------------------------------------------------------------------------------------------------

_note_flow = Clerk._note_flow


def _forget_the_transfer(self: Clerk, flow: Flow, equity_before_quote: Decimal, now_ns: int) -> None:
    _note_flow(self, flow, equity_before_quote, now_ns)
    self._core.flow_ids.discard(flow.flow_id)


_carry = moving.carry


def _fallen_forgotten(*args: Any, **changes: Any) -> list[Slot]:
    return [slot for slot in _carry(*args, **changes) if slot.role is Role.LADDER]


def _numbers_in_use(*args: Any, **changes: Any) -> list[Slot]:
    after = _carry(*args, **changes)
    new = [slot for slot in after if slot.role is Role.LADDER and slot.order is None and not slot.held_lots]
    for number, slot in enumerate(new):
        slot.index = number
    return after


def _opened_in_memory(self: Clerk, book: SymbolBook, slot: Slot, now_ns: int) -> None:
    slot.role = Role.LADDER


def _ends_anywhere(spec: GridSpec, instrument: Instrument, mark: int) -> Why | None:
    return None if spec.stop is None else Why.STOP


_write_rows = Store.apply


def _moves_not_stored(self: Store, effects: Sequence[Effect], refused: frozenset[str]) -> None:
    known = self.grids
    _write_rows(self, [e for e in effects if not (isinstance(e, PersistGrid) and e.symbol in known)], refused)


_block = Core.block


def _a_model_unlocks(self: Core, book: SymbolBook, now_ns: int) -> str:
    return self._advised(book, now_ns) if self.advice_on(book, now_ns) is not None else _block(self, book, now_ns)


def _whole_lots(self: Core, book: SymbolBook, slot: Slot, now_ns: int) -> int:
    return self.throttle.lots(slot.lots)


MUTANTS: tuple[Mutant, ...] = (
    Mutant("a time-out is a failure", ((Clerk, "on_ambiguous", _timeout_is_failure),)),
    Mutant("an unknown order is forgotten after five seconds", ((Guard, "watch_orders", _forget_after_five_seconds),)),
    Mutant("an unknown order frees its slot: retry with a new id", ((Clerk, "doubt", _forget_the_slot),)),
    Mutant("an ambiguous POST is sent again with its id", ((Clerk, "on_ambiguous", _post_again),)),
    Mutant("not found is proof at once", ((reconciliation, "PROOF_AFTER_NS", 0),)),
    Mutant("not found is proof after three seconds", ((reconciliation, "PROOF_AFTER_NS", 3 * 10**9),)),
    Mutant("orders leave before the commit", ((Account, "carry_out", _send_first),)),
    Mutant("a fill may be booked twice", ((Ledger, "knows", lambda self, fill: False),)),
    Mutant("fills are stored in a second commit", ((Account, "_commit", _fills_in_a_second_commit),)),
    Mutant("in flight is no exposure", ((Register, "open_buys_lots_ticks", _in_flight_is_no_exposure),)),
    Mutant("symbol exposure is not checked", (_without(risk.symbol_exposure),)),
    Mutant("total exposure is not checked", (_without(risk.total_exposure),)),
    Mutant("a limit is compared with the wrong sign", (_replaced(risk.symbol_exposure, _wrong_sign),)),
    Mutant("a limit that is no number is fine", ((Limits, "unsound", ""),)),
    Mutant("open orders are not counted", (_without(risk.open_orders),)),
    Mutant("daily trades are not counted", (_without(risk.daily_trades),)),
    Mutant("daily trades are forgotten on restart", ((recovery, "restored_core", _trades_forgotten),)),
    Mutant("a changed mandate is ignored", ((Trader, "__init__", _old_mandate_handlers),)),
    Mutant("clear is claimed without a look", ((HaltProcess, "proves_clear", _clear_without_a_look),)),
    Mutant(
        "the halt ignores what is in flight",
        ((HaltProcess, "stops", _stops_on_working), (HaltProcess, "proves_clear", _clear_on_working)),
    ),
    Mutant("the latch is kept in memory only", ((Store, "latch", _latch_in_memory),)),
    Mutant("the latch is not in the write path", ((Store, "refused", _nothing_refused),)),
    Mutant("a symbol's halt is not in the write path", ((Store, "refused", _only_the_account_refuses),)),
    Mutant("a symbol's halt is forgotten on restart", ((recovery, "restored_core", _symbol_halts_forgotten),)),
    Mutant("a symbol's halt looks at no order", ((Register, "on", _nothing_on_a_symbol),)),
    Mutant("flat is claimed without a look", ((HaltProcess, "becomes_flat", _flat_unverified),)),
    Mutant("a gain counts as drawdown, a loss does not", ((core, "drawdown_fraction", _gain_is_loss),)),
    Mutant("a restart begins the day's drawdown anew", ((recovery, "restored_core", _day_begins_with_the_process),)),
    Mutant("a pause is forgotten on restart", ((recovery, "restored_core", _pause_forgotten),)),
    Mutant("a fee is a gift", ((Ledger, "apply", _fee_is_a_gift),)),
    Mutant("Retry-After is ignored", ((Clerk, "on_refused", _not_throttled),)),
    Mutant("stale data is fresh", ((MarketState, "is_fresh", lambda self, now_ns, limit_ns=0: self.top is not None),)),
    Mutant("a price ten times off is a price", ((market, "_jumps", lambda ticks, reference: False),)),
    Mutant("every market message is believed", ((MarketState, "_defect", _believe_everything),)),
    Mutant(
        "trades before the venue was read",
        ((Core, "reconciled", lambda self, now_ns: True), (recovery, "restored_core", _started_at_once)),
    ),
    Mutant("the fence is not checked", ((Store, "commit", _no_fence),)),
    Mutant("a fill has no audit row", ((Store, "seal", _fill_is_not_audited),)),
    Mutant("the audit row comes after the commit", ((Account, "_commit", _audit_after_the_commit),)),
    Mutant("a person's order is cancelled as an orphan", ((reconciliation, "_judge", _a_person_is_an_orphan),)),
    Mutant("a reading counts from its end", ((Life, "hear", _read_counts_from_its_end),)),
    Mutant("a restart forgets orders that ended lately", ((Store, "state", _only_open_orders),)),
    Mutant("fills the venue speaks of are not waited for", ((Clerk, "end", _end_at_once),)),
    Mutant("a transfer is booked with every reading", ((Clerk, "_note_flow", _forget_the_transfer),)),
    Mutant("a restart forgets the transfers", ((recovery, "_book_flows", lambda core, state: None),)),
    Mutant("a transfer is a profit", ((Funding, "after", lambda self, amount, before: self),)),
    Mutant("a deposit cures a drawdown", ((Funding, "reference", lambda self, opening, then: opening),)),
    Mutant("a day that opens late forgets its trades", ((PersistDay, "since_ns", property(lambda day: day.at_ns)),)),
    Mutant("lots that fall out of a ladder are forgotten", ((ladder, "carry", _fallen_forgotten),), MOVING_FROM),
    Mutant("a new slot takes a number in use", ((ladder, "carry", _numbers_in_use),), MOVING_FROM),
    Mutant("a stop bound is not watched", ((Guard, "watch_end", lambda self, book, now_ns: None),), MOVING_FROM),
    Mutant("a grid ends without a price beyond its bound", ((guard, "end", _ends_anywhere),), MOVING_FROM),
    Mutant("a move is not stored", ((Store, "apply", _moves_not_stored),), MOVING_FROM),
    Mutant("that a slot has opened is not stored", ((Clerk, "_has_opened", _opened_in_memory),), KINDS_FROM),
    Mutant("a nearer order does not wait", ((strategy, "_within", lambda wants, slots, near: wants),), KINDS_FROM),
    Mutant("a model unlocks what is paused", ((Core, "block", _a_model_unlocks),), ADVICE_FROM),
    Mutant("a model's pause is not heeded", ((Core, "_advised", lambda self, book, now_ns: ""),), ADVICE_FROM),
    Mutant("a model's smaller lot is not heeded", ((Core, "entry_lots", _whole_lots),), ADVICE_FROM),
    Mutant("a model's fewer levels are not heeded", ((strategy, "has_room", lambda slots, levels: True),), ADVICE_FROM),
    Mutant("an advice that is no number is heeded", ((GridAdvice, "unsound", ""),), ADVICE_FROM),
)

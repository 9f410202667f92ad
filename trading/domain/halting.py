"""The way of a halt: LATCHED -> STOPPED -> PROVEN_CLEAR -> FLAT, each step only on proof."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from trading.domain.events import Effect, LatchHalt, PersistOrder
from trading.domain.limits import TradingState
from trading.domain.orders import Order, OrderStatus, Purpose
from trading.domain.register import Register

LATCHED: Final = "LATCHED"
STOPPED: Final = "STOPPED"  # nothing new leaves, cancels are confirmed
PROVEN_CLEAR: Final = "PROVEN_CLEAR"  # read back: no order works or can still appear
FLAT: Final = "FLAT"  # nothing is held that could be sold; only where flatten was asked
PROOF_IS_LATE_AFTER_NS: Final = 30_000_000_000  # twice the time a proof can honestly take


@dataclass(frozen=True, slots=True)
class HaltState:
    """A halt in force."""

    reason: str
    flatten: bool
    stage: str  # LATCHED | STOPPED | PROVEN_CLEAR | FLAT
    latched_at_ns: int
    symbol: str = ""  # what it stops: this symbol alone, or "" the whole account


@dataclass(slots=True)
class HaltProcess:
    """One halt from the latch to its proof; asks the register and the venue read, changes neither."""

    state: HaltState
    to_cancel: set[str] = field(default_factory=set)  # orders that were open when the halt came
    alerted: bool = False  # the operators know that the proof is late

    @property
    def is_proven(self) -> bool:
        """True once no order works or can still appear."""
        return self.state.stage in (PROVEN_CLEAR, FLAT)

    def upgrade(self, *, flatten: bool) -> None:
        """Take a second request: flatten may be added, never withdrawn."""
        if flatten and not self.state.flatten:
            self.state = replace(self.state, flatten=True)

    def canceled(self, register: Register) -> int:
        """Return how many of the orders that were open at the latch ended cancelled or expired."""
        ended = (OrderStatus.CANCELED, OrderStatus.EXPIRED)
        return sum(name in register.known and register.known[name].status in ended for name in self.to_cancel)

    def stops(self, register: Register) -> bool:
        """Return whether STOPPED is reached now: no order of ours works or waits for its answer, ambiguity apart."""
        if self.state.stage != LATCHED or register.has_definite_grid_order(self.state.symbol):
            return False
        self.state = replace(self.state, stage=STOPPED)
        return True

    def proves_clear(self, register: Register, *, read_at_ns: int, others_open: int) -> bool:
        """Return whether a venue read that is merged already proves PROVEN_CLEAR.

        The read began after the latch; our own set of open orders was taken before it began; with it merged, none of
        ours is left open or ambiguous, and the venue shows no order that is not in our books: each of what is halted.
        """
        began_after = read_at_ns >= self.state.latched_at_ns
        if self.state.stage != STOPPED or not began_after or register.grid_orders(self.state.symbol) or others_open:
            return False
        self.state = replace(self.state, stage=PROVEN_CLEAR)
        return True

    def becomes_flat(self, *, nothing_to_sell: bool) -> bool:
        """Return whether FLAT is reached now."""
        if self.state.stage != PROVEN_CLEAR or not self.state.flatten or not nothing_to_sell:
            return False
        self.state = replace(self.state, stage=FLAT)
        return True


def refused_intents(effects: Sequence[Effect], state: TradingState, halted: Collection[str] = ()) -> frozenset[str]:
    """Return the intents of one turn that a latch does not let pass; one set by this very turn counts.

    `state` is the account's durable state before the turn, `halted` the symbols halted by themselves. What was
    withdrawn within the turn is not refused again.
    """
    latched = {effect.symbol for effect in effects if isinstance(effect, LatchHalt)}.union(halted)
    if state is TradingState.HALTED:
        latched.add("")
    if state is TradingState.ACTIVE and not latched:
        return frozenset()
    last = dict(_persisted(effects))
    new = {key for key, order in _persisted(effects) if order.status is OrderStatus.INITIALIZED}
    return frozenset(
        key for key, order in last.items() if key in new and order.is_open and not _passes(order, state, latched)
    )


def _passes(order: Order, state: TradingState, latched: Collection[str]) -> bool:
    """Return whether a new order may leave under these latches: nothing but a flatten of what is halted."""
    is_halted = "" in latched or order.symbol in latched
    return order.purpose is Purpose.FLATTEN if is_halted else state is TradingState.ACTIVE


def _persisted(effects: Sequence[Effect]) -> list[tuple[str, Order]]:
    return [(x.order.client_order_id, x.order) for x in effects if isinstance(x, PersistOrder)]


CLEAN_READING_MAX_AGE_S: Final = 15.0  # three periods of the 5 s reconcile


def why_not_releasable(*, stage: str, clean: bool | None, discrepancies: Sequence[str], age_s: float) -> str:
    """Return what is missing before a halt may be released, or an empty text.

    `clean` is the outcome of the last reconcile (None: there was none), `age_s` its age in seconds.
    """
    if stage not in (PROVEN_CLEAR, FLAT):
        return "The halt is not proven clear yet: an order may still be working at the venue."
    if clean is None:
        return "There is no reconcile yet: the execution loop has not compared its books with the venue's."
    if not clean:
        return f"The last reconcile is not clean: {'; '.join(discrepancies[:3])}."
    if age_s > CLEAN_READING_MAX_AGE_S:
        return f"The last clean reconcile is older than {CLEAN_READING_MAX_AGE_S:.0f} s: is the execution loop running?"
    return ""

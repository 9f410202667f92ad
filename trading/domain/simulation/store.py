"""What survives a kill: the rows of one account, its audit chain and its fence, kept the way the tables keep them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from trading.domain import audit, halting
from trading.domain.desk import NeverRan, TraderState
from trading.domain.events import (
    Effect,
    LatchHalt,
    Persist,
    PersistAdvice,
    PersistDay,
    PersistFill,
    PersistFlow,
    PersistGrid,
    PersistHaltStage,
    PersistOrder,
    PersistPause,
    PersistReconcile,
    RaiseAlert,
)
from trading.domain.halting import HaltState
from trading.domain.limits import Limits, TradingState
from trading.domain.orders import Order, OrderStatus
from trading.domain.recovery import REREAD_NS

Row = tuple[audit.Link, str, str]


class Fenced(Exception):
    """A newer writer was here: nothing was stored."""


@dataclass(slots=True)
class Store:
    """One account's durable state."""

    account: str
    limits: Limits
    fence: int = 0
    orders: dict[str, Order] = field(default_factory=dict)
    fills: list[PersistFill] = field(default_factory=list)
    days: list[PersistDay] = field(default_factory=list)
    flows: list[PersistFlow] = field(default_factory=list)
    transfers: dict[str, Decimal] = field(default_factory=dict)  # asked for and not booked: id -> amount, quote
    grids: dict[str, PersistGrid] = field(default_factory=dict)
    paused: dict[str, str] = field(default_factory=dict)
    advised: dict[str, bool] = field(default_factory=dict)  # symbol -> whether a model is heeded
    halts: dict[str, HaltState] = field(default_factory=dict)  # symbol, or "" for the whole account
    chain: list[Row] = field(default_factory=list)
    commits: int = 0  # that changed something
    approved: set[str] = field(default_factory=set)  # intents the chain knows of

    @property
    def lap(self) -> int:
        """The lap of the newest day."""
        return self.days[-1].lap if self.days else 0

    def claim(self, fence: int) -> None:
        """Make `fence` the one in force.

        Raises:
            Fenced: a newer one was here.
        """
        if fence < self.fence:
            raise Fenced
        self.fence = fence

    def commit(self, effects: Sequence[Effect], *, fence: int, now_ns: int) -> frozenset[str]:
        """Store every persist effect with its audit row; return the intents that the latch refused.

        Raises:
            Fenced: the fence was passed; nothing was stored.
        """
        if fence != self.fence:
            raise Fenced
        refused = self.refused(effects)
        self.apply(effects, refused)
        self.seal(effects, refused, now_ns)
        return refused

    def refused(self, effects: Sequence[Effect]) -> frozenset[str]:
        """Return the intents of this turn that the latch does not let pass."""
        state = TradingState.HALTED if "" in self.halts else TradingState.ACTIVE
        return halting.refused_intents(effects, state, self.halts.keys() - {""})

    def apply(self, effects: Sequence[Effect], refused: frozenset[str]) -> None:
        """Write the rows."""
        for effect in effects:
            match effect:
                case PersistOrder(order) if order.client_order_id in refused:
                    self.orders[order.client_order_id] = replace(order, status=OrderStatus.DENIED)
                case PersistOrder(order):
                    self.orders[order.client_order_id] = order
                case PersistFill():
                    self.fills.append(effect)
                case PersistDay():
                    self.days.append(effect)
                case PersistFlow(flow):
                    self.flows.append(effect)
                    self.transfers.pop(flow.flow_id, None)
                case PersistGrid():
                    self.grids[effect.symbol] = effect
                case PersistAdvice(symbol, advice, _):
                    self.advised[symbol] = advice is not None
                case PersistPause(symbol, reason, _):
                    self.paused[symbol] = reason
                case LatchHalt(reason, flatten, at_ns, symbol):
                    self.latch(reason, flatten=flatten, at_ns=at_ns, symbol=symbol)
                case PersistHaltStage(stage, _, _, _, symbol) if symbol in self.halts:
                    self.halts[symbol] = replace(self.halts[symbol], stage=stage)
                case _:
                    pass

    def seal(self, effects: Sequence[Effect], refused: frozenset[str], now_ns: int) -> None:
        """Add the turn to the chain; an alert or a clean reconcile alone changes nothing."""
        changed = [effect for effect in effects if _changes(effect)]
        if not changed:
            return
        self.commits += 1
        approved = [
            effect.order.client_order_id
            for effect in changed
            if isinstance(effect, PersistOrder)
            and effect.order.status is OrderStatus.INITIALIZED
            and effect.order.client_order_id not in refused
        ]
        previous = self.chain[-1][2] if self.chain else audit.GENESIS
        payload = {"approved": approved, "changed": len(changed)}
        link = audit.Link(
            len(self.chain) + 1, now_ns // 1_000, f"runtime:{self.account}", "turn", self.account, payload
        )
        self.chain.append((link, previous, audit.seal(previous, link)))
        self.approved.update(approved)

    def latch(self, reason: str, *, flatten: bool, at_ns: int, symbol: str = "") -> None:
        """Set the halt latch; a second one may add the flatten, never take it away."""
        held = self.halts.get(symbol)
        if held is None:
            self.halts[symbol] = HaltState(reason, flatten, halting.LATCHED, at_ns, symbol)
        else:
            self.halts[symbol] = replace(held, flatten=held.flatten or flatten)

    def release(self, symbol: str = "") -> None:
        """Two people have released the halt."""
        self.halts.pop(symbol, None)

    def state(self) -> TraderState | NeverRan:
        """Return what a restart begins with."""
        if not self.days:
            return NeverRan(dict(self.paused), tuple(self.halts.values()))
        opening = next(day for day in reversed(self.days) if day.reason in ("start", "seam"))
        newest = max((order.updated_at_ns for order in self.orders.values()), default=0)
        reread_ns = max((stored.fill.at_ns for stored in self.fills), default=0) - REREAD_NS
        earlier = [stored for stored in self.fills if stored.lap < opening.lap]
        last_ids: dict[str, int] = {}
        for stored in earlier:
            if stored.fill.at_ns < reread_ns:
                last_ids[stored.fill.symbol] = max(last_ids.get(stored.fill.symbol, 0), stored.fill.trade_id)
        return TraderState(
            opening=opening,
            day=self.days[-1],
            grids=tuple(grid for grid in self.grids.values() if grid.lap == opening.lap),
            orders=tuple(order for order in self.orders.values() if order.is_open or _ended_lately(order, newest)),
            fills=tuple(stored for stored in self.fills if stored.lap == opening.lap),
            paused=dict(self.paused),
            halts=tuple(self.halts.values()),
            settled=tuple(stored for stored in earlier if stored.fill.at_ns >= reread_ns),
            last_trade_ids=last_ids,
            flows=tuple(self.flows),
            advised=tuple(symbol for symbol, is_heeded in self.advised.items() if is_heeded),
        )


def _ended_lately(order: Order, newest_ns: int) -> bool:
    return order.status is not OrderStatus.DENIED and order.updated_at_ns >= newest_ns - REREAD_NS


def _changes(effect: Effect) -> bool:
    if isinstance(effect, RaiseAlert):
        return False
    if isinstance(effect, PersistReconcile):
        return not effect.clean
    return isinstance(effect, Persist)

"""The durable record of one account: one turn of the core is one transaction, or nothing."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import orjson
from django.db import connection, transaction

from trading import live
from trading.domain import events as e
from trading.domain import halting
from trading.domain import orders as o
from trading.domain.advice_tape import as_kept
from trading.domain.audit import canonical
from trading.domain.drills import PREFIX
from trading.domain.instruments import Instrument
from trading.domain.limits import TradingState
from trading.domain.places import as_json
from trading.domain.scopes import Scope
from trading.models import ADVICE_CHANGED, Account, Grid, Halt, Settlement, TradingDay
from trading.ports import NotLeader
from trading.services import alerts, audit, drills, foreign_orders, halts, transfers

T = TypeVar("T", bound=e.Persist)

HALT_LATCHED = "halt latched"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# One call and one transaction: orders, fills, readings and the audit row, or nothing. Answers (stored, state, fence).
STORE_TURN = """SELECT * FROM gridconsole_store_turn(
    %s::bigint, %s::bigint, %s, %s::jsonb, %s::jsonb, %s, %s::bigint, %s, %s, %s, %s, %s::jsonb)"""


def moment(at_ns: int) -> datetime:
    """Return `at_ns` (UTC nanoseconds) as an aware datetime, microseconds kept."""
    return _EPOCH + timedelta(microseconds=at_ns // 1_000)


class DatabaseJournal:
    """Writes what one execution loop decided, under its fencing number. Not thread-safe: one writer thread owns it."""

    def __init__(self, account_slug: str, fence: int, instruments: Mapping[str, Instrument]) -> None:
        self._account = Account.objects.get(slug=account_slug)
        self._fence = fence
        self._instruments = instruments

    def claim(self) -> None:
        """Make this writer's fence the highest known one.

        Raises:
            NotLeader: a newer writer was here already.
        """
        taken = Account.objects.filter(pk=self._account.pk, fence__lte=self._fence).update(fence=self._fence)
        if not taken:
            raise NotLeader(f"{self._account.slug}: fence {self._fence} was passed by a newer execution loop.")

    def commit_now(self, effects: Sequence[e.Effect], *, at_ns: int) -> frozenset[str]:
        """Store every `Persist` effect of one turn; return the ids of intents that the latch refused.

        One round trip in the common case: orders, fills and readings of an account that is not halted.

        Raises:
            NotLeader: the fence was passed; nothing was stored.
        """
        call = self.one_call(effects, at_ns=at_ns)
        if call is not None:
            with connection.cursor() as cursor:
                cursor.execute(STORE_TURN, call)
                if self.is_stored(cursor.fetchone()):
                    return frozenset()
        turn, at = _Turn(effects), moment(at_ns)
        if turn.is_empty:
            return frozenset()
        with transaction.atomic():
            refused = halting.refused_intents(effects, TradingState(self._locked_state()), self._halted_symbols())
            with connection.cursor() as cursor:
                cursor.execute(STORE_TURN, self._arguments(turn, at, refused=refused, needs_active=False))
            self._store_rare(turn, at)
        return refused

    def one_call(self, effects: Sequence[e.Effect], *, at_ns: int) -> list[Any] | None:
        """Return the arguments of `STORE_TURN` where it can store the whole turn; None: only `commit_now` can."""
        turn = _Turn(effects)
        if turn.has_rare_effects or turn.is_empty:
            return None
        return self._arguments(turn, moment(at_ns), refused=frozenset(), needs_active=bool(turn.new_intents))

    def is_stored(self, answer: tuple[bool, str, int] | None) -> bool:
        """Return what `STORE_TURN` answered; False: a halt is in force on the account or a symbol of its intents.

        Raises:
            NotLeader: the fence was passed; nothing was stored.
        """
        stored, _, fence = answer or (False, "", None)
        self._check_fence(fence)
        return stored

    def _arguments(self, turn: "_Turn", at: datetime, *, refused: frozenset[str], needs_active: bool) -> list[Any]:
        payload = turn.audit_payload(refused)
        return [
            self._account.pk,
            self._fence,
            needs_active,
            _json([self._order_row(x, refused=x.client_order_id in refused) for x in turn.orders.values()]),
            _json([self._fill_row(persist) for persist in turn.fills]),
            at,
            audit.microseconds(at),
            f"runtime:{self._account.slug}",
            turn.action,
            f"account:{self._account.slug}",
            canonical(payload) if payload else "",
            _json([_reading_row(seen) for seen in turn.of(e.PersistReconcile)]),
        ]

    def _locked_state(self) -> str:
        locked = Account.objects.select_for_update(no_key=True).values_list("state", "fence")
        state, fence = locked.get(pk=self._account.pk)
        self._check_fence(fence)
        return state

    def _halted_symbols(self) -> frozenset[str]:
        halts = Halt.objects.filter(account=self._account, released_at=None).exclude(symbol="")
        return frozenset(halts.values_list("symbol", flat=True))

    def _check_fence(self, in_force: int | None) -> None:
        if in_force != self._fence:
            raise NotLeader(f"{self._account.slug}: fence {self._fence} is not the one in force ({in_force}).")

    def _order_row(self, order: o.Order, *, refused: bool) -> dict[str, object]:
        instrument = self._instruments[order.symbol]
        return {
            "client_order_id": order.client_order_id,
            "venue_order_id": order.venue_order_id or "",
            "symbol": order.symbol,
            "side": order.side,
            "type": order.type,
            "purpose": order.purpose,
            "slot": order.slot,
            "price": None if order.price_ticks is None else instrument.price(order.price_ticks),
            "quantity": instrument.quantity(order.quantity_lots),
            "filled": instrument.quantity(order.filled_lots),
            "price_ticks": order.price_ticks,
            "quantity_lots": order.quantity_lots,
            "filled_lots": order.filled_lots,
            "reference_ticks": order.reference_ticks,
            "status": o.OrderStatus.DENIED if refused else order.status,
            "reason": (HALT_LATCHED if refused else order.reason)[:200],
            "lap": order.lap,
            "decided_at": moment(order.decided_at_ns),
            "decided_at_ns": order.decided_at_ns,
            "updated_at": moment(order.updated_at_ns or order.decided_at_ns),
        }

    def _fill_row(self, persist: e.PersistFill) -> dict[str, object]:
        fill = persist.fill
        instrument = self._instruments[fill.symbol]
        return {
            "client_order_id": fill.client_order_id,
            "trade_id": fill.trade_id,
            "symbol": fill.symbol,
            "side": fill.side,
            "slot": persist.slot,
            "price": instrument.price(fill.price_ticks),
            "quantity": instrument.quantity(fill.quantity_lots),
            "price_ticks": fill.price_ticks,
            "quantity_lots": fill.quantity_lots,
            "fee": fill.fee,
            "fee_asset": fill.fee_asset,
            "maker": fill.maker,
            "realized_quote": persist.realized_quote,
            "grid_profit_quote": persist.grid_profit_quote,
            "lap": persist.lap,
            "at": moment(fill.at_ns),
            "at_ns": fill.at_ns,
        }

    def _store_rare(self, turn: "_Turn", at: datetime) -> None:
        self._store_days(turn)
        for flow in turn.of(e.PersistFlow):
            transfers.book(account=self._account, flow_id=flow.flow.flow_id, facts=_flow_facts(flow), at=at)
        self._store_grids(turn)
        self._store_alerts(turn)
        self._store_halts(turn, at)
        for adopted in turn.of(e.PersistAdoption):
            foreign_orders.adopted(
                account=self._account, client_order_id=adopted.client_order_id, refusal=adopted.refusal, at=at
            )

    def _store_days(self, turn: "_Turn") -> None:
        Settlement.objects.bulk_create(
            Settlement(
                account=self._account,
                symbol=s.symbol,
                quantity_base=s.quantity_base,
                price=self._instruments[s.symbol].price(s.price_ticks),
                lap=s.lap,
                at=moment(s.at_ns),
            )
            for s in turn.of(e.PersistSettlement)
        )
        days = [
            TradingDay(
                account=self._account,
                lap=day.lap,
                reason=day.reason,
                opening_equity_quote=day.opening_equity_quote,
                opening_cash_quote=day.opening_cash_quote,
                opened_at=moment(day.at_ns),
            )
            for day in turn.of(e.PersistDay)
        ]
        TradingDay.objects.bulk_create(days)
        if days:
            transaction.on_commit(partial(live.publish_events, "desk"))

    def _store_grids(self, turn: "_Turn") -> None:
        grids = Grid.objects.filter(account=self._account)
        for centred in turn.of(e.PersistGrid):
            grids.filter(symbol=centred.symbol).update(
                levels_ticks=list(centred.levels_ticks),
                levels_lap=centred.lap,
                footing=None if centred.footing is None else as_json(centred.footing),
            )
            transaction.on_commit(partial(live.publish_events, "desk"))
        for pause in turn.of(e.PersistPause):
            grids.filter(symbol=pause.symbol).update(paused_reason=pause.reason[:200])
            transaction.on_commit(partial(live.publish_events, "desk"))

    def _store_alerts(self, turn: "_Turn") -> None:
        for alert in turn.of(e.RaiseAlert):
            alerts.raise_alert(
                account=self._account,
                severity=alert.severity,
                code=alert.code,
                message=alert.message,
                symbol=alert.symbol,
                at=moment(alert.at_ns),
            )

    def _store_halts(self, turn: "_Turn", at: datetime) -> None:
        for wanted in turn.of(e.LatchHalt):
            account = Account.objects.get(pk=self._account.pk)  # its row is locked by this transaction already
            scope = Scope(account.slug, wanted.symbol)
            halts.try_latch_file(scope, by=f"rule: {wanted.reason}", reason=wanted.reason, at=at)
            halt = halts.latch(
                account, by="rule", reason=wanted.reason, flatten=wanted.flatten, at=at, symbol=wanted.symbol
            )
            if wanted.reason.startswith(PREFIX):
                drills.fired(halt, at)
            transaction.on_commit(partial(live.publish_events, "halt", "alerts"))
        for stage in turn.of(e.PersistHaltStage):
            self._store_stage(stage, at)

    def _store_stage(self, stage: e.PersistHaltStage, at: datetime) -> None:
        latched = halts.in_force(self._account, stage.symbol)
        if latched is None:
            return  # released meanwhile: the stage belongs to no halt any more
        stamp = {
            Halt.Stage.STOPPED: "stopped_at",
            Halt.Stage.PROVEN_CLEAR: "proven_clear_at",
            Halt.Stage.FLAT: "flat_at",
        }[Halt.Stage(stage.stage)]
        latched.stage, latched.canceled, latched.remaining = stage.stage, stage.canceled, stage.remaining
        setattr(latched, stamp, at)  # of the turn, as the latch: a second made up for after a stall lies before it
        latched.save(update_fields=["stage", "canceled", "remaining", stamp])
        transaction.on_commit(partial(live.publish_events, "halt"))


class _Turn:
    """The persist effects of one turn, sorted; of an order that changed twice only the last state counts."""

    def __init__(self, effects: Sequence[e.Effect]) -> None:
        self._effects = effects
        self.orders: dict[str, o.Order] = {}
        self.new_intents: dict[str, o.Order] = {}
        self.fills: list[e.PersistFill] = []
        for effect in effects:
            if isinstance(effect, e.PersistOrder):
                if effect.order.status is o.OrderStatus.INITIALIZED:
                    self.new_intents[effect.order.client_order_id] = effect.order
                self.orders[effect.order.client_order_id] = effect.order
            elif isinstance(effect, e.PersistFill):
                self.fills.append(effect)

    @property
    def has_rare_effects(self) -> bool:
        """True where something beyond orders, fills and readings is to be stored."""
        common = e.PersistOrder | e.PersistFill | e.PersistReconcile
        return any(isinstance(x, e.Persist) and not isinstance(x, common) for x in self._effects)

    @property
    def is_empty(self) -> bool:
        return not any(isinstance(effect, e.Persist) for effect in self._effects)

    def of(self, kind: type[T]) -> list[T]:
        return [effect for effect in self._effects if isinstance(effect, kind)]

    @property
    def action(self) -> str:
        if self.of(e.PersistAdvice):  # before all else: such rows are looked for, and there is no index over the rest
            return ADVICE_CHANGED
        if self.new_intents:
            return "orders.approved"
        return "orders.changed" if self.orders or self.fills else "account.changed"

    def audit_payload(self, refused: frozenset[str]) -> dict[str, object]:
        """Return what changed, for the chain; a clean reconcile and an INFO alert alone change nothing."""
        facts: dict[str, object] = {
            "approved": [_approval(order) for key, order in self.new_intents.items() if key not in refused],
            "refused": sorted(refused),
            "orders": [[x.client_order_id, x.status, x.filled_lots, x.reason] for x in self.orders.values()],
            "fills": [[p.fill.symbol, p.fill.trade_id, p.fill.client_order_id] for p in self.fills],
            "settlements": [[s.symbol, str(s.quantity_base), s.price_ticks] for s in self.of(e.PersistSettlement)],
            "transfers": [
                [f.flow.flow_id, str(f.flow.amount_quote), str(f.equity_before_quote)] for f in self.of(e.PersistFlow)
            ],
            "grids": [
                [g.symbol, list(g.levels_ticks), *([] if g.footing is None else [as_json(g.footing)])]
                for g in self.of(e.PersistGrid)
            ],
            "days": [[d.lap, d.reason, str(d.opening_equity_quote)] for d in self.of(e.PersistDay)],
            "unclean": [list(r.discrepancies) for r in self.of(e.PersistReconcile) if not r.clean],
            "halt_stages": [
                [s.stage, s.canceled, s.remaining, *([s.symbol] if s.symbol else [])]
                for s in self.of(e.PersistHaltStage)
            ],
            "latched": [h.reason for h in self.of(e.LatchHalt)],
            "paused": [[p.symbol, p.reason] for p in self.of(e.PersistPause)],
            "advice": [as_kept(changed) for changed in self.of(e.PersistAdvice)],
            "adoptions": [[a.client_order_id, a.refusal] for a in self.of(e.PersistAdoption)],
        }
        return {name: values for name, values in facts.items() if values}


def _json(rows: list[dict[str, object]]) -> str:
    """Return `rows` for the database; decimals as text, so that no digit is lost."""
    return orjson.dumps(rows, default=str).decode()


def _flow_facts(stored: e.PersistFlow) -> dict[str, object]:
    return {
        "amount_quote": stored.flow.amount_quote,
        "made_at": moment(stored.flow.at_ns),
        "booked_at": moment(stored.at_ns),
        "equity_before_quote": stored.equity_before_quote,
        "paid_in_quote": stored.paid_in_quote,
        "scale": stored.scale,
        "high_water_quote": stored.high_water_quote,
        "lap": stored.lap,
        "day_opened_at": moment(stored.day_at_ns),
    }


def _reading_row(seen: e.PersistReconcile) -> dict[str, object]:
    return {
        "is_clean": seen.clean,
        "discrepancies": list(seen.discrepancies),
        "local_open": seen.local_open,
        "venue_open": seen.venue_open,
        "at": moment(seen.at_ns),
    }


def _approval(order: o.Order) -> list[object]:
    return [
        order.client_order_id,
        order.symbol,
        order.side,
        order.type,
        order.quantity_lots,
        order.price_ticks,
        order.slot,
        order.purpose,
    ]

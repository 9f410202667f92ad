"""The durable rows an execution loop obeys, read every second, and what changed between two readings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from django.db.models import Max

from trading.domain.desk import Chosen
from trading.domain.drills import WAITS_FOR, Drill
from trading.domain.events import (
    ConductChanged,
    DrillRequested,
    Event,
    HaltRequested,
    MandateChanged,
    Resumed,
    SymbolPaused,
    SymbolResumed,
)
from trading.domain.flows import Flow, Word
from trading.domain.limits import Limits
from trading.domain.throttle import NO_THROTTLE, Act, Override, Throttle, in_force
from trading.models import Account, ConductOverride, ForeignOrderDecision, Grid, Halt, HaltDrill, asked_for
from trading.runtime.build import digest
from trading.selectors import armings, recovery


@dataclass(frozen=True, slots=True)
class ForeignWish:
    """A person asks for the end of one order that is not ours, or that it become ours."""

    key: int
    client_order_id: str
    symbol: str
    asked_at_ns: int
    adopt: bool = False


@dataclass(frozen=True, slots=True)
class TransferWish:
    """Money that is to be paid in or out at the venue, as governance asked."""

    flow_id: str
    amount_quote: Decimal
    confirmed_quote: Decimal | None = None  # a person says that so much of it was moved
    confirmed_at_ns: int = 0

    @property
    def told(self) -> tuple[Flow, ...]:
        """What was asked for, and what people have told of it."""
        asked = Flow(self.flow_id, self.amount_quote, 0, Word.NOBODY)
        if self.confirmed_quote is None:
            return (asked,)
        return asked, Flow(self.flow_id, self.confirmed_quote, self.confirmed_at_ns, Word.PERSON)


@dataclass(frozen=True, slots=True)
class Latched:
    """One halt in force."""

    key: int
    reason: str = ""
    flatten: bool = False


@dataclass(frozen=True, slots=True)
class Orders:
    """What people and governance want of one account, as the database says."""

    halts: Mapping[str, Latched] = field(default_factory=dict)  # symbol, or "" for the whole account
    released: Mapping[str, int] = field(default_factory=dict)  # symbol -> key of the newest halt that people released
    mandate_version: int = 0
    limits: Limits | None = None
    paused: Mapping[str, str] = field(default_factory=dict)  # symbol -> reason
    drill: tuple[int, str] | None = None  # key and kind of one that nobody has fired yet
    wishes: tuple[ForeignWish, ...] = ()  # asked for and not settled
    transfers: tuple[TransferWish, ...] = ()  # asked for and not booked
    not_armed: str = ""  # why no order may leave, whatever else holds
    throttle: Throttle = NO_THROTTLE  # what the overrides in force come to
    grids: tuple[Chosen, ...] = ()  # a loop whose grids changed starts anew

    @property
    def timeout_ms(self) -> int | None:
        """How long an answer of the venue is waited for; None without a mandate."""
        return None if self.limits is None else self.throttle.timeout_ms(self.limits.order_timeout_ms)


def read(slug: str) -> Orders:
    """Return the rows of one account."""
    account = Account.objects.get(slug=slug)
    latched = Halt.objects.filter(account=account, released_at=None).order_by("id")
    limits = recovery.limits_in_force(account)
    paused = Grid.objects.filter(account=account).exclude(paused_reason="").values_list("symbol", "paused_reason")
    return Orders(
        halts={halt.symbol: Latched(halt.pk, halt.reason, halt.flatten) for halt in latched},
        released=_released(account),
        mandate_version=limits.version,
        limits=limits,
        paused=dict(paused),
        drill=_drill(account),
        wishes=_foreign_wishes(account),
        transfers=_transfers(account),
        not_armed=armings.why_not(account, digest()),
        throttle=_throttle(account),
        grids=recovery.grid_settings(account),
    )


def _released(account: Account) -> dict[str, int]:
    released = Halt.objects.filter(account=account).exclude(released_at=None).order_by()
    return dict(released.values("symbol").annotate(newest=Max("pk")).values_list("symbol", "newest"))


def _throttle(account: Account) -> Throttle:
    rows = ConductOverride.objects.filter(account=account, undone_at=None)
    return in_force(Override(Act(row.act), row.factor, row.limit) for row in rows)


def _drill(account: Account) -> tuple[int, str] | None:
    since = datetime.now(UTC) - WAITS_FOR
    asked = HaltDrill.objects.filter(account=account, halt=None, asked_at__gte=since).exclude(drill=Drill.MANUAL)
    row = asked.first()
    return (row.pk, row.drill) if row else None


def _foreign_wishes(account: Account) -> tuple[ForeignWish, ...]:
    asked = ForeignOrderDecision.objects.filter(account=account, outcome=ForeignOrderDecision.Outcome.ASKED)
    return tuple(
        ForeignWish(
            row.pk,
            row.client_order_id,
            row.symbol,
            recovery.nanoseconds(row.decided_at),
            adopt=row.choice == ForeignOrderDecision.Choice.ADOPT,
        )
        for row in asked.order_by("id")
    )


def _transfers(account: Account) -> tuple[TransferWish, ...]:
    return tuple(
        TransferWish(
            row.flow_id,
            row.amount_quote,
            row.confirmed_quote,
            recovery.nanoseconds(row.confirmed_at) if row.confirmed_at else 0,
        )
        for row in asked_for(account)
    )


def changes(before: Orders, after: Orders) -> list[Event]:
    """Return what the core must be told; rows are compared with rows, never with the core's own state.

    The core may be ahead of the rows by a commit that is still on its way; a row that did not change says nothing.
    """
    return [
        *_mandate(before, after),
        *_conduct(before, after),
        *_halts(before, after),
        *_pauses(before, after),
        *_drills(before, after),
    ]


def _mandate(before: Orders, after: Orders) -> list[Event]:
    if after.limits is None or after.mandate_version == before.mandate_version:
        return []
    return [MandateChanged(after.limits)]


def _conduct(before: Orders, after: Orders) -> list[Event]:
    return [ConductChanged(after.throttle)] if after.throttle != before.throttle else []


def _halts(before: Orders, after: Orders) -> list[Event]:
    events: list[Event] = []
    for symbol in sorted(before.halts.keys() | after.released.keys()):
        held, now = before.halts.get(symbol), after.halts.get(symbol)
        is_over = held is not None and (now is None or now.key != held.key)
        # One that a rule latched and people released between two readings was in none: the core alone knows of it.
        if is_over or (held is None and after.released.get(symbol) != before.released.get(symbol)):
            events.append(Resumed("released", symbol))
    for symbol, now in after.halts.items():
        if now != before.halts.get(symbol):
            events.append(HaltRequested(now.reason, now.flatten, symbol))
    return events


def _drills(before: Orders, after: Orders) -> list[Event]:
    return [DrillRequested(Drill(after.drill[1]))] if after.drill and after.drill != before.drill else []


def _pauses(before: Orders, after: Orders) -> list[Event]:
    paused: list[Event] = [
        SymbolPaused(symbol, reason) for symbol, reason in after.paused.items() if before.paused.get(symbol) != reason
    ]
    resumed = [SymbolResumed(symbol) for symbol in before.paused if symbol not in after.paused]
    return [*paused, *resumed]

"""The kill switch as it stands: what a halt would do, what halts did, and how far they got."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db.models import Count

from trading import live
from trading.adapters.latch_file import LatchFile
from trading.domain.fees import DEMO_FEES
from trading.domain.orders import OPEN
from trading.domain.scopes import Scope
from trading.live import Value, Values
from trading.models import Account, AuditEvent, Grid, Halt, Order
from trading.selectors.numbers import UNKNOWN, as_number, in_words, plain

EVERYTHING: Final = Scope()
RECV_WINDOW: Final = timedelta(seconds=2)  # the venue takes no order that is older
PROOF_WITHIN: Final = RECV_WINDOW + timedelta(seconds=11)  # after the latch, once the venue answers
MEANING: Final = {
    "Latched": "durable; nothing new leaves",
    "STOPPED": "every cancel is confirmed; an order of unknown fate could still appear",
    "PROVEN CLEAR": "read back from the venue: no order works or can still appear; positions may remain",
    "FLAT": "no position is left that could be sold",
}


@dataclass(frozen=True, slots=True)
class DeskEffect:
    """What a halt would do at one desk."""

    name: str
    open_orders: int
    symbols: int  # on which orders are open
    position_quote: float | None  # None: not known
    halted: bool

    @property
    def position(self) -> str:
        """Value of what is held, as it is written."""
        return plain(self.position_quote)


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that could be halted."""

    scope: str  # "" is everything
    title: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class HaltEffect:
    """What a halt would do, desk by desk, and what else could be halted."""

    title: str  # "all trading", "BTCUSDT at Production"
    desks: tuple[DeskEffect, ...]
    whole: tuple[Choice, ...]  # everything, and whole desks
    symbols: tuple[Choice, ...]

    @property
    def open_orders(self) -> int:
        """Orders that would be cancelled."""
        return sum(desk.open_orders for desk in self.desks)

    @property
    def position(self) -> str:
        """Value of everything held; a dash when any desk does not know."""
        known = [desk.position_quote for desk in self.desks if desk.position_quote is not None]
        return plain(sum(known)) if known and len(known) == len(self.desks) else UNKNOWN

    @property
    def flatten_cost(self) -> str:
        """Estimated taker fees of selling everything held, quote currency."""
        known = [desk.position_quote for desk in self.desks if desk.position_quote is not None]
        fee = float(DEMO_FEES.taker_fraction)
        return plain(sum(abs(value) for value in known) * fee) if known else UNKNOWN


@dataclass(frozen=True, slots=True)
class Step:
    """One stage on the way from the press to the proof."""

    name: str
    done: str  # "yes" | "now" | "no"
    at: datetime | None
    after: str  # "0.38 s", time since the latch
    age: str  # "34 s", since it was reached; "" before
    coming: str  # of the stage under way: when it is due, or that it is late; "" of the others
    meaning: str


@dataclass(frozen=True, slots=True)
class HaltLine:
    """One halt with its counts and times."""

    halt: Halt
    scope: str  # "micro", "micro/BTCUSDT"
    where: str  # "Micro", "BTCUSDT at Micro"
    by: str
    canceled: str  # "41 of 41"
    remaining: str
    steps: tuple[Step, ...]
    audit_sequence: int | None

    @property
    def in_force(self) -> bool:
        """True until two people release it."""
        return self.halt.released_at is None

    @property
    def moving(self) -> bool:
        """True while a stage is still to come: the page asks again every second."""
        wanted = Halt.Stage.FLAT if self.halt.flatten else Halt.Stage.PROVEN_CLEAR
        return self.in_force and self.halt.stage not in {wanted, Halt.Stage.FLAT}


def effect(desks: Iterable[Account], values: Values, scope: Scope = EVERYTHING) -> HaltEffect:
    """Return what a halt would do now: orders from the database, position values from the live wire."""
    desks = list(desks)
    symbols = _symbols(desks)
    stopped = [desk for desk in desks if scope.concerns(desk.slug) and _trades(scope.symbol, symbols.get(desk.pk, []))]
    counts, halted = _open_orders(stopped, scope.symbol), _halted(stopped, scope.symbol)
    return HaltEffect(
        title=_title(scope, desks),
        desks=tuple(
            DeskEffect(
                name=desk.name,
                open_orders=sum(counts.get(desk.pk, {}).values()),
                symbols=len(counts.get(desk.pk, {})),
                position_quote=_position(desk.slug, symbols.get(desk.pk, []), values, scope.symbol),
                halted=desk.pk in halted,
            )
            for desk in stopped
        ),
        whole=tuple(_choices([EVERYTHING, *(Scope(desk.slug) for desk in desks)], desks, scope)),
        symbols=tuple(_choices(_symbol_scopes(desks, symbols), desks, scope)),
    )


def _trades(symbol: str, symbols: Collection[str]) -> bool:
    return not symbol or symbol in symbols


def _symbol_scopes(desks: list[Account], symbols: Mapping[int, list[str]]) -> list[Scope]:
    """Return every symbol, and where several desks trade it each of them."""
    scopes: list[Scope] = []
    for symbol in sorted({each for found in symbols.values() for each in found}):
        owners = [desk.slug for desk in desks if symbol in symbols.get(desk.pk, [])]
        if len(owners) > 1:
            scopes.append(Scope("", symbol))
        scopes += [Scope(slug, symbol) for slug in owners]
    return scopes


def _choices(scopes: Iterable[Scope], desks: list[Account], chosen: Scope) -> list[Choice]:
    return [
        Choice("" if scope == EVERYTHING else str(scope), _title(scope, desks), scope == chosen) for scope in scopes
    ]


def _title(scope: Scope, desks: Iterable[Account]) -> str:
    names = {desk.slug: desk.name for desk in desks}
    where = names.get(scope.account, scope.account)
    if not scope.symbol:
        return where or "all trading"
    return f"{scope.symbol} at {where}" if where else f"{scope.symbol} at every desk"


def in_force(at: datetime) -> list[HaltLine]:
    """Return the halts that block trading now, those that only the latch file knows of included."""
    stored = list(Halt.objects.filter(released_at=None).select_related("account").order_by("account", "symbol"))
    return _lines([*stored, *_only_in_file(stored, at)], at)


def _only_in_file(stored: list[Halt], at: datetime) -> list[Halt]:
    """Return what the latch file stops and no row does yet: somebody halted while the database kept nothing."""
    held = LatchFile(Path(settings.HALT_LATCH_FILE)).read()
    known = {(halt.account_id, halt.symbol) for halt in stored}
    found: list[Halt] = []
    for text, facts in held.items():
        scope, said = Scope.of_latch(text), facts if isinstance(facts, dict) else {}
        for account in Account.objects.all():
            if scope.concerns(account.slug) and not known & {(account.pk, scope.symbol), (account.pk, "")}:
                found.append(
                    Halt(
                        account=account,
                        symbol=scope.symbol,
                        requested_by=str(said.get("by") or "the latch file"),
                        reason=str(said.get("reason") or "latched in the file, not in the database"),
                        latched_at=_moment(str(said.get("at"))) or at,
                    )
                )
    return found


def _moment(text: str) -> datetime | None:
    with suppress(ValueError):
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else None
    return None


def history(account: Account, at: datetime, limit: int = 20) -> list[HaltLine]:
    """Return the newest halts of `account`."""
    return _lines(Halt.objects.filter(account=account).select_related("account").order_by("-id")[:limit], at)


def _lines(halts: Iterable[Halt], at: datetime) -> list[HaltLine]:
    halts = list(halts)
    sequences = _audit_sequences(halts)
    return [_line(halt, sequences.get(halt.pk), at) for halt in halts]


def _line(halt: Halt, sequence: int | None, at: datetime) -> HaltLine:
    remaining = UNKNOWN if halt.remaining is None else str(halt.remaining)
    return HaltLine(
        halt=halt,
        scope=str(halt.scope),
        where=halt.where,
        by="a rule" if halt.requested_by == "rule" else halt.requested_by,
        canceled=UNKNOWN if halt.remaining is None else f"{halt.canceled} of {halt.orders_at_latch}",
        remaining=remaining,
        steps=_steps(halt, at),
        audit_sequence=sequence,
    )


def _steps(halt: Halt, now: datetime) -> tuple[Step, ...]:
    stamps: list[tuple[str, datetime | None]] = [
        ("Latched", halt.latched_at),
        ("STOPPED", halt.stopped_at),
        ("PROVEN CLEAR", halt.proven_clear_at),
    ]
    if halt.flatten:
        stamps.append(("FLAT", halt.flat_at))
    steps: list[Step] = []
    waiting = halt.released_at is None
    for name, at in stamps:
        done = "yes" if at else "now" if waiting else "no"
        waiting = waiting and at is not None
        after = f"{(at - halt.latched_at).total_seconds():.2f} s" if at and name != "Latched" else ""
        age = in_words(now - at) if at else ""
        coming = _coming(name, halt, now) if done == "now" else ""
        steps.append(Step(name, done, at, after, age, coming, MEANING[name]))
    return tuple(steps)


def _coming(name: str, halt: Halt, now: datetime) -> str:
    """Return when the stage under way is due; every stage is bounded but the sale, which needs buyers."""
    since, left = now - halt.latched_at, halt.latched_at + PROOF_WITHIN - now
    if name == "FLAT":
        return f"selling at market for {in_words(now - (halt.proven_clear_at or halt.latched_at))}"
    if left > timedelta(0):
        return f"proof expected within {in_words(left)}" if name == "PROVEN CLEAR" else "cancels under way"
    late = "proof overdue" if name == "PROVEN CLEAR" else "cancels not confirmed"
    return f"{late}, {in_words(since)} after the latch: look at the venue; the watchdog cancels too"


def _audit_sequences(halts: list[Halt]) -> dict[int, int]:
    """Return halt -> number of its audit event."""
    keys = [halt.pk for halt in halts if halt.pk is not None]
    if not keys:
        return {}
    rows = AuditEvent.objects.filter(action="halt.latched", payload__halt__in=keys).values_list(
        "payload__halt", "sequence"
    )
    return dict(rows)


def _halted(desks: list[Account], symbol: str) -> set[int]:
    """Return the desks that are halted already, or whose symbol is."""
    latched = Halt.objects.filter(account__in=desks, released_at=None, symbol__in={"", symbol})
    return set(latched.values_list("account", flat=True))


def _open_orders(desks: list[Account], symbol: str) -> dict[int, dict[str, int]]:
    rows = (
        Order.objects.filter(account__in=desks, status__in=OPEN, **({"symbol": symbol} if symbol else {}))
        .values_list("account", "symbol")
        .annotate(count=Count("id"))
        .order_by()
    )
    found: dict[int, dict[str, int]] = {}
    for account, symbol, count in rows:
        found.setdefault(account, {})[symbol] = count
    return found


def _symbols(desks: list[Account]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for account, symbol in Grid.objects.filter(account__in=desks).values_list("account", "symbol"):
        found.setdefault(account, []).append(symbol)
    return found


def _position(slug: str, symbols: list[str], values: Values, symbol: str) -> float | None:
    """Return the value held at one desk; equity minus cash where it is known, else the sum over symbols."""
    if symbol:
        return _known(values.get(live.grid(slug, symbol, "pos_quote")))
    equity, cash = (_known(values.get(live.desk(slug, field))) for field in ("equity", "cash"))
    if equity is not None and cash is not None:
        return equity - cash
    parts = [_known(values.get(live.grid(slug, symbol, "pos_quote"))) for symbol in symbols]
    known = [part for part in parts if part is not None]
    return sum(known) if parts and len(known) == len(parts) else None


def _known(value: Value) -> float | None:
    return as_number(value)

"""The roadmap as data: one strictly read template for each phase, and what a chain of them must hold to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from riskops.domain.strict import Defect, Listed, Reader, digest_of, parse
from trading.domain.events import Severity
from trading.domain.evidence import METRICS
from trading.domain.measuring import Over
from trading.domain.people import Role

_BOUNDS: Final = ("at_least", "at_most", "above", "below", "of_previous")
LONGEST_TIMEOUT_MS: Final = 10_000  # by then the venue itself has given up


class OnMiss(StrEnum):
    """What a missed criterion asks for, from the mildest to the gravest."""

    ADVISE = "ADVISE"  # shown, never needed
    STAY = "STAY"
    INVESTIGATE = "INVESTIGATE"  # an incident that blocks PASS
    HALT = "HALT"
    AUTO_HALT = "AUTO_HALT"  # the runtime halts by itself; the run fails all the same


@dataclass(frozen=True, slots=True)
class Criterion:
    """One measured condition; exactly one of the bounds is set."""

    metric: str  # a name of `trading.domain.evidence.METRICS`
    on_miss: OnMiss
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    above: Decimal | None = None
    below: Decimal | None = None
    of_previous: Decimal | None = None  # at most so many times what the phase before measured
    over: Over = Over.RUN
    says: str = ""  # the roadmap's own words where it gives more than a bound

    @property
    def bound(self) -> tuple[str, Decimal]:
        """Return the kind and the value of the one bound."""
        return next((name, value) for name in _BOUNDS if (value := getattr(self, name)) is not None)


@dataclass(frozen=True, slots=True)
class Automatic:
    """One item of the checklist that nobody ticks: every criterion of this metric in the phase before must be met."""

    item: str
    metric: str  # a name of `trading.domain.evidence.METRICS`


@dataclass(frozen=True, slots=True)
class PhaseLimits:
    """Limits of one phase; fractions are of capital."""

    max_position_fraction: Decimal
    max_symbol_exposure_fraction: Decimal
    max_total_exposure_fraction: Decimal
    max_daily_drawdown_fraction: Decimal
    max_daily_drawdown_hard_fraction: Decimal
    max_daily_trades: int
    max_open_orders: int
    max_symbol_drawdown_fraction: Decimal | None = None
    max_trade_loss_quote: Decimal | None = None
    max_slippage_loss_quote: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Executor:
    """How orders are sent."""

    order_types: tuple[str, ...]
    timeout_ms: int
    max_retries: int


@dataclass(frozen=True, slots=True)
class Monitoring:
    """How often people and machines look."""

    alert_level: str
    health_every_s: int
    metrics_every_s: int
    position_sync_every_s: int
    review_every_h: int


@dataclass(frozen=True, slots=True)
class Duration:
    """How long a phase is observed, in hours in force."""

    min_hours: int


@dataclass(frozen=True, slots=True)
class Stay:
    """The roadmap's word for staying, and how long the next window is."""

    label: str
    extend_hours: int


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase template."""

    id: str
    version: int
    name: str
    capital_quote: Decimal
    leverage: int
    symbols: tuple[str, ...]
    signers: tuple[str, ...]  # roles that must sign the step to the next phase
    ours: tuple[str, ...]  # dotted names of what the roadmap leaves unset
    goals: tuple[str, ...]
    limits: PhaseLimits
    executor: Executor
    monitoring: Monitoring
    duration: Duration
    stay: Stay
    criteria: tuple[Criterion, ...]
    automatic: tuple[Automatic, ...] = ()  # what the evidence ticks before this phase may begin
    checklist: tuple[str, ...] = ()  # what a person ticks before this phase may begin
    infrastructure: tuple[str, ...] = ()
    compliance: tuple[str, ...] = ()
    digest: str = field(default="", compare=False)  # SHA-256 of the contents, whatever the layout of the file

    @property
    def to_tick(self) -> tuple[str, ...]:
        """Everything a person ticks before this phase may begin."""
        return (*self.checklist, *self.infrastructure, *self.compliance)


class UnreadablePhase(ValueError):
    """A template that must not be used; `defects` says everything that is wrong with it."""

    def __init__(self, name: str, defects: Sequence[Defect]) -> None:
        super().__init__("\n".join(f"{name}, {defect}" for defect in defects))
        self.defects = tuple(defects)


def read(text: str, *, name: str) -> Phase:
    """Return the template written in `text`; `name` is the file's, without its ending, and must be the phase's id.

    Raises:
        UnreadablePhase: with every defect found, each with its line, its name and what to do.
    """
    found = parse(text)
    if isinstance(found, Defect):
        raise UnreadablePhase(name, [found])
    lists = {
        tuple[Criterion, ...]: Listed(Criterion, _why_no_criterion),
        tuple[Automatic, ...]: Listed(Automatic, lambda _: ""),
    }
    reader = Reader(text, lists, zero_under="criteria")
    phase: Phase | None = reader.table(Phase, found, "", skip={"digest"})
    if phase is not None:
        for where, reason in _unsound(phase, name):
            reader.note(where, reason)
    if reader.defects or phase is None:
        raise UnreadablePhase(name, sorted(reader.defects, key=lambda defect: defect.line))
    return _with_digest(phase, found)


def steps_up(before: Phase, after: Phase) -> list[str]:
    """Return why `after` cannot follow `before`: capital must rise, and no limit may get looser."""
    found = []
    if after.capital_quote <= before.capital_quote:
        found.append(f"capital {after.capital_quote} is not above {before.capital_quote} of {before.id}")
    for name in (
        "max_position_fraction",
        "max_daily_drawdown_fraction",
        "max_daily_drawdown_hard_fraction",
        "max_symbol_drawdown_fraction",
        "max_trade_loss_quote",
        "max_slippage_loss_quote",
    ):
        old, new = getattr(before.limits, name), getattr(after.limits, name)
        if old is not None and (new is None or new > old):
            found.append(f"limits.{name} {new} is looser than {old} of {before.id}")
    judged = {criterion.metric for criterion in before.criteria}
    if unknown := [one.metric for one in after.automatic if one.metric not in judged]:
        found.append(f"automatic item on {unknown[0]}, which {before.id} does not judge")
    if lost := sorted(set(before.signers) - set(after.signers)):
        found.append(f"signers of {before.id} are missing: {', '.join(lost)}")
    return found


def _why_no_criterion(criterion: Criterion) -> str:
    if sum(getattr(criterion, name) is not None for name in _BOUNDS) == 1:
        return ""
    return f"needs exactly one of {', '.join(_BOUNDS)}."


def _unsound(phase: Phase, name: str) -> list[tuple[str, str]]:
    """Return (where, reason) of everything a well-formed template gets wrong."""
    limits, found = phase.limits, []
    if phase.id != name:
        found.append(("id", f"is {phase.id}, the file is named {name}."))
    if phase.leverage != 1:
        found.append(("leverage", f"is {phase.leverage}; spot trades with 1."))
    for where, names in (
        ("symbols", phase.symbols),
        ("signers", phase.signers),
        ("criteria", phase.criteria),
        ("executor.order_types", phase.executor.order_types),
    ):
        if not names or len(set(names)) != len(names):
            found.append((where, "must name at least one, and each once."))
    if odd := [symbol for symbol in phase.symbols if not (symbol.isascii() and symbol.isalnum() and symbol.isupper())]:
        found.append(("symbols", f"{odd[0]!r} is no symbol of a venue, such as BTCUSDT."))
    if odd := [role for role in phase.signers if role not in set(Role)]:
        found.append(("signers", f"{odd[0]!r} is no role; use {', '.join(Role)}."))
    for number, criterion in enumerate(phase.criteria):
        if criterion.metric not in METRICS:
            known = ", ".join(METRICS)
            found.append((f"criteria.{number}.metric", f"{criterion.metric!r} is not measured; use one of {known}."))
    for number, automatic in enumerate(phase.automatic):
        if automatic.metric not in METRICS:
            known = ", ".join(METRICS)
            found.append((f"automatic.{number}.metric", f"{automatic.metric!r} is not measured; use one of {known}."))
    items = [one.item for one in phase.automatic] + list(phase.to_tick)
    if twice := sorted({item for item in items if items.count(item) > 1}):
        found.append(("checklist", f"names {twice[0]!r} twice; each item once."))
    if odd := [kind for kind in phase.executor.order_types if kind not in {"MARKET", "LIMIT"}]:
        found.append(("executor.order_types", f'{odd[0]!r}; use ["MARKET"], ["LIMIT"] or ["MARKET", "LIMIT"].'))
    if phase.monitoring.alert_level not in set(Severity):
        found.append(("monitoring.alert_level", f"is {phase.monitoring.alert_level!r}; use {', '.join(Severity)}."))
    if phase.executor.timeout_ms > LONGEST_TIMEOUT_MS:
        found.append(("executor.timeout_ms", f"is {phase.executor.timeout_ms}; use at most {LONGEST_TIMEOUT_MS}."))
    for one in fields(PhaseLimits):
        value = getattr(limits, one.name)
        if value is not None and one.name.endswith("_fraction") and value > 1:
            found.append((f"limits.{one.name}", f"is {value}; a fraction of capital is at most 1."))
    pairs = (
        ("max_daily_drawdown_fraction", "max_daily_drawdown_hard_fraction"),
        ("max_symbol_drawdown_fraction", "max_daily_drawdown_fraction"),
        ("max_position_fraction", "max_symbol_exposure_fraction"),
        ("max_symbol_exposure_fraction", "max_total_exposure_fraction"),
    )
    for small, large in pairs:
        low, high = getattr(limits, small), getattr(limits, large)
        if low is not None and low > high:
            found.append((f"limits.{small}", f"is {low}, above {large} {high}."))
    return found


def _with_digest(phase: Phase, found: Mapping[str, Any]) -> Phase:
    values = {one.name: getattr(phase, one.name) for one in fields(Phase)}
    return Phase(**{**values, "digest": digest_of(found)})

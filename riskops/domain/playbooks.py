"""Playbooks as data: what to do when something goes wrong, step by step; some steps the runtime carries out itself."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from riskops.domain.strict import Defect, Listed, Reader, digest_of, parse
from trading.domain import throttle
from trading.domain.events import Severity
from trading.domain.evidence import METRICS
from trading.domain.throttle import Act

IDS: Final = (
    "crit",
    "data_disconnected",
    "venue_errors",
    "latency",
    "fill_rate",
    "stuck_order",
    "daily_drawdown",
    "position_mismatch",
    "flash_crash",
    "kill_switch_stuck",
    "slow_venue",
    "many_reconnects",
    "rejects",
    "trade_count",
    "fees",
    "process",
    "model_drift",
    "model_fallback",
    "model_rolled_back",
)


class Deed(StrEnum):
    """What the runtime does for a step: an override of `trading.domain.throttle.Act`, or one of these."""

    PAUSE = "pause"  # no new buys on the symbols; undone by letting them trade again
    HALT = "halt"  # undone by two people on the Risk page, never here


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do at once."""

    text: str
    act: str = ""  # Act or Deed; "": people do it
    factor: Decimal | None = None  # of an Act
    automatic: bool = False  # the machine does it when the incident opens
    cannot: str = ""  # why the runtime does not do it

    @property
    def is_override(self) -> bool:
        """True where the step throttles the account."""
        return self.act in set(Act)


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do once it is known where the fault lies."""

    cause: str  # "ISP"
    text: str


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long something may take, counted from when the incident was opened."""

    name: str
    hours: int


@dataclass(frozen=True, slots=True)
class Playbook:
    """One playbook."""

    id: str
    version: int
    title: str
    severity: str
    when: str
    timeline: str
    immediate: tuple[Step, ...]
    investigate: tuple[str, ...]
    resolution: tuple[Remedy, ...]
    deadlines: tuple[Deadline, ...] = ()
    retest_hours: int = 0  # in force on paper before the incident may be closed; 0: none
    alerts: tuple[str, ...] = ()  # codes that open it by themselves
    metrics: tuple[str, ...] = ()  # criteria whose miss opens it
    digest: str = field(default="", compare=False)

    def step(self, name: str) -> Step | None:
        """Return the immediate step called `immediate.N`, or None."""
        part, _, number = name.partition(".")
        found = part == "immediate" and number.isascii() and number.isdigit() and int(number) < len(self.immediate)
        return self.immediate[int(number)] if found else None

    @property
    def step_names(self) -> tuple[str, ...]:
        """Every step that can be ticked: immediate and to investigate."""
        immediate = (f"immediate.{number}" for number in range(len(self.immediate)))
        return (*immediate, *(f"investigate.{number}" for number in range(len(self.investigate))))


class UnreadablePlaybook(ValueError):
    """A playbook that must not be used; the message says everything that is wrong with it."""


def read(text: str, *, name: str) -> Playbook:
    """Return the playbook written in `text`; `name` is the file's, without its ending, and must be its id.

    Raises:
        UnreadablePlaybook: with every defect, each with its line, its name and what to do.
    """
    found = parse(text)
    if isinstance(found, Defect):
        raise UnreadablePlaybook(f"{name}, {found}")
    lists = {
        tuple[Step, ...]: Listed(Step, _why_no_step),
        tuple[Remedy, ...]: Listed(Remedy, lambda _: ""),
        tuple[Deadline, ...]: Listed(Deadline, lambda _: ""),
    }
    reader = Reader(text, lists)
    playbook: Playbook | None = reader.table(Playbook, found, "", skip={"digest"})
    if playbook is not None:
        for where, reason in _unsound(playbook, name):
            reader.note(where, reason)
    if reader.defects or playbook is None:
        raise UnreadablePlaybook("\n".join(f"{name}, {defect}" for defect in reader.defects))
    values: dict[str, Any] = {one.name: getattr(playbook, one.name) for one in fields(Playbook)}
    return Playbook(**{**values, "digest": digest_of(found)})


def conflicts(playbooks: Iterable[Playbook]) -> list[str]:
    """Return what two playbooks claim, or none that is needed offers: every alert and metric opens one at most."""
    claimed: dict[str, str] = {}
    found = []
    for playbook in playbooks:
        for name in (*playbook.alerts, *playbook.metrics):
            if name in claimed:
                found.append(f"{name} opens both {claimed[name]} and {playbook.id}.")
            claimed[name] = playbook.id
    return found


def _why_no_step(step: Step) -> str:
    if not step.act:
        return "has a factor or is automatic, and no act." if step.factor is not None or step.automatic else ""
    if step.cannot:
        return "has an act and says that the runtime cannot do it; keep one."
    if step.act in set(Deed):
        return f"{step.act} takes no factor and is never automatic." if step.factor or step.automatic else ""
    if not step.is_override:
        return f"act {step.act!r} is not known; use one of {', '.join((*Act, *Deed))}."
    if step.factor is None:
        return f"{step.act} needs a factor."
    return throttle.why_not(Act(step.act), step.factor)


def _unsound(playbook: Playbook, name: str) -> list[tuple[str, str]]:
    """Return (where, reason) of everything a well-formed playbook gets wrong."""
    found = []
    if playbook.id != name:
        found.append(("id", f"is {playbook.id}, the file is named {name}."))
    if playbook.id not in IDS:
        found.append(("id", f"is not known; use one of {', '.join(IDS)}."))
    if playbook.severity not in set(Severity):
        found.append(("severity", f"is {playbook.severity!r}; use {', '.join(Severity)}."))
    for where in ("immediate", "investigate", "resolution"):
        if not getattr(playbook, where):
            found.append((where, "must hold at least one."))
    if odd := [metric for metric in playbook.metrics if metric not in METRICS]:
        found.append(("metrics", f"{odd[0]!r} is not measured; use one of {', '.join(METRICS)}."))
    overrides = [step.act for step in playbook.immediate if step.is_override]
    if len(set(overrides)) != len(overrides):
        found.append(("immediate", "names an override twice; multiply the factors."))
    names = [deadline.name for deadline in playbook.deadlines]
    if len(set(names)) != len(names):
        found.append(("deadlines", "names a deadline twice."))
    return found

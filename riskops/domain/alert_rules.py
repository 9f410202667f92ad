"""The alert rules as data: what each code means, what to do about it, and who is told when."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Final

from riskops.domain.strict import Defect, Listed, Reader, parse
from trading.domain.events import Severity
from trading.domain.limits import Limits
from trading.domain.people import Role


class Ends(StrEnum):
    """How an alert is known to be over."""

    TOLD = "told"  # whoever raised it says so
    QUIET = "quiet"  # it did not repeat for `clear_after_s`


class Hush(StrEnum):
    """The state of the desk in which an alert says nothing new."""

    HALTED = "halted"  # the account
    PAUSED = "paused"  # the symbol


class Channel(StrEnum):
    """What kind of place a message goes to; the screen needs none."""

    CHAT = "chat"
    WEBHOOK = "webhook"
    EMAIL = "e-mail"
    SMS = "SMS"


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One code that the product raises. INFO is an event; WARN and CRIT want an answer (ISA-18.2)."""

    code: str
    severity: Severity
    watches: str
    cause: str = ""
    consequence: str = ""
    response: str = ""
    playbook: str = ""
    escalation: str = ""  # name of the policy
    roles: tuple[str, ...] = ()  # who is to answer
    desk_id: str = ""  # its name in the desk's own list of rules
    limit: Decimal | None = None
    unit: str = ""  # of the limit: "s", "ms", "fraction", "times"
    limit_of: str = ""  # the limit of the mandate that counts instead of a number here
    window_s: int = 0  # 0: none
    sample: int = 0  # fewer orders or round trips say nothing
    for_s: int = 0  # how long it must last before it is raised
    ends: Ends = Ends.QUIET
    clear_after_s: int = 0
    no_data_after_s: int = 0  # without a measurement for so long nobody knows; 0: nothing is measured
    hushed_when: str = ""  # a Hush

    @property
    def is_alarm(self) -> bool:
        """Whether it wants an answer."""
        return self.severity is not Severity.INFO

    @property
    def number(self) -> str:
        """The limit as a person reads it: "60 s", "2 % in 1 h", "max daily drawdown of the mandate"."""
        if self.limit_of:
            return f"{self.limit_of.removesuffix('_fraction').replace('_', ' ')} of the mandate"
        if self.limit is None:
            return ""
        shown = f"{self.limit.normalize():f} {self.unit}"
        if self.unit == "fraction":
            shown = f"{(self.limit * 100).normalize():f} %"
        if self.unit == "s":
            shown = span(int(self.limit))
        return f"{shown} in {span(self.window_s)}" if self.window_s else shown


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an escalation: what is told where, so long after the alert, unless somebody acknowledged it."""

    escalation: str
    channels: tuple[str, ...]
    after_s: int = 0
    roles: tuple[str, ...] = ()  # none: the roles of the rule

    @property
    def words(self) -> str:
        """The step as a person reads it: "e-mail after 30 s", "CTO by SMS after 3 min"."""
        where = f"{', '.join(self.roles)} by {', '.join(self.channels)}" if self.roles else ", ".join(self.channels)
        return f"{where} after {span(self.after_s)}" if self.after_s else f"{where} at once"


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Every rule and every step."""

    rules: tuple[AlertRule, ...]
    steps: tuple[Step, ...]

    def __iter__(self) -> Iterator[AlertRule]:
        return iter(self.rules)

    def rule(self, code: str, severity: str) -> AlertRule:
        """Return the rule of `code`; an alert that no rule knows is answered like the gravest of its kind."""
        for one in self.rules:
            if one.code == code:
                return one
        words = (
            "an alert that no rule knows",
            "not known",
            "not known",
            "Look at the desk; write a rule for this code.",
        )
        if severity == Severity.INFO:
            return AlertRule(code, Severity.INFO, words[0])
        roles, escalation = (Role.TRADING_LEAD.value, Role.ENGINEER.value), next(iter(self.steps)).escalation
        return AlertRule(code, Severity(severity), *words, "crit", escalation, roles, clear_after_s=UNKNOWN_CLEARS_S)

    def steps_of(self, rule: AlertRule) -> tuple[Step, ...]:
        """Return the steps of its escalation, the first one first."""
        return tuple(step for step in self.steps if step.escalation == rule.escalation)


class UnreadableRules(ValueError):
    """Rules that must not be used; `defects` says everything that is wrong with them."""

    def __init__(self, defects: Sequence[Defect]) -> None:
        super().__init__("\n".join(f"alert rules, {defect}" for defect in defects))
        self.defects = tuple(defects)


UNKNOWN_CLEARS_S: Final = 3_600
_WORDS: Final = ("cause", "consequence", "response", "playbook", "escalation", "roles", "clear_after_s")
_LIMITS: Final = frozenset(one.name for one in fields(Limits)) - {"phase", "version", "symbols", "execution_styles"}
_SPANS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class _File:
    rules: tuple[AlertRule, ...]
    steps: tuple[Step, ...]


def read(text: str, *, playbooks: Set[str]) -> Rulebook:
    """Return the rules written in `text`; `playbooks` are those that exist.

    Raises:
        UnreadableRules: with every defect found, each with its line, its name and what to do.
    """
    found = parse(text)
    if isinstance(found, Defect):
        raise UnreadableRules([found])
    lists = {tuple[AlertRule, ...]: Listed(AlertRule, _nothing), tuple[Step, ...]: Listed(Step, _nothing)}
    reader = Reader(text, lists)
    file = reader.table(_File, found, "")
    if file is not None:
        for where, reason in _unsound(file, playbooks):
            reader.note(where, reason)
    if reader.defects or file is None:
        raise UnreadableRules(sorted(reader.defects, key=lambda defect: defect.line))
    return Rulebook(file.rules, tuple(sorted(file.steps, key=lambda step: step.after_s)))


def span(seconds: int) -> str:
    """Return a span as a person says it: "60 s", "5 min", "6 h"."""
    for size, unit in _SPANS:
        if seconds % size == 0 and (seconds > size or size == 3_600):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _nothing(_: object) -> str:
    return ""  # what one of them gets wrong depends on the others


def _unsound(file: _File, playbooks: Set[str]) -> Iterator[tuple[str, str]]:
    """Yield (where, reason) of everything that well-formed rules get wrong."""
    escalations = {step.escalation for step in file.steps}
    seen: dict[str, int] = {}
    for number, rule in enumerate(file.rules):
        place = f"rules.{number}"
        if seen.setdefault(rule.code, number) != number:
            yield f"{place}.code", f"{rule.code} stands twice; write one rule for each code."
        for name, reason in _unsound_rule(rule, playbooks, escalations):
            yield f"{place}.{name}", f"{rule.code} {reason}"
    for number, step in enumerate(file.steps):
        yield from _not_in(f"steps.{number}.channels", step.channels, Channel)
        yield from _not_in(f"steps.{number}.roles", step.roles, Role)
        if not step.channels:
            yield f"steps.{number}.channels", f"is empty; name one of {', '.join(Channel)}."


def _unsound_rule(rule: AlertRule, playbooks: Set[str], escalations: Set[str]) -> Iterator[tuple[str, str]]:
    if not rule.is_alarm:
        for name in _WORDS:
            if getattr(rule, name):
                yield name, f"is INFO, an event that wants no answer; drop {name}, or make it WARN or CRIT."
        return
    for name in _WORDS:
        if not getattr(rule, name):
            yield name, f"has no {name}; nobody could answer this {rule.severity}. Say it, or make it INFO."
    if rule.playbook and rule.playbook not in playbooks:
        yield "playbook", f"names {rule.playbook!r}, which is no playbook; use one of {', '.join(sorted(playbooks))}."
    if rule.escalation and rule.escalation not in escalations:
        yield "escalation", f"names {rule.escalation!r}, which has no steps; use {', '.join(sorted(escalations))}."
    yield from _not_in("roles", rule.roles, Role)
    yield from _not_in("hushed_when", [rule.hushed_when] if rule.hushed_when else [], Hush)
    if rule.limit_of and rule.limit_of not in _LIMITS:
        yield "limit_of", f"names {rule.limit_of!r}, which no mandate limits; use one of {', '.join(sorted(_LIMITS))}."
    if (rule.limit is not None) != bool(rule.unit) or (rule.limit is not None and rule.limit_of):
        yield "limit", "needs a limit with its unit, or limit_of, or none of them."
    if rule.severity is Severity.CRIT and (rule.for_s or rule.hushed_when):
        yield "severity", "is CRIT: it neither waits (for_s) nor is it hushed; people are told at once."


def _not_in(where: str, found: Sequence[str], known: type[StrEnum]) -> Iterator[tuple[str, str]]:
    if odd := [one for one in found if one not in set(known)]:
        yield where, f"{odd[0]!r} is not known; use {', '.join(known)}."

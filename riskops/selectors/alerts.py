"""The Alerts page: what waits, what stands, how many came, the rules, and where people are told."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from django.urls import NoReverseMatch, reverse

from riskops.alarming import Alarm, rulebook, stand
from riskops.domain.alert_rules import AlertRule, span
from riskops.domain.alert_states import AlertState, Condition, state_of
from riskops.models import Delivery, NotificationRoute
from trading.domain.events import Severity
from trading.domain.limits import Limits
from trading.selectors import alerts, desks
from trading.selectors.numbers import short

if TYPE_CHECKING:
    from trading.models import Account, Alert, Mandate, RuleReading

Tab = Literal["open", "all", "shelved", "rules", "routes"]
TABS: Final[tuple[Tab, ...]] = ("open", "all", "shelved", "rules", "routes")
PAGE: Final = 100  # lines
TEN_MINUTES: Final = timedelta(minutes=10)
DAY: Final = timedelta(days=1)
# Source: EEMUA 191 (1 alarm in 10 minutes is steady, 10 are a flood) and ISA-18.2 (3 in a minute chatter).
FLOOD: Final = 10
CHATTERS: Final = 3
TOP: Final = 5
GONE: Final = frozenset({AlertState.CLEARED, AlertState.CLEARED_UNACKED})
NOT_WAITING: Final = frozenset({AlertState.CLEARED, AlertState.SHELVED, AlertState.SUPPRESSED})


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """One alarm as a line."""

    row: "Alert"
    rule: AlertRule
    state: AlertState
    glyph: str
    desk: str
    playbook_address: str  # "" where playbooks have no page

    @property
    def since(self) -> datetime:
        """When it was raised."""
        return self.row.raised_at or self.row.at

    @property
    def needs_ack(self) -> bool:
        """Whether somebody is to acknowledge it."""
        return self.row.acknowledged_at is None

    @property
    def is_shelved(self) -> bool:
        """Whether it is put aside now."""
        return self.state is AlertState.SHELVED

    @property
    def may_be_shelved(self) -> bool:
        """Whether there is something to put aside."""
        return self.state is not AlertState.CLEARED and not self.is_shelved


@dataclass(frozen=True, slots=True)
class AlarmGroup:
    """Alarms of one code in a flood, the first cause on top; outside a flood one group of all."""

    code: str
    lines: tuple[AlarmLine, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """How the alarms themselves do, over a day and now."""

    now_per_10_min: int
    day_per_10_min: float
    crit: int
    warn: int
    info: int
    standing: int  # for more than a day
    chattering: tuple[str, ...]  # codes
    top: tuple[tuple[str, int], ...]  # code and how often

    @property
    def is_flood(self) -> bool:
        """Whether more came than people can answer."""
        return self.now_per_10_min >= FLOOD


@dataclass(frozen=True, slots=True)
class RuleLine:
    """One rule and where it stands at this desk."""

    rule: AlertRule
    glyph: str
    state: str
    measured: str
    limit: str
    escalation: tuple[str, ...]
    clears: str
    playbook_address: str


@dataclass(frozen=True, slots=True)
class RouteLine:
    """One route and what came of its newest message."""

    route: NotificationRoute
    last: Delivery | None
    waiting: int


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Everything around the lines."""

    tab: Tab
    health: Health
    waiting: int
    suppressed: int
    shelved: int
    groups: tuple[AlarmGroup, ...]


def alert_page(account: "Account", tab: Tab, at: datetime) -> AlertPage:
    """Return the page of one desk as of `at`, in a fixed number of queries."""
    standing = [_line(alarm) for alarm in stand(alerts.unfinished(account), at)]
    waits = [line for line in standing if line.needs_ack and line.state not in NOT_WAITING]
    shelved = [line for line in standing if line.is_shelved]
    suppressed = sum(line.needs_ack and line.state is AlertState.SUPPRESSED for line in standing)
    health = _health(account, standing, at)
    shown: Sequence[AlarmLine] = ()
    if tab == "open":
        shown = sorted(waits, key=lambda line: (line.row.severity != Severity.CRIT, -line.row.pk))
    elif tab == "shelved":
        shown = shelved
    elif tab == "all":
        shown = [_line(alarm) for alarm in stand(alerts.alarms_of(account)[:PAGE], at)]
    return AlertPage(tab, health, len(waits), suppressed, len(shelved), _groups(shown[:PAGE], is_flood=health.is_flood))


def rule_lines(account: "Account", mandate: "Mandate | None", at: datetime) -> list[RuleLine]:
    """Return every rule with where it stands at this desk, the gravest first; limits of the mandate in force."""
    limits = desks.limits_of(mandate) if mandate else None
    book, readings = rulebook(), alerts.readings()
    active: dict[str, AlertState] = {}
    for alarm in stand(alerts.unfinished(account), at):
        if alarm.state not in GONE:
            active.setdefault(alarm.row.code, alarm.state)
    gravity = list(Severity)
    return [
        RuleLine(
            rule=rule,
            glyph=alerts.GLYPHS.get(rule.severity, ""),
            state=_state_of_rule(rule, active.get(rule.code), reading, at),
            measured=reading.text if reading else "",
            limit=_limit(rule, limits),
            escalation=tuple(step.words for step in book.steps_of(rule)),
            clears=_clears(rule),
            playbook_address=playbook_address(rule.playbook),
        )
        for rule in sorted(book, key=lambda rule: -gravity.index(rule.severity))
        for reading in [readings.get((account.pk, rule.code))]
    ]


def route_lines() -> list[RouteLine]:
    """Return every route in use with its newest message and how many wait; three queries."""
    routes = list(NotificationRoute.objects.filter(removed_at=None).select_related("created_by"))
    newest = Delivery.objects.filter(route__in=routes).order_by("route_id", "-id").distinct("route_id")
    last = {delivery.route_id: delivery for delivery in newest}
    open_states = (Delivery.State.DUE, Delivery.State.SENDING)
    waiting = Counter(
        Delivery.objects.filter(route__in=routes, state__in=open_states).order_by().values_list("route_id", flat=True)
    )
    return [RouteLine(route, last.get(route.pk), waiting[route.pk]) for route in routes]


def escalation_lines() -> dict[str, str]:
    """Return every escalation with its steps in words, the quickest to climb first."""
    found: dict[str, list[str]] = {}
    for step in rulebook().steps:
        found.setdefault(step.escalation, []).append(step.words)
    return {name: "; ".join(words) for name, words in found.items()}


def playbook_address(playbook: str) -> str:
    """Return where a playbook can be read and walked, or an empty text."""
    try:
        return reverse("riskops:incidents") if playbook else ""
    except NoReverseMatch:
        return ""


def _line(alarm: Alarm) -> AlarmLine:
    return AlarmLine(
        row=alarm.row,
        rule=alarm.rule,
        state=alarm.state,
        glyph=alerts.GLYPHS.get(alarm.row.severity, ""),
        desk=alarm.row.account.name if alarm.row.account else "all desks",
        playbook_address=playbook_address(alarm.rule.playbook),
    )


def _groups(lines: Sequence[AlarmLine], *, is_flood: bool) -> tuple[AlarmGroup, ...]:
    if not is_flood:
        return (AlarmGroup("", tuple(lines)),) if lines else ()
    by_code: dict[str, list[AlarmLine]] = {}
    for line in sorted(lines, key=lambda line: line.since):
        by_code.setdefault(line.row.code, []).append(line)
    return tuple(AlarmGroup(code, tuple(group)) for code, group in by_code.items())


def _health(account: "Account", standing: Iterable[AlarmLine], at: datetime) -> Health:
    raised = alerts.raised_since(account, at - DAY)
    alarms = [one for one in raised if one.severity != Severity.INFO]
    severities = Counter(one.severity for one in raised)
    return Health(
        now_per_10_min=sum(one.raised_at > at - TEN_MINUTES for one in alarms),
        day_per_10_min=len(alarms) * (TEN_MINUTES / DAY),
        crit=severities[Severity.CRIT],
        warn=severities[Severity.WARN],
        info=severities[Severity.INFO],
        standing=sum(line.state not in GONE and line.since <= at - DAY for line in standing),
        chattering=tuple(sorted({one.code for one in alarms if one.most_in_minute >= CHATTERS})),
        top=tuple(Counter(one.code for one in alarms).most_common(TOP)),
    )


def _state_of_rule(rule: AlertRule, active: AlertState | None, reading: "RuleReading | None", at: datetime) -> str:
    if not rule.is_alarm:
        return "event"
    if active is not None:
        return active
    pending_since = reading.broken_since if reading else None
    return state_of(Condition(pending_since=pending_since, known_at=reading.known_at if reading else None), rule, at)


def _limit(rule: AlertRule, limits: Limits | None) -> str:
    if not rule.limit_of or limits is None:
        return rule.number
    limit = getattr(limits, rule.limit_of)
    if limit is None:
        return "not set by this phase"
    shown = f"{short(100 * limit)} %" if rule.limit_of.endswith("_fraction") else str(limit)
    return f"{shown}: {rule.number}"


def _clears(rule: AlertRule) -> str:
    if not rule.is_alarm:
        return ""
    after = span(rule.clear_after_s)
    return f"{after} after it is over" if rule.ends == "told" else f"after {after} without another"

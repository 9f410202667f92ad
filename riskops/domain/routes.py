"""Where alerts are told: which addresses a route takes, what of them is shown, when to try again, and the words."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from riskops.domain.alert_rules import AlertRule, Channel, Rulebook, Step
from riskops.domain.alert_states import AlertState, is_to_be_told
from trading.domain.events import Severity
from trading.domain.people import Role

EDITORS: Final = frozenset({Role.TRADING_LEAD, Role.ENGINEER, Role.CTO})
# What apprise offers beside these acts on this machine (dbus, syslog, files) or is no channel of a desk.
SCHEMES: Final[Mapping[Channel, frozenset[str]]] = {
    Channel.CHAT: frozenset(
        {"slack", "discord", "tgram", "msteams", "workflows", "gchat", "mmost", "mmosts", "matrix", "matrixs",
         "rocket", "rockets", "zulip", "ntfy", "ntfys", "gotify", "gotifys", "pover"}
    ),
    Channel.WEBHOOK: frozenset({"json", "jsons", "form", "forms", "xml", "xmls", "pagerduty", "opsgenie"}),
    Channel.EMAIL: frozenset({"mailto", "mailtos", "ses", "sendgrid", "mailgun"}),
    Channel.SMS: frozenset({"twilio", "vonage", "sns", "clicksend", "messagebird", "sinch", "plivo", "smseagle"}),
}  # fmt: skip
CLAIM_LAPSES: Final = timedelta(seconds=60)  # whoever claimed it has died: no service takes longer to answer
GIVE_UP_AFTER: Final = timedelta(hours=24)
KEEP_FOR: Final = timedelta(days=90)  # what was sent, and what nobody needed any more; ours
KEEP_FAILED_FOR: Final = timedelta(days=365)  # what was given up: an auditor asks of a year; ours
FIRST_RETRY_S: Final = 5
LONGEST_RETRY_S: Final = 300
ALERT_AT_ATTEMPT: Final = 3
GLYPHS: Final = {Severity.CRIT: "■", Severity.WARN: "▲"}


@dataclass(frozen=True, slots=True)
class Place:
    """One route as the escalation sees it."""

    id: int
    channel: str
    roles: Set[str]
    minimum: Severity
    since: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """One alert, as the escalation and its messages see it."""

    severity: Severity
    code: str
    message: str
    symbol: str
    desk: str  # "Micro $300", "all desks"
    mode: str  # "PAPER", "LIVE"
    raised_at: datetime
    state: AlertState
    is_acknowledged: bool


def steps_due(
    told: Told, rule: AlertRule, book: Rulebook, places: Sequence[Place], now: datetime
) -> Iterator[tuple[Step, Place]]:
    """Yield what is to be sent by now, sent already or not; a route is told of what falls due after it was made."""
    if not is_to_be_told(told.state, is_acknowledged=told.is_acknowledged, severity=told.severity):
        return
    for step in book.steps_of(rule):
        due_at = told.raised_at + timedelta(seconds=step.after_s)
        roles = frozenset(step.roles or rule.roles)
        for place in places:
            reaches = place.channel in step.channels and place.roles & roles
            is_grave = told.severity is Severity.CRIT or place.minimum is not Severity.CRIT
            if reaches and is_grave and place.since <= due_at <= now:
                yield step, place


def name_of(step: Step) -> str:
    """Return what tells this step from every other one: "critical+30"."""
    return f"{step.escalation}+{step.after_s}"


def message(told: Told, rule: AlertRule, address: str) -> tuple[str, str]:
    """Return title and text: how grave, where, paper or real money, what, the number, what to do, where to look."""
    where = f"{told.desk} · {told.symbol}" if told.symbol else told.desk
    title = f"{GLYPHS.get(told.severity, '')} {told.severity} · {told.mode} · {where} · {told.code}"
    lines = [told.message, f"Since {told.raised_at:%Y-%m-%d %H:%M:%S} UTC."]
    if rule.number:
        lines.append(f"Limit: {rule.number}.")
    lines += [f"Now: {rule.response}", f"Playbook: {rule.playbook}", address]
    return title.strip(), "\n".join(lines)


def retry_after(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: 5 s, doubled each time, at most five minutes."""
    return timedelta(seconds=min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** min(attempts - 1, 10)))


def masked(address: str) -> str:
    """Return what of an address may be seen: what kind it is and, of a long one, its last four characters."""
    scheme, _, rest = address.partition("://")
    return f"{scheme}://••••{rest[-4:] if len(rest) >= 16 else ''}"


def why_not_address(channel: str, address: str) -> str:
    """Return why `address` is none of `channel`, or an empty text."""
    known = SCHEMES[Channel(channel)]
    scheme = address.partition("://")[0].lower()
    if "://" in address and scheme in known:
        return ""
    return f"An address of {channel} begins with one of {', '.join(f'{each}://' for each in sorted(known))}."

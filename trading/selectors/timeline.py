"""Everything that happened to one account in a span of time, out of the audit trail and the alerts, oldest first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Q

from trading.models import Account, Alert, AuditEvent
from trading.selectors import spoken

MOST: Final = 200  # the newest; an incident that lasts longer has its rows in the audit trail
_TOO_MANY: Final = ("orders.approved", "orders.changed", "account.changed")  # of every turn: the orders page has them
_SAID: Final = ("reason", "note", "what", "message", "why", "decision", "kind", "step", "act", "factor", "cause")
_CODED: Final = ("kind", "step", "act")  # of what is said, codes and no words of people


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened."""

    at: datetime
    who: str
    action: str  # of the audit trail, or the alert's code
    words: str  # the same as people say it
    text: str
    severity: str = ""  # of an alert


def happened(account: Account, since: datetime, until: datetime) -> list[Moment]:
    """Return what happened to `account`; of more than `MOST` events the newest."""
    subjects = Q(subject=f"account:{account.slug}") | Q(subject__startswith=f"grid:{account.slug}:")
    rows = AuditEvent.objects.filter(subjects, at__gte=since, at__lte=until).exclude(action__in=_TOO_MANY)
    alerts = Alert.objects.filter(account=account, at__gte=since, at__lte=until).order_by("-id")
    found = [
        Moment(row.at, row.actor, row.action, spoken.action(row.action), _facts(row.payload)) for row in rows[:MOST]
    ]
    found += [
        Moment(row.at, "alert", row.code, spoken.alert(row.code), row.message, row.severity) for row in alerts[:MOST]
    ]
    return sorted(found, key=lambda moment: moment.at)[-MOST:]


def _facts(payload: Any) -> str:
    if not isinstance(payload, dict):
        return ""
    said = ((name, str(payload[name])) for name in _SAID if payload.get(name))
    return ", ".join(spoken.detail(text) if name in _CODED else text for name, text in said)

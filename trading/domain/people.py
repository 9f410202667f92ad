"""The roles of the desk, and what each may do while it trades."""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """A person may hold several; a superuser holds none by being one."""

    TRADER = "Trader"
    TRADING_LEAD = "Trading Lead"
    ENGINEER = "Engineer"
    CTO = "CTO"
    CEO = "CEO"
    COMPLIANCE = "Compliance"
    AUDITOR = "Auditor"


DESK: Final = frozenset(Role) - {Role.COMPLIANCE, Role.AUDITOR}  # who runs it; the others watch it
OVERSEERS: Final = frozenset({Role.CTO, Role.CEO, Role.COMPLIANCE, Role.AUDITOR})  # they see every account
OPERATORS: Final = frozenset({Role.TRADER, Role.TRADING_LEAD, Role.ENGINEER})  # who handles symbols, orders, alerts
TRAINERS: Final = frozenset({Role.TRADING_LEAD, Role.ENGINEER, Role.CTO})  # who has models trained

READERS: Final = frozenset(Role) - {Role.TRADER}  # of the whole audit trail; everybody else reads their own rows

NEEDED: Final = (Role.TRADING_LEAD, Role.CTO)  # without one nobody resumes a desk, or no step is signed


def sees_everything(roles: frozenset[str], *, is_superuser: bool) -> bool:
    """Return whether somebody sees every account, a member or not."""
    return is_superuser or bool(roles & OVERSEERS)


def why_not(roles: frozenset[str], allowed: frozenset[Role], what: str) -> str:
    """Return why somebody with `roles` may not do `what`, or an empty text."""
    if roles & allowed:
        return ""
    names = [role.value for role in Role if role in allowed]
    return f"Only {', '.join(names[:-1])} or {names[-1]} may {what}."

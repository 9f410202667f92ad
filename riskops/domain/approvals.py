"""Who may decide what, together with whom."""

from collections.abc import Set
from typing import Final

from trading.domain.people import DESK, Role

RESUME_WORD: Final = "RESUME"  # typed by both people
REASON_MIN_LENGTH: Final = 10  # characters; "ok" is no reason


def why_not_request(*, typed: str, reason: str) -> str:
    """Return what is missing before a resume may be asked for, or an empty text."""
    if typed != RESUME_WORD:
        return f"Type {RESUME_WORD} in capitals to confirm."
    if len(reason.strip()) < REASON_MIN_LENGTH:
        return f"Say why it is safe to resume, in at least {REASON_MIN_LENGTH} characters."
    return ""


def why_not_grant(
    *, same_person: bool, requester_roles: Set[str], granter_roles: Set[str], typed: str, is_glass_broken: bool = False
) -> str:
    """Return why this person may not grant this resume, or an empty text: two people, one of them the Trading Lead.

    While the glass is broken two people of the desk are enough.
    """
    if same_person:
        return "Resuming needs a second person: whoever asked cannot grant it."
    if Role.TRADING_LEAD not in requester_roles | granter_roles and not is_glass_broken:
        return "One of the two people must be the Trading Lead."
    if not granter_roles & DESK or (is_glass_broken and not requester_roles & DESK):
        return "Only a person with a role of the desk can grant a resume."
    if typed != RESUME_WORD:
        return f"Type {RESUME_WORD} in capitals to confirm."
    return ""

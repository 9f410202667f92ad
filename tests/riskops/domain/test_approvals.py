"""Stopping takes one person, resuming takes two."""

import pytest

from riskops.domain.approvals import why_not_grant, why_not_request
from trading.domain.people import Role

LEAD, TRADER, CTO = {Role.TRADING_LEAD.value}, {Role.TRADER.value}, {Role.CTO.value}


@pytest.mark.parametrize(
    ("typed", "reason", "granted"),
    [
        ("RESUME", "feed is back", True),
        ("resume", "feed is back", False),
        ("", "feed is back", False),
        ("RESUME", "too short", False),
        ("RESUME", "          x", False),
    ],
)
def test_a_request_needs_the_word_and_a_reason(typed: str, reason: str, granted: bool) -> None:
    assert (why_not_request(typed=typed, reason=reason) == "") is granted


@pytest.mark.parametrize(
    ("same_person", "requester", "granter", "granted"),
    [
        (False, TRADER, LEAD, True),
        (False, LEAD, TRADER, True),
        (False, LEAD, CTO, True),
        (True, LEAD, LEAD, False),
        (False, TRADER, CTO, False),
        (False, LEAD, set(), False),
        (False, set(), LEAD, True),
    ],
)
def test_two_people_one_of_them_the_trading_lead(
    same_person: bool, requester: set[str], granter: set[str], granted: bool
) -> None:
    refusal = why_not_grant(same_person=same_person, requester_roles=requester, granter_roles=granter, typed="RESUME")

    assert (refusal == "") is granted


def test_the_second_person_types_the_word_too() -> None:
    assert "RESUME" in why_not_grant(same_person=False, requester_roles=LEAD, granter_roles=CTO, typed="yes")


WORD = "Type RESUME in capitals to confirm."
SECOND_PERSON = "Resuming needs a second person: whoever asked cannot grant it."
LEAD_IS_MISSING = "One of the two people must be the Trading Lead."
NO_ROLE = "Only a person with a role of the desk can grant a resume."
AUDITOR = {Role.AUDITOR.value}


@pytest.mark.parametrize(
    ("typed", "reason", "expected"),
    [
        ("Resume", "feed is back", WORD),
        ("RESUME", "  nine let  ", "Say why it is safe to resume, in at least 10 characters."),
        ("RESUME", "ten letter", ""),
    ],
)
def test_a_request_is_refused_with_what_to_do(typed: str, reason: str, expected: str) -> None:
    assert why_not_request(typed=typed, reason=reason) == expected


@pytest.mark.parametrize(
    ("same_person", "requester", "granter", "typed", "is_glass_broken", "expected"),
    [
        (True, LEAD, LEAD, "RESUME", False, SECOND_PERSON),
        (True, TRADER, TRADER, "RESUME", True, SECOND_PERSON),
        (False, TRADER, CTO, "RESUME", False, LEAD_IS_MISSING),
        (False, TRADER, CTO, "RESUME", True, ""),
        (False, LEAD, AUDITOR, "RESUME", False, NO_ROLE),
        (False, TRADER, AUDITOR, "RESUME", True, NO_ROLE),
        (False, AUDITOR, LEAD, "RESUME", False, ""),
        (False, AUDITOR, LEAD, "RESUME", True, NO_ROLE),
        (False, LEAD, CTO, "resume", False, WORD),
        (False, TRADER, CTO, "", True, WORD),
    ],
)
def test_a_grant_is_refused_with_the_reason(  # one column for each fact
    same_person: bool, requester: set[str], granter: set[str], typed: str, is_glass_broken: bool, expected: str
) -> None:
    refusal = why_not_grant(
        same_person=same_person,
        requester_roles=requester,
        granter_roles=granter,
        typed=typed,
        is_glass_broken=is_glass_broken,
    )

    assert refusal == expected

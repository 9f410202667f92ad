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

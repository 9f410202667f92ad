"""Break-glass: two people, one of them the CTO or the CEO, for hours, with a reason, and only after the last review."""

from datetime import timedelta

import pytest

from riskops.domain.approvals import why_not_grant
from riskops.domain.break_glass import why_not_ask, why_not_break

REASON = "nobody else is awake"
NOT_ASKING = "Only a person with a role of the desk asks to break the glass."
TOO_SHORT = "Say why it cannot wait for the Trading Lead, in at least 10 characters."
NO_STAND_IN = "One of the two people must be the CTO or the CEO."


def asked(**changed: object) -> str:
    facts = {"roles": {"Trader"}, "reason": REASON, "hours": 4, "is_reviewed": True, "is_open": False}
    return why_not_ask(**{**facts, **changed})  # type: ignore[arg-type]


def granted(**changed: object) -> str:
    facts = {"same_person": False, "asker_roles": {"Trader"}, "roles": {"CTO"}, "waited": timedelta(hours=1)}
    return why_not_break(**{**facts, **changed})  # type: ignore[arg-type]


def test_two_people_of_the_desk_may() -> None:
    assert (asked(), granted()) == ("", "")
    assert granted(asker_roles={"CEO"}, roles={"Trader"}) == ""
    assert asked(hours=1, reason="ten signs.") == ""


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"roles": {"Auditor"}}, NOT_ASKING),
        ({"roles": set()}, NOT_ASKING),
        ({"is_open": True}, "The glass is broken already, or somebody has asked for it: grant or end that."),
        ({"is_reviewed": False}, "The review of the last time is still open: close its incident first."),
        ({"hours": 0}, "It lasts from 1 to 4 hours."),
        ({"hours": 5}, "It lasts from 1 to 4 hours."),
        ({"reason": "nine sign"}, TOO_SHORT),
        ({"reason": " nine sign "}, TOO_SHORT),
    ],
)
def test_who_may_not_ask_is_told_why(changed: dict[str, object], why: str) -> None:
    assert asked(**changed) == why


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"same_person": True}, "It needs a second person: whoever asked cannot grant it."),
        ({"roles": {"Compliance"}}, "Only a person with a role of the desk grants it."),
        ({"roles": {"Engineer"}}, NO_STAND_IN),
        ({"roles": {"Trading Lead"}}, NO_STAND_IN),
        ({"waited": timedelta(hours=1, microseconds=1)}, "It was asked for more than an hour ago: ask again."),
    ],
)
def test_who_may_not_grant_is_told_why(changed: dict[str, object], why: str) -> None:
    assert granted(**changed) == why


@pytest.mark.parametrize(
    ("requester", "granter", "broken", "allowed"),
    [
        ({"Trader"}, {"Engineer"}, True, True),
        ({"Trader"}, {"Engineer"}, False, False),
        ({"Auditor"}, {"Engineer"}, True, False),
        ({"Trader"}, {"Auditor"}, True, False),
        ({"Trader"}, {"Trading Lead"}, False, True),
    ],
)
def test_only_while_it_is_broken_two_of_the_desk_resume(
    requester: set[str], granter: set[str], broken: bool, allowed: bool
) -> None:
    refusal = why_not_grant(
        same_person=False, requester_roles=requester, granter_roles=granter, typed="RESUME", is_glass_broken=broken
    )

    assert (refusal == "") is allowed

"""Time that a replay made faster opens a gate on paper, and no other."""

from decimal import Decimal

import pytest

from riskops.domain import steps
from riskops.domain.gates import Outcome, Verdict, Window
from riskops.domain.steps import Decision, Signature

REFUSED = "Part of this run's time was a replay faster than time: it can open no gate but one on paper."


def why_not_go(*, is_real: bool = False, is_accelerated: bool = False) -> str:
    return steps.why_not_decide(
        Decision.GO,
        verdict=Verdict(Outcome.PASS, (), Window(Decimal(48), 48)),
        needed=("CTO",),
        given=(Signature("CTO", 2, True, "a" * 64),),
        requester=1,
        digest="a" * 64,
        notes="",
        is_real=is_real,
        is_accelerated=is_accelerated,
    )


@pytest.mark.parametrize(
    ("is_real", "is_accelerated", "expected"),
    [(False, False, ""), (False, True, ""), (True, False, ""), (True, True, REFUSED)],
)
def test_only_a_real_account_needs_real_time(is_real: bool, is_accelerated: bool, expected: str) -> None:
    assert why_not_go(is_real=is_real, is_accelerated=is_accelerated) == expected

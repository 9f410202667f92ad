"""The alert rules on shares: a case on each side of every edge."""

from decimal import Decimal

import pytest

from trading.domain.alarms import FEES, FILL_RATE, REJECTS, SMALLEST_SAMPLE, ShareRule, fee_share
from trading.domain.metrics import Rate


@pytest.mark.parametrize(
    ("rule", "rate", "expected"),
    [
        (REJECTS, Rate(2, 100, 100), False),
        (REJECTS, Rate(3, 100, 100), True),
        (REJECTS, Rate(0, 20, 20), False),
        (REJECTS, Rate(1, 3, 3), None),
        (REJECTS, Rate(19, 19, SMALLEST_SAMPLE - 1), None),
        (REJECTS, Rate(1, 20, SMALLEST_SAMPLE), True),
        (REJECTS, Rate(0, 0, 0), None),
        (FILL_RATE, Rate(85, 100, 40), False),
        (FILL_RATE, Rate(84, 100, 40), True),
        (FILL_RATE, Rate(0, 100, 19), None),
        (FILL_RATE, Rate(0, 0, 40), None),
        (FEES, Rate(25, 100, 20), False),
        (FEES, Rate(26, 100, 20), True),
        (FEES, Rate(26, 100, 19), None),
    ],
)
def test_a_rule_warns_beyond_its_limit_and_only_on_enough(rule: ShareRule, rate: Rate, expected: bool | None) -> None:
    assert rule.is_broken(rate) is expected


@pytest.mark.parametrize(
    ("fees", "gross", "expected"),
    [("1", "4", 0.25), ("5", "4", 1.25), ("0", "4", 0.0), ("1", "0", None), ("1", "-4", None)],
)
def test_fees_are_a_share_of_a_profit_only_where_there_is_one(fees: str, gross: str, expected: float | None) -> None:
    assert fee_share(Decimal(fees), Decimal(gross), 20).fraction == expected


def test_a_warning_names_share_sample_and_limit() -> None:
    assert REJECTS.message(Rate(3, 96, 96)) == "The venue rejected 3.1 % of 96 orders in an hour (limit: at most 2 %)."
    assert "filled 50.0 % of their quantity" in FILL_RATE.message(Rate(1, 2, 30))


def test_what_is_not_known_has_no_message() -> None:
    with pytest.raises(ValueError, match="FEES"):
        FEES.message(Rate(0, 0, 40))

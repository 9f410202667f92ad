"""A ladder that a grid wants: strictly rising levels, and two quantities a slot."""

import re
from typing import Any

import pytest

from trading.domain.ladders import LARGEST, Ladder
from trading.domain.terms import Mode


def test_a_slot_sells_what_it_bought_unless_told_otherwise() -> None:
    assert Ladder((1, 2, 3), (5, 6), Mode.LONG).sold_lots == (5, 6)
    assert Ladder((1, 2, 3), (5, 6), Mode.SHORT, (4, 5)).sold_lots == (4, 5)


def test_a_slot_may_have_no_lots_yet() -> None:
    assert Ladder((1, 2, 3), (0, 6), Mode.LONG).slots == 2


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (((1,), (), Mode.LONG), "levels: they must be two or more"),
        (((0, 1), (1,), Mode.LONG), "above zero"),
        (((2, 2), (1,), Mode.LONG), "strictly ascending"),
        (((1, LARGEST + 1), (1,), Mode.LONG), "use a lower price"),
        (((1, 2), (1, 1), Mode.LONG), "lots: 2 quantities for 1 slots"),
        (((1, 2), (-1,), Mode.LONG), "lots: a quantity is not within"),
        (((1, 2), (LARGEST + 1,), Mode.LONG), "use a smaller lot"),
        (((1, 2), (1,), Mode.SHORT, (1, 1)), "sell_lots: 2 quantities"),
    ],
)
def test_what_is_no_ladder_is_refused(parts: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        Ladder(*parts)

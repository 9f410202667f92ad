"""How numbers are written."""

from datetime import timedelta
from decimal import Decimal

import pytest

from trading.selectors import numbers
from trading.selectors.numbers import Cell, Gauge


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [
        (1234.5, 2, "1,234.50"),
        (-0.25, 2, "\u22120.25"),
        (-0.001, 2, "0.00"),
        (0, 0, "0"),
        (Decimal("61712.4"), 2, "61,712.40"),
        (None, 2, "\u2014"),
    ],
    ids=["group separators", "true minus", "no minus before zero", "zero", "decimal", "unknown is a dash"],
)
def test_a_number_is_written_plainly(value: float | None, decimals: int, expected: str) -> None:
    assert numbers.plain(value, decimals) == expected


@pytest.mark.parametrize(
    ("value", "text", "sign"),
    [(1.2, "+1.20", 1), (-1.2, "\u22121.20", -1), (0.004, "0.00", 0), (-0.004, "0.00", 0), (None, "\u2014", 0)],
    ids=["gain", "loss", "gain below a cent", "loss below a cent", "unknown"],
)
def test_a_profit_carries_its_sign(value: float | None, text: str, sign: int) -> None:
    assert (numbers.signed(value), numbers.sign(value)) == (text, sign)


@pytest.mark.parametrize(("step", "decimals"), [("0.01", 2), ("0.00001000", 5), ("1", 0), ("10", 0)])
def test_decimals_follow_the_tick(step: str, decimals: int) -> None:
    assert numbers.decimals_of(Decimal(step)) == decimals


def test_trailing_zeros_say_nothing() -> None:
    assert [numbers.short(Decimal(text)) for text in ("300.000000000000", "0.0100", "-2.50")] == [
        "300",
        "0.01",
        "\u22122.5",
    ]


def test_an_unknown_live_value_is_a_dash_and_an_empty_bar() -> None:
    cell = Cell("d.micro.equity")

    assert (cell.text, cell.number, Gauge(cell, 2.0).level) == ("\u2014", 0.0, "")


@pytest.mark.parametrize(("value", "level"), [(1.5, ""), (1.6, "near"), (1.99, "near"), (2.0, "over")])
def test_a_bar_warns_before_its_limit(value: float, level: str) -> None:
    assert Gauge(Cell("d.micro.dd", value), 2.0).level == level


@pytest.mark.parametrize(("value", "level"), [(84.9, "near"), (85.0, "")])
def test_a_target_is_met_from_its_own_value_on(value: float, level: str) -> None:
    assert Gauge(Cell("d.micro.fill_rate", value), 85.0, good_when_full=True).level == level


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-3, "1 s"), (0, "1 s"), (2.1, "3 s"), (119, "119 s"), (120, "2 min"), (7_199, "119 min"), (7_200, "2 h"),
     (172_799, "47 h"), (172_800, "2 days")],
)  # fmt: skip
def test_a_span_is_said_as_a_person_says_it(seconds: float, expected: str) -> None:
    assert numbers.in_words(timedelta(seconds=seconds)) == expected

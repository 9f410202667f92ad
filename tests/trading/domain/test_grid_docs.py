"""The page about grids names every field, and its examples are what the code lays."""

from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest

from trading.domain.grids import Carried, GridSpec, Kind
from trading.domain.instruments import Instrument
from trading.domain.laying import lay, weights
from trading.domain.levels import Spacing
from trading.domain.terms import Mode

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "grids.md").read_text()
D = Decimal
ABC = Instrument("ABCUSDT", "ABC", "USDT", D("0.01"), D("0.001"), D(5))
OBVIOUS = {"symbol", "slots", "mode", "style", "spacing", "lower", "upper", "kind"}


@pytest.mark.parametrize("name", sorted({field.name for field in fields(GridSpec)} - OBVIOUS))
def test_every_field_is_on_the_page(name: str) -> None:
    assert f"`{name}" in PAGE or f" {name} " in PAGE


@pytest.mark.parametrize("word", [*Carried, *Kind])
def test_every_word_of_a_choice_is_on_the_page(word: str) -> None:
    assert word in PAGE


def test_the_long_ladder_of_the_page_is_the_one_that_is_laid() -> None:
    spec = GridSpec("ABCUSDT", 4, lot_quote=D(100), lower=D(80), upper=D(120), spacing=Spacing.ARITHMETIC)
    ladder = lay(spec, ABC, 105_00).ladder

    for level, lots in zip(ladder.levels[:-1], ladder.lots, strict=True):
        assert f"buy {ABC.quantity(lots)}" in next(line for line in PAGE.splitlines() if f"{level // 100} ─ " in line)


def test_the_infinity_grid_of_the_page_is_the_one_that_is_laid() -> None:
    spec = GridSpec(
        "ABCUSDT", 2, lot_quote=D(100), kind=Kind.INFINITY, mode=Mode.NEUTRAL, lower=D(50), step_fraction=D("0.25")
    )

    for level in lay(spec, ABC, 100_00).ladder.levels:
        assert f"{ABC.price(level)} ┼" in PAGE


def test_the_skew_of_the_page_is_the_one_that_is_laid() -> None:
    spec = GridSpec("ABCUSDT", 4, lot_quote=D(100), lower=D(80), upper=D(120), skew_fraction=D("0.6"))

    for level, weight in zip((80, 90, 100, 110), weights(spec, 4), strict=True):
        assert any(f"{level} ─ {weight * 100:3.0f} %" in line for line in PAGE.splitlines())

"""What a backtest may be asked: both sides of every edge, and an error that says what to do."""

from decimal import Decimal
from typing import Any

import pytest

from trading.domain.backtest_settings import (
    BacktestSettings,
    Engine,
    Mode,
    UnusableSettings,
    lay_grid,
    read,
)
from trading.domain.instruments import Instrument

BTC = Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5), Decimal("0.00001"))


def wrong(**values: object) -> list[tuple[str, str]]:
    with pytest.raises(UnusableSettings) as refused:
        read(values)
    return [(one.field, one.reason) for one in refused.value.wrong]


def test_without_a_word_the_defaults_hold() -> None:
    assert read({}) == read(dict.fromkeys(("lower", "levels", "symbol"), "")) == BacktestSettings()


def test_texts_numbers_and_decimals_are_read_alike() -> None:
    assert read({"levels": 8, "lot": Decimal("2.5")}) == read({"levels": "8", "lot": "2.5"})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"levels": "1"}, ["levels: '1' is no whole number from 2 to 500; use one."]),
        ({"levels": "501"}, ["levels: '501' is no whole number from 2 to 500; use one."]),
        ({"levels": True}, ["levels: True is no whole number from 2 to 500; use one."]),
        ({"lot": "0"}, ["lot: '0' is not above 0 to 1000000000000; use a number there."]),
        ({"fee_maker": "-0.1"}, ["fee_maker: '-0.1' is not from 0 to 0.1; use a number there."]),
        ({"fee_maker": "1e-3"}, ["fee_maker: '1e-3' is no plain number from 0 to 0.1; write it like 0.125."]),
        ({"step": "nan"}, ["step: 'nan' is no plain number from 0.000001 to 0.5; write it like 0.125."]),
        ({"grid": "round"}, ["grid: 'round' is not one of arithmetic, geometric; use one of them."]),
        ({"nothing": "1"}, ["nothing: is not known; known are"]),
        ({"lower": "1"}, ["upper: is missing; give both bounds, or a step instead of them."]),
        ({"upper": "1"}, ["lower: is missing; give both bounds, or a step instead of them."]),
        ({"lower": "2", "upper": "2"}, ["lower: 2 is not below upper 2; swap or correct them."]),
        ({"lower": "1", "upper": "2", "step": "0.1"}, ["step: is given beside lower and upper"]),
        ({"engine": "core", "mode": "short"}, ["mode: must be long with engine core"]),
        ({"engine": "core", "lower": "1", "upper": "2"}, ["lower: cannot be used with engine core"]),
        ({"engine": "core", "latency_ms": "1"}, ["latency_ms: must be 0 with engine core"]),
        ({"base": "1"}, ["base: is for mode short; a neutral grid begins in cash."]),
        ({"queue": "log", "style": "TAKER"}, ["style: must be MAKER with a queue"]),
        ({"queue": "log", "engine": "core"}, ["queue: is for engine kernel"]),
        ({"queue": "log", "max_drawdown": "0.1"}, ["max_drawdown: is not looked at in a queue"]),
        ({"queue": "log", "stop": "1"}, ["stop: cannot be used with a queue"]),
        ({"queue": "log", "prices": "tops"}, ["prices: says nothing beside a queue"]),
        ({"queue": "log", "fill": "through"}, ["fill: says nothing beside a queue"]),
        ({"levels": "x", "lot": "y"}, ["levels: 'x' is no whole", "lot: 'y' is no plain"]),
    ],
)
def test_what_is_wrong_is_named_with_its_reason_and_a_remedy(values: dict[str, Any], said: list[str]) -> None:
    found = [f"{field}: {reason}" for field, reason in wrong(**values)]

    assert len(found) == len(said)
    assert all(one.startswith(words) for one, words in zip(found, said, strict=True))


@pytest.mark.parametrize(
    "values",
    [
        {"levels": "2"}, {"levels": "500"}, {"fee_maker": "0"}, {"fee_maker": "0.1"}, {"latency_ms": "60000"},
        {"max_drawdown": "1"}, {"max_trades_per_day": "1"}, {"lower": "1", "upper": "2"},
    ],
)  # fmt: skip
def test_on_the_edge_it_is_taken(values: dict[str, Any]) -> None:
    read(values)


def test_the_core_runs_long_unless_told_otherwise() -> None:
    assert read({"engine": "core"}).mode is Mode.LONG
    assert read({}).mode is Mode.NEUTRAL
    assert read({"engine": "core"}).engine is Engine.CORE


def test_levels_between_bounds() -> None:
    arithmetic = read({"grid": "arithmetic", "levels": "5", "lower": "100", "upper": "104"})
    geometric = read({"levels": "3", "lower": "100", "upper": "400"})

    assert lay_grid(arithmetic, BTC, 10_150).levels == (10_000, 10_100, 10_200, 10_300, 10_400)
    assert lay_grid(geometric, BTC, 10_150).levels == (10_000, 20_000, 40_000)


def test_levels_around_the_first_price_are_those_of_the_live_ladder() -> None:
    levels = lay_grid(read({"levels": "3", "step": "0.01", "grid": "arithmetic"}), BTC, 10_000).levels

    assert levels == (9_850, 9_950, 10_050)  # the slot around the price, and the rest below


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"lower": "100.005", "upper": "200"}, r"grid: .*lower 100\.005 is not on the tick 0\.01; use 100\.00"),
        ({"lower": "100", "upper": "100.1"}, r"grid: .*two levels fall on the same tick \(0\.01\)"),
        ({"step": "0.000001"}, r"grid: .*two levels fall on the same tick \(0\.01\)"),
        ({"lot": "4.99", "step": "0.01"}, r"lot: 4\.99 is below the venue's smallest order at .*; use 5"),
    ],
)
def test_a_grid_that_cannot_be_laid_says_why(values: dict[str, str], said: str) -> None:
    with pytest.raises(UnusableSettings, match=said):
        lay_grid(read(values), BTC, 10_000)


def test_a_lot_of_the_smallest_order_is_taken() -> None:
    laid = lay_grid(read({"lot": "5", "lower": "100", "upper": "101", "levels": "2"}), BTC, 10_050)

    assert laid.lots == (5_000,)


def test_the_settings_are_kept_as_json_and_read_back() -> None:
    queued = read({"queue": "power:2.5"})
    assert queued.as_json()["queue"] == "power:2.5"
    assert read(queued.as_json()) == queued
    settings = read({"lower": "1", "upper": "2.5", "fee_maker": "0.001", "engine": "core"} | {"engine": "kernel"})

    assert read(settings.as_json()) == settings

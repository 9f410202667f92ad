"""The charts of a backtest: every colour is a token, nothing is lost on the way, and what is thinned says so."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trading.domain.test_backtest_report import prints, ran
from trading.domain.backtest_figures import CAPTIONS, FIGURES, compared, figures
from trading.domain.backtest_report import MOST_DRAWN, Report, report

TOKENS = Path(__file__).resolve().parents[3] / "static" / "css" / "tokens.css"


@pytest.fixture(scope="module")
def told() -> Report:
    return report(ran(prints("101.5", "101", "100", "101", "100.5"), mode="long"))


def texts(part: Any) -> list[str]:
    if isinstance(part, dict):
        return [text for value in part.values() for text in texts(value)]
    if isinstance(part, list):
        return [text for value in part for text in texts(value)]
    return [part] if isinstance(part, str) else []


def test_every_colour_is_a_token_of_the_console(told: Report) -> None:
    known = set(re.findall(r"(--[\w-]+):", TOKENS.read_text()))
    drawn = {**figures(told.curves, told.facts, "USDT"), **compared([("a", told.curves), ("b", told.curves)])}

    colours = {text for text in texts(drawn) if text.startswith("--")}

    assert colours <= known
    assert {"--up", "--down", "--accent"} <= colours


def test_every_figure_has_its_words_and_is_plain_json(told: Report) -> None:
    drawn = figures(told.curves, told.facts, "USDT")

    assert set(drawn) == set(FIGURES) == set(CAPTIONS)
    assert json.loads(json.dumps(drawn)) == json.loads(json.dumps(drawn, allow_nan=False))


def test_the_price_shows_each_level_and_each_fill(told: Report) -> None:
    figure = figures(told.curves, told.facts, "USDT")["price"]
    bought, sold = figure["data"][1:]

    assert [shape["y0"] for shape in figure["layout"]["shapes"]] == [100.0, 101.0, 102.0]
    assert (bought["y"], sold["y"]) == ([101.0, 100.0], [101.0])


def test_the_heat_counts_buys_to_the_left_and_sells_to_the_right(told: Report) -> None:
    buys, sells = figures(told.curves, told.facts, "USDT")["heat"]["data"]

    assert (buys["x"], sells["x"]) == ([-1, -1, 0], [0, 1, 0])
    assert buys["customdata"][0][1] == "grid profit +0.7990 USDT"


def test_grid_profit_stands_beside_equity(told: Report) -> None:
    equity, grid = figures(told.curves, told.facts, "USDT")["equity"]["data"]

    assert equity["y"][-1] == float(told.facts["equity"])
    assert grid["y"][-1] == pytest.approx(1_000.799)


def test_of_many_fills_every_nth_is_drawn() -> None:
    many = report(ran(prints(*(["101", "102"] * (MOST_DRAWN // 2 + 2))), mode="long"))

    assert many.facts["fills"] > MOST_DRAWN
    assert many.facts["drawn_every"] == 2
    assert len(many.curves["fill_at"]) == -(-many.facts["fills"] // 2)


def test_runs_are_compared_from_their_own_beginning(told: Report) -> None:
    later = {**told.curves, "at": [at + 86_400_000 for at in told.curves["at"]]}

    first, second = compared([("a", told.curves), ("b", later)])["equity"]["data"]

    assert first["x"] == second["x"]
    assert first["x"][0] == 0
    assert first["y"][0] == 0
    assert np.allclose(first["y"], second["y"])

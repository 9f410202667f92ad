"""The charts of a report: holes stay holes, steps add up, phases stand behind them."""

from typing import Any

import pytest

from riskops.domain.figures import FEW, FIGURES, drawdown, equity, fees, paths, symbols, unrealized


def mandate(phase: str, since: str, stop: str = "0.02") -> dict[str, Any]:
    limits = {"max_daily_drawdown_fraction": stop, "max_daily_drawdown_hard_fraction": "0.05"}
    return {"phase": phase, "since": since, "limits": limits}


def facts(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "quote": "USDT",
        "since": "2026-11-02T00:00:00+00:00",
        "until": "2026-11-04T00:00:00+00:00",
        "equity": {"first": "300", "last": "303"},
        "series": [
            ["2026-11-02T01:00:00+00:00", "301", "302", "299", "0.01"],
            ["2026-11-02T02:00:00+00:00", None, None, None, None],
            ["2026-11-02T03:00:00+00:00", "303", "304", "301", "0"],
        ],
        "symbols": [{"symbol": "BTCUSDT", "realized": "4"}, {"symbol": "ETHUSDT", "realized": "-2.5"}],
        "days": [{"day": "2026-11-02", "fees": "0.5"}, {"day": "2026-11-03", "fees": None}],
        "mandates": [
            mandate("4.0", "2026-11-01T00:00:00+00:00"),
            mandate("4.0", "2026-11-02T06:00:00+00:00"),
            mandate("4.1", "2026-11-03T00:00:00+00:00", stop="0.01"),
        ],
    }
    return values | changes


def test_equity_has_a_hole_where_nobody_looked() -> None:
    (line,) = equity(facts())["data"]

    assert line["y"] == [301.0, None, 303.0]
    assert line["customdata"][0] == (302.0, 299.0)


@pytest.mark.parametrize(("points", "mode"), [(FEW, "lines+markers"), (FEW + 1, "lines")])
def test_few_points_are_marked_for_one_alone_is_no_line(points: int, mode: str) -> None:
    series = [[f"2026-11-02T00:{number:02}:00+00:00", "1", "1", "1", "0"] for number in range(points)]

    assert equity(facts(series=series))["data"][0]["mode"] == mode


def test_a_fall_points_downwards_beside_the_limits_that_were_in_force() -> None:
    fall, stop, hard = drawdown(facts())["data"]

    assert fall["y"] == [-1.0, None, 0.0]
    assert stop["y"] == [-2.0, -2.0, None, -2.0, -2.0, None, -1.0, -1.0, None]
    assert stop["x"][0] == "2026-11-02T00:00:00+00:00"  # a mandate that is older begins with the period
    assert set(hard["y"]) == {-5.0, None}


def test_a_limit_that_is_not_set_is_not_drawn() -> None:
    unset = mandate("4.0", "2026-11-01T00:00:00+00:00")
    unset["limits"]["max_daily_drawdown_fraction"] = None

    assert drawdown(facts(mandates=[unset]))["data"][1]["x"] == []


def test_the_steps_of_the_symbols_add_up_to_the_profit_or_loss() -> None:
    (bars,) = symbols(facts())["data"]

    assert bars["x"] == ["BTCUSDT", "ETHUSDT", "not sold", "P&L"]
    assert bars["y"] == [4.0, -2.5, 1.5, 3.0]
    assert bars["base"] == [0, 4.0, 1.5, 0.0]
    assert bars["marker"]["color"] == ["--up", "--down", "--up", "--up"]


def test_without_an_equity_there_is_no_sum() -> None:
    unknown = facts(equity=None)

    assert unrealized(unknown) is None
    assert symbols(unknown)["data"][0]["x"] == ["BTCUSDT", "ETHUSDT"]


def test_fees_of_a_day_without_a_known_value_show_no_bar() -> None:
    (bars,) = fees(facts())["data"]

    assert bars["y"] == [0.5, None]
    assert "width" in bars
    assert "width" not in fees(facts(days=[{"day": str(n), "fees": "1"} for n in range(5)]))["data"][0]


def test_mandates_of_one_phase_are_one_band() -> None:
    layout = equity(facts())["layout"]

    assert [one["text"] for one in layout["annotations"]] == ["phase 4.0", "phase 4.1"]
    assert [(one["x0"], one["x1"], one["opacity"]) for one in layout["shapes"]] == [
        ("2026-11-02T00:00:00+00:00", "2026-11-03T00:00:00+00:00", 0.5),
        ("2026-11-03T00:00:00+00:00", "2026-11-04T00:00:00+00:00", 0.0),
    ]


@pytest.mark.parametrize("name", FIGURES)
def test_a_desk_without_anything_has_its_charts(name: str) -> None:
    empty = facts(series=[], symbols=[], days=[], mandates=[], equity=None)

    assert FIGURES[name](empty)["layout"]["shapes"] == []


def test_paths_are_drawn_on_a_logarithmic_scale() -> None:
    found = paths([("Measured", "--accent", "solid", [("2026-11-02", "300"), ("2026-11-03", "600")])], "USDT")

    assert (found["data"][0]["y"], found["layout"]["yaxis"]["type"]) == ([300.0, 600.0], "log")

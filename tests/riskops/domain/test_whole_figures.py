"""A chart is a promise to the browser: every column, every colour by its token, every axis, written out once."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from riskops.domain.figures import FEW, drawdown, equity, fees, paths, symbols, unrealized

BEFORE, BEGIN, MIDDLE, END = "2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"
FACTS: Mapping[str, Any] = {
    "quote": "USDT",
    "since": BEGIN,
    "until": END,
    "equity": {"first": "300", "last": "353", "paid_in": "50"},
    "series": [["2026-11-02T01", "301", "302", "299", "0.01"], ["2026-11-02T02", None, None, None, None]],
    "symbols": [{"symbol": "BTCUSDT", "realized": "4"}, {"symbol": "ETHUSDT", "realized": "-2.5"}],
    "days": [{"day": "2026-11-02", "fees": "0.5"}, {"day": "2026-11-03", "fees": None}],
    "mandates": [
        {
            "phase": "4.0",
            "since": BEFORE,
            "limits": {"max_daily_drawdown_fraction": "0.02", "max_daily_drawdown_hard_fraction": "0.05"},
        },
        {
            "phase": "4.1",
            "since": MIDDLE,
            "limits": {"max_daily_drawdown_fraction": "0.01", "max_daily_drawdown_hard_fraction": "0.04"},
        },
    ],
}

BANDS = [
    {
        "type": "rect", "xref": "x", "yref": "paper", "x0": BEGIN, "x1": MIDDLE, "y0": 0, "y1": 1, "layer": "below",
        "line": {"width": 0}, "fillcolor": "--raised", "opacity": 0.5,
    },
    {
        "type": "rect", "xref": "x", "yref": "paper", "x0": MIDDLE, "x1": END, "y0": 0, "y1": 1, "layer": "below",
        "line": {"width": 0}, "fillcolor": "--raised", "opacity": 0.0,
    },
]  # fmt: skip
BAND_NAMES = [
    {
        "xref": "x", "yref": "paper", "x": BEGIN, "y": 1, "xanchor": "left", "yanchor": "bottom", "showarrow": False,
        "text": "phase 4.0", "font": {"size": 11, "color": "--muted"},
    },
    {
        "xref": "x", "yref": "paper", "x": MIDDLE, "y": 1, "xanchor": "left", "yanchor": "bottom", "showarrow": False,
        "text": "phase 4.1", "font": {"size": 11, "color": "--muted"},
    },
]  # fmt: skip
AXIS = {"gridcolor": "--line", "linecolor": "--line", "zerolinecolor": "--line-strong", "automargin": True}
FRAME = {  # what every chart shares
    "margin": {"l": 64, "r": 16, "t": 26, "b": 36},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"family": "Inter, sans-serif", "size": 12, "color": "--muted"},
    "showlegend": False,
    "hovermode": "x unified",
    "hoverlabel": {"bgcolor": "--surface", "bordercolor": "--line-strong", "font": {"color": "--text"}},
    "xaxis": {**AXIS, "type": "date"},
    "shapes": BANDS,
    "annotations": BAND_NAMES,
}

EQUITY = {
    "data": [
        {
            "type": "scatter",
            "name": "Equity",
            "x": ["2026-11-02T01", "2026-11-02T02"],
            "y": [301.0, None],
            "customdata": [(302.0, 299.0), (None, None)],
            "mode": "lines+markers",
            "marker": {"size": 5},
            "line": {"color": "--accent", "width": 1.6},
            "hovertemplate": "%{y:.2f}, highest %{customdata[0]:.2f}, lowest %{customdata[1]:.2f}<extra></extra>",
        }
    ],
    "layout": {**FRAME, "yaxis": {**AXIS, "title": {"text": "Equity, USDT"}}},
}
DRAWDOWN = {
    "data": [
        {
            "type": "scatter",
            "name": "Fall from the high",
            "x": ["2026-11-02T01", "2026-11-02T02"],
            "y": [-1.0, None],
            "mode": "lines+markers",
            "marker": {"size": 5},
            "line": {"color": "--down", "width": 1.6},
            "fill": "tozeroy",
            "fillcolor": "--accent-wash",
        },
        {
            "type": "scatter",
            "name": "Daily stop",
            "x": [BEGIN, MIDDLE, None, MIDDLE, END, None],
            "y": [-2.0, -2.0, None, -1.0, -1.0, None],
            "mode": "lines",
            "line": {"color": "--crit", "width": 1.2, "dash": "dash"},
        },
        {
            "type": "scatter",
            "name": "Hard stop",
            "x": [BEGIN, MIDDLE, None, MIDDLE, END, None],
            "y": [-5.0, -5.0, None, -4.0, -4.0, None],
            "mode": "lines",
            "line": {"color": "--crit", "width": 1.2, "dash": "dash"},
        },
    ],
    "layout": {**FRAME, "yaxis": {**AXIS, "title": {"text": "Drawdown, %"}}},
}
SYMBOLS = {
    "data": [
        {
            "type": "bar",
            "x": ["BTCUSDT", "ETHUSDT", "not sold", "P&L"],
            "y": [4.0, -2.5, 1.5, 3.0],
            "base": [0, 4.0, 1.5, 0.0],
            "text": ["+4.00", "-2.50", "+1.50", "+3.00"],
            "textposition": "outside",
            "cliponaxis": False,
            "marker": {"color": ["--up", "--down", "--up", "--up"]},
            "hovertemplate": "%{x} %{text}<extra></extra>",
        }
    ],
    "layout": {
        **FRAME,
        "hovermode": "closest",
        "xaxis": AXIS,
        "yaxis": {**AXIS, "title": {"text": "P&L, USDT"}},
        "shapes": [],
        "annotations": [],
    },
}
FEES = {
    "data": [
        {
            "type": "bar",
            "x": ["2026-11-02", "2026-11-03"],
            "y": [0.5, None],
            "marker": {"color": "--trace"},
            "width": 28_800_000,  # a third of a day, in ms
        }
    ],
    "layout": {**FRAME, "yaxis": {**AXIS, "title": {"text": "Fees, USDT"}}, "shapes": [], "annotations": []},
}
PATHS = {
    "data": [
        {
            "type": "scatter",
            "name": "Roadmap",
            "mode": "lines+markers",
            "marker": {"size": 5},
            "x": [BEGIN, END],
            "y": [300.0, 600.0],
            "line": {"color": "--muted", "dash": "dot", "width": 1.8},
        },
        {
            "type": "scatter",
            "name": "Measured",
            "mode": "lines+markers",
            "marker": {"size": 5},
            "x": [BEGIN],
            "y": [310.5],
            "line": {"color": "--accent", "dash": "solid", "width": 1.8},
        },
    ],
    "layout": {
        **FRAME,
        "showlegend": True,
        "legend": {"orientation": "h", "y": -0.16},
        "yaxis": {**AXIS, "type": "log", "title": {"text": "Capital, USDT"}},
        "shapes": [],
        "annotations": [],
    },
}


@pytest.mark.parametrize(
    ("draw", "expected"), [(equity, EQUITY), (drawdown, DRAWDOWN), (symbols, SYMBOLS), (fees, FEES)]
)
def test_a_chart_of_a_report_is_drawn_as_promised(
    draw: Callable[[Mapping[str, Any]], dict[str, Any]], expected: dict[str, Any]
) -> None:
    assert draw(FACTS) == expected


def test_paths_of_capital_are_drawn_as_promised() -> None:
    roadmap = ("Roadmap", "--muted", "dot", [(BEGIN, "300"), (END, "600")])
    measured = ("Measured", "--accent", "solid", [(BEGIN, "310.5")])

    assert paths([roadmap, measured], "USDT") == PATHS


@pytest.mark.parametrize(("points", "mode", "marker"), [(FEW, "lines+markers", {"size": 5}), (FEW + 1, "lines", None)])
@pytest.mark.parametrize("draw", [equity, drawdown])
def test_many_points_are_a_plain_line(
    draw: Callable[[Mapping[str, Any]], dict[str, Any]], points: int, mode: str, marker: dict[str, int] | None
) -> None:
    hole: list[str | None] = ["2026-11-03T00:00", None, None, None, None]  # is no point
    series = [hole, *([f"2026-11-02T00:{number:02}", "1", "1", "1", "0"] for number in range(points))]

    line = draw({**FACTS, "series": series})["data"][0]

    assert (line["mode"], line.get("marker")) == (mode, marker)


def test_charts_do_not_share_their_parts() -> None:
    equity(FACTS)["layout"]["margin"]["l"] = 0

    assert equity(FACTS)["layout"]["margin"]["l"] == 64


@pytest.mark.parametrize(("days", "width"), [(4, 28_800_000), (5, None)])
def test_bars_of_few_days_are_no_wider_than_a_third_of_a_day(days: int, width: int | None) -> None:
    found = fees({**FACTS, "days": [{"day": f"2026-11-0{number}", "fees": "1"} for number in range(1, days + 1)]})

    assert found["data"][0].get("width") == width


@pytest.mark.parametrize(
    ("paid_in", "expected"),
    [({}, 51.5), ({"paid_in": "0"}, 51.5), ({"paid_in": "50"}, 1.5), ({"paid_in": "-10"}, 61.5)],
    ids=["none is told", "nothing", "paid in", "taken out"],
)
def test_what_was_paid_in_is_no_profit(paid_in: dict[str, str], expected: float) -> None:
    assert unrealized({**FACTS, "equity": {"first": "300", "last": "353", **paid_in}}) == expected


@pytest.mark.parametrize(
    ("realized", "colour", "text"), [("0.01", "--up", "+0.01"), ("0", "--up", "+0.00"), ("-0.01", "--down", "-0.01")]
)
def test_only_a_loss_has_the_colour_of_a_loss(realized: str, colour: str, text: str) -> None:
    (bars,) = symbols({**FACTS, "equity": None, "symbols": [{"symbol": "BTCUSDT", "realized": realized}]})["data"]

    assert (bars["marker"]["color"], bars["text"], bars["base"]) == ([colour], [text], [0])


def test_a_phase_that_comes_back_is_a_band_of_its_own() -> None:
    moments = [(BEGIN, "4.0"), ("2026-11-02T12", "4.1"), (MIDDLE, "4.0"), ("2026-11-03T12", "4.0")]
    mandates = [{"phase": phase, "since": since, "limits": {}} for since, phase in moments]

    layout = equity({**FACTS, "mandates": mandates})["layout"]

    assert [(one["x0"], one["x1"], one["opacity"]) for one in layout["shapes"]] == [
        (BEGIN, "2026-11-02T12", 0.5),
        ("2026-11-02T12", MIDDLE, 0.0),
        (MIDDLE, END, 0.5),
    ]

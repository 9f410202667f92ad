"""Charts of a search as plain Plotly figures: what two parameters do together, and the front of what none beats."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from trading.domain.backtest_figures import Figure, figure

Row = Mapping[str, Any]  # one trial, see `search_report.row_of`
METRICS: Final[Mapping[str, str]] = {
    "return": "Return, %",
    "sharpe": "Sharpe ratio a span",
    "max_drawdown": "Drawdown, %",
}
HOVER: Final = "{} %{{x}}, {} %{{y}}<br>%{{customdata[0]:.4f}}, mean of %{{customdata[1]}}<extra></extra>"
PERCENT: Final = frozenset({"return", "max_drawdown"})
MOST_CELLS: Final = 40  # a side; more would be smaller than what a finger hits


def heat(rows: Sequence[Row], across: str, up: str, metric: str) -> Figure:
    """Return the mean of `metric` over every trial at each pair of values of two parameters; unknown ones left out.

    The mean, not the best: a good neighbourhood is worth more than a lucky point.
    """
    cells = defaultdict[tuple[str, str], list[float]](list)
    for row in rows:
        if row["score"] is not None and (value := row["score"][metric]) is not None:
            place = (row["parameters"][across], row["parameters"][up])
            cells[place].append(float(value) * (100 if metric in PERCENT else 1))
    means = {place: sum(values) / len(values) for place, values in cells.items()}
    counts = [len(cells[place]) for place in means]
    columns, lines = ({place[k] for place in means} for k in (0, 1))
    widest = max(len(columns), len(lines), 1)
    trace = {
        "type": "scatter", "mode": "markers", "x": [a for a, _ in means], "y": [b for _, b in means],
        "customdata": [[value, count] for value, count in zip(means.values(), counts, strict=True)],
        "hovertemplate": HOVER.format(across, up),
        "marker": {
            "symbol": "square", "size": max(7, min(46, 340 // widest)), "color": list(means.values()),
            "colorscale": _scale(list(means.values())),
            "line": {"width": 0.5, "color": "--line-strong"},
        },
    }  # fmt: skip
    drawn = figure([trace], up, dated=False)
    # In words, since Plotly's bar of colours writes styles into the page, which its security policy refuses.
    ends = f": colour {min(means.values()):.4f} to {max(means.values()):.4f}" if means else ""
    drawn["layout"]["xaxis"] |= {"title": {"text": f"{across} ({METRICS[metric]}{ends})"}, **_kind(columns)}
    drawn["layout"]["yaxis"] |= _kind(lines)
    return drawn


def front(rows: Sequence[Row], pareto: Sequence[int]) -> Figure:
    """Return every trial by its drawdown and return, and apart from them those that none beats."""
    known = [row for row in rows if row["score"] is not None]
    best = set(pareto)
    others = [row for row in known if row["number"] not in best]
    leading = sorted(
        (row for row in known if row["number"] in best), key=lambda row: float(row["score"]["max_drawdown"])
    )
    data = [
        _points("Other trials", others, {"size": 6, "color": "--faint", "opacity": 0.6}),
        _points(
            "Beaten by none", leading,
            {"size": 11, "symbol": "diamond", "color": "--accent", "line": {"width": 1, "color": "--surface"}},
        ),
    ]  # fmt: skip
    drawn = figure(data, "Return, %", legend=True, dated=False)
    drawn["layout"]["xaxis"] |= {"title": {"text": "Largest drawdown, %"}}
    return drawn


def _points(name: str, rows: Sequence[Row], marker: Mapping[str, Any]) -> Figure:
    return {
        "type": "scatter", "mode": "markers", "name": name, "marker": marker,
        "x": [100 * float(row["score"]["max_drawdown"]) for row in rows],
        "y": [100 * float(row["score"]["return"]) for row in rows],
        "text": [_named(row) for row in rows],
        "hovertemplate": "%{text}<br>return %{y:.4f} %, drawdown %{x:.4f} %<extra></extra>",
    }  # fmt: skip


def _named(row: Row) -> str:
    parameters = ", ".join(f"{name} {value}" for name, value in sorted(row["parameters"].items()))
    return f"trial {row['number']}: {parameters}; turnover {float(row['score']['turnover']):,.2f}"


def _scale(values: Sequence[float]) -> list[list[float | str]]:
    """Return colours that change their hue at zero where values lie on both sides of it."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    if low < 0 < high:
        return [[0, "--down"], [-low / (high - low), "--surface"], [1, "--up"]]
    return [[0, "--down"], [1, "--line-strong"]] if high <= 0 else [[0, "--line-strong"], [1, "--up"]]


def _kind(values: set[str]) -> dict[str, Any]:
    """Return the axis of these values: a cell each where they are few, else numbers on a line."""
    numbers = all(value.replace(".", "").replace("-", "").isdigit() for value in values)
    if numbers and len(values) > MOST_CELLS:
        spread = [float(value) for value in values]
        return {"type": "log" if min(spread) > 0 and max(spread) / min(spread) >= 10 else "linear"}
    order = sorted(values, key=float) if numbers else sorted(values)
    return {"type": "category", "categoryorder": "array", "categoryarray": order}

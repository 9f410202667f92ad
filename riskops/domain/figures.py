"""Charts of a report as plain Plotly figures; a colour is the name of a token, which the browser fills in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Figure = dict[str, Any]
_LINE: Final = {"width": 1.6}
_MARGIN: Final = {"l": 64, "r": 16, "t": 26, "b": 36}


def equity(facts: Mapping[str, Any]) -> Figure:
    """Return equity over time, the last of each slice; pointing at it tells its highest and lowest."""
    at, last, high, low, _ = _columns(facts["series"])
    line: Figure = {
        "type": "scatter", "name": "Equity", "x": at, "y": last, "customdata": list(zip(high, low, strict=True)),
        "mode": "lines", "line": {"color": "--accent", **_LINE},
        "hovertemplate": "%{y:.2f}, highest %{customdata[0]:.2f}, lowest %{customdata[1]:.2f}<extra></extra>",
    }  # fmt: skip
    return _figure(_marked([line]), f"Equity, {facts['quote']}", facts)


def drawdown(facts: Mapping[str, Any]) -> Figure:
    """Return the fall from the highest equity so far over time, in percent, with the daily limits of each mandate."""
    at, _, _, _, fall = _columns(facts["series"])
    below = [None if value is None else -100 * value for value in fall]
    data: list[Figure] = [
        {
            "type": "scatter", "name": "Fall from the high", "x": at, "y": below, "mode": "lines",
            "line": {"color": "--down", **_LINE}, "fill": "tozeroy", "fillcolor": "--accent-wash",
        }
    ]  # fmt: skip
    edges = _spans(facts)
    for name, title in (
        ("max_daily_drawdown_fraction", "Daily stop"),
        ("max_daily_drawdown_hard_fraction", "Hard stop"),
    ):
        x, y = list[str | None](), list[float | None]()
        for mandate, since, until in edges:
            if (limit := mandate["limits"].get(name)) is not None:
                x, y = [*x, since, until, None], [*y, -100 * float(limit), -100 * float(limit), None]
        dash = {"color": "--crit", "width": 1.2, "dash": "dash"}
        data.append({"type": "scatter", "name": title, "x": x, "y": y, "mode": "lines", "line": dash})
    return _figure([*_marked(data[:1]), *data[1:]], "Drawdown, %", facts)


def symbols(facts: Mapping[str, Any]) -> Figure:
    """Return the P&L as steps: what each symbol realised, then what was not realised by a sale, then their sum."""
    names, values = [row["symbol"] for row in facts["symbols"]], [float(row["realized"]) for row in facts["symbols"]]
    if (rest := unrealized(facts)) is not None:
        names, values = [*names, "not sold"], [*values, rest]
    bases = [sum(values[:number]) for number in range(len(values))]
    if rest is not None:
        names, values, bases = [*names, "P&L"], [*values, sum(values)], [*bases, 0.0]
    colours = ["--up" if value >= 0 else "--down" for value in values]
    words = [f"{value:+.2f}" for value in values]
    data = [
        {
            "type": "bar", "x": names, "y": values, "base": bases, "text": words, "textposition": "outside",
            "cliponaxis": False, "marker": {"color": colours}, "hovertemplate": "%{x} %{text}<extra></extra>",
        }
    ]  # fmt: skip
    return _figure(data, f"P&L, {facts['quote']}", facts, dated=False)


def fees(facts: Mapping[str, Any]) -> Figure:
    """Return the fees of each UTC day; a day whose fees have no known value shows no bar."""
    days = facts["days"]
    values = [None if row["fees"] is None else float(row["fees"]) for row in days]
    bars: Figure = {"type": "bar", "x": [row["day"] for row in days], "y": values, "marker": {"color": "--trace"}}
    if len(days) <= 4:
        bars["width"] = DAY_MS // 3
    figure = _figure([bars], f"Fees, {facts['quote']}", facts)
    figure["layout"]["shapes"] = figure["layout"]["annotations"] = []
    return figure


FIGURES: Final[Mapping[str, Callable[[Mapping[str, Any]], Figure]]] = {
    "equity": equity,
    "drawdown": drawdown,
    "symbols": symbols,
    "fees": fees,
}


def paths(named: Sequence[tuple[str, str, str, Sequence[tuple[str, str]]]], quote: str) -> Figure:
    """Return paths of capital; each is (name, colour, dash, points of moment and amount), drawn as steps."""
    data: list[Figure] = [
        {
            "type": "scatter", "name": name, "mode": "lines+markers", "marker": {"size": 5},
            "x": [at for at, _ in points], "y": [float(amount) for _, amount in points],
            "line": {"color": colour, "dash": dash, "width": 1.8},
        }
        for name, colour, dash, points in named
    ]  # fmt: skip
    figure = _figure(data, f"Capital, {quote}", {"mandates": []})
    figure["layout"]["yaxis"]["type"] = "log"
    figure["layout"] |= {"showlegend": True, "legend": {"orientation": "h", "y": -0.16}}
    return figure


def unrealized(facts: Mapping[str, Any]) -> float | None:
    """Return what equity moved beyond what sales realised and what was paid in, None where no equity was recorded."""
    if facts["equity"] is None:
        return None
    moved = float(facts["equity"]["last"]) - float(facts["equity"]["first"]) - float(facts["equity"].get("paid_in", 0))
    return moved - sum(float(row["realized"]) for row in facts["symbols"])


DAY_MS: Final = 86_400_000
FEW: Final = 60  # points; so few show as points, for one of them alone is no line


def _marked(data: list[Figure]) -> list[Figure]:
    """Return the last of `data` with its points marked where there are few."""
    if sum(value is not None for value in data[-1]["y"]) <= FEW:
        data[-1] |= {"mode": "lines+markers", "marker": {"size": 5}}
    return data


# --- parts ------------------------------------------------------------------------------------------------------------


def _columns(series: Sequence[Sequence[str | None]]) -> tuple[list[Any], ...]:
    at = [row[0] for row in series]
    return (at, *([None if row[n] is None else float(row[n] or 0) for row in series] for n in range(1, 5)))


def _figure(data: list[Figure], title: str, facts: Mapping[str, Any], *, dated: bool = True) -> Figure:
    axis = {"gridcolor": "--line", "linecolor": "--line", "zerolinecolor": "--line-strong", "automargin": True}
    phases = _phases(facts)
    shapes = [
        {
            "type": "rect", "xref": "x", "yref": "paper", "x0": since, "x1": until, "y0": 0, "y1": 1, "layer": "below",
            "line": {"width": 0}, "fillcolor": "--raised", "opacity": 0.0 if number % 2 else 0.5,
        }
        for number, (_, since, until) in enumerate(phases)
    ]  # fmt: skip
    words = [
        {
            "xref": "x", "yref": "paper", "x": since, "y": 1, "xanchor": "left", "yanchor": "bottom",
            "showarrow": False, "text": f"phase {phase}", "font": {"size": 11, "color": "--muted"},
        }
        for phase, since, _ in phases
    ]  # fmt: skip
    return {
        "data": data,
        "layout": {
            "margin": dict(_MARGIN),
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "Inter, sans-serif", "size": 12, "color": "--muted"},
            "showlegend": False,
            "hovermode": "x unified" if dated else "closest",
            "hoverlabel": {"bgcolor": "--surface", "bordercolor": "--line-strong", "font": {"color": "--text"}},
            "xaxis": {**axis, **({"type": "date"} if dated else {})},
            "yaxis": {**axis, "title": {"text": title}},
            "shapes": shapes if dated else [],
            "annotations": words if dated else [],
        },
    }


def _spans(facts: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str, str]]:
    """Return each mandate with the part of the period it was in force."""
    mandates = facts["mandates"]
    ends = [*(row["since"] for row in mandates[1:]), facts["until"]] if mandates else []
    return [(row, max(row["since"], facts["since"]), end) for row, end in zip(mandates, ends, strict=True)]


def _phases(facts: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return each phase with its span; mandates of one phase that follow each other are one band."""
    found: list[tuple[str, str, str]] = []
    for row, since, until in _spans(facts):
        if found and found[-1][0] == row["phase"]:
            since = found.pop()[1]
        found.append((row["phase"], since, until))
    return found

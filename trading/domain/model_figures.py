"""Charts of a model as plain Plotly figures: how it learned, how far its word holds, what it said and what came."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from trading.domain.backtest_figures import Figure, figure

CAPTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "training": ("Training", "Loss after each epoch on what it learned from and on what it did not see."),
    "learning": ("Learning curve", "Loss after learning from so many rows; the band, where known, holds 95 %."),
    "reliability": ("Reliability", "How often what was said with a probability came; on the dotted line they agree."),
    "forecasts": ("Forecast and outcome", "Log of the mean squared return an hour: said, its 10 to 90 % span, came."),
}
MOST_TICKS: Final = 12  # epochs that are named one by one
_WIDE: Final = {"width": 1.6}


def training(epochs: Sequence[Mapping[str, float]]) -> Figure:
    """Return the loss of each epoch; rows as `Fitted.curve`."""
    x = [row["epoch"] for row in epochs]
    names = (("train", "Learned from", "--accent"), ("validation", "Not seen", "--warn"))
    data = [_line(words, x, [row.get(name) for row in epochs], colour) for name, words, colour in names]
    drawn = figure(data, "Loss", legend=True, dated=False)
    drawn["layout"]["xaxis"] |= {"title": {"text": "epoch"}, **({"dtick": 1} if len(x) <= MOST_TICKS else {})}
    return drawn


def learning(
    rows: Sequence[int], loss: Sequence[float], low: Sequence[float | None], high: Sequence[float | None]
) -> Figure:
    """Return the loss by how much was learned from, with its band where one is known."""
    drawn = figure([*_band(list(rows), low, high), _line("Loss", list(rows), loss, "--accent")], "Loss", dated=False)
    drawn["layout"]["xaxis"] |= {"type": "log", "title": {"text": "rows learned from"}}
    return drawn


def reliability(said: Sequence[float], came: Sequence[float]) -> Figure:
    """Return how often what was said came."""
    agree = {**_line("Agreement", [0, 1], [0, 1], "--line-strong"), "line": {"color": "--muted", "dash": "dot"}}
    model = {**_line("Model", list(said), came, "--accent"), "mode": "lines+markers", "marker": {"color": "--accent"}}
    drawn = figure([agree, model], "came", dated=False)
    drawn["layout"]["xaxis"] |= {"title": {"text": "said"}, "range": [0, 1]}
    drawn["layout"]["yaxis"] |= {"range": [0, 1]}
    return drawn


def forecasts(
    at: Sequence[str],
    said: Sequence[float | None],
    low: Sequence[float | None],
    high: Sequence[float | None],
    came: Sequence[float | None],
) -> Figure:
    """Return what was said and what came over time."""
    data = [
        *_band(list(at), low, high),
        _line("Said", list(at), said, "--accent"),
        _line("Came", list(at), came, "--warn"),
    ]
    return figure(data, "log RV", legend=True)


def _band(x: list[Any], low: Sequence[float | None], high: Sequence[float | None]) -> list[Figure]:
    edge = {"width": 0}
    under = {**_line("", x, low, "--accent"), "line": edge, "showlegend": False, "hoverinfo": "skip"}
    over = {**_line("", x, high, "--accent"), "line": edge, "showlegend": False, "hoverinfo": "skip"}
    return [under, over | {"fill": "tonexty", "fillcolor": "--accent-wash"}]


def _line(name: str, x: list[Any], y: Sequence[float | None], colour: str) -> Figure:
    return {"type": "scatter", "name": name, "x": x, "y": list(y), "mode": "lines", "line": {"color": colour, **_WIDE}}

"""Charts of a backtest as plain Plotly figures; a colour is the name of a token, which the page fills in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Figure = dict[str, Any]
Curves = Mapping[str, Any]
_LINE: Final = {"width": 1.6}
_MARGIN: Final = {"l": 64, "r": 16, "t": 26, "b": 36}
_AXIS: Final = {"gridcolor": "--line", "linecolor": "--line", "zerolinecolor": "--line-strong", "automargin": True}


def equity(curves: Curves, facts: Mapping[str, Any], quote: str) -> Figure:
    """Return the equity over time, and what of it is grid profit: the two part where the inventory gains or loses."""
    base = float(facts["opening_equity"])
    grid = [base + earned for earned in curves["grid_profit"]]
    data = [
        _line("Equity", curves["at"], curves["equity"], "--accent"),
        _line("Opening equity + grid profit", curves["at"], grid, "--ok", dash="dot", shape="hv"),
    ]
    return figure(data, f"Equity, {quote}", legend=True)


def drawdown(curves: Curves, facts: Mapping[str, Any], quote: str) -> Figure:
    """Return the fall from the highest equity so far, percent, at its deepest in every span of time."""
    below = [-100 * fall for fall in curves["fall"]]
    filled = {"fill": "tozeroy", "fillcolor": "--accent-wash"}
    return figure([_line("Fall from the high", curves["fell_at"], below, "--down") | filled], "Drawdown, %")


def price(curves: Curves, facts: Mapping[str, Any], quote: str) -> Figure:
    """Return the price with every level, and each fill where it happened."""
    data = [_line("Price", curves["price_at"], curves["price"], "--trace")]
    data += [_fills(curves, bought=True), _fills(curves, bought=False)]
    drawn = figure(data, f"Price, {quote}", legend=True)
    drawn["layout"]["hovermode"] = "closest"
    drawn["layout"]["shapes"] = [
        {
            "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": level, "y1": level, "layer": "below",
            "line": {"color": "--line-strong", "width": 0.7, "dash": "dot"},
        }
        for level in curves["levels"]
    ]  # fmt: skip
    return drawn


def heat(curves: Curves, facts: Mapping[str, Any], quote: str) -> Figure:
    """Return how often each level filled: buys to the left, sells to the right, and what its slot earned."""
    rows = facts["per_level"]
    names = [row["price"] for row in rows]
    earned = [f"grid profit {float(row['grid_profit']):+.4f} {quote}" for row in rows]
    data = [
        _bars("Buys", names, [-row["buys"] for row in rows], [row["buys"] for row in rows], earned, "--up"),
        _bars("Sells", names, [row["sells"] for row in rows], [row["sells"] for row in rows], earned, "--down"),
    ]
    drawn = figure(data, "", legend=True, dated=False)
    drawn["layout"] |= {"barmode": "relative", "bargap": 0.15}
    drawn["layout"]["yaxis"] |= {"type": "category", "tickfont": {"size": 10}}
    drawn["layout"]["xaxis"] |= {"title": {"text": "fills: buys | sells"}}
    return drawn


Draw = Callable[[Curves, Mapping[str, Any], str], Figure]
FIGURES: Final[Mapping[str, Draw]] = {"equity": equity, "drawdown": drawdown, "price": price, "heat": heat}
CAPTIONS: Final[Mapping[str, tuple[str, str]]] = {  # of each figure: its title, and what it shows
    "equity": (
        "Equity",
        "Equity, and what it would be of grid profit alone. The difference is what the inventory gained or lost.",
    ),
    "drawdown": ("Drawdown", "How far equity lay below its highest so far; no deeper moment is left out."),
    "price": ("Levels and fills on the price", "Every level is a dotted line; triangles up are buys, down are sells."),
    "heat": ("Heat of each level", "Buys at a level to the left, sells at it to the right."),
}


OF_THE_SUM: Final = ("equity", "drawdown")  # figures of a purse; the others are drawn for each symbol


def figures(curves: Curves, facts: Mapping[str, Any], quote: str) -> dict[str, Figure]:
    """Return every figure of a run; of several symbols those of the sum, and the others for each: "price-BTCUSDT"."""
    if "symbols" not in facts:
        return {name: draw(curves, facts, quote) for name, draw in FIGURES.items()}
    drawn = {name: FIGURES[name](curves, facts, quote) for name in OF_THE_SUM}
    for leg in facts["symbols"]:
        own = curves["symbols"][leg["symbol"]]
        drawn |= {f"{name}-{leg['symbol']}": FIGURES[name](own, leg, quote) for name in FIGURES.keys() - {*OF_THE_SUM}}
    return drawn


def captions(facts: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return title and words of every figure of a run, in the order they are shown; what is thinned says so."""
    if "symbols" not in facts:
        return {name: _thinned(name, facts["drawn_every"]) for name in FIGURES}
    found = {name: CAPTIONS[name] for name in OF_THE_SUM}
    for leg in facts["symbols"]:
        for name in (one for one in FIGURES if one not in OF_THE_SUM):
            title, words = _thinned(name, leg["drawn_every"])
            found[f"{name}-{leg['symbol']}"] = (f"{leg['symbol']}: {title}", words)
    return found


def _thinned(name: str, drawn_every: int) -> tuple[str, str]:
    title, words = CAPTIONS[name]
    if name == "price" and drawn_every > 1:
        words = f"{words} Only one of {drawn_every} fills is drawn."
    return title, words


def compared(runs: Sequence[tuple[str, Curves]]) -> dict[str, Figure]:
    """Return the equities and the drawdowns of runs on one chart each; time counts from the begin of each."""
    colours = ("--accent", "--down", "--ok", "--warn")
    equities, falls = list[Figure](), list[Figure]()
    for (name, curves), colour in zip(runs, colours, strict=False):
        begin = curves["at"][0]
        hours = [(at - begin) / 3_600_000 for at in curves["at"]]
        fell = [(at - begin) / 3_600_000 for at in curves["fell_at"]]
        change = [100 * (one / curves["equity"][0] - 1) for one in curves["equity"]]
        equities.append(_line(name, hours, change, colour))
        falls.append(_line(name, fell, [-100 * fall for fall in curves["fall"]], colour))
    shown = {
        "equity": figure(equities, "Equity, % of its beginning", legend=True, dated=False),
        "drawdown": figure(falls, "Drawdown, %", legend=True, dated=False),
    }
    for drawn in shown.values():
        drawn["layout"]["xaxis"] |= {"title": {"text": "hours from the first event"}}
    return shown


# --- parts ------------------------------------------------------------------------------------------------------------


def _line(
    name: str, x: Sequence[float], y: Sequence[float], colour: str, *, dash: str = "solid", shape: str = "linear"
) -> Figure:
    line = {"color": colour, "dash": dash, "shape": shape, **_LINE}
    return {"type": "scatter", "name": name, "x": x, "y": y, "mode": "lines", "line": line}


def _fills(curves: Curves, *, bought: bool) -> Figure:
    rows = [
        (at, price)
        for at, price, is_buy in zip(curves["fill_at"], curves["fill_price"], curves["bought"], strict=True)
        if is_buy is bought
    ]
    name, symbol, colour = ("Bought", "triangle-up", "--up") if bought else ("Sold", "triangle-down", "--down")
    return {
        "type": "scatter", "name": name, "mode": "markers", "x": [at for at, _ in rows], "y": [p for _, p in rows],
        "marker": {"symbol": symbol, "size": 9, "color": colour, "line": {"width": 1, "color": "--surface"}},
    }  # fmt: skip


def _bars(
    name: str, names: list[str], values: list[int], counts: list[int], earned: list[str], colour: str
) -> Figure:  # fmt: skip
    return {
        "type": "bar", "orientation": "h", "name": name, "y": names, "x": values, "marker": {"color": colour},
        "customdata": list(zip(counts, earned, strict=True)),
        "hovertemplate": "%{y}: %{customdata[0]} " + name.lower() + ", %{customdata[1]}<extra></extra>",
    }  # fmt: skip


def figure(data: list[Figure], title: str, *, legend: bool = False, dated: bool = True) -> Figure:
    """Return traces on one pair of axes; `title` is that of the upright one."""
    return {
        "data": data,
        "layout": {
            "margin": dict(_MARGIN),
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "Inter, sans-serif", "size": 12, "color": "--muted"},
            "showlegend": legend,
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "hovermode": "x unified" if dated else "closest",
            "hoverlabel": {"bgcolor": "--surface", "bordercolor": "--line-strong", "font": {"color": "--text"}},
            "xaxis": {**_AXIS, **({"type": "date"} if dated else {})},
            "yaxis": {**_AXIS, "title": {"text": title}},
            "shapes": [],
        },
    }

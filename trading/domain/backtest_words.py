"""The facts of a backtest in words, for a terminal; needs nothing but the facts."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from trading.domain.mark_outs import FEWEST_FILLS

RATIO_NAMES: Final = {
    "sharpe": "Sharpe",
    "sortino": "Sortino",
    "calmar": "Calmar",
    "win_rate": "win rate",
    "profit_factor": "profit factor",
}


def in_words(facts: Mapping[str, Any], quote: str) -> Iterator[str]:
    """Yield the facts of a run as lines for a terminal."""
    yield f"  fills         {facts['fills']:,}, {facts['round_trips']:,} round trips"
    yield f"  equity        {_money(facts['equity'])} {quote}, began with {_money(facts['opening_equity'])}"
    yield f"  P&L           {_money(facts['pnl'], sign='+')} {quote}, fees of {_money(facts['fees'])} included:"
    yield f"                grid profit {_money(facts['grid_profit'], sign='+')} (closed round trips, after both fees)"
    yield f"                inventory {_money(facts['inventory_pnl'], sign='+')} (what is held, at its mark)"
    yield f"  max drawdown  {_percent(facts['max_drawdown'])} ({_money(facts['max_drawdown_quote'])} {quote})"
    mean, most = _percent(facts["exposure_mean"]), _percent(facts["exposure_max"])
    yield f"  exposure      {mean} of equity on average, at most {most}"
    yield f"  turnover      {_money(facts['turnover'])} {quote}"
    for name, label in RATIO_NAMES.items():
        value = facts[name]
        shown = "unknown" if value is None else _percent(value) if name == "win_rate" else f"{Decimal(value):.3f}"
        yield f"  {label:<13} {shown} ({facts['measured_on'][name]})"
    yield f"  mark-out      {mark_out_in_words(facts)}"
    if (refused := facts.get("refused")) is not None:
        yield f"  refused       {refused:,} orders that would have traded on arrival, each sent again later"
    yield f"  ended         {facts['ended']}"
    yield f"  fills sha256  {facts['fills_sha256']}"


def leg_lines(leg: Mapping[str, Any], quote: str) -> Iterator[str]:
    """Yield what one of several symbols did, as lines for a terminal; nothing where there is one alone."""
    if (symbol := leg.get("symbol")) is None:
        return
    asked, levels = leg["settings"], leg["levels"]
    yield f"{symbol}: {asked['grid']} grid, {asked['mode']}, {len(levels)} levels {levels[0]} to {levels[-1]}"
    yield f"  fills         {leg['fills']:,}, {leg['round_trips']:,} round trips; ended: {leg['ended']}"
    pnl, grid, held = (_money(leg[name], sign="+") for name in ("pnl", "grid_profit", "inventory_pnl"))
    yield f"  P&L           {pnl} {quote}: grid profit {grid}, inventory {held}; fees of {_money(leg['fees'])} included"


def mark_out_in_words(facts: Mapping[str, Any]) -> str:
    """Return what the price did after our fills; runs of earlier versions did not measure it."""
    fraction, fills = facts.get("mark_out"), facts.get("mark_out_fills", 0)
    if fraction is None:
        return f"unknown ({fills} fills with 10 s after them, {FEWEST_FILLS} needed)"
    way = "against us" if Decimal(fraction) >= 0 else "our way"
    floor = f"; no step below {Decimal(facts['spacing_floor']):.4%}" if facts.get("spacing_floor") else ""
    return f"{abs(Decimal(fraction)):.4%} {way} within 10 s of a fill, mean of {fills:,}{floor}"


def _money(text: str, *, sign: str = "") -> str:
    return f"{Decimal(text):{sign},.4f}"


def _percent(text: str | None) -> str:
    return "unknown" if text is None else f"{Decimal(text):.3%}"


def level_lines(per_level: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the levels of a run, highest first, as lines for a terminal."""
    yield f"  {'level':>14}  {'buys':>6}  {'sells':>6}  {'trips':>6}  {'grid profit':>14}"
    for row in reversed(per_level):
        profit = _money(row["grid_profit"], sign="+")
        yield f"  {row['price']:>14}  {row['buys']:>6}  {row['sells']:>6}  {row['round_trips']:>6}  {profit:>14}"

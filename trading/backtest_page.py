"""A backtest as one HTML file that opens from disk: its figures, its assumptions, the chart library inside."""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final

from trading.domain.backtest_figures import captions, figures
from trading.domain.backtest_words import RATIO_NAMES, mark_out_in_words

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "templates" / "trading" / "backtest_alone.html"
TOKENS: Final = ROOT / "static" / "css" / "tokens.css"
LIBRARY: Final = ROOT / "static" / "vendor" / "plotly-4.1.1.basic.min.js"
AMOUNTS: Final = {
    "opening_equity": "Began with", "equity": "Equity", "pnl": "P&L", "grid_profit": "Grid profit",
    "inventory_pnl": "Inventory P&L", "fees": "Fees", "turnover": "Turnover",
}  # fmt: skip


def standing_alone(facts: Mapping[str, Any], curves: Mapping[str, Any]) -> str:
    """Return the page."""
    quote, data, settings = facts["quote"], facts["data"], facts["settings"]
    drawn = figures(curves, facts, quote)
    legs = facts.get("symbols", ())
    title = f"Backtest of {data['symbol']}: {settings['grid']} grid, {settings['mode']}, {len(facts['levels'])} levels"
    if legs:
        title = f"Backtest of {data['symbol']}: {len(legs)} grids in one purse"
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(title),
        data=escape(f"{data['name']} ({data['label']}), {data['since']} to {data['until']}, {data['events']:,} events"),
        tokens=_tokens(),
        figures="".join(_figure(name, *words) for name, words in captions(facts).items()),
        facts="".join(_row(name, value) for name, value in _facts(facts, quote)),
        symbols="".join(_leg(leg, quote) for leg in legs),
        assumptions="".join(f"<li>{escape(line)}</li>" for line in facts["assumptions"]),
        settings="".join(_row(name, value) for name, value in settings.items() if value is not None),
        json=json.dumps(drawn, separators=(",", ":")).replace("<", "\\u003c"),
        library=LIBRARY.read_text(encoding="utf-8").replace("</script", "<\\/script"),
    )


def _facts(facts: Mapping[str, Any], quote: str) -> Iterator[tuple[str, str]]:
    for name, label in AMOUNTS.items():
        yield label, f"{Decimal(facts[name]):,.4f} {quote}"
    yield "Max drawdown", _percent(facts["max_drawdown"])
    yield "Fills", f"{facts['fills']:,}"
    yield "Round trips", f"{facts['round_trips']:,}"
    yield "Exposure, mean", _percent(facts["exposure_mean"])
    yield "Exposure, most", _percent(facts["exposure_max"])
    for name, label in RATIO_NAMES.items():
        value, words = facts[name], facts["measured_on"][name]
        yield label[0].upper() + label[1:], f"{'unknown' if value is None else f'{Decimal(value):.4f}'} ({words})"
    yield "Mark-out", mark_out_in_words(facts)
    if (refused := facts.get("refused")) is not None:
        yield "Refused as post-only", f"{refused:,}"
    yield "Ended", facts["ended"]
    yield "Fills, SHA-256", facts["fills_sha256"]


def _percent(text: str | None) -> str:
    return "unknown" if text is None else f"{Decimal(text):.3%}"


def _leg(leg: Mapping[str, Any], quote: str) -> str:
    """Return what one of several symbols did."""
    rows = [(label, f"{Decimal(leg[name]):,.4f} {quote}") for name, label in AMOUNTS.items() if name in leg]
    rows += [("Fills", f"{leg['fills']:,}"), ("Round trips", f"{leg['round_trips']:,}"), ("Ended", leg["ended"])]
    rows += [("Fills, SHA-256", leg["fills_sha256"])]
    told = "".join(_row(name, value) for name, value in rows)
    return f"<section><h2>{escape(leg['symbol'])}</h2><dl>{told}</dl></section>"


def _figure(name: str, title: str, words: str) -> str:
    high = " high" if name.startswith("heat") else ""
    place = f'<div class="fig{high}" id="fig-{escape(name)}" role="img" aria-label="{escape(words)}"></div>'
    return f"<figure><h2>{escape(title)}</h2>{place}<figcaption>{escape(words)}</figcaption></figure>"


def _row(name: str, value: object) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>"


def _tokens() -> str:
    """Return the colours of the console; its font stays behind, as a file of its own."""
    return re.sub(r"@font-face \{.*?\}", "", TOKENS.read_text(encoding="utf-8"), flags=re.DOTALL)

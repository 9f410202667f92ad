"""A backtest as one HTML file that opens from disk: its figures, its assumptions, the chart library inside."""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final

from trading.domain.backtest_figures import CAPTIONS, figures
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
    title = f"Backtest of {data['symbol']}: {settings['grid']} grid, {settings['mode']}, {len(facts['levels'])} levels"
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(title),
        data=escape(f"{data['name']} ({data['label']}), {data['since']} to {data['until']}, {data['events']:,} events"),
        tokens=_tokens(),
        figures="".join(_figure(name, facts["drawn_every"]) for name in drawn),
        facts="".join(_row(name, value) for name, value in _facts(facts, quote)),
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


def _figure(name: str, drawn_every: int) -> str:
    title, words = CAPTIONS[name]
    if name == "price" and drawn_every > 1:
        words = f"{words} Only one of {drawn_every} fills is drawn."
    place = f'<div class="fig" id="fig-{name}" role="img" aria-label="{escape(words)}"></div>'
    return f"<figure><h2>{escape(title)}</h2>{place}<figcaption>{escape(words)}</figcaption></figure>"


def _row(name: str, value: object) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>"


def _tokens() -> str:
    """Return the colours of the console; its font stays behind, as a file of its own."""
    return re.sub(r"@font-face \{.*?\}", "", TOKENS.read_text(encoding="utf-8"), flags=re.DOTALL)

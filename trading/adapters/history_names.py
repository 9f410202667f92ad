"""What the name of a file tells of its rows: nothing is guessed that it does not say."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from trading.adapters.history_columns import Unreadable
from trading.domain.history import Kind

SYMBOL: Final = re.compile(r"[A-Z0-9]{5,20}")
VENUE: Final = re.compile(r"[a-z][a-z0-9-]{1,30}")
INTERVALS: Final = {
    "1s": 1,
    **{f"{n}m": n * 60 for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * 3_600 for n in (1, 2, 4, 6, 8, 12)},
    "1d": 86_400,
}
# BTCUSDT-trades-2024-01-01.zip, BTCUSDT-1m-2024-01.csv: as the venue names its public dumps.
_DUMP: Final = re.compile(
    rf"(?P<symbol>[A-Z0-9]{{5,20}})-(?P<what>trades|aggTrades|bookTicker|{'|'.join(INTERVALS)})-\d{{4}}-\d\d(-\d\d)?"
)
# binance-spot_BTCUSDT_20240808-09_trades.parquet
_RECORDED: Final = re.compile(
    r"(?P<venue>[a-z][a-z0-9-]+)_(?P<symbol>[A-Z0-9]{5,20})_[0-9-]+_(trades|bbo|l2diff|l2snap)"
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the rows of a file are about; `dump` where it is one of the venue's public dumps."""

    symbol: str
    venue: str
    interval_s: int
    dump: str = ""


def meaning_of(name: str, *, symbol: str, venue: str, interval: str, known: Collection[str]) -> Meaning:
    """Return what a file named `name` is about; what was asked for must not contradict its name.

    A bare symbol as name counts only where it is `known`.

    Raises:
        Unreadable: symbol or venue is not said, contradicted, or no such name.
    """
    stem = re.sub(r"(\.csv|\.txt|\.tsv)?(\.gz|\.zip)?(\.csv|\.parquet)?$", "", name)
    dump, recorded = _DUMP.fullmatch(stem), _RECORDED.fullmatch(stem)
    what = dump["what"] if dump else ""
    told = (dump or recorded or {"symbol": stem if stem in known else ""})["symbol"]
    found = Meaning(
        symbol=_agreed("symbol", symbol, told),
        venue=_agreed("venue", venue, recorded["venue"] if recorded else ""),
        interval_s=_interval(_agreed("interval", interval, what if what in INTERVALS else "", needed=False)),
        dump="klines" if what in INTERVALS else what,
    )
    if not SYMBOL.fullmatch(found.symbol):
        raise Unreadable(f"symbol {found.symbol!r}: 5 to 20 capital letters and digits, such as BTCUSDT.")
    if not VENUE.fullmatch(found.venue):
        raise Unreadable(f"venue {found.venue!r}: small letters, digits and -, such as binance-spot.")
    return found


def _agreed(what: str, asked: str, told: str, *, needed: bool = True) -> str:
    if asked and told and asked != told:
        raise Unreadable(
            f"its name says {what} {told}, --{what} says {asked}; leave the option out, or rename the file."
        )
    if needed and not (asked or told):
        raise Unreadable(f"its name does not say the {what}; give it with --{what}.")
    return asked or told


def _interval(text: str) -> int:
    if text and text not in INTERVALS:
        raise Unreadable(f"interval {text!r} is not known; one of {', '.join(INTERVALS)}.")
    return INTERVALS.get(text, 0)


def kind_named(text: str) -> Kind | None:
    """Return the kind that a person wrote; None for nothing.

    Raises:
        Unreadable: there is no such kind.
    """
    if text and text not in set(Kind):
        raise Unreadable(f"kind {text!r} is not known; one of {', '.join(Kind)}.")
    return Kind(text) if text else None

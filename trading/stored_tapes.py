"""Stored market history as what a backtest runs over: a tape of trades, tops or bars, or a book with its trades."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np

from trading.domain.backtest_settings import STORED, BacktestSettings, Fill, UnusableSettings, Wrong
from trading.domain.curves import Integers
from trading.domain.depth import Changes, Flow, Prints, Snapshot, of_messages, tops_of
from trading.domain.history import SECOND_NS, Kind, Series, Steps
from trading.domain.instruments import Instrument
from trading.domain.tapes import Tape, of_bars, of_tops, of_trades
from trading.simulator import listing

if TYPE_CHECKING:
    from trading.services.market_history import History

L2: Final = "l2"  # what names a book: a snapshot, its changes and the trades
PRICES: Final = {  # what a backtest reads of stored history
    Kind.TRADES: ("price_ticks",),
    Kind.TOPS: ("bid_ticks", "ask_ticks"),
    Kind.BARS: ("open_ticks", "high_ticks", "low_ticks", "close_ticks"),
}
BOOK: Final = (Kind.L2SNAP, Kind.L2DIFF, Kind.TRADES)
QUOTES: Final = ("USDT", "USDC", "FDUSD", "BTC", "ETH", "EUR", "USD")


@dataclass(frozen=True, slots=True)
class Stored:
    """What was read of the store."""

    tape: Tape
    instrument: Instrument
    name: str
    label: str
    flow: Flow | None = None  # the book itself, where that was asked for


def read(settings: BacktestSettings) -> Stored:
    """Return what `settings.data` names of the symbol asked for.

    Raises:
        UnusableSettings: it names no stored data, or they cannot be read.
        UnreadableTape: what is stored is no tape, or no whole book.
    """
    kind, _, venue = settings.data.removeprefix(STORED).partition("/")
    if kind == L2 and venue:
        return _book(venue, settings.symbol)
    found = _history(_series(settings), columns=PRICES[_series(settings).kind])
    tape = _tape(found.series, found.columns, settings)
    return Stored(tape, _instrument(found.series, found.steps), found.series.name, _label(found))


def _history(series: Series, columns: tuple[str, ...] | None) -> "History":
    from trading.services import market_history  # the catalogue is in the database, which nothing else here needs

    try:
        return market_history.history(series, columns=columns)
    except market_history.NoHistory as error:
        raise UnusableSettings(Wrong("data", str(error))) from error


def _label(*found: "History") -> str:
    checked = all(one.checked for one in found)
    return "stored, checked" if checked else "stored, not checked since: ./console data check"


def _series(settings: BacktestSettings) -> Series:
    """Return what "store:trades/binance-spot" or "store:bars-60s/binance-spot" names, of the symbol asked for."""
    kind, _, venue = settings.data.removeprefix(STORED).partition("/")
    name, _, interval = kind.partition("-")
    seconds = interval.removesuffix("s")
    plain = not interval or (seconds.isascii() and seconds.isdigit() and len(seconds) <= 6)
    if (
        name not in {Kind.TRADES, Kind.TOPS, Kind.BARS}
        or not venue
        or not plain
        or (name == Kind.BARS) != bool(seconds)
    ):
        text = f"{settings.data!r} names no stored series; write store:trades/VENUE, store:tops/VENUE, store:l2/VENUE "
        raise UnusableSettings(Wrong("data", f"{text}or store:bars-60s/VENUE as ./console data list shows them."))
    return Series(Kind(name), venue, settings.symbol, int(seconds or 0))


def _tape(series: Series, columns: Mapping[str, Integers], settings: BacktestSettings) -> Tape:
    take = {name: np.ascontiguousarray(values) for name, values in columns.items()}
    if series.kind is Kind.BARS:
        prices = (take[name] for name in PRICES[Kind.BARS])
        return of_bars(series.symbol, take["at_ns"], *prices, bar_ns=series.interval_s * SECOND_NS)
    if series.kind is Kind.TOPS:
        return of_tops(series.symbol, take["at_ns"], take["bid_ticks"], take["ask_ticks"])
    through = settings.fill is Fill.THROUGH
    return of_trades(series.symbol, take["at_ns"], take["price_ticks"], through=through)


def _instrument(series: Series, steps: Steps) -> Instrument:
    """Return the instrument in the steps of what is stored; of one that is not listed here no filter is known."""
    listed = listing.load().instruments.get(series.symbol)
    if listed is not None:
        return replace(listed, tick_size=steps.tick_size, lot_size=steps.lot_size)
    quote = next((one for one in QUOTES if series.symbol.endswith(one)), "")
    base = series.symbol.removesuffix(quote)
    return Instrument(series.symbol, base, quote, steps.tick_size, steps.lot_size, Decimal(0))


# --- books ------------------------------------------------------------------------------------------------------------


def _book(venue: str, symbol: str) -> Stored:
    found = {kind: _history(Series(kind, venue, symbol), None) for kind in BOOK}
    _check_clocks(found[Kind.L2DIFF].series, found[Kind.TRADES].series)
    steps = _finest([one.steps for one in found.values()])
    snap, diff, trades = (_in_steps(found[kind], steps) for kind in BOOK)
    flow = of_messages(symbol, _snapshot(snap, diff), _changes(diff), _prints(diff, trades))
    _, tape = tops_of(flow)
    name = f"{L2}/{venue}/{symbol}"
    return Stored(tape, _instrument(found[Kind.L2DIFF].series, steps), name, _label(*found.values()), flow)


def _check_clocks(diff: Series, trades: Series) -> None:
    """Refuse a book and trades that are not ordered by one clock: which came first could not be known."""
    from trading.services import market_history

    if len(clocks := market_history.clocks(diff) | market_history.clocks(trades)) > 1:
        text = f"{diff.name} and its trades are ordered by different clocks ({', '.join(sorted(clocks))})"
        raise UnusableSettings(Wrong("data", f"{text}; import both with the venue's times."))


def _finest(steps: list[Steps]) -> Steps:
    return Steps(min(one.tick_size for one in steps), min(one.lot_size for one in steps), "data")


def _in_steps(found: "History", steps: Steps) -> dict[str, Integers]:
    """Return the columns in steps that are as fine or finer."""
    factors = {"_ticks": found.steps.tick_size / steps.tick_size, "_lots": found.steps.lot_size / steps.lot_size}
    if any(factor % 1 for factor in factors.values()):
        text = f"{found.series.name} has steps that have no common measure with the rest of its book"
        raise UnusableSettings(Wrong("data", f"{text}; import book and trades anew, from one source."))
    return {
        name: values * next((int(factor) for ending, factor in factors.items() if name.endswith(ending)), 1)
        for name, values in found.columns.items()
    }


def _snapshot(snap: Mapping[str, Integers], diff: Mapping[str, Integers]) -> Snapshot:
    """Return the first of the stored snapshots that the messages reach back to, else the first."""
    ids = np.unique(snap["update_id"])
    reached = ids[ids >= diff["first_id"][0] - 1]
    chosen = int(reached[0] if len(reached) else ids[0])
    rows = snap["update_id"] == chosen
    return Snapshot(chosen, snap["side"][rows], snap["price_ticks"][rows], snap["quantity_lots"][rows])


def _changes(diff: Mapping[str, Integers]) -> Changes:
    return Changes(
        diff["at_ns"], diff["first_id"], diff["final_id"], diff["side"], diff["price_ticks"], diff["quantity_lots"],
        diff.get("prev_id"),
    )  # fmt: skip


def _prints(diff: Mapping[str, Integers], trades: Mapping[str, Integers]) -> Prints:
    """Return the trades up to the end of the book's messages: later ones would meet a book that stands still."""
    inside = trades["at_ns"] <= diff["at_ns"][-1]
    at_ns, ticks, lots, sold = (
        trades[name][inside] for name in ("at_ns", "price_ticks", "quantity_lots", "buyer_is_maker")
    )
    return Prints(at_ns, ticks, lots, sold.astype(bool))

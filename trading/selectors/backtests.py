"""The backtest lab as its pages show it: what data there is, the runs, one run in full, two side by side."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from trading.domain.backtest_settings import (
    NO_BOOK,
    NO_QUEUE,
    BacktestSettings,
    Mode,
    UnusableSettings,
    Wrong,
    read,
    spec_of,
)
from trading.domain.backtest_symbols import legs_of
from trading.domain.fees import Fees
from trading.domain.grid import UnableToBuild
from trading.domain.grids import Kind as GridKind
from trading.domain.history import Kind
from trading.domain.instruments import Instrument
from trading.domain.mark_outs import FEWEST_FILLS
from trading.domain.preview import preview as outlook
from trading.models import Backtest
from trading.selectors import market_store
from trading.selectors.numbers import UNKNOWN, decimals_of, in_words, percent, plain, sign, signed

RECORDINGS: Final = Path(__file__).resolve().parents[1] / "data" / "recordings.json"
RUNS_OVER: Final = ("trades", "tops", "bars")  # kinds of stored history
SHOWN: Final = 50  # runs in the list
COMPARED: Final = 4  # runs side by side, at most
RATIOS: Final = {
    "sharpe": "Sharpe", "sortino": "Sortino", "calmar": "Calmar", "win_rate": "Win rate per round trip",
    "profit_factor": "Profit factor",
}  # fmt: skip
SETTING_NAMES: Final = {
    "grid": "Spacing", "mode": "Mode", "style": "Style", "levels": "Levels", "lower": "Lowest level",
    "upper": "Highest level", "step": "Step", "lot": "Lot", "cash": "Cash", "fee_maker": "Maker fee",
    "fee_taker": "Taker fee", "latency_ms": "Latency each way, ms", "prices": "Moved by", "fill": "A print fills at",
    "kind": "Kind", "atr_multiple": "Step, average true ranges", "atr_bars": "Bars of one",
    "atr_bar_s": "Seconds of a bar",
    "trail_up_to": "Follows up to", "trail_down_to": "Follows down to", "recentre_steps": "Re-centred beyond, steps",
    "carried": "Open lots of an old ladder", "reinvest": "Reinvested of the profit", "reinvest_every_s": "Every, s",
    "resting": "Resting a side", "skew": "Skew", "stop": "Stop bound", "take_profit": "Take-profit bound",
    "start_at": "Starts at", "base": "Base to sell",
    "max_drawdown": "Stop at a drawdown of", "max_trades_per_day": "Trades a day, at most", "engine": "Engine",
    "queue": "Queue", "each": "Of single symbols",
}  # fmt: skip
_FRACTIONS: Final = {"step", "fee_maker", "fee_taker", "max_drawdown", "reinvest", "skew"}


@dataclass(frozen=True, slots=True)
class Source:
    """One symbol of one recording."""

    data: str
    symbol: str
    label: str
    events: int
    length: str
    first: Decimal | None  # price; None: only a run tells

    @property
    def is_book(self) -> bool:
        """True where only a queue can be followed."""
        return self.data.startswith("store:l2/")

    @property
    def events_text(self) -> str:
        """How many events it has."""
        return f"{self.events:,}"

    @property
    def name(self) -> str:
        """What a form sends."""
        return f"{self.data}|{self.symbol}"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount, as it is written."""

    text: str
    sign: int


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in the list."""

    run: Backtest
    title: str
    pnl: Money | None
    drawdown: str
    fills: str
    took: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """One ratio, and what it was measured on or why it is not known."""

    label: str
    text: str
    words: str


@dataclass(frozen=True, slots=True)
class Leg:
    """What one of several symbols in one purse did."""

    symbol: str
    grid: str
    data: str
    amounts: Mapping[str, Money]
    fills: str
    round_trips: str
    ended: str
    digest: str
    levels: Sequence[Mapping[str, Any]]  # highest first


@dataclass(frozen=True, slots=True)
class Result:
    """One run that is done."""

    run: Backtest
    title: str
    quote: str
    data: Mapping[str, Any]
    amounts: Mapping[str, Money]
    drawdown: str
    drawdown_quote: str
    exposure: str
    exposure_max: str
    fills: str
    round_trips: str
    ended: str
    digest: str
    refused: str  # orders that would have traded on arrival; empty where there is no queue
    drawn_every: int  # n where the chart shows every n-th fill
    ratios: Sequence[Ratio]
    levels: Sequence[Mapping[str, Any]]  # highest first
    legs: Sequence[Leg]  # none where there is one symbol alone
    settings: Sequence[tuple[str, str]]
    assumptions: Sequence[str]
    took: str


@dataclass(frozen=True, slots=True)
class Preview:
    """The levels a run would have, before it is started."""

    levels: Sequence[tuple[str, bool]]  # price, highest first; whether it lies above the first price
    first: str
    step: str
    profit: str  # of one round trip after both fees, at its least
    pays: bool
    break_even: str
    needed_quote: Decimal
    needed: Money  # worst case: every slot bought
    left: Money
    smallest: Money | None  # capital, with the smallest lots the venue takes
    at_stop: Money | None  # the most that is lost at the stop; None: there is none
    refused_by: str  # filter of the venue
    quote: str


def sources() -> tuple[Source, ...]:
    """Return everything a backtest can run over: what is shipped, and what is stored."""
    return (*_shipped(), *_stored())


def _stored() -> Iterator[Source]:
    lines = market_store.series_lines()
    for line in lines:
        if line.symbol and line.kind in RUNS_OVER:
            interval = f"-{line.interval_s}s" if line.interval_s else ""
            length = in_words(timedelta(microseconds=(line.last_ns - line.first_ns) // 1_000))
            data = f"store:{line.kind}{interval}/{line.venue}"
            yield Source(data, line.symbol, f"stored {line.kind}{interval}, {line.venue}", line.rows, length, None)
    yield from _books(lines)


def _books(lines: Sequence[market_store.SeriesLine]) -> Iterator[Source]:
    """Yield every book that is stored with its snapshot and its trades: only then can a queue be followed."""
    known = {(line.kind, line.venue, line.symbol): line for line in lines}
    for (kind, venue, symbol), line in known.items():
        trades = known.get((Kind.TRADES, venue, symbol))
        if kind == Kind.L2DIFF and trades is not None and (Kind.L2SNAP, venue, symbol) in known:
            length = in_words(timedelta(microseconds=(line.last_ns - line.first_ns) // 1_000))
            label = f"stored book and trades, {venue} (needs a queue)"
            yield Source(f"store:l2/{venue}", symbol, label, line.rows + trades.rows, length, None)


@lru_cache(maxsize=1)
def _shipped() -> tuple[Source, ...]:
    known = json.loads(RECORDINGS.read_text(encoding="utf-8"))
    return tuple(_source(data, symbol, facts) for data, symbols in known.items() for symbol, facts in symbols.items())


def _source(data: str, symbol: str, facts: Mapping[str, Any]) -> Source:
    length = in_words(timedelta(seconds=facts["seconds"]))
    return Source(data, symbol, facts["label"], facts["events"], length, Decimal(facts["first"]))


def previews(settings: BacktestSettings, instruments: Mapping[str, Instrument]) -> list[tuple[str, Preview]]:
    """Return what each symbol of `settings` would lay, those left out whose first price only a run tells.

    Raises:
        UnusableSettings: a grid cannot be laid; of several symbols the fields are named SYMBOL.field.
    """
    legs, found = legs_of(settings), list[tuple[str, Preview]]()
    for leg, of in zip(legs, sources_of(settings), strict=True):
        if of is not None and of.first is not None:
            try:
                found.append((leg.symbol, preview(leg, instruments[leg.symbol], of.first)))
            except UnusableSettings as error:
                if len(legs) == 1:
                    raise
                raise UnusableSettings(
                    *(Wrong(f"{leg.symbol}.{one.field}", one.reason) for one in error.wrong)
                ) from error
    return found


def queues_at_odds(settings: BacktestSettings) -> list[Wrong]:
    """Return which symbols ask for a queue that their data cannot carry, or for none over a book."""
    return [
        Wrong("queue" if len(settings.symbols) == 1 else f"{leg.symbol}.queue", NO_QUEUE if of.is_book else NO_BOOK)
        for leg, of in zip(legs_of(settings), sources_of(settings), strict=True)
        if of is not None and (leg.queue is None) == of.is_book
    ]


def missing(settings: BacktestSettings, seen: Sequence[tuple[str, Preview]]) -> Money | None:
    """Return what the cash is short of all slots of all symbols seen; None where it pays for them."""
    short = sum((one.needed_quote for _, one in seen), -settings.cash)
    return _money(short) if short > 0 else None


def sources_of(settings: BacktestSettings) -> list[Source | None]:
    """Return the source of every symbol, None where there is none.

    Raises:
        UnusableSettings: what the symbols share or have of their own cannot be used.
    """
    known = {(one.data, one.symbol): one for one in sources()}
    return [known.get((leg.data, leg.symbol)) for leg in legs_of(settings)]


def preview(settings: BacktestSettings, instrument: Instrument, first: Decimal) -> Preview:
    """Return what `settings` would lay around the first price.

    Raises:
        UnusableSettings: the grid cannot be laid.
    """
    first_ticks = instrument.ticks(first)
    try:
        seen = outlook(spec_of(settings), instrument, Fees(settings.fee_maker, settings.fee_taker), first_ticks)
    except UnableToBuild as error:
        raise UnusableSettings(Wrong("grid", str(error))) from error
    least = min(trip.profit_quote for trip in seen.trips)
    needed = Decimal(0) if settings.mode is Mode.SHORT else seen.capital_quote
    ends = dict.fromkeys((percent(seen.narrowest_step_fraction, 3), percent(seen.widest_step_fraction, 3)))
    levels, places = seen.laid.ladder.levels, decimals_of(instrument.tick_size)
    return Preview(
        levels=[(plain(instrument.price(ticks), places), ticks > first_ticks) for ticks in reversed(levels)],
        first=plain(first, places),
        step=" to ".join(ends),
        profit=signed(least, 4),
        pays=least > 0,
        break_even=percent(seen.break_even_fraction, 3),
        needed_quote=needed,
        needed=_money(needed),
        left=_money(settings.cash - needed, of_change=True),
        smallest=None if seen.smallest_capital_quote is None else _money(seen.smallest_capital_quote),
        at_stop=None if seen.loss_at_stop_quote is None else _money(-seen.loss_at_stop_quote, of_change=True),
        refused_by=seen.filter or "",
        quote=instrument.quote,
    )


def runs() -> list[RunLine]:
    """Return the newest runs, newest first, in one query."""
    return [_line(run) for run in Backtest.objects.defer("curves")[:SHOWN]]


def run(run_id: int) -> Backtest | None:
    """Return one run without its curves."""
    return Backtest.objects.defer("curves").filter(pk=run_id).first()


def ended(run_id: int) -> bool:
    """Return whether a run has ended."""
    states = (Backtest.State.WAITING, Backtest.State.RUNNING)
    return not Backtest.objects.filter(pk=run_id, state__in=states).exists()


def told(run_ids: Sequence[int]) -> list[tuple[Backtest, dict[str, Any], dict[str, Any]]]:
    """Return (run, facts, curves) of those that are done, in the order given."""
    found = {
        one.pk: one for one in Backtest.objects.filter(pk__in=run_ids, state=Backtest.State.DONE, plan__isnull=True)
    }
    return [(found[pk], found[pk].facts or {}, found[pk].curves or {}) for pk in run_ids if pk in found]


def others(of: Backtest) -> list[RunLine]:
    """Return the runs that `of` can be compared with."""
    rows = Backtest.objects.defer("curves").filter(state=Backtest.State.DONE, plan__isnull=True).exclude(pk=of.pk)
    return [_line(run) for run in rows[:SHOWN]]


def result(of: Backtest) -> Result:
    """Return a run that is done, as its page shows it."""
    facts: dict[str, Any] = of.facts or {}
    names = ("equity", "opening_equity", "pnl", "grid_profit", "inventory_pnl", "fees", "turnover")
    return Result(
        run=of,
        title=title_of(of),
        quote=facts["quote"],
        data=facts["data"],
        amounts={name: _money(Decimal(facts[name]), of_change=name in _CHANGES) for name in names},
        drawdown=percent(Decimal(facts["max_drawdown"]), 3),
        drawdown_quote=plain(Decimal(facts["max_drawdown_quote"])),
        exposure=_percent(facts["exposure_mean"]),
        exposure_max=_percent(facts["exposure_max"]),
        fills=f"{facts['fills']:,}",
        round_trips=f"{facts['round_trips']:,}",
        ended=facts["ended"],
        digest=facts["fills_sha256"],
        refused=f"{facts['refused']:,}" if "refused" in facts else "",
        drawn_every=facts["drawn_every"],
        ratios=[*(_ratio(facts, name, label) for name, label in RATIOS.items()), _mark_out(facts)],
        levels=_levels(facts["per_level"]),
        legs=[_leg(one) for one in facts.get("symbols", ())],
        settings=listed_settings(of),
        assumptions=facts["assumptions"],
        took=_took(of),
    )


def _leg(facts: Mapping[str, Any]) -> Leg:
    asked = facts["settings"]
    names = ("pnl", "grid_profit", "inventory_pnl", "fees", "turnover")
    return Leg(
        symbol=facts["symbol"],
        grid=f"{asked['grid']} {asked['mode']}, {len(facts['levels'])} levels",
        data=f"{facts['data']['name']}, {facts['events']:,} events",
        amounts={name: _money(Decimal(facts[name]), of_change=name in _CHANGES) for name in names},
        fills=f"{facts['fills']:,}",
        round_trips=f"{facts['round_trips']:,}",
        ended=facts["ended"],
        digest=facts["fills_sha256"],
        levels=_levels(facts["per_level"]),
    )


_CHANGES: Final = {"pnl", "grid_profit", "inventory_pnl"}


def _line(run: Backtest) -> RunLine:
    facts: dict[str, Any] = run.facts or {}
    if run.plan is not None:  # of a search its best trial
        facts = facts and facts["best"]["score"]
    return RunLine(
        run=run,
        title=title_of(run),
        pnl=_money(Decimal(facts["pnl"]), of_change=True) if facts else None,
        drawdown=percent(Decimal(facts["max_drawdown"]), 3) if facts else UNKNOWN,
        fills=f"{facts['fills']:,}" if facts else UNKNOWN,
        took=_took(run),
    )


def title_of(run: Backtest) -> str:
    """Return what a run or a search is about, in a line."""
    found = run.settings
    if run.plan is not None:
        varied = ", ".join(sorted(run.plan["vary"]))
        return f"{found['symbol']} {found['data']}, {run.plan['method']} over {varied}"
    kind = "" if found.get("kind", GridKind.RANGE) == GridKind.RANGE else f" {found['kind']}"
    return f"{found['symbol']} {found['data']}, {found['grid']}{kind} {found['mode']}, {found['levels']} levels"


def _took(run: Backtest) -> str:
    if run.ended_at is None or run.began_at is None:
        return UNKNOWN
    return _seconds(run.ended_at - run.asked_at)


def _seconds(span: timedelta) -> str:
    return f"{plain(span.total_seconds())} s"


def _money(amount: Decimal, *, of_change: bool = False) -> Money:
    return Money(signed(amount) if of_change else plain(amount), sign(amount) if of_change else 0)


def _percent(text: str | None) -> str:
    return percent(None if text is None else Decimal(text), 1)


def _ratio(facts: Mapping[str, Any], name: str, label: str) -> Ratio:
    value = facts[name]
    text = UNKNOWN if value is None else percent(Decimal(value), 1) if name == "win_rate" else plain(Decimal(value), 3)
    return Ratio(label, text, facts["measured_on"][name])


def _mark_out(facts: Mapping[str, Any]) -> Ratio:
    """Return how far the price went against us after our fills; runs of earlier versions did not measure it."""
    fills, fraction = facts.get("mark_out_fills"), facts.get("mark_out")
    if fraction is None:
        why = "the version that ran it did not measure it" if fills is None else _too_few(fills)
        return Ratio("Mark-out", UNKNOWN, why)
    way = "against us" if Decimal(fraction) >= 0 else "our way"
    floor = percent(Decimal(facts["spacing_floor"]), 4)
    words = f"{way} within 10 s of a fill, mean of {fills:,}; no step below {floor} pays for it and the fees"
    return Ratio("Mark-out", percent(abs(Decimal(fraction)), 4), words)


def _too_few(fills: int) -> str:
    return f"{fills} fills with 10 s after them; at least {FEWEST_FILLS} are needed"


def _levels(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    places = max((decimals_of(Decimal(row["price"])) for row in rows), default=0)
    return [_level(row, places) for row in reversed(rows)]


def _level(row: Mapping[str, Any], places: int) -> dict[str, Any]:
    price = plain(Decimal(row["price"]), places)
    return {
        **row,
        "price": price,
        "profit": _money(Decimal(row["grid_profit"]), of_change=True),
        "fills": row["buys"] + row["sells"],
    }


def listed_settings(run: Backtest) -> list[tuple[str, str]]:
    """Return what was asked, name by name; of a search what does not vary."""
    found = run.settings
    if not (found.get("lower") or found.get("step") or found.get("atr_multiple")):
        found = {**found, "step": f"{read(found).step_fraction:f}"}
    return [
        (label, percent(Decimal(found[name]), 3) if name in _FRACTIONS else str(found[name]))
        for name, label in SETTING_NAMES.items()
        if found.get(name) not in (None, "") and name not in (run.plan or {}).get("vary", {})
    ]


def difference(left: Result, right: Result) -> dict[str, Money]:
    """Return what the second run has more than the first, of what can be subtracted."""
    first, second = (one.run.facts or {} for one in (left, right))
    return {
        name: _money(Decimal(second[name]) - Decimal(first[name]), of_change=True)
        for name in (*_CHANGES, "fees", "equity")
    }


def waits_since(of: Backtest, at: datetime) -> str:
    """Return how long ago a run was asked for."""
    return in_words(at - of.asked_at)

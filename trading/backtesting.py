"""A backtest put together: recorded data in, everything that is told of the run out. Needs no database."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from trading import stored_tapes
from trading.domain import backtest_report, purse_report
from trading.domain.backtest_campaign import on_campaign
from trading.domain.backtest_queue import on_queue
from trading.domain.backtest_run import Events, on_core, on_kernel, tape_of
from trading.domain.backtest_settings import (
    NO_BOOK,
    NO_QUEUE,
    STORED,
    BacktestSettings,
    Engine,
    Mode,
    Prices,
    UnusableSettings,
    Wrong,
)
from trading.domain.backtest_symbols import legs_of
from trading.domain.curves import Integers
from trading.domain.depth import Flow
from trading.domain.fees import Fees
from trading.domain.grid import fee_fraction
from trading.domain.instruments import Instrument
from trading.domain.kernel import Ended, UnableToRun
from trading.domain.preview import spacing_floor_fraction
from trading.domain.purse import events_until, stopped_at
from trading.domain.tapes import Tape, UnreadableTape, of_bars, part
from trading.simulator import listing, replay
from trading.simulator.replay import MINUTE_NS, BarRecording, Recording, TickRecording

Progress = Callable[[float], None]  # fraction done, 0 to 1; may raise to end the run
READ, DONE_RUNNING = 0.1, 0.9  # fractions of the work, as people see it
KEPT: Final = 2  # recordings a process keeps


class UnableToBacktest(Exception):
    """The backtest cannot be carried out; the message names what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a backtest, as plain JSON."""

    facts: dict[str, Any]
    curves: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Recorded data, read and ready to be run over."""

    tape: Tape
    instrument: Instrument
    name: str
    label: str
    flow: Flow | None = None  # the book itself, where the data carry it

    def described(self) -> dict[str, Any]:
        """Return what it is, as plain JSON."""
        return _described(self.tape.at_ns, self.instrument, self.name, self.label)


@contextmanager
def refusals() -> Iterator[None]:
    """Say as UnableToBacktest whatever cannot be used within."""
    try:
        yield
    except (UnusableSettings, UnableToRun, UnreadableTape, replay.ReplayError, listing.ListingError) as error:
        raise UnableToBacktest(str(error)) from error


def carry_out(settings: BacktestSettings, progress: Progress = lambda _: None) -> Done:
    """Read the data, run the grid, judge it.

    Raises:
        UnableToBacktest: data, settings or a number cannot be used.
    """
    with refusals():
        return _carried_out(settings, progress)


@lru_cache(maxsize=1)
def warm() -> None:
    """Read the shipped ticks and compile the kernel, once in a process."""
    carry_out(BacktestSettings())


def _carried_out(settings: BacktestSettings, progress: Progress) -> Done:
    legs = legs_of(settings)
    if len(legs) > 1:
        return _in_one_purse(settings, legs, progress)
    if settings.engine is Engine.CORE:
        return _through_core(settings, progress)
    over = prepared(settings)
    progress(READ)
    ran = ran_over(over, settings)
    progress(DONE_RUNNING)
    return _judged(ran, settings, over.name, over.label)


def prepared(settings: BacktestSettings) -> Prepared:
    """Return the data that `settings` name, on a tape.

    Raises:
        UnusableSettings, UnreadableTape, ReplayError, ListingError: they cannot be used.
    """
    if settings.data.startswith(STORED):
        return _stored(settings)
    if settings.queue is not None:
        raise UnusableSettings(Wrong("queue", NO_BOOK))
    recording, instrument = load(settings.data, settings.symbol)
    return Prepared(_tape(recording, settings), instrument, recording.name, recording.label)


def _stored(settings: BacktestSettings) -> Prepared:
    found = stored_tapes.read(settings)
    if found.flow is None and settings.queue is not None:
        raise UnusableSettings(Wrong("queue", NO_BOOK))
    if found.flow is not None and settings.queue is None:
        raise UnusableSettings(Wrong("queue", NO_QUEUE))
    return Prepared(found.tape, found.instrument, found.name, found.label, found.flow)


def ran_over(over: Prepared, settings: BacktestSettings) -> backtest_report.Ran:
    """Run the grid of `settings` over data that are read: in the queues of a book, or on the compiled kernel.

    Raises:
        UnusableSettings, UnableToRun, UnreadableTape: it cannot be run.
    """
    if over.flow is not None:
        return on_queue(over.flow, settings, over.instrument)
    return (on_kernel if settings.is_plain else on_campaign)(over.tape, settings, over.instrument)


# --- several symbols in one purse -------------------------------------------------------------------------------------


def _in_one_purse(settings: BacktestSettings, legs: Sequence[BacktestSettings], progress: Progress) -> Done:
    overs, runs = list[Prepared](), list[backtest_report.Ran]()
    for leg in legs:
        overs.append(prepared(leg))
        runs.append(ran_over(overs[-1], leg))
        progress(DONE_RUNNING * len(runs) / len(legs))
    of = purse_report.shared(runs, settings.cash)
    if settings.max_drawdown is not None:
        event = stopped_at(of.purse, settings.max_drawdown.as_integer_ratio())
        of = of if event is None else _ended_at(of, event, legs, overs)
    told = purse_report.report(of)
    facts = {
        "settings": settings.as_json(),
        "data": _described_together(of, overs),
        "quote": runs[0].instrument.quote,
        **told.facts,
        "symbols": [
            {**one, "settings": legs[number].as_json(), "data": overs[number].described()}
            for number, one in zip(of.runs, told.facts["symbols"], strict=True)
        ],
        "spacing_floor": _widest_floor(legs, told.facts["mark_out"]),
        "assumptions": list(purse_report.assumptions(of)),
    }
    return Done(facts, told.curves)


def _ended_at(
    of: purse_report.Shared, event: int, legs: Sequence[BacktestSettings], overs: Sequence[Prepared]
) -> purse_report.Shared:
    """Run every symbol once more, up to its last event before the gate shut; one that had none by then is left out."""
    again = dict[int, backtest_report.Ran]()
    for number, count in enumerate(events_until(of.purse, event, len(legs))):
        if count:
            alone, leg = of.runs[number], legs[number]
            if leg.mode is Mode.SHORT:  # what it began with was chosen looking at all of the tape
                leg = replace(leg, base=alone.instrument.quantity(alone.base_lots))
            ran = ran_over(_part(overs[number], alone.first_event + count), leg)
            again[number] = replace(ran, ended=Ended.DRAWDOWN) if count < len(alone.path.at_ns) else ran
    return purse_report.ended_at(of, event, again)


def _part(over: Prepared, stop: int) -> Prepared:
    """Return the data up to event `stop` of their tape."""
    flow = over.flow
    if flow is not None:
        end = len(flow) - len(over.tape) + stop
        flow = Flow(flow.symbol, flow.at_ns[:end], flow.kind[:end], flow.ticks[:end], flow.lots[:end])
    return replace(over, tape=part(over.tape, 0, stop), flow=flow)


def _described_together(of: purse_report.Shared, overs: Sequence[Prepared]) -> dict[str, Any]:
    names, labels = (", ".join(dict.fromkeys(getattr(one, name) for one in overs)) for name in ("name", "label"))
    whole = _described(of.purse.at_ns, overs[0].instrument, names, labels)
    return {**whole, "symbol": ", ".join(one.instrument.symbol for one in overs)}


def _widest_floor(legs: Sequence[BacktestSettings], mark_out: str | None) -> str | None:
    floors = [floor for leg in legs if (floor := _spacing_floor(leg, mark_out)) is not None]
    return max(floors, key=Decimal, default=None)


# --- one symbol -------------------------------------------------------------------------------------------------------


def _judged(ran: backtest_report.Ran, settings: BacktestSettings, name: str, label: str) -> Done:
    told = backtest_report.report(ran)
    facts = {
        "settings": settings.as_json(),
        "data": _described(ran.path.at_ns, ran.instrument, name, label),
        "quote": ran.instrument.quote,
        **told.facts,
        "spacing_floor": _spacing_floor(settings, told.facts["mark_out"]),
        "assumptions": list(ran.assumptions),
    }
    return Done(facts, told.curves)


def _spacing_floor(settings: BacktestSettings, mark_out: str | None) -> str | None:
    """Return the step that pays for the fees and the mark-out of this run, None: too few fills to measure it."""
    fees = Fees(settings.fee_maker, settings.fee_taker)
    measured = None if mark_out is None else Decimal(mark_out)
    floor = spacing_floor_fraction(2 * fee_fraction(settings.style, fees), measured)
    return None if floor is None else f"{floor:f}"


# --- data -------------------------------------------------------------------------------------------------------------


def load(data: str, symbol: str) -> tuple[Recording, Instrument]:
    """Return the recording called `data` (a shipped name, the name of a shipped file, a path) and the instrument.

    Raises:
        ReplayError, ListingError: it cannot be read.
        UnusableSettings: `symbol` is not in it.
    """
    path = _path(data)
    try:
        changed_ns = path.stat().st_mtime_ns
    except OSError as error:
        names = " or ".join(replay.DATASETS)
        text = f"{data}: cannot be read ({error.strerror or error}); use {names}, or the path of a Parquet file."
        raise UnusableSettings(Wrong("data", text)) from error
    recording, instruments = _read(path, changed_ns)
    if symbol not in recording.symbols:
        text = f"{recording.name} holds no {symbol!r}; use {', '.join(recording.symbols)}."
        raise UnusableSettings(Wrong("symbol", text))
    return recording, instruments[symbol]


def _path(data: str) -> Path:
    shipped = {name: path for path in replay.DATASETS.values() for name in (path.name, path.stem)}
    return {**replay.DATASETS, **shipped}.get(data, Path(data))


@lru_cache(maxsize=KEPT)
def _read(path: Path, changed_ns: int) -> tuple[Recording, dict[str, Instrument]]:
    """Return the recording; a file that was changed since is another one."""
    instruments = listing.load().instruments
    return replay.read(path, instruments), instruments


def _tape(recording: Recording, settings: BacktestSettings) -> Tape:
    if isinstance(recording, BarRecording):
        mine = recording.symbol == recording.symbols.index(settings.symbol)
        path = recording.path[mine]
        columns = [path[:, 0], path.max(axis=1), path.min(axis=1), path[:, 3]]
        at_ns = np.ascontiguousarray(recording.at_ns[mine])
        return of_bars(settings.symbol, at_ns, *map(np.ascontiguousarray, columns), bar_ns=MINUTE_NS)
    return tape_of(_events(recording, settings.symbol), settings)


def _events(recording: Recording, symbol: str) -> Events:
    if not isinstance(recording, TickRecording):
        raise TypeError(f"{type(recording).__name__} holds no ticks")
    mine = recording.symbol == recording.symbols.index(symbol)
    price, _, ask, _ = recording.prices[:, mine]
    return Events(symbol, recording.at_ns[mine], recording.kind[mine] == replay.BOOK, price, ask)


def _described(at_ns: Integers, instrument: Instrument, name: str, label: str) -> dict[str, Any]:
    begin, end = int(at_ns[0]), int(at_ns[-1])
    return {
        "name": name,
        "label": label,
        "symbol": instrument.symbol,
        "since": datetime.fromtimestamp(begin / 1e9, UTC).isoformat(timespec="milliseconds"),
        "until": datetime.fromtimestamp(end / 1e9, UTC).isoformat(timespec="milliseconds"),
        "seconds": round((end - begin) / 1e9, 3),
        "events": len(at_ns),
    }


# --- the event core ---------------------------------------------------------------------------------------------------


def _through_core(settings: BacktestSettings, progress: Progress) -> Done:
    if settings.data.startswith(STORED):
        raise UnusableSettings(Wrong("engine", "core runs over recordings, not over the store; use the kernel."))
    recording, instrument = load(settings.data, settings.symbol)
    progress(READ)
    begin, length = recording.first_ns, max(recording.last_ns - recording.first_ns, 1)

    def show(_: int, at_ns: int) -> None:
        progress(READ + (DONE_RUNNING - READ) * min((at_ns - begin) / length, 1.0))

    mine = (event for event in replay.events(recording) if event.symbol == settings.symbol)
    tape = _tape(recording, replace(settings, prices=Prices.TOPS))
    ran = on_core(mine, tape, settings, instrument, progress=show)
    progress(DONE_RUNNING)
    return _judged(ran, settings, recording.name, recording.label)


# --- what is known of the shipped recordings --------------------------------------------------------------------------


def shipped_facts() -> dict[str, dict[str, dict[str, Any]]]:
    """Return of every shipped recording and symbol what `trading/data/recordings.json` tells whoever lays a grid."""
    return {name: _facts_of(name) for name in replay.DATASETS}


def _facts_of(name: str) -> dict[str, dict[str, Any]]:
    recording, _ = _read(replay.DATASETS[name], 0)
    instruments = listing.load().instruments
    return {symbol: _prices_of(recording, instruments[symbol]) for symbol in recording.symbols}


def _prices_of(recording: Recording, instrument: Instrument) -> dict[str, Any]:
    tape = _tape(recording, BacktestSettings(symbol=instrument.symbol))
    first, lowest, highest = int(tape.mark[0]), int(tape.mark.min()), int(tape.mark.max())
    return {
        "label": recording.label,
        "file": recording.name,
        "events": len(tape),
        "seconds": round((int(tape.at_ns[-1]) - int(tape.at_ns[0])) / 1e9),
        "first": f"{instrument.price(first):f}",
        "lowest": f"{instrument.price(lowest):f}",
        "highest": f"{instrument.price(highest):f}",
    }

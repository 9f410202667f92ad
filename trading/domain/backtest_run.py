"""One backtest carried out: on the compiled kernel, or event by event on the core that runs live."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trading.domain import backtest, kernel
from trading.domain.backtest import Progress, Result
from trading.domain.backtest_report import Ran
from trading.domain.backtest_settings import (
    BacktestSettings,
    Fill,
    Mode,
    Prices,
    UnusableSettings,
    Wrong,
    lay_grid,
)
from trading.domain.curves import Integers, path_of
from trading.domain.desk import DeskSettings
from trading.domain.events import PersistFill
from trading.domain.fees import FEE_STEP, Fees
from trading.domain.grid import GridSettings
from trading.domain.instruments import Instrument
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.market import MarketEvent
from trading.domain.orders import Side
from trading.domain.round_trips import FillLog, RoundTrips, paired
from trading.domain.stepping import BASIS
from trading.domain.tapes import Tape, of_tops, of_trades

MS_NS: Final = 1_000_000
CENT: Final = Decimal("0.01")
ACCOUNT: Final = "backtest"
RATIOS: Final = (
    "Sharpe, Sortino and Calmar are of whole days of 24 hours, counted from the end, in a year of 365 days; the "
    "risk-free rate is zero. Fewer than 7 whole days say nothing, and then they are unknown."
)
NO_IMPACT: Final = "Our orders move no price and take no liquidity from anybody else's; there is no queue before them."
BY_HAND: Final = (
    "The bounds were given: whoever chose them knowing this recording sees more profit than there will be again."
)


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """One symbol's part of a recording.

    Shapes:
        at_ns, is_top, price, ask: (n,) time received; whether it is a book top or a print; its best bid, or the price
            it printed at; its best ask, or 0. Prices in ticks.
    """

    symbol: str
    at_ns: Integers
    is_top: np.ndarray[tuple[int], np.dtype[np.bool_]]
    price: Integers
    ask: Integers


def tape_of(events: Events, settings: BacktestSettings) -> Tape:
    """Return the tape the settings ask for: prints, book tops, or both as the venue would send them.

    Raises:
        UnusableSettings: the recording holds no such event.
    """
    through = settings.fill is Fill.THROUGH
    tops, prints = np.flatnonzero(events.is_top), np.flatnonzero(~events.is_top)
    chosen = {Prices.TRADES: prints, Prices.TOPS: tops, Prices.ALL: tops}[settings.prices]
    if not len(chosen):
        have = "tops" if len(tops) else "trades"
        raise UnusableSettings(Wrong("prices", f"the recording has no such events of {events.symbol}; use {have}."))
    if settings.prices is Prices.TRADES:
        return of_trades(events.symbol, events.at_ns[prints], events.price[prints], through=through)
    if settings.prices is Prices.TOPS:
        return of_tops(events.symbol, events.at_ns[tops], events.price[tops], events.ask[tops])
    return _both(events, int(tops[0]), through=through)


def on_kernel(tape: Tape, settings: BacktestSettings, instrument: Instrument) -> Ran:
    """Run the grid of `settings` over the tape.

    Raises:
        UnusableSettings: the grid cannot be laid, or its cash does not pay for it.
        UnableToRun: a number does not fit the kernel.
    """
    ladder, terms, state = opened(tape, settings, instrument)
    levels = ladder.levels
    outcome = kernel.run(tape, ladder, terms, state=state)
    log = log_of(outcome.fills, terms)
    stop = outcome.ended_at + 1
    path = path_of(
        tape.at_ns[:stop], tape.mark[:stop], index=log.event, signed_lots=log.signed_lots, ticks=log.ticks,
        fees=log.fee, held=(state.cash, state.lots), unit=terms.scale, opening=outcome.opening_equity,
    )  # fmt: skip
    neutral = settings.mode is Mode.NEUTRAL
    basis = {slot: int(state.slots[BASIS, slot]) for slot, holds in enumerate(state.held) if holds and neutral}
    opens = -1 if settings.mode is Mode.SHORT else 1
    bought = state.lots if neutral else 0
    opening_turnover = bought * int(tape.down[0]) * terms.scale
    trips = paired(log, opens=opens, unit=terms.scale, basis=basis)
    return Ran(
        instrument=instrument,
        levels=levels,
        path=path,
        log=log,
        trips=trips,
        fill_levels=levels_of(ladder.levels, log),
        trip_levels=np.array(levels, dtype=np.int64)[trips.slot],
        scale=instrument.tick_size * instrument.lot_size / terms.scale,
        opening_fee=outcome.fees - int(log.fee.sum()),
        opening_turnover=opening_turnover,
        ended=outcome.ended,
        assumptions=(*tape.assumptions, *assumed(settings)),
        base_lots=terms.opening_lots,
        needs=spent_at_most(ladder, state, terms),
    )


def opened(
    tape: Tape, settings: BacktestSettings, instrument: Instrument
) -> tuple[kernel.Ladder, kernel.Terms, kernel.State]:
    """Return the ladder of plain `settings` around the first mark, its terms, and its state before the first order.

    Raises:
        UnusableSettings: the grid cannot be laid, or its cash does not pay for it.
        UnableToRun: a number does not fit the kernel.
    """
    laid = lay_grid(settings, instrument, int(tape.mark[0]))
    ladder = kernel.Ladder(laid.levels, laid.lots, laid.mode)
    terms = terms_of(settings, instrument, base_lots(settings, instrument, sum(laid.lots)))
    state = kernel.opened(tape, ladder, terms)
    _check_cash(settings, instrument, ladder, state, terms)
    return ladder, terms, state


def on_core(
    recorded: Iterable[MarketEvent], tape: Tape, settings: BacktestSettings, instrument: Instrument, *,
    progress: Progress | None = None,
) -> Ran:  # fmt: skip
    """Fold the recorded events of one symbol through the trader and the simulated venue that run live.

    `tape` is only what the equity is drawn on.

    Raises:
        UnusableSettings: the ladder was refused.
    """
    fees = Fees(settings.fee_maker, settings.fee_taker)
    wanted = GridSettings(
        settings.symbol, settings.style, settings.step_fraction, settings.levels - 1, settings.lot, settings.grid
    )
    desk = DeskSettings(ACCOUNT, instrument.quote, (wanted,), fees, settings.cash)
    result = backtest.run(
        recorded, settings=desk, limits=_no_limits(settings), instruments={settings.symbol: instrument},
        progress=progress,
    )  # fmt: skip
    levels = result.view.symbols[0].levels
    if not levels:
        why = next((alert.message for alert in result.alerts), "no price came on which to lay a ladder.")
        raise UnusableSettings(Wrong("step", why))
    return _core_ran(result, levels, tape, settings, instrument)


# --- the kernel's part ------------------------------------------------------------------------------------------------


def _both(events: Events, first: int, *, through: bool) -> Tape:
    """Return tops and prints on one tape; a print fills what it reaches, valued at the best bid before it."""
    is_top, price = events.is_top[first:], events.price[first:]
    newest = np.maximum.accumulate(np.where(is_top, np.arange(len(price)), 0))
    beyond = 1 if through else 0
    down = np.where(is_top, events.ask[first:], price + beyond)
    up = np.where(is_top, price, price - beyond)
    said = [*of_tops(events.symbol, *(np.ones(1, np.int64),) * 3).assumptions]
    said += of_trades(events.symbol, *(np.ones(1, np.int64),) * 2, through=through).assumptions
    return Tape(events.symbol, events.at_ns[first:], down, up, price[newest], tuple(said))


def base_lots(settings: BacktestSettings, instrument: Instrument, needed: int) -> int:
    """Return the lots a grid begins with: none, or of a SHORT one what was given, else what it needs."""
    if settings.mode is not Mode.SHORT:
        return 0
    return needed if settings.base is None else instrument.lots_down(settings.base)


def terms_of(settings: BacktestSettings, instrument: Instrument, opening_lots: int) -> kernel.Terms:
    """Return on which terms the grid of `settings` runs.

    Raises:
        UnableToRun: a number the kernel cannot hold.
    """
    latency = int(settings.latency_ms * MS_NS)
    return kernel.Terms(
        opening_cash=int(settings.cash / (instrument.tick_size * instrument.lot_size)),
        opening_lots=opening_lots,
        maker_fee=settings.fee_maker.as_integer_ratio(),
        taker_fee=settings.fee_taker.as_integer_ratio(),
        submit_ns=latency,
        report_ns=latency,
        max_trades_per_day=settings.max_trades_per_day,
        max_drawdown=None if settings.max_drawdown is None else settings.max_drawdown.as_integer_ratio(),
        style=settings.style,
    )


def _check_cash(
    settings: BacktestSettings, instrument: Instrument, ladder: kernel.Ladder, state: kernel.State, terms: kernel.Terms
) -> None:
    """Refuse a ladder whose cash would end before its last buy: the kernel lends what is missing, no venue does."""
    short = spent_at_most(ladder, state, terms) - terms.opening_cash * terms.scale
    if short <= 0:
        return
    missing = short * instrument.tick_size * instrument.lot_size / terms.scale
    less = f"{settings.cash:f} {instrument.quote} is {missing.quantize(CENT, ROUND_UP)} less than all slots cost"
    raise UnusableSettings(Wrong("cash", f"{less}; use more, or a smaller lot."))


def spent_at_most(ladder: kernel.Ladder, state: kernel.State, terms: kernel.Terms) -> int:
    """Return the money that is gone when every slot of a ladder that has just opened is bought."""
    unit = terms.scale + terms.maker_fee[0] * (terms.scale // terms.maker_fee[1])
    ahead = zip(ladder.levels, ladder.lots, state.held, strict=False)
    still = sum(low * q for low, q, holds in ahead if not holds) * unit
    return terms.opening_cash * terms.scale - state.cash + still


def levels_of(levels: tuple[int, ...], log: FillLog) -> Integers:
    """Return the level of each fill in ticks: a slot buys at its lower and sells at its upper one."""
    return np.array(levels, dtype=np.int64)[log.slot + (log.signed_lots < 0)]


def log_of(fills: NDArray[np.void], terms: kernel.Terms) -> FillLog:
    """Return the fills of the kernel with the fee each of them paid."""
    rate = terms.taker_fee if terms.style is ExecutionStyle.TAKER else terms.maker_fee
    each = fills["ticks"] * fills["lots"] * (rate[0] * (terms.scale // rate[1]))
    return FillLog(fills["event"], fills["slot"], fills["side"] * fills["lots"], fills["ticks"], each)


def assumed(settings: BacktestSettings) -> Sequence[str]:
    """Return what holds of a run on these settings, besides what its tape assumes."""
    maker, taker, ms = settings.fee_maker, settings.fee_taker, settings.latency_ms
    both = f"maker {maker * 100:f} %, taker {taker * 100:f} % of the notional"
    found = [f"Fees are taken in quote currency and nothing is rounded: {both}."]
    found.append(_HELD[settings.mode])
    found.append(f"An order takes {ms:f} ms to the venue, and its fill {ms:f} ms back." if ms else _NO_LATENCY)
    if settings.queue is None:
        found.append(NO_IMPACT)
    if settings.lower is not None:
        found.append(BY_HAND)
    return [*found, RATIOS]


_NO_LATENCY: Final = "Orders reach the venue without delay, and fills are known without delay."
_HELD: Final = {
    Mode.NEUTRAL: "NEUTRAL: what the slots above the first price hold is bought at it, with the taker fee; its first "
    "sells count as round trips from that price.",
    Mode.LONG: "LONG: begins in cash; a slot buys once the price has been above its level.",
    Mode.SHORT: "SHORT: begins with the lots of every slot beside its cash, sells first and buys back lower.",
}


# --- the core's part --------------------------------------------------------------------------------------------------


def _no_limits(settings: BacktestSettings) -> Limits:
    """Return limits that the check, which always runs, never meets; only those that were asked for bind."""
    wide, whole = Decimal(1_000), Decimal(1)
    return Limits(
        phase="backtest",
        version=1,
        capital_quote=settings.cash,
        symbols=frozenset({settings.symbol}),
        execution_styles=frozenset({settings.style}),
        max_position_fraction=wide,
        max_symbol_exposure_fraction=wide,
        max_total_exposure_fraction=wide,
        max_daily_drawdown_fraction=settings.max_drawdown or whole,
        max_daily_drawdown_hard_fraction=settings.max_drawdown or whole,
        max_symbol_drawdown_fraction=None,
        max_daily_trades=settings.max_trades_per_day or 10**9,
        max_open_orders=10**6,
    )


def _core_ran(
    result: Result, levels: tuple[int, ...], tape: Tape, settings: BacktestSettings, instrument: Instrument
) -> Ran:
    fills = [one for one in result.fills if one.fill.symbol == settings.symbol]
    step = instrument.tick_size * instrument.lot_size
    scale = _finest(step)
    log = _core_log(fills, tape.at_ns, scale)
    cash = int(settings.cash / scale)
    trips = _core_trips(fills, scale)
    path = path_of(
        tape.at_ns, tape.mark, index=log.event, signed_lots=log.signed_lots, ticks=log.ticks, fees=log.fee,
        held=(cash, 0), unit=int(step / scale), opening=cash,
    )  # fmt: skip
    return Ran(
        instrument=instrument,
        levels=levels,
        path=path,
        log=log,
        trips=trips,
        fill_levels=levels_of(levels, log),
        trip_levels=np.array(levels, dtype=np.int64)[trips.slot],
        scale=scale,
        opening_fee=0,
        opening_turnover=0,
        ended=result.halts[0].reason if result.halts else kernel.Ended.TAPE,
        assumptions=(*result.assumptions, RATIOS),
    )


def _finest(step: Decimal) -> Decimal:
    """Return the money unit that holds a tick x lot and the step fees are rounded to in whole numbers."""
    unit = min(step, FEE_STEP)
    while step % unit or FEE_STEP % unit:
        unit = unit.scaleb(-1)
    return unit


def _core_log(fills: Sequence[PersistFill], at_ns: Integers, scale: Decimal) -> FillLog:
    rows = [
        (one.slot or 0, one.fill.quantity_lots * (1 if one.fill.side is Side.BUY else -1), one.fill.price_ticks,
         int(one.fill.fee / scale), one.fill.at_ns)
        for one in fills
    ]  # fmt: skip
    slot, signed, ticks, fee, filled_at = np.array(rows, dtype=np.int64).reshape(-1, 5).T
    event = np.minimum(np.searchsorted(at_ns, filled_at, "left"), len(at_ns) - 1)
    return FillLog(event, slot, signed, ticks, fee)


def _core_trips(fills: Sequence[PersistFill], scale: Decimal) -> RoundTrips:
    """Return a round trip of every order that sold for a slot; its profit is that of all its executions."""
    closed = dict[str, tuple[int, int, int]]()  # order -> number of its last fill, slot, profit
    for number, one in enumerate(fills):
        if one.grid_profit_quote is not None:
            before = closed.pop(one.fill.client_order_id, (0, 0, 0))[2]
            closed[one.fill.client_order_id] = (number, one.slot or 0, before + round(one.grid_profit_quote / scale))
    columns = np.array(list(closed.values()), dtype=np.int64).reshape(-1, 3).T
    return RoundTrips(*columns)

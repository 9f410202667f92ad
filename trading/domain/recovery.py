"""From what the journal kept back to a working core: a restart goes on where the last process stopped."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Final

from trading.domain.core import Core, SymbolBook
from trading.domain.desk import Chosen, DeskSettings, NeverRan, TraderState
from trading.domain.events import PersistDay, PersistFill, PersistGrid
from trading.domain.flows import Funding
from trading.domain.grid import GridPlan, GridSettings, from_levels
from trading.domain.grids import plain, settings_of
from trading.domain.halting import HaltProcess
from trading.domain.instruments import Instrument
from trading.domain.ledger import Ledger
from trading.domain.limits import Limits
from trading.domain.market import MarketState
from trading.domain.metrics import HighWater
from trading.domain.moving import Mover, restored
from trading.domain.orders import IN_FLIGHT, Order, OrderStatus, Side
from trading.domain.strategy import Slot, lay_out

REREAD_NS: Final = 600_000_000_000  # fills of the last ten minutes are read again: one may be missing among them


def first_core(
    settings: DeskSettings, limits: Limits, instruments: Mapping[str, Instrument], *, epoch: int, lap: int, now_ns: int
) -> Core:
    """Return the core of an account that never ran: all cash, no ladder.

    Raises:
        ValueError: two grids on one symbol, or a grid whose symbol has no instrument.
    """
    cash = settings.opening_cash_quote
    day = PersistDay(lap, cash, cash, "start", now_ns)
    return Core(
        settings=settings,
        limits=limits,
        instruments=instruments,
        epoch=epoch,
        ledger=Ledger(settings.quote, cash, instruments),
        opening=day,
        day=day,
        high_water=HighWater(cash),
        books=_books(settings, instruments),
        lap=lap,
    )


def restored_core(
    settings: DeskSettings, limits: Limits, instruments: Mapping[str, Instrument], state: TraderState, *, epoch: int
) -> Core:
    """Return the core that `state` describes; orders whose answer is outstanding come back as UNKNOWN.

    Raises:
        ValueError: as `first_core`, or a fill or order whose symbol has no instrument.
        Contradiction: the stored fills cannot all be true.
    """
    _check_symbols(state, instruments)
    core = first_core(settings, limits, instruments, epoch=epoch, lap=state.opening.lap, now_ns=state.opening.at_ns)
    core.ledger = Ledger(settings.quote, state.opening.opening_cash_quote, instruments)
    core.opening = state.opening
    core.day = core.opening if state.day == state.opening else state.day
    _book_flows(core, state)
    core.high_water = HighWater(state.high_water_quote or core.day_funding.unscaled(state.day.opening_equity_quote))
    for settled in state.settled:
        if settled.fill.symbol in instruments:
            core.ledger.remember(settled.fill)
    _book_fills(core, state)
    _lay_ladders(core, state)
    for order in state.orders:
        _take_order(core, replace(order))
    _settle_slots(core)
    hold(core, state)
    core.read_from = _read_from(state)
    return core


def hold(core: Core, state: TraderState | NeverRan) -> None:
    """Put the pauses and halts that people or rules have set in force again."""
    for symbol, reason in state.paused.items():
        if symbol in core.books:
            core.books[symbol].pause = reason
    for halt in state.halts:
        core.halts[halt.symbol] = HaltProcess(halt, {order.client_order_id for order in core.register.on(halt.symbol)})


def _books(settings: DeskSettings, instruments: Mapping[str, Instrument]) -> dict[str, SymbolBook]:
    books: dict[str, SymbolBook] = {}
    for grid in settings.grids:
        if grid.symbol in books:
            raise ValueError(f"{settings.account}: two grids on {grid.symbol}; keep one.")
        if grid.symbol not in instruments:
            raise ValueError(f"{settings.account}: the venue does not list {grid.symbol}; remove its grid.")
        books[grid.symbol] = _book_of(grid, instruments[grid.symbol])
    return books


def _book_of(grid: Chosen, instrument: Instrument) -> SymbolBook:
    if isinstance(grid, GridSettings):
        return SymbolBook(grid, instrument, MarketState(grid.symbol))
    return SymbolBook(settings_of(grid), instrument, MarketState(grid.symbol), Mover(grid))


def _check_symbols(state: TraderState, instruments: Mapping[str, Instrument]) -> None:
    working = (order.symbol for order in state.orders if order.is_open)
    symbols = chain((fill.fill.symbol for fill in state.fills), working)
    for symbol in symbols:
        if symbol not in instruments:
            raise ValueError(
                f"{symbol} was traded, but its instrument is not given: load its filters before the start."
            )


def _book_flows(core: Core, state: TraderState) -> None:
    """Know every transfer; those of this lap are not in the cash it opened with, those of today not in its opening."""
    for stored in state.flows:
        core.flow_ids.add(stored.flow.flow_id)
        core.funding = Funding(stored.paid_in_quote, stored.scale)
        if stored.lap == core.lap and stored.flow.amount_quote:
            core.ledger.cash += stored.flow.amount_quote  # was checked when it was booked
        if (stored.lap, stored.day_at_ns) != (core.day.lap, core.day.at_ns):
            core.day_funding = core.funding


def _book_fills(core: Core, state: TraderState) -> None:
    day_is_open = state.day == state.opening
    for stored in state.fills:
        if not day_is_open and stored.fill.at_ns >= state.day.since_ns:
            core.ledger.open_day({})
            day_is_open = True
        _book(core, stored)
        if day_is_open:
            core.register.today[stored.fill.client_order_id] = stored.fill.at_ns
    if not day_is_open:
        core.ledger.open_day({})


def _book(core: Core, stored: PersistFill) -> None:
    fill = stored.fill
    is_grid = fill.side is Side.BUY or stored.grid_profit_quote is not None
    core.ledger.apply(fill, stored.slot, grid=is_grid)
    if fill.symbol in core.books:
        core.books[fill.symbol].last_fill_at_ns = fill.at_ns


def _lay_ladders(core: Core, state: TraderState) -> None:
    for stored in state.grids:
        book = core.books.get(stored.symbol)
        if book is None or stored.lap != core.lap:
            continue
        if book.mover is None and stored.footing is not None:
            book.mover = Mover(plain(book.settings))  # it moved once: only as such its slots keep their numbers
        if book.mover is not None:
            book.plan, book.slots = restored(book.mover, book.instrument, stored.levels_ticks, stored.footing)
            book.smallest_step = 0.0 if book.plan is None else float(book.plan.smallest_step_fraction())
        else:
            plan = _plan(book.settings, stored, holds=bool(core.ledger.positions[stored.symbol].lots))
            if plan is not None:
                book.plan, book.slots = plan, lay_out(plan, book.instrument)
                book.smallest_step = float(plan.smallest_step_fraction())


def _plan(settings: GridSettings, stored: PersistGrid, *, holds: bool) -> GridPlan | None:
    """Return the stored ladder; one that no longer fits the settings stays only while its lots are held."""
    return from_levels(settings, stored.levels_ticks, only_if_fits=not holds)


def _take_order(core: Core, order: Order) -> None:
    if order.symbol not in core.instruments:
        return  # ended, and no longer traded
    if order.status in IN_FLIGHT:
        order.status = OrderStatus.UNKNOWN
        order.reason = order.reason or "restart: the answer was not heard"
    core.register.add(order)
    if order.symbol in core.books and order.decided_at_ns >= core.day.at_ns:
        core.books[order.symbol].taken.end(order)
    slot = _slot_for(core, order)
    if slot is not None and order.is_open:
        slot.order = order


def _slot_for(core: Core, order: Order) -> Slot | None:
    book = core.books.get(order.symbol)
    if book is None or order.lap != core.lap:
        return None
    slot = book.slot(order.slot)
    return slot if slot is not None and slot.order is None else None


def _settle_slots(core: Core) -> None:
    """Give every slot what it holds; what no slot can sell any more is dust."""
    for symbol, position in core.ledger.positions.items():
        book = core.books.get(symbol)
        slots = {slot.index: slot for slot in book.slots} if book is not None else {}
        for index in list(position.lots):
            slot = slots.get(index)
            if slot is None:
                core.ledger.sweep(symbol, index)
                continue
            slot.held_lots = core.ledger.sellable_lots(symbol, index)
            if slot.order is None and slot.held_lots < slot.smallest_lots:
                core.ledger.sweep(symbol, index)
                slot.held_lots = 0


def _read_from(state: TraderState) -> dict[str, int]:
    """Return from where fills are asked for: what came long before the newest is complete."""
    read_from = dict(state.last_trade_ids)
    newest = {stored.fill.symbol: stored.fill.at_ns for stored in state.fills}
    for fill in (stored.fill for stored in state.fills):
        if fill.at_ns < newest[fill.symbol] - REREAD_NS:
            read_from[fill.symbol] = max(read_from.get(fill.symbol, 0), fill.trade_id)
    return read_from

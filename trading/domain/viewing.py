"""What the core shows of itself."""

from decimal import Decimal

from trading.domain.core import NOT_TRADED, Core, SymbolBook
from trading.domain.desk import SlotView, SymbolView, TraderView
from trading.domain.forecast import regime
from trading.domain.limits import ExecutionStyle
from trading.domain.metrics import MINUTE_NS, Rate, mean_rate
from trading.domain.strategy import Slot, SlotState


def view(core: Core, now_ns: int) -> TraderView:
    """Return a snapshot of `core`; nothing is changed."""
    equity = core.equity()
    pnl_day = core.daily_pnl()
    positions = core.ledger.positions.values()
    grid_profit = sum((p.grid_profit for p in positions), Decimal(0))
    rate = _desk_rate(core)
    return TraderView(
        account=core.settings.account,
        state=core.state,
        halt=core.halt.state if core.halt is not None else None,
        lap=core.lap,
        started=core.started,
        cash_quote=core.ledger.cash,
        equity_quote=equity,
        opening_equity_quote=core.day.opening_equity_quote,
        pnl_day_quote=pnl_day,
        grid_profit_day_quote=grid_profit,
        inventory_pnl_day_quote=pnl_day - grid_profit,
        fees_day_quote=sum((p.fees for p in positions), Decimal(0)),
        daily_drawdown_fraction=core.daily_drawdown(),
        high_water_drawdown_fraction=core.high_water_drawdown(),
        exposure_quote=sum(core.worst_quotes().values(), Decimal(0)),
        open_orders=len(core.register.open),
        unknown_orders=len(core.register.unknown()),
        trades_today=core.register.trades_today,
        fills_today=sum(p.fills for p in positions),
        round_trips_today=sum(p.round_trips for p in positions),
        orders_per_minute=core.pace.within(MINUTE_NS, now_ns),
        fill_rate=rate.fraction,
        fill_rate_of=rate.count,
        reconcile_clean=core.clean,
        reconcile_agrees=core.agrees,
        reconcile_at_ns=core.read_at_ns,
        reconcile_local_open=core.local_open,
        reconcile_venue_open=core.venue_open,
        discrepancies=core.discrepancies,
        symbols=tuple(_symbol(core, book, now_ns) for book in core.books.values()),
        funding=core.funding,
    )


def _symbol(core: Core, book: SymbolBook, now_ns: int) -> SymbolView:
    position, mark, top = core.ledger.positions[book.symbol], core.marks.get(book.symbol), book.market.top
    value = core.ledger.value(book.symbol, mark) if mark is not None else None
    state, why = _state(core, book, now_ns)
    rate = _symbol_rate(book)
    return SymbolView(
        symbol=book.symbol,
        state=state,
        why=why,
        bid_ticks=top.bid_ticks if top is not None else None,
        ask_ticks=top.ask_ticks if top is not None else None,
        mark_ticks=mark,
        base=position.base,
        dust_base=position.dust.base,
        cost_quote=position.cost,
        position_quote=value,
        pnl_day_quote=core.ledger.day_pnl(book.symbol, mark) if mark is not None or not position.base else None,
        drawdown_fraction=core.symbol_drawdown(book.symbol) if mark is not None or not position.base else None,
        grid_profit_day_quote=position.grid_profit,
        floating_quote=value - position.cost if value is not None else None,
        fees_day_quote=position.fees,
        fills_today=position.fills,
        round_trips_today=position.round_trips,
        fill_rate=rate.fraction,
        fill_rate_of=rate.count,
        levels=book.plan.levels if book.plan is not None else (),
        step_fraction=book.settings.step_fraction,
        slots=tuple(_slot(core, book, slot) for slot in book.slots),
        held=sum(slot.held_lots > 0 for slot in book.slots),
        working=sum(1 for _ in core.register.of(book.symbol)),
        volatility_per_second=book.volatility,
        regime=regime(book.volatility) if book.volatility is not None else None,
        floor_fraction=book.floor,
        is_fed=not book.instrument.trading or book.market.is_fresh(now_ns),
        touched_ever=book.touches.touched_ever,
        touch_filled_ever=book.touches.filled_ever,
        advice=core.advice_on(book, now_ns),
    )


def _state(core: Core, book: SymbolBook, now_ns: int) -> tuple[str, str]:
    """Return the symbol's word and the reason, the gravest first."""
    for halt in core.halts_on(book.symbol):
        return "Halted", halt.state.reason
    if not book.instrument.trading:
        return "Waiting", NOT_TRADED
    blocked = core.block(book, now_ns)
    if blocked:
        return "Paused", blocked
    if book.market.top is None:
        return "Waiting", "no price yet"
    if not book.market.is_fresh(now_ns):
        return "Waiting", "prices are stale"
    if not core.started:
        return "Waiting", "reading the venue"
    if not core.reconciled(now_ns):
        return "Waiting", "our books and the venue's do not agree"
    if book.plan is None:
        return "Waiting", (book.mover.waits if book.mover is not None else "") or "no ladder yet"
    top = book.market.top
    if not any(slot.state is not SlotState.EMPTY for slot in book.slots) and top.bid_ticks > book.plan.levels[-1]:
        return "Idle", "the price is above the ladder"
    return "Running", ""


def _slot(core: Core, book: SymbolBook, slot: Slot) -> SlotView:
    order = slot.order
    return SlotView(
        index=slot.index,
        buy_ticks=slot.buy_ticks,
        sell_ticks=slot.sell_ticks,
        state=slot.state,
        held_base=core.ledger.held(book.symbol, slot.index),
        order_id=order.client_order_id if order is not None else None,
        order_side=order.side if order is not None else None,
        order_status=order.status if order is not None else None,
        order_price_ticks=order.price_ticks if order is not None else None,
        order_filled_lots=order.filled_lots if order is not None else 0,
        note=slot.note,
    )


def _symbol_rate(book: SymbolBook) -> Rate:
    return book.touches.rate if book.settings.style is ExecutionStyle.MAKER else book.taken.rate


def _desk_rate(core: Core) -> Rate:
    return mean_rate(_symbol_rate(book) for book in core.books.values())

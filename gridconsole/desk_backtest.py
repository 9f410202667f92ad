"""`./console backtest --desk`: fold recorded market data through the trader and the simulated venue of a demo desk."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from trading.domain import backtest
from trading.domain.backtest import Result
from trading.domain.desk import DeskSettings
from trading.domain.fees import DEMO_FEES
from trading.domain.instruments import Instrument
from trading.domain.limits import Limits
from trading.domain.market import MarketEvent
from trading.services.demo import DEMO_DESKS, Desk
from trading.simulator import listing, replay

DAY_NS: Final = 86_400_000_000_000
PROGRESS_AFTER_S: Final = 2.0
PROGRESS_EVERY_S: Final = 0.5
ONE_DAY: Final = "The recording is shorter than a day and counts as one trading day, like one lap of the replay."


class UnableToRun(Exception):
    """The desk cannot be run; the message names what is wrong and what to do."""


def run(name: str, data: str, *, as_json: bool) -> Iterator[str]:
    """Run the demo desk `name` over `data` ("ticks", "bars" or a path) and yield what it did, line by line.

    Raises:
        UnableToRun: there is no such desk, or the recording cannot be used.
    """
    desk = next((desk for desk in DEMO_DESKS if desk.slug == name), None)
    if desk is None:
        names = ", ".join(desk.slug for desk in DEMO_DESKS)
        raise UnableToRun(f"--desk: {name!r} is no demo desk; use one of {names}.")
    try:
        listed = listing.load().instruments
        recording = replay.read(_dataset(data), listed)
        result = _run(desk, recording, listed)
    except (replay.ReplayError, listing.ListingError, ValueError) as error:
        raise UnableToRun(str(error)) from error
    if as_json:
        yield json.dumps(_as_json(desk, recording, result))
    else:
        yield from _report(desk, recording, result)


def _run(desk: Desk, recording: replay.Recording, listed: dict[str, Instrument]) -> Result:
    symbols = tuple(symbol for symbol in desk.symbols if symbol in recording.symbols)
    if not symbols:
        raise UnableToRun(f"{recording.name}: none of the desk's symbols ({', '.join(desk.symbols)}) is in it.")
    progress = _Progress(recording.first_ns if not _is_one_day(recording) else _midnight(recording), recording)
    result = backtest.run(
        _events(recording),
        settings=_settings(desk, symbols, listed),
        limits=_limits(desk),
        instruments={symbol: listed[symbol] for symbol in recording.symbols},
        progress=progress.show,
    )
    progress.clear()
    return result


class _Progress:
    """One line on standard error while a run takes longer than two seconds."""

    def __init__(self, begin_ns: int, recording: replay.Recording) -> None:
        self._begin_ns = begin_ns
        self._length_ns = max(recording.last_ns - recording.first_ns, 1)
        self._started = self._shown = time.monotonic()
        self._visible = False

    def show(self, events: int, at_ns: int) -> None:
        now = time.monotonic()
        if now - self._started < PROGRESS_AFTER_S or now - self._shown < PROGRESS_EVERY_S:
            return
        self._shown, self._visible = now, True
        done = min((at_ns - self._begin_ns) / self._length_ns, 1.0)
        sys.stderr.write(f"\r{done:4.0%}  {events:,} events")

    def clear(self) -> None:
        if self._visible:
            sys.stderr.write("\r" + " " * 40 + "\r")


def _dataset(name: str) -> str | Path:
    return name if name in replay.DATASETS else Path(name)


def _is_one_day(recording: replay.Recording) -> bool:
    return recording.last_ns - recording.first_ns < DAY_NS


def _midnight(recording: replay.Recording) -> int:
    return recording.first_ns - recording.first_ns % DAY_NS


def _events(recording: replay.Recording) -> Iterator[MarketEvent]:
    events = replay.events(recording)
    return backtest.rebased(events, _midnight(recording)) if _is_one_day(recording) else events


def _settings(desk: Desk, symbols: tuple[str, ...], listed: dict[str, Instrument]) -> DeskSettings:
    grids = tuple(desk.grid_on(symbol, listed[symbol].tick_size) for symbol in symbols)
    return DeskSettings(desk.slug, "USDT", grids, DEMO_FEES, desk.capital_quote)


def _limits(desk: Desk) -> Limits:
    return Limits(
        phase=desk.phase,
        version=1,
        capital_quote=desk.capital_quote,
        symbols=frozenset(desk.symbols),
        execution_styles=frozenset({desk.style}),
        max_position_fraction=desk.max_position_fraction,
        max_symbol_exposure_fraction=desk.max_symbol_exposure_fraction,
        max_total_exposure_fraction=desk.max_total_exposure_fraction,
        max_daily_drawdown_fraction=desk.max_daily_drawdown_fraction,
        max_daily_drawdown_hard_fraction=desk.max_daily_drawdown_hard_fraction,
        max_symbol_drawdown_fraction=desk.max_symbol_drawdown_fraction,
        max_daily_trades=desk.max_daily_trades,
        max_open_orders=desk.max_open_orders,
    )


def _totals(desk: Desk, result: Result) -> dict[str, Decimal]:
    """Return the P&L of the whole run, split; the view's own figures are those of the last day."""
    pnl = result.view.equity_quote - desk.capital_quote
    grid_profit = sum((f.grid_profit_quote or Decimal(0) for f in result.fills), Decimal(0))
    fees = sum((f.fill.fee for f in result.fills), Decimal(0))
    return {
        "pnl_quote": pnl,
        "grid_profit_quote": grid_profit,
        "inventory_pnl_quote": pnl - grid_profit,
        "fees_quote": fees,
    }


def _as_json(desk: Desk, recording: replay.Recording, result: Result) -> dict[str, object]:
    denials = Counter(order.reason.split(":", 1)[0] for order in result.denials)
    return {
        "desk": desk.slug,
        "phase": desk.phase,
        "style": desk.style,
        "data": recording.name,
        "label": recording.label,
        "events": result.events,
        "recorded_s": round((result.last_at_ns - result.first_at_ns) / 1e9, 3),
        "orders": len(result.orders),
        "fills": len(result.fills),
        "round_trips": result.round_trips,
        "first_fill_after_s": result.first_fill_after_s,
        "capital_quote": str(desk.capital_quote),
        "equity_quote": f"{result.view.equity_quote:f}",
        **{name: f"{_plain(amount):f}" for name, amount in _totals(desk, result).items()},
        "max_drawdown_fraction": float(result.max_drawdown_fraction),
        "fill_rate": result.view.fill_rate,
        "fill_rate_of": result.view.fill_rate_of,
        "denials": dict(sorted(denials.items())),
        "halts": [halt.reason for halt in result.halts],
        "discrepancies": list(result.discrepancies),
        "fills_sha256": result.fills_sha256,
        "orders_sha256": result.orders_sha256,
        "assumptions": list(_assumptions(recording, result)),
    }


def _assumptions(recording: replay.Recording, result: Result) -> tuple[str, ...]:
    return (*result.assumptions, ONE_DAY) if _is_one_day(recording) else result.assumptions


def _plain(amount: Decimal) -> Decimal:
    """Return `amount` with eight decimals, the venue's own precision."""
    return amount.quantize(Decimal("0.00000001"))


def _report(desk: Desk, recording: replay.Recording, result: Result) -> Iterator[str]:
    view, totals = result.view, _totals(desk, result)
    length_s = (result.last_at_ns - result.first_at_ns) / 1e9
    begin = datetime.fromtimestamp(recording.first_ns / 1e9, UTC)
    yield f"{desk.name}, phase {desk.phase}, {desk.style}: {recording.name} ({recording.label})"
    yield f"  recorded      {begin:%Y-%m-%d %H:%M:%S} UTC, {length_s:,.0f} s, {result.events:,} events"
    yield f"  orders        {len(result.orders):,} sent, {len(result.denials):,} denied{_denied(result)}"
    first = "none" if result.first_fill_after_s is None else f"first after {result.first_fill_after_s:,.1f} s"
    yield f"  fills         {len(result.fills):,} ({first}), {result.round_trips:,} round trips"
    rate = "unknown" if view.fill_rate is None else f"{view.fill_rate:.1%} of {view.fill_rate_of}"
    yield f"  fill rate     {rate} {'marketable orders' if desk.style == 'TAKER' else 'touched orders'} of the last day"
    yield f"  equity        {view.equity_quote:,.4f} USDT, began with {desk.capital_quote:,.2f}"
    yield f"  P&L           {totals['pnl_quote']:+,.4f} USDT, fees of {totals['fees_quote']:,.4f} included:"
    yield f"                grid profit {totals['grid_profit_quote']:+,.4f} (closed round trips, after both fees)"
    yield f"                inventory {totals['inventory_pnl_quote']:+,.4f} (what is held, at the best bid)"
    yield f"  max drawdown  {result.max_drawdown_fraction:.4%}"
    for symbol in view.symbols:
        why = f" ({symbol.why})" if symbol.why else ""
        yield (
            f"  {symbol.symbol:<12}  {symbol.state}{why}: {symbol.fills_today} fills today, {symbol.held} lots held, "
            f"{symbol.working} orders working, floating {_plain(symbol.floating_quote or Decimal(0)):+,.4f} USDT"
        )
    for halt in result.halts:
        yield f"  HALTED        {halt.reason}"
    for discrepancy in sorted(set(result.discrepancies)):
        yield f"  discrepancy   {discrepancy}"
    yield f"  fills sha256  {result.fills_sha256}"
    yield "Assumptions:"
    for line in _assumptions(recording, result):
        yield f"  - {line}"


def _denied(result: Result) -> str:
    reasons = Counter(order.reason.split(":", 1)[0] for order in result.denials)
    return " (" + ", ".join(f"{name} {count}" for name, count in sorted(reasons.items())) + ")" if reasons else ""

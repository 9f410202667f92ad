"""Turns the core's view into the values browsers see; only what changed leaves."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Protocol

from trading import live
from trading.domain.advice import GridAdvice
from trading.domain.desk import SymbolView, TraderView
from trading.domain.events import Effect, PersistFill
from trading.domain.instruments import Instrument
from trading.domain.limits import TradingState
from trading.domain.orders import Side
from trading.live import EventName, Value, Values
from trading.runtime.meter import SUBMIT_ACK, TICK_SUBMIT, Meter

MS: Final = 1_000_000  # nanoseconds
SECOND_NS: Final = 1_000_000_000
HOUR_S: Final = 3_600
SHORT_DIGEST: Final = 8  # characters that tell one model from another on a page
NO_ADVICE: Final = "Rule grid: no model"


class Publisher(Protocol):
    """The way to the browsers; what cannot be told is only late."""

    async def values(self, values: Values) -> None:
        """Tell every browser what changed."""
        ...

    async def events(self, *names: EventName) -> None:
        """Tell every browser that something rare happened."""
        ...

    async def prices(self, prices: Mapping[str, tuple[int, float]]) -> None:
        """Append symbol -> (t_ms, price) to the history a chart starts from."""
        ...


class Changes:
    """Keeps what was published last."""

    def __init__(self) -> None:
        self._last: dict[str, Value] = {}

    def of(self, values: Values) -> dict[str, Value]:
        """Return the values that differ from the last ones and remember them."""
        changed = {key: value for key, value in values.items() if key not in self._last or self._last[key] != value}
        self._last.update(changed)
        return changed


def desk_values(view: TraderView, instruments: Mapping[str, Instrument]) -> dict[str, Value]:
    """Return the values of one desk and its grids; money becomes a number for display only."""
    slug = view.account
    values: dict[str, Value] = {
        live.desk(slug, "state"): view.state,
        live.desk(slug, "halt.stage"): view.halt.stage if view.halt else "",
        live.desk(slug, "engine"): "Running" if view.started else "Starting",
        live.desk(slug, "equity"): float(view.equity_quote),
        live.desk(slug, "equity_open"): float(view.opening_equity_quote),
        live.desk(slug, "cash"): float(view.cash_quote),
        live.desk(slug, "pnl_day"): float(view.pnl_day_quote),
        live.desk(slug, "grid_profit_day"): float(view.grid_profit_day_quote),
        live.desk(slug, "fees_day"): float(view.fees_day_quote),
        live.desk(slug, "dd"): _percent(view.daily_drawdown_fraction),
        live.desk(slug, "hwdd"): _percent(view.high_water_drawdown_fraction),
        live.desk(slug, "fill_rate"): _percent(view.fill_rate),
        live.desk(slug, "fill_den"): view.fill_rate_of,
        live.desk(slug, "open_orders"): view.open_orders,
        live.desk(slug, "orders_min"): view.orders_per_minute,
        live.desk(slug, "trades_day"): view.trades_today,
        live.desk(slug, "reconcile.clean"): None if view.reconcile_clean is None else int(view.reconcile_clean),
        live.desk(slug, "reconcile.at"): None if view.reconcile_at_ns is None else view.reconcile_at_ns // MS,
        live.desk(slug, "reconcile.local"): view.reconcile_local_open,
        live.desk(slug, "reconcile.venue"): view.reconcile_venue_open,
    }
    for symbol in view.symbols:
        values |= _grid_values(slug, symbol, instruments[symbol.symbol])
    return values


def _grid_values(slug: str, view: SymbolView, instrument: Instrument) -> dict[str, Value]:
    name = view.symbol
    volatility = view.volatility_per_second
    return {
        live.grid(slug, name, "state"): view.state,
        live.grid(slug, name, "why"): view.why,
        live.grid(slug, name, "pos"): float(view.base),
        live.grid(slug, name, "pos_quote"): _number(view.position_quote),
        live.grid(slug, name, "pnl"): _number(view.pnl_day_quote),
        live.grid(slug, name, "dd"): _percent(view.drawdown_fraction),
        live.grid(slug, name, "grid_profit"): float(view.grid_profit_day_quote),
        live.grid(slug, name, "floating"): _number(view.floating_quote),
        live.grid(slug, name, "fills"): view.fills_today,
        live.grid(slug, name, "fr"): _percent(view.fill_rate),
        live.grid(slug, name, "slots"): len(view.slots),
        live.grid(slug, name, "held"): view.held,
        live.grid(slug, name, "working"): view.working,
        live.grid(slug, name, "vol"): None if volatility is None else round(volatility * HOUR_S**0.5 * 100, 4),
        live.grid(slug, name, "regime"): view.regime,
        live.grid(slug, name, "floor"): _percent(view.floor_fraction),
        live.grid(slug, name, "advice"): advice_words(view.advice),
        live.grid(slug, name, "range_lo"): float(instrument.price(view.levels[0])) if view.levels else None,
        live.grid(slug, name, "range_hi"): float(instrument.price(view.levels[-1])) if view.levels else None,
    }


def advice_words(advice: GridAdvice | None) -> str:
    """Return what a model asks of a grid, until when, and why; or that the rule grid runs alone."""
    if advice is None:
        return NO_ADVICE
    until = datetime.fromtimestamp(advice.valid_until_ns // SECOND_NS, UTC)
    return "; ".join(
        (f"Asks: {advice.asks}, until {until:%H:%M} UTC (model {advice.model[:SHORT_DIGEST]})", *advice.reasons)
    )


def latency_values(slug: str, meter: Meter) -> dict[str, Value]:
    """Return the latency percentiles since the loop started, ms; None without samples."""
    ack, submit = meter.run[SUBMIT_ACK], meter.run[TICK_SUBMIT]
    return {
        live.desk(slug, "lat_p50"): ack.percentile_ms(50),
        live.desk(slug, "lat_p95"): ack.percentile_ms(95),
        live.desk(slug, "lat_p99"): ack.percentile_ms(99),
        live.desk(slug, "t2s_p50"): submit.percentile_ms(50),
        live.desk(slug, "t2s_p99"): submit.percentile_ms(99),
    }


def desk_gauges(view: TraderView, meter: Meter) -> dict[str, float]:
    """Return the numbers of one desk for machines; what is unknown is absent."""
    slug, submit = view.account, meter.run[TICK_SUBMIT]
    return _known(
        {
            live.gauge("open_orders", slug): view.open_orders,
            live.gauge("equity_quote", slug): float(view.equity_quote),
            live.gauge("halted", slug): int(view.state is TradingState.HALTED),
            live.gauge("tick_submit_p50_ms", slug): submit.percentile_ms(50),
            live.gauge("tick_submit_p99_ms", slug): submit.percentile_ms(99),
        }
    )


def feed_gauges(rate: int | None, age_ms: int | None, reconnects: int) -> dict[str, float]:
    """Return the numbers of the market-data feed for machines; what is unknown is absent."""
    return _known(
        {
            live.gauge("ticks_per_second"): rate,
            live.gauge("feed_age_ms"): age_ms,
            live.gauge("feed_reconnects"): reconnects,
        }
    )


def fill_values(slug: str, effects: Sequence[Effect], instruments: Mapping[str, Instrument]) -> dict[str, Value]:
    """Return the newest execution of each symbol among `effects`, as a mark for the chart."""
    values: dict[str, Value] = {}
    for effect in effects:
        if isinstance(effect, PersistFill):
            fill, instrument = effect.fill, instruments[effect.fill.symbol]
            sign = 1 if fill.side is Side.BUY else -1
            price, quantity = instrument.price(fill.price_ticks), instrument.quantity(fill.quantity_lots)
            values[live.grid(slug, fill.symbol, "fill")] = [fill.at_ns / MS, float(price), sign, float(quantity)]
    return values


def _known(gauges: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in gauges.items() if value is not None}


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _percent(fraction: Decimal | float | None) -> float | None:
    return None if fraction is None else round(float(fraction) * 100, 4)

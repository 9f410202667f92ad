"""The backtest: recorded market events folded through the trader and the simulated venue."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from itertools import chain
from typing import Final

from trading.domain.desk import DeskSettings, TraderView
from trading.domain.drift import Booked, Deal, Sample, fills_digest
from trading.domain.events import (
    AdviceChanged,
    Cancel,
    CancelEverything,
    CancelRefused,
    Effect,
    Event,
    ForecastChanged,
    LatchHalt,
    MandateChanged,
    OrderRefused,
    PersistFill,
    PersistOrder,
    PersistReconcile,
    RaiseAlert,
    ReadVenue,
    Submit,
    TimerFired,
    VenueOrder,
    VenueRead,
)
from trading.domain.forecast import Forecast, Forecaster
from trading.domain.instruments import Instrument
from trading.domain.limits import Limits
from trading.domain.market import BookTop, MarketEvent
from trading.domain.matching import SimulatedVenue
from trading.domain.orders import Order, OrderStatus
from trading.domain.trader import SECOND_NS, Trader
from trading.domain.venue_orders import BookedOrder, NewOrder, Rejection, Report

Progress = Callable[[int, int], None]  # (events so far, time of the last one)
PROGRESS_EVERY: Final = 2_000  # events
SAMPLE_EVERY_S: Final = 5  # the equity, as often as the running desk stores it
LONGEST_TURN: Final = 10_000  # reports that follow from one event; more means that the core chases itself
ASSUMPTIONS: Final = (
    "The trader, its risk check and the simulated venue are the ones that run live; only the wires are missing.",
    "Orders reach the venue without delay, and its reports come back without delay.",
    "A MARKET order fills at the opposite best price up to the displayed quantity; the rest expires.",
    "A resting order fills at its own price when the opposite best price reaches it (up to the displayed quantity), or "
    "when a trade prints strictly through it (up to the printed quantity); a print at its price does not fill it.",
    "Our orders move no price and take no liquidity from anybody else's.",
    "Fees are taken in quote currency; equity marks the inventory at the best bid.",
    "The forecast is the rule-based one, fed with the same prices, at most once a second.",
)


class Runaway(Exception):
    """One event caused more reports than any market could: the core or the venue chases itself. A defect."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a backtest did."""

    events: int
    first_at_ns: int
    last_at_ns: int
    orders: tuple[Order, ...]  # last state of every order that was approved, in the order of their decision
    fills: tuple[PersistFill, ...]
    denials: tuple[Order, ...]
    alerts: tuple[RaiseAlert, ...]
    halts: tuple[LatchHalt, ...]
    discrepancies: tuple[str, ...]  # of every reconcile; empty when each was clean
    view: TraderView  # at the end
    equity: tuple[Sample, ...]  # every five seconds and at the end, oldest first
    max_drawdown_fraction: Decimal  # from the highest equity, sampled at every second and fill
    round_trips: int  # of all days
    first_fill_after_s: float | None  # seconds of recorded time
    fills_sha256: str
    orders_sha256: str
    assumptions: tuple[str, ...] = ASSUMPTIONS


def due_timers(last_ns: int | None, now_ns: int) -> Iterator[TimerFired]:
    """Yield a timer for every whole second of UTC in (last, now]; none before the first event."""
    if last_ns is not None:
        for second in range(last_ns // SECOND_NS + 1, now_ns // SECOND_NS + 1):
            yield TimerFired(second * SECOND_NS)


def forecast_event(forecast: Forecast) -> ForecastChanged:
    """Return the event that brings `forecast` to the trader."""
    return ForecastChanged(
        forecast.symbol, forecast.volatility_per_second, forecast.spacing_floor_fraction, forecast.at_ns
    )


def orders_digest(orders: Iterable[Order]) -> str:
    """Return the SHA-256 (hex) of what was ordered and how it ended, in the order given."""
    digest = sha256()
    for o in orders:
        asked = (o.symbol, o.side, o.type, o.quantity_lots, o.price_ticks, o.slot, o.purpose, o.status, o.filled_lots)
        digest.update("|".join(map(str, asked)).encode() + b"\n")
    return digest.hexdigest()


def rebased(events: Iterable[MarketEvent], to_ns: int) -> Iterator[MarketEvent]:
    """Yield `events` shifted in time so that the first comes at `to_ns`."""
    shift: int | None = None
    for event in events:
        if shift is None:
            shift = to_ns - event.received_at_ns
        venue_at_ns = event.venue_at_ns + shift if event.venue_at_ns else 0
        yield event._replace(venue_at_ns=venue_at_ns, received_at_ns=event.received_at_ns + shift)


def booked(result: Result) -> list[Booked]:
    """Return the fills as they are held against those of paper."""
    return _booked(result.fills)


def _booked(fills: Iterable[PersistFill]) -> list[Booked]:
    return [
        Booked(
            Deal(one.fill.symbol, one.fill.side, one.slot, one.fill.price_ticks, one.fill.quantity_lots),
            one.fill.client_order_id,
            one.grid_profit_quote,
            one.fill.at_ns,
        )
        for one in fills
    ]


@dataclass(slots=True)
class _Record:
    """What the journal would keep."""

    orders: dict[str, Order] = field(default_factory=dict)
    fills: list[PersistFill] = field(default_factory=list)
    denials: list[Order] = field(default_factory=list)
    alerts: list[RaiseAlert] = field(default_factory=list)
    halts: list[LatchHalt] = field(default_factory=list)
    discrepancies: list[str] = field(default_factory=list)

    def keep(self, effect: Effect) -> None:
        match effect:
            case PersistOrder(order) if order.status is OrderStatus.DENIED:
                self.denials.append(order)
            case PersistOrder(order):
                self.orders[order.client_order_id] = order
            case PersistFill():
                self.fills.append(effect)
            case RaiseAlert():
                self.alerts.append(effect)
            case LatchHalt():
                self.halts.append(effect)
            case PersistReconcile(discrepancies=found):
                self.discrepancies += found
            case _:
                pass


class Lockstep:
    """One trader at one simulated venue, event by event, without wires.

    For a market event: the venue takes it; timers that fell due; its reports; the event; a new forecast, if any. After
    each of them everything that follows is carried out, first come first served, until nothing follows.
    """

    def __init__(self, trader: Trader, venue: SimulatedVenue, account: str, speed: float = 1.0) -> None:
        self.record = _Record()
        self._trader = trader
        self._venue = venue
        self._account = account
        self._forecaster = Forecaster(speed)
        self._queue: deque[Event] = deque()
        self._last_ns: int | None = None
        self._second = range(0)  # the whole second of the last event, ns: until it is over no timer is due

    def start(self, now_ns: int) -> None:
        """Start the trader and let it read the venue."""
        self._carry_out(self._trader.start(now_ns), now_ns)

    def step(self, event: MarketEvent) -> None:
        """Carry out one recorded event and everything that follows from it."""
        now_ns = event.received_at_ns
        reports = self._venue.on_market(event)
        if now_ns not in self._second:
            for timer in due_timers(self._last_ns, now_ns):
                self._deliver(timer, timer.at_ns)
            begin = now_ns - now_ns % SECOND_NS
            self._last_ns, self._second = now_ns, range(begin, begin + SECOND_NS)
        for _, report in reports:
            self._deliver(report, now_ns)
        effects = self._trader.handle(event, now_ns)
        if effects:
            self._carry_out(effects, now_ns)
        if type(event) is BookTop:
            forecast = self._forecaster.observe(event, now_ns)
            if forecast is not None:
                self._deliver(forecast_event(forecast), now_ns)

    def tell(self, event: Event, now_ns: int) -> None:
        """Bring what comes from people, and carry out everything that follows from it."""
        self._deliver(event, now_ns)

    def _deliver(self, event: Event, now_ns: int) -> None:
        effects = self._trader.handle(event, now_ns)
        if effects:
            self._carry_out(effects, now_ns)

    def _carry_out(self, effects: list[Effect], now_ns: int) -> None:
        self._execute(effects, now_ns)
        self._settle(now_ns)

    def _settle(self, now_ns: int) -> None:
        for _ in range(LONGEST_TURN):
            if not self._queue:
                return
            self._execute(self._trader.handle(self._queue.popleft(), now_ns), now_ns)
        raise Runaway(f"more than {LONGEST_TURN} reports follow from one event at {now_ns}")

    def _execute(self, effects: list[Effect], now_ns: int) -> None:
        for effect in effects:
            match effect:
                case Submit(order):
                    self._submit(order, now_ns)
                case Cancel(name, symbol):
                    self._cancel(name, symbol, now_ns)
                case CancelEverything(symbols):
                    for symbol in symbols:
                        self._take(self._venue.cancel_all(self._account, symbol, now_ns))
                case ReadVenue():
                    self._queue.append(read_venue(self._venue, self._account, effect, now_ns))
                case _:
                    self.record.keep(effect)

    def _submit(self, order: Order, now_ns: int) -> None:
        request = NewOrder(
            order.client_order_id, order.symbol, order.side, order.type, order.quantity_lots, order.price_ticks
        )
        try:
            self._take(self._venue.submit(self._account, request, now_ns))
        except Rejection as e:
            self._queue.append(OrderRefused(order.client_order_id, str(e.code), e.message, now_ns))

    def _cancel(self, client_order_id: str, symbol: str, now_ns: int) -> None:
        try:
            self._take(self._venue.cancel(self._account, symbol, client_order_id, now_ns))
        except Rejection as e:
            self._queue.append(CancelRefused(client_order_id, e.message, now_ns))

    def _take(self, reports: Iterable[Report]) -> None:
        self._queue.extend(report for _, report in reports)


def read_venue(venue: SimulatedVenue, account: str, request: ReadVenue, now_ns: int) -> VenueRead:
    """Return what the simulated venue answers to a `ReadVenue`."""
    is_open = {booked.order.client_order_id: booked for booked in venue.open_orders(account)}
    orders = [_venue_order(booked) for booked in is_open.values()]
    missing: set[str] = set()
    for symbol, name in request.local_open:
        if name in is_open:
            continue
        try:
            orders.append(_venue_order(venue.order(account, symbol, name)))
        except Rejection:
            missing.add(name)
    return VenueRead(
        read_at_ns=now_ns,
        local_open=frozenset(name for _, name in request.local_open),
        orders=tuple(orders),
        missing=frozenset(missing),
        fills=tuple(fill for symbol, since in request.since_trade_ids for fill in venue.fills(account, symbol, since)),
        balances={asset: balance.total for asset, balance in venue.balances(account).items()},
        flows=tuple(one.flow for one in venue.transfers(account)),
    )


def run(
    events: Iterable[MarketEvent],
    *,
    settings: DeskSettings,
    limits: Limits,
    instruments: Mapping[str, Instrument],
    mandates: Sequence[tuple[int, Limits]] = (),
    advice: Sequence[tuple[int, AdviceChanged]] = (),
    speed: float = 1.0,
    progress: Progress | None = None,
) -> Result:
    """Fold `events` (oldest first) through a trader that starts all in cash, and tell what it did.

    `mandates` are limits that came into force later, each with its time in ns, oldest first; `advice` is what a model
    asked when, likewise: the trader hears of both right before the first event that is not older. `speed` is how many
    seconds of market pass in one of the events' clock: more than 1 where an accelerated replay was recorded.

    Raises:
        ValueError: there are no events, or the settings do not fit the instruments.
        Runaway: the core chases itself.
    """
    account = settings.account
    iterator = iter(events)
    first = next(iterator, None)
    if first is None:
        raise ValueError("the recording has no events; choose another one.")
    now_ns = first.received_at_ns
    venue = SimulatedVenue(instruments, settings.fees)
    venue.open_account(account, {settings.quote: settings.opening_cash_quote})
    trader = Trader(settings=settings, limits=limits, instruments=instruments, epoch=1, now_ns=now_ns)
    lockstep = Lockstep(trader, venue, account, speed)
    lockstep.start(now_ns)
    meter = _Meter(lockstep.record.fills, trader)
    count = 0
    later, asked = deque(mandates), deque(advice)
    for count, event in enumerate(chain((first,), iterator), 1):
        now_ns = event.received_at_ns
        while later and later[0][0] <= now_ns:
            lockstep.tell(MandateChanged(later.popleft()[1]), now_ns)
        while asked and asked[0][0] <= now_ns:
            lockstep.tell(asked.popleft()[1], now_ns)
        lockstep.step(event)
        meter.observe(now_ns)
        if progress is not None and not count % PROGRESS_EVERY:
            progress(count, now_ns)
    return _result(lockstep.record, trader.view(now_ns), count, first.received_at_ns, now_ns, meter)


@dataclass(slots=True)
class _Meter:
    """Follows the equity once a second and at every fill."""

    fills: Sequence[PersistFill]  # grows
    trader: Trader
    peak: Decimal = Decimal(0)
    deepest: Decimal = Decimal(0)
    second: int = 0
    fill_count: int = 0
    round_trips: int = 0
    equity: list[Sample] = field(default_factory=list)
    _trips_today: int = 0

    def observe(self, now_ns: int) -> None:
        if now_ns // SECOND_NS == self.second and len(self.fills) == self.fill_count:
            return
        is_due = now_ns // SECOND_NS // SAMPLE_EVERY_S > self.second // SAMPLE_EVERY_S
        self.second, self.fill_count = now_ns // SECOND_NS, len(self.fills)
        today = self.trader.round_trips_today
        self.round_trips += today - self._trips_today if today >= self._trips_today else today
        self._trips_today = today
        equity = self.trader.equity_quote
        if is_due:
            self.equity.append(Sample(now_ns, equity))
        self.peak = max(self.peak, equity)
        if self.peak > 0:
            self.deepest = max(self.deepest, (self.peak - equity) / self.peak)


def _result(record: _Record, view: TraderView, count: int, first_ns: int, last_ns: int, meter: _Meter) -> Result:
    first_fill = record.fills[0].fill.at_ns if record.fills else None
    return Result(
        events=count,
        first_at_ns=first_ns,
        last_at_ns=last_ns,
        orders=tuple(record.orders.values()),
        fills=tuple(record.fills),
        denials=tuple(record.denials),
        equity=(*meter.equity, Sample(last_ns, view.equity_quote)),
        alerts=tuple(record.alerts),
        halts=tuple(record.halts),
        discrepancies=tuple(record.discrepancies),
        view=view,
        max_drawdown_fraction=meter.deepest,
        round_trips=meter.round_trips,
        first_fill_after_s=None if first_fill is None else (first_fill - first_ns) / 1e9,
        fills_sha256=fills_digest(one.deal for one in _booked(record.fills)),
        orders_sha256=orders_digest(record.orders.values()),
    )


def _venue_order(booked: BookedOrder) -> VenueOrder:
    order = booked.order
    return VenueOrder(
        client_order_id=order.client_order_id,
        venue_order_id=str(booked.order_id),
        symbol=order.symbol,
        status=booked.status,
        filled_lots=booked.filled_lots,
        ours=order.client_order_id.startswith(f"gc-{booked.account}-"),
        side=order.side,
        quantity_lots=order.quantity_lots,
        price_ticks=order.price_ticks,
    )

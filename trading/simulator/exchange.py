"""The exchange behind the sockets: one matching venue, what it publishes and what it remembers."""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from trading.domain.events import OrderAccepted, OrderEnded, OrderFilled
from trading.domain.fees import DEMO_FEES, Fees
from trading.domain.flows import Flow
from trading.domain.market import BookTop, MarketEvent, Trade
from trading.domain.matching import SimulatedVenue
from trading.domain.orders import Fill, OrderStatus
from trading.domain.venue_orders import BookedOrder, NewOrder, Rejection
from trading.simulator import wire
from trading.simulator.access import DEFAULT_ACCOUNTS, Keyring, PaperAccount
from trading.simulator.listing import Listing
from trading.simulator.streams import MarketStreams
from trading.simulator.users import UserStreams
from trading.simulator.weights import ORDERS_PER_10S, OrderCounts, Weights

HISTORY: Final = 2_000  # ended orders, and fills per symbol, kept per account
RECENT_TRADES: Final = 1_000  # kept per symbol for GET trades
RECENT_SEAMS: Final = 20
DEPTH_EVERY_NS: Final = 100_000_000  # of exchange time
MS: Final = 1_000_000


class MarketClosed(Rejection):
    """The symbol does not trade now."""

    def __init__(self) -> None:
        super().__init__(-1013, "Market is closed.")


class ExchangeClock:
    """The exchange's time: the wall clock, or frozen at the recorded time of the last event."""

    def __init__(self, *, frozen_at_ns: int | None = None) -> None:
        self._frozen_ns = frozen_at_ns

    @property
    def is_frozen(self) -> bool:
        """True in lockstep: time moves only with events."""
        return self._frozen_ns is not None

    def now_ns(self) -> int:
        """Return nanoseconds since 1970 UTC."""
        return time.time_ns() if self._frozen_ns is None else self._frozen_ns

    def advance(self, at_ns: int) -> None:
        """Move frozen time on; it never runs backwards."""
        if self._frozen_ns is not None:
            self._frozen_ns = max(self._frozen_ns, at_ns)


@dataclass(frozen=True, slots=True)
class Seam:
    """A lap that starts, with the prices positions were settled at."""

    lap: int
    prices: dict[str, str]  # symbol -> last bid of the lap before, quote currency
    at_ms: int


@dataclass(slots=True)
class Tape:
    """What the public knows of one symbol."""

    format: wire.Format
    trade_stream: str
    ticker_stream: str
    depth_streams: tuple[str, str]
    top: BookTop | None = None
    trades: deque[Trade] = field(default_factory=lambda: deque(maxlen=RECENT_TRADES))
    first_unsent: int | None = None  # update id of the first change since the last depth message
    old_bids: set[int] = field(default_factory=set)  # prices that were best bid since then
    old_asks: set[int] = field(default_factory=set)

    def show(self, top: BookTop) -> None:
        if self.first_unsent is None:
            self.first_unsent = top.update_id
        if self.top is not None:
            self.old_bids.add(self.top.bid_ticks)
            self.old_asks.add(self.top.ask_ticks)
        self.top = top

    def depth_message(self, at_ms: int) -> str | None:
        """Return the changes since the last one; None when nothing changed."""
        top, first = self.top, self.first_unsent
        if top is None or first is None:
            return None
        bids = [(ticks, 0) for ticks in sorted(self.old_bids - {top.bid_ticks})] + [(top.bid_ticks, top.bid_lots)]
        asks = [(ticks, 0) for ticks in sorted(self.old_asks - {top.ask_ticks})] + [(top.ask_ticks, top.ask_lots)]
        self.first_unsent = None
        self.old_bids.clear()
        self.old_asks.clear()
        return wire.depth_update(
            self.format.symbol,
            first_id=first,
            last_id=top.update_id,
            bids=self.format.levels(bids),
            asks=self.format.levels(asks),
            at_ms=at_ms,
        )


class Exchange:
    """Accounts, matching, streams, limits. Knows nothing of HTTP and nothing of where its market events come from."""

    def __init__(
        self,
        listing: Listing,
        *,
        clock: ExchangeClock,
        accounts: Sequence[PaperAccount] = DEFAULT_ACCOUNTS,
        fees: Fees = DEMO_FEES,
        monotonic: Callable[[], float] = time.monotonic,
        streams: MarketStreams | None = None,
        lift_order_limits: bool = False,
    ) -> None:
        self.listing = listing
        self.clock = clock
        self.fees = fees
        self.accounts = tuple(accounts)
        self.venue = SimulatedVenue(listing.instruments, fees, history=HISTORY)
        self.keys = Keyring([account.slug for account in accounts])
        self.streams = streams or MarketStreams()
        self.users = UserStreams([account.slug for account in accounts])
        self.weights = Weights(monotonic=monotonic, now_ms=self.now_ms)
        self.speed = 1.0
        self.order_counts = OrderCounts(monotonic, self._order_limit, lift_order_limits)
        self.lap = 1
        self.epoch = 1  # numbers market events; rises with every lap and never comes back
        self.trading: frozenset[str] = frozenset()  # symbols the replay has data of, while it runs
        self.seams: deque[Seam] = deque(maxlen=RECENT_SEAMS)
        self.on_change: Callable[[], None] = lambda: None  # called after balances or orders changed
        self.saved: Callable[[], Awaitable[None]] = _nothing_to_save  # waits until what is true now survives a restart
        self._execution_id = 0
        self._names = 0
        self._depth_at_ns = 0
        self.tapes = {symbol: _tape(wire.Format(i)) for symbol, i in listing.instruments.items()}

    def open_accounts(self) -> None:
        """Open the accounts that a stored state did not bring."""
        for account in self.accounts:
            if account.slug not in self.venue.accounts:
                self.venue.open_account(account.slug, account.balances)

    def now_ms(self) -> int:
        """Return the exchange's time in ms."""
        return self.clock.now_ns() // MS

    def _order_limit(self) -> int:
        return int(ORDERS_PER_10S * max(self.speed, 1.0))

    def format(self, symbol: str) -> wire.Format:
        """Return the number format of a listed symbol.

        Raises:
            Rejection: -1121, not listed.
        """
        tape = self.tapes.get(symbol)
        if tape is None:
            raise Rejection(-1121, "Invalid symbol.")
        return tape.format

    def next_name(self) -> int:
        """Return a number for an id the exchange makes up; rises with time, so it stays unique over restarts."""
        self._names = max(self._names + 1, self.clock.now_ns())
        return self._names

    # --- market -------------------------------------------------------------------------------------------

    def match(self, event: MarketEvent) -> bool:
        """Let `event` fill resting orders and tell their owners; True if it did."""
        reports = self.venue.on_market(event)
        if not reports:
            return False
        for account in dict.fromkeys(account for account, _ in reports):
            self._announce(
                account, [(self._booked(account, report), report) for name, report in reports if name == account]
            )
        return True

    def publish(self, event: MarketEvent) -> None:
        """Queue `event` on the market streams."""
        tape = self.tapes[event.symbol]
        if isinstance(event, BookTop):
            tape.show(event)
            if listeners := self.streams.subscribers(tape.ticker_stream):
                self.streams.publish(tape.ticker_stream, tape.format.book_ticker(event), listeners)
            return
        tape.trades.append(event)
        if listeners := self.streams.subscribers(tape.trade_stream):
            self.streams.publish(tape.trade_stream, tape.format.trade(event), listeners)

    def publish_depth(self, now_ns: int) -> None:
        """Queue the depth changes of the last 100 ms."""
        if now_ns - self._depth_at_ns < DEPTH_EVERY_NS:
            return
        self._depth_at_ns = now_ns
        for tape in self.tapes.values():
            message = tape.depth_message(now_ns // MS)
            if message is not None:
                for stream in tape.depth_streams:
                    if listeners := self.streams.subscribers(stream):
                        self.streams.publish(stream, message, listeners)

    def _booked(self, account: str, event: OrderAccepted | OrderFilled | OrderEnded) -> BookedOrder:
        assert isinstance(event, OrderFilled)  # market events only fill
        return self.venue.order_by_id(account, event.fill.symbol, int(event.fill.venue_order_id))

    # --- orders -------------------------------------------------------------------------------------------

    def place(self, account: str, order: NewOrder) -> tuple[BookedOrder, list[Fill]]:
        """Submit `order`; return it with the fills it got at once.

        Raises:
            Rejection: the venue said no.
            ApiError: the account has sent too many orders.
        """
        if order.symbol in self.venue.instruments and order.symbol not in self.trading:
            raise MarketClosed
        self.order_counts.charge(account)
        reports = self.venue.submit(account, order, self.clock.now_ns())
        booked = self.venue.order(account, order.symbol, order.client_order_id)
        self._announce(account, [(booked, event) for _, event in reports])
        return booked, [event.fill for _, event in reports if isinstance(event, OrderFilled)]

    def cancel(self, account: str, booked: BookedOrder, *, cancel_id: str) -> None:
        """Cancel one open order.

        Raises:
            Rejection: -2011, it is not open.
        """
        order = booked.order
        if not booked.is_open:
            raise Rejection(-2011, "Unknown order sent.")
        reports = self.venue.cancel(account, order.symbol, order.client_order_id, self.clock.now_ns())
        self._announce(account, [(booked, event) for _, event in reports], cancel_id=cancel_id)

    def cancel_all(self, account: str, symbol: str, *, cancel_ids: Callable[[], str]) -> list[tuple[BookedOrder, str]]:
        """Cancel every open order on `symbol`; return each with the id of its cancel."""
        orders = self.venue.open_orders(account, symbol)
        reports = self.venue.cancel_all(account, symbol, self.clock.now_ns())
        done = [(booked, cancel_ids()) for booked in orders]
        for (booked, cancel_id), (_, event) in zip(done, reports, strict=True):
            self._announce(account, [(booked, event)], cancel_id=cancel_id, position=booked is orders[-1])
        return done

    # --- seam ---------------------------------------------------------------------------------------------

    def open_market(self, symbols: Iterable[str]) -> None:
        """Trade `symbols`."""
        self.trading = frozenset(symbols)
        self.venue.open_market()

    def close_market(self) -> None:
        """Stop trading: everything open expires."""
        self.trading = frozenset()
        open_orders = {name: self.venue.open_orders(name) for name in self.venue.accounts}
        reports = self.venue.close_market(self.clock.now_ns())
        for name, orders in open_orders.items():
            mine = [event for account, event in reports if account == name]
            self._announce(name, list(zip(orders, mine, strict=True)))

    def settle(self) -> Seam:
        """Turn base into quote at the last bids, start the next lap and tell everybody."""
        now_ns = self.clock.now_ns()
        settlement = self.venue.settle(now_ns)
        self.lap += 1
        self.epoch += 1
        for change in settlement.changes:
            self.users.send(change.account, wire.balance_update(change.asset, change.delta, at_ns=now_ns))
        for name in dict.fromkeys(change.account for change in settlement.changes):
            self._send_position(name, {c.asset for c in settlement.changes if c.account == name}, now_ns)
        prices = {symbol: self.format(symbol).plain_price(ticks) for symbol, ticks in settlement.prices.items()}
        seam = Seam(self.lap, prices, now_ns // MS)
        self.seams.append(seam)
        self.streams.broadcast("replay", {"e": "replaySeam", "E": seam.at_ms, "lap": seam.lap, "prices": seam.prices})
        self.on_change()
        return seam

    # --- transfers ----------------------------------------------------------------------------------------

    def transfer(self, account: str, flow_id: str, asset: str, amount: Decimal) -> Flow:
        """Pay money in or out, once for each id, and tell the owner.

        Raises:
            ValueError: as `SimulatedVenue.transfer`.
        """
        before, now_ns = self.venue.transfers(account) if account in self.venue.accounts else [], self.clock.now_ns()
        flow = self.venue.transfer(account, flow_id, asset, amount, now_ns)
        if len(self.venue.transfers(account)) > len(before):
            self.users.send(account, wire.balance_update(asset, flow.amount_quote, at_ns=now_ns))
            self._send_position(account, {asset}, now_ns)
            self.on_change()
        return flow

    # --- telling the owners -------------------------------------------------------------------------------

    def _announce(
        self,
        account: str,
        happened: Sequence[tuple[BookedOrder, OrderAccepted | OrderFilled | OrderEnded]],
        *,
        cancel_id: str = "",
        position: bool = True,
    ) -> None:
        """Send an executionReport for each event, then one outboundAccountPosition of the assets concerned."""
        if not happened:
            return
        now_ns = self.clock.now_ns()
        sums = self._sums_before(happened)
        for booked, event in happened:
            self._execution_id += 1
            self.users.report(account, self._report(booked, event, sums[booked.order_id], now_ns, cancel_id))
        if position:
            instruments = [self.listing.instruments[booked.order.symbol] for booked, _ in happened]
            self._send_position(account, {asset for i in instruments for asset in (i.base, i.quote)}, now_ns)
        self.on_change()

    def _sums_before(
        self, happened: Sequence[tuple[BookedOrder, OrderAccepted | OrderFilled | OrderEnded]]
    ) -> dict[int, "_Sums"]:
        """Return what each order had filled before these events: the venue already shows them after."""
        sums = {booked.order_id: _Sums(booked.filled_lots, booked.filled_quote) for booked, _ in happened}
        for booked, event in happened:
            if isinstance(event, OrderFilled):
                sums[booked.order_id].add(event.fill, self.listing.instruments[booked.order.symbol].notional, -1)
        return sums

    def _report(
        self,
        booked: BookedOrder,
        event: OrderAccepted | OrderFilled | OrderEnded,
        sums: "_Sums",
        now_ns: int,
        cancel_id: str,
    ) -> dict[str, Any]:
        fill = event.fill if isinstance(event, OrderFilled) else None
        if isinstance(event, OrderAccepted):
            execution = order_status = "NEW"
        elif isinstance(event, OrderEnded):
            execution = order_status = wire.status(event.status)
        else:
            if not sums.lots:
                self.order_counts.give_back(booked.account)
            sums.add(event.fill, self.listing.instruments[booked.order.symbol].notional, 1)
            filled = sums.lots == booked.order.quantity_lots
            execution = "TRADE"
            order_status = (OrderStatus.FILLED if filled else OrderStatus.PARTIALLY_FILLED).value
        return self.format(booked.order.symbol).execution_report(
            booked,
            execution=execution,
            order_status=order_status,
            filled_lots=sums.lots,
            filled_quote=sums.quote,
            at_ns=fill.at_ns if fill else event.at_ns,  # type: ignore[union-attr]  # only a fill has no at_ns of its own
            now_ns=now_ns,
            execution_id=self._execution_id,
            fill=fill,
            cancel_id=cancel_id,
        )

    def _send_position(self, account: str, assets: set[str], now_ns: int) -> None:
        balances = self.venue.balances(account)
        shown = {asset: balance for asset, balance in balances.items() if asset in assets}
        self.users.send(account, wire.account_position(shown, at_ns=now_ns, now_ns=now_ns))


@dataclass(slots=True)
class _Sums:
    lots: int
    quote: Decimal

    def add(self, fill: Fill, notional: Callable[[int, int], Decimal], sign: int) -> None:
        self.lots += sign * fill.quantity_lots
        self.quote += sign * notional(fill.price_ticks, fill.quantity_lots)


async def _nothing_to_save() -> None:
    """An exchange without a folder forgets everything anyhow."""


def _tape(number_format: wire.Format) -> Tape:
    name = number_format.symbol.lower()
    return Tape(number_format, f"{name}@trade", f"{name}@bookTicker", (f"{name}@depth@100ms", f"{name}@depth"))

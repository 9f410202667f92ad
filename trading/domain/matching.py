"""The simulated venue: accounts, filters, matching and fees; one for backtest, simulation and sockets."""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice
from typing import Final

from trading.domain.events import OrderAccepted, OrderEnded, OrderFilled
from trading.domain.fees import Fees
from trading.domain.flows import Flow
from trading.domain.instruments import Instrument
from trading.domain.market import BookTop, MarketEvent, Trade
from trading.domain.orders import WORKING, Fill, OrderStatus, OrderType, Side

Report = tuple[str, OrderAccepted | OrderFilled | OrderEnded]  # (account, what happened to its order)

HISTORY: Final = 100_000  # ended orders and fills remembered per account; older ones are forgotten
NO_BUY: Final = 0  # no price is below one tick
NO_SELL: Final = 2**63 - 1  # no price reaches int64's end
MS: Final = 1_000_000
ZERO: Final = Decimal(0)


class Rejection(Exception):
    """The venue understood and said no; nothing was changed. `code` is Binance's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What an account asks for; a LIMIT is good till cancelled."""

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    quantity_lots: int
    price_ticks: int | None  # None for MARKET


@dataclass(frozen=True, slots=True)
class Balance:
    """One asset of one account."""

    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        """Free and locked together."""
        return self.free + self.locked


@dataclass(slots=True)
class BookedOrder:
    """One order as the venue keeps it; read it, do not change it."""

    account: str
    order: NewOrder
    order_id: int
    accepted_at_ns: int
    updated_at_ns: int
    locked: Decimal  # quote for a BUY (value and fee), base for a SELL
    status: OrderStatus = OrderStatus.ACCEPTED
    filled_lots: int = 0
    filled_quote: Decimal = ZERO

    @property
    def remaining_lots(self) -> int:
        """Quantity that has not filled."""
        return self.order.quantity_lots - self.filled_lots

    @property
    def is_open(self) -> bool:
        """True while the order may still fill."""
        return self.status in WORKING


@dataclass(frozen=True, slots=True)
class BalanceChange:
    """What a settlement did to one asset of one account."""

    account: str
    asset: str
    delta: Decimal


@dataclass(frozen=True, slots=True)
class Settlement:
    """One seam: orders expired, base balances turned into quote at the best bid; no fill, no fee, equity unchanged."""

    reports: list[Report]
    prices: dict[str, int]  # symbol -> best bid in ticks, for every symbol with a known top
    changes: list[BalanceChange]


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer as it was asked for and as it was made: of what is paid out never more than is free."""

    asset: str
    asked: Decimal
    flow: Flow


@dataclass(frozen=True, slots=True)
class VenueState:
    """Everything a restarted venue needs; prices are not part of it."""

    next_order_id: int
    next_trade_ids: dict[str, int]
    balances: dict[str, dict[str, Balance]]
    orders: dict[str, list[BookedOrder]]  # oldest first
    fills: dict[str, list[Fill]]  # oldest first
    transfers: dict[str, list[Transfer]] = field(default_factory=dict)  # oldest first


@dataclass(slots=True)
class _Purse:
    free: Decimal = ZERO
    locked: Decimal = ZERO


@dataclass(slots=True)
class _Account:
    purses: dict[str, _Purse]
    latest: dict[tuple[str, str], BookedOrder] = field(default_factory=dict)  # (symbol, client id) -> newest order
    by_id: dict[int, BookedOrder] = field(default_factory=dict)
    open: dict[int, BookedOrder] = field(default_factory=dict)
    ended: deque[BookedOrder] = field(default_factory=deque)
    fills: dict[str, list[Fill]] = field(default_factory=dict)
    transfers: dict[str, Transfer] = field(default_factory=dict)  # by id, oldest first

    def purse(self, asset: str) -> _Purse:
        return self.purses.setdefault(asset, _Purse())


@dataclass(slots=True)
class _Resting:
    """One account's resting orders on one symbol, and what it took from the displayed top."""

    buys: list[BookedOrder] = field(default_factory=list)  # highest price first, then oldest
    sells: list[BookedOrder] = field(default_factory=list)  # lowest price first, then oldest
    ask_level: int = -1
    ask_taken_lots: int = 0
    bid_level: int = -1
    bid_taken_lots: int = 0


@dataclass(slots=True)
class _Book:
    """One symbol: its top, and a level number per side that rises when the price of that side moves."""

    instrument: Instrument
    resting: dict[str, _Resting] = field(default_factory=dict)
    top: BookTop | None = None
    ask_level: int = 0
    bid_level: int = 0
    best_buy_ticks: int = NO_BUY
    best_sell_ticks: int = NO_SELL
    next_trade_id: int = 1

    def show(self, top: BookTop) -> bool:
        """Take a new top; return whether it reaches a resting order."""
        _, bid_ticks, _, ask_ticks, _, _, _, _ = top  # at once: faster than by name
        last = self.top
        if last is None or last.ask_ticks != ask_ticks:
            self.ask_level += 1
        if last is None or last.bid_ticks != bid_ticks:
            self.bid_level += 1
        self.top = top
        return ask_ticks <= self.best_buy_ticks or bid_ticks >= self.best_sell_ticks

    def available(self, account: str, side: Side) -> int:
        """Return the displayed lots that `side` of this account may still take."""
        if self.top is None:
            return 0
        resting = self.resting[account]
        if side is Side.BUY:
            taken = resting.ask_taken_lots if resting.ask_level == self.ask_level else 0
            return max(self.top.ask_lots - taken, 0)
        taken = resting.bid_taken_lots if resting.bid_level == self.bid_level else 0
        return max(self.top.bid_lots - taken, 0)

    def take(self, account: str, side: Side, lots: int) -> None:
        resting = self.resting[account]
        if side is Side.BUY:
            already = resting.ask_taken_lots if resting.ask_level == self.ask_level else 0
            resting.ask_level, resting.ask_taken_lots = self.ask_level, already + lots
        else:
            already = resting.bid_taken_lots if resting.bid_level == self.bid_level else 0
            resting.bid_level, resting.bid_taken_lots = self.bid_level, already + lots

    def opposite_ticks(self, side: Side) -> int | None:
        if self.top is None:
            return None
        return self.top.ask_ticks if side is Side.BUY else self.top.bid_ticks

    def rest(self, booked: BookedOrder) -> None:
        resting = self.resting[booked.account]
        if booked.order.side is Side.BUY:
            insort(resting.buys, booked, key=lambda b: (-_limit(b), b.order_id))
        else:
            insort(resting.sells, booked, key=lambda b: (_limit(b), b.order_id))
        self._refresh()

    def remove(self, ended: Iterable[BookedOrder]) -> None:
        for booked in ended:
            resting = self.resting[booked.account]
            orders = resting.buys if booked.order.side is Side.BUY else resting.sells
            orders[:] = [b for b in orders if b.order_id != booked.order_id]
        self._refresh()

    def _refresh(self) -> None:
        self.best_buy_ticks = max((_limit(r.buys[0]) for r in self.resting.values() if r.buys), default=NO_BUY)
        self.best_sell_ticks = min((_limit(r.sells[0]) for r in self.resting.values() if r.sells), default=NO_SELL)


class SimulatedVenue:
    """One spot exchange around a recorded top of book.

    Fill model. A MARKET order fills at the opposite top up to the displayed quantity; the rest expires, because nothing
    is known beyond the top. A LIMIT that crosses takes the same way and rests with the remainder. A LIMIT_MAKER that
    would take is rejected. A resting order fills as maker at its own price when the opposite top reaches it (up to the
    displayed quantity) or when a trade prints strictly through it (up to the printed quantity); a print at the price
    does not fill it, because others are assumed to queue ahead. What an account took from a displayed level stays taken
    while the price of that level stays the top. Accounts do not compete: each sees the whole recorded liquidity; own
    orders are not part of the book. Fees are in quote currency. Times are whole milliseconds, as Binance's are.
    """

    def __init__(self, instruments: Mapping[str, Instrument], fees: Fees, *, history: int = HISTORY) -> None:
        """Open a venue that lists `instruments` (by venue symbol) and remembers `history` ended orders per account."""
        self._books = {symbol: _Book(instrument) for symbol, instrument in instruments.items()}
        self._fees = fees
        self._history = history
        self._accounts: dict[str, _Account] = {}
        self._next_order_id = 1
        self._trading = True

    # --- accounts -----------------------------------------------------------------------------------------

    def open_account(self, account: str, balances: Mapping[str, Decimal]) -> None:
        """Open `account` with free `balances`.

        Raises:
            ValueError: the account exists, or a balance is negative.
        """
        if account in self._accounts:
            raise ValueError(f"account {account!r} is open already.")
        if any(amount < 0 for amount in balances.values()):
            raise ValueError(f"account {account!r}: a balance may not be negative.")
        self._accounts[account] = _Account({asset: _Purse(amount) for asset, amount in balances.items()})
        for book in self._books.values():
            book.resting[account] = _Resting()

    @property
    def accounts(self) -> tuple[str, ...]:
        """The open accounts, in the order they were opened."""
        return tuple(self._accounts)

    @property
    def instruments(self) -> dict[str, Instrument]:
        """The listed instruments by symbol."""
        return {symbol: book.instrument for symbol, book in self._books.items()}

    def balances(self, account: str) -> dict[str, Balance]:
        """Return every asset the account has ever held."""
        return {asset: Balance(p.free, p.locked) for asset, p in self._accounts[account].purses.items()}

    def transfer(self, account: str, flow_id: str, asset: str, amount: Decimal, now_ns: int) -> Flow:
        """Pay `amount` in, or where it is below zero out, at most what is free; under one id once, however often asked.

        Raises:
            ValueError: there is no such account, the amount is nothing, or the id was used for something else.
        """
        owner = self._accounts.get(account)
        if owner is None:
            raise ValueError(f"there is no account {account!r}.")
        if not amount.is_finite() or not amount:
            raise ValueError(f"{amount} is no amount.")
        known = owner.transfers.get(flow_id)
        if known is not None:
            if (known.asset, known.asked) != (asset, amount):
                raise ValueError(f"{flow_id!r} was a transfer of {known.asked} {known.asset}; take a new id.")
            return known.flow
        purse = owner.purse(asset)
        made = max(amount, -purse.free)
        purse.free += made
        flow = Flow(flow_id, made, _whole_ms(now_ns))
        owner.transfers[flow_id] = Transfer(asset, amount, flow)
        return flow

    def transfers(self, account: str) -> list[Transfer]:
        """Return every transfer of the account, oldest first."""
        return list(self._accounts[account].transfers.values())

    def top(self, symbol: str) -> BookTop | None:
        """Return the current top of book, None before the first one."""
        return self._book(symbol).top

    # --- market -------------------------------------------------------------------------------------------

    def on_market(self, event: MarketEvent) -> list[Report]:
        """Take one market event in; return what it did to resting orders, in price-time order per account.

        Symbols the venue does not list are ignored.
        """
        book = self._books.get(event.symbol)
        if book is None:
            return []
        if isinstance(event, BookTop):
            return self._match_top(book, event) if book.show(event) else []
        if event.price_ticks < book.best_buy_ticks or event.price_ticks > book.best_sell_ticks:
            return self._match_print(book, event)
        return []

    def close_market(self, now_ns: int) -> list[Report]:
        """Stop trading (BREAK): every open order expires, new orders are rejected until `open_market`."""
        self._trading = False
        return self._expire_all(now_ns)

    def open_market(self) -> None:
        """Trade again."""
        self._trading = True

    @property
    def is_open(self) -> bool:
        """True while the market trades."""
        return self._trading

    def settle(self, now_ns: int) -> Settlement:
        """Run the seam between two laps: expire every order, turn base into quote at the best bid, forget the tops.

        No fee is taken. A base asset without a known bid stays as it is. The market is left open or closed as it was.
        """
        reports = self._expire_all(now_ns)
        prices = {symbol: book.top.bid_ticks for symbol, book in self._books.items() if book.top is not None}
        changes = [change for name in self._accounts for change in self._settle_account(name, prices)]
        for book in self._books.values():
            book.top = None
        return Settlement(reports, prices, changes)

    # --- orders -------------------------------------------------------------------------------------------

    def submit(self, account: str, order: NewOrder, now_ns: int) -> list[Report]:
        """Accept `order`; the first report is its OrderAccepted, then fills, then an end.

        Raises:
            Rejection: filters, balance, an id already open, a closed market, or a post-only order that would take.
        """
        owner = self._accounts[account]
        book = self._book(order.symbol)
        self._check_market(book)
        self._check_filters(book, order)
        self._check_duplicate(owner, order)
        if order.type is OrderType.LIMIT_MAKER and _crosses(order, book):
            raise Rejection(-2010, "Order would immediately match and take.")
        booked = self._book_order(account, book, order, _whole_ms(now_ns))
        accepted = OrderAccepted(order.client_order_id, str(booked.order_id), booked.accepted_at_ns)
        reports: list[Report] = [(account, accepted)]
        if order.type is OrderType.MARKET or _crosses(order, book):
            reports += self._take(book, booked)
        if booked.is_open:
            reports += self._rest_or_expire(book, booked)
        return reports

    def cancel(self, account: str, symbol: str, client_order_id: str, now_ns: int) -> list[Report]:
        """Cancel one open order.

        Raises:
            Rejection: -2011, the account has no such open order.
        """
        booked = self._accounts[account].latest.get((symbol, client_order_id))
        if booked is None or not booked.is_open:
            raise Rejection(-2011, "Unknown order sent.")
        return self._end([booked], OrderStatus.CANCELED, now_ns)

    def cancel_all(self, account: str, symbol: str, now_ns: int) -> list[Report]:
        """Cancel every open order of the account on `symbol`, oldest first; empty when none was open."""
        return self._end(self.open_orders(account, symbol), OrderStatus.CANCELED, now_ns)

    def open_orders(self, account: str, symbol: str | None = None) -> list[BookedOrder]:
        """Return the open orders of the account, oldest first."""
        orders = self._accounts[account].open.values()
        return sorted((b for b in orders if symbol in (None, b.order.symbol)), key=lambda b: b.order_id)

    def order(self, account: str, symbol: str, client_order_id: str) -> BookedOrder:
        """Return the newest order with this id.

        Raises:
            Rejection: -2013, the venue does not know it.
        """
        booked = self._accounts[account].latest.get((symbol, client_order_id))
        if booked is None:
            raise Rejection(-2013, "Order does not exist.")
        return booked

    def order_by_id(self, account: str, symbol: str, order_id: int) -> BookedOrder:
        """Return one order by the venue's id.

        Raises:
            Rejection: -2013, the venue does not know it.
        """
        booked = self._accounts[account].by_id.get(order_id)
        if booked is None or booked.order.symbol != symbol:
            raise Rejection(-2013, "Order does not exist.")
        return booked

    def orders(self, account: str, symbol: str) -> list[BookedOrder]:
        """Return open and remembered orders on `symbol`, oldest first."""
        return sorted(
            (b for b in self._accounts[account].by_id.values() if b.order.symbol == symbol), key=lambda b: b.order_id
        )

    def fills(self, account: str, symbol: str, since_trade_id: int = 0) -> list[Fill]:
        """Return the remembered executions with a trade id above `since_trade_id`, oldest first."""
        fills = self._accounts[account].fills.get(symbol, [])
        return fills[bisect_right(fills, since_trade_id, key=lambda f: f.trade_id) :]

    # --- state --------------------------------------------------------------------------------------------

    def snapshot(self, *, recent: int = HISTORY) -> VenueState:
        """Return a copy of the state with the `recent` last ended orders and, per symbol, fills of each account."""
        return VenueState(
            self._next_order_id,
            {symbol: book.next_trade_id for symbol, book in self._books.items()},
            {name: self.balances(name) for name in self._accounts},
            {name: _recent_orders(owner, recent) for name, owner in self._accounts.items()},
            {
                name: [f for fills in owner.fills.values() for f in fills[-recent:]]
                for name, owner in self._accounts.items()
            },
            {name: self.transfers(name) for name in self._accounts},
        )

    def restore(self, state: VenueState) -> None:
        """Take over `state`; accounts are opened as it says, open orders rest again.

        Raises:
            ValueError: an account is open already, or the state names a symbol that is not listed.
        """
        unknown = {b.order.symbol for orders in state.orders.values() for b in orders} - self._books.keys()
        if unknown:
            raise ValueError(f"the state has orders on unlisted symbols {sorted(unknown)}.")
        self._next_order_id = max(self._next_order_id, state.next_order_id)
        for symbol, trade_id in state.next_trade_ids.items():
            if symbol in self._books:
                self._books[symbol].next_trade_id = max(self._books[symbol].next_trade_id, trade_id)
        for name, balances in state.balances.items():
            self.open_account(name, {})
            self._accounts[name].purses = {asset: _Purse(b.free, b.locked) for asset, b in balances.items()}
            self._restore_orders(self._accounts[name], state.orders.get(name, []))
            self._accounts[name].transfers = {one.flow.flow_id: one for one in state.transfers.get(name, [])}
            for fill in state.fills.get(name, []):
                self._accounts[name].fills.setdefault(fill.symbol, []).append(fill)

    def _restore_orders(self, owner: _Account, orders: Sequence[BookedOrder]) -> None:
        for original in orders:
            booked = replace(original)
            self._remember(owner, booked)
            if booked.is_open:
                self._books[booked.order.symbol].rest(booked)
            else:
                del owner.open[booked.order_id]
                owner.ended.append(booked)

    # --- checks -------------------------------------------------------------------------------------------

    def _book(self, symbol: str) -> _Book:
        book = self._books.get(symbol)
        if book is None:
            raise Rejection(-1121, "Invalid symbol.")
        return book

    def _check_market(self, book: _Book) -> None:
        if not self._trading or not book.instrument.trading:
            raise Rejection(-1013, "Market is closed.")

    def _check_filters(self, book: _Book, order: NewOrder) -> None:
        instrument = book.instrument
        is_market = order.type is OrderType.MARKET
        if (order.price_ticks is None) is not is_market or (order.price_ticks is not None and order.price_ticks <= 0):
            raise Rejection(-1013, "Filter failure: PRICE_FILTER")
        quantity = instrument.quantity(order.quantity_lots)
        if order.quantity_lots <= 0 or not instrument.min_quantity <= quantity <= instrument.max_quantity:
            raise Rejection(-1013, "Filter failure: LOT_SIZE")
        if is_market and quantity > instrument.market_max_quantity:
            raise Rejection(-1013, "Filter failure: MARKET_LOT_SIZE")
        price_ticks = order.price_ticks or book.opposite_ticks(order.side)
        if price_ticks and instrument.notional(price_ticks, order.quantity_lots) < instrument.min_notional:
            raise Rejection(-1013, "Filter failure: NOTIONAL")

    def _check_duplicate(self, owner: _Account, order: NewOrder) -> None:
        earlier = owner.latest.get((order.symbol, order.client_order_id))
        if earlier is not None and earlier.is_open:
            raise Rejection(-2010, "Duplicate order sent.")

    # --- booking and matching ---------------------------------------------------------------------------------

    def _book_order(self, account: str, book: _Book, order: NewOrder, at_ns: int) -> BookedOrder:
        owner = self._accounts[account]
        required = self._required(book, order)
        purse = owner.purse(_paid_asset(book.instrument, order.side))
        if purse.free < required:
            raise Rejection(-2010, "Account has insufficient balance for requested action.")
        purse.free -= required
        purse.locked += required
        booked = BookedOrder(account, order, self._next_order_id, at_ns, at_ns, required)
        self._next_order_id += 1
        self._remember(owner, booked)
        return booked

    def _remember(self, owner: _Account, booked: BookedOrder) -> None:
        owner.by_id[booked.order_id] = booked
        owner.latest[booked.order.symbol, booked.order.client_order_id] = booked
        owner.open[booked.order_id] = booked

    def _required(self, book: _Book, order: NewOrder) -> Decimal:
        """Return what the order must lock: base for a SELL, value and worst fee in quote for a BUY."""
        if order.side is Side.SELL:
            return book.instrument.quantity(order.quantity_lots)
        price_ticks = order.price_ticks or book.opposite_ticks(order.side) or 0
        return self._cost(book, order, price_ticks, order.quantity_lots)

    def _cost(self, book: _Book, order: NewOrder, price_ticks: int, lots: int) -> Decimal:
        notional = book.instrument.notional(price_ticks, lots)
        fee = self._fees.fee(notional, maker=True)
        if order.type is not OrderType.LIMIT_MAKER:
            fee = max(fee, self._fees.fee(notional, maker=False))
        return notional + fee

    def _take(self, book: _Book, booked: BookedOrder) -> list[Report]:
        price_ticks = book.opposite_ticks(booked.order.side)
        lots = min(booked.order.quantity_lots, book.available(booked.account, booked.order.side))
        if price_ticks is None or lots == 0:
            return []
        book.take(booked.account, booked.order.side, lots)
        return [self._fill(book, booked, price_ticks, lots, booked.accepted_at_ns, maker=False)]

    def _rest_or_expire(self, book: _Book, booked: BookedOrder) -> list[Report]:
        if booked.order.type is OrderType.MARKET:
            return self._end([booked], OrderStatus.EXPIRED, booked.accepted_at_ns)
        book.rest(booked)
        return []

    def _match_top(self, book: _Book, top: BookTop) -> list[Report]:
        at_ns = _whole_ms(top.venue_at_ns or top.received_at_ns)
        reports: list[Report] = []
        for account, resting in book.resting.items():
            reached = [b for b in resting.buys if top.ask_ticks <= _limit(b)]
            reached += [b for b in resting.sells if top.bid_ticks >= _limit(b)]
            for booked in reached:
                lots = min(booked.remaining_lots, book.available(account, booked.order.side))
                if lots:
                    book.take(account, booked.order.side, lots)
                    reports.append(self._fill(book, booked, _limit(booked), lots, at_ns, maker=True))
        return reports

    def _match_print(self, book: _Book, trade: Trade) -> list[Report]:
        at_ns = _whole_ms(trade.venue_at_ns or trade.received_at_ns)
        reports: list[Report] = []
        for resting in book.resting.values():
            left = trade.quantity_lots
            passed = [b for b in resting.buys if trade.price_ticks < _limit(b)]
            passed += [b for b in resting.sells if trade.price_ticks > _limit(b)]
            for booked in passed:
                lots = min(booked.remaining_lots, left)
                if lots:
                    left -= lots
                    reports.append(self._fill(book, booked, _limit(booked), lots, at_ns, maker=True))
        return reports

    def _fill(
        self, book: _Book, booked: BookedOrder, price_ticks: int, lots: int, at_ns: int, *, maker: bool
    ) -> Report:
        notional = book.instrument.notional(price_ticks, lots)
        booked.filled_lots += lots
        booked.filled_quote += notional
        booked.updated_at_ns = at_ns
        if booked.order.side is Side.BUY:
            fee = self._pay_for_buy(book, booked, notional, lots, maker=maker)
        else:
            fee = self._pay_for_sell(book, booked, notional, lots, maker=maker)
        booked.status = OrderStatus.PARTIALLY_FILLED if booked.remaining_lots else OrderStatus.FILLED
        if booked.status is OrderStatus.FILLED:
            self._close(book, booked)
        fill = self._record(book, booked, price_ticks, lots, fee, at_ns, maker=maker)
        return booked.account, OrderFilled(fill)

    def _pay_for_buy(self, book: _Book, booked: BookedOrder, notional: Decimal, lots: int, *, maker: bool) -> Decimal:
        owner, instrument = self._accounts[booked.account], book.instrument
        quote = owner.purse(instrument.quote)
        limit_ticks = booked.order.price_ticks or 0
        still_owed = instrument.notional(limit_ticks, booked.remaining_lots)
        # Fees round up per fill: their sum may pass the fee reserved for the whole by some 1e-8; the venue bears that.
        fee = min(self._fees.fee(notional, maker=maker), booked.locked - notional - still_owed)
        keep = min(booked.locked - notional - fee, self._cost(book, booked.order, limit_ticks, booked.remaining_lots))
        quote.free += booked.locked - notional - fee - keep
        quote.locked += keep - booked.locked
        booked.locked = keep
        owner.purse(instrument.base).free += instrument.quantity(lots)
        return fee

    def _pay_for_sell(self, book: _Book, booked: BookedOrder, notional: Decimal, lots: int, *, maker: bool) -> Decimal:
        owner, instrument = self._accounts[booked.account], book.instrument
        fee = min(self._fees.fee(notional, maker=maker), notional)
        quantity = instrument.quantity(lots)
        booked.locked -= quantity
        owner.purse(instrument.base).locked -= quantity
        owner.purse(instrument.quote).free += notional - fee
        return fee

    def _record(
        self, book: _Book, booked: BookedOrder, price_ticks: int, lots: int, fee: Decimal, at_ns: int, *, maker: bool
    ) -> Fill:
        order = booked.order
        fill = Fill(
            trade_id=book.next_trade_id,
            client_order_id=order.client_order_id,
            venue_order_id=str(booked.order_id),
            symbol=order.symbol,
            side=order.side,
            price_ticks=price_ticks,
            quantity_lots=lots,
            fee=fee,
            fee_asset=book.instrument.quote,
            maker=maker,
            at_ns=at_ns,
        )
        book.next_trade_id += 1
        fills = self._accounts[booked.account].fills.setdefault(order.symbol, [])
        fills.append(fill)
        if len(fills) > 2 * self._history:
            del fills[: -self._history]
        return fill

    # --- endings ------------------------------------------------------------------------------------------

    def _end(self, orders: Sequence[BookedOrder], status: OrderStatus, now_ns: int) -> list[Report]:
        at_ns = _whole_ms(now_ns)
        reports: list[Report] = []
        for booked in orders:
            book = self._books[booked.order.symbol]
            purse = self._accounts[booked.account].purse(_paid_asset(book.instrument, booked.order.side))
            purse.free += booked.locked
            purse.locked -= booked.locked
            booked.locked = ZERO
            booked.status, booked.updated_at_ns = status, at_ns
            self._close(book, booked)
            ended = OrderEnded(booked.order.client_order_id, status, booked.filled_lots, at_ns)
            reports.append((booked.account, ended))
        return reports

    def _close(self, book: _Book, booked: BookedOrder) -> None:
        owner = self._accounts[booked.account]
        book.remove([booked])
        del owner.open[booked.order_id]
        owner.ended.append(booked)
        if len(owner.ended) > self._history:
            self._forget(owner, owner.ended.popleft())

    def _forget(self, owner: _Account, booked: BookedOrder) -> None:
        del owner.by_id[booked.order_id]
        key = (booked.order.symbol, booked.order.client_order_id)
        if owner.latest[key] is booked:
            del owner.latest[key]

    def _expire_all(self, now_ns: int) -> list[Report]:
        return [r for name in self._accounts for r in self._end(self.open_orders(name), OrderStatus.EXPIRED, now_ns)]

    def _settle_account(self, name: str, prices: Mapping[str, int]) -> list[BalanceChange]:
        owner = self._accounts[name]
        changes: list[BalanceChange] = []
        for symbol, bid_ticks in prices.items():
            instrument = self._books[symbol].instrument
            base = owner.purses.get(instrument.base)
            if base is None or not base.free:
                continue
            value = base.free * instrument.price(bid_ticks)
            changes.append(BalanceChange(name, instrument.base, -base.free))
            changes.append(BalanceChange(name, instrument.quote, value))
            base.free = ZERO
            owner.purse(instrument.quote).free += value
        return changes


def _limit(booked: BookedOrder) -> int:
    """Return the price of an order that rests; only priced orders do."""
    return booked.order.price_ticks or 0


def _crosses(order: NewOrder, book: _Book) -> bool:
    if book.top is None or order.price_ticks is None:
        return False
    if order.side is Side.BUY:
        return order.price_ticks >= book.top.ask_ticks
    return order.price_ticks <= book.top.bid_ticks


def _paid_asset(instrument: Instrument, side: Side) -> str:
    return instrument.quote if side is Side.BUY else instrument.base


def _whole_ms(at_ns: int) -> int:
    return at_ns - at_ns % MS


def _recent_orders(owner: _Account, recent: int) -> list[BookedOrder]:
    ended = islice(owner.ended, max(len(owner.ended) - recent, 0), None)
    # What has ended never changes again; what is open does.
    return sorted((*ended, *(replace(b) for b in owner.open.values())), key=lambda b: b.order_id)

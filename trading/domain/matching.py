"""The simulated venue: filters, matching and endings; one for backtest, simulation and sockets."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from trading.domain.events import OrderAccepted, OrderEnded, OrderFilled
from trading.domain.fees import Fees
from trading.domain.flows import Flow
from trading.domain.instruments import Instrument
from trading.domain.market import BookTop, MarketEvent, Trade
from trading.domain.orders import Fill, OrderStatus, OrderType
from trading.domain.venue_accounts import Account, opened
from trading.domain.venue_books import Book, Resting
from trading.domain.venue_orders import (
    Balance,
    BookedOrder,
    NewOrder,
    Rejection,
    Report,
    Settlement,
    Transfer,
    VenueState,
    whole_ms,
)

HISTORY: Final = 100_000  # ended orders and fills remembered per account; older ones are forgotten


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
        self._books = {symbol: Book(instrument) for symbol, instrument in instruments.items()}
        self._fees = fees
        self._history = history
        self._accounts: dict[str, Account] = {}
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
        self._accounts[account] = opened(account, balances, self._fees, self._history)
        for book in self._books.values():
            book.resting[account] = Resting()

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
        return self._accounts[account].balances()

    def transfer(self, account: str, flow_id: str, asset: str, amount: Decimal, now_ns: int) -> Flow:
        """Pay `amount` in, or where it is below zero out, at most what is free; under one id once, however often asked.

        Raises:
            ValueError: there is no such account, the amount is nothing, or the id was used for something else.
        """
        owner = self._accounts.get(account)
        if owner is None:
            raise ValueError(f"there is no account {account!r}.")
        return owner.transfer(flow_id, asset, amount, now_ns)

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
        changes = [
            change
            for owner in self._accounts.values()
            for symbol, bid_ticks in prices.items()
            for change in owner.settle(self._books[symbol].instrument, bid_ticks)
        ]
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
        owner.check_duplicate(order)
        if order.type is OrderType.LIMIT_MAKER and book.crosses(order):
            raise Rejection(-2010, "Order would immediately match and take.")
        opposite = book.opposite_ticks(order.side)
        booked = owner.book(order, book.instrument, opposite, self._next_order_id, whole_ms(now_ns))
        self._next_order_id += 1
        accepted = OrderAccepted(order.client_order_id, str(booked.order_id), booked.accepted_at_ns)
        reports: list[Report] = [(account, accepted)]
        if order.type is OrderType.MARKET or book.crosses(order):
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
        return self._accounts[account].open_orders(symbol)

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
        return self._accounts[account].orders(symbol)

    def fills(self, account: str, symbol: str, since_trade_id: int = 0) -> list[Fill]:
        """Return the remembered executions with a trade id above `since_trade_id`, oldest first."""
        return self._accounts[account].fills_since(symbol, since_trade_id)

    # --- state --------------------------------------------------------------------------------------------

    def snapshot(self, *, recent: int = HISTORY) -> VenueState:
        """Return a copy of the state with the `recent` last ended orders and, per symbol, fills of each account."""
        return VenueState(
            self._next_order_id,
            {symbol: book.next_trade_id for symbol, book in self._books.items()},
            {name: self.balances(name) for name in self._accounts},
            {name: owner.recent_orders(recent) for name, owner in self._accounts.items()},
            {name: owner.recent_fills(recent) for name, owner in self._accounts.items()},
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
        for name in state.balances:
            self.open_account(name, {})
            for booked in self._accounts[name].restore(state):
                self._books[booked.order.symbol].rest(booked)

    # --- checks -------------------------------------------------------------------------------------------

    def _book(self, symbol: str) -> Book:
        book = self._books.get(symbol)
        if book is None:
            raise Rejection(-1121, "Invalid symbol.")
        return book

    def _check_market(self, book: Book) -> None:
        if not self._trading or not book.instrument.trading:
            raise Rejection(-1013, "Market is closed.")

    def _check_filters(self, book: Book, order: NewOrder) -> None:
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

    # --- matching -----------------------------------------------------------------------------------------

    def _take(self, book: Book, booked: BookedOrder) -> list[Report]:
        price_ticks = book.opposite_ticks(booked.order.side)
        lots = min(booked.order.quantity_lots, book.available(booked.account, booked.order.side))
        if price_ticks is None or lots == 0:
            return []
        book.take(booked.account, booked.order.side, lots)
        return [self._fill(book, booked, price_ticks, lots, booked.accepted_at_ns, maker=False)]

    def _rest_or_expire(self, book: Book, booked: BookedOrder) -> list[Report]:
        if booked.order.type is OrderType.MARKET:
            return self._end([booked], OrderStatus.EXPIRED, booked.accepted_at_ns)
        book.rest(booked)
        return []

    def _match_top(self, book: Book, top: BookTop) -> list[Report]:
        at_ns = whole_ms(top.venue_at_ns or top.received_at_ns)
        reports: list[Report] = []
        for account, resting in book.resting.items():
            reached = [b for b in resting.buys if top.ask_ticks <= b.limit_ticks]
            reached += [b for b in resting.sells if top.bid_ticks >= b.limit_ticks]
            for booked in reached:
                lots = min(booked.remaining_lots, book.available(account, booked.order.side))
                if lots:
                    book.take(account, booked.order.side, lots)
                    reports.append(self._fill(book, booked, booked.limit_ticks, lots, at_ns, maker=True))
        return reports

    def _match_print(self, book: Book, trade: Trade) -> list[Report]:
        at_ns = whole_ms(trade.venue_at_ns or trade.received_at_ns)
        reports: list[Report] = []
        for resting in book.resting.values():
            left = trade.quantity_lots
            passed = [b for b in resting.buys if trade.price_ticks < b.limit_ticks]
            passed += [b for b in resting.sells if trade.price_ticks > b.limit_ticks]
            for booked in passed:
                lots = min(booked.remaining_lots, left)
                if lots:
                    left -= lots
                    reports.append(self._fill(book, booked, booked.limit_ticks, lots, at_ns, maker=True))
        return reports

    def _fill(self, book: Book, booked: BookedOrder, price_ticks: int, lots: int, at_ns: int, *, maker: bool) -> Report:
        notional = book.instrument.notional(price_ticks, lots)
        booked.filled_lots += lots
        booked.filled_quote += notional
        booked.updated_at_ns = at_ns
        fee = self._accounts[booked.account].pay(booked, book.instrument, notional, lots, maker=maker)
        booked.status = OrderStatus.PARTIALLY_FILLED if booked.remaining_lots else OrderStatus.FILLED
        if booked.status is OrderStatus.FILLED:
            self._close(book, booked)
        fill = self._record(book, booked, price_ticks, lots, fee, at_ns, maker=maker)
        return booked.account, OrderFilled(fill)

    def _record(
        self, book: Book, booked: BookedOrder, price_ticks: int, lots: int, fee: Decimal, at_ns: int, *, maker: bool
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
        self._accounts[booked.account].keep(fill)
        return fill

    # --- endings ------------------------------------------------------------------------------------------

    def _end(self, orders: Sequence[BookedOrder], status: OrderStatus, now_ns: int) -> list[Report]:
        at_ns = whole_ms(now_ns)
        reports: list[Report] = []
        for booked in orders:
            book = self._books[booked.order.symbol]
            self._accounts[booked.account].release(booked, book.instrument)
            booked.status, booked.updated_at_ns = status, at_ns
            self._close(book, booked)
            ended = OrderEnded(booked.order.client_order_id, status, booked.filled_lots, at_ns)
            reports.append((booked.account, ended))
        return reports

    def _close(self, book: Book, booked: BookedOrder) -> None:
        book.remove([booked])
        self._accounts[booked.account].close(booked)

    def _expire_all(self, now_ns: int) -> list[Report]:
        return [r for name in self._accounts for r in self._end(self.open_orders(name), OrderStatus.EXPIRED, now_ns)]

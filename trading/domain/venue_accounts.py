"""One account of the simulated venue: what it owns and has locked, its orders, executions and transfers."""

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice

from trading.domain.fees import Fees
from trading.domain.flows import Flow
from trading.domain.instruments import Instrument
from trading.domain.orders import Fill, OrderType, Side
from trading.domain.venue_orders import (
    ZERO,
    Balance,
    BalanceChange,
    BookedOrder,
    NewOrder,
    Rejection,
    Transfer,
    VenueState,
    whole_ms,
)


@dataclass(slots=True)
class Purse:
    """One asset of the account."""

    free: Decimal = ZERO
    locked: Decimal = ZERO


@dataclass(slots=True)
class Account:
    """What the venue knows of one account; the newest `history` ended orders and fills of a symbol are remembered."""

    name: str
    fees: Fees
    history: int
    purses: dict[str, Purse]
    latest: dict[tuple[str, str], BookedOrder] = field(default_factory=dict)  # (symbol, client id) -> newest order
    by_id: dict[int, BookedOrder] = field(default_factory=dict)
    open: dict[int, BookedOrder] = field(default_factory=dict)
    ended: deque[BookedOrder] = field(default_factory=deque)
    fills: dict[str, list[Fill]] = field(default_factory=dict)
    transfers: dict[str, Transfer] = field(default_factory=dict)  # by id, oldest first

    # --- what is asked of it ------------------------------------------------------------------------------

    def balances(self) -> dict[str, Balance]:
        """Return every asset the account has ever held."""
        return {asset: Balance(p.free, p.locked) for asset, p in self.purses.items()}

    def open_orders(self, symbol: str | None) -> list[BookedOrder]:
        """Return the open orders, of one symbol or of all, oldest first."""
        return sorted((b for b in self.open.values() if symbol in (None, b.order.symbol)), key=lambda b: b.order_id)

    def orders(self, symbol: str) -> list[BookedOrder]:
        """Return open and remembered orders on `symbol`, oldest first."""
        return sorted((b for b in self.by_id.values() if b.order.symbol == symbol), key=lambda b: b.order_id)

    def recent_orders(self, recent: int) -> list[BookedOrder]:
        """Return a copy of what is open and of the `recent` last orders that ended, oldest first."""
        ended = islice(self.ended, max(len(self.ended) - recent, 0), None)
        # What has ended never changes again; what is open does.
        return sorted((*ended, *(replace(b) for b in self.open.values())), key=lambda b: b.order_id)

    def recent_fills(self, recent: int) -> list[Fill]:
        """Return the `recent` last executions of every symbol."""
        return [fill for fills in self.fills.values() for fill in fills[-recent:]]

    def fills_since(self, symbol: str, trade_id: int) -> list[Fill]:
        """Return the remembered executions with a higher trade id, oldest first."""
        fills = self.fills.get(symbol, [])
        return fills[bisect_right(fills, trade_id, key=lambda f: f.trade_id) :]

    # --- orders -------------------------------------------------------------------------------------------

    def check_duplicate(self, order: NewOrder) -> None:
        """Refuse an id that is open.

        Raises:
            Rejection: -2010.
        """
        earlier = self.latest.get((order.symbol, order.client_order_id))
        if earlier is not None and earlier.is_open:
            raise Rejection(-2010, "Duplicate order sent.")

    def book(
        self, order: NewOrder, instrument: Instrument, opposite_ticks: int | None, order_id: int, at_ns: int
    ) -> BookedOrder:
        """Lock what `order` may cost and remember it; a MARKET order is reckoned at `opposite_ticks`.

        Raises:
            Rejection: -2010, not enough is free.
        """
        required = self._required(order, instrument, opposite_ticks)
        purse = self.purse(_paid_asset(instrument, order.side))
        if purse.free < required:
            raise Rejection(-2010, "Account has insufficient balance for requested action.")
        purse.free -= required
        purse.locked += required
        booked = BookedOrder(self.name, order, order_id, at_ns, at_ns, required)
        self.remember(booked)
        return booked

    def remember(self, booked: BookedOrder) -> None:
        """Keep an open order."""
        self.by_id[booked.order_id] = booked
        self.latest[booked.order.symbol, booked.order.client_order_id] = booked
        self.open[booked.order_id] = booked

    def close(self, booked: BookedOrder) -> None:
        """Move an order from those that are open to those that ended."""
        del self.open[booked.order_id]
        self.ended.append(booked)
        if len(self.ended) > self.history:
            self._forget(self.ended.popleft())

    def release(self, booked: BookedOrder, instrument: Instrument) -> None:
        """Free what an order that ends has locked."""
        purse = self.purse(_paid_asset(instrument, booked.order.side))
        purse.free += booked.locked
        purse.locked -= booked.locked
        booked.locked = ZERO

    def _forget(self, booked: BookedOrder) -> None:
        del self.by_id[booked.order_id]
        key = (booked.order.symbol, booked.order.client_order_id)
        if self.latest[key] is booked:
            del self.latest[key]

    # --- money --------------------------------------------------------------------------------------------

    def purse(self, asset: str) -> Purse:
        """Return the purse of `asset`, an empty one the first time."""
        return self.purses.setdefault(asset, Purse())

    def pay(self, booked: BookedOrder, instrument: Instrument, notional: Decimal, lots: int, *, maker: bool) -> Decimal:
        """Move base and quote for `lots` of an order that are filled already; return the fee."""
        if booked.order.side is Side.BUY:
            return self._pay_for_buy(booked, instrument, notional, lots, maker=maker)
        return self._pay_for_sell(booked, instrument, notional, lots, maker=maker)

    def keep(self, fill: Fill) -> None:
        """Remember one execution."""
        fills = self.fills.setdefault(fill.symbol, [])
        fills.append(fill)
        if len(fills) > 2 * self.history:
            del fills[: -self.history]

    def transfer(self, flow_id: str, asset: str, amount: Decimal, now_ns: int) -> Flow:
        """Pay `amount` in, or where it is below zero out, at most what is free; under one id once, however often asked.

        Raises:
            ValueError: the amount is nothing, or the id was used for something else.
        """
        if not amount.is_finite() or not amount:
            raise ValueError(f"{amount} is no amount.")
        known = self.transfers.get(flow_id)
        if known is not None:
            if (known.asset, known.asked) != (asset, amount):
                raise ValueError(f"{flow_id!r} was a transfer of {known.asked} {known.asset}; take a new id.")
            return known.flow
        purse = self.purse(asset)
        made = max(amount, -purse.free)
        purse.free += made
        flow = Flow(flow_id, made, whole_ms(now_ns))
        self.transfers[flow_id] = Transfer(asset, amount, flow)
        return flow

    def settle(self, instrument: Instrument, bid_ticks: int) -> list[BalanceChange]:
        """Turn what is free of the base asset into quote at the bid, without a fee."""
        base = self.purses.get(instrument.base)
        if base is None or not base.free:
            return []
        value, sold = base.free * instrument.price(bid_ticks), base.free
        base.free = ZERO
        self.purse(instrument.quote).free += value
        return [
            BalanceChange(self.name, instrument.base, -sold),
            BalanceChange(self.name, instrument.quote, value),
        ]

    def restore(self, state: VenueState) -> Sequence[BookedOrder]:
        """Take over what `state` says of this account; return the orders that rest again."""
        self.purses = {asset: Purse(b.free, b.locked) for asset, b in state.balances[self.name].items()}
        self.transfers = {one.flow.flow_id: one for one in state.transfers.get(self.name, [])}
        for fill in state.fills.get(self.name, []):
            self.fills.setdefault(fill.symbol, []).append(fill)
        for original in state.orders.get(self.name, []):
            booked = replace(original)
            self.remember(booked)
            if not booked.is_open:
                del self.open[booked.order_id]
                self.ended.append(booked)
        return tuple(self.open.values())

    def _required(self, order: NewOrder, instrument: Instrument, opposite_ticks: int | None) -> Decimal:
        """Return what the order must lock: base for a SELL, value and worst fee in quote for a BUY."""
        if order.side is Side.SELL:
            return instrument.quantity(order.quantity_lots)
        return self._cost(order, instrument, order.price_ticks or opposite_ticks or 0, order.quantity_lots)

    def _cost(self, order: NewOrder, instrument: Instrument, price_ticks: int, lots: int) -> Decimal:
        notional = instrument.notional(price_ticks, lots)
        fee = self.fees.fee(notional, maker=True)
        if order.type is not OrderType.LIMIT_MAKER:
            fee = max(fee, self.fees.fee(notional, maker=False))
        return notional + fee

    def _pay_for_buy(
        self, booked: BookedOrder, instrument: Instrument, notional: Decimal, lots: int, *, maker: bool
    ) -> Decimal:
        quote, left = self.purse(instrument.quote), booked.remaining_lots
        still_owed = instrument.notional(booked.limit_ticks, left)
        # Fees round up per fill: their sum may pass the fee reserved for the whole by some 1e-8; the venue bears that.
        fee = min(self.fees.fee(notional, maker=maker), booked.locked - notional - still_owed)
        keep = min(booked.locked - notional - fee, self._cost(booked.order, instrument, booked.limit_ticks, left))
        quote.free += booked.locked - notional - fee - keep
        quote.locked += keep - booked.locked
        booked.locked = keep
        self.purse(instrument.base).free += instrument.quantity(lots)
        return fee

    def _pay_for_sell(
        self, booked: BookedOrder, instrument: Instrument, notional: Decimal, lots: int, *, maker: bool
    ) -> Decimal:
        fee = min(self.fees.fee(notional, maker=maker), notional)
        quantity = instrument.quantity(lots)
        booked.locked -= quantity
        self.purse(instrument.base).locked -= quantity
        self.purse(instrument.quote).free += notional - fee
        return fee


def opened(name: str, balances: Mapping[str, Decimal], fees: Fees, history: int) -> Account:
    """Return a new account with these free balances.

    Raises:
        ValueError: a balance is negative.
    """
    if any(amount < 0 for amount in balances.values()):
        raise ValueError(f"account {name!r}: a balance may not be negative.")
    return Account(name, fees, history, {asset: Purse(amount) for asset, amount in balances.items()})


def _paid_asset(instrument: Instrument, side: Side) -> str:
    return instrument.quote if side is Side.BUY else instrument.base

"""Binance's spot wire: numbers, market messages, order and account shapes."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from trading.domain.fees import Fees
from trading.domain.instruments import Instrument
from trading.domain.market import BookTop, Trade
from trading.domain.orders import Fill, OrderStatus, OrderType, Side
from trading.domain.venue_orders import Balance, BookedOrder

UNIT: Final = 100_000_000  # Binance writes every price and quantity with eight decimals
MS: Final = 1_000_000  # nanoseconds
NOTHING: Final = "0.00000000"
NO_LIST: Final = -1  # orderListId of an order that is in no list
WIRE_STATUS: Final = {OrderStatus.ACCEPTED: "NEW"}  # every other word is the same


def money(value: Decimal) -> str:
    """Return `value` with eight decimals."""
    return f"{value:.8f}"


def fixed(units: int) -> str:
    """Return a count of 1e-8 as a decimal with eight digits."""
    whole, part = divmod(units, UNIT)
    return f"{whole}.{part:08d}"


class Format:
    """Turns ticks and lots of one instrument into wire text."""

    __slots__ = ("_lot_units", "_tick_units", "instrument", "symbol")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.symbol = instrument.symbol
        self._tick_units = int(instrument.tick_size * UNIT)
        self._lot_units = int(instrument.lot_size * UNIT)

    def price(self, ticks: int) -> str:
        """Return a price."""
        return fixed(ticks * self._tick_units)

    def quantity(self, lots: int) -> str:
        """Return a quantity."""
        return fixed(lots * self._lot_units)

    def plain_price(self, ticks: int) -> str:
        """Return a price with no more decimals than the tick has."""
        return format(self.instrument.price(ticks), "f")

    # --- market -------------------------------------------------------------------------------------------

    def trade(self, event: Trade) -> str:
        """Return the message of the `@trade` stream."""
        at_ms = event.venue_at_ns // MS
        maker = "true" if event.buyer_is_maker else "false"
        return (
            f'{{"e":"trade","E":{at_ms},"s":"{self.symbol}","t":{event.trade_id},'
            f'"p":"{fixed(event.price_ticks * self._tick_units)}","q":"{fixed(event.quantity_lots * self._lot_units)}",'
            f'"T":{at_ms},"m":{maker},"M":true}}'
        )

    def book_ticker(self, top: BookTop) -> str:
        """Return the message of the `@bookTicker` stream; like Binance's it has no time."""
        tick, lot = self._tick_units, self._lot_units
        return (
            f'{{"u":{top.update_id},"s":"{self.symbol}",'
            f'"b":"{fixed(top.bid_ticks * tick)}","B":"{fixed(top.bid_lots * lot)}",'
            f'"a":"{fixed(top.ask_ticks * tick)}","A":"{fixed(top.ask_lots * lot)}"}}'
        )

    def levels(self, levels: Iterable[tuple[int, int]]) -> list[list[str]]:
        """Return book levels (ticks, lots) as pairs of text."""
        return [[self.price(ticks), self.quantity(lots)] for ticks, lots in levels]

    def rest_ticker(self, top: BookTop) -> dict[str, str]:
        """Return an entry of GET ticker/bookTicker."""
        return {
            "symbol": self.symbol,
            "bidPrice": self.price(top.bid_ticks),
            "bidQty": self.quantity(top.bid_lots),
            "askPrice": self.price(top.ask_ticks),
            "askQty": self.quantity(top.ask_lots),
        }

    def rest_trade(self, event: Trade) -> dict[str, Any]:
        """Return an entry of GET trades."""
        return {
            "id": event.trade_id,
            "price": self.price(event.price_ticks),
            "qty": self.quantity(event.quantity_lots),
            "quoteQty": money(self.instrument.notional(event.price_ticks, event.quantity_lots)),
            "time": event.venue_at_ns // MS,
            "isBuyerMaker": event.buyer_is_maker,
            "isBestMatch": True,
        }

    # --- orders -------------------------------------------------------------------------------------------

    def order(self, booked: BookedOrder) -> dict[str, Any]:
        """Return an order as GET order, openOrders and allOrders show it."""
        at_ms = booked.accepted_at_ns // MS
        return {
            **self._identity(booked),
            **self._amounts(booked),
            "stopPrice": NOTHING,
            "icebergQty": NOTHING,
            "time": at_ms,
            "updateTime": booked.updated_at_ns // MS,
            "isWorking": True,
            "workingTime": at_ms,
            "selfTradePreventionMode": "NONE",
        }

    def placed(self, booked: BookedOrder, fills: Sequence[Fill], *, response_type: str) -> dict[str, Any]:
        """Return the reply to a new order: ACK, RESULT or FULL."""
        at_ms = booked.accepted_at_ns // MS
        reply = {**self._identity(booked), "transactTime": at_ms}
        if response_type == "ACK":
            return reply
        reply |= {**self._amounts(booked), "workingTime": at_ms, "selfTradePreventionMode": "NONE"}
        if response_type == "FULL":
            reply["fills"] = [self._fill(fill) for fill in fills]
        return reply

    def canceled(self, booked: BookedOrder, *, cancel_id: str) -> dict[str, Any]:
        """Return the reply to a cancel."""
        return {
            **self._identity(booked),
            "origClientOrderId": booked.order.client_order_id,
            "clientOrderId": cancel_id,
            "transactTime": booked.updated_at_ns // MS,
            **self._amounts(booked),
            "selfTradePreventionMode": "NONE",
        }

    def my_trade(self, fill: Fill) -> dict[str, Any]:
        """Return an entry of GET myTrades."""
        return {
            "symbol": self.symbol,
            "id": fill.trade_id,
            "orderId": int(fill.venue_order_id),
            "orderListId": NO_LIST,
            "price": self.price(fill.price_ticks),
            "qty": self.quantity(fill.quantity_lots),
            "quoteQty": money(self.instrument.notional(fill.price_ticks, fill.quantity_lots)),
            "commission": money(fill.fee),
            "commissionAsset": fill.fee_asset,
            "time": fill.at_ns // MS,
            "isBuyer": fill.side is Side.BUY,
            "isMaker": fill.maker,
            "isBestMatch": True,
        }

    def _identity(self, booked: BookedOrder) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "orderId": booked.order_id,
            "orderListId": NO_LIST,
            "clientOrderId": booked.order.client_order_id,
        }

    def _amounts(self, booked: BookedOrder) -> dict[str, Any]:
        order = booked.order
        return {
            "price": self.price(order.price_ticks or 0),
            "origQty": self.quantity(order.quantity_lots),
            "executedQty": self.quantity(booked.filled_lots),
            "origQuoteOrderQty": NOTHING,
            "cummulativeQuoteQty": money(booked.filled_quote),
            "status": status(booked.status),
            "timeInForce": "GTC",
            "type": order.type.value,
            "side": order.side.value,
        }

    def _fill(self, fill: Fill) -> dict[str, Any]:
        return {
            "price": self.price(fill.price_ticks),
            "qty": self.quantity(fill.quantity_lots),
            "commission": money(fill.fee),
            "commissionAsset": fill.fee_asset,
            "tradeId": fill.trade_id,
        }

    # --- account events -----------------------------------------------------------------------------------

    def execution_report(
        self,
        booked: BookedOrder,
        *,
        execution: str,
        order_status: str,
        filled_lots: int,
        filled_quote: Decimal,
        at_ns: int,
        now_ns: int,
        execution_id: int,
        fill: Fill | None = None,
        cancel_id: str = "",
    ) -> dict[str, Any]:
        """Return the executionReport of one thing that happened to `booked`; sums are as of that moment."""
        order = booked.order
        client_order_id = order.client_order_id
        return {
            "e": "executionReport",
            "E": now_ns // MS,
            "s": self.symbol,
            "c": cancel_id or client_order_id,
            "S": order.side.value,
            "o": order.type.value,
            "f": "GTC",
            "q": self.quantity(order.quantity_lots),
            "p": self.price(order.price_ticks or 0),
            "P": NOTHING,
            "F": NOTHING,
            "g": NO_LIST,
            "C": client_order_id if cancel_id else "",
            "x": execution,
            "X": order_status,
            "r": "NONE",
            "i": booked.order_id,
            "l": self.quantity(fill.quantity_lots) if fill else NOTHING,
            "z": self.quantity(filled_lots),
            "L": self.price(fill.price_ticks) if fill else NOTHING,
            "n": money(fill.fee) if fill else "0",
            "N": fill.fee_asset if fill else None,
            "T": at_ns // MS,
            "t": fill.trade_id if fill else -1,
            "I": execution_id,
            "w": order_status in {"NEW", "PARTIALLY_FILLED"} and order.type is not OrderType.MARKET,
            "m": fill.maker if fill else False,
            "M": False,
            "O": booked.accepted_at_ns // MS,
            "Z": money(filled_quote),
            "Y": money(self.instrument.notional(fill.price_ticks, fill.quantity_lots)) if fill else NOTHING,
            "Q": NOTHING,
            "W": booked.accepted_at_ns // MS,
            "V": "NONE",
        }


def status(order_status: OrderStatus) -> str:
    """Return the venue's word for an order's status."""
    return WIRE_STATUS.get(order_status, order_status.value)


def depth_update(
    symbol: str, *, first_id: int, last_id: int, bids: list[list[str]], asks: list[list[str]], at_ms: int
) -> str:
    """Return the message of the `@depth` stream: changed levels, quantity 0 removes one."""

    def pairs(levels: list[list[str]]) -> str:
        return ",".join(f'["{price}","{quantity}"]' for price, quantity in levels)

    return (
        f'{{"e":"depthUpdate","E":{at_ms},"s":"{symbol}","U":{first_id},"u":{last_id},'
        f'"b":[{pairs(bids)}],"a":[{pairs(asks)}]}}'
    )


def account_position(balances: Mapping[str, Balance], *, at_ns: int, now_ns: int) -> dict[str, Any]:
    """Return the outboundAccountPosition of the assets that may have changed."""
    return {
        "e": "outboundAccountPosition",
        "E": now_ns // MS,
        "u": at_ns // MS,
        "B": [{"a": asset, "f": money(b.free), "l": money(b.locked)} for asset, b in balances.items()],
    }


def balance_update(asset: str, delta: Decimal, *, at_ns: int) -> dict[str, Any]:
    """Return the balanceUpdate of a change that is no trade."""
    return {"e": "balanceUpdate", "E": at_ns // MS, "a": asset, "d": money(delta), "T": at_ns // MS}


def account(
    name: str, balances: Mapping[str, Balance], fees: Fees, *, permissions: Sequence[str], at_ns: int
) -> dict[str, Any]:
    """Return the reply of GET account; `permissions` are those of the key that asks."""
    return {
        "makerCommission": int(fees.maker_fraction * 10_000),
        "takerCommission": int(fees.taker_fraction * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": money(fees.maker_fraction),
            "taker": money(fees.taker_fraction),
            "buyer": NOTHING,
            "seller": NOTHING,
        },
        "canTrade": "trade" in permissions,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": at_ns // MS,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": money(b.free), "locked": money(b.locked)} for asset, b in balances.items()
        ],
        "permissions": ["SPOT"],
        "uid": zlib.crc32(name.encode()),  # a number that stays with the account
    }

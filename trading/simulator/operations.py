"""What a request may ask of the exchange; one table for REST and for the WebSocket API."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar

from trading.domain.instruments import Instrument
from trading.domain.market import BookTop
from trading.domain.orders import OrderType, Side
from trading.domain.venue_orders import BookedOrder, NewOrder, Rejection
from trading.simulator import errors, listing, wire
from trading.simulator.access import Key, Permission, integer
from trading.simulator.exchange import Exchange

Parameters = Mapping[str, str]
Word = TypeVar("Word", OrderType, Side)

DECIMALS: Final = 8
PAGE: Final = 500  # rows of a list unless `limit` says otherwise
LONGEST_PAGE: Final = 1_000
RESPONSE_TYPES: Final = ("ACK", "RESULT", "FULL")
# They would change what the order means, and this venue does not do them: refused rather than ignored.
UNSUPPORTED: Final = ("quoteOrderQty", "stopPrice", "trailingDelta", "icebergQty", "pegPriceType")


@dataclass(frozen=True, slots=True)
class Operation:
    """One request: what it weighs, what its key must be allowed, what it does."""

    weight: Callable[[Parameters], int]
    permission: Permission
    run: Callable[[Exchange, Key | None, Parameters], Any]
    is_order: bool = False  # counts against the account's order limits


def _weight(weight: int) -> Callable[[Parameters], int]:
    return lambda parameters: weight


def _by_symbol(one: int, every: int) -> Callable[[Parameters], int]:
    return lambda parameters: one if parameters.get("symbol") else every


def _depth_weight(parameters: Parameters) -> int:
    text = parameters.get("limit", "100")
    limit = int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 100
    return next((weight for most, weight in ((100, 5), (500, 25), (1_000, 50)) if limit <= most), 250)


# --- public ---------------------------------------------------------------------------------------------------


def ping(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Say that the exchange is there."""
    return {}


def server_time(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Return the exchange's time."""
    return {"serverTime": exchange.now_ms()}


def exchange_info(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Return limits, symbols and filters."""
    limits = [exchange.weights.describe(), *exchange.order_counts.describe()]
    info = listing.exchange_info(
        exchange.listing, trading=exchange.trading, now_ms=exchange.now_ms(), rate_limits=limits
    )
    if symbol := parameters.get("symbol"):
        exchange.format(symbol)
        info["symbols"] = [entry for entry in info["symbols"] if entry["symbol"] == symbol]
    return info


def depth(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Return the book: one level a side, the recording has no more."""
    number_format, top = _format(exchange, parameters), _top(exchange, parameters["symbol"])
    if top is None:
        return {"lastUpdateId": 0, "bids": [], "asks": []}
    return {
        "lastUpdateId": top.update_id,
        "bids": number_format.levels([(top.bid_ticks, top.bid_lots)]),
        "asks": number_format.levels([(top.ask_ticks, top.ask_lots)]),
    }


def recent_trades(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Return the last prints, oldest first."""
    number_format = _format(exchange, parameters)
    trades = list(exchange.tapes[parameters["symbol"]].trades)[-_limit(parameters) :]
    return [number_format.rest_trade(trade) for trade in trades]


def book_ticker(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Return the best bid and ask of one symbol or of all."""
    if parameters.get("symbol"):
        number_format, top = _format(exchange, parameters), _top(exchange, parameters["symbol"])
        return number_format.rest_ticker(top) if top else {"symbol": parameters["symbol"], **_EMPTY_TICKER}
    tapes = exchange.tapes.values()
    return [tape.format.rest_ticker(tape.top) for tape in tapes if tape.top is not None]


_EMPTY_TICKER: Final = dict.fromkeys(("bidPrice", "bidQty", "askPrice", "askQty"), wire.NOTHING)


# --- account --------------------------------------------------------------------------------------------------


def account(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Return balances, fees and what the key may do."""
    owner = _owner(key)
    balances = exchange.venue.balances(owner.account)
    if parameters.get("omitZeroBalances") == "true":
        balances = {asset: balance for asset, balance in balances.items() if balance.total}
    permissions, now_ns = sorted(owner.grants), exchange.clock.now_ns()
    return wire.account(owner.account, balances, exchange.fees, permissions=permissions, at_ns=now_ns)


def restrictions(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Return what the asking key may do; the control plane can say otherwise of each."""
    return {"createTime": 1_700_000_000_000, **_owner(key).restrictions}


def nothing(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Return an empty list: there is no margin trading here."""
    return []


def order_rate(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Return how many orders the account has sent."""
    counts, limits = exchange.order_counts.used(_owner(key).account), exchange.order_counts.describe()
    return [{**limit, "count": count} for limit, count in zip(limits, counts, strict=bool(limits))]  # none: lifted


def my_trades(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Return the account's fills, oldest first: from `fromId` on, or else the newest."""
    number_format, limit = _format(exchange, parameters), _limit(parameters)
    from_id, order_id = integer(parameters, "fromId"), integer(parameters, "orderId")
    start_ms, end_ms = integer(parameters, "startTime") or 0, integer(parameters, "endTime")
    fills = [
        fill
        for fill in exchange.venue.fills(_owner(key).account, number_format.symbol, max((from_id or 0) - 1, 0))
        if (order_id is None or int(fill.venue_order_id) == order_id)
        and start_ms <= fill.at_ns // wire.MS
        and (end_ms is None or fill.at_ns // wire.MS <= end_ms)
    ]
    page = fills[:limit] if from_id is not None or start_ms else fills[-limit:]
    return [number_format.my_trade(fill) for fill in page]


# --- orders ---------------------------------------------------------------------------------------------------


def place(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Place an order; the reply is ACK, RESULT or FULL."""
    response_type = _response_type(parameters)
    order = _new_order(exchange, parameters)
    booked, fills = exchange.place(_owner(key).account, order)
    return exchange.format(order.symbol).placed(booked, fills, response_type=response_type)


def cancel(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Cancel one order."""
    cancel_id = _cancel_id(exchange, parameters)
    try:
        booked = _find(exchange, key, parameters)
    except Rejection as unknown:
        raise _no_such_order(unknown) from unknown
    _check_restrictions(booked, parameters)
    exchange.cancel(_owner(key).account, booked, cancel_id=cancel_id)
    return exchange.format(booked.order.symbol).canceled(booked, cancel_id=cancel_id)


def cancel_all(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Cancel every open order on a symbol; refused when none is open, as Binance does."""
    number_format = _format(exchange, parameters)
    done = exchange.cancel_all(_owner(key).account, number_format.symbol, cancel_ids=lambda: _made_up_id(exchange))
    if not done:
        raise Rejection(-2011, "Unknown order sent.")
    return [number_format.canceled(booked, cancel_id=cancel_id) for booked, cancel_id in done]


def query(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Return one order."""
    booked = _find(exchange, key, parameters)
    return exchange.format(booked.order.symbol).order(booked)


def open_orders(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Return the open orders of one symbol or of all, oldest first."""
    symbol = parameters.get("symbol")
    if symbol:
        exchange.format(symbol)
    orders = exchange.venue.open_orders(_owner(key).account, symbol)
    return [exchange.format(booked.order.symbol).order(booked) for booked in orders]


def all_orders(exchange: Exchange, key: Key | None, parameters: Parameters) -> Any:
    """Return open and remembered orders of one symbol: from `orderId` on, or else the newest."""
    number_format, limit = _format(exchange, parameters), _limit(parameters)
    first = integer(parameters, "orderId")
    orders = exchange.venue.orders(_owner(key).account, number_format.symbol)
    found = [booked for booked in orders if first is None or booked.order_id >= first]
    page = found[-limit:] if first is None else found[:limit]
    return [number_format.order(booked) for booked in page]


# --- reading parameters -----------------------------------------------------------------------------------------


def _owner(key: Key | None) -> Key:
    if key is None:
        raise errors.bad_key_format()
    return key


def _format(exchange: Exchange, parameters: Parameters) -> wire.Format:
    return exchange.format(_required(parameters, "symbol"))


def _top(exchange: Exchange, symbol: str) -> BookTop | None:
    return exchange.tapes[symbol].top


def _required(parameters: Parameters, name: str) -> str:
    value = parameters.get(name)
    if not value:
        raise errors.missing(name)
    return value


def _limit(parameters: Parameters) -> int:
    limit = integer(parameters, "limit")
    return PAGE if limit is None else max(1, min(limit, LONGEST_PAGE))


def _word(kind: type[Word], text: str, code: int, message: str) -> Word:
    try:
        return kind(text)
    except ValueError as unknown:
        raise errors.ApiError(400, code, message) from unknown


def _new_order(exchange: Exchange, parameters: Parameters) -> NewOrder:
    number_format = _format(exchange, parameters)
    side = _word(Side, _required(parameters, "side"), -1117, "Invalid side.")
    kind = _word(OrderType, _required(parameters, "type"), -1116, "Invalid orderType.")
    for name in UNSUPPORTED:
        if parameters.get(name):
            raise errors.not_required(name)
    return NewOrder(
        client_order_id=_client_id(exchange, parameters, "newClientOrderId"),
        symbol=number_format.symbol,
        side=side,
        type=kind,
        quantity_lots=_quantity_lots(number_format.instrument, parameters),
        price_ticks=_price_ticks(exchange, number_format.instrument, kind, parameters),
    )


def _quantity_lots(instrument: Instrument, parameters: Parameters) -> int:
    quantity = _amount(parameters, "quantity")
    if quantity % instrument.lot_size:
        raise Rejection(-1013, "Filter failure: LOT_SIZE")
    return int(quantity / instrument.lot_size)


def _price_ticks(exchange: Exchange, instrument: Instrument, kind: OrderType, parameters: Parameters) -> int | None:
    time_in_force = parameters.get("timeInForce")
    if kind is OrderType.MARKET:
        for name in ("price", "timeInForce"):
            if parameters.get(name):
                raise errors.not_required(name)
        return None
    if kind is OrderType.LIMIT and not time_in_force:
        raise errors.missing("timeInForce")
    if time_in_force not in (None, "GTC"):
        raise errors.ApiError(400, -1115, "Invalid timeInForce.")
    price = _amount(parameters, "price")
    if price % instrument.tick_size or price > exchange.listing.max_price[instrument.symbol]:
        raise Rejection(-1013, "Filter failure: PRICE_FILTER")
    return int(price / instrument.tick_size)


def _amount(parameters: Parameters, name: str) -> Decimal:
    text = _required(parameters, name)
    if not re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", text):
        raise errors.illegal(name, errors.NUMBER)
    if len(text.partition(".")[2].rstrip("0")) > DECIMALS:
        raise errors.ApiError(400, -1111, f"Parameter '{name}' has too much precision.")
    return Decimal(text)


def _client_id(exchange: Exchange, parameters: Parameters, name: str) -> str:
    text = parameters.get(name)
    if text is None:
        return _made_up_id(exchange)
    if not re.fullmatch(errors.CLIENT_ID.strip("^$"), text):
        raise errors.illegal(name, errors.CLIENT_ID)
    return text


def _cancel_id(exchange: Exchange, parameters: Parameters) -> str:
    return _client_id(exchange, parameters, "newClientOrderId")


def _made_up_id(exchange: Exchange) -> str:
    return f"sim{exchange.next_name():019d}"


def _response_type(parameters: Parameters) -> str:
    default = "ACK" if parameters.get("type") not in ("MARKET", "LIMIT") else "FULL"
    response_type = parameters.get("newOrderRespType", default)
    if response_type not in RESPONSE_TYPES:
        raise errors.ApiError(400, -1103, "An unknown parameter was sent.")
    return response_type


def _find(exchange: Exchange, key: Key | None, parameters: Parameters) -> BookedOrder:
    number_format, owner = _format(exchange, parameters), _owner(key).account
    order_id, client_id = integer(parameters, "orderId"), parameters.get("origClientOrderId")
    if order_id is None and not client_id:
        raise errors.ApiError(
            400, -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        )
    if order_id is None:
        return exchange.venue.order(owner, number_format.symbol, client_id or "")
    booked = exchange.venue.order_by_id(owner, number_format.symbol, order_id)
    if client_id and booked.order.client_order_id != client_id:
        raise Rejection(-2013, "Order does not exist.")
    return booked


def _no_such_order(error: Rejection) -> Rejection:
    return Rejection(-2011, "Unknown order sent.") if error.code == -2013 else error


def _check_restrictions(booked: BookedOrder, parameters: Parameters) -> None:
    wanted = parameters.get("cancelRestrictions")
    if wanted not in (None, "ONLY_NEW", "ONLY_PARTIALLY_FILLED"):
        raise errors.ApiError(400, -1145, "Invalid cancelRestrictions")
    if wanted and booked.is_open and wanted != f"ONLY_{wire.status(booked.status)}":
        raise Rejection(-2011, "Order was not canceled due to cancel restrictions.")


# --- the table --------------------------------------------------------------------------------------------------

P = Permission
PING: Final = Operation(_weight(1), P.NONE, ping)
TIME: Final = Operation(_weight(1), P.NONE, server_time)
INFO: Final = Operation(_weight(20), P.NONE, exchange_info)
DEPTH: Final = Operation(_depth_weight, P.NONE, depth)
TRADES: Final = Operation(_weight(25), P.NONE, recent_trades)
TICKER: Final = Operation(_by_symbol(2, 4), P.NONE, book_ticker)
ACCOUNT: Final = Operation(_weight(20), P.READ, account)
MY_TRADES: Final = Operation(lambda p: 5 if p.get("orderId") else 20, P.READ, my_trades)
PLACE: Final = Operation(_weight(1), P.TRADE, place, is_order=True)
CANCEL: Final = Operation(_weight(1), P.CANCEL, cancel)
CANCEL_ALL: Final = Operation(_weight(1), P.CANCEL, cancel_all)
QUERY: Final = Operation(_weight(4), P.READ, query)
OPEN: Final = Operation(_by_symbol(6, 80), P.READ, open_orders)
ALL: Final = Operation(_weight(20), P.READ, all_orders)
ORDER_RATE: Final = Operation(_weight(40), P.READ, order_rate)
RESTRICTIONS: Final = Operation(_weight(1), P.READ, restrictions)
NO_MARGIN: Final = Operation(_weight(1), P.NONE, nothing)

REST: Final[dict[tuple[str, str], Operation]] = {
    ("GET", "/api/v3/ping"): PING,
    ("GET", "/api/v3/time"): TIME,
    ("GET", "/api/v3/exchangeInfo"): INFO,
    ("GET", "/api/v3/depth"): DEPTH,
    ("GET", "/api/v3/trades"): TRADES,
    ("GET", "/api/v3/ticker/bookTicker"): TICKER,
    ("GET", "/api/v3/account"): ACCOUNT,
    ("GET", "/api/v3/myTrades"): MY_TRADES,
    ("POST", "/api/v3/order"): PLACE,
    ("DELETE", "/api/v3/order"): CANCEL,
    ("GET", "/api/v3/order"): QUERY,
    ("GET", "/api/v3/openOrders"): OPEN,
    ("DELETE", "/api/v3/openOrders"): CANCEL_ALL,
    ("GET", "/api/v3/allOrders"): ALL,
    ("GET", "/api/v3/rateLimit/order"): ORDER_RATE,
    ("GET", "/sapi/v1/account/apiRestrictions"): RESTRICTIONS,
    ("GET", "/sapi/v1/margin/allPairs"): NO_MARGIN,
    ("GET", "/sapi/v1/margin/isolated/allPairs"): NO_MARGIN,
}

SOCKET: Final[dict[str, Operation]] = {
    "ping": PING,
    "time": TIME,
    "exchangeInfo": INFO,
    "depth": DEPTH,
    "trades.recent": TRADES,
    "ticker.book": TICKER,
    "account.status": ACCOUNT,
    "account.rateLimits.orders": ORDER_RATE,
    "myTrades": MY_TRADES,
    "allOrders": ALL,
    "order.place": PLACE,
    "order.cancel": CANCEL,
    "order.status": QUERY,
    "openOrders.status": OPEN,
    "openOrders.cancelAll": CANCEL_ALL,
}

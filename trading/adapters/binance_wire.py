"""Binance's spot dialect: messages and replies to domain facts, strict, without a float on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from trading.domain.events import (
    Event,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderRefused,
    SeamReached,
    VenueOrder,
)
from trading.domain.instruments import Instrument, UnreadableNumber, parse_decimal
from trading.domain.market import BookTop, Trade
from trading.domain.orders import Fill, Order, OrderStatus, Side
from trading.domain.restrictions import Restrictions
from trading.ports import Acknowledgement, ReplayStatus

DECIMALS: Final = 8  # Binance writes every price and quantity with eight of them
UNIT: Final = 10**DECIMALS
MS: Final = 1_000_000  # nanoseconds
LATEST_MS: Final = 4_102_444_800_000  # 2100-01-01; a larger number is not in milliseconds
USUAL_LENGTH: Final = 19  # characters: point and at most 18 digits are below LARGEST whatever they are
LARGEST: Final = 2**63 - 1  # what the database and numpy hold

Message = Mapping[str, Any]

ORDER_STATUS: Final = {
    "NEW": OrderStatus.ACCEPTED,
    "PENDING_NEW": OrderStatus.ACCEPTED,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "PENDING_CANCEL": OrderStatus.PENDING_CANCEL,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
}
ENDED: Final = frozenset({OrderStatus.CANCELED, OrderStatus.EXPIRED})


class Unreadable(ValueError):
    """A message or reply is not what the venue documents; the text names the field and the reason."""


class UnknownSymbol(Unreadable):
    """A well-formed message about an instrument we do not trade."""


class Scale:
    """Turns the decimal text of one instrument into ticks and lots, exactly."""

    __slots__ = ("_lot_units", "_tick_units", "instrument")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self._tick_units = _units(instrument.tick_size)
        self._lot_units = _units(instrument.lot_size)

    def ticks(self, text: object, field: str) -> int:
        """Return the price in ticks.

        Raises:
            Unreadable: no plain decimal, or not on the tick.
        """
        return self._steps(text, self._tick_units, self.instrument.tick_size, field)

    def lots(self, text: object, field: str) -> int:
        """Return the quantity in lots.

        Raises:
            Unreadable: no plain decimal, or not on the lot.
        """
        return self._steps(text, self._lot_units, self.instrument.lot_size, field)

    def _steps(self, text: object, step_units: int, step: Decimal, field: str) -> int:
        # The usual text, "61234.56000000": eight decimals, plain digits.
        if type(text) is str and text[-9:-8] == "." and len(text) <= USUAL_LENGTH:
            digits = text[:-9] + text[-8:]
            if digits.isdigit() and digits.isascii() and step_units:
                count, rest = divmod(int(digits), step_units)
                if rest:
                    raise Unreadable(f"{self.instrument.symbol} {field}: {text} is not a multiple of {step}.")
                return count
        return self._unusual(text, step, field)

    def _unusual(self, text: object, step: Decimal, field: str) -> int:
        count = number(text, f"{self.instrument.symbol} {field}") / step
        whole = int(count)
        if count != whole:
            raise Unreadable(f"{self.instrument.symbol} {field}: {text} is not a multiple of {step}.")
        if abs(whole) > LARGEST:
            raise Unreadable(f"{self.instrument.symbol} {field}: {text} is larger than any price or quantity.")
        return whole


def _units(step: Decimal) -> int:
    """Return `step` in 1e-8, or 0 where it is finer than that (then only the slow way is exact)."""
    units = step * UNIT
    return int(units) if units == int(units) else 0


def scales(instruments: Mapping[str, Instrument]) -> dict[str, Scale]:
    """Return the scale of every instrument by venue symbol."""
    return {symbol: Scale(instrument) for symbol, instrument in instruments.items()}


def number(text: object, field: str) -> Decimal:
    """Return a plain decimal.

    Raises:
        Unreadable: anything else.
    """
    try:
        return parse_decimal(text, field=field)
    except UnreadableNumber as error:
        raise Unreadable(str(error)) from error


# --- market data --------------------------------------------------------------------------------------------


class MarketDecoder:
    """Decodes `trade`, `bookTicker` and `replaySeam` messages of the symbols it was made for."""

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._scales = scales(instruments)

    def decode(self, message: Message, received_at_ns: int) -> BookTop | Trade | SeamReached | None:
        """Return the market fact in `message`; None for messages of another kind.

        Raises:
            UnknownSymbol: an instrument that was not asked for.
            Unreadable: a field is missing, has another type, or is no plain decimal on the instrument's steps.
        """
        if not isinstance(message, dict):
            raise Unreadable(f"market message: expected an object, got {_shown(message)}.")
        kind = message.get("e")
        try:
            if kind is None and "u" in message:
                return self._book_top(message, received_at_ns)
            if kind == "trade":
                return self._trade(message, received_at_ns)
            if kind == "replaySeam":
                return self._seam(message)
        except KeyError as error:
            raise Unreadable(f"{kind or 'bookTicker'}: field {error.args[0]!r} is missing.") from error
        return None

    def _book_top(self, message: Message, received_at_ns: int) -> BookTop:
        scale = self._scale(message)
        update_id = message["u"]
        if type(update_id) is not int or not 0 <= update_id <= LARGEST:
            raise Unreadable(f"bookTicker u: {_shown(update_id)} is not a whole number.")
        return BookTop(
            scale.instrument.symbol,
            scale.ticks(message["b"], "b"),
            scale.lots(message["B"], "B"),
            scale.ticks(message["a"], "a"),
            scale.lots(message["A"], "A"),
            update_id,
            milliseconds(message, "T") if "T" in message else 0,
            received_at_ns,
        )

    def _trade(self, message: Message, received_at_ns: int) -> Trade:
        scale = self._scale(message)
        trade_id, buyer_is_maker = message["t"], message["m"]
        if type(trade_id) is not int or not 0 <= trade_id <= LARGEST or type(buyer_is_maker) is not bool:
            shown = f"{_shown(trade_id)}, {_shown(buyer_is_maker)}"
            raise Unreadable(f"trade t, m: {shown} are not a whole number and a truth value.")
        return Trade(
            scale.instrument.symbol,
            scale.ticks(message["p"], "p"),
            scale.lots(message["q"], "q"),
            buyer_is_maker,
            trade_id,
            milliseconds(message, "T"),
            received_at_ns,
        )

    def _seam(self, message: Message) -> SeamReached:
        return seam(message, milliseconds(message, "E"), self._scales)

    def _scale(self, message: Message) -> Scale:
        symbol = message["s"]
        try:
            return self._scales[symbol]
        except (KeyError, TypeError) as error:
            raise UnknownSymbol(f"symbol {_shown(symbol)} was not asked for.") from error


def seam(message: Message, at_ns: int, scales: Mapping[str, Scale]) -> SeamReached:
    """Return the start of a new lap of a replay.

    Raises:
        Unreadable: a field is missing or defective.
    """
    lap, prices = whole(message.get("lap"), "lap"), mapping(message.get("prices"), "replaySeam prices")
    bids = {s: _positive(scales[s].ticks(price, "prices"), "prices") for s, price in prices.items() if s in scales}
    return SeamReached(lap, bids, at_ns)


def replay_status(body: object, scales: Mapping[str, Scale]) -> ReplayStatus:
    """Return what a simulated exchange says of its replay.

    Raises:
        Unreadable: a field is missing or defective.
    """
    status = mapping(body, "replay status")
    seams = sequence(status.get("seams"), "seams")
    try:
        return ReplayStatus(
            lap=whole(status["lap"], "lap"),
            speed=_measure(status, "speed"),
            effective_speed=_measure(status, "effective_speed"),
            dataset=text(status, "dataset"),
            label=text(status, "label"),
            progress=_measure(status, "progress"),
            state=text(status, "state"),
            seams=tuple(seam(entry, milliseconds(entry, "at_ms"), scales) for entry in seams),
        )
    except KeyError as error:
        raise Unreadable(f"replay status: field {error.args[0]!r} is missing.") from error


def milliseconds(message: Message, field: str) -> int:
    """Return a time stamp of the wire (milliseconds) in nanoseconds.

    Raises:
        Unreadable: missing, not a whole number, or not in milliseconds.
    """
    value = message.get(field)
    if type(value) is not int or not 0 < value < LATEST_MS:
        raise Unreadable(f"{field}: {_shown(value)} is not a time in milliseconds.")
    return value * MS


# --- account events -----------------------------------------------------------------------------------------


class AccountDecoder:
    """Decodes the user stream of one account."""

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._scales = scales(instruments)

    def decode(self, message: Message) -> list[Event]:
        """Return what `message` says about our orders; balances are checked for form and otherwise left to reconcile.

        Raises:
            UnknownSymbol: an order on an instrument we do not trade.
            Unreadable: a field is missing or defective, or a word is new to us.
        """
        kind = mapping(message, "account message").get("e")
        try:
            if kind == "executionReport":
                return self._report(message)
            if kind == "outboundAccountPosition":
                for balance in sequence(message["B"], "B"):
                    _not_negative(balance["f"], "f"), _not_negative(balance["l"], "l")
            elif kind == "balanceUpdate":
                number(message["d"], "d")
        except KeyError as error:
            raise Unreadable(f"{kind}: field {error.args[0]!r} is missing.") from error
        return []

    def _report(self, message: Message) -> list[Event]:
        scale = _scale(self._scales, message["s"])
        what, status = text(message, "x"), order_status(message["X"])
        at_ns = milliseconds(message, "T")
        # A cancel carries its own id in `c` and the order's in `C`.
        client_order_id = text(message, "C" if what == "CANCELED" and message.get("C") else "c")
        filled_lots = scale.lots(message["z"], "z")
        if filled_lots < 0 or filled_lots > scale.lots(message["q"], "q"):
            raise Unreadable(f"executionReport {client_order_id}: filled {message['z']} of {message['q']}.")
        if what == "NEW":
            return [OrderAccepted(client_order_id, identity(message["i"], "i"), at_ns)]
        if what == "TRADE":
            return self._execution(message, scale, client_order_id, status, filled_lots, at_ns)
        if what in {"CANCELED", "EXPIRED", "TRADE_PREVENTION"} and status in ENDED:
            return [OrderEnded(client_order_id, status, filled_lots, at_ns)]
        if what == "REJECTED":
            return [OrderRefused(client_order_id, text(message, "r"), "rejected by the venue", at_ns)]
        raise Unreadable(f"executionReport x, X: {what[:40]!r}, {status} is not known to us.")

    def _execution(
        self, message: Message, scale: Scale, client_order_id: str, status: OrderStatus, filled_lots: int, at_ns: int
    ) -> list[Event]:
        fill = Fill(
            trade_id=whole(message["t"], "t"),
            client_order_id=client_order_id,
            venue_order_id=identity(message["i"], "i"),
            symbol=scale.instrument.symbol,
            side=side(message["S"]),
            price_ticks=_positive(scale.ticks(message["L"], "L"), "L"),
            quantity_lots=_positive(scale.lots(message["l"], "l"), "l"),
            fee=_not_negative(message["n"], "n"),
            fee_asset="" if message["N"] is None else text(message, "N"),
            maker=truth(message["m"], "m"),
            at_ns=at_ns,
        )
        if fill.quantity_lots > filled_lots:
            raise Unreadable(f"executionReport {client_order_id}: fill {message['l']} above the sum {message['z']}.")
        events: list[Event] = [OrderFilled(fill)]
        if status in ENDED:
            events.append(OrderEnded(client_order_id, status, filled_lots, at_ns))
        return events


# --- replies ------------------------------------------------------------------------------------------------


def restrictions(body: object) -> Restrictions:
    """Return what the venue says the asking key may do.

    Raises:
        Unreadable: a field is missing or no truth value: then nothing is known of the key.
    """
    found = mapping(body, "apiRestrictions")
    try:
        return Restrictions(
            is_address_restricted=truth(found["ipRestrict"], "ipRestrict"),
            may_read=truth(found["enableReading"], "enableReading"),
            may_trade_spot=truth(found["enableSpotAndMarginTrading"], "enableSpotAndMarginTrading"),
            may_withdraw=truth(found["enableWithdrawals"], "enableWithdrawals"),
            may_transfer_internally=truth(found["enableInternalTransfer"], "enableInternalTransfer"),
            may_transfer_universally=truth(found["permitsUniversalTransfer"], "permitsUniversalTransfer"),
            may_trade_margin=truth(found["enableMargin"], "enableMargin"),
            may_trade_futures=truth(found["enableFutures"], "enableFutures"),
            may_trade_options=truth(found["enableVanillaOptions"], "enableVanillaOptions"),
        )
    except KeyError as error:
        raise Unreadable(f"apiRestrictions: field {error.args[0]!r} is missing.") from error


def acknowledgement(body: object, order: Order, scale: Scale) -> Acknowledgement:
    """Return the venue's answer to `order`.

    Raises:
        Unreadable: it is not about this order, or not what the venue documents: its fate is not known.
    """
    reply = mapping(body, "order reply")
    try:
        if reply["symbol"] != order.symbol or reply["clientOrderId"] != order.client_order_id:
            raise Unreadable(
                f"order reply is about {_shown(reply['symbol'])} {_shown(reply['clientOrderId'])}, "
                f"not {order.symbol} {order.client_order_id}."
            )
        at_ns = milliseconds(reply, "transactTime")
        known = _order(reply, scale, order.client_order_id, ours=True)
        rows = sequence(reply["fills"], "fills")
        fills = tuple(_immediate_fill(row, known, order, scale, at_ns) for row in rows)
    except KeyError as error:
        raise Unreadable(f"order reply: field {error.args[0]!r} is missing.") from error
    if sum(fill.quantity_lots for fill in fills) != known.filled_lots or known.filled_lots > order.quantity_lots:
        raise Unreadable(
            f"order reply {order.client_order_id}: executedQty {reply['executedQty']} contradicts its fills."
        )
    return Acknowledgement(known, fills, at_ns)


def _immediate_fill(row: Message, known: VenueOrder, order: Order, scale: Scale, at_ns: int) -> Fill:
    return Fill(
        trade_id=whole(row["tradeId"], "tradeId"),
        client_order_id=known.client_order_id,
        venue_order_id=known.venue_order_id,
        symbol=known.symbol,
        side=order.side,
        price_ticks=_positive(scale.ticks(row["price"], "price"), "price"),
        quantity_lots=_positive(scale.lots(row["qty"], "qty"), "qty"),
        fee=_not_negative(row["commission"], "commission"),
        fee_asset=text(row, "commissionAsset"),
        maker=False,  # what fills within the reply took liquidity
        at_ns=at_ns,
    )


@dataclass(frozen=True, slots=True)
class OrderReader:
    """Reads the venue's description of one order; `prefix` tells ours from others'."""

    scales: Mapping[str, Scale]
    prefix: str

    def read(self, body: object) -> VenueOrder:
        """Return the order in `body`.

        Raises:
            UnknownSymbol: an instrument we do not trade.
            Unreadable: a field is missing or defective.
        """
        reply = mapping(body, "order")
        try:
            client_order_id = text(reply, "origClientOrderId" if reply.get("origClientOrderId") else "clientOrderId")
            ours = client_order_id.startswith(self.prefix)
            return _order(reply, _scale(self.scales, reply["symbol"]), client_order_id, ours=ours)
        except KeyError as error:
            raise Unreadable(f"order: field {error.args[0]!r} is missing.") from error


def canceled(body: object) -> list[Message]:
    """Return every order in the reply to a cancel of all; an order list (OCO) carries its orders as reports.

    Raises:
        Unreadable: no list of orders.
    """
    rows: list[Message] = []
    for row in sequence(body, "cancel-all reply"):
        rows += sequence(row["orderReports"], "order list") if "orderReports" in row else [row]
    return rows


def _order(reply: Message, scale: Scale, client_order_id: str, *, ours: bool) -> VenueOrder:
    filled_lots = scale.lots(reply["executedQty"], "executedQty")
    if filled_lots < 0:
        raise Unreadable(f"order {client_order_id}: executedQty {reply['executedQty']} is negative.")
    known = VenueOrder(
        client_order_id=client_order_id,
        venue_order_id=identity(reply["orderId"], "orderId"),
        symbol=scale.instrument.symbol,
        status=order_status(reply["status"]),
        filled_lots=filled_lots,
        ours=ours,
    )
    return known if ours else _foreign(known, reply, scale)


def _foreign(order: VenueOrder, reply: Message, scale: Scale) -> VenueOrder:
    """Say what an order that is not ours may still do to the account."""
    price_ticks = scale.ticks(reply["price"], "price")
    return replace(
        order,
        side=side(reply["side"]),
        quantity_lots=_positive(scale.lots(reply["origQty"], "origQty"), "origQty"),
        price_ticks=_positive(price_ticks, "price") if price_ticks else None,  # MARKET orders carry a price of zero
    )


def execution(row: object, client_order_id: str, scale: Scale) -> Fill:
    """Return one row of the venue's trade list; the list names orders by the venue's id only.

    Raises:
        Unreadable: a field is missing or defective.
    """
    fields = mapping(row, "myTrades")
    try:
        return Fill(
            trade_id=whole(fields["id"], "id"),
            client_order_id=client_order_id,
            venue_order_id=identity(fields["orderId"], "orderId"),
            symbol=scale.instrument.symbol,
            side=Side.BUY if truth(fields["isBuyer"], "isBuyer") else Side.SELL,
            price_ticks=_positive(scale.ticks(fields["price"], "price"), "price"),
            quantity_lots=_positive(scale.lots(fields["qty"], "qty"), "qty"),
            fee=_not_negative(fields["commission"], "commission"),
            fee_asset=text(fields, "commissionAsset"),
            maker=truth(fields["isMaker"], "isMaker"),
            at_ns=milliseconds(fields, "time"),
        )
    except KeyError as error:
        raise Unreadable(f"myTrades: field {error.args[0]!r} is missing.") from error


def balances(body: object) -> dict[str, Decimal]:
    """Return asset -> free + locked of an account reply.

    Raises:
        Unreadable: a field is missing or defective, or a balance is negative.
    """
    try:
        rows = sequence(mapping(body, "account")["balances"], "balances")
        return {
            text(row, "asset"): _not_negative(row["free"], "free") + _not_negative(row["locked"], "locked")
            for row in rows
        }
    except KeyError as error:
        raise Unreadable(f"account: field {error.args[0]!r} is missing.") from error


def instrument(row: object) -> Instrument:
    """Return one entry of `exchangeInfo`.

    Raises:
        Unreadable: a filter we need is missing or defective.
    """
    entry = mapping(row, "exchangeInfo")
    try:
        filters = {text(f, "filterType"): f for f in sequence(entry["filters"], "filters")}
        notional = filters.get("NOTIONAL") or filters["MIN_NOTIONAL"]
        lot = filters["LOT_SIZE"]
        market_lot = filters.get("MARKET_LOT_SIZE", lot)
        result = Instrument(
            symbol=text(entry, "symbol"),
            base=text(entry, "baseAsset"),
            quote=text(entry, "quoteAsset"),
            tick_size=_step(filters["PRICE_FILTER"]["tickSize"], "tickSize"),
            lot_size=_step(lot["stepSize"], "stepSize"),
            min_notional=_not_negative(notional["minNotional"], "minNotional"),
            min_quantity=_not_negative(lot["minQty"], "minQty"),
            max_quantity=_not_negative(lot["maxQty"], "maxQty"),
            market_max_quantity=_not_negative(market_lot["maxQty"], "maxQty"),
            trading=entry["status"] == "TRADING",
        )
    except KeyError as error:
        raise Unreadable(f"exchangeInfo: filter or field {error.args[0]!r} is missing.") from error
    return result


# --- fields -------------------------------------------------------------------------------------------------


def mapping(value: object, what: str) -> Message:
    """Return `value`, which must be a JSON object.

    Raises:
        Unreadable: it is not.
    """
    if not isinstance(value, dict):
        raise Unreadable(f"{what}: expected an object, got {_shown(value)}.")
    return value


def sequence(value: object, what: str) -> Sequence[Message]:
    """Return `value`, which must be a JSON list of objects.

    Raises:
        Unreadable: it is not.
    """
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise Unreadable(f"{what}: expected a list of objects, got {_shown(value)}.")
    return value


def text(message: Message, field: str) -> str:
    """Return a field that must hold text.

    Raises:
        Unreadable: it is missing, empty, something else, or nothing a database could store.
    """
    value = message.get(field)
    # Plain ASCII is what venues send and passes at once; the rest is looked at closer.
    if not isinstance(value, str) or not value or not (value.isascii() or _encodes(value)) or "\x00" in value:
        raise Unreadable(f"{field}: expected text, got {_shown(value)}.")
    return value


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def whole(value: object, field: str) -> int:
    """Return a number that must be whole, not negative and below 2**63.

    Raises:
        Unreadable: it is not.
    """
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise Unreadable(f"{field}: expected a whole number, got {_shown(value)}.")
    return value


def identity(value: object, field: str) -> str:
    """Return the venue's id of an order as text.

    Raises:
        Unreadable: no whole number.
    """
    return str(whole(value, field))


def truth(value: object, field: str) -> bool:
    """Return a field that must be true or false.

    Raises:
        Unreadable: it is something else.
    """
    if not isinstance(value, bool):
        raise Unreadable(f"{field}: expected true or false, got {_shown(value)}.")
    return value


def order_status(value: object) -> OrderStatus:
    """Return our word for the venue's order status.

    Raises:
        Unreadable: a word we do not know.
    """
    try:
        return ORDER_STATUS[value]  # type: ignore[index]  # any value may come over the wire
    except (KeyError, TypeError) as error:
        raise Unreadable(f"order status {_shown(value)} is not known to us.") from error


def side(value: object) -> Side:
    """Return the side of an order.

    Raises:
        Unreadable: neither BUY nor SELL.
    """
    if value not in (Side.BUY, Side.SELL):
        raise Unreadable(f"side {_shown(value)} is neither BUY nor SELL.")
    return Side(str(value))


def _scale(scales: Mapping[str, Scale], symbol: object) -> Scale:
    try:
        return scales[symbol]  # type: ignore[index]  # any value may come over the wire
    except (KeyError, TypeError) as error:
        raise UnknownSymbol(f"symbol {_shown(symbol)} is not one we trade.") from error


def _positive(count: int, field: str) -> int:
    if count <= 0:
        raise Unreadable(f"{field}: {count} is not positive.")
    return count


def _not_negative(value: object, field: str) -> Decimal:
    result = number(value, field)
    if result < 0:
        raise Unreadable(f"{field}: {value} is negative.")
    return result


def _step(value: object, field: str) -> Decimal:
    result = number(value, field).normalize()
    if result <= 0:
        raise Unreadable(f"{field}: {value} is not a positive step.")
    return result


def _measure(message: Message, field: str) -> float:
    """Return a finite number that is shown and never reckoned with."""
    value = message[field]
    if type(value) not in {int, float} or not abs(value) <= LARGEST:  # NaN compares with nothing
        raise Unreadable(f"{field}: expected a number, got {_shown(value)}.")
    return float(value)


def _shown(value: object) -> str:
    """Return the beginning of any value, fit for a log; hostile ones are long, or cannot be written at all."""
    try:
        return ascii(value)[:80]
    except (ValueError, RecursionError):  # a number of thousands of digits, nesting without end
        return type(value).__name__

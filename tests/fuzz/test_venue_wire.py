"""Whatever a venue sends, it is a sound fact or refused with the documented error."""

import json
from dataclasses import asdict
from decimal import Decimal
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.hostile import VALUES, damaged, documents, many, promptly, refused, wire
from trading.adapters import binance_wire
from trading.adapters.binance_ccxt import LONGEST_WAIT_MS, SHORTEST_WAIT_MS, Binance, Reply, outcome
from trading.adapters.binance_wire import AccountDecoder, MarketDecoder, OrderReader, Scale, Unreadable
from trading.adapters.clock_system import SystemClock
from trading.adapters.feed_ccxt import BinanceFeed, _Reader
from trading.adapters.mailbox import Mailbox
from trading.adapters.venue_ccxt import _AccountReader
from trading.domain.events import OrderEnded, OrderFilled
from trading.domain.instruments import Instrument
from trading.domain.market import BookTop, Defect, MarketState, Trade
from trading.domain.orders import Fill, Order, OrderType, Purpose, Side
from trading.ports import FateUnknown, Throttled, VenueError

NOW = 1_700_000_000_000_000_000
BTC = Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5))
SCALE = Scale(BTC)
SCALES = {"BTCUSDT": SCALE}
ORDER = Order("gc-micro-1-1", "BTCUSDT", Side.BUY, OrderType.MARKET, 200, None, None, Purpose.GRID, NOW, 6123456)

TRADE = {
    "e": "trade", "E": 1700000000000, "s": "BTCUSDT", "t": 12, "p": "61234.56000000", "q": "0.00125000",
    "T": 1700000000001, "m": True, "M": True,
}  # fmt: skip
TICKER = {
    "u": 400900217, "s": "BTCUSDT", "b": "61234.55000000", "B": "1.00000000", "a": "61234.56000000", "A": "0.00001000",
}  # fmt: skip
SEAM = {"e": "replaySeam", "E": 1700000000000, "lap": 3, "prices": {"BTCUSDT": "61234.55", "XRPUSDT": "0.5"}}
REPORT = {
    "e": "executionReport", "E": 1700000000002, "s": "BTCUSDT", "c": "gc-micro-1-1", "S": "BUY", "o": "LIMIT_MAKER",
    "f": "GTC", "q": "0.00200000", "p": "61234.50000000", "C": "", "x": "TRADE", "X": "PARTIALLY_FILLED", "r": "NONE",
    "i": 77, "l": "0.00100000", "z": "0.00100000", "L": "61234.50000000", "n": "0.01224690", "N": "USDT",
    "T": 1700000000003, "t": 9, "m": True, "Z": "61.23450000",
}  # fmt: skip
CANCELED = {**REPORT, "x": "CANCELED", "X": "CANCELED", "c": "web_1", "C": "gc-micro-1-1", "l": "0.00000000", "t": -1}
REJECTED = {**REPORT, "x": "REJECTED", "X": "REJECTED", "r": "INSUFFICIENT_BALANCE", "z": "0.00000000"}
POSITION = {"e": "outboundAccountPosition", "E": 1, "u": 1, "B": [{"a": "USDT", "f": "1.0", "l": "0.0"}]}
BALANCE = {"e": "balanceUpdate", "E": 1, "a": "BTC", "d": "-0.00100000", "T": 1}
REPLY = {
    "symbol": "BTCUSDT", "orderId": 28, "orderListId": -1, "clientOrderId": "gc-micro-1-1",
    "transactTime": 1700000000005, "price": "0.00000000", "origQty": "0.00200000", "executedQty": "0.00200000",
    "status": "FILLED", "type": "MARKET", "side": "BUY",
    "fills": [
        {"price": "61234.56000000", "qty": "0.00150000", "commission": "0.03", "commissionAsset": "USDT", "tradeId": 5},
        {"price": "61234.57000000", "qty": "0.00050000", "commission": "0.01", "commissionAsset": "USDT", "tradeId": 6},
    ],
}  # fmt: skip
FOREIGN = {**REPLY, "clientOrderId": "web_1", "status": "NEW", "price": "60000.00000000", "executedQty": "0.00000000"}
EXECUTION = {
    "symbol": "BTCUSDT", "id": 28457, "orderId": 100234, "price": "61234.56000000", "qty": "0.00100000",
    "commission": "0.02", "commissionAsset": "USDT", "time": 1499865549590, "isBuyer": True, "isMaker": False,
}  # fmt: skip
ACCOUNT = {
    "balances": [{"asset": "BTC", "free": "1.0", "locked": "0.5"}, {"asset": "USDT", "free": "9", "locked": "0"}]
}
LISTED = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "94.2", "stepSize": "0.00000000"},
        {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
    ],
}  # fmt: skip
PERMISSIONS = dict.fromkeys(
    (
        "ipRestrict", "enableReading", "enableWithdrawals", "enableInternalTransfer", "enableMargin", "enableFutures",
        "permitsUniversalTransfer", "enableVanillaOptions", "enableSpotAndMarginTrading",
    ),
    True,
)  # fmt: skip
STATUS = {
    "lap": 2, "speed": 10, "effective_speed": 9.9, "dataset": "ticks", "label": "ticks", "progress": 0.4,
    "state": "TRADING", "seams": [{"lap": 2, "prices": {"BTCUSDT": "61602.01"}, "at_ms": 1700000000000}],
}  # fmt: skip
OCO = [REPLY, {"contingencyType": "OCO", "orderReports": [FOREIGN, FOREIGN]}]


# --- streams --------------------------------------------------------------------------------------------------


@many
@given(documents(TRADE, TICKER, SEAM))
def test_a_market_message_is_a_whole_fact_or_unreadable(message: Any) -> None:
    decoder = MarketDecoder({"BTCUSDT": BTC})

    fact = refused(lambda: decoder.decode(message, NOW), Unreadable)

    if isinstance(fact, (BookTop, Trade)):
        _assert_only_positive_prices_reach_a_decision(fact)
    elif fact is not None:
        assert fact.lap >= 0
        assert all(ticks > 0 for ticks in fact.prices.values())


def _assert_only_positive_prices_reach_a_decision(fact: BookTop | Trade) -> None:
    defect = MarketState("BTCUSDT").accept(fact, NOW)
    if isinstance(fact, BookTop):
        assert defect or (0 < fact.bid_ticks < fact.ask_ticks and fact.bid_lots >= 0 and fact.ask_lots >= 0)
    else:
        assert defect is Defect.NOT_POSITIVE or defect is Defect.FUTURE or (fact.price_ticks > 0 <= fact.quantity_lots)


@many
@given(documents(REPORT, CANCELED, REJECTED, POSITION, BALANCE))
def test_an_account_message_is_a_sound_event_or_unreadable(message: Any) -> None:
    decoder = AccountDecoder({"BTCUSDT": BTC})

    for event in refused(lambda: decoder.decode(message), Unreadable) or []:
        assert isinstance(getattr(event, "client_order_id", ""), str)
        if isinstance(event, OrderFilled):
            _assert_sound_fill(event.fill)
        if isinstance(event, OrderEnded):
            assert event.filled_lots >= 0


def _assert_sound_fill(fill: Fill) -> None:
    assert fill.price_ticks > 0
    assert fill.quantity_lots > 0
    assert fill.fee >= 0
    assert fill.trade_id >= 0
    assert fill.at_ns > 0
    assert type(fill.maker) is bool
    assert all(isinstance(word, str) for word in (fill.client_order_id, fill.venue_order_id, fill.fee_asset))


RAW = st.one_of(
    documents(TRADE, TICKER, SEAM, {"stream": "btcusdt@trade", "data": TRADE}, {"id": 1, "result": None}).map(wire),
    damaged(json.dumps(TRADE).encode()),
    damaged(json.dumps(REPORT).encode()),
    documents({"subscriptionId": 0, "event": REPORT}, {"event": CANCELED}, {"event": {"e": "serverShutdown"}}).map(
        wire
    ),
)


class Silent:
    """A connection of which only the reader matters."""

    url = "ws://127.0.0.1/stream"

    def reject(self, *arguments: object) -> None:
        """Take a refusal, as ccxt's connection does."""


@pytest.fixture(scope="module")
def exchange() -> Binance:
    return Binance("http://127.0.0.1:1", key="k", secret="s")


@pytest.fixture(scope="module")
def feed() -> BinanceFeed:
    return BinanceFeed("http://127.0.0.1:1", clock=SystemClock(), instruments={"BTCUSDT": BTC})


@many
@given(data=RAW)
def test_whatever_comes_over_the_market_socket_is_read_counted_or_ends_the_feed(
    exchange: Binance, feed: BinanceFeed, data: bytes
) -> None:
    mailbox: Mailbox[Any] = Mailbox(limit=10)
    exchange.on_message = _Reader(feed, MarketDecoder({"BTCUSDT": BTC}), mailbox, SystemClock()).read

    with promptly():
        _receive(exchange, data)


@many
@given(data=RAW)
def test_whatever_comes_over_the_account_socket_is_read_or_ends_the_stream(exchange: Binance, data: bytes) -> None:
    exchange.on_message = _AccountReader(AccountDecoder({"BTCUSDT": BTC}), Mailbox(limit=10)).read

    with promptly():
        _receive(exchange, data)


def _receive(exchange: Binance, data: bytes) -> None:
    """Do what ccxt does with a message that is no answer to a request of ours."""
    if not data.lstrip().startswith(b"{") or b'"id"' not in data:
        exchange._read(Silent(), data)


# --- replies --------------------------------------------------------------------------------------------------


@many
@given(documents(REPLY))
def test_a_reply_to_an_order_is_about_it_or_unreadable(body: Any) -> None:
    answer = refused(lambda: binance_wire.acknowledgement(body, ORDER, SCALE), Unreadable)

    if answer is not None:
        assert answer.order.client_order_id == ORDER.client_order_id
        assert 0 <= answer.order.filled_lots <= ORDER.quantity_lots
        assert sum(fill.quantity_lots for fill in answer.fills) == answer.order.filled_lots
        for fill in answer.fills:
            _assert_sound_fill(fill)


@many
@given(documents(REPLY, FOREIGN))
def test_an_order_of_the_venue_is_sound_or_unreadable(body: Any) -> None:
    order = refused(lambda: OrderReader(SCALES, "gc-micro-").read(body), Unreadable)

    if order is not None:
        assert isinstance(order.client_order_id, str)
        assert order.filled_lots >= 0
        assert order.ours or (order.quantity_lots > 0 and (order.price_ticks is None or order.price_ticks > 0))


@many
@given(documents(OCO))
def test_a_cancel_of_all_names_orders_or_is_unreadable(body: Any) -> None:
    read = OrderReader(SCALES, "gc-micro-").read

    orders = refused(lambda: [read(row) for row in binance_wire.canceled(body)], Unreadable)

    assert all(order.venue_order_id.isdigit() for order in orders or [])


@many
@given(documents(EXECUTION))
def test_a_row_of_the_trade_list_is_a_sound_fill_or_unreadable(body: Any) -> None:
    fill = refused(lambda: binance_wire.execution(body, "gc-micro-1-1", SCALE), Unreadable)

    if fill is not None:
        _assert_sound_fill(fill)


@many
@given(documents(ACCOUNT))
def test_balances_are_never_negative(body: Any) -> None:
    found = refused(lambda: binance_wire.balances(body), Unreadable)

    assert all(asset and amount >= 0 for asset, amount in (found or {}).items())


@many
@given(documents(LISTED))
def test_an_instrument_has_steps_or_is_unreadable(body: Any) -> None:
    found = refused(lambda: binance_wire.instrument(body), Unreadable)

    if found is not None:
        assert found.tick_size > 0
        assert found.lot_size > 0
        assert min(found.min_notional, found.min_quantity, found.max_quantity, found.market_max_quantity) >= 0


@many
@given(documents(PERMISSIONS))
def test_what_a_key_may_do_is_said_in_full_or_unreadable(body: Any) -> None:
    found = refused(lambda: binance_wire.restrictions(body), Unreadable)

    if found is not None:
        assert {type(value) for value in asdict(found).values()} == {bool}


@many
@given(documents(STATUS))
def test_the_state_of_a_replay_is_sound_or_unreadable(body: Any) -> None:
    refused(lambda: binance_wire.replay_status(body, SCALES), Unreadable)


@many
@given(VALUES)
def test_a_price_is_whole_ticks_or_unreadable(value: Any) -> None:
    ticks = refused(lambda: SCALE.ticks(value, "p"), Unreadable)

    assert ticks is None or ticks * BTC.tick_size == Decimal(str(value))


# --- failures -------------------------------------------------------------------------------------------------

HEADERS = st.one_of(
    st.none(),
    VALUES.filter(lambda value: isinstance(value, str)),
    st.text(max_size=40),
    st.builds(
        lambda s: formatdate(s, usegmt=True), st.integers(-(10**9), 10**11).filter(lambda s: s < 253_402_300_799)
    ),
    st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} \d{1,3}:\d{1,3}:\d{1,3} ([A-Z]{3}|[+-]\d{1,6})?"),
)
MESSAGES = st.text(max_size=40) | st.builds("IP banned until {}.".format, st.integers(0, 10**14))


@many
@given(st.integers(100, 999), st.none() | st.integers(-10_000, 10), MESSAGES, HEADERS)
def test_every_failure_is_judged_and_every_wait_is_bounded(
    status: int, code: int | None, message: str, retry_after: str | None
) -> None:
    reply = Reply(status=status, code=code, message=message, retry_after=retry_after)

    with promptly():
        judged = outcome(reply, now_ms=1_700_000_000_000)

    assert isinstance(judged, VenueError)
    if isinstance(judged, Throttled):
        assert SHORTEST_WAIT_MS <= judged.retry_after_ms <= LONGEST_WAIT_MS
    if status >= 500:
        assert isinstance(judged, FateUnknown)


@many
@given(st.integers(200, 599), st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=3), VALUES)
def test_every_body_of_a_reply_is_a_success_or_a_failure(
    exchange: Binance, status: int, headers: dict[str, str], body: Any
) -> None:
    weights = {**headers, "X-MBX-USED-WEIGHT-1M": str(body)[:50] if not isinstance(body, int) else "7"}

    with promptly():
        refusal = _refusal(exchange, status, weights, body)

    assert refusal.status == status if refusal else 200 <= status < 300


def _refusal(exchange: Binance, status: int, headers: dict[str, str], body: Any) -> Reply | None:
    try:
        exchange.handle_errors(status, "r", "u", "POST", headers, "text", body, {}, "")
    except Reply as reply:
        return reply
    return None

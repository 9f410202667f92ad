"""Binance's messages: what is right becomes exact integers, what is not is named and refused."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.adapters import binance_wire as wire
from trading.adapters.binance_wire import AccountDecoder, MarketDecoder, Scale, UnknownSymbol, Unreadable
from trading.domain.events import OrderAccepted, OrderEnded, OrderFilled, OrderRefused, SeamReached
from trading.domain.instruments import Instrument
from trading.domain.market import BookTop, Trade
from trading.domain.orders import Order, OrderStatus, OrderType, Purpose, Side

BTC = Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5))
NOW = 1_700_000_000_000_000_000
TRADE = {
    "e": "trade", "E": 1700000000000, "s": "BTCUSDT", "t": 12, "p": "61234.56000000", "q": "0.00125000",
    "T": 1700000000001, "m": True, "M": True,
}  # fmt: skip
TICKER = {
    "u": 400900217, "s": "BTCUSDT", "b": "61234.55000000", "B": "1.00000000", "a": "61234.56000000", "A": "0.00001000",
}  # fmt: skip
REPORT = {
    "e": "executionReport", "E": 1700000000002, "s": "BTCUSDT", "c": "gc-micro-1-1", "S": "BUY", "o": "LIMIT_MAKER",
    "f": "GTC", "q": "0.00200000", "p": "61234.50000000", "C": "", "x": "TRADE", "X": "PARTIALLY_FILLED", "r": "NONE",
    "i": 77, "l": "0.00100000", "z": "0.00100000", "L": "61234.50000000", "n": "0.01224690", "N": "USDT",
    "T": 1700000000003, "t": 9, "m": True, "Z": "61.23450000",
}  # fmt: skip

BAD_NUMBERS: list[object] = [
    "NaN", "Infinity", "-Infinity", "1e5", "1E-2", "1_000.00000000", " 5.00000000", "5.00000000 ", "1,5", "0x10", "",
    "\uff11\uff12.00000000", "\u0661\u0662.00000000", ".", "--1", "1.2.3", None, True, 5.0, [], {}, "9" * 5_000,
    "9" * 12 + ".00000001" * 3,
]  # fmt: skip


@pytest.fixture
def market() -> MarketDecoder:
    return MarketDecoder({"BTCUSDT": BTC})


@pytest.fixture
def account() -> AccountDecoder:
    return AccountDecoder({"BTCUSDT": BTC})


# --- numbers ------------------------------------------------------------------------------------------------


@given(ticks=st.integers(0, 10**11))
def test_every_price_on_the_tick_comes_back_exactly(ticks: int) -> None:
    text = f"{BTC.price(ticks):.8f}"

    assert Scale(BTC).ticks(text, "p") == ticks


@given(lots=st.integers(0, 10**12), places=st.integers(5, 8))
def test_the_usual_and_the_unusual_way_agree(lots: int, places: int) -> None:
    quantity = BTC.quantity(lots)

    assert Scale(BTC).lots(f"{quantity:.{places}f}", "q") == lots


@pytest.mark.parametrize("text", ["61234.56100000", "0.00000001", "61234.561"])
def test_a_price_between_two_ticks_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match=r"multiple of 0\.01"):
        Scale(BTC).ticks(text, "p")


@pytest.mark.parametrize("value", BAD_NUMBERS, ids=lambda v: repr(v)[:20])
def test_what_is_no_plain_decimal_is_refused(value: object) -> None:
    with pytest.raises(Unreadable):
        Scale(BTC).ticks(value, "p")


def test_a_step_finer_than_the_wire_is_read_the_slow_way() -> None:
    fine = Instrument("X", "X", "USDT", Decimal("0.000000001"), Decimal("0.1"), Decimal(5))

    assert Scale(fine).ticks("0.000000003", "p") == 3


# --- market data --------------------------------------------------------------------------------------------


def test_a_trade_is_read(market: MarketDecoder) -> None:
    assert market.decode(TRADE, NOW) == Trade("BTCUSDT", 6123456, 125, True, 12, 1700000000001 * 10**6, NOW)


def test_a_book_ticker_has_no_venue_time(market: MarketDecoder) -> None:
    assert market.decode(TICKER, NOW) == BookTop("BTCUSDT", 6123455, 100_000, 6123456, 1, 400900217, 0, NOW)


def test_a_seam_of_the_replay_is_read(market: MarketDecoder) -> None:
    message = {"e": "replaySeam", "E": 1700000000000, "lap": 3, "prices": {"BTCUSDT": "61234.55", "XRPUSDT": "0.5"}}

    assert market.decode(message, NOW) == SeamReached(3, {"BTCUSDT": 6123455}, 1700000000000 * 10**6)


@pytest.mark.parametrize("message", [{"e": "kline"}, {"result": None}, {"e": "replayStatus", "lap": 1}, {}])
def test_other_messages_are_none_of_ours(market: MarketDecoder, message: dict[str, Any]) -> None:
    assert market.decode(message, NOW) is None


@pytest.mark.parametrize("message", [TRADE, TICKER], ids=["trade", "bookTicker"])
def test_another_symbol_is_unknown(market: MarketDecoder, message: dict[str, Any]) -> None:
    symbols: list[object] = ["DOGEUSDT", "", None, 5, [], "btcusdt"]
    for symbol in symbols:
        with pytest.raises(UnknownSymbol):
            market.decode({**message, "s": symbol}, NOW)


@pytest.mark.parametrize(("message", "fields"), [(TRADE, "stpqTm"), (TICKER, "sbBaA")], ids=["trade", "bookTicker"])
def test_a_missing_or_defective_field_is_refused(market: MarketDecoder, message: dict[str, Any], fields: str) -> None:
    defects: list[object] = [None, [], {}, "NaN", "1e999999", -1.5]
    for field in fields:
        without = {key: value for key, value in message.items() if key != field}
        with pytest.raises(Unreadable):
            market.decode(without, NOW)
        for value in defects:
            with pytest.raises(Unreadable):
                market.decode({**message, field: value}, NOW)


@pytest.mark.parametrize("time", [0, -1, 1700000000000000, "1700000000000", 1.7e12, True])
def test_a_time_that_is_not_in_milliseconds_is_refused(market: MarketDecoder, time: object) -> None:
    with pytest.raises(Unreadable, match="milliseconds"):
        market.decode({**TRADE, "T": time}, NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(changes=st.dictionaries(st.sampled_from(sorted({*TRADE, *TICKER})), JSON, min_size=1, max_size=4))
def test_no_market_message_breaks_the_decoder(changes: dict[str, Any]) -> None:
    for message in (TRADE, TICKER):
        try:
            MarketDecoder({"BTCUSDT": BTC}).decode({**message, **changes}, NOW)
        except Unreadable:
            continue


# --- account events -----------------------------------------------------------------------------------------


def test_an_execution_becomes_a_fill(account: AccountDecoder) -> None:
    (event,) = account.decode(REPORT)

    assert isinstance(event, OrderFilled)
    fill = event.fill
    assert (fill.trade_id, fill.client_order_id, fill.venue_order_id) == (9, "gc-micro-1-1", "77")
    assert (fill.side, fill.price_ticks, fill.quantity_lots, fill.maker) == (Side.BUY, 6123450, 100, True)
    assert (fill.fee, fill.fee_asset, fill.at_ns) == (Decimal("0.01224690"), "USDT", 1700000000003 * 10**6)


def test_a_new_order_is_accepted(account: AccountDecoder) -> None:
    report = {**REPORT, "x": "NEW", "X": "NEW", "l": "0.00000000", "z": "0.00000000", "t": -1, "N": None, "n": "0"}

    assert account.decode(report) == [OrderAccepted("gc-micro-1-1", "77", 1700000000003 * 10**6)]


def test_a_cancel_names_the_order_and_not_the_cancel(account: AccountDecoder) -> None:
    report = {**REPORT, "x": "CANCELED", "X": "CANCELED", "c": "web_1", "C": "gc-micro-1-1"}

    assert account.decode(report) == [OrderEnded("gc-micro-1-1", OrderStatus.CANCELED, 100, 1700000000003 * 10**6)]


@pytest.mark.parametrize("status", ["EXPIRED", "EXPIRED_IN_MATCH"])
def test_an_expired_order_ends_with_what_it_filled(account: AccountDecoder, status: str) -> None:
    (event,) = account.decode({**REPORT, "x": "EXPIRED", "X": status})

    assert event == OrderEnded("gc-micro-1-1", OrderStatus.EXPIRED, 100, 1700000000003 * 10**6)


def test_a_rejection_is_definitive(account: AccountDecoder) -> None:
    (event,) = account.decode({**REPORT, "x": "REJECTED", "X": "REJECTED", "r": "INSUFFICIENT_BALANCE"})

    assert isinstance(event, OrderRefused)
    assert event.code == "INSUFFICIENT_BALANCE"


def test_an_order_of_somebody_else_is_passed_on_under_its_own_name(account: AccountDecoder) -> None:
    (event,) = account.decode({**REPORT, "c": "android_1234"})

    assert isinstance(event, OrderFilled)
    assert event.fill.client_order_id == "android_1234"


@pytest.mark.parametrize(
    "change",
    [
        {"l": "-0.00100000"}, {"l": "0.00000000"}, {"z": "0.00300000"}, {"z": "-0.00100000"}, {"z": "0.00050000"},
        {"L": "0.00000000"}, {"L": "-5.00000000"}, {"n": "-0.01000000"}, {"n": "NaN"}, {"t": -1}, {"t": "9"},
        {"i": None},
        {"X": "FROZEN"}, {"x": "MOVED", "X": "NEW"}, {"S": "HOLD"}, {"m": "true"}, {"T": 0}, {"c": ""}, {"c": None},
        {"q": "1e999999"},
    ],
    ids=str,
)  # fmt: skip
def test_a_report_that_contradicts_itself_or_says_something_new_is_refused(
    account: AccountDecoder, change: dict[str, Any]
) -> None:
    with pytest.raises(Unreadable):
        account.decode({**REPORT, **change})


@pytest.mark.parametrize("field", ["s", "x", "X", "i", "l", "z", "L", "n", "N", "T", "t", "m", "S", "c", "q"])
def test_a_report_without_a_field_is_refused(account: AccountDecoder, field: str) -> None:
    with pytest.raises(Unreadable):
        account.decode({key: value for key, value in REPORT.items() if key != field})


@pytest.mark.parametrize(
    "message",
    [
        {"e": "outboundAccountPosition", "B": [{"a": "USDT", "f": "1.0", "l": "0.0"}]},
        {"e": "balanceUpdate", "a": "BTC", "d": "-0.00100000"},
        {"e": "listStatus"},
    ],
)
def test_balances_are_left_to_the_reconcile(account: AccountDecoder, message: dict[str, Any]) -> None:
    assert account.decode(message) == []


@pytest.mark.parametrize(
    "message",
    [
        {"e": "outboundAccountPosition"},
        {"e": "outboundAccountPosition", "B": 5},
        {"e": "outboundAccountPosition", "B": [{"a": "USDT", "f": "NaN", "l": "0.0"}]},
        {"e": "outboundAccountPosition", "B": [{"a": "USDT", "f": "-1.0", "l": "0.0"}]},
        {"e": "balanceUpdate", "d": "1e9"},
    ],
)
def test_a_balance_that_is_no_balance_is_refused(account: AccountDecoder, message: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        account.decode(message)


@given(changes=st.dictionaries(st.sampled_from(sorted(REPORT)), JSON, min_size=1, max_size=4))
def test_no_account_message_breaks_the_decoder(changes: dict[str, Any]) -> None:
    try:
        AccountDecoder({"BTCUSDT": BTC}).decode({**REPORT, **changes})
    except Unreadable:
        return


# --- replies ------------------------------------------------------------------------------------------------

ORDER = Order(
    "gc-micro-1-1", "BTCUSDT", Side.BUY, OrderType.MARKET, 200, None, None, Purpose.GRID, NOW, 6123456
)  # fmt: skip
REPLY = {
    "symbol": "BTCUSDT", "orderId": 28, "orderListId": -1, "clientOrderId": "gc-micro-1-1",
    "transactTime": 1700000000005, "price": "0.00000000", "origQty": "0.00200000", "executedQty": "0.00200000",
    "status": "FILLED", "type": "MARKET", "side": "BUY",
    "fills": [
        {"price": "61234.56000000", "qty": "0.00150000", "commission": "0.03", "commissionAsset": "USDT", "tradeId": 5},
        {"price": "61234.57000000", "qty": "0.00050000", "commission": "0.01", "commissionAsset": "USDT", "tradeId": 6},
    ],
}  # fmt: skip


def test_an_order_reply_is_read_with_its_fills() -> None:
    answer = wire.acknowledgement(REPLY, ORDER, Scale(BTC))

    assert (answer.order.venue_order_id, answer.order.status, answer.order.filled_lots) == (
        "28",
        OrderStatus.FILLED,
        200,
    )
    assert [(f.trade_id, f.price_ticks, f.quantity_lots) for f in answer.fills] == [(5, 6123456, 150), (6, 6123457, 50)]


@pytest.mark.parametrize(
    "body",
    [
        None, "", "<html>", [], 5, {},
        {key: value for key, value in REPLY.items() if key != "orderId"},
        {key: value for key, value in REPLY.items() if key != "fills"},
        {**REPLY, "clientOrderId": "x-TKT5PX2F123"}, {**REPLY, "symbol": "ETHUSDT"}, {**REPLY, "orderId": "28"},
        {**REPLY, "executedQty": "0.00300000"}, {**REPLY, "executedQty": "0.00100000"}, {**REPLY, "status": "WHAT"},
        {**REPLY, "fills": [None]}, {**REPLY, "fills": {}}, {**REPLY, "fills": 3}, {**REPLY, "transactTime": None},
    ],
    ids=lambda b: json.dumps(b)[:40],
)  # fmt: skip
def test_a_reply_that_is_not_about_our_order_leaves_its_fate_open(body: object) -> None:
    with pytest.raises(Unreadable):
        wire.acknowledgement(body, ORDER, Scale(BTC))


def test_orders_of_others_say_what_they_may_do() -> None:
    reader = wire.OrderReader(wire.scales({"BTCUSDT": BTC}), "gc-micro-")
    body = {**REPLY, "clientOrderId": "web_1", "status": "NEW", "price": "60000.00000000", "executedQty": "0.00000000"}

    order = reader.read(body)

    assert (order.ours, order.side, order.quantity_lots, order.price_ticks) == (False, Side.BUY, 200, 6_000_000)


def test_a_cancel_of_all_names_the_orders_of_an_order_list_too() -> None:
    one, two, three = ({"orderId": number} for number in (1, 2, 3))

    assert wire.canceled([one, {"contingencyType": "OCO", "orderReports": [two, three]}]) == [one, two, three]


@given(body=JSON)
def test_no_reply_breaks_a_reader(body: object) -> None:
    reader = wire.OrderReader(wire.scales({"BTCUSDT": BTC}), "gc-micro-")
    readers = (reader.read, wire.balances, wire.instrument, wire.canceled)
    for read in (*readers, lambda b: wire.execution(b, "x", Scale(BTC))):
        try:
            read(body)
        except Unreadable:
            continue


# --- what a key may do ------------------------------------------------------------------------------------------

# Source: Binance, "Get API Key Permission": the example of a key that reads, with its fields of today.
PERMISSIONS: dict[str, Any] = {
    "ipRestrict": False, "createTime": 1698645219000, "enableReading": True, "enableWithdrawals": False,
    "enableInternalTransfer": False, "enableMargin": False, "enableFutures": False, "permitsUniversalTransfer": False,
    "enableVanillaOptions": False, "enableFixApiTrade": False, "enableFixReadOnly": True,
    "enableSpotAndMarginTrading": False, "enablePortfolioMarginTrading": True,
}  # fmt: skip
JUDGED = sorted(set(PERMISSIONS) - {
    "createTime", "enableFixApiTrade", "enableFixReadOnly", "enablePortfolioMarginTrading",
})  # fmt: skip


def test_the_answer_about_a_key_is_read_word_for_word() -> None:
    found = wire.restrictions(PERMISSIONS)

    assert (found.is_address_restricted, found.may_read, found.may_trade_spot) == (False, True, False)


@pytest.mark.parametrize("field", JUDGED)
@pytest.mark.parametrize("value", [None, 0, 1, "true", "", [], {}])
def test_a_permission_that_is_no_truth_value_is_not_known(field: str, value: object) -> None:
    with pytest.raises(Unreadable, match=field):
        wire.restrictions({**PERMISSIONS, field: value})


@pytest.mark.parametrize("field", JUDGED)
def test_a_permission_that_is_not_named_is_not_known(field: str) -> None:
    with pytest.raises(Unreadable, match=f"apiRestrictions: field '{field}' is missing"):
        wire.restrictions({name: value for name, value in PERMISSIONS.items() if name != field})


@pytest.mark.parametrize("body", [None, [], "", 5, [PERMISSIONS]])
def test_an_answer_that_is_no_object_says_nothing_of_a_key(body: object) -> None:
    with pytest.raises(Unreadable):
        wire.restrictions(body)

import re
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trading.simulator.scene import CANCEL, READ, TRADE, Rest, now_ms, sign
from trading.simulator import access, errors
from trading.simulator.access import secret_of
from trading.simulator.server import RunningExchange, running_exchange

OK, BAD, UNAUTHORIZED = 200, 400, 401


# --- public ---------------------------------------------------------------------------------------------------


async def test_the_exchange_lists_dated_filters_and_what_trades(rest: Rest) -> None:
    status, info = await rest.raw("GET", "/api/v3/exchangeInfo")

    btc, ada = (next(s for s in info["symbols"] if s["symbol"] == name) for name in ("BTCUSDT", "ADAUSDT"))
    filters = {f["filterType"]: f for f in btc["filters"]}
    assert status == OK
    assert (btc["status"], ada["status"]) == ("TRADING", "BREAK")
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"] == {
        "filterType": "LOT_SIZE",
        "minQty": "0.00001000",
        "maxQty": "9000.00000000",
        "stepSize": "0.00001000",
    }
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    assert {limit["limit"] for limit in info["rateLimits"]} == {6_000, 100, 200_000}


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/api/v3/ping", "", {}),
        ("/api/v3/time", "", {"serverTime": 1_723_161_254_000}),
        (
            "/api/v3/depth",
            "symbol=BTCUSDT",
            {
                "lastUpdateId": 100_000_001,
                "bids": [["60000.00000000", "1.00000000"]],
                "asks": [["60000.01000000", "1.00000000"]],
            },
        ),
        ("/api/v3/depth", "symbol=ETHUSDT", {"lastUpdateId": 0, "bids": [], "asks": []}),
        (
            "/api/v3/ticker/bookTicker",
            "symbol=BTCUSDT",
            {
                "symbol": "BTCUSDT",
                "bidPrice": "60000.00000000",
                "bidQty": "1.00000000",
                "askPrice": "60000.01000000",
                "askQty": "1.00000000",
            },
        ),
    ],
)
async def test_public_data_is_what_was_recorded(rest: Rest, path: str, query: str, expected: Any) -> None:
    assert await rest.raw("GET", path, query) == (OK, expected)


async def test_recent_prints_are_listed_oldest_first(rest: Rest, frozen: RunningExchange) -> None:
    for _ in range(3):
        frozen.player.step()

    _, trades = await rest.raw("GET", "/api/v3/trades", "symbol=BTCUSDT&limit=5")

    assert [(t["id"], t["price"], t["qty"]) for t in trades] == [
        (100_000_001, "60000.00000000", "1.00000000"),
        (100_000_002, "59990.00000000", "0.40000000"),
    ]


async def test_an_unknown_address_is_not_found(rest: Rest) -> None:
    status, _ = await rest.raw("GET", "/api/v3/nothing")

    assert status == 404


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "rebound.example"}])
async def test_web_pages_are_refused(
    session: aiohttp.ClientSession, frozen: RunningExchange, headers: dict[str, str]
) -> None:
    async with session.post(f"{frozen.url}/sim/step", headers=headers) as reply:
        assert reply.status == 403


# --- orders ---------------------------------------------------------------------------------------------------


async def test_a_market_order_answers_in_full(rest: Rest) -> None:
    status, reply = await rest.order(
        type="MARKET", price=None, timeInForce=None, quantity="0.1", newClientOrderId="gc-1", newOrderRespType="FULL"
    )

    assert status == OK
    assert reply == {
        "symbol": "BTCUSDT",
        "orderId": 1,
        "orderListId": -1,
        "clientOrderId": "gc-1",
        "transactTime": 1_723_161_254_000,
        "price": "0.00000000",
        "origQty": "0.10000000",
        "executedQty": "0.10000000",
        "origQuoteOrderQty": "0.00000000",
        "cummulativeQuoteQty": "6000.00100000",
        "status": "FILLED",
        "timeInForce": "GTC",
        "type": "MARKET",
        "side": "BUY",
        "workingTime": 1_723_161_254_000,
        "selfTradePreventionMode": "NONE",
        "fills": [
            {
                "price": "60000.01000000",
                "qty": "0.10000000",
                "commission": "2.40000040",
                "commissionAsset": "USDT",
                "tradeId": 1,
            }
        ],
    }


async def test_a_market_order_the_account_cannot_pay_is_refused_with_the_recorded_body(rest: Rest) -> None:
    reply = await rest.order(type="MARKET", price=None, timeInForce=None, quantity="0.5")

    assert reply == (BAD, {"code": -2010, "msg": "Account has insufficient balance for requested action."})


@pytest.mark.parametrize(
    ("response_type", "fields"), [("ACK", False), ("RESULT", True), ("FULL", True)], ids=["ACK", "RESULT", "FULL"]
)
async def test_the_reply_is_as_long_as_asked_for(rest: Rest, response_type: str, fields: bool) -> None:
    _, reply = await rest.order(newOrderRespType=response_type)

    assert ("status" in reply) is fields
    assert ("fills" in reply) is (response_type == "FULL")


@pytest.mark.parametrize(
    ("changed", "status", "code", "message"),
    [
        ({"symbol": None}, BAD, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        ({"symbol": "DOGEUSDT"}, BAD, -1121, "Invalid symbol."),
        ({"symbol": "ADAUSDT", "price": "0.5", "quantity": "20"}, BAD, -1013, "Market is closed."),
        ({"side": "HOLD"}, BAD, -1117, "Invalid side."),
        ({"type": "STOP_LOSS"}, BAD, -1116, "Invalid orderType."),
        ({"timeInForce": "IOC"}, BAD, -1115, "Invalid timeInForce."),
        (
            {"timeInForce": None},
            BAD,
            -1102,
            "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed.",
        ),
        ({"type": "MARKET"}, BAD, -1106, "Parameter 'price' sent when not required."),
        ({"stopPrice": "1"}, BAD, -1106, "Parameter 'stopPrice' sent when not required."),
        ({"price": None}, BAD, -1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed."),
        ({"quantity": "NaN"}, BAD, -1100, None),
        ({"quantity": "-1"}, BAD, -1100, None),
        ({"quantity": "1e3"}, BAD, -1100, None),
        ({"quantity": "1_000"}, BAD, -1100, None),
        ({"quantity": "\uff11"}, BAD, -1100, None),
        ({"quantity": "9" * 21}, BAD, -1100, None),
        ({"quantity": "9" * 20}, BAD, -1013, "Filter failure: LOT_SIZE"),
        ({"quantity": "0.000000001"}, BAD, -1111, "Parameter 'quantity' has too much precision."),
        ({"quantity": "0.000001"}, BAD, -1013, "Filter failure: LOT_SIZE"),
        ({"quantity": "0"}, BAD, -1013, "Filter failure: LOT_SIZE"),
        ({"price": "59000.001"}, BAD, -1013, "Filter failure: PRICE_FILTER"),
        ({"price": "1000000.01"}, BAD, -1013, "Filter failure: PRICE_FILTER"),
        ({"price": "0"}, BAD, -1013, "Filter failure: PRICE_FILTER"),
        ({"quantity": "0.00008"}, BAD, -1013, "Filter failure: NOTIONAL"),
        ({"newClientOrderId": "no blanks"}, BAD, -1100, None),
        ({"newClientOrderId": "a" * 37}, BAD, -1100, None),
        ({"type": "LIMIT_MAKER", "price": "60000.01"}, BAD, -2010, "Order would immediately match and take."),
        ({"newOrderRespType": "EVERYTHING"}, BAD, -1103, "An unknown parameter was sent."),
    ],
)
async def test_a_bad_order_gets_binances_own_refusal(
    rest: Rest, changed: dict[str, Any], status: int, code: int, message: str | None
) -> None:
    got_status, body = await rest.order(**changed)

    assert (got_status, body["code"]) == (status, code)
    assert message in (None, body["msg"])
    assert await rest.signed("GET", "/api/v3/openOrders") == (OK, [])


async def test_a_duplicate_client_id_is_refused_while_the_first_is_open(rest: Rest) -> None:
    await rest.order(newClientOrderId="gc-1")

    assert await rest.order(newClientOrderId="gc-1") == (BAD, {"code": -2010, "msg": "Duplicate order sent."})


async def test_an_order_can_be_read_and_cancelled_by_either_id(rest: Rest) -> None:
    await rest.order(newClientOrderId="gc-1")

    _, by_client = await rest.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="gc-1")
    _, by_venue = await rest.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=by_client["orderId"])
    _, canceled = await rest.signed("DELETE", "/api/v3/order", CANCEL, symbol="BTCUSDT", origClientOrderId="gc-1")
    _, after = await rest.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="gc-1")

    assert by_client == by_venue
    assert (by_client["status"], canceled["status"], after["status"]) == ("NEW", "CANCELED", "CANCELED")
    assert canceled["origClientOrderId"] == "gc-1" != canceled["clientOrderId"]


@pytest.mark.parametrize(
    ("method", "parameters", "code"),
    [
        ("DELETE", {"origClientOrderId": "never"}, -2011),
        ("DELETE", {"orderId": 999}, -2011),
        ("GET", {"origClientOrderId": "never"}, -2013),
        ("GET", {"orderId": "1x"}, -1100),
        ("GET", {}, -1102),
    ],
)
async def test_an_order_that_is_not_there_is_said_so(
    rest: Rest, method: str, parameters: dict[str, Any], code: int
) -> None:
    status, body = await rest.signed(method, "/api/v3/order", symbol="BTCUSDT", **parameters)

    assert (status, body["code"]) == (BAD, code)


async def test_cancelling_everything_with_nothing_open_is_refused_as_binance_does(rest: Rest) -> None:
    refused = await rest.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")
    for name in ("a", "b"):
        await rest.order(newClientOrderId=name)
    status, done = await rest.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")

    assert refused == (BAD, {"code": -2011, "msg": "Unknown order sent."})
    assert status == OK
    assert [order["origClientOrderId"] for order in done] == ["a", "b"]


async def test_orders_and_trades_are_listed_in_pages(rest: Rest) -> None:
    for name in ("a", "b", "c"):
        await rest.order(type="MARKET", price=None, timeInForce=None, newClientOrderId=name)

    async def ids(path: str, field: str, **parameters: Any) -> list[int]:
        return [row[field] for row in (await rest.signed("GET", path, symbol="BTCUSDT", **parameters))[1]]

    assert await ids("/api/v3/allOrders", "orderId") == [1, 2, 3]
    assert await ids("/api/v3/allOrders", "orderId", limit=1) == [3]
    assert await ids("/api/v3/allOrders", "orderId", orderId=2, limit=1) == [2]
    assert await ids("/api/v3/myTrades", "id") == [1, 2, 3]
    assert await ids("/api/v3/myTrades", "id", limit=2) == [2, 3]
    assert await ids("/api/v3/myTrades", "id", fromId=2) == [2, 3]
    assert await ids("/api/v3/myTrades", "id", fromId=1, limit=1) == [1]
    assert await ids("/api/v3/myTrades", "id", orderId=3) == [3]
    assert await ids("/api/v3/myTrades", "id", startTime=1_723_161_254_001) == []


async def test_the_account_shows_what_is_locked_and_what_the_key_may_do(rest: Rest) -> None:
    await rest.order()

    _, body = await rest.signed("GET", "/api/v3/account", READ)
    _, restrictions = await rest.signed("GET", "/sapi/v1/account/apiRestrictions", READ)

    usdt = next(b for b in body["balances"] if b["asset"] == "USDT")
    assert Decimal(usdt["locked"]) == Decimal(59) * (1 + Decimal("0.0004"))
    assert Decimal(usdt["free"]) + Decimal(usdt["locked"]) == 25_000
    assert body["canTrade"] is False
    assert restrictions["enableWithdrawals"] is False
    assert restrictions["ipRestrict"] is True


# --- keys, signatures, time -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "method", "path", "allowed"),
    [
        (TRADE, "POST", "/api/v3/order", True),
        (CANCEL, "POST", "/api/v3/order", False),
        (READ, "POST", "/api/v3/order", False),
        (CANCEL, "DELETE", "/api/v3/openOrders", True),
        (READ, "DELETE", "/api/v3/openOrders", False),
        (CANCEL, "GET", "/api/v3/openOrders", True),
        (READ, "GET", "/api/v3/openOrders", True),
        ("paper-nobody-trade", "GET", "/api/v3/openOrders", False),
    ],
)
async def test_a_key_does_only_what_it_is_for(rest: Rest, key: str, method: str, path: str, allowed: bool) -> None:
    status, body = await rest.signed(method, path, key, symbol="BTCUSDT")

    refused = (status, body) == (
        UNAUTHORIZED,
        {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."},
    )
    assert refused is not allowed


async def test_requests_without_key_or_with_a_wrong_signature_are_refused(rest: Rest) -> None:
    path = "/api/v3/account"
    query = sign({})

    assert (await rest.raw("GET", path, query))[1]["code"] == -2014
    assert (await rest.raw("GET", path, f"timestamp={now_ms()}", key=TRADE))[1]["code"] == -1102
    assert (await rest.raw("GET", path, sign({}, secret="wrong"), key=TRADE))[1]["code"] == -1022
    assert (await rest.raw("GET", path, f"omitZeroBalances=true&{query}", key=TRADE))[1]["code"] == -1022
    assert (await rest.raw("GET", path, query, key=TRADE))[0] == OK


NOW_MS = 1_723_161_254_000


@pytest.mark.parametrize(
    ("sent_ms", "window", "code"),
    [
        (NOW_MS, None, None),
        (NOW_MS - 5_000, None, None),
        (NOW_MS - 5_001, None, -1021),
        (NOW_MS - 2_000, "2000", None),
        (NOW_MS - 2_001, "2000", -1021),
        (NOW_MS - 2_001, "2000.999", -1021),
        (NOW_MS + 999, "2000", None),
        (NOW_MS + 1_000, "2000", -1021),
        (NOW_MS, "60000", None),
        (NOW_MS, "60001", -1131),
        (NOW_MS, "60000.001", -1131),
    ],
)
def test_a_request_counts_from_the_edge_of_its_window_on(sent_ms: int, window: str | None, code: int | None) -> None:
    parameters = {"timestamp": str(sent_ms)} | ({} if window is None else {"recvWindow": window})

    if code is None:
        access.check_time(parameters, NOW_MS)
        return
    with pytest.raises(errors.ApiError) as refused:
        access.check_time(parameters, NOW_MS)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("offset_ms", "message"),
    [
        (-60_000, "Timestamp for this request is outside of the recvWindow."),
        (60_000, "Timestamp for this request was 1000ms ahead of the server's time."),
    ],
)
async def test_a_request_from_another_time_gets_the_recorded_refusal(
    rest_playing: Rest, offset_ms: int, message: str
) -> None:
    late = await rest_playing.signed("GET", "/api/v3/account", timestamp=now_ms() + offset_ms)
    in_time = await rest_playing.signed("GET", "/api/v3/account", recvWindow=60_000)

    assert late == (BAD, {"code": -1021, "msg": message})
    assert in_time[0] == OK


@pytest.mark.parametrize("query", ["recvWindow=x", "recvWindow=-1", "recvWindow=1e9", "timestamp=abc", "timestamp=1.5"])
async def test_a_defective_time_stamp_is_refused(rest_playing: Rest, query: str) -> None:
    name, value = query.split("=")

    _, body = await rest_playing.signed("GET", "/api/v3/account", **{name: value})

    assert body["code"] == -1100


# --- limits -----------------------------------------------------------------------------------------------------


async def test_every_reply_says_what_was_used(rest: Rest) -> None:
    await rest.raw("GET", "/api/v3/exchangeInfo")
    weight = int(rest.headers["x-mbx-used-weight-1m"])
    await rest.order()

    assert int(rest.headers["x-mbx-used-weight-1m"]) == weight + 1
    assert rest.headers["x-mbx-order-count-10s"] == "1"
    assert rest.headers["x-mbx-order-count-1d"] == "1"


async def test_too_much_weight_is_told_and_going_on_leads_to_a_ban(rest: Rest, frozen: RunningExchange) -> None:
    frozen.exchange.weights.limit = 10

    for _ in range(10):
        assert (await rest.raw("GET", "/api/v3/ping"))[0] == OK
    status, body = await rest.raw("GET", "/api/v3/ping")
    assert (status, body["code"]) == (429, -1003)
    assert re.match(r"Too much request weight used; current limit is 10 request weight per 1 MINUTE\.", body["msg"])
    assert 1 <= int(rest.headers["retry-after"]) <= 60

    for _ in range(10):
        status, body = await rest.raw("GET", "/api/v3/ping")
    assert (status, body["code"]) == (418, -1003)
    assert re.match(r"Way too much request weight used; IP banned until [0-9]{13}\.", body["msg"])
    assert int(rest.headers["retry-after"]) == 120


async def test_cancels_still_work_when_the_account_has_sent_too_many_orders(
    rest: Rest, frozen: RunningExchange
) -> None:
    for number in range(100):
        status, _ = await rest.order(newClientOrderId=f"gc-{number}")
        assert status == OK

    status, body = await rest.order()

    assert (status, body) == (
        429,
        {"code": -1015, "msg": "Too many new orders; current limit is 100 orders per 10 SECOND."},
    )
    assert len((await rest.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT"))[1]) == 100


async def test_an_order_that_fills_gives_its_count_back(rest: Rest) -> None:
    await rest.order(type="MARKET", price=None, timeInForce=None)

    _, counts = await rest.signed("GET", "/api/v3/rateLimit/order")

    assert [row["count"] for row in counts] == [0, 0]


async def test_a_faster_replay_allows_as_many_more_orders(frozen: RunningExchange, rest: Rest) -> None:
    await rest.sim("speed", {"speed": 10})

    _, counts = await rest.signed("GET", "/api/v3/rateLimit/order")

    assert [row["limit"] for row in counts] == [1_000, 200_000]


async def test_the_min_notional_is_a_setting(session: aiohttp.ClientSession) -> None:
    async with running_exchange(lockstep=True, min_notional=Decimal(10)) as running:
        running.player.step()
        running.player.step()
        status, body = await Rest(session, running.url).order(quantity="0.0001")

    assert (status, body["msg"]) == (BAD, "Filter failure: NOTIONAL")


# --- any input ----------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


@settings(max_examples=200, deadline=None)
@given(query=st.text(max_size=80), body=st.text(max_size=80))
def test_any_query_is_read_or_refused(query: str, body: str) -> None:
    try:
        parameters = access.parse(query, body)
    except errors.ApiError:
        parameters = {}
    assert all(isinstance(value, str) for value in parameters.values())
    signed, _ = access.split_signature(query, body)
    assert "signature=" not in signed.split("&")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changed=st.dictionaries(
        st.sampled_from(
            ["symbol", "side", "type", "timeInForce", "quantity", "price", "newClientOrderId", "recvWindow"]
        ),
        TEXT,
        max_size=4,
    )
)
async def test_any_order_is_accepted_or_refused_with_a_code(rest: Rest, changed: dict[str, str]) -> None:
    status, body = await rest.order(**changed)

    assert status in (OK, BAD, 429)
    assert "orderId" in body or isinstance(body["code"], int)


def test_the_secret_of_a_paper_key_is_the_digest_of_its_name() -> None:
    assert secret_of("paper-micro-trade").startswith("075b1f16dfdec1c8")

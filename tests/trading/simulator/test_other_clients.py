"""python-binance and Binance's own SDK, unmodified but for the address, against the simulated exchange."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import binance
import pytest
from binance.exceptions import BinanceAPIException
from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketAPI
from binance_common.errors import BadRequestError, RateLimitBanError, ServerError, TooManyRequestsError
from binance_sdk_spot.spot import Spot
from pydantic import BaseModel

from tests.trading.simulator.scene import READ, TRADE, Rest, soon, until
from trading.simulator.access import secret_of
from trading.simulator.server import RunningExchange

BTC = "BTCUSDT"
LIMIT: dict[str, Any] = {"symbol": BTC, "side": "BUY", "type": "LIMIT", "quantity": 0.01, "price": 59_000.0}
GTC = {"time_in_force": "GTC"}

# Fields that Binance sends only with features the exchange does not have (docs/simulator.md), or only as SBE.
OTHER_ORDERS = """
    expiryReason icebergQty pegOffsetType pegOffsetValue pegPriceType peggedPrice preventedMatchId preventedQuantity
    stopPrice strategyId strategyType trailingDelta trailingTime usedSor workingFloor
    contingencyType listClientOrderId listOrderStatus listStatusType orderReports orders transactionTime
    A B Cs D J U a b d eR gOT gOV gP gp j k pL pY pl u uS v
"""
NOT_HERE = "N priceExponent qtyExponent sors count"  # N: no commission without a fill; count: only in rateLimit/order
CONDITIONAL = frozenset(OTHER_ORDERS.split() + NOT_HERE.split())


# --- Binance's own SDK ----------------------------------------------------------------------------------------

Call = Callable[..., Awaitable[Any]]


@pytest.fixture
def sdk(frozen: RunningExchange) -> Spot:
    stream = frozen.url.replace("http", "ws", 1)
    secret = secret_of(TRADE)
    return Spot(
        config_rest_api=ConfigurationRestAPI(TRADE, secret, base_path=frozen.url, retries=0),
        config_ws_api=ConfigurationWebSocketAPI(TRADE, secret, stream_url=f"{stream}/ws-api/v3"),
    )


@pytest.fixture
def rest_api(sdk: Spot) -> Call:
    """Call one method of the SDK, which blocks, and return what it decoded."""

    async def call(method: str, **parameters: Any) -> Any:
        return (await asyncio.to_thread(getattr(sdk.rest_api, method), **parameters)).data()

    return call


@pytest.fixture
async def socket(sdk: Spot) -> AsyncIterator[Any]:
    """The SDK's connection to the WebSocket API."""
    api: Any = sdk.websocket_api
    opened = await api.create_connection()
    yield opened
    await opened.close_connection(close_session=True)


def deviations(value: Any, path: str = "") -> Iterator[str]:
    """Yield every field the SDK's models do not know, and every one they know and we do not send."""
    if isinstance(value, list):
        for entry in value:
            yield from deviations(entry, f"{path}[]")
    elif isinstance(value, BaseModel) and "actual_instance" in type(value).model_fields:
        yield from deviations(value.actual_instance, path)  # type: ignore[attr-defined]  # the generator's union type
    elif isinstance(value, BaseModel):
        yield from (f"unknown {path}.{name}" for name in getattr(value, "additional_properties", {}))
        for name, field in type(value).model_fields.items():
            known, sent = field.alias or name, getattr(value, name)
            if sent is None and known not in CONDITIONAL and not name.startswith(("oneof_", "one_of_")):
                yield f"absent {path}.{known}"
            yield from deviations(sent, f"{path}.{known}")


async def test_no_field_of_a_reply_is_unknown_to_the_sdk_and_none_is_absent(
    rest_api: Call, frozen: RunningExchange
) -> None:
    market = {"symbol": BTC, "side": "BUY", "type": "MARKET", "quantity": 0.1}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("time", {}),
        ("exchange_info", {"symbols": [BTC]}),
        ("depth", {"symbol": BTC, "limit": 5}),
        ("ticker_book_ticker", {"symbol": BTC}),
        ("new_order", {**LIMIT, **GTC, "new_client_order_id": "sdk-1"}),
        ("get_order", {"symbol": BTC, "orig_client_order_id": "sdk-1"}),
        ("get_open_orders", {"symbol": BTC}),
        ("delete_order", {"symbol": BTC, "orig_client_order_id": "sdk-1"}),
        ("new_order", market),
        ("my_trades", {"symbol": BTC}),
        ("all_orders", {"symbol": BTC}),
        ("get_account", {}),
        ("rate_limit_order", {}),
        ("new_order", {**LIMIT, **GTC}),
        ("delete_open_orders", {"symbol": BTC}),
        ("get_trades", {"symbol": BTC}),
    ]
    frozen.player.step()  # a print

    for method, parameters in asked:
        reply = await rest_api(method, **parameters)

        assert reply, method
        assert not set(deviations(reply)), method


async def test_an_order_of_the_sdk_is_placed_found_and_cancelled(rest_api: Call) -> None:
    placed = await rest_api("new_order", **LIMIT, **GTC, new_client_order_id="sdk-1")
    (listed,) = await rest_api("get_open_orders", symbol=BTC)
    canceled = await rest_api("delete_order", symbol=BTC, order_id=placed.order_id)

    assert (placed.status, listed.client_order_id, listed.price) == ("NEW", "sdk-1", "59000.00000000")
    assert (canceled.status, canceled.orig_client_order_id) == ("CANCELED", "sdk-1")
    assert await rest_api("get_open_orders") == []


@pytest.mark.parametrize(
    ("method", "parameters", "code"),
    [
        ("exchange_info", {"symbol": "NOPE"}, -1121),
        ("new_order", {**LIMIT, **GTC, "quantity": 1.0}, -2010),
        ("new_order", {**LIMIT, **GTC, "quantity": 0.0123456}, -1013),
        ("new_order", {**LIMIT, **GTC, "quantity": 0.0000001}, -1100),  # the SDK writes 1e-07
        ("new_order", {**LIMIT, "time_in_force": "IOC"}, None),
        ("new_order", LIMIT, -1102),
        ("get_order", {"symbol": BTC, "orig_client_order_id": "nobody"}, -2013),
        ("delete_order", {"symbol": BTC, "orig_client_order_id": "nobody"}, -2011),
        ("delete_open_orders", {"symbol": BTC}, -2011),
        ("my_trades", {"symbol": "NOPE"}, -1121),
    ],
)
async def test_the_sdk_reads_every_refusal(
    rest_api: Call, method: str, parameters: dict[str, Any], code: int | None
) -> None:
    with pytest.raises(BadRequestError) as refusal:
        await rest_api(method, **parameters)

    assert code is None or str(code) in str(refusal.value)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "throttle", "retry_after": "7"}, TooManyRequestsError),
        ({"kind": "ban"}, RateLimitBanError),
        ({"kind": "error", "status": 503}, ServerError),
    ],
)
async def test_the_sdk_reads_a_throttle_a_ban_and_a_failure_for_what_they_are(
    rest_api: Call, rest: Rest, fault: dict[str, Any], error: type[Exception]
) -> None:
    await rest.sim("fault", fault)

    with pytest.raises(error):
        await rest_api("get_open_orders", symbol=BTC)


async def test_orders_go_over_the_sdks_socket_and_are_reported_there(socket: Any) -> None:
    subscribed = await socket.user_data_stream_subscribe_signature()
    events: list[Any] = []
    subscribed.stream.on("message", events.append)

    placed = (await socket.order_place(**LIMIT, **GTC, new_client_order_id="sdk-2")).data()
    found = (await socket.order_status(symbol=BTC, orig_client_order_id="sdk-2")).data()
    canceled = (await socket.order_cancel(symbol=BTC, orig_client_order_id="sdk-2")).data()
    account = (await socket.account_status()).data()
    trades = (await socket.order_place(symbol=BTC, side="BUY", type="MARKET", quantity=0.1)).data()
    await until(lambda: len(events) >= 7, what="the reports")

    assert (placed.result.status, found.result.status, canceled.result.status) == ("NEW", "NEW", "CANCELED")
    for reply in (placed, found, canceled, account, trades, *events):
        assert not set(deviations(reply))
    told = [event.actual_instance for event in events]
    reports = [(event.x, event.X) for event in told if type(event).__name__ == "ExecutionReport"]
    assert reports == [("NEW", "NEW"), ("CANCELED", "CANCELED"), ("NEW", "NEW"), ("TRADE", "FILLED")]


# --- python-binance -------------------------------------------------------------------------------------------


@pytest.fixture
async def client(frozen: RunningExchange) -> AsyncIterator[Any]:
    opened = await python_binance(frozen.url, TRADE)
    yield opened
    await opened.close_connection()


async def python_binance(url: str, key: str) -> Any:
    """Return python-binance's client at `url`; it pings and compares clocks before it is ready."""

    class Client(binance.AsyncClient):  # type: ignore[misc]  # the package ships no types
        API_URL = f"{url}/api"
        MARGIN_API_URL = f"{url}/sapi"
        WS_API_URL = f"{url.replace('http', 'ws', 1)}/ws-api/v3"

    client = await Client.create(key, secret_of(key))
    client.ws_api.TIMEOUT = 0.1  # its reader is waited for at the end
    return client


async def test_python_binance_reads_the_market(client: Any, frozen: RunningExchange) -> None:
    info = await client.get_symbol_info(BTC)
    ticker = await client.get_orderbook_ticker(symbol=BTC)
    book = await client.get_order_book(symbol=BTC)
    frozen.player.step()
    (trade,) = await client.get_recent_trades(symbol=BTC)

    assert (await client.get_server_time())["serverTime"] > 0
    steps = {f["filterType"]: f for f in info["filters"]}
    assert (steps["PRICE_FILTER"]["tickSize"], steps["LOT_SIZE"]["stepSize"]) == ("0.01000000", "0.00001000")
    assert (ticker["bidPrice"], ticker["askPrice"]) == ("60000.00000000", "60000.01000000")
    assert book["bids"] == [["60000.00000000", "1.00000000"]]
    assert trade["price"] == "60000.00000000"


async def test_an_order_of_python_binance_is_placed_found_and_cancelled(client: Any) -> None:
    placed = await client.order_limit_buy(symbol=BTC, quantity="0.01", price="59000", newClientOrderId="pb-1")
    found = await client.get_order(symbol=BTC, origClientOrderId="pb-1")
    listed = await client.get_open_orders()
    canceled = await client.cancel_order(symbol=BTC, origClientOrderId="pb-1")

    assert found["orderId"] == placed["orderId"]
    assert listed == [found]
    assert (canceled["status"], canceled["origClientOrderId"]) == ("CANCELED", "pb-1")
    assert [order["status"] for order in await client.get_all_orders(symbol=BTC)] == ["CANCELED"]


async def test_a_fill_shows_in_python_binances_trades_and_balances(client: Any) -> None:
    filled = await client.order_market_buy(symbol=BTC, quantity="0.1")

    (trade,) = await client.get_my_trades(symbol=BTC)
    account = await client.get_account()
    balances = {b["asset"]: b["free"] for b in account["balances"]}
    assert (filled["status"], trade["orderId"], trade["isMaker"]) == ("FILLED", filled["orderId"], False)
    assert balances["BTC"] == "0.10000000"
    assert balances["USDT"] == "18997.59899960"
    assert isinstance(account["uid"], int)


@pytest.mark.parametrize(
    ("method", "parameters", "code"),
    [
        ("order_limit_buy", {"symbol": BTC, "quantity": "1", "price": "59000"}, -2010),
        ("order_limit_buy", {"symbol": BTC, "quantity": "0.000001", "price": "59000"}, -1013),
        ("order_market_buy", {"symbol": BTC, "quoteOrderQty": "100"}, -1106),
        ("get_order", {"symbol": BTC, "origClientOrderId": "nobody"}, -2013),
        ("cancel_order", {"symbol": BTC, "origClientOrderId": "nobody"}, -2011),
        ("get_order_book", {"symbol": "NOPE"}, -1121),
    ],
)
async def test_python_binance_reads_every_refusal(
    client: Any, method: str, parameters: dict[str, Any], code: int
) -> None:
    with pytest.raises(BinanceAPIException) as refusal:
        await getattr(client, method)(**parameters)

    assert refusal.value.code == code


async def test_a_read_key_of_python_binance_cannot_trade(frozen: RunningExchange) -> None:
    reader = await python_binance(frozen.url, READ)
    try:
        with pytest.raises(BinanceAPIException) as refusal:
            await reader.order_market_buy(symbol=BTC, quantity="0.1")
        assert await reader.get_my_trades(symbol=BTC) == []
    finally:
        await reader.close_connection()

    assert refusal.value.code == -2015


async def test_python_binance_hears_of_its_orders_on_the_current_subscription(client: Any) -> None:
    async with binance.BinanceSocketManager(client).user_socket() as user:
        await client.ws_create_order(
            symbol=BTC,
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.01",
            price="59000",
            newClientOrderId="pb",
        )
        await client.ws_cancel_order(symbol=BTC, origClientOrderId="pb")
        events = [await soon(user.recv()) for _ in range(4)]

    reports = [(event["x"], event["C"] or event["c"]) for event in events if event["e"] == "executionReport"]
    assert reports == [("NEW", "pb"), ("CANCELED", "pb")]
    assert [event["e"] for event in events[1::2]] == ["outboundAccountPosition"] * 2

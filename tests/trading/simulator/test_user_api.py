import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.simulator.scene import CANCEL, READ, TRADE, Rest, now_ms, soon
from trading.simulator import errors, user_api
from trading.simulator.access import secret_of
from trading.simulator.server import RunningExchange

Socket = aiohttp.ClientWebSocketResponse
AT_MS = 1_723_161_254_000


@pytest.fixture
async def socket(session: aiohttp.ClientSession, frozen: RunningExchange) -> AsyncIterator[Socket]:
    async with session.ws_connect(f"{frozen.ws_url}/ws-api/v3") as opened:
        yield opened


def signed(parameters: dict[str, Any], key: str = TRADE) -> dict[str, Any]:
    full = {"apiKey": key, "timestamp": now_ms(), **parameters}
    text = "&".join(
        f"{name}={str(full[name]).lower() if full[name] in (True, False) else full[name]}" for name in sorted(full)
    )
    code = hmac.new(secret_of(key).encode(), text.encode(), hashlib.sha256).hexdigest()
    return {**full, "signature": code}


async def ask(socket: Socket, method: str, parameters: dict[str, Any] | None = None, request_id: Any = "1") -> Any:
    await socket.send_json({"id": request_id, "method": method, "params": parameters or {}})
    while True:
        message = await soon(socket.receive_json())
        if "event" not in message:
            return message


async def subscribe(socket: Socket, key: str = READ) -> None:
    assert (await ask(socket, user_api.SUBSCRIBE, signed({}, key)))["result"] == {"subscriptionId": 0}


async def events(socket: Socket, count: int) -> list[dict[str, Any]]:
    found = [await soon(socket.receive_json()) for _ in range(count)]
    assert all(message["subscriptionId"] == 0 for message in found)
    return [message["event"] for message in found]


def short(event: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(event.get(field) for field in "xXcCzl")


# --- events -----------------------------------------------------------------------------------------------------


async def test_a_resting_order_is_reported_with_every_documented_field(rest: Rest, socket: Socket) -> None:
    await subscribe(socket)
    await rest.order(newClientOrderId="gc-1")

    report, position = await events(socket, 2)

    assert report == {
        "e": "executionReport",
        "E": AT_MS,
        "s": "BTCUSDT",
        "c": "gc-1",
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTC",
        "q": "0.00100000",
        "p": "59000.00000000",
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": "",
        "x": "NEW",
        "X": "NEW",
        "r": "NONE",
        "i": 1,
        "l": "0.00000000",
        "z": "0.00000000",
        "L": "0.00000000",
        "n": "0",
        "N": None,
        "T": AT_MS,
        "t": -1,
        "I": 1,
        "w": True,
        "m": False,
        "M": False,
        "O": AT_MS,
        "Z": "0.00000000",
        "Y": "0.00000000",
        "Q": "0.00000000",
        "W": AT_MS,
        "V": "NONE",
    }
    assert position == {
        "e": "outboundAccountPosition",
        "E": AT_MS,
        "u": AT_MS,
        "B": [{"a": "USDT", "f": "24940.97640000", "l": "59.02360000"}],
    }


async def test_a_taken_order_is_reported_new_then_traded_then_expired(
    rest: Rest, socket: Socket, frozen: RunningExchange
) -> None:
    await subscribe(socket)
    for _ in range(2):
        frozen.player.step()  # the bid is down to half a coin
    await rest.order(type="MARKET", price=None, timeInForce=None, quantity="0.3")
    await rest.order(type="MARKET", price=None, timeInForce=None, side="SELL", quantity="0.3", newClientOrderId="s")
    await rest.order(type="MARKET", price=None, timeInForce=None, quantity="0.4")
    await rest.order(type="MARKET", price=None, timeInForce=None, side="SELL", quantity="0.4", newClientOrderId="t")

    reports = [e for e in await events(socket, 13) if e["e"] == "executionReport" and e["S"] == "SELL"]

    assert [short(e) for e in reports] == [
        ("NEW", "NEW", "s", "", "0.00000000", "0.00000000"),
        ("TRADE", "FILLED", "s", "", "0.30000000", "0.30000000"),
        ("NEW", "NEW", "t", "", "0.00000000", "0.00000000"),
        ("TRADE", "PARTIALLY_FILLED", "t", "", "0.20000000", "0.20000000"),
        ("EXPIRED", "EXPIRED", "t", "", "0.20000000", "0.00000000"),
    ]


async def test_a_resting_order_is_reported_as_it_fills_and_is_cancelled(
    rest: Rest, socket: Socket, frozen: RunningExchange
) -> None:
    await subscribe(socket)
    await rest.order(newClientOrderId="gc-1", quantity="0.41", price="59995")
    for _ in range(3):
        frozen.player.step()  # 0.4 BTC print at 59990, through the order
    await rest.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="gc-1", newClientOrderId="bye")

    reports = [e for e in await events(socket, 6) if e["e"] == "executionReport"]

    assert [short(e) for e in reports] == [
        ("NEW", "NEW", "gc-1", "", "0.00000000", "0.00000000"),
        ("TRADE", "PARTIALLY_FILLED", "gc-1", "", "0.40000000", "0.40000000"),
        ("CANCELED", "CANCELED", "bye", "gc-1", "0.40000000", "0.00000000"),
    ]
    trade = reports[1]
    assert {field: trade[field] for field in ("L", "n", "N", "t", "m", "Y", "Z", "T")} == {
        "L": "59995.00000000",
        "n": "4.79960000",
        "N": "USDT",
        "t": 1,
        "m": True,
        "Y": "23998.00000000",
        "Z": "23998.00000000",
        "T": AT_MS + 30,
    }


async def test_cancel_all_reports_every_order_and_one_position(rest: Rest, socket: Socket) -> None:
    for name in ("a", "b"):
        await rest.order(newClientOrderId=name)
    await subscribe(socket)
    await rest.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")

    reports = await events(socket, 3)

    assert [e.get("C") for e in reports] == ["a", "b", None]
    assert reports[2]["B"] == [{"a": "USDT", "f": "25000.00000000", "l": "0.00000000"}]


async def test_events_reach_only_those_who_follow_the_account(rest: Rest, socket: Socket) -> None:
    await subscribe(socket, "paper-micro-read")
    await rest.order()

    assert (await ask(socket, "ping"))["result"] == {}
    assert (await rest.status())["user_events_sent"] == {"micro": 0, "production": 0}


async def test_one_connection_may_follow_two_accounts(rest: Rest, socket: Socket) -> None:
    await subscribe(socket)
    again = await ask(socket, user_api.SUBSCRIBE, signed({}, TRADE))
    other = await ask(socket, user_api.SUBSCRIBE, signed({}, "paper-micro-read"))

    assert (again["result"], other["result"]) == ({"subscriptionId": 0}, {"subscriptionId": 1})


async def test_an_ended_subscription_is_said_so_and_stays_silent(rest: Rest, socket: Socket) -> None:
    await subscribe(socket)
    await socket.send_json({"id": "9", "method": user_api.UNSUBSCRIBE, "params": {"subscriptionId": 0}})
    ended, reply = [await soon(socket.receive_json()) for _ in range(2)]
    await rest.order()

    assert ended["event"]["e"] == "eventStreamTerminated"
    assert reply["status"] == 200
    assert (await ask(socket, "ping", request_id=5))["id"] == 5


# --- requests ---------------------------------------------------------------------------------------------------


async def test_orders_can_be_placed_read_and_cancelled(socket: Socket) -> None:
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "price": "59000",
        "quantity": "0.1",
    }

    placed = await ask(socket, "order.place", signed({**order, "newClientOrderId": "gc-1", "returnRateLimits": False}))
    listed = await ask(socket, "openOrders.status", signed({}))
    found = await ask(socket, "order.status", signed({"symbol": "BTCUSDT", "orderId": 1}))
    ended = await ask(socket, "order.cancel", signed({"symbol": "BTCUSDT", "origClientOrderId": "gc-1"}, CANCEL))
    refused = await ask(socket, "openOrders.cancelAll", signed({"symbol": "BTCUSDT"}))

    assert (placed["status"], placed["result"]["status"]) == (200, "NEW")
    assert [row["clientOrderId"] for row in listed["result"]] == ["gc-1"]
    assert found["result"]["orderId"] == 1
    assert ended["result"]["status"] == "CANCELED"
    assert (refused["status"], refused["error"]) == (400, {"code": -2011, "msg": "Unknown order sent."})
    assert placed["rateLimits"][0]["limit"] == 6_000


@pytest.mark.parametrize(
    ("method", "parameters", "status", "code"),
    [
        ("order.place", {"apiKey": READ}, 401, -2015),
        ("account.status", {}, 401, -2014),
        ("account.status", {"apiKey": READ, "timestamp": 1}, 400, -1102),
        ("account.status", {"apiKey": READ, "timestamp": 1, "signature": "00"}, 400, -1022),
        (user_api.SUBSCRIBE, {"apiKey": "nobody", "timestamp": 1, "signature": "00"}, 401, -2015),
        ("session.logon", {}, 400, -1000),
    ],
)
async def test_a_request_that_may_not_be_done_is_refused(
    socket: Socket, method: str, parameters: dict[str, Any], status: int, code: int
) -> None:
    reply = await ask(socket, method, parameters)

    assert (reply["status"], reply["error"]["code"]) == (status, code)


MALFORMED = (
    *("", "{", "[]", "1", '{"id":1}', '{"id":1,"method":1}'),
    '{"id":[],"method":"ping"}',
    '{"id":true,"method":"time"}',
    '{"id":1,"method":"ping","params":[1]}',
    '{"id":1,"method":"time","params":{"a":{}}}',
    '{"id":1,"method":"time","params":{"a":NaN}}',
)


@pytest.mark.parametrize("text", MALFORMED)
async def test_a_malformed_request_is_answered_and_the_connection_lives(socket: Socket, text: str) -> None:
    await socket.send_str(text)

    refused = await soon(socket.receive_json())

    assert refused["status"] == 400
    assert (await ask(socket, "ping"))["status"] == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "method", "params", "apiKey"]), inner, max_size=4)
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), JSON.map(json.dumps)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        request_id, method, parameters = user_api._parse(text)
    except errors.ApiError:
        return
    assert isinstance(method, str)
    assert not isinstance(request_id, bool)
    assert all(isinstance(value, str) for value in parameters.values())

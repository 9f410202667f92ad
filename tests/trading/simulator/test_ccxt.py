"""The installed ccxt, unmodified, against the simulated exchange."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import ccxt
import pytest

from tests.trading.simulator.scene import READ, Rest, binance, soon, until
from trading.simulator.server import RunningExchange

BTC = "BTC/USDT"


@pytest.fixture
async def client(frozen: RunningExchange) -> AsyncIterator[Any]:
    opened = binance(frozen.url)
    await opened.load_markets()
    yield opened
    await opened.close()


async def watching(frozen: RunningExchange, *watches: Any) -> list[asyncio.Task[Any]]:
    """Start watches and return once their connections stand."""
    tasks = [asyncio.create_task(watch) for watch in watches]
    await until(lambda: any(c.accounts for c in frozen.exchange.users._connections), what="the subscription")
    return tasks


def test_markets_are_loaded_with_their_steps(client: Any) -> None:
    market = client.market(BTC)

    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.01, 0.00001)
    assert market["limits"]["cost"]["min"] == 5.0
    assert [m["active"] for m in (client.market(BTC), client.market("ADA/USDT"))] == [True, False]


async def test_a_market_order_is_placed_and_filled(client: Any) -> None:
    order = await client.create_order(BTC, "market", "buy", 0.1)

    assert (order["status"], order["filled"], order["average"]) == ("closed", 0.1, 60000.01)
    assert order["fee"] == {"currency": "USDT", "cost": 2.4000004}


async def test_a_limit_order_is_placed_listed_and_cancelled(client: Any) -> None:
    placed = await client.create_order(BTC, "limit", "buy", 0.1, 59_000, {"newClientOrderId": "gc-1"})
    listed = await client.fetch_open_orders(BTC)
    balance = await client.fetch_balance()
    canceled = await client.cancel_order(placed["id"], BTC)

    assert [order["clientOrderId"] for order in listed] == ["gc-1"]
    assert balance["USDT"] == {"free": 19097.64, "used": 5902.36, "total": 25000.0}
    assert canceled["status"] == "canceled"


async def test_a_post_only_order_is_a_limit_maker(client: Any) -> None:
    placed = await client.create_order(BTC, "limit", "buy", 0.1, 59_000, {"postOnly": True})

    assert placed["postOnly"] is True
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        await client.create_order(BTC, "limit", "buy", 0.1, 60_000.01, {"postOnly": True})


async def test_orders_go_over_the_websocket_api_too(client: Any) -> None:
    placed = await client.create_order_ws(BTC, "limit", "buy", 0.1, 59_000)
    found = await client.fetch_order_ws(placed["id"], BTC)
    canceled = await client.cancel_order_ws(placed["id"], BTC)

    assert (found["status"], canceled["status"]) == ("open", "canceled")


async def test_trades_and_book_tops_are_watched(client: Any, frozen: RunningExchange) -> None:
    trades = asyncio.create_task(client.watch_trades(BTC))
    tops = asyncio.create_task(client.watch_bids_asks([BTC]))
    listened = frozen.exchange.streams.subscribers
    await until(lambda: bool(listened("btcusdt@trade") and listened("btcusdt@bookTicker")), what="the subscriptions")
    for _ in range(2):
        frozen.player.step()

    assert [t["price"] for t in await soon(trades)] == [60_000.0]
    assert (await soon(tops))[BTC]["bidVolume"] == 0.5


async def test_the_order_book_is_watched_as_snapshot_and_diffs(client: Any, frozen: RunningExchange) -> None:
    task = asyncio.create_task(client.watch_order_book(BTC))
    await until(lambda: bool(frozen.exchange.streams.subscribers("btcusdt@depth@100ms")))

    async def step_until_done() -> Any:
        while not task.done():
            if frozen.player.step()["end"]:
                frozen.exchange.publish_depth(frozen.exchange.clock.now_ns() + 10**9)
                frozen.exchange.streams.flush()
            await asyncio.sleep(0.01)
        return await task

    book = await soon(step_until_done())

    assert len(book["bids"]) == len(book["asks"]) == 1
    assert book["bids"][0][0] < book["asks"][0][0]


async def test_orders_trades_and_balances_are_watched(client: Any, frozen: RunningExchange) -> None:
    orders, trades, balances = await watching(
        frozen, client.watch_orders(BTC), client.watch_my_trades(BTC), client.watch_balance()
    )
    await client.create_order(BTC, "market", "buy", 0.1)

    assert (await soon(orders))[-1]["symbol"] == BTC
    assert [(t["amount"], t["takerOrMaker"]) for t in await soon(trades)] == [(0.1, "taker")]
    assert (await soon(balances))["total"] == {"USDT": 18997.5989996, "BTC": 0.1}


async def test_the_replays_own_messages_disturb_nobody(client: Any, frozen: RunningExchange) -> None:
    trades = asyncio.create_task(client.watch_trades(BTC))
    await until(lambda: bool(frozen.exchange.streams.subscribers("btcusdt@trade")))

    frozen.exchange.settle()
    frozen.player._send_status()
    frozen.player.step()

    assert [t["price"] for t in await soon(trades)] == [60_000.0]


async def test_cancelling_all_with_nothing_open_is_order_not_found(client: Any) -> None:
    with pytest.raises(ccxt.OrderNotFound):
        await client.cancel_all_orders(BTC)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((BTC, "limit", "buy", 1, 59_000), ccxt.InsufficientFunds),
        ((BTC, "limit", "buy", 0.00001, 59_000), ccxt.BadRequest),
        (("ADA/USDT", "limit", "buy", 100, 1), ccxt.ExchangeError),
    ],
    ids=["balance", "notional", "closed"],
)
async def test_refusals_become_ccxts_errors(client: Any, arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        await client.create_order(*arguments)


async def test_a_duplicate_id_is_an_invalid_order(client: Any) -> None:
    parameters = {"newClientOrderId": "gc-1"}
    await client.create_order(BTC, "limit", "buy", 0.01, 59_000, parameters)

    with pytest.raises(ccxt.InvalidOrder):
        await client.create_order(BTC, "limit", "buy", 0.01, 59_000, parameters)


async def test_a_read_key_cannot_trade(frozen: RunningExchange) -> None:
    reader = binance(frozen.url, READ)
    try:
        with pytest.raises((ccxt.AuthenticationError, ccxt.DDoSProtection)):
            await reader.create_order(BTC, "market", "buy", 0.1)
        assert await reader.fetch_my_trades(BTC) == []
    finally:
        await reader.close()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "throttle", "retry_after": "7"}, ccxt.DDoSProtection),
        ({"kind": "ban"}, ccxt.DDoSProtection),
        ({"kind": "error", "status": 400, "code": -1021, "message": "late"}, ccxt.InvalidNonce),
        ({"kind": "error", "status": 503}, ccxt.OperationFailed),
        ({"kind": "html"}, ccxt.BaseError),
        ({"kind": "drop_response"}, ccxt.NetworkError),
        ({"kind": "drop_request"}, ccxt.NetworkError),
    ],
)
async def test_faults_reach_ccxt_as_its_errors(
    client: Any, rest: Rest, fault: dict[str, Any], error: type[Exception]
) -> None:
    await rest.sim("fault", {"target": "POST /api/v3/order", "count": 0, **fault})

    with pytest.raises(error):
        await client.create_order(BTC, "limit", "buy", 0.01, 59_000)
    await rest.sim("fault", {"kind": "reset"})
    assert (len(await client.fetch_open_orders(BTC)) > 0) is (fault["kind"] == "drop_response")

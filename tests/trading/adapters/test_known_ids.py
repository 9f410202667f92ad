"""A venue that was told whose orders are whose asks for no order behind a fill it reads."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.contracts.conftest import ACCOUNT, ASK, BID, LOTS, START_NS, SYMBOL, instruments
from trading.adapters.binance_ccxt import Binance
from trading.adapters.keys_paper import paper_key
from trading.adapters.venue_ccxt import BinanceVenue
from trading.domain.orders import Order, OrderType, Purpose, Side
from trading.simulator.replay import BOOK, Row, RowRecording
from trading.simulator.server import running_exchange

OURS = [f"gc-{ACCOUNT}-1-{number}" for number in (1, 2, 3)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every request of every venue, as (method, path)."""
    requests: list[tuple[str, str]] = []
    real: Callable[..., Any] = Binance.call

    async def call(self: Binance, method: str, path: str, *rest: Any, **options: Any) -> Any:
        requests.append((method, path))
        return await real(self, method, path, *rest, **options)

    monkeypatch.setattr(Binance, "call", call)
    return requests


def buy(client_order_id: str) -> Order:
    return Order(
        client_order_id, SYMBOL, Side.BUY, OrderType.MARKET, 100, None, None, Purpose.GRID, START_NS, ASK
    )  # fmt: skip


@pytest.mark.parametrize(("told", "asked_for"), [(OURS, 0), (OURS[:2], 1), ([], 3)], ids=["all", "all but one", "none"])
async def test_each_order_it_was_not_told_of_costs_one_request(
    asked: list[tuple[str, str]], told: list[str], asked_for: int
) -> None:
    recording = RowRecording("still", (SYMBOL,), (Row(START_NS, 0, BOOK, BID, LOTS, ASK, LOTS),))
    key, secret = paper_key(ACCOUNT, "trade")
    who: dict[str, Any] = {"account": ACCOUNT, "key": key, "secret": secret, "instruments": instruments()}
    async with running_exchange(recording=recording, lockstep=True) as running:
        running.player.step()
        before = BinanceVenue(running.url, **who)
        answers = [await before.submit(buy(name)) for name in OURS]
        await before.close()
        orders = [answer.order for answer in answers if answer.order.client_order_id in told]
        known = {(SYMBOL, order.venue_order_id): order.client_order_id for order in orders}
        restarted = BinanceVenue(running.url, **who, known_ids=known)
        asked.clear()

        fills = await restarted.fills_since(SYMBOL, 0)

        await restarted.close()
    assert [fill.client_order_id for fill in fills] == OURS
    assert asked == [("GET", "myTrades"), *[("GET", "order")] * asked_for]

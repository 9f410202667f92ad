import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.simulator.scene import Rest, book, recording, until
from trading.simulator import listing, state
from trading.simulator.exchange import Exchange, ExchangeClock
from trading.simulator.replay import LAP_STRIDE
from trading.simulator.server import RunningExchange, running_exchange

LONG = recording(book(0), book(3_600_000))
INSTRUMENTS = listing.load().instruments


def start(data_dir: Path) -> Any:
    return running_exchange(recording=LONG, data_dir=data_dir, seam_pause_s=0.01)


async def trades(running: RunningExchange) -> None:
    await until(lambda: running.player.events_played == 1 and running.player.state == "TRADING")


async def test_a_restart_keeps_balances_and_history_and_starts_with_a_seam(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with start(tmp_path) as first:
        await trades(first)
        rest = Rest(session, first.url)
        await rest.order(type="MARKET", price=None, timeInForce=None, quantity="0.1", newClientOrderId="bought")
        await rest.order(newClientOrderId="resting")
        cash = first.exchange.venue.balances("production")["USDT"].total

    async with start(tmp_path) as second:
        await trades(second)
        rest = Rest(session, second.url)
        _, account = await rest.signed("GET", "/api/v3/account")
        _, resting = await rest.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="resting")
        _, fills = await rest.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT")
        _, newer = await rest.order(newClientOrderId="resting")
        status = await rest.status()
        top = second.exchange.tapes["BTCUSDT"].top

    held = {b["asset"]: b["free"] for b in account["balances"]}
    assert held == {"USDT": f"{cash + 6_000:.8f}", "BTC": "0.00000000"}
    assert resting["status"] == "EXPIRED"
    assert [fill["id"] for fill in fills] == [1]
    assert newer["orderId"] == 3
    assert (status["lap"], status["seams"][-1]["prices"]) == (2, {"BTCUSDT": "60000.00"})
    assert top is not None
    assert top.update_id > 2 * LAP_STRIDE


async def test_a_transfer_is_answered_when_it_is_on_disk_and_made_once_over_a_restart(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    order = {"account": "micro", "id": "gcf-micro-2", "asset": "USDT", "amount": "300"}
    async with start(tmp_path) as first:
        status, made = await Rest(session, first.url).sim("transfer", order)
        on_disk = json.loads((tmp_path / state.FILE_NAME).read_bytes())

    async with start(tmp_path) as second:
        again = await Rest(session, second.url).sim("transfer", order)
        other = await Rest(session, second.url).sim("transfer", {**order, "amount": "301"})
        cash = second.exchange.venue.balances("micro")["USDT"].total

    assert (status, made["amount"]) == (200, "300")
    assert on_disk["balances"]["micro"]["USDT"][0] == "600"
    assert again == (200, made)
    assert (other[0], "take a new id" in other[1]["error"]) == (400, True)
    assert cash == 600


async def test_a_change_is_on_disk_before_long(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    path = tmp_path / state.FILE_NAME
    async with start(tmp_path) as running:
        await trades(running)
        await Rest(session, running.url).order(newClientOrderId="gc-1")
        await until(lambda: path.exists() and b"gc-1" in path.read_bytes(), what="the save")

        stored = state.load(path, INSTRUMENTS)

    assert stored is not None
    assert [b.order.client_order_id for b in stored.venue.orders["production"]] == ["gc-1"]


async def test_a_damaged_file_is_moved_aside_and_no_number_comes_back(
    session: aiohttp.ClientSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / state.FILE_NAME).write_text("{half a fi")

    async with start(tmp_path) as running:
        await trades(running)
        _, order = await Rest(session, running.url).order()

    assert order["orderId"] > 1_700_000_000
    assert [p.name for p in tmp_path.glob("*.damaged-*")]
    assert "damaged" in caplog.text


def snapshot(tmp_path: Path) -> Path:
    exchange = Exchange(listing.load(), clock=ExchangeClock())
    exchange.open_accounts()
    state.save(tmp_path / state.FILE_NAME, exchange)
    return tmp_path / state.FILE_NAME


def test_no_file_is_no_state(tmp_path: Path) -> None:
    assert state.load(tmp_path / state.FILE_NAME, INSTRUMENTS) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 2),
        ("lap", -1),
        ("lap", True),
        ("next_order_id", "7"),
        ("balances", {"micro": {"USDT": ["NaN", "0"]}}),
        ("balances", {"micro": {"USDT": ["-1", "0"]}}),
        ("balances", {"micro": {"USDT": ["1"]}}),
        ("balances", []),
        ("orders", {"micro": [[]]}),
        ("tops", [["DOGEUSDT", 1, 1, 2, 1, 1, 1, 1]]),
        ("seams", [[1]]),
    ],
)
def test_a_defective_field_is_refused(tmp_path: Path, field: str, value: Any) -> None:
    path = snapshot(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))

    with pytest.raises(state.StateError):
        state.load(path, INSTRUMENTS)


@settings(max_examples=200, deadline=None)
@given(cut=st.integers(0, 10_000), at=st.integers(0, 10_000), value=st.integers(0, 255))
def test_any_damage_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, cut: int, at: int, value: int
) -> None:
    path = snapshot(tmp_path_factory.mktemp("fuzz"))
    content = bytearray(path.read_bytes())
    content[at % len(content)] = value
    path.write_bytes(bytes(content[: len(content) - cut % len(content)]))

    try:
        stored = state.load(path, INSTRUMENTS)
    except state.StateError:
        return
    assert stored is not None
    assert all(b.free >= 0 for balances in stored.venue.balances.values() for b in balances.values())

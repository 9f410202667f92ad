"""A backtest over the market store: what was imported is run like any recording, from the command line and the page."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from gridconsole.backtest import main
from trading import backtesting, lab_views, searching
from trading.backtesting import UnableToBacktest, carry_out
from trading.domain.backtest_settings import read
from trading.models import Backtest
from trading.selectors.backtests import sources
from trading.services import backtests, market_store
from trading.services.demo import load_demo
from trading.services.market_store import Wish

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FIRST_MS = 1_723_075_200_000  # 2024-08-08
DATA = "store:trades/binance-spot"
PRICES = [f"{60_000 + 40 * ((n * 7) % 23 - 11):.2f}" for n in range(400)]


@pytest.fixture
def stored(settings: Any, tmp_path: Path) -> None:
    settings.MARKET_STORE_DIR = tmp_path / "market"
    rows = [f"{n},{price},0.00{101 + n % 9},1,{FIRST_MS + n * 1_000},true,true" for n, price in enumerate(PRICES)]
    path = tmp_path / "BTCUSDT-trades-2024-08-08.csv"
    path.write_text("\n".join(rows))
    market_store.import_file(wish=Wish(path, venue="binance-spot"), by="trader", at=AT)


def test_stored_trades_run_like_a_recording(stored: None) -> None:
    done = carry_out(read({"data": DATA, "step": "0.001"}))

    assert done.facts["events"] == len(PRICES)
    assert done.facts["fills"] > 20
    assert done.facts["data"]["name"] == "trades/binance-spot/BTCUSDT"
    assert done.facts["data"]["label"].startswith("stored, not checked")


def test_the_command_reads_the_store(stored: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", DATA, "--step", "0.001", "--json"]) == 0

    assert json.loads(capsys.readouterr().out.splitlines()[-1])["data"]["events"] == len(PRICES)


@pytest.mark.parametrize(
    ("data", "symbol", "said"),
    [
        (DATA, "ETHUSDT", "data: trades/binance-spot/ETHUSDT: nothing is stored"),
        ("store:l2diff/binance-spot", "BTCUSDT", "names no stored series"),
        ("store:bars/binance-spot", "BTCUSDT", "names no stored series"),
        ("store:trades-60s/binance-spot", "BTCUSDT", "names no stored series"),
        ("store:bars-xs/binance-spot", "BTCUSDT", "names no stored series"),
        ("store:trades", "BTCUSDT", "names no stored series"),
    ],
)
def test_what_is_not_stored_is_said(stored: None, data: str, symbol: str, said: str) -> None:
    with pytest.raises(UnableToBacktest, match=said):
        carry_out(read({"data": data, "symbol": symbol}))


def test_the_core_does_not_run_over_the_store(stored: None) -> None:
    with pytest.raises(UnableToBacktest, match="engine: core runs over recordings"):
        carry_out(read({"data": DATA, "engine": "core"}))


def test_the_lab_offers_what_is_stored_and_runs_it(stored: None, client: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(lab_views, "WAIT_S", 0)
    load_demo(at=AT)
    client.force_login(User.objects.get(username="trader"))
    assert [one.name for one in sources()][-1] == f"{DATA}|BTCUSDT"

    shown = client.get("/backtests/preview/", {"source": f"{DATA}|BTCUSDT"}).content.decode()
    client.post("/backtests/run/", {"source": f"{DATA}|BTCUSDT", "step": "0.001"})
    works = backtests.Works(carry_out, searching.carry_out_shared)
    backtests.carry_out_waiting(works, lambda: AT, (backtesting.UnableToBacktest,))

    assert "The run tells." in shown
    run = Backtest.objects.get()
    assert run.state == "DONE"
    assert "trades/binance-spot/BTCUSDT" in client.get(f"/backtests/{run.pk}/").content.decode()

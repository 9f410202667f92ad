"""A backtest in the queues of a stored book: imported, chosen by name or on the page, and refused by field."""

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
from trading.domain.backtest_settings import UnusableSettings, read
from trading.domain.search_plan import read_plan
from trading.models import Backtest
from trading.selectors.backtests import sources
from trading.services import backtests, market_store
from trading.services.demo import load_demo
from trading.services.market_store import Wish

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FIRST_MS = 1_723_075_200_000  # 2024-08-08
DATA = "store:l2/binance-spot"
GRID = {"levels": "6", "step": "0.001", "lot": "100", "mode": "long"}
SNAP = "last_update_id,received,side,price,quantity"
DIFF = "time,first_id,final_id,side,price,quantity"
TRADES = "time,trade_id,price,quantity,is_buyer_maker"


def taken(folder: Path, kind: str, rows: list[str]) -> None:
    path = folder / f"binance-spot_BTCUSDT_20240808_{kind}.csv"
    path.write_text("\n".join(rows))
    market_store.import_file(wish=Wish(path, again=True), by="trader", at=AT)


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.MARKET_STORE_DIR = tmp_path / "market"
    return tmp_path


@pytest.fixture
def book(folder: Path) -> Path:
    """A bid that walks down and up again by 1 % over 400 messages, with a seller and a buyer at each."""
    diff, trades, at = [DIFF], [TRADES], 60_000
    for n in range(400):
        before, at = at, 60_000 - 5 * (n % 200 if n % 400 < 200 else 200 - n % 200)
        ms = FIRST_MS + 1_000 * (n + 1)
        diff += [f"{ms},{101 + n},{101 + n},bid,{before}.00,0", f"{ms},{101 + n},{101 + n},bid,{at}.00,0.5"]
        diff += [f"{ms},{101 + n},{101 + n},ask,{before + 1}.00,0", f"{ms},{101 + n},{101 + n},ask,{at + 1}.00,0.5"]
        trades += [f"{ms + 500},{2 * n + 1},{at}.00,0.0007,true", f"{ms + 501},{2 * n + 2},{at + 1}.00,0.0007,false"]
    taken(folder, "l2snap", [SNAP, f"100,{FIRST_MS},bid,60000.00,0.5", f"100,{FIRST_MS},ask,60001.00,0.5"])
    taken(folder, "l2diff", diff)
    taken(folder, "trades", trades)
    return folder


def test_the_command_runs_a_stored_book_in_its_queues(book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [one for name, value in GRID.items() for one in (f"--{name}", value)]
    page = book / "report.html"

    assert main(["--data", DATA, *arguments, "--queue", "power:3", "--html", str(page), "--json"]) == 0

    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["settings"]["queue"] == "power:3"
    assert told["data"]["name"] == "l2/binance-spot/BTCUSDT"
    assert told["fills"] >= told["round_trips"] > 0
    assert told["refused"] >= 0
    assert any("p = 3." in line for line in told["assumptions"])
    assert "Refused as post-only" in page.read_text()
    assert main(["--data", DATA, *arguments, "--queue", "risk-averse"]) == 0
    assert "orders that would have traded on arrival" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"data": DATA}, "queue: is missing; a book needs risk-averse, log or power:2"),
        ({"data": "store:trades/binance-spot", "queue": "log"}, "queue: needs data that carry the book"),
        ({"data": "ticks", "queue": "log"}, "queue: needs data that carry the book"),
        ({"data": "bars", "queue": "log"}, "queue: needs data that carry the book"),
        ({"data": "store:l2/binance-usdm", "queue": "log"}, "data: l2snap/binance-usdm/BTCUSDT: nothing is stored"),
        ({"data": "store:l2/", "queue": "log"}, "data: 'store:l2/' names no stored series"),
        ({"data": DATA, "queue": "log", "levels": "500"}, "cash: 10000 USDT is"),
    ],
)
def test_what_a_kind_of_data_cannot_carry_is_refused_by_field(book: Path, asked: dict[str, str], said: str) -> None:
    with pytest.raises(UnableToBacktest, match=said):
        carry_out(read(asked))


def test_a_message_that_is_missing_and_clocks_that_differ_are_refused(book: Path) -> None:
    ms = FIRST_MS + 1_000
    taken(
        book, "l2diff", [DIFF, f"{ms},101,101,bid,1.00,1", f"{ms},103,103,bid,1.00,2", f"{ms + 9**8},104,104,bid,1,2"]
    )
    with pytest.raises(UnableToBacktest, match="a message is missing before row 1"):
        carry_out(read({"data": DATA, "queue": "log"}))

    late = DIFF.replace("time", "received")
    taken(book, "l2diff", [late, f"{ms},101,101,bid,1.00,1", f"{ms + 9**8},102,102,bid,1.00,2"])
    with pytest.raises(UnableToBacktest, match=r"different clocks \(received, venue\); import both"):
        carry_out(read({"data": DATA, "queue": "log"}))


@pytest.mark.parametrize("gate", ["0.01", "0.0004"])
def test_a_book_stands_on_one_clock_with_other_data(book: Path, gate: str) -> None:
    own = f"BTCUSDT: data={DATA}, queue=log; ETHUSDT: fill=through, lot=200"
    grid = {"levels": "6", "step": "0.001", "lot": "100", "mode": "long"}

    facts = carry_out(read({"symbol": "BTCUSDT,ETHUSDT", "each": own, "max_drawdown": gate, **grid})).facts

    alone = carry_out(read({"data": DATA, "queue": "log", **grid})).facts
    booked = facts["symbols"][0]
    assert facts["refused"] == booked["refused"]
    assert booked["data"]["name"] == "l2/binance-spot/BTCUSDT"
    assert any("Queue, log" in line for line in facts["assumptions"])
    if gate == "0.01":
        assert booked["fills_sha256"] == alone["fills_sha256"]
        assert [leg["symbol"] for leg in facts["symbols"]] == ["BTCUSDT", "ETHUSDT"]
    else:  # the walk down of the book comes hours before the first tick
        assert facts["ended"] == booked["ended"] == "the drawdown reached its limit"
        assert facts["waited"] == ["ETHUSDT"]
        assert 0 < booked["fills"] < alone["fills"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"queue": "log"}, "queue: is not searched"), ({"symbol": "BTCUSDT,ETHUSDT"}, "symbol: is one in a search")],
)
def test_a_search_does_not_pretend_to_follow_a_queue_or_a_purse(asked: dict[str, str], said: str) -> None:
    with pytest.raises(UnusableSettings, match=said):
        read_plan({"vary": {"levels": "4..8 by 2"}, "method": "grid"}, read(asked))


def test_the_lab_offers_a_whole_book_and_runs_it_in_the_queue_chosen(
    book: Path, client: Client, monkeypatch: Any
) -> None:
    monkeypatch.setattr(lab_views, "WAIT_S", 0)
    load_demo(at=AT)
    client.force_login(User.objects.get(username="trader"))
    source = f"{DATA}|BTCUSDT"
    assert source in [one.name for one in sources()]
    assert "needs a queue" in client.get("/backtests/").content.decode()

    refused = client.post("/backtests/run/", {"source": source, **GRID})
    assert "<b>queue</b>: is missing; a book needs risk-averse" in refused.content.decode()
    client.post("/backtests/run/", {"source": source, "queue": "log", **GRID})
    works = backtests.Works(carry_out, searching.carry_out_shared)
    backtests.carry_out_waiting(works, lambda: AT, (backtesting.UnableToBacktest,))

    run = Backtest.objects.get()
    assert (run.state, run.why) == ("DONE", "")
    page = client.get(f"/backtests/{run.pk}/").content.decode()
    assert "l2/binance-spot/BTCUSDT" in page
    assert "<span>Queue</span>" in page
    assert "Refused as post-only" in page
    again = client.get("/backtests/", {"data": DATA, "symbol": "BTCUSDT", "queue": "power:3.5"}).content.decode()
    assert "<option selected>power:3.5</option>" in again


def test_a_book_without_its_trades_is_not_offered(folder: Path) -> None:
    taken(folder, "l2snap", [SNAP, f"100,{FIRST_MS},bid,60000.00,0.5"])
    taken(folder, "l2diff", [DIFF, f"{FIRST_MS},101,101,bid,60000.00,0"])

    assert not any(one.data.startswith("store:l2") for one in sources())

"""The watchdog: it cancels when the console's heart stops or the latch is set, and only then."""

import json
from pathlib import Path

import pytest

from tests.contracts.conftest import ACCOUNT, BID, SYMBOL, instruments
from trading.adapters.cancel_http import CancelClient, UnableToCancel
from trading.adapters.keys_paper import paper_key
from trading.runtime.watchdog import Sight, Vigil, read_accounts, read_beat
from trading.simulator.replay import BOOK, Row, RowRecording
from trading.simulator.server import running_exchange

ACCOUNTS = {"micro": ["BTCUSDT"], "production": ["BTCUSDT", "ETHUSDT"]}
NOBODY: frozenset[str] = frozenset()


def test_a_console_that_never_ran_is_not_missed() -> None:
    vigil = Vigil()

    assert vigil.duties(Sight(10_000, None, NOBODY), ACCOUNTS) == {}
    assert vigil.duties(Sight(20_000, 1_000, NOBODY), ACCOUNTS) == {}


@pytest.mark.parametrize(("silent_ms", "cancels"), [(3_000, False), (3_001, True)])
def test_a_heartbeat_may_be_three_seconds_old_and_no_older(silent_ms: int, cancels: bool) -> None:
    vigil = Vigil()
    vigil.duties(Sight(10_000, 10_000, NOBODY), ACCOUNTS)

    assert bool(vigil.duties(Sight(10_000 + silent_ms, 10_000, NOBODY), ACCOUNTS)) is cancels


def test_a_heartbeat_file_that_vanishes_counts_as_silence() -> None:
    vigil = Vigil()
    vigil.duties(Sight(10_000, 10_000, NOBODY), ACCOUNTS)

    assert list(vigil.duties(Sight(10_001, None, NOBODY), ACCOUNTS)) == list(ACCOUNTS)


def test_the_latch_concerns_its_scope_after_a_moment_for_the_loop_itself() -> None:
    vigil, latched = Vigil(), frozenset({"micro"})

    assert vigil.duties(Sight(10_000, 10_000, latched), ACCOUNTS) == {}
    assert list(vigil.duties(Sight(11_000, 11_000, latched), ACCOUNTS)) == ["micro"]
    assert list(vigil.duties(Sight(12_000, 12_000, frozenset({"*"})), ACCOUNTS)) == list(ACCOUNTS)
    assert vigil.duties(Sight(13_000, 13_000, NOBODY), ACCOUNTS) == {}


@pytest.mark.parametrize(
    ("latched", "missed", "canceled"),
    [
        ("*/ETHUSDT", False, {"production": ("ETHUSDT",)}),
        ("production/BTCUSDT", False, {"production": ("BTCUSDT",)}),
        ("production/XRPUSDT", False, {}),
        ("production", False, {"production": ("BTCUSDT", "ETHUSDT")}),
        ("a/b/c", False, {"micro": ("BTCUSDT",), "production": ("BTCUSDT", "ETHUSDT")}),
        ("production/BTCUSDT", True, {"micro": ("BTCUSDT",), "production": ("BTCUSDT", "ETHUSDT")}),
    ],
    ids=["a symbol everywhere", "one grid", "not traded", "one account", "no scope: everything", "silence: everything"],
)
def test_only_what_is_latched_is_canceled(latched: str, missed: bool, canceled: dict[str, tuple[str, ...]]) -> None:
    vigil = Vigil()
    vigil.duties(Sight(10_000, 10_000, frozenset({latched})), ACCOUNTS)

    duties = vigil.duties(Sight(14_000, 10_000 if missed else 14_000, frozenset({latched})), ACCOUNTS)

    assert {account: duty.symbols for account, duty in duties.items()} == canceled


@pytest.mark.parametrize("text", ["", "x", "-5", "1.5", "\uff11", "9" * 40])
def test_a_heartbeat_that_is_no_number_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "heartbeat").write_text(text)

    assert read_beat(tmp_path / "heartbeat") is None
    assert read_beat(tmp_path / "absent") is None


@pytest.mark.parametrize("text", ["", "5", "[]", '{"micro": 5}'])
def test_accounts_that_cannot_be_read_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "watched.json").write_text(text)

    assert read_accounts(tmp_path / "watched.json") == {}


async def test_the_cancel_key_cancels_reads_and_cannot_trade() -> None:
    import asyncio

    from tests.contracts.test_venue import order
    from trading.adapters.venue_ccxt import BinanceVenue
    from trading.ports import KeyRevoked

    recording = RowRecording("still", (SYMBOL,), (Row(1_700_000_000_000_000_000, 0, BOOK, BID, 1_000, BID + 1, 1_000),))
    async with running_exchange(recording=recording, lockstep=True) as running:
        running.player.step()
        trade_key, trade_secret = paper_key(ACCOUNT, "trade")
        desk = BinanceVenue(running.url, account=ACCOUNT, key=trade_key, secret=trade_secret, instruments=instruments())
        for number in (1, 2):
            await desk.submit(order(number, price_ticks=BID - number))
        key, secret = paper_key(ACCOUNT, "cancel")
        client = CancelClient(running.url, key=key, secret=secret)
        outsider = BinanceVenue(running.url, account=ACCOUNT, key=key, secret=secret, instruments=instruments())

        assert await asyncio.to_thread(client.open_orders, SYMBOL) == 2
        assert await asyncio.to_thread(client.cancel_all, SYMBOL) == 2
        assert await asyncio.to_thread(client.cancel_all, SYMBOL) == 0
        with pytest.raises(KeyRevoked):
            await outsider.submit(order(3, price_ticks=BID - 3))
        await desk.close()
        await outsider.close()


def test_a_venue_that_does_not_answer_is_said_and_not_taken_for_success() -> None:
    client = CancelClient("http://127.0.0.1:1", key="k", secret="s")

    with pytest.raises(UnableToCancel, match="no usable answer"):
        client.cancel_all(SYMBOL)


def test_what_it_did_is_left_in_a_file(tmp_path: Path) -> None:
    from trading.management.commands.watchdog import Watchdog

    (tmp_path / "watched.json").write_text(json.dumps({"micro": ["BTCUSDT"]}))
    (tmp_path / "heartbeat").write_text("1000")
    watchdog = Watchdog(data_dir=tmp_path, latch=tmp_path / "halt.latch", url="http://127.0.0.1:1")

    watchdog.step(now_ms=1_500)
    watchdog.step(now_ms=9_000)

    said = json.loads((tmp_path / "watchdog.json").read_text())
    assert said["reasons"] == {"micro": "the heartbeat of the risk loop stopped"}
    assert said["clear"] == []

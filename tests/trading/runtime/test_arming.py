"""No order of an account beyond PAPER leaves a process unless two people armed it for exactly that process' build."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.trading.runtime.desk import Console, Lease, fills, halt_of, orders
from trading.adapters.keys_paper import paper_key
from trading.domain.limits import ExecutionStyle
from trading.domain.modes import Mode
from trading.domain.restrictions import KeyPurpose
from trading.models import Account, Mandate, Order
from trading.ports import NotArmed
from trading.runtime.build import digest
from trading.runtime.host import Hosted
from trading.services import armings, mandates, venue_keys

RunConsole = Callable[..., AbstractAsyncContextManager[Console]]
pytestmark = pytest.mark.django_db(transaction=True)
LIVE = "microlive"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def rehearsal(settings: Settings, tmp_path: Path) -> Settings:
    """The simulated exchange stands in for the venue."""
    settings.SIMULATOR_STANDS_IN = True
    settings.DATA_DIR = tmp_path
    return settings


def prepared(mode: Mode = Mode.LIVE) -> Account:
    """Return the account of the micro desk for this mode, with its keys and the mandate of its first phase."""
    paper = Account.objects.get(slug="micro")
    live = armings.prepare(paper=paper, mode=mode, by="lead", at=NOW)
    for purpose in KeyPurpose:
        key, secret = paper_key("micro", purpose)
        venue_keys.add(account=live, purpose=purpose, label=purpose, key=key, secret=secret, by="cto", at=NOW)
    styles = frozenset({ExecutionStyle.TAKER})
    in_force = Mandate.objects.get(account=paper).limits
    limits = replace(in_force, symbols=frozenset({"BTCUSDT"}), execution_styles=styles)
    terms = mandates.Terms(limits=limits, symbols=("BTCUSDT",))
    mandates.put_into_force(account=live, terms=terms, by="lead + cto", at=NOW)
    return live


def armed(build: str = "", mode: Mode = Mode.LIVE) -> Account:
    """Return the account for this mode, armed for this build or another."""
    live = prepared(mode)
    armings.arm(account=live, build=build or digest(), phase="4.0", digest="d" * 64, by="lead + cto", at=NOW)
    return live


def left(slug: str) -> list[Order]:
    """Return the orders that the venue has seen."""
    return [order for order in orders(slug) if order.venue_order_id]


async def test_an_account_that_nobody_armed_has_no_loop(console: RunConsole, rehearsal: Settings) -> None:
    async with console() as running:
        await running.rows(prepared)

        with pytest.raises(NotArmed, match="microlive: LIVE was never armed: two people arm it"):
            await running.start(LIVE)


async def test_a_host_that_is_refused_says_so_once_and_holds_nobody_up(
    console: RunConsole, rehearsal: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trading.runtime.host.WITHHELD_S", 0.01)
    async with console() as running:
        await running.rows(prepared)
        hosted = running.world._hosted_execution(LIVE)
        with caplog.at_level(logging.WARNING, "trading.runtime.host"):
            task = asyncio.create_task(hosted.forever())
            await running.until(lambda: hosted.withheld)
            await asyncio.sleep(0.2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    assert caplog.text.count("REFUSED to start: microlive: LIVE was never armed") == 1
    assert isinstance(hosted, Hosted)
    assert not hosted.is_alive


async def test_without_a_rehearsal_a_live_account_never_meets_the_simulated_exchange(
    console: RunConsole, settings: Settings
) -> None:
    async with console() as running:
        await running.rows(armed)

        with pytest.raises(NotArmed, match="trades at the simulated exchange: start it with GRIDCONSOLE_VENUE=live"):
            await running.start(LIVE)


async def test_a_paper_account_has_no_loop_where_real_money_trades(console: RunConsole, settings: Settings) -> None:
    settings.VENUE, settings.VENUE_URL = "live", "https://api.binance.com"
    async with console() as running:
        with pytest.raises(NotArmed, match=r"trades at https://api\.binance\.com, where no PAPER account trades"):
            await running.world.make_execution("micro", Lease(1))


async def test_an_armed_account_trades_under_ids_that_say_live(
    console: RunConsole, rehearsal: Settings, tmp_path: Path
) -> None:
    async with console() as running:
        await running.rows(armed)
        rehearsal.VENUE_URL = running.exchange.url
        await running.start(LIVE)
        await running.dip(LIVE)

        await running.until(lambda: fills(LIVE))

        assert {order.client_order_id[:13] for order in await running.rows(lambda: left(LIVE))} == {"gl-microlive-"}
    assert "microlive" in (tmp_path / "watched.json").read_text()
    assert paper_key("micro", "cancel")[1] not in (tmp_path / "cancel-keys.json").read_text()


async def test_disarming_halts_and_lets_nothing_leave_any_more(console: RunConsole, rehearsal: Settings) -> None:
    async with console() as running:
        live = await running.rows(armed)
        await running.start(LIVE)
        await running.ready(LIVE)

        await running.rows(lambda: armings.disarm(account=live, by="trader", why="the desk looks odd", at=NOW))
        await running.until(lambda: (halt := halt_of(LIVE)) and halt.stage == "PROVEN_CLEAR")
        before = await running.rows(lambda: len(left(LIVE)))
        await running.dip(LIVE)
        await asyncio.sleep(1.5)

        assert "arming" in running.loops[LIVE]._obstacles
        assert await running.rows(lambda: len(left(LIVE))) == before
        assert running.at_venue("micro") == []


async def test_an_arming_lapses_with_another_build_and_its_loop_only_cancels(
    console: RunConsole, rehearsal: Settings
) -> None:
    async with console() as running:
        await running.rows(lambda: armed("0ld00000-c0nf1g00"))
        loop = await running.start(LIVE)
        await running.until(lambda: (halt := halt_of(LIVE)) and halt.stage == "PROVEN_CLEAR")

        halt = await running.rows(lambda: halt_of(LIVE))

        assert halt is not None
        assert "armed for code and configuration 0ld00000-c0nf1g00" in halt.reason
        assert loop._may_send() is False
        assert await running.rows(lambda: left(LIVE)) == []

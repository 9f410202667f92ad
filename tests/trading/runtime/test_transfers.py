"""Capital that rises is paid in at the simulated venue, once, whatever ends in between; nobody takes it for profit."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from tests.trading.runtime.desk import WITHIN_S, Console, fills
from tests.trading.runtime.test_arming import armed
from trading.adapters.transfers_paper import PaperTransfers
from trading.domain.limits import TradingState
from trading.domain.modes import Mode
from trading.models import Account, Alert, CapitalTransfer, CashFlow, Halt, Mandate, Reconciliation
from trading.ports import FateUnknown
from trading.selectors.transfers import Due, due
from trading.services import mandates, transfers

Run = Callable[..., AbstractAsyncContextManager[Console]]
FIRST = "gcf-micro-2"


@pytest.fixture
def rehearsal(settings: Settings, tmp_path: Path) -> Settings:
    """The simulated exchange stands in for the venue."""
    settings.SIMULATOR_STANDS_IN = True
    settings.DATA_DIR = tmp_path
    return settings


def put_into_force(capital: int, slug: str = "micro") -> None:
    """Put the terms in force that stand, with another capital."""
    before = Mandate.objects.filter(account__slug=slug).latest("version")
    limits = replace(before.limits, capital_quote=Decimal(capital))
    terms = mandates.Terms(limits=limits, symbols=tuple(before.symbols))
    mandates.put_into_force(account=before.account, terms=terms, by="cto", at=datetime.now(UTC))


async def step(made: Console, capital: int, slug: str = "micro") -> None:
    """Put other capital in force; the lots of the grids change with it, so the loop starts anew, as under its host."""
    await made.rows(lambda: put_into_force(capital, slug))
    async with asyncio.timeout(WITHIN_S):
        await made.tasks.pop(slug)
    await made.loops.pop(slug).close()
    await made.start(slug)


def at_venue(made: Console) -> Decimal:
    return made.exchange.exchange.venue.balances("micro")["USDT"].total


def agreed_since(flow: CashFlow) -> bool:
    return Reconciliation.objects.filter(account=flow.account_id, is_clean=True, at__gt=flow.booked_at).exists()


async def settled(made: Console, count: int) -> CashFlow:
    """Wait until so many transfers are booked and our books agree with the venue's afterwards."""
    await made.until(lambda: CashFlow.objects.count() == count)
    flow: CashFlow = await made.rows(lambda: CashFlow.objects.select_related("transfer").last())
    await made.until(lambda: agreed_since(flow))
    return flow


def nothing_alarmed() -> bool:
    return not Halt.objects.exists() and not Alert.objects.filter(severity="CRIT").exists()


async def test_capital_that_rises_is_paid_in_and_no_profit(console: Run) -> None:
    async with console() as made:
        await made.start("micro")
        await made.dip("micro")
        await made.until(lambda: fills("micro"))

        await step(made, 600)
        flow = await settled(made, 1)

        view = made.loops["micro"]._p.trader.view(time.time_ns())
        assert (flow.transfer.flow_id, flow.amount_quote) == (FIRST, Decimal(300))
        assert view.funding.paid_in_quote == 300
        assert view.equity_quote == 600 + view.pnl_day_quote
        assert abs(view.pnl_day_quote) < 1
        assert view.daily_drawdown_fraction < Decimal("0.01")
        assert await made.rows(nothing_alarmed)


async def test_capital_that_falls_takes_out_what_is_free_and_sells_nothing(console: Run) -> None:
    async with console() as made:
        await made.start("micro")
        await made.ready("micro")
        await step(made, 600)
        await settled(made, 1)

        await step(made, 450)
        flow = await settled(made, 2)

        assert flow.amount_quote == -150
        assert at_venue(made) == 450
        assert await made.rows(nothing_alarmed)


async def test_a_transfer_that_was_made_when_the_process_ended_is_booked_once(console: Run) -> None:
    async with console() as made:
        await made.start("micro")
        await made.ready("micro")
        await made.stop("micro")
        await made.rows(lambda: put_into_force(600))
        made.exchange.exchange.transfer("micro", FIRST, "USDT", Decimal(300))  # the last it did: asked, and no word

        await made.start("micro")
        flow = await settled(made, 1)
        await made.stop("micro")
        await made.start("micro")
        await made.until(lambda: agreed_since(flow))

        assert at_venue(made) == 600
        assert await made.rows(nothing_alarmed)
        assert made.state("micro") is TradingState.ACTIVE
        assert await made.rows(CashFlow.objects.count) == 1


async def test_a_transfer_that_failed_is_asked_again_under_the_same_id(console: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr("trading.runtime.execution.TRANSFER_AGAIN_S", 0.05)
    asked: list[str] = []
    real = PaperTransfers.move

    async def move(self: PaperTransfers, flow_id: str, amount_quote: Decimal) -> None:
        asked.append(flow_id)
        if len(asked) == 1:
            raise FateUnknown("no answer")
        await real(self, flow_id, amount_quote)
        if len(asked) == 2:
            raise FateUnknown("no answer")

    monkeypatch.setattr(PaperTransfers, "move", move)
    async with console() as made:
        await made.start("micro")
        await made.ready("micro")
        await step(made, 600)
        await settled(made, 1)

        assert set(asked) == {FIRST}
        assert len(asked) >= 2
        assert at_venue(made) == 600
        assert await made.rows(nothing_alarmed)
        assert await made.rows(CapitalTransfer.objects.count) == 1


async def test_a_deposit_in_parts_is_booked_part_by_part_beyond_paper_and_halts_nothing(
    console: Run, rehearsal: Settings
) -> None:
    async with console() as made:
        testnet = await made.rows(lambda: armed(mode=Mode.TESTNET))
        slug = testnet.slug
        await made.start(slug)
        await made.ready(slug)
        await step(made, 600, slug)
        person = PaperTransfers(made.exchange.url, account="micro", quote="USDT")  # whose keys the account trades with
        try:
            for number, (part, left) in enumerate((("120.5", "179.5"), ("179.5", "")), start=1):
                await person.move(f"by-hand-{number}", Decimal(part))
                line = await made.until(partial(seen, testnet, part))
                assert (line.amount, line.missing) == (part, left or "0")
                word = {"account": testnet, "transfer_id": line.id, "moved_quote": Decimal(part), "by": "cto"}
                await made.rows(partial(transfers.confirm, **word, at=datetime.now(UTC)))
                flow = await settled(made, number)
                assert flow.amount_quote == Decimal(part)
        finally:
            await person.close()

        view = made.loops[slug]._p.trader.view(time.time_ns())
        assert (view.funding.paid_in_quote, view.pnl_day_quote) == (Decimal(300), Decimal(0))
        assert await made.rows(lambda: due(testnet, datetime.now(UTC))) == []
        assert await made.rows(nothing_alarmed)
        await made.dip(slug)
        await made.until(lambda: fills(slug))


def seen(account: Account, amount: str) -> Due | None:
    """Return the line of the page once the venue is seen to hold this amount of the transfer."""
    return next((line for line in due(account, datetime.now(UTC)) if line.seen == amount), None)

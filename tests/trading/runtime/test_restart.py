"""A desk that starts again: what its journal knows, it does not ask the venue for."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.trading.domain.hand import Hand
from tests.trading.runtime.desk import Console, fills, orders
from trading.adapters.binance_ccxt import Binance
from trading.bootstrap import _known_ids
from trading.domain.desk import NeverRan
from trading.domain.orders import OrderStatus
from trading.models import Grid, GridInForce, Reconciliation
from trading.services import grids

EDITED_AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
Run = Callable[..., AbstractAsyncContextManager[Console]]


async def test_the_first_reading_after_a_restart_asks_for_no_order_behind_a_fill(
    console: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_venue_id: list[Any] = []
    real: Callable[..., Any] = Binance.call

    async def call(self: Binance, method: str, path: str, parameters: Any = None, **options: Any) -> Any:
        if method == "GET" and path == "order" and "orderId" in parameters:
            by_venue_id.append(parameters)
        return await real(self, method, path, parameters, **options)

    monkeypatch.setattr(Binance, "call", call)
    async with console() as made:
        await made.start("micro")
        await made.dip("micro")
        await made.until(lambda: orders("micro", status=OrderStatus.FILLED))
        await made.stop("micro")
        read_at = await made.rows(read_last)

        await made.start("micro")
        await made.until(lambda: read_last() > read_at)

        assert await made.rows(lambda: fills("micro"))
    assert by_venue_id == []


async def test_a_desk_says_from_its_start_on_which_grids_it_runs(console: Run) -> None:
    async with console() as made:
        await made.start("micro")
        await made.stop("micro")
        await made.rows(widen)
        started_at = datetime.now(UTC)
        await made.start("micro")

        (newest, first) = await made.rows(lambda: list(GridInForce.objects.filter(account__slug="micro")))

    assert (first.cause, newest.cause) == ("start", "edit")
    assert first.since < started_at <= newest.since
    assert newest.edited_at == EDITED_AT


def widen() -> None:
    """Save another grid, as a person does."""
    grid = Grid.objects.get(account__slug="micro")
    grids.write(grid, replace(grid.chosen, step_fraction=Decimal("0.004")), EDITED_AT)


def read_last() -> datetime:
    """When the venue was last read and found to agree."""
    return Reconciliation.objects.filter(is_clean=True).latest("at").at


def test_only_orders_that_reached_the_venue_are_known_to_it() -> None:
    hand = Hand()
    answered = hand.hold(2)
    (unanswered,) = hand.top_and_sent(hand.level(1) - 1)

    known = _known_ids(hand.journal.state())

    assert known == {(answered.symbol, f"v{answered.client_order_id}"): answered.client_order_id}
    assert unanswered.client_order_id in hand.journal.orders
    assert _known_ids(NeverRan()) == {}

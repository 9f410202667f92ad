"""What a playbook takes from a desk that really runs: in force within a second, over restarts, until it is undone."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import DatabaseError, transaction

from tests.trading.runtime.desk import Console, Lease, fills, orders
from trading.domain.limits import ExecutionStyle
from trading.domain.orders import OrderStatus
from trading.domain.throttle import NO_THROTTLE, Act, Throttle
from trading.models import Account, AuditEvent, ConductOverride, Grid, Mandate
from trading.services import conduct, mandates
from trading.services.conduct import UnableToOverride, Why

Run = Callable[..., AbstractAsyncContextManager[Console]]
WHY = Why("trader", "latency is up", incident=7)
WITHIN_S = 1.5  # a second, and the time a loaded machine takes to ask


def desk(slug: str = "production") -> Account:
    return Account.objects.get(slug=slug)


def apply(act: Act, factor: str, slug: str = "production", why: Why = WHY) -> ConductOverride:
    return conduct.apply(account=desk(slug), act=act, factor=Decimal(factor), why=why, at=datetime.now(UTC))


def throttle(made: Console, slug: str = "production") -> Throttle:
    return made.loops[slug]._p.trader._core.throttle


async def test_smaller_lots_replace_what_rests_within_a_second_survive_a_restart_and_are_undone(console: Run) -> None:
    async with console() as made:
        await made.start("production")
        await made.until(lambda: len(orders("production", status=OrderStatus.ACCEPTED)) >= 5)
        whole = max(order.quantity_lots for order in await made.rows(lambda: orders("production")))

        row = await made.rows(lambda: apply(Act.LOT_SIZE, "0.5"))
        await made.until(lambda: throttle(made).lot_factor == Decimal("0.5"), within_s=WITHIN_S)
        await made.until(
            lambda: (rest := orders("production", status=OrderStatus.ACCEPTED)) and len(rest) >= 5
            and max(order.quantity_lots for order in rest) <= whole // 2
        )  # fmt: skip
        await made.stop("production")

        await made.start("production")
        assert throttle(made).lot_factor == Decimal("0.5")
        await made.rows(lambda: conduct.undo(override_id=row.pk, by="trader", at=datetime.now(UTC)))
        await made.until(lambda: throttle(made) == NO_THROTTLE, within_s=WITHIN_S)

        trail = await made.rows(lambda: list(AuditEvent.objects.filter(action__startswith="conduct.").order_by("id")))
        assert [(event.actor, event.action) for event in trail] == [
            ("trader", "conduct.applied"), ("trader", "conduct.undone")
        ]  # fmt: skip


async def test_half_of_the_pace_is_left_and_what_is_beyond_it_is_denied(console: Run) -> None:
    async with console() as made:
        row = await made.rows(lambda: apply(Act.ORDERS_PER_MINUTE, "0.5"))
        await made.start("production")
        await made.until(lambda: orders("production", status=OrderStatus.DENIED))

        stored = await made.rows(lambda: orders("production"))
        assert row.limit == 1
        assert len([order for order in stored if order.status != OrderStatus.DENIED]) == 1
        assert {order.reason[:5] for order in stored if order.status == OrderStatus.DENIED} == {"PACE:"}


async def test_an_answer_is_waited_for_as_long_as_mandate_and_playbook_say(console: Run) -> None:
    async with console() as made:
        loop = await made.start("production")
        exchange = loop._p.venue._exchange  # type: ignore[attr-defined]  # what ccxt itself goes by
        assert exchange.timeout == 7_000

        await made.rows(lambda: apply(Act.ORDER_TIMEOUT, "1.2"))
        await made.until(lambda: exchange.timeout == 8_400, within_s=WITHIN_S)
        await made.rows(lambda: apply(Act.ORDER_TIMEOUT, "2", why=Why("trader", "still", incident=8)))
        await made.until(lambda: exchange.timeout == 10_000, within_s=WITHIN_S)


async def test_at_market_nothing_rests_any_more(console: Run) -> None:
    async with console() as made:
        await made.rows(lambda: _allow(ExecutionStyle.MAKER, ExecutionStyle.TAKER))
        await made.start("production")
        await made.until(lambda: len(orders("production", status=OrderStatus.ACCEPTED)) >= 5)

        await made.rows(lambda: apply(Act.MARKET_ONLY, "1"))
        await made.until(lambda: not made.at_venue("production"))

        assert made.loops["production"].failure is None


async def test_a_loop_whose_grids_changed_ends_so_that_its_host_starts_it_with_the_new_ones(console: Run) -> None:
    async with console() as made:
        await made.start("micro")
        await made.ready("micro")
        task = made.tasks.pop("micro")
        await made.rows(_step_up)
        await task
        await made.loops.pop("micro").close()

        loop = await made.start("micro")
        await made.until(lambda: loop._p.trader._core.books["BTCUSDT"].market.top)  # before the price moves
        await made.dip("micro")
        (fill, *_) = await made.until(lambda: fills("micro"))
        assert fill.price * fill.quantity > 6, "a lot of the new size"


async def test_the_market_data_loop_ends_when_the_desks_trade_other_symbols(console: Run) -> None:
    async with console() as made:
        feed = await made.world.make_market_data(Lease(2))
        task = asyncio.create_task(feed.run())
        await made.until(lambda: made.ticks > 5)
        assert not task.done()

        await made.rows(lambda: Grid.objects.filter(account__slug="micro").update(symbol="ETHUSDT"))
        await made.rows(lambda: Grid.objects.filter(account__slug="production").delete())
        async with asyncio.timeout(15):
            await task
        await feed.close()


def _allow(*styles: ExecutionStyle) -> None:
    Mandate.objects.update(execution_styles=list(styles))


def _step_up() -> None:
    """Put the terms in force that stand, with twice the capital."""
    before = Mandate.objects.get(account__slug="micro")
    styles = frozenset({ExecutionStyle.TAKER})
    limits = replace(before.limits, capital_quote=2 * before.capital_quote, execution_styles=styles)
    terms = mandates.Terms(limits=limits, symbols=tuple(before.symbols))
    mandates.put_into_force(account=before.account, terms=terms, by="cto", at=datetime.now(UTC))


# --- the service ----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("act", "factor", "refusal"),
    [
        (Act.LOT_SIZE, "1.5", "may only tighten"),
        (Act.DECISION_INTERVAL, "0.5", "may only tighten"),
        (Act.ORDERS_PER_MINUTE, "NaN", "may only tighten"),
        (Act.MARKET_ONLY, "1", "does not allow MARKET"),
    ],
)
def test_what_would_loosen_is_refused_and_leaves_nothing(act: Act, factor: str, refusal: str) -> None:
    Account.objects.create(slug="production", name="Production")

    with pytest.raises(UnableToOverride, match=refusal):
        apply(act, factor)
    assert not ConductOverride.objects.exists()


@pytest.mark.django_db
def test_an_override_is_applied_once_for_an_incident_undone_once_and_otherwise_never_changed() -> None:
    Account.objects.create(slug="production", name="Production")
    row = apply(Act.LOT_SIZE, "0.5")

    with pytest.raises(UnableToOverride, match="in force already"):
        apply(Act.LOT_SIZE, "0.5")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        ConductOverride.objects.update(factor=1)
    conduct.undo(override_id=row.pk, by="trader", at=datetime.now(UTC))
    with pytest.raises(UnableToOverride, match="undone already"):
        conduct.undo(override_id=row.pk, by="trader", at=datetime.now(UTC))
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        ConductOverride.objects.filter(pk=row.pk).update(undone_by="nobody")
    apply(Act.LOT_SIZE, "0.5")

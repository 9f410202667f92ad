"""The execution loop of a real desk, at a real exchange, with a real database."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import connection
from psycopg.errors import AdminShutdown, DiskFull

from tests.trading.runtime.desk import DIP, PRICE, Console, fills, halt_of, orders
from trading.domain.advice import GridAdvice
from trading.domain.drills import Drill
from trading.domain.events import AdviceChanged
from trading.domain.limits import TradingState
from trading.domain.orders import OrderStatus, OrderType, Side
from trading.domain.venue_orders import NewOrder
from trading.models import Account, Alert, AuditEvent, ForeignOrderDecision, Halt, Reconciliation, VenueReading
from trading.runtime.topics import ADVICE
from trading.selectors import recovery
from trading.selectors.drills import lines as drill_lines
from trading.services import drills, foreign_orders, halts
from trading.services.journal import moment
from trading.simulator.frames import text_frame

Run = Callable[..., AbstractAsyncContextManager[Console]]


async def test_a_taker_desk_buys_when_the_price_crosses_a_level(console: Run) -> None:
    async with console() as made:
        await made.start("micro")
        await made.dip("micro")

        (fill, *_) = await made.until(lambda: fills("micro"))

        stored = await made.rows(lambda: orders("micro"))
        assert stored[0].status == OrderStatus.FILLED
        assert fill.order_id == stored[0].pk
        assert stored[0].client_order_id == "gc-micro-1-1"
        assert made.exchange.exchange.venue.fills("micro", "BTCUSDT")[0].trade_id == fill.trade_id


async def test_a_maker_desk_rests_its_ladder_and_the_books_agree(console: Run) -> None:
    async with console() as made:
        await made.start("production")

        clean = await made.until(lambda: Reconciliation.objects.filter(is_clean=True, venue_open__gte=5).first())
        resting = await made.rows(lambda: orders("production", status=OrderStatus.ACCEPTED))

        assert {o.client_order_id for o in resting} == set(made.at_venue("production"))
        assert clean.discrepancies == []


async def test_what_a_model_asks_comes_over_the_bus_and_is_kept_in_the_trail(console: Run) -> None:
    async with console() as made:
        await made.start("production")
        await made.until(lambda: len(orders("production", status=OrderStatus.ACCEPTED)) >= 5)
        now_ns = time.time_ns()
        asked = GridAdvice("BTCUSDT", "ab" * 32, now_ns, now_ns + 60_000_000_000, pause_buys=True)

        await made.world.bus.publish(ADVICE, AdviceChanged("BTCUSDT", asked))
        await made.until(lambda: not orders("production", status=OrderStatus.ACCEPTED))
        await made.world.bus.publish(ADVICE, AdviceChanged("BTCUSDT", None))
        await made.until(lambda: len(orders("production", status=OrderStatus.ACCEPTED)) >= 5)

        kept = await made.rows(
            lambda: [
                row.payload["advice"] for row in AuditEvent.objects.order_by("sequence") if "advice" in row.payload
            ]
        )
        assert [(said["symbol"], said.get("asks")) for (said,) in kept] == [
            ("BTCUSDT", "buy nothing"), ("BTCUSDT", None)
        ]  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_response"},
        {"kind": "garbage"},
        {"kind": "truncated"},
        {"kind": "error", "status": 500, "executed": True},
        {"kind": "error", "status": 504, "code": -1007, "executed": True},
        {"kind": "empty", "executed": True},
        {"kind": "html", "executed": True},
    ],
    ids=lambda f: f"{f['kind']} {f.get('status', '')} {f.get('code', '')}",
)
async def test_an_order_of_unknown_fate_is_proven_and_filled_exactly_once(
    console: Run, fault: dict[str, object]
) -> None:
    async with console() as made:
        made.fault(target="POST /api/v3/order", **fault)
        await made.start("micro")
        await made.dip("micro")

        await made.until(lambda: orders("micro", status=OrderStatus.FILLED))

        venue_fills = made.exchange.exchange.venue.fills("micro", "BTCUSDT")
        booked = await made.rows(lambda: fills("micro"))
        assert [f.trade_id for f in booked] == [f.trade_id for f in venue_fills]
        assert [f.client_order_id for f in venue_fills] == ["gc-micro-1-1"]


async def test_a_request_that_is_lost_leaves_no_order_and_is_not_sent_again(console: Run) -> None:
    async with console() as made:
        made.fault(target="POST /api/v3/order", kind="drop_request", count=1)
        await made.start("micro")
        await made.dip("micro")

        unknown = await made.until(lambda: orders("micro", status=OrderStatus.UNKNOWN))

        assert made.exchange.exchange.venue.fills("micro", "BTCUSDT") == []
        assert [o.client_order_id for o in unknown] == ["gc-micro-1-1"]


async def test_a_refused_order_is_rejected_and_said(console: Run) -> None:
    async with console() as made:
        made.fault(target="POST /api/v3/order", kind="error", status=400, code=-2010, message="no money")
        await made.start("micro")
        await made.dip("micro")

        (rejected, *_) = await made.until(lambda: orders("micro", status=OrderStatus.REJECTED))

        assert "-2010" in rejected.reason or "no money" in rejected.reason


async def test_a_revoked_key_halts_the_desk(console: Run) -> None:
    async with console() as made:
        made.fault(
            target="POST /api/v3/order", kind="error", status=401, code=-2015, message="Invalid API-key", count=0
        )
        await made.start("micro")
        await made.dip("micro")

        halt = await made.until(lambda: halt_of("micro"))

        assert "key" in halt.reason


async def test_the_account_stream_may_repeat_and_shuffle_without_a_second_fill(console: Run) -> None:
    async with console() as made:
        made.exchange.exchange.users.twice = True
        made.exchange.exchange.users.swapped = True
        await made.start("micro")
        await made.start("production")
        await made.ready("production")
        await made.dip("micro")

        await made.until(lambda: fills("micro") and fills("production"))

        for slug in ("micro", "production"):
            venue = {f.trade_id for f in made.exchange.exchange.venue.fills(slug, "BTCUSDT")}
            booked = [f.trade_id for f in await made.rows(partial(fills, slug))]
            assert len(booked) == len(set(booked))
            assert set(booked) <= venue


async def test_a_fill_that_the_stream_lost_is_read_back(console: Run) -> None:
    async with console() as made:
        made.exchange.exchange.users.silent = True
        await made.start("production")
        await made.until(lambda: orders("production", status=OrderStatus.ACCEPTED))
        await made.dip("production")

        await made.until(lambda: fills("production"))

        assert await made.until(lambda: Reconciliation.objects.filter(is_clean=True).exists())


@pytest.mark.parametrize("way", ["disconnect", "terminate", "garbage"])
async def test_a_broken_account_stream_comes_back_and_nothing_is_lost(console: Run, way: str) -> None:
    async with console() as made:
        await made.start("production")
        await made.until(lambda: orders("production", status=OrderStatus.ACCEPTED))
        users = made.exchange.exchange.users
        if way == "disconnect":
            users.cut_all()
        elif way == "terminate":
            users.terminate_all(now_ms=1)
        else:
            users.inject(text_frame(b'{"event":{"e":"executionReport","s":"BTCUSDT"}}'))
        await made.dip("production")

        await made.until(lambda: fills("production"))

        assert users.count == 1
        assert not await made.rows(lambda: halt_of("production"))


# --- restart --------------------------------------------------------------------------------------------------


async def test_a_restart_adopts_what_rests_and_says_so(console: Run) -> None:
    async with console() as made:
        await made.start("production")
        await made.until(lambda: len(orders("production", status=OrderStatus.ACCEPTED)) >= 5)
        await made.stop("production")
        before = set(made.at_venue("production"))

        await made.start("production")
        said = await made.until(lambda: Alert.objects.filter(code__contains="ADOPT").first())

        assert set(made.at_venue("production")) == before
        assert str(len(before)) in said.message


async def test_orders_of_a_restarted_loop_have_ids_nobody_used(console: Run) -> None:
    async with console() as made:
        await made.start("micro")
        await made.dip("micro")
        await made.until(lambda: fills("micro"))
        await made.stop("micro")

        await made.start("micro")
        made.shift = -DIP
        await made.until(lambda: any(o.client_order_id.startswith("gc-micro-2-") for o in orders("micro")))

        ids = [o.client_order_id for o in await made.rows(lambda: orders("micro"))]
        assert len(ids) == len(set(ids))


async def test_an_order_filled_while_nobody_watched_is_booked_once_at_the_restart(console: Run) -> None:
    async with console() as made:
        await made.start("production")
        await made.until(lambda: len(orders("production", status=OrderStatus.ACCEPTED)) >= 5)
        await made.stop("production")
        made.shift = DIP
        venue = made.exchange.exchange.venue
        async with asyncio.timeout(10):
            while not venue.fills("production", "BTCUSDT"):
                await asyncio.sleep(0.01)

        await made.start("production")
        await made.until(lambda: fills("production"))

        booked = [f.trade_id for f in await made.rows(lambda: fills("production"))]
        assert booked == [f.trade_id for f in venue.fills("production", "BTCUSDT")]


# --- halt -----------------------------------------------------------------------------------------------------


async def test_a_halt_cancels_everything_and_is_proven_at_the_venue(console: Run) -> None:
    async with console() as made:
        await made.start("production")
        await made.until(lambda: len(orders("production", status=OrderStatus.ACCEPTED)) >= 5)

        await made.rows(lambda: _halt("production"))
        await made.until(lambda: (h := halt_of("production")) and h.stage == "PROVEN_CLEAR" and h)

        halt = await made.rows(lambda: halt_of("production"))
        assert made.at_venue("production") == []
        assert halt.remaining == 0
        assert halt.canceled >= 5
        assert halt.stopped_at <= halt.proven_clear_at


@pytest.mark.parametrize("drill", [Drill.DRAWDOWN, Drill.SILENT_DATA, Drill.VENUE_ERRORS])
async def test_a_drill_halts_the_desk_through_its_rule_and_is_proven(console: Run, drill: Drill) -> None:
    async with console() as made:
        await made.start("production")
        await made.until(lambda: len(orders("production", status=OrderStatus.ACCEPTED)) >= 5)
        account = await made.rows(lambda: Account.objects.get(slug="production"))

        await made.rows(lambda: drills.run(account=account, drill=drill, by="trader", at=datetime.now(UTC)))
        await made.until(lambda: (h := halt_of("production")) and h.stage == "PROVEN_CLEAR")

        lines = await made.rows(lambda: drill_lines(account, datetime.now(UTC)))
        assert [(line.drill, line.outcome) for line in lines if line.outcome] == [(drill, "PASSED")]
        assert made.at_venue("production") == []


async def test_a_halted_symbol_is_proven_and_stays_halted_over_a_restart_while_the_account_is_active(
    console: Run,
) -> None:
    async with console() as made:
        await made.start("production")
        await made.until(lambda: len(orders("production", status=OrderStatus.ACCEPTED)) >= 5)
        await made.rows(lambda: _halt("production/BTCUSDT"))
        await made.until(lambda: (h := halt_of("production")) and h.stage == "PROVEN_CLEAR")
        await made.stop("production")

        await made.start("production")
        read_at = await made.rows(lambda: _read_at("production"))
        await made.until(lambda: _read_at("production") > read_at)

        assert made.at_venue("production") == []
        assert made.state("production") is TradingState.ACTIVE


async def test_an_intent_that_a_symbols_halt_refuses_halts_that_symbol_alone(console: Run) -> None:
    async with console() as made:
        loop = await made.start("micro")
        await made.ready("micro")
        made.shift = DIP  # intents are on their way while the row is written
        await made.rows(lambda: _halt_unheard("micro", "BTCUSDT"))
        await made.until(lambda: (h := halt_of("micro")) and h.stage != "LATCHED")

        assert set(loop._p.trader._core.halts) == {"BTCUSDT"}
        assert made.state("micro") is TradingState.ACTIVE


async def test_a_halted_desk_sends_nothing_new_and_stays_halted_over_a_restart(console: Run) -> None:
    async with console() as made:
        await made.start("micro")
        await made.ready("micro")
        await made.rows(lambda: _halt("micro"))
        await made.until(lambda: (h := halt_of("micro")) and h.stage == "PROVEN_CLEAR")
        await made.stop("micro")

        loop = await made.start("micro")
        read_at = await made.rows(_read_at)
        await made.until(lambda: _read_at() > read_at)
        made.shift = DIP
        ticks = made.ticks
        await made.until(lambda: made.ticks > ticks + 50)

        assert made.exchange.exchange.venue.fills("micro", "BTCUSDT") == []
        assert loop.failure is None


async def test_a_released_halt_lets_the_desk_trade_again(console: Run) -> None:
    async with console() as made:
        await made.start("micro")
        await made.ready("micro")
        await made.rows(lambda: _halt("micro"))
        await made.until(lambda: (h := halt_of("micro")) and h.stage == "PROVEN_CLEAR")

        await made.rows(_release_micro)
        await made.until(lambda: made.state("micro") is TradingState.ACTIVE)
        await made.dip("micro")

        assert await made.until(lambda: fills("micro"))


def _halt(scope: str) -> None:
    halts.halt(scope=scope, by="test", reason="drill", flatten=False, at=moment(time.time_ns()))


def _halt_unheard(slug: str, symbol: str) -> Halt:
    """Latch one symbol in its row alone: the loop learns of it by a refused intent, or within a second."""
    return Halt.objects.create(
        account=Account.objects.get(slug=slug), symbol=symbol, requested_by="trader", reason="a look",
        latched_at=datetime.now(UTC),
    )  # fmt: skip


def _read_at(slug: str = "micro") -> datetime:
    return Reconciliation.objects.filter(account__slug=slug, is_clean=True).latest("at").at


def _release_micro() -> None:
    account = Account.objects.get(slug="micro")
    assert recovery.halts_in_force(account)
    halts.release(account=account, by="two people", note="drill over", at=moment(time.time_ns()))


# --- what cannot be kept --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "error", "latches"),
    [("disk_full", DiskFull, True), ("admin_shutdown", AdminShutdown, False)],
    ids=["a full disk", "a database that restarts"],
)
async def test_a_turn_that_cannot_be_kept_ends_the_loop_and_latches_where_that_will_not_pass(
    console: Run, condition: str, error: type[Exception], latches: bool
) -> None:
    async with console() as made:
        await made.start("micro")
        await made.ready("micro")
        await made.rows(lambda: _refuse_audit(condition))
        try:
            made.shift = DIP
            await made.falls("micro", error)
        finally:
            await made.rows(_accept_audit)
        await made.rows(lambda: halts.take_over_latch_file(at=moment(time.time_ns())))
        halt = await made.rows(lambda: halt_of("micro"))

        assert made.exchange.exchange.venue.fills("micro", "BTCUSDT") == []
        assert (halt is not None) is latches
        if halt is not None:
            assert halt.requested_by == "rule"
            assert "the audit trail cannot be written" in halt.reason


def _refuse_audit(condition: str) -> None:
    """Let PostgreSQL itself refuse every new audit row with an error of this kind."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION refuse_audit() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '{condition}'; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER refuse_audit BEFORE INSERT ON trading_auditevent EXECUTE FUNCTION refuse_audit()"
        )


def _accept_audit() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER refuse_audit ON trading_auditevent")
        cursor.execute("DROP FUNCTION refuse_audit")


# --- orders that are not ours -----------------------------------------------------------------------------------


def rest_a_manual_order(made: Console, slug: str, below: int = 500_000) -> None:
    """Let a person place an order at the venue, below the price."""
    order = NewOrder("web_1", "BTCUSDT", Side.BUY, OrderType.LIMIT_MAKER, 100, PRICE - below)
    made.exchange.exchange.venue.submit(slug, order, time.time_ns())


async def test_an_order_of_a_person_is_shown_and_left_alone(console: Run) -> None:
    async with console() as made:
        rest_a_manual_order(made, "production")
        await made.start("production")

        reading = await made.until(lambda: VenueReading.objects.exclude(foreign=[]).filter(is_clean=True).first())

        assert [(one["id"], one["symbol"], one["side"], one["price"]) for one in reading.foreign] == [
            ("web_1", "BTCUSDT", "BUY", "55000.00")
        ]
        assert reading.discrepancies == ["foreign order: web_1 on BTCUSDT is not ours"]
        assert all(ours == venue for ours, venue in reading.balances.values())
        assert "web_1" in made.at_venue("production")


async def test_a_person_has_the_order_of_a_person_cancelled_and_nothing_else(console: Run) -> None:
    async with console() as made:
        rest_a_manual_order(made, "production")
        await made.start("production")
        await made.ready("production")
        await made.until(lambda: VenueReading.objects.exclude(foreign=[]).exists())
        ours = await made.until(lambda: len(orders("production", status=OrderStatus.ACCEPTED)) > 3)
        desk = await made.rows(lambda: Account.objects.get(slug="production"))

        await made.rows(
            lambda: foreign_orders.cancel(account=desk, client_order_id="web_1", by="trader", at=datetime.now(UTC))
        )
        done = await made.until(lambda: ForeignOrderDecision.objects.exclude(outcome="ASKED").first())

        assert ours
        assert (done.outcome, done.detail) == ("CANCELED", "")
        left = made.at_venue("production")
        assert "web_1" not in left
        assert len(left) > 3


async def test_an_adopted_order_is_ours_and_its_fill_is_in_our_books(console: Run) -> None:
    async with console() as made:
        rest_a_manual_order(made, "production", below=20_000)
        await made.start("production")
        await made.ready("production")
        await made.until(lambda: VenueReading.objects.exclude(foreign=[]).exists())
        desk = await made.rows(lambda: Account.objects.get(slug="production"))

        await made.rows(
            lambda: foreign_orders.adopt(account=desk, client_order_id="web_1", by="trader", at=datetime.now(UTC))
        )
        done = await made.until(lambda: ForeignOrderDecision.objects.exclude(outcome="ASKED").first())
        made.shift = -25_000
        await made.until(lambda: [f for f in fills("production") if f.order.client_order_id == "web_1"])
        read_at = await made.rows(lambda: _read_at("production"))
        later = VenueReading.objects.filter(account__slug="production", at__gt=read_at, is_clean=True)
        reading = await made.until(lambda: later.all().first())  # a fill on its way may lie between two readings

        assert (done.outcome, done.detail) == ("ADOPTED", "")
        assert reading.foreign == []
        assert all(ours == venue for ours, venue in reading.balances.values())


async def test_a_wish_that_waited_for_more_than_a_minute_is_not_carried_out(console: Run) -> None:
    async with console() as made:
        rest_a_manual_order(made, "production")
        await made.rows(
            lambda: ForeignOrderDecision.objects.create(
                account=Account.objects.get(slug="production"), client_order_id="web_1", symbol="BTCUSDT",
                choice="CANCEL", decided_by="trader", decided_at=datetime.now(UTC) - timedelta(seconds=61),
                outcome="ASKED",
            )
        )  # fmt: skip
        await made.start("production")

        done = await made.until(lambda: ForeignOrderDecision.objects.exclude(outcome="ASKED").first())

        assert done.outcome == "FAILED"
        assert "ask again" in done.detail
        assert "web_1" in made.at_venue("production")


async def test_a_cancel_that_finds_nothing_says_so(console: Run) -> None:
    async with console() as made:
        await made.rows(
            lambda: ForeignOrderDecision.objects.create(
                account=Account.objects.get(slug="production"), client_order_id="web_1", symbol="BTCUSDT",
                choice="CANCEL", decided_by="trader", decided_at=datetime.now(UTC), outcome="ASKED",
            )
        )  # fmt: skip
        await made.start("production")

        done = await made.until(lambda: ForeignOrderDecision.objects.exclude(outcome="ASKED").first())

        assert done.outcome == "FAILED"
        assert done.detail

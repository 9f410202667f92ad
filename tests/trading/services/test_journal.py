"""A turn is stored whole or not at all, by the one writer in force, and never against the latch."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError

from tests.trading.services.conftest import FENCE
from trading.domain import events as e
from trading.domain.advice import GridAdvice
from trading.domain.desk import TraderState
from trading.domain.levels import Spacing, between
from trading.domain.limits import TradingState
from trading.domain.orders import Fill, Order, OrderStatus, OrderType, Purpose, Side
from trading.domain.places import Footing, Place, Role
from trading.models import Account, Alert, AuditEvent, Grid, Halt, Reconciliation, TradingDay
from trading.models import Fill as FillRow
from trading.models import Order as OrderRow
from trading.ports import NotLeader
from trading.selectors import recovery
from trading.services import audit, halts
from trading.services.journal import HALT_LATCHED, DatabaseJournal

pytestmark = pytest.mark.django_db
AT_NS = 1_795_176_000_000_000_000


def order(number: int = 1, *, status: OrderStatus = OrderStatus.INITIALIZED, filled_lots: int = 0) -> Order:
    return Order(
        client_order_id=f"gc-micro-{FENCE}-{number}",
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.MARKET,
        quantity_lots=9,
        price_ticks=None,
        slot=3,
        purpose=Purpose.GRID,
        decided_at_ns=AT_NS,
        reference_ticks=6_183_763,
        status=status,
        filled_lots=filled_lots,
    )


def fill(trade_id: int = 1) -> e.PersistFill:
    executed = Fill(
        trade_id,
        f"gc-micro-{FENCE}-1",
        "11",
        "BTCUSDT",
        Side.BUY,
        6_183_763,
        9,
        Decimal("0.00223"),
        "USDT",
        False,
        AT_NS,
    )
    return e.PersistFill(executed, slot=3, realized_quote=Decimal("-0.00223"), grid_profit_quote=None, lap=1)


def test_an_intent_its_fill_and_the_audit_row_share_one_commit(journal: DatabaseJournal) -> None:
    refused = journal.commit_now([e.PersistOrder(order())], at_ns=AT_NS)
    journal.commit_now([e.PersistOrder(order(status=OrderStatus.FILLED, filled_lots=9)), fill()], at_ns=AT_NS + 1)

    stored = OrderRow.objects.get()
    assert refused == frozenset()
    assert (stored.status, stored.filled_lots, stored.quantity) == ("FILLED", 9, Decimal("0.00009"))
    assert FillRow.objects.get().price == Decimal("61837.63")
    assert [a.action for a in AuditEvent.objects.order_by("sequence")] == ["orders.approved", "orders.changed"]
    assert audit.verify() is None


def test_of_an_order_that_changed_twice_in_a_turn_the_last_state_is_stored(journal: DatabaseJournal) -> None:
    journal.commit_now([e.PersistOrder(order()), e.PersistOrder(order(status=OrderStatus.ACCEPTED))], at_ns=AT_NS)

    assert OrderRow.objects.get().status == "ACCEPTED"


@pytest.mark.django_db(transaction=True)
def test_the_same_trade_twice_undoes_the_whole_turn(journal: DatabaseJournal) -> None:
    journal.commit_now([e.PersistOrder(order()), fill()], at_ns=AT_NS)

    with pytest.raises(IntegrityError):
        journal.commit_now([e.PersistOrder(order(2)), fill()], at_ns=AT_NS)

    assert OrderRow.objects.count() == 1


def test_a_passed_fence_writes_nothing(journal: DatabaseJournal, account: Account) -> None:
    Account.objects.update(fence=FENCE + 1)

    with pytest.raises(NotLeader):
        journal.commit_now([e.PersistOrder(order())], at_ns=AT_NS)

    assert not OrderRow.objects.exists()
    with pytest.raises(NotLeader):
        journal.claim()


def test_the_latch_refuses_a_new_intent_and_says_so(journal: DatabaseJournal, now: datetime) -> None:
    halts.halt(scope=None, by="trader", reason="drill", flatten=False, at=now)

    refused = journal.commit_now([e.PersistOrder(order())], at_ns=AT_NS)

    stored = OrderRow.objects.get()
    assert refused == {stored.client_order_id}
    assert (stored.status, stored.reason) == ("DENIED", HALT_LATCHED)


def test_under_the_latch_fills_and_flattening_are_still_stored(journal: DatabaseJournal, now: datetime) -> None:
    journal.commit_now([e.PersistOrder(order())], at_ns=AT_NS)
    halts.halt(scope=None, by="trader", reason="drill", flatten=True, at=now)
    sell = replace(order(2), side=Side.SELL, purpose=Purpose.FLATTEN)

    refused = journal.commit_now([fill(), e.PersistOrder(sell)], at_ns=AT_NS)

    assert refused == frozenset()
    assert (FillRow.objects.count(), OrderRow.objects.count()) == (1, 2)


@pytest.mark.parametrize("halted", ["BTCUSDT", "ETHUSDT"])
@pytest.mark.parametrize("one_call", [True, False], ids=["one call", "with something rare"])
def test_a_halt_of_one_symbol_refuses_its_intents_and_no_others(
    journal: DatabaseJournal, account: Account, now: datetime, one_call: bool, halted: str
) -> None:
    Grid.objects.create(
        account=account, symbol=halted, style="TAKER", spacing="geometric", step_fraction=Decimal("0.001"),
        slots=8, lot_quote=Decimal(6),
    )  # fmt: skip
    halts.halt(scope=f"micro/{halted}", by="trader", reason="drill", flatten=False, at=now)
    rare = [] if one_call else [e.PersistReconcile(True, (), 0, 0, AT_NS)]

    journal.commit_now([e.PersistOrder(order()), *rare], at_ns=AT_NS)

    assert OrderRow.objects.get().status == ("DENIED" if halted == "BTCUSDT" else "INITIALIZED")


def test_a_stage_belongs_to_the_halt_of_its_symbol(journal: DatabaseJournal, account: Account, now: datetime) -> None:
    whole = halts.latch(account, by="a", reason="r", flatten=False, at=now)
    symbol = halts.latch(account, by="a", reason="r", flatten=False, at=now, symbol="BTCUSDT")

    journal.commit_now([e.PersistHaltStage("STOPPED", 3, 0, AT_NS, "BTCUSDT")], at_ns=AT_NS)

    assert (Halt.objects.get(pk=whole.pk).stage, Halt.objects.get(pk=symbol.pk).stage) == ("LATCHED", "STOPPED")


def test_a_rule_that_fires_latches_in_the_same_commit(journal: DatabaseJournal, account: Account) -> None:
    journal.commit_now([e.LatchHalt("daily drawdown 2.01 % of 2 %", False, AT_NS)], at_ns=AT_NS)

    account.refresh_from_db()
    assert account.state == TradingState.HALTED
    assert Halt.objects.get().requested_by == "rule"
    assert halts.read_latch_file().keys() == {"micro"}


def test_stages_carry_their_time_and_their_counts(journal: DatabaseJournal, now: datetime) -> None:
    halts.halt(scope="micro", by="trader", reason="drill", flatten=False, at=now)

    journal.commit_now([e.PersistHaltStage("STOPPED", 3, 0, AT_NS)], at_ns=AT_NS)
    journal.commit_now([e.PersistHaltStage("PROVEN_CLEAR", 3, 0, AT_NS)], at_ns=AT_NS + 10**9)

    halt = Halt.objects.get()
    assert (halt.stage, halt.canceled, halt.remaining) == ("PROVEN_CLEAR", 3, 0)
    assert halt.stopped_at is not None
    assert halt.proven_clear_at is not None
    assert (halt.proven_clear_at - halt.stopped_at).total_seconds() == 1


def test_clean_reconciles_renew_one_row_and_a_dirty_one_stays(journal: DatabaseJournal) -> None:
    clean = e.PersistReconcile(True, (), 3, 3, AT_NS)
    dirty = e.PersistReconcile(False, ("order gc-1 is unknown to the venue",), 3, 2, AT_NS)

    for seen in (clean, clean, dirty, clean):
        journal.commit_now([seen], at_ns=AT_NS)

    assert list(Reconciliation.objects.order_by("id").values_list("is_clean", flat=True)) == [True, False, True]


def test_a_clean_reconcile_that_finds_something_else_is_a_row_of_its_own(journal: DatabaseJournal) -> None:
    found = ("foreign order: web_1 on BTCUSDT is not ours",)

    for seen in ((), found, found, ()):
        journal.commit_now([e.PersistReconcile(True, seen, 3, 3, AT_NS)], at_ns=AT_NS)

    assert list(Reconciliation.objects.order_by("id").values_list("discrepancies", flat=True)) == [[], [*found], []]


def test_days_and_alerts_are_stored(journal: DatabaseJournal) -> None:
    journal.commit_now(
        [
            e.PersistDay(2, Decimal("299.5"), Decimal("299.5"), "seam", AT_NS),
            e.RaiseAlert(e.Severity.WARN, "SYMBOL_PAUSED", "BTCUSDT paused", "BTCUSDT", AT_NS),
        ],
        at_ns=AT_NS,
    )

    assert TradingDay.objects.get().opening_equity_quote == Decimal("299.5")
    assert Alert.objects.get().severity == "WARN"


def test_what_a_model_asks_from_now_on_is_a_row_of_the_trail(journal: DatabaseJournal) -> None:
    asked = GridAdvice("BTCUSDT", "ab" * 32, AT_NS, AT_NS + 1, pause_buys=True)
    journal.commit_now([e.PersistAdvice("BTCUSDT", asked, AT_NS)], at_ns=AT_NS)
    journal.commit_now([e.PersistOrder(order()), e.PersistAdvice("BTCUSDT", None, AT_NS + 1)], at_ns=AT_NS + 1)

    told, over = AuditEvent.objects.order_by("sequence")
    assert told.action == over.action == "advice.changed"  # also where orders were approved: such rows are looked for
    (said,) = told.payload["advice"]
    assert (said["symbol"], said["model"], said["asks"]) == ("BTCUSDT", "ab" * 32, "buy nothing")
    assert over.payload["advice"] == [{"symbol": "BTCUSDT", "at_ns": AT_NS + 1}]
    assert over.payload["approved"]


@pytest.mark.parametrize(("is_over", "advised"), [(False, ("BTCUSDT",)), (True, ())])
def test_a_restart_knows_of_which_grids_a_model_was_heeded(
    journal: DatabaseJournal, account: Account, is_over: bool, advised: tuple[str, ...]
) -> None:
    asked = GridAdvice("BTCUSDT", "ab", AT_NS, AT_NS + 1, pause_buys=True)
    day = e.PersistDay(1, Decimal(600), Decimal(600), "start", AT_NS)
    other = replace(asked, symbol="ETHUSDT")
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
        Grid.objects.create(account=account, symbol=symbol, style="MAKER", spacing="geometric", step_fraction=1,
                            slots=1, lot_quote=6)  # fmt: skip
    journal.commit_now([day, e.PersistAdvice("BTCUSDT", asked, AT_NS)], at_ns=AT_NS)
    journal.commit_now([e.PersistAdvice("ETHUSDT", other, AT_NS), e.PersistAdvice("ETHUSDT", None, AT_NS)], at_ns=AT_NS)
    if is_over:
        journal.commit_now([e.PersistAdvice("BTCUSDT", None, AT_NS)], at_ns=AT_NS)

    state = recovery.trader_state(account)

    assert isinstance(state, TraderState)
    assert state.advised == advised


def test_an_empty_turn_opens_no_transaction(journal: DatabaseJournal, django_assert_num_queries: object) -> None:
    assert journal.commit_now([e.ReadVenue("periodic")], at_ns=AT_NS) == frozenset()
    assert not AuditEvent.objects.exists()


def test_where_a_moving_ladder_stands_is_stored_and_read_back(journal: DatabaseJournal, account: Account) -> None:
    Grid.objects.create(account=account, symbol="BTCUSDT", style="MAKER", spacing="geometric", step_fraction=1, slots=1,
                        lot_quote=6)  # fmt: skip
    rungs = between(Spacing.GEOMETRIC, 100, 121, 2)
    footing = Footing(("x",), rungs, -1, (Place(4, 100, 110), Place(0, 90, 100, Role.CLOSING)), None)
    day = e.PersistDay(0, Decimal(300), Decimal(300), "start", AT_NS)

    journal.commit_now([day, e.PersistGrid("BTCUSDT", (100, 110), 0, AT_NS, footing)], at_ns=AT_NS)

    state = recovery.trader_state(account)
    assert isinstance(state, TraderState)
    assert [(one.levels_ticks, one.footing) for one in state.grids] == [((100, 110), footing)]
    assert AuditEvent.objects.latest("sequence").payload["grids"][0][2]["places"] == [
        [4, 100, 110, "ladder"], [0, 90, 100, "closing"],
    ]  # fmt: skip
    journal.commit_now([e.PersistGrid("BTCUSDT", (100, 110), 0, AT_NS)], at_ns=AT_NS)
    assert Grid.objects.get().footing is None

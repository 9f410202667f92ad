"""A drill is for paper, one at a time, and is remembered with its person and its halt."""

from datetime import datetime, timedelta

import pytest

from trading.domain import events as e
from trading.domain.drills import Drill
from trading.models import Account, AuditEvent, Halt, HaltDrill
from trading.selectors import drills as shown
from trading.services import drills, halts
from trading.services.journal import DatabaseJournal, moment

pytestmark = pytest.mark.django_db


def run(account: Account, now: datetime, drill: Drill = Drill.DRAWDOWN) -> HaltDrill:
    return drills.run(account=account, drill=drill, by="trader", at=now)


def test_by_hand_is_the_real_halt(account: Account, now: datetime) -> None:
    row = run(account, now, Drill.MANUAL)

    assert row.halt == Halt.objects.get()
    assert (row.halt.requested_by, row.halt.reason) == ("trader", "drill: by hand")
    assert "drill.asked" in AuditEvent.objects.values_list("action", flat=True)


def test_the_halt_that_a_rule_latches_in_a_drill_is_joined_to_it(
    account: Account, now: datetime, journal: DatabaseJournal
) -> None:
    row = run(account, now)
    at_ns = int(now.timestamp() * 1e9) + 10**9

    journal.commit_now([e.LatchHalt("drill: daily drawdown", False, at_ns)], at_ns=at_ns)

    row.refresh_from_db()
    assert row.halt is not None
    assert row.halt.latched_at == moment(at_ns)
    assert [line.outcome for line in shown.lines(account, now)] == ["", "RUNNING", "", ""]


def test_a_real_halt_is_no_drill(account: Account, now: datetime, journal: DatabaseJournal) -> None:
    row = run(account, now)
    at_ns = int(now.timestamp() * 1e9)

    journal.commit_now([e.LatchHalt("daily drawdown 2.1 %", False, at_ns)], at_ns=at_ns)

    row.refresh_from_db()
    assert row.halt is None


def test_a_passed_drill_says_when_and_who(account: Account, now: datetime) -> None:
    run(account, now, Drill.MANUAL)
    Halt.objects.update(stage="PROVEN_CLEAR", proven_clear_at=now + timedelta(seconds=0.25))

    line = shown.lines(account, now + timedelta(hours=1))[0]

    assert (line.outcome, line.by, line.at) == ("PASSED", "trader", now)
    assert line.times == "latched after 0.00 s, proven clear 0.25 s later"


@pytest.mark.parametrize("mode", [Account.Mode.LIVE, Account.Mode.TESTNET])
def test_real_orders_are_not_drilled(account: Account, now: datetime, mode: str) -> None:
    Account.objects.update(mode=mode)

    with pytest.raises(drills.UnableToDrill, match="no paper account"):
        run(account, now)

    assert not HaltDrill.objects.exists()


def test_a_halted_account_is_not_drilled(account: Account, now: datetime) -> None:
    halts.halt(scope=None, by="trader", reason="r", flatten=False, at=now)

    with pytest.raises(drills.UnableToDrill, match="halted already"):
        run(account, now)


@pytest.mark.parametrize(("later_s", "refused"), [(9, True), (10, False)])
def test_one_drill_at_a_time(account: Account, now: datetime, later_s: int, refused: bool) -> None:
    run(account, now)

    if refused:
        with pytest.raises(drills.UnableToDrill, match="a moment ago"):
            run(account, now + timedelta(seconds=later_s))
    else:
        run(account, now + timedelta(seconds=later_s))

"""Reports are stored once, say the same when they are made again, and are never changed."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.conf import settings
from django.db import DatabaseError, transaction

from gridconsole import processes
from riskops import reporting, tasks
from riskops.domain.periods import Kind
from riskops.domain.steps import Decision
from riskops.models import ComplianceItem, CostEntry, PhaseRun, PhaseTemplate, Report
from riskops.selectors import report_summary, reports
from riskops.services import compliance, phases
from riskops.services import reports as making
from tests.riskops import cast
from trading.domain.events import Severity
from trading.domain.evidence import HOUR
from trading.models import Account, AuditEvent, ConductSample
from trading.services import alerts
from trading.services import evidence as rolling

pytestmark = pytest.mark.django_db
NEXT_DAY = datetime(2026, 11, 22, 0, 10, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def desk(db: None) -> Account:
    """A desk with a run that has passed its first phase on 21 November."""
    run, _ = cast.passed_run()
    Account.objects.update(created_at=cast.BEGIN)
    return Account.objects.get(pk=run.account_id)


def names(stored: list[Report]) -> list[tuple[str, str]]:
    return [(one.kind, one.period) for one in stored]


def test_a_day_is_stored_ten_minutes_after_its_end_and_once(desk: Account) -> None:
    assert making.store_closed(at=NEXT_DAY - timedelta(seconds=1)) == []
    assert names(making.store_closed(at=NEXT_DAY)) == [("daily", "2026-11-21")]
    assert making.store_closed(at=NEXT_DAY) == []


def test_after_a_long_silence_everything_that_closed_is_made_up_for(desk: Account) -> None:
    found = names(making.store_closed(at=datetime(2026, 12, 2, 9, tzinfo=UTC)))

    assert ("weekly", "2026-W47") in found
    assert ("weekly", "2026-W48") in found
    assert ("monthly", "2026-11") in found
    assert [name for kind, name in found if kind == "daily"][-1] == "2026-11-21"
    assert len(found) == 11 + 2 + 1


def test_the_digest_of_a_report_is_in_the_audit_trail(desk: Account) -> None:
    (report,) = making.store_closed(at=NEXT_DAY)

    event = AuditEvent.objects.get(action="report.stored")
    assert event.payload == {"kind": "daily", "period": "2026-11-21", "digest": report.digest, "maker": 1}
    report.refresh_from_db()
    assert reporting.digest(report.facts) == report.digest


def test_a_report_made_again_from_rolled_up_hours_has_the_same_digest(desk: Account) -> None:
    making.store_closed(at=NEXT_DAY)
    rolling.roll_up(NEXT_DAY + HOUR)
    ConductSample.objects.all().delete()

    loaded = reports.load(desk, Kind.DAILY, "2026-11-21", NEXT_DAY + HOUR)
    checked = reports.check(desk, loaded)

    assert checked is not None
    assert (checked.same, checked.differs) == (True, ())


def test_what_a_desk_became_later_changes_no_report(desk: Account) -> None:
    making.store_closed(at=NEXT_DAY)
    Account.objects.update(mode="LIVE")
    desk.refresh_from_db()

    loaded = reports.load(desk, Kind.DAILY, "2026-11-21", NEXT_DAY)
    checked = reports.check(desk, loaded)

    assert loaded.facts["mode"] == "PAPER"
    assert checked is not None
    assert checked.same


def test_an_alert_that_is_known_later_is_a_difference_and_is_named(desk: Account) -> None:
    making.store_closed(at=NEXT_DAY)
    alerts.raise_alert(account=desk, severity=Severity.WARN, code="A", message="", at=cast.BEGIN + HOUR)

    checked = reports.check(desk, reports.load(desk, Kind.DAILY, "2026-11-21", NEXT_DAY))

    assert checked is not None
    assert (checked.same, checked.differs) == (False, ("figures",))


def test_only_a_stored_report_can_be_compared(desk: Account) -> None:
    assert reports.check(desk, reports.load(desk, Kind.DAILY, "2026-11-21", NEXT_DAY)) is None


@pytest.mark.parametrize("change", ["update", "delete"])
def test_no_report_is_changed_or_deleted(desk: Account, change: str) -> None:
    making.store_closed(at=NEXT_DAY)

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Report.objects.update(digest="0" * 64) if change == "update" else Report.objects.all().delete()

    assert Report.objects.exclude(digest="0" * 64).count() == 1


def test_the_run_that_ended_has_a_report_that_says_how(desk: Account) -> None:
    run = PhaseRun.objects.get()
    ended = cast.BEGIN + 2 * HOUR
    alerts.raise_alert(account=desk, severity=Severity.CRIT, code="GHOST_ORDER", message="gone", at=ended)
    phases.judge(run=run, at=ended + cast.MINUTE)

    stored = [one for one in making.store_closed(at=ended + HOUR) if one.kind == "phase"]

    (report,) = stored
    assert (report.period, report.until) == (str(run.pk), ended + cast.MINUTE)
    assert [one["decision"] for one in report.facts["runs"]] == ["NO_GO"]
    assert len(report.facts["incidents"]) == len(report.facts["halts"]) == 1
    _, listed = reports.index(desk, ended + HOUR)
    assert [line.words.partition(", ")[0] for line in listed if line.kind == "phase"] == ["phase 4.0 NO_GO"]


def test_a_run_that_is_open_has_no_stored_report(desk: Account) -> None:
    assert all(one.kind != "phase" for one in making.store_closed(at=NEXT_DAY + DAY))


def test_the_task_has_a_queue_that_a_worker_of_the_embedded_profile_reads() -> None:
    routed = settings.CELERY_TASK_ROUTES["riskops.tasks.make_reports"]["queue"]

    assert routed in processes.QUEUES.split(",")
    assert "riskops.tasks.make_reports" in {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}


def test_the_task_stores_reports_and_opens_what_is_owed(desk: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "datetime", type("clock", (), {"now": staticmethod(lambda zone: NEXT_DAY)}))

    tasks.make_reports()

    assert Report.objects.count() == 1


# --- the summary ------------------------------------------------------------------------------------------------------


def test_the_summary_adds_up_the_phases_and_says_what_is_next(desk: Account) -> None:
    found = report_summary.summary(desk, cast.BEGIN + HOUR)

    (line,) = found.phases
    assert (line.phase, line.capital, line.lasted, line.accelerated) == ("4.0", "300", "1 h 00 min", True)
    assert (found.pnl.text, found.incidents_all, found.incidents_open) == ("0.00", 0, 0)
    assert (found.following, found.signers) == ("4.1", "Trading Lead, Engineer, CTO")


def test_a_phase_without_a_stored_report_leaves_the_sum_unknown(desk: Account) -> None:
    run = PhaseRun.objects.get()
    PhaseRun.objects.filter(pk=run.pk).update(ended_at=cast.BEGIN + HOUR, decision=Decision.NO_GO)

    found = report_summary.summary(desk, NEXT_DAY)

    assert found.pnl.text == "—"
    assert found.following_words == "Phase 4.0 is to be run again."


# --- compliance and bills ---------------------------------------------------------------------------------------------


def test_a_phase_that_names_compliance_items_owes_them_each_month_once(desk: Account) -> None:
    assert compliance.open_items(at=NEXT_DAY) == []
    PhaseRun.objects.update(template=PhaseTemplate.objects.get(phase="4.4a"))

    opened = compliance.open_items(at=NEXT_DAY)
    again = compliance.open_items(at=NEXT_DAY + DAY)
    following = compliance.open_items(at=NEXT_DAY + 20 * DAY)

    assert [(one.title, one.due_on) for one in opened][:2] == [
        ("Monthly tax report, 2026-11", date(2026, 12, 10)),
        ("Performance statement, 2026-11", date(2026, 12, 10)),
    ]
    assert (len(opened), again, len(following)) == (5, [], 5)
    assert AuditEvent.objects.filter(action="compliance.opened").count() == 10


def test_a_tick_stays_on_record_with_its_person(desk: Account) -> None:
    cto = cast.person("cto")
    item = compliance.add(account=desk, by=cto, title="Insurance policy", due_on=date(2026, 12, 1), at=NEXT_DAY)

    tick = compliance.tick(account=desk, item_id=item.pk, by=cto, done=True, note="policy 4711 is paid", at=NEXT_DAY)

    event = AuditEvent.objects.get(action="compliance.ticked")
    assert (event.actor, event.payload) == ("cto", {"item": "Insurance policy", "note": "policy 4711 is paid"})
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        tick.delete()


def test_what_cannot_be_ticked_or_added_changes_nothing(desk: Account) -> None:
    cto, other = cast.person("cto"), Account.objects.create(slug="other", name="Other")
    item = compliance.add(account=desk, by=cto, title="Insurance policy", due_on=date(2026, 12, 1), at=NEXT_DAY)
    note = "policy 4711 is paid"

    with pytest.raises(compliance.UnableToKeep, match="no such item"):
        compliance.tick(account=other, item_id=item.pk, by=cto, done=True, note=note, at=NEXT_DAY)
    with pytest.raises(compliance.UnableToKeep, match="not ticked"):
        compliance.tick(account=desk, item_id=item.pk, by=cto, done=False, note=note, at=NEXT_DAY)
    with pytest.raises(compliance.UnableToKeep, match="another"):
        compliance.add(account=desk, by=cto, title="Insurance policy", due_on=date(2026, 12, 1), at=NEXT_DAY)
    with pytest.raises(compliance.UnableToKeep, match="due date"):
        compliance.add(account=desk, by=cto, title="Risk audit of 2025", due_on=date(2025, 12, 1), at=NEXT_DAY)

    assert ComplianceItem.objects.count() == 1
    assert not item.ticks.exists()


def test_a_bill_is_entered_and_never_changed(desk: Account) -> None:
    lead = cast.person("lead")
    row = compliance.enter_cost(
        account=desk, by=lead, billed_on=date(2026, 11, 1), what="Server", amount=Decimal("99.90"), currency="USD",
        at=NEXT_DAY,
    )  # fmt: skip

    with pytest.raises(compliance.UnableToKeep, match="not 0"):
        compliance.enter_cost(
            account=desk, by=lead, billed_on=date(2026, 11, 1), what="x", amount=Decimal(0), currency="USD", at=NEXT_DAY
        )
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        row.delete()
    assert CostEntry.objects.count() == 1
    assert AuditEvent.objects.get(action="cost.entered").payload["amount"] == "99.90"

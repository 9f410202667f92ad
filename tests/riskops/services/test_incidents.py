"""Incidents by their playbooks: opened by a miss, an alert or a person; acted on, undone, and written down for good."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import DatabaseError, transaction
from pytest_django import Settings

from riskops.domain.steps import Decision
from riskops.models import DeskReview, Incident, IncidentStep, PhaseRun
from riskops.selectors.incidents import IncidentPage, lines, page_of, reviewed
from riskops.services import incidents, phases
from riskops.services.incidents import UnableToAct
from riskops.standing import open_incidents
from riskops.tasks import judge_runs
from tests.riskops import cast
from tests.riskops.cast import BEGIN, MINUTE
from trading.domain.events import Severity
from trading.domain.latency import Histogram
from trading.domain.throttle import Act
from trading.models import Account, Alert, AuditEvent, ConductOverride, Halt
from trading.services import alerts

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def latch_file(settings: Settings, tmp_path: Path) -> None:
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"


@pytest.fixture
def account() -> Account:
    account = cast.desk()
    phases.start_run(account=account, phase_id="4.0", by="lead", at=BEGIN)
    return account


def crit(account: Account, code: str, at: datetime = BEGIN) -> Alert:
    return alerts.raise_alert(account=account, severity=Severity.CRIT, code=code, message="it happened", at=at)


def by_hand(account: Account, playbook: str = "latency", at: datetime = BEGIN) -> Incident:
    return incidents.open_by_hand(account=account, by=cast.person("engineer"), playbook=playbook, what="slow", at=at)


def carry_out(incident: Incident, step: str, by: str = "trader", symbol: str = "") -> IncidentStep:
    return incidents.carry_out(incident_id=incident.pk, by=cast.person(by), step=step, symbol=symbol, at=BEGIN + MINUTE)


def undo(incident: Incident, step: str, by: str = "trader") -> IncidentStep:
    return incidents.undo(incident_id=incident.pk, by=cast.person(by), step=step, at=BEGIN + 2 * MINUTE)


def page(incident: Incident, at: datetime, reader: str = "trader") -> IncidentPage:
    found = page_of(incident.account, incident.pk, cast.person(reader), at)
    assert found is not None
    return found


def in_force() -> list[str]:
    return sorted(ConductOverride.objects.filter(undone_at=None).values_list("act", flat=True))


# --- opened ---------------------------------------------------------------------------------------------------------


def test_a_crit_that_a_playbook_names_opens_one_incident_by_itself(account: Account) -> None:
    alert = crit(account, "VENUE_ERRORS")
    crit(account, "SOMETHING_ELSE")

    (opened,) = incidents.open_for_alerts(account=account, at=BEGIN + MINUTE)

    assert (opened.playbook, opened.alert, opened.severity, opened.began_at) == (
        "venue_errors",
        alert.pk,
        "CRIT",
        BEGIN,
    )
    assert incidents.open_for_alerts(account=account, at=BEGIN + 2 * MINUTE) == []
    assert open_incidents(account) == [f"incident #{opened.pk} VENUE_ERRORS: it happened is open"]
    assert page(opened, BEGIN + HOUR).to_detect == MINUTE


def test_an_alert_that_comes_again_after_its_incident_was_closed_opens_another(account: Account) -> None:
    crit(account, "VENUE_ERRORS")
    (first,) = incidents.open_for_alerts(account=account, at=BEGIN)
    Incident.objects.filter(pk=first.pk).update(closed_at=BEGIN + MINUTE)
    assert incidents.open_for_alerts(account=account, at=BEGIN + 2 * MINUTE) == []

    crit(account, "VENUE_ERRORS", BEGIN + 3 * MINUTE)

    assert len(incidents.open_for_alerts(account=account, at=BEGIN + 4 * MINUTE)) == 1


def test_the_task_that_judges_opens_what_crits_call_for(account: Account) -> None:
    crit(account, "VENUE_ERRORS", datetime.now(UTC))

    judge_runs()

    assert Incident.objects.filter(playbook="venue_errors", closed_at=None).count() == 1


def test_latency_half_above_the_phase_before_opens_its_playbook_and_halves_the_pace() -> None:
    run, at = cast.passed_run()
    cast.decide(cast.signed_request(run, at), Decision.GO, at)
    slow = Histogram()
    for _ in range(10):
        slow.record_ns(60_000_000)  # before: 20 ms

    after = PhaseRun.objects.get(ended_at=None)
    phases.judge(run=after, at=cast.live_through(after.account, 5, at, latency=slow))

    incident = Incident.objects.get()
    assert (incident.playbook, incident.metric, incident.failed_run) == ("latency", "latency_p95_ms", False)
    assert in_force() == [Act.ORDERS_PER_MINUTE]
    assert open_incidents(after.account)


def test_an_alert_of_long_ago_opens_nothing(account: Account) -> None:
    crit(account, "VENUE_ERRORS")

    assert incidents.open_for_alerts(account=account, at=BEGIN + 2 * HOUR) == []


def test_the_machine_halves_the_pace_at_once_where_the_playbook_says_so_and_people_undo_it(account: Account) -> None:
    incident = by_hand(account, "latency")
    row = ConductOverride.objects.get()

    assert (row.act, row.factor, row.incident, row.by) == (
        Act.ORDERS_PER_MINUTE, Decimal("0.5"), incident.pk, "playbook: latency"
    )  # fmt: skip
    undo(incident, "immediate.0")
    assert in_force() == []
    assert [line.state for line in page(incident, BEGIN + HOUR).immediate] == ["undone", "", ""]


def test_whoever_is_no_operator_acts_on_nothing(account: Account) -> None:
    incident = by_hand(account, "slow_venue")

    with pytest.raises(UnableToAct, match="Only Trader, Trading Lead or Engineer"):
        carry_out(incident, "immediate.0", by="ceo")
    assert in_force() == []


# --- acted on -------------------------------------------------------------------------------------------------------


def test_every_override_of_a_playbook_is_in_force_once_and_each_is_undone_by_itself(account: Account) -> None:
    incident = by_hand(account, "fill_rate")
    carry_out(incident, "immediate.0")
    with pytest.raises(UnableToAct, match="in force already"):
        carry_out(incident, "immediate.0")
    carry_out(incident, "immediate.1")
    carry_out(incident, "immediate.2")
    assert in_force() == ["lot_size", "market_only", "order_timeout"]

    undo(incident, "immediate.1")
    with pytest.raises(UnableToAct, match="Nothing of this step"):
        undo(incident, "immediate.1")

    assert in_force() == ["lot_size", "order_timeout"]
    assert [line.state for line in page(incident, BEGIN + HOUR).immediate] == ["applied", "undone", "applied"]


def test_a_pause_is_undone_for_exactly_the_symbols_it_paused(account: Account) -> None:
    incident = by_hand(account, "flash_crash")
    account.grids.filter(symbol="ETHUSDT").update(paused_reason="by hand, before")

    step = carry_out(incident, "immediate.0")
    assert step.note == "BTCUSDT"
    assert account.grids.filter(paused_reason="").count() == 0
    undo(incident, "immediate.0")

    assert dict(account.grids.values_list("symbol", "paused_reason")) == {"BTCUSDT": "", "ETHUSDT": "by hand, before"}


def test_a_halt_is_latched_and_can_only_be_resumed_by_two_people(account: Account) -> None:
    incident = by_hand(account, "crit")

    carry_out(incident, "immediate.1")

    assert Halt.objects.get().requested_by == "trader"
    assert not page(incident, BEGIN + HOUR).immediate[1].can_undo
    with pytest.raises(UnableToAct, match="Nothing of this step"):
        undo(incident, "immediate.1")


@pytest.mark.parametrize("step", ["immediate.2", "immediate.9", "investigate.0", ""])
def test_what_the_runtime_cannot_do_is_refused(account: Account, step: str) -> None:
    with pytest.raises(UnableToAct, match="The runtime does not do this step"):
        carry_out(by_hand(account, "latency"), step)


def test_an_override_is_undone_after_its_incident_was_closed(account: Account) -> None:
    incident = by_hand(account, "latency")
    Incident.objects.update(closed_at=BEGIN + MINUTE)

    with pytest.raises(UnableToAct, match="closed"):
        carry_out(incident, "immediate.1")
    undo(incident, "immediate.0")

    assert in_force() == []


# --- written down ---------------------------------------------------------------------------------------------------


def test_a_deadline_is_met_by_a_tick_and_one_that_passed_is_late(account: Account) -> None:
    incident = by_hand(account, "crit")
    lead = cast.person("lead")
    incidents.tick(incident_id=incident.pk, by=lead, step="deadline.root cause", note="a bug", at=BEGIN + 3 * HOUR)

    clocks = [clock for _, clock in page(incident, BEGIN + 9 * HOUR).clocks]

    assert [(clock.name, clock.is_late, clock.met_at is not None) for clock in clocks] == [
        ("root cause", False, True), ("fix", True, False), ("re-test", False, False)
    ]  # fmt: skip
    assert lines(account, BEGIN + 9 * HOUR)[0].late == 1


def test_the_retest_counts_hours_in_force_on_paper_from_the_resolution_on(account: Account) -> None:
    incident = by_hand(account, "crit")
    assert (retest := page(incident, BEGIN + MINUTE).retest) is not None
    assert (retest.has_begun, retest.hours) == (False, "0.0")
    incidents.resolve(incident_id=incident.pk, by=cast.person("lead"), cause="Fixed", at=BEGIN + MINUTE)

    at = cast.live_through(account, 24, BEGIN + MINUTE)
    retest = page(incident, at).retest

    assert retest is not None
    assert (retest.hours, retest.needed, retest.fraction) == ("24.0", 48, 0.5)
    Account.objects.update(mode="LIVE")
    retest = page(incident, at).retest
    assert retest is not None
    assert (retest.hours, retest.is_paper) == ("0.0", False)


def test_notes_owner_and_recovery_stand_in_the_timeline_and_in_the_trail(account: Account) -> None:
    incident = by_hand(account, "slow_venue")
    crit(account, "VENUE_ERRORS")
    lead = cast.person("lead")
    incidents.note(incident_id=incident.pk, by=lead, text="the line is bad", at=BEGIN + MINUTE)
    incidents.own(incident_id=incident.pk, by=lead, at=BEGIN + 2 * MINUTE)
    incidents.recover(incident_id=incident.pk, by=lead, at=BEGIN + 9 * MINUTE)
    with pytest.raises(UnableToAct, match="already"):
        incidents.recover(incident_id=incident.pk, by=lead, at=BEGIN + 10 * MINUTE)

    shown = page(incident, BEGIN + HOUR)

    assert shown.to_recover == 9 * MINUTE
    assert shown.incident.owner == lead
    assert {"incident.opened", "incident.step", "VENUE_ERRORS", "phase.started"} <= {m.action for m in shown.timeline}
    assert any("the line is bad" in moment.text for moment in shown.timeline)
    assert AuditEvent.objects.filter(action="incident.step", actor="lead").count() == 3


@pytest.mark.parametrize(
    ("deed", "refusal"),
    [
        (lambda pk, by: incidents.note(incident_id=pk, by=by, text=" ", at=BEGIN), "Write what you found"),
        (lambda pk, by: incidents.tick(incident_id=pk, by=by, step="immediate.9", note="", at=BEGIN), "no such step"),
        (lambda pk, by: incidents.resolve(incident_id=pk, by=by, cause="luck", at=BEGIN), "no such cause"),
        (lambda pk, by: incidents.own(incident_id=pk + 1, by=by, at=BEGIN), "closed"),
    ],
)
def test_what_does_not_fit_is_refused_and_written_nowhere(account: Account, deed: object, refusal: str) -> None:
    incident = by_hand(account, "slow_venue")

    with pytest.raises(UnableToAct, match=refusal):
        deed(incident.pk, cast.person("lead"))  # type: ignore[operator]  # one of the lambdas above
    assert not IncidentStep.objects.exists()


def test_there_is_no_incident_without_a_playbook(account: Account) -> None:
    with pytest.raises(UnableToAct, match="no such playbook"):
        by_hand(account, "luck")


def test_what_was_written_is_never_changed(account: Account) -> None:
    by_hand(account, "latency")
    incidents.look(account=account, by=cast.person("lead"), note="", at=BEGIN)

    for model in (IncidentStep, DeskReview):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            model.objects.update(note="other")


# --- the review of the desk -----------------------------------------------------------------------------------------


def test_people_are_reminded_once_when_nobody_has_reviewed_the_desk_in_time(account: Account) -> None:
    def reminded() -> int:
        return Alert.objects.filter(code="REVIEW_DUE", severity=Severity.INFO).count()

    incidents.remind(account=account, at=BEGIN + 6 * HOUR)
    assert reminded() == 0
    for minutes in (1, 2, 3):
        incidents.remind(account=account, at=BEGIN + 6 * HOUR + minutes * MINUTE)
    assert reminded() == 1

    incidents.look(account=account, by=cast.person("lead"), note="all is well", at=BEGIN + 7 * HOUR)
    incidents.remind(account=account, at=BEGIN + 13 * HOUR)
    found = reviewed(account, BEGIN + 13 * HOUR)

    assert reminded() == 1
    assert found is not None
    assert (found.by, found.due_at, found.is_late) == ("lead", BEGIN + 13 * HOUR, False)

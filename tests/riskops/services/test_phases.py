"""Capital moves only on evidence and signatures."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import DatabaseError, transaction
from pytest_django import Settings

from riskops.domain.incidents import Review
from riskops.domain.steps import ROADMAP, Decision
from riskops.models import Incident, PhaseRun, PhaseTemplate, SignOff, StepRequest
from riskops.services import incidents, phases
from riskops.services.phases import UnableToStep
from riskops.standing import baseline_of, template_of
from tests.riskops import cast
from tests.riskops.cast import BEGIN
from trading.domain.events import Severity
from trading.domain.limits import TradingState
from trading.models import Account, AuditEvent, Grid, Mandate, VenueInstrument
from trading.selectors.recovery import limits_in_force
from trading.services import alerts, refusals

pytestmark = pytest.mark.django_db
Passed = tuple[PhaseRun, datetime]


@pytest.fixture(autouse=True)
def latch_file(settings: Settings, tmp_path: Path) -> None:
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"


@pytest.fixture
def passed() -> Passed:
    return cast.passed_run()


def raise_crit(account: Account, at: datetime) -> None:
    alerts.raise_alert(account=account, severity=Severity.CRIT, code="GHOST_ORDER", message="gc-1 is gone", at=at)


def capital() -> Decimal:
    return limits_in_force(Account.objects.get(slug="micro")).capital_quote


def test_the_roadmap_is_stored_once_and_its_order_is_kept() -> None:
    phases.load_roadmap(at=BEGIN)
    loaded = phases.load_roadmap(at=BEGIN)

    assert [row.phase for row in loaded] == list(ROADMAP)
    assert PhaseTemplate.objects.count() == len(ROADMAP)


def test_a_template_in_the_database_cannot_be_changed() -> None:
    phases.load_roadmap(at=BEGIN)

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        PhaseTemplate.objects.update(text="")


def test_a_changed_file_needs_a_new_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    phases.load_roadmap(at=BEGIN)
    for file in phases.FILES.glob("*.toml"):
        text = file.read_text()
        (tmp_path / file.name).write_text(text.replace("max_daily_trades = 40", "max_daily_trades = 41"))
    monkeypatch.setattr(phases, "FILES", tmp_path)

    with pytest.raises(UnableToStep, match=r"Phase 4\.2 version 2 was changed: give the new one a new version"):
        phases.load_roadmap(at=BEGIN)


def test_a_run_puts_its_mandate_in_force() -> None:
    account = cast.desk()

    run = phases.start_run(account=account, phase_id="4.0", by="lead", at=BEGIN)

    limits = limits_in_force(account)
    assert (limits.phase, limits.capital_quote, limits.max_open_orders) == ("4.0", Decimal(300), 3)
    assert run.mandate == Mandate.objects.get(version=limits.version)
    assert set(Grid.objects.values_list("lot_quote", flat=True)) == {Decimal(6)}


def test_a_symbol_that_is_granted_for_the_first_time_gets_a_grid_like_the_first_one() -> None:
    account = cast.desk()
    account.grids.filter(symbol="ETHUSDT").delete()
    VenueInstrument.objects.create(
        venue="binance", symbol="ETHUSDT", base="ETH", quote="USDT", tick_size="0.01", lot_size="0.0001",
        min_notional=5, as_of=BEGIN.date(), source="hand",
    )  # fmt: skip

    phases.start_run(account=account, phase_id="4.0", by="lead", at=BEGIN)

    old, new = account.grids.order_by("symbol")
    assert (new.symbol, new.style, new.step_fraction, new.slots, new.lot_quote) == (
        "ETHUSDT", old.style, old.step_fraction, old.slots, Decimal(6)
    )  # fmt: skip


def test_a_hold_lengthens_the_window_to_what_the_phase_names_for_staying(passed: Passed) -> None:
    run, at = passed
    request = cast.signed_request(run, at)
    cast.decide(request, Decision.HOLD, at, notes="one more look at the fills")
    run.refresh_from_db()

    assert run.extended
    assert phases.judge(run=run, at=at).window.min_hours == template_of(run).stay.extend_hours


@pytest.mark.parametrize("phase_id", ["4.1", "5"])
def test_no_phase_is_skipped(phase_id: str) -> None:
    with pytest.raises(UnableToStep, match="no phase can be skipped"):
        phases.start_run(account=cast.desk(), phase_id=phase_id, by="lead", at=BEGIN)


def test_one_run_is_open_at_a_time() -> None:
    account = cast.desk()
    phases.start_run(account=account, phase_id="4.0", by="lead", at=BEGIN)

    with pytest.raises(UnableToStep, match="not decided yet"):
        phases.start_run(account=account, phase_id="4.0", by="lead", at=BEGIN)


def test_only_the_lead_or_the_cto_begins() -> None:
    account = cast.desk()

    with pytest.raises(UnableToStep, match="Only CTO or Trading Lead"):
        phases.begin(account=account, phase_id="4.0", by=cast.person("trader"), at=BEGIN)
    assert phases.begin(account=account, phase_id="4.0", by=cast.person("cto"), at=BEGIN).started_by == "cto"


def test_time_that_nobody_watched_does_not_count() -> None:
    account = cast.desk()
    run = phases.start_run(account=account, phase_id="4.0", by="lead", at=BEGIN)

    verdict = phases.judge(run=run, at=BEGIN + timedelta(hours=100))

    assert verdict.outcome == "RUNNING"
    assert verdict.window.hours_in_force == 0


def test_a_run_with_everything_met_passes_and_says_that_it_was_accelerated(passed: Passed) -> None:
    run, _ = passed

    assert (run.outcome, run.accelerated, run.decision) == ("PASS", True, "PENDING")


def test_three_people_step_up(passed: Passed) -> None:
    run, at = passed
    request = cast.signed_request(run, at)

    cast.decide(request, Decision.GO, at)

    run.refresh_from_db()
    assert (run.decision, run.ended_at) == ("GO", at)
    assert PhaseRun.objects.get(ended_at=None).template.phase == "4.1"
    assert capital() == 600
    assert set(Grid.objects.values_list("lot_quote", flat=True)) == {Decimal(12)}


def test_what_the_phase_measured_is_the_next_ones_baseline(passed: Passed) -> None:
    run, at = passed
    cast.decide(cast.signed_request(run, at), Decision.GO, at)

    after = PhaseRun.objects.get(ended_at=None)
    compared = {one.metric for one in template_of(after).criteria if one.of_previous is not None}
    assert compared == {"latency_p95_ms", "warn_alerts_per_day"}
    assert compared <= baseline_of(after).keys()
    assert baseline_of(after)["warn_alerts_per_day"] == 0


@pytest.mark.parametrize("missing", ["lead", "engineer", "cto"])
def test_without_one_of_the_signatures_nothing_moves(passed: Passed, missing: str) -> None:
    run, at = passed
    request = cast.ask(run, at)
    cast.tick_everything(request, at)
    for name in {"lead", "engineer", "cto"} - {missing}:
        cast.sign(request, name, at)

    with pytest.raises(UnableToStep, match="Signatures are missing"):
        cast.decide(request, Decision.GO, at)
    assert capital() == 300


def test_a_role_one_does_not_hold_cannot_be_signed(passed: Passed) -> None:
    run, at = passed
    request = cast.ask(run, at)

    with pytest.raises(UnableToStep, match="You do not hold the role CTO"):
        phases.sign(
            request_id=request.pk, by=cast.person("lead"), role="CTO", approves=True, note="", digest=request.digest,
            at=at,
        )  # fmt: skip


def test_a_superuser_holds_no_role_by_being_one(passed: Passed) -> None:
    run, at = passed
    request = cast.ask(run, at)
    root = cast.person("trader")
    root.is_superuser = True
    root.save()

    with pytest.raises(UnableToStep, match="You do not hold"):
        phases.sign(
            request_id=request.pk, by=root, role="CTO", approves=True, note="", digest=request.digest, at=at
        )  # fmt: skip


def test_a_signature_on_something_else_is_refused(passed: Passed) -> None:
    run, at = passed
    request = cast.ask(run, at)

    with pytest.raises(UnableToStep, match="What you were shown has changed"):
        phases.sign(
            request_id=request.pk, by=cast.person("cto"), role="CTO", approves=True, note="", digest="0" * 64, at=at
        )  # fmt: skip


def test_a_signature_is_never_changed(passed: Passed) -> None:
    run, at = passed
    cast.sign(cast.ask(run, at), "cto", at)

    for change in (SignOff.objects.update, SignOff.objects.all().delete):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change(**({"note": "x"} if change.__name__ == "update" else {}))


def test_an_item_that_is_not_ticked_holds_go_back(passed: Passed) -> None:
    run, at = passed
    request = cast.signed_request(run, at)
    phases.tick(request_id=request.pk, by=cast.person("cto"), item="Team notified", done=False, note="", at=at)

    with pytest.raises(UnableToStep, match="Team notified"):
        cast.decide(request, Decision.GO, at)
    assert list(AuditEvent.objects.filter(action="checklist.unticked").values_list("actor", flat=True)) == ["cto"]


def test_a_crit_while_people_sign_voids_the_request_halts_and_ends_the_run(passed: Passed) -> None:
    run, at = passed
    request = cast.signed_request(run, at)
    raise_crit(run.account, at)

    verdict = phases.judge(run=run, at=at + cast.MINUTE)

    request.refresh_from_db()
    run.refresh_from_db()
    assert verdict.outcome == "FAIL"
    assert (request.state, run.decision) == ("VOID", "NO_GO")
    assert Account.objects.get().state == TradingState.HALTED
    assert capital() == 300


def test_a_crit_that_nobody_has_judged_yet_stops_go_all_the_same(passed: Passed) -> None:
    run, at = passed
    request = cast.signed_request(run, at)
    raise_crit(run.account, at)

    with pytest.raises(UnableToStep, match="The machine says FAIL"):
        cast.decide(request, Decision.GO, at + cast.MINUTE)
    assert capital() == 300


def test_after_no_go_only_the_same_phase_begins_again(passed: Passed) -> None:
    run, at = passed
    cast.decide(cast.ask(run, at), Decision.NO_GO, at, notes="the team is not confident")

    assert phases.what_may_start(run.account) == "4.0"
    with pytest.raises(UnableToStep, match=r"After NO_GO on 4\.0 only 4\.0 may start"):
        phases.start_run(account=run.account, phase_id="4.1", by="lead", at=at)


def test_hold_begins_the_window_anew(passed: Passed) -> None:
    run, at = passed
    cast.decide(cast.ask(run, at), Decision.HOLD, at, notes="we wait for the weekend")

    verdict = phases.judge(run=run, at=at)

    run.refresh_from_db()
    assert (verdict.outcome, run.window_from, run.decision) == ("RUNNING", at, "PENDING")
    with pytest.raises(UnableToStep, match="The machine says RUNNING"):
        cast.decide(cast.signed_request(run, at), Decision.GO, at)


def test_a_request_expires(passed: Passed) -> None:
    run, at = passed
    request = cast.ask(run, at)

    with pytest.raises(UnableToStep, match="has expired"):
        cast.sign(request, "cto", at + timedelta(hours=72))


def test_an_expired_request_makes_room_for_the_next(passed: Passed) -> None:
    run, at = passed
    request, later = cast.ask(run, at), at + timedelta(hours=72)

    phases.judge(run=run, at=later)

    request.refresh_from_db()
    assert request.state == StepRequest.State.EXPIRED
    assert AuditEvent.objects.get(action="step.expired").actor == "governance"
    assert cast.ask(run, later).state == StepRequest.State.OPEN


def test_one_request_is_open_at_a_time_and_can_be_withdrawn(passed: Passed) -> None:
    run, at = passed
    request = cast.ask(run, at)
    with pytest.raises(UnableToStep, match="open already"):
        cast.ask(run, at)
    with pytest.raises(UnableToStep, match="Only who asked"):
        phases.withdraw(request_id=request.pk, by=cast.person("ceo"), at=at)

    phases.withdraw(request_id=request.pk, by=cast.person("engineer"), at=at)

    assert cast.ask(run, at).state == StepRequest.State.OPEN


def test_a_decided_request_stays_decided(passed: Passed) -> None:
    run, at = passed
    request = cast.signed_request(run, at)
    cast.decide(request, Decision.GO, at)

    with pytest.raises(UnableToStep, match="closed already"):
        cast.decide(request, Decision.NO_GO, at, notes="on second thought")
    assert capital() == 600


def test_an_accelerated_run_opens_no_gate_but_one_on_paper(passed: Passed) -> None:
    run, at = passed
    request = cast.signed_request(run, at)
    Account.objects.update(mode="LIVE")

    with pytest.raises(UnableToStep, match="it can open no gate but one on paper"):
        cast.decide(request, Decision.GO, at)
    assert capital() == 300


def test_only_a_signer_decides(passed: Passed) -> None:
    run, at = passed
    request = cast.signed_request(run, at)

    with pytest.raises(UnableToStep, match="Only Trading Lead, Engineer, CTO decide"):
        cast.decide(request, Decision.GO, at, by="ceo")


def test_every_step_is_audited(passed: Passed) -> None:
    run, at = passed
    cast.decide(cast.signed_request(run, at), Decision.GO, at)

    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {
        "mandate.in_force", "phase.started", "step.requested", "step.signed", "checklist.ticked", "step.decided",
        "phase.ended",
    } <= actions  # fmt: skip


def test_a_refusal_is_audited_too() -> None:
    refusals.record(by="trader", what="/gate/request/1/sign/", why="You do not hold the role CTO.", at=BEGIN)

    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.subject) == ("trader", "refused", "/gate/request/1/sign/")


def test_the_demo_begins_once() -> None:
    account = cast.desk()
    phases.start_run(account=account, phase_id="4.0", by="demo", at=BEGIN)

    assert phases.begin_demo(at=BEGIN) is None
    assert PhaseRun.objects.count() == 1


def test_a_failed_run_opens_an_incident_whose_review_must_close_it_first(passed: Passed) -> None:
    run, at = passed
    raise_crit(run.account, at)
    phases.judge(run=run, at=at + cast.MINUTE)
    incident = Incident.objects.get()
    lead, review = cast.person("lead"), Review("a ghost order", "no order was lost", "reads the venue more often")

    with pytest.raises(
        UnableToStep, match=r"Close what is open first: incident #\d+ CRIT alerts: 1, must be ≤ 0 is open"
    ):
        phases.begin(account=run.account, phase_id="4.0", by=lead, at=at)
    incidents.close(incident_id=incident.pk, by=lead, review=review, at=at)

    assert incident.failed_run
    assert phases.begin(account=run.account, phase_id="4.0", by=lead, at=at).template.phase == "4.0"


def test_a_criterion_to_investigate_opens_one_incident_and_holds_go_back() -> None:
    account = cast.desk()
    run = phases.start_run(account=account, phase_id="4.0", by="lead", at=BEGIN)
    at = cast.live_through(account, 10, fed_ns=30 * cast.SECOND_NS)

    for _ in range(2):
        phases.judge(run=run, at=at)

    run.refresh_from_db()
    assert (run.outcome, Incident.objects.get().metric) == ("RUNNING", "feed_uptime")


def test_only_a_whole_review_closes_an_incident(passed: Passed) -> None:
    run, at = passed
    raise_crit(run.account, at)
    phases.judge(run=run, at=at + cast.MINUTE)

    with pytest.raises(incidents.UnableToClose, match="Say the prevention"):
        incidents.close(
            incident_id=Incident.objects.get().pk,
            by=cast.person("lead"),
            review=Review("a ghost order", "no order was lost", "none"),
            at=at,
        )

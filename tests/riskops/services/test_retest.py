"""After a run that failed the same phase begins again, on paper, with 48 h of re-test."""

from datetime import datetime
from pathlib import Path

import pytest
from pytest_django import Settings

from riskops.domain.incidents import Review
from riskops.domain.steps import Decision
from riskops.models import Incident, PhaseRun
from riskops.services import incidents, phases
from riskops.services.phases import UnableToStep
from riskops.standing import stand
from tests.riskops import cast
from trading.domain.events import Severity
from trading.models import Account, Halt
from trading.services import alerts

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def latch_file(settings: Settings, tmp_path: Path) -> None:
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"


def failed() -> tuple[PhaseRun, datetime]:
    """Return a run that a CRIT has failed, with its incident reviewed, and when that was."""
    run, at = cast.passed_run()
    alerts.raise_alert(account=run.account, severity=Severity.CRIT, code="GHOST_ORDER", message="gone", at=at)
    phases.judge(run=run, at=at + cast.MINUTE)
    review = Review("a ghost order", "no order was lost", "reads the venue more often")
    for incident in Incident.objects.all():
        incidents.close(incident_id=incident.pk, by=cast.person("lead"), review=review, at=at)
    return run, at + 2 * cast.MINUTE


def begun_again(account: Account, at: datetime) -> PhaseRun:
    return phases.begin(account=account, phase_id="4.0", by=cast.person("lead"), at=at)


def test_the_hours_of_the_phase_count_after_the_retest() -> None:
    run, at = failed()
    again = begun_again(run.account, at)

    at = cast.live_through(run.account, 49, at)  # 49 h of the market
    standing = stand(again, at)

    assert standing.retest is not None
    assert standing.retest.is_complete
    assert (standing.verdict.outcome, standing.verdict.window.min_hours) == ("RUNNING", 96)
    at = cast.live_through(run.account, 48, at)
    assert stand(again, at).verdict.outcome == "PASS"


def test_a_hold_does_not_shorten_the_retest() -> None:
    run, at = failed()
    again = begun_again(run.account, at)
    at = cast.live_through(run.account, 10, at)
    cast.decide(cast.ask(again, at), Decision.HOLD, at, notes="we wait for the weekend")
    again.refresh_from_db()

    at = cast.live_through(run.account, 37, at)

    with pytest.raises(UnableToStep, match=r"The run before failed: 1\.0 h of 48 h re-test on paper are still to come"):
        cast.decide(request := cast.signed_request(again, at), Decision.GO, at)
    at = cast.live_through(run.account, 12, at)
    cast.decide(request, Decision.GO, at)
    assert PhaseRun.objects.get(ended_at=None).template.phase == "4.1"


def test_a_desk_with_real_money_goes_back_to_paper_first() -> None:
    run, at = failed()
    Account.objects.update(mode="LIVE")
    run.account.refresh_from_db()

    with pytest.raises(UnableToStep, match=r"4\.0 has failed: it begins again on paper, with 48 h of re-test"):
        begun_again(run.account, at)


def test_ending_the_retest_by_hand_does_not_end_the_need_for_it() -> None:
    run, at = failed()
    again = begun_again(run.account, at)
    cast.decide(cast.ask(again, at), Decision.NO_GO, at, notes="the team is not confident")

    assert begun_again(run.account, at).is_retest


def test_a_run_that_people_ended_needs_no_retest() -> None:
    run, at = cast.passed_run()
    cast.decide(cast.ask(run, at), Decision.NO_GO, at, notes="the team is not confident")

    assert not begun_again(run.account, at).is_retest


def test_no_go_on_a_run_that_has_failed_halts_and_opens_the_incident_all_the_same() -> None:
    run, at = cast.passed_run()
    request = cast.ask(run, at)
    alerts.raise_alert(account=run.account, severity=Severity.CRIT, code="GHOST_ORDER", message="gone", at=at)

    cast.decide(request, Decision.NO_GO, at + cast.MINUTE, notes="a ghost order was seen")

    run.refresh_from_db()
    request.refresh_from_db()
    assert (run.outcome, run.decision, request.state) == ("FAIL", "NO_GO", "DECIDED")
    assert Halt.objects.get().reason == "gate 4.0 failed: crit_alerts"
    assert Incident.objects.get().failed_run

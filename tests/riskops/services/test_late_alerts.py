"""A CRIT that happened before a decision and is stored while it is made belongs to the window that follows."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from riskops.domain.gates import Outcome
from riskops.domain.steps import Decision
from riskops.models import PhaseRun, StepRequest
from riskops.services import phases
from riskops.services.phases import UnableToStep
from riskops.standing import fatal_alerts, stand
from tests.riskops import cast
from trading.domain.events import Severity
from trading.models import Account, Alert
from trading.services import alerts

pytestmark = pytest.mark.django_db(transaction=True)
LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def latch_file(settings: Settings, tmp_path: Path) -> None:
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"


@contextmanager
def being_stored(account: Account | None, at: datetime) -> Iterator[None]:
    """Hold a CRIT of `at` in a transaction of another connection that is committed when the block ends."""
    written, commit = threading.Event(), threading.Event()

    def act() -> None:
        with transaction.atomic():
            alerts.raise_alert(account=account, severity=Severity.CRIT, code="GHOST_ORDER", message="gone", at=at)
            written.set()
            assert commit.wait(LIMIT_S)
        connection.close()

    thread = threading.Thread(target=act)
    thread.start()
    assert written.wait(LIMIT_S)
    try:
        yield
    finally:
        commit.set()
        thread.join(LIMIT_S)


def ready() -> tuple[StepRequest, datetime]:
    run, at = cast.passed_run()
    return cast.signed_request(run, at), at + cast.MINUTE


@pytest.mark.parametrize("of_all_accounts", [False, True])
def test_a_crit_that_go_did_not_see_fails_the_run_that_go_started(of_all_accounts: bool) -> None:
    request, at = ready()

    with being_stored(None if of_all_accounts else request.run.account, at - cast.MINUTE):
        cast.decide(request, Decision.GO, at)

    started = PhaseRun.objects.select_related("template", "account").get(ended_at=None)
    assert started.template.phase == "4.1"
    assert [one.criterion.metric for one in fatal_alerts(started, at + cast.MINUTE)] == ["crit_alerts"]
    assert phases.judge(run=started, at=at + cast.MINUTE).outcome is Outcome.FAIL


def test_a_crit_that_hold_did_not_see_fails_the_window_that_begins_anew() -> None:
    request, at = ready()

    with being_stored(None, at - cast.MINUTE):
        cast.decide(request, Decision.HOLD, at, notes="we wait for the weekend")

    assert phases.judge(run=request.run, at=at + cast.MINUTE).outcome is Outcome.FAIL


def test_a_crit_that_is_known_cannot_be_forgotten_by_a_hold() -> None:
    request, at = ready()
    alerts.raise_alert(account=None, severity=Severity.CRIT, code="GHOST_ORDER", message="gone", at=at - cast.MINUTE)

    with pytest.raises(UnableToStep, match=r"The machine says FAIL: CRIT alerts: not met\. Only NO_GO"):
        cast.decide(request, Decision.HOLD, at, notes="we wait for the weekend")


def test_an_old_crit_that_repeats_before_go_and_is_stored_after_it_counts_and_its_acknowledgement_does_not() -> None:
    old = cast.BEGIN - cast.MINUTE
    alerts.raise_alert(account=None, severity=Severity.CRIT, code="GHOST_ORDER", message="gone", at=old)
    request, at = ready()
    with being_stored(None, at - cast.MINUTE):
        cast.decide(request, Decision.GO, at)
    after = PhaseRun.objects.select_related("template", "account").get(ended_at=None)
    assert fatal_alerts(after, at + cast.MINUTE)
    Alert.objects.update(at=old, stored_in=1)

    alerts.acknowledge(
        alert_id=Alert.objects.get(code="GHOST_ORDER").pk, by=cast.person("engineer"), at=at + cast.MINUTE
    )

    assert not fatal_alerts(after, at + cast.MINUTE)


def test_the_query_that_is_shown_gives_the_count_again() -> None:
    request, at = ready()
    with being_stored(None, at - cast.MINUTE):
        cast.decide(request, Decision.GO, at)

    finding = stand(PhaseRun.objects.get(ended_at=None), at + cast.MINUTE).verdict.fatal[0]

    assert finding.measured is not None
    with connection.cursor() as cursor:
        cursor.execute(finding.measured.query)
        assert cursor.fetchone() == (1,)
    assert finding.measured.value == 1

"""People and the machine act while somebody halts, signs or opens an incident: nobody is ended by the database."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.utils.timezone import now
from pytest_django import Settings

from riskops.domain.steps import Decision
from riskops.models import BreakGlass, Incident, PhaseRun, StepRequest
from riskops.readiness import readiness
from riskops.services import arming, break_glass, incidents, kill_switch, phases
from riskops.standing import lock_newest_run
from tests.riskops import cast
from tests.riskops.armed import make_ready
from trading.domain.events import Severity
from trading.domain.latency import Histogram
from trading.domain.modes import Mode
from trading.domain.people import Role
from trading.models import Account, Alert, AuditEvent, Halt, Reconciliation
from trading.services import alerts, armings, audit, halts
from trading.services.demo import load_demo
from trading.services.locks import lock_account

pytestmark = pytest.mark.django_db(transaction=True)
Deed = Callable[[], object]
LATE = cast.BEGIN + timedelta(hours=80)  # a request of the beginning has expired


@pytest.fixture(autouse=True)
def latch_file(settings: Settings, tmp_path: Path) -> None:
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"


def in_the_trail() -> None:
    audit.record(actor="somebody", action="halt.repeated", subject="x", payload={}, at=cast.BEGIN)


def both(first: Deed, then: Deed, act: Deed) -> list[BaseException]:
    """Let one transaction do `first`, somebody else `act`, and the transaction go on with `then`; return what broke."""
    held, may_end = Event(), Event()
    broken: list[BaseException] = []

    def one() -> None:
        with transaction.atomic():
            first()
            held.set()
            may_end.wait(10)
            then()

    def alone(deed: Deed) -> None:
        try:
            deed()
        except BaseException as error:
            broken.append(error)
        finally:
            held.set()
            connection.close()

    threads = [Thread(target=alone, args=(one,)), Thread(target=alone, args=(act,))]
    threads[0].start()
    assert held.wait(10)
    threads[1].start()
    while threads[1].is_alive() and not somebody_waits():  # until it has locked what it locks first
        threads[1].join(0.02)
    may_end.set()
    for thread in threads:
        thread.join(20)
    return broken


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


def halting(account: Account) -> Deed:
    """Return what a halt does first."""
    return lambda: lock_account(account.pk, whole=True)


def failing(run: PhaseRun) -> None:
    alerts.raise_alert(account=run.account, severity=Severity.CRIT, code="TEST", message="told", at=LATE - cast.MINUTE)


def test_a_run_that_fails_when_a_request_expires_and_a_halt() -> None:
    run, at = cast.passed_run()
    cast.ask(run, at)
    failing(run)

    broken = both(halting(run.account), in_the_trail, lambda: phases.judge(run=run, at=LATE))

    assert broken == []
    assert PhaseRun.objects.get().decision == "NO_GO"
    assert StepRequest.objects.get().state == StepRequest.State.EXPIRED


def test_a_run_with_something_to_investigate_and_somebody_who_signs() -> None:
    run, at = cast.passed_run()
    request = cast.ask(run, at)
    slow = Histogram()
    slow.record_ns(3 * cast.SECOND_NS)
    until = cast.live_through(run.account, 600, at, latency=slow)

    def sign_first() -> None:
        StepRequest.objects.select_for_update().get(pk=request.pk)

    assert both(sign_first, in_the_trail, lambda: phases.judge(run=run, at=until)) == []
    assert Incident.objects.get().metric == "latency_p95_ms"
    assert StepRequest.objects.get().state == StepRequest.State.VOID


def test_a_go_and_a_halt() -> None:
    run, at = cast.passed_run()
    request = cast.signed_request(run, at)

    broken = both(halting(run.account), in_the_trail, lambda: cast.decide(request, Decision.GO, at))

    assert broken == []
    assert StepRequest.objects.get().decision == "GO"


def test_a_run_that_is_judged_and_an_incident_opened_by_hand() -> None:
    run, _ = cast.passed_run()
    lead = cast.person("lead")

    def by_hand() -> None:
        incidents.open_by_hand(account=run.account, by=lead, playbook="process", what="seen", at=LATE)

    broken = both(lambda: lock_newest_run(run.account), lambda: lock_account(run.account_id, whole=True), by_hand)

    assert broken == []


def test_a_resume_and_a_halt() -> None:
    account = cast.desk()
    trader, lead = cast.person("trader"), cast.person("lead")
    kill_switch.halt(scope=None, by=trader, reason="drill", flatten=False, at=cast.BEGIN)
    Halt.objects.update(stage=Halt.Stage.PROVEN_CLEAR)
    Reconciliation.objects.create(account=account, is_clean=True, local_open=0, venue_open=0, at=cast.BEGIN)
    asked = kill_switch.request_resume(
        account=account, by=trader, reason="the feed is back", typed="RESUME", at=cast.BEGIN
    )

    def resume() -> None:
        kill_switch.grant_resume(request_id=asked.pk, by=lead, typed="RESUME", at=cast.BEGIN)

    assert both(halting(account), in_the_trail, resume) == []
    assert halts.in_force(account) is None


def _glass() -> BreakGlass:
    run, at = cast.passed_run()
    return break_glass.ask(
        account=run.account, by=cast.person("engineer"), reason="nobody answers", hours=1, at=at
    )  # fmt: skip


def test_a_broken_glass_and_a_halt() -> None:
    glass, cto = _glass(), cast.person("cto")

    def grant() -> None:
        break_glass.grant(glass_id=glass.pk, by=cto, at=glass.asked_at)

    assert both(halting(glass.account), in_the_trail, grant) == []
    actions = AuditEvent.objects.order_by("sequence").values_list("action", flat=True)
    assert list(actions)[-2:] == ["breakglass.granted", "incident.opened"]


def test_a_broken_glass_and_somebody_who_acknowledges_the_last_one() -> None:
    glass, cto = _glass(), cast.person("cto")
    alerts.raise_alert(account=None, severity=Severity.WARN, code="BREAK_GLASS", message="before", at=cast.BEGIN)

    def acknowledge_first() -> None:
        Alert.objects.select_for_update().get(code="BREAK_GLASS")

    def grant() -> None:
        break_glass.grant(glass_id=glass.pk, by=cto, at=glass.asked_at)

    assert both(acknowledge_first, in_the_trail, grant) == []


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Account:
    load_demo(at=now())
    phases.load_roadmap(at=now())
    make_ready(monkeypatch)
    for name, role in (("first", Role.TRADING_LEAD), ("second", Role.CTO)):
        User.objects.create_user(name).groups.add(Group.objects.get_or_create(name=role)[0])
    return armings.prepare(paper=Account.objects.get(slug="micro"), mode=Mode.LIVE, by="first", at=now())


def test_an_arming_and_a_halt(live: Account) -> None:
    stands = readiness(Account.objects.get(slug="micro"), Mode.LIVE, now())
    first, second = (User.objects.get(username=name) for name in ("first", "second"))
    seen = {"typed": stands.word, "digest": stands.digest}
    asked = arming.request(account=live, by=first, at=now(), **seen)

    def approve() -> None:
        arming.approve(account=live, request_id=asked.pk, by=second, at=now(), **seen)

    assert both(halting(live), in_the_trail, approve) == []
    assert PhaseRun.objects.filter(account=live).count() == 1


def test_a_question_to_arm_after_one_that_expired_and_a_halt(live: Account) -> None:
    stands = readiness(Account.objects.get(slug="micro"), Mode.LIVE, now())
    first = User.objects.get(username="first")
    seen = {"typed": stands.word, "digest": stands.digest}
    old = arming.request(account=live, by=first, at=now(), **seen)
    type(old).objects.update(requested_at=now() - timedelta(days=2))

    def ask() -> None:
        arming.request(account=live, by=first, at=now(), **seen)

    assert both(halting(live), in_the_trail, ask) == []

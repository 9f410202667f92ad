"""Two who approve, withdraw or ask at the same instant: one of them is too late, and an account is armed once."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.db import connection
from django.utils.timezone import now
from pytest_django import Settings

from riskops.models import ArmRequest, PhaseRun
from riskops.readiness import readiness
from riskops.services import arming, phases
from riskops.services.arming import UnableToArm
from tests.riskops.armed import make_ready
from trading.domain.modes import Mode
from trading.models import Account, Arming, AuditEvent, Mandate
from trading.services import armings
from trading.services.demo import load_demo

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 8


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path) -> Account:
    """The LIVE account of the micro desk, for which everything holds; two who hold each role."""
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"
    cache.clear()
    load_demo(at=now())
    phases.load_roadmap(at=now())
    make_ready(monkeypatch)
    for name, role in (("lead", "Trading Lead"), ("cto_1", "CTO"), ("cto_2", "CTO")):
        User.objects.create_user(name).groups.add(Group.objects.get_or_create(name=role)[0])
    return armings.prepare(paper=Account.objects.get(slug="micro"), mode=Mode.LIVE, by="lead", at=now())


def asked(live: Account) -> dict[str, Any]:
    """Return what the second person needs to approve it."""
    stands = readiness(Account.objects.get(slug="micro"), Mode.LIVE, now())
    lead = User.objects.get(username="lead")
    request = arming.request(account=live, by=lead, typed=stands.word, digest=stands.digest, at=now())
    return {"account": live, "request_id": request.pk, "typed": stands.word, "digest": stands.digest}


def race(*deeds: Callable[[], object]) -> list[str]:
    """Do everything at the same instant, each on a connection of its own; return "done" or why not."""
    start, answers = threading.Barrier(len(deeds)), [""] * len(deeds)

    def run(number: int, deed: Callable[[], object]) -> None:
        start.wait()
        try:
            deed()
            answers[number] = "done"
        except UnableToArm as error:
            answers[number] = str(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


def person(name: str) -> User:
    return User.objects.get(username=name)


def test_of_two_approvals_one_counts(live: Account) -> None:
    for _ in range(ROUNDS):
        given = asked(live)
        before = Arming.objects.count()

        answers = race(
            lambda given=given: arming.approve(by=person("cto_1"), at=now(), **given),  # type: ignore[misc]
            lambda given=given: arming.approve(by=person("cto_2"), at=now(), **given),  # type: ignore[misc]
        )

        assert sorted(answers) == ["This request is decided already; reload the page.", "done"]
        assert Arming.objects.count() == before + 1

    assert PhaseRun.objects.filter(account=live).count() == 1
    assert Mandate.objects.filter(account=live).count() == 1
    assert AuditEvent.objects.filter(action="account.armed").count() == ROUNDS


def test_of_an_approval_and_a_withdrawal_one_counts(live: Account) -> None:
    for _ in range(ROUNDS):
        given, before = asked(live), Arming.objects.count()
        named = {"account": live, "request_id": given["request_id"]}

        answers = race(
            lambda given=given: arming.approve(by=person("cto_1"), at=now(), **given),  # type: ignore[misc]
            lambda named=named: arming.withdraw(by=person("lead"), at=now(), **named),  # type: ignore[misc]
        )

        assert answers.count("done") == 1
        armed = Arming.objects.count() - before
        assert armed == (ArmRequest.objects.get(pk=given["request_id"]).state == "APPROVED") == (answers[0] == "done")


def test_of_two_who_ask_one_is_heard(live: Account) -> None:
    stands = readiness(Account.objects.get(slug="micro"), Mode.LIVE, now())
    form = {"account": live, "typed": stands.word, "digest": stands.digest}

    answers = race(
        lambda: arming.request(by=person("lead"), at=now(), **form),  # type: ignore[arg-type]
        lambda: arming.request(by=person("cto_1"), at=now(), **form),  # type: ignore[arg-type]
    )

    assert sorted(answers) == ["A request is open already: approve or withdraw that one.", "done"]
    assert ArmRequest.objects.count() == 1

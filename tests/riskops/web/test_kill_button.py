"""HALT under every circumstance in which a person may press it."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client

from tests.riskops.proofs import text_of
from trading.models import Account, Halt, Reconciliation, Session
from trading.services import halts

AsPerson = Callable[[str], Client]
PRESS = {"scope": "micro", "reason": "it looks wrong"}
LIMIT_S = 20.0


def latched() -> list[str]:
    return list(Halt.objects.filter(released_at=None).values_list("account__slug", flat=True))


@pytest.mark.django_db
def test_with_an_expired_token_nothing_is_halted_and_the_page_names_the_other_ways(as_person: AsPerson) -> None:
    as_person("trader")
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="trader"))

    answer = client.post("/risk/halt/", PRESS)

    assert answer.status_code == 403
    assert "./console halt" in text_of(answer)
    assert 'href="/risk/halt/"' in answer.content.decode()
    assert latched() == []


@pytest.mark.django_db
def test_with_an_expired_session_nothing_is_halted_and_the_sign_in_comes(as_person: AsPerson) -> None:
    client = as_person("trader")
    Session.objects.all().delete()

    answer = client.post("/risk/halt/", PRESS)

    assert answer.headers["Location"].startswith("/login/")
    assert latched() == []


@pytest.mark.django_db
@pytest.mark.parametrize("year", [2000, 2099])
def test_a_clock_that_is_wrong_holds_no_press_up(
    as_person: AsPerson, monkeypatch: pytest.MonkeyPatch, year: int
) -> None:
    monkeypatch.setattr("riskops.views.risk.now", lambda: datetime(year, 1, 1, tzinfo=UTC))

    as_person("trader").post("/risk/halt/", PRESS)

    assert latched() == ["micro"]


@pytest.mark.django_db
@pytest.mark.parametrize("clean", [True, False])
def test_a_reconcile_holds_no_press_up(as_person: AsPerson, clean: bool) -> None:
    client = as_person("trader")
    account, at = Account.objects.get(slug="micro"), datetime.now(UTC)
    Reconciliation.objects.create(account=account, is_clean=clean, local_open=3, venue_open=4, at=at)

    client.post("/risk/halt/", PRESS)

    assert latched() == ["micro"]


@pytest.mark.django_db
def test_a_press_while_an_earlier_one_is_under_way_keeps_its_halt(as_person: AsPerson) -> None:
    client = as_person("trader")
    client.post("/risk/halt/", PRESS)
    Halt.objects.update(stage=Halt.Stage.STOPPED)

    client.post("/risk/halt/", PRESS)

    assert list(Halt.objects.values_list("stage", flat=True)) == ["STOPPED"]


@pytest.mark.django_db(transaction=True)
def test_a_press_during_a_migration_stops_at_once_and_is_stored_after_it(
    transactional_db: None, as_person: AsPerson, latch_file: Path
) -> None:
    client, answers = as_person("trader"), list[int]()

    def press() -> None:
        answers.append(client.post("/risk/halt/", PRESS).status_code)
        connection.close()

    pressing = threading.Thread(target=press)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE trading_halt IN ACCESS EXCLUSIVE MODE")
        pressing.start()
        until = time.monotonic() + LIMIT_S
        while "micro" not in halts.read_latch_file():  # until its text is there, the new file latches everything
            assert time.monotonic() < until
        assert answers == []
    pressing.join(LIMIT_S)

    assert answers == [302]
    assert latched() == ["micro"]

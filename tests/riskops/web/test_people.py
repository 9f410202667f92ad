"""People and their roles in the admin: every change is sealed under the name of who made it."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from trading.models import AuditEvent

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]
PASSWORD = "a long enough passphrase 1"


def newest() -> tuple[str, str, str]:
    event = AuditEvent.objects.order_by("-sequence")[0]
    return event.actor, event.action, event.subject


def test_a_role_given_to_a_person_is_sealed(as_person: AsPerson) -> None:
    engineer, trader = as_person("engineer"), User.objects.get(username="trader")
    lead = Group.objects.get(name="Trading Lead")
    form = {"username": "trader", "groups": [lead.pk], "date_joined_0": "2026-11-21", "date_joined_1": "12:00:00"}

    response = engineer.post(f"/admin/auth/user/{trader.pk}/change/", form)

    assert response.status_code == 302
    assert list(trader.groups.all()) == [lead]
    assert newest() == ("engineer", "user.changed", "user:trader")


def test_a_password_set_by_another_person_is_sealed(as_person: AsPerson) -> None:
    engineer, trader = as_person("engineer"), User.objects.get(username="trader")
    form = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true", "set-password": "1"}

    engineer.post(f"/admin/auth/user/{trader.pk}/password/", form)

    assert newest() == ("engineer", "user.changed", "user:trader")


@pytest.mark.parametrize(("old", "sealed"), [(PASSWORD, True), ("wrong", False)])
def test_a_password_of_ones_own_is_sealed_when_it_is_changed(as_person: AsPerson, old: str, sealed: bool) -> None:
    as_person("cto")
    cto, browser = User.objects.get(username="cto"), Client()
    cto.set_password(PASSWORD)
    cto.save()
    browser.force_login(cto)
    form = {"old_password": old, "new_password1": PASSWORD + "2", "new_password2": PASSWORD + "2"}

    browser.post("/admin/password_change/", form)

    assert (newest() == ("cto", "user.changed", "user:cto")) is sealed


def test_a_role_that_is_made_or_renamed_is_sealed(as_person: AsPerson) -> None:
    engineer = as_person("engineer")

    engineer.post("/admin/auth/group/add/", {"name": "Auditor"})
    made = newest()
    engineer.post(f"/admin/auth/group/{Group.objects.get(name='Auditor').pk}/change/", {"name": "Reader"})

    assert made == ("engineer", "group.added", "group:Auditor")
    assert newest() == ("engineer", "group.changed", "group:Reader")

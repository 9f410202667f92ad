"""Settings: one's own sessions and password; people, added, changed and deactivated by an administrator."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils.timezone import now
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from riskops.models import Invitation
from tests.riskops.proofs import text_of
from trading.models import AuditEvent, Session
from trading.services import audit

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]
PASSWORD = "a long enough passphrase 1"
SETTINGS = "/settings/"


@pytest.fixture
def administrator(as_person: AsPerson) -> Client:
    """The engineer of the demo, who is a superuser, with an authenticator."""
    browser, person = as_person("engineer"), User.objects.get(username="engineer")
    person.set_password(PASSWORD)
    person.save()
    TOTPDevice.objects.create(user=person, name="authenticator", confirmed=True)
    browser.force_login(person)
    return browser


@pytest.fixture
def trader(as_person: AsPerson) -> User:
    as_person("trader")
    person = User.objects.get(username="trader")
    person.set_password(PASSWORD)
    person.save()
    return person


def signed_in(person: User) -> Client:
    browser = Client()
    browser.force_login(person)
    return browser


def is_in(browser: Client) -> bool:
    return browser.get(SETTINGS).status_code == 200


def last_deeds(number: int) -> list[tuple[str, str, str]]:
    rows = AuditEvent.objects.order_by("-sequence")[:number]
    return [(row.actor, row.action, row.subject) for row in reversed(rows)]


def proof() -> dict[str, str]:
    totp = TOTP(TOTPDevice.objects.get(user__username="engineer").bin_key)
    totp.time = time.time()
    return {"password": PASSWORD, "code": f"{totp.token():06}"}


# --- one's own ----------------------------------------------------------------------------------------------------


def test_a_person_sees_and_ends_their_own_sessions_and_no_other(trader: User, as_person: AsPerson) -> None:
    here, elsewhere, other = signed_in(trader), signed_in(trader), as_person("cto")
    label = Session.objects.get(session_key=elsewhere.session.session_key).label
    foreign = Session.objects.get(session_key=other.session.session_key).label

    assert "this one" in text_of(here.get(SETTINGS))
    here.post(f"/settings/sessions/{label}/end/")
    here.post(f"/settings/sessions/{foreign}/end/")

    assert [is_in(browser) for browser in (here, elsewhere, other)] == [True, False, True]
    assert last_deeds(1) == [("trader", "session.ended", "user:trader")]


def test_no_page_shows_the_key_of_a_session(trader: User) -> None:
    here, elsewhere = signed_in(trader), signed_in(trader)

    page = here.get(SETTINGS).content.decode()

    assert not [key for key in (here, elsewhere) if str(key.session.session_key) in page]


def test_a_password_of_ones_own_ends_the_other_sessions(trader: User) -> None:
    here, elsewhere = signed_in(trader), signed_in(trader)
    before = here.session.session_key
    new = PASSWORD + "2"

    here.post("/settings/password/", {"old_password": PASSWORD, "new_password": new, "again": new})

    assert [is_in(here), is_in(elsewhere)] == [True, False]
    assert here.session.session_key != before
    assert User.objects.get(pk=trader.pk).check_password(new)
    assert [deed[1] for deed in last_deeds(2)] == ["user.changed", "session.ended"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"old_password": "wrong"}, "Your present password is wrong."),
        ({"again": "x"}, "was typed in two ways"),
        ({"new_password": "12345", "again": "12345"}, "too short"),
        ({"new_password": ""}, "The new password is missing."),
    ],
)
def test_a_password_that_is_refused_changes_nothing(trader: User, fields: dict[str, str], said: str) -> None:
    form = {"old_password": PASSWORD, "new_password": PASSWORD + "2", "again": PASSWORD + "2", **fields}

    answer = signed_in(trader).post("/settings/password/", form, follow=True)

    assert said in text_of(answer)
    assert User.objects.get(pk=trader.pk).check_password(PASSWORD)


def test_a_proof_of_identity_moves_the_session_to_another_key(administrator: Client, trader: User) -> None:
    TOTPDevice.objects.create(user=trader, name="authenticator", confirmed=True)
    before = administrator.session.session_key

    administrator.post(f"/settings/people/{trader.pk}/authenticator/", proof())

    assert administrator.session.session_key != before
    assert is_in(administrator)
    assert not Session.objects.filter(session_key=before).exists()


# --- people -------------------------------------------------------------------------------------------------------


def test_only_an_administrator_sees_people(administrator: Client, as_person: AsPerson) -> None:
    assert "Add a person" in text_of(administrator.get(SETTINGS))
    assert "Add a person" not in text_of(as_person("cto").get(SETTINGS))


def test_a_person_is_added_and_takes_the_invitation_once(administrator: Client) -> None:
    answer = administrator.post("/settings/people/add/", {"name": "ada", "full_name": "Ada", "roles": ["Compliance"]})
    link = re.search(r"/invitation/[\w-]+/", answer.content.decode())
    assert link is not None
    ada, guest = User.objects.get(username="ada"), Client()
    assert not ada.has_usable_password()

    shown = guest.get(link[0])
    weak = guest.post(link[0], {"new_password": "1", "again": "1"})
    taken = guest.post(link[0], {"new_password": PASSWORD, "again": PASSWORD}, follow=True)
    again = guest.post(link[0], {"new_password": PASSWORD + "2", "again": PASSWORD + "2"})

    assert "ada" in text_of(shown)
    assert (weak.status_code, again.status_code) == (422, 404)
    assert "Sign in as ada" in text_of(taken)
    assert guest.post("/login/", {"username": "ada", "password": PASSWORD}).status_code == 302
    assert link[0].split("/")[2] not in str(Invitation.objects.values_list())
    added = AuditEvent.objects.get(action="user.added")
    assert added.payload["after"] == {"roles": ["Compliance"], "active": True}
    assert "invitation/" not in text_of(administrator.get(SETTINGS))


def test_a_new_invitation_ends_the_one_before(administrator: Client, trader: User) -> None:
    links = [
        re.search(r"/invitation/[\w-]+/", administrator.post(f"/settings/people/{trader.pk}/invite/").content.decode())
        for _ in range(2)
    ]

    assert [Client().get(link[0]).status_code for link in links if link] == [404, 200]


def test_an_invitation_that_expired_or_of_somebody_who_left_is_none(administrator: Client, trader: User) -> None:
    link = re.search(
        r"/invitation/[\w-]+/", administrator.post(f"/settings/people/{trader.pk}/invite/").content.decode()
    )
    assert link is not None
    User.objects.filter(pk=trader.pk).update(is_active=False)
    left = Client().get(link[0]).status_code
    User.objects.filter(pk=trader.pk).update(is_active=True)

    Invitation.objects.update(expires_at=now())

    assert (left, Client().get(link[0]).status_code) == (404, 404)


def test_other_roles_are_recorded_and_end_what_was_begun_under_the_old_ones(
    administrator: Client, trader: User
) -> None:
    theirs = signed_in(trader)

    administrator.post(f"/settings/people/{trader.pk}/roles/", {"roles": ["Engineer", "CTO"]})

    event = AuditEvent.objects.get(action="user.changed", subject="user:trader")
    assert event.actor == "engineer"
    assert event.payload["before"]["roles"] == ["Trader"]
    assert event.payload["after"]["roles"] == ["CTO", "Engineer"]
    assert not is_in(theirs)


def test_the_same_roles_again_change_and_end_nothing(administrator: Client, trader: User) -> None:
    theirs = signed_in(trader)

    administrator.post(f"/settings/people/{trader.pk}/roles/", {"roles": ["Trader"]})

    assert is_in(theirs)
    assert not AuditEvent.objects.filter(action="user.changed").exists()


def test_whoever_is_deactivated_is_out_and_may_come_back(administrator: Client, trader: User) -> None:
    theirs = signed_in(trader)

    administrator.post(f"/settings/people/{trader.pk}/active/", {"active": "no"})
    out = is_in(theirs), Client().post("/login/", {"username": "trader", "password": PASSWORD}).status_code
    administrator.post(f"/settings/people/{trader.pk}/active/", {"active": "yes"})

    assert out == (False, 200)
    assert Client().post("/login/", {"username": "trader", "password": PASSWORD}).status_code == 302


@pytest.mark.parametrize(
    ("deed", "form"),
    [("roles", {"roles": ["CTO"]}), ("active", {"active": "no"}), ("invite", {}), ("authenticator", None)],
)
def test_nobody_changes_themselves(administrator: Client, deed: str, form: dict[str, Any] | None) -> None:
    engineer = User.objects.get(username="engineer")

    answer = administrator.post(
        f"/settings/people/{engineer.pk}/{deed}/", proof() if form is None else form, follow=True
    )

    assert "Nobody changes themselves" in text_of(answer)
    assert last_deeds(1)[0][:2] == ("engineer", "refused")
    assert [group.name for group in engineer.groups.all()] == ["Engineer"]
    assert TOTPDevice.objects.filter(user=engineer).exists()


@pytest.mark.parametrize(("deed", "form"), [("roles", {"roles": ["Trader"]}), ("active", {"active": "no"})])
def test_the_last_cto_is_not_taken_away_without_saying_so(
    administrator: Client, deed: str, form: dict[str, Any]
) -> None:
    cto = User.objects.get(username="cto")
    address = f"/settings/people/{cto.pk}/{deed}/"

    refused = administrator.post(address, form, follow=True)
    still = User.objects.get(pk=cto.pk).is_active and cto.groups.filter(name="CTO").exists()
    administrator.post(address, {**form, "anyway": "on"})

    assert "cto is the last active CTO" in text_of(refused)
    assert still
    assert not (User.objects.get(pk=cto.pk).is_active and cto.groups.filter(name="CTO").exists())


def test_a_second_cto_makes_the_first_one_no_longer_the_last(administrator: Client, trader: User) -> None:
    trader.groups.add(Group.objects.get(name="CTO"))
    cto = User.objects.get(username="cto")

    administrator.post(f"/settings/people/{cto.pk}/active/", {"active": "no"})

    assert not User.objects.get(pk=cto.pk).is_active


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"name": "trader"}, "There is somebody named trader already."),
        ({"name": "a b"}, "Enter a valid username"),
        ({"name": ""}, "The name to sign in with is missing."),
        ({"name": "ada", "roles": ["Emperor"]}, "roles: is not what this page sends"),
        ({"name": "x" * 151}, "150"),
    ],
)
def test_nobody_half_added(administrator: Client, form: dict[str, Any], said: str) -> None:
    before = User.objects.count()

    answer = administrator.post("/settings/people/add/", form, follow=True)

    assert said in text_of(answer)
    assert User.objects.count() == before


# --- a lost authenticator -----------------------------------------------------------------------------------------


def test_a_lost_authenticator_is_removed_with_a_proof_and_its_owner_is_told(
    administrator: Client, trader: User
) -> None:
    TOTPDevice.objects.create(user=trader, name="authenticator", confirmed=True)
    theirs, address = signed_in(trader), f"/settings/people/{trader.pk}/authenticator/"

    without = administrator.post(address, {"password": PASSWORD, "code": "000000"}, follow=True)
    assert TOTPDevice.objects.filter(user=trader).exists()
    administrator.post(address, proof())

    assert "wrong" in text_of(without)
    assert not TOTPDevice.objects.filter(user=trader).exists()
    assert AuditEvent.objects.filter(action="otp.removed", actor="engineer", subject="user:trader").exists()
    assert not is_in(theirs)
    browser = Client()
    browser.post("/login/", {"username": "trader", "password": PASSWORD})
    assert "engineer removed your authenticator" in text_of(browser.get("/"))


def test_the_admin_removes_no_authenticator_and_nobody_who_has_one(administrator: Client, trader: User) -> None:
    device = TOTPDevice.objects.create(user=trader, name="authenticator", confirmed=True)

    administrator.post(f"/admin/otp_totp/totpdevice/{device.pk}/delete/", {"post": "yes"})
    administrator.post(f"/admin/auth/user/{trader.pk}/delete/", {"post": "yes"})

    assert TOTPDevice.objects.filter(pk=device.pk).exists()
    assert User.objects.filter(pk=trader.pk).exists()


def test_in_the_admin_too_nobody_raises_themselves(administrator: Client) -> None:
    engineer = User.objects.get(username="engineer")
    form = {"username": "engineer", "groups": [Group.objects.get(name="CTO").pk], "date_joined_0": "2026-11-21",
            "date_joined_1": "12:00:00"}  # fmt: skip

    administrator.post(f"/admin/auth/user/{engineer.pk}/change/", form)

    engineer.refresh_from_db()
    assert [group.name for group in engineer.groups.all()] == ["Engineer"]
    assert engineer.is_active
    assert engineer.is_superuser


def test_what_the_admin_changes_is_recorded_before_and_after(administrator: Client, trader: User) -> None:
    form = {"username": "trader", "is_active": "on", "groups": [Group.objects.get(name="CTO").pk],
            "date_joined_0": "2026-11-21", "date_joined_1": "12:00:00"}  # fmt: skip

    administrator.post(f"/admin/auth/user/{trader.pk}/change/", form)

    event = AuditEvent.objects.filter(action="user.changed", subject="user:trader").latest("sequence")
    assert event.payload["before"]["groups"] == ["Trader"]
    assert event.payload["after"]["groups"] == ["CTO"]
    assert "password" not in event.payload["before"]


def test_settings_lead_to_the_keys_and_to_the_routes(as_person: AsPerson) -> None:
    page = as_person("trader").get(SETTINGS).content.decode()

    assert 'href="/settings/keys/"' in page
    assert 'href="/alerts/?show=routes"' in page


def test_a_phone_reaches_every_page_from_its_bottom_bar(as_person: AsPerson) -> None:
    page = as_person("trader").get(SETTINGS).content.decode()
    wide = page[page.index('class="nav') : page.index('class="who"')]
    phone = page[page.index('class="bottom') : page.index('id="halt"')]

    places = set(re.findall(r'href="([^"]+)"', wide))
    assert "/gate/" in places
    assert places <= set(re.findall(r'href="([^"]+)"', phone))


def test_everything_above_leaves_a_whole_trail(administrator: Client, trader: User) -> None:
    administrator.post("/settings/people/add/", {"name": "ada"})
    administrator.post(f"/settings/people/{trader.pk}/roles/", {"roles": ["Engineer"]})

    assert audit.verify() is None
    assert settings.SESSION_COOKIE_NAME in administrator.cookies

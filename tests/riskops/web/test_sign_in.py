"""Signing in: slowed, never locked, with a code where there is one, and recorded."""

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.test import Client
from django.utils.timezone import now
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from riskops import tasks
from riskops.models import FailedSignIns, Notice, Tries
from riskops.services import sign_in, slowing
from riskops.views import signing_in
from trading.models import Alert, AuditEvent, Halt, Session
from trading.services.demo import load_demo

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough passphrase 1"
HOME = "10.0.0.1"
STRANGE = "203.0.113.9"
WRONG = "do not fit together"
TOO_MANY = "Too many tries failed"


class Clock:
    """The time that sign-ins are told."""

    def __init__(self) -> None:
        self.at = now()

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(signing_in, "now", clock)
    return clock


@pytest.fixture
def cto() -> User:
    load_demo(at=now())
    person = User.objects.get(username="cto")
    person.set_password(PASSWORD)
    person.save()
    return person


@pytest.fixture
def home(cto: User, clock: Clock) -> Client:
    """The browser in which the CTO has signed in before, at home; signed out now."""
    browser = Client(REMOTE_ADDR=HOME)
    assert enter(browser).status_code == 302
    browser.post("/logout/")
    return browser


def enter(browser: Client, name: str = "cto", password: str = PASSWORD, **more: str) -> Any:
    return browser.post("/login/", {"username": name, "password": password, **more})


def code_of(person: User) -> str:
    totp = TOTP(TOTPDevice.objects.get(user=person).bin_key)
    totp.time = time.time()
    return f"{totp.token():06}"


def half_way(answer: Any) -> str:
    found = answer.context["half_way"]
    assert isinstance(found, str)
    return found


def hammer(times: int, clock: Clock, name: str = "cto", *, addresses: int = 1) -> list[int]:
    """Guess from strange places, a second apart; return the answers' status."""
    found = []
    for number in range(times):
        clock.pass_(1)
        stranger = Client(REMOTE_ADDR=f"203.0.113.{number % addresses + 1}")
        found.append(enter(stranger, name, f"guess {number}").status_code)
    return found


def test_a_sign_in_is_recorded_with_its_place(cto: User, clock: Clock) -> None:
    browser = Client(REMOTE_ADDR=HOME, HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux) Firefox/140.0")

    answer = enter(browser, next="/risk/")

    row, event = Session.objects.get(person=cto), AuditEvent.objects.latest("sequence")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/risk/")
    assert (row.address, row.browser[:7]) == (HOME, "Mozilla")
    assert row.expire_date == clock.at + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    assert (event.actor, event.action, event.payload["_by"]["address"]) == ("cto", "session.began", HOME)
    assert event.payload["_by"]["roles"] == ["CTO"]


def test_the_session_key_is_another_one_after_the_sign_in(cto: User, clock: Clock) -> None:
    browser = Client()
    session = browser.session
    session["planted"] = 1
    session.save()
    before = session.session_key

    enter(browser)

    assert browser.session.session_key != before
    assert not Session.objects.filter(session_key=before).exists()


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_nobody_is_led_elsewhere(cto: User, clock: Clock, target: str) -> None:
    assert enter(Client(), next=target).headers["Location"] == "/"


def test_an_unknown_name_a_wrong_password_and_who_left_read_the_same(cto: User, clock: Clock) -> None:
    User.objects.create_user("left", password=PASSWORD, is_active=False)

    texts = []
    for name, password in (("nobody", PASSWORD), ("cto", "wrong"), ("left", PASSWORD)):
        answer = enter(Client(), name, password)
        texts.append(answer.content.decode().replace(f'value="{name}"', "").split("csrfmiddlewaretoken")[1][90:])

    assert WRONG in texts[0]
    assert len(set(texts)) == 1


def test_an_unknown_name_costs_the_same_hashing_as_a_known_one(
    cto: User, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    encode = MD5PasswordHasher.encode

    def noted(hasher: MD5PasswordHasher, password: str, salt: str) -> str:
        hashed.append(password)
        return encode(hasher, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", noted)

    enter(Client(), "nobody", "one")
    enter(Client(), "cto", "two")

    assert hashed == ["one", "two"]


def test_guessing_is_slowed(cto: User, clock: Clock) -> None:
    found = hammer(40, clock)

    assert found.count(200) < 10  # were looked at
    assert found.count(429) > 30
    answer = enter(Client(REMOTE_ADDR=STRANGE), password="again")
    assert TOO_MANY in answer.content.decode()
    assert 0 < int(answer.headers["Retry-After"]) <= 60


def test_many_addresses_do_not_make_guessing_faster(cto: User, clock: Clock) -> None:
    assert hammer(100, clock, addresses=100).count(200) < 10


def test_one_address_cannot_go_through_all_names(cto: User, clock: Clock) -> None:
    found = [hammer(1, clock, name=f"person {number}")[0] for number in range(60)]

    assert found.count(200) < 20


def test_a_known_browser_gets_in_at_once_while_strangers_hammer(home: Client, clock: Clock) -> None:
    hammer(200, clock, addresses=50)

    home.defaults["REMOTE_ADDR"] = "198.51.100.1"  # the CTO travels

    assert enter(home).status_code == 302


def test_a_known_address_gets_in_at_once_while_strangers_hammer(home: Client, clock: Clock) -> None:
    hammer(200, clock, addresses=50)

    assert enter(Client(REMOTE_ADDR=HOME)).status_code == 302


def test_a_new_browser_gets_in_after_a_bounded_wait_once_the_hammering_ends(home: Client, clock: Clock) -> None:
    hammer(200, clock, addresses=50)
    stranger = Client(REMOTE_ADDR="198.51.100.1")

    waiting = enter(stranger)
    clock.pass_(60)

    assert waiting.status_code == 429
    assert enter(stranger).status_code == 302


def test_a_known_browser_that_mistypes_waits_half_a_minute_at_most(home: Client, clock: Clock) -> None:
    for _ in range(30):
        enter(home, password="wrong")
        clock.pass_(30)
    refused = enter(home, password="wrong again")
    assert refused.status_code == 200

    clock.pass_(30)

    assert enter(home).status_code == 302


def test_what_was_not_looked_at_does_not_make_the_wait_longer(cto: User, clock: Clock) -> None:
    for _ in range(3):
        enter(Client(REMOTE_ADDR=STRANGE), password="wrong")
    for _ in range(50):
        assert enter(Client(REMOTE_ADDR=STRANGE), password="wrong").status_code == 429

    clock.pass_(1)

    assert enter(Client(REMOTE_ADDR=STRANGE)).status_code == 302


def test_another_persons_device_opens_no_door_to_the_cto(home: Client, clock: Clock) -> None:
    trader = User.objects.get(username="trader")
    trader.set_password(PASSWORD)
    trader.save()
    insider = Client(REMOTE_ADDR=STRANGE)
    enter(insider, "trader")
    insider.post("/logout/")

    found = []
    for number in range(40):
        clock.pass_(1)
        found.append(enter(insider, "cto", f"guess {number}").status_code)

    assert found.count(200) < 10


def test_whoever_is_signed_in_halts_while_somebody_hammers(home: Client, clock: Clock) -> None:
    enter(home)
    hammer(100, clock, addresses=10)

    answer = home.post("/risk/halt/", {"scope": "", "reason": "hammered"})

    assert answer.status_code == 302
    assert Halt.objects.filter(released_at=None).count() == 2


# --- what people learn of it --------------------------------------------------------------------------------------


def test_a_minute_of_failures_is_one_row_of_the_trail(cto: User, clock: Clock) -> None:
    clock.at = clock.at.replace(second=0)
    before = AuditEvent.objects.count()
    for number in range(12):
        clock.pass_(2)
        enter(Client(REMOTE_ADDR=f"203.0.113.{number}"), "cto" if number % 2 else f"secret {number}", "wrong")
    failed = FailedSignIns.objects.get().times
    assert AuditEvent.objects.count() == before

    slowing.tell_the_trail(clock.at + timedelta(minutes=1))
    slowing.tell_the_trail(clock.at + timedelta(minutes=2))

    event = AuditEvent.objects.latest("sequence")
    assert AuditEvent.objects.count() == before + 1
    assert (event.action, event.payload["times"]) == ("sign_in.failed", failed)
    assert event.payload["accounts"] == ["cto"]
    assert event.payload["unknown_accounts"] == 6
    assert "secret" not in str(event.payload)  # a name that nobody has may be a password


def test_the_minute_that_runs_is_not_told_yet(cto: User) -> None:
    FailedSignIns.objects.create(minute=now().replace(second=0, microsecond=0), times=1)
    FailedSignIns.objects.create(minute=now().replace(second=0, microsecond=0) - timedelta(minutes=1), times=2)

    tasks.tend_sign_ins()

    assert FailedSignIns.objects.get().times == 1


def test_people_read_of_many_failures(home: Client, clock: Clock) -> None:
    for _ in range(25):
        enter(home, password="wrong")
        clock.pass_(30)

    alerts = {alert.severity: alert for alert in Alert.objects.filter(code="SIGN_INS_FAILED")}
    assert set(alerts) == {"INFO", "WARN"}
    assert "25 sign-ins in a row failed for cto" in alerts["WARN"].message
    assert "Nobody is locked out" in alerts["WARN"].message


def test_no_password_and_no_name_is_kept_of_a_try(cto: User, clock: Clock) -> None:
    enter(Client(), "my password by mistake", "x")

    assert "mistake" not in "".join(Tries.objects.values_list("door", flat=True))


# --- the code -----------------------------------------------------------------------------------------------------


@pytest.fixture
def device(cto: User) -> TOTPDevice:
    return TOTPDevice.objects.create(user=cto, name="authenticator", confirmed=True)


def test_whoever_has_an_authenticator_is_asked_for_its_code(device: TOTPDevice, cto: User, clock: Clock) -> None:
    browser = Client()

    asked = enter(browser, next="/gate/")
    assert not Session.objects.filter(person=cto).exists()
    answer = browser.post("/login/", {"half_way": half_way(asked), "code": code_of(cto), "next": "/gate/"})

    assert "One-time code" in asked.content.decode()
    assert (answer.status_code, answer.headers["Location"]) == (302, "/gate/")


def test_a_code_counts_once(device: TOTPDevice, cto: User, clock: Clock) -> None:
    asked, code = half_way(enter(Client())), code_of(cto)

    first = Client().post("/login/", {"half_way": asked, "code": code})
    second = Client().post("/login/", {"half_way": asked, "code": code})

    assert (first.status_code, second.status_code) == (302, 200)
    assert "was used before" in second.content.decode()


@pytest.mark.parametrize("token", ["", "x", "x:y:z"])
def test_without_a_proven_password_no_code_helps(device: TOTPDevice, cto: User, clock: Clock, token: str) -> None:
    answer = Client().post("/login/", {"half_way": token, "code": code_of(cto)})

    assert answer.status_code == 200
    assert not Session.objects.filter(person=cto).exists()


def test_a_password_proven_before_it_was_changed_counts_no_more(device: TOTPDevice, cto: User, clock: Clock) -> None:
    asked = half_way(enter(Client()))
    cto.set_password(PASSWORD + "2")
    cto.save()

    answer = Client().post("/login/", {"half_way": asked, "code": code_of(cto)})

    assert "Sign in again" in answer.content.decode()


def test_guessing_codes_is_slowed_and_the_persons_own_browser_is_not(
    home: Client, device: TOTPDevice, cto: User, clock: Clock
) -> None:
    thief = Client(REMOTE_ADDR=STRANGE)
    stolen = half_way(enter(thief))
    found = []
    for number in range(100):
        clock.pass_(1)
        found.append(thief.post("/login/", {"half_way": stolen, "code": f"{number:06}"}).status_code)

    asked = half_way(enter(home))
    answer = home.post("/login/", {"half_way": asked, "code": code_of(cto)})

    assert found.count(200) < 12
    assert answer.status_code == 302


def test_a_notice_is_read_on_the_next_page_and_once(cto: User, clock: Clock) -> None:
    Notice.objects.create(person=cto, text="engineer removed your authenticator", at=now())
    first, second = Client(), Client()

    enter(first)
    enter(second)

    assert "engineer removed your authenticator" in first.get("/").content.decode()
    assert "engineer removed your authenticator" not in second.get("/").content.decode()


def test_the_admin_has_no_door_of_its_own(device: TOTPDevice, cto: User, clock: Clock) -> None:
    answer = Client().get("/admin/login/?next=/admin/")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/login/?next=/admin/")
    assert Client().post("/admin/login/", {"username": "cto", "password": PASSWORD}).status_code == 405


def test_the_words_of_a_door_tell_nothing(cto: User) -> None:
    place = sign_in.Place(STRANGE, "")

    with pytest.raises(sign_in.UnableToSignIn, match=WRONG):
        sign_in.prove_password(name="nobody", password="x", place=place, at=now())

"""Going live on the page: what blocks is shown, two people arm, one disarms, and nothing leaves without it."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.utils.timezone import now
from django_otp.plugins.otp_totp.models import TOTPDevice
from pytest_django import Settings

from riskops import readiness
from riskops.domain.arming import KeyFact
from riskops.models import ArmRequest, PhaseRun
from riskops.services import arming, phases
from tests.riskops.armed import BUILD, make_ready
from tests.riskops.proofs import text_of
from tests.riskops.web.test_permissions import PASSWORD, proof
from tests.trading.services.test_transfers import put
from trading.domain.modes import Mode
from trading.domain.restrictions import KeyPurpose
from trading.models import Account, Arming, AuditEvent, CapitalTransfer, Halt, VenueReading
from trading.selectors import armings

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]


@pytest.fixture(autouse=True)
def rehearsal(settings: Settings) -> None:
    settings.SIMULATOR_STANDS_IN = True
    cache.clear()


@pytest.fixture
def people(as_person: AsPerson) -> AsPerson:
    """Return a function that signs a person of the demo in, who has a password and an authenticator."""
    phases.load_roadmap(at=now())
    for person in User.objects.all():
        person.set_password(PASSWORD)
        person.save()
    return as_person


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let every precondition hold but what is put into the returned facts."""
    return make_ready(monkeypatch)


def prepared(people: AsPerson, mode: str = "LIVE") -> Account:
    people("trading_lead").post("/accounts/micro/arming/prepare/", {"mode": mode})
    return Account.objects.get(proven_by__slug="micro", mode=mode)


def shown_to(client: Client, slug: str = "micro") -> str:
    return text_of(client.get(f"/accounts/{slug}/arming/"))


def asked(people: AsPerson, live: Account, by: str = "trading_lead", **changes: str) -> str:
    """Ask through the form as it is shown; return what the page then says."""
    paper = armings.paper_of(live)
    stands = readiness.readiness(paper, Mode(live.mode), now())
    form = {"typed": stands.word, "digest": stands.digest, **new_proof(by), **changes}
    return text_of(people(by).post(f"/accounts/{live.slug}/arming/request/", form, follow=True))


def approved(people: AsPerson, live: Account, by: str = "cto", **changes: str) -> str:
    request = ArmRequest.objects.get(state="OPEN")
    form = {"typed": f"{request.mode} {request.phase}", "digest": request.digest, **new_proof(by), **changes}
    return text_of(people(by).post(f"/accounts/{live.slug}/arming/{request.pk}/approve/", form, follow=True))


def new_proof(name: str) -> dict[str, str]:
    TOTPDevice.objects.filter(user__username=name).delete()
    return proof(User.objects.get(username=name))


def read(account: Account, venue: str) -> None:
    """Keep a reading of a venue that holds so much; it stays fresh however long the test takes."""
    later = now() + timedelta(hours=1)
    VenueReading.objects.create(
        account=account, is_clean=False, local_open=0, venue_open=0, balances={"USDT": ["300", venue]}, at=later
    )  # fmt: skip


def newest() -> tuple[str, str]:
    event = AuditEvent.objects.latest("sequence")
    return event.actor, event.action


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_a_desk_that_has_proven_nothing_sees_what_is_missing(people: AsPerson) -> None:
    shown = shown_to(people("trader"))

    for text in (
        "no run of 4.0 was decided on paper", "none is kept", "never run", "of 168 h in force", "not measured",
        "Prepare the LIVE account", "nothing was heard of: web, loops, watchdog", "the simulated exchange stands in",
    ):  # fmt: skip
        assert text in shown


def test_an_account_that_does_not_exist_has_no_page(people: AsPerson) -> None:
    assert people("cto").get("/accounts/nowhere/arming/").status_code == 404


def test_the_button_is_closed_and_says_why_until_everything_holds(people: AsPerson, ready: dict[str, Any]) -> None:
    live = prepared(people)
    open_page = people("cto").get(f"/accounts/{live.slug}/arming/").content.decode()
    ready["paper_hours"] = Decimal(3)
    closed = people("cto").get(f"/accounts/{live.slug}/arming/").content.decode()

    ask = re.compile(r'<button class="button primary"( disabled title="([^"]*)")?>Ask for LIVE')
    assert ask.search(open_page).group(1) is None  # type: ignore[union-attr]  # a miss fails just so
    assert "7 days of paper" in ask.search(closed).group(2)  # type: ignore[union-attr]  # a miss fails just so


def test_a_deposit_that_people_owe_is_shown_with_what_to_do_until_it_is_booked(people: AsPerson) -> None:
    live = prepared(people)
    for capital in (300, 600):
        put(live, capital, now())
    read(live, "420")
    address = f"/accounts/{live.slug}/transfers/{CapitalTransfer.objects.get().pk}/confirm/"
    said = {"amount": "120", "deed": "moved"}

    def answer(form: dict[str, str]) -> str:
        return text_of(people("cto").post(address, form, follow=True))

    shown = shown_to(people("trader"))
    assert "Deposit 300 USDT" in shown
    assert "Asked 300 USDT, capital in force is 600 Booked 0 USDT" in shown
    assert "Seen at the venue, not booked 120 USDT Still missing 180 USDT" in shown
    assert "The venue shows 120 USDT of it: confirm that first" in answer({"deed": "over"})
    assert "amount: say how much was moved." in answer({"deed": "moved"})
    assert "amount: give what was moved, above 0." in answer({"deed": "moved", "amount": "0"})
    assert "Confirmed. It is booked" in answer(said)
    assert "cto confirmed 120 USDT: booked once a reading of the venue shows exactly that." in shown_to(
        people("trader")
    )
    assert "This amount is confirmed already" in answer(said)
    assert newest() == ("cto", "refused")


def test_a_deposit_of_which_nothing_more_comes_is_over(people: AsPerson) -> None:
    live = prepared(people)
    for capital in (300, 600):
        put(live, capital, now())
    read(live, "300")
    address = f"/accounts/{live.slug}/transfers/{CapitalTransfer.objects.get().pk}/confirm/"
    assert "Nothing more comes" in shown_to(people("cto"))

    told = text_of(people("cto").post(address, {"deed": "over", "amount": "300"}, follow=True))

    assert "Ended. The desk uses what is there" in told
    assert newest() == ("cto", "transfer.ended")
    assert "Deposit 300" not in shown_to(people("cto"))


# --- two people -------------------------------------------------------------------------------------------------------


def test_a_lead_asks_a_cto_approves_and_the_first_phase_is_in_force(people: AsPerson, ready: dict[str, Any]) -> None:
    live = prepared(people)

    assert "Asked. A second person approves it" in asked(people, live)
    assert "is armed: its orders leave within seconds" in approved(people, live)

    row = Arming.objects.get()
    assert (row.is_armed, row.build, row.phase, row.by) == (True, BUILD, "4.0", "trading_lead + cto")
    assert armings.why_not(live, BUILD) == ""
    assert "this process runs other" in armings.why_not(live, "other")
    run = PhaseRun.objects.get(account=live)
    assert (run.template.phase, run.mandate.capital_quote) == ("4.0", Decimal(300))
    assert run.started_by == "trading_lead + cto"
    assert "Armed by trading_lead + cto" in shown_to(people("trader"), live.slug)
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"account.prepared", "arming.requested", "arming.approved", "account.armed"} <= actions


@pytest.mark.parametrize(
    ("by", "changes", "why"),
    [
        ("trader", {}, "Only Trading Lead or CTO may ask for it."),
        ("engineer", {}, "Only Trading Lead or CTO may ask for it."),
        ("trading_lead", {"typed": "LIVE"}, "Type LIVE 4.0 to confirm."),
        ("trading_lead", {"digest": "0" * 64}, "What you were shown has changed"),
        ("trading_lead", {"password": "wrong"}, "Password or one-time code is wrong"),
        ("trading_lead", {"code": "000000"}, "Password or one-time code is wrong"),
    ],
)
def test_asking_is_refused_in_words_and_on_record(
    people: AsPerson, ready: dict[str, Any], by: str, changes: dict[str, str], why: str
) -> None:
    live = prepared(people)

    assert why in asked(people, live, by, **changes)

    assert not ArmRequest.objects.exists()
    assert newest() == (by, "refused")


@pytest.mark.parametrize(
    ("by", "changes", "why"),
    [
        ("trading_lead", {}, "Arming needs a second person"),
        ("engineer", {}, "one must be the Trading Lead and the other the CTO"),
        ("ceo", {}, "one must be the Trading Lead and the other the CTO"),
        ("cto", {"typed": "live 4.0"}, "Type LIVE 4.0 to confirm."),
        ("cto", {"digest": "0" * 64}, "What was shown has changed"),
        ("cto", {"password": "wrong"}, "Password or one-time code is wrong"),
    ],
)
def test_an_approval_that_is_none_arms_nothing(
    people: AsPerson, ready: dict[str, Any], by: str, changes: dict[str, str], why: str
) -> None:
    live = prepared(people)
    asked(people, live)

    assert why in approved(people, live, by, **changes)

    assert not Arming.objects.exists()
    assert not PhaseRun.objects.filter(account=live).exists()
    assert newest() == (by, "refused")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"builds": dict.fromkeys(("web@h:1", "loops@h:2", "watchdog"), "other-build")}, "What was shown has changed"),
        ({"keys": {}}, "preconditions do not hold any more: Key to trade"),
        ({"incidents": ["incident #1 is open"]}, "do not hold any more: No open incident"),
        ({"keys": lambda at: dict.fromkeys(KeyPurpose, KeyFact(2, True, at, (), "", 1.0))}, "has changed"),
    ],
    ids=["another build", "keys gone", "an incident", "other keys"],
)
def test_what_changes_while_a_request_waits_voids_it(
    people: AsPerson, ready: dict[str, Any], changed: dict[str, Any], why: str
) -> None:
    live = prepared(people)
    asked(people, live)
    ready.update(changed)

    assert why in approved(people, live)
    assert not Arming.objects.exists()


def test_a_request_lapses_after_a_day(people: AsPerson, ready: dict[str, Any]) -> None:
    live = prepared(people)
    asked(people, live)
    ArmRequest.objects.update(requested_at=now() - timedelta(hours=24))

    assert "older than 24 h and has expired" in approved(people, live)
    assert "Asked." in asked(people, live)
    assert set(ArmRequest.objects.values_list("state", flat=True)) == {"OPEN", "EXPIRED"}


def test_a_request_is_open_once_and_can_be_withdrawn(people: AsPerson, ready: dict[str, Any]) -> None:
    live = prepared(people)
    asked(people, live)

    assert "A request is open already" in asked(people, live, "cto")
    request = ArmRequest.objects.get()
    people("trader").post(f"/accounts/{live.slug}/arming/{request.pk}/withdraw/")

    request.refresh_from_db()
    assert request.state == "WITHDRAWN"
    assert newest() == ("trader", "arming.withdrawn")


def test_a_request_of_another_account_cannot_be_approved_under_this_address(
    people: AsPerson, ready: dict[str, Any]
) -> None:
    live = prepared(people)
    asked(people, live)
    request = ArmRequest.objects.get()

    form = {"typed": "LIVE 4.0", "digest": request.digest, **new_proof("cto")}
    told = text_of(people("cto").post(f"/accounts/production/arming/{request.pk}/approve/", form, follow=True))

    assert "decided already" in told
    assert not Arming.objects.exists()


# --- one person stops it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["trader", "auditor", "ceo"])
def test_anybody_disarms_alone_at_any_time(people: AsPerson, ready: dict[str, Any], who: str) -> None:
    live = prepared(people)
    asked(people, live)
    approved(people, live)
    people("trader")
    User.objects.get_or_create(username=who)

    told = text_of(people(who).post(f"/accounts/{live.slug}/arming/disarm/", {"why": "odd fills"}, follow=True))

    assert "is disarmed and halted" in told
    assert "disarmed by" in armings.why_not(live, BUILD)
    assert Halt.objects.get(account=live, released_at=None).reason == "disarmed: odd fills"


def test_a_disarmed_account_is_armed_again_only_after_its_halt_is_released(
    people: AsPerson, ready: dict[str, Any]
) -> None:
    live = prepared(people)
    asked(people, live)
    approved(people, live)
    arming.disarm(account=live, by="trader", why="odd", at=now())

    assert "do not hold: No halt in force" in asked(people, live)


def test_arming_leaves_no_trace_that_can_be_changed(people: AsPerson, ready: dict[str, Any]) -> None:
    from django.db import Error, transaction

    live = prepared(people)
    asked(people, live)
    approved(people, live)

    with pytest.raises(Error, match="append-only"), transaction.atomic():
        Arming.objects.update(build="forged")

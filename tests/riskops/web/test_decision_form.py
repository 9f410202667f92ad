"""Whatever is wrong with a form of the gate: 4xx with the reason, nothing changed, and the refusal on record."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from riskops.models import ChecklistTick, PhaseRun, SignOff, StepRequest
from riskops.services import phases
from riskops.standing import checklist_of
from tests.riskops import cast
from tests.riskops.proofs import code_of, give_authenticator, proof, text_of
from trading.domain.events import Severity
from trading.models import AuditEvent, Mandate, Session
from trading.services import alerts

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]
ROLES: Final = {"trading_lead": "Trading Lead", "engineer": "Engineer", "cto": "CTO"}
CLOSED: Final = "This request is closed already"
USED: Final = "the code was used before"


@dataclass(slots=True)
class Table:
    """A request that only waits for GO, and the people around it, each at a browser of their own."""

    at: datetime
    request: StepRequest
    devices: dict[str, TOTPDevice]
    clients: dict[str, Client]

    def form(self, name: str, **changed: Any) -> dict[str, Any]:
        """Return the right form of a GO, with `changed`; a field that is None is left out."""
        fields = {"decision": "GO", "notes": "", "digest": self.request.digest, **proof(self.devices[name]), **changed}
        return {field: value for field, value in fields.items() if value is not None}

    def signing(self, name: str, **changed: Any) -> dict[str, Any]:
        """Return the right form of a signature, with `changed`."""
        fields = {"decision": None, "notes": None, "role": ROLES[name], "word": "sign", "note": "", **changed}
        return self.form(name, **fields)

    def send(self, name: str, deed: str, form: dict[str, Any], **headers: Any) -> Any:
        """Post a form about the request."""
        return self.clients[name].post(f"/gate/request/{self.request.pk}/{deed}/", form, **headers)

    def state(self) -> dict[str, Any]:
        """Return everything that a refused form must leave as it is."""
        return {
            "requests": list(StepRequest.objects.order_by("id").values()),
            "runs": list(PhaseRun.objects.order_by("id").values("decision", "ended_at", "window_from")),
            "signatures": list(SignOff.objects.order_by("id").values()),
            "ticks": list(ChecklistTick.objects.order_by("id").values()),
            "mandates": list(Mandate.objects.order_by("id").values()),
        }


@pytest.fixture
def asked(as_person: AsPerson, at: datetime) -> Table:
    """The request as the trader asked for it, not signed yet."""
    request = phases.request_step(
        run=PhaseRun.objects.get(ended_at=None), by=User.objects.get(username="trader"), at=at
    )
    User.objects.create(username="auditor").groups.add(Group.objects.get_or_create(name="Auditor")[0])
    devices = {name: give_authenticator(name) for name in (*ROLES, "trader", "ceo", "auditor")}
    return Table(at, request, devices, {name: as_person(name) for name in devices})


@pytest.fixture
def table(asked: Table) -> Table:
    """Everybody has signed, everything is ticked."""
    for name, role in ROLES.items():
        phases.sign(
            request_id=asked.request.pk, by=User.objects.get(username=name), role=role, approves=True, note="",
            digest=asked.request.digest, at=asked.at,
        )  # fmt: skip
    for item in checklist_of(asked.request):
        by = User.objects.get(username="engineer")
        phases.tick(request_id=asked.request.pk, by=by, item=item, done=True, note="", at=asked.at)
    return asked


def refused(table: Table, name: str, deed: str, form: dict[str, Any], why: str) -> None:
    """Post the form and hold everything that must be true of a refusal."""
    before, last = table.state(), AuditEvent.objects.latest("sequence").sequence

    answer = table.send(name, deed, form)

    assert answer.status_code == 422
    assert why in text_of(answer).replace("&#x27;", "'").replace("&lt;", "<")
    assert table.state() == before
    row = AuditEvent.objects.get(sequence__gt=last)
    assert (row.actor, row.action) == (name, "refused")
    assert row.subject == f"/gate/request/{table.request.pk}/{deed}/"
    assert row.payload["why"]


def test_the_right_form_is_obeyed(table: Table) -> None:
    assert table.send("cto", "decide", table.form("cto")).status_code == 302

    assert PhaseRun.objects.get(ended_at=None).template.phase == "4.1"


# --- the same form again ----------------------------------------------------------------------------------------------


def test_a_double_click_decides_once(table: Table) -> None:
    form = table.form("cto")
    table.send("cto", "decide", form)

    refused(table, "cto", "decide", form, USED)


def test_a_replayed_form_with_a_new_code_finds_the_request_closed(table: Table) -> None:
    table.send("cto", "decide", table.form("cto"))

    refused(table, "cto", "decide", table.form("cto"), CLOSED)


def test_a_double_click_signs_once(asked: Table) -> None:
    form = asked.signing("cto")
    asked.send("cto", "sign", form)

    refused(asked, "cto", "sign", form, USED)


def test_a_second_tab_cannot_sign_what_the_first_has_signed(asked: Table) -> None:
    asked.send("cto", "sign", asked.signing("cto"))

    refused(asked, "cto", "sign", asked.signing("cto"), "CTO has signed.")


def test_the_back_button_brings_a_request_that_is_withdrawn(table: Table) -> None:
    table.send("trading_lead", "withdraw", {})

    refused(table, "cto", "decide", table.form("cto"), CLOSED)
    refused(table, "cto", "sign", table.signing("cto"), CLOSED)
    refused(table, "cto", "tick", {"item": "Team notified", "done": "no"}, CLOSED)
    refused(table, "cto", "withdraw", {}, CLOSED)


def test_a_stale_version_is_not_signed_under_the_new_request(asked: Table) -> None:
    old = asked.request
    asked.send("trading_lead", "withdraw", {})
    by = User.objects.get(username="trader")
    asked.request = phases.request_step(run=old.run, by=by, at=asked.at + timedelta(seconds=1))
    assert asked.request.digest != old.digest

    refused(asked, "cto", "sign", asked.signing("cto", digest=old.digest), "What you were shown has changed")


def test_a_field_that_is_sent_twice_is_not_chosen_from(table: Table) -> None:
    refused(table, "cto", "decide", table.form("cto", decision=["HOLD", "GO"]), "decision was sent twice")


# --- who asks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trader", "ceo", "auditor"])
def test_a_role_that_does_not_sign_decides_nothing(table: Table, name: str) -> None:
    refused(table, name, "decide", table.form(name), "Only Trading Lead, Engineer, CTO decide this step.")


def test_a_role_one_does_not_hold_cannot_be_signed(asked: Table) -> None:
    refused(asked, "engineer", "sign", asked.signing("engineer", role="CTO"), "You do not hold the role CTO")


def test_who_watches_ticks_nothing(table: Table) -> None:
    form = {"item": "Team notified", "done": "no"}

    refused(table, "auditor", "tick", form, "Only a person with a role of the desk ticks the checklist.")


def test_who_asked_is_not_enough(as_person: AsPerson, asked: Table) -> None:
    asked.send("trading_lead", "withdraw", {})
    lead = User.objects.get(username="trading_lead")
    asked.request = phases.request_step(run=asked.request.run, by=lead, at=asked.at)
    asked.send("trading_lead", "sign", asked.signing("trading_lead"))
    for item in checklist_of(asked.request):
        asked.send("trading_lead", "tick", {"item": item, "done": "yes"})

    refused(asked, "trading_lead", "decide", asked.form("trading_lead"), "Signatures are missing: Engineer, CTO.")


@pytest.mark.parametrize("forged", [{"user": "cto"}, {"person": "cto"}, {"by": "cto"}, {"actor": "cto"}])
def test_a_forged_person_is_not_believed(asked: Table, forged: dict[str, str]) -> None:
    asked.send("engineer", "sign", asked.signing("engineer", **forged))

    assert SignOff.objects.get().person.username == "engineer"
    refused(asked, "engineer", "sign", asked.signing("engineer", role="CTO", **forged), "You do not hold")


@pytest.mark.parametrize("forged", ["PENDING", "PASS", "go", "", "0", "GO_WITH_CAVEATS"])
def test_a_decision_that_is_none_is_not_recorded(table: Table, forged: str) -> None:
    refused(table, "cto", "decide", table.form("cto", decision=forged), "decision:")


def test_a_decision_without_its_fields_names_them(table: Table) -> None:
    for field in ("decision", "digest", "password", "code"):
        refused(table, "cto", "decide", table.form("cto", **{field: None}), f"{field}:")


def test_without_a_session_the_form_leads_to_the_sign_in_and_changes_nothing(table: Table) -> None:
    Session.objects.all().delete()
    before = table.state()

    answer = table.send("cto", "decide", table.form("cto"))
    of_a_script = table.send("cto", "decide", table.form("cto"), headers={"HX-Request": "true"})

    assert answer.headers["Location"].startswith("/login/")
    assert of_a_script.status_code == 401
    assert table.state() == before


@pytest.mark.parametrize("deed", ["sign", "decide", "tick", "withdraw"])
def test_reading_the_address_of_a_form_does_nothing(table: Table, deed: str) -> None:
    before, rows = table.state(), AuditEvent.objects.count()

    answer = table.clients["cto"].get(f"/gate/request/{table.request.pk}/{deed}/", table.form("cto"))
    other = table.clients["cto"].generic(
        "GET", f"/gate/request/{table.request.pk}/{deed}/", headers={"X-HTTP-Method-Override": "POST"}
    )

    assert (answer.status_code, other.status_code) == (405, 405)
    assert (table.state(), AuditEvent.objects.count()) == (before, rows)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://testserver:9999"}],
    ids=["no token", "a foreign origin", "an origin of nowhere", "another port"],
)
@pytest.mark.parametrize("deed", ["sign", "decide", "tick", "withdraw"])
def test_a_form_from_elsewhere_changes_nothing(table: Table, deed: str, headers: dict[str, str]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="cto"))
    client.get("/gate/")
    token = {"csrfmiddlewaretoken": client.cookies[next(name for name in client.cookies if "csrf" in name)].value}
    form, before = table.form("cto", **(token if headers else {})), table.state()

    answer = client.post(f"/gate/request/{table.request.pk}/{deed}/", form, headers=headers)

    assert answer.status_code == 403
    assert "Nothing was changed." in text_of(answer)
    assert table.state() == before


def test_with_its_token_the_same_form_passes(table: Table) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="cto"))
    client.get("/gate/")
    token = client.cookies[next(name for name in client.cookies if "csrf" in name)].value

    answer = client.post(
        f"/gate/request/{table.request.pk}/decide/", table.form("cto", csrfmiddlewaretoken=token),
        headers={"Origin": "http://testserver"},
    )  # fmt: skip

    assert answer.status_code == 302


# --- when -------------------------------------------------------------------------------------------------------------


def test_go_waits_for_an_item_that_is_not_ticked(table: Table) -> None:
    table.send("engineer", "tick", {"item": "Team notified", "done": "no"})

    refused(table, "cto", "decide", table.form("cto"), "The checklist is not complete: Team notified.")


def test_an_item_that_does_not_exist_is_not_ticked(table: Table) -> None:
    refused(table, "cto", "tick", {"item": "Everything", "done": "yes"}, "The checklist has no such item")


@pytest.mark.parametrize(("minutes", "status"), [(5, 302), (6, 422)])
def test_go_is_not_given_on_what_was_measured_more_than_five_minutes_ago(
    table: Table, monkeypatch: pytest.MonkeyPatch, minutes: int, status: int
) -> None:
    last = cast.live_through(table.request.run.account, 200, table.at)
    monkeypatch.setattr("riskops.views.gates.now", lambda: last + timedelta(minutes=minutes))
    if status == 422:
        words = "Nothing has been watched for 6 minutes: no GO on evidence older than 5 minutes."
        refused(table, "cto", "decide", table.form("cto"), words)
    else:
        assert table.send("cto", "decide", table.form("cto")).status_code == status


def test_a_crit_that_came_meanwhile_stops_go_and_hold(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    account = table.request.run.account
    alerts.raise_alert(account=account, severity=Severity.CRIT, code="GHOST_ORDER", message="gone", at=table.at)
    monkeypatch.setattr("riskops.views.gates.now", lambda: table.at + timedelta(minutes=1))

    for decision in ("GO", "HOLD"):
        form = table.form("cto", decision=decision, notes="we wait for it")
        refused(table, "cto", "decide", form, "The machine says FAIL")


def test_a_request_that_is_too_old_is_not_decided(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riskops.views.gates.now", lambda: table.at + timedelta(hours=72))

    refused(table, "cto", "decide", table.form("cto"), "has expired: ask again")


@pytest.mark.parametrize("field", ["at", "decided_at", "signed_at", "requested_at"])
def test_the_time_is_the_consoles_and_not_the_forms(table: Table, field: str) -> None:
    table.send("cto", "decide", table.form("cto", **{field: "2099-01-01T00:00:00Z"}))

    table.request.refresh_from_db()
    assert table.request.decided_at == table.at


# --- what is written --------------------------------------------------------------------------------------------------

WORDS: Final = {
    "too long": ("x" * 2_001, "longer than 2000 characters"),
    "html": ("<b>fine</b>", "looks like HTML"),
    "a script": ("<script>alert(1)</script>", "looks like HTML"),
    "turned around": ("fine \u202eelbat ton", "U+202E"),
    "zero width": ("fi\u200bne", "U+200B"),
    "an emoji": ("fine 👍", "a picture (U+1F44D"),
    "a formula": ('=HYPERLINK("http://evil.example")', "begins with '='"),
    "a formula with at": ("@SUM(A1:A9)", "begins with '@'"),
}


@pytest.mark.parametrize("words", WORDS)
def test_what_readers_would_not_see_as_it_is_stays_off_the_record(table: Table, words: str) -> None:
    notes, why = WORDS[words]

    refused(table, "cto", "decide", table.form("cto", notes=notes), why)
    refused(table, "cto", "tick", {"item": "Team notified", "done": "no", "note": notes}, why.replace("2000", "300"))
    refused(table, "cto", "sign", table.signing("cto", note=notes), why.replace("2000", "300"))


def test_a_note_of_a_megabyte_or_with_a_zero_byte_is_not_even_looked_at(table: Table) -> None:
    before, rows = table.state(), AuditEvent.objects.count()

    too_large = table.send("cto", "decide", table.form("cto", notes="x" * 1_048_576))
    zero = table.send("cto", "decide", table.form("cto", notes="fine\0"))

    assert (too_large.status_code, zero.status_code) == (413, 400)
    assert (table.state(), AuditEvent.objects.count()) == (before, rows)


def test_an_apostrophe_and_letters_of_other_languages_are_words(table: Table) -> None:
    table.send("cto", "decide", table.form("cto", decision="NO_GO", notes="the CTO's word: größer & später, 目視"))

    table.request.refresh_from_db()
    assert table.request.notes == "the CTO's word: größer & später, 目視"
    page = table.clients["cto"].get("/gate/")
    assert page.status_code == 200


# --- the proof --------------------------------------------------------------------------------------------------------


def test_a_code_of_another_person_proves_nothing(table: Table) -> None:
    form = table.form("cto", code=code_of(table.devices["engineer"]))

    refused(table, "cto", "decide", form, "Password or one-time code is wrong")


def test_a_code_that_signed_does_not_decide(asked: Table) -> None:
    used = proof(asked.devices["cto"])
    asked.send("cto", "sign", {**asked.signing("cto"), **used})
    form = {"decision": "NO_GO", "notes": "rejected by the CTO", "digest": asked.request.digest, **used}

    refused(asked, "cto", "decide", form, USED)


def test_without_an_authenticator_nobody_signs(asked: Table) -> None:
    TOTPDevice.objects.all().delete()
    form = {"role": "CTO", "word": "sign", "digest": asked.request.digest, "password": "x", "code": "000000"}

    refused(asked, "cto", "sign", form, "Set up your authenticator first")

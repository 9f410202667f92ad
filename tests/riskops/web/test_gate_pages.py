"""The roadmap, the gate and the signatures, as people use them with plain forms."""

import re
from collections.abc import Callable
from datetime import datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from riskops.domain.steps import ROADMAP, digest_of_step
from riskops.models import Incident, PhaseRun, SignOff, StepRequest
from riskops.services import phases
from riskops.standing import checklist_of, stand
from tests.riskops import cast
from tests.riskops.proofs import PASSWORD, code_of, give_authenticator, text_of
from trading.domain.events import Severity
from trading.models import Account, AuditEvent, Mandate
from trading.services import alerts

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]
SIGNERS = {"trading_lead": "Trading Lead", "engineer": "Engineer", "cto": "CTO"}
DESK = {"slug": "micro"}


def proof(name: str, device: TOTPDevice) -> dict[str, str]:
    return {"password": PASSWORD, "code": code_of(device)}


def request_of(at: datetime, by: str = "trader") -> StepRequest:
    return phases.request_step(run=PhaseRun.objects.get(ended_at=None), by=User.objects.get(username=by), at=at)


def test_the_roadmap_shows_every_phase_and_where_the_desk_stands(as_person: AsPerson, at: datetime) -> None:
    said = text_of(as_person("trader").get("/roadmap/"))

    for phase in ROADMAP:
        assert f"Phase {phase}," in said
    assert "4.0 $300 2 days in force" in said
    assert "Max open orders limits.max_open_orders ours 3 6" in said


def test_without_a_roadmap_the_page_says_what_loads_it(as_person: AsPerson) -> None:
    assert "./console roadmap" in text_of(as_person("trader").get("/roadmap/"))


def test_the_gate_shows_criteria_with_their_evidence(as_person: AsPerson, at: datetime) -> None:
    said = text_of(as_person("trader").get("/gate/"))

    assert "Gate 4.0 → 4.1" in said
    assert "PASS: GO is possible" in said
    assert "Accelerated." in said
    assert "CRIT alerts ≤ 0" in said
    assert "Capital capital_quote 300 600" in said


def test_what_is_also_measured_is_shown_beside_the_criteria_and_judged_by_none(
    as_person: AsPerson, at: datetime
) -> None:
    said = text_of(as_person("trader").get("/gate/"))

    _, _, also = said.partition("Also measured")
    assert re.search(r"Latency p99, tick to submit 99 % of 490 orders left .{0,3000}? 20 ms", also)
    assert "Market data lost lost 0 times in 2940 s watched for it" in also
    assert "BTCUSDT 0.1 %" in also
    assert "0 kinds, at least 4 are needed" in also


def test_what_is_also_measured_is_signed_with_the_rest(as_person: AsPerson, at: datetime) -> None:
    request = request_of(at)
    shown = {one["metric"]: one for one in request.shown["measured"]}
    changed = request.shown | {"measured": [one | {"value": "0"} for one in request.shown["measured"]]}
    standing = stand(request.run, at)
    digest = digest_of_step(standing.phase, standing.following, changed, standing.changes)

    assert standing.digest == request.digest != digest
    assert (shown["reject_rate"]["value"], shown["reject_rate"]["samples"]) == ("0", 980)
    assert shown["kill_drills"]["value"] is None
    assert not {one["metric"] for one in request.shown["findings"]} & shown.keys()


def test_a_desk_without_a_run_is_told_what_may_start(as_person: AsPerson) -> None:
    client = as_person("trading_lead")
    phases.load_roadmap(at=cast.BEGIN)
    assert "A run of phase 4.0 may start now" in text_of(client.get("/gate/"))

    said = text_of(client.post("/roadmap/start/", {"phase": "4.0"}, follow=True))

    assert "Phase 4.0 runs: its mandate is in force" in said
    assert Mandate.objects.filter(account__slug="micro").count() == 2


def test_a_trader_starts_no_run_and_the_refusal_is_on_record(as_person: AsPerson) -> None:
    client = as_person("trader")
    phases.load_roadmap(at=cast.BEGIN)

    said = text_of(client.post("/roadmap/start/", {"phase": "4.0"}, follow=True))

    assert "Nothing was changed. Only CTO or Trading Lead start a run." in said
    assert not PhaseRun.objects.exists()
    assert AuditEvent.objects.get(action="refused").actor == "trader"


def test_the_whole_step_through_the_forms(as_person: AsPerson, at: datetime) -> None:
    trader = as_person("trader")
    trader.post("/gate/request/")
    request = StepRequest.objects.get()
    for item in checklist_of(request):
        trader.post(f"/gate/request/{request.pk}/tick/", {"item": item, "done": "yes"})
    devices = {name: give_authenticator(name) for name in SIGNERS}
    for name, role in SIGNERS.items():
        form = {"role": role, "word": "sign", "digest": request.digest, **proof(name, devices[name])}
        assert f"Signed as {role}." in text_of(
            as_person(name).post(f"/gate/request/{request.pk}/sign/", form, follow=True)
        )
    TOTPDevice.objects.update(last_t=-1)  # the next thirty seconds have begun
    form = {"decision": "GO", "digest": request.digest, **proof("cto", devices["cto"])}
    said = text_of(as_person("cto").post(f"/gate/request/{request.pk}/decide/", form, follow=True))

    assert "GO is recorded." in said
    assert Mandate.objects.filter(account__slug="micro").latest("version").capital_quote == 600
    assert "Gate 4.1 → 4.2" in said


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "no"},
        {"code": "000000"},
        {"code": ""},
        {"code": "12345x"},
        {"digest": "0" * 64},
        {"role": "CEO"},
        {"digest": "x"},
    ],
)
def test_a_signature_that_is_not_proven_or_not_in_order_changes_nothing(
    as_person: AsPerson, at: datetime, wrong: dict[str, str]
) -> None:
    client, request, device = as_person("cto"), request_of(at), give_authenticator("cto")
    form = {"role": "CTO", "word": "sign", "digest": request.digest, **proof("cto", device), **wrong}

    client = as_person("cto")
    client.force_login(User.objects.get(username="cto"))
    response = client.post(f"/gate/request/{request.pk}/sign/", form, follow=True)

    assert not SignOff.objects.exists()
    assert response.status_code == 422


def test_a_code_counts_once(as_person: AsPerson, at: datetime) -> None:
    device, request = give_authenticator("cto"), request_of(at)
    client = as_person("cto")
    form = {"role": "CTO", "word": "reject", "note": "too early for it", "digest": request.digest}
    used = proof("cto", device)
    client.post(f"/gate/request/{request.pk}/sign/", {**form, **used})

    decision = {"decision": "NO_GO", "notes": "rejected by the CTO", "digest": request.digest, **used}
    said = text_of(client.post(f"/gate/request/{request.pk}/decide/", decision, follow=True))

    assert "the code was used before" in said
    assert PhaseRun.objects.get().decision == "PENDING"


def test_wrong_codes_make_the_next_attempt_wait(as_person: AsPerson, at: datetime) -> None:
    device, request = give_authenticator("cto"), request_of(at)
    client = as_person("cto")
    form = {"role": "CTO", "word": "sign", "digest": request.digest, "password": PASSWORD}

    for _ in range(6):  # the wait doubles with each: the next attempt comes within it on any machine
        client.post(f"/gate/request/{request.pk}/sign/", {**form, "code": "000001"})
    client.post(f"/gate/request/{request.pk}/sign/", {**form, "code": code_of(device)})

    assert not SignOff.objects.exists()
    device.refresh_from_db()
    assert device.throttling_failure_count > 0


def test_an_authenticator_is_set_up_with_its_first_code(as_person: AsPerson) -> None:
    client = as_person("cto")
    person = User.objects.get(username="cto")
    person.set_password(PASSWORD)
    person.save()
    client.force_login(person)
    client.post("/people/authenticator/begin/")
    device = TOTPDevice.objects.get()
    assert "Put it in use" in text_of(client.get("/people/authenticator/"))

    wrong = client.post("/people/authenticator/confirm/", {"password": "no", "code": code_of(device)})
    TOTPDevice.objects.update(last_t=-1, throttling_failure_count=0)
    right = client.post("/people/authenticator/confirm/", {"password": PASSWORD, "code": code_of(device)}, follow=True)

    assert wrong.status_code == 422
    assert "Your authenticator is in use" in text_of(right)
    assert TOTPDevice.objects.get().confirmed
    assert "An administrator can remove it." in text_of(client.post("/people/authenticator/begin/", follow=True))
    assert TOTPDevice.objects.count() == 1


def test_reading_changes_nothing(as_person: AsPerson, at: datetime) -> None:
    client = as_person("trader")
    before = AuditEvent.objects.count()

    for address in ("/gate/", "/gate/criteria/", "/roadmap/", "/people/authenticator/"):
        assert client.get(address).status_code == 200
    for address in ("/gate/request/", "/roadmap/start/", "/people/authenticator/begin/"):
        assert client.get(address).status_code == 405

    assert AuditEvent.objects.count() == before
    assert not TOTPDevice.objects.exists()


def test_what_a_form_claims_of_a_person_is_not_believed(as_person: AsPerson, at: datetime) -> None:
    request, device = request_of(at), give_authenticator("trading_lead")
    form = {
        "role": "CTO", "person": "cto", "user": "cto", "word": "sign", "digest": request.digest,
        **proof("trading_lead", device),
    }  # fmt: skip

    said = text_of(as_person("trading_lead").post(f"/gate/request/{request.pk}/sign/", form, follow=True))

    assert "You do not hold the role CTO" in said
    assert not SignOff.objects.exists()


@pytest.mark.parametrize("path", ["/gate/", "/roadmap/", "/people/authenticator/"])
def test_nobody_sees_a_gate_without_signing_in(db: None, path: str) -> None:
    assert Client().get(path).status_code == 302


def test_the_gate_asks_the_database_a_fixed_number_of_times(
    as_person: AsPerson, at: datetime, django_assert_max_num_queries: Callable[[int], object]
) -> None:
    client = as_person("trader")
    Account.objects.get(slug="micro")

    with django_assert_max_num_queries(60):  # type: ignore[attr-defined]
        client.get("/gate/")


def test_the_card_of_the_overview_says_how_the_gate_stands(as_person: AsPerson, at: datetime) -> None:
    client = as_person("trader")
    assert "PASS , 0 of 7 open. 49.0 of 48 h in force (accelerated)." in text_of(client.get("/gate/card/"))

    client.post("/gate/request/")
    client.post("/incidents/open/", {"playbook": "crit", "what": "the line was cut"})

    said = text_of(client.get("/gate/card/"))
    assert "trader asks for the step to 4.1: sign" in said
    assert "Incident #" in said
    assert "holds the gate: the line was cut" in said


def test_an_incident_shows_its_clocks_and_is_closed_with_a_review(as_person: AsPerson, at: datetime) -> None:
    run = PhaseRun.objects.get()
    alerts.raise_alert(account=run.account, severity=Severity.CRIT, code="GHOST_ORDER", message="gone", at=at)
    phases.judge(run=run, at=at + cast.MINUTE)
    client, incident = as_person("trading_lead"), Incident.objects.get()
    said = text_of(client.get("/gate/"))
    assert f"Incident #{incident.pk} CRIT alerts: 1, must be ≤ 0" in said
    assert "Root cause due 2026-11-21 16:50:00" in said

    review = {"cause": "a ghost order", "impact": "no order was lost", "prevention": "reads more often"}
    short = client.post(f"/gate/incident/{incident.pk}/close/", {**review, "cause": "x"}, follow=True)
    closed = client.post(f"/gate/incident/{incident.pk}/close/", review, follow=True)

    assert "Say the cause, in at least 10 characters." in text_of(short)
    assert f"Incident #{incident.pk} is closed." in text_of(closed)
    assert Incident.objects.get().closed_by == User.objects.get(username="trading_lead")

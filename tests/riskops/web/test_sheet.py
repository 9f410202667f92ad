"""The approval sheet on the screen, as PDF and its evidence as JSON: one and the same digests everywhere."""

import io
import json
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pypdf import PdfReader

from riskops.domain.steps import Decision
from riskops.domain.strict import digest_of
from riskops.models import PhaseRun, StepRequest
from riskops.services import phases
from riskops.standing import checklist_of
from riskops.views.sheet_pdf import plain
from tests.riskops.proofs import text_of
from trading.models.audit import AuditHead
from trading.selectors.window_report import calmar, sortino

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]
SIGNERS = {"trading_lead": "Trading Lead", "engineer": "Engineer", "cto": "CTO"}
NAMED = {  # what a report of a day on the testnet names, and more
    "metadata", "environment", "shown", "digest", "matrix", "measured", "incidents", "approval", "artefacts", "routes",
    "statistics", "latency", "reliability", "risk", "drills", "sha256", "format",
}  # fmt: skip


@pytest.fixture
def decided(as_person: AsPerson, at: datetime) -> StepRequest:
    """A request that three people signed and the CTO decided."""
    people = {name: User.objects.get(username=name) for name in (*SIGNERS, "trader")}
    request = phases.request_step(run=PhaseRun.objects.get(ended_at=None), by=people["trader"], at=at)
    for name, role in SIGNERS.items():
        phases.sign(
            request_id=request.pk, by=people[name], role=role, approves=True, note="seen by myself",
            digest=request.digest, at=at,
        )  # fmt: skip
    for item in checklist_of(request):
        phases.tick(request_id=request.pk, by=people["engineer"], item=item, done=True, note="", at=at)
    return phases.decide(
        request_id=request.pk, by=people["cto"], decision=Decision.GO, notes="größer → 目", digest=request.digest, at=at
    )


def read(client: Client, request: StepRequest, what: str) -> bytes:
    answer = client.get(f"/gate/requests/{request.pk}/{what}")
    assert answer.status_code == 200
    return bytes(answer.content)


def test_sheet_pdf_json_and_database_name_the_same_digests(as_person: AsPerson, decided: StepRequest) -> None:
    client, head = as_person("ceo"), AuditHead.objects.get()

    page = read(client, decided, "sheet/").decode()
    pdf = "".join(each.extract_text() for each in PdfReader(io.BytesIO(read(client, decided, "sheet.pdf"))).pages)
    found = json.loads(read(client, decided, "evidence.json"))

    template, configuration = found["environment"]["template"]["digest"], found["environment"]["configuration"]
    assert found["digest"] == decided.digest
    assert template == decided.run.template.digest
    assert {one["digest"] for one in found["approval"]["signatures"]} == {decided.digest}
    assert found["artefacts"]["audit_head"] == {"sequence": head.sequence, "hash": head.hash}
    for digest in (decided.digest, template, configuration, head.hash):
        assert re.fullmatch("[0-9a-f]{64}", digest)
        assert digest in page
        assert digest in re.sub(r"\s", "", pdf)


def test_the_sheet_reads_as_the_roadmap_draws_it(as_person: AsPerson, decided: StepRequest) -> None:
    said = text_of(as_person("ceo").get(f"/gate/requests/{decided.pk}/sheet/"))

    assert "SCALE-UP APPROVAL: Phase 4.0 → 4.1" in said
    assert "$300 → $600" in said
    assert "☑ CRIT alerts 0 ≤ 0 2026-11-21 12:00:00 to 2026-11-21 12:49:00" in said
    assert "Also measured, no criterion judges it" in said
    assert "Rejects 0.0 % 0 of 980 orders that left were rejected by the venue" in said
    assert "Capital capital_quote 300 600" in said
    assert re.search(r"☑ Team notified .{0,20}engineer", said)
    assert re.search(r"CTO .{0,20}cto.{0,5} 2026-11-21 12:49:00 approves the step on exactly this evidence", said)
    assert "GO / HOLD / NO_GO decision: GO" in said


def test_the_pdf_says_the_same_and_leaves_no_letter_out(as_person: AsPerson, decided: StepRequest) -> None:
    reader = PdfReader(io.BytesIO(read(as_person("ceo"), decided, "sheet.pdf")))
    text = re.sub(r"\s+", " ", " ".join(page.extract_text() for page in reader.pages))

    assert "SCALE-UP APPROVAL: Phase 4.0 -> 4.1" in text
    assert "From $300 -> To $600" in text
    assert "approves the step on exactly this evidence: seen by myself" in text
    assert "Notes: größer -> [U+76EE]" in text
    assert "ACCELERATED" in text
    assert "Kinds of kill drill passed" in text


def test_a_request_from_before_it_was_measured_still_has_its_sheet(as_person: AsPerson, decided: StepRequest) -> None:
    older = {name: value for name, value in decided.shown.items() if name != "measured"}
    StepRequest.objects.filter(pk=decided.pk).update(shown=older)

    client = as_person("ceo")

    assert "Also measured" not in text_of(client.get(f"/gate/requests/{decided.pk}/sheet/"))
    assert read(client, decided, "sheet.pdf").startswith(b"%PDF")


def test_a_letter_without_a_font_is_named() -> None:
    assert plain("≥ 85 % ✓ 目") == ">= 85 % [x] [U+76EE]"


def test_the_evidence_holds_everything_and_its_own_sha256(as_person: AsPerson, decided: StepRequest) -> None:
    found = json.loads(read(as_person("ceo"), decided, "evidence.json"))

    assert found.keys() == NAMED
    assert found.pop("sha256") == digest_of(found)
    assert found["shown"] == decided.shown
    assert found["latency"]["submit_to_ack_ms"]["samples"] == 490
    assert found["latency"]["tick_to_submit_ms"]["samples"] == 490
    assert found["reliability"]["reconnects"] == 0
    assert found["approval"]["decision"] == "GO"
    assert found["matrix"]["rows"][1]["metric"] == "crit_alerts"
    assert all(one["query"].lstrip().startswith(("SELECT", "WITH")) for one in found["measured"])


def test_a_changed_export_no_longer_has_its_sha256(as_person: AsPerson, decided: StepRequest) -> None:
    found = json.loads(read(as_person("ceo"), decided, "evidence.json"))
    found["statistics"]["pnl_quote"] = "1000"

    assert found.pop("sha256") != digest_of(found)


def test_the_run_in_force_is_exported_too_and_a_desk_without_one_has_none(as_person: AsPerson, at: datetime) -> None:
    client = as_person("trader")

    found = json.loads(client.get("/gate/evidence.json").content)

    assert (found["metadata"]["phase"], found["approval"]) == ("4.0", None)
    PhaseRun.objects.update(ended_at=at, decision="NO_GO")
    assert client.get("/gate/evidence.json").status_code == 404


def test_a_request_that_does_not_exist_has_no_sheet(as_person: AsPerson, at: datetime) -> None:
    for what in ("sheet/", "sheet.pdf", "evidence.json"):
        assert as_person("trader").get(f"/gate/requests/4711/{what}").status_code == 404


def test_the_sheet_of_another_desk_is_not_shown_under_this_one(as_person: AsPerson, decided: StepRequest) -> None:
    client = as_person("trader")
    client.post("/desk/", {"desk": "production"})
    session = client.session
    session["desk"] = "production"
    session.save()

    assert client.get(f"/gate/requests/{decided.pk}/sheet/").status_code == 404


def test_ratios_of_a_series_that_never_falls_are_not_known() -> None:
    rising = [Decimal(100), Decimal(101), Decimal(102)]
    falling = [Decimal(100), Decimal(90), Decimal(99)]

    assert (sortino(rising), calmar(rising, Decimal(0)), sortino([]), calmar([], None)) == (None, None, None, None)
    assert sortino(falling) == 0  # -10 % and +10 %
    assert calmar([Decimal(100), Decimal(110)], Decimal("0.1")) == 365

"""The checklist: what the evidence ticks, what people tick, and what they attach."""

import hashlib
from collections.abc import Callable
from datetime import datetime

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, transaction
from django.test import Client

from riskops.domain.steps import Decision
from riskops.models import ChecklistAttachment, ChecklistTick, PhaseRun, StepRequest
from riskops.services import phases
from riskops.services.phases import UnableToStep
from tests.riskops.proofs import text_of
from trading.models import AuditEvent, ConductSample

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]
ITEM = "Team notified"
SEEN = b"everybody was told\n"


@pytest.fixture
def asked(as_person: AsPerson, at: datetime) -> StepRequest:
    run = PhaseRun.objects.get(ended_at=None)
    return phases.request_step(run=run, by=User.objects.get(username="trader"), at=at)


def tick(client: Client, request: StepRequest, name: str = "told.txt", content: bytes = SEEN, **changed: str) -> object:
    form = {"item": ITEM, "done": "yes", "note": "told in the morning", **changed}
    file = SimpleUploadedFile(name, content)
    return client.post(f"/gate/request/{request.pk}/tick/", {**form, "file": file}, follow=True)


def test_the_evidence_ticks_what_it_shows_and_people_the_rest(as_person: AsPerson, asked: StepRequest) -> None:
    said = text_of(as_person("engineer").get("/checklist/"))

    assert "Checklist 4.0 → 4.1" in said
    assert "6 of 9 done" in said
    assert "Evidence 6 of 6, ticked by the evidence" in said
    assert "☑ Fill rate of the phase before" in said
    assert "People 0 of 3" in said


def test_what_the_evidence_does_not_show_holds_go_back(as_person: AsPerson, asked: StepRequest, at: datetime) -> None:
    for name, role in (("trading_lead", "Trading Lead"), ("engineer", "Engineer"), ("cto", "CTO")):
        phases.sign(
            request_id=asked.pk, by=User.objects.get(username=name), role=role, approves=True, note="",
            digest=asked.digest, at=at,
        )  # fmt: skip
    ConductSample.objects.all().delete()
    said = text_of(as_person("engineer").get("/checklist/"))

    assert "☐ Position sync of the phase before in progress" in said
    with pytest.raises(UnableToStep):
        phases.decide(
            request_id=asked.pk, by=User.objects.get(username="cto"), decision=Decision.GO, notes="",
            digest=asked.digest, at=at,
        )  # fmt: skip


def test_a_file_is_kept_with_its_sha256_and_given_as_a_download_only(as_person: AsPerson, asked: StepRequest) -> None:
    client = as_person("engineer")
    assert f"Ticked: {ITEM}." in text_of(tick(client, asked))

    kept, event = ChecklistAttachment.objects.get(), AuditEvent.objects.get(action="checklist.ticked")
    answer = as_person("trader").get(f"/checklist/attachments/{kept.pk}/")

    sha256 = hashlib.sha256(SEEN).hexdigest()
    assert (kept.sha256, event.payload["sha256"], event.payload["attachment"]) == (sha256, sha256, "told.txt")
    assert answer.content == SEEN
    assert answer.headers["Content-Disposition"] == 'attachment; filename="told.txt"'
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    page = text_of(client.get("/checklist/"))
    assert f"told in the morning · told.txt #{sha256[:12]}" in page
    assert sha256 in text_of(client.get(f"/gate/requests/{asked.pk}/sheet/"))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.html", b"<script>alert(1)</script>", "no others"),
        ("a.pdf", b"<script>alert(1)</script>", "does not hold what the ending"),
        ("a.txt", b"", "0 bytes"),
        ("a.txt", b"x" * 1_000_001, "1000001 bytes"),
    ],
)
def test_a_file_that_is_not_fit_ticks_nothing(
    as_person: AsPerson, asked: StepRequest, name: str, content: bytes, why: str
) -> None:
    answer = tick(as_person("engineer"), asked, name, content)

    assert why in text_of(answer)
    assert not ChecklistTick.objects.exists()
    assert AuditEvent.objects.latest("sequence").action == "refused"


def test_a_request_that_is_larger_than_any_form_of_ours_is_not_read(as_person: AsPerson, asked: StepRequest) -> None:
    answer = tick(as_person("engineer"), asked, "a.txt", b"x" * 2_200_000)

    assert answer.status_code == 413  # type: ignore[attr-defined]


def test_a_file_is_never_changed(as_person: AsPerson, asked: StepRequest) -> None:
    tick(as_person("engineer"), asked)

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        ChecklistAttachment.objects.update(name="other.txt")


def test_a_tick_that_is_taken_back_stays_on_record_with_its_file(as_person: AsPerson, asked: StepRequest) -> None:
    tick(as_person("engineer"), asked)
    as_person("trader").post(f"/gate/request/{asked.pk}/tick/", {"item": ITEM, "done": "no"})

    assert [row.done for row in ChecklistTick.objects.all()] == [True, False]
    assert ChecklistAttachment.objects.exists()
    assert "taken back by trader" in text_of(as_person("trader").get("/checklist/"))
    assert AuditEvent.objects.get(action="checklist.unticked").actor == "trader"


def test_who_watches_sees_no_button_but_the_reason(as_person: AsPerson, asked: StepRequest) -> None:
    User.objects.create(username="auditor").groups.add(Group.objects.get_or_create(name="Auditor")[0])
    page = as_person("auditor").get("/checklist/").content.decode()

    assert "may tick the checklist." in page
    assert "/tick/" not in page


def test_without_a_request_the_evidence_is_shown_and_people_wait(as_person: AsPerson, at: datetime) -> None:
    page = text_of(as_person("engineer").get("/checklist/"))

    assert "People tick once somebody has asked for the step" in page
    assert "6 of 9 done" in page


def test_without_a_run_the_page_says_what_comes_next(as_person: AsPerson) -> None:
    assert "No run is in force" in text_of(as_person("engineer").get("/checklist/"))


def test_a_file_of_another_desk_is_not_found(as_person: AsPerson, asked: StepRequest) -> None:
    client = as_person("engineer")
    tick(client, asked)
    session = client.session
    session["desk"] = "production"
    session.save()

    assert client.get(f"/checklist/attachments/{ChecklistAttachment.objects.get().pk}/").status_code == 404

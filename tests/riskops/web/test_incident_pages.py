"""The pages of incidents: what people see, apply, undo and write."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from riskops.models import Incident
from riskops.services import phases
from tests.riskops import cast
from tests.riskops.proofs import text_of
from trading.models import Account, ConductOverride

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]


@pytest.fixture
def desk() -> Account:
    account = cast.desk()
    phases.start_run(account=account, phase_id="4.0", by="lead", at=cast.BEGIN)
    return account


def opened(client: Client, playbook: str = "latency") -> Incident:
    client.post("/incidents/open/", {"playbook": playbook, "what": "p95 is 3 s"})
    return Incident.objects.get()


def test_a_desk_without_incidents_says_what_opens_one(desk: Account, as_person: AsPerson) -> None:
    said = text_of(as_person("trader").get("/incidents/"))

    assert "Nothing has gone wrong yet" in said
    assert "Nobody has reviewed this desk" in said


def test_who_opens_an_incident_stands_before_it(desk: Account, as_person: AsPerson) -> None:
    answer = as_person("trader").post("/incidents/open/", {"playbook": "crit", "what": "p95 is 3 s"})

    assert answer.headers["Location"] == f"/incidents/{Incident.objects.get().pk}/"


def test_a_person_opens_an_incident_sees_what_is_applied_and_undoes_it(desk: Account, as_person: AsPerson) -> None:
    client = as_person("trader")
    incident = opened(client)
    address = f"/incidents/{incident.pk}/"

    said = text_of(client.get(address))
    assert "applied by playbook: latency" in said
    assert "there is no batch to send them in" in said
    said = text_of(client.post(f"{address}undo/", {"step": "immediate.0"}, follow=True))
    assert "Undone." in said
    assert not ConductOverride.objects.filter(undone_at=None).exists()
    text_of(client.post(f"{address}apply/", {"step": "immediate.1"}, follow=True))
    assert ConductOverride.objects.get(undone_at=None).act == "decision_interval"


def test_what_was_written_stands_on_the_page_until_a_review_closes_it(desk: Account, as_person: AsPerson) -> None:
    client = as_person("trading_lead")
    incident = opened(client, "crit")
    address = f"/incidents/{incident.pk}/"
    for form in (
        {"kind": "note", "note": "the line <b>was</b> cut"},
        {"kind": "owner"},
        {"kind": "done", "step": "deadline.root cause"},
        {"kind": "resolved", "step": "Fixed"},
        {"kind": "recovered"},
    ):
        client.post(f"{address}write/", form)

    page = client.get(address)
    assert "the line &lt;b&gt;was&lt;/b&gt; cut" in page.content.decode()
    assert "0.0 of 48 h in force" in text_of(page)
    review = dict.fromkeys(("cause", "impact", "prevention"), "a cable was cut by a digger")
    said = text_of(client.post(f"/gate/incident/{incident.pk}/close/", review, follow=True))
    assert f"Incident #{incident.pk} is closed." in said
    assert "Closed by trading_lead" in said


def test_a_refusal_is_told_and_changes_nothing(desk: Account, as_person: AsPerson) -> None:
    client = as_person("trader")
    incident = opened(client)

    said = text_of(client.post(f"/incidents/{incident.pk}/apply/", {"step": "immediate.0"}, follow=True))

    assert "Nothing was changed. This step is in force already" in said


@pytest.mark.parametrize("address", ["/incidents/999/", "/incidents/0/"])
def test_an_incident_that_is_not_there_is_not_found(desk: Account, as_person: AsPerson, address: str) -> None:
    assert as_person("trader").get(address).status_code == 404


def test_who_only_looks_sees_no_buttons(desk: Account, as_person: AsPerson) -> None:
    incident = opened(as_person("trader"))

    User.objects.create_user("auditor")

    page = as_person("auditor").get(f"/incidents/{incident.pk}/").content.decode()

    assert "Undo" not in page
    assert "Write the note" not in page

"""Whatever page a form stands on: an unfit one changes nothing, is told by field, and is on record without a secret."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import pytest
from django import forms as fields
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.urls import URLPattern, reverse

from riskops import forms, urls
from riskops.models import BreakGlass, Incident, PhaseRun, PromotionRequest, StepRequest
from riskops.services import break_glass, incidents, phases, promotions
from tests.riskops.proofs import text_of
from tests.trading.models_at_hand import digest_of, model
from trading.models import AuditEvent

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]
SECRET: Final = "hunter2 " * 300  # longer than any field, no choice, no number, no date, no SHA-256
PAGES: Final = ("arming", "break_glass", "gates", "incidents", "keys", "people", "promotions", "reports")
WITHOUT_A_FORM: Final = {"check-keys", "end-session", "end-other-sessions", "invite-person"}
ANYTHING: Final = {
    **dict.fromkeys(("request_id", "incident_id", "glass_id", "item_id", "person_id", "key_id", "transfer_id"), 1),
    "slug": "micro",
    "label": uuid4(),
    "kind": "daily",
    "period": "2026-11-21",
    "attachment_id": 1,
    "table": "days",
    "digest": digest_of(1),
}
FORMS: Final[dict[str, tuple[str, type[fields.Form] | None]]] = {  # an engineer of the demo is an administrator
    "arming-prepare": ("cto", forms.PrepareForm),
    "arming-request": ("cto", forms.ArmForm),
    "arming-approve": ("cto", forms.ArmForm),
    "arming-withdraw": ("cto", None),
    "arming-disarm": ("trader", forms.DisarmForm),
    "confirm-transfer": ("cto", forms.MovedForm),
    "give-account": ("cto", forms.MemberForm),
    "take-account": ("cto", forms.MemberForm),
    "ask-break-glass": ("trader", forms.BreakGlassForm),
    "grant-break-glass": ("cto", forms.StepUpForm),
    "end-break-glass": ("trader", None),
    "begin-authenticator": ("trader", None),
    "confirm-authenticator": ("trader", forms.StepUpForm),
    "start-run": ("cto", forms.StartForm),
    "request-step": ("cto", None),
    "sign-step": ("cto", forms.SignForm),
    "tick-item": ("cto", forms.TickForm),
    "decide-step": ("cto", forms.DecisionForm),
    "withdraw-step": ("cto", None),
    "request-promotion": ("trader", forms.AskPromotionForm),
    "sign-promotion": ("cto", forms.SignForm),
    "decide-promotion": ("cto", forms.DecisionForm),
    "withdraw-promotion": ("cto", None),
    "roll-back-model": ("trader", forms.RollBackForm),
    "open-incident": ("trader", forms.OpenIncidentForm),
    "review-desk": ("trader", forms.LookForm),
    "apply-step": ("trader", forms.StepForm),
    "undo-step": ("trader", forms.StepForm),
    "write-incident": ("trader", forms.WriteForm),
    "close-incident": ("trader", forms.ReviewForm),
    "add-key": ("cto", forms.KeyForm),
    "revoke-key": ("cto", forms.RevokeForm),
    "change-password": ("trader", forms.NewPasswordForm),
    "add-person": ("engineer", forms.PersonForm),
    "set-roles": ("engineer", forms.RolesForm),
    "set-active": ("engineer", forms.ActiveForm),
    "remove-authenticator": ("engineer", forms.StepUpForm),
    "enter-cost": ("cto", forms.CostForm),
    "add-item": ("cto", forms.ItemForm),
    "tick-compliance": ("cto", forms.ItemTickForm),
}


@pytest.fixture
def desk(at: datetime) -> None:
    """A desk about which every form has something to say."""
    run = PhaseRun.objects.get(ended_at=None)
    by = User.objects.get(username="trading_lead")
    phases.request_step(run=run, by=by, at=at)
    promotions.request(version=model(1, "CANARY", canary_symbol="BTCUSDT"), by=by, at=at)
    incidents.open_by_hand(account=run.account, by=by, playbook="crit", what="odd", at=at)
    break_glass.ask(account=run.account, by=by, reason="the Trading Lead is away", hours=1, at=at)


def patterns() -> Iterator[URLPattern]:
    modules = {f"riskops.views.{name}" for name in PAGES}
    return (one for one in urls.urlpatterns if one.callback.__module__ in modules)


def address_of(name: str) -> str:
    """Return an address that leads to the form; where the form is read first, the row need not be there."""
    asked = PromotionRequest if "promotion" in name else StepRequest
    rows: dict[str, type[Model]] = {"request_id": asked, "incident_id": Incident, "glass_id": BreakGlass}
    converters = next(one for one in patterns() if one.name == name).pattern.converters
    newest = {part: model._default_manager.latest("id").pk for part, model in rows.items() if part in converters}
    return reverse(f"riskops:{name}", kwargs={part: newest.get(part, ANYTHING[part]) for part in converters})


def defective(form: type[fields.Form]) -> list[str]:
    """Return the fields that a secret does not fit into."""
    return [
        name for name, field in form().fields.items() if not isinstance(field, fields.BooleanField | fields.FileField)
    ]


@pytest.mark.parametrize("name", FORMS)
def test_an_unfit_form_is_told_by_field_and_on_record_without_its_secrets(
    as_person: AsPerson, desk: None, name: str
) -> None:
    person, form = FORMS[name]
    client, address = as_person(person), address_of(name)
    last = AuditEvent.objects.latest("sequence").sequence
    sent: dict[str, Any] = dict.fromkeys(defective(form), SECRET) if form else {"code": [SECRET, SECRET]}

    answer = client.post(address, sent, REMOTE_ADDR="10.1.2.3", follow=True)

    row = AuditEvent.objects.get(sequence__gt=last)
    object_ = address.replace(digest_of(1), digest_of(1)[:12])
    assert (row.actor, row.action, row.subject) == (person, "refused", object_)
    assert row.payload["_by"]["roles"] == [User.objects.get(username=person).groups.get().name]
    assert row.payload["_by"]["address"] == "10.1.2.3"
    said = text_of(answer)
    for field in sent:
        assert f"{field}: " in row.payload["why"] or "code was sent twice" in row.payload["why"]
    assert f"Nothing was changed. {row.payload['why']}" in said.replace("&#x27;", "'")
    assert "hunter2" not in said + str(row.payload)


def test_every_form_of_these_pages_stands_in_the_table(db: None) -> None:
    def obeys(pattern: URLPattern) -> bool:
        anything = {part: ANYTHING[part] for part in pattern.pattern.converters}
        return Client().get(reverse(f"riskops:{pattern.name}", kwargs=anything)).status_code == 405

    assert {one.name for one in patterns() if obeys(one)} == {*FORMS, *WITHOUT_A_FORM}

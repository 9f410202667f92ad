"""Django's admin shows every table; what was written once cannot be changed there, not even by a superuser."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.forms import model_to_dict
from django.test import Client
from django.urls import reverse

from trading.models import Account, AuditEvent, VenueInstrument
from trading.models.audit import AuditHead

pytestmark = pytest.mark.django_db
NOT_SHOWN = {AuditHead}  # a lock with two columns, no record
TABLES = [m for app in ("trading", "riskops") for m in apps.get_app_config(app).get_models() if m not in NOT_SHOWN]
EDITABLE = {"VenueInstrument"}


@pytest.fixture
def superuser(client: Client, desks: dict[str, Account]) -> Client:
    client.force_login(User.objects.get(username="engineer"))
    return client


def address(model: type[Model], action: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{action}", args=args)


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
def test_every_table_is_shown(superuser: Client, model: type[Model]) -> None:
    assert model in admin.site._registry
    assert superuser.get(address(model, "changelist")).status_code == 200


@pytest.mark.parametrize("model", [m for m in TABLES if m.__name__ not in EDITABLE], ids=lambda model: model.__name__)
def test_a_record_cannot_be_added_in_the_admin(superuser: Client, model: type[Model]) -> None:
    assert superuser.get(address(model, "add")).status_code == 403
    assert superuser.post(address(model, "add"), {}).status_code == 403


@pytest.mark.parametrize("model", [AuditEvent, Account], ids=lambda model: model.__name__)
def test_a_record_cannot_be_changed_or_deleted_in_the_admin(superuser: Client, model: type[Model]) -> None:
    row = model._default_manager.order_by("pk")[0]
    before = model._default_manager.filter(pk=row.pk).values().get()

    shown = superuser.get(address(model, "change", row.pk))
    changed = superuser.post(address(model, "change", row.pk), {"action": "forged", "name": "forged"})
    deleted = superuser.post(address(model, "delete", row.pk), {"post": "yes"})
    in_bulk = superuser.post(
        address(model, "changelist"), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    )

    assert (shown.status_code, changed.status_code, deleted.status_code) == (200, 403, 403)
    assert in_bulk.status_code in {200, 302}
    assert model._default_manager.filter(pk=row.pk).values().get() == before
    assert "delete_selected" not in superuser.get(address(model, "changelist")).content.decode()


def test_a_trader_has_no_admin(signed_in: Client) -> None:
    assert signed_in.get("/admin/").status_code == 302


def test_a_row_that_may_be_changed_is_sealed_into_the_audit_trail(superuser: Client) -> None:
    row = VenueInstrument.objects.get(symbol="BTCUSDT")
    form = {**model_to_dict(row), "min_notional": "7"}

    response = superuser.post(address(VenueInstrument, "change", row.pk), form)

    event = AuditEvent.objects.order_by("sequence").last()
    assert response.status_code == 302
    assert event is not None
    assert (event.actor, event.action, event.subject) == (
        "engineer",
        "venueinstrument.changed",
        "venueinstrument:BTCUSDT",
    )
    assert "Min notional" in event.payload["what"]


@pytest.mark.parametrize("one_by_one", [True, False], ids=["by itself", "with others"])
def test_a_deletion_is_sealed_with_each_row(superuser: Client, one_by_one: bool) -> None:
    row = VenueInstrument.objects.get(symbol="ADAUSDT")
    room, keys = ("delete", [row.pk]) if one_by_one else ("changelist", [])
    form = {"post": "yes", "action": "delete_selected", "_selected_action": [row.pk]}

    superuser.post(address(VenueInstrument, room, *keys), form)

    assert not VenueInstrument.objects.filter(pk=row.pk).exists()
    assert AuditEvent.objects.filter(action="venueinstrument.deleted", subject="venueinstrument:ADAUSDT").count() == 1


def test_a_selection_that_is_no_row_is_refused(superuser: Client) -> None:
    form = {"post": "yes", "action": "delete_selected", "_selected_action": "x"}

    assert superuser.post(address(VenueInstrument, "changelist"), form).status_code == 400

"""Venue keys on the page: written, masked, revoked by label; and no answer of the console holds one."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from django.core import serializers
from django.test import Client
from django.utils.timezone import now
from pytest_django import Settings

from tests.riskops.proofs import text_of
from trading.domain.modes import Mode
from trading.models import Account, AuditEvent, KeyCheck, VenueKey
from trading.services import armings

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]
KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"  # the example of Binance's documentation
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
FORM = {"account": "microlive", "purpose": "trade", "label": "our first", "key": KEY, "secret": SECRET}


@pytest.fixture(autouse=True)
def key_file(settings: Settings, tmp_path: Path) -> None:
    settings.SECRETS_KEY_FILE = tmp_path / "secrets.key"


@pytest.fixture
def browser(as_person: AsPerson) -> AsPerson:
    """Return a function that signs a person of the demo in; the micro desk has a LIVE account."""
    as_person("cto")
    armings.prepare(paper=Account.objects.get(slug="micro"), mode=Mode.LIVE, by="cto", at=now())
    return as_person


def test_an_empty_page_says_what_comes_next(as_person: AsPerson) -> None:
    shown = text_of(as_person("trader").get("/settings/keys/"))

    assert "No key is kept. Paper accounts need none" in shown
    assert "There is no account beyond PAPER yet." in shown


def test_a_key_is_written_and_only_its_last_four_characters_are_ever_shown(browser: AsPerson) -> None:
    cto = browser("cto")

    told = cto.post("/settings/keys/add/", FORM, follow=True)
    pages = [told, *(cto.get(path) for path in ("/settings/keys/", "/accounts/microlive/arming/", "/"))]
    engineer = browser("engineer")
    row = VenueKey.objects.get()
    pages += [engineer.get(f"/admin/trading/venuekey/{path}") for path in ("", f"{row.pk}/change/")]
    everything = "".join(page.content.decode() for page in pages) + serializers.serialize(
        "json", [*VenueKey.objects.all(), *AuditEvent.objects.all()]
    )

    assert "our first is sealed" in text_of(told)
    assert "…Eh8A" in text_of(pages[1])
    assert KEY not in everything
    assert SECRET not in everything
    assert row.sealed_secret not in "".join(page.content.decode() for page in pages)
    written = dict(AuditEvent.objects.latest("sequence").payload)
    assert written.pop("_by")["roles"] == ["CTO"]
    assert written == {"purpose": "trade", "label": "our first", "last_four": "Eh8A"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"account": "micro"}, "is a paper account"),
        ({"account": "nowhere"}, "There is no account nowhere."),
        ({"purpose": "withdraw"}, "purpose: is not what this page sends"),
        ({"label": ""}, "Give the key a label."),
        ({"key": ""}, "The key is missing."),
        ({"secret": "two words here"}, "The secret is no key of a venue"),
    ],
)
def test_what_cannot_be_kept_is_refused_without_repeating_it(
    browser: AsPerson, changes: dict[str, str], why: str
) -> None:
    told = browser("cto").post("/settings/keys/add/", {**FORM, **changes}, follow=True)

    assert why in text_of(told)
    assert SECRET not in told.content.decode()
    assert not VenueKey.objects.exists()
    assert AuditEvent.objects.latest("sequence").action == "refused"


def test_a_key_is_revoked_by_typing_its_label(browser: AsPerson) -> None:
    cto = browser("cto")
    cto.post("/settings/keys/add/", FORM)
    row = VenueKey.objects.get()

    wrong = cto.post(f"/settings/keys/{row.pk}/revoke/", {"typed": "our second"}, follow=True)
    right = cto.post(f"/settings/keys/{row.pk}/revoke/", {"typed": "our first"}, follow=True)

    assert "Type the label of the key, our first" in text_of(wrong)
    assert "our first is revoked here. Delete it at the venue as well." in text_of(right)
    assert VenueKey.objects.get().sealed_secret == ""


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ({"objections": ["withdrawals are enabled"]}, "✗ withdrawals are enabled"),
        ({"objections": []}, "✓ no withdrawals, no transfers, bound to an address"),
        ({"objections": None, "problem": "the venue gave no usable answer"}, "? the venue gave no usable answer"),
    ],
)
def test_what_the_venue_says_stands_beside_each_key(browser: AsPerson, answer: dict[str, Any], shown: str) -> None:
    cto = browser("cto")
    cto.post("/settings/keys/add/", FORM)
    KeyCheck.objects.create(key=VenueKey.objects.get(), at=now(), opened=True, skew_ms=1.0, **answer)

    assert shown in text_of(cto.get("/settings/keys/"))


def test_asking_the_venue_names_no_key(
    browser: AsPerson,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]],
) -> None:
    sent: list[object] = []
    cto = browser("cto")
    cto.post("/settings/keys/add/", FORM)
    monkeypatch.setattr("trading.live.send_command", sent.append)

    with django_capture_on_commit_callbacks(execute=True):
        cto.post("/settings/keys/check/")

    assert sent == [{"cmd": "check_keys", "account": None}]
    assert AuditEvent.objects.latest("sequence").action == "venue_key.check_asked"

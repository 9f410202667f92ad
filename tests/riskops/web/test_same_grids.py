"""A grid that was edited in the middle of a run, wherever the run is read: page, card, JSON, sheet and PDF."""

import io
import json
from collections.abc import Callable
from datetime import datetime
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from pypdf import PdfReader

from riskops.models import PhaseRun
from riskops.services import phases
from tests.riskops import cast
from tests.riskops.proofs import text_of

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]
EDITED = "48 h with the grids that trade now: "
SAVED = "grid BTCUSDT was changed on 2026-11-21 12:05 UTC"
SINCE = f"{EDITED}40.0 h since {SAVED}, in force since 2026-11-21 12:09 UTC."


@pytest.fixture
def run(at: datetime) -> PhaseRun:
    run = PhaseRun.objects.select_related("account").get()
    cast.start_desk(run.account, cast.BEGIN)
    cast.edit_grid(run.account, cast.BEGIN + 5 * cast.MINUTE)
    return run


def take_up(run: PhaseRun) -> None:
    cast.start_desk(run.account, cast.BEGIN + 9 * cast.MINUTE)


def test_the_page_says_what_is_saved_and_not_in_force(as_person: AsPerson, run: PhaseRun) -> None:
    said = text_of(as_person("trader").get("/gate/"))

    assert "RUNNING: WAIT" in said
    assert f"{EDITED}the change of grid BTCUSDT saved on 2026-11-21 12:05 UTC is not in force yet." in said


def test_the_page_counts_the_hours_since_with_samples_and_query(as_person: AsPerson, run: PhaseRun) -> None:
    take_up(run)

    said = text_of(as_person("trader").get("/gate/"))

    assert "RUNNING: WAIT" in said
    assert SINCE in said
    assert "480 samples, counted from 2026-11-21 12:09:00 UTC" in said
    assert "FROM trading_gridinforce" in said


def test_a_run_without_a_change_says_nothing_of_it(as_person: AsPerson, at: datetime) -> None:
    said = text_of(as_person("trader").get("/gate/"))

    assert "PASS: GO is possible" in said
    assert "grids that trade now" not in said


def test_what_is_signed_and_its_sheet_say_it(as_person: AsPerson, run: PhaseRun, at: datetime) -> None:
    take_up(run)
    request = phases.request_step(run=run, by=User.objects.get(username="trader"), at=at)
    client = as_person("trader")

    sheet = text_of(client.get(f"/gate/requests/{request.pk}/sheet/"))
    pdf = b"".join(client.get(f"/gate/requests/{request.pk}/sheet.pdf"))
    evidence = json.loads(b"".join(client.get(f"/gate/requests/{request.pk}/evidence.json")))
    told = " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())

    assert f"Grids changed in this run: {SINCE}" in sheet
    assert f"Grids changed in this run: {SINCE}" in told
    assert evidence["shown"]["same_grids"]["words"] == SINCE.rstrip(".")
    assert evidence["shown"]["outcome"] == "RUNNING"


def test_the_command_says_it_in_both_forms(run: PhaseRun) -> None:
    out = StringIO()
    call_command("gate", "--account", run.account.slug, stdout=out)
    assert f"◷ {EDITED}the change of grid BTCUSDT" in out.getvalue()

    take_up(run)
    call_command("gate", "--account", run.account.slug, "--json", stdout=out)
    found = json.loads(out.getvalue().splitlines()[-1])

    assert (found["same_grids"]["symbol"], found["same_grids"]["hours"]) == ("BTCUSDT", "40.00")
    assert found["outcome"] == "RUNNING"

"""`./console gate` says what the gate page says."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from tests.riskops import cast

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def latch_file(settings: Settings, tmp_path: Path) -> None:
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"


def said(*options: str) -> str:
    out = StringIO()
    call_command("gate", "--account", "micro", *options, stdout=out)
    return out.getvalue()


def test_the_last_line_is_json_with_the_scale_up_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    cast.passed_run()

    found = json.loads(said("--json").splitlines()[-1])

    assert (found["phase"], found["account"]) == ("4.0", "micro")
    assert {one["metric"] for one in found["measured"]} >= {"latency_p99_ms", "reject_rate", "kill_drills"}
    assert found["matrix"]["answer"] in {"YES", "WAIT", "NO"}
    assert [row["answer"] for row in found["matrix"]["rows"] if row["metric"] == "crit_alerts"] == ["YES"]
    assert all(row.keys() >= {"question", "measured", "before", "trend", "answer", "reason"}
               for row in found["matrix"]["rows"])  # fmt: skip


def test_without_json_it_says_so_in_words() -> None:
    cast.passed_run()

    assert "may capital rise: " in said()


def test_an_account_without_a_run_is_an_error() -> None:
    cast.desk()

    with pytest.raises(CommandError, match="has no run in force"):
        said()


def test_the_page_with_an_open_request_asks_a_bounded_number_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    run, at = cast.passed_run()
    cast.signed_request(run, at)
    client = Client()
    client.force_login(cast.person("cto"))
    monkeypatch.setattr("riskops.views.gates.now", lambda: at)

    with CaptureQueriesContext(connection) as asked:
        assert client.get("/gate/").status_code == 200

    assert len(asked) <= 60

"""The plumbing of `./console bench`; what it measures is no business of the tests."""

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from benchmarks import figures
from benchmarks.figures import Bound
from gridconsole.management.commands.bench import MODULES, NAMES

ROOT = Path(__file__).resolve().parents[2]


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(CommandError, match=r"'speed' is not known; choose one of latency, ticks, push, halt"):
        call_command("bench", "speed", stdout=StringIO())


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_a_benchmark_with_options_of_its_own(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{MODULES[name]}", "--help"]

    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert f"./console bench {name}" in said
    assert "--json" in said


def test_the_figures_stand_alone_on_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    bounds = {"latch_ms": Bound(at_most=100), "rounds": Bound(at_least=10)}

    status = figures.conclude("halt", {"latch_ms": 99.0, "rounds": 9}, bounds, as_json=True, since=figures.before())

    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (status, result["ok"], result["missed"]) == (1, False, ["rounds"])
    assert result["latch_ms"] == 99.0
    assert result["bounds"] == {"latch_ms": "at most 100", "rounds": "at least 10"}


@pytest.mark.parametrize(
    ("bound", "value", "met"),
    [
        (Bound(at_most=3), 3.0, True),
        (Bound(at_most=3), 3.01, False),
        (Bound(at_least=500), 500, True),
        (Bound(at_least=500), 499, False),
        (Bound(at_most=3), None, False),
    ],
    ids=["on the upper line", "above", "on the lower line", "below", "not measured"],
)
def test_a_bound_holds_on_its_line_and_not_beyond(bound: Bound, value: float | None, met: bool) -> None:
    assert bound.is_met(value) is met

"""`./console sweep --study` on two hosts: one of them is killed, and nothing is counted twice, lost or made up.

A host here is a process of its own with a name of its own; what they share is PostgreSQL alone, as on two machines.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from django.db import connection

from trading.services import studies

pytestmark = pytest.mark.django_db(transaction=True)
ROOT: Final = Path(__file__).resolve().parents[2]
LIMIT_S: Final = 60  # of a host that starts, at the worst
STUDY: Final = "two hosts"
TRIALS: Final = 24
BEGIN: Final = (
    "--method", "optuna", "--trials", f"{TRIALS}", "--vary", "levels=6..60", "--vary", "step=0.0004..0.002 log",
    "--mode", "long", "--seed", "7",
)  # fmt: skip

HOST: Final = """
import signal, socket, sys
host, way, *options = sys.argv[1:]
socket.gethostname = lambda: host

from gridconsole import sweep
from trading import searching
from trading.adapters.study_optuna import OptunaStudy

searching.OTHERS_S = 1.0  # how long whoever is left waits for who is gone
real_ask, real_tell = OptunaStudy.ask, OptunaStudy.tell
asked = 0

def say(*words):
    print(*words, file=sys.stderr, flush=True)

def ask(self, count):
    global asked
    if asked and way == "waits" and asked == 1:
        say("HELD")
        sys.stdin.readline()
    found = real_ask(self, count)
    asked += 1
    say("ASKED", *found)
    if asked == 2 and way == "dies":
        signal.pause()
    return found

def tell(self, row):
    real_tell(self, row)
    say("TOLD", row["number"])

OptunaStudy.ask, OptunaStudy.tell = ask, tell
sys.exit(sweep.main([*options, "--json"]))
"""


@contextmanager
def host(name: str, way: str, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a worker of the study on a host called `name`."""
    found = connection.settings_dict
    address = f"postgresql://{found['USER']}@/{found['NAME']}?host={quote(str(found['HOST']))}"
    if found["PORT"]:
        address += f"&port={found['PORT']}"
    process = subprocess.Popen(
        [sys.executable, "-c", HOST, name, way, "--study", STUDY, *options],
        cwd=ROOT, env={**os.environ, "DATABASE_URL": address}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def heard(process: "subprocess.Popen[str]", until: str) -> list[list[str]]:
    """Return what a host has said until it says `until`, each line in words."""
    assert process.stderr is not None
    lines: list[list[str]] = []
    for line in process.stderr:
        lines.append(line.split())
        if line.startswith(until):
            return lines
    pytest.fail(f"It ended before it said {until}: {lines}")


def numbers(lines: list[list[str]], word: str) -> list[int]:
    return [int(number) for said, *rest in lines if said == word for number in rest]


def result(process: "subprocess.Popen[str]", said: str = "") -> tuple[dict[str, Any], list[list[str]]]:
    """Let a host come to its end; return its result and what it said on the way."""
    out, words = process.communicate(said, timeout=LIMIT_S)
    assert process.returncode == 0, words
    return json.loads(out.splitlines()[-1]), [line.split() for line in words.splitlines()]


def test_a_host_that_is_killed_costs_its_trials_and_nothing_else() -> None:
    with host("alpha", "dies", *BEGIN) as alpha, host("beta", "waits", *BEGIN) as beta:
        of_alpha, of_beta = heard(alpha, "TOLD"), heard(beta, "HELD")
        of_alpha += heard(alpha, "ASKED")
        alpha.kill()  # SIGKILL, with trials in its hands
        alpha.wait()
        found, later = result(beta, "go on\n")
    of_beta += later

    told = numbers(of_alpha, "TOLD"), numbers(of_beta, "TOLD")
    held = sorted(set(numbers(of_alpha, "ASKED")) - set(told[0]))
    assert all((*told, held)), "both had a part in it, and one died with trials in its hands"
    assert Counter([*told[0], *told[1], *held]) == Counter(range(TRIALS)), "every trial once"
    by_number = {row["number"]: row for row in found["trials"]}
    assert list(by_number) == list(range(TRIALS))
    assert [by_number[number]["why"] for number in held] == ["Its worker has told nothing of it."] * len(held)
    assert {by_number[number]["state"] for number in held} == {"failed"}
    counts = found["counts"]
    assert counts["tried"] == counts["done"] + counts["failed"] + counts["pruned"] == TRIALS
    assert counts["failed"] == sum(row["state"] == "failed" for row in found["trials"]) >= len(held)
    assert found["deflated"]["trials"] == TRIALS

    with host("alpha", "again") as alpha:  # by its name alone
        again, nothing = result(alpha)

    assert numbers(nothing, "TOLD") == []
    for what in ("best", "counts", "pareto", "trials_sha256"):
        assert again[what] == found[what]
    studies.forget(STUDY)

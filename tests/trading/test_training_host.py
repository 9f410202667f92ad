"""A training runs in a process of its own; whatever ends that process, it goes on from its last checkpoint."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from django.db import connection

from trading import tasks, training_host
from trading.models import TrainingRun
from trading.services import trainings
from trading.training_child import NICENESS
from trading.training_host import Host, checkpoints_of

pytestmark = pytest.mark.django_db(transaction=True)
ROOT: Final = Path(__file__).resolve().parents[2]
NOW: Final = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
STEPS: Final = 4
# A net that learns in four steps, each kept; told to hold it waits after its second one for ever.
CHILD: Final = """
import os, sys
from types import SimpleNamespace
from trading import training_child

def train(settings, progress, folder):
    kept = folder / "step"
    begun = int(kept.read_text()) if kept.exists() else 0
    for step in range(begun, 4):
        progress(step / 4, f"step {step}")
        kept.write_text(str(step + 1))
        if settings["holds"] and begun == 0 and step == 1:
            print("HELD", flush=True)
            sys.stdin.read()
    return SimpleNamespace(files={}, curves={"begun": begun, "nice": os.nice(0)}, trials=1)

def register(files, *, by, at, training):
    pass

def works():
    from trading.services.trainings import Works
    return Works(train, register), ()

training_child.works_and_refusals = works
training_child.main(*map(int, sys.argv[1:4]))
"""


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path
    monkeypatch.setenv("GRIDCONSOLE_DATA_DIR", str(tmp_path))


def child(run_id: int, tries: int, parent: int | None = None) -> "subprocess.Popen[bytes]":
    found = connection.settings_dict
    address = f"postgresql://{found['USER']}@/{found['NAME']}?host={quote(str(found['HOST']))}"
    argv = [sys.executable, "-c", CHILD, str(run_id), str(tries), str(parent or os.getpid())]
    return subprocess.Popen(
        argv, cwd=ROOT, env={**os.environ, "DATABASE_URL": address}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def held(run_id: int, tries: int) -> "subprocess.Popen[bytes]":
    started = child(run_id, tries)
    if tries == 1:
        assert started.stdout is not None
        assert started.stdout.readline() == b"HELD\n"
    return started


def carried_out(start: Callable[[int, int], "subprocess.Popen[bytes]"], *, holds: bool = True) -> TrainingRun:
    asked = trainings.ask(settings={"stage": 0, "holds": holds}, by="engineer", at=NOW)
    Host(start, look_every_s=0.05).carry_out_waiting()
    asked.refresh_from_db()
    return asked


def test_a_process_that_is_killed_is_begun_again_and_goes_on_from_its_checkpoint() -> None:
    def killed_once(run_id: int, tries: int) -> "subprocess.Popen[bytes]":
        started = held(run_id, tries)
        if tries == 1:
            assert (checkpoints_of(run_id) / "step").read_text() == "2"
            started.kill()
        return started

    run = carried_out(killed_once)

    assert (run.state, run.tries, run.why) == ("DONE", 2, "")
    assert run.curves == {"begun": 2, "nice": min(19, os.nice(0) + NICENESS)}
    assert not checkpoints_of(run.pk).exists()


def test_cancelling_ends_the_process_whatever_it_does() -> None:
    started: list[subprocess.Popen[bytes]] = []

    def cancelled(run_id: int, tries: int) -> "subprocess.Popen[bytes]":
        started.append(held(run_id, tries))
        trainings.cancel(run_id=run_id, by="engineer", at=datetime.now(UTC))
        return started[0]

    run = carried_out(cancelled)

    assert (run.state, run.tries) == ("CANCELED", 1)
    assert started[0].returncode == -9
    assert not checkpoints_of(run.pk).exists()


def test_a_process_whose_host_is_gone_ends_and_hands_its_training_back() -> None:
    run = trainings.ask(settings={"stage": 0, "holds": True}, by="engineer", at=NOW)
    claimed = trainings.claim(datetime.now(UTC))
    assert claimed is not None

    child(claimed.pk, claimed.tries, parent=1).wait(60)

    run.refresh_from_db()
    assert (run.state, run.tries) == ("WAITING", 0)


def test_a_process_that_ends_three_times_without_a_word_has_failed() -> None:
    def dead(run_id: int, tries: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(["false"])

    run = carried_out(dead)

    assert (run.state, run.tries) == ("FAILED", 3)
    assert "ended 3 times without a word" in run.why


def test_a_process_is_not_left_alone_by_a_host_that_cannot_follow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def lasting(run_id: int, tries: int) -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen(["sleep", "600"]))
        return started[0]

    def away(*_: object) -> bool:
        raise ConnectionError

    monkeypatch.setattr(trainings, "pulse", away)
    with pytest.raises(ConnectionError):
        carried_out(lasting)

    assert started[0].wait(20) == -9


def test_the_task_calls_one_host_only_while_something_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []
    host = Host(start=lambda *_: subprocess.Popen(["true"]))
    monkeypatch.setattr(host, "_in_thread", lambda: called.append(1))
    monkeypatch.setattr(tasks, "_training", host)

    tasks.run_trainings()
    assert not called

    trainings.ask(settings={"stage": 0}, by="engineer", at=NOW)
    tasks.run_trainings()
    assert host._thread is not None
    host._thread.join(60)
    assert called == [1]


def test_the_real_process_is_started_beside_the_console_with_one_thread_of_compute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(subprocess, "Popen", lambda argv, **options: seen.append((argv, options)))

    training_host.start_child(7, 2)

    (argv, options), *_ = seen
    assert argv[1:] == ("-m", "trading.training_child", "7", "2", str(os.getpid()))
    assert options["env"]["OMP_NUM_THREADS"] == "1"

"""Processes start together, come back when they end, and stop with their supervisor."""

import io
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridconsole.children import Child, Launch, stop_together
from gridconsole.screen import Screen
from gridconsole.supervisor import Part, StopRequested, Supervisor, UnableToStart

LIMIT_S = 20


def part(tmp_path: Path, name: str, script: str, *, stop_rank: int = 0) -> Part:
    child = Child(Launch(name=name, argv=["sh", "-c", script]), log_dir=tmp_path)
    return Part(title=name, child=child, is_ready=lambda: "ready" in child.log_tail(5), stop_rank=stop_rank)


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(out: io.StringIO) -> Iterator[Supervisor]:
    running = Supervisor(screen=Screen(out), back_off_s=(0.0,))
    yield running
    running.stop()


def test_start_returns_when_all_are_ready(supervisor: Supervisor, out: io.StringIO, tmp_path: Path) -> None:
    parts = [part(tmp_path, name, "echo ready; exec sleep 1000") for name in ("Web", "Exchange")]

    supervisor.start(parts)

    assert all(p.ready and p.child.running for p in parts)
    assert "Web ....................... ready" in out.getvalue()


def test_a_process_that_cannot_start_is_reported_with_its_last_words(supervisor: Supervisor, tmp_path: Path) -> None:
    broken = part(tmp_path, "Web", "echo port in use >&2; exit 3")

    with pytest.raises(UnableToStart, match=r"(?s)Web ended 3 times while starting \(exit code 3\).*port in use"):
        supervisor.start([broken])


def test_a_process_that_ends_is_said_on_screen_and_started_again(
    supervisor: Supervisor, out: io.StringIO, tmp_path: Path
) -> None:
    again = f"test -e {tmp_path}/once && kill -TERM $PPID && exec sleep 1000"
    loops = part(tmp_path, "Loops", f"echo ready; {again}; touch {tmp_path}/once; sleep 0.1; exit 3")

    with supervisor.signals():
        supervisor.start([loops])
        with pytest.raises(StopRequested):
            supervisor.watch()

    assert "Loops ended (exit code 3); starting again in 0 s" in out.getvalue()
    assert loops.child.running


def test_parts_stop_in_their_order(supervisor: Supervisor, tmp_path: Path) -> None:
    script = "trap 'echo {0} >>{1}/order; exit' TERM; echo ready; while :; do sleep 0.05; done"
    ranks = {"database": 1, "web": 0}
    supervisor.start(
        [part(tmp_path, name, script.format(name, tmp_path), stop_rank=rank) for name, rank in ranks.items()]
    )

    supervisor.stop()

    assert (tmp_path / "order").read_text().split() == ["web", "database"]


def test_a_process_that_does_not_stop_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    stubborn = part(tmp_path, "Tasks", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    supervisor.start([stubborn])

    late = stop_together([stubborn.child], grace_s=0.2)

    assert late == [stubborn.child]
    assert stubborn.child.exit_code == -signal.SIGKILL


def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from gridconsole.children import *\n"
        f"child = Child(Launch(name='c', argv=['sleep', '1000']), log_dir=Path({str(tmp_path)!r}))\n"
        "child.start(); print(child.pid, flush=True); input()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert parent.stdout is not None
    watched = os.pidfd_open(int(parent.stdout.readline()))

    parent.kill()

    assert select.select([watched], [], [], LIMIT_S)[0], "the child outlived its supervisor"
    os.close(watched)
    parent.communicate()


def test_a_log_over_its_limit_is_moved_aside_while_its_process_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("gridconsole.children.LOG_LIMIT_BYTES", 10)
    child = Child(Launch(name="web", argv=["true"]), log_dir=tmp_path)
    child.log_path.write_text("a line longer than the limit\n")

    child.rotate_log()

    assert child.log_path.read_text() == ""
    assert (tmp_path / "web.log.1").read_text() == "a line longer than the limit\n"

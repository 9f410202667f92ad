"""What a killed process left running in its session ends before the process starts again."""

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from gridconsole.children import Child, Launch

LIMIT_S = 20
ENDLESS = "exec sleep 1000"


class Watched:
    """One process, whoever its parent is."""

    def __init__(self, pid: int) -> None:
        self._end = os.pidfd_open(pid)

    def ends(self, *, within_s: float) -> bool:
        return bool(select.select([self._end], [], [], within_s)[0])

    def close(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._end, signal.SIGKILL)
        os.close(self._end)


def leaves_behind(folder: Path, helper: str = ENDLESS) -> str:
    """A script whose first run starts a helper, says its id and waits; later runs wait alone."""
    note = folder / "helper"
    return f"test -e {note} && exec sleep 1000; sh -c '{helper}' & echo $! >{note}.new; mv {note}.new {note}; wait"


def helper_of(folder: Path) -> Watched:
    deadline = time.monotonic() + LIMIT_S
    while not (folder / "helper").exists():
        assert time.monotonic() < deadline, "the helper did not start"
    return Watched(int((folder / "helper").read_text()))


def killed(child: Child) -> None:
    """End the process alone, as the kernel or `kill -9` does."""
    with closing(Watched(child.pid)) as process:
        os.kill(child.pid, signal.SIGKILL)
        assert process.ends(within_s=LIMIT_S)


@pytest.fixture
def children() -> Iterator[list[Child]]:
    made: list[Child] = []
    yield made
    for child in made:
        child.kill()


def test_what_a_killed_process_left_running_ends_before_it_starts_again(children: list[Child], tmp_path: Path) -> None:
    ended_before_the_start: list[bool] = []
    launch = Launch(
        "tasks",
        ["sh", "-c", leaves_behind(tmp_path)],
        before=lambda: ended_before_the_start.append(bool(left) and left[0].ends(within_s=LIMIT_S)),
    )
    left: list[Watched] = []
    children.append(child := Child(launch, log_dir=tmp_path))
    child.start()
    with closing(helper_of(tmp_path)) as helper:
        left.append(helper)
        killed(child)
        assert not child.running
        assert not helper.ends(within_s=0), "the kernel has ended it already: nothing is tested"

        child.start()

        assert ended_before_the_start == [False, True]
        assert child.running


def test_what_does_not_listen_to_a_signal_ends_too(children: list[Child], tmp_path: Path) -> None:
    deaf = 'trap "" TERM INT HUP; while :; do sleep 0.05; done'
    children.append(child := Child(Launch("tasks", ["sh", "-c", leaves_behind(tmp_path, deaf)]), log_dir=tmp_path))
    child.start()
    with closing(helper_of(tmp_path)) as helper:
        killed(child)

        child.start()

        assert helper.ends(within_s=LIMIT_S)


def test_a_process_that_left_nothing_starts_again(children: list[Child], tmp_path: Path) -> None:
    children.append(child := Child(Launch("web", ["sh", "-c", ENDLESS]), log_dir=tmp_path))
    child.start()
    first = child.pid
    killed(child)
    assert child.exit_code == -signal.SIGKILL

    child.start()

    assert child.running
    assert child.pid != first


def test_what_others_run_is_left_alone(children: list[Child], tmp_path: Path) -> None:
    web, tasks = (Child(Launch(name, ["sh", "-c", ENDLESS]), log_dir=tmp_path) for name in ("web", "tasks"))
    children += [web, tasks]
    for child in children:
        child.start()

    killed(tasks)
    tasks.start()

    assert web.running

"""The processes under `./console up`, found by what they are, to be killed or frozen by a harness."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from benchmarks import usage

# Never the exchange: it is the truth. PostgreSQL goes with all its backends, or its postmaster alone.
VICTIMS: Final = ("loops", "web", "tasks", "beat", "watchdog", "valkey", "postgres", "postmaster")
SERVERS: Final = {"valkey": "valkey-server", "postgres": "/bin/postgres", "postmaster": "/bin/postgres"}


def find(root: int, name: str) -> int | None:
    """Return the process that the supervisor `root` runs as `name`, None while it has none."""
    if name == "beat":  # the one process that another than the supervisor starts
        worker = find(root, "tasks")
        return next(filter(usage.command_line, usage.children(worker)), None) if worker else None
    return next((pid for pid in usage.children(root) if _is(pid, name)), None)


def kill(root: int, name: str) -> int:
    """End the process as `kill -9` does, PostgreSQL with all its backends; return its id.

    Raises:
        ProcessLookupError: there is none.
    """
    pid = _required(root, name)
    family = usage.descendants(pid) if name == "postgres" else [pid]
    for member in family:
        with suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    return pid


@contextmanager
def frozen(root: int, name: str) -> Iterator[int]:
    """Let the process and everything below it stand still for the length of the block.

    Raises:
        ProcessLookupError: there is none.
    """
    pid = _required(root, name)
    family = usage.descendants(pid)
    try:
        for member in family:
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGSTOP)
        yield pid
    finally:
        for member in family:
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGCONT)


def strays(data_dir: Path, root: int) -> list[int]:
    """Return processes of this data folder that do not stand under the supervisor `root` (0: there is none)."""
    ours = {os.getpid(), *(usage.descendants(root) if root else ())}
    pids = (int(entry.name) for entry in usage.PROC.iterdir() if entry.name.isdigit())
    return [pid for pid in pids if pid not in ours and _works_on(pid, data_dir)]


def _works_on(pid: int, data_dir: Path) -> bool:
    return usage.variable(pid, "GRIDCONSOLE_DATA_DIR") == str(data_dir) and usage.command_line(pid) != ""


def _required(root: int, name: str) -> int:
    pid = find(root, name)
    if pid is None:
        raise ProcessLookupError(name)
    return pid


def _is(pid: int, name: str) -> bool:
    if name in SERVERS:
        return SERVERS[name] in usage.command_line(pid).split(" ")[0]
    return usage.variable(pid, "GRIDCONSOLE_PROCESS") == name

"""Who holds what: a process of this machine, named so that another one can tell whether it still lives."""

import os
from functools import cache
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_STATE: Final = 0  # of the fields of /proc/<pid>/stat behind the name in brackets
_STARTED: Final = 19
_ENDED: Final = frozenset("ZX")


def own_name() -> str:
    """Return "machine/process/start" of this process; the machine is empty where none can tell it."""
    return f"{_machine()}/{os.getpid()}/{_started(os.getpid())}"


def has_ended(name: str) -> bool:
    """Return whether the process of this name is known to be gone; of another machine's nothing is known."""
    machine, _, rest = name.partition("/")
    pid, _, started = rest.partition("/")
    if not machine or machine != _machine() or not pid.isdigit() or not started:
        return False
    try:
        os.kill(int(pid), 0)  # asks only; a process of another user answers with PermissionError
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    now = _started(int(pid))
    return now != "" and now != started


def _started(pid: int) -> str:
    """Return when the process started, in ticks since boot, "ended" while it only waits to be collected."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return "ended" if fields[_STATE] in _ENDED else fields[_STARTED]
    except (OSError, IndexError):
        return ""


@cache
def _machine() -> str:
    """Return this boot of this machine and the name space of its process ids; empty where there is no such thing."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}+{(_PROC / 'self/ns/pid').readlink()}".replace("/", "-")
    except OSError:
        return ""

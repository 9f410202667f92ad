"""One console per data folder: a lock that the children hold too, and what the running console says about itself."""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any, Final, Self

LOCK_FILE: Final = "up.lock"
WAIT_FOR_ORPHANS_S: Final = 20.0
POLL_S: Final = 0.1


class AlreadyRunning(Exception):
    """Another console works on this data folder; the message names its process and how to go on."""


class DataLock:
    """An exclusive lock on a data folder.

    Children inherit the open file, so the folder stays locked until the last process of an earlier console is gone,
    however that console ended; the kernel releases it, nothing stale remains.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / LOCK_FILE
        self._fd = -1

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            AlreadyRunning: a console works on this folder, or the children of one that died do not end.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + WAIT_FOR_ORPHANS_S
        while not self._taken():
            pid = described(self._path.parent).get("pid", 0)
            if _alive(pid) or time.monotonic() > deadline:
                os.close(self._fd)
                raise AlreadyRunning(self._refusal(pid))
            time.sleep(POLL_S)  # the console was killed; its children are about to end
        self.describe(pid=os.getpid())
        return self

    def __exit__(self, *_: object) -> None:
        os.truncate(self._fd, 0)
        os.close(self._fd)

    @property
    def fd(self) -> int:
        """Return the open file that children must inherit."""
        return self._fd

    def describe(self, **facts: object) -> None:
        """Write what other commands need to know about the running console (pid, ports, address)."""
        text = json.dumps({**described(self._path.parent), **facts}).encode()
        os.truncate(self._fd, 0)
        os.pwrite(self._fd, text, 0)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.truncate(self._fd, 0)
        return True

    def _refusal(self, pid: int) -> str:
        folder = self._path.parent
        if not _alive(pid):
            return f"Processes of an earlier console still use {folder}. Wait until they end, or choose --data-dir."
        address = described(folder).get("url", "starting")
        return (
            f"Grid Console already runs on {folder}: process {pid} ({address}). "
            "Stop it with Ctrl-C there, or choose another folder with --data-dir."
        )


def described(data_dir: Path) -> dict[str, Any]:
    """Return what the console on this folder says about itself; empty when none runs."""
    try:
        found = json.loads((data_dir / LOCK_FILE).read_text() or "{}")
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0

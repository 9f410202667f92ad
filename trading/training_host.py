"""Carries out trainings beside the housekeeping: each in a process of its own, which may be killed at any moment.

A net needs libraries of hundreds of megabytes, which no worker should keep, and hours, which no task may take: a thread
of the worker starts one process after another and looks after it, the tasks go on. What was trained until a process
ended lies in the checkpoints of its training.
"""

import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import close_old_connections

from trading.services import trainings

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
CHILD: Final = (sys.executable, "-m", "trading.training_child")
# One thread: the loops of the desk run on the same machine.
ENVIRONMENT: Final = {"GRIDCONSOLE_PROCESS": "training", "OMP_NUM_THREADS": "1"}

Start = Callable[[int, int], "subprocess.Popen[bytes]"]  # number of the training, tries


def checkpoints_of(run_id: int) -> Path:
    """Return the folder in which a training keeps how far it is."""
    return trainings_folder() / str(run_id)


def trainings_folder() -> Path:
    """Return the folder of all of them."""
    return Path(settings.DATA_DIR) / "trainings"


def start_child(run_id: int, tries: int) -> "subprocess.Popen[bytes]":
    """Start the process that carries out a training; it ends by itself when this process is gone."""
    argv: Sequence[str] = (*CHILD, str(run_id), str(tries), str(os.getpid()))
    environment = {**os.environ, **ENVIRONMENT}
    return subprocess.Popen(argv, cwd=settings.BASE_DIR, env=environment, stdin=subprocess.DEVNULL)


class Host:
    """One training at a time."""

    def __init__(self, start: Start = start_child, look_every_s: float = LOOK_EVERY_S) -> None:
        self._start = start
        self._look_every_s = look_every_s
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def call(self) -> None:
        """Have what waits carried out in a thread, unless one is at it and will see it."""
        with self._lock:
            if (self._thread is None or not self._thread.is_alive()) and trainings.anything_waits():
                self._thread = threading.Thread(target=self._in_thread, name="trainings", daemon=True)
                self._thread.start()

    def carry_out_waiting(self) -> int:
        """Carry out all that waits, oldest first; return how many processes were started for it."""
        count = 0
        while (run := trainings.claim(datetime.now(UTC))) is not None:
            self._follow(run.pk, run.tries)
            count += 1
        return count

    def _follow(self, run_id: int, tries: int) -> None:
        child = self._start(run_id, tries)
        try:
            while _waiting(child, self._look_every_s):
                if not trainings.pulse(run_id, tries, datetime.now(UTC)):  # cancelled, or begun again elsewhere
                    child.kill()
        finally:  # whom nobody follows nobody could cancel
            child.kill()
        trainings.begin_again(run_id, tries, datetime.now(UTC))
        if not trainings.is_open(run_id):
            shutil.rmtree(checkpoints_of(run_id), ignore_errors=True)

    def _in_thread(self) -> None:
        close_old_connections()
        try:
            self.carry_out_waiting()
        except Exception:  # beat calls again within half a minute
            log.exception("a training could not be followed; whoever looks next begins it again")
        finally:
            close_old_connections()


def _waiting(child: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False

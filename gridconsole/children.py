"""Child processes that die with their parent, write to one log file each and stop when told."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from gridconsole.profile import BASE_DIR

PR_SET_PDEATHSIG: Final = 1  # prctl(2)
LOG_LIMIT_BYTES: Final = 20_000_000
POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Launch:
    """How one child is started and stopped."""

    name: str  # also the name of its log file
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)  # on top of ours
    stop_signal: signal.Signals = signal.SIGTERM
    user: str | None = None  # another operating-system user to run as
    before: Callable[[], None] = lambda: None  # runs before every start


class Child:
    """One running process of a launch; `start` may be called again after it ended."""

    def __init__(
        self, launch: Launch, *, log_dir: Path, inherit: Sequence[int] = (), output: IO[bytes] | None = None
    ) -> None:
        """Prepare; `inherit` are open files the child keeps, `output` takes its standard output instead of the log."""
        self.launch = launch
        self.log_path = log_dir / f"{launch.name}.log"
        self._inherit = tuple(inherit)
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id, 0 before the first start."""
        return self._process.pid if self._process else 0

    @property
    def exit_code(self) -> int | None:
        """Return how the process ended, None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        """Return whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process in a session of its own, so that Ctrl-C in the terminal reaches only its parent.

        Must be called from the main thread: the kernel signals the child when the *thread* that made it ends.
        """
        self._end_leftovers()
        self.launch.before()
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.launch.argv,
                cwd=BASE_DIR,
                env={**os.environ, **self.launch.environment},
                stdin=subprocess.DEVNULL,
                stdout=self._output or log,
                stderr=log,
                start_new_session=True,
                pass_fds=self._inherit,
                user=self.launch.user,
                preexec_fn=_die_with_parent(self.launch.stop_signal),
            )

    def _end_leftovers(self) -> None:
        """End what a process that was killed left running in its session: beat, of a worker of tasks."""
        if self._process is not None and not self.running:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def ask_to_stop(self) -> None:
        """Send the stop signal if the process runs."""
        if self.running and self._process:
            self._process.send_signal(self.launch.stop_signal)

    def kill(self) -> None:
        """End the process and everything in its session at once."""
        if self._process and self.running:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def log_tail(self, lines: int) -> str:
        """Return the last lines of the log, for a person."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - 20_000))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def rotate_log(self) -> None:
        """Move a log over its limit to `.log.1`; the child appends, so it goes on writing into the emptied file."""
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_LIMIT_BYTES:
            self.log_path.with_suffix(".log.1").write_bytes(self.log_path.read_bytes())
            os.truncate(self.log_path, 0)


def stop_together(
    children: Sequence[Child], *, grace_s: float, impatient: Callable[[], bool] = lambda: False
) -> list[Child]:
    """Ask all to stop, wait up to `grace_s` or until `impatient`, kill the rest; return those that had to be killed."""
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + grace_s
    while any(child.running for child in children) and time.monotonic() < deadline and not impatient():
        time.sleep(POLL_S)
    late = [child for child in children if child.running]
    for child in late:
        child.kill()
    return late


def _die_with_parent(with_signal: signal.Signals) -> Callable[[], None]:
    """Return what a child does between fork and exec: ask the kernel for `with_signal` when the parent is gone."""
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None  # looked up here: no imports after fork

    def setup() -> None:
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, with_signal)
        if os.getppid() != parent:  # it ended before we could ask
            os._exit(1)

    return setup

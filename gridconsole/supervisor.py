"""Starts processes together, restarts those that end, stops them in order; knows nothing of what they do."""

import math
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from gridconsole.children import Child, stop_together
from gridconsole.screen import Screen

BACK_OFF_S: Final = (0.2, 1, 2, 4, 8, 16, 30)  # waits before the next start of a process that keeps ending
STABLE_S: Final = 60.0  # a process that ran this long starts again without a grown wait
STARTS_BEFORE_GIVING_UP: Final = 3  # only while the console starts; later it never gives up
STOP_GRACE_S: Final = 12.0
WAKE_S: Final = 1.0
READY_POLL_S: Final = 0.05
SLOW_START_S: Final = 60.0  # what is not ready by then is named with its log


class UnableToStart(Exception):
    """The console did not come up; the message says which process, its last words and what to do."""


class StopRequested(Exception):
    """A person or the system asked the console to stop."""


@dataclass(slots=True)
class Part:
    """One supervised process and how it is doing."""

    title: str
    child: Child
    is_ready: Callable[[], bool]
    stop_rank: int  # parts with the lowest rank stop first
    advice: str = ""
    ready: bool = False
    starts: int = 0  # in a row, without a stable run between
    started_at: float = 0.0  # monotonic seconds
    retry_at: float | None = None
    first_started_at: float = field(default=0.0)

    def start(self, now: float) -> None:
        """Start the process and remember when."""
        self.started_at, self.retry_at = now, None
        self.first_started_at = self.first_started_at or now
        self.starts += 1
        self.child.start()


class Supervisor:
    """Starts parts, restarts those that end, and stops all."""

    def __init__(self, *, screen: Screen, back_off_s: Sequence[float] = BACK_OFF_S) -> None:
        self._screen = screen
        self._back_off_s = back_off_s
        self._parts: list[Part] = []
        self._stop_requests = 0
        self._wake_read, self._wake_write = os.pipe()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Turn Ctrl-C, SIGTERM and a closed terminal into one orderly stop; a second one kills what is left."""
        for fd in (self._wake_read, self._wake_write):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self._wake_write)
        watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
        before = {number: signal.signal(number, self._on_signal) for number in watched}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(-1)

    def start(self, parts: Sequence[Part]) -> None:
        """Start the parts together and return when all are ready.

        Raises:
            UnableToStart: one of them ended several times before it was ready.
            StopRequested: asked to stop meanwhile.
        """
        began = time.monotonic()
        slow_after = began + SLOW_START_S
        for part in parts:
            part.start(began)
            self._parts.append(part)
        while waiting := [part for part in parts if not part.ready]:
            if time.monotonic() > slow_after:
                slow_after = math.inf
                for part in waiting:
                    self._screen.say(f"{part.title} is slow to get ready; still trying. Log: {part.child.log_path}")
            for part in waiting:
                self._check_start(part)
            self._revive()
            self._screen.waiting([part.title for part in waiting], began)
            self.pause(READY_POLL_S)

    def watch(self) -> None:
        """Keep everything running until asked to stop.

        Raises:
            StopRequested: always, in the end.
        """
        while True:
            self._revive()
            for part in self._parts:
                part.child.rotate_log()
            self.pause(self._until_restart())

    def pause(self, seconds: float) -> None:
        """Wait, but wake up when a child ends or somebody asks to stop.

        Raises:
            StopRequested: asked to stop.
        """
        if select.select([self._wake_read], [], [], seconds)[0]:
            os.read(self._wake_read, 4096)
        if self._stop_requests:
            raise StopRequested

    def stop(self) -> None:
        """Stop every part, those that others lean on last, and say what had to be killed.

        A request to stop that arrives meanwhile is impatience: what still runs is killed.
        """
        if not self._parts:
            return
        began, requests = time.monotonic(), self._stop_requests
        self._screen.say("Stopping ...")
        for rank in sorted({part.stop_rank for part in self._parts}):
            group = [part for part in self._parts if part.stop_rank == rank]
            late = stop_together(
                [part.child for part in group],
                grace_s=STOP_GRACE_S,
                impatient=lambda: self._stop_requests > requests,
            )
            for part in (part for part in group if part.child in late):
                self._screen.say(f"  {part.title} had not stopped and was killed")
        self._screen.say(f"Stopped in {time.monotonic() - began:.1f} s.")

    def _check_start(self, part: Part) -> None:
        if part.child.running and part.is_ready():
            part.ready = True
            self._screen.done(part.title, time.monotonic() - part.first_started_at)
        elif not part.child.running and part.starts >= STARTS_BEFORE_GIVING_UP:
            raise UnableToStart(
                f"{part.title} ended {part.starts} times while starting ({_ended(part.child)}). "
                f"Its last words, from {part.child.log_path}:\n\n{part.child.log_tail(12)}\n{part.advice}".rstrip()
            )

    def _revive(self) -> None:
        """Plan and do the restarts that are due."""
        now = time.monotonic()
        for part in self._parts:
            if part.child.running:
                continue
            if part.retry_at is None:
                self._plan_restart(part, now)
            elif now >= part.retry_at:
                part.start(now)

    def _until_restart(self) -> float:
        """Return how long to sleep: not beyond the next restart that is planned."""
        now = time.monotonic()
        planned = [part.retry_at - now for part in self._parts if part.retry_at is not None]
        return max(0.0, min([WAKE_S, *planned]))

    def _plan_restart(self, part: Part, now: float) -> None:
        if now - part.started_at >= STABLE_S:
            part.starts = 0
        wait_s = self._back_off_s[min(max(part.starts - 1, 0), len(self._back_off_s) - 1)]
        part.retry_at = now + wait_s
        self._screen.say(
            f"{time.strftime('%H:%M:%S')} {part.title} ended ({_ended(part.child)}); starting again in {wait_s:g} s. "
            f"Log: {part.child.log_path}"
        )

    def _on_signal(self, number: int, _frame: object) -> None:
        if number != signal.SIGCHLD:
            self._stop_requests += 1


def _ended(child: Child) -> str:
    code = child.exit_code
    return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"

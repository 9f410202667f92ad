"""Progress lines of the start, readable on a terminal and in a log."""

import os
import sys
import time
from collections.abc import Sequence
from typing import TextIO

QUIET_S = 2  # what takes longer than this says that it still works
LOG_EVERY_S = 10  # where lines cannot be rewritten


class Screen:
    """One line per finished step; while something takes long, a line that says what is awaited."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._moving = self._out.isatty()
        self._waiting = ""  # the last line that said what is awaited
        self._on_screen = False  # and whether it must be wiped before the next line

    def say(self, text: str = "") -> None:
        """Print one lasting line."""
        self._clear()
        self._print(text)

    def done(self, title: str, seconds: float, *, note: str = "ready") -> None:
        """Print that a step is finished and how long it took."""
        self.say(f"  {title} {'.' * max(3, 26 - len(title))} {note} {seconds:.1f} s")

    def waiting(self, titles: Sequence[str], since: float) -> None:
        """Show what is awaited since the monotonic time `since`; a log gets a line every ten seconds only."""
        elapsed = int(time.monotonic() - since)
        if elapsed < (QUIET_S if self._moving else LOG_EVERY_S):
            return
        if not self._moving:
            elapsed -= elapsed % LOG_EVERY_S
        text = f"  waiting for {', '.join(titles)} ({elapsed} s)"
        if text == self._waiting:
            return
        self._clear()
        self._print(text, end="" if self._moving else "\n")
        self._waiting, self._on_screen = text, self._moving

    def _clear(self) -> None:
        if self._on_screen:
            self._print("\r\x1b[K", end="")
        self._on_screen = False

    def _print(self, text: str, end: str = "\n") -> None:
        try:
            print(text, file=self._out, end=end, flush=True)
        except OSError:  # the terminal or the reader of the pipe is gone; nobody's trading stops for that
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())

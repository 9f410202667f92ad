"""Progress lines of the start, readable on a terminal and in a log."""

import sys
import time
from collections.abc import Sequence
from typing import TextIO

QUIET_S = 2.0  # what takes longer than this says that it still works


class Screen:
    """One line per finished step; while something takes long, a line that says what is awaited."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._moving = self._out.isatty()
        self._waiting_shown = ""

    def say(self, text: str = "") -> None:
        """Print one lasting line."""
        self._clear()
        print(text, file=self._out, flush=True)

    def done(self, title: str, seconds: float, *, note: str = "ready") -> None:
        """Print that a step is finished and how long it took."""
        self.say(f"  {title} {'.' * max(3, 26 - len(title))} {note} {seconds:.1f} s")

    def waiting(self, titles: Sequence[str], since: float) -> None:
        """Show what is awaited since the monotonic time `since`; a log gets a line every ten seconds only."""
        elapsed = int(time.monotonic() - since)
        if elapsed < QUIET_S:
            return
        text = f"  waiting for {', '.join(titles)} ({elapsed if self._moving else elapsed // 10 * 10} s)"
        if text == self._waiting_shown or (not self._moving and elapsed < 10):
            return
        self._clear()
        print(text, file=self._out, end="" if self._moving else "\n", flush=True)
        self._waiting_shown = text

    def _clear(self) -> None:
        if self._moving and self._waiting_shown:
            print("\r\x1b[K", file=self._out, end="")
        self._waiting_shown = ""

"""The halt latch outside the database: one small file, its room reserved, so that a full disk cannot keep it out."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ROOM: Final = 4_096  # bytes; a file of blanks latches nothing
EVERYTHING: Final = "*"


class LatchFile:
    """Which scopes are latched (an account's slug, or "*"); what cannot be understood latches everything."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def reserve(self) -> None:
        """Make the file, blank, unless it is there: from now on a latch needs no room on the disk.

        Raises:
            OSError: the file cannot be made.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self._path.exists() or self._path.stat().st_size < ROOM:
            self.write(self.read())

    def read(self) -> dict[str, Any]:
        """Return scope -> what is known of its latch; {} where nothing is latched."""
        try:
            text = self._path.read_text()
            held = {} if len(text) == ROOM and text.isspace() else json.loads(text)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError):
            return {EVERYTHING: {"reason": "the latch file is damaged"}}
        return held if isinstance(held, dict) else {EVERYTHING: {"reason": "the latch file is damaged"}}

    def add(self, scope: str, facts: Mapping[str, str]) -> None:
        """Latch one more scope.

        Raises:
            OSError: the file cannot be written.
        """
        self.write({**self.read(), scope: dict(facts)})

    def write(self, held: Mapping[str, Any]) -> None:
        """Overwrite the file in place, on the disk when this returns; half a text latches everything.

        Raises:
            OSError: the file cannot be written.
        """
        text = json.dumps(held) if held else ""
        if len(text.encode()) > ROOM:
            text = json.dumps(dict.fromkeys(held))  # that it is latched must fit, why may not
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            content = text.encode().ljust(ROOM)
            os.pwrite(descriptor, content, 0)
            os.ftruncate(descriptor, len(content))  # the rest of a longer text would read as damage
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

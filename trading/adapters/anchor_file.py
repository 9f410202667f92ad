"""The anchors of the audit chain outside the database: one file, one line each, only ever made longer."""

import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path


class AnchorFile:
    """Lines that are on the disk before anybody hears of them.

    Only a line that ends is one. What follows the last end is the half line of a crash: nobody was told of it, so
    readers pass over it and the next line takes its place. Whether somebody was told is for the reader to check.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> tuple[list[str], bool]:
        """Return every whole line, and whether half a line follows; nothing where there is no file.

        Raises:
            OSError: the file is there and cannot be read.
        """
        try:
            return _lines(self._path.read_bytes())
        except FileNotFoundError:
            return [], False

    def extend(self, make: Callable[[Sequence[str]], str | None]) -> None:
        """Add the line that `make` makes of the whole lines, unless it is None; others wait meanwhile.

        Raises:
            OSError: the line is not on the disk; half of it may be.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
            line = make(_lines(content)[0])
            if line is not None:
                self._write(descriptor, content.rfind(b"\n") + 1, f"{line}\n".encode())
        finally:
            os.close(descriptor)

    def _write(self, descriptor: int, end: int, content: bytes) -> None:
        os.ftruncate(descriptor, end)
        if os.pwrite(descriptor, content, end) != len(content):
            raise OSError(f"{self._path}: the line was only half written.")
        os.fsync(descriptor)
        if end == 0:
            self._keep_name()

    def _keep_name(self) -> None:
        """Put the name of a new file on the disk, too."""
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _lines(content: bytes) -> tuple[list[str], bool]:
    *whole, rest = content.decode(errors="replace").split("\n")
    return whole, bool(rest)

"""What a person attaches to an item of the checklist: small, of a kind we know, and exactly what its name says."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from riskops.domain.notes import why_not_note

LARGEST: Final = 1_000_000  # bytes
LONGEST_NAME: Final = 100  # characters
MAGIC: Final = {  # ending -> kind, and how such a file begins
    "pdf": ("application/pdf", b"%PDF-"),
    "png": ("image/png", b"\x89PNG\r\n\x1a\n"),
    "jpg": ("image/jpeg", b"\xff\xd8\xff"),
    "jpeg": ("image/jpeg", b"\xff\xd8\xff"),
    "txt": ("text/plain", b""),
    "log": ("text/plain", b""),
    "csv": ("text/csv", b""),
    "json": ("application/json", b""),
}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()+-]*")


@dataclass(frozen=True, slots=True)
class Attached:
    """One file as it is kept."""

    name: str
    kind: str
    content: bytes

    @property
    def sha256(self) -> str:
        """What the audit trail names it by."""
        return hashlib.sha256(self.content).hexdigest()


class UnfitAttachment(ValueError):
    """The file is not kept; the message says why."""


def attached(name: str, content: bytes) -> Attached:
    """Return the file as it is kept.

    Raises:
        UnfitAttachment: its name, its size or what it holds is not what we keep.
    """
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME or ".." in name:
        raise UnfitAttachment("The file's name has other than letters, digits and . _ - ( ): rename it.")
    if not 0 < len(content) <= LARGEST:
        raise UnfitAttachment(f"The file has {len(content)} bytes; keep it between 1 and {LARGEST}.")
    _, dot, ending = name.rpartition(".")
    kind, magic = MAGIC.get(ending.lower() if dot else "", ("", b""))
    if not kind:
        raise UnfitAttachment(f"Files ending with {', '.join(f'.{ending}' for ending in MAGIC)} are kept, no others.")
    if not content.startswith(magic) or (not magic and not _is_text(content)):
        raise UnfitAttachment("The file does not hold what the ending of its name says.")
    return Attached(name, kind, content)


def _is_text(content: bytes) -> bool:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return not why_not_note(re.sub("[<=+@-]", "", text))

"""The hash chain of the audit trail."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

GENESIS: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class Link:
    """What the hash of one audit event covers."""

    sequence: int
    at_us: int  # microseconds since 1970 UTC, the precision the database keeps
    actor: str
    action: str
    subject: str
    payload: Mapping[str, object]


def canonical(payload: Mapping[str, object]) -> str:
    """Return `payload` as one JSON text that does not depend on key order or blanks.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def seal(previous_hash: str, link: Link) -> str:
    """Return the SHA-256 (hex) that binds `link` to everything before it."""
    text = "\n".join(
        [
            previous_hash,
            str(link.sequence),
            str(link.at_us),
            link.actor,
            link.action,
            link.subject,
            canonical(link.payload),
        ]
    )
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain stops being true, and why."""

    sequence: int
    reason: str


def first_break(rows: Iterable[tuple[Link, str, str]], *, after: int = 0, head: str = GENESIS) -> Break | None:
    """Return the first row (link, previous hash, hash; ascending) that does not follow, or None for a whole chain."""
    expected, previous = after + 1, head
    for link, previous_hash, digest in rows:
        if link.sequence != expected:
            return Break(link.sequence, f"expected #{expected}: a row is missing or was added")
        if previous_hash != previous:
            return Break(link.sequence, "does not point to the row before")
        if seal(previous, link) != digest:
            return Break(link.sequence, "was changed after it was written")
        expected, previous = expected + 1, digest
    return None

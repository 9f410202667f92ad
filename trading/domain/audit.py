"""The hash chain of the audit trail, and the anchors that hold it from outside the database.

Who can write the database alone cannot touch the anchors: rows cut off or recomputed behind an anchor contradict it.
Who can write the file alone cannot touch the chain, which counts the anchors: a file that was cut or deleted is too
short. Who can write neither the file nor its key still can append, or recompute what no anchor covers yet. Who has the
database, the file and the key can lie (docs/decisions/0014).
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

GENESIS: Final = "0" * 64
CIRCUMSTANCES: Final = "_by"  # the key of a payload under which who asked, in which roles and from where, is sealed
ANCHORED: Final = "audit.anchored"  # the action that counts an anchor in the chain

FIELDS: Final = 6  # what is sealed before the payload: previous hash, sequence, at_us, actor, action, subject

# One row as the store writes it: sequence, the sealed fields with a line break behind each, payload (JSON), hash.
Record = tuple[int, bytes, bytes, str]


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


def canonical_bytes(payload: bytes) -> bytes:
    """Return the canonical text of a payload that is JSON text already.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deep to have been sealed.
    """
    return canonical(json.loads(payload)).encode()


def seal(previous_hash: str, link: Link) -> str:
    """Return the SHA-256 (hex) that binds `link` to everything before it."""
    return hashlib.sha256(_fields(previous_hash, link) + canonical(link.payload).encode()).hexdigest()


def _fields(previous_hash: str, link: Link) -> bytes:
    return f"{previous_hash}\n{link.sequence}\n{link.at_us}\n{link.actor}\n{link.action}\n{link.subject}\n".encode()


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain stops being true, and why."""

    sequence: int
    reason: str


def first_break(rows: Iterable[tuple[Link, str, str]], *, after: int = 0, head: str = GENESIS) -> Break | None:
    """Return the first row (link, previous hash, hash; ascending) that does not follow, or None for a whole chain."""
    records = (
        (link.sequence, _fields(previous, link), canonical(link.payload).encode(), digest)
        for link, previous, digest in rows
    )
    return first_break_of_records(records, after=after, head=head, tidy=bytes)


def first_break_of_records(
    records: Iterable[Record],
    *,
    after: int = 0,
    head: str = GENESIS,
    end: tuple[int, str] | None = None,
    tidy: Callable[[bytes], bytes] = canonical_bytes,
) -> Break | None:
    """Return the first of the records (ascending) that does not follow, or None for a whole chain.

    Where `end` is given, the last record must have this sequence and hash.

    A faster `tidy` than `canonical_bytes` may be given as long as it keeps every value: the canonical text of a payload
    is sought only where the guess does not fit the hash, so a bad guess costs time and never passes a changed row.
    """
    expected, previous = after + 1, head
    for sequence, fields, payload, digest in records:
        if sequence != expected:
            return Break(sequence, f"expected #{expected}: a row is missing or was added")
        if not fields.startswith(b"%s\n%d\n" % (previous.encode(), expected)):
            return Break(sequence, "does not point to the row before")
        # A line break ends a field: inside one it would let words move into the next. JSON text holds none.
        if fields.count(b"\n") != FIELDS or not (
            _is_sealed(fields, payload, digest, tidy) or _is_sealed(fields, payload, digest, canonical_bytes)
        ):
            return Break(sequence, "was changed after it was written")
        expected, previous = expected + 1, digest
    if end is not None and (expected - 1, previous) != end:
        return Break(expected - 1, "the chain's end does not match its head: rows were cut off")
    return None


def _is_sealed(fields: bytes, payload: bytes, digest: str, tidy: Callable[[bytes], bytes]) -> bool:
    try:
        return hashlib.sha256(fields + tidy(payload)).hexdigest() == digest
    except (ValueError, TypeError, RecursionError):  # what cannot be read was not sealed
        return False


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of the chain at one moment, as the file outside the database remembers it."""

    number: int  # 1, 2, 3 ... without a gap
    sequence: int
    hash: str
    at: str  # ISO 8601, UTC

    def mac(self, key: bytes) -> str:
        """Return the HMAC-SHA256 (hex) that only who has `key` can make."""
        text = f"{self.number}\n{self.sequence}\n{self.hash}\n{self.at}"
        return hmac.digest(key, text.encode(), "sha256").hex()

    def line(self, key: bytes) -> str:
        """Return the anchor as one line of its file."""
        return json.dumps(asdict(self) | {"mac": self.mac(key)})


def read_anchor(line: str, keys: Iterable[bytes]) -> Anchor | None:
    """Return the anchor that one of `keys` wrote as exactly this line, or None: it was changed, or by another key."""
    try:
        fields = json.loads(line)
        anchor = Anchor(int(fields["number"]), int(fields["sequence"]), str(fields["hash"]), str(fields["at"]))
        known = [anchor.line(key).encode() for key in keys]
        return anchor if any(hmac.compare_digest(line.encode(), each) for each in known) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def first_broken_anchor(anchors: Sequence[Anchor | None], rows: Mapping[int, str], *, counted: int) -> Break | None:
    """Return the first contradiction between the lines of the file and the chain, or None where they agree.

    Args:
        anchors: what `read_anchor` made of every line, in the order of the file.
        rows: hash by sequence, of at least every anchored row that exists.
        counted: the number of the newest anchor that the chain itself speaks of, 0 for none.
    """
    last = Anchor(0, 0, GENESIS, "")
    for place, anchor in enumerate(anchors, 1):
        if anchor is None:
            return Break(last.sequence, f"line {place} of the anchors was changed, or sealed with another key")
        reason = _why_not_after(last, anchor) or _why_not_in(rows, anchor)
        if reason:
            return Break(anchor.sequence, reason)
        last = anchor
    if last.number < counted:
        return Break(last.sequence, f"the chain counts {counted} anchors and the file ends at {last.number}")
    return None


def _why_not_after(last: Anchor, anchor: Anchor) -> str:
    if anchor.number != last.number + 1:
        return f"anchor {anchor.number} stands where {last.number + 1} belongs: lines are missing or out of order"
    return "" if anchor.sequence > last.sequence else f"anchor {anchor.number} lies behind the one before it"


def _why_not_in(rows: Mapping[int, str], anchor: Anchor) -> str:
    if anchor.sequence not in rows:
        return f"anchor {anchor.number} holds a row that is gone: the tail was cut"
    if rows[anchor.sequence] != anchor.hash:
        return f"anchor {anchor.number} holds another hash: the chain was recomputed"
    return ""

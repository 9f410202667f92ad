"""The audit chain: what one durable event costs, how fast the chain is verified, and whether tampering goes unseen.

One writer appends one event a transaction, every commit on the disk. Then a long chain, sealed by the same rule, is
verified as `./console verify_audit` does. A trial of tampering changes a copy of a short anchored chain in one random
way, as somebody could who may write everything in the database and nothing outside it.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from benchmarks import figures, sandbox
from benchmarks.figures import Bound
from trading.domain.audit import (
    GENESIS,
    Anchor,
    Break,
    Link,
    canonical,
    first_break,
    first_broken_anchor,
    read_anchor,
    seal,
)

APPENDS: Final = 2_000
ROWS: Final = 200_000
ROWS_LONG: Final = 1_000_000
TRIALS: Final = 1_000
TRIALS_LONG: Final = 10_000
PASSES: Final = 3  # the median one is reported
BOUNDS: Final = {
    "verify_rows_per_s": Bound(at_least=200_000),
    "tamper_trials": Bound(at_least=TRIALS),
    "tamper_missed": Bound(at_most=0),
}

Row = tuple[Link, str, str]  # link, previous hash, hash
Way = Callable[[random.Random, list[Row]], list[Row]]
KEY: Final = b"known to nobody who can write the database"


def main(argv: Sequence[str]) -> int:
    """Append, verify, tamper."""
    parser = figures.options("audit", __doc__)
    parser.add_argument("--long", action="store_true", help=f"{ROWS_LONG:,} rows and {TRIALS_LONG:,} trials")
    options = parser.parse_args(argv)
    since = figures.before()
    with sandbox.database():
        measured = _measure(ROWS_LONG if options.long else ROWS)
    measured |= tampering(TRIALS_LONG if options.long else TRIALS, seed=1)
    return figures.conclude("audit", measured, BOUNDS, as_json=options.json, since=since)


# --- the stored chain ---------------------------------------------------------------------------------------------


def _measure(rows: int) -> dict[str, Any]:
    from trading.models import AuditEvent
    from trading.services import audit

    sandbox.say(f"appending {APPENDS:,} events ...")
    took_ms = sorted(_append(number) for number in range(APPENDS))
    sandbox.say(f"loading {rows:,} rows ...")
    _load(rows)
    count = AuditEvent.objects.count()
    rates = []
    for _ in range(PASSES):
        began, busy = time.perf_counter(), time.process_time()
        broken = audit.verify()
        busy = time.process_time() - busy
        rates.append(count / (time.perf_counter() - began))
        sandbox.say(f"verified {count:,} rows at {rates[-1]:,.0f} rows/s: {broken or 'whole'}")
    return {
        "append_p50_ms": round(took_ms[len(took_ms) // 2], 2),
        "append_p99_ms": round(took_ms[len(took_ms) * 99 // 100], 2),
        "verify_rows_per_s": round(sorted(rates)[PASSES // 2]) if broken is None else None,
        "verify_rows_per_s_each": [round(rate) for rate in rates],
        "verify_cpu_us_per_row": round(busy / count * 1e6, 2),  # of our process: what a busy machine cannot hide
        "rows": count,
    }


def _append(number: int) -> float:
    """Append one event; return how many ms it took until it was on the disk."""
    from django.db import transaction

    from trading.services import audit

    began = time.perf_counter()
    with transaction.atomic():
        audit.record(at=datetime.now(UTC), **_event(number))
    return (time.perf_counter() - began) * 1_000


def _event(number: int) -> dict[str, Any]:
    """Return what an execution loop writes most: a fill, and the order that follows it."""
    order = f"micro-BTCUSDT-{number}"
    payload = {
        "approved": [[order, "BUY", "LIMIT_MAKER", 6_512_300, 12, "6.0100"]],
        "orders": [[order, "NEW", 0, ""], [f"{order}-0", "FILLED", 12, ""]],
        "fills": [["BTCUSDT", number, f"{order}-0"]],
    }
    return {"actor": "runtime:micro", "action": "orders.approved", "subject": "account:micro", "payload": payload}


def _load(rows: int) -> None:
    from django.db import connection, transaction

    from trading.models.audit import AuditHead

    columns = "sequence, at, actor, action, subject, payload, previous_hash, hash"
    with transaction.atomic(), connection.cursor() as cursor:
        head = AuditHead.objects.select_for_update().get(pk=1)
        with cursor.cursor.copy(f"COPY trading_auditevent ({columns}) FROM STDIN") as copy:
            for row in _sealed(head.sequence, head.hash, rows):
                copy.write_row(row)
        AuditHead.objects.filter(pk=1).update(sequence=row[0], hash=row[7])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE trading_auditevent")


def _sealed(sequence: int, head: str, rows: int) -> Iterator[tuple[Any, ...]]:
    from trading.services.audit import microseconds

    begin = datetime.now(UTC)
    for number in range(sequence + 1, sequence + rows + 1):
        at, event = begin + timedelta(microseconds=1_037 * number), _event(number)
        digest = seal(head, Link(number, microseconds(at), **event))
        yield number, at, event["actor"], event["action"], event["subject"], canonical(event["payload"]), head, digest
        head = digest


# --- tampering ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stored:
    """A chain with its head in the database and its anchors outside."""

    rows: tuple[Row, ...]
    head: tuple[int, str]
    anchors: tuple[str, ...]  # lines of the file

    def found(self) -> Break | None:
        """Return what verification finds."""
        broken = first_break(self.rows)
        if broken is None and (len(self.rows), self.rows[-1][2] if self.rows else GENESIS) != self.head:
            broken = Break(len(self.rows), "does not end at its head")
        anchors = [read_anchor(line, [KEY]) for line in self.anchors]
        hashes = {link.sequence: digest for link, _, digest in self.rows}
        return broken or first_broken_anchor(anchors, hashes, counted=0)


def chain(chance: random.Random) -> Stored:
    """Return a true chain of random length whose newest anchor is its head."""
    rows = reseal([_link(chance, number) for number in range(1, chance.randint(6, 40))])
    places = sorted({len(rows), *(chance.randint(1, len(rows)) for _ in range(3))})
    anchors = [Anchor(number, place, rows[place - 1][2], "2026-01-01T00:00:00+00:00") for number, place in
               enumerate(places, 1)]  # fmt: skip
    return Stored(tuple(rows), (len(rows), rows[-1][2]), tuple(anchor.line(KEY) for anchor in anchors))


def _link(chance: random.Random, number: int) -> Link:
    payload: Mapping[str, object] = {
        "orders": [[f"order-{chance.randint(1, 9)}", "FILLED", chance.randint(0, 99)]],
        "why": chance.choice(["", "stop", "größer", "a\nb", "☃"]),
        "share": chance.choice([0, 1.5, 1e-7, -3]),
    }
    return Link(number, 1_000_000 * number, chance.choice(["trader", "cto"]), "order.approved", "account:x", payload)


def reseal(links: Sequence[Link], head: str = GENESIS) -> list[Row]:
    """Return the rows of a chain that is true in itself, beginning after `head`."""
    rows: list[Row] = []
    for link in links:
        rows.append((link, head, digest := seal(head, link)))
        head = digest
    return rows


def _other(chance: random.Random, link: Link) -> Link:
    """Return `link` with one field changed."""
    changes: list[dict[str, Any]] = [
        {"at_us": link.at_us + chance.choice([-1, 1])},
        {"actor": link.actor + "x"},
        {"action": link.action.upper()},
        {"subject": ""},
        {"payload": {**link.payload, "share": 99}},
        {"payload": {name: value for name, value in link.payload.items() if name != "why"}},
        {"payload": {**link.payload, "note": None}},
    ]
    return replace(link, **chance.choice(changes))


def edit(chance: random.Random, rows: list[Row]) -> list[Row]:
    """Change one field of one row and leave its hashes."""
    place = chance.randrange(len(rows))
    link, previous, digest = rows[place]
    other = "".join(chance.choices("0123456789abcdef", k=64))
    rows[place] = chance.choice(
        [(_other(chance, link), previous, digest), (link, other, digest), (link, previous, other)]
    )
    return rows


def delete(chance: random.Random, rows: list[Row]) -> list[Row]:
    """Take one row out; number those behind it anew, or not."""
    place = chance.randrange(len(rows))
    behind = rows[place + 1 :]
    if chance.random() < 0.5:
        behind = [(replace(link, sequence=link.sequence - 1), *hashes) for link, *hashes in behind]  # type: ignore[misc]  # the star keeps both hashes
    return rows[:place] + behind


def insert(chance: random.Random, rows: list[Row]) -> list[Row]:
    """Put in one row that fits the one before it, or a second copy of it; at the end it would be an honest append."""
    place = chance.randrange(len(rows) - 1)
    link, _, digest = rows[place]
    forged = _other(chance, replace(link, sequence=link.sequence + 1))
    return [
        *rows[: place + 1],
        chance.choice([rows[place], (forged, digest, seal(digest, forged))]),
        *rows[place + 1 :],
    ]


def reorder(chance: random.Random, rows: list[Row]) -> list[Row]:
    """Let two rows change places, with their numbers or without."""
    one, other = sorted(chance.sample(range(len(rows)), 2))
    rows[one], rows[other] = rows[other], rows[one]
    if chance.random() < 0.5:
        for place in (one, other):
            rows[place] = (replace(rows[place][0], sequence=place + 1), *rows[place][1:])
    return rows


def cut(chance: random.Random, rows: list[Row]) -> list[Row]:
    """Take off the tail, anchored rows with it."""
    return rows[: chance.randrange(len(rows))]


def recompute(chance: random.Random, rows: list[Row]) -> list[Row]:
    """Change a row and seal it and everything behind it anew: the chain is true in itself."""
    place = chance.randrange(len(rows))
    links = [_other(chance, rows[place][0]), *(link for link, *_ in rows[place + 1 :])]
    return rows[:place] + reseal(links, rows[place][1])


WAYS: Final[tuple[Way, ...]] = (
    edit,
    delete,
    insert,
    reorder,
    cut,
    recompute,
)


def tampered(chance: random.Random, stored: Stored) -> Stored:
    """Return the chain after one random change; sometimes with the head set to its new end."""
    rows = tuple(chance.choice(WAYS)(chance, list(stored.rows)))
    follows = (rows[-1][0].sequence, rows[-1][2]) if rows else (0, GENESIS)
    is_moved = rows == stored.rows[: len(rows)] or chance.random() < 0.5
    return replace(stored, rows=rows, head=follows if is_moved else stored.head)


def tampering(trials: int, *, seed: int) -> dict[str, int]:
    """Return how many of the trials were found, after the untouched chain of each was found whole."""
    chance = random.Random(seed)
    detected = 0
    for _ in range(trials):
        stored = chain(chance)
        if stored.found() is None:  # who calls everything broken detects nothing
            detected += tampered(chance, stored).found() is not None
    return {"tamper_trials": trials, "tamper_detected": detected, "tamper_missed": trials - detected}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""The room of the reconcile: does our book match the venue's, since when is that proven, and what differs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trading.domain.halting import CLEAN_READING_MAX_AGE_S
from trading.domain.orders import OrderStatus
from trading.domain.reconciliation import PROOF_AFTER_NS
from trading.models import Account, ForeignOrderDecision, Order, Reconciliation, VenueReading
from trading.selectors.numbers import UNKNOWN, in_words

Outcome = ForeignOrderDecision.Outcome
PROOF_STALE_AFTER: Final = timedelta(seconds=CLEAN_READING_MAX_AGE_S)
PROOF_AFTER: Final = timedelta(microseconds=PROOF_AFTER_NS // 1_000)
DECISIONS_SHOWN: Final = 10
FOREIGN: Final = "foreign order:"  # how the core words a finding that has a table of its own
UNKNOWN_FATE: Final = "unknown:"


@dataclass(frozen=True, slots=True)
class DeskProof:
    """One desk: ours against the venue's, and how old the proof is."""

    desk: str
    slug: str
    verdict: str  # "agree" | "differ" | "stale" | "never"
    words: str
    local_open: str
    venue_open: str
    foreign: str
    read_at: datetime | None
    proof_at: datetime | None  # of the newest clean reading
    proof_age: str  # "3 s"; a dash when there is no proof
    proof_is_stale: bool


@dataclass(frozen=True, slots=True)
class Balance:
    """One asset, ours against the venue's."""

    asset: str
    ours: str
    venue: str
    dust: str  # of ours, too small to sell; "" when there is none

    @property
    def agree(self) -> bool:
        """True when both are the same."""
        return self.ours == self.venue


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference in words, and what happens about it."""

    kind: str  # "orphan" | "ghost" | "UNKNOWN" | "balance" | "transfer" | "other"
    text: str
    then: str
    level: str  # "crit" | "warn" | "wait"


@dataclass(frozen=True, slots=True)
class ForeignLine:
    """One open order of a person or of another program, and what was decided about it."""

    id: str
    symbol: str
    side: str
    price: str
    quantity: str
    filled: str
    decision: ForeignOrderDecision | None

    @property
    def is_asked(self) -> bool:
        """True while the execution loop has yet to say what came of it."""
        return self.decision is not None and self.decision.outcome == Outcome.ASKED

    @property
    def can_be_adopted(self) -> bool:
        """True for a buy without fills: our books could explain everything that comes of it."""
        return self.side == "BUY" and self.filled.strip("0.") == ""

    @property
    def is_left(self) -> bool:
        """True once a person has left it."""
        return self.decision is not None and self.decision.outcome == Outcome.LEFT


@dataclass(frozen=True, slots=True)
class Room:
    """Everything the room shows of one desk."""

    reading: VenueReading | None
    is_stale: bool
    age: str
    balances: tuple[Balance, ...]
    findings: tuple[Finding, ...]
    foreign: tuple[ForeignLine, ...]
    decided: tuple[ForeignOrderDecision, ...]


def proofs(desks: Iterable[Account], at: datetime) -> list[DeskProof]:
    """Return one line per desk, in three queries for each."""
    return [_proof(desk, _reading(desk), at) for desk in desks]


def room(account: Account, at: datetime) -> Room:
    """Return what the newest reading of `account` showed, in words, with the orders whose fate is open."""
    reading = _reading(account)
    unknown = list(Order.objects.filter(account=account, status=OrderStatus.UNKNOWN).order_by("decided_at")[:50])
    decisions = list(ForeignOrderDecision.objects.filter(account=account).order_by("-id")[:200])
    return Room(
        reading=reading,
        is_stale=reading is not None and at - reading.at > PROOF_STALE_AFTER,
        age=UNKNOWN if reading is None else in_words(at - reading.at),
        balances=_balances(reading),
        findings=(*(_open_fate(row, at) for row in unknown), *_findings(reading, unknown)),
        foreign=tuple(_foreign(one, decisions) for one in reading.foreign) if reading else (),
        decided=tuple(decisions[:DECISIONS_SHOWN]),
    )


def _proof(desk: Account, reading: VenueReading | None, at: datetime) -> DeskProof:
    clean = Reconciliation.objects.filter(account=desk, is_clean=True).order_by("-id").first()
    proof_at = clean.at if clean else None
    verdict, words = _verdict(reading, at)
    return DeskProof(
        desk=desk.name,
        slug=desk.slug,
        verdict=verdict,
        words=words,
        local_open=UNKNOWN if reading is None else str(reading.local_open),
        venue_open=UNKNOWN if reading is None else str(reading.venue_open),
        foreign=UNKNOWN if reading is None else str(len(reading.foreign)),
        read_at=reading.at if reading else None,
        proof_at=proof_at,
        proof_age=UNKNOWN if proof_at is None else in_words(at - proof_at),
        proof_is_stale=proof_at is None or at - proof_at > PROOF_STALE_AFTER,
    )


def _verdict(reading: VenueReading | None, at: datetime) -> tuple[str, str]:
    if reading is None:
        return "never", "not read yet"
    if at - reading.at > PROOF_STALE_AFTER:
        return "stale", f"stale: last read {in_words(at - reading.at)} ago"
    if reading.is_clean:
        moved = abs(reading.venue_open - len(reading.foreign) - reading.local_open)
        return "agree", f"local = venue; {moved} moved while it was read" if moved else "local = venue"
    if all(text.startswith((UNKNOWN_FATE, FOREIGN)) for text in reading.discrepancies):
        return "differ", "a fate is open"
    return "differ", "local \N{NOT EQUAL TO} venue"


def _open_fate(order: Order, at: datetime) -> Finding:
    text = f"{order.client_order_id} on {order.symbol}: {order.reason or 'no answer'}"
    return Finding("UNKNOWN", text, _then(order, at), "wait")


def _then(order: Order, at: datetime) -> str:
    left = order.decided_at + PROOF_AFTER - at
    counts = "counts as exposure"
    if left > timedelta(0):
        return f"{counts}; \u201cnot found\u201d is proof in {in_words(left)}"
    return f"{counts}; the next reading proves its fate"


def _findings(reading: VenueReading | None, unknown: list[Order]) -> list[Finding]:
    """Return what the newest reading found beyond what is shown from rows of its own."""
    shown = {f"{UNKNOWN_FATE} {order.client_order_id}" for order in unknown}
    texts = reading.discrepancies if reading else []
    return [
        _finding(text)
        for text in texts
        if not text.startswith(FOREIGN) and text.removesuffix(" may still appear") not in shown
    ]


def _finding(text: str) -> Finding:
    if text.startswith("orphan order:"):
        return Finding("orphan", text, "an id of ours: it is being cancelled, nobody needs to do anything", "warn")
    if text.startswith("ghost order:"):
        return Finding("ghost", text, "closed in our books; its symbol is paused until a person resumes it", "crit")
    if text.startswith("balance mismatch:"):
        return Finding("balance", text, "no new order leaves; if it stays for 3 s the desk halts", "crit")
    if text.startswith("transfer:"):
        return Finding("transfer", text, "nothing halts; no new order leaves until the amount is confirmed", "wait")
    if text.startswith(UNKNOWN_FATE):
        return Finding("UNKNOWN", text, "counts as exposure until the venue proves its fate", "wait")
    return Finding("other", text, "taken into our books with this reading", "warn")


def _balances(reading: VenueReading | None) -> tuple[Balance, ...]:
    if reading is None:
        return ()
    return tuple(
        Balance(asset, ours, venue, reading.dust.get(asset, "")) for asset, (ours, venue) in reading.balances.items()
    )


def _foreign(one: dict[str, str | None], decisions: list[ForeignOrderDecision]) -> ForeignLine:
    name = one["id"] or ""
    return ForeignLine(
        id=name,
        symbol=one["symbol"] or UNKNOWN,
        side=one["side"] or UNKNOWN,
        price=one["price"] or UNKNOWN,
        quantity=one["quantity"] or UNKNOWN,
        filled=one["filled"] or UNKNOWN,
        decision=next((row for row in decisions if row.client_order_id == name), None),
    )


def _reading(account: Account) -> VenueReading | None:
    return VenueReading.objects.filter(account=account).first()

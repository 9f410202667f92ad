"""Our books beside the venue's: what differs, and what that proves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trading.domain.events import VenueOrder, VenueRead
from trading.domain.orders import IN_FLIGHT, OPEN, WORKING, Fill, Order

# An order leaves within 0.5 s of its decision or never, the venue checks recvWindow (2 s) and answers -1007 after 10 s
# at the latest: an id unknown to the venue after that can no longer appear.
PROOF_AFTER_NS: Final = 12_500_000_000
TOLERANCE: Final = Decimal("0.00000001")  # one step of the venue's eight decimals


@dataclass(frozen=True, slots=True)
class MissingFill:
    """The venue executed, we had not heard."""

    fill: Fill


@dataclass(frozen=True, slots=True)
class Fate:
    """The venue's word on one of our open orders."""

    client_order_id: str
    order: VenueOrder


@dataclass(frozen=True, slots=True)
class NeverArrived:
    """An order in flight that the venue does not know, after the time it could still have arrived."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class StillUnknown:
    """An order in flight that the venue does not know yet: it may still appear."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class Ghost:
    """An order that worked for us, and the venue does not know it (any more)."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class Orphan:
    """An open order at the venue with an id of ours that we do not hold for open."""

    order: VenueOrder


@dataclass(frozen=True, slots=True)
class ForeignOrder:
    """An open order of a person or another program: counts in the worst case, is never cancelled silently."""

    order: VenueOrder


@dataclass(frozen=True, slots=True)
class BalanceMismatch:
    """The venue holds another amount than our fills explain."""

    asset: str
    ours: Decimal
    venue: Decimal


Finding = MissingFill | Fate | NeverArrived | StillUnknown | Ghost | Orphan | ForeignOrder


@dataclass(frozen=True, slots=True)
class LocalBooks:
    """What we hold for true at the moment the read is judged."""

    orders: Mapping[str, Order]  # every order we still know, ended ones included
    knows_fill: Callable[[Fill], bool]


def compare(local: LocalBooks, read: VenueRead) -> list[Finding]:
    """Return what `read` says beyond our books: fills first, then orders in the venue's order, then missing ids.

    The set of open orders was taken before the read began (`read.local_open`): what we sent or learned since is not
    contradicted by a read that could not see it.
    """
    findings: list[Finding] = [MissingFill(fill) for fill in read.fills if not local.knows_fill(fill)]
    findings += [finding for order in read.orders if (finding := _judge(order, local, read)) is not None]
    findings += [finding for name in sorted(read.missing) if (finding := _judge_missing(name, local, read)) is not None]
    return findings


def compare_balances(
    ours: Mapping[str, Decimal], read: VenueRead, tolerance: Decimal = TOLERANCE
) -> tuple[BalanceMismatch, ...]:
    """Return every asset we trade whose total differs by more than `tolerance`; other assets are not ours to judge."""
    zero = Decimal(0)
    return differing({asset: (amount, read.balances.get(asset, zero)) for asset, amount in ours.items()}, tolerance)


def differing(
    balances: Mapping[str, tuple[Decimal, Decimal]], tolerance: Decimal = TOLERANCE
) -> tuple[BalanceMismatch, ...]:
    """Return every asset of `balances` (ours, the venue's) whose totals differ by more than `tolerance`."""
    return tuple(
        BalanceMismatch(asset, ours, venue)
        for asset, (ours, venue) in sorted(balances.items())
        if not _agree(ours, venue, tolerance)
    )


def announced(mismatch: Sequence[BalanceMismatch], quote: str, asked_quote: Decimal) -> Decimal:
    """Return what of a transfer of `asked_quote` the venue may show beyond our books (below zero: out of them), or 0.

    A trade moves two assets: only the quote asset alone may be of a transfer. While a deposit is asked for, any amount
    that came in may be of it: in parts, of less or of more. What went out may be of a withdrawal up to what was asked
    for; more is money that is missing.
    """
    if len(mismatch) != 1 or mismatch[0].asset != quote or not mismatch[0].venue.is_finite():
        return Decimal(0)
    over = mismatch[0].venue - mismatch[0].ours
    is_of_it = over > 0 if asked_quote > 0 else asked_quote - TOLERANCE <= over < 0
    return over if is_of_it else Decimal(0)


def describe(finding: Finding | BalanceMismatch) -> str:
    """Return one finding in words for the operator."""
    match finding:
        case MissingFill(fill):
            return f"missing fill: {fill.symbol} trade {fill.trade_id} of {fill.client_order_id} (booked now)"
        case Fate(name, order):
            return f"fate: {name} is {order.status}"
        case NeverArrived(name):
            return f"never arrived: {name}"
        case StillUnknown(name):
            return f"unknown: {name} may still appear"
        case Ghost(name):
            return f"ghost order: {name} works in our books, the venue does not know it"
        case Orphan(order):
            return f"orphan order: {order.client_order_id} works at the venue, not in our books"
        case ForeignOrder(order):
            return f"foreign order: {order.client_order_id} on {order.symbol} is not ours"
        case _:
            return f"balance mismatch: {finding.asset} ours {finding.ours}, venue {finding.venue}"


def _agree(ours: Decimal, venue: Decimal, tolerance: Decimal) -> bool:
    """Return whether two amounts are the same; what is no number agrees with nothing."""
    return venue.is_finite() and abs(venue - ours) <= tolerance


def _judge(order: VenueOrder, local: LocalBooks, read: VenueRead) -> Finding | None:
    is_open = order.status in OPEN
    known = local.orders.get(order.client_order_id)
    if not order.ours and (known is None or not known.is_open):  # others may use an id again
        return ForeignOrder(order) if is_open else None
    if known is None:
        return Orphan(order) if is_open else None
    if known.is_open:
        return Fate(order.client_order_id, order)
    ended_before_the_read = known.updated_at_ns < read.read_at_ns
    return Orphan(order) if is_open and ended_before_the_read else None


def _judge_missing(name: str, local: LocalBooks, read: VenueRead) -> Finding | None:
    known = local.orders.get(name)
    if known is None or not known.is_open:
        return None
    proven = read.read_at_ns - known.decided_at_ns >= PROOF_AFTER_NS
    if known.status in WORKING or known.filled_lots:
        return Ghost(name) if proven else StillUnknown(name)
    assert known.status in IN_FLIGHT
    return NeverArrived(name) if proven else StillUnknown(name)

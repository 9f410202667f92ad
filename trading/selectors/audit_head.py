"""Where the audit chain stands: what a printed sheet names so that a later change of the chain can be shown."""

from dataclasses import dataclass
from datetime import datetime

from trading.domain.audit import ANCHORED, GENESIS
from trading.models.audit import AuditEvent, AuditHead


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The newest row of the chain, and the newest anchor outside the database that the chain counts."""

    sequence: int
    hash: str
    anchor: int  # its number, 0: none was made yet
    anchored_sequence: int
    anchored_at: datetime | None


def chain_head() -> ChainHead:
    """Return where the chain stands; two queries."""
    head = AuditHead.objects.filter(pk=1).first()
    row = AuditEvent.objects.filter(action=ANCHORED).first()
    payload = row.payload if row is not None and isinstance(row.payload, dict) else {}
    return ChainHead(
        sequence=head.sequence if head else 0,
        hash=head.hash if head else GENESIS,
        anchor=int(payload.get("number", 0)),
        anchored_sequence=int(payload.get("sequence", 0)),
        anchored_at=row.at if row else None,
    )

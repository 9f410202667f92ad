"""Record that somebody was refused."""

from datetime import datetime
from typing import Final

from django.db import transaction

from trading.services import audit

SUBJECT_LENGTH: Final = 80  # characters that the audit trail takes


def record(*, by: str, what: str, why: str, at: datetime) -> None:
    """Record that `by` was refused `what` (an address); nothing else was changed."""
    with transaction.atomic():
        audit.record(actor=by, action="refused", subject=what[:SUBJECT_LENGTH], payload={"why": why}, at=at)

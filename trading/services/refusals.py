"""Record that somebody was refused."""

import re
from datetime import datetime
from typing import Final

from django.db import transaction

from trading.services import audit

SUBJECT_LENGTH: Final = 80  # characters that the audit trail takes
_DIGEST: Final = re.compile(r"([0-9a-f]{12})[0-9a-f]{52}(?![0-9a-f])")  # what is done follows it, and must be read


def record(*, by: str, what: str, why: str, at: datetime) -> None:
    """Record that `by` was refused `what` (an address); nothing else was changed."""
    subject = _DIGEST.sub(r"\1", what)[:SUBJECT_LENGTH]
    with transaction.atomic():
        audit.record(actor=by, action="refused", subject=subject, payload={"why": why}, at=at)

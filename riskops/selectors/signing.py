"""The signatures of a request, as its page shows them: of a step of capital and of a model alike."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from riskops.models import PromotionSignature, SignOff


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One role that signs."""

    role: str
    person: str
    at: datetime | None
    approves: bool
    note: str
    refusal: str  # why the reader may not sign here; "" when they may


def signature_lines(
    needed: Sequence[str], given: "Iterable[SignOff | PromotionSignature]", why_not: Callable[[str], str]
) -> tuple[SignatureLine, ...]:
    """Return every role of `needed` in its order with its signature, if it gave one.

    `why_not` says of a role why the reader may not sign in it, or an empty text.
    """
    rows = {row.role: row for row in given}
    return tuple(
        SignatureLine(
            role=role,
            person=rows[role].person.username if role in rows else "",
            at=rows[role].signed_at if role in rows else None,
            approves=role in rows and rows[role].approves,
            note=rows[role].note if role in rows else "",
            refusal=why_not(role),
        )
        for role in needed
    )

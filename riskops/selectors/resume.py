"""What stands between a halt and trading again: the request, the two people, the reconcile, and what would start."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User

from riskops.domain.approvals import RESUME_WORD, why_not_grant
from riskops.models import ResumeRequest
from riskops.standing import glass_broken
from trading.domain.people import Role
from trading.selectors import releases
from trading.selectors.frame import Frame
from trading.selectors.halts import HaltLine


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """One person's wish to resume, and whether the reader may grant it."""

    id: int
    by: str
    roles: str
    reason: str
    at: datetime
    refusal: str  # why the reader may not grant it; "" when they may


@dataclass(frozen=True, slots=True)
class ResumePanel:
    """Everything that is shown to resume what one halt stops."""

    line: HaltLine
    request: OpenRequest | None
    blockers: tuple[str, ...]  # what must change before a release is possible
    starts: tuple[str, ...]  # what will start
    word: str


@dataclass(frozen=True, slots=True)
class PastRequest:
    """One decided request of a desk."""

    by: str
    reason: str
    at: datetime
    outcome: str
    decided_by: str
    decided_at: datetime | None


def resume_panels(frame: Frame, reader: User, at: datetime) -> list[ResumePanel]:
    """Return one panel per halt in force at the desk; one that only the latch file knows must be stored first."""
    return [_panel(line, reader, at) for line in frame.halts_here if line.halt.pk is not None]


def _panel(line: HaltLine, reader: User, at: datetime) -> ResumePanel:
    missing = releases.why_not_releasable(line.halt, at)
    return ResumePanel(
        line=line,
        request=_open_request(line, reader, at),
        blockers=(missing,) if missing else (),
        starts=tuple(releases.what_starts(line.halt)),
        word=RESUME_WORD,
    )


def past_requests(frame: Frame, limit: int = 10) -> list[PastRequest]:
    """Return the newest decided requests of the desk."""
    rows = (
        ResumeRequest.objects.filter(account_id=frame.account.pk)
        .exclude(outcome=ResumeRequest.Outcome.OPEN)
        .select_related("requested_by", "decided_by")[:limit]
    )
    return [
        PastRequest(
            by=row.requested_by.username,
            reason=row.reason,
            at=row.requested_at,
            outcome=row.get_outcome_display().lower(),
            decided_by=row.decided_by.username if row.decided_by else "",
            decided_at=row.decided_at,
        )
        for row in rows
    ]


def _open_request(line: HaltLine, reader: User, at: datetime) -> OpenRequest | None:
    row = (
        ResumeRequest.objects.filter(halt=line.halt, outcome=ResumeRequest.Outcome.OPEN)
        .select_related("requested_by", "account")
        .first()
    )
    if row is None:
        return None
    roles = _roles(row.requested_by)
    refusal = why_not_grant(
        same_person=row.requested_by_id == reader.pk,
        requester_roles=roles,
        granter_roles=_roles(reader),
        typed=RESUME_WORD,
        is_glass_broken=glass_broken(row.account, at) is not None,
    )
    return OpenRequest(
        id=row.pk,
        by=row.requested_by.username,
        roles=", ".join(sorted(roles & set(Role))) or "no role",
        reason=row.reason,
        at=row.requested_at,
        refusal=refusal,
    )


def _roles(person: User) -> set[str]:
    return set(person.groups.values_list("name", flat=True))

"""The page Going live: each step beyond PAPER with its preconditions, the request that waits, and what is armed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth.models import User

from riskops.domain import arming
from riskops.domain.arming import Finding, State
from riskops.models import ArmRequest
from riskops.readiness import Readiness, readiness
from trading.domain.modes import ArmingRecord, Mode, why_not_trade
from trading.selectors import armings

if TYPE_CHECKING:
    from trading.models import Account

GLYPHS: Final = {State.MET: "✓", State.NOT_MET: "✗", State.UNKNOWN: "?"}


@dataclass(frozen=True, slots=True)
class FindingLine:
    """One precondition as it is read."""

    name: str
    state: str
    glyph: str
    evidence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class OpenArming:
    """The request that waits for the second person."""

    id: int
    by: str
    at: datetime
    expires_at: datetime
    digest: str
    refusal: str  # why the reader cannot approve it; "" when they may


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step beyond PAPER."""

    mode: str
    title: str  # "LIVE · real money"
    account: "Account | None"  # None: not prepared
    phase: str
    word: str
    digest: str
    build: str
    lines: tuple[FindingLine, ...]
    missing: int
    record: ArmingRecord | None
    not_trading: str  # why no order leaves; "" while it is armed for the build that runs
    request: OpenArming | None
    refusal: str  # why the reader cannot ask; "" when they may


def steps(paper: "Account", reader: User, at: datetime) -> list[StepLine]:
    """Return the steps of `paper` beyond PAPER, as `reader` may take them."""
    return [_step(paper, mode, reader, at) for mode in (Mode.TESTNET, Mode.LIVE)]


def as_json(paper: "Account", at: datetime) -> dict[str, Any]:
    """Return every step with its preconditions, for `./console arm --json`."""
    return {
        "account": paper.slug,
        "steps": [_json(readiness(paper, mode, at), armings.beyond(paper, mode)) for mode in (Mode.TESTNET, Mode.LIVE)],
    }


def _step(paper: "Account", mode: Mode, reader: User, at: datetime) -> StepLine:
    stands, account = readiness(paper, mode, at), armings.beyond(paper, mode)
    record = armings.newest(account) if account else None
    lines = tuple(_line(finding) for finding in stands.findings)
    return StepLine(
        mode=mode.value,
        title=_title(mode, stands),
        account=account,
        phase=stands.phase,
        word=stands.word,
        digest=stands.digest,
        build=stands.build,
        lines=lines,
        missing=len(arming.blockers(stands.findings)),
        record=record,
        not_trading=why_not_trade(mode, record, stands.build) if account else "not prepared",
        request=_request(account, stands, reader, at) if account else None,
        refusal=arming.why_not_request(stands.findings, roles=_roles(reader), typed=stands.word, word=stands.word),
    )


def _title(mode: Mode, stands: Readiness) -> str:
    if mode is not Mode.LIVE:
        return mode.value
    return "LIVE · rehearsal" if stands.facts.stands_in else "LIVE · real money"


def _request(account: "Account", stands: Readiness, reader: User, at: datetime) -> OpenArming | None:
    row = ArmRequest.objects.filter(account=account, state=ArmRequest.State.OPEN).select_related("requested_by").first()
    if row is None or arming.is_expired(row.requested_at, at):
        return None
    return OpenArming(
        id=row.pk,
        by=row.requested_by.username,
        at=row.requested_at,
        expires_at=row.requested_at + timedelta(seconds=arming.REQUEST_WAITS.total_seconds()),
        digest=row.digest,
        refusal=arming.why_not_arm(
            stands.findings,
            same_person=row.requested_by_id == reader.pk,
            requester_roles=_roles(row.requested_by),
            approver_roles=_roles(reader),
            same_digest=row.digest == stands.digest,
            typed=stands.word,
            word=stands.word,
        ),
    )


def _line(finding: Finding) -> FindingLine:
    return FindingLine(finding.name, finding.state.value, GLYPHS[finding.state], finding.evidence, finding.remedy)


def _json(stands: Readiness, account: "Account | None") -> dict[str, Any]:
    record = armings.newest(account) if account else None
    return {
        "mode": stands.mode.value,
        "account": account.slug if account else None,
        "phase": stands.phase,
        "build": stands.build,
        "digest": stands.digest,
        "ready": not arming.blockers(stands.findings),
        "armed": record is not None and not why_not_trade(stands.mode, record, stands.build),
        "armed_by": record.by if record and record.is_armed else None,
        "missing": arming.blockers(stands.findings),
        "preconditions": [
            {"name": f.name, "state": f.state.value, "evidence": f.evidence, "remedy": f.remedy}
            for f in stands.findings
        ],
    }


def _roles(person: User) -> set[str]:
    return set(person.groups.values_list("name", flat=True))

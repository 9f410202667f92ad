"""What the page of a model's promotion shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.contrib.auth.models import User

from riskops.domain import promotions, steps
from riskops.domain.approvals import REASON_MIN_LENGTH
from riskops.domain.gates import State
from riskops.domain.promotions import WHAT, Finding
from riskops.domain.steps import EXPIRES_AFTER_H, Decision, Signature
from riskops.models import PromotionRequest
from riskops.promoting import Promotion, needed_for, signatures, stand
from riskops.selectors.signing import SignatureLine, signature_lines
from trading.domain.model_states import LIVE, ModelState
from trading.domain.people import why_not
from trading.selectors import desks, model_evidence

if TYPE_CHECKING:
    from trading.models import ModelVersion

GLYPHS: Final = {State.MET: "✓", State.NOT_MET: "✗", State.NO_DATA: "?"}
PAST: Final = 10
_TRACK: Final = (
    ModelState.REGISTERED, ModelState.OFFLINE_PASS, ModelState.SHADOW, ModelState.CANARY, ModelState.CHAMPION,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stop:
    """One state on the way to the champion."""

    name: str
    place: str  # "done", "now", "ahead"
    mark: str
    who: str  # by whose word it is reached


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """One criterion as it is read."""

    name: str
    limit: str
    value: str
    state: str
    glyph: str
    reason: str


@dataclass(frozen=True, slots=True)
class OpenPromotion:
    """The request that waits for signatures."""

    id: int
    by: str
    at: datetime
    expires_at: datetime
    digest: str
    canary_symbol: str
    signatures: tuple[SignatureLine, ...]
    why_not_go: str
    why_not_decide: str
    why_not_withdraw: str


@dataclass(frozen=True, slots=True)
class PastPromotion:
    """One request that was closed."""

    by: str
    at: datetime
    to: str
    outcome: str
    decided_by: str
    notes: str


@dataclass(frozen=True, slots=True)
class PromotionPage:
    """One model at one moment."""

    version: "ModelVersion"
    short: str
    state: str
    following: str  # "" where nothing follows by people's word
    stops: tuple[Stop, ...]
    evidence: tuple[EvidenceLine, ...]
    met: int
    since: datetime
    needed: tuple[str, ...]
    in_the_way: str
    request: OpenPromotion | None
    why_not_ask: str
    symbols: tuple[str, ...]  # a canary may be asked for on; () where none is asked for
    may_roll_back: bool
    champion: str  # in force: its name, "" where the rule grid trades alone
    past: tuple[PastPromotion, ...]
    judged_at: datetime


def promotion_page(version: "ModelVersion", reader: User, at: datetime) -> PromotionPage:
    """Return what the page of `version` shows to `reader` at `at`."""
    standing, state, best = stand(version, at), ModelState(version.state), model_evidence.champion()
    lines = tuple(map(_line, standing.findings)) if standing else ()
    waiting = PromotionRequest.objects.filter(version=version, state=PromotionRequest.State.OPEN)
    request = waiting.select_related("requested_by").first()
    return PromotionPage(
        version=version,
        short=version.digest[:12],
        state=state.words,
        following=standing.after.words if standing else "",
        stops=_stops(state),
        evidence=lines,
        met=sum(line.state == State.MET for line in lines),
        since=standing.since if standing else version.state_since,
        needed=standing.needed if standing else (),
        in_the_way=standing.in_the_way if standing else "",
        request=_open(request, standing, reader) if standing else None,
        why_not_ask=why_not(frozenset(_roles(reader)), steps.ASKERS, "ask for a promotion"),
        symbols=tuple(desks.running_symbols()) if standing and standing.after is ModelState.CANARY else (),
        may_roll_back=state in LIVE,
        champion=f"{best.name} {best.digest[:8]}" if best else "",
        past=_past(version),
        judged_at=at,
    )


def is_of(version: "ModelVersion", request_id: int) -> bool:
    """Return whether a request is one of this model."""
    return PromotionRequest.objects.filter(version=version, pk=request_id).exists()


def _stops(state: ModelState) -> tuple[Stop, ...]:
    here = _TRACK.index(state) if state in _TRACK else -1
    return tuple(
        Stop(
            name=one.words,
            place="done" if place < here else "now" if place == here else "ahead",
            mark="✓" if place < here else "●" if place == here else "○",
            who=", ".join(needed_for(one) if one in promotions.SIGNERS else ("the machine",)),
        )
        for place, one in enumerate(_TRACK)
    )


def _line(finding: Finding) -> EvidenceLine:
    criterion = finding.criterion
    return EvidenceLine(
        name=criterion.measure.value[:1].upper() + criterion.measure.value[1:],
        limit=criterion.limit,
        value=finding.value,
        state=finding.state.value,
        glyph=GLYPHS[finding.state],
        reason=finding.reason,
    )


def _open(request: PromotionRequest | None, standing: Promotion, reader: User) -> OpenPromotion | None:
    if request is None:
        return None
    given, needed = signatures(request), standing.needed
    return OpenPromotion(
        id=request.pk,
        by=request.requested_by.username,
        at=request.requested_at,
        expires_at=request.requested_at + timedelta(hours=EXPIRES_AFTER_H),
        digest=request.digest,
        canary_symbol=request.canary_symbol,
        signatures=signature_lines(
            needed, request.sign_offs.select_related("person"), lambda role: _why_not_sign(role, reader, needed, given)
        ),
        why_not_go=promotions.why_not_decide(
            Decision.GO,
            findings=standing.findings,
            needed=needed,
            given=given,
            requester=request.requested_by_id,
            digest=request.digest,
            notes="." * REASON_MIN_LENGTH,  # what only concerns the notes is said by the form
            in_the_way=standing.in_the_way,
        ),
        why_not_decide=steps.why_not_decider(_roles(reader), needed, WHAT),
        why_not_withdraw=steps.why_not_withdrawer(
            _roles(reader), needed, is_requester=request.requested_by_id == reader.pk
        ),
    )


def _why_not_sign(role: str, reader: User, needed: Sequence[str], given: Sequence[Signature]) -> str:
    return steps.why_not_sign(
        role=role, roles_held=_roles(reader), person=reader.pk, needed=needed, given=given, approves=True, note="",
        what=WHAT,
    )  # fmt: skip


def _past(version: "ModelVersion") -> tuple[PastPromotion, ...]:
    closed = PromotionRequest.objects.filter(version=version).exclude(state=PromotionRequest.State.OPEN)
    return tuple(
        PastPromotion(
            by=row.requested_by.username,
            at=row.requested_at,
            to=ModelState(row.after).words,
            outcome=row.decision if row.decision != Decision.PENDING else row.get_state_display().lower(),
            decided_by=row.decided_by.username if row.decided_by else "",
            notes=row.notes or row.why_void,
        )
        for row in closed.select_related("requested_by", "decided_by")[:PAST]
    )


def _roles(person: User) -> set[str]:
    return set(person.groups.values_list("name", flat=True))

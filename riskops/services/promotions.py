"""Promotions of models: ask, sign, decide, withdraw, expire; and the one click that takes a model back."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, cast

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from riskops.domain import promotions, steps
from riskops.domain.promotions import WHAT
from riskops.domain.steps import Decision
from riskops.models import PromotionRequest, PromotionSignature
from riskops.promoting import Promotion, digest_of_shown, needed_for, signatures, stand
from riskops.services.signing import WHY_EXPIRED, close, has_expired, roles_of, why_closed
from trading import live
from trading.domain.model_states import ModelState
from trading.domain.people import why_not
from trading.selectors import desks
from trading.services import audit, model_versions

if TYPE_CHECKING:
    from trading.models import ModelVersion

NO_REASON = "no reason given"


class UnableToPromote(Exception):
    """Nothing was changed; the message is fit for the operator."""


def request(*, version: "ModelVersion", by: User, canary_symbol: str = "", at: datetime) -> PromotionRequest:
    """Ask the signers for their word on exactly what the page shows now.

    Raises:
        UnableToPromote: nothing follows for this model, a request is open already, or this person may not ask.
    """
    try:
        with transaction.atomic():
            _refuse_if(why_not(frozenset(roles_of(by)), steps.ASKERS, "ask for a promotion"))
            version.refresh_from_db()
            _close_old(version, at)
            standing = _standing(version, at)
            symbol = canary_symbol if standing.after is ModelState.CANARY else ""
            if standing.after is ModelState.CANARY:
                _refuse_if(_why_not_symbol(symbol))
            shown = standing.shown(symbol)
            asked = PromotionRequest.objects.create(
                version=version, before=standing.before, after=standing.after, canary_symbol=symbol, requested_by=by,
                requested_at=at, shown=shown, digest=digest_of_shown(shown),
            )  # fmt: skip
            _record(by.username, "promotion.requested", asked, {"digest": asked.digest}, at)
    except IntegrityError as e:
        raise UnableToPromote("A request is open already: sign, decide or withdraw that one.") from e
    return asked


def sign(
    *, request_id: int, by: User, role: str, approves: bool, note: str, digest: str, at: datetime
) -> PromotionSignature:  # fmt: skip
    """Record one signature on exactly what was shown.

    Raises:
        UnableToPromote: the request is closed, what was shown has changed, or this person may not sign in this role.
    """
    try:
        with transaction.atomic():
            asked = _open(request_id, at)
            _refuse_if(_why_not_same(asked, digest))
            refusal = steps.why_not_sign(
                role=role,
                roles_held=roles_of(by),
                person=by.pk,
                needed=needed_for(ModelState(asked.after)),
                given=signatures(asked),
                approves=approves,
                note=note,
                what=WHAT,
            )
            _refuse_if(refusal)
            signed = PromotionSignature.objects.create(
                request=asked, role=role, person=by, approves=approves, note=note.strip(), digest=digest, signed_at=at
            )
            action = "promotion.signed" if approves else "promotion.rejected"
            facts = {"role": role, "digest": digest, "note": note.strip()}
            _record(by.username, action, asked, facts, at)
    except IntegrityError as e:
        raise UnableToPromote("This role has signed, or you have signed in another role.") from e
    return signed


def decide(
    *, request_id: int, by: User, decision: Decision, notes: str, digest: str, at: datetime
) -> PromotionRequest:  # fmt: skip
    """Record GO, HOLD or NO_GO. GO moves the model, NO_GO takes it out, in the same transaction.

    Raises:
        UnableToPromote: this person or this moment cannot decide so; the message says what is missing.
    """
    with transaction.atomic():
        asked = _open(request_id, at)
        model_versions.lock()  # before the trail: a rollback waits here, or this decision does
        asked.version.refresh_from_db()
        _refuse_if(_why_moved(asked) or _why_not_same(asked, digest))
        standing = _standing(asked.version, at)
        _refuse_if(steps.why_not_decider(roles_of(by), standing.needed, WHAT))
        _refuse_if(
            promotions.why_not_decide(
                decision,
                findings=standing.findings,
                needed=standing.needed,
                given=signatures(asked),
                requester=asked.requested_by_id,
                digest=asked.digest,
                notes=notes,
                in_the_way=standing.in_the_way,
            )
        )
        asked.state, asked.decision = PromotionRequest.State.DECIDED, decision
        asked.decided_by, asked.decided_at, asked.notes = by, at, notes.strip()
        asked.save(update_fields=["state", "decision", "decided_by", "decided_at", "notes"])
        _carry_out(asked, decision, by, at)  # it may raise an alert, which is locked before the trail
        _record(by.username, "promotion.decided", asked, {"decision": decision, "notes": notes.strip()}, at)
    return asked


def withdraw(*, request_id: int, by: User, at: datetime) -> PromotionRequest:
    """Take an open request back with its signatures; whoever signs this promotion, or asked for it, may.

    Raises:
        UnableToPromote: it is closed already, or this person has no part in it.
    """
    with transaction.atomic():
        asked = _open(request_id, at)
        needed = needed_for(ModelState(asked.after))
        _refuse_if(steps.why_not_withdrawer(roles_of(by), needed, is_requester=asked.requested_by_id == by.pk))
        close(asked, PromotionRequest.State.VOID, f"withdrawn by {by.username}", event="models")
        _record(by.username, "promotion.withdrawn", asked, {}, at)
    return asked


def roll_back(*, version: "ModelVersion", by: User, why: str, at: datetime) -> "ModelVersion | None":
    """Take a model back at once; whoever may halt may do this, alone. Return the champion there is then.

    Raises:
        UnableToPromote: nobody trades on this model.
    """
    try:
        champion = model_versions.roll_back(version, by=by.username, why=why.strip() or NO_REASON, at=at)
    except model_versions.UnableToMove as error:
        raise UnableToPromote(str(error)) from error
    tend(at=at)
    return champion


def tend(*, at: datetime) -> None:
    """Close every request that waited too long, or whose model has moved since: nobody could decide it."""
    for version_id in PromotionRequest.objects.filter(state=PromotionRequest.State.OPEN).values_list("version_id"):
        with transaction.atomic():
            _close_old(version_id[0], at)


# --- how ----------------------------------------------------------------------------------------------------------


def _carry_out(asked: PromotionRequest, decision: Decision, by: User, at: datetime) -> None:
    to = promotions.outcome(decision, ModelState(asked.before), ModelState(asked.after))
    if to is None:
        return
    why = f"{decision} of {', '.join(one.role for one in signatures(asked)) or by.username}"
    why = why if decision is Decision.GO else f"{decision}: {asked.notes}"
    try:
        if to is ModelState.ROLLED_BACK:
            model_versions.roll_back(asked.version, by=by.username, why=why, at=at)
        else:
            model_versions.move(asked.version, to, by=by.username, why=why, at=at, canary_symbol=asked.canary_symbol)
    except model_versions.UnableToMove as error:
        raise UnableToPromote(str(error)) from error


def _standing(version: "ModelVersion", at: datetime) -> Promotion:
    standing = stand(version, at)
    if standing is None:
        raise UnableToPromote(f"{version.name} is {ModelState(version.state).words}: nobody promotes it from there.")
    return standing


def _open(request_id: int, at: datetime) -> PromotionRequest:
    found = PromotionRequest.objects.select_for_update(of=("self",)).select_related("version", "requested_by")
    asked = found.filter(pk=request_id).first()
    _refuse_if(why_closed(asked, at))
    return cast("PromotionRequest", asked)


def _close_old(version: "ModelVersion | int", at: datetime) -> None:
    rows = PromotionRequest.objects.select_for_update(of=("self",)).select_related("version")
    for asked in rows.filter(version=version, state=PromotionRequest.State.OPEN):
        if moved := _why_moved(asked):
            close(asked, PromotionRequest.State.VOID, moved, event="models")
            _record("governance", "promotion.void", asked, {"why": moved}, at)
        elif has_expired(asked, at):
            close(asked, PromotionRequest.State.EXPIRED, WHY_EXPIRED, event="models")
            _record("governance", "promotion.expired", asked, {}, at)


def _why_not_symbol(symbol: str) -> str:
    if not symbol:
        return "A canary touches one symbol: name it."
    return (
        "" if symbol in desks.running_symbols() else f"No desk runs a grid on {symbol}: a canary would prove nothing."
    )


def _why_moved(asked: PromotionRequest) -> str:
    now = ModelState(asked.version.state)
    return "" if now == asked.before else f"The model is {now.words} by now: ask again."


def _why_not_same(asked: PromotionRequest, digest: str) -> str:
    return "" if digest == asked.digest else "What you were shown has changed; reload the page and read it again."


def _refuse_if(refusal: str) -> None:
    if refusal:
        raise UnableToPromote(refusal)


def _record(by: str, action: str, asked: PromotionRequest, payload: Mapping[str, object], at: datetime) -> None:
    facts = {"request": asked.pk, "model": asked.version.digest, "to": asked.after, **payload}
    audit.record(actor=by, action=action, subject=f"model:{asked.version.digest[:12]}", payload=facts, at=at)
    transaction.on_commit(partial(live.publish_events, "models", "gate"))

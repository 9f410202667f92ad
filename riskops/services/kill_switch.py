"""Halt alone, resume in pairs."""

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from riskops.domain.approvals import why_not_grant, why_not_request
from riskops.models import ResumeRequest
from riskops.standing import glass_broken
from trading import live
from trading.services import audit, halts

if TYPE_CHECKING:
    from trading.models import Account, Halt


class UnableToResume(Exception):
    """The halt stays latched; the message is fit for the operator."""


def halt(*, scope: str | None, by: User, reason: str, flatten: bool, at: datetime) -> "list[Halt]":
    """Latch the halt for any signed-in person.

    Raises:
        trading.services.halts.UnableToHalt: there is nothing that `scope` would stop.
    """
    return halts.halt(scope=scope, by=by.username, reason=reason or "no reason given", flatten=flatten, at=at)


def request_resume(
    *, account: "Account", by: User, reason: str, typed: str, at: datetime, symbol: str = ""
) -> ResumeRequest:
    """Ask a second person to resume `account`, or the one symbol of it that is halted by itself.

    Raises:
        UnableToResume: the word or the reason is missing, nothing is halted, or a request is open already.
    """
    _refuse_if(why_not_request(typed=typed, reason=reason))
    try:
        with transaction.atomic():
            latched = _latched(account, symbol)
            request = ResumeRequest.objects.create(
                account=account, halt=latched, requested_by=by, reason=reason.strip(), requested_at=at
            )
            _record(by, "resume.requested", request, at)
    except IntegrityError as e:
        raise UnableToResume("A request to resume is open already: grant or withdraw that one.") from e
    return request


def grant_resume(*, request_id: int, by: User, typed: str, at: datetime) -> ResumeRequest:
    """Grant another person's request and release the halt.

    Raises:
        UnableToResume: the same person, no Trading Lead among the two, already decided, or the reconcile is not clean.
    """
    with transaction.atomic():
        halts.lock_every_account()  # as the release does, which comes after the trail has the grant
        request = _open_request(request_id)
        _refuse_if(
            why_not_grant(
                same_person=request.requested_by_id == by.pk,
                requester_roles=_roles(request.requested_by),
                granter_roles=_roles(by),
                typed=typed,
                is_glass_broken=glass_broken(request.account, at) is not None,
            )
        )
        request.outcome, request.decided_by, request.decided_at = ResumeRequest.Outcome.GRANTED, by, at
        request.save(update_fields=["outcome", "decided_by", "decided_at"])
        _record(by, "resume.granted", request, at)
        people = f"{request.requested_by.username} + {by.username}"
        try:
            symbol = request.halt.symbol
            halts.release(account=request.account, by=people, note=request.reason, at=at, symbol=symbol)
        except halts.UnableToRelease as e:
            raise UnableToResume(str(e)) from e
    return request


def withdraw_resume(*, request_id: int, by: User, at: datetime) -> ResumeRequest:
    """Take an open request back; anybody signed in may.

    Raises:
        UnableToResume: the request is decided already.
    """
    with transaction.atomic():
        request = _open_request(request_id)
        request.outcome, request.decided_by, request.decided_at = ResumeRequest.Outcome.WITHDRAWN, by, at
        request.save(update_fields=["outcome", "decided_by", "decided_at"])
        _record(by, "resume.withdrawn", request, at)
    return request


def _latched(account: "Account", symbol: str) -> "Halt":
    latched = halts.in_force(account, symbol)
    if latched is None:
        raise UnableToResume(f"{f'{symbol} at ' if symbol else ''}{account.name} is not halted.")
    return latched


def _open_request(request_id: int) -> ResumeRequest:
    request = ResumeRequest.objects.select_for_update().filter(pk=request_id).first()
    if request is None or request.outcome != ResumeRequest.Outcome.OPEN:
        raise UnableToResume("This request is decided already; reload the page.")
    return request


def _roles(person: User) -> set[str]:
    return set(person.groups.values_list("name", flat=True))


def _refuse_if(refusal: str) -> None:
    if refusal:
        raise UnableToResume(refusal)


def _record(by: User, action: str, request: ResumeRequest, at: datetime) -> None:
    payload = {"request": request.pk, "halt": request.halt_id, "reason": request.reason}
    audit.record(actor=by.username, action=action, subject=f"account:{request.account.slug}", payload=payload, at=at)
    transaction.on_commit(partial(live.publish_events, "halt"))

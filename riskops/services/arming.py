"""Leaving PAPER: prepare the account, ask, approve by a second person, disarm alone."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from riskops.domain import arming
from riskops.domain.arming import TWO_ROLES
from riskops.domain.steps import ROADMAP
from riskops.models import ArmRequest, PhaseRun
from riskops.readiness import Readiness, readiness
from riskops.services import phases
from riskops.standing import lock_newest_run
from trading import live
from trading.domain.modes import Mode
from trading.domain.people import DESK
from trading.selectors import armings as known
from trading.services import armings, audit
from trading.services.locks import lock_account

if TYPE_CHECKING:
    from trading.models import Account


class UnableToArm(Exception):
    """Nothing was changed; the message is fit for the operator."""


def prepare(*, paper: "Account", mode: Mode, by: User, at: datetime) -> "Account":
    """Make the account of `paper` that will trade in `mode`; it trades nothing until it is armed.

    Raises:
        UnableToArm: this person is neither Trading Lead nor CTO, or there is such an account.
    """
    if not _roles(by) & set(TWO_ROLES):
        raise UnableToArm(f"Only {TWO_ROLES[0]} or {TWO_ROLES[1]} may prepare it.")
    try:
        return armings.prepare(paper=paper, mode=mode, by=by.username, at=at)
    except armings.UnableToArm as error:
        raise UnableToArm(str(error)) from error


def request(*, account: "Account", by: User, typed: str, digest: str, at: datetime) -> ArmRequest:
    """Ask a second person to arm `account` on exactly what is shown now.

    Raises:
        UnableToArm: a precondition does not hold, what was shown has changed, or a request is open already.
    """
    stands = _stands(account, at)
    _refuse_if(arming.why_not_request(stands.findings, roles=_roles(by), typed=typed, word=stands.word))
    if digest != stands.digest:
        raise UnableToArm("What you were shown has changed; reload the page and read it again.")
    try:
        with transaction.atomic():
            lock_account(account.pk)
            _expire(account, at)
            asked = ArmRequest.objects.create(
                account=account, mode=stands.mode, phase=stands.phase, requested_by=by, requested_at=at,
                shown=stands.shown, digest=stands.digest,
            )  # fmt: skip
            _record(by.username, "arming.requested", asked, {"digest": asked.digest}, at)
    except IntegrityError as error:
        raise UnableToArm("A request is open already: approve or withdraw that one.") from error
    return asked


def approve(*, account: "Account", request_id: int, by: User, typed: str, digest: str, at: datetime) -> ArmRequest:
    """Arm the account: its first run starts, and the runtime lets its orders leave this build and no other.

    Raises:
        UnableToArm: the same person, the wrong roles, a precondition that no longer holds, or what was shown changed.
    """
    with transaction.atomic():
        lock_newest_run(account)
        lock_account(account.pk, whole=True)  # its first run may start, after the trail has the approval
        asked = _open(account, request_id, at)
        stands = _stands(asked.account, at)
        _refuse_if(
            arming.why_not_arm(
                stands.findings,
                same_person=asked.requested_by_id == by.pk,
                requester_roles=_roles(asked.requested_by),
                approver_roles=_roles(by),
                same_digest=digest == asked.digest == stands.digest,
                typed=typed,
                word=stands.word,
            )
        )
        people = f"{asked.requested_by.username} + {by.username}"
        _close(asked, ArmRequest.State.APPROVED, by, at)
        _record(by.username, "arming.approved", asked, {"digest": asked.digest, "build": stands.build}, at)
        if not PhaseRun.objects.filter(account=asked.account, ended_at=None).exists():
            _start(asked.account, people, at)
        armings.arm(
            account=asked.account, build=stands.build, phase=asked.phase, digest=asked.digest, by=people, at=at
        )  # fmt: skip
    return asked


def withdraw(*, account: "Account", request_id: int, by: User, at: datetime) -> ArmRequest:
    """Take an open request back; any person of the desk may.

    Raises:
        UnableToArm: it is decided already, or this person has no role of the desk.
    """
    if not _roles(by) & DESK:
        raise UnableToArm("Only a person with a role of the desk withdraws a request.")
    with transaction.atomic():
        asked = _open(account, request_id, at)
        _close(asked, ArmRequest.State.WITHDRAWN, by, at)
        _record(by.username, "arming.withdrawn", asked, {}, at)
    return asked


def disarm(*, account: "Account", by: str, why: str, at: datetime) -> None:
    """Halt the account and let nothing leave any more; one person is enough, as for a halt.

    Raises:
        UnableToArm: it is not armed; it is halted all the same.
    """
    try:
        armings.disarm(account=account, by=by, why=why.strip() or "no reason given", at=at)
    except armings.UnableToArm as error:
        raise UnableToArm(str(error)) from error


def _start(account: "Account", by: str, at: datetime) -> None:
    """Start the roadmap of the account at its beginning: real money has proven nothing yet."""
    last = PhaseRun.objects.filter(account=account).select_related("template").first()
    phase = last.template.phase if last else ROADMAP[0]
    try:
        phases.start_run(account=account, phase_id=phase, by=by, at=at)
    except phases.UnableToStep as error:
        raise UnableToArm(str(error)) from error


def _stands(account: "Account", at: datetime) -> Readiness:
    if account.proven_by is None:
        raise UnableToArm(f"{account.name} is a paper account: it needs no arming.")
    return readiness(known.paper_of(account), Mode(account.mode), at)


def _open(account: "Account", request_id: int, at: datetime) -> ArmRequest:
    found = ArmRequest.objects.select_for_update(of=("self",)).select_related("account", "requested_by")
    asked = found.filter(pk=request_id, account=account).first()
    if asked is None or asked.state != ArmRequest.State.OPEN:
        raise UnableToArm("This request is decided already; reload the page.")
    if arming.is_expired(asked.requested_at, at):
        raise UnableToArm("This request is older than 24 h and has expired: ask again.")
    return asked


def _expire(account: "Account", at: datetime) -> None:
    """Close a request that waited too long: while it is open nobody can ask again."""
    for asked in ArmRequest.objects.select_for_update().filter(account=account, state=ArmRequest.State.OPEN):
        if arming.is_expired(asked.requested_at, at):
            _close(asked, ArmRequest.State.EXPIRED, None, at)
            _record("governance", "arming.expired", asked, {}, at)


def _close(asked: ArmRequest, state: str, by: User | None, at: datetime) -> None:
    asked.state, asked.decided_by, asked.decided_at = state, by, at
    asked.save(update_fields=["state", "decided_by", "decided_at"])


def _roles(person: User) -> set[str]:
    return set(person.groups.values_list("name", flat=True))


def _refuse_if(refusal: str) -> None:
    if refusal:
        raise UnableToArm(refusal)


def _record(by: str, action: str, asked: ArmRequest, payload: Mapping[str, object], at: datetime) -> None:
    facts = {"request": asked.pk, "mode": asked.mode, "phase": asked.phase, **payload}
    audit.record(actor=by, action=action, subject=f"account:{asked.account.slug}", payload=facts, at=at)
    transaction.on_commit(partial(live.publish_events, "gate"))

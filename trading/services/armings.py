"""Arm and disarm accounts beyond PAPER; who may is decided by governance, not here."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Final

from django.db import transaction

from trading import live
from trading.domain.modes import Mode
from trading.models import Account, Arming, Grid, Membership
from trading.services import audit, halts

SLUG_ROOM: Final = 8  # characters of the paper account's slug that its companions keep


class UnableToArm(Exception):
    """Nothing was changed; the message is fit for the operator."""


def prepare(*, paper: Account, mode: Mode, by: str, at: datetime) -> Account:
    """Make the account of `paper` that trades in `mode`: the same grids, books of its own, no mandate yet.

    Evidence of PAPER and of real money never mix, and nothing of one is booked in the other.

    Raises:
        UnableToArm: `paper` is none, it has such an account, or its name is taken.
    """
    if paper.mode != Mode.PAPER or mode is Mode.PAPER:
        raise UnableToArm(f"{paper.name} is no paper account: its own page prepares what goes beyond PAPER.")
    slug = f"{paper.slug.replace('-', '')[:SLUG_ROOM]}{'test' if mode is Mode.TESTNET else 'live'}"
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=paper.pk)
        if Account.objects.filter(slug=slug).exists():
            raise UnableToArm(f"There is an account {slug} already.")
        made = Account.objects.create(
            slug=slug, name=f"{paper.name} {mode}"[:60], venue=paper.venue, mode=mode, quote=paper.quote,
            proven_by=paper, created_at=at,
        )  # fmt: skip
        Grid.objects.bulk_create(
            Grid(
                account=made, symbol=grid.symbol, style=grid.style, spacing=grid.spacing,
                step_fraction=grid.step_fraction, slots=grid.slots, lot_quote=grid.lot_quote, spec=grid.spec,
            )
            for grid in Grid.objects.filter(account=paper, enabled=True)
        )  # fmt: skip
        Membership.objects.bulk_create(
            Membership(account=made, person=row.person, group=row.group) for row in paper.memberships.all()
        )
        payload = {"mode": mode, "paper": paper.slug}
        audit.record(actor=by, action="account.prepared", subject=f"account:{slug}", payload=payload, at=at)
        transaction.on_commit(partial(live.publish_events, "desk"))
    return made


def arm(*, account: Account, build: str, phase: str, digest: str, by: str, at: datetime) -> Arming:
    """Let orders of `account` leave processes that run exactly `build`; call it inside the transaction of the approval.

    Raises:
        UnableToArm: a paper account, or no build.
    """
    if account.mode == Mode.PAPER:
        raise UnableToArm(f"{account.name} is a paper account: it needs no arming.")
    if not build:
        raise UnableToArm("No build was approved.")
    with transaction.atomic():
        row = Arming.objects.create(
            account=account, is_armed=True, build=build, phase=phase, digest=digest, by=by, at=at
        )  # fmt: skip
        payload = {"build": build, "phase": phase, "digest": digest}
        _record(account, "account.armed", by, payload, at)
    return row


def disarm(*, account: Account, by: str, why: str, at: datetime) -> Arming:
    """Halt `account` and let no further order leave, whoever asks; two people arm it again.

    Raises:
        UnableToArm: it is not armed.
        trading.services.halts.NoDatabase: only the latch file is set; the watchdog cancels.
    """
    halts.halt(scope=account.slug, by=by, reason=f"disarmed: {why}"[:300], flatten=False, at=at)
    with transaction.atomic():
        Account.objects.select_for_update().get(pk=account.pk)
        last = Arming.objects.filter(account=account).first()
        if last is None or not last.is_armed:
            raise UnableToArm(f"{account.name} is not armed; it is halted all the same.")
        row = Arming.objects.create(account=account, is_armed=False, by=by, why=why[:200], at=at)
        _record(account, "account.disarmed", by, {"why": why[:200]}, at)
    return row


def _record(account: Account, action: str, by: str, payload: Mapping[str, object], at: datetime) -> None:
    audit.record(actor=by, action=action, subject=f"account:{account.slug}", payload=payload, at=at)
    transaction.on_commit(partial(live.send_command, {"cmd": "arming", "account": account.slug}))
    transaction.on_commit(partial(live.publish_events, "gate", "desk", "halt"))

"""The latch: durable first, then everything else."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction

from trading import live
from trading.adapters import latch_file
from trading.domain import halting
from trading.domain.limits import TradingState
from trading.domain.orders import OPEN
from trading.models import Account, Halt, Order, Reconciliation
from trading.services import audit

log = logging.getLogger(__name__)


class UnableToHalt(Exception):
    """Nothing was latched: the named account does not exist."""


class NoDatabase(Exception):
    """The latch file is set and the watchdog cancels, but the database does not answer."""


class UnableToRelease(Exception):
    """The halt stays latched; the message says what is missing."""


def halt(*, scope: str | None, by: str, reason: str, flatten: bool, at: datetime) -> list[Halt]:
    """Latch every account (or the one whose slug is `scope`), durably, before anything else happens.

    Idempotent: a latched account keeps its halt; asking for `flatten` later adds it. The latch file is written first,
    so that the watchdog acts even where the database does not answer; one of the two is enough to stop.

    Raises:
        UnableToHalt: `scope` names no account.
        NoDatabase: only the file is latched: the watchdog cancels, and the loops take the latch over later.
    """
    in_file = try_latch_file(scope=scope, by=by, reason=reason, at=at)
    try:
        return _latch_accounts(scope=scope, by=by, reason=reason, flatten=flatten, at=at)
    except UnableToHalt:
        _refresh_latch_file()
        raise
    except DatabaseError as error:
        if not in_file:
            raise
        raise NoDatabase(f"the database does not answer: {error}") from error


def take_over_latch_file(*, at: datetime) -> list[Halt]:
    """Latch in the database what only the file holds: someone halted while the database did not answer."""
    if not read_latch_file():
        return []
    with transaction.atomic():
        accounts = list(Account.objects.select_for_update().order_by("id"))
        held = read_latch_file()  # again: a release rewrites it while it holds the accounts
        wanted = [each for each in accounts if each.slug in held or latch_file.EVERYTHING in held]
        new = [account for account in wanted if in_force(account) is None]
        halts = [latch(each, by="latch file", reason=_reason(held, each.slug), flatten=False, at=at) for each in new]
        if halts:
            transaction.on_commit(partial(live.publish_events, "halt", "alerts"))
    return halts


def _reason(held: Mapping[str, Any], slug: str) -> str:
    facts = held.get(slug) or held.get(latch_file.EVERYTHING)
    return str(facts.get("reason", "")) if isinstance(facts, dict) else "found in the latch file"


def _latch_accounts(*, scope: str | None, by: str, reason: str, flatten: bool, at: datetime) -> list[Halt]:
    with transaction.atomic():
        accounts = Account.objects.select_for_update().order_by("id")
        if scope is not None:
            accounts = accounts.filter(slug=scope)
        halts = [latch(account, by=by, reason=reason, flatten=flatten, at=at) for account in accounts]
        if not halts:
            raise UnableToHalt(f"There is no account {scope!r}; known: {', '.join(_slugs()) or 'none'}.")
        transaction.on_commit(partial(live.send_command, {"cmd": "halt", "account": scope, "flatten": flatten}))
        transaction.on_commit(partial(live.publish_events, "halt", "alerts"))
    return halts


def release(*, account: Account, by: str, note: str, at: datetime) -> Halt:
    """Release the latched halt of `account`; who may ask is decided by governance, not here.

    Raises:
        UnableToRelease: nothing is latched, the halt is not proven clear, or the last reconcile is old or not clean.
    """
    with transaction.atomic():
        account = Account.objects.select_for_update().get(pk=account.pk)
        latched = Halt.objects.select_for_update().filter(account=account, released_at=None).first()
        if latched is None:
            raise UnableToRelease(f"{account.name} is not halted.")
        refusal = _why_not_releasable(latched, at)
        if refusal:
            raise UnableToRelease(refusal)
        latched.released_at, latched.released_by = at, by
        latched.save(update_fields=["released_at", "released_by"])
        account.state = TradingState.ACTIVE
        account.save(update_fields=["state"])
        audit.record(
            actor=by,
            action="halt.released",
            subject=f"account:{account.slug}",
            payload={"halt": latched.pk, "note": note},
            at=at,
        )
        # Under the lock: whoever takes the file over must not find a latch that is released at this moment.
        _refresh_latch_file()
        transaction.on_commit(partial(_after_release, account.slug))
    return latched


def in_force(account: Account) -> Halt | None:
    """Return the halt that holds `account`, if one does."""
    return Halt.objects.filter(account=account, released_at=None).first()


def write_latch_file(*, scope: str | None, by: str, reason: str, at: datetime) -> None:
    """Put the latch where no database is needed; the watchdog cancels at the venue when it sees it."""
    _file().add(scope or latch_file.EVERYTHING, {"by": by, "reason": reason, "at": at.astimezone(UTC).isoformat()})


def read_latch_file() -> dict[str, Any]:
    """Return the latched scopes ("*": everything); a file that cannot be read latches everything."""
    return _file().read()


def _file() -> latch_file.LatchFile:
    return latch_file.LatchFile(Path(settings.HALT_LATCH_FILE))


def try_latch_file(*, scope: str | None, by: str, reason: str, at: datetime) -> bool:
    """Return whether the file is latched; the database may still be."""
    try:
        write_latch_file(scope=scope, by=by, reason=reason, at=at)
    except OSError:
        log.exception("the latch file could not be written; the halt rests on the database")
        return False
    return True


def _why_not_releasable(latched: Halt, at: datetime) -> str:
    last = Reconciliation.objects.filter(account=latched.account).order_by("-id").first()
    return halting.why_not_releasable(
        stage=latched.stage,
        clean=last.is_clean if last else None,
        discrepancies=last.discrepancies if last else (),
        age_s=(at - last.at).total_seconds() if last else 0.0,
    )


def latch(account: Account, *, by: str, reason: str, flatten: bool, at: datetime) -> Halt:
    """Latch one locked account inside the caller's transaction (the journal uses it for rules that fire)."""
    account.state = TradingState.HALTED
    account.save(update_fields=["state"])
    latched = in_force(account)
    action = "halt.repeated" if latched else "halt.latched"
    if latched is None:
        open_orders = Order.objects.filter(account=account, status__in=OPEN).count()
        latched = Halt.objects.create(
            account=account, requested_by=by, reason=reason, flatten=flatten, orders_at_latch=open_orders, latched_at=at
        )
    elif flatten and not latched.flatten:
        latched.flatten = True
        latched.save(update_fields=["flatten"])
    payload = {"halt": latched.pk, "reason": reason, "flatten": flatten, "orders_at_latch": latched.orders_at_latch}
    audit.record(actor=by, action=action, subject=f"account:{account.slug}", payload=payload, at=at)
    return latched


def _after_release(slug: str) -> None:
    live.send_command({"cmd": "resume", "account": slug})
    live.publish_events("halt")


def _refresh_latch_file() -> None:
    latched = Halt.objects.filter(released_at=None).select_related("account")
    _file().write({each.account.slug: {"by": each.requested_by, "reason": each.reason} for each in latched})


def _slugs() -> list[str]:
    return list(Account.objects.values_list("slug", flat=True))

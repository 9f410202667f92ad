"""The latch: durable first, then everything else."""

import json
import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import transaction

from trading import live
from trading.domain import halting
from trading.domain.limits import TradingState
from trading.domain.orders import OPEN
from trading.models import Account, Halt, Order, Reconciliation
from trading.services import audit


class UnableToHalt(Exception):
    """Nothing was latched: the named account does not exist."""


class UnableToRelease(Exception):
    """The halt stays latched; the message says what is missing."""


def halt(*, scope: str | None, by: str, reason: str, flatten: bool, at: datetime) -> list[Halt]:
    """Latch every account (or the one whose slug is `scope`), durably, before anything else happens.

    Idempotent: a latched account keeps its halt; asking for `flatten` later adds it. The latch file is written first,
    so that the watchdog acts even where the database does not answer.

    Raises:
        UnableToHalt: `scope` names no account.
    """
    write_latch_file(scope=scope, by=by, reason=reason, at=at)
    try:
        return _latch_accounts(scope=scope, by=by, reason=reason, flatten=flatten, at=at)
    except UnableToHalt:
        _refresh_latch_file()
        raise


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
        transaction.on_commit(partial(_after_release, account.slug))
    return latched


def in_force(account: Account) -> Halt | None:
    """Return the halt that holds `account`, if one does."""
    return Halt.objects.filter(account=account, released_at=None).first()


def write_latch_file(*, scope: str | None, by: str, reason: str, at: datetime) -> None:
    """Put the latch where no database is needed; the watchdog cancels at the venue when it sees it."""
    path = Path(settings.HALT_LATCH_FILE)
    held = read_latch_file()
    held[scope or "*"] = {"by": by, "reason": reason, "at": at.astimezone(UTC).isoformat()}
    _write(path, held)


def read_latch_file() -> dict[str, object]:
    """Return the latched scopes ("*": everything); a file that cannot be read latches everything."""
    path = Path(settings.HALT_LATCH_FILE)
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    try:
        held = json.loads(text)
    except ValueError:
        return {"*": {"reason": "the latch file is damaged"}}
    return held if isinstance(held, dict) else {"*": {"reason": "the latch file is damaged"}}


def _why_not_releasable(latched: Halt, at: datetime) -> str:
    last = Reconciliation.objects.filter(account=latched.account).order_by("-id").first()
    return halting.why_not_releasable(
        stage=latched.stage,
        clean=last.is_clean if last else None,
        discrepancies=last.discrepancies if last else (),
        age_s=(at - last.at).total_seconds() if last else 0.0,
    )


def _write(path: Path, held: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("w") as file:
        json.dump(held, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


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
    _refresh_latch_file()
    live.send_command({"cmd": "resume", "account": slug})
    live.publish_events("halt")


def _refresh_latch_file() -> None:
    held: dict[str, object] = {}
    for latched in Halt.objects.filter(released_at=None).select_related("account"):
        held[latched.account.slug] = {"by": latched.requested_by, "reason": latched.reason}
    if held:
        _write(Path(settings.HALT_LATCH_FILE), held)
    else:
        Path(settings.HALT_LATCH_FILE).unlink(missing_ok=True)


def _slugs() -> list[str]:
    return list(Account.objects.values_list("slug", flat=True))

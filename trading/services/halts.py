"""The latch: durable first, then everything else."""

import logging
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef, QuerySet

from trading import live
from trading.adapters import latch_file
from trading.domain import halting
from trading.domain.alarms import OVER_WITH_THE_HALT
from trading.domain.limits import TradingState
from trading.domain.orders import OPEN
from trading.domain.scopes import Scope
from trading.live.installation import modes_here
from trading.models import Account, Grid, Halt, Order, Reconciliation, with_something_to_stop
from trading.services import alerts, audit

log = logging.getLogger(__name__)


class UnableToHalt(Exception):
    """Nothing was latched: there is nothing that the named scope would stop."""


class NoDatabase(Exception):
    """The latch file is set and the watchdog cancels, but the database does not answer."""


class UnableToRelease(Exception):
    """The halt stays latched; the message says what is missing."""


def halt(*, scope: str | None, by: str, reason: str, flatten: bool, at: datetime) -> list[Halt]:
    """Latch everything, or what `scope` names, durably, before anything else happens.

    Idempotent: what is latched keeps its halt; asking for `flatten` later adds it. The latch file is written first,
    so that the watchdog acts even where the database does not answer; one of the two is enough to stop.

    Raises:
        UnableToHalt: `scope` is no scope, or there is no such account, or no grid of it on that symbol.
        NoDatabase: only the file is latched: the watchdog cancels, and the loops take the latch over later.
    """
    try:
        stopped = Scope.parse(scope or "")
    except ValueError as error:
        raise UnableToHalt(str(error)) from error
    in_file = try_latch_file(stopped, by=by, reason=reason, at=at)
    try:
        return _latch_accounts(stopped, by=by, reason=reason, flatten=flatten, at=at)
    except UnableToHalt:
        _refresh_latch_file()
        raise
    except DatabaseError as error:
        if not in_file:
            raise
        raise NoDatabase(f"the database does not answer: {error}") from error


def take_over_latch_file(*, at: datetime) -> list[Halt]:
    """Latch in the database what only the file holds, in the name of whom it names.

    Someone halted while the database did not answer, or is about to be answered by it: a loop may look in between.
    """
    if not _only_in_file():
        return []
    with transaction.atomic():
        lock_every_account()
        new = [
            latch(account, by=by, reason=reason, flatten=False, at=at, symbol=symbol, from_file=True)
            for account, symbol, by, reason in _only_in_file()  # again: a release rewrites it under the same locks
        ]
        if new:
            transaction.on_commit(partial(live.publish_events, "halt", "alerts"))
    return new


def _only_in_file() -> list[tuple[Account, str, str, str]]:
    """Return account, symbol, who and why of every latch of the file that no row holds."""
    found: dict[tuple[int, str], tuple[Account, str, str, str]] = {}
    for text, facts in read_latch_file().items():
        scope, said = Scope.of_latch(text), facts if isinstance(facts, dict) else {"reason": "found in the latch file"}
        by, reason = str(said.get("by") or "latch file"), str(said.get("reason", ""))
        for account in _concerned(scope):
            if in_force(account, scope.symbol) is None:
                found.setdefault((account.pk, scope.symbol), (account, scope.symbol, by, reason))
    return list(found.values())


def lock_every_account() -> None:
    """Lock every account, in the order of their ids; call it before anything else of the transaction is locked."""
    list(Account.objects.select_for_update().order_by("id"))


def _latch_accounts(scope: Scope, *, by: str, reason: str, flatten: bool, at: datetime) -> list[Halt]:
    with transaction.atomic():
        halts = [
            latch(account, by=by, reason=reason, flatten=flatten, at=at, symbol=scope.symbol)
            for account in _concerned(scope, Account.objects.select_for_update())
        ]
        if not halts:
            raise UnableToHalt(_why_nothing_stops(scope))
        if str(scope) not in read_latch_file():  # a release that was under way has rewritten it
            try_latch_file(scope, by=by, reason=reason, at=at)
        transaction.on_commit(partial(live.send_command, {"cmd": "halt", "account": scope.account or None}))
        transaction.on_commit(partial(live.publish_events, "halt", "alerts"))
    return halts


def _concerned(scope: Scope, accounts: QuerySet[Account] | None = None) -> list[Account]:
    """Return those of `accounts` (all) of which something stops; of one symbol only those that have traded it."""
    accounts = (Account.objects.all() if accounts is None else accounts).order_by("id")
    # What was never armed, or does not trade here, has nothing to stop and nobody who could prove it.
    named, every = accounts.filter(slug=scope.account), with_something_to_stop(accounts, modes_here())
    accounts = named if scope.account else every
    if scope.symbol:
        accounts = accounts.filter(Exists(Grid.objects.filter(account=OuterRef("pk"), symbol=scope.symbol)))
    return list(accounts)


def _why_nothing_stops(scope: Scope) -> str:
    slugs = list(Account.objects.values_list("slug", flat=True))
    if scope.account and scope.account not in slugs:
        return f"There is no account {scope.account!r}; known: {', '.join(slugs) or 'none'}."
    if not scope.symbol:
        return "There is no account yet."
    grids = Grid.objects.filter(account__slug=scope.account) if scope.account else Grid.objects.all()
    known = ", ".join(sorted(set(grids.values_list("symbol", flat=True)))) or "none"
    return f"There is no grid on {scope.symbol!r}; known: {known}."


def release(*, account: Account, by: str, note: str, at: datetime, symbol: str = "") -> Halt:
    """Release the latched halt of `account`, or of one symbol of it; who may ask is decided by governance, not here.

    Raises:
        UnableToRelease: nothing is latched, the halt is not proven clear, or the last reconcile is old or not clean.
    """
    with transaction.atomic():
        lock_every_account()  # two who release two accounts at once must not each write the other's latch back
        account = Account.objects.get(pk=account.pk)
        latched = Halt.objects.select_for_update().filter(account=account, symbol=symbol, released_at=None).first()
        if latched is None:
            raise UnableToRelease(f"{Halt(account=account, symbol=symbol).where} is not halted.")
        refusal = _why_not_releasable(latched, at)
        if refusal:
            raise UnableToRelease(refusal)
        latched.released_at, latched.released_by = at, by
        latched.save(update_fields=["released_at", "released_by"])
        if not symbol:
            account.state = TradingState.ACTIVE
            account.save(update_fields=["state"])
        alerts.clear_alerts(codes=OVER_WITH_THE_HALT, account=account, symbol=symbol, at=at)
        audit.record(
            actor=by,
            action="halt.released",
            subject=f"account:{account.slug}",
            payload={"halt": latched.pk, "note": note} | _only(symbol),
            at=at,
        )
        # Under the lock: whoever takes the file over must not find a latch that is released at this moment.
        _refresh_latch_file()
        transaction.on_commit(partial(_after_release, account.slug))
    return latched


def in_force(account: Account, symbol: str = "") -> Halt | None:
    """Return the halt that holds `account` as a whole, or this one symbol of it, if one does."""
    return Halt.objects.filter(account=account, symbol=symbol, released_at=None).first()


def write_latch_file(scope: Scope, *, by: str, reason: str, at: datetime) -> None:
    """Put the latch where no database is needed; the watchdog cancels at the venue when it sees it."""
    _file().add(str(scope), {"by": by, "reason": reason, "at": at.astimezone(UTC).isoformat()})


def read_latch_file() -> dict[str, Any]:
    """Return the latched scopes as text; a file that cannot be read latches everything."""
    return _file().read()


def _file() -> latch_file.LatchFile:
    return latch_file.LatchFile(Path(settings.HALT_LATCH_FILE))


def try_latch_file(scope: Scope, *, by: str, reason: str, at: datetime) -> bool:
    """Return whether the file is latched; the database may still be."""
    try:
        write_latch_file(scope, by=by, reason=reason, at=at)
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


def latch(
    account: Account, *, by: str, reason: str, flatten: bool, at: datetime, symbol: str = "", from_file: bool = False
) -> Halt:
    """Latch one locked account, or one symbol of it, inside the caller's transaction (the journal: rules that fire)."""
    if not symbol:
        account.state = TradingState.HALTED
        account.save(update_fields=["state"])
    latched = in_force(account, symbol)
    action = "halt.repeated" if latched else "halt.latched"
    if latched is None:
        open_orders = Order.objects.filter(account=account, status__in=OPEN, **_only(symbol)).count()
        latched = Halt.objects.create(
            account=account,
            symbol=symbol,
            requested_by=by,
            reason=reason,
            flatten=flatten,
            orders_at_latch=open_orders,
            latched_at=at,
        )
    elif flatten and not latched.flatten:
        latched.flatten = True
        latched.save(update_fields=["flatten"])
    payload = {"halt": latched.pk, "reason": reason, "flatten": flatten, "orders_at_latch": latched.orders_at_latch}
    if from_file:  # nobody signed in for it: the name is what the file says
        payload["taken_over_from"] = "latch file"
    subject = f"account:{account.slug}"
    audit.record(actor=by, action=action, subject=subject, payload=payload | _only(symbol), at=at)
    return latched


def _only(symbol: str) -> dict[str, str]:
    return {"symbol": symbol} if symbol else {}


def _after_release(slug: str) -> None:
    live.send_command({"cmd": "resume", "account": slug})
    live.publish_events("halt")


def _refresh_latch_file() -> None:
    latched = Halt.objects.filter(released_at=None).select_related("account")
    _file().write({str(each.scope): {"by": each.requested_by, "reason": each.reason} for each in latched})

"""Slow whoever guesses; see `riskops.domain.slowness`. The count is kept in the database, one for all processes."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest

from riskops.domain import slowness
from riskops.domain.slowness import Door
from riskops.models import FailedSignIns, Tries
from trading.domain.events import Severity
from trading.services import alerts, audit

NAMED: Final = 5  # accounts and addresses that one row of the trail names
KEPT: Final = timedelta(days=1)

Keys = Mapping[Door, str]  # what makes each door one: an account, an address ...


class TooSoon(Exception):
    """The last tries failed and the wait is not over; nothing was looked at. The message is fit for anybody."""

    def __init__(self, wait: timedelta) -> None:
        self.seconds = -(-wait // timedelta(seconds=1))
        super().__init__(f"Too many tries failed. Wait {self.seconds} s, then try again.")


def take(keys: Keys, at: datetime) -> None:
    """Count one try at each of the doors as failed, before it is looked at: two at once cannot share one wait.

    Raises:
        TooSoon: the wait at one of them is not over; nothing is counted.
    """
    with transaction.atomic():
        rows = _locked(keys, at)
        longest = max(slowness.wait(door, _tries(row), at) for door, row in rows.items())
        if longest:
            raise TooSoon(longest)
        for row in rows.values():
            row.failures, row.last_at = _tries(row).at(at).failures + 1, at
            row.save(update_fields=["failures", "last_at"])


def succeeded(keys: Keys) -> None:
    """Forget the failures at these doors; of an address only the try that succeeded: others may guess from there."""
    own = {door: key for door, key in keys.items() if door is not Door.ADDRESS}
    Tries.objects.filter(door__in=[_name(door, key) for door, key in own.items()]).delete()
    if Door.ADDRESS in keys:
        shared = Tries.objects.filter(door=_name(Door.ADDRESS, keys[Door.ADDRESS]))
        shared.update(failures=Greatest(F("failures") - 1, 0))


def hashed(name: str) -> str:
    """Return what a browser keeps of the name of an account that signed in with it."""
    return hashlib.sha256(name.casefold().encode()).hexdigest()[:16]


def failed(keys: Keys, *, account: str | None, address: str, at: datetime) -> None:
    """Remember a failure for the audit trail, and tell people when it was one of many.

    `account` is the name of an account that exists, None for any other: what was typed may be a password.
    """
    minute = at.replace(second=0, microsecond=0)
    with transaction.atomic():
        FailedSignIns.objects.get_or_create(minute=minute)
        tally = FailedSignIns.objects.select_for_update().get(minute=minute)
        tally.times += 1
        tally.unknown += account is None
        tally.accounts = _with(tally.accounts, account)
        tally.addresses = _with(tally.addresses, address)
        tally.save()
    _tell(keys, account or "an unknown account", address, at)


def tell_the_trail(at: datetime) -> None:
    """Record every minute that is over as one audit row, however many failures it held; forget old doors."""
    closed = at.replace(second=0, microsecond=0)
    with transaction.atomic():
        for tally in FailedSignIns.objects.select_for_update().filter(minute__lt=closed).order_by("minute"):
            payload = {
                "times": tally.times,
                "accounts": tally.accounts,
                "unknown_accounts": tally.unknown,
                "addresses": tally.addresses,
                "minute": tally.minute.isoformat(),
            }
            audit.record(actor="sign-in", action="sign_in.failed", subject="sign-in", payload=payload, at=at)
            tally.delete()
    Tries.objects.filter(last_at__lt=at - KEPT).delete()


def _tell(keys: Keys, account: str, address: str, at: datetime) -> None:
    names = [_name(door, key) for door, key in keys.items()]
    failures = max(Tries.objects.filter(door__in=names).values_list("failures", flat=True), default=0)
    where = address or "an unknown address"
    text = f"{failures} sign-ins in a row failed for {account}, the last from {where}. Nobody is locked out."
    if slowness.is_worth_a_warning(failures):
        severity = Severity.WARN
    elif slowness.is_worth_an_event(failures):
        severity = Severity.INFO
    else:
        return
    alerts.raise_alert(account=None, severity=severity, code="SIGN_INS_FAILED", message=text, at=at)


def _locked(keys: Keys, at: datetime) -> dict[Door, Tries]:
    names = {_name(door, key): door for door, key in keys.items()}
    # Made or locked by one statement: between two of them, somebody who got in could delete the row.
    wanted = [Tries(door=name, last_at=at) for name in sorted(names)]
    Tries.objects.bulk_create(wanted, update_conflicts=True, unique_fields=["door"], update_fields=["door"])
    return {names[row.door]: row for row in Tries.objects.filter(door__in=names)}


def _tries(row: Tries) -> slowness.Tries:
    return slowness.Tries(row.failures, row.last_at)


def _with(known: Sequence[str], name: str | None) -> list[str]:
    return [*known, name] if name and name not in known and len(known) < NAMED else list(known)


def _name(door: Door, key: str) -> str:
    return hashlib.sha256(f"{door.name}\n{key}".encode()).hexdigest()

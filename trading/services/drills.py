"""Drills: on paper, a person has the kill switch fired for real and sees whether it held."""

from datetime import datetime
from functools import partial

from django.db import transaction

from trading import live
from trading.domain.drills import PREFIX, WAITS_FOR, Drill
from trading.models import Account, Halt, HaltDrill
from trading.services import audit, halts


class UnableToDrill(Exception):
    """Nothing was fired; the message is fit for the operator."""


def run(*, account: Account, drill: Drill, by: str, at: datetime) -> HaltDrill:
    """Fire the kill switch of a paper account, by hand or through one of its rules; two people resume it as ever.

    A rule is fired by the execution loop within a second: what it watches is taken for beyond its limit, everything
    after that is real.

    Raises:
        UnableToDrill: no paper account, something of it is halted already, or another drill has just been asked for.
    """
    with transaction.atomic():
        account = Account.objects.select_for_update().get(pk=account.pk)
        refusal = _why_not(account, at)
        if refusal:
            raise UnableToDrill(refusal)
        row = HaltDrill.objects.create(account=account, drill=drill, asked_by=by, asked_at=at)
        audit.record(
            actor=by,
            action="drill.asked",
            subject=f"account:{account.slug}",
            payload={"drill": row.pk, "fires": drill},
            at=at,
        )
        transaction.on_commit(partial(live.send_command, {"cmd": "drill", "account": account.slug}))
        transaction.on_commit(partial(live.publish_events, "halt"))
    if drill is Drill.MANUAL:
        (row.halt,) = halts.halt(scope=account.slug, by=by, reason=f"{PREFIX}by hand", flatten=False, at=at)
        row.save(update_fields=["halt"])
    return row


def fired(halt: Halt, at: datetime) -> None:
    """Join the halt that a drill's rule has latched to the drill, inside the caller's transaction."""
    asked = HaltDrill.objects.filter(account=halt.account, halt=None, asked_at__gte=at - WAITS_FOR).first()
    if asked is not None:
        asked.halt = halt
        asked.save(update_fields=["halt"])


def _why_not(account: Account, at: datetime) -> str:
    if account.mode != Account.Mode.PAPER:
        return f"{account.name} is no paper account: a drill there would cancel real orders."
    if Halt.objects.filter(account=account, released_at=None).exists():
        return f"{account.name} is halted already: resume it first."
    if HaltDrill.objects.filter(account=account, halt=None, asked_at__gt=at - WAITS_FOR).exists():
        return "A drill was asked for a moment ago: wait for what comes of it."
    return ""

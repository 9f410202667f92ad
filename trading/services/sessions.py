"""End sessions, and tell every web process at once: their open sockets close."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction

from trading import live
from trading.models import Session
from trading.models.sessions import PLACE
from trading.services import audit

SEEN_EVERY: Final = timedelta(minutes=1)  # how exactly we know when somebody last did something


def place(session: SessionBase, *, address: str, browser: str, at: datetime) -> None:
    """Write into a session that just began where it is; it ends after `SESSION_COOKIE_AGE`, whatever happens in it."""
    session[PLACE] = {"since": at.isoformat(), "label": str(uuid4()), "address": address, "browser": browser[:200]}
    session.set_expiry(at + timedelta(seconds=settings.SESSION_COOKIE_AGE))


def end(*, person: User, by: str, why: str, at: datetime, keep: str | None = None, label: str | None = None) -> int:
    """End the sessions of `person`, or the one with this label, but never the one with the key `keep`.

    Returns how many ended; one audit row says so. Call it inside the transaction of what makes them end, if anything.
    """
    with transaction.atomic():
        rows = Session.objects.filter(person=person).exclude(session_key=keep)
        if label is not None:
            rows = rows.filter(label=label)
        ended, _ = rows.delete()
        if ended:
            payload = {"ended": ended, "why": why}
            audit.record(
                actor=by, action="session.ended", subject=f"user:{person.username}"[:80], payload=payload, at=at
            )
        tell()
    return ended


def tell() -> None:
    """Have every web process look at its sockets, once this transaction is committed."""
    transaction.on_commit(partial(live.publish_sessions))


def seen(row: Session, at: datetime) -> None:
    """Note that a person did something in this session."""
    if at - row.seen_at > SEEN_EVERY:
        Session.objects.filter(pk=row.pk).update(seen_at=at)


def forget(at: datetime) -> None:
    """Delete the sessions that have expired."""
    Session.objects.filter(expire_date__lt=at).delete()

"""Who is signed in where: Django's session row, with the person, the place and the time beside its data."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils.dateparse import parse_datetime
from django.utils.timezone import now

PLACE: Final = "place"  # where in the data stand label, since, address and browser


class Session(AbstractBaseSession):
    """One browser. It ends at `expire_date` whatever happens, and earlier when nobody did anything in it for long."""

    person = models.ForeignKey(  # null: not signed in
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="sessions", db_constraint=False
    )
    auth_hash = models.CharField(max_length=128, blank=True)  # changes with the person's password
    # Names the session on pages and to sockets: the key is a secret, and another one after each proof of identity.
    label = models.UUIDField(default=uuid.uuid4, db_index=True)
    began_at = models.DateTimeField()  # sign-in
    seen_at = models.DateTimeField()  # the last thing a person did; refreshes of a page do not count
    address = models.CharField(max_length=45, blank=True)
    browser = models.CharField(max_length=200, blank=True)

    @classmethod
    def get_session_store_class(cls) -> type["SessionStore"]:
        """Return the engine that fills these rows."""
        return SessionStore


class SessionStore(db.SessionStore):
    """Django's sessions in the database, which are also gone when nobody did anything for `SESSION_IDLE_AGE`."""

    row: Session | None = None  # as it was loaded

    @classmethod
    def get_model_class(cls) -> type[Session]:
        """Return the table."""
        return Session

    def load(self) -> dict[str, Any]:
        """Return the data of a session that is alive."""
        self.row = self._alive().first()
        return self._loaded()

    async def aload(self) -> dict[str, Any]:
        """Return the data of a session that is alive."""
        self.row = await self._alive().afirst()
        return self._loaded()

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        """Return the row of `data`; whoever saves a session did something in it."""
        return _filled(super().create_model_instance(data), data)

    async def acreate_model_instance(self, data: dict[str, Any]) -> Session:
        """Return the row of `data`."""
        return _filled(await super().acreate_model_instance(data), data)

    def _alive(self) -> models.QuerySet[Session]:
        at = now()
        since = at - timedelta(seconds=settings.SESSION_IDLE_AGE)
        return Session.objects.filter(session_key=self.session_key, expire_date__gt=at, seen_at__gt=since)

    def _loaded(self) -> dict[str, Any]:
        if self.row is None:
            self._session_key = None
            return {}
        return dict(self.decode(self.row.session_data))


def _filled(row: AbstractBaseSession, data: Mapping[str, Any]) -> Session:
    assert isinstance(row, Session)  # of `get_model_class`
    place: Mapping[str, str] = data.get(PLACE, {})
    row.person_id = data.get(SESSION_KEY)
    row.auth_hash = data.get(HASH_SESSION_KEY, "")
    row.began_at, row.seen_at = _moment(place.get("since", "")) or now(), now()
    row.address, row.browser = place.get("address", ""), place.get("browser", "")
    if "label" in place:
        row.label = uuid.UUID(place["label"])
    return row


def _moment(text: str) -> datetime | None:
    return parse_datetime(text) if text else None

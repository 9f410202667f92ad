"""Who is signed in, where, and in which roles."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.utils.crypto import constant_time_compare

from trading.models import Session
from trading.selectors import desks


@dataclass(frozen=True, slots=True)
class Standing:
    """Who a session belongs to; whatever of it changes ends what was begun under it."""

    person_id: int
    roles: frozenset[str]
    desks: frozenset[str]  # that this person sees


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One session as its owner sees it."""

    label: str
    began_at: datetime
    seen_at: datetime
    ends_at: datetime
    address: str
    browser: str
    is_this: bool


def standing(labels: Collection[str], at: datetime) -> dict[str, Standing]:
    """Return who is signed in by each of these sessions, in four queries; what has ended is missing.

    Ended is what was signed out, has expired or lay idle, and what belongs to a person who was deactivated or whose
    password is another one now.
    """
    rows = Session.objects.filter(
        label__in=labels, expire_date__gt=at, seen_at__gt=_idle_since(at), person__is_active=True
    )
    hashes: dict[int, tuple[str, ...]] = {}
    found: dict[str, Standing] = {}
    everything = desks.with_members()
    for row in rows.select_related("person").prefetch_related("person__groups"):
        if (person := row.person) is None:
            continue
        if person.pk not in hashes:
            hashes[person.pk] = tuple(_hashes(person))
        if any(constant_time_compare(row.auth_hash, known) for known in hashes[person.pk]):
            roles = frozenset(group.name for group in person.groups.all())
            seen = frozenset(desk.slug for desk in everything if desks.sees(person, desk))
            found[str(row.label)] = Standing(person.pk, roles, seen)
    return found


def of_person(person: User, this_key: str | None, at: datetime) -> list[SessionLine]:
    """Return the sessions of `person`, the one with `this_key` first, then the newest."""
    rows = Session.objects.filter(person=person, expire_date__gt=at, seen_at__gt=_idle_since(at)).order_by("-began_at")
    lines = [
        SessionLine(
            str(row.label), row.began_at, row.seen_at, row.expire_date, row.address, browser_in_words(row.browser),
            row.session_key == this_key,
        )
        for row in rows
    ]  # fmt: skip
    return sorted(lines, key=lambda line: not line.is_this)


def browser_in_words(agent: str) -> str:
    """Return "Firefox on Linux" of what a browser says of itself; unknown stays as it was said, shortened."""
    browsers = {"Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
    systems = {"Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows", "Mac OS": "macOS",
               "Linux": "Linux"}  # fmt: skip
    browser = next((name for mark, name in browsers.items() if mark in agent), "")
    system = next((name for mark, name in systems.items() if mark in agent), "")
    return " on ".join(filter(None, (browser, system))) or agent[:60] or "unknown browser"


def _hashes(person: User) -> Iterable[str]:
    yield person.get_session_auth_hash()
    yield from person.get_session_auth_fallback_hash()


def _idle_since(at: datetime) -> datetime:
    return at - timedelta(seconds=settings.SESSION_IDLE_AGE)

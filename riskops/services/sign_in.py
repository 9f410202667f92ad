"""Who signs in, with what, from where; guessing is slowed and told, nobody is locked out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core import signing
from django.db import transaction

from riskops.domain import slowness
from riskops.domain.slowness import Door
from riskops.models import KnownAddress, Notice
from riskops.services import slowing, step_up
from trading.services import audit

HALF_WAY: Final = timedelta(minutes=5)  # between password and code
REMEMBERED: Final = timedelta(days=90)  # an address without a sign-in
SALT: Final = "riskops.sign-in.half-way"
WRONG: Final = "Name and password do not fit together. Both mind capitals."
WRONG_CODE: Final = "The one-time code is wrong, or it was used before. Wait for the next one."


class UnableToSignIn(Exception):
    """Nobody is signed in; the message is fit for anybody and tells nothing of who exists."""


@dataclass(frozen=True, slots=True)
class Place:
    """From where somebody tries."""

    address: str
    browser: str
    device: str = ""  # the secret of a browser in which somebody signed in before
    signed_in_here: frozenset[str] = frozenset()  # whose names it remembers, hashed


def prove_password(*, name: str, password: str, place: Place, at: datetime) -> User:
    """Return the person with this name and password.

    A name that nobody has, a person who was deactivated and a wrong password take the same time and the same words.

    Raises:
        UnableToSignIn: they do not fit.
        TooSoon: too many tries failed; this one was not looked at.
    """
    keys = _doors(name, place, at)
    slowing.take(keys, at)
    person = authenticate(username=name, password=password)
    if not isinstance(person, User):
        known = User.objects.filter(username=name).exists()
        slowing.failed(keys, account=name if known else None, address=place.address, at=at)
        raise UnableToSignIn(WRONG)
    slowing.succeeded(keys)
    return person


def half_way(person: User) -> str:
    """Return what stands for a proven password until the code is there; it holds for five minutes."""
    return signing.dumps([person.pk, person.get_session_auth_hash()], salt=SALT)


def prove_code(*, token: str, code: str, place: Place, at: datetime) -> User:
    """Return the person whose password was proven before, once their one-time code is right too.

    Raises:
        UnableToSignIn: the code is wrong or was used, or the password was proven too long ago.
        TooSoon: too many codes were wrong; this one was not looked at.
    """
    person = _who_is_half_way(token)
    is_known = Door.ACCOUNT not in _doors(person.username, place, at)
    keys = {Door.CODE if is_known else Door.STRANGE_CODE: str(person.pk)}
    slowing.take(keys, at)
    if not step_up.is_code(person, code):
        slowing.failed(keys, account=person.username, address=place.address, at=at)
        raise UnableToSignIn(WRONG_CODE)
    slowing.succeeded(keys)
    return person


def began(*, person: User, place: Place, at: datetime) -> list[str]:
    """Record the sign-in and remember its address; return what the person must be told."""
    with transaction.atomic():
        KnownAddress.objects.update_or_create(person=person, address=place.address, defaults={"last_at": at})
        payload = {"browser": place.browser[:80], "code": step_up.is_set_up(person)}
        audit.record(
            actor=person.username,
            action="session.began",
            subject=f"user:{person.username}"[:80],
            payload=payload,
            at=at,
        )
        notices = list(Notice.objects.select_for_update().filter(person=person, told_at=None).order_by("id"))
        Notice.objects.filter(pk__in=[notice.pk for notice in notices]).update(told_at=at)
    return [notice.text for notice in notices]


def _who_is_half_way(token: str) -> User:
    late = "Too much time has passed since your password. Sign in again."
    try:
        key, proven = signing.loads(token, salt=SALT, max_age=HALF_WAY)
    except signing.BadSignature:
        raise UnableToSignIn(late) from None
    person = User.objects.filter(pk=key, is_active=True).first()
    if person is None or person.get_session_auth_hash() != proven:
        raise UnableToSignIn(late)
    return person


def _doors(name: str, place: Place, at: datetime) -> slowing.Keys:
    name = name.casefold()
    here = KnownAddress.objects.filter(
        person__username__iexact=name, address=place.address, last_at__gt=at - REMEMBERED
    ).exists()
    device = slowing.hashed(name) in place.signed_in_here
    keys = {
        Door.DEVICE: f"{place.device}\n{name}",
        Door.PLACE: f"{place.address}\n{name}",
        Door.ACCOUNT: name,
        Door.ADDRESS: place.address,
    }
    return {door: keys[door] for door in slowness.doors(known_device=device, known_place=here)}

"""Who may sign in, in which roles: added, changed and deactivated by an administrator, each with before and after."""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django_otp.plugins.otp_totp.models import TOTPDevice

from riskops.models import Invitation, Notice
from trading.domain.people import NEEDED, Role
from trading.services import audit, sessions

INVITED_FOR: Final = timedelta(hours=72)


class UnableToChange(Exception):
    """Nothing was changed; the message is fit for the person who asked."""


def add(*, name: str, full_name: str, roles: Iterable[str], by: User, at: datetime) -> tuple[User, str]:
    """Add a person in these roles; return them and the secret of an invitation, which is shown once.

    Raises:
        UnableToChange: `by` is no administrator, a role is none, or the name is taken or no name.
    """
    _check_administrator(by)
    try:
        UnicodeUsernameValidator()(name)
        with transaction.atomic():
            person = User(username=name, first_name=full_name)
            person.set_unusable_password()
            person.save()
            person.groups.set(_groups(roles))
            _record(by, "user.added", person, {"before": None, "after": _facts(person)}, at)
            return person, _invited(person, by, at)
    except ValidationError as error:
        raise UnableToChange(" ".join(error.messages)) from error
    except IntegrityError:
        raise UnableToChange(f"There is somebody named {name} already.") from None


def invite(*, person_id: int, by: User, at: datetime) -> tuple[User, str]:
    """Make a new invitation, as for a person who lost the password; older ones end. Returns person and secret.

    Raises:
        UnableToChange: `by` is no administrator or means themselves.
    """
    with transaction.atomic():
        person = _other(person_id, by)
        secret = _invited(person, by, at)
        _record(by, "user.invited", person, {"expires_at": (at + INVITED_FOR).isoformat()}, at)
    return person, secret


def invited(secret: str, at: datetime) -> User | None:
    """Return who may set a password with this invitation; None: it was used, has expired or never was."""
    found = Invitation.objects.filter(digest=_digest(secret), used_at=None, expires_at__gt=at, person__is_active=True)
    invitation = found.select_related("person").first()
    return invitation.person if invitation is not None else None


def accept(*, secret: str, password: str, at: datetime) -> User:
    """Set the password of whoever was invited; the invitation is used up, and so is every session of before.

    Raises:
        UnableToChange: the invitation is none any more, or the password is too weak.
    """
    with transaction.atomic():
        found = Invitation.objects.select_for_update().filter(digest=_digest(secret), used_at=None, expires_at__gt=at)
        invitation = found.first()
        if invitation is None or not invitation.person.is_active:
            raise UnableToChange("This invitation was used or has expired. Ask an administrator for a new one.")
        person = invitation.person
        _set_password(person, password)
        invitation.used_at = at
        invitation.save(update_fields=["used_at"])
        _record(person, "user.changed", person, {"what": "password", "by_invitation_of": str(invitation.made_by)}, at)
        sessions.end(person=person, by=person.username, why="another password", at=at)
    return person


def change_password(*, person: User, old: str, new: str, keep: str | None, at: datetime) -> None:
    """Give `person` another password; every other session of theirs ends, the one with the key `keep` goes on.

    Raises:
        UnableToChange: the old one is wrong, or the new one too weak.
    """
    if not person.check_password(old):
        raise UnableToChange("Your present password is wrong.")
    with transaction.atomic():
        _set_password(person, new)
        _record(person, "user.changed", person, {"what": "password"}, at)
        sessions.end(person=person, by=person.username, why="another password", at=at, keep=keep)


def set_roles(*, person_id: int, roles: Iterable[str], anyway: bool, by: User, at: datetime) -> User:
    """Put `person` into exactly these roles; their sessions end, so that nothing goes on under the old ones.

    Raises:
        UnableToChange: `by` is no administrator or means themselves, a role is none, or a role that the desk needs
            would be held by nobody and `anyway` was not said.
    """
    with transaction.atomic():
        person = _other(person_id, by)
        before, left = _facts(person), set(_roles(person)) - set(roles)
        _check_not_last(person, left, anyway)
        person.groups.set(_groups(roles))
        _changed(person, before, "other roles", by, at)
    return person


def set_active(*, person_id: int, active: bool, anyway: bool, by: User, at: datetime) -> User:
    """Let a person sign in again, or no longer: then every session of theirs ends. Nobody is ever deleted.

    Raises:
        UnableToChange: as `set_roles`.
    """
    with transaction.atomic():
        person = _other(person_id, by)
        before = _facts(person)
        if not active:
            _check_not_last(person, set(_roles(person)), anyway)
        person.is_active = active
        person.save(update_fields=["is_active"])
        _changed(person, before, "deactivated" if not active else "activated", by, at)
    return person


def remove_authenticator(*, person_id: int, by: User, at: datetime) -> User:
    """Remove a lost authenticator; whoever calls has proven who they are. The person is told on the next page.

    Raises:
        UnableToChange: `by` is no administrator or means themselves, or there is none.
    """
    with transaction.atomic():
        person = _other(person_id, by)
        removed, _ = TOTPDevice.objects.filter(user=person).delete()
        if not removed:
            raise UnableToChange(f"{person.username} has no authenticator.")
        _record(by, "otp.removed", person, {"before": {"authenticator": True}, "after": {"authenticator": False}}, at)
        text = f"{by.username} removed your authenticator at {at:%Y-%m-%d %H:%M} UTC. Set up a new one before you sign."
        Notice.objects.create(person=person, text=f"{text} If you did not ask for this, tell the CTO.", at=at)
        sessions.end(person=person, by=by.username, why="authenticator removed", at=at)
    return person


def _check_administrator(by: User) -> None:
    if not (by.is_active and by.is_superuser):
        raise UnableToChange("Only an administrator may change people.")


def _other(person_id: int, by: User) -> User:
    _check_administrator(by)
    person = User.objects.select_for_update().filter(pk=person_id).first()
    if person is None:
        raise UnableToChange("There is no such person; reload the page.")
    if person.pk == by.pk:
        raise UnableToChange("Nobody changes themselves. Another administrator can.")
    return person


def _check_not_last(person: User, left: Iterable[str], anyway: bool) -> None:
    # Locked, so that two administrators do not take the last two away at once.
    list(User.objects.select_for_update().filter(groups__name__in=NEEDED, is_active=True).order_by("pk"))
    last = [role for role in left if role in NEEDED and person.is_active and _is_last(person, role)]
    if last and not anyway:
        names = " and ".join(sorted(last))
        raise UnableToChange(f"{person.username} is the last active {names}. Say that you mean it: tick “anyway”.")


def _is_last(person: User, role: str) -> bool:
    return not User.objects.filter(groups__name=role, is_active=True).exclude(pk=person.pk).exists()


def _groups(roles: Iterable[str]) -> list[Group]:
    unknown = sorted(set(roles) - set(Role))
    if unknown:
        raise UnableToChange(f"There is no role {unknown[0]!r}.")
    return [Group.objects.get_or_create(name=role)[0] for role in roles]


def _set_password(person: User, password: str) -> None:
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise UnableToChange(" ".join(error.messages)) from error
    person.set_password(password)
    person.save(update_fields=["password"])


def _invited(person: User, by: User, at: datetime) -> str:
    secret = secrets.token_urlsafe(24)
    Invitation.objects.filter(person=person, used_at=None).update(expires_at=at)
    Invitation.objects.create(
        person=person, digest=_digest(secret), made_by=by, made_at=at, expires_at=at + INVITED_FOR
    )
    return secret


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _roles(person: User) -> list[str]:
    return sorted(person.groups.values_list("name", flat=True))


def _facts(person: User) -> dict[str, object]:
    return {"roles": _roles(person), "active": person.is_active}


def _changed(person: User, before: Mapping[str, object], why: str, by: User, at: datetime) -> None:
    after = _facts(person)
    if after == before:
        return
    _record(by, "user.changed", person, {"before": before, "after": after}, at)
    sessions.end(person=person, by=by.username, why=why, at=at)


def _record(by: User, action: str, person: User, payload: Mapping[str, object], at: datetime) -> None:
    audit.record(actor=by.username, action=action, subject=f"user:{person.username}"[:80], payload=payload, at=at)

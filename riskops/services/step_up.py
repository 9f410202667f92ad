"""Step-up: whoever signs proves once more who they are, with password and a one-time code."""

from base64 import b32encode
from datetime import datetime
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.timezone import now
from django_otp.plugins.otp_totp.models import TOTPDevice

from riskops.domain.slowness import Door
from riskops.services import slowing
from trading.services import audit

NAME: Final = "authenticator"


class UnableToStepUp(Exception):
    """The person is not proven; the message is fit for the operator."""


def prove(*, person: User, password: str, code: str) -> None:
    """Check password and one-time code; a code counts once, in whichever process it comes first.

    Its own transaction: a failure must be remembered (the next attempt waits longer), whatever becomes of the caller's.

    Raises:
        UnableToStepUp: no authenticator is set up, or one of both is wrong, which nothing tells apart; or too many
            tries failed, and this one was not looked at.
    """
    doors = {Door.STEP_UP: str(person.pk)}
    try:
        slowing.take(doors, now())
    except slowing.TooSoon as error:
        raise UnableToStepUp(str(error)) from None
    with transaction.atomic():
        device = TOTPDevice.objects.select_for_update().filter(user=person, confirmed=True).first()
        is_proven = device is not None and _is_right(person, device, password, code)
    if device is None:
        raise UnableToStepUp("Set up your authenticator first: the page /people/authenticator/.")
    if not is_proven:
        raise UnableToStepUp("Password or one-time code is wrong, or the code was used before. Wait for the next one.")
    slowing.succeeded(doors)


def begin(*, person: User, at: datetime) -> None:
    """Make the key of a new authenticator; one that waits for its first code is thrown away.

    Raises:
        UnableToStepUp: one is in use.
    """
    with transaction.atomic():
        User.objects.select_for_update().get(pk=person.pk)
        if is_set_up(person):
            raise UnableToStepUp("Your authenticator is in use. An administrator can remove it.")
        TOTPDevice.objects.filter(user=person).delete()
        TOTPDevice.objects.create(user=person, confirmed=False, name=NAME)
        subject = f"user:{person.username}"
        audit.record(actor=person.username, action="otp.begun", subject=subject, payload={}, at=at)


def confirm(*, person: User, password: str, code: str, at: datetime) -> None:
    """Put the authenticator in use once its first code is right.

    Raises:
        UnableToStepUp: password or code is wrong, or there is nothing to confirm.
    """
    with transaction.atomic():
        device = TOTPDevice.objects.select_for_update().filter(user=person, confirmed=False).first()
        if device is not None and _is_right(person, device, password, code):
            device.confirmed = True
            device.save(update_fields=["confirmed"])
            subject = f"user:{person.username}"
            audit.record(actor=person.username, action="otp.set_up", subject=subject, payload={}, at=at)
            return
    if device is None:
        raise UnableToStepUp("There is no authenticator to confirm; open the page again.")
    raise UnableToStepUp("Password or one-time code is wrong.")


def is_code(person: User, code: str) -> bool:
    """Return whether this is the code that the authenticator of `person` shows; it counts once, in every process."""
    with transaction.atomic():
        device = TOTPDevice.objects.select_for_update().filter(user=person, confirmed=True).first()
        return device is not None and bool(device.verify_token(code.replace(" ", "")))


def key_of(person: User) -> tuple[str, str] | None:
    """Return the key that waits for its first code, in groups of four, and the address that an authenticator opens."""
    device = TOTPDevice.objects.filter(user=person, confirmed=False).first()
    if device is None:
        return None
    text = b32encode(device.bin_key).decode().rstrip("=")
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4)), device.config_url


def is_set_up(person: User) -> bool:
    """Return whether `person` has an authenticator in use."""
    return bool(TOTPDevice.objects.filter(user=person, confirmed=True).exists())


def _is_right(person: User, device: TOTPDevice, password: str, code: str) -> bool:
    """Return whether both are right; the code is asked in any case, so that the time taken tells nothing."""
    is_code, is_password = device.verify_token(code.replace(" ", "")), person.check_password(password)
    return bool(is_code and is_password)

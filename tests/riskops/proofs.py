"""How people prove who they are in tests, and what they read."""

import re
import time
from typing import Final

from django.contrib.auth.models import User
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

PASSWORD: Final = "a long enough passphrase 1"


def give_authenticator(name: str) -> TOTPDevice:
    """Give a person a password and an authenticator in use."""
    person = User.objects.get(username=name)
    person.set_password(PASSWORD)
    person.save()
    return TOTPDevice.objects.create(user=person, confirmed=True, name="authenticator")


def code_of(device: TOTPDevice) -> str:
    """Return what the authenticator shows now."""
    totp = TOTP(device.bin_key)
    totp.time = time.time()
    return f"{totp.token():06}"


def proof(device: TOTPDevice) -> dict[str, str]:
    """Return what a person adds to a form to sign it; a code they used before counts again."""
    TOTPDevice.objects.filter(pk=device.pk).update(last_t=-1)
    return {"password": PASSWORD, "code": code_of(device)}


def text_of(response: object) -> str:
    """Return the words of a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))  # type: ignore[attr-defined]

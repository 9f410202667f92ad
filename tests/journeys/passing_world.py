"""Run inside a started console: the first desk has lived through its phase, and every role has a person.

Prints one JSON object: name -> key of the authenticator as hexadecimal. The drill shows the way without a shortcut.
"""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Final

import django

PASSWORD: Final = "a long enough passphrase 1"
PEOPLE: Final = {
    "trader": "Trader", "trading_lead": "Trading Lead", "engineer": "Engineer", "cto": "CTO", "ceo": "CEO",
    "compliance": "Compliance", "auditor": "Auditor",
}  # fmt: skip
CODES_APART: Final = 6  # times 30 s: a journey does not wait for the next code
MINUTES: Final = 300  # what the desk does by itself from now on is a small part of it


def main() -> None:
    """Put the evidence and the people in place."""
    print(json.dumps(live_and_arrive()))  # noqa: T201  what the journey reads


def live_and_arrive(*, tolerance: int = CODES_APART) -> dict[str, str]:
    """Let the first desk live through its phase and everybody arrive; return the keys of their authenticators."""
    from riskops.models import PhaseRun
    from riskops.services import phases
    from tests.riskops import cast
    from trading.models import ConductSample

    run = PhaseRun.objects.select_related("account").get(ended_at=None)
    at = datetime.now(UTC)
    since = at.replace(second=0, microsecond=0) - timedelta(minutes=MINUTES)
    ConductSample.objects.filter(account=run.account).delete()
    cast.live_through(run.account, MINUTES, since)
    PhaseRun.objects.filter(pk=run.pk).update(window_from=since, started_at=since)
    phases.judge(run=run, at=at)
    return {name: _key_of(name, role, tolerance) for name, role in PEOPLE.items()}


def _key_of(name: str, role: str, tolerance: int) -> str:
    from django.contrib.auth.models import Group, User
    from django_otp.plugins.otp_totp.models import TOTPDevice

    person, _ = User.objects.get_or_create(username=name)
    person.set_password(PASSWORD)
    person.save()
    person.groups.set([Group.objects.get_or_create(name=role)[0]])
    TOTPDevice.objects.filter(user=person).delete()
    device = TOTPDevice.objects.create(user=person, confirmed=True, name="authenticator", tolerance=tolerance)
    key: str = device.key
    return key


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gridconsole.settings")
    django.setup()
    main()

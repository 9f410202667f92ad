"""An account beyond PAPER where a right request finds it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from django.utils.timezone import now

from riskops.models import Incident
from riskops.readiness import readiness
from riskops.services import arming
from tests.riskops.armed import BUILD, forget_live
from tests.trading.services.test_transfers import put
from trading.domain.modes import Mode
from trading.domain.restrictions import KeyPurpose
from trading.models import Account
from trading.services import armings, members, venue_keys

if TYPE_CHECKING:
    from django.contrib.auth.models import User

BEYOND_PAPER: Final = frozenset(f"riskops:{name}" for name in (
    "arming", "arming-prepare", "arming-request", "arming-approve", "arming-withdraw", "arming-disarm",
    "confirm-transfer", "give-account", "take-account", "keys", "add-key", "check-keys", "revoke-key",
))  # fmt: skip
ASKED_FOR: Final = ("riskops:arming-approve", "riskops:arming-withdraw")


def arrange_arming(paper: Account, people: "Mapping[str, User]", route: str) -> str:
    """Put the LIVE account of `paper` where a right request finds it; return the digest of what is shown."""
    forget_live(paper)
    Incident.objects.filter(account=paper).delete()  # one that a right request about the gate has left
    if route == "riskops:arming-prepare":
        return ""
    at = now()
    live = armings.prepare(paper=paper, mode=Mode.LIVE, by="cto", at=at)
    venue_keys.add(
        account=live, purpose=KeyPurpose.TRADE, label="kept", key="K" * 64, secret="S" * 64, by="cto", at=at
    )  # fmt: skip
    if route == "riskops:take-account":
        for name in ("trading_lead", "spare"):
            members.give(account=live, person=name, by="cto", at=at)
    if route == "riskops:confirm-transfer":
        for capital in (300, 600):
            put(live, capital, at)
    stands = readiness(paper, Mode.LIVE, at)
    if route in ASKED_FOR:
        arming.request(account=live, by=people["trading_lead"], typed=stands.word, digest=stands.digest, at=at)
    if route == "riskops:arming-disarm":
        armings.arm(account=live, build=BUILD, phase="4.0", digest=stands.digest, by="trading_lead + cto", at=at)
    return stands.digest

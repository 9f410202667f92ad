"""A desk for which everything holds before it leaves PAPER: seven days cannot pass in a test."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import pytest
from django.db import connection
from django.utils.timezone import now

from riskops import readiness
from riskops.domain.arming import DrillFact, Facts, Go, KeyFact
from riskops.models import ArmRequest, PhaseRun
from trading.domain.drills import Drill
from trading.domain.modes import Mode
from trading.domain.restrictions import KeyPurpose
from trading.models import Account, Alert, Arming, CapitalTransfer, Grid, Halt, KeyCheck, Mandate, VenueKey

BUILD: Final = "1a2b3c4d-5e6f7a8b"
PROCESSES: Final = ("web@h:1", "loops@h:2", "watchdog")


def make_ready(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let every precondition hold but what is put into the returned facts."""
    changed: dict[str, Any] = {}
    gather, done = readiness.gather, DrillFact("PASSED", now(), "engineer")

    def gathered(paper: Account, target: Account | None, mode: Mode, at: datetime) -> Facts:
        sound: dict[str, Any] = {
            "venue_refusal": "",
            "stands_in": True,
            "go": Go("4.0", "GO", done.at, False),
            "testnet_fills": 3,
            "keys": dict.fromkeys(KeyPurpose, KeyFact(1, True, at, (), "", 3.0)) if target else {},
            "feasibility": {"BTCUSDT": ""},
            "drills": dict.fromkeys(Drill, done),
            "paper_hours": Decimal(170),
            "paper_accelerated": False,
            "drift": {"P&L": Decimal("0.05")},
            "builds": dict.fromkeys(PROCESSES, BUILD),
            "replay_speed": None,
        }
        wanted = {name: fact(at) if callable(fact) else fact for name, fact in changed.items()}
        return replace(gather(paper, target, mode, at), **{**sound, **wanted})

    patch.setattr(readiness, "gather", gathered)
    return changed


def forget_live(paper: Account) -> None:
    """Undo everything beyond PAPER of a desk."""
    with connection.cursor() as cursor:  # no row of it can be deleted
        cursor.execute(f"TRUNCATE {Arming._meta.db_table}")
    gone = Account.objects.filter(proven_by=paper)
    KeyCheck.objects.filter(key__account__in=gone).delete()
    for model in (ArmRequest, VenueKey, Alert, PhaseRun, CapitalTransfer, Mandate, Grid, Halt):
        model._default_manager.filter(account__in=gone).delete()
    gone.delete()

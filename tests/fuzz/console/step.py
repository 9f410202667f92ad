"""A run of the roadmap with its whole time in force, a request that waits, and what proves who people are."""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import connection
from django.utils.timezone import now
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from riskops.domain.attachments import Attached
from riskops.models import (
    BreakGlass,
    ChecklistAttachment,
    ChecklistTick,
    DeskReview,
    Incident,
    IncidentStep,
    PhaseRun,
    ReleaseTag,
    SignOff,
    StepRequest,
)
from riskops.services import break_glass, incidents, phases, step_up
from riskops.standing import checklist_of
from tests.riskops import cast
from trading.models import Account, Alert, CapitalTransfer, ConductOverride, ConductSample, Grid, Mandate

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PHASE: Final = "4.0"
SIGNERS: Final = {"trading_lead": "Trading Lead", "engineer": "Engineer", "cto": "CTO"}  # of that phase
OF_A_RUN: Final = (
    ReleaseTag, ChecklistAttachment, SignOff, ChecklistTick, StepRequest, IncidentStep, Incident, DeskReview,
    BreakGlass, PhaseRun, ConductOverride,
)  # fmt: skip
STARTERS: Final = ("trading_lead", "cto")
MINUTES: Final = 49  # in force, each an hour of the market: more than the phase lasts
NEVER_USED: Final = -1
SETS_UP: Final = {  # True elsewhere
    "riskops:begin-authenticator": None,
    "riskops:confirm-authenticator": False,
    **dict.fromkeys(("login", "admin:auth_user_delete", "admin:auth_user_changelist")),  # they need none
}
PROVES: Final = (
    "riskops:sign-step", "riskops:decide-step", "riskops:sign-promotion", "riskops:decide-promotion",
    "riskops:confirm-authenticator", "riskops:remove-authenticator",
    "riskops:arming-request", "riskops:arming-approve", "riskops:ask-break-glass", "riskops:grant-break-glass",
)  # fmt: skip
ASKS_FOR_GLASS: Final = "ceo"
OF_THE_GATE: Final = frozenset(f"riskops:{name}" for name in (
    "roadmap", "start-run", "gate", "criteria", "gate-card", "request-step", "sign-step", "tick-item", "decide-step",
    "withdraw-step", "close-incident", "authenticator", "begin-authenticator", "confirm-authenticator",
    "incidents", "incident", "open-incident", "review-desk", "apply-step", "undo-step", "write-incident",
    "checklist", "attachment", "sheet", "sheet-pdf", "export-evidence",
    "export-evidence-now", "break-glass", "ask-break-glass", "grant-break-glass", "end-break-glass",
))  # fmt: skip


def arrange_step(account: Account, people: "Mapping[str, User]", route: str) -> StepRequest | None:
    """Put the desk's run where a right request for `route` finds it; return the request to step up that is open."""
    _clear(account)
    if route == "riskops:start-run":
        return None
    at = now()
    since = at.replace(second=0, microsecond=0) - timedelta(minutes=MINUTES)
    run = phases.start_run(account=account, phase_id=PHASE, by="trading_lead", at=since)
    cast.live_through(account, MINUTES, since)
    if route == "riskops:request-step":
        return None
    request = phases.request_step(run=run, by=people["trader"], at=at)
    if route in {"riskops:grant-break-glass", "riskops:end-break-glass"}:
        break_glass.ask(account=account, by=people[ASKS_FOR_GLASS], reason="nobody else is awake", hours=1, at=at)
    if route == "riskops:attachment":
        file, item = Attached("seen.txt", "text/plain", b"=1"), checklist_of(request)[0]
        phases.tick(request_id=request.pk, by=people["trader"], item=item, done=True, note="", attached=file, at=at)
    if route == "riskops:decide-step":
        _sign_everything(request, people)
    else:  # an open incident keeps a GO from being recorded
        incident = Incident.objects.create(
            account=account, run=run, metric="crit_alerts", what="=1 \u202e", failed_run=True, opened_at=at,
            playbook="latency",
        )  # fmt: skip
        if route == "riskops:undo-step":
            incidents.carry_out(incident_id=incident.pk, by=people["trader"], step="immediate.1", symbol="", at=at)
    return request


def _clear(account: Account) -> None:
    """Undo every run; signatures and ticks go with the whole table, for no row of them can be deleted."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(model._meta.db_table for model in OF_A_RUN)}")
    CapitalTransfer.objects.filter(account=account).delete()
    Mandate.objects.filter(account=account, version__gt=1).delete()
    Grid.objects.filter(account=account).update(lot_quote=6)
    ConductSample.objects.all().delete()
    Alert.objects.exclude(code="DRAWDOWN").delete()


def _sign_everything(request: StepRequest, people: "Mapping[str, User]") -> None:
    at = request.requested_at
    for name, role in SIGNERS.items():
        phases.sign(
            request_id=request.pk, by=people[name], role=role, approves=True, note="", digest=request.digest, at=at
        )
    for item in checklist_of(request):
        phases.tick(request_id=request.pk, by=people["trader"], item=item, done=True, note="", at=at)


# --- proof of identity ------------------------------------------------------------------------------------------


def give_authenticators(people: "Mapping[str, User]", route: str) -> None:
    """Give everybody an authenticator none of whose codes was used; one that is not in use yet, or none."""
    TOTPDevice.objects.all().delete()
    confirmed = SETS_UP.get(route, True)
    if confirmed is not None:
        TOTPDevice.objects.bulk_create(
            TOTPDevice(user=person, confirmed=confirmed, name=step_up.NAME, key=_key(person), last_t=NEVER_USED)
            for person in people.values()
        )


def code_of(person: "User") -> str:
    """Return the code that the authenticator of `person` shows now."""
    totp = TOTP(bytes.fromhex(_key(person)))
    totp.time = time.time()
    return f"{totp.token():06}"


def _key(person: "User") -> str:
    return f"{person.pk:040x}"

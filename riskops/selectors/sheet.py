"""The approval sheet of one request, and the evidence behind it as JSON: what was signed, by whom, on what."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from riskops.domain.gates import State
from riskops.domain.phases import Phase
from riskops.domain.steps import Change, Decision
from riskops.domain.strict import digest_of
from riskops.models import ChecklistAttachment, ChecklistTick, Incident, PhaseRun, StepRequest
from riskops.selectors.gate import matrix_json, measured_line
from riskops.standing import (
    Standing,
    checklist_of,
    measurement,
    newest,
    next_of,
    recommendation,
    stand,
    template_of,
)
from trading.domain.evidence import METRICS, Measurement
from trading.selectors.audit_head import ChainHead, chain_head
from trading.selectors.numbers import UNKNOWN, measured_value, short
from trading.selectors.window_report import window_report

if TYPE_CHECKING:
    from trading.models import Account

LIBRARIES: Final = ("django", "ccxt", "psycopg", "numpy", "django-otp")
FORMAT: Final = "gridconsole-evidence-1"


@dataclass(frozen=True, slots=True)
class SheetCriterion:
    """One criterion as it was signed."""

    title: str
    value: str
    target: str
    state: str
    since: datetime | None
    until: datetime | None
    detail: str
    is_needed: bool


@dataclass(frozen=True, slots=True)
class SheetMeasured:
    """One metric that was shown, signed and not judged."""

    title: str
    value: str
    detail: str


@dataclass(frozen=True, slots=True)
class SheetCheck:
    """One item of the checklist."""

    item: str
    done: bool
    person: str
    at: datetime | None
    note: str


@dataclass(frozen=True, slots=True)
class SheetSignature:
    """One role and what its person signed."""

    role: str
    person: str
    at: datetime | None
    meaning: str
    digest: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """The approval sheet."""

    id: int
    account: str
    mode: str
    phase: str
    following: str
    capital: str
    next_capital: str
    requested_by: str
    requested_at: datetime
    outcome: str
    hours: str
    same_grids: str  # how long the grids that trade now have traded; "" where none was changed in the run
    accelerated: bool
    criteria: tuple[SheetCriterion, ...]
    also: tuple[SheetMeasured, ...]  # () in requests from before it was shown
    changes: tuple[Change, ...]
    checklist: tuple[SheetCheck, ...]
    signatures: tuple[SheetSignature, ...]
    decision: str
    decided_by: str
    decided_at: datetime | None
    notes: str
    digest: str
    template_digest: str
    configuration: str
    head: ChainHead


def sheet(account: "Account", request_id: int) -> Sheet | None:
    """Return the sheet of one request of `account`, None where there is no such request."""
    request = _request(account, request_id)
    if request is None:
        return None
    run, shown = request.run, request.shown
    phase, following = template_of(run), newest(next_of(run))
    return Sheet(
        id=request.pk,
        account=account.name,
        mode=account.mode,
        phase=phase.id,
        following=following.id if following else "end of the roadmap",
        capital=short(phase.capital_quote),
        next_capital=short(following.capital_quote) if following else UNKNOWN,
        requested_by=_name(request.requested_by),
        requested_at=request.requested_at,
        outcome=shown["outcome"],
        hours=shown["hours_in_force"],
        same_grids=(shown.get("same_grids") or {}).get("words", ""),
        accelerated=shown["accelerated"],
        criteria=tuple(map(_criterion, shown["findings"])),
        also=tuple(_measured(measurement(one)) for one in shown.get("measured", ())),
        changes=tuple(Change(*one) for one in shown["parameters"]),
        checklist=(*_ticked_by_evidence(following, shown["findings"]), *_checks(request)),
        signatures=_signatures(request, phase.signers),
        decision=request.decision if request.decision != Decision.PENDING else request.get_state_display().upper(),
        decided_by=_name(request.decided_by) if request.decided_by else "",
        decided_at=request.decided_at,
        notes=request.notes or request.why_void,
        digest=request.digest,
        template_digest=phase.digest,
        configuration=configuration_digest(run),
        head=chain_head(),
    )


def evidence_of_request(account: "Account", request_id: int) -> dict[str, Any] | None:
    """Return the evidence of one request as JSON, with its own SHA-256; None where there is no such request."""
    request = _request(account, request_id)
    if request is None:
        return None
    standing = stand(request.run, request.requested_at)
    return _sealed(request.run, standing, request)


def evidence_now(run: PhaseRun, at: datetime) -> dict[str, Any]:
    """Return the evidence of a run as it stands, with its own SHA-256."""
    return _sealed(run, stand(run, at), None)


def sha256_of(found: dict[str, Any]) -> str:
    """Return the SHA-256 of an export: canonical JSON of everything in it but the SHA-256 itself."""
    return digest_of({name: value for name, value in found.items() if name != "sha256"})


def configuration_digest(run: PhaseRun) -> str:
    """Return the SHA-256 of what was in force: the template, and every number of the mandate."""
    mandate = run.mandate
    numbers = {
        field.name: _plain(getattr(mandate, field.name))
        for field in mandate._meta.concrete_fields
        if field.name not in {"id", "account", "put_into_force_at", "put_into_force_by"}
    }
    return digest_of({"template": template_of(run).digest, "mandate": numbers})


# --- how -----------------------------------------------------------------------------------------------------------


def _sealed(run: PhaseRun, standing: Standing, request: StepRequest | None) -> dict[str, Any]:
    head = chain_head()
    measured = [
        {
            "metric": metric,
            "over": over.value,
            "value": _plain(one.value),
            "samples": one.samples,
            "coverage": str(one.coverage),
            "since": one.since.isoformat(),
            "until": one.until.isoformat(),
            "detail": one.detail,
            "query": one.query,
            "each": [[symbol, _plain(value)] for symbol, value in one.each],
        }
        for (metric, over), rows in sorted(standing.evidence.items())
        for one in rows
    ]
    found: dict[str, Any] = {
        "format": FORMAT,
        "metadata": {
            "account": run.account.slug,
            "mode": run.account.mode,
            "run": run.pk,
            "phase": standing.phase.id,
            "next": standing.following.id if standing.following else None,
            "started_at": run.started_at.isoformat(),
            "since": run.window_from.isoformat(),
            "until": standing.at.isoformat(),
            "accelerated": standing.accelerated or run.accelerated,
            "is_retest": run.is_retest,
        },
        "environment": {
            "python": platform.python_version(),
            "libraries": {name: version(name) for name in LIBRARIES},
            "template": {"version": standing.phase.version, "digest": standing.phase.digest},
            "configuration": configuration_digest(run),
        },
        "shown": request.shown if request else standing.shown,
        "digest": request.digest if request else standing.digest,
        "matrix": matrix_json(recommendation(run, standing)),
        "measured": measured,
        "incidents": _incidents(run),
        "approval": _approval(request),
        "artefacts": {
            "audit_head": {"sequence": head.sequence, "hash": head.hash},
            "audit_anchor": {"number": head.anchor, "sequence": head.anchored_sequence} if head.anchor else None,
        },
        **window_report(run.account, run.window_from, standing.at),
    }
    return {**found, "sha256": sha256_of(found)}


def _request(account: "Account", request_id: int) -> StepRequest | None:
    rows = StepRequest.objects.select_related(
        "run__template", "run__account", "run__mandate", "requested_by", "decided_by"
    )
    return rows.filter(pk=request_id, run__account=account).first()


def _incidents(run: PhaseRun) -> list[dict[str, Any]]:
    return [
        {
            "id": row.pk,
            "what": row.what,
            "opened_at": row.opened_at.isoformat(),
            "closed_at": row.closed_at.isoformat() if row.closed_at else None,
            "cause": row.cause,
            "impact": row.impact,
            "prevention": row.prevention,
        }
        for row in Incident.objects.filter(run=run).order_by("id")
    ]


def _approval(request: StepRequest | None) -> dict[str, Any] | None:
    if request is None:
        return None
    return {
        "request": request.pk,
        "requested_by": request.requested_by.username,
        "requested_at": request.requested_at.isoformat(),
        "state": str(request.state),
        "decision": request.decision,
        "decided_by": request.decided_by.username if request.decided_by else None,
        "decided_at": request.decided_at.isoformat() if request.decided_at else None,
        "notes": request.notes,
        "signatures": [
            {
                "role": one.role,
                "person": one.person.username,
                "approves": one.approves,
                "note": one.note,
                "digest": one.digest,
                "signed_at": one.signed_at.isoformat(),
            }
            for one in request.sign_offs.select_related("person")
        ],
        "checklist": [
            {"item": line.item, "done": line.done, "person": line.person or None, "note": line.note}
            for line in _checks(request)
        ],
    }


def _criterion(found: dict[str, Any]) -> SheetCriterion:
    metric, measured = METRICS[found["metric"]], found["measured"] or {}
    bound = None if found["bound"] is None else Decimal(found["bound"])
    value = None if measured.get("value") is None else Decimal(measured["value"])
    over = "" if found["over"] == "run" else f", {found['over']}"
    return SheetCriterion(
        title=f"{metric.label}{over}",
        value=measured_value(metric.unit, value),
        target=f"{found['sign']} {measured_value(metric.unit, bound)}",
        state=found["state"],
        since=datetime.fromisoformat(measured["since"]) if measured else None,
        until=datetime.fromisoformat(measured["until"]) if measured else None,
        detail=found["reason"] or measured.get("detail", ""),
        is_needed=found["on_miss"] != "ADVISE",
    )


def _measured(one: Measurement) -> SheetMeasured:
    line = measured_line(one)
    symbols = "; ".join(f"{symbol} {value}" for symbol, value in line.each)
    return SheetMeasured(line.title, line.value, f"{line.detail}: {symbols}" if symbols else line.detail)


def _checks(request: StepRequest) -> tuple[SheetCheck, ...]:
    ticks = request.ticks.select_related("person", "attachment").defer("attachment__content")
    last = {row.item: row for row in ticks}
    return tuple(
        SheetCheck(item, row.done, _name(row.person), row.at, _note(row))
        if (row := last.get(item))
        else SheetCheck(item, False, "", None, "")
        for item in checklist_of(request)
    )


def _ticked_by_evidence(following: Phase | None, findings: Sequence[dict[str, Any]]) -> list[SheetCheck]:
    """Return the automatic items as the findings that were signed tick them."""
    found = []
    for item in following.automatic if following else ():
        states = [one["state"] for one in findings if one["metric"] == item.metric] or [State.NO_DATA.value]
        done = set(states) == {State.MET.value}
        found.append(SheetCheck(item.item, done, "", None, "ticked by the evidence" if done else ", ".join(states)))
    return found


def _note(row: ChecklistTick) -> str:
    file: ChecklistAttachment | None = getattr(row, "attachment", None)
    named = f"{file.name} SHA-256 {file.sha256}" if file else ""
    return "; ".join(filter(None, (row.note, named)))


def _signatures(request: StepRequest, needed: tuple[str, ...]) -> tuple[SheetSignature, ...]:
    rows = {row.role: row for row in request.sign_offs.select_related("person")}
    return tuple(
        SheetSignature(role, _name(row.person), row.signed_at, _meaning(row.approves, row.note), row.digest)
        if (row := rows.get(role))
        else SheetSignature(role, "", None, "not signed", "")
        for role in needed
    )


def _meaning(approves: bool, note: str) -> str:
    words = "approves the step on exactly this evidence" if approves else "rejects the step"
    return f"{words}: {note}" if note else words


def _name(person: Any) -> str:
    full = person.get_full_name()
    return f"{full} ({person.username})" if full else str(person.username)


def _plain(value: object) -> Any:
    return str(value) if isinstance(value, Decimal) else value

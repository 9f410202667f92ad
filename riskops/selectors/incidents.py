"""The incidents of a desk: the list, and one of them with its playbook, clocks and timeline."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from django.contrib.auth.models import User

from riskops.domain.incidents import Clock, clock, review_due_at
from riskops.domain.playbooks import Deed, Playbook, Step
from riskops.models import DeskReview, Incident, IncidentStep
from riskops.standing import all_playbooks, retest_hours
from trading.domain.people import DESK, OPERATORS
from trading.selectors import desks, timeline
from trading.selectors.numbers import short
from trading.selectors.timeline import Moment

if TYPE_CHECKING:
    from trading.models import Account

BEFORE: Final = timedelta(minutes=10)  # of what led to it, where nobody knows when it began
AFTER: Final = timedelta(minutes=10)  # the end of a closed one
CLOSED_SHOWN: Final = 50
GLYPHS: Final = {"CRIT": "■", "WARN": "▲", "INFO": "●"}
Kind = IncidentStep.Kind


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """One incident in the list."""

    id: int
    glyph: str
    severity: str
    title: str
    what: str
    owner: str
    opened_at: datetime
    closed_at: datetime | None
    late: int  # deadlines that have passed


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step as it stands."""

    name: str
    text: str
    does: str  # what the runtime does; "" where people do it
    cannot: str
    can_undo: bool
    may_act: bool
    state: str  # "" | "done" | "applied" | "undone"
    by: str
    at: datetime | None
    note: str


@dataclass(frozen=True, slots=True)
class Retest:
    """The clock of the re-test."""

    needed: int
    hours: str
    fraction: float
    is_paper: bool
    has_begun: bool


@dataclass(frozen=True, slots=True)
class IncidentPage:
    """One incident at one moment."""

    incident: Incident
    playbook: Playbook
    glyph: str
    immediate: tuple[StepLine, ...]
    investigate: tuple[StepLine, ...]
    clocks: tuple[tuple[str, Clock], ...]  # with the name under which it is ticked
    retest: Retest | None
    to_detect: timedelta | None
    to_recover: timedelta | None
    timeline: tuple[Moment, ...]
    symbols: tuple[str, ...]
    may_write: bool


@dataclass(frozen=True, slots=True)
class Reviewed:
    """When people last looked at the desk, and until when they must again."""

    by: str
    at: datetime | None
    due_at: datetime
    is_late: bool
    every_h: int


def lines(account: "Account", at: datetime) -> list[IncidentLine]:
    """Return the incidents of `account`: what is open first, then what was closed last."""
    rows = Incident.objects.filter(account=account).select_related("owner").prefetch_related("steps")
    is_open = list(rows.filter(closed_at=None))
    return [_line(row, at) for row in (*is_open, *rows.exclude(closed_at=None)[:CLOSED_SHOWN])]


def page_of(account: "Account", incident_id: int, reader: User, at: datetime) -> IncidentPage | None:
    """Return one incident of `account`, None where it has none of this number."""
    rows = Incident.objects.select_related("account", "owner", "closed_by").prefetch_related("steps")
    incident = rows.filter(account=account, pk=incident_id).first()
    if incident is None:
        return None
    playbook, roles = all_playbooks()[incident.playbook], set(reader.groups.values_list("name", flat=True))
    last = {step.step: step for step in incident.steps.all() if step.step and step.kind != Kind.NOTE}
    may_act = bool(roles & OPERATORS)
    began = incident.began_at or incident.opened_at
    until = incident.closed_at + AFTER if incident.closed_at else at
    return IncidentPage(
        incident=incident,
        playbook=playbook,
        glyph=GLYPHS[incident.severity],
        immediate=tuple(
            _immediate(f"immediate.{number}", step, last.get(f"immediate.{number}"), may_act=may_act)
            for number, step in enumerate(playbook.immediate)
        ),
        investigate=tuple(
            _manual(f"investigate.{number}", text, last.get(f"investigate.{number}"))
            for number, text in enumerate(playbook.investigate)
        ),
        clocks=clocks_of(incident, at),
        retest=_retest(incident, playbook, at),
        to_detect=incident.opened_at - incident.began_at if incident.began_at else None,
        to_recover=incident.recovered_at - incident.opened_at if incident.recovered_at else None,
        timeline=tuple(_with_notes(incident, timeline.happened(account, began - BEFORE, until))),
        symbols=tuple(grid.symbol for grid in desks.grids_of(account)),
        may_write=bool(roles & DESK),
    )


def clocks_of(incident: Incident, at: datetime) -> tuple[tuple[str, Clock], ...]:
    """Return the deadlines of an incident, the nearest first; a failed run has those of a CRIT."""
    deadlines = all_playbooks()[incident.playbook].deadlines
    if incident.failed_run and not deadlines:
        deadlines = all_playbooks()["crit"].deadlines
    met = {step.step: step.at for step in reversed(incident.steps.all()) if step.kind == Kind.DONE}
    end = incident.closed_at or at
    return tuple(
        (name, clock(one.name, incident.opened_at + timedelta(hours=one.hours), end, met.get(name)))
        for one in sorted(deadlines, key=lambda deadline: deadline.hours)
        if (name := f"deadline.{one.name}")
    )


def reviewed(account: "Account", at: datetime) -> Reviewed | None:
    """Return how the reviews of `account` stand, None where no mandate asks for any."""
    mandate = desks.mandate_in_force(account)
    if mandate is None:
        return None
    last = DeskReview.objects.filter(account=account).select_related("by").first()
    due_at = review_due_at(last.at if last else mandate.put_into_force_at, mandate.review_every_h)
    return Reviewed(
        last.by.username if last else "", last.at if last else None, due_at, at > due_at, mandate.review_every_h
    )


def choices() -> list[tuple[str, str]]:
    """Return every playbook as (id, title)."""
    return [(playbook.id, playbook.title) for playbook in all_playbooks().values()]


def _line(incident: Incident, at: datetime) -> IncidentLine:
    return IncidentLine(
        id=incident.pk,
        glyph=GLYPHS[incident.severity],
        severity=incident.severity,
        title=all_playbooks()[incident.playbook].title,
        what=incident.what,
        owner=incident.owner.username if incident.owner else "",
        opened_at=incident.opened_at,
        closed_at=incident.closed_at,
        late=sum(one.is_late for _, one in clocks_of(incident, at)),
    )


def _immediate(name: str, step: Step, last: IncidentStep | None, *, may_act: bool) -> StepLine:
    line = _manual(name, step.text, last)
    return StepLine(
        name=name,
        text=step.text,
        does=_does(step),
        cannot=step.cannot,
        can_undo=line.state == "applied" and step.act != Deed.HALT,
        may_act=may_act,
        state=line.state,
        by=line.by,
        at=line.at,
        note=line.note,
    )


def _manual(name: str, text: str, last: IncidentStep | None) -> StepLine:
    state, by, at, note = (last.kind, last.by, last.at, last.note) if last else ("", "", None, "")
    return StepLine(name, text, "", "", False, False, state, by, at, note)


def _does(step: Step) -> str:
    if not step.act:
        return ""
    by_itself = ", by itself" if step.automatic else ""
    factor = f" x {short(step.factor)}" if step.factor is not None and step.factor != 1 else ""
    return f"{step.act.replace('_', ' ')}{factor}{by_itself}"


def _retest(incident: Incident, playbook: Playbook, at: datetime) -> Retest | None:
    needed = playbook.retest_hours or (all_playbooks()["crit"].retest_hours if incident.failed_run else 0)
    if not needed:
        return None
    hours = retest_hours(incident, at) or Decimal(0)
    is_paper = incident.account.mode == incident.account.Mode.PAPER
    fraction = float(min(hours / needed, Decimal(1)))
    return Retest(needed, f"{hours:.1f}", fraction, is_paper, incident.retest_from is not None)


def _with_notes(incident: Incident, moments: list[Moment]) -> list[Moment]:
    """Return the events of the account without the steps of other incidents."""
    own = {(step.at, step.by) for step in incident.steps.all()}
    return [moment for moment in moments if moment.action != "incident.step" or (moment.at, moment.who) in own]

"""The step from one phase to the next: who signs, what a signature binds, and when GO is possible."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from riskops.domain.approvals import REASON_MIN_LENGTH
from riskops.domain.gates import Outcome, Verdict, Window
from riskops.domain.incidents import RETEST
from riskops.domain.phases import Phase
from riskops.domain.strict import digest_of
from trading.domain.evidence import METRICS
from trading.domain.people import OPERATORS, Role

ROADMAP: Final = ("4.0", "4.1", "4.2", "4.3", "4.4a", "4.4b", "4.4c", "5")
EXPIRES_AFTER_H: Final = 72
RETEST_H: Final = int(RETEST / timedelta(hours=1))
FRESH_FOR: Final = timedelta(minutes=5)  # after which what was measured is too old to decide on
STARTERS: Final = frozenset({Role.TRADING_LEAD.value, Role.CTO.value})
ASKERS: Final = OPERATORS | {Role.CTO}  # who may ask for a step; whoever signs it is named by the phase


class Decision(StrEnum):
    """What people make of a run; never looser than the machine."""

    PENDING = "PENDING"
    GO = "GO"
    HOLD = "HOLD"
    NO_GO = "NO_GO"


@dataclass(frozen=True, slots=True)
class Signature:
    """One person's word under one role."""

    role: str
    person: int  # id
    approves: bool
    digest: str  # of exactly what was shown


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter of the mandate, old and new."""

    name: str  # "limits.max_daily_trades"
    old: str
    new: str

    @property
    def label(self) -> str:
        """Return the name as a person says it: "Max daily trades"."""
        words = self.name.rpartition(".")[2].removesuffix("_quote").removesuffix("_fraction").replace("_", " ")
        return words[:1].upper() + words[1:]


def next_phase(phase_id: str) -> str | None:
    """Return the phase that follows, None after the last.

    Raises:
        ValueError: the roadmap has no such phase.
    """
    if phase_id not in ROADMAP:
        raise ValueError(f"{phase_id} is no phase of the roadmap; its phases are {', '.join(ROADMAP)}.")
    following = ROADMAP.index(phase_id) + 1
    return ROADMAP[following] if following < len(ROADMAP) else None


def why_not_start(
    phase_id: str, last: tuple[str, Decision] | None, *, is_retest: bool = False, is_paper: bool = True
) -> str:
    """Return why a run of `phase_id` may not start, or an empty text; `last` is the newest run and its decision.

    A roadmap begins at its first phase. After GO the next phase follows, after HOLD or NO_GO the same one again; one
    that failed begins again on paper.
    """
    if phase_id not in ROADMAP:
        return f"{phase_id} is no phase of the roadmap."
    if last is None:
        return "" if phase_id == ROADMAP[0] else f"A roadmap begins with {ROADMAP[0]}; no phase can be skipped."
    before, decision = last
    if decision is Decision.PENDING:
        return f"The run of {before} is not decided yet."
    allowed = next_phase(before) if decision is Decision.GO else before
    if allowed is None:
        return f"{before} is the last phase of the roadmap: nothing follows its {decision}."
    if phase_id != allowed:
        return f"After {decision} on {before} only {allowed} may start."
    if is_retest and not is_paper:
        return f"{before} has failed: it begins again on paper, with {RETEST_H} h of re-test. Take the desk to paper."
    return ""


def is_retest(last: tuple[Decision, Outcome, bool] | None) -> bool:
    """Return whether the next run must begin with a re-test; `last` is the decision on the newest run, what the machine
    made of it, and whether it was a re-test itself: one that people ended leaves it to the run that follows."""
    return last is not None and last[0] is Decision.NO_GO and (last[1] is Outcome.FAIL or last[2])


def digest_of_step(phase: Phase, following: Phase | None, findings: object, changes: Sequence[Change]) -> str:
    """Return the SHA-256 of everything the signers are shown."""
    shown = {
        "phase": [phase.id, phase.version, phase.digest],
        "next": [following.id, following.version, following.digest] if following else None,
        "findings": findings,
        "changes": [[change.name, change.old, change.new] for change in changes],
    }
    return digest_of(shown)


def changes_between(phase: Phase, following: Phase) -> list[Change]:
    """Return every parameter that a GO changes, old to new, in the order of the template."""
    before, after = _flat(phase), _flat(following)
    names = [*before, *(name for name in after if name not in before)]
    return [
        Change(name, before.get(name, "not set"), after.get(name, "not set"))
        for name in names
        if before.get(name) != after.get(name)
    ]


def why_not_decider(roles_held: Set[str], needed: Sequence[str], what: str = "step") -> str:
    """Return why somebody with these roles decides nothing of this step, or an empty text."""
    decide = "decides" if len(needed) == 1 else "decide"
    return "" if roles_held & set(needed) else f"Only {', '.join(needed)} {decide} this {what}."


def why_not_withdrawer(roles_held: Set[str], needed: Sequence[str], *, is_requester: bool) -> str:
    """Return why somebody cannot take the request back, or an empty text."""
    may = is_requester or roles_held & set(needed)
    return "" if may else "Only who asked for it, or who signs it, can withdraw a request."


def why_not_starter(roles_held: Set[str]) -> str:
    """Return why somebody with these roles starts no run, or an empty text."""
    return "" if roles_held & STARTERS else f"Only {' or '.join(sorted(STARTERS))} start a run."


def why_not_sign(
    *, role: str, roles_held: Set[str], person: int, needed: Sequence[str], given: Sequence[Signature], approves: bool,
    note: str, what: str = "step",
) -> str:  # fmt: skip
    """Return why this person may not sign in this role, or an empty text: one role, one person, each once."""
    if role not in needed:
        return f"{role} does not sign this {what}; it needs {', '.join(needed)}."
    if role not in roles_held:
        return f"You do not hold the role {role}."
    if any(one.role == role for one in given):
        return f"{role} has signed."
    if any(one.person == person for one in given):
        return "You have signed in another role: every signature is another person's."
    if not approves and len(note.strip()) < REASON_MIN_LENGTH:
        return f"Say why you reject it, in at least {REASON_MIN_LENGTH} characters."
    return ""


def why_not_decide(
    decision: Decision, *, verdict: Verdict, needed: Sequence[str], given: Sequence[Signature], requester: int,
    digest: str, notes: str, unticked: Sequence[str] = (), is_real: bool = True, is_accelerated: bool = False,
    unwatched: timedelta | None = timedelta(), retest: Window | None = None, in_the_way: str = "",
) -> str:  # fmt: skip
    """Return why this decision may not be recorded now, or an empty text.

    NO_GO is always possible, with a reason, and HOLD unless the run has failed, for it would begin the window anew and
    with it forget why: people may be stricter than the machine, never looser.
    `unwatched` is the time since anything was last watched, None where nothing was; `retest` the time on paper that a
    run after a failed one begins with; `in_the_way` what keeps capital where it is, whatever the run.
    """
    if decision is Decision.PENDING:
        return "Choose GO, HOLD or NO_GO."
    if decision is Decision.HOLD and verdict.outcome is Outcome.FAIL:
        return f"The machine says FAIL: {_open_words(verdict)} Only NO_GO can be recorded."
    if decision is not Decision.GO:
        return why_not_notes(notes)
    if retest is not None and not retest.is_complete:
        return f"The run before failed: {retest.hours_left:.1f} h of {RETEST_H} h re-test on paper are still to come."
    if verdict.outcome is not Outcome.PASS:
        return f"The machine says {verdict.outcome}: {_open_words(verdict)}"
    if unwatched is None or unwatched > FRESH_FOR:
        since = "yet" if unwatched is None else f"for {unwatched // timedelta(minutes=1)} minutes"
        limit = f"{FRESH_FOR // timedelta(minutes=1)} minutes"
        return f"Nothing has been watched {since}: no GO on evidence older than {limit}."
    if is_real and is_accelerated:
        return "Part of this run's time was a replay faster than time: it can open no gate but one on paper."
    if unticked:
        return f"The checklist is not complete: {'; '.join(unticked)}."
    if in_the_way:
        return in_the_way
    return why_not_signed(needed=needed, given=given, requester=requester, digest=digest)


def why_not_signed(
    *, needed: Sequence[str], given: Sequence[Signature], requester: int, digest: str, what: str = "step"
) -> str:
    """Return what the signatures leave to be wished for a GO, or an empty text."""
    if any(not one.approves for one in given):
        return f"A signer rejected this {what}: only HOLD or NO_GO can be recorded."
    if stale := [one.role for one in given if one.digest != digest]:
        return f"What was shown has changed since {', '.join(stale)} signed: those signatures have lapsed."
    if missing := [role for role in needed if role not in {one.role for one in given}]:
        return f"Signatures are missing: {', '.join(missing)}."
    if {one.person for one in given} <= {requester}:
        return f"Whoever asked for the {what} cannot be its only signer."
    return ""


def why_not_notes(notes: str) -> str:
    """Return why a decision that is stricter than GO may not be recorded with these notes, or an empty text."""
    short = len(notes.strip()) < REASON_MIN_LENGTH
    return f"Say why, in at least {REASON_MIN_LENGTH} characters." if short else ""


def is_expired(hours_since_request: Decimal) -> bool:
    """Return whether a request has waited too long for its signatures."""
    return hours_since_request >= EXPIRES_AFTER_H


def _open_words(verdict: Verdict) -> str:
    names = [f"{METRICS[finding.criterion.metric].label}: {finding.state}" for finding in verdict.open]
    return "; ".join([*verdict.missing, *names]) + "."


def _flat(phase: Phase) -> Mapping[str, str]:
    """Return name -> value as text of everything a mandate takes from a template."""
    found: dict[str, str] = {"capital_quote": _text(phase.capital_quote), "symbols": ", ".join(phase.symbols)}
    for table in ("limits", "executor", "monitoring"):
        part = getattr(phase, table)
        for name in part.__dataclass_fields__:
            value = getattr(part, name)
            if value is not None:
                found[f"{table}.{name}"] = _text(value)
    return found


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)

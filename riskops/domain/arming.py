"""What must hold before an account leaves PAPER, and whose word it takes; what is not known blocks."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from trading.domain.drills import Drill, Outcome
from trading.domain.modes import Mode
from trading.domain.people import Role
from trading.domain.restrictions import KeyPurpose
from trading.domain.watch import MAX_SKEW_MS

# Source: decisions of the desk, 22.
CHECK_MAX_AGE: Final = timedelta(minutes=5)
PAPER_HOURS: Final = Decimal(7 * 24)
MAX_DRIFT: Final = Decimal("0.15")
PAPER_WINDOW: Final = timedelta(days=14)  # ours: where the seven days in force are looked for
# Ours:
REQUEST_WAITS: Final = timedelta(hours=24)
PROCESSES: Final = ("web", "loops", "watchdog")
AUDIT_MAX_AGE: Final = timedelta(hours=1)
TWO_ROLES: Final = (Role.TRADING_LEAD, Role.CTO)


class State(StrEnum):
    """Whether a precondition holds; what is not known does not."""

    MET = "met"
    NOT_MET = "not met"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One precondition beside its evidence."""

    name: str
    state: State
    evidence: str
    remedy: str  # what to do; "" where it is met


@dataclass(frozen=True, slots=True)
class Go:
    """How the newest run that counts ended."""

    phase: str
    decision: str
    at: datetime
    is_accelerated: bool


@dataclass(frozen=True, slots=True)
class KeyFact:
    """One key in use: can it be opened, and what the venue said of it."""

    id: int
    is_readable: bool | None  # sealed, and the key that opens it is at hand; None: nobody has tried yet
    checked_at: datetime | None = None
    objections: tuple[str, ...] | None = None  # None: the venue gave no usable answer
    problem: str = ""
    skew_ms: float | None = None


@dataclass(frozen=True, slots=True)
class DrillFact:
    """The newest run of one kind of drill."""

    outcome: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the rule looks at, at one moment; None is not known."""

    at: datetime
    mode: Mode  # to arm
    phase: str
    venue_refusal: str = ""  # why no account of this mode trades in this installation
    stands_in: bool = False  # the simulated exchange takes the venue's place
    go: Go | None = None
    testnet_fills: int | None = None
    keys: Mapping[KeyPurpose, KeyFact] = field(default_factory=dict)  # those in use
    feasibility: Mapping[str, str | None] = field(default_factory=dict)  # symbol -> "" fits | why not | None not known
    drills: Mapping[Drill, DrillFact] = field(default_factory=dict)
    paper_hours: Decimal | None = None
    paper_accelerated: bool | None = None
    drift: Mapping[str, Decimal | None] = field(default_factory=dict)  # measure -> fraction of the backtest's
    incidents: Sequence[str] | None = None
    halts: Sequence[str] | None = None
    audit_broken: str | None = None  # "" whole
    audit_at: datetime | None = None
    builds: Mapping[str, str] = field(default_factory=dict)  # process that lives -> its build
    replay_speed: Decimal | None = None  # None: no replay speaks


def preconditions(facts: Facts) -> list[Finding]:
    """Return every precondition of `facts.mode`, in the order people work on them."""
    findings = [_venue(facts), *_keys(facts), _clock(facts), _feasible(facts), *_drills(facts)]
    findings += [_incidents(facts), _halts(facts), _audit(facts), _builds(facts), _speed(facts)]
    if facts.mode is Mode.LIVE:
        findings = [_go(facts), _testnet(facts), _paper(facts), _drift(facts), *findings]
    return findings


def build_of(builds: Mapping[str, str]) -> str:
    """Return the one build that every process runs, an empty text where there is none or more than one."""
    different = set(builds.values())
    return different.pop() if len(different) == 1 else ""


def blockers(findings: Iterable[Finding]) -> list[str]:
    """Return the names of what does not hold, or is not known to."""
    return [finding.name for finding in findings if finding.state is not State.MET]


def typed_word(mode: Mode, phase: str) -> str:
    """Return what both people type: "LIVE 4.0"."""
    return f"{mode} {phase}"


def why_not_request(findings: Sequence[Finding], *, roles: Set[str], typed: str, word: str) -> str:
    """Return why this person cannot ask for the arming, or an empty text."""
    if not roles & set(TWO_ROLES):
        return f"Only {TWO_ROLES[0]} or {TWO_ROLES[1]} may ask for it."
    if missing := blockers(findings):
        return f"{len(missing)} of {len(findings)} preconditions do not hold: {', '.join(missing)}."
    return "" if typed == word else f"Type {word} to confirm."


def why_not_arm(
    findings: Sequence[Finding],
    *,
    same_person: bool,
    requester_roles: Set[str],
    approver_roles: Set[str],
    same_digest: bool,
    typed: str,
    word: str,
) -> str:
    """Return why the arming cannot be approved now, or an empty text: two people, one Trading Lead and one CTO.

    `same_digest`: what the requester was shown still holds word for word.
    """
    if same_person:
        return "Arming needs a second person: whoever asked cannot approve it."
    lead, cto = TWO_ROLES
    pairs = ((requester_roles, approver_roles), (approver_roles, requester_roles))
    if not any(lead in one and cto in other for one, other in pairs):
        return f"Of the two people one must be the {lead} and the other the {cto}."
    if missing := blockers(findings):
        return f"{len(missing)} of {len(findings)} preconditions do not hold any more: {', '.join(missing)}."
    if not same_digest:
        return "What was shown has changed since it was asked for: withdraw it and ask again."
    return "" if typed == word else f"Type {word} to confirm."


def is_expired(requested_at: datetime, at: datetime) -> bool:
    """Return whether a request has waited too long for the second person."""
    return at - requested_at >= REQUEST_WAITS


# --- one by one -------------------------------------------------------------------------------------------------------


def _finding(name: str, is_met: bool | None, evidence: str, remedy: str) -> Finding:
    state = State.UNKNOWN if is_met is None else State.MET if is_met else State.NOT_MET
    return Finding(name, state, evidence, "" if is_met else remedy)


def _go(facts: Facts) -> Finding:
    name, remedy = "Gate GO", "Pass the gate of the phase on paper, at the market's own speed."
    if facts.go is None:
        return _finding(name, False, f"no run of {facts.phase} was decided on paper", remedy)
    said = f"{facts.go.decision} for {facts.go.phase} on {facts.go.at:%Y-%m-%d %H:%M}"
    if facts.go.is_accelerated:
        return _finding(name, False, f"{said}, of an accelerated run: it counts on paper only", remedy)
    return _finding(name, facts.go.decision == "GO", said, remedy)


def _testnet(facts: Facts) -> Finding:
    fills = facts.testnet_fills
    evidence = "no TESTNET account" if fills is None else f"{fills} fills on TESTNET"
    return _finding("TESTNET first", fills is not None and fills > 0, evidence, "Arm TESTNET and let it trade.")


def _venue(facts: Facts) -> Finding:
    stands_in = "a rehearsal: the simulated exchange stands in for the venue, no real money moves"
    evidence = facts.venue_refusal or (stands_in if facts.stands_in else f"prices and orders are {facts.mode}'s")
    return _finding("Venue of this console", not facts.venue_refusal, evidence, "docs/going-live.md says how.")


def _keys(facts: Facts) -> list[Finding]:
    found = [_kept(purpose, facts) for purpose in KeyPurpose]
    # The test network does not answer what a key may do; what is known to be wrong blocks there too.
    told = {purpose for purpose, key in facts.keys.items() if key.objections}
    asked = set(KeyPurpose) if facts.mode is Mode.LIVE else told
    return found + [_restricted(purpose, facts) for purpose in KeyPurpose if purpose in asked]


def _kept(purpose: KeyPurpose, facts: Facts) -> Finding:
    name, remedy = f"Key to {purpose}", f"Add a {purpose} key of its own under Settings, Venue keys."
    key = facts.keys.get(purpose)
    if key is None:
        return _finding(name, False, "none is kept", remedy)
    if key.is_readable is None:
        return _finding(name, None, "not tried yet", "Housekeeping tries it every minute: does it run?")
    return _finding(name, key.is_readable, "kept, sealed" if key.is_readable else "cannot be opened", remedy)


def _restricted(purpose: KeyPurpose, facts: Facts) -> Finding:
    name, remedy = f"What the {purpose} key may do", "Change the key's permissions at the venue, then check again."
    key = facts.keys.get(purpose)
    if key is None or key.checked_at is None:
        return _finding(name, None, "the venue was not asked", "Housekeeping asks every minute: does it run?")
    age = abs(facts.at - key.checked_at)
    asked = f"asked the venue {_ago(age)} ago"
    if age > CHECK_MAX_AGE:
        return _finding(name, None, f"{asked}, limit 5 min", "Housekeeping asks every minute: does it run?")
    if key.objections is None:
        return _finding(name, None, f"{asked}: {key.problem or 'no usable answer'}", remedy)
    sound = "no withdrawals, no transfers, bound to an address"
    return _finding(name, not key.objections, f"{'; '.join(key.objections) or sound} ({asked})", remedy)


def _clock(facts: Facts) -> Finding:
    name, remedy = "Clock", "Set this machine's clock (NTP)."
    known = [key for key in facts.keys.values() if key.skew_ms is not None and key.checked_at is not None]
    newest = max(known, key=lambda key: key.checked_at or facts.at, default=None)
    if newest is None or newest.skew_ms is None or newest.checked_at is None:
        return _finding(name, None, "not compared with the venue's", "It is compared when the keys are checked.")
    if abs(facts.at - newest.checked_at) > CHECK_MAX_AGE:
        return _finding(name, None, f"compared {_ago(facts.at - newest.checked_at)} ago, limit 5 min", remedy)
    evidence = f"{newest.skew_ms:+.0f} ms from the venue's, limit {MAX_SKEW_MS:.0f} ms"
    return _finding(name, abs(newest.skew_ms) < MAX_SKEW_MS, evidence, remedy)


def _feasible(facts: Facts) -> Finding:
    name, remedy = "Grids at the venue's filters", "Change the grid, or its capital, until it fits."
    if not facts.feasibility:
        return _finding(name, False, "no grid is enabled", remedy)
    refused = {symbol: why for symbol, why in facts.feasibility.items() if why}
    if refused:
        return _finding(name, False, "; ".join(f"{symbol}: {why}" for symbol, why in refused.items()), remedy)
    if unknown := [symbol for symbol, why in facts.feasibility.items() if why is None]:
        return _finding(name, None, f"no price or filters of {', '.join(unknown)}", "Wait for market data.")
    return _finding(name, True, f"{', '.join(facts.feasibility)} fit", remedy)


def _drills(facts: Facts) -> list[Finding]:
    found = []
    for drill in Drill:
        name, run = f"Drill {drill.replace('_', ' ').lower()}", facts.drills.get(drill)
        evidence = f"{run.outcome} on {run.at:%Y-%m-%d %H:%M}, by {run.by}" if run else "never run"
        is_met = run is not None and run.outcome == Outcome.PASSED
        found.append(_finding(name, is_met, evidence, "Run it on the page Risk, on the paper account."))
    return found


def _paper(facts: Facts) -> Finding:
    name, remedy = "7 days of paper", "Let the paper account trade at the market's own speed until 168 h are in force."
    if facts.paper_hours is None or facts.paper_accelerated is None:
        return _finding(name, None, "not measured", remedy)
    evidence = f"{facts.paper_hours:.1f} of {PAPER_HOURS} h in force"
    if facts.paper_accelerated:
        return _finding(name, False, f"{evidence}, some of them a replay faster than time", remedy)
    return _finding(name, facts.paper_hours >= PAPER_HOURS, evidence, remedy)


def _drift(facts: Facts) -> Finding:
    name, remedy = "Drift of paper from backtest", "Measure it; above 15 % find out why before any money moves."
    if not facts.drift or any(value is None or not value.is_finite() for value in facts.drift.values()):
        return _finding(name, None, "not measured", remedy)
    known = {what: value for what, value in facts.drift.items() if value is not None}
    evidence = ", ".join(f"{what} {value * 100:.1f} %" for what, value in known.items())
    return _finding(name, all(abs(value) <= MAX_DRIFT for value in known.values()), f"{evidence}, limit 15 %", remedy)


def _incidents(facts: Facts) -> Finding:
    name, remedy = "No open incident", "Close it with its review, on the page Incidents."
    if facts.incidents is None:
        return _finding(name, None, "not known", remedy)
    return _finding(name, not facts.incidents, "; ".join(facts.incidents) or "none", remedy)


def _halts(facts: Facts) -> Finding:
    name, remedy = "No halt in force", "Two people resume it, on the page Risk."
    if facts.halts is None:
        return _finding(name, None, "not known", remedy)
    return _finding(name, not facts.halts, "; ".join(facts.halts) or "none", remedy)


def _audit(facts: Facts) -> Finding:
    name, remedy = "Audit trail", "Run ./console verify_audit and find out what happened."
    if facts.audit_broken is None or facts.audit_at is None:
        return _finding(name, None, "not verified", remedy)
    age = facts.at - facts.audit_at
    if age > AUDIT_MAX_AGE:
        return _finding(name, None, f"verified {_ago(age)} ago, limit 1 h", "Reload the page: it is verified again.")
    whole = f"whole, verified {_ago(age)} ago"
    return _finding(name, not facts.audit_broken, facts.audit_broken or whole, remedy)


def _builds(facts: Facts) -> Finding:
    name, remedy = "Code and configuration", "Restart every process of the console: ./console up."
    running = {process.partition("@")[0] for process in facts.builds}
    if missing := [process for process in PROCESSES if process not in running]:
        return _finding(name, None, f"nothing was heard of: {', '.join(missing)}", remedy)
    build = build_of(facts.builds)
    evidence = f"{build} in {len(facts.builds)} processes" if build else "different in different processes"
    return _finding(name, bool(build), evidence, remedy)


def _speed(facts: Facts) -> Finding:
    name, remedy = "The market's own speed", "Set the replay to its own speed, 1 second a second."
    if facts.replay_speed is None:
        return _finding(name, True, "no replay", remedy)
    return _finding(name, facts.replay_speed == 1, f"a replay, {facts.replay_speed:f} s a second", remedy)


def _ago(age: timedelta) -> str:
    seconds = max(0, round(age.total_seconds()))
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"

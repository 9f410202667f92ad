"""How ready an account is to leave PAPER: every fact gathered, judged, and put together as what two people approve."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.cache import cache

from riskops.domain import arming
from riskops.domain.arming import DrillFact, Facts, Finding, Go, KeyFact
from riskops.domain.granted import granted
from riskops.domain.phases import Phase
from riskops.domain.steps import ROADMAP, Decision
from riskops.domain.strict import digest_of
from riskops.models import PhaseRun
from riskops.standing import newest, open_incidents, template_of
from trading.domain.drills import Drill
from trading.domain.evidence import METRICS
from trading.domain.measuring import Over
from trading.domain.modes import Mode
from trading.domain.restrictions import KeyPurpose
from trading.live.installation import why_not_here
from trading.selectors import armings, drills, evidence
from trading.services import audit

if TYPE_CHECKING:
    from trading.models import Account

DRIFT: Final = tuple(name for name in METRICS if name.startswith("drift_"))  # of paper from backtest
AUDIT_SEEN: Final = "readiness.audit"
AUDIT_SEEN_FOR_S: Final = 300


@dataclass(frozen=True, slots=True)
class Readiness:
    """One step beyond PAPER at one moment."""

    mode: Mode
    phase: str
    facts: Facts
    findings: tuple[Finding, ...]
    shown: dict[str, Any]  # what two people approve; no age is in it

    @property
    def digest(self) -> str:
        """SHA-256 of what is shown."""
        return digest_of(self.shown)

    @property
    def build(self) -> str:
        """Code and configuration that would be approved."""
        return arming.build_of(self.facts.builds)

    @property
    def word(self) -> str:
        """What both people type."""
        return arming.typed_word(self.mode, self.phase)


def readiness(paper: "Account", mode: Mode, at: datetime) -> Readiness:
    """Return how ready `paper` is to trade in `mode` as of `at`."""
    target = armings.beyond(paper, mode)
    facts = gather(paper, target, mode, at)
    findings = tuple(arming.preconditions(facts))
    return Readiness(mode, facts.phase, facts, findings, _shown(facts, findings, target))


def gather(paper: "Account", target: "Account | None", mode: Mode, at: datetime) -> Facts:
    """Return every fact about the step of `paper` to `mode`; `target` is the account to be armed, once prepared."""
    phase = _phase_of(target)
    lived = evidence.evidence(paper, [(name, Over.RUN) for name in DRIFT], at - arming.PAPER_WINDOW, at)
    broken, audit_at = _audit(at)
    testnet = armings.beyond(paper, Mode.TESTNET)
    both = [account for account in (paper, target) if account is not None]
    return Facts(
        at=at,
        mode=mode,
        phase=phase.id if phase else ROADMAP[0],
        venue_refusal=why_not_here(mode),
        stands_in=settings.SIMULATOR_STANDS_IN,
        go=_go(paper, target, phase),
        testnet_fills=armings.fills_of(testnet) if testnet else None,
        keys=_keys(target),
        feasibility=armings.feasibility(target or paper, granted(phase)) if phase else {},
        drills=_drills(paper, at),
        paper_hours=lived.hours_in_force,
        paper_accelerated=lived.accelerated,
        drift={METRICS[name].label: lived.measured[name, Over.RUN][0].value for name in DRIFT},
        incidents=[text for account in both for text in open_incidents(account)],
        halts=[text for account in both for text in armings.halts_of(account)],
        audit_broken=broken,
        audit_at=audit_at,
        builds=armings.processes(),
        replay_speed=armings.replay_speed(),
    )


def _phase_of(target: "Account | None") -> Phase | None:
    """Return the phase that would trade: of the run in force, or the roadmap's first."""
    run = _open_run(target)
    return template_of(run) if run else newest(ROADMAP[0])


def _open_run(target: "Account | None") -> PhaseRun | None:
    return PhaseRun.objects.filter(account=target, ended_at=None).select_related("template").first() if target else None


def _go(paper: "Account", target: "Account | None", phase: Phase | None) -> Go | None:
    """Return how the run ended that opens this step: paper's of the first phase, later its own of the one before."""
    first = phase is None or phase.id == ROADMAP[0]
    ended = PhaseRun.objects.exclude(ended_at=None).select_related("template")
    found = ended.filter(account=paper, template__phase=ROADMAP[0]) if first else ended.filter(account=target)
    run = found.first()
    if run is None or run.ended_at is None or run.decision == Decision.PENDING:
        return None
    return Go(run.template.phase, run.decision, run.ended_at, run.accelerated)


def _keys(target: "Account | None") -> dict[KeyPurpose, KeyFact]:
    lines = armings.key_lines(target) if target else []
    return {
        KeyPurpose(line.purpose): KeyFact(
            line.id, line.opened, line.checked_at, line.objections, line.problem, line.skew_ms
        )
        for line in lines
    }


def _drills(paper: "Account", at: datetime) -> dict[Drill, DrillFact]:
    lines = [line for line in drills.lines(paper, at) if line.at is not None]
    return {Drill(line.drill): DrillFact(line.outcome, line.at, line.by) for line in lines if line.at is not None}


def _audit(at: datetime) -> tuple[str, datetime]:
    """Return what breaks the audit trail and when it was walked: at most five minutes ago."""
    seen = cache.get(AUDIT_SEEN)
    if seen is None:
        broken = audit.verify()
        seen = (f"breaks at #{broken.sequence}: {broken.reason}" if broken else "", at)
        cache.set(AUDIT_SEEN, seen, AUDIT_SEEN_FOR_S)
    return seen[0], seen[1]


def _shown(facts: Facts, findings: tuple[Finding, ...], target: "Account | None") -> dict[str, Any]:
    phase = _phase_of(target)
    return {
        "account": target.slug if target else None,
        "mode": facts.mode.value,
        "phase": facts.phase,
        "template": phase.digest if phase else None,
        "capital_quote": str(phase.capital_quote) if phase else None,
        "build": arming.build_of(facts.builds),
        "stands_in": facts.stands_in,
        "keys": {purpose.value: key.id for purpose, key in facts.keys.items()},
        "go": facts.go.at.isoformat() if facts.go else None,
        "drills": {drill.value: fact.at.isoformat() for drill, fact in facts.drills.items()},
        "findings": [[finding.name, finding.state.value] for finding in findings],
    }

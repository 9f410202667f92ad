"""How the promotion of a model stands: its evidence judged, and put together as exactly what people are shown and sign.

As `standing` is for runs: services and selectors both need it and may not know each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from riskops.domain import promotions
from riskops.domain.promotions import Finding, signers
from riskops.domain.steps import Decision, Signature
from riskops.domain.strict import digest_of
from riskops.models import PromotionRequest, StepRequest
from trading.domain.model_states import LIVE, ModelState
from trading.selectors import desks, model_evidence

if TYPE_CHECKING:
    from trading.models import ModelVersion

_LIVE: Final = [state.value for state in LIVE]


@dataclass(frozen=True, slots=True)
class Promotion:
    """What follows for one model, at one moment."""

    version: "ModelVersion"
    before: ModelState
    after: ModelState
    since: datetime  # evidence counts from here
    at: datetime
    findings: tuple[Finding, ...]
    needed: tuple[str, ...]  # roles that sign it
    in_the_way: str  # why no model may change now, whatever the evidence

    def shown(self, canary_symbol: str) -> dict[str, Any]:
        """Return everything a signature binds, as JSON."""
        return {
            "model": self.version.digest,
            "before": self.before.value,
            "after": self.after.value,
            "canary_symbol": canary_symbol,
            "signers": list(self.needed),
            "since": self.since.isoformat(),
            "at": self.at.isoformat(),
            "findings": [_plain(finding) for finding in self.findings],
        }


def stand(version: "ModelVersion", at: datetime) -> Promotion | None:
    """Measure and judge what people may promote `version` to as of `at`; None where nothing follows by their word."""
    before = ModelState(version.state)
    after = promotions.next_state(before)
    if after is None:
        return None
    since = window_from(version)
    measured: Mapping[Any, Any] = {
        ModelState.SHADOW: lambda: model_evidence.offline(version),
        ModelState.CANARY: lambda: model_evidence.shadow(version, since, at),
        ModelState.CHAMPION: lambda: model_evidence.canary(version, since, at),
    }[after]()
    return Promotion(
        version=version,
        before=before,
        after=after,
        since=since,
        at=at,
        findings=promotions.judge(after, measured),
        needed=needed_for(after),
        in_the_way=promotions.why_not_share(after, open_steps()),
    )


def needed_for(after: ModelState) -> tuple[str, ...]:
    """Return the roles that sign a promotion to `after`, by the capital in force now."""
    return signers(after, (mandate.capital_quote for mandate in desks.mandates_in_force()))


def digest_of_shown(shown: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what is shown."""
    return digest_of(shown)


def window_from(version: "ModelVersion") -> datetime:
    """Return when the evidence of a model begins: with its state, or with the HOLD that began it anew."""
    held = PromotionRequest.objects.filter(version=version, decision=Decision.HOLD, before=version.state)
    newest = held.order_by("-decided_at").values_list("decided_at", flat=True).first()
    return version.state_since if newest is None else max(version.state_since, newest)


def signatures(request: PromotionRequest) -> list[Signature]:
    """Return the signatures of a request, oldest first."""
    return [Signature(one.role, one.person_id, one.approves, one.digest) for one in request.sign_offs.all()]


def open_promotions() -> list[str]:
    """Return the models that somebody asks to let change an order, in words."""
    rows = PromotionRequest.objects.filter(state=PromotionRequest.State.OPEN, after__in=_LIVE)
    return [
        f"{name} {digest[:8]} to {ModelState(after).words}"
        for name, digest, after in rows.order_by("id").values_list("version__name", "version__digest", "after")
    ]


def open_steps() -> Sequence[str]:
    """Return the accounts that a step of capital is asked for at."""
    rows = StepRequest.objects.filter(state=StepRequest.State.OPEN)
    return list(rows.order_by("run__account_id").values_list("run__account__name", flat=True))


def _plain(finding: Finding) -> dict[str, Any]:
    criterion = finding.criterion
    return {
        "measure": criterion.measure.value,
        "limit": criterion.limit,
        "state": finding.state.value,
        "value": finding.value,
        "samples": finding.samples,
        "reason": finding.reason,
    }

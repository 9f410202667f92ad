"""One model: its card, what was measured before it ran, what it forecast against what came, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Avg, Count, F, Q
from django.db.models.functions import TruncDay

from trading.domain.offline_gate import Finding, judge, read_evidence
from trading.models import ModelChange, ModelForecast, ModelHealth, ModelVersion, TrainingRun
from trading.selectors.model_evaluation import Evaluation, number, read_evaluation
from trading.selectors.models import Card, card_of, interval_text, latencies
from trading.selectors.numbers import UNKNOWN, in_words, percent, plain, signed

FORECASTS_DRAWN: Final = 500
COVERED: Final = 0.8  # what the span from the 10 % to the 90 % quantile is to hold
_LOSS: Final = (F("log_rv") - F("realized")) * (F("log_rv") - F("realized"))
_RULE_LOSS: Final = (F("rule_log_rv") - F("realized")) * (F("rule_log_rv") - F("realized"))
KNOWN: Final = Q(log_rv__isnull=False, rule_log_rv__isnull=False, realized__isnull=False)


@dataclass(frozen=True, slots=True)
class Live:
    """What a model forecast of one symbol, against what came and against the rule."""

    symbol: str
    asked: int
    fell_back: int
    known: int  # forecasts whose outcome is known
    loss: float | None  # mean squared error of log RV
    rule_loss: float | None
    covered: float | None  # fraction of outcomes between the two quantiles

    @property
    def skill_text(self) -> str:
        """How much less it lost than the rule."""
        if self.loss is None or not self.rule_loss:
            return UNKNOWN
        return f"{signed(100 * (1 - self.loss / self.rule_loss), 1)} %"

    @property
    def loss_text(self) -> str:
        """Its loss."""
        return plain(self.loss, 4)

    @property
    def rule_loss_text(self) -> str:
        """The loss of the rule."""
        return plain(self.rule_loss, 4)

    @property
    def covered_text(self) -> str:
        """The share between the quantiles."""
        return percent(self.covered, 1)

    @property
    def fell_back_text(self) -> str:
        """How often the rule was used instead."""
        return percent(self.fell_back / self.asked if self.asked else None, 1)


@dataclass(frozen=True, slots=True)
class ModelPage:
    """All of one model."""

    card: Card
    facts: Sequence[tuple[str, str]]
    evaluation: Evaluation
    findings: Sequence[Finding]
    baselines: Sequence[tuple[str, str]]  # name, skill with its interval
    live: Sequence[Live]
    changes: Sequence[ModelChange]
    training: TrainingRun | None

    @property
    def met(self) -> int:
        """How many criteria of the offline gate are met."""
        return sum(one.met for one in self.findings)


def model(digest: str) -> ModelVersion | None:
    """Return one model with its training."""
    return ModelVersion.objects.select_related("training").filter(digest=digest).first()


def model_page(version: ModelVersion, now: datetime) -> ModelPage:
    """Return one model in full, in four queries."""
    health = list(ModelHealth.objects.filter(version=version))
    evaluation = read_evaluation(version.evaluation, version.name)
    took = latencies(now, [version.pk]).get(version.pk)
    return ModelPage(
        card=card_of(version, health, took),
        facts=_facts(version.card, version.evaluation is not None),
        evaluation=evaluation,
        findings=judge(read_evidence(_evidence(version))) if version.evaluation is not None else (),
        baselines=[(one.name, interval_text(one.skill)) for one in evaluation.baselines],
        live=_live(version),
        changes=list(version.changes.order_by("-id")),
        training=version.training,
    )


def _evidence(version: ModelVersion) -> Mapping[str, Any]:
    """Return the part of the evaluation with the evidence: of a report of several stages that of this one."""
    told: Mapping[str, Any] = version.evaluation or {}
    stages = [one for one in told.get("stages") or () if isinstance(one, Mapping) and one.get("name") == version.name]
    return next(iter(stages), told)


def forecasts(version: ModelVersion) -> list[ModelForecast]:
    """Return the newest forecasts whose outcome is known, oldest first, of the symbol that has most."""
    rows = version.forecasts.filter(realized__isnull=False, log_rv__isnull=False)
    most = rows.values_list("symbol").annotate(n=Count("id")).order_by("-n", "symbol").first()
    if most is None:
        return []
    return list(rows.filter(symbol=most[0]).order_by("-at")[:FORECASTS_DRAWN])[::-1]


def epochs(run: TrainingRun | None) -> list[Mapping[str, float]]:
    """Return the loss of each epoch of a training, as `Fitted.curve`; none where it was not kept."""
    told = run.curves.get("epochs") if run is not None and run.curves is not None else None
    rows = told if isinstance(told, list) else []
    return [row for row in rows if isinstance(row, Mapping) and number(row.get("epoch")) is not None]


def losses_by_day(versions: Sequence[int], since: datetime) -> list[tuple[int, datetime, float, float]]:
    """Return (version, day, mean loss, mean loss of the rule) since then, of forecasts whose outcome is known."""
    rows = ModelForecast.objects.filter(KNOWN, version__in=versions, at__gt=since)
    days = rows.annotate(day=TruncDay("at", tzinfo=UTC)).values("version", "day")
    found = days.annotate(ours=Avg(_LOSS), rules=Avg(_RULE_LOSS)).order_by("version", "day")
    return list(found.values_list("version", "day", "ours", "rules"))


def _live(version: ModelVersion) -> list[Live]:
    inside = Q(realized__gte=F("low"), realized__lte=F("high"))
    ranged = Q(realized__isnull=False, low__isnull=False, high__isnull=False)
    rows = version.forecasts.values("symbol").annotate(
        asked=Count("id"),
        fell=Count("id", filter=~Q(fault="")),
        n=Count("id", filter=KNOWN),
        ours=Avg(_LOSS, filter=KNOWN),
        rules=Avg(_RULE_LOSS, filter=KNOWN),
        inside=Count("id", filter=ranged & inside),
        ranged=Count("id", filter=ranged),
    )
    names = ("symbol", "asked", "fell", "n", "ours", "rules", "inside", "ranged")
    return [_line(*row) for row in rows.values_list(*names).order_by("symbol")]


def _line(
    symbol: str, asked: int, fell: int, known: int, loss: float | None, rules: float | None, inside: int, ranged: int
) -> Live:
    return Live(symbol, asked, fell, known, loss, rules, inside / ranged if ranged else None)


def _facts(card: Mapping[str, Any], is_evaluated: bool) -> list[tuple[str, str]]:
    """Return the lines of the card that people ask for."""
    purge, embargo = (_span(card.get(name)) for name in ("purge_s", "embargo_s"))
    seeds = card.get("seeds") or ()
    return [
        ("Parameters", _counted(card.get("parameters"))),
        ("Mode", f"{card.get('mode', UNKNOWN)}, {_counted(card.get('window'))} bars of {_span(card.get('bar_s'))}"),
        ("Tells", ", ".join(card.get("outputs") or ()) or UNKNOWN),
        ("Features", f"{len(card.get('features') or ())}, schema {str(card.get('schema', UNKNOWN))[:12]}"),
        ("Trained on", f"{card.get('data', UNKNOWN)}: {' '.join(card.get('symbols') or ()) or UNKNOWN}"),
        ("Data from", f"{_day(card.get('trained_from_ns'))} to {_day(card.get('trained_until_ns'))}"),
        ("Purge, embargo", f"{purge}, {embargo}"),
        ("Seeds", f"{len(seeds)}"),
        ("Trials counted", _counted(card.get("trials"))),
        ("Quick", "yes: it shows that the way works, no claim of skill" if card.get("quick", True) else "no"),
        ("Evaluated", "yes" if is_evaluated else "not yet: ./console evaluate does it"),
        ("Deadline", f"{card.get('deadline_ms', UNKNOWN)} ms a bar"),
        ("Last bar at most", f"{_span(card.get('ttl_s'))} old"),
        ("Parity of the export", f"{card.get('parity', UNKNOWN)}"),
        ("Made", str(card.get("made_at", UNKNOWN))[:19]),
    ]


def _counted(raw: object) -> str:
    return f"{raw:,}" if isinstance(raw, int) else UNKNOWN


def _span(raw: object) -> str:
    if not isinstance(raw, int):
        return UNKNOWN
    return in_words(timedelta(seconds=raw)) if raw > 0 else "none"


def _day(raw: object) -> str:
    if not isinstance(raw, int) or not 0 <= raw < 4_102_444_800_000_000_000:
        return UNKNOWN
    return f"{datetime.fromtimestamp(raw / 1e9, UTC):%Y-%m-%d}"

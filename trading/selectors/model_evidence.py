"""What was measured of a model for its promotion, and how one that forecasts does now."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import nan
from typing import Final

import numpy as np
from django.db.models import Count, Q, QuerySet, Sum

from trading.domain import model_scores
from trading.domain.alarms import OF_STRANGERS
from trading.domain.events import Severity
from trading.domain.learned import Fault
from trading.domain.model_scores import Forecasts, Measure, Reading
from trading.domain.model_states import RUNNING, Condition, ModelState
from trading.models import Alert, ModelChange, ModelForecast, ModelHealth, ModelReplay, ModelVersion
from trading.selectors import model_conduct

DAY: Final = timedelta(days=1)
BAR_S: Final = 300  # where a card does not say
RECENT: Final = timedelta(days=7)  # how far back the loss is watched
NOT_ITS_OWN: Final = (Fault.WARMING, Fault.HALTED)  # no answer was due

Readings = Mapping[Measure, Reading]


def running() -> list[ModelVersion]:
    """Return every model that forecasts."""
    return list(ModelVersion.objects.filter(state__in=[state.value for state in RUNNING]).order_by("id"))


def find(digest: str) -> ModelVersion | None:
    """Return the model with this digest."""
    return ModelVersion.objects.filter(digest=digest).first()


def champion() -> ModelVersion | None:
    """Return the model that every symbol heeds, None where the rule grid trades alone."""
    return ModelVersion.objects.filter(state=ModelState.CHAMPION).first()


def changes(version: ModelVersion) -> list[ModelChange]:
    """Return every move of the model, the newest first."""
    return list(ModelChange.objects.filter(version=version).order_by("-id"))


def offline(version: ModelVersion) -> Readings:
    """Return what the machine said before any forecast was made."""
    passed = ModelChange.objects.filter(version=version, after=ModelState.OFFLINE_PASS).order_by("-id").first()
    quick = version.card.get("quick")
    full = None if not isinstance(quick, bool) else float(not quick)
    return {
        Measure.OFFLINE: Reading(1.0, 1, passed.why) if passed else Reading(None, 0, "the offline gate was not passed"),
        Measure.FULL: Reading(full, 1, "a quick training proves plumbing only" if quick else "trained in full"),
    }


def shadow(version: ModelVersion, since: datetime, at: datetime) -> Readings:
    """Return what the forecasts of `version` since `since` came to."""
    rows = _forecasts(version, since, at)
    best = champion()
    held_against, against = (None, "the rule") if best is None or best.pk == version.pk else (best, f"{best.name}")
    found = _scored(rows, held_against)
    asked, fell_back = _asked(rows)
    return {
        Measure.DAYS: _days(since, at),
        Measure.HOURS: model_scores.scored_hours(found),
        Measure.SKILL: model_scores.skill(found, against),
        Measure.COVERAGE: model_scores.covered(found),
        Measure.FALLBACK: model_scores.rate(fell_back, asked, "bars were the rule's"),
        Measure.CRITS: _crits(since, at),
        Measure.FEATURES: _features(version, since),
    }


def canary(version: ModelVersion, since: datetime, at: datetime) -> Readings:
    """Return what the canary came to since `since`: its own forecasts, and the desks on its symbol."""
    asked, fell_back = _asked(_forecasts(version, since, at))
    return {
        Measure.DAYS: _days(since, at),
        Measure.FALLBACK: model_scores.rate(fell_back, asked, "bars were the rule's"),
        Measure.CRITS: _crits(since, at),
        **model_conduct.readings(version.canary_symbol, since, at),
    }


def condition(version: ModelVersion, at: datetime) -> Condition:
    """Return how `version` does at `at`."""
    health = list(ModelHealth.objects.filter(version=version).order_by("symbol"))
    seen = max((row.seen_at for row in health), default=None)
    asked, fell_back = _asked(_forecasts(version, max(at - DAY, version.state_since), at))
    since = max(at - RECENT, version.state_since)
    skill = model_scores.skill(_scored(_forecasts(version, since, at), None), "the rule")
    crits = _crit_alerts(version.state_since, at).values_list("code", flat=True)
    return Condition(
        psi=max((row.psi for row in health if row.psi is not None), default=None),
        loss_drift=max((row.loss_drift for row in health if row.loss_drift is not None), default=None),
        asked=asked,
        fell_back=fell_back,
        faults=tuple(f"{row.symbol}: {row.fault}" for row in health if row.fault and row.fault not in NOT_ITS_OWN),
        silent_s=None if seen is None else (at - seen).total_seconds(),
        bar_s=int(version.card.get("bar_s", BAR_S)),
        crits=tuple(crits),
        t_rule=skill.value,
    )


# --- forecasts ----------------------------------------------------------------------------------------------------


def _forecasts(version: ModelVersion, since: datetime, at: datetime) -> "QuerySet[ModelForecast]":
    return ModelForecast.objects.filter(version=version, at__gte=since, at__lte=at)


def _asked(rows: "QuerySet[ModelForecast]") -> tuple[int, int]:
    due = rows.exclude(fault__in=NOT_ITS_OWN).aggregate(asked=Count("id"), fell=Count("id", filter=~Q(fault="")))
    return due["asked"], due["fell"]


def _scored(rows: "QuerySet[ModelForecast]", against: ModelVersion | None) -> Forecasts:
    """Return the forecasts whose outcome is known, beside what `against` (None: the rule) said of the same bar."""
    known = rows.filter(realized__isnull=False, log_rv__isnull=False).order_by("at", "symbol")
    names = ("symbol", "at", "log_rv", "rule_log_rv", "low", "high", "realized")
    other = _said(against, rows) if against is not None else None
    found = [
        (at.timestamp(), said, rule if other is None else other.get((symbol, at)), low, high, came)
        for symbol, at, said, rule, low, high, came in known.values_list(*names)
    ]
    both = [row for row in found if row[2] is not None]
    table = np.array([[nan if cell is None else cell for cell in row] for row in both]).reshape(-1, 6)
    return Forecasts(table[:, 0].astype(np.int64), *(table[:, column] for column in range(1, 6)))


def _said(version: ModelVersion, rows: "QuerySet[ModelForecast]") -> dict[tuple[str, datetime], float]:
    same = ModelForecast.objects.filter(version=version, log_rv__isnull=False, at__in=rows.values("at"))
    return {(symbol, at): said for symbol, at, said in same.values_list("symbol", "at", "log_rv") if said is not None}


def _features(version: ModelVersion, since: datetime) -> Reading:
    replays = ModelReplay.objects.filter(version=version, since__gte=since)
    found = replays.aggregate(of=Sum("compared"), same=Sum("equal"))
    if not found["of"]:
        return Reading(None, 0, "no replay of the recorded market was held against it yet")
    return model_scores.rate(found["same"], found["of"], "forecasts read bit for bit what the replay reads")


def _days(since: datetime, at: datetime) -> Reading:
    days = max(at - since, timedelta()) / DAY
    return Reading(days, 1, f"since {since:%Y-%m-%d %H:%M} UTC")


def _crit_alerts(since: datetime, at: datetime) -> "QuerySet[Alert]":
    found = Alert.objects.filter(severity=Severity.CRIT, at__gte=since, at__lte=at)
    return found.exclude(code__in=OF_STRANGERS).order_by("id")


def _crits(since: datetime, at: datetime) -> Reading:
    codes = sorted(set(_crit_alerts(since, at).values_list("code", flat=True)))
    return Reading(float(len(codes)), 1, ", ".join(codes) or "none of any account")

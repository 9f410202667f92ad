"""Models as a training registers them, and forecasts as their loop stores them."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from trading.domain.model_states import ModelState
from trading.models import ModelChange, ModelForecast, ModelHealth, ModelVersion

BEGIN: Final = datetime(2026, 11, 1, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)


def model(number: int, state: ModelState = ModelState.REGISTERED, *, at: datetime = BEGIN, **more: Any) -> ModelVersion:
    """Return a model that is in `state` since `at`."""
    facts: dict[str, Any] = {"card": {"quick": False, "bar_s": 300}, "stage": 0, "registered_by": "engineer"}
    return ModelVersion.objects.create(
        digest=f"{number:08x}{number:056x}", name=f"net{number}", state=state, registered_at=at, state_since=at,
        **facts | more,
    )  # fmt: skip


def succeeded(old: ModelVersion, at: datetime = BEGIN) -> None:
    """Say that `old` was the champion and retired for another one."""
    ModelChange.objects.create(version=old, before="CHAMPION", after="RETIRED", by="cto", why="another one", at=at)


def forecasts(
    version: ModelVersion, hours: int, *, error: float = 0.1, rule: float = 0.3, since: datetime = BEGIN,
    step: int = 12, symbols: tuple[str, ...] = ("BTCUSDT",), fault_every: int = 0, covered: float = 0.8,
) -> datetime:  # fmt: skip
    """Store `step` forecasts an hour that are wrong by about `error`, the rule by about `rule`; return their end."""
    rows, count = [], hours * step
    for number in range(count):
        came = 0.5 * ((number * 7919) % 101) / 101
        wobble = 1 + 0.2 * (((number // step) * 31) % 7 - 3) / 3  # hours differ, so that a difference has a spread
        inside = (number % 10) < 10 * covered
        low, high = (came - 1, came + 1) if inside else (came + 1, came + 2)
        failed = bool(fault_every) and number % fault_every == 0
        rows += [
            ModelForecast(
                version=version, symbol=symbol, at=since + number * HOUR / step,
                log_rv=None if failed else came + error * wobble,
                low=low, high=high, rule_log_rv=came - rule * wobble, fault="late" if failed else "", took_us=90,
                features_sha256="0" * 64, realized=came,
            )
            for symbol in symbols
        ]  # fmt: skip
    ModelForecast.objects.bulk_create(rows)
    return since + hours * HOUR


def health(version: ModelVersion, at: datetime, **more: Any) -> ModelHealth:
    """Say how a model does on BTCUSDT."""
    facts: dict[str, Any] = {"psi": 0.02, "loss_drift": 0.1, "since": at, "seen_at": at, "bars": 500} | more
    made, _ = ModelHealth.objects.update_or_create(version=version, symbol="BTCUSDT", defaults=facts)
    return made

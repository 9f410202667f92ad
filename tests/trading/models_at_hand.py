"""Models, forecasts and trainings for tests, made as the registry and the model loop would make them."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from trading.models import ModelChange, ModelForecast, ModelHealth, ModelVersion, TrainingRun

NOW: Final = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FEATURES: Final = ("r1", "rv1", "rv12")
CARD: Final[dict[str, Any]] = {
    "name": "lstm", "stage": 0, "parameters": 8_770, "hyper": {"hidden": 32}, "outputs": ["log_rv", "log_rv_q"],
    "mode": "window", "schema": "5" * 64, "features": list(FEATURES), "bar_s": 300, "window": 64,
    "horizons_s": [3_600, 14_400, 86_400], "symbols": ["BTCUSDT", "ETHUSDT"], "data": "shipped bars",
    "data_sha256": "d" * 64, "trained_from_ns": 1_746_835_200_000_000_000,
    "trained_until_ns": 1_747_353_600_000_000_000, "purge_s": 86_400, "embargo_s": 86_400, "seeds": [0, 1, 2, 3, 4],
    "trials": 12, "quick": False, "deadline_ms": 5.0, "ttl_s": 600, "parity": 2e-7, "mean": [0.0, 0.0, 0.0],
    "spread": [1.0, 1.0, 1.0], "bins": [[float(k) for k in range(9)]] * 3, "log_rv": [-10.0, 1.0],
    "versions": {"torch": "2.13.0"}, "made_at": "2026-11-20T12:00:00+00:00", "parent": "",
}  # fmt: skip


def digest_of(number: int) -> str:
    """Return the digest of the model of this number."""
    return sha256(str(number).encode()).hexdigest()


def model(number: int = 1, state: str = "REGISTERED", **changes: Any) -> ModelVersion:
    """Keep one model; `card` changes single fields of its card."""
    card = CARD | changes.pop("card", {})
    facts = {
        "digest": digest_of(number), "name": card["name"], "stage": card["stage"], "card": card,
        "state": state, "registered_by": "engineer", "registered_at": NOW, "state_since": NOW,
    }  # fmt: skip
    return ModelVersion.objects.create(**facts | changes)


def health(version: ModelVersion, symbol: str = "BTCUSDT", **changes: Any) -> ModelHealth:
    """Keep how a model does on one symbol."""
    return ModelHealth.objects.create(version=version, symbol=symbol, **{"since": NOW, "seen_at": NOW} | changes)


def forecasts(version: ModelVersion, days: int, *, off: float, rule_off: float, until: datetime = NOW) -> None:
    """Keep two forecasts a day, off by so much from what came, to both sides."""
    ModelForecast.objects.bulk_create(
        ModelForecast(
            version=version, symbol="BTCUSDT", at=until - timedelta(days=day, hours=1 + 2 * part), took_us=20 + part,
            log_rv=-10 + (off if part else -off), low=-11, high=-9, rule_log_rv=-10 + (rule_off if part else -rule_off),
            realized=-10, features_sha256="f" * 64,
        )
        for day in range(days) for part in range(2)
    )  # fmt: skip


def change(version: ModelVersion, before: str, after: str, why: str) -> ModelChange:
    """Keep that a model moved."""
    return ModelChange.objects.create(version=version, before=before, after=after, by="cto", why=why, at=NOW)


def training(state: str = "DONE", **changes: Any) -> TrainingRun:
    """Keep one training."""
    facts: dict[str, Any] = {
        "stage": 0, "settings": {"stage": 0, "data": "shipped", "symbols": ["BTCUSDT"], "quick": True}, "state": state,
        "asked_by": "engineer", "asked_at": NOW, "began_at": NOW,
    }  # fmt: skip
    if state in ("DONE", "FAILED", "CANCELED"):
        facts["ended_at"] = NOW + timedelta(hours=1)
    return TrainingRun.objects.create(**facts | changes)

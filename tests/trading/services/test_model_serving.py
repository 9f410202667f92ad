"""Who serves, what happens to files that were tampered with, and the rows of what models say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.trading.tiny_card import card
from tests.trading.tiny_model import files
from trading.domain.learned import Fault, ModelFault
from trading.domain.model_roster import Batch, Came, Heard
from trading.models import Account, Halt, ModelForecast, ModelHealth, ModelVersion
from trading.services import model_registry, model_serving, samples

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def root(settings: Settings, tmp_path: Path) -> Path:
    settings.ARTIFACTS_DIR = tmp_path / "store"
    return tmp_path / "store"


@pytest.fixture
def version() -> ModelVersion:
    found = model_registry.register(files(), by="cto", at=NOW)
    ModelVersion.objects.update(state="SHADOW")
    return found


def heard(version: ModelVersion, minute: int, fault: str = "") -> Heard:
    at, said = NOW + minute * MINUTE, (-9.0, -10.0, -8.0, 0.1, -9.1)
    return Heard(
        version.pk, "BTCUSDT", at, fault, fault, *said, 80, "ab", psi=0.1, loss_drift=None, bars=minute, fallbacks=0
    )


@pytest.mark.parametrize("state", ModelVersion.State.values)
def test_champion_canary_and_shadow_serve_and_nobody_else(version: ModelVersion, state: str) -> None:
    ModelVersion.objects.update(state=state)

    found = model_serving.roster()

    assert [one.digest for one in found.members] == (
        [version.digest] if state in {"CHAMPION", "CANARY", "SHADOW"} else []
    )


def test_a_card_that_cannot_be_read_serves_nobody(version: ModelVersion) -> None:
    ModelVersion.objects.update(card={"name": "line"})

    assert model_serving.roster().members == ()


def test_everything_is_halted_when_every_account_is(version: ModelVersion) -> None:
    one, other = (Account.objects.create(slug=slug, name=slug) for slug in ("one", "other"))
    assert not model_serving.roster().is_halted
    for account, expected in ((one, False), (other, True)):
        Halt.objects.create(account=account, requested_by="x", reason="x", latched_at=NOW)
        assert model_serving.roster().is_halted is expected


def test_a_sound_model_is_loaded(version: ModelVersion) -> None:
    (member,) = model_serving.roster().members

    loaded = model_serving.load(member, at=NOW)

    assert not isinstance(loaded, ModelFault)
    assert loaded.card == card()


def test_files_that_were_tampered_with_are_refused_for_good(version: ModelVersion, root: Path) -> None:
    (member,) = model_serving.roster().members
    path = root / "models" / version.digest / "model.onnx"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b" ")

    found = model_serving.load(member, at=NOW)

    assert isinstance(found, ModelFault)
    assert found.fault is Fault.MISMATCH
    version.refresh_from_db()
    assert version.state == "REFUSED"
    assert "hash mismatch" in version.why
    assert model_serving.roster().members == ()


def test_a_store_that_cannot_be_asked_refuses_nobody(version: ModelVersion, settings: Settings) -> None:
    (member,) = model_serving.roster().members
    settings.ARTIFACTS_S3 = {"bucket": "b", "endpoint": "http://127.0.0.1:9", "key": "k", "secret": "s", "region": ""}

    found = model_serving.load(member, at=NOW)

    assert isinstance(found, ModelFault)
    assert found.fault is Fault.MISSING
    version.refresh_from_db()
    assert version.state == "SHADOW"


def test_what_is_said_is_stored_once_and_what_came_of_it_is_added(version: ModelVersion) -> None:
    model_serving.store(Batch([heard(version, 0), heard(version, 1)]), at=NOW)
    model_serving.store(Batch([heard(version, 1)], [Came(version.pk, "BTCUSDT", NOW, -8.5)]), at=NOW)

    rows = list(ModelForecast.objects.order_by("at").values_list("log_rv", "rule_log_rv", "low", "high", "realized"))
    assert rows == [(-9.0, -9.1, -10.0, -8.0, -8.5), (-9.0, -9.1, -10.0, -8.0, None)]


def test_where_the_rule_spoke_the_forecast_is_empty(version: ModelVersion) -> None:
    model_serving.store(Batch([heard(version, 0, Fault.DRIFT)]), at=NOW)

    row = ModelForecast.objects.get()
    assert (row.log_rv, row.low, row.high, row.trend, row.fault) == (None, None, None, None, "drift")


def test_health_says_since_when(version: ModelVersion) -> None:
    for minute, fault in enumerate(("", "", Fault.LATE, Fault.LATE)):
        model_serving.store(Batch([heard(version, minute, fault)]), at=NOW + minute * MINUTE)

    row = ModelHealth.objects.get()
    assert (row.fault, row.since, row.seen_at, row.bars) == ("late", NOW + 2 * MINUTE, NOW + 3 * MINUTE, 3)


def test_rows_of_a_model_that_is_gone_are_left_out(version: ModelVersion) -> None:
    gone = replace(heard(version, 0), version=version.pk + 1)

    model_serving.store(Batch([gone, heard(version, 1)]), at=NOW)

    assert ModelForecast.objects.count() == 1


def test_what_models_said_is_kept_for_sixty_days(version: ModelVersion) -> None:
    model_serving.store(Batch([heard(version, 0), heard(version, 1)]), at=NOW)

    gone = samples.prune(at=NOW + timedelta(days=60) + MINUTE)

    assert gone["forecasts"] == 1
    assert ModelForecast.objects.get().at == NOW + MINUTE

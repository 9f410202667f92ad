"""What a model read live is held, bit for bit, against a replay of the market that was recorded meanwhile."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np
import pytest
from django.db import connection
from pytest_django import Settings

from tests.trading.model_cast import model
from tests.trading.services.test_recorded_bars import BEGIN_NS, LOT, MINUTE_NS, TICK, keep
from trading.adapters.recorder import TapeRecorder
from trading.domain.bar_features import BarFeatures
from trading.domain.bars import BarMaker
from trading.domain.history import Steps
from trading.domain.market import Trade
from trading.domain.model_states import ModelState
from trading.models import ModelForecast, ModelReplay, ModelVersion
from trading.services import model_replays, recordings

pytestmark = pytest.mark.django_db
MINUTES = 30 * 60
BEGIN = datetime.fromtimestamp(BEGIN_NS / 1e9, UTC)
END = BEGIN + timedelta(minutes=MINUTES)


@pytest.fixture
def recorder(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TapeRecorder:
    settings.MARKET_STORE_DIR = tmp_path / "market"
    monkeypatch.setattr(connection, "close", lambda: None)
    steps = {"BTCUSDT": Steps(TICK, LOT, "instrument")}
    return TapeRecorder(save=lambda t: recordings.keep(t, venue="simulator", steps=steps), symbols=("BTCUSDT",))


def market() -> list[Trade]:
    chance = Random(1)
    return [
        Trade("BTCUSDT", 5_000 + chance.randrange(99), chance.randrange(1, 50), buyer_is_maker=False, trade_id=n,
              venue_at_ns=0, received_at_ns=BEGIN_NS + n * MINUTE_NS // 2)
        for n in range(2 * MINUTES)
    ]  # fmt: skip


def forecast_live(version: ModelVersion, trades: list[Trade]) -> int:
    """Store what a loop would of every bar whose features are known; return how many those are."""
    maker, features, rows = BarMaker(MINUTE_NS), BarFeatures(60), []
    for trade in trades[2:]:  # the first minute of a recording is no whole bar
        bar = maker.observe(
            trade.price_ticks * float(TICK), trade.received_at_ns, trade.quantity_lots * float(LOT)
        )  # fmt: skip
        row = features.observe(bar) if bar is not None else None
        if row is not None and row.known:
            read = sha256(row.x.tobytes() + np.float32(row.known).tobytes()).hexdigest()
            at = datetime.fromtimestamp(row.at_ns / 1e9, UTC)
            rows.append(ModelForecast(version=version, symbol="BTCUSDT", at=at, took_us=9, features_sha256=read))
    ModelForecast.objects.bulk_create(rows)
    return len(rows)


@pytest.fixture
def shadow(recorder: TapeRecorder) -> ModelVersion:
    trades = market()
    keep(recorder, trades)
    version = model(1, ModelState.SHADOW, at=BEGIN, card={"quick": False, "bar_s": 60})
    assert forecast_live(version, trades) > 300
    return version


def held(at: datetime) -> list[tuple[int, int]]:
    """Hold everything until nothing is left; return (compared, equal) of each."""
    while model_replays.hold_all(at):
        pass
    return [(one.compared, one.equal) for one in ModelReplay.objects.order_by("id")]


def test_what_was_read_live_is_what_a_replay_reads(shadow: ModelVersion) -> None:
    parts = held(END + timedelta(hours=1))

    compared = sum(part[0] for part in parts)
    assert compared == sum(part[1] for part in parts)
    assert compared >= ModelForecast.objects.count() - 2  # the last bar of a recording is no whole one
    spans = ModelReplay.objects.order_by("id").values_list("since", "until")
    assert [since for since, _ in spans] == [BEGIN, *(until for _, until in list(spans)[:-1])]


def test_one_bit_that_differs_is_counted(shadow: ModelVersion) -> None:
    other = ModelForecast.objects.order_by("at")[10]
    ModelForecast.objects.filter(pk=other.pk).update(features_sha256="f" * 64)

    parts = held(END + timedelta(hours=1))

    assert sum(compared - equal for compared, equal in parts) == 1


def test_without_a_recording_nothing_is_said(recorder: TapeRecorder) -> None:
    version = model(1, ModelState.SHADOW, at=BEGIN, card={"quick": False, "bar_s": 60})
    ModelForecast.objects.create(
        version=version, symbol="BTCUSDT", at=BEGIN + timedelta(hours=1), took_us=9, features_sha256="f" * 64
    )

    assert held(BEGIN + timedelta(hours=7)) == []
    assert held(BEGIN + timedelta(days=2)) == [(0, 0)]  # a whole day without any is stepped over

"""Bars of what was recorded are those the model loop made of the same trades, as far as they are whole."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from trading.adapters.recorder import TapeRecorder
from trading.domain.bars import SECOND_NS, Bar, BarMaker, Bars
from trading.domain.history import Steps
from trading.domain.market import Trade
from trading.services import recorded_bars, recordings

pytestmark = pytest.mark.django_db
BEGIN_NS = 1_723_075_200 * SECOND_NS  # 2024-08-08
MINUTE_NS = 60 * SECOND_NS
TICK, LOT = Decimal("0.01"), Decimal("0.001")


def trades(minutes: int) -> list[Trade]:
    chance = Random(0)
    times = sorted(BEGIN_NS + chance.randrange(minutes * MINUTE_NS) for _ in range(minutes * 9))
    prices = [(5_000 + chance.randrange(99), chance.randrange(1, 50)) for _ in times]
    return [
        Trade("BTCUSDT", *price, buyer_is_maker=False, trade_id=n, venue_at_ns=0, received_at_ns=at)
        for n, (price, at) in enumerate(zip(prices, times, strict=True))
    ]


@pytest.fixture
def recorder(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TapeRecorder:
    settings.MARKET_STORE_DIR = tmp_path / "market"
    monkeypatch.setattr(connection, "close", lambda: None)
    steps = {"BTCUSDT": Steps(TICK, LOT, "instrument")}
    return TapeRecorder(save=lambda t: recordings.keep(t, venue="simulator", steps=steps), symbols=("BTCUSDT",))


def keep(recorder: TapeRecorder, found: list[Trade], reason: str = "start") -> None:
    recorder.mark(reason, found[0].received_at_ns)
    recorder.keep(found)
    recorder.step()
    recorder.flush()


def live(found: list[Trade]) -> list[Bar]:
    maker = BarMaker(MINUTE_NS)
    bars = [maker.observe(t.price_ticks * float(TICK), t.received_at_ns, t.quantity_lots * float(LOT)) for t in found]
    return [bar for bar in bars if bar is not None]


def as_bars(found: Bars | None) -> list[Bar]:
    assert found is not None
    columns = (found.at_ns, found.open, found.high, found.low, found.close, found.volume)
    return [Bar(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def near(one: Bar, other: Bar) -> bool:
    return replace(one, volume=0.0) == replace(other, volume=0.0) and one.volume == pytest.approx(other.volume)


def test_bars_of_today_are_those_made_live(recorder: TapeRecorder) -> None:
    found = trades(40)
    keep(recorder, found)

    stored = as_bars(recorded_bars.bars("BTCUSDT", 60, 0, 2**62))

    assert len(stored) == 38
    assert all(near(*pair) for pair in zip(stored, live(found), strict=True))


def test_bars_of_a_day_that_is_over_are_the_same(
    recorder: TapeRecorder, django_capture_on_commit_callbacks: Any
) -> None:
    found = trades(40)
    keep(recorder, found)
    today = as_bars(recorded_bars.bars("BTCUSDT", 60, 0, 2**62))

    with django_capture_on_commit_callbacks(execute=True):
        recordings.tend(datetime(2024, 8, 9, 12, 0, tzinfo=UTC))

    assert as_bars(recorded_bars.bars("BTCUSDT", 60, 0, 2**62)) == today


def test_no_bar_spans_a_seam(recorder: TapeRecorder) -> None:
    found = trades(40)
    seam = BEGIN_NS + 20 * MINUTE_NS + MINUTE_NS // 2
    keep(recorder, [t for t in found if t.received_at_ns < seam])
    keep(recorder, [t for t in found if t.received_at_ns >= seam], "gap")

    stored = as_bars(recorded_bars.bars("BTCUSDT", 60, 0, 2**62))

    missing = {bar.at_ns for bar in live(found)} - {bar.at_ns for bar in stored}
    assert missing == {BEGIN_NS + 21 * MINUTE_NS}


def test_where_nothing_was_recorded_there_are_none(recorder: TapeRecorder) -> None:
    assert recorded_bars.bars("BTCUSDT", 60, 0, 2**62) is None
    keep(recorder, trades(3))
    assert recorded_bars.bars("ETHUSDT", 60, 0, 2**62) is None
    assert recorded_bars.bars("BTCUSDT", 60, 0, 1) is None

"""The model loop in this installation: a registered model is loaded, asked, heard by the grids, its rows stored."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.trading.runtime.model_desk import LOT, SYMBOL, TICK, Clock
from tests.trading.tiny_card import card, shipped_like
from tests.trading.tiny_model import files
from trading import model_parts
from trading.adapters.bus_inprocess import InProcessBus
from trading.domain.advice import ASSUMED_MARK_OUT, Facts, GridAdvice, advise
from trading.domain.bars import Bars
from trading.domain.events import AdviceChanged
from trading.domain.instruments import Instrument
from trading.domain.learned import ModelOutput
from trading.domain.market import Trade
from trading.models import ModelForecast, ModelHealth, ModelVersion
from trading.runtime.learned import LearnedForecasts
from trading.runtime.threads import DatabaseThread
from trading.services import model_registry
from trading.services.demo import load_demo

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BARS = shipped_like(1_440 + 302)


async def nothing() -> None: ...


async def listed() -> dict[str, Instrument]:
    return {SYMBOL: Instrument(SYMBOL, "BTC", "USDT", _decimal(TICK), _decimal(LOT), _decimal(5))}


def _decimal(value: float) -> Decimal:
    return Decimal(str(value))


@pytest.fixture
def champion(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelVersion:
    settings.ARTIFACTS_DIR = tmp_path / "store"
    load_demo(at=NOW)
    found = model_registry.register(files(said=card(mode="step")), by="cto", at=NOW)
    ModelVersion.objects.filter(pk=found.pk).update(state="CHAMPION")

    def recorded(symbol: str, bar_s: int, now_ns: int) -> Bars:
        return BARS.between(0, now_ns + 1)

    monkeypatch.setattr(model_parts, "recorded_bars", recorded)
    return found


async def test_a_champion_of_the_registry_is_heard_by_the_grids(
    champion: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = list[Facts]()

    def spied(output: ModelOutput, facts: Facts) -> GridAdvice:
        known.append(facts)
        return advise(output, facts)

    monkeypatch.setattr("trading.runtime.learned.advise", spied)
    clock, bus = Clock(int(BARS.at_ns[-3])), InProcessBus()
    rows, loads = DatabaseThread("rows"), DatabaseThread("loads")
    parts = model_parts.parts(rows=rows, loads=loads, listed=listed, clock=clock)
    learned = LearnedForecasts(parts=parts, bus=bus, clock=clock, on_close=nothing)
    heard = bus.subscribe("advice")
    try:
        await learned.refresh()
        for bar in (-2, -1):
            for quarter, prices in enumerate((BARS.open, BARS.high, BARS.low, BARS.close), -4):
                clock.now = int(BARS.at_ns[bar]) + quarter * 15_000_000_000
                ticks, lots = round(float(prices[bar]) / TICK), round(float(BARS.volume[bar]) / 4 / LOT)
                learned.observe([Trade(SYMBOL, ticks, lots, False, bar, 0, clock.now)])
        clock.now = int(BARS.at_ns[-1])
        await learned.look()
        await learned.answer_all()
        await learned.store_all()
        async with asyncio.timeout(5):
            _, told = await anext(heard)
        row, health = await rows.run(ModelForecast.objects.last), await rows.run(ModelHealth.objects.get)
    finally:
        await learned.close()
        await rows.close()
        await loads.close()

    assert row is not None
    assert isinstance(told, AdviceChanged)
    assert told.advice is not None, row.fault
    assert told.advice.model == champion.digest
    assert (row.fault, row.log_rv is not None, row.symbol) == ("", True, SYMBOL)
    assert health.fault == ""
    assert known[-1].usual_log_rv == champion.card["log_rv"][0]


def test_the_grids_of_a_symbol_are_told_with_their_costs(champion: ModelVersion) -> None:
    facts = model_parts.grid_facts(NOW)

    assert SYMBOL in facts
    assert facts[SYMBOL].slots > 0
    assert 0.0001 < facts[SYMBOL].fee_fraction < 0.001
    assert facts[SYMBOL].mark_out_fraction is None


@pytest.mark.parametrize(
    ("mark_outs", "counts"),
    [
        ((None, None), None),
        ((0.0002, None), ASSUMED_MARK_OUT),
        ((-0.0009, None), -0.0009),
        ((0.0001, 0.0002), 0.0002),
        ((0.0001, -0.0002), -0.0002),
    ],
)
def test_a_desk_nobody_measured_counts_no_less_than_is_assumed(
    mark_outs: tuple[float | None, ...], counts: float | None
) -> None:
    several = [Facts(0, 0.0002, 8, one) for one in mark_outs]

    assert model_parts._careful(several).mark_out_fraction == counts


def test_the_largest_of_the_smallest_orders_counts() -> None:
    several = [Facts(0, 0.0002, 8, smallest_size_fraction=one) for one in (0.1, 0.4, 0.0)]

    assert model_parts._careful(several).smallest_size_fraction == 0.4


def test_the_smallest_order_is_a_share_of_the_lot_and_a_whole_one_where_it_is_not_known() -> None:
    instrument = Instrument(SYMBOL, "BTC", "USDT", _decimal(TICK), _decimal(LOT), Decimal(5))

    assert model_parts._smallest(Decimal(20), instrument) == 0.25
    assert model_parts._smallest(Decimal(4), instrument) == 1.0
    assert model_parts._smallest(Decimal(20), None) == 1.0
    assert model_parts._smallest(None, instrument) == 1.0

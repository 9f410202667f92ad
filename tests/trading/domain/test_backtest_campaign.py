"""Grids that move are told as any other run: what the driver counted, event by event and trade by trade."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import settings as trials
from hypothesis import strategies as st

from trading.domain import campaign
from trading.domain.backtest_campaign import on_campaign
from trading.domain.backtest_report import report
from trading.domain.backtest_run import Events, tape_of
from trading.domain.backtest_settings import BacktestSettings, UnusableSettings, read, spec_of
from trading.domain.instruments import Instrument
from trading.domain.terms import UnableToRun

COIN = Instrument("COINUSDT", "COIN", "USDT", Decimal("0.01"), Decimal("0.01"), Decimal(1), Decimal("0.01"))
PLAIN: dict[str, Any] = {
    "symbol": "COINUSDT", "levels": "7", "step": "0.01", "lot": "100", "cash": "10000000", "mode": "long",
    "fee_maker": "0.001", "fee_taker": "0.002",
}  # fmt: skip
MOVING: list[dict[str, str]] = [
    {"trail_up_to": "200"},
    {"trail_down_to": "20"},
    {"trail_up_to": "200", "trail_down_to": "20", "mode": "neutral"},
    {"recentre_steps": "1", "carried": "close"},
    {"recentre_steps": "2", "carried": "roll"},
    {"recentre_steps": "1", "mode": "short", "base": "1000"},
    {"reinvest": "0.5", "reinvest_every_s": "20"},
    {"stop": "80", "take_profit": "125"},
    {"skew": "0.4", "resting": "2"},
    {"kind": "infinity", "mode": "neutral", "lower": "60", "lot": "1000"},
    {"kind": "reverse", "mode": "short"},
    {"start_at": "101"},
]


def events(prices: list[int]) -> Events:
    ticks = np.array(prices, dtype=np.int64)
    at_ns = np.arange(len(ticks), dtype=np.int64) * 1_000_000_000
    return Events("COINUSDT", at_ns, np.zeros(len(ticks), dtype=bool), ticks, np.zeros(len(ticks), dtype=np.int64))


def walked(seed: int, steps: int = 400) -> list[int]:
    moves = np.random.default_rng(seed).integers(-60, 61, steps)
    return [int(one) for one in np.clip(10_000 + np.cumsum(moves), 7_500, 13_000)]


def settings_of(**more: str) -> BacktestSettings:
    return read({**PLAIN, **({"step": ""} if "atr_multiple" in more else {}), **more})


@pytest.mark.parametrize("more", MOVING, ids=lambda more: ",".join(f"{k}={v}" for k, v in more.items()))
@trials(deadline=None)  # the first one loads the compiled loop
@given(seed=st.integers(0, 10_000))
def test_the_report_counts_what_the_driver_counts(more: dict[str, str], seed: int) -> None:
    settings = settings_of(**more)
    tape = tape_of(events(walked(seed)), settings)
    try:
        run = on_campaign(tape, settings, COIN)
    except (UnusableSettings, UnableToRun):
        reject()  # a walk that never starts, or that more cash would have been needed for
    found = report(run, points=9).facts
    outcome = _driven(tape, settings).outcome

    counted = {
        "equity": outcome.equity,
        "grid_profit": outcome.grid_profit,
        "fees": outcome.fees,
        "turnover": outcome.turnover * outcome.scale,
    }
    assert {name: Decimal(found[name]) / run.scale for name in counted} == counted
    assert found["round_trips"] == outcome.round_trips
    assert found["fills"] == len(outcome.fills)
    assert int(run.path.lots[-1]) == outcome.lots
    assert sum(row["buys"] + row["sells"] for row in found["per_level"]) == found["fills"]
    assert sum(row["round_trips"] for row in found["per_level"]) == len(run.trips)
    assert run.parked[0] >= 0
    assert run.parked[0] or not run.parked[1]


def _driven(tape: Any, settings: BacktestSettings) -> campaign.Campaign:
    from trading.domain.backtest_campaign import _needed
    from trading.domain.backtest_run import base_lots, terms_of

    spec = spec_of(settings)
    lots = base_lots(settings, COIN, _needed(tape, spec, COIN))
    return campaign.run_campaign(tape, spec, COIN, terms_of(settings, COIN, lots))


def test_a_grid_that_follows_tells_how_many_ladders_it_laid() -> None:
    settings = settings_of(trail_up_to="150")
    rising = [10_000 + 25 * step for step in range(120)]

    found = report(on_campaign(tape_of(events(rising), settings), settings, COIN)).facts

    assert found["ladders"] > 5
    assert any("traded at a bound" in line for line in found_assumptions(settings, rising))


def found_assumptions(settings: BacktestSettings, prices: list[int]) -> tuple[str, ...]:
    return on_campaign(tape_of(events(prices), settings), settings, COIN).assumptions


def test_a_stop_ends_the_run_with_nothing_held() -> None:
    settings = settings_of(stop="90")
    falling = [10_000 - 20 * step for step in range(80)]

    run = on_campaign(tape_of(events(falling), settings), settings, COIN)

    assert run.ended == "stop bound"
    assert int(run.path.lots[-1]) == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"reinvest": "0.5"}, "reinvest_every_s: reinvesting needs a share and an interval"),
        ({"kind": "infinity", "mode": "neutral"}, "lower: an infinity grid needs it"),
        ({"trail_up_to": "200", "recentre_steps": "2"}, "recentre_steps: a grid trails or is laid anew"),
        ({"stop": "99.9", "recentre_steps": "2"}, "stop"),
    ],
)
def test_what_contradicts_itself_is_named_by_its_field(more: dict[str, str], said: str) -> None:
    settings = settings_of(**more)

    with pytest.raises(UnusableSettings) as refused:
        on_campaign(tape_of(events([10_000, 10_010]), settings), settings, COIN)

    assert said in str(refused.value)


def test_the_core_runs_plain_grids_only() -> None:
    with pytest.raises(UnusableSettings, match="stop: cannot be used with engine core"):
        read({"engine": "core", "stop": "1"})

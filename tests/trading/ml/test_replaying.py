"""Advice is lived through week by week by exact books; saying nothing is the plain grid, and dearer costs cost."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.trading.ml.test_evaluation import FEATURES, WALK, data, silent
from trading.domain.contest import Heard
from trading.domain.grid_worlds import Terms
from trading.ml.contenders import simple
from trading.ml.evaluation import walked
from trading.ml.learnable import Learnable
from trading.ml.reinforcement.judging import gains_of
from trading.ml.replaying import Market, advised, market_of, replayed

TERMS = Terms(bars_a_step=1)


@pytest.fixture(scope="module")
def learned() -> Learnable:
    return data(days=180)


@pytest.fixture(scope="module")
def heard(learned: Learnable) -> Heard:
    return walked(learned, simple(FEATURES), replace(WALK, seeds=(0,)), silent)[0]


@pytest.fixture(scope="module")
def market(learned: Learnable, heard: Heard) -> Market:
    return market_of(learned, heard, "ridge")


def test_an_episode_is_a_week_by_the_clock_of_one_symbol(market: Market) -> None:
    assert (market.episodes[:, 1] - market.episodes[:, 0] == 7 * 24 - 1).all()
    assert (market.owner[market.episodes[:, 0]] == market.owner[market.episodes[:, 1]]).all()
    assert len(market.weeks) == 2 * len(set(market.weeks.tolist()))


def test_a_missing_close_or_forecast_takes_its_week_out(learned: Learnable, heard: Heard, market: Market) -> None:
    frame = learned.frames[0]
    close = frame.close.copy()
    close[100 * 24] = np.nan
    holed = replace(learned, frames=(replace(frame, close=close), learned.frames[1]))

    assert len(market_of(holed, heard, "ridge").episodes) == len(market.episodes) - 1
    assert int(market.episodes[0, 0]) >= 20 * 24 - 7 * 24


def test_who_says_nothing_or_calm_trades_the_plain_grid(market: Market) -> None:
    at = market.episodes[:, 0]

    assert not advised(market, np.full_like(market.said, np.nan), 1.0, 0)(at).any()
    assert not advised(market, market.slow - 1, 1.0, 0)(at).any()


def test_the_wilder_it_is_said_to_be_the_wider_and_smaller_and_never_the_reverse(market: Market) -> None:
    at = market.episodes[:, 0]

    half = advised(market, market.slow + 0.5, 1.0, 0)(at)
    whole = advised(market, market.slow + 9, 1.0, 0)(at)

    assert half == pytest.approx(np.tile([0.5, 0, -0.5, 0], (len(at), 1)), abs=1e-6)
    assert whole == pytest.approx(np.tile([1.0, 0, -1.0, 0], (len(at), 1)))


def test_late_advice_is_that_of_the_bar_before(market: Market) -> None:
    at = market.episodes[:, 0] + 5

    assert np.array_equal(advised(market, market.said, 1.0, 2)(at), advised(market, market.said, 1.0, 0)(at - 2))


def test_a_forecast_of_later_changes_no_earlier_week(market: Market) -> None:
    edge = int(market.episodes[3, 0])
    later = market.said.copy()
    later[edge:] += 2

    before, after = (
        gains_of(market.points, TERMS, market.episodes, advised(market, said, 1.0, 0)) for said in (market.said, later)
    )

    assert before[:3].tolist() == after[:3].tolist()
    assert before.tolist() != after.tolist()


def test_everything_is_told_at_both_costs(learned: Learnable, heard: Heard) -> None:
    found = replayed(learned, heard, "ridge")

    assert found is not None
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert [each["name"] for each in found["plain"]["policies"]] == [
        "advised", "plain grid", "random", "half and half", "buy and hold",
    ]  # fmt: skip
    plain, adverse = ({one["name"]: one["gain"] for one in found[each]["policies"]} for each in ("plain", "adverse"))
    assert adverse["plain grid"] < plain["plain grid"]
    assert adverse["buy and hold"] < plain["buy and hold"]
    assert found["weeks"] >= 16
    assert 0 <= found["overfit"] <= 1
    assert 1 / 21 <= found["permutation_p"] <= 1


def test_without_whole_weeks_or_the_variance_of_a_week_nothing_is_told(learned: Learnable, heard: Heard) -> None:
    assert replayed(replace(learned, features=("a", "b", "c", "d")), heard, "ridge") is None
    assert replayed(learned, replace(heard, **{k: getattr(heard, k)[:99] for k in ("at_ns", "symbol", "fold", "y")},
                                     said={"ridge": heard.said["ridge"][:, :99]}), "ridge") is None  # fmt: skip

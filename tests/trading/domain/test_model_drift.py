"""Drift is seen when it is there, and a short week or a noisy hour is not taken for it."""

import numpy as np
import pytest

from trading.domain.model_drift import ALARM, ALLOWED, PSI_LIMIT, FeatureDrift, LossDrift, stability

DECILES = (-1.2816, -0.8416, -0.5244, -0.2533, 0.0, 0.2533, 0.5244, 0.8416, 1.2816)  # of a normal distribution
HOUR, DAY, WEEK = 12, 288, 2_016  # bars of 5 minutes


def held(name: str, values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float | None:
    drift = FeatureDrift((name,), (DECILES,), 300, ("BTCUSDT",))
    for value in values:
        drift.observe("BTCUSDT", np.array([value], np.float32))
    return drift.psi()


def hourly(chance: np.random.Generator, count: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """A new normal reading every hour, the same within it: as a feature of the last hour moves."""
    return np.repeat(chance.normal(size=count // HOUR + 1), HOUR)[:count]


def test_the_index_of_equal_shares_is_none_and_of_one_bin_what_the_formula_says() -> None:
    assert stability(np.full((1, 10), 1e6))[0] == pytest.approx(0, abs=1e-9)
    share = np.array([[0.2, 0.0] + [0.1] * 8]) * 1e9
    assert stability(share)[0] == pytest.approx(0.1 * np.log(2) + 0.1 * np.log(0.1e9 * 2), rel=1e-3)


def test_before_a_day_of_bars_nothing_is_known() -> None:
    assert held("a_1h", np.zeros(DAY - 1)) is None
    assert held("a_1h", np.zeros(DAY)) is not None


@pytest.mark.parametrize("seed", range(10))
def test_a_week_like_the_training_is_no_drift(seed: int) -> None:
    found = held("a_1h", hourly(np.random.default_rng(seed), WEEK))

    assert found is not None
    assert found <= PSI_LIMIT / 5


@pytest.mark.parametrize("seed", range(5))
def test_a_week_that_is_one_and_a_half_deviations_off_is_drift(seed: int) -> None:
    found = held("a_1h", hourly(np.random.default_rng(seed), WEEK) + 1.5)

    assert found is not None
    assert found > PSI_LIMIT


def test_seven_readings_of_a_day_are_too_few_to_call_it_drift() -> None:
    days = np.repeat(np.random.default_rng(3).normal(size=7), DAY)

    assert held("a_24h", days) == 0
    assert (held("a_1h", days) or 0) > PSI_LIMIT


def test_the_calendar_does_not_drift() -> None:
    assert held("weekend", np.ones(WEEK)) == 0


def test_a_week_later_what_was_before_is_forgotten() -> None:
    chance = np.random.default_rng(0)
    values = np.concatenate((hourly(chance, WEEK) + 3, hourly(chance, WEEK)))

    found = held("a_1h", values)

    assert found is not None
    assert found <= PSI_LIMIT / 5


def test_symbols_that_lie_apart_are_held_against_the_training_together() -> None:
    """Half of it low, half of it high, as in training: neither alone is a drift, one alone says nothing."""
    chance = np.random.default_rng(0)
    drift = FeatureDrift(("a_1h",), ((-2.0, -1.5, -1.25, -1.1, 0.0, 1.1, 1.25, 1.5, 2.0),), 300, ("LOW", "HIGH"))
    levels = abs(hourly(chance, WEEK)) * 0.5 + 0.9
    for value in levels:
        drift.observe("LOW", np.array([-value], np.float32))
    assert drift.psi() is None

    for value in levels:
        drift.observe("HIGH", np.array([value], np.float32))
        drift.observe("OTHER", np.array([99], np.float32))

    assert drift.psi() is not None
    assert (drift.psi() or 0) <= PSI_LIMIT


def test_a_level_that_stays_for_days_is_read_once_a_day() -> None:
    days = np.repeat(np.random.default_rng(3).normal(size=7), DAY)

    assert held("log_rv_1h", days) == 0


# --- losses -------------------------------------------------------------------------------------------------------


def levels(worse: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> list[float]:
    drift = LossDrift(per_sample=1)
    found = []
    for value in worse:
        drift.observe(float(value))
        found.append(drift.level or 0.0)
    return found


def test_before_a_whole_horizon_nothing_is_known() -> None:
    drift = LossDrift(per_sample=3)
    for expected in (None, None, 0.0):
        drift.observe(-1.0)
        assert drift.level == expected


@pytest.mark.parametrize("seed", range(5))
def test_two_months_in_which_nothing_changes_raise_no_alarm(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(-0.1, 0.5, 60 * 24)

    assert max(levels(noise)) < 1


@pytest.mark.parametrize("seed", range(5))
def test_errors_that_grow_by_half_a_variance_are_seen_within_two_days(seed: int) -> None:
    chance = np.random.default_rng(seed)
    noise = np.concatenate((chance.normal(-0.1, 0.5, 7 * 24), chance.normal(0.4, 0.5, 48)))

    found = levels(noise)

    assert max(found[: 7 * 24]) < 1
    assert found[-1] >= 1


def test_a_model_that_was_always_worse_than_the_rule_is_held_against_the_rule() -> None:
    steady = levels(np.full(40, 0.5))

    assert steady[-1] == pytest.approx(40 * (0.5 - ALLOWED) / ALARM)


def test_one_wild_hour_decides_nothing() -> None:
    assert levels(np.array([1e9]))[-1] < 1

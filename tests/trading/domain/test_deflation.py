"""The deflated Sharpe ratio against its published example, and against numbers computed another way."""

from fractions import Fraction
from math import pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.deflation import Moments, deflated, expected_highest, moments, probabilistic_sharpe

YEAR = 250  # observations, as in the paper
RATIO, VARIANCE = 2.5 / sqrt(YEAR), 0.5 / YEAR  # 2.5 and 1/2 a year
SKEWED, NORMAL = Moments(1_250, RATIO, -3, 10), Moments(1_250, RATIO, 0, 3)


@pytest.mark.parametrize(
    ("trials", "of", "expected", "probability"),
    [
        (100, SKEWED, 0.1132, 0.9004),  # Bailey and Lopez de Prado (2014), "A numerical example"
        (46, SKEWED, None, 0.9505),
        (88, NORMAL, None, 0.9505),
    ],
)
def test_the_published_example(trials: int, of: Moments, expected: float | None, probability: float) -> None:
    benchmark = expected_highest(trials, VARIANCE)

    assert expected is None or benchmark == pytest.approx(expected, abs=5e-5)
    assert probabilistic_sharpe(of, benchmark) == pytest.approx(probability, abs=5e-5)


def below(z: float) -> float:
    """Return the normal distribution by Simpson's rule over its density."""
    x = np.linspace(-12, z, 20_001)
    weights = np.where(np.arange(20_001) % 2, 4.0, 2.0)
    weights[[0, -1]] = 1
    return float((np.exp(-(x**2) / 2) * weights).sum() * (x[1] - x[0]) / 3 / sqrt(2 * pi))


def test_the_probability_is_that_of_an_integral_of_the_density() -> None:
    of = Moments(60, 0.2, -0.5, 4.0)
    z = (0.2 - 0.05) * sqrt(59) / sqrt(1 + 0.5 * 0.2 + 0.75 * 0.2**2)

    assert probabilistic_sharpe(of, 0.05) == pytest.approx(below(z), abs=1e-9)


@pytest.mark.parametrize("trials", [5, 20, 100, 1_000])
def test_the_expected_highest_is_that_of_drawn_trials_without_skill(trials: int) -> None:
    drawn = np.random.default_rng(7).standard_normal((4_000, trials)) * 0.3

    assert expected_highest(trials, 0.09) == pytest.approx(float(drawn.max(axis=1).mean()), rel=0.05)


def test_the_moments_are_those_of_exact_fractions() -> None:
    returns = [((7 * k) % 11 - 4) / 1024 for k in range(40)]
    exact = [Fraction(one) for one in returns]
    mean = sum(exact) / 40
    second, third, fourth = (sum((one - mean) ** power for one in exact) / 40 for power in (2, 3, 4))

    found = moments(returns)

    assert found is not None
    assert found.count == 40
    assert found.sharpe == pytest.approx(float(mean) / sqrt(second * 40 / 39), rel=1e-12)
    assert found.skewness == pytest.approx(float(third) / float(second) ** 1.5, rel=1e-12)
    assert found.kurtosis == pytest.approx(float(fourth / second**2), rel=1e-12)


@pytest.mark.parametrize("returns", [[], [0.01, -0.01] * 9, [0.001] * 50, [0.0] * 50, [float("inf"), 0.1] * 20])
def test_too_few_returns_or_none_that_vary_say_nothing(returns: list[float]) -> None:
    assert moments(returns) is None


@given(trials=st.integers(2, 10_000), more=st.integers(1, 10_000), spread=st.floats(0.001, 1))
def test_more_trials_or_more_different_ones_raise_the_bar(trials: int, more: int, spread: float) -> None:
    bar = expected_highest(trials, spread**2)

    assert 0 < bar < expected_highest(trials + more, spread**2)
    assert bar < expected_highest(trials, (2 * spread) ** 2)


def test_every_trial_counts_also_one_without_a_ratio() -> None:
    sharpes = [0.01 * k for k in range(10)]
    best = Moments(100, 0.09, 0, 3)

    few, all_of_them = deflated(best, sharpes, 10), deflated(best, sharpes, 30)

    assert few is not None
    assert all_of_them is not None
    assert (few.sharpes, few.trials, all_of_them.trials) == (10, 10, 30)
    assert few.variance == pytest.approx(float(np.var(sharpes, ddof=1)))
    assert all_of_them.expected > few.expected
    assert all_of_them.probability < few.probability
    with pytest.raises(ValueError, match="count every trial"):
        deflated(best, sharpes, 9)


def test_a_single_trial_is_not_deflated_and_one_known_ratio_of_many_is_unknown() -> None:
    best = Moments(100, 0.09, 0, 3)

    alone = deflated(best, [0.09], 1)

    assert alone is not None
    assert (alone.expected, alone.probability) == (0.0, probabilistic_sharpe(best, 0.0))
    assert deflated(best, [0.09], 2) is None


def test_moments_that_no_returns_have_give_no_probability() -> None:
    assert probabilistic_sharpe(Moments(100, 1.0, 3.0, 1.0), 0.0) is None

"""What a model must beat forecasts as its papers say, and looks at training rows alone."""

from math import log

import numpy as np
import pytest

from trading.domain.bars import Floats
from trading.domain.baselines import (
    FLOOR,
    Baseline,
    Ewma,
    Har,
    LastHour,
    Random,
    Ridge,
    UnableToFit,
    columns,
    ewma,
    standardised,
)

MINUTE_NS = 60_000_000_000
RNG = np.random.default_rng(1)
X = RNG.standard_normal((400, 4))
Y = 1.0 + X @ np.array([0.5, -0.25, 0.0, 2.0])

ALL: list[Baseline] = [LastHour(0), Random(), Har((0, 1, 2)), Ewma((0, 1)), Ridge()]


def test_the_last_hour_is_the_next_one() -> None:
    assert LastHour(2).fit(X, Y)(X[:3]).tolist() == X[:3, 2].tolist()


def test_har_finds_level_and_weights() -> None:
    assert Har((0, 1, 3)).fit(X, Y)(X) == pytest.approx(Y)


def test_ewma_takes_the_half_life_that_fits_best_and_calibrates_it() -> None:
    y = 3 + 2 * X[:, 1] + 0.01 * X[:, 0]

    assert Ewma((0, 1, 2)).fit(X, y)(X[:5]) == pytest.approx(y[:5], abs=0.1)


def test_ridge_by_hand() -> None:
    x, y = np.array([[1.0], [-1.0], [1.0], [-1.0]]), np.array([3.0, 1.0, 3.0, 1.0])

    weight = 4 / (4 + 4 * 0.5)  # z'y / (z'z + penalty n), of deviations
    assert Ridge(0.5).fit(x, y)(np.array([[2.0]]))[0] == pytest.approx(2 + 2 * weight)


def test_ridge_reads_only_the_columns_it_is_given() -> None:
    predict = Ridge(columns=(0, 1)).fit(X, Y)
    other = X.copy()
    other[:, 2:] = 99

    assert predict(other).tolist() == predict(X).tolist()


def test_a_column_that_never_varies_does_no_harm() -> None:
    x = np.column_stack((X, np.full(400, 7.0)))

    assert Ridge(1e-9).fit(x, Y)(x) == pytest.approx(Y, abs=1e-5)


def test_a_feature_far_out_counts_as_far_not_as_how_far() -> None:
    assert standardised(np.array([[1e9], [-1e9], [0.5]]), np.zeros(1), np.ones(1)).tolist() == [[8.0], [-8.0], [0.5]]


def test_random_is_drawn_from_what_came_and_from_its_seed() -> None:
    one, same, other = (Random(seed).fit(X, Y)(X) for seed in (1, 1, 2))

    assert set(one) <= set(Y)
    assert one.tolist() == same.tolist()
    assert one.tolist() != other.tolist()


@pytest.mark.parametrize("baseline", ALL, ids=lambda each: each.name)
def test_a_forecast_looks_at_its_own_row_and_at_nothing_that_was_tested(baseline: Baseline) -> None:
    predict = baseline.fit(X[:200], Y[:200])
    before = predict(X[200:])
    again = baseline.fit(X[:200], Y[:200])
    changed = np.concatenate((X[200:300], X[300:] + 5))

    assert again(changed)[:100].tolist() == before[:100].tolist()


@pytest.mark.parametrize("baseline", ALL, ids=lambda each: each.name)
def test_too_few_rows_or_unknown_ones_are_refused(baseline: Baseline) -> None:
    holed = X.copy()
    holed[3, 0] = np.nan

    for x, y in ((X[:1], Y[:1]), (X, Y[:-1]), (holed, Y)):
        with pytest.raises(UnableToFit, match="rows"):
            baseline.fit(x, y)


def test_a_weighted_variance_by_hand() -> None:
    close = np.exp(np.array([0.0, 0.01, -0.01, -0.01]))

    found = ewma(close, MINUTE_NS, 60)

    hourly = 60 * np.array([1e-4, 4e-4, 0.0])
    second = (hourly[0] / 4 + hourly[1] / 2) / 0.75
    third = (hourly[0] / 8 + hourly[1] / 4) / 0.875
    assert np.isnan(found[0])
    assert found[1:] == pytest.approx(np.log([hourly[0], second, third]))


def test_a_hole_is_no_return() -> None:
    close = np.array([100.0, 101.0, np.nan, 150.0, 150.0])

    found = ewma(close, MINUTE_NS, 60)

    assert np.isnan(found).tolist() == [True, False, True, False, False]
    assert found[3] == found[1]
    assert found[4] == pytest.approx(log(60 * log(1.01) ** 2 / 4 / 0.75 * 1))
    assert ewma(np.ones(3), MINUTE_NS, 60)[2] == pytest.approx(log(FLOOR))


def test_a_forecast_of_the_weighted_variance_knows_nothing_of_later() -> None:
    close: Floats = np.exp(np.cumsum(RNG.standard_normal(200) / 100))
    later = close.copy()
    later[120:] *= 2

    assert ewma(later, MINUTE_NS, 600)[:120].tolist()[1:] == ewma(close, MINUTE_NS, 600)[:120].tolist()[1:]


def test_features_are_found_by_name() -> None:
    assert columns(("a", "b", "c"), ("c", "a")) == (2, 0)
    with pytest.raises(UnableToFit, match="d missing"):
        columns(("a",), ("d",))

"""Losses by hand, and tests of significance that are wrong as rarely as they say."""

from math import isclose, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trading.domain import skill
from trading.domain.bars import Floats


def of(*values: float) -> Floats:
    return np.array(values, np.float64)


def overlapping(rng: np.random.Generator, count: int, overlap: int = 4) -> Floats:
    """Return noise in which `overlap` neighbours share what they are made of."""
    noise = rng.standard_normal(count + overlap - 1)
    return np.convolve(noise, np.ones(overlap) / overlap, "valid")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (skill.squared(of(1, 2, 3), of(1, 4, 0)), [0, 4, 9]),
        (skill.absolute(of(1, 2, 3), of(1, 4, 0)), [0, 2, 3]),
        (skill.qlike(of(log(4), 0), of(log(2), 0)), [1 - log(2), 0]),
        (skill.pinball(of(3, 0, 1), of(1, 1, 1), 0.9), [1.8, 0.1, 0]),
        (skill.crps_normal(of(0, 0), of(0, 0), of(1, 2)), [0.2336949773, 0.4673899545]),
        (skill.crps_quantiles(of(3), np.array([[1.0, 4.0]]), (0.1, 0.9)), [0.2 + 0.1]),
        (skill.brier(np.array([True, False]), of(0.7, 0.5)), [0.09, 0.25]),
    ],
    ids=["squared", "absolute", "qlike", "pinball", "crps of a normal", "crps of quantiles", "brier"],
)
def test_losses_are_what_a_hand_computes(found: Floats, expected: list[float]) -> None:
    assert found == pytest.approx(expected)


def test_many_quantiles_come_to_the_score_of_the_whole_distribution() -> None:
    levels = tuple((k + 0.5) / 400 for k in range(400))
    normal = np.sort(np.random.default_rng(1).standard_normal(200_000))
    quantiles = np.quantile(normal, levels)[np.newaxis]

    found = skill.crps_quantiles(of(0.7), quantiles, levels)

    assert found[0] == pytest.approx(skill.crps_normal(of(0.7), of(0), of(1))[0], abs=0.005)


def test_a_reliability_diagram_says_how_far_words_and_deeds_are_apart() -> None:
    diagram = skill.reliability(np.array([False, True, True, True]), of(0.05, 0.05, 0.95, 1.0))

    assert diagram == (skill.Bin(2, 0.05, 0.5), skill.Bin(2, (0.95 + 1.0) / 2, 1.0))
    assert skill.calibration_error(diagram) == pytest.approx(0.2375)


def test_a_score_is_no_probability() -> None:
    with pytest.raises(skill.UnableToScore, match="probability: not all are from 0 to 1"):
        skill.reliability(np.array([True]), of(1.1))


def test_coverage_counts_both_ends() -> None:
    assert skill.coverage(of(0, 1, 2, 3), of(0, 0, 0, 0), of(2, 2, 2, 2)) == 0.75


@pytest.mark.parametrize(
    ("happened", "score", "expected"),
    [([1, 0, 1, 0], [3, 1, 2, 2], 0.875), ([1, 0], [0, 1], 0.0), ([1, 1], [0, 1], None), ([0, 0], [0, 1], None)],
    ids=["a tie counts half", "upside down", "all happened", "none happened"],
)
def test_the_area_under_the_curve_counts_pairs(happened: list[int], score: list[float], expected: float | None) -> None:
    assert skill.area_under_curve(np.array(happened, bool), of(*score)) == expected


def test_the_information_coefficient_compares_ranks() -> None:
    assert skill.information_coefficient(of(1, 2, 3, 4), of(10, 20, 4_000, 30)) == pytest.approx(0.8)
    assert skill.information_coefficient(of(1, 1), of(1, 2)) is None


def test_the_long_run_variance_counts_what_neighbours_share() -> None:
    assert skill.long_run_variance(of(1, -1, 1, -1), 1) == pytest.approx(1 - 0.75)
    assert skill.long_run_variance(of(1, 1, -1, -1), 1) == pytest.approx(1 + 0.25)


def test_a_comparison_by_hand() -> None:
    loss, reference = np.zeros(20), np.tile(of(3, 1), 10)

    found = skill.diebold_mariano(loss, reference, lags=1)

    assert found is not None
    assert (found.difference, found.lags, found.count) == (-2, 1, 20)
    assert found.t == pytest.approx(40 * sqrt(0.95))  # variance of the mean (1 - 0.95) / 20


@pytest.mark.parametrize(
    ("loss", "reference"),
    [(np.zeros(19), np.tile(of(1, 2), 10)[:19]), (np.ones(30), np.ones(30)), (np.full(30, np.nan), np.ones(30))],
    ids=["too few", "equal", "not finite"],
)
def test_what_cannot_be_compared_is_unknown(loss: Floats, reference: Floats) -> None:
    assert skill.diebold_mariano(loss, reference) is None


def test_equal_forecasts_seldom_seem_different() -> None:
    rng = np.random.default_rng(7)

    found = [skill.diebold_mariano(overlapping(rng, 500), overlapping(rng, 500), overlap=4) for _ in range(400)]

    wrong = np.mean([abs(each.t) > 1.96 for each in found if each is not None])
    assert 0.02 <= wrong <= 0.09  # 5 % is meant; without lags it is 27 %


def test_more_forecasts_are_taken_to_depend_on_each_other_than_overlap() -> None:
    assert skill.lags_of(100, 1) == 13
    assert skill.lags_of(100, 48) == 47


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng, held = np.random.default_rng(3), 0
    for number in range(200):
        found = skill.relative_skill(
            np.square(overlapping(rng, 600)) * 0.9, np.square(overlapping(rng, 600)), 30, draws=300, seed=number
        )
        assert found is not None
        held += found.low <= 0.1 <= found.high

    assert 0.88 <= held / 200 <= 0.99


def test_relative_skill_by_hand() -> None:
    found = skill.relative_skill(np.full(40, 0.95), np.full(40, 1.0), 4)

    assert found is not None
    assert (found.estimate, found.low, found.high) == pytest.approx((0.05, 0.05, 0.05))
    assert skill.relative_skill(np.ones(19), np.ones(19), 1) is None
    assert skill.relative_skill(np.ones(40), np.zeros(40), 1) is None
    assert skill.relative_skill(np.ones(40), np.full(40, np.inf), 1) is None


def test_a_mean_difference_lies_in_its_interval() -> None:
    rng = np.random.default_rng(5)
    loss = rng.standard_normal(500)

    found = skill.mean_difference(loss, loss + 1, 10)

    assert found is not None
    assert (found.estimate, found.low, found.high) == pytest.approx((-1, -1, -1))


@given(
    columns=arrays(np.float64, st.tuples(st.integers(2, 40), st.just(2)), elements=st.floats(-100, 100)),
    share=st.floats(0, 1),
)
def test_blocks_are_drawn_from_the_rows_and_all_columns_together(columns: Floats, share: float) -> None:
    block = 1 + int(share * (len(columns) - 1))
    twins = np.stack((columns[:, 0], 2 * columns[:, 0]), axis=1)

    means = skill.resampled(twins, block, draws=50)

    assert np.allclose(means[:, 1], 2 * means[:, 0], atol=1e-9)
    assert (means[:, 0] >= columns[:, 0].min() - 1e-9).all()
    assert (means[:, 0] <= columns[:, 0].max() + 1e-9).all()


def test_one_block_around_the_circle_is_the_whole() -> None:
    rows = np.arange(12.0)[:, np.newaxis]

    assert np.allclose(skill.resampled(rows, 12, draws=20), 5.5)
    with pytest.raises(skill.UnableToScore, match="block: 13 is not from 1 to the 12 rows"):
        skill.resampled(rows, 13)


def test_symbols_of_one_moment_are_one_case() -> None:
    found = skill.by_time(np.array([2, 1, 2, 1, 3]), of(10, 1, 20, 3, 7))

    assert found.tolist() == [4, 30, 7]


def test_forecasts_of_another_shape_are_refused() -> None:
    with pytest.raises(skill.UnableToScore, match="forecast"):
        skill.squared(of(1, 2), of(1))
    with pytest.raises(skill.UnableToScore, match="level"):
        skill.pinball(of(1), of(1), 90)


def test_the_score_of_a_normal_is_least_where_it_is_centred() -> None:
    centred, beside = (skill.crps_normal(of(1), of(mean), of(1))[0] for mean in (1.0, 2.0))

    assert centred < beside
    assert isclose(beside, skill.crps_normal(of(1), of(0), of(1))[0])

"""Several models as one: weights that stay, and weights that follow who was right."""

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.ensembles import ROADMAP_WEIGHTS, Following, UnsoundEnsemble, combined, disagreement

WEIGHTS = np.array(ROADMAP_WEIGHTS)


def test_fixed_weights_are_a_weighted_mean() -> None:
    said = np.array([[1.0, 10.0], [2.0, 10.0], [4.0, 10.0]])

    assert combined(said, WEIGHTS) == pytest.approx([0.4 * 1 + 0.3 * 2 + 0.3 * 4, 10.0])


def test_who_says_nothing_is_made_up_for_by_the_others() -> None:
    said = np.array([[1.0, np.nan], [np.nan, np.nan], [4.0, np.nan]])

    found = combined(said, WEIGHTS)

    assert found[0] == pytest.approx((0.4 * 1 + 0.3 * 4) / 0.7)
    assert np.isnan(found[1])


def test_members_that_agree_are_not_apart() -> None:
    assert disagreement(np.full((3, 2), 5.0), WEIGHTS) == pytest.approx([0, 0])
    assert disagreement(np.array([[0.0], [1.0]]), np.array([0.5, 0.5])) == pytest.approx([0.5])


@pytest.mark.parametrize("weights", [[0.5, 0.5], [0.5, 0.5, 0.5], [1.2, -0.1, -0.1], [np.nan, 0.5, 0.5]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(UnsoundEnsemble, match="weights"):
        combined(np.ones((3, 1)), np.array(weights))


@given(
    st.integers(2, 6).flatmap(
        lambda members: st.lists(st.lists(st.floats(0, 1), min_size=members, max_size=members), min_size=1, max_size=60)
    )
)
def test_following_loses_no_more_than_its_bound_over_the_best_member(losses: list[list[float]]) -> None:
    members, rounds = len(losses[0]), len(losses)
    following, lost = Following.for_rounds(members, rounds), 0.0

    for each in losses:
        lost += float(following.weights @ each)
        following = following.after(each)

    assert following.weights.sum() == pytest.approx(1)
    assert lost - np.sum(losses, axis=0).min() <= sqrt(rounds * log(members) / 2) + 1e-9


def test_the_weight_goes_to_whoever_is_right_and_comes_back() -> None:
    following = Following.among(3, rate=0.5, share=0.01)

    for _ in range(50):
        following = following.after([0.9, 0.1, 0.9])
    assert following.weights[1] > 0.9
    for _ in range(50):
        following = following.after([0.1, 0.9, 0.9])

    assert following.weights[0] > 0.9


def test_silence_counts_as_the_worst_there_is() -> None:
    following = Following.among(2, rate=1.0)

    assert following.after([np.nan, 0.5]).weights == pytest.approx(following.after([1.0, 0.5]).weights)


@pytest.mark.parametrize("losses", [[0.1], [0.1, -0.1]], ids=["too few", "below zero"])
def test_losses_that_are_none_are_refused(losses: list[float]) -> None:
    with pytest.raises(UnsoundEnsemble, match="losses"):
        Following.among(2, rate=1.0).after(losses)


@pytest.mark.parametrize(("members", "rate", "share"), [(0, 1, 0), (2, 0, 0), (2, 1, 1.5)])
def test_an_ensemble_that_cannot_be_is_refused(members: int, rate: float, share: float) -> None:
    with pytest.raises(UnsoundEnsemble, match="members"):
        Following.among(members, rate, share)


def test_a_bound_needs_two_members() -> None:
    with pytest.raises(UnsoundEnsemble, match="at least two"):
        Following.for_rounds(1, 10)

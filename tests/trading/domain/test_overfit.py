"""Luck is told from skill: noise overfits half of the time, what always wins never does."""

import numpy as np
import pytest

from trading.domain.bars import Floats
from trading.domain.overfit import UnableToJudge, deflated_best, overfit_probability, time_shifted


def gain(signal: Floats, outcome: Floats) -> float:
    return float(signal @ outcome)


def test_two_halves_by_hand() -> None:
    first = np.array([1.0, 1.1, -1.0, -1.1])
    fickle = np.stack((first, -first), axis=1)
    steady = np.stack((first + 3, first), axis=1)

    assert overfit_probability(fickle, 2).probability == 1
    assert overfit_probability(steady, 2).probability == 0


def test_among_trials_without_skill_the_best_is_below_the_median_half_of_the_time() -> None:
    rng = np.random.default_rng(2)

    found = [overfit_probability(rng.standard_normal((320, 20)), 8) for _ in range(60)]

    assert found[0].ways == 70
    assert np.mean([each.probability for each in found]) == pytest.approx(0.5, abs=0.08)


def test_one_trial_with_skill_is_found_again() -> None:
    returns = np.random.default_rng(4).standard_normal((640, 12))
    returns[:, 5] += 0.5

    assert overfit_probability(returns, 10).probability < 0.02


def test_trials_that_are_the_same_tell_nothing() -> None:
    returns = np.repeat(np.random.default_rng(4).standard_normal((64, 1)), 3, axis=1)

    assert overfit_probability(returns, 4).probability == 1


@pytest.mark.parametrize(
    ("returns", "groups", "reason"),
    [
        (np.ones((40, 1)), 4, "one trial leaves nothing to choose"),
        (np.ones((40, 2)), 5, "not an even number"),
        (np.ones((7, 2)), 4, "fewer than 8"),
        (np.full((40, 2), np.nan), 4, "not all are finite"),
    ],
)
def test_what_cannot_be_judged_is_refused(returns: Floats, groups: int, reason: str) -> None:
    with pytest.raises(UnableToJudge, match=reason):
        overfit_probability(returns, groups)


def test_a_signal_that_knows_its_moment_beats_itself_at_other_times() -> None:
    outcome = np.random.default_rng(6).standard_normal(500)

    found = time_shifted(np.sign(outcome), outcome, gain, shifts=39, least=20)

    assert len(found.shifted) == 39
    assert found.p == 1 / 40


def test_a_signal_without_knowledge_is_as_good_at_any_time() -> None:
    rng = np.random.default_rng(8)

    found = [time_shifted(rng.standard_normal(300), rng.standard_normal(300), gain, shifts=20) for _ in range(200)]

    assert np.mean([each.p <= 0.05 for each in found]) == pytest.approx(0.05, abs=0.04)
    assert np.mean([each.p for each in found]) == pytest.approx(0.52, abs=0.06)


def test_a_signal_that_never_changes_proves_nothing() -> None:
    outcome = np.random.default_rng(6).standard_normal(100)

    assert time_shifted(np.ones(100), outcome, lambda a, b: round(gain(a, b), 9), shifts=20).p == 1


@pytest.mark.parametrize(
    ("shifts", "least", "reason"),
    [(19, 1, "19 are fewer than 20"), (40, 1, "too few for 40 shifts"), (20, 16, "too few"), (20, 0, "too few")],
)
def test_too_few_shifts_are_refused(shifts: int, least: int, reason: str) -> None:
    with pytest.raises(UnableToJudge, match=reason):
        time_shifted(np.ones(30), np.ones(30), gain, shifts=shifts, least=least)


def test_every_trial_that_was_made_counts_against_the_best() -> None:
    returns = np.random.default_rng(9).standard_normal((400, 5))
    returns[:, 2] += 0.2

    few, many = deflated_best(returns, 5), deflated_best(returns, 500)

    assert few is not None
    assert many is not None
    assert (few.sharpes, many.trials) == (5, 500)
    assert few.probability > many.probability
    assert deflated_best(np.ones((400, 2)), 2) is None

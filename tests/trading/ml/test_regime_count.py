"""Regimes are counted on unseen rows, and it is told when they are less clear there than in training."""

import numpy as np
import pytest

from tests.trading.ml.test_evaluation import silent
from trading.domain.bars import Floats, Frame
from trading.domain.splits import Fold, Span
from trading.ml.evaluation import DAY_NS, Part
from trading.ml.learnable import Labels, Learnable
from trading.ml.networks.regime import RegimeTeacher, seen_as
from trading.ml.regime_count import chosen, entropy, regimes_of

HOUR_NS = 3_600_000_000_000
CUT = 800  # the first rows are learned from


def world(tested: tuple[float, ...]) -> tuple[Learnable, list[Part]]:
    """Return hours that move among three calm-to-wild regimes in training, and among `tested` afterwards."""
    rng, rows = np.random.default_rng(3), CUT + 400
    levels = np.where(np.arange(rows) < CUT, rng.choice((-14.0, -10.0, -6.0), rows), rng.choice(tested, rows))
    log_rv = levels + 0.4 * rng.standard_normal(rows)
    at_ns = np.arange(1, rows + 1) * HOUR_NS
    returns = np.exp(log_rv / 2) * rng.standard_normal(rows)
    frame = Frame("A", HOUR_NS, at_ns, np.zeros((rows, 1), np.float32), np.ones(rows, np.bool_), np.ones(rows))
    labels = Labels(log_rv[:, np.newaxis], returns, np.zeros(rows), at_ns + DAY_NS)
    data = Learnable("s", ("x",), 3_600, (3_600,), 1, (frame,), (labels,), "made", "0" * 64)
    both = np.stack((np.zeros(rows, np.int64), np.arange(rows)), axis=1)
    span = Span(0, 1)
    return data, [Part(0, Fold((span,), span), both[:CUT], both[CUT:])]


def test_as_many_regimes_as_there_are_describe_unseen_rows_and_they_stay_clear() -> None:
    data, parts = world((-14.0, -10.0, -6.0))

    found = regimes_of(data, parts, (2, 3, 4, 5), silent)

    assert found["regimes"][0] == 3
    assert found["regimes_of_folds"] == [3]
    assert list(found["log_likelihood"]) == ["2", "3", "4", "5"]
    value, low, high = found["entropy_rise"]
    assert low <= value <= high
    assert abs(value) < 0.3


def test_regimes_between_those_of_the_training_are_less_clear() -> None:
    data, parts = world((-14.0, -12.0, -10.0, -8.0, -6.0))

    found = regimes_of(data, parts, (2, 3), silent)

    _, low, _ = found["entropy_rise"]
    assert low > 0.1


def test_too_few_rows_say_nothing() -> None:
    data, (part,) = world((-14.0,))

    found = regimes_of(data, [Part(0, part.fold, part.train, part.test[:30])], (2, 3), silent)

    assert (found["regimes"], found["entropy_rise"]) == (None, None)


@pytest.mark.parametrize(
    ("scores", "column"),
    [
        ([[0.0, 1.0, 1.0], [0.0, 1.2, 1.0]], 1),
        ([[1.0, 1.5, 1.6], [1.0, 0.6, 0.7]], 0),  # the others are better by less than their error
        ([[0.0, 0.1, 0.3], [0.0, 0.1, 0.3]], 2),
        ([[0.0, 0.1, 0.3]], 2),
    ],
)
def test_the_simplest_within_one_standard_error_is_chosen(scores: list[list[float]], column: int) -> None:
    assert chosen(np.array(scores)) == column


def test_entropy_is_in_nats() -> None:
    posterior: Floats = np.array([[1.0, 0.0], [0.5, 0.5]])

    assert entropy(posterior) == pytest.approx([0.0, np.log(2)])


def test_regimes_are_told_by_what_the_stages_tell_them_by() -> None:
    torch = pytest.importorskip("torch")
    teacher = RegimeTeacher(2, 3_600)
    log_rv, returns = np.array([-9.0, -8.0]), np.array([0.01, -5.0])

    told = teacher._seen(torch.from_numpy(log_rv)[:, None].float(), torch.from_numpy(returns).float())

    assert np.allclose(seen_as(log_rv, returns, 3_600, 0.0, 1.0), told.numpy(), atol=1e-5)

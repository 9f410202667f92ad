"""No test window is touched by the training windows of its fold; purge and embargo are kept on both sides."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.splits import Fold, Span, UnableToSplit, purged, rolling, walk_forward

wholes = st.builds(
    lambda begin, length: Span(begin, begin + length), st.integers(0, 10**18), st.integers(1_000, 10**16)
)
folds = st.integers(2, 50)
shares = st.floats(0, 0.49)


def apart(fold: Fold) -> list[int]:
    """Return how much time lies between the test window and each training window; below zero: they overlap."""
    return [max(fold.test.begin_ns - train.end_ns, train.begin_ns - fold.test.end_ns) for train in fold.train]


@given(whole=wholes, count=folds, share=shares)
def test_walking_forward_trains_before_it_tests_and_leaves_the_purge_between(
    whole: Span, count: int, share: float
) -> None:
    purge = int(share * (whole.length_ns // (count + 1)))

    found = walk_forward(whole, count, purge_ns=purge)

    assert len(found) == count
    assert all(
        train.length_ns > 0 and train.end_ns + purge == fold.test.begin_ns for fold in found for train in fold.train
    )
    assert all(before.test.end_ns == after.test.begin_ns for before, after in pairwise(found))
    assert found[0].train[0].begin_ns == whole.begin_ns
    assert found[-1].test.end_ns == whole.end_ns


@given(whole=wholes, count=folds, purge_share=shares, embargo_share=shares)
def test_purged_folds_test_everything_once_and_keep_their_distance(
    whole: Span, count: int, purge_share: float, embargo_share: float
) -> None:
    part = whole.length_ns // count
    purge, embargo = int(purge_share * part), int(embargo_share * part)

    found = purged(whole, count, purge_ns=purge, embargo_ns=embargo)

    assert [fold.test.begin_ns for fold in found] == [whole.begin_ns, *(fold.test.end_ns for fold in found[:-1])]
    assert found[-1].test.end_ns == whole.end_ns
    for fold in found:
        assert all(gap >= purge for gap in apart(fold))
        assert all(train.begin_ns >= fold.test.end_ns + purge + embargo or train.end_ns <= fold.test.begin_ns - purge
                   for train in fold.train)  # fmt: skip
        assert fold.train
        assert all(whole.begin_ns <= train.begin_ns < train.end_ns <= whole.end_ns for train in fold.train)
        assert sum(span.length_ns for span in (*fold.train, fold.test)) == len_of(fold, whole, purge, embargo)


def len_of(fold: Fold, whole: Span, purge: int, embargo: int) -> int:
    """Return the time of one fold: all but the purge before, and purge and embargo after, as far as they reach."""
    before = max(fold.test.begin_ns - whole.begin_ns - purge, 0)
    after = max(whole.end_ns - fold.test.end_ns - purge - embargo, 0)
    return before + fold.test.length_ns + after


def test_an_example_by_hand() -> None:
    whole = Span(0, 100)

    assert walk_forward(whole, 4, purge_ns=5)[1] == Fold((Span(20, 35),), Span(40, 60))
    assert purged(whole, 5, purge_ns=2, embargo_ns=3)[2] == Fold((Span(0, 38), Span(65, 100)), Span(40, 60))
    assert purged(whole, 5)[0] == Fold((Span(20, 100),), Span(0, 20))


@pytest.mark.parametrize(
    ("split", "count", "gaps", "reason"),
    [
        (walk_forward, 1, {}, "folds: 1 is outside 2..50"),
        (purged, 51, {}, "folds: 51 is outside 2..50"),
        (walk_forward, 4, {"purge_ns": 20}, "purge: 2e-08 s is not from 0 to the 2e-08 s of a part"),
        (walk_forward, 4, {"purge_ns": -1}, "purge"),
        (purged, 4, {"purge_ns": 10, "embargo_ns": 15}, "purge and embargo"),
        (purged, 50, {}, None),
    ],
)
def test_what_leaves_nothing_to_train_on_is_refused(split, count, gaps, reason) -> None:  # type: ignore[no-untyped-def]  # two functions
    whole = Span(0, 100)

    if reason is None:
        assert len(split(whole, count, **gaps)) == count
    else:
        with pytest.raises(UnableToSplit, match=reason):
            split(whole, count, **gaps)


def test_a_time_shorter_than_its_folds_is_refused() -> None:
    with pytest.raises(UnableToSplit, match="cannot be cut into 5 parts"):
        walk_forward(Span(0, 4), 4)


@given(
    whole=wholes, train=st.integers(100, 10**16), test=st.integers(1, 10**16), purge_share=shares, embargo_share=shares
)
def test_rolling_folds_are_of_one_length_and_keep_their_distance(
    whole: Span, train: int, test: int, purge_share: float, embargo_share: float
) -> None:
    train = min(train, whole.length_ns // 2)
    test = min(max(test, whole.length_ns // 60), whole.length_ns - train)
    gap = int(purge_share * train) + int(embargo_share * train)

    found = rolling(
        whole, train, test, purge_ns=int(purge_share * train), embargo_ns=int(embargo_share * train)
    )  # fmt: skip

    assert all(fold.test.length_ns == test and fold.train[0].length_ns == train - gap for fold in found)
    assert all(apart(fold) == [gap] for fold in found)
    assert all(before.test.end_ns == after.test.begin_ns for before, after in pairwise(found))
    assert found[0].train[0].begin_ns == whole.begin_ns
    assert 0 <= whole.end_ns - found[-1].test.end_ns < test


def test_rolling_by_hand() -> None:
    assert rolling(Span(0, 100), 60, 20, purge_ns=3, embargo_ns=2) == (
        Fold((Span(0, 55),), Span(60, 80)),
        Fold((Span(20, 75),), Span(80, 100)),
    )


@pytest.mark.parametrize(
    ("train", "test", "gaps", "reason"),
    [
        (60, 41, {}, "hold no training and test window"),
        (0, 20, {}, "must be longer than zero"),
        (60, 0, {}, "must be longer than zero"),
        (60, 20, {"purge_ns": 60}, "purge and embargo"),
        (60, 20, {"embargo_ns": -1}, "purge and embargo"),
    ],
)
def test_rolling_folds_that_do_not_fit_are_refused(train: int, test: int, gaps: dict[str, int], reason: str) -> None:
    with pytest.raises(UnableToSplit, match=reason):
        rolling(Span(0, 100), train, test, **gaps)

"""Splits of a tape's time into training and test windows: walk-forward, rolling, and k folds with purge and embargo."""

from dataclasses import dataclass
from itertools import pairwise

FEWEST_FOLDS, MOST_FOLDS = 2, 50


class UnableToSplit(ValueError):
    """The time cannot be split as asked; the message names the reason and what to do."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, ns UTC: begin <= t < end."""

    begin_ns: int
    end_ns: int

    @property
    def length_ns(self) -> int:
        """How long it is."""
        return self.end_ns - self.begin_ns


@dataclass(frozen=True, slots=True)
class Fold:
    """What is learned on, and what it is held against; no training window touches the test window."""

    train: tuple[Span, ...]  # one or two, in order
    test: Span


def walk_forward(whole: Span, folds: int, *, purge_ns: int = 0) -> tuple[Fold, ...]:
    """Return `folds` folds that move forward: each test window follows its training window, and the next one's.

    The time is cut into `folds + 1` equal parts. Fold k trains on part k, ends `purge_ns` before the test window, and
    is tested on part k + 1. All test windows together are the whole time but the first part.

    Raises:
        UnableToSplit: `folds` is outside 2..50, or a training window would be empty.

    Source:
        R. Pardo (2008), "The Evaluation and Optimization of Trading Strategies", 2nd ed., Wiley, ch. 11.
    """
    parts = _parts(whole, folds, folds + 1)
    _check_gap(parts[0].length_ns, purge_ns, "purge")
    return tuple(Fold((Span(train.begin_ns, train.end_ns - purge_ns),), test) for train, test in pairwise(parts))


def rolling(whole: Span, train_ns: int, test_ns: int, *, purge_ns: int = 0, embargo_ns: int = 0) -> tuple[Fold, ...]:
    """Return folds of fixed length that move forward by one test window until the time ends.

    Fold k is tested from `train_ns` + k `test_ns` on, and trained on the `train_ns` before, less `purge_ns` and
    `embargo_ns`: labels of training are known before the test begins, and what is remembered fades in between. The
    last test window is left out where it would end after the time. All test windows together have no hole.

    Raises:
        UnableToSplit: a window is not above zero, a gap is below zero or as long as training, or no fold fits.

    Source:
        As `walk_forward`; M. Lopez de Prado (2018), "Advances in Financial Machine Learning", Wiley, 7.4.
    """
    if train_ns <= 0 or test_ns <= 0:
        raise UnableToSplit("train, test: a window must be longer than zero; use days of time.")
    _check_gap(train_ns, purge_ns + embargo_ns, "purge and embargo")
    begins = range(whole.begin_ns, whole.end_ns - train_ns - test_ns + 1, test_ns)
    if not begins:
        text = f"{whole.length_ns / 1e9:g} s hold no training and test window; use a longer recording"
        raise UnableToSplit(f"whole: {text} or shorter windows.")
    gap_ns = purge_ns + embargo_ns
    return tuple(
        Fold((Span(begin, begin + train_ns - gap_ns),), Span(begin + train_ns, begin + train_ns + test_ns))
        for begin in begins
    )


def purged(whole: Span, folds: int, *, purge_ns: int = 0, embargo_ns: int = 0) -> tuple[Fold, ...]:
    """Return `folds` folds whose test windows are the parts of the time, each trained on everything else.

    Training ends `purge_ns` before the test window; after it, it begins `purge_ns + embargo_ns` later, since what
    follows a test window still depends on what happened in it.

    Raises:
        UnableToSplit: `folds` is outside 2..50, or nothing is left to train on.

    Source:
        M. Lopez de Prado (2018), "Advances in Financial Machine Learning", Wiley, 7.4: purged k-fold, embargo.
    """
    parts = _parts(whole, folds, folds)
    _check_gap(parts[0].length_ns, purge_ns + embargo_ns, "purge and embargo")
    return tuple(Fold(_around(whole, test, purge_ns, embargo_ns), test) for test in parts)


def _around(whole: Span, test: Span, purge_ns: int, embargo_ns: int) -> tuple[Span, ...]:
    before = Span(whole.begin_ns, test.begin_ns - purge_ns)
    after = Span(test.end_ns + purge_ns + embargo_ns, whole.end_ns)
    return tuple(span for span in (before, after) if span.length_ns > 0)


def _parts(whole: Span, folds: int, count: int) -> tuple[Span, ...]:
    if not FEWEST_FOLDS <= folds <= MOST_FOLDS:
        raise UnableToSplit(f"folds: {folds} is outside {FEWEST_FOLDS}..{MOST_FOLDS}; choose a number inside.")
    if whole.length_ns < count:
        raise UnableToSplit(f"folds: {whole.length_ns} ns cannot be cut into {count} parts; use a longer recording.")
    edges = [whole.begin_ns + whole.length_ns * k // count for k in range(count + 1)]
    return tuple(Span(begin, end) for begin, end in pairwise(edges))


def _check_gap(part_ns: int, gap_ns: int, name: str) -> None:
    if gap_ns < 0 or gap_ns >= part_ns:
        text = f"{gap_ns / 1e9:g} s is not from 0 to the {part_ns / 1e9:g} s of a part; use less, or fewer folds."
        raise UnableToSplit(f"{name}: {text}")

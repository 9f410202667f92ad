"""A walk-forward learns from the past alone, drops what it cannot judge by name, and leaves the locked year alone."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from trading.domain.bars import Floats, Frame, Ints
from trading.domain.baselines import HAR_FEATURES
from trading.domain.offline_gate import Opening
from trading.ml.contenders import Fit, simple
from trading.ml.evaluation import DAY_NS, UnableToEvaluate, Walk, evaluate, looked_at, parts_of, walk_of, walked
from trading.ml.learnable import Labels, Learnable, Progress

FEATURES = (*HAR_FEATURES, "log_range_15m")
HOUR_NS = 3_600_000_000_000
OPENING = Opening("family", "model", "2025-01-01T00:00:00Z", "quant")
WALK = Walk(train_ns=20 * DAY_NS, test_ns=10 * DAY_NS, stride=1, seeds=(0, 1))


def data(days: int = 71, symbols: tuple[str, ...] = ("AUSDT", "BUSDT"), seed: int = 1) -> Learnable:
    """Return hourly bars whose coming variance is half of what the last feature says, and half noise."""
    rng, rows = np.random.default_rng(seed), days * 24
    frames, labels = [], []
    for symbol in symbols:
        at_ns = np.arange(1, rows + 1) * HOUR_NS
        x = rng.standard_normal((rows, len(FEATURES))).astype(np.float32)
        close = np.exp(np.cumsum(rng.standard_normal(rows) / 100))
        y = 0.5 * x[:, :1] + x[:, 3:] + 0.5 * rng.standard_normal((rows, 1))
        y[-24:] = np.nan
        frames.append(Frame(symbol, HOUR_NS, at_ns, x, np.ones(rows, np.bool_), close))
        labels.append(Labels(y, np.zeros(rows), np.zeros(rows), at_ns + DAY_NS))
    return Learnable("s", FEATURES, 3_600, (86_400,), 4, tuple(frames), tuple(labels), "made", "0" * 64)


def holed(of: Learnable, symbol: int, from_day: int, until_day: int) -> Learnable:
    frame = of.frames[symbol]
    known = frame.known.copy()
    known[from_day * 24 : until_day * 24] = False
    frames = [*of.frames]
    frames[symbol] = replace(frame, known=known)
    return replace(of, frames=tuple(frames))


def silent(share: float, doing: str) -> None:
    assert 0 <= share <= 1
    assert doing


class Spy:
    """Keeps what it was given to learn from and to forecast."""

    name, seeded = "spy", True

    def __init__(self) -> None:
        self.learned: list[tuple[int, Ints]] = []
        self.asked: list[Ints] = []

    def fit(self, of: Learnable, rows: Ints, seed: int, progress: Progress) -> Fit:
        self.learned.append((seed, rows))
        return Fit(self._forecast, 7)

    def _forecast(self, rows: Ints) -> Floats:
        self.asked.append(rows)
        return np.zeros(len(rows))


def test_every_contender_is_judged_on_the_same_rows() -> None:
    _, report, fits = walked(data(), simple(FEATURES), replace(WALK, curve=("ridge",)), silent)

    standings = report["standings"]
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert list(standings) == ["random", "last_hour", "ewma", "har", "ridge"]
    assert len(report["folds"]) == 5
    assert report["trials"] == 6
    assert standings["ridge"]["mse"] == pytest.approx(0.25, abs=0.02)
    assert standings["har"]["mse"] == pytest.approx(1.25, abs=0.1)
    assert standings["ridge"]["skill_vs_har"] == pytest.approx(0.8, abs=0.03)
    assert len(standings["random"]["mse_of_seeds"]) == 2
    assert fits["ridge"].parameters == 10


def test_a_learning_curve_says_what_each_doubling_gained_and_how_sure_it_is() -> None:
    report = evaluate(data(), simple(FEATURES)[-2:], replace(WALK, curve=("ridge",)), silent)

    curve = report["learning_curves"]["ridge"]
    gained, low, high = curve["last_doubling"]
    assert curve["rows"][-1] / curve["rows"][0] == pytest.approx(8, rel=0.05)
    assert curve["mse"][-1] < curve["mse"][0]
    assert low <= gained <= high
    assert [one[0] for one in curve["doublings"]] == pytest.approx(
        [1 - later / before for before, later in pairwise(curve["mse"])], abs=0.02
    )
    for loss, least, most in zip(curve["mse"], curve["low"], curve["high"], strict=True):
        assert least < loss < most


def test_nothing_is_learned_whose_outcome_a_test_could_see() -> None:
    of, spy = data(), Spy()

    evaluate(of, [*simple(FEATURES), spy], WALK, silent)

    parts, _ = parts_of(of, WALK)
    assert all(part.fold.test.begin_ns - part.fold.train[0].end_ns == 2 * DAY_NS for part in parts)
    assert [seed for seed, _ in spy.learned] == [0, 1] * 5
    for k, (_, rows) in enumerate(spy.learned):
        learned = max(int(of.labels[frame].until_ns[bar]) for frame, bar in rows)
        tested = min(int(of.frames[frame].at_ns[bar]) for frame, bar in spy.asked[3 * (k // 2)])
        assert learned + DAY_NS <= tested


def test_a_later_price_changes_no_earlier_fold() -> None:
    of = data()
    other = data(seed=2)
    cut = 40 * 24
    frames = tuple(
        replace(a, x=np.concatenate((a.x[:cut], b.x[cut:]))) for a, b in zip(of.frames, other.frames, strict=True)
    )

    before, after = (evaluate(each, simple(FEATURES), WALK, silent) for each in (of, replace(of, frames=frames)))

    assert before["folds"][:2] == after["folds"][:2]
    assert before["folds"][3] != after["folds"][3]


def test_a_symbol_with_a_hole_is_left_out_of_that_fold_by_name() -> None:
    parts, dropped = parts_of(holed(data(), 1, 31, 40), WALK)

    assert [(each["fold"], each["symbol"]) for each in dropped] == [(1, "BUSDT")]
    assert dropped[0]["test_known"] < 0.25 <= dropped[0]["train_known"]
    assert set(parts[1].test[:, 0].tolist()) == {0}
    assert set(parts[2].test[:, 0].tolist()) == {0, 1}


def test_a_fold_without_any_symbol_is_left_out() -> None:
    of = holed(holed(data(), 0, 31, 40), 1, 31, 40)

    assert [part.number for part in parts_of(of, WALK)[0]] == [0, 2, 3, 4]


def test_data_without_a_fold_are_refused() -> None:
    of = holed(holed(data(), 0, 0, 71), 1, 0, 71)

    with pytest.raises(UnableToEvaluate, match="no fold has enough known bars"):
        evaluate(of, simple(FEATURES), WALK, silent)


def test_symbols_are_looked_at_in_the_same_moments() -> None:
    parts, _ = parts_of(holed(data(), 1, 0, 1), replace(WALK, stride=5))

    bars = [set(parts[0].test[parts[0].test[:, 0] == frame, 1].tolist()) for frame in (0, 1)]
    assert bars[0] == bars[1]
    assert len(bars[0]) == 48


def test_the_locked_year_is_looked_at_only_when_it_was_opened() -> None:
    whole = data(days=700, symbols=("AUSDT",)).span
    edge = whole.end_ns - 365 * DAY_NS

    assert looked_at(whole, WALK).end_ns == edge
    assert looked_at(whole, replace(WALK, opening=OPENING)).begin_ns == edge - WALK.train_ns
    short = data(days=100).span
    assert looked_at(short, WALK) == short


def test_no_label_is_read_from_the_locked_year() -> None:
    of, spy = data(days=700, symbols=("AUSDT",)), Spy()
    edge = of.span.end_ns - 365 * DAY_NS
    test_ns = (edge - of.span.begin_ns - 100 * DAY_NS) // 5  # the last window ends where the year begins
    walk = Walk(train_ns=100 * DAY_NS, test_ns=test_ns, stride=1, seeds=(0,))

    report = evaluate(of, [*simple(FEATURES), spy], walk, silent)
    opened = evaluate(of, simple(FEATURES), replace(walk, opening=OPENING), silent)

    assert max(int(of.labels[0].until_ns[rows[:, 1]].max()) for rows in spy.asked) <= edge
    assert report["opened"] is None
    assert opened["opened"]["family"] == "family"
    assert len(opened["folds"]) == 365 // 47


def test_short_data_are_cut_into_sevenths_and_long_ones_into_months() -> None:
    assert walk_of(data(days=71)).train_ns == pytest.approx(40.6 * DAY_NS, rel=0.01)
    assert walk_of(data(days=241), seeds=(1,)) == Walk(train_ns=180 * DAY_NS, seeds=(1,))
    assert walk_of(data(days=239)).embargo_ns == 0


def test_a_mixture_says_the_mean_seed_by_seed() -> None:
    heard, report, _ = walked(data(), simple(FEATURES), WALK, silent, {"both": ("random", "ridge")})

    assert np.allclose(heard.said["both"], (heard.said["random"] + heard.said["ridge"]) / 2)
    assert heard.said["both"].shape[0] == 2
    assert report["standings"]["both"]["name"] == "both"
    assert report["trials"] == 7

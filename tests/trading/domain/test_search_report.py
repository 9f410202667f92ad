"""What is told of a search: nothing is left out of the count, no fold chooses on what tests it, unknown is not zero."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.backtest_settings import read
from trading.domain.deflation import Moments, expected_highest, probabilistic_sharpe
from trading.domain.scoring import Score
from trading.domain.search_plan import Method, Plan, Split
from trading.domain.search_report import Found, Row, best, chosen, digest, pareto, pruned, row_of, told
from trading.domain.splits import Fold, Span

PLAIN = read({})
VARY = {"levels": "8..40 by 4"}
FOLDS = (Fold((Span(0, 10),), Span(10, 20)), Fold((Span(10, 20),), Span(20, 30)))


def earned(fraction: str, *, fall: str = "0.01", turnover: str = "100", wobble: float = 0.0, seed: int = 1) -> Score:
    """Return a score; `wobble` 0: its returns do not vary, so its Sharpe ratio is unknown."""
    noise = np.random.default_rng(seed).standard_normal(40) * wobble
    returns = tuple((float(fraction) / 40 + noise).tolist())
    amount = Decimal(fraction)
    return Score(1 + amount, Decimal(fall), Decimal(turnover), amount * 1_000, Decimal(1), Decimal(1), 10, 5, returns)


def row(number: int, whole: Score | str, *trained: Score | str) -> Row:
    return row_of(number, {"levels": str(8 + number)}, whole, trained, trained[0] if trained else whole)


def test_the_best_has_the_highest_ratio_and_an_unknown_one_comes_last() -> None:
    quiet, rough = earned("0.02", wobble=0.001), earned("0.05", wobble=0.5)
    rows = [row(0, earned("0.9")), row(1, rough), row(2, quiet), row(3, quiet), row(4, "lot: too small")]

    assert best(rows) == rows[2]  # of two alike the first
    assert best(rows[:1]) == rows[0]
    assert best(rows[4:]) is None


def test_a_fold_chooses_on_its_training_window_alone() -> None:
    high, low = earned("0.05", wobble=0.001), earned("0.01", wobble=0.001)
    rows = [row(0, high, low, high), row(1, low, high, low), row(2, high, "no price", earned("0.9", wobble=0.001))]

    assert chosen(rows, 0) == rows[1]
    assert chosen(rows, 1) == rows[0]
    assert rows[2]["state"] == "failed"  # what is learned from must have run
    assert chosen([pruned(3, {}, 0)], 0) is None


def test_every_trial_is_counted_also_failed_pruned_and_earlier_ones() -> None:
    rows = [row(n, earned("0.02", wobble=0.001 * (n + 1))) for n in range(5)]
    rows += [row(5, "cash: too little"), pruned(6, {"levels": "8"}, 0)]

    facts = told(Found(rows, (), (), before=30), Plan(VARY, split=Split.NONE), PLAIN)

    score = rows[0]["score"]
    ratios = [one["score"]["sharpe"] for one in rows[:5]]
    assert facts["counts"] == {"tried": 7, "done": 5, "failed": 1, "pruned": 1, "before": 30}
    found = facts["deflated"]
    assert (found["trials"], found["sharpes"]) == (37, 5)
    assert found["expected"] == pytest.approx(expected_highest(37, float(np.var(ratios, ddof=1))))
    of = Moments(40, score["sharpe"], score["skewness"], score["kurtosis"])
    assert found["probability"] == pytest.approx(probabilistic_sharpe(of, found["expected"]))
    words = next(line for line in facts["assumptions"] if "are counted" in line)
    assert words == (
        "37 trials are counted against the best one: 5 done, 1 failed, 1 pruned, and 30 of earlier searches over the "
        "same data."
    )


def test_an_unknown_ratio_is_not_zero() -> None:
    none = told(Found([row(0, earned("0.1"))], (), ()), Plan(VARY), PLAIN)["deflated"]
    one = told(Found([row(0, earned("0.1", wobble=0.01)), row(1, "x: y")], (), ()), Plan(VARY), PLAIN)["deflated"]

    assert none == {"probability": None, "why": "no trial has 20 returns that vary"}
    assert one["probability"] is None
    assert one["why"] == "one Sharpe ratio of 2 trials is known, and one has no variance"


def test_folds_tell_what_they_chose_and_the_tests_together_are_out_of_sample() -> None:
    rows = [row(0, earned("0.1", wobble=0.01), earned("0.1"), earned("0.1"))]
    first, second = earned("0.02", wobble=0.01), earned("-0.01", wobble=0.01, seed=2)
    tested = [(rows[0], earned("0.1"), first), (rows[0], earned("0.2"), second)]

    facts = told(Found(rows, FOLDS, tested), Plan(VARY), PLAIN)

    assert [(one["number"], one["trained"]["return"], one["tested"]["return"]) for one in facts["folds"]] == [
        (0, "0.10000000", "0.02000000"), (0, "0.20000000", "-0.01000000"),
    ]  # fmt: skip
    assert facts["folds"][0]["test"] == ["1970-01-01T00:00:00.000+00:00"] * 2
    assert Decimal(facts["out_of_sample"]["return"]) == Decimal("1.02") * Decimal("0.99") - 1
    assert facts["out_of_sample"]["returns"] == 80
    assert 0 < facts["out_of_sample"]["probability"] < 1


@pytest.mark.parametrize("missing", [None, "no event"])
def test_a_fold_without_a_test_makes_the_whole_unknown(missing: str | None) -> None:
    rows = [row(0, earned("0.1"), earned("0.1"), earned("0.1"))]
    good = (rows[0], earned("0.1"), earned("0.1"))
    bad = None if missing is None else (rows[0], earned("0.1"), missing)

    facts = told(Found(rows, FOLDS, [good, bad]), Plan(VARY), PLAIN)

    assert facts["out_of_sample"] is None
    assert facts["folds"][1]["tested"] is None if missing else facts["folds"][1]["number"] is None
    assert facts["folds"][1]["why"]


def test_the_front_by_hand() -> None:
    points = [("0.05", "0.02", "10"), ("0.05", "0.03", "10"), ("0.01", "0.01", "20"), ("0.00", "0.01", "20"),
              ("-0.1", "0.5", "1")]  # fmt: skip
    rows = [row(n, earned(a, fall=b, turnover=c)) for n, (a, b, c) in enumerate(points)]

    assert pareto([*rows, row(9, "failed: so")]) == [0, 2, 4]


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=25))
def test_the_front_is_what_nobody_beats(points: list[tuple[int, int, int]]) -> None:
    rows = [row(n, earned(f"0.0{a}", fall=f"0.{b}", turnover=f"{c}")) for n, (a, b, c) in enumerate(points)]

    def beaten(one: tuple[int, int, int]) -> bool:
        return any(o != one and o[0] >= one[0] and o[1] <= one[1] and o[2] <= one[2] for o in points)

    assert pareto(rows) == [n for n, one in enumerate(points) if not beaten(one)]


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan(VARY, split=Split.NONE), "everything told here is in-sample"),
        (Plan(VARY, purge_s=Decimal(5)), "no part of it touches its test window, 5 s purged before it."),
        (Plan(VARY, split=Split.PURGED, embargo_s=Decimal(9)), "and an embargo of 9 s"),
        (Plan(VARY, method=Method.OPTUNA, trials=5), "Optuna learned from the first training window alone"),
        (Plan({"mode": "long, short"}), "SHORT: begins with the lots"),
        (Plan({"recentre_steps": "1, 2"}), "Every level rests"),
        (Plan({"lower": "50, 60"}), "The bounds were given"),
    ],
)
def test_the_assumptions_are_those_of_the_plan(plan: Plan, words: str) -> None:
    facts: dict[str, Any] = told(Found([row(0, earned("0.1"))], (), (), tape_assumptions=("tape",)), plan, PLAIN)

    assert facts["assumptions"][0] == "tape"
    assert any(words in line for line in facts["assumptions"])
    assert not any("whole days of 24 hours" in line for line in facts["assumptions"])


def test_the_digest_names_every_trial() -> None:
    rows = [row(0, earned("0.1")), row(1, earned("0.2"))]

    assert digest(rows) == digest([row(0, earned("0.1")), row(1, earned("0.2"))])
    assert digest(rows) != digest(rows[:1])
    assert digest(rows) != digest([rows[0], row(1, earned("0.2", turnover="100.00000001"))])

"""What stands in a report is what a hand computes, and what was said of other hours helps nobody."""

import json
from dataclasses import replace

import numpy as np
import pytest

from trading.domain.bars import Floats
from trading.domain.contest import WEEK_NS, Heard, folds_of, permutation, shown, standing
from trading.domain.offline_gate import read_evidence

STEP_NS = 900_000_000_000


def heard(rows: int = 800, *, better: float = 0.5) -> Heard:
    """Return two symbols over two folds: HAR misses by noise of 1, Ridge by .7, "good" by `better`."""
    rng = np.random.default_rng(1)
    y = rng.standard_normal(rows)
    miss = {"har": 1.0, "ridge": 0.7, "good": better}
    said = {name: (y + size * rng.standard_normal(rows))[np.newaxis] for name, size in miss.items()}
    spread = {name: np.full(rows, size) for name, size in miss.items()}
    at_ns = np.repeat(np.arange(rows // 2) * STEP_NS, 2)
    symbol, fold = np.tile([0, 1], rows // 2), (np.arange(rows) >= rows // 2).astype(np.int64)
    return Heard(("AUSDT", "BUSDT"), at_ns, symbol, fold, y, said, spread, STEP_NS, 4 * STEP_NS)


def by_hand(y: Floats, **said: list[list[float]]) -> Heard:
    n = len(y)
    spread = {name: np.ones(n) for name in said}
    at_ns, fold = np.arange(n) * STEP_NS, np.arange(n) // 2
    told = {name: np.array(each) for name, each in said.items()}
    return Heard(("AUSDT",), at_ns, np.zeros(n, np.int64), fold, y, told, spread, STEP_NS, 2 * STEP_NS)


def test_a_loss_is_the_mean_of_its_seeds() -> None:
    one = by_hand(np.zeros(4), har=[[1.0, 1, 2, 2]], net=[[1.0, 0, 0, 2], [0.0, 1, 0, 0]])

    assert one.loss("net").tolist() == [0.5, 0.5, 0, 2]
    assert folds_of(one, "net") == {0: 0.5, 1: 1.0}
    assert folds_of(one, "har") == {0: 1.0, 1: 4.0}


def test_folds_won_and_the_worst_are_counted_against_har() -> None:
    one = by_hand(np.zeros(4), har=[[1.0, 1, 2, 2]], net=[[1.1, 1.1, 1.0, 1.0]])

    found = standing(one, "net")

    assert (found["better_folds"], found["worst_fold_number"]) == (0.5, 0)
    assert found["worst_fold"] == pytest.approx(0.21)
    assert found["behind_ridge"] is None
    assert (found["skill_vs_har"], found["interval"], found["t_vs_har"]) == (None, None, None)  # of four hours


def test_who_is_better_stands_above_har_and_ridge_with_an_interval() -> None:
    found = standing(heard(), "good")

    low, high = found["interval"]
    assert found["skill_vs_har"] == pytest.approx(0.75, abs=0.06)
    assert low < found["skill_vs_har"] < high
    assert found["t_vs_har"] > 5
    assert found["t_vs_ridge"] > 2
    assert found["behind_ridge"] == pytest.approx(0.25 / 0.49 - 1, abs=0.1)
    assert [each["symbol"] for each in found["symbols"]] == ["AUSDT", "BUSDT"]
    assert all(each["interval"][0] < each["skill_vs_har"] < each["interval"][1] for each in found["symbols"])
    assert found["coverage_80"] == pytest.approx(0.8, abs=0.05)
    assert found["calibration_error"] < 0.1


def test_a_report_is_plain_json_without_a_number_that_is_none() -> None:
    json.dumps(standing(heard(), "har"), allow_nan=False)


def test_har_is_as_good_as_itself() -> None:
    found = standing(heard(), "har")

    assert (found["skill_vs_har"], found["interval"], found["t_vs_har"], found["worst_fold"]) == (0, None, None, 0)


def test_evidence_is_held_against_the_best_rival_and_read_by_the_gate() -> None:
    found = shown(heard(), "good", ("har", "ridge", "good"))

    evidence = read_evidence({"evidence": found})
    assert found["best_rival"] == "ridge"
    assert (evidence.folds, evidence.better_folds, evidence.shifts) == (2, 1.0, 40)
    assert evidence.permutation_p == pytest.approx(1 / 41)
    assert evidence.worst_fold is not None
    assert evidence.worst_fold < 0
    assert evidence.t_vs_best is not None
    assert evidence.t_vs_best > 2


def test_a_forecast_of_other_hours_is_no_better_than_at_any_time() -> None:
    one = heard()
    late = np.roll(one.said["good"], 200, axis=1)

    found = permutation(replace(one, said={**one.said, "good": late}), "good")

    assert found is not None
    assert found > 0.05


def test_too_few_hours_or_nothing_added_prove_nothing() -> None:
    assert permutation(heard(100), "good") is None
    assert permutation(heard(), "har") is None


def test_a_block_is_a_week_or_a_quarter_of_what_there_is() -> None:
    one = heard()

    assert one.overlap == 4
    assert one.block(10_000) == WEEK_NS // STEP_NS
    assert one.block(100) == 25
    assert one.block(2) == 1

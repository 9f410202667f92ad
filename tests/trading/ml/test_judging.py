"""Nets are judged beside the baselines, exported and timed, and pass no gate on a few days."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from tests.trading.ml.test_evaluation import WALK, data, silent
from trading.ml.contenders import Net, forecasts
from trading.ml.evaluation import UnableToEvaluate
from trading.ml.indicating import FEW
from trading.ml.judging import Ask, again, judged, nets_of
from trading.ml.learnable import Learnable, Plan
from trading.ml.stages.light import DLINEAR, LIGHT, POINTWISE

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
QUICK = Ask(light=("pointwise",), quick=True, epochs=1, thin=4)


@pytest.fixture(scope="module")
def learned() -> Learnable:
    return data(days=41)


@pytest.fixture(scope="module")
def report(learned: Learnable) -> dict[str, Any]:
    return judged(learned, nets_of(QUICK), replace(QUICK, look=FEW), replace(WALK, newest=2, seeds=(0,)), NOW, silent)


def test_nets_stand_beside_the_baselines_with_what_they_became(report: dict[str, Any]) -> None:
    assert [each["name"] for each in report["baselines"]] == [
        "random", "last_hour", "ewma", "har", "ridge", "mixture",
    ]  # fmt: skip
    (stage,) = report["stages"]
    assert (stage["stage"], stage["name"], stage["exported"]) == (0, "pointwise", True)
    assert 0 <= stage["parity"] <= 1e-5
    assert 0 < stage["latency_p99_ms"] < 50
    assert stage["parameters"] > 100
    assert stage["interval"][0] <= stage["skill_vs_har"] <= stage["interval"][1]
    json.dumps(report, allow_nan=False)


def test_the_best_net_tells_what_the_next_stage_is_due_by(report: dict[str, Any]) -> None:
    (stage,) = report["stages"]

    assert len(stage["capacity_doublings"]) == 1
    assert report["learning_curves"]["pointwise"]["shares"] == [0.25, 0.5, 1.0]
    assert set(report["log_likelihood"]) == {"2", "3", "4", "5", "6"}
    assert len(report["entropy_rise"]) == 3
    assert report["trials"] == 5 + 1 + 1 + 2 + 1  # baselines, the net, the mixture, two shares, one larger net


def test_what_is_measured_nowhere_keeps_a_net_from_passing(report: dict[str, Any]) -> None:
    (stage,) = report["stages"]

    missed = {each["criterion"]: each["actual"] for each in stage["findings"] if not each["met"]}
    assert not stage["offline_pass"]
    assert missed["locked year"] == "not measured"
    assert stage["replay"]["weeks"] >= 2
    assert stage["evidence"]["replayed_adverse"]
    assert missed["fully trained"] == "1"
    assert stage["evidence"]["best_rival"] in {"ewma", "har", "ridge"}


def test_a_mixture_is_at_least_as_good_as_the_worse_half_of_its_members(report: dict[str, Any]) -> None:
    mse = {each["name"]: each["mse"] for each in (*report["baselines"], *report["stages"])}

    assert mse["mixture"] < max(mse["ridge"], mse["pointwise"]) + 0.01


def test_another_seed_learns_from_other_rows(learned: Learnable) -> None:
    net = Net(LIGHT["dlinear"], Plan(quick=True, epochs=1), "dlinear", thin=3)
    rows = learned.rows((learned.span,))

    fits = [net.fit(learned, rows, seed, silent) for seed in (0, 1)]

    assert all(fit.rows is not None and len(fit.rows) == pytest.approx(len(rows) / 3, abs=1) for fit in fits)
    assert not np.array_equal(fits[0].forecast(rows), fits[1].forecast(rows))
    assert fits[0].fitted is not None
    assert np.array_equal(fits[0].forecast(rows), forecasts(fits[0].fitted.net, learned, rows))


@pytest.mark.parametrize("stage", [DLINEAR, POINTWISE], ids=lambda each: str(each.name))
def test_a_registered_model_is_trained_again_as_its_card_tells(stage: Any, learned: Learnable) -> None:
    recipe, hyper = stage.read(Plan(quick=True, epochs=7, batch=32, hyper={"held_out": 0.0, "rate": 0.002}))
    card = {"stage": stage.number, "name": stage.name, "quick": True, "hyper": hyper | {"epochs": recipe.epochs}}

    net = again(card | {"hyper": card["hyper"] | {"rate": 0.002, "seed": 9}}, "abcdef0123", thin=1)

    assert net.name == f"{stage.name}:abcdef01"
    assert (net.plan.epochs, net.plan.hyper["rate"]) == (7, 0.002)
    assert "seed" not in net.plan.hyper


def test_a_model_of_an_unknown_stage_is_refused() -> None:
    with pytest.raises(UnableToEvaluate, match="stage: 9 of odd is unknown here"):
        again({"stage": 9, "name": "odd", "hyper": {}, "quick": True}, "a" * 64, thin=1)

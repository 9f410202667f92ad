"""A model behind onnxruntime: what it says, on the thread that asks, and every unsound answer as a fault."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.trading.tiny_card import COUNT, MEAN, SPREAD, WINDOW, card
from tests.trading.tiny_model import AT, files, line, weights
from trading.adapters.predictor_onnx import OnnxPredictor
from trading.domain.learned import Fault, ModelFault

ROOT = Path(__file__).resolve().parents[3]


def windows(symbols: int) -> tuple[Any, Any]:
    x = np.random.default_rng(0).normal(MEAN, SPREAD, (symbols, WINDOW, COUNT)).astype(np.float32)
    return x, np.ones((symbols, WINDOW), np.float32)


def test_it_says_what_the_net_computes_for_every_symbol() -> None:
    x, known = windows(7)

    found = OnnxPredictor(files()).predict(x, known)

    expected = AT + ((x[:, -1] - MEAN) / SPREAD).sum(axis=1) * 0.1
    assert found["log_rv"][:, 0] == pytest.approx(expected, abs=1e-5)
    assert found["log_rv_q"].shape == (7, 3, 2)


def test_a_step_says_the_same_and_hands_its_state_on() -> None:
    predictor = OnnxPredictor(files(said=card(mode="step")))
    x, known = windows(2)

    said, state = predictor.step(x[:, -1], known[:, -1], None)
    _, later = predictor.step(x[:, -1], known[:, -1], state)

    assert said["log_rv"] == pytest.approx(predictor.predict(x, known)["log_rv"])
    assert (state.tolist(), later.tolist()) == ([[1, 1], [1, 1]], [[2, 2], [2, 2]])


def test_it_works_on_the_thread_that_asks_and_starts_none() -> None:
    before = len(list(Path("/proc/self/task").iterdir())) if Path("/proc/self/task").exists() else 0
    predictor = OnnxPredictor(files())
    predictor.predict(*windows(7))

    if before:
        assert len(list(Path("/proc/self/task").iterdir())) == before
    assert "models" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("x", "known"),
    [
        (np.zeros((1, WINDOW, COUNT)), np.ones((1, WINDOW), np.float32)),
        (np.zeros((1, WINDOW + 1, COUNT), np.float32), np.ones((1, WINDOW + 1), np.float32)),
        (np.zeros((1, WINDOW, COUNT - 1), np.float32), np.ones((1, WINDOW), np.float32)),
        (np.zeros((2, WINDOW, COUNT), np.float32), np.ones((1, WINDOW), np.float32)),
    ],
)
def test_what_is_no_window_of_it_is_a_mismatch(x: Any, known: Any) -> None:
    with pytest.raises(ModelFault) as raised:
        OnnxPredictor(files()).predict(x, known)

    assert raised.value.fault is Fault.MISMATCH


def test_an_answer_that_is_not_finite_is_a_fault() -> None:
    predictor = OnnxPredictor(files(net=line(weights(slope=weights()["slope"] * np.float32(1e38)), card().outputs)))
    x, known = windows(1)

    with pytest.raises(ModelFault) as raised:
        predictor.predict(x * 1e6, known)

    assert raised.value.fault is Fault.NOT_FINITE


def test_a_net_that_fails_while_it_runs_is_broken() -> None:
    model = onnx.load_from_string(line(weights(), card().outputs))
    for initializer in model.graph.initializer:
        if initializer.name == "newest":
            initializer.CopyFrom(onnx.numpy_helper.from_array(np.array(99, np.int64), "newest"))

    with pytest.raises(ModelFault) as raised:
        OnnxPredictor(files(net=model.SerializeToString())).predict(*windows(1))

    assert raised.value.fault is Fault.BROKEN


def test_a_net_that_cannot_be_loaded_is_missing() -> None:
    with pytest.raises(ModelFault) as raised:
        OnnxPredictor(files(net=b"hello"))

    assert raised.value.fault is Fault.MISSING


def test_nothing_of_the_loops_imports_what_trains() -> None:
    source = (
        "import sys, django; django.setup()\n"
        "import trading.bootstrap, trading.adapters.predictor_onnx, trading.services.recorded_bars\n"
        "print(sorted({'torch', 'onnx', 'onnxscript', 'sklearn', 'boto3', 'optuna'} & set(sys.modules)))"
    )

    ran = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert ran.stdout.splitlines()[-1:] == ["[]"], ran.stderr

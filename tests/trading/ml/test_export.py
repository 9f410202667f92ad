"""What leaves the room of torch says the same, and says what it is."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
import torch
from safetensors.torch import load

from tests.trading.ml.worlds import learnable
from trading.domain.bar_features import FEATURES
from trading.domain.model_card import read_card
from trading.domain.model_package import sealed
from trading.ml import export as exporting
from trading.ml.export import Origin, UnableToExport, export, session_of
from trading.ml.forecasting import Forecasting
from trading.ml.learnable import Fitted, Learnable, Plan
from trading.ml.networks.blocks import parameters_of
from trading.ml.networks.forecaster import OUTPUTS
from trading.ml.stages.attentive import STAGE as ATTENTIVE
from trading.ml.stages.multiscale import STAGE as MULTISCALE
from trading.ml.stages.recurrent import STAGE as RECURRENT
from trading.services.model_registry import why_refused

AT = datetime(2026, 11, 1, tzinfo=UTC)


def trained(stage: Forecasting, data: Learnable) -> Fitted:
    return stage.fit(data, data.rows((data.span,)), Plan(quick=True, epochs=1), lambda _, __: None)


@pytest.fixture(scope="module", params=[RECURRENT, ATTENTIVE, MULTISCALE], ids=lambda stage: str(stage.name))
def exported(request: pytest.FixtureRequest) -> tuple[Learnable, Fitted, dict[str, bytes]]:
    data, stage = learnable(symbols=("BTCUSDT", "ETHUSDT"), bars=200, features=len(FEATURES)), request.param
    fitted = trained(stage, data)
    origin = Origin(stage.name, stage.number, True, (0,), AT, build="abc", parent="p" * 64)
    return data, fitted, export(fitted, data, data.rows((data.span,)), origin)


def test_onnx_says_what_torch_says_for_any_number_of_symbols(exported: Any) -> None:
    data, fitted, files = exported
    session = session_of(files["model.onnx"])

    for count in (1, 3, 50):
        x, known = data.windows(data.rows((data.span,))[:count])
        said = session.run(list(OUTPUTS), {"x": x, "known": known})
        with torch.no_grad():
            meant = fitted.net(torch.from_numpy(x), torch.from_numpy(known))
        for a, b in zip(said, meant, strict=True):
            assert a.shape == b.shape
            assert np.abs(a - b.numpy()).max() <= 1e-5


def test_the_card_can_be_read_and_is_true(exported: Any) -> None:
    data, fitted, files = exported
    rows = data.rows((data.span,))

    card = read_card(files["card.json"])

    assert card.parameters == parameters_of(fitted.net)
    assert card.outputs == ("log_rv", "log_rv_q", "trend", "regime")
    assert (card.features, card.window, card.symbols) == (data.features, data.window, data.symbols)
    assert card.mean == tuple(fitted.net.standardize.mean.tolist())
    assert card.spread == pytest.approx(data.last(rows).std(axis=0), rel=0.1)
    assert np.mean(data.last(rows)[:, 0] < card.bins[0][4]) == pytest.approx(0.5, abs=0.01)
    assert (card.parity <= 1e-5, card.quick, card.parent) == (True, True, "p" * 64)
    assert card.trained_until_ns == max(data.labels[f].until_ns[b] for f, b in rows)
    assert card.versions["gridconsole"] == "abc"


def test_the_store_of_models_finds_nothing_wrong_with_it(exported: Any) -> None:
    _, _, files = exported

    assert why_refused(sealed(files)) == ""


def test_the_weights_are_those_of_the_net(exported: Any) -> None:
    _, fitted, files = exported

    found = load(files["weights.safetensors"])

    assert found.keys() == fitted.net.state_dict().keys()
    assert all(torch.equal(found[name], each) for name, each in fitted.net.state_dict().items())


def test_no_file_tells_of_the_machine_it_was_made_on(exported: Any) -> None:
    _, _, files = exported

    for content in files.values():
        assert b"/trading/ml/" not in content
        assert b"site-packages" not in content


@pytest.mark.parametrize("exported", [RECURRENT], ids=["lstm"], indirect=True)
def test_a_net_with_a_state_says_one_bar_at_a_time_what_the_window_says(exported: Any) -> None:
    data, _, files = exported
    step, whole = session_of(files["step.onnx"]), session_of(files["model.onnx"])
    x, known = data.windows(data.rows((data.span,))[:7])
    state = np.zeros((7, step.get_inputs()[2].shape[1]), np.float32)

    for bar in range(data.window):
        *said, state = step.run(None, {"x": x[:, bar], "known": known[:, bar], "state": state})

    for a, b in zip(said, whole.run(None, {"x": x, "known": known}), strict=True):
        assert np.abs(a - b).max() <= 1e-6
    assert [each.name for each in step.get_outputs()][-1] == "next_state"
    assert json.loads(files["card.json"])["mode"] == "step"


@pytest.mark.parametrize("exported", [RECURRENT], ids=["lstm"], indirect=True)
@pytest.mark.parametrize("bias", [1e-3, np.nan], ids=["a little", "not finite"])
def test_a_file_that_says_something_else_than_the_net_never_leaves(
    exported: Any, bias: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, fitted, files = exported
    model = onnx.load_from_string(files["model.onnx"])
    found = next(each for each in model.graph.initializer if each.name.endswith("straight.bias"))
    found.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(found) + np.float32(bias), found.name))
    monkeypatch.setattr(exporting, "onnx_of", lambda *_: bytes(model.SerializeToString()))

    with pytest.raises(UnableToExport, match="differ by"):
        export(replace(fitted, step=None), data, data.rows((data.span,)), Origin("lstm", 0, True, (0,), AT))

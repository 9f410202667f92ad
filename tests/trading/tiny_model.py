"""A model of a few numbers, made without a trainer: a line from the newest bar, sound unless a test spoils it."""

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.trading.tiny_card import COUNT, MEAN, SPREAD, card
from trading.domain.learned import HORIZONS_S
from trading.domain.model_card import Card
from trading.domain.model_package import CARD, NET, STEP, WEIGHTS, sealed

AT = float(MEAN[0])  # of log RV in training
Arrays = Mapping[str, NDArray[Any]]


def weights(**changes: Any) -> dict[str, NDArray[Any]]:
    """Return the numbers of the net; the slope is small, so that what it says stays near what it was trained on."""
    slope = np.full((COUNT, len(HORIZONS_S)), 0.1, np.float32)
    return {"standardize.mean": MEAN, "standardize.spread": SPREAD, "slope": slope, **changes}


def files(*, said: Card | None = None, held: Arrays | None = None, net: bytes = b"") -> dict[str, bytes]:
    """Return a sealed model; a step form comes with a card that asks for one."""
    said, held = said or card(), held or weights()
    made = {CARD: json.dumps(said.as_json()).encode(), NET: net or line(held, said.outputs), WEIGHTS: safetensors(held)}
    if said.mode == "step":
        made[STEP] = line(held, said.outputs, step=True)
    return sealed(made)


def safetensors(held: Arrays) -> bytes:
    header, content = {}, b""
    for name, values in held.items():
        begin, content = len(content), content + values.astype(np.float32).tobytes()
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def line(held: Arrays, outputs: Sequence[str], *, step: bool = False, layers: int = 0, shift: float = 0.0) -> bytes:
    """Return the ONNX of the line; `layers` products of large matrices before it make it slow and change nothing."""
    inits = [numpy_helper.from_array(values.astype(np.float32), name) for name, values in held.items()]
    inits += [
        numpy_helper.from_array(np.array(value, np.float32), f"c{k}") for k, value in enumerate((AT + shift, 1.0))
    ]
    nodes, last = [], "x"
    if not step:
        inits.append(numpy_helper.from_array(np.array(-1, np.int64), "newest"))
        nodes.append(helper.make_node("Gather", ["x", "newest"], ["bar"], axis=1))
        last = "bar"
    if layers:
        nodes, inits, last = _slow(nodes, inits, last, layers)
    nodes += [
        helper.make_node("Sub", [last, "standardize.mean"], ["centred"]),
        helper.make_node("Div", ["centred", "standardize.spread"], ["z"]),
        helper.make_node("MatMul", ["z", "slope"], ["sloped"]),
        helper.make_node("Add", ["sloped", "c0"], ["log_rv"]),
    ]
    if "log_rv_q" in outputs:
        inits.append(numpy_helper.from_array(np.array([-1.28, 1.28], np.float32), "wide"))
        inits.append(numpy_helper.from_array(np.array([2], np.int64), "axis"))
        nodes.append(helper.make_node("Unsqueeze", ["log_rv", "axis"], ["upright"]))
        nodes.append(helper.make_node("Add", ["upright", "wide"], ["log_rv_q"]))
    horizons, symbols = len(HORIZONS_S), "S"
    shapes = {"log_rv": [symbols, horizons], "log_rv_q": [symbols, horizons, 2], "next_state": [symbols, 2]}
    inputs = {"x": [symbols, COUNT], "known": [symbols], "state": [symbols, 2]} if step else {
        "x": [symbols, "T", COUNT], "known": [symbols, "T"]
    }  # fmt: skip
    if step:
        nodes.append(helper.make_node("Add", ["state", "c1"], ["next_state"]))
    wanted = [*outputs, *(["next_state"] if step else [])]
    return _model(nodes, inputs, {name: shapes[name] for name in wanted}, inits)


def _slow(nodes: list[Any], inits: list[Any], last: str, layers: int) -> tuple[list[Any], list[Any], str]:
    wide = 1_500
    inits.append(numpy_helper.from_array(np.zeros((COUNT, wide), np.float32), "in"))
    inits.append(numpy_helper.from_array(np.zeros((wide, wide), np.float32), "across"))
    inits.append(numpy_helper.from_array(np.zeros((wide, COUNT), np.float32), "out"))
    nodes.append(helper.make_node("MatMul", [last, "in"], ["w0"]))
    for number in range(layers):
        nodes.append(helper.make_node("MatMul", [f"w{number}", "across"], [f"w{number + 1}"]))
    nodes.append(helper.make_node("MatMul", [f"w{layers}", "out"], ["nothing"]))
    nodes.append(helper.make_node("Add", [last, "nothing"], ["same"]))
    return nodes, inits, "same"


def _model(nodes: list[Any], inputs: Mapping[str, Any], outputs: Mapping[str, Any], inits: list[Any]) -> bytes:
    def told(shapes: Mapping[str, Any]) -> list[Any]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]

    graph = helper.make_graph(nodes, "line", told(inputs), told(outputs), inits)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())

"""A trained net as the files of a model: ONNX held against torch, weights, card. No pickle anywhere."""

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
import onnxruntime
import torch
from safetensors.torch import save
from torch import Tensor, nn

from trading.domain.bars import Floats, Ints
from trading.domain.model_card import Card
from trading.ml.learnable import Fitted, Floats32, Learnable
from trading.ml.networks.blocks import parameters_of

WINDOW_INPUTS, STEP_INPUTS, NEXT_STATE = ("x", "known"), ("x", "known", "state"), "next_state"
MOST_PARITY = 1e-5  # |onnx - torch|, of every output
OPSET = 20
CHECKED = 64  # windows that both are asked, as many random as real ones
TTL_BARS = 2
DEADLINE_MS = 50.0  # nets asked once a bar


class UnableToExport(Exception):
    """The net cannot become a model; the message says what differs and what to do."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a card says that the net itself does not know."""

    name: str
    stage: int
    quick: bool
    seeds: tuple[int, ...]
    at: datetime
    build: str = ""  # of this product
    embargo_s: int = 0
    parent: str = ""
    deadline_ms: float = DEADLINE_MS


def export(fitted: Fitted, data: Learnable, rows: Ints, origin: Origin) -> dict[str, bytes]:
    """Return card.json, model.onnx, weights.safetensors and, for nets with a state, step.onnx; not sealed yet.

    `rows` are the ones it was trained on: the card's statistics are theirs.

    Raises:
        UnableToExport: ONNX Runtime and torch differ by more than 1e-5, or an output is not finite.
    """
    net = deepcopy(fitted.net).cpu().eval()
    files = {"model.onnx": onnx_of(net, _example(data), WINDOW_INPUTS, fitted.outputs)}
    real = data.windows(rows[np.linspace(0, len(rows) - 1, min(CHECKED, len(rows))).astype(np.int64)])
    parity = max(parity_of(net, files["model.onnx"], inputs) for inputs in (real, _random(real)))
    if fitted.step is not None:
        step = deepcopy(fitted.step).cpu().eval()
        width: int = step.state_width  # type: ignore[assignment]  # a module answers Tensor or Module
        states = np.zeros((len(real[0]), width), np.float32)
        files["step.onnx"] = onnx_of(step, _example(data, width), STEP_INPUTS, (*fitted.outputs, NEXT_STATE))
        shaken = np.random.default_rng(0).uniform(-1, 1, states.shape).astype(np.float32)
        for inputs in (real, _random(real)):
            for state in (states, shaken):
                bar = (inputs[0][:, -1], inputs[1][:, -1], state)
                parity = max(parity, parity_of(step, files["step.onnx"], bar))
    if not parity <= MOST_PARITY:
        raise UnableToExport(f"ONNX Runtime and torch differ by {parity:.2g}, at most {MOST_PARITY:g}: train it again.")
    files["weights.safetensors"] = weights_of(net)
    files["card.json"] = json.dumps(card_of(fitted, data, rows, origin, parity).as_json(), indent=1).encode()
    return files


def onnx_of(net: nn.Module, example: tuple[Tensor, ...], inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """Return `net` as ONNX with a free first axis; nothing in it tells of the machine it was made on."""
    many = torch.export.Dim("S")
    with _quietly():
        program = torch.onnx.export(
            net,
            example,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=tuple({0: many} for _ in example),
        )
    assert program is not None
    proto = program.model_proto
    # The exporter writes the stack of every node, with paths of this machine.
    for part in (proto, proto.graph, *proto.graph.node, *proto.graph.value_info, *proto.functions):
        part.ClearField("metadata_props")
    for named in (proto.graph, *proto.graph.node, *proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        named.ClearField("doc_string")
    found: bytes = proto.SerializeToString(deterministic=True)
    return found


def parity_of(net: nn.Module, onnx: bytes, inputs: Sequence[Floats32]) -> float:
    """Return the largest difference between what ONNX Runtime and torch say of the same; infinite where not finite."""
    session = session_of(onnx)
    names = [each.name for each in session.get_inputs()]
    said = session.run(None, dict(zip(names, inputs, strict=True)))
    with torch.no_grad():
        meant = net(*(torch.from_numpy(each) for each in inputs))
    apart = [float(np.abs(a - b.numpy()).max()) for a, b in zip(said, meant, strict=True)]
    return max(apart) if np.isfinite(apart).all() else float("inf")


def session_of(onnx: bytes) -> onnxruntime.InferenceSession:
    """Return a session on one thread, as models are served."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])


def weights_of(net: nn.Module) -> bytes:
    """Return every weight and buffer as safetensors."""
    found: bytes = save({name: each.detach().cpu().contiguous() for name, each in net.state_dict().items()})
    return found


def card_of(fitted: Fitted, data: Learnable, rows: Ints, origin: Origin, parity: float) -> Card:
    """Return the card: every statistic is of the rows it was trained on."""
    last = data.last(rows).astype(np.float64)
    mean, spread = scales_of(fitted.net, last)
    target = data.target(rows, "log_rv")[:, 0]
    closes = [data.frames[frame].at_ns[bar] for frame, bar in rows]
    untils = [data.labels[frame].until_ns[bar] for frame, bar in rows]
    return Card(
        name=origin.name,
        stage=origin.stage,
        parameters=parameters_of(fitted.net),
        hyper=fitted.hyper,
        outputs=tuple(map(str, fitted.outputs)),
        mode="window" if fitted.step is None else "step",
        schema=data.schema,
        features=data.features,
        bar_s=data.bar_s,
        window=data.window,
        horizons_s=data.horizons_s,
        symbols=data.symbols,
        data=data.source,
        data_sha256=data.sha256,
        trained_from_ns=int(min(closes)),
        trained_until_ns=int(max(untils)),
        purge_s=max(data.horizons_s),
        embargo_s=origin.embargo_s,
        seeds=origin.seeds,
        trials=fitted.trials,
        quick=origin.quick,
        deadline_ms=origin.deadline_ms,
        ttl_s=TTL_BARS * data.bar_s,
        parity=parity,
        mean=mean,
        spread=spread,
        bins=tuple(tuple(map(float, row)) for row in np.quantile(last, np.arange(1, 10) / 10, axis=0).T),
        log_rv=(float(target.mean()), float(target.std())),
        versions={
            **{name: version(name) for name in ("torch", "onnx", "onnxruntime")},
            "opset": str(OPSET),
            "gridconsole": origin.build,
        },
        made_at=origin.at.astimezone(UTC).isoformat(timespec="seconds"),
        parent=origin.parent,
    )


def scales_of(net: nn.Module, last: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and spread of each feature as the net itself has them; of `last` (n, F) where it has none."""
    held = net.state_dict()
    spread = last.std(axis=0)
    found = (
        held.get("standardize.mean", torch.from_numpy(last.mean(axis=0))),
        held.get("standardize.spread", torch.from_numpy(np.where(spread > 0, spread, 1.0))),
    )
    return tuple(found[0].tolist()), tuple(found[1].tolist())


def _example(data: Learnable, state: int = 0) -> tuple[Tensor, ...]:
    """Return inputs of two symbols: an axis of one would be taken for a constant."""
    features = len(data.features)
    if state:
        return torch.zeros(2, features), torch.ones(2), torch.zeros(2, state)
    return torch.zeros(2, data.window, features), torch.ones(2, data.window)


def _random(real: tuple[Floats32, Floats32]) -> tuple[Floats32, Floats32]:
    """Return windows as wide as the real ones, and with bars missing in between."""
    draw = np.random.default_rng(0)
    x, known = real
    scale, middle = x.std(axis=(0, 1)), x.mean(axis=(0, 1))
    found = (middle + 2 * scale * draw.standard_normal(x.shape)).astype(np.float32)
    holes = (draw.random(known.shape) < 0.9).astype(np.float32)
    holes[:, -1] = 1
    return found, holes


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporter's talk about itself away; what it fails at is raised."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)

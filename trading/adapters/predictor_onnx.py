"""A model behind onnxruntime, on the thread that asks: what it cannot answer soundly, it does not answer."""

from collections.abc import Sequence
from math import isfinite
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from trading.domain import model_package
from trading.domain.bar_features import FEATURES, schema_digest
from trading.domain.learned import Fault, ModelFault, Named, Output
from trading.domain.model_card import Card, UnreadableCard, read_card
from trading.domain.model_package import Files

QUIET: Final = 4  # fatal errors alone: what goes wrong is raised, and told by whoever asked
STATE, NEXT_STATE = "state", "next_state"
SUM_OFF: Final = 1e-3  # what float32 probabilities may miss 1 by

Floats32 = NDArray[np.float32]


class OnnxPredictor:
    """One loaded model; see `trading.ports.Predictor`. It may be asked from any thread, by one at a time."""

    def __init__(self, files: Files) -> None:
        """Load the files of a model, verified before.

        Raises:
            ModelFault: the card or a net cannot be read, or they are not for each other or not for these features.
        """
        self.card = _card(files)
        self._shapes = _shapes(self.card)
        self._after = (*self.card.outputs, NEXT_STATE)
        self._net = _session(files[model_package.NET], model_package.NET)
        _refuse_other_names(self._net, ("x", "known"), self.card.outputs, model_package.NET)
        self._step = self._state_size = None
        if model_package.STEP in files:
            self._step = _session(files[model_package.STEP], model_package.STEP)
            names = ("x", "known", STATE)
            _refuse_other_names(self._step, names, (*self.card.outputs, NEXT_STATE), model_package.STEP)
            self._state_size = _last_axis(self._step.get_inputs(), STATE)
        elif self.card.mode == "step":
            raise ModelFault(Fault.MISMATCH, f"{model_package.STEP} is missing, which its card asks for.")

    def predict(self, x: Floats32, known: Floats32) -> Named:
        """Return the outputs for windows x (S, T, F), known (S, T). Raises ModelFault and nothing else."""
        shape = (x.shape[0], self.card.window, len(self.card.features))
        _refuse_shape("x", x, shape)
        _refuse_shape("known", known, shape[:2])
        return self._checked(_run(self._net, self.card.outputs, {"x": x, "known": known}), x.shape[0])

    def step(self, x: Floats32, known: Floats32, state: Floats32 | None) -> tuple[Named, Floats32]:
        """Return the outputs after one more bar, x (S, F), known (S,), and the state; None begins one."""
        if self._step is None or self._state_size is None:
            raise ModelFault(Fault.MISMATCH, "this model has no one-step form; ask it for whole windows.")
        symbols = x.shape[0]
        begun = np.zeros((symbols, self._state_size), np.float32) if state is None else state
        _refuse_shape("x", x, (symbols, len(self.card.features)))
        _refuse_shape("known", known, (symbols,))
        _refuse_shape(STATE, begun, (symbols, self._state_size))
        found = _run(self._step, self._after, {"x": x, "known": known, STATE: begun})
        after = found.pop(NEXT_STATE)
        if after.shape != begun.shape or not _is_finite(after):
            raise ModelFault(Fault.NOT_FINITE, "the state it leaves is not finite, or of another shape.")
        return self._checked(found, symbols), after

    def _checked(self, found: dict[str, Floats32], symbols: int) -> Named:
        for name, values in found.items():
            shape = (symbols, *self._shapes[name])
            if values.shape[: len(shape)] != shape or values.ndim != len(shape) + (name == Output.REGIME):
                raise ModelFault(Fault.MISMATCH, f"{name} has shape {values.shape}, not {shape}.")
            if not _is_finite(values):
                raise ModelFault(Fault.NOT_FINITE, f"{name} is not finite.")
        regime = found.get(Output.REGIME)
        if regime is not None and not _are_probabilities(regime):
            raise ModelFault(Fault.MISMATCH, "regime is no probability of each.")
        return {name: values.astype(np.float64) for name, values in found.items()}


def _card(files: Files) -> Card:
    try:
        card = read_card(files[model_package.CARD])
    except UnreadableCard as error:
        raise ModelFault(Fault.MISMATCH, str(error)) from error
    if card.features != FEATURES or card.schema != schema_digest(card.bar_s):
        raise ModelFault(Fault.MISMATCH, "it reads other features than this version measures; train it anew.")
    unknown = sorted(set(card.outputs) - set(Output))
    if unknown or len(set(card.outputs)) != len(card.outputs):
        raise ModelFault(Fault.MISMATCH, f"outputs: {', '.join(unknown) or 'one stands twice'}; train it anew.")
    return card


def _session(net: bytes, name: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # the thread that asks; no pool is made
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = QUIET
    for pool in ("intra", "inter"):
        options.add_session_config_entry(f"session.{pool}_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(net, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library has no common base for what it raises
        raise ModelFault(Fault.MISSING, f"{name} cannot be loaded: {_one_line(error)}") from error


def _run(session: Any, outputs: Sequence[str], inputs: dict[str, Floats32]) -> dict[str, Floats32]:
    try:
        found = session.run(outputs, inputs)
    except Exception as error:  # as above
        raise ModelFault(Fault.BROKEN, f"it raised: {_one_line(error)}") from error
    return dict(zip(outputs, found, strict=True))


def _refuse_other_names(session: Any, inputs: Sequence[str], outputs: Sequence[str], name: str) -> None:
    for found, wanted in ((session.get_inputs(), inputs), (session.get_outputs(), outputs)):
        names = [one.name for one in found]
        if sorted(names) != sorted(wanted):
            raise ModelFault(Fault.MISMATCH, f"{name} has {', '.join(names)}, its card {', '.join(wanted)}.")
        if other := [one.name for one in found if one.type != "tensor(float)"]:
            raise ModelFault(Fault.MISMATCH, f"{name}: {', '.join(other)} is not of 32-bit floats.")


def _last_axis(inputs: Sequence[Any], name: str) -> int:
    size = next(one.shape[-1] for one in inputs if one.name == name)
    if not isinstance(size, int):
        raise ModelFault(Fault.MISMATCH, f"{model_package.STEP} does not say how large its state is.")
    return size


def _refuse_shape(name: str, values: Floats32, shape: tuple[int, ...]) -> None:
    if values.shape != shape or values.dtype != np.float32:
        raise ModelFault(Fault.MISMATCH, f"{name} is {values.dtype} {values.shape}, not float32 {shape}.")


def _is_finite(values: Floats32) -> bool:
    """Return whether every number is finite, and none so large that its square is not: a fifth of asking each."""
    flat = values.ravel()
    return isfinite(flat.dot(flat))


def _are_probabilities(values: Floats32) -> bool:
    """Return whether every row (S, K) sums to 1 and nothing in it is below zero: a product is half of `sum`."""
    sums = values.dot(np.ones(values.shape[1], np.float32)).tolist()
    return float(values.min()) >= 0 and all(abs(one - 1) <= SUM_OFF for one in sums)


def _shapes(card: Card) -> dict[str, tuple[int, ...]]:
    """Return the shape of each output behind its first axis; of regimes there may be any number."""
    horizons = len(card.horizons_s)
    shapes: dict[str, tuple[int, ...]] = {
        Output.LOG_RV: (horizons,),
        Output.LOG_RV_Q: (horizons, 2),
        Output.ACTION: (4,),
    }
    return {name: shapes.get(name, ()) for name in card.outputs}


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:200]

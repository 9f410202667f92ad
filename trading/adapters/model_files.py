"""What lies inside the files of a model: numbers that are finite, and nothing that leads out of them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trading.domain.model_card import Card
from trading.domain.model_package import NET, STEP, WEIGHTS, Files, UnsoundModel, tensors_of

DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml"})  # what the runtime itself can do
SCALES: Final = ("standardize.mean", "standardize.spread")  # how a net names what the card calls mean and spread

Tensors = Mapping[str, NDArray[Any]]


def refuse_unsound(files: Files, card: Card) -> None:
    """Refuse weights that are not finite, nets that read other files, and scales that are not the card's.

    Raises:
        UnsoundModel: the message names the file, the tensor and the reason.
    """
    weights = weights_in(files[WEIGHTS])
    nets = {name: tensors_in(name, files[name]) for name in (NET, STEP) if name in files}
    for file, tensors in {WEIGHTS: weights, **nets}.items():
        for name, values in tensors.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise UnsoundModel(f"{file}: {name} holds NaN or infinity; train the model anew.")
    for file, tensors in {WEIGHTS: weights, **nets}.items():
        _refuse_other_scales(file, tensors, card)
    for file, tensors in nets.items():
        _refuse_other_weights(file, tensors, weights)


def weights_in(content: bytes) -> Tensors:
    """Return the tensors of a safetensors file, by name.

    Raises:
        UnsoundModel: it is none.
    """
    return {
        name: np.frombuffer(content[begin:end], dtype).reshape(shape)
        for name, (dtype, shape, begin, end) in tensors_of(content).items()
    }


def tensors_in(name: str, content: bytes) -> Tensors:
    """Return what an ONNX file carries with it, by name.

    Raises:
        UnsoundModel: it cannot be read, it names another file, or it asks for operators of strangers.
    """
    import onnx  # only where a model is registered; what serves it does without
    from onnx import numpy_helper

    try:
        model = onnx.load_from_string(content)
    except Exception as error:  # of protobuf, which has no types
        raise UnsoundModel(f"{name}: no ONNX, or cut off; export the model again.") from error
    if odd := sorted({one.domain for one in model.opset_import} - DOMAINS) or not model.graph.node:
        raise UnsoundModel(f"{name}: no net that can run here ({odd}); export the model again.")
    found = list(_tensors(model.graph))
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in found):
        raise UnsoundModel(f"{name}: its weights lie in another file; export it with its weights inside.")
    return {tensor.name or f"constant {number}": numpy_helper.to_array(tensor) for number, tensor in enumerate(found)}


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def _refuse_other_scales(file: str, tensors: Tensors, card: Card) -> None:
    for end, said in zip(SCALES, (card.mean, card.spread), strict=True):
        for name, values in tensors.items():
            if name.endswith(end) and not np.array_equal(values, np.array(said, values.dtype)):
                raise UnsoundModel(f"{file}: {name} is another scaler than its card's; export the model again.")


def _refuse_other_weights(file: str, tensors: Tensors, weights: Tensors) -> None:
    for name in tensors.keys() & weights.keys():
        one, other = tensors[name], weights[name]
        if one.shape == other.shape and not np.array_equal(one, other):
            raise UnsoundModel(f"{file}: {name} is not what {WEIGHTS} holds; export the model again.")

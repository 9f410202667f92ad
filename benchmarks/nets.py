"""Nets of the roadmap's sizes as models: built, levelled on shipped bars, exported; only here is torch imported."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, cast

import numpy as np
import torch

from trading.adapters.predictor_onnx import OnnxPredictor
from trading.domain.learned import HORIZONS_S
from trading.domain.model_card import Card, read_card
from trading.domain.model_package import CARD, sealed
from trading.domain.splits import Span
from trading.learning_data import load
from trading.ml.export import Origin, export
from trading.ml.forecasting import prepare
from trading.ml.learnable import Fitted, Learnable, learnable
from trading.ml.levelling import level
from trading.ml.networks import actor_critic, multitask
from trading.ml.networks.forecaster import OUTPUTS, Forecaster
from trading.ml.networks.recurrent import Step
from trading.ml.stages import multiscale, recurrent

WINDOW: Final = 64
REGIMES: Final = 4
FEATURES: Final = 20
SHARED: Final = ("attention", "conv3", "dense", "dilated3", "attention")  # layers of the multi-task net

torch.set_num_threads(1)
torch.manual_seed(0)


@dataclass(frozen=True, slots=True)
class Made:
    """One net as a model, and as torch has it."""

    files: dict[str, bytes]
    fitted: Fitted
    slowness: int  # asked so many times less often

    @property
    def card(self) -> Card:
        """What the model says of itself."""
        return read_card(self.files[CARD])

    def predictor(self, symbols: int) -> Callable[[], object]:
        """Return what asks the model as the loop does."""
        loaded, (x, known) = OnnxPredictor(self.files), _inputs(symbols)
        if self.fitted.step is None:
            return lambda: loaded.predict(x, known)
        bar, seen = np.ascontiguousarray(x[:, -1]), np.ascontiguousarray(known[:, -1])
        _, state = loaded.step(bar, seen, None)
        return lambda: loaded.step(bar, seen, state)

    def eager(self, symbols: int, *, gradients: bool) -> Callable[[], object]:
        """Return what asks torch the same, with or without what training would need."""
        x, known = (torch.from_numpy(each) for each in _inputs(symbols))
        net, inputs = self.fitted.net, (x, known)
        if self.fitted.step is not None:
            width = cast(int, self.fitted.step.state_width)
            net, inputs = self.fitted.step, (x[:, -1].contiguous(), known[:, -1].contiguous())
            inputs = (*inputs, torch.zeros(symbols, width))  # type: ignore[assignment]  # one more
        net.eval()

        def ask() -> object:
            with torch.inference_mode(not gradients):
                return net(*inputs)

        return ask


@cache
def data() -> Learnable:
    """Return what the nets are levelled on: the shipped bars of seven symbols."""
    return learnable(
        load("shipped", ("BTCUSDT", "ETHUSDT")), window=WINDOW, horizons_s=HORIZONS_S, source="shipped bars"
    )


@cache
def _rows() -> Any:
    return data().rows((Span(data().span.begin_ns, data().span.end_ns),), stride=7)


@cache
def _inputs(symbols: int) -> tuple[Any, Any]:
    rows = _rows()
    return data().windows(rows[np.arange(symbols) % len(rows)])


def _made(net: Any, name: str, stage: int, *, outputs: Any = OUTPUTS, step: bool = False, slowness: int = 1) -> Made:
    if isinstance(net, Forecaster):
        prepare(net, data(), _rows(), seed=0)
    else:
        level(net, data(), _rows())
    fitted = Fitted(net.eval(), outputs, {}, [], step=Step(net) if step else None)
    origin = Origin(name, stage, quick=True, seeds=(0,), at=datetime.now(UTC))
    return Made(sealed(export(fitted, data(), _rows(), origin)), fitted, slowness)


def _stage0() -> Made:
    sizes = {**recurrent.STAGE.sizes["usual"], "regimes": REGIMES}
    net = recurrent.STAGE.build(FEATURES, WINDOW, len(HORIZONS_S), sizes)
    return _made(net, "lstm", 0, step=True)


def _stage2(size: str, slowness: int) -> Callable[[], Made]:
    def make() -> Made:
        sizes = {**multiscale.STAGE.sizes[size], "regimes": REGIMES}
        net = multiscale.STAGE.build(FEATURES, WINDOW, len(HORIZONS_S), sizes)
        return _made(net, "multiscale", 2, slowness=slowness)

    return make


def _actor() -> Made:
    net = actor_critic.GridActor(FEATURES, len(HORIZONS_S), latent=128, hidden=(256, 256))
    return _made(net, "actor", 4, outputs=actor_critic.OUTPUTS)


def _multitask() -> Made:
    shared = multitask.along(SHARED, 256, WINDOW, 0.0)
    net = multitask.MultiTask(shared, FEATURES, len(HORIZONS_S), width=256, specific=3, regimes=REGIMES)
    return _made(net, "multitask", 5, outputs=multitask.OUTPUTS, slowness=4)


NETS: Final[Mapping[str, Callable[[], Made]]] = {
    "stage0": _stage0,
    "stage2": _stage2("million", 2),
    "stage2_roadmap": _stage2("roadmap", 4),
    "actor": _actor,
    "multitask": _multitask,
}

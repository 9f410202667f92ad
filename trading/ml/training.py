"""How a net is trained: AdamW with warm restarts, clipped, stopped early, from checkpoints where broken off."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import cos, inf, isfinite, pi
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from trading.domain.bars import Ints
from trading.ml import augment, checkpoints
from trading.ml.adversarial import fgsm
from trading.ml.checkpoints import Course, State
from trading.ml.learnable import Learnable, Progress
from trading.ml.losses import Batch, ForecastLoss, batch_of

FIRST_RESTART, RESTART_GROWTH = 100, 2  # steps; the roadmap's T_0 and T_mult
LOOKED_AT = 1_024  # rows of the training part that the curve's first point is measured on

Penalty = Callable[[nn.Module], Tensor]


class UnableToTrain(Exception):
    """The training did not come to an end; the message names the setting, the reason and what to do."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train; every value may be set by name in a plan's `hyper`."""

    epochs: int = 2
    batch: int = 128
    rate: float = 1e-3
    decay: float = 1e-2
    clip: float = 1.0  # largest norm of a gradient
    patience: int = 5  # epochs without a lower loss before it ends
    restarts: bool = True  # cosine annealing with warm restarts, by steps
    average: float = 0.0  # weight of the past in a moving average of the parameters, 0: none
    held_out: float = 0.15  # last part of the rows: early stopping looks at it, nothing is fitted on it
    noise: float = 0.0  # standard deviations added to features
    shift: int = 0  # most bars that a window ends earlier, with its labels
    adversarial: float = 0.0  # standard deviations that a feature is pushed to hurt most
    keep: float = 0.0  # what it costs to leave what a parent has settled, see `transfer.fine_tune`
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Refuse what no training can use.

        Raises:
            UnableToTrain: a value is out of range.
        """
        for name in ("epochs", "batch", "patience"):
            _refuse(name, getattr(self, name), 1, 10_000)
        for name, most in (
            ("rate", 100),
            ("decay", 1),
            ("clip", inf),
            ("noise", 1),
            ("adversarial", 1),
            ("shift", 100),
            ("keep", 1e9),
        ):
            _refuse(name, getattr(self, name), 0, most)
        for name in ("average", "held_out"):
            _refuse(name, getattr(self, name), 0, 0.9999)
        if self.device not in ("cpu", "cuda"):
            raise UnableToTrain(f"device: {self.device!r:.20} is neither cpu nor cuda.")


def warm_restart(step: int, first: int = FIRST_RESTART, growth: int = RESTART_GROWTH) -> float:
    """Return the fraction of the learning rate at `step`: cosine from 1 to 0, again and again, ever longer.

    Source:
        I. Loshchilov and F. Hutter (2017), "SGDR: Stochastic Gradient Descent with Warm Restarts", arXiv 1608.03983.
    """
    length = first
    while step >= length:
        step -= length
        length *= growth
    return (1 + cos(pi * step / length)) / 2


def split(data: Learnable, rows: Ints, held_out: float) -> tuple[Ints, Ints]:
    """Return the rows to fit on and the later ones to stop by; no label of the former is known after these begin.

    Raises:
        UnableToTrain: one of them is empty.
    """
    if held_out == 0:
        return rows, rows[:0]
    at = np.array([data.frames[frame].at_ns[bar] for frame, bar in rows], np.int64)
    until = np.array([data.labels[frame].until_ns[bar] for frame, bar in rows], np.int64)
    cut = np.quantile(at, 1 - held_out, method="higher") if len(rows) else 0
    fitted, later = rows[until < cut], rows[at >= cut]
    if not len(fitted) or not len(later):
        raise UnableToTrain(
            f"data: {len(rows)} rows leave {len(fitted)} to fit on and {len(later)} to stop by; use a longer recording."
        )
    return fitted, later


def train(
    net: nn.Module,
    loss: ForecastLoss,
    data: Learnable,
    rows: Ints,
    later: Ints,
    recipe: Recipe,
    progress: Progress,
    *,
    folder: Path | None = None,
    penalty: Penalty | None = None,
) -> list[dict[str, float]]:
    """Train `net` on `rows`, keep the weights of the epoch with the lowest loss on `later`, return the curve.

    The weights before the first epoch count too: a net that only gets worse stays as it was. The same data, recipe and
    seed give the same weights, broken off and gone on from `folder` or not.

    Raises:
        UnableToTrain: there is no such device, or the loss is not finite.
    """
    _check_device(recipe.device)
    net.to(recipe.device)
    loss.to(recipe.device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    name = _training(net, data, rows, later, recipe)
    course = checkpoints.restore(folder, name, net, optimizer) if folder else None
    course = course or _begin(net, loss, data, rows, later, recipe)
    run = _Run(net, loss, data, rows, later, recipe, optimizer, penalty)
    while course.epoch < recipe.epochs and course.epoch - course.best_epoch < recipe.patience:
        run.epoch(course, progress)
        if folder:
            checkpoints.save(folder, name, net, optimizer, course)
    net.load_state_dict(course.best)
    net.cpu().eval()
    loss.cpu()
    return course.curve


@dataclass(slots=True)
class _Run:
    """What stays the same from epoch to epoch."""

    net: nn.Module
    loss: ForecastLoss
    data: Learnable
    rows: Ints
    later: Ints
    recipe: Recipe
    optimizer: torch.optim.Optimizer
    penalty: Penalty | None

    def epoch(self, course: Course, progress: Progress) -> None:
        """Go once through the rows; what is drawn depends on the seed and the number of the epoch alone."""
        recipe, number = self.recipe, course.epoch + 1
        torch.manual_seed(recipe.seed * 1_000_003 + number)
        draw = np.random.default_rng([recipe.seed, number])
        order = draw.permutation(len(self.rows))
        parts = np.array_split(order, max(1, -(-len(order) // recipe.batch)))
        self.net.train()
        total = 0.0
        for k, part in enumerate(parts):
            progress((course.epoch + k / len(parts)) / recipe.epochs, f"epoch {number} of {recipe.epochs}")
            total += self._step(part, draw, course.epoch * len(parts) + k, course.average) * len(part)
        self._judge(course, number, total / len(order))

    def _step(self, part: Ints, draw: np.random.Generator, step: int, average: State) -> float:
        batch = self._batch(part, draw).to(self.recipe.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate * (warm_restart(step) if self.recipe.restarts else 1.0)
        cost = self.loss(self.net(batch.x, batch.known), batch).mean()
        if self.recipe.adversarial:
            hurt = fgsm(self.net, self.loss, batch, self._spread(batch) * self.recipe.adversarial)
            cost = (cost + self.loss(self.net(hurt.x, hurt.known), hurt).mean()) / 2
        shown = float(cost.detach())
        if not isfinite(shown):
            raise UnableToTrain(f"rate: the loss is {shown} at step {step}; use less than {self.recipe.rate:g}.")
        if self.penalty is not None:
            cost = cost + self.penalty(self.net)
        self.optimizer.zero_grad()
        cost.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip)
        self.optimizer.step()
        _blend(average, self.net, self.recipe.average)
        return shown

    def _batch(self, part: Ints, draw: np.random.Generator) -> Batch:
        rows = self.rows[part]
        if self.recipe.shift:
            rows = augment.shifted(self.data, self.rows, part, self.recipe.shift, draw)
        batch = batch_of(self.data, rows)
        if self.recipe.noise:
            batch = augment.noisy(batch, self._spread(batch).cpu() * self.recipe.noise, draw)
        return batch

    def _spread(self, batch: Batch) -> Tensor:
        """Return (F,) the standard deviations of the features, as the net has them."""
        found = dict(self.net.named_buffers()).get("standardize.spread")
        return torch.ones(batch.x.shape[-1]) if found is None else found

    def _judge(self, course: Course, number: int, train_loss: float) -> None:
        weights = {**self.net.state_dict(), **course.average}
        told = {"epoch": float(number), "train": train_loss}
        cost = train_loss
        if len(self.later):
            own = _copied(self.net.state_dict())
            self.net.load_state_dict(weights)
            cost = told["validation"] = mean_loss(self.net, self.loss, self.data, self.later, self.recipe)
            self.net.load_state_dict(own)
        if cost < course.best_loss or not len(self.later):
            course.best_loss, course.best_epoch, course.best = cost, number, _copied(weights)
        course.epoch = number
        course.curve.append(told)


@torch.no_grad()
def mean_loss(net: nn.Module, loss: ForecastLoss, data: Learnable, rows: Ints, recipe: Recipe) -> float:
    """Return the mean loss over `rows`, nothing dropped out."""
    net.eval()
    total = 0.0
    for part in np.array_split(rows, max(1, -(-len(rows) // 1_024))):
        batch = batch_of(data, part).to(recipe.device)
        total += float(loss(net(batch.x, batch.known), batch).sum())
    return total / len(rows)


def _begin(net: nn.Module, loss: ForecastLoss, data: Learnable, rows: Ints, later: Ints, recipe: Recipe) -> Course:
    some = rows[np.random.default_rng(recipe.seed).permutation(len(rows))[:LOOKED_AT]]
    told = {"epoch": 0.0, "train": mean_loss(net, loss, data, some, recipe)}
    if len(later):
        told["validation"] = mean_loss(net, loss, data, later, recipe)
    average = {name: each.detach().clone() for name, each in net.named_parameters()} if recipe.average else {}
    first = told.get("validation", told["train"])
    return Course(0, first, 0, _copied(net.state_dict()), average, [told])


def _training(net: nn.Module, data: Learnable, rows: Ints, later: Ints, recipe: Recipe) -> str:
    """Return what names this training: a checkpoint of any other is not gone on from."""
    shapes = {name: list(each.shape) for name, each in net.state_dict().items()}
    words = json.dumps([shapes, data.sha256, data.schema, asdict(recipe)], sort_keys=True)
    found = hashlib.sha256(words.encode() + rows.tobytes() + later.tobytes())
    for each in net.state_dict().values():
        found.update(each.detach().cpu().numpy().tobytes())
    return found.hexdigest()


def _refuse(name: str, value: object, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise UnableToTrain(f"{name}: {value!r:.20} is no number from {least:g} to {most:g}.")


def _check_device(device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        raise UnableToTrain("device: there is no GPU that torch can use here; use cpu.")


@torch.no_grad()
def _blend(average: State, net: nn.Module, weight: float) -> None:
    for name, parameter in net.named_parameters():
        if name in average:
            average[name].lerp_(parameter, 1 - weight)


def _copied(state: State) -> State:
    return {name: each.detach().clone() for name, each in state.items()}

"""Whether a larger net forecasts better: the same stage again, each time with about twice the parameters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch

from trading.domain.contest import Heard
from trading.ml.contenders import Net
from trading.ml.evaluation import Part, compared, loss_of
from trading.ml.forecasting import Forecasting, Hyper
from trading.ml.learnable import Learnable, Progress
from trading.ml.stages import Later
from trading.ml.stages.regime import Regime, net_of

WIDTHS: Final = ("hidden", "width", "micro", "macro", "channels", "latent", "gru")  # hyper-parameters that widen a net
GROW: Final = (0, 1, 2, 3)  # stages that are as large as their widths say
STEPS: Final = 12  # of the search for the factor
NEARLY: Final = (1.8, 2.25)  # times the parameters that count as a doubling (ours)


class UnableToGrow(ValueError):
    """The net has no larger one beside it; the message says why."""


@dataclass(frozen=True, slots=True)
class Grown:
    """A net and how many parameters it has."""

    net: Net
    parameters: int


def capacity_of(
    data: Learnable, heard: Heard, parts: Sequence[Part], net: Net, seeds: Sequence[int], doublings: int,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Return what each doubling of the parameters of `net` gained out of sample, on the same folds and seeds.

    The net itself was heard already; each larger one is trained as it was, once for each fold and seed.

    Args:
        data: features and labels.
        heard: what was said on the test rows, `net` among them.
        parts: the folds, in the order in which they were heard.
        net: the one that grows.
        seeds: the first of those that were heard.
        doublings: how often the parameters are doubled.
        progress: it is told of each fold.

    Returns:
        `capacity_doublings`: each [relative gain, low, high] or None; and what they come from. Where the net cannot
        grow, why not.
    """
    try:
        sizes = sizes_of(net, data, doublings)
    except UnableToGrow as error:
        return {"capacity_doublings": [], "capacity": {"why_not": str(error)}}
    losses = [np.square(heard.said[net.name][: len(seeds)] - heard.y).mean(axis=0)]
    for size in sizes[1:]:
        told = _saying(progress, f"{net.name} with {size.parameters:,} weights")
        of_seeds = [loss_of(data, parts, [part.train for part in parts], size.net, seed, told) for seed in seeds]
        losses.append(np.mean(of_seeds, axis=0))
    found = compared(losses, heard)
    gained = found.pop("doublings")
    parameters = [size.parameters for size in sizes]
    return {"capacity_doublings": gained, "capacity": {"parameters": parameters, "seeds": len(seeds), **found}}


def sizes_of(net: Net, data: Learnable, doublings: int) -> list[Grown]:
    """Return the net itself and, each time, one with about twice the parameters of the one before.

    Raises:
        UnableToGrow: it has no width, or none that comes near twice the parameters.
    """
    stage = net.stage.load() if isinstance(net.stage, Later) else net.stage
    if not isinstance(stage, Forecasting) or stage.number not in GROW:
        raise UnableToGrow(f"{stage.name}: its size is found by itself, or is not what it forecasts with.")
    _, hyper = stage.read(net.plan)
    if not any(name in hyper for name in WIDTHS):
        raise UnableToGrow(f"{stage.name}: it has no width.")
    found = [Grown(net, _counted(stage, data, hyper))]
    for _ in range(doublings):
        hyper = _doubled(stage, data, hyper)
        wider: Hyper = {name: hyper[name] for name in WIDTHS if name in hyper}
        plan = replace(net.plan, hyper={**net.plan.hyper, **wider})
        found.append(Grown(replace(net, plan=plan), _counted(stage, data, hyper)))
    return found


def _counted(stage: Forecasting, data: Learnable, hyper: Hyper) -> int:
    """Return how many parameters would be trained."""
    features, horizons = len(data.features), len(data.horizons_s)
    with torch.random.fork_rng(devices=()):
        built = (
            net_of(features, horizons, hyper)
            if isinstance(stage, Regime)
            else stage.build(features, data.window, horizons, hyper)
        )
    return sum(each.numel() for each in built.parameters() if each.requires_grad)


def _doubled(stage: Forecasting, data: Learnable, hyper: Hyper) -> Hyper:
    """Return the widths that come nearest to twice the parameters."""
    wanted, low, high = 2 * _counted(stage, data, hyper), 1.0, 4.0
    tried = {}
    for _ in range(STEPS):
        factor = (low + high) / 2
        wider = widened(hyper, factor)
        tried[factor] = _counted(stage, data, wider), wider
        low, high = (factor, high) if tried[factor][0] < wanted else (low, factor)
    count, best = min(tried.values(), key=lambda one: abs(one[0] - wanted))
    if not NEARLY[0] <= 2 * count / wanted <= NEARLY[1]:
        raise UnableToGrow(f"{stage.name}: none of its widths comes near twice {wanted // 2:,} parameters.")
    return best


def widened(hyper: Hyper, factor: float) -> Hyper:
    """Return `hyper` with every width times `factor`, in whole multiples of the heads of attention."""
    heads = int(hyper.get("heads", 1))

    def wide(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return tuple(map(wide, value))
        return max(heads, heads * round(factor * int(value) / heads))

    return {name: wide(value) if name in WIDTHS else value for name, value in hyper.items()}


def _saying(progress: Progress, what: str) -> Progress:
    return lambda share, doing: progress(share, f"{what}, {doing}")

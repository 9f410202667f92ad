"""A training broken off after an epoch goes on from there and ends with the same weights."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

State = dict[str, Tensor]
FILE = "checkpoint.safetensors"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW remembers of a parameter


@dataclass(slots=True)
class Course:
    """How far a training has come."""

    epoch: int  # done
    best_loss: float
    best_epoch: int
    best: State  # of the net, when its loss was lowest
    average: State  # of the parameters, where one is kept
    curve: list[dict[str, float]]


def save(folder: Path, training: str, net: nn.Module, optimizer: torch.optim.Optimizer, course: Course) -> None:
    """Write where the training stands; the file is whole or the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"net/{name}": each for name, each in net.state_dict().items()}
    tensors |= {f"best/{name}": each for name, each in course.best.items()}
    tensors |= {f"average/{name}": each for name, each in course.average.items()}
    for name, parameter in net.named_parameters():
        state = optimizer.state.get(parameter, {})
        tensors |= {f"{moment}/{name}": state[moment] for moment in MOMENTS if moment in state}
    words = {"epoch": course.epoch, "best_loss": course.best_loss, "best_epoch": course.best_epoch}
    told = json.dumps({"training": training, "curve": course.curve, **words})
    apart = {name: each.detach().cpu().clone().contiguous() for name, each in tensors.items()}
    save_file(apart, folder / f"{FILE}.new", metadata={"course": told})
    (folder / f"{FILE}.new").replace(folder / FILE)


def restore(folder: Path, training: str, net: nn.Module, optimizer: torch.optim.Optimizer) -> Course | None:
    """Put `net` and `optimizer` where a training was broken off; None where there is none, or of another training."""
    found = _read(folder / FILE)
    if found is None or found[0].get("training") != training:
        return None
    words, tensors = found
    net.load_state_dict(_under(tensors, "net"))
    for name, parameter in net.named_parameters():
        state = {moment: tensors[f"{moment}/{name}"] for moment in MOMENTS if f"{moment}/{name}" in tensors}
        if state:
            moved = {key: each if key == "step" else each.to(parameter.device) for key, each in state.items()}
            optimizer.state[parameter] = moved
    best, average = _under(tensors, "best"), _under(tensors, "average")
    return Course(words["epoch"], words["best_loss"], words["best_epoch"], best, average, words["curve"])


def _read(path: Path) -> tuple[dict[str, Any], State] | None:
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads(file.metadata()["course"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return None  # a torn file: the training begins anew


def _under(tensors: State, room: str) -> State:
    return {name.removeprefix(f"{room}/"): each for name, each in tensors.items() if name.startswith(f"{room}/")}

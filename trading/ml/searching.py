"""A controller that learns which paths are worth walking, and how long a net takes where it is served."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import torch
from torch import Tensor, nn

from trading.ml.export import WINDOW_INPUTS, onnx_of, session_of
from trading.ml.networks.supernet import Controller, Path

Reward = Callable[[Path], float]  # higher is better; must be finite
MEMORY = 0.9  # of the mean reward that a proposal is held against
WARM, MEASURED = 20, 200  # runs


@dataclass(slots=True)
class Teacher:
    """Teaches a controller by what its proposals earned.

    Source:
        R. Williams (1992), "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement
        Learning", Machine Learning 8, 229-256: REINFORCE, with a moving mean as baseline.
    """

    controller: Controller
    reward: Reward
    seed: int = 0
    rate: float = 5e-3
    entropy: float = 1e-2  # how much variety is worth
    tried: int = 0  # proposals that were judged
    best: tuple[float, Path] = (float("-inf"), ())
    _usual: float | None = None
    _draw: torch.Generator = field(init=False)
    _optimizer: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        """Seed the draw."""
        self._draw = torch.Generator().manual_seed(self.seed)
        self._optimizer = torch.optim.Adam(self.controller.parameters(), self.rate)

    def propose(self) -> Path:
        """Return a path drawn from the controller."""
        with torch.no_grad():
            return self.controller.propose(self._draw).path

    def learn(self, proposals: int) -> float:
        """Judge so many proposals and learn from them; return their mean reward."""
        total, rewards = torch.zeros(()), []
        for _ in range(proposals):
            proposal = self.controller.propose(self._draw)
            earned = self._judged(proposal.path)
            usual = earned if self._usual is None else self._usual
            self._usual = MEMORY * usual + (1 - MEMORY) * earned
            total = total - (earned - usual) * proposal.chance - self.entropy * proposal.entropy
            rewards.append(earned)
        self._optimizer.zero_grad()
        (total / proposals).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._optimizer.step()
        return sum(rewards) / len(rewards)

    def finish(self) -> Path:
        """Judge the path that the controller now thinks likeliest too; return the best of all that were judged."""
        with torch.no_grad():
            self._judged(self.controller.propose(None).path)
        return self.best[1]

    def _judged(self, path: Path) -> float:
        earned = self.reward(path)
        self.tried += 1
        self.best = max(self.best, (earned, path))
        return earned


def latency_ms(net: nn.Module, window: int, features: int, outputs: tuple[str, ...]) -> float:
    """Return the median processor time of one window through ONNX Runtime on one thread, ms."""
    example: tuple[Tensor, ...] = (torch.zeros(2, window, features), torch.ones(2, window))
    was_training = net.training
    session = session_of(onnx_of(net.eval(), example, WINDOW_INPUTS, outputs))
    net.train(was_training)
    inputs = {name: each[:1].numpy() for name, each in zip(WINDOW_INPUTS, example, strict=True)}
    took = []
    for _ in range(WARM + MEASURED):
        began = time.thread_time_ns()
        session.run(None, inputs)
        took.append(time.thread_time_ns() - began)
    return median(took[WARM:]) / 1e6

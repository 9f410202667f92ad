"""An actor-critic over many worlds at once: proximal policy optimisation, and prioritized replay beside it.

The actor and its value network learn from what the actor itself just did. Every transition also goes into the replay,
from which a second critic (value of state and action) learns off policy; its slope moves the actor too, with a small
weight. That is sound because this critic asks what the action of now would bring, whoever chose the one of then.

Source:
    J. Schulman et al. (2017), "Proximal Policy Optimization Algorithms", arXiv 1707.06347.
    S. Gu et al. (2017), "Interpolated Policy Gradient", NeurIPS: on-policy gradient mixed with an off-policy critic's.
"""

from copy import deepcopy
from dataclasses import dataclass, field
from math import log, pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from trading.domain.bars import Ints
from trading.domain.grid_worlds import ACTIONS, AT, PORTFOLIO, Terms, Worlds
from trading.ml.networks.actor_critic import ActionValueNetwork, ValueNetwork
from trading.ml.reinforcement.replay import CAPACITY, Replay

LEAST_SPREAD = 1e-6  # of rewards and advantages
MOST_GRADIENT = 0.5  # norm


@dataclass(frozen=True, slots=True)
class Settings:
    """How it learns."""

    worlds: int = 512
    steps: int = 32  # of each world before the actor is changed
    passes: int = 2  # over what was just seen
    batch: int = 4_096
    discount: float = 0.95
    trace: float = 0.95  # how far an advantage looks, generalised advantage estimation
    clip: float = 0.2
    rate: float = 1e-3
    entropy: float = 1e-3
    log_deviation: float = -0.7  # of the actions, at first
    capacity: int = CAPACITY
    replay_updates: int = 2  # an iteration
    replay_batch: int = 256
    replay_weight: float = 0.1  # of the replayed critic's slope beside the actor's own
    target_share: float = 0.02  # by which the target network follows at each update
    seed: int = 0


@dataclass(slots=True, eq=False)
class _Seen:
    """What came of one round of acting.

    Shapes: each (steps, worlds, ...).
    """

    at: NDArray[np.int64]
    portfolio: NDArray[np.float32]
    action: NDArray[np.float32]
    chance: NDArray[np.float32]  # log density
    value: NDArray[np.float32]
    reward: NDArray[np.float32]
    next_portfolio: NDArray[np.float32]
    done: NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class Learner:
    """Improves `policy` on the episodes it is given.

    Shapes:
        market: (n, latent) what the encoder says of each bar; `points` (n, P) are the same bars' ticks.
        episodes: (k, 2) first and last bar of each.
        policy: (B, latent) -> (B, 4), before its tanh.
    """

    market: Tensor
    points: Ints
    episodes: Ints
    policy: nn.Module
    terms: Terms
    settings: Settings
    hidden: tuple[int, ...] = (64, 64)
    rounds: int = field(init=False, default=0)
    replay: Replay = field(init=False)
    _worlds: Worlds = field(init=False)
    _value: ValueNetwork = field(init=False)
    _critic: ActionValueNetwork = field(init=False)
    _target: ActionValueNetwork = field(init=False)
    _deviation: nn.Parameter = field(init=False)
    _optimizer: torch.optim.Optimizer = field(init=False)
    _critic_optimizer: torch.optim.Optimizer = field(init=False)
    _draw: np.random.Generator = field(init=False)
    _scale: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        """Make critics, worlds and replay; torch's own seed decides their first weights."""
        s, latent = self.settings, self.market.shape[1]
        self.replay = Replay(len(PORTFOLIO), len(ACTIONS), s.capacity, s.seed)
        self._worlds = Worlds(self.points, self.terms, s.worlds)
        self._value, self._critic = ValueNetwork(latent, self.hidden), ActionValueNetwork(latent, self.hidden)
        self._target = deepcopy(self._critic)
        self._deviation = nn.Parameter(torch.full((len(ACTIONS),), s.log_deviation))
        learned = [*self.policy.parameters(), *self._value.parameters(), self._deviation]
        self._optimizer = torch.optim.Adam(learned, s.rate)
        self._critic_optimizer = torch.optim.Adam(self._critic.parameters(), s.rate)
        self._draw = np.random.default_rng(s.seed)

    def round(self) -> float:
        """Act, learn from it and from what is remembered; return the mean reward, percent of equity a step."""
        seen = self._act()
        mean = float(seen.reward.mean())
        self._scale = self._scale or max(float(seen.reward.std()), LEAST_SPREAD)
        seen.reward /= self._scale
        self._remember(seen)
        self._improve(seen)
        for _ in range(self.settings.replay_updates):
            self._replayed()
        self.rounds += 1
        return mean

    @torch.no_grad()
    def _act(self) -> _Seen:
        s, worlds = self.settings, self._worlds
        shape = (s.steps, s.worlds)
        single, own, four = np.float32, len(PORTFOLIO), len(ACTIONS)
        seen = _Seen(
            np.zeros(shape, np.int64), np.zeros((*shape, own), single), np.zeros((*shape, four), single),
            np.zeros(shape, single), np.zeros(shape, single), np.zeros(shape, single),
            np.zeros((*shape, own), single), np.zeros(shape, np.bool_),
        )  # fmt: skip
        deviation = self._deviation.exp().numpy()
        for step in range(s.steps):
            self._begin_again()
            seen.at[step], seen.portfolio[step] = worlds.state[:, AT], worlds.portfolio
            market = self.market[torch.from_numpy(seen.at[step])]
            noise = self._draw.standard_normal((s.worlds, four), single)
            seen.action[step] = torch.tanh(self.policy(market)).numpy() + deviation * noise
            seen.chance[step] = -0.5 * (noise * noise).sum(axis=1)
            seen.value[step] = self._value(market, torch.from_numpy(seen.portfolio[step])).numpy()
            worlds.step(seen.action[step])
            seen.reward[step], seen.done[step] = worlds.rewards, worlds.done
            seen.next_portfolio[step] = worlds.portfolio
        seen.chance -= float(self._deviation.sum()) + 0.5 * four * log(2 * pi)
        return seen

    def _begin_again(self) -> None:
        which = np.flatnonzero(self._worlds.done)
        if len(which):
            chosen = self.episodes[self._draw.integers(len(self.episodes), size=len(which))]
            self._worlds.begin(which, chosen[:, 0], chosen[:, 1])

    def _remember(self, seen: _Seen) -> None:
        action = np.clip(seen.action, -1, 1)
        columns = (seen.at, seen.portfolio, action, seen.reward, seen.next_portfolio, seen.done)
        flat = (each.reshape(-1, *each.shape[2:]) for each in columns)
        self.replay.push(*(each[-self.settings.capacity :] for each in flat))

    def _advantages(self, seen: _Seen) -> NDArray[np.float32]:
        """Return (steps, worlds) by generalised advantage estimation; nothing comes after the end of an episode."""
        s = self.settings
        with torch.no_grad():
            market = self.market[torch.from_numpy(self._after(seen.at[-1]))]
            following = self._value(market, torch.from_numpy(seen.next_portfolio[-1])).numpy()
        found, carried = np.zeros_like(seen.reward), np.zeros_like(following)
        for step in reversed(range(s.steps)):
            goes_on = 1.0 - seen.done[step]
            surprise = seen.reward[step] + s.discount * following * goes_on - seen.value[step]
            carried = surprise + s.discount * s.trace * goes_on * carried
            found[step], following = carried, seen.value[step]
        return found

    def _after(self, at: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.minimum(at + self.terms.bars_a_step, len(self.points) - 1)  # beyond the last bar all is done

    def _improve(self, seen: _Seen) -> None:
        s = self.settings
        advantages = self._advantages(seen)
        at, portfolio, action, chance, advantage, value = (
            torch.from_numpy(each.reshape(-1, *each.shape[2:]))
            for each in (seen.at, seen.portfolio, seen.action, seen.chance, advantages, seen.value)
        )
        returns = advantage + value
        advantage = (advantage - advantage.mean()) / (advantage.std() + LEAST_SPREAD)
        for _ in range(s.passes):
            order = torch.from_numpy(self._draw.permutation(len(at)))
            for part in torch.split(order, s.batch):
                market = self.market[at[part]]
                cost = self._cost(market, action[part], chance[part], advantage[part])
                wrong = functional.mse_loss(self._value(market, portfolio[part]), returns[part])
                self._descend(cost + 0.5 * wrong)

    def _cost(self, market: Tensor, action: Tensor, chance: Tensor, advantage: Tensor) -> Tensor:
        away = (action - torch.tanh(self.policy(market))) / self._deviation.exp()
        now = -0.5 * (away * away).sum(dim=1) - self._deviation.sum() - 0.5 * len(ACTIONS) * log(2 * pi)
        ratio = (now - chance).exp()
        clipped = ratio.clamp(1 - self.settings.clip, 1 + self.settings.clip)
        gain = torch.minimum(ratio * advantage, clipped * advantage).mean()
        return -gain - self.settings.entropy * self._deviation.sum()

    def _descend(self, cost: Tensor) -> None:
        self._optimizer.zero_grad()
        cost.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        for group in self._optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], MOST_GRADIENT)
        self._optimizer.step()

    def _replayed(self) -> None:
        """Teach the second critic what most surprised it, and let it pull the actor a little."""
        s = self.settings
        drawn = self.replay.sample(s.replay_batch)
        at = drawn.at.astype(np.int64)
        market, later = self.market[torch.from_numpy(at)], self.market[torch.from_numpy(self._after(at))]
        portfolio, action, reward, next_portfolio, weight = (
            torch.from_numpy(each)
            for each in (drawn.portfolio, drawn.action, drawn.reward, drawn.next_portfolio, drawn.weight)
        )
        with torch.no_grad():
            goes_on = torch.from_numpy(1.0 - drawn.done.astype(np.float32))
            best = self._target(later, next_portfolio, torch.tanh(self.policy(later)))
            wanted = reward + s.discount * goes_on * best
        surprise = self._critic(market, portfolio, action) - wanted
        self._critic_optimizer.zero_grad()
        (weight * surprise.square()).mean().backward()
        self._critic_optimizer.step()
        self.replay.surprised(drawn.leaves, surprise.detach().numpy())
        if s.replay_weight:
            own = torch.tanh(self.policy(market))
            self._descend(-s.replay_weight * self._critic(market, portfolio, own).mean())
        with torch.no_grad():
            for slow, fast in zip(self._target.parameters(), self._critic.parameters(), strict=True):
                slow.lerp_(fast, s.target_share)

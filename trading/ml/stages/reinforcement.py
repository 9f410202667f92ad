"""Stage 4: an actor-critic with prioritized replay that steers a grid; it advises nobody but in shadow."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from trading.domain.bars import Ints
from trading.domain.grid_worlds import Terms, UnsoundWorld, points_of_closes
from trading.ml.forecasting import Forecasting, Hyper
from trading.ml.learnable import Fitted, Learnable, Plan, Progress
from trading.ml.levelling import level
from trading.ml.losses import ForecastLoss
from trading.ml.networks.actor_critic import OUTPUTS, GridActor, StateEncoder
from trading.ml.reinforcement.judging import Judged, evaluate_policy
from trading.ml.reinforcement.ppo import Learner, Settings
from trading.ml.training import UnableToTrain, split, train

DECISION_S = 3_600  # a grid is laid anew once an hour
FORECAST_SHARE = 0.5  # of the progress that is shown
FEWEST_STEPS = 4  # of an episode

USUAL = {
    "latent": 32, "hidden": (64, 64), "critics": (64, 64), "worlds": 512, "steps": 32, "rounds": 60, "episode_h": 168,
    "capacity": 1_000_000, "replay_weight": 0.1, "fee_ppm": 200,
}  # fmt: skip
QUICK = {
    **USUAL, "latent": 16, "hidden": (16,), "critics": (16,), "worlds": 32, "steps": 8, "rounds": 3, "episode_h": 12,
    "capacity": 4_096,
}  # fmt: skip
ROADMAP = {**USUAL, "latent": 128, "hidden": (256, 256), "critics": (256, 256), "rounds": 200}


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """The bars of all symbols, one after the other.

    Shapes: points (n, 1) ticks; latent (n, L) what the encoder says of each bar; begins (S,) first bar of each symbol.
    """

    points: Ints
    latent: torch.Tensor
    begins: Ints


class Reinforcement(Forecasting):
    """First the state of the market is learned by forecasting, then, with that held still, how to act on it.

    Only closes are known to a net's data, so an order fills when a close lies strictly beyond it: fewer fills than a
    market gives, never more.
    """

    __slots__ = ()

    def fit(self, data: Learnable, rows: Ints, plan: Plan, progress: Progress) -> Fitted:
        """Train on `rows` and nothing else; what the policy made of the held out part is told under "policy".

        Raises:
            UnableToTrain: a hyper-parameter is unknown, or no stretch of the rows is long enough to live in.
        """
        recipe, hyper = self.read(plan)
        del hyper["regimes"]  # it tells none
        torch.manual_seed(plan.seed)
        sizes = {"latent": int(hyper["latent"]), "hidden": tuple(hyper["hidden"])}
        net = GridActor(len(data.features), len(data.horizons_s), **sizes)  # type: ignore[arg-type]  # one of each
        fitted, later = split(data, rows[np.lexsort((rows[:, 1], rows[:, 0]))], recipe.held_out)
        level(net, data, fitted)
        loss = ForecastLoss(OUTPUTS, net.heads.target_spread, data.horizons_s[0])
        shown = _part(progress, 0.0, FORECAST_SHARE)
        curve = train(net, loss, data, fitted, later, recipe, shown, folder=plan.checkpoints)
        try:
            told = _act(net, data, fitted, later, hyper, plan.seed, _part(progress, FORECAST_SHARE, 1.0))
        except UnsoundWorld as error:
            raise UnableToTrain(f"data: {error}") from error
        return Fitted(net.eval(), OUTPUTS, {**hyper, **asdict(recipe), "policy": told}, curve)


def market_of(net: GridActor, data: Learnable) -> Market:
    """Return what worlds and policies need of all frames."""
    with torch.no_grad():
        latent = [
            net.trunk(net.standardize(torch.from_numpy(frame.x), torch.from_numpy(frame.known).float()))
            for frame in data.frames
        ]
    points = [points_of_closes(frame.close) for frame in data.frames]
    begins = np.cumsum([0, *(len(frame) for frame in data.frames[:-1])])
    return Market(np.concatenate(points), torch.cat(latent), begins)


def episodes_of(data: Learnable, rows: Ints, begins: Ints, length: int, every: int) -> tuple[Ints, Ints]:
    """Return (k, 2) first and last bar among all frames' bars, and (k,) when each begins, ns.

    An episode lies between rows that follow one another, no row is left out in between by a split, and every close
    in it is known. One begins `every` bars.
    """
    found, at = list[tuple[int, int]](), list[int]()
    for number, frame in enumerate(data.frames):
        bars = np.sort(rows[rows[:, 0] == number, 1])
        for first, last in _stretches(bars, np.isfinite(frame.close)):
            for start in range(first, last - length + 1, every):
                found.append((int(begins[number]) + start, int(begins[number]) + start + length))
                at.append(int(frame.at_ns[start]))
    return np.array(found, np.int64).reshape(-1, 2), np.array(at, np.int64)


def _stretches(bars: Ints, known: Any) -> list[tuple[int, int]]:
    """Return first and last bar of each stretch of rows a usual step apart, cut where a close is missing."""
    if len(bars) < 2:
        return []
    steps = np.diff(bars)
    usual = int(np.median(steps))
    holes = np.concatenate(([0], np.cumsum(~known)))
    apart = (steps > 2 * usual) | (holes[bars[1:] + 1] > holes[bars[:-1]])
    return [(int(part[0]), int(part[-1])) for part in np.split(bars, np.flatnonzero(apart) + 1) if len(part) > 1]


def _act(
    net: GridActor, data: Learnable, fitted: Ints, later: Ints, hyper: Hyper, seed: int, progress: Progress
) -> dict[str, Any]:
    market = market_of(net, data)
    terms = Terms(bars_a_step=max(1, DECISION_S // data.bar_s), fee_ppm=int(hyper["fee_ppm"]))
    length = _length(data, fitted, terms, int(hyper["episode_h"]))
    episodes, _ = episodes_of(data, fitted, market.begins, length, max(1, length // 8))
    settings = Settings(
        worlds=int(hyper["worlds"]), steps=int(hyper["steps"]), capacity=int(hyper["capacity"]),
        replay_weight=float(hyper["replay_weight"]), seed=seed,
    )  # fmt: skip
    critics = tuple(hyper["critics"])
    torch.manual_seed(seed)  # the same critics, whether the forecasting went on from a checkpoint or not
    learner = Learner(market.latent, market.points, episodes, net.policy, terms, settings, critics)
    rewards = []
    for number in range(int(hyper["rounds"])):
        progress(number / int(hyper["rounds"]), f"round {number + 1} of {hyper['rounds']}")
        rewards.append(learner.round())
    judged = judge(net, data, later, market, terms, length, seed)
    return {
        "rewards": [round(each, 6) for each in rewards], "episodes": len(episodes), "episode_bars": length,
        "steps": settings.worlds * settings.steps * len(rewards), "held_out": [asdict(row) for row in judged],
    }  # fmt: skip


def _length(data: Learnable, rows: Ints, terms: Terms, hours: int) -> int:
    """Return how many bars an episode has: as asked, or as long as the longest stretch allows."""
    longest = max(
        (last - first for number, frame in enumerate(data.frames)
         for first, last in _stretches(np.sort(rows[rows[:, 0] == number, 1]), np.isfinite(frame.close))),
        default=0,
    )  # fmt: skip
    length = min(hours * DECISION_S // data.bar_s, longest) // terms.bars_a_step * terms.bars_a_step
    if length < FEWEST_STEPS * terms.bars_a_step:
        raise UnableToTrain(f"data: the longest unbroken stretch has {longest} bars, too few to act in; use more.")
    return int(length)


def judge(
    net: GridActor, data: Learnable, rows: Ints, market: Market, terms: Terms, length: int, seed: int
) -> tuple[Judged, ...]:
    """Return what the policy made of `rows`, which it has not learned from, beside what needs no learning.

    () where no episode fits into them.
    """
    episodes, at_ns = episodes_of(data, rows, market.begins, length, length)
    if not len(episodes):
        return ()

    @torch.no_grad()
    def own(at: Ints) -> Any:
        return torch.tanh(net.policy(market.latent[torch.from_numpy(at)])).numpy()

    stretches = (at_ns - at_ns.min()) // (length * data.bar_s * 10**9)
    return evaluate_policy(market.points, terms, episodes, {"policy": own}, stretches=stretches, seed=seed)


def _part(progress: Progress, begin: float, end: float) -> Progress:
    return lambda share, words: progress(begin + (end - begin) * share, words)


STAGE = Reinforcement(4, "reinforcement", StateEncoder, {"quick": QUICK, "usual": USUAL, "roadmap": ROADMAP})

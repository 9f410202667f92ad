"""How fast grids are lived through and learned from: worlds, policy optimisation with its learning, prioritized replay.

Processor time of one thread: what other work does on the machine changes little.
"""

import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks import figures
from benchmarks.figures import Bound
from gridconsole import compiled

BOUNDS: Final = {
    "env_steps_per_s": Bound(at_least=250_000),
    "ppo_steps_per_s": Bound(at_least=50_000),
    "replay_us_per_256": Bound(at_most=100),
    "replay_mb": Bound(at_most=120),
}
BARS: Final = 100_000
LENGTH: Final = 12 * 24 * 7  # bars of an episode: a week of 5 minutes
WORLDS: Final = 1_024
STEPS: Final = 200
ROUNDS: Final = 8
LATENT: Final = 20  # features of the market that an actor sees
DRAWS: Final = 1_000
REPEATS: Final = 5


def main(argv: Sequence[str]) -> int:
    """Measure, report."""
    parser = figures.options("rl", __doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS, help="the median of so many is told")
    options = parser.parse_args(argv)
    compiled.choose_folder()
    since = figures.before()
    found: dict[str, Any] = {
        "env_steps_per_s": round(_median(options.repeats, environment())),
        "ppo_steps_per_s": round(_median(options.repeats, learning())),
    }
    found |= replaying(options.repeats)
    found |= {"bars_a_step": 12, "points_a_step": 48, "worlds": WORLDS, "features": LATENT}
    return figures.conclude("rl", found, BOUNDS, as_json=options.json, since=since)


def _median(repeats: int, measure: Callable[[], float]) -> float:
    measure()  # compiled and warm
    return median(measure() for _ in range(repeats))


def market(seed: int = 0) -> Any:
    """Return (BARS, 4) points of a random walk in bars of five minutes, 1 % a sqrt(hour) wild."""
    from trading.domain.bars import Bars
    from trading.domain.grid_worlds import points_of_bars

    draw = np.random.default_rng(seed)
    price = np.exp(np.cumsum(draw.normal(0, 0.003, BARS + 1)))
    open_, close = price[:-1], price[1:]
    reach = np.abs(draw.normal(0, 0.001, (2, BARS))) + 1.0
    high, low = np.maximum(open_, close) * reach[0], np.minimum(open_, close) / reach[1]
    return points_of_bars(Bars("X", 1, np.arange(1, BARS + 1), open_, high, low, close, np.ones(BARS)))


def episodes(count: int, seed: int = 0) -> Any:
    """Return (count, 2) weeks of the bars."""
    first = np.random.default_rng(seed).integers(0, BARS - LENGTH - 1, count)
    return np.stack((first, first + LENGTH), axis=1)


def environment() -> Callable[[], float]:
    """Return what measures steps of worlds a second of processor time, new episodes included."""
    from trading.domain.grid_worlds import Terms, Worlds

    worlds, pool = Worlds(market(), Terms(), WORLDS), episodes(4_096)
    draw = np.random.default_rng(1)
    actions = draw.uniform(-1, 1, (16, WORLDS, 4)).astype(np.float32)

    def measure() -> float:
        began = time.thread_time()
        for step in range(STEPS):
            if worlds.done.any():
                which = np.flatnonzero(worlds.done)
                chosen = pool[draw.integers(len(pool), size=len(which))]
                worlds.begin(which, chosen[:, 0], chosen[:, 1])
            worlds.step(actions[step % len(actions)])
        return STEPS * WORLDS / (time.thread_time() - began)

    return measure


def learning() -> Callable[[], float]:
    """Return what measures steps a second of processor time of acting and learning, prioritized replay included."""
    import torch

    from trading.domain.grid_worlds import Terms
    from trading.ml.networks.actor_critic import layered
    from trading.ml.reinforcement.ppo import Learner, Settings

    torch.set_num_threads(1)
    torch.manual_seed(0)
    settings = Settings(worlds=WORLDS)
    states = torch.randn(BARS, LATENT)
    policy = layered(LATENT, (64, 64), 4, gain=0.01)
    learner = Learner(states, market(), episodes(4_096), policy, Terms(), settings)

    def measure() -> float:
        began = time.process_time()
        for _ in range(ROUNDS):
            learner.round()
        return ROUNDS * settings.worlds * settings.steps / (time.process_time() - began)

    return measure


def replaying(repeats: int) -> dict[str, float]:
    """Return microseconds of processor time to draw and update 256 of a million, and the megabytes it all takes."""
    from trading.domain.grid_worlds import ACTIONS, PORTFOLIO
    from trading.ml.reinforcement.replay import CAPACITY, Replay

    memory, draw, part = Replay(len(PORTFOLIO), len(ACTIONS)), np.random.default_rng(0), 10_000
    for _ in range(CAPACITY // part):
        own, action, one = draw.random((part, len(PORTFOLIO))), draw.random((part, len(ACTIONS))), draw.random(part)
        memory.push(np.arange(part), own, action, one, own, one > 1)
    memory.surprised(np.arange(CAPACITY), draw.random(CAPACITY))
    errors = draw.random((16, 256))

    def measure() -> float:
        began = time.thread_time()
        for k in range(DRAWS):
            memory.surprised(memory.sample(256).leaves, errors[k % 16])
        return (time.thread_time() - began) / DRAWS * 1e6

    return {"replay_us_per_256": round(_median(repeats, measure), 1), "replay_mb": round(memory.megabytes, 1)}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

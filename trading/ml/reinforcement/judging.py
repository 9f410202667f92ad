"""Is a policy worth anything? Episodes nobody learned from, by exact books, beside what needs no learning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trading.domain.bars import Floats, Ints
from trading.domain.grid_worlds import AT, CASH, LOTS, PPM, START_CLOSE, START_EQUITY, Terms, Worlds

Act = Callable[[Ints], Any]  # (k,) bars at which worlds decide -> (k, 4) actions, -1..1
RESAMPLES = 2_000
PLAIN, RANDOM, HALF, HOLD = "plain grid", "random", "half and half", "buy and hold"


@dataclass(frozen=True, slots=True)
class Judged:
    """What one policy made of the episodes; fractions of the equity at the begin, an episode.

    `gain` is what it earned, `alpha` what of that a half-half holding without fees did not; `low` and `high` hold 95 %
    of the means of alpha when whole stretches of time are drawn again.
    """

    name: str
    gain: float
    alpha: float
    low: float
    high: float
    episodes: int
    stretches: int  # of time: symbols at the same time count once


def evaluate_policy(
    points: Ints, terms: Terms, episodes: Ints, policies: Mapping[str, Act], *, stretches: Ints | None = None,
    seed: int = 0,
) -> tuple[Judged, ...]:  # fmt: skip
    """Return what each of `policies` made of the same episodes, and after them plain grid, random and two holdings.

    Shapes:
        points: (n, P) ticks; episodes: (k, 2) first and last bar.
        stretches: (k,) which stretch of time an episode lies in; each its own where not told.

    Raises:
        UnsoundWorld: an episode cannot be lived in.
    """
    draw = np.random.default_rng(seed)
    told: dict[str, Act] = {
        **policies,
        PLAIN: lambda at: np.zeros((len(at), 4), np.float32),
        RANDOM: lambda at: draw.uniform(-1, 1, (len(at), 4)).astype(np.float32),
    }
    stretches = np.arange(len(episodes)) if stretches is None else stretches
    gains = {name: gains_of(points, terms, episodes, act) for name, act in told.items()}
    gains |= _held(points, terms, episodes)
    moved = 0.5 * (points[_ends(terms, episodes), -1] / points[episodes[:, 0], -1] - 1.0)
    return tuple(_judged(name, gain, gain - moved, stretches, seed) for name, gain in gains.items())


def gains_of(points: Ints, terms: Terms, episodes: Ints, act: Act) -> Floats:
    """Return what one policy gained in each episode, a fraction of the equity at its begin."""
    worlds = Worlds(points, terms, len(episodes))
    worlds.begin(np.arange(len(episodes)), episodes[:, 0], episodes[:, 1])
    while not worlds.done.all():
        worlds.step(np.ascontiguousarray(act(worlds.state[:, AT]), np.float32))
    return worlds.equity - 1.0


def _ends(terms: Terms, episodes: Ints) -> Ints:
    """Return the bar at which the last whole step of each episode ends."""
    first, last = episodes[:, 0], episodes[:, 1]
    ends: Ints = first + (last - first) // terms.bars_a_step * terms.bars_a_step
    return ends


def _held(points: Ints, terms: Terms, episodes: Ints) -> dict[str, Floats]:
    """Return what comes of buying once, with the fee, half of it or all, and doing nothing."""
    worlds = Worlds(points, terms, len(episodes))
    worlds.begin(np.arange(len(episodes)), episodes[:, 0], episodes[:, 1])
    state, close = worlds.state, points[_ends(terms, episodes), -1]
    half = (state[:, CASH] + state[:, LOTS] * close * PPM) / state[:, START_EQUITY] - 1.0
    price = state[:, START_CLOSE] * (PPM + terms.fee_ppm)
    more = state[:, CASH] // price
    cash, lots = state[:, CASH] - more * price, state[:, LOTS] + more
    return {HALF: half, HOLD: (cash + lots * close * PPM) / state[:, START_EQUITY] - 1.0}


def _judged(name: str, gain: Floats, alpha: Floats, stretches: Ints, seed: int) -> Judged:
    _, place = np.unique(stretches, return_inverse=True)
    means = np.bincount(place, alpha) / np.bincount(place)
    draw = np.random.default_rng(seed)
    again = means[draw.integers(len(means), size=(RESAMPLES, len(means)))].mean(axis=1)
    low, high = np.quantile(again, (0.025, 0.975))
    return Judged(name, float(gain.mean()), float(means.mean()), float(low), float(high), len(gain), len(means))

"""An actor that learns: better than at first where there is something to find, the same with the same seed."""

from typing import Any

import numpy as np
import pytest
import torch

from trading.domain import grid_worlds as gw
from trading.domain.grid_worlds import Terms
from trading.ml.networks.actor_critic import layered
from trading.ml.reinforcement.judging import HALF, HOLD, PLAIN, RANDOM, Judged, evaluate_policy
from trading.ml.reinforcement.ppo import Learner, Settings

TERMS = Terms(bars_a_step=4, fee_ppm=200)
SMALL = Settings(worlds=64, steps=16, batch=256, capacity=4_096, rate=3e-3, discount=0.8, replay_updates=8)


def swinging(bars: int = 2_000) -> Any:
    """Return (bars, 1) points that swing by 0.8 % to both sides: narrow grids earn, wide ones never fill."""
    return gw.points_of_closes(np.exp(0.008 * np.sin(np.arange(bars) * np.pi / 4 + 0.4)))


def weeks(points: Any, length: int = 200) -> Any:
    first = np.arange(0, len(points) - length - 1, length // 2)
    return np.stack((first, first + length), axis=1)


def learner(points: Any, settings: Settings = SMALL) -> Learner:
    torch.manual_seed(0)
    market = torch.from_numpy(np.sin(np.arange(len(points)) * np.pi / 4 + 0.4)[:, np.newaxis]).float()
    return Learner(market, points, weeks(points), layered(1, (16,), 4, gain=0.01), TERMS, settings, hidden=(16, 16))


@pytest.fixture(scope="module")
def taught() -> tuple[Learner, list[float]]:
    one = learner(swinging())
    return one, [one.round() for _ in range(25)]


def acting(one: Learner) -> Any:
    return lambda at: torch.tanh(one.policy(one.market[torch.from_numpy(at)])).detach().numpy()


def test_it_earns_more_than_at_first(taught: tuple[Learner, list[float]]) -> None:
    one, rewards = taught

    assert np.mean(rewards[-5:]) > np.mean(rewards[:2]) * 1.5 > 0
    judged = {row.name: row for row in evaluate_policy(one.points, TERMS, weeks(one.points), {"own": acting(one)})}
    assert judged["own"].low > judged[PLAIN].high
    assert judged["own"].low > judged[RANDOM].high


def test_the_replay_holds_the_last_transitions_and_their_surprise(taught: tuple[Learner, list[float]]) -> None:
    one, _ = taught
    weights = one.replay._tree[4_096:]

    assert one.replay.size == 4_096
    assert len(np.unique(weights)) > 100
    drawn = one.replay.sample(64)
    assert (np.abs(drawn.action) <= 1).all()
    assert np.isfinite(drawn.reward).all()


def test_the_replayed_critic_has_learned(taught: tuple[Learner, list[float]]) -> None:
    """The same transitions are misjudged less than by a critic that has seen nothing."""
    one, fresh = taught[0], learner(swinging())
    drawn = one.replay.sample(1_024)
    at = torch.from_numpy(drawn.at.astype(np.int64))
    known = [torch.from_numpy(each) for each in (drawn.portfolio, drawn.action, drawn.next_portfolio, drawn.reward)]

    def surprise(critic: Learner) -> float:
        portfolio, action, later, reward = known
        after = one.market[torch.from_numpy(one._after(drawn.at.astype(np.int64)))]
        following = critic._critic(after, later, torch.tanh(one.policy(after)))
        goes_on = torch.from_numpy(1 - drawn.done.astype(np.float32))
        wanted = reward + SMALL.discount * goes_on * following
        return float((critic._critic(one.market[at], portfolio, action) - wanted).square().mean().detach())

    assert surprise(one) < 0.7 * surprise(fresh)


def test_the_same_seed_learns_the_same() -> None:
    one, two = learner(swinging(600)), learner(swinging(600))
    for each in (one, two):
        each.round()
        each.round()

    assert all(torch.equal(a, b) for a, b in zip(one.policy.parameters(), two.policy.parameters(), strict=True))


def test_holdings_are_judged_by_the_exact_books() -> None:
    points = gw.points_of_closes(np.array([1.0, 1.0, 1.0, 1.0, 1.1]))
    still = {"still": lambda at: np.full((len(at), 4), -1.0, np.float32)}

    judged = {row.name: row for row in evaluate_policy(points, TERMS, np.array([[0, 4]]), still)}

    price = 1_000_000 * (gw.PPM + 200)
    lots = 10**16 // 2 // price
    cash = 10**16 - lots * price
    start = cash + lots * 10**12
    assert judged[HALF].gain == pytest.approx((cash + lots * 1_100_000 * gw.PPM) / start - 1, abs=1e-15)
    more = cash // price
    assert judged[HOLD].gain == pytest.approx(
        (cash - more * price + (lots + more) * 1_100_000 * gw.PPM) / start - 1, abs=1e-15
    )
    assert judged["still"].gain < judged[HALF].gain < judged[HOLD].gain
    assert judged[HOLD].alpha == pytest.approx(judged[HOLD].gain - 0.05)


def test_symbols_at_the_same_time_are_one_stretch() -> None:
    points, pairs = swinging(900), np.array([[0, 200], [300, 500], [600, 800]])

    alone = evaluate_policy(points, TERMS, pairs, {})[0]
    together = evaluate_policy(points, TERMS, pairs, {}, stretches=np.array([5, 5, 9]))[0]

    assert isinstance(alone, Judged)
    assert (alone.episodes, alone.stretches) == (3, 3)
    assert (together.episodes, together.stretches) == (3, 2)
    assert alone.low <= alone.alpha <= alone.high

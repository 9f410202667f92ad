"""Compiled worlds keep the same books as a slow one in plain Python, to the last unit."""

from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain import grid_worlds as gw
from trading.domain.bars import Bars
from trading.domain.grid_worlds import PORTFOLIO, PPM, Terms, UnsoundWorld, Worlds

TERMS = Terms(bars_a_step=3, fee_ppm=200)
STEP_NS = 300_000_000_000


def walk(seed: int, bars: int, bps: float = 60.0) -> Any:
    """Return (bars, 4) points of a random walk whose bars reach beyond open and close."""
    draw = np.random.default_rng(seed)
    price = 1_000_000 * np.exp(np.cumsum(draw.normal(0, bps / 10_000, bars + 1)))
    open_, close = price[:-1], price[1:]
    reach = np.abs(draw.normal(0, bps / 10_000, (2, bars))) * price[:-1]
    high, low = np.maximum(open_, close) + reach[0], np.minimum(open_, close) - reach[1]
    at = np.arange(1, bars + 1) * STEP_NS
    return gw.points_of_bars(Bars("X", STEP_NS, at, open_, high, low, close, np.ones(bars)))


class SlowWorld:
    """One world, order by order: what the compiled one is held against."""

    def __init__(self, points: Any, terms: Terms, first: int, last: int) -> None:
        self.points = [[int(p) for p in row] for row in points]
        self.terms, self.at, self.first, self.last = terms, first, first, last
        self.close = self.start_close = self.points[first][-1]
        capital = 10**6 * 10**4 * PPM
        self.lots = capital // 2 // (self.close * (PPM + terms.fee_ppm))
        self.cash = capital - self.lots * self.close * (PPM + terms.fee_ppm)
        self.start = self.peak = self.equity = self.cash + self.lots * self.close * PPM

    def step(self, action: list[float]) -> float:
        before, close = self.equity, self.close
        slots, lots = self.laid(action)
        self.bought = self.sold = 0
        for bar in range(self.at + 1, self.at + self.terms.bars_a_step + 1):
            for point in self.points[bar]:
                for slot in slots:
                    self.touch(slot, lots, point)
        self.at += self.terms.bars_a_step
        self.close = self.points[self.at][-1]
        self.equity = self.cash + self.lots * self.close * PPM
        self.peak = max(self.peak, self.equity)
        return 100.0 * ((self.equity / before - 1.0) - 0.5 * (self.close / close - 1.0))

    def laid(self, action: list[float]) -> tuple[list[dict[str, int]], int]:
        t = self.terms
        ranges = (t.spacing_ppm, t.levels, t.size_ppm, (-500, 500))
        spacing, levels, size, skew = (
            low + int((max(-1.0, min(1.0, a)) + 1) * 0.5 * (high - low) + 0.5)
            for a, (low, high) in zip(action, ranges, strict=True)
        )
        step = max(1, self.close * spacing // PPM)
        buy_step = max(1, self.close * (spacing * (1000 - skew) // 1000) // PPM)
        sell_step = max(1, self.close * (spacing * (1000 + skew) // 1000) // PPM)
        lots = max(1, self.equity // PPM * size // PPM // self.close)
        slots, free, held = [], self.cash, self.lots
        for k in range(1, levels + 1):
            price = self.close - k * buy_step
            if price <= 0 or price * lots * (PPM + t.fee_ppm) > free:
                break
            free -= price * lots * (PPM + t.fee_ppm)
            slots.append({"buy": price, "sell": price + step, "held": 0})
        for k in range(1, levels + 1):
            if held >= lots * k:
                price = self.close + k * sell_step
                slots.append({"buy": max(1, price - step), "sell": price, "held": 1})
        return slots, lots

    def touch(self, slot: dict[str, int], lots: int, point: int) -> None:
        fee = self.terms.fee_ppm
        if slot["held"] and point > slot["sell"]:
            self.cash += slot["sell"] * lots * PPM - slot["sell"] * lots * fee
            self.lots, self.sold, slot["held"] = self.lots - lots, self.sold + 1, 0
        elif not slot["held"] and point < slot["buy"]:
            cost = slot["buy"] * lots * PPM + slot["buy"] * lots * fee
            if cost <= self.cash:
                self.cash -= cost
                self.lots, self.bought, slot["held"] = self.lots + lots, self.bought + 1, 1

    @property
    def portfolio(self) -> list[float]:
        grown = self.equity / self.start
        return [
            self.lots * self.close * PPM / self.equity - 0.5, log(grown), self.equity / self.peak - 1.0,
            grown - 0.5 - 0.5 * self.close / self.start_close, (self.last - self.at) / (self.last - self.first),
            self.bought / 10, self.sold / 10,
        ]  # fmt: skip


def begun(points: Any, terms: Terms, *episodes: tuple[int, int]) -> Worlds:
    worlds = Worlds(points, terms, len(episodes))
    first, last = (np.array(column) for column in zip(*episodes, strict=True))
    worlds.begin(np.arange(len(episodes)), first, last)
    return worlds


def acting(*actions: list[float]) -> Any:
    return np.array(actions, np.float32)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from((0, 200, 4_000)), st.integers(1, 5), st.sampled_from((3.0, 60.0, 400.0)))
def test_the_books_equal_those_of_a_slow_world(seed: int, fee_ppm: int, bars_a_step: int, bps: float) -> None:
    terms = Terms(bars_a_step, fee_ppm, spacing_ppm=(1_000, 30_000), levels=(1, 8), size_ppm=(5_000, 200_000))
    points, draw = walk(seed, 61, bps), np.random.default_rng(seed)
    worlds = begun(points, terms, (0, 60), (7, 60))
    slow = [SlowWorld(points, terms, 0, 60), SlowWorld(points, terms, 7, 60)]

    fills = 0
    while not worlds.done.any():
        actions = draw.uniform(-1.3, 1.3, (2, 4)).astype(np.float32)
        worlds.step(actions)
        for k, one in enumerate(slow):
            reward = one.step([float(a) for a in actions[k]])
            fills += one.bought + one.sold
            assert (worlds.state[k, gw.CASH], worlds.state[k, gw.LOTS]) == (one.cash, one.lots)
            assert (worlds.state[k, gw.EQUITY], worlds.state[k, gw.AT]) == (one.equity, one.at)
            assert worlds.rewards[k] == np.float32(reward)
            assert worlds.portfolio[k, :7] == pytest.approx(one.portfolio, abs=1e-6)

    assert fills or bps < 60


def test_an_order_is_not_filled_at_its_price_but_beyond_it() -> None:
    terms = Terms(bars_a_step=1, fee_ppm=0, spacing_ppm=(10_000, 10_000), levels=(1, 1), size_ppm=(10_000, 10_000))
    for low, bought in ((990_000, 0), (989_999, 1)):
        points = np.array([[1_000_000] * 4, [1_000_000, low, 1_000_000, 1_000_000]])
        worlds = begun(points, terms, (0, 1))
        worlds.step(acting([0, 0, 0, 0]))

        assert worlds.state[0, gw.BOUGHT] == bought


def test_a_round_trip_earns_its_step_less_two_fees() -> None:
    terms = Terms(bars_a_step=1, fee_ppm=1_000, spacing_ppm=(10_000, 10_000), levels=(1, 1), size_ppm=(10_000, 10_000))
    points = np.array([[1_000_000] * 4, [1_000_000, 989_999, 1_000_001, 1_000_000]])
    worlds = begun(points, terms, (0, 1))
    before, lots = int(worlds.state[0, gw.EQUITY]), 99

    worlds.step(acting([0, 0, 0, 0]))

    assert worlds.state[0, gw.EQUITY] - before == lots * (10_000 * PPM - (990_000 + 1_000_000) * 1_000)
    assert worlds.done[0]


def test_what_is_not_known_yet_changes_nothing() -> None:
    points = walk(3, 40)
    other = points.copy()
    other[20:] = other[20:] * 11 // 10
    one, two = begun(points, TERMS, (0, 39)), begun(other, TERMS, (0, 39))

    for _ in range(6):
        one.step(acting([0.1, 1, 1, 0]))
        two.step(acting([0.1, 1, 1, 0]))
        assert (one.state == two.state).all()
        assert (one.portfolio == two.portfolio).all()

    one.step(acting([0, 1, 1, 0]))
    two.step(acting([0, 1, 1, 0]))
    assert one.state[0, gw.EQUITY] != two.state[0, gw.EQUITY]


def test_an_action_that_is_no_number_is_the_least_one() -> None:
    points = walk(5, 10)
    worlds = begun(points, TERMS, (0, 9), (0, 9))

    worlds.step(acting([np.nan] * 4, [-1.0] * 4))

    assert (worlds.state[0] == worlds.state[1]).all()
    assert np.isfinite(worlds.portfolio).all()


def test_a_world_that_is_done_stands_still_until_it_begins_again() -> None:
    points = walk(5, 30)
    worlds = begun(points, TERMS, (0, 3), (0, 29))
    action = acting([0, 0, 0, 0], [0, 0, 0, 0])
    worlds.step(action)
    state = worlds.state.copy()

    worlds.step(action)
    assert list(worlds.done) == [True, False]
    assert (worlds.state[0] == state[0]).all()

    worlds.begin(np.array([0]), np.array([10]), np.array([29]))
    assert (worlds.state[0, gw.AT], worlds.equity[0], worlds.done[0]) == (10, 1.0, False)
    assert list(worlds.portfolio[0]) == [0, 0, 0, 0, 1, *[0] * (len(PORTFOLIO) - 5)]


@pytest.mark.parametrize(("first", "last"), [(-1, 9), (0, 10), (5, 7)], ids=["before", "behind", "no whole step"])
def test_an_episode_outside_the_bars_is_refused(first: int, last: int) -> None:
    with pytest.raises(UnsoundWorld, match="no whole step"):
        begun(walk(1, 10), TERMS, (first, last))


def test_an_episode_over_a_missing_bar_is_refused() -> None:
    close = np.exp(np.linspace(0, 0.1, 20))
    close[8] = np.nan
    points = gw.points_of_closes(close)

    assert points[0, 0] == 1_000_000
    begun(points, TERMS, (9, 19))
    with pytest.raises(UnsoundWorld, match="missing"):
        begun(points, TERMS, (5, 19))


def test_prices_that_would_leave_the_integers_are_refused() -> None:
    with pytest.raises(UnsoundWorld, match="eightfold"):
        begun(gw.points_of_closes(np.array([1.0, 1.1, 1.2, 8.1])), TERMS, (0, 3))


@pytest.mark.parametrize(
    "wrong", [{"bars_a_step": 0}, {"fee_ppm": -1}, {"spacing_ppm": (2, 1)}, {"levels": (1, 17)}, {"size_ppm": (0, 1)}]
)
def test_terms_that_cannot_be_traded_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UnsoundWorld, match=next(iter(wrong))):
        Terms(**wrong)

"""Volatility is measured from prices that were seen, and from nothing else."""

from math import exp, isfinite, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.features import MAX_GAP_NS, WARM_SAMPLES, EwmaVolatility

SECOND = 1_000_000_000


def walk(sigma: float, seconds: int, *, seed: int = 1) -> list[float]:
    random, price, prices = Random(seed), 100.0, []
    for _ in range(seconds):
        price *= exp(random.gauss(0, sigma))
        prices.append(price)
    return prices


def test_a_random_walk_gives_back_its_volatility() -> None:
    measure = EwmaVolatility()
    estimates = []

    for i, price in enumerate(walk(0.0002, 3_000)):
        measure.observe(price, i * SECOND)
        if i > 300 and measure.per_second is not None:
            estimates.append(measure.per_second**2)

    assert sqrt(sum(estimates) / len(estimates)) == pytest.approx(0.0002, rel=0.05)


def test_nothing_is_said_before_enough_returns_were_seen() -> None:
    measure = EwmaVolatility()

    for i, price in enumerate(walk(0.0002, WARM_SAMPLES)):  # one price more than returns
        measure.observe(price, i * SECOND)
    assert measure.per_second is None

    measure.observe(100.0, WARM_SAMPLES * SECOND)
    assert measure.per_second is not None


def test_prices_within_a_second_make_no_sample() -> None:
    measure = EwmaVolatility()

    taken = [measure.observe(100.0 + i, i * SECOND // 10) for i in range(21)]

    assert [i for i, sample in enumerate(taken) if sample] == [10, 20]


@pytest.mark.parametrize(("silence_ns", "samples", "gaps"), [(MAX_GAP_NS, 2, 0), (MAX_GAP_NS + 1, 1, 1)])
def test_a_longer_silence_is_counted_and_not_filled(silence_ns: int, samples: int, gaps: int) -> None:
    measure = EwmaVolatility()
    measure.observe(100.0, 0)
    measure.observe(100.1, SECOND)

    measure.observe(150.0, SECOND + silence_ns)

    assert (measure.samples, measure.gaps) == (samples, gaps)


def test_no_return_spans_a_restart() -> None:
    measure = EwmaVolatility()
    measure.observe(100.0, 0)
    measure.restart()

    assert not measure.observe(200.0, SECOND)
    assert measure.samples == 0


@given(st.lists(st.tuples(st.floats(), st.integers(-(10**10), 10**10)), max_size=200))
def test_no_input_makes_it_say_what_is_not_a_number(prices: list[tuple[float, int]]) -> None:
    measure, now_ns = EwmaVolatility(), 0

    for price, step in prices:
        now_ns += step
        measure.observe(price, now_ns)

    assert measure.per_second is None or (isfinite(measure.per_second) and measure.per_second >= 0)

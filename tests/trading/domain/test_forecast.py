"""The forecast says how wide a step must be, never a number that is none."""

from itertools import pairwise
from math import inf, nan
from random import Random

import pytest

from trading.domain.features import EwmaVolatility
from trading.domain.forecast import QUIET_BELOW, WILD_ABOVE, Forecast, Forecaster, regime, spacing_floor_fraction
from trading.domain.market import BookTop

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("volatility", "word"),
    [
        (0.0, "quiet"),
        (QUIET_BELOW * 0.999, "quiet"),
        (QUIET_BELOW, "normal"),
        (WILD_ABOVE, "normal"),
        (WILD_ABOVE * 1.001, "wild"),
        (inf, "wild"),
        (nan, "wild"),
    ],
)
def test_a_regime_has_edges_and_what_is_no_number_is_wild(volatility: float, word: str) -> None:
    assert regime(volatility) == word


def test_the_floor_is_three_sigmas_of_one_second() -> None:
    assert spacing_floor_fraction(0.0001) == pytest.approx(0.0003)


@pytest.mark.parametrize("volatility", [nan, inf, -inf, -0.0001])
def test_no_floor_comes_of_what_is_no_volatility(volatility: float) -> None:
    with pytest.raises(ValueError, match="volatility_per_second"):
        spacing_floor_fraction(volatility)


def tops(count: int, *, every_ns: int) -> list[tuple[BookTop, int]]:
    random, bid, result = Random(3), 1_000_000, []
    for i in range(count):
        bid += random.choice((-200, 200))
        at_ns = i * every_ns
        result.append((BookTop("BTCUSDT", bid, 1, bid + 1, 1, i + 1, 0, at_ns), at_ns))
    return result


def feed(forecaster: Forecaster, prices: list[tuple[BookTop, int]]) -> list[Forecast]:
    return [forecast for top, now_ns in prices if (forecast := forecaster.observe(top, now_ns)) is not None]


def test_one_forecast_a_second_comes_once_warm() -> None:
    forecasts = feed(Forecaster(), tops(400, every_ns=SECOND // 4))

    assert len(forecasts) == 70  # 99 returns in 100 s, the first 29 too few to speak of
    assert {round((b.at_ns - a.at_ns) / SECOND) for a, b in pairwise(forecasts)} == {1}


def test_a_recording_played_faster_gives_the_same_volatility() -> None:
    slow = feed(Forecaster(), tops(600, every_ns=SECOND))
    fast = feed(Forecaster(speed=10.0), tops(600, every_ns=SECOND // 10))

    assert fast[-1].volatility_per_second == pytest.approx(slow[-1].volatility_per_second, rel=1e-3)
    assert len(fast) < len(slow) / 9  # still one a second of our clock


def test_a_change_of_speed_invents_no_gap() -> None:
    forecaster = Forecaster()
    first = feed(forecaster, tops(100, every_ns=SECOND))
    forecaster.set_speed(10.0, 99 * SECOND)
    later = [(top, 99 * SECOND + now_ns // 10) for top, now_ns in tops(100, every_ns=SECOND)][1:]

    assert feed(forecaster, later)[-1].volatility_per_second == pytest.approx(first[-1].volatility_per_second, rel=0.3)


@pytest.mark.parametrize("speed", [0.3, 1.0, 7.0, 1_000.0])
def test_not_looking_before_a_sample_is_due_leaves_none_out(speed: float) -> None:
    forecaster, every_price, random = Forecaster(speed), EwmaVolatility(), Random(5)
    now_ns, told = 0, 0
    for i in range(5_000):
        top = BookTop("BTCUSDT", 1_000_000 + random.randrange(500), 1, 1_000_600, 1, i + 1, 0, now_ns)
        every_price.observe((top.bid_ticks + top.ask_ticks) / 2, int(now_ns * speed))
        forecast = forecaster.observe(top, now_ns)
        if forecast is not None:
            assert forecast.volatility_per_second == every_price.per_second
            told += 1
        now_ns += random.randrange(int(0.1 * SECOND / min(speed, 10)))

    assert told > 20


@pytest.mark.parametrize("speed", [0.0, -1.0, nan, inf])
def test_an_impossible_speed_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        Forecaster(speed)


def test_the_same_prices_give_the_same_forecasts() -> None:
    assert feed(Forecaster(), tops(300, every_ns=SECOND)) == feed(Forecaster(), tops(300, every_ns=SECOND))

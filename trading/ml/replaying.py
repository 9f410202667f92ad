"""What a forecast is worth to a grid: advice that only holds back, by exact books, at plain and adverse costs."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trading.domain.bars import Bools, Floats, Ints
from trading.domain.contest import Heard
from trading.domain.grid_worlds import Terms, points_of_closes
from trading.domain.overfit import UnableToJudge, deflated_best, overfit_probability
from trading.domain.skill import mean_difference
from trading.ml.learnable import Learnable
from trading.ml.reinforcement.judging import Act, evaluate_policy, gains_of

WEEK_NS: Final = 7 * 86_400_000_000_000  # an episode
HOUR_S: Final = 3_600  # a grid is laid anew
FEE_PPM: Final = 200  # of a maker; 2 bp
# A fee a quarter dearer; a spread of 1 bp half as wide again, of which a fill pays half.
ADVERSE_FEE_PPM: Final = 275
STRENGTHS: Final = (0.5, 1.0, 2.0)  # how much wider and smaller for each e-fold of variance above its week; all told
SHIFTS: Final = 20
GROUPS: Final = 8  # of weeks
LEAST_WEEKS: Final = 2 * GROUPS
SLOW: Final = "log_rv_7d"


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Closes of all symbols, one symbol after the other, with what was said of each bar.

    Shapes:
        points: (n, 1) ticks; said, slow: (n,) log variances, NaN where nothing was said.
        episodes: (k, 2) first and last bar; weeks: (k,) which week each is of.
        owner: (n,) which symbol.
    """

    points: Ints
    said: Floats
    slow: Floats
    owner: Ints
    episodes: Ints
    weeks: Ints
    bars_a_step: int


def replayed(data: Learnable, heard: Heard, name: str) -> dict[str, Any] | None:
    """Return what advice from the forecasts of `name` made of every whole week of the test rows, as plain JSON.

    Of three strengths of advice the middle one is told; all three count as trials. Adverse costs are dearer fees, a
    wider spread, and advice that comes one bar of the forecasts late: bars cannot show 500 ms, so it is minutes.
    None where a week of test rows without a hole is nowhere, or the features do not hold the week's variance.
    """
    if SLOW not in data.features:
        return None
    market = market_of(data, heard, name)
    if len(np.unique(market.weeks)) < 2:
        return None
    late = max(heard.step_ns // (data.bar_s * 1_000_000_000), 1)
    plain, adverse = _lived(market, FEE_PPM, 0), _lived(market, ADVERSE_FEE_PPM, int(late))
    gained = _weekly(market, _gains(market, FEE_PPM, 0))
    return {
        "weeks": len(gained),
        "episodes": len(market.episodes),
        "plain": plain,
        "adverse": adverse,
        "permutation_p": _permutation(market),
        **_luck(gained),
    }


def market_of(data: Learnable, heard: Heard, name: str) -> Market:
    """Return closes, forecasts and the weeks that can be lived in."""
    bar_ns, column = data.bar_s * 1_000_000_000, data.features.index(SLOW)
    points = np.concatenate([points_of_closes(frame.close) for frame in data.frames])
    slow = np.concatenate([np.where(frame.known, frame.x[:, column], np.nan) for frame in data.frames])
    owner = np.concatenate([np.full(len(frame), k) for k, frame in enumerate(data.frames)])
    begins = np.concatenate(([0], np.cumsum([len(frame) for frame in data.frames])[:-1]))
    firsts = np.array([frame.at_ns[0] for frame in data.frames])
    said = np.full(len(points), np.nan)
    said[begins[heard.symbol] + (heard.at_ns - firsts[heard.symbol]) // bar_ns] = heard.first(name)
    episodes, weeks = _episodes(data, points[:, 0] > 0, np.isfinite(said), begins)
    return Market(points, said, slow, owner, episodes, weeks, HOUR_S // data.bar_s)


def _episodes(data: Learnable, closes: Bools, said: Bools, begins: Ints) -> tuple[Ints, Ints]:
    """Return the weeks by the clock, without a missing close, that forecasts begin and end."""
    found, weeks = list[tuple[int, int]](), list[int]()
    for begin, frame in zip(begins.tolist(), data.frames, strict=True):
        week = frame.at_ns // WEEK_NS
        edges = np.flatnonzero(np.diff(week)) + 1
        for first, last in zip(edges[:-1].tolist(), (edges[1:] - 1).tolist(), strict=True):
            if closes[begin + first : begin + last + 1].all() and said[begin + first : begin + last + 1].mean() > 0.2:
                found.append((begin + first, begin + last))
                weeks.append(int(week[first]))
    return np.array(found, np.int64).reshape(-1, 2), np.array(weeks, np.int64)


def advised(market: Market, said: Floats, strength: float, late: int) -> Act:
    """Return advice: where the coming hour is said to be wilder than the week, wider steps and smaller orders."""
    wild = np.clip(np.nan_to_num(strength * (said - market.slow), nan=0.0), 0.0, 1.0)

    def act(at: Ints) -> NDArray[np.float32]:
        much = wild[np.maximum(at - late, 0)]
        none = np.zeros_like(much)
        return np.stack((much, none, -much, none), axis=1).astype(np.float32)

    return act


def _lived(market: Market, fee_ppm: int, late: int) -> dict[str, Any]:
    """Return what came of the advice and of what needs none; and of the advice beyond the plain grid, an episode."""
    terms = Terms(bars_a_step=market.bars_a_step, fee_ppm=fee_ppm)
    policies = {"advised": advised(market, market.said, 1.0, late)}
    told = evaluate_policy(market.points, terms, market.episodes, policies, stretches=market.weeks)
    beyond = _weekly(market, _gains(market, fee_ppm, late))[:, STRENGTHS.index(1.0)]
    found = mean_difference(beyond, np.zeros_like(beyond), 1)
    between = None if found is None else [found.estimate, found.low, found.high]
    return {"fee_ppm": fee_ppm, "policies": [asdict(each) for each in told], "beyond_plain": between}


def _gains(market: Market, fee_ppm: int, late: int) -> Floats:
    """Return (episodes, strengths): gain of each strength of advice less that of the plain grid."""
    terms = Terms(bars_a_step=market.bars_a_step, fee_ppm=fee_ppm)
    still = np.full_like(market.said, np.nan)
    plain = gains_of(market.points, terms, market.episodes, advised(market, still, 1.0, 0))
    each = [
        gains_of(market.points, terms, market.episodes, advised(market, market.said, strength, late))
        for strength in STRENGTHS
    ]
    return np.stack(each, axis=1) - plain[:, np.newaxis]


def _weekly(market: Market, gains: Floats) -> Floats:
    """Return (weeks, strengths), the mean over the symbols of each week."""
    _, place, count = np.unique(market.weeks, return_inverse=True, return_counts=True)
    columns = [np.bincount(place, column) / count for column in gains.T]
    return np.stack(columns, axis=1)


def _permutation(market: Market) -> float:
    """Return how likely advice from forecasts of other weeks gains as much beyond the plain grid."""
    terms = Terms(bars_a_step=market.bars_a_step, fee_ppm=FEE_PPM)
    wild = market.said - market.slow
    actual = _advised_by(market, terms, wild)
    turned = [_advised_by(market, terms, _turned(market, wild, k / (SHIFTS + 1))) for k in range(1, SHIFTS + 1)]
    return (1 + sum(one >= actual for one in turned)) / (1 + SHIFTS)


def _advised_by(market: Market, terms: Terms, wild: Floats) -> float:
    act = advised(market, wild + market.slow, 1.0, 0)
    return float(gains_of(market.points, terms, market.episodes, act).mean())


def _turned(market: Market, wild: Floats, share: float) -> Floats:
    """Return what was said turned in a circle by `share` of its length, each symbol's among the bars it was said of."""
    found = wild.copy()
    for number in np.unique(market.owner).tolist():
        mine = np.flatnonzero((market.owner == number) & np.isfinite(wild))
        found[mine] = np.roll(wild[mine], int(share * len(mine)))
    return found


def _luck(gained: Floats) -> dict[str, Any]:
    if len(gained) < LEAST_WEEKS:
        return {"overfit": None, "deflated": None}
    try:
        overfit = overfit_probability(gained, GROUPS).probability
    except UnableToJudge:
        return {"overfit": None, "deflated": None}
    best = deflated_best(gained, len(STRENGTHS))
    return {"overfit": overfit, "deflated": None if best is None else best.probability}

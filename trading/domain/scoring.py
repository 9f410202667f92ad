"""What each of many grids earned over windows of one tape: swept together where one kernel fits, else one by one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import prod
from typing import Any, Final

import numpy as np

from trading.domain.backtest_campaign import on_campaign
from trading.domain.backtest_report import report
from trading.domain.backtest_run import opened
from trading.domain.backtest_settings import BacktestSettings, UnusableSettings
from trading.domain.curves import Path
from trading.domain.deflation import Moments, moments
from trading.domain.instruments import Instrument
from trading.domain.kernel import Ladder, Terms, UnableToRun
from trading.domain.splits import Span
from trading.domain.sweeping import sweep_with_equity
from trading.domain.tapes import Ints, Tape, part

PLACES: Final = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class Score:
    """What one grid did over a window, or over several one after another; amounts in quote currency."""

    growth: Decimal  # equity at the end / at the begin; of several windows their product
    max_drawdown: Decimal  # of the high before it; of several windows the deepest
    turnover: Decimal
    pnl: Decimal
    grid_profit: Decimal
    fees: Decimal
    fills: int
    round_trips: int
    returns: tuple[float, ...]  # of equal spans of time

    @property
    def return_fraction(self) -> Decimal:
        """What it earned of what it began with."""
        return self.growth - 1

    @property
    def moments(self) -> Moments | None:
        """Sharpe ratio, skewness and kurtosis of the returns; None where they say nothing."""
        return moments(self.returns)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON: amounts and fractions as text, ratios as numbers, None where unknown."""
        found = self.moments
        amounts = {
            "return": self.return_fraction, "max_drawdown": self.max_drawdown, "turnover": self.turnover,
            "pnl": self.pnl, "grid_profit": self.grid_profit, "fees": self.fees,
        }  # fmt: skip
        return {
            **{name: f"{value.quantize(PLACES):f}" for name, value in amounts.items()},
            "fills": self.fills,
            "round_trips": self.round_trips,
            "returns": len(self.returns),
            "sharpe": found and found.sharpe,
            "skewness": found and found.skewness,
            "kurtosis": found and found.kurtosis,
        }


Scored = Score | str  # or why there is none


def together(scores: Sequence[Score]) -> Score:
    """Return the score of runs one after another, each begun with the same means; at least one."""
    return Score(
        growth=prod((one.growth for one in scores), start=Decimal(1)),
        max_drawdown=max(one.max_drawdown for one in scores),
        turnover=sum((one.turnover for one in scores), Decimal(0)),
        pnl=sum((one.pnl for one in scores), Decimal(0)),
        grid_profit=sum((one.grid_profit for one in scores), Decimal(0)),
        fees=sum((one.fees for one in scores), Decimal(0)),
        fills=sum(one.fills for one in scores),
        round_trips=sum(one.round_trips for one in scores),
        returns=tuple(value for one in scores for value in one.returns),
    )


def score(
    tape: Tape, trials: Mapping[int, BacktestSettings], instrument: Instrument, span: Span, period_ns: int,
    threads: int = 1,
) -> dict[int, Scored]:  # fmt: skip
    """Return of each trial what it did over the events of `span`, or why it did nothing.

    A trial begins with the first event of the span, with its cash and no position, and ends with the last one, valued
    at its mark.
    """
    start, stop = np.searchsorted(tape.at_ns, (span.begin_ns, span.end_ns), "left").tolist()
    if start == stop:
        return dict.fromkeys(trials, "The window holds no event; use fewer folds.")
    window = part(tape, start, stop)
    stops = _stops(window.at_ns, span, period_ns)
    found, alike = dict[int, Scored](), defaultdict[Terms, dict[int, Ladder]](dict)
    for number, settings in trials.items():
        try:
            if settings.is_plain:
                ladder, terms, _ = opened(window, settings, instrument)
                alike[terms][number] = ladder
            else:
                found[number] = _by_campaign(window, settings, instrument, stops)
        except (UnusableSettings, UnableToRun) as error:
            found[number] = str(error)
    for terms, ladders in alike.items():
        found.update(_swept(window, ladders, terms, instrument, stops, threads))
    return {number: found[number] for number in trials}


def _stops(at_ns: Ints, span: Span, period_ns: int) -> Ints:
    """Return how many events lie before the end of each whole period of the span, and how many there are at last."""
    count = max(span.length_ns // period_ns, 1)
    edges = span.begin_ns + period_ns * np.arange(1, count, dtype=np.int64)
    inner = np.maximum(np.searchsorted(at_ns, edges, "left"), 1)
    return np.concatenate([inner, [len(at_ns)]]).astype(np.int64)


def _swept(
    tape: Tape, ladders: Mapping[int, Ladder], terms: Terms, instrument: Instrument, stops: Ints, threads: int
) -> dict[int, Scored]:
    """Sweep ladders that run on the same terms; where the kernel refuses one, each is tried by itself."""
    try:
        rows, equity = sweep_with_equity(tape, list(ladders.values()), terms, stops, threads)
    except UnableToRun as error:
        if len(ladders) == 1:
            return dict.fromkeys(ladders, str(error))
        each = (_swept(tape, {number: one}, terms, instrument, stops, threads) for number, one in ladders.items())
        return {number: scored for found in each for number, scored in found.items()}
    opening = (terms.opening_cash + terms.opening_lots * int(tape.mark[0])) * terms.scale
    unit = instrument.tick_size * instrument.lot_size / terms.scale
    names = rows.dtype.names or ()
    told = (dict(zip(names, row.tolist(), strict=True)) for row in rows)
    return {
        number: _of_row(row, opening, unit, terms.scale, along)
        for number, row, along in zip(ladders, told, equity, strict=True)
    }


def _of_row(row: Mapping[str, int], opening: int, unit: Decimal, scale: int, equity: Ints) -> Score:
    pnl = row["equity"] - opening
    return Score(
        growth=Decimal(row["equity"]) / opening,
        max_drawdown=Decimal(row["worst_fall"]) / (row["worst_peak"] or 1),
        turnover=row["turnover"] * scale * unit,
        pnl=pnl * unit,
        grid_profit=row["grid_profit"] * unit,
        fees=row["fees"] * unit,
        fills=row["fills"],
        round_trips=row["round_trips"],
        returns=_returns(opening, equity),
    )


def _by_campaign(tape: Tape, settings: BacktestSettings, instrument: Instrument, stops: Ints) -> Score:
    ran = on_campaign(tape, settings, instrument)
    facts = report(ran, points=1).facts
    waited = len(tape) - len(tape.at_ns[tape.at_ns >= ran.path.at_ns[0]])
    return Score(
        growth=Decimal(facts["equity"]) / Decimal(facts["opening_equity"]),
        **{name: Decimal(facts[name]) for name in ("max_drawdown", "turnover", "pnl", "grid_profit", "fees")},
        fills=facts["fills"],
        round_trips=facts["round_trips"],
        returns=_returns(ran.path.opening, _along(ran.path, stops - waited)),
    )


def _along(path: Path, stops: Ints) -> Ints:
    """Return the equity after so many events of a path that may begin late or end early."""
    every = np.concatenate([[path.opening], path.equity(0, len(path.at_ns))])
    return every[np.clip(stops, 0, len(path.at_ns))]


def _returns(opening: int, equity: Ints) -> tuple[float, ...]:
    """Return the returns from stop to stop; none where the equity was not above zero all along."""
    along = np.concatenate([[opening], equity]).astype(np.float64)
    return tuple((along[1:] / along[:-1] - 1).tolist()) if (along > 0).all() else ()

"""What the forecasts of a model came to: one reading for each criterion of its promotion."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite, sqrt
from typing import Final

import numpy as np

from trading.domain.bars import Floats, Ints
from trading.domain.skill import coverage, diebold_mariano, squared

HOUR_S: Final = 3_600
OVERLAP_H: Final = 2  # the outcome of an hour's forecasts lies in that hour and the next
# 95 % one-sided quantile of Student's t with 6 degrees of freedom: seven days against seven. More days only make the
# bound more careful than it need be. Student (1908), "The probable error of a mean", Biometrika 6(1).
T_95: Final = 1.943
FEWEST_DAYS: Final = 7


class Measure(StrEnum):
    """What a promotion is judged on."""

    OFFLINE = "offline gate"
    FULL = "full training"
    DAYS = "days in this state"
    HOURS = "scored hours"
    SKILL = "loss against the one in force"
    COVERAGE = "q10-q90 coverage"
    FALLBACK = "fallback rate"
    CRITS = "CRIT alerts"
    FEATURES = "live features equal to the replay's"
    FILL_RATE = "fill rate"
    LATENCY = "latency p95 against before"
    DRAWDOWN = "drawdown of its limit"
    MARK_OUT = "mark-out against before"
    PNL = "P&L a day against before"


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement; None is what nobody knows, and `detail` then says why."""

    value: float | None
    samples: int
    detail: str

    @property
    def is_known(self) -> bool:
        """True where there is a finite number."""
        return self.value is not None and isfinite(self.value)


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Forecasts whose outcome is known, in order of time; all arrays are (n,)."""

    at_s: Ints  # close of the last bar
    said: Floats  # log_rv
    reference: Floats  # what they are held against: the champion's or the rule's
    low: Floats  # 10 % quantile, NaN where none was told
    high: Floats
    came: Floats


def by_hour(at_s: Ints, values: Floats) -> Floats:
    """Return the mean of each hour that has any, oldest first: symbols and bars of one hour are no separate proof."""
    hours, place = np.unique(at_s // HOUR_S, return_inverse=True)
    sums = np.bincount(place, weights=values, minlength=len(hours))
    means: Floats = sums / np.bincount(place, minlength=len(hours))
    return means


def scored_hours(found: Forecasts) -> Reading:
    """Return in how many hours anything was scored."""
    hours = len(np.unique(found.at_s // HOUR_S))
    return Reading(float(hours), hours, f"{len(found.at_s):,} forecasts with their outcome in {hours} hours")


def skill(found: Forecasts, against: str) -> Reading:
    """Return t of the loss against the reference's, above zero: better; by the hour (`diebold_mariano`)."""
    loss, reference = squared(found.came, found.said), squared(found.came, found.reference)
    tested = diebold_mariano(by_hour(found.at_s, loss), by_hour(found.at_s, reference), overlap=OVERLAP_H)
    if tested is None:
        return Reading(None, 0, f"too few hours scored beside {against}")
    mean = float(np.mean(by_hour(found.at_s, reference)))
    change = f"{tested.difference / mean:+.1%} squared error" if mean > 0 else "no error to compare with"
    return Reading(tested.t, tested.count, f"{change} against {against}, {tested.count} hours")


def covered(found: Forecasts) -> Reading:
    """Return the share of outcomes between both quantiles, of the forecasts that told any."""
    told = np.isfinite(found.low) & np.isfinite(found.high)
    count = int(told.sum())
    if not count:
        return Reading(None, 0, "it told no quantiles whose outcome is known")
    share = coverage(found.came[told], found.low[told], found.high[told])
    return Reading(share, count, f"{count:,} forecasts with quantiles")


def non_inferior(now: Sequence[float], before: Sequence[float]) -> Reading:
    """Return the lower bound (95 %) of the mean of `now` less that of `before`, whole days each.

    Source:
        B. L. Welch (1947), "The generalization of Student's problem when several different population variances are
        involved", Biometrika 34, 28-35; the quantile is that of the fewest days accepted.
    """
    few = min(len(now), len(before))
    if few < FEWEST_DAYS:
        return Reading(None, few, f"{len(now)} days now and {len(before)} before, at least {FEWEST_DAYS} of each")
    a, b = np.array(now), np.array(before)
    error = sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    lower = float(a.mean() - b.mean() - T_95 * error)
    return Reading(lower, few, f"mean {a.mean():+.4%} a day now, {b.mean():+.4%} before")


def rate(count: int, of: int, words: str) -> Reading:
    """Return `count` / `of`, None of nothing."""
    return Reading(count / of if of else None, of, f"{count:,} of {of:,} {words}")

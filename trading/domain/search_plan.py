"""What one search is asked to do, read strictly: what varies, how it is tried, how it is held against itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from trading.domain.backtest_settings import (
    READERS,
    BacktestSettings,
    Engine,
    UnusableSettings,
    Wrong,
    choice,
    number,
    read,
    shown,
    whole,
)
from trading.domain.search_space import MOST_POINTS, Parameters, Space, read_space
from trading.domain.splits import MOST_FOLDS, Fold, Span, UnableToSplit, purged, walk_forward

NS: Final = 1_000_000_000
DEFAULT_TRIALS: Final = 100
LARGEST_SEED: Final = 2**31 - 1


class Method(StrEnum):
    """How the trials are chosen."""

    GRID = "grid"  # every combination
    RANDOM = "random"
    OPTUNA = "optuna"  # each learns from those before: return up, drawdown down, turnover down


class Split(StrEnum):
    """How the recording is split into training and test windows."""

    NONE = "none"
    WALK_FORWARD = "walk_forward"
    PURGED = "purged"


@dataclass(frozen=True, slots=True)
class Plan:
    """One search."""

    vary: Mapping[str, str] = field(default_factory=dict)  # setting -> values or range, see `search_space`
    method: Method = Method.GRID
    trials: int | None = None  # None: of a grid, every combination
    seed: int = 1
    split: Split = Split.WALK_FORWARD
    folds: int = 4
    purge_s: Decimal = Decimal(0)  # left out of training before a test window (PURGED: and after it)
    embargo_s: Decimal = Decimal(0)  # and so much more after it
    periods: int = 100  # equal spans of the recording, of each of which a return is taken

    @property
    def space(self) -> Space:
        """What may be varied."""
        return read_space(self.vary)

    @property
    def size(self) -> int:
        """How many trials it will make."""
        return (self.trials or 0) if self.method is not Method.GRID else self.space.size or 0

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON: decimals as text."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        found["vary"] = dict(self.vary)
        return {name: f"{value:f}" if isinstance(value, Decimal) else value for name, value in found.items()}


FIELDS: Final = tuple(one.name for one in fields(Plan) if one.name != "vary")
_READERS: Final = {
    "method": choice(Method),
    "trials": whole(2, MOST_POINTS),
    "seed": whole(0, LARGEST_SEED),
    "split": choice(Split),
    "folds": whole(2, MOST_FOLDS),
    "purge_s": number(Decimal(0), Decimal(10**8)),
    "embargo_s": number(Decimal(0), Decimal(10**8)),
    "periods": whole(20, 2_000),
}


def read_plan(values: Mapping[str, object], settings: BacktestSettings) -> Plan:
    """Return the plan in `values` over `settings`, which say everything that is not varied.

    Raises:
        UnusableSettings: names every value that cannot be used.
    """
    known = (*FIELDS, "vary")
    wrong = [Wrong(name, f"is not known; known are {', '.join(known)}.") for name in sorted(values.keys() - {*known})]
    found = dict[str, Any]()
    for name, take in _READERS.items():
        if (value := values.get(name)) not in (None, ""):
            try:
                found[name] = take(value)
            except ValueError as error:
                wrong.append(Wrong(name, str(error)))
    vary = values.get("vary", {})
    if not isinstance(vary, Mapping):
        raise UnusableSettings(Wrong("vary", f"{shown(vary)} is no table of settings and what they may be."), *wrong)
    try:
        space = read_space(vary)
    except UnusableSettings as error:
        raise UnusableSettings(*wrong, *error.wrong) from error
    if wrong:
        raise UnusableSettings(*wrong)
    plan = Plan(vary={axis.field: str(vary[axis.field]) for axis in space.axes}, **found)
    if plan.method is not Method.GRID and plan.trials is None:
        plan = replace(plan, trials=DEFAULT_TRIALS)
    if wrong := list(_at_odds(plan, settings)):
        raise UnusableSettings(*wrong)
    return plan


def settings_of(base: BacktestSettings, parameters: Parameters) -> BacktestSettings:
    """Return `base` with the parameters of one trial.

    Raises:
        UnusableSettings: together they are no grid.
    """
    given = {name: value for name, value in base.as_json().items() if value is not None}
    return read({**given, **parameters})


def folds_of(plan: Plan, whole_span: Span) -> tuple[Fold, ...]:
    """Return the folds of `plan` over the time of a recording; none where it is not split.

    Raises:
        UnusableSettings: the time cannot be split as asked.
    """
    purge_ns, embargo_ns = int(plan.purge_s * NS), int(plan.embargo_s * NS)
    try:
        if plan.split is Split.WALK_FORWARD:
            return walk_forward(whole_span, plan.folds, purge_ns=purge_ns)
        if plan.split is Split.PURGED:
            return purged(whole_span, plan.folds, purge_ns=purge_ns, embargo_ns=embargo_ns)
    except UnableToSplit as error:
        name, _, reason = str(error).partition(": ")
        raise UnusableSettings(Wrong(name, reason)) from error
    return ()


def _at_odds(plan: Plan, settings: BacktestSettings) -> Iterator[Wrong]:
    """Yield what is right by itself and wrong together."""
    if settings.queue is not None:
        yield Wrong("queue", "is not searched: a search runs grids without one. Leave it out.")
    if len(settings.symbols) > 1 or settings.each is not None:
        yield Wrong("symbol", "is one in a search; run the best of each in one purse afterwards.")
    if settings.engine is Engine.CORE:
        yield Wrong("engine", "core takes seconds a run and is not searched with; use the kernel.")
    if plan.method is Method.GRID:
        if plan.trials is not None:
            yield Wrong("trials", "is for random and optuna; a grid tries every combination. Leave it out.")
        try:
            next(plan.space.every())
        except UnusableSettings as error:
            yield from error.wrong
    if plan.method is Method.OPTUNA and plan.split is Split.PURGED:
        yield Wrong("split", "purged lets optuna learn from what later tests it; use walk_forward, random or grid.")
    if plan.embargo_s and plan.split is not Split.PURGED:
        yield Wrong("embargo_s", "is for split purged: nothing is trained after a test window otherwise. Leave it out.")
    if plan.purge_s and plan.split is Split.NONE:
        yield Wrong("purge_s", "has nothing to keep apart with split none; leave it out.")
    for name in plan.vary:
        if (value := getattr(settings, name)) not in (getattr(BacktestSettings(), name), None) and name in READERS:
            yield Wrong(name, f"is given as {shown(str(value))} and varied as well; leave one of them out.")

"""What several grids in one purse did: the sums, what they were judged by, and each grid's own part."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np

from trading.domain.backtest_report import (
    Ran,
    Report,
    deals,
    earned_until,
    leg_facts,
    mark_out_facts,
    price_curves,
    ratios,
    text,
    worth_curves,
    worth_facts,
)
from trading.domain.curves import POINTS, Curve, Integers, thinned
from trading.domain.drift import fills_digest
from trading.domain.kernel import Ended
from trading.domain.purse import Leg, Purse, together
from trading.domain.terms import UnableToRun

ADDED: Final = ("pnl", "grid_profit", "inventory_pnl", "fees", "turnover")
COUNTED: Final = ("fills", "round_trips", "events")
ASSUMPTIONS: Final = (
    "One purse: every symbol trades as it does alone, out of one amount of cash that pays for all their slots at once; "
    "equity, drawdown and exposure are of the sum at every event of all symbols, in the order of their times, at one "
    "time in the order the symbols are named.",
    "A symbol counts as what it was last known to be worth: before its first event as its part of the cash (and its "
    "base at its first price), after its last at its last price.",
)


@dataclass(frozen=True, slots=True)
class Shared:
    """Several runs in one purse."""

    purse: Purse
    runs: Mapping[int, Ran]  # by the number of the leg; after a gate without those whose first event came later
    waited: tuple[str, ...] = ()  # symbols that never began
    stopped: bool = False  # the drawdown gate ended all of them


def shared(runs: Sequence[Ran], cash: Decimal) -> Shared:
    """Return `runs`, each made with all of the cash before it, in one purse of `cash`, quote currency.

    Raises:
        UnableToRun: the quotes differ, the cash does not pay for all of them, or the sums do not fit.
    """
    if len(quotes := sorted({ran.instrument.quote for ran in runs})) > 1:
        raise UnableToRun(f"symbol: one purse holds one currency, these are in {' and '.join(quotes)}; choose others.")
    needed = sum((ran.needs * ran.scale for ran in runs if ran.needs > 0), Decimal(0))
    if needed > cash:
        short = f"{cash:f} {quotes[0]} is {text(needed - cash)} less than all slots of all symbols cost"
        raise UnableToRun(f"cash: {short}; use more, or smaller lots.")
    return Shared(together([Leg(ran.path, ran.scale, ran.base_lots) for ran in runs], cash), dict(enumerate(runs)))


def ended_at(of: Shared, event: int, again: Mapping[int, Ran]) -> Shared:
    """Return `of` as the gate ended it after `event` of the clock: `again` are the runs up to there."""
    waited = tuple(ran.instrument.symbol for number, ran in of.runs.items() if number not in again)
    return Shared(of.purse.until(event), again, waited, stopped=True)


def report(of: Shared, *, points: int = POINTS) -> Report:
    """Return everything that is told of several runs; "symbols" has what each has of its own."""
    curve, legs = thinned(of.purse, points), [leg_facts(ran) for ran in of.runs.values()]
    facts = {
        **worth_facts(of.purse, curve, of.purse.unit),
        **{name: sum(leg[name] for leg in legs) for name in COUNTED},
        **{name: text(sum((Decimal(leg[name]) for leg in legs), Decimal(0))) for name in ADDED},
        **({"refused": sum(leg.get("refused", 0) for leg in legs)} if any("refused" in leg for leg in legs) else {}),
        **ratios(of.purse, of.purse.unit, list(of.runs.values())),
        **mark_out_facts(list(of.runs.values())),
        "ended": _ended(of),
        "fills_sha256": _digest(of),
        "drawn_every": max(leg["drawn_every"] for leg in legs),
        "levels": [],
        "per_level": [],
        "symbols": legs,
        "waited": list(of.waited),
    }
    return Report(facts, _curves(of, curve))


def assumptions(of: Shared) -> Iterator[str]:
    """Yield what the result holds under; what only some symbols assume is said of those."""
    yield from ASSUMPTIONS
    if of.waited:
        yield f"The drawdown ended all before the first event of {', '.join(of.waited)}, which so never began."
    said = dict[str, list[str]]()
    for ran in of.runs.values():
        for line in ran.assumptions:
            said.setdefault(line, []).append(ran.instrument.symbol)
    for line, symbols in said.items():
        yield line if len(symbols) == len(of.runs) else f"{', '.join(symbols)}: {line}"


def _ended(of: Shared) -> str:
    if of.stopped:
        return Ended.DRAWDOWN
    ends = {ran.instrument.symbol: ran.ended for ran in of.runs.values()}
    if len(set(ends.values())) == 1:
        return next(iter(ends.values()))
    return ", ".join(f"{symbol}: {why}" for symbol, why in ends.items())


def _digest(of: Shared) -> str:
    """Return the digest of all fills in the order of the clock."""
    placed = [
        (event, number, deal)
        for number, ran in of.runs.items()
        for event, deal in zip(places(of.purse, number)[ran.log.event].tolist(), deals(ran), strict=True)
    ]
    return fills_digest(deal for _, _, deal in sorted(placed, key=lambda one: one[0]))


def places(purse: Purse, leg: int) -> Integers:
    """Return the place on the merged clock of each event of a leg."""
    return np.flatnonzero(purse.leg == leg)


def _curves(of: Shared, curve: Curve) -> dict[str, Any]:
    earned = [_earned(of, number, curve) * float(ran.scale) for number, ran in of.runs.items()]
    return {
        **worth_curves(of.purse, curve, of.purse.unit),
        "grid_profit": np.sum(earned, axis=0).round(8).tolist(),
        "symbols": {ran.instrument.symbol: price_curves(ran) for ran in of.runs.values()},
    }


def _earned(of: Shared, leg: int, curve: Curve) -> Integers:
    """Return the grid profit of a leg at the points of the curve, its money units."""
    newest = np.searchsorted(places(of.purse, leg), curve.index, "right") - 1
    return np.where(newest < 0, 0, earned_until(of.runs[leg], newest))

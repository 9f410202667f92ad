"""What a model asked of a desk, as it is kept, and as a backtest hears it again."""

from collections.abc import Iterable, Mapping
from typing import Any

from trading.domain.advice import LONGEST_NS, GridAdvice
from trading.domain.events import AdviceChanged, PersistAdvice

Kept = Mapping[str, Any]


def as_kept(changed: PersistAdvice) -> dict[str, object]:
    """Return `changed` for the trail: what acts, in numbers that come back as they were, and in words."""
    advice = changed.advice
    kept: dict[str, object] = {"symbol": changed.symbol, "at_ns": changed.at_ns}
    if advice is None:
        return kept
    return kept | {
        "model": advice.model,
        "asks": advice.asks,
        "until_ns": advice.valid_until_ns,
        "floor": repr(advice.floor_fraction),
        "levels": advice.levels,
        "buy": repr(advice.buy_fraction),
        "pause_buys": advice.pause_buys,
        "pause_sells": advice.pause_sells,
    }


def tape_of(rows: Iterable[Kept], since_ns: int, until_ns: int) -> list[tuple[int, AdviceChanged]]:
    """Return what was in force from `since_ns` until `until_ns` as a tape, oldest first.

    Only what another advice changed is kept: one that asked for the same for days is said again as often as it must be.

    Shapes:
        rows: as `as_kept` made them, oldest first; of each symbol the newest before `since_ns` among them.
    """
    by_symbol: dict[str, list[Kept]] = {}
    for row in rows:
        by_symbol.setdefault(row["symbol"], []).append(row)
    tape: list[tuple[int, AdviceChanged]] = []
    for each in by_symbol.values():
        ends = [*(row["at_ns"] for row in each[1:]), until_ns]
        for row, end_ns in zip(each, ends, strict=True):
            tape += _in_force(row, max(row["at_ns"], since_ns), end_ns)
    return sorted(tape, key=lambda told: told[0])


def _in_force(row: Kept, begin_ns: int, end_ns: int) -> list[tuple[int, AdviceChanged]]:
    if "model" not in row:
        return [(begin_ns, AdviceChanged(row["symbol"], None))] if begin_ns < end_ns else []
    times = range(begin_ns, end_ns, LONGEST_NS)
    return [(at_ns, AdviceChanged(row["symbol"], _again(row, at_ns))) for at_ns in times]


def _again(row: Kept, at_ns: int) -> GridAdvice:
    return GridAdvice(
        symbol=row["symbol"],
        model=row["model"],
        at_ns=at_ns,
        valid_until_ns=at_ns + LONGEST_NS,
        floor_fraction=float(row["floor"]),
        levels=row["levels"],
        size_fraction=float(row["buy"]),
        pause_buys=row["pause_buys"],
        pause_sells=row["pause_sells"],
    )

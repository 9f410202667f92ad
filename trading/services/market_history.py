"""Stored market history as arrays: what backtests and charts compute from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trading.adapters.store_parquet import PartBroken
from trading.domain.history import SECOND_NS, Kind, Series, Steps
from trading.models import MarketPart
from trading.services.market_store import as_part, of_series, store

Integers = NDArray[np.int64]
TICKS: Final = "_ticks"
LOTS: Final = "_lots"


class NoHistory(Exception):
    """Nothing usable is stored of what was asked for; the message says what is missing and how to get it."""


@dataclass(frozen=True, slots=True)
class History:
    """Rows of one series in the order stored, all in the same steps; columns are (n,) int64."""

    series: Series
    steps: Steps
    columns: Mapping[str, Integers]
    parts: int
    checked: bool  # every part was read again since it was stored, and was whole

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns["at_ns"])


def history(
    series: Series, from_ns: int = 0, to_ns: int = 2**63 - 1, *, columns: Sequence[str] | None = None
) -> History:
    """Return the stored rows with `from_ns` <= `at_ns` < `to_ns`, all columns or `at_ns` and those named.

    Columns that only some days have (the other clock of a mixed history) are left out. Where days were stored in
    different steps, all are given in the finest.

    Raises:
        NoHistory: nothing is stored of that time, a part is broken, or its steps have no common measure.
    """
    parts = _chosen(series, from_ns, to_ns)
    steps = _common(parts, series)
    wanted = None if columns is None else ("at_ns", *columns)
    try:
        blocks = [
            _within(store().read(part.path, wanted), from_ns, to_ns, _factors(part, steps, series)) for part in parts
        ]
    except PartBroken as error:
        raise NoHistory(str(error)) from error
    names = [name for name in blocks[0] if all(name in block for block in blocks)]
    joined = {name: np.concatenate([block[name] for block in blocks]) for name in names}
    if not len(joined["at_ns"]):
        raise NoHistory(f"{series.name}: no row lies in the time that was asked for.")
    return History(series, steps, joined, len(parts), all(part.checked_at and not part.problem for part in parts))


def bars(series: Series, interval_s: int, from_ns: int = 0, to_ns: int = 2**63 - 1) -> History:
    """Return bars of `interval_s` seconds out of stored trades, resampled by DuckDB; a quiet interval has none.

    Raises:
        NoHistory: nothing is stored of that time, a part is broken, or the days were stored in different steps.
    """
    parts = _chosen(series, from_ns, to_ns)
    steps = _common(parts, series)
    if any(_factors(part, steps, series) != {TICKS: 1, LOTS: 1} for part in parts):
        raise NoHistory(f"{series.name}: its days have different steps; import them again in one file.")
    recorded = parts[0].source == MarketPart.Source.RECORDER
    try:
        found = store().bars([part.path for part in parts], interval_s, recorded=recorded)
    except PartBroken as error:
        raise NoHistory(str(error)) from error
    inside = (found["at_ns"] >= from_ns) & (found["at_ns"] + interval_s * SECOND_NS <= to_ns)
    columns = {name: values[inside] for name, values in found.items()}
    checked = all(part.checked_at and not part.problem for part in parts)
    return History(Series(Kind.BARS, series.venue, series.symbol, interval_s), steps, columns, len(parts), checked)


def clocks(series: Series) -> frozenset[str]:
    """Return which clocks order the stored rows of `series`: "venue", "received".

    Raises:
        NoHistory: a part is broken.
    """
    try:
        return frozenset(str(store().about(part.path)["clock"]) for part in of_series(series))
    except PartBroken as error:
        raise NoHistory(str(error)) from error


def days(series: Series) -> list[date]:
    """Return the days of which something is stored."""
    return sorted(set(of_series(series).values_list("day", flat=True)))


def _chosen(series: Series, from_ns: int, to_ns: int) -> list[MarketPart]:
    parts = list(of_series(series).filter(first_at_ns__lt=to_ns, last_at_ns__gte=from_ns))
    if not parts:
        raise NoHistory(f"{series.name}: nothing is stored of that time; ./console data list shows what is.")
    return parts


def _common(parts: Sequence[MarketPart], series: Series) -> Steps:
    steps = [as_part(part).steps for part in parts]
    origins = {one.origin for one in steps}
    origin = origins.pop() if len(origins) == 1 else "data"
    return Steps(min(one.tick_size for one in steps), min(one.lot_size for one in steps), origin)


def _factors(part: MarketPart, steps: Steps, series: Series) -> dict[str, int]:
    return {
        TICKS: _factor(part.tick_size, steps.tick_size, series),
        LOTS: _factor(part.lot_size, steps.lot_size, series),
    }


def _factor(found: Decimal, wanted: Decimal, series: Series) -> int:
    if found % wanted:
        raise NoHistory(f"{series.name}: the steps {found} and {wanted} of its days have no common measure.")
    return int(found / wanted)


def _within(rows: dict[str, Integers], from_ns: int, to_ns: int, factors: Mapping[str, int]) -> dict[str, Integers]:
    at_ns = rows["at_ns"]
    inside = slice(None) if from_ns <= at_ns[0] and at_ns[-1] < to_ns else (at_ns >= from_ns) & (at_ns < to_ns)
    return dict(_scaled(rows, inside, factors))


def _scaled(
    rows: Mapping[str, Integers], inside: "slice | NDArray[np.bool_]", factors: Mapping[str, int]
) -> Iterator[tuple[str, Integers]]:
    for name, values in rows.items():
        factor = next((factor for ending, factor in factors.items() if name.endswith(ending)), 1)
        yield name, values[inside] * factor if factor != 1 else values[inside]

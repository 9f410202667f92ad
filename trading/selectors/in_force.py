"""Which grids an account has, whether its desk runs them, and since when: one query, however often they changed.

The model that every grid may heed is part of what trades: where it changed, all of them did.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import JSONObject

from trading.domain.evidence import Slice
from trading.domain.grid import GridSettings
from trading.domain.grids import UnsoundGrid, plain
from trading.domain.in_force import CHANGES, Changed, GridsInForce, Ran, cause, newest, spec_of
from trading.domain.limits import ExecutionStyle
from trading.domain.measuring import hours_in_force
from trading.domain.model_states import LIVE
from trading.models import Account, Grid, GridInForce, ModelChange
from trading.selectors.evidence_queries import Query


class GridRow(NamedTuple):
    """One grid of an account at one time."""

    symbol: str
    style: ExecutionStyle
    enabled: bool
    # Its newest change, or that of the model; None: the desk runs what it began with, or what a mandate made of it.
    changed: Changed | None


def grids(account: Account, until: datetime) -> list[GridRow]:
    """Return the grids of `account` as its desk ran them at `until`."""
    rows = list(
        Grid.objects.filter(account=account)
        .annotate(ran=_newest(until), changed=_newest(until, cause__in=CHANGES), model=_newest_model(until))
        .order_by("symbol")
    )
    is_first = all(row.ran is None for row in rows)
    return [
        GridRow(row.symbol, ExecutionStyle(row.style), row.enabled, _either(row, until, is_first=is_first))
        for row in rows
    ]


def last_change(rows: Iterable[GridRow]) -> Changed | None:
    """Return the newest change among `rows`, one that is not in force before all others; None of none."""
    return newest(row.changed for row in rows if row.changed is not None)


def since_change(
    changed: Changed, found: Iterable[Slice], since: datetime, until: datetime, query: Query
) -> GridsInForce:
    """Return how long the grids after `changed` were in force within `found`, the evidence from `since` to `until`.

    A slice that the change lies in does not count at all.
    """
    begin = changed.at
    if begin is None:
        return GridsInForce(changed, None, 0, None, until, query.of_change(until))
    counted = [one for one in found if one.since >= begin]
    first = counted[0].since if counted else until
    hours, _ = hours_in_force(counted)
    samples = sum(one.facts.samples for one in counted)
    return GridsInForce(changed, hours, samples, first, until, query.of_change(until, first))


def _newest(until: datetime, **which: Any) -> Subquery:
    of_grid: QuerySet[GridInForce] = GridInForce.objects.filter(
        account=OuterRef("account"), symbol=OuterRef("symbol"), since__lte=until, **which
    )
    row = JSONObject(words="words", edited_at="edited_at", since="since")
    return Subquery(of_grid.order_by("-id").values(row=row)[:1])


def _newest_model(until: datetime) -> Subquery:
    """Return the newest move of any model into what may change an order, or out of it."""
    live = [state.value for state in LIVE]
    moves = ModelChange.objects.filter(Q(before__in=live) | Q(after__in=live), at__lte=until)
    row = JSONObject(name="version__name", digest="version__digest", at="at")
    return Subquery(moves.order_by("-id").values(row=row)[:1])


def _either(row: Any, until: datetime, *, is_first: bool) -> Changed | None:
    found = [_changed(row, until, is_first=is_first)]
    if row.model is not None:
        name = f"{row.model['name']} {row.model['digest'][:8]}"
        found.append(Changed(name, None, _time(row.model, "at"), what="model"))
    return newest(one for one in found if one is not None)


def _changed(row: Any, until: datetime, *, is_first: bool) -> Changed | None:
    """Return what waits for the desk, else the newest change that it has taken up."""
    ran = None if row.ran is None else Ran(spec_of(row.ran["words"]), _time(row.ran, "edited_at"))
    why = cause(ran, _stored(row), is_first=is_first, lot=None)
    is_later = row.edited_at is not None and row.edited_at > until  # than what was asked about
    if why in CHANGES and not is_later:
        return Changed(row.symbol, row.edited_at, None)
    if row.changed is None:
        return None
    return Changed(row.symbol, _time(row.changed, "edited_at"), _time(row.changed, "since"))


def _stored(row: Grid) -> Ran:
    try:
        chosen = row.chosen if row.enabled else None
    except UnsoundGrid:
        chosen = None
    return Ran(plain(chosen) if isinstance(chosen, GridSettings) else chosen, row.edited_at)


def _time(found: Mapping[str, Any], name: str) -> datetime | None:
    return None if found[name] is None else datetime.fromisoformat(found[name])

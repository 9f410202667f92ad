"""Which grids a desk runs and since when: evidence is of the grids it was measured on."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from trading.domain.grids import GridSpec, UnsoundGrid
from trading.domain.limits import Limits
from trading.domain.spelling import FIELDS, read

LOT_STEP: Final = Decimal("1e-8")  # of the lot that a mandate gives


class Cause(StrEnum):
    """Why a desk runs another grid than before."""

    START = "start"  # the first it ever ran
    MANDATE = "mandate"  # capital moved: another lot, or a symbol's first grid
    EDIT = "edit"  # by a person, or a candidate was taken up
    UNKNOWN = "unknown"  # nobody said so


CHANGES: Final = frozenset({Cause.EDIT, Cause.UNKNOWN})  # what was measured before is of other grids


class Ran(NamedTuple):
    """The grid of one symbol, as it is stored or as a desk ran it."""

    spec: GridSpec | None  # None: there is none, or what is stored cannot be read
    edited_at: datetime | None  # by a person, or a candidate was taken up


class Changed(NamedTuple):
    """The newest change of what trades on one account: of its grids, or of the model that they heed."""

    symbol: str  # or the name of the model
    saved_at: datetime | None  # None: nobody says when
    in_force_at: datetime | None  # None: the desk does not run it yet
    what: str = "grid"

    @property
    def at(self) -> datetime | None:
        """Since when the grids are these, the later of both; None: they are not yet, or since when is not known."""
        if self.in_force_at is None or self.saved_at is None:
            return self.in_force_at
        return max(self.in_force_at, self.saved_at)

    @property
    def words(self) -> str:
        """Return what was changed and when, for people."""
        saved = "" if self.saved_at is None else f"{_minute(self.saved_at)} UTC"
        if self.in_force_at is None:
            return f"the change of {self.what} {self.symbol}{f' saved on {saved}' if saved else ''} is not in force yet"
        since = f"in force since {_minute(self.in_force_at)} UTC"
        return (
            f"{self.what} {self.symbol} was changed on {saved}, {since}"
            if saved
            else f"{self.what} {self.symbol} changed, {since}"
        )


class GridsInForce(NamedTuple):
    """How long the grids of one account are those that trade now, after the newest change of them."""

    changed: Changed
    hours: Decimal | None  # of the market, in force; None where `changed` is not in force
    samples: int  # looks at the desk in that time
    since: datetime | None  # what is counted begins here: with the first slice of evidence after the change
    until: datetime
    query: str  # what to ask the database to get the hours again


def granted_lot(limits: Limits) -> Decimal:
    """Return the lot that a mandate gives every grid, in quote."""
    return limits.max_lot_quote.quantize(LOT_STEP, ROUND_DOWN)


def spec_of(words: Mapping[str, object]) -> GridSpec | None:
    """Return the grid that stored words spell, None where they spell none."""
    try:
        return read(words) if words else None
    except UnsoundGrid:
        return None


def cause(before: Ran | None, now: Ran, *, is_first: bool, lot: Decimal | None) -> Cause | None:
    """Return why `now` is another grid than the desk ran `before` (None: none on this symbol), or None if it is not.

    `is_first` says that the desk never ran any grid, `lot` what the mandate in force gives; None takes a lot without an
    edit for a mandate's. What nobody answers for is UNKNOWN, and a change.
    """
    if now.edited_at != (before.edited_at if before else None):
        return Cause.EDIT
    if before is None:
        return Cause.START if is_first else _of_mandate(now.spec, lot)
    if now.spec == before.spec:
        return None
    return _of_mandate(now.spec, lot) if _but_for_the_lot(now.spec) == _but_for_the_lot(before.spec) else Cause.UNKNOWN


def newest(changes: Iterable[Changed]) -> Changed | None:
    """Return the newest of `changes`, one that is not in force before all others; None of none."""
    found = sorted(changes, key=lambda one: one.symbol)
    waiting = [one for one in found if one.at is None]
    known = [(at, one) for one in found if (at := one.at) is not None]
    return waiting[0] if waiting else max(known, key=lambda each: each[0], default=(None, None))[1]


def _of_mandate(spec: GridSpec | None, lot: Decimal | None) -> Cause:
    is_given = spec is not None and (lot is None or spec.lot_quote == lot)
    return Cause.MANDATE if is_given else Cause.UNKNOWN


def _but_for_the_lot(spec: GridSpec | None) -> list[object]:
    return [] if spec is None else [getattr(spec, name) for name in FIELDS if name != "lot_quote"]


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"

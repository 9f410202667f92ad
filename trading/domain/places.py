"""Where a ladder that moves stands: its rungs, its slots by number, what each of them may still do."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple

from trading.domain import range_meter
from trading.domain.levels import Rungs, Spacing
from trading.domain.range_meter import Measured


class Role(StrEnum):
    """What a slot may do.

    LADDER buys and sells at its levels. OPENING buys at the market, once, and is LADDER from its first fill on. PARKED
    only sells at its exit, CLOSING only at the market.
    """

    LADDER = "ladder"
    OPENING = "opening"
    PARKED = "parked"
    CLOSING = "closing"

    @property
    def is_of_ladder(self) -> bool:
        """True for a slot between two levels of the ladder in force."""
        return self in (Role.LADDER, Role.OPENING)


class Place(NamedTuple):
    """One slot: orders and fills carry its number, which stays the same wherever the ladder goes."""

    number: int
    low_ticks: int
    high_ticks: int
    role: Role = Role.LADDER


@dataclass(frozen=True, slots=True)
class Footing:
    """What a restart needs of a ladder that moves; with the fills it says what every slot holds.

    Before the start price was reached there is no ladder: `rungs` is None and `waits_from_ticks` the first price seen.
    """

    shape: tuple[str, ...]  # what was chosen of its levels: another choice is another ladder
    rungs: Rungs | None = None
    first: int = 0  # rung of the lowest level
    places: tuple[Place, ...] = ()
    waits_from_ticks: int | None = None
    measured: Measured | None = None  # of a ladder whose step is measured


_RUNGS: Final = ("spacing", "anchor_ticks", "span", "per", "shift")


def as_json(footing: Footing) -> dict[str, Any]:
    """Return `footing` as a document that `from_json` reads."""
    rungs, measured = footing.rungs, footing.measured
    return {
        "shape": list(footing.shape),
        "rungs": None if rungs is None else [str(getattr(rungs, name)) for name in _RUNGS],
        "first": footing.first,
        "places": [[*place[:3], str(place.role)] for place in footing.places],
        "waits_from_ticks": footing.waits_from_ticks,
        **({} if measured is None else {"measured": range_meter.as_json(measured)}),
    }


def from_json(document: Mapping[str, Any]) -> Footing:
    """Return the footing of a stored document.

    Raises:
        ValueError: it was not written by `as_json`.
    """
    try:
        rungs, measured = document["rungs"], document.get("measured")
        return Footing(
            shape=tuple(map(str, document["shape"])),
            rungs=None if rungs is None else _rungs(*rungs),
            first=int(document["first"]),
            places=tuple(
                Place(int(number), int(low), int(high), Role(role)) for number, low, high, role in document["places"]
            ),
            waits_from_ticks=None if document["waits_from_ticks"] is None else int(document["waits_from_ticks"]),
            measured=None if measured is None else range_meter.from_json(measured),
        )
    except (ArithmeticError, AttributeError, KeyError, TypeError) as e:
        raise ValueError(f"footing: {e!r} in a stored ladder; lay the grid anew.") from e


def _rungs(spacing: str, anchor_ticks: str, span: str, per: str, shift: str) -> Rungs:
    return Rungs(Spacing(spacing), int(anchor_ticks), Decimal(span), int(per), Decimal(shift))

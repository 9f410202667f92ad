"""What the grid wants: slots and their states, and the orders a price calls for."""

from enum import StrEnum


class SlotState(StrEnum):
    """Where a slot stands: EMPTY -> BUYING -> HELD -> SELLING -> EMPTY; one way round is a round trip."""

    EMPTY = "EMPTY"
    BUYING = "BUYING"
    HELD = "HELD"
    SELLING = "SELLING"

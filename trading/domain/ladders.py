"""The ladder a grid wants: levels, and what every slot buys and sells; `terms.Ladder` is one that can be run."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from trading.domain.terms import Mode

LARGEST: Final = 2**53  # ticks or lots; more is a slip of the pen, and two of them would not multiply in int64


@dataclass(frozen=True, slots=True)
class Ladder:
    """Slot i buys `lots[i]` at `levels[i]` and sells `sold_lots[i]` at `levels[i + 1]`; a slot of no lots is no order.

    Shapes:
        levels: (n + 1,) ticks, strictly ascending, > 0.
        lots, sell_lots: (n,) lots, >= 0; `sell_lots` empty: what was bought is sold.

    Raises:
        ValueError: names the field, the reason and what to do.
    """

    levels: tuple[int, ...]
    lots: tuple[int, ...]
    mode: Mode
    sell_lots: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no ladder."""
        if len(self.levels) < 2 or self.levels[0] <= 0 or any(b <= a for a, b in pairwise(self.levels)):
            raise ValueError("levels: they must be two or more, above zero and strictly ascending; lay the grid anew.")
        if self.levels[-1] > LARGEST:
            raise ValueError(f"levels: {self.levels[-1]} ticks are more than {LARGEST}; use a lower price.")
        _check_lots("lots", self.lots, self.slots)
        if self.sell_lots:
            _check_lots("sell_lots", self.sell_lots, self.slots)

    @property
    def slots(self) -> int:
        """Number of slots; there is one more level."""
        return len(self.levels) - 1

    @property
    def sold_lots(self) -> tuple[int, ...]:
        """Lots every slot sells at its upper level."""
        return self.sell_lots or self.lots


def _check_lots(name: str, lots: Sequence[int], slots: int) -> None:
    if len(lots) != slots:
        raise ValueError(f"{name}: {len(lots)} quantities for {slots} slots; give one per slot.")
    if any(not 0 <= quantity <= LARGEST for quantity in lots):
        raise ValueError(f"{name}: a quantity is not within 0..{LARGEST}; use a smaller lot.")

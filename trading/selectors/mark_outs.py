"""What the price did after a desk's own recent fills, as the previews reckon with it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import QuerySet

from trading.domain.mark_outs import FEWEST_FILLS, HORIZON_NS, MarkOut, Move, mark_out_of
from trading.domain.orders import Side
from trading.models import Account, Fill
from trading.selectors.numbers import percent

RECENT: Final = timedelta(days=7)  # ours: older fills were made in another market
NEWEST: Final = 500  # fills; the mean of more says the same
HORIZON_S: Final = HORIZON_NS // 1_000_000_000


@dataclass(frozen=True, slots=True)
class Measured:
    """The mark-out of one symbol on one desk."""

    mark_out: MarkOut
    unrecorded: int  # recent fills that no recording follows for the whole horizon, or that were just made

    @property
    def words(self) -> str:
        """What was measured; why it is unknown says `why`."""
        fraction, fills = self.mark_out
        if fraction is None:
            return "unknown"
        way = "against us" if fraction >= 0 else "our way"
        return f"{percent(abs(fraction), 4)} {way} within {HORIZON_S} s, mean of {fills:,} fills"

    @property
    def why(self) -> str:
        """Why mark-out and spacing floor are unknown; nothing where they are known."""
        if self.mark_out.fraction is not None:
            return ""
        text = f"{self.mark_out.fills} fills of the last {RECENT.days} days have {HORIZON_S} s after them recorded"
        others = f" ({self.unrecorded:,} more have not)" if self.unrecorded else ""
        return f"Mark-out and spacing floor are unknown: {text}{others}, {FEWEST_FILLS} are needed."


def floor_words(floor: Decimal | None) -> str:
    """Return the spacing floor as people read it."""
    return percent(floor, 4) if floor is not None else "unknown"


def warning(step: Decimal | None, floor: Decimal | None) -> str:
    """Return what is to be said of a `step` below the spacing floor; nothing of one on it, nor where one is unknown."""
    if step is None or floor is None or step >= floor:
        return ""
    return (
        f"The step of {percent(step, 4)} lies below the spacing floor of {percent(floor, 4)}: fees and what the price "
        f"does within {HORIZON_S} s of this desk's fills take more than a round trip earns."
    )


def recent(account: Account, symbol: str, at: datetime) -> Measured:
    """Return the mark-out of the newest fills of `account` on `symbol`, in one query."""
    return _measured(Fill.objects.filter(account=account, symbol=symbol, at__gte=at - RECENT))


def between(account: Account, symbol: str, since: datetime, until: datetime) -> Measured:
    """Return the mark-out of the newest fills from `since` to before `until`, as `recent` does."""
    return _measured(Fill.objects.filter(account=account, symbol=symbol, at__gte=since, at__lt=until))


def _measured(fills: "QuerySet[Fill]") -> Measured:
    rows = list(fills.values_list("side", "quantity", "marks__mark", "marks__later").order_by("-at")[:NEWEST])
    moves = [
        Move(quantity if side == Side.BUY else -quantity, mark, later)
        for side, quantity, mark, later in rows
        if mark is not None
    ]
    return Measured(mark_out_of(moves), len(rows) - len(moves))

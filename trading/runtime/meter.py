"""How long each segment takes, from the tick to the fill."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from trading.domain.latency import Histogram

TICK_SUBMIT: Final = "tick_submit"  # market message received -> the order's bytes go to the socket
SUBMIT_ACK: Final = "submit_ack"  # -> the venue's answer is decoded
ACK_FILL: Final = "ack_fill"  # -> the first execution is known
SEGMENTS: Final = (TICK_SUBMIT, SUBMIT_ACK, ACK_FILL)
FOLLOWED: Final = 5_000  # orders followed at a time; older ones are forgotten


@dataclass(slots=True)
class _Marks:
    tick_at_ns: int | None
    sent_at_ns: int | None = None
    acked_at_ns: int | None = None


class Meter:
    """Follows orders by their id; each segment is counted once per order, in a minute's and in a running histogram."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._orders: dict[str, _Marks] = {}
        self.minute = _empty()
        self.run = _empty()

    def decided(self, client_order_id: str, tick_at_ns: int | None) -> None:
        """Follow an order; `tick_at_ns` is when the message that called for it was received, None for other causes."""
        if len(self._orders) >= FOLLOWED:
            self._orders.pop(next(iter(self._orders)))
        self._orders[client_order_id] = _Marks(tick_at_ns)

    def sent(self, client_order_id: str) -> None:
        """The order leaves now."""
        if (marks := self._orders.get(client_order_id)) is not None and marks.sent_at_ns is None:
            marks.sent_at_ns = self._now_ns()
            if marks.tick_at_ns is not None:
                self._count(TICK_SUBMIT, marks.sent_at_ns - marks.tick_at_ns)

    def acknowledged(self, client_order_id: str) -> None:
        """The venue's answer is there."""
        if (marks := self._orders.get(client_order_id)) is not None and marks.acked_at_ns is None:
            marks.acked_at_ns = self._now_ns()
            if marks.sent_at_ns is not None:
                self._count(SUBMIT_ACK, marks.acked_at_ns - marks.sent_at_ns)

    def filled(self, client_order_id: str) -> None:
        """An execution is known; the order is followed no longer."""
        if (marks := self._orders.pop(client_order_id, None)) is not None and marks.acked_at_ns is not None:
            self._count(ACK_FILL, self._now_ns() - marks.acked_at_ns)

    def take_minute(self) -> dict[str, Histogram]:
        """Return the segments counted since the last call."""
        taken, self.minute = self.minute, _empty()
        return {segment: histogram for segment, histogram in taken.items() if histogram.counts}

    def _count(self, segment: str, duration_ns: int) -> None:
        self.minute[segment].record_ns(duration_ns)
        self.run[segment].record_ns(duration_ns)


def _empty() -> dict[str, Histogram]:
    return {segment: Histogram() for segment in SEGMENTS}

"""Keep what the recorded price did after every fill, while the recording of it is at hand."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Final

import numpy as np

from trading.domain.history import SECOND_NS
from trading.domain.mark_outs import HORIZON_NS, events_around
from trading.models import Fill, FillMark
from trading.services import recorded_bids
from trading.services.recordings import UnableToRead

log = logging.getLogger(__name__)

SETTLED: Final = timedelta(minutes=3)  # the horizon, and the minute after which the recorder has stored it
GIVEN_UP: Final = timedelta(hours=1)  # what was not recorded by then never will be
BEYOND_NS: Final = 60 * SECOND_NS  # the recording is read on so far, to see that it goes on after the horizon


def measure(at: datetime) -> int:
    """Keep the marks of the fills that have theirs by now; return how many.

    A fill that the recording does not follow for the whole horizon has none, and counts nowhere.
    """
    waiting = Fill.objects.filter(at__gte=at - GIVEN_UP, at__lt=at - SETTLED, marks=None)
    groups = groupby(waiting.order_by("symbol", "at_ns"), key=attrgetter("symbol"))
    return sum(_measure(symbol, list(fills), at) for symbol, fills in groups)


def _measure(symbol: str, fills: Sequence[Fill], at: datetime) -> int:
    from_ns, to_ns = fills[0].at_ns, fills[-1].at_ns + HORIZON_NS + BEYOND_NS
    try:
        found = recorded_bids.bids(symbol, from_ns, to_ns)
    except UnableToRead as error:
        log.warning("%s: the recording after %d fills cannot be read: %s", symbol, len(fills), error)
        return 0
    return 0 if found is None else _keep(fills, found, at)


def _keep(fills: Sequence[Fill], found: recorded_bids.Bids, at: datetime) -> int:
    filled_at_ns = np.array([fill.at_ns for fill in fills], dtype=np.int64)
    around = events_around(found.at_ns, found.segment_ns, filled_at_ns)
    marks = [
        FillMark(fill=fill, mark=_price(found, pair[0]), later=_price(found, pair[1]), measured_at=at)
        for fill, pair in zip(fills, around, strict=True)
        if pair is not None
    ]
    FillMark.objects.bulk_create(marks, ignore_conflicts=True)  # another worker may have been at it
    return len(marks)


def _price(found: recorded_bids.Bids, event: int) -> Decimal:
    return int(found.bid[event]) * found.tick_size

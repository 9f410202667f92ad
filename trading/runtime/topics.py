"""What travels between loops."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from trading.domain.events import SeamReached
from trading.domain.market import BookTop, Trade

MARKET: Final = "market"  # payload: MarketBatch, in the venue's order
FEED: Final = "feed"  # payload: FeedLost | FeedRestored
FORECAST: Final = "forecast"  # payload: ForecastChanged
COMMAND: Final = "command"  # payload: Command; a hint, the rows are the truth
HOLD: Final = "hold"  # payload: Hold

MarketItem = BookTop | Trade | SeamReached
MarketBatch = Sequence[MarketItem]
Command = Mapping[str, object]


class Hold(NamedTuple):
    """No new order may leave, for a cause; an empty reason ends it."""

    cause: str
    reason: str

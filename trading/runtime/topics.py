"""What travels between loops."""

from collections.abc import Mapping, Sequence
from typing import Final

from trading.domain.events import FeedLost, FeedRestored, SeamReached
from trading.domain.market import BookTop, Trade

MARKET: Final = "market"  # payload: MarketBatch, in the venue's order
FORECAST: Final = "forecast"  # payload: ForecastChanged
ADVICE: Final = "advice"  # payload: AdviceChanged, of one symbol
COMMAND: Final = "command"  # payload: Message; a hint, the rows are the truth
HOLD: Final = "hold"  # payload: Message with `cause` and `reason`: no new order may leave; an empty reason ends it

MarketItem = BookTop | Trade | SeamReached | FeedLost | FeedRestored
MarketBatch = Sequence[MarketItem]
Message = Mapping[str, object]

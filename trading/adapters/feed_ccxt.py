"""Market data through ccxt: trades and book tops of all symbols on one connection, in the venue's order."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from trading.adapters.binance_ccxt import Binance
from trading.adapters.binance_wire import MarketDecoder, UnknownSymbol, Unreadable, replay_status, scales
from trading.adapters.mailbox import Mailbox
from trading.domain.events import Event
from trading.domain.instruments import Instrument
from trading.domain.market import BookTop, Trade
from trading.ports import Clock, FateUnknown, FeedBroken, ReplayStatus

SILENCE_S: Final = 3.0  # no message for this long: the stream is taken for dead (reliability.md I16)
LOOKS: Final = 6  # at the stream within that time
BACKLOG: Final = 200_000  # messages; some 20 s at the highest rate we promise
STREAM: Final = "market"

Item = BookTop | Trade | Event


class BinanceFeed:
    """Public streams of one venue that speaks Binance's dialect."""

    def __init__(
        self,
        base_url: str,
        *,
        clock: Clock,
        instruments: Mapping[str, Instrument],
        is_replay: bool = False,
        silence_s: float = SILENCE_S,
    ) -> None:
        """`instruments` give the steps of prices and quantities; `is_replay`: a simulated exchange listens there."""
        self._exchange = Binance(base_url)
        self._status_url = f"{base_url.rstrip('/')}/sim/status" if is_replay else None
        self._clock = clock
        self._instruments = instruments
        self._silence_s = silence_s
        self.dropped: Counter[str] = Counter()  # why -> messages that were not passed on

    async def events(self, symbols: Sequence[str]) -> AsyncIterator[Sequence[Item]]:
        """Yield what arrived since the last batch, in arrival order.

        Raises:
            FeedBroken: the connection was refused, ended, or fell silent.
        """
        mailbox: Mailbox[Item] = Mailbox(limit=BACKLOG)
        reader = _Reader(self, MarketDecoder({s: self._instruments[s] for s in symbols}), mailbox, self._clock)
        self._exchange.on_message = reader.read
        url = self._exchange.urls["api"]["ws"]["spot"] + "/0"
        ended = await self._exchange.listen(url, STREAM, _subscription(symbols))
        ended.add_done_callback(lambda future: mailbox.fail(FeedBroken(_reason(future))))
        watch = asyncio.create_task(self._watch(reader, mailbox))
        try:
            while True:
                yield await mailbox.take()
        finally:
            watch.cancel()
            await self._exchange.hang_up(url)

    async def replay_status(self) -> ReplayStatus | None:
        """Return what the replay says of itself; None where the venue is no replay."""
        if self._status_url is None:
            return None
        try:
            return replay_status(await self._exchange.get(self._status_url), scales(self._instruments))
        except Unreadable as error:
            raise FateUnknown(str(error)) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._exchange.close()

    async def _watch(self, reader: "_Reader", mailbox: Mailbox[Item]) -> None:
        """Fail the mailbox once nothing has arrived for the limit; counted in looks, so that our own pause is none."""
        seen, silent = reader.count, 0
        while silent < LOOKS:
            await asyncio.sleep(self._silence_s / LOOKS)
            silent = silent + 1 if reader.count == seen else 0
            seen = reader.count
        mailbox.fail(FeedBroken(f"no market data for {self._silence_s:g} s."))


class _Reader:
    """Decodes on arrival; what cannot be read is counted and dropped."""

    def __init__(self, feed: BinanceFeed, decoder: MarketDecoder, mailbox: Mailbox[Item], clock: Clock) -> None:
        self.count = 0
        self._dropped = feed.dropped
        self._decode = decoder.decode
        self._put = mailbox.put
        self._fail = mailbox.fail
        self._now_ns = clock.now_ns

    def read(self, message: dict[str, Any]) -> None:
        self.count += 1
        try:
            item = self._decode(message.get("data", message), self._now_ns())
        except UnknownSymbol:
            self._dropped["unknown symbol"] += 1
        except Unreadable:
            self._dropped["unreadable"] += 1
        else:
            if item is not None:
                self._put(item)
            elif message.get("e") == "serverShutdown":
                self._fail(FeedBroken("the venue announced a shutdown."))


def _subscription(symbols: Sequence[str]) -> dict[str, Any]:
    streams = [f"{symbol.lower()}@{kind}" for symbol in symbols for kind in ("trade", "bookTicker")]
    return {"method": "SUBSCRIBE", "params": streams, "id": 1}


def _reason(future: "asyncio.Future[Any]") -> str:
    error = None if future.cancelled() else future.exception()
    return f"the market stream ended: {error or 'closed'}"

"""Records what the desk decided on: events are handed over without waiting, a thread turns them into stored files."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trading.domain.market import BookTop, MarketEvent, Trade

log = logging.getLogger(__name__)

LIMIT: Final = 100_000  # events that may wait for the thread: 5 s at the highest rate we promise
FLUSH_EVENTS: Final = 100_000  # 10 MB of columns
FLUSH_S: Final = 60.0
LOOK_S: Final = 0.25
CHUNK: Final = 512  # events turned into columns at once: the interpreter is not held longer than 0.3 ms
CLOSE_LIMIT_S: Final = 1.5  # the host of the loops waits 2 s for all of them
COLUMNS: Final = ("received_at_ns", "venue_at_ns", "number", "price_ticks", "quantity_lots", "ask_ticks", "ask_lots")

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a recording without a seam; `at_ns` names it."""

    at_ns: int
    reason: str  # why it does not continue what came before


@dataclass(frozen=True, slots=True)
class Tape:
    """What one flush stores: events in the order they were received, (n,) each column.

    `is_trade` and `buyer_is_maker` are 0 or 1; `number` is the trade or update id; of a trade the ask is 0. `symbol` is
    an index into `symbols`.
    """

    symbols: tuple[str, ...]
    segments: tuple[Segment, ...]
    columns: Mapping[str, Integers]
    lost: int  # events there was no room for, since the last flush

    @property
    def rows(self) -> int:
        """Number of events."""
        return len(self.columns["sequence"])


@dataclass(slots=True)
class _Collected:
    """Columns block by block, until they are flushed."""

    blocks: list[dict[str, Integers]] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    rows: int = 0


class TapeRecorder:
    """The recorder of one process: the market-data loop calls `keep` and `mark`, everything else is a thread's."""

    def __init__(
        self,
        *,
        save: Callable[[Tape], None],
        symbols: Sequence[str],
        limit: int = LIMIT,
        flush_events: int = FLUSH_EVENTS,
        flush_s: float = FLUSH_S,
        look_s: float = LOOK_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`save` stores a tape, in the thread; what it raises costs the events of that tape, counted."""
        self._save = save
        self._symbols = tuple(symbols)
        self._codes = {symbol: code for code, symbol in enumerate(symbols)}
        self._limit = limit
        self._flush_events = flush_events
        self._flush_s = flush_s
        self._look_s = look_s
        self._monotonic = monotonic
        self._inbox: deque[Segment | Sequence[MarketEvent]] = deque()
        self._handed = 0  # events, counted by the loop
        self._taken = 0  # counted by the thread
        self._last_segment_ns = 0
        self._is_torn = False  # events were lost: what follows begins a segment
        self._sequence = 0
        self._segment: Segment | None = None
        self._collected = _Collected()
        self._flushed_at = monotonic()
        self._reported = 0  # lost events that a stored tape tells of
        self._no_room = 0  # events lost by the loop
        self._not_stored = 0  # events lost by the thread
        self._last_ns = 0  # when the newest stored event was received
        self.stored = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    @property
    def lost(self) -> int:
        """Events that are in no file."""
        return self._no_room + self._not_stored

    def start(self) -> "TapeRecorder":
        """Start the thread."""
        self._thread.start()
        return self

    # --- called by the loop: neither waits nor raises ---------------------------------------------------------------

    def keep(self, events: Sequence[MarketEvent]) -> None:
        """Hand over accepted events, which nobody changes afterwards; without room they are lost, and counted."""
        if not events:
            return
        if self._handed - self._taken + len(events) > self._limit:
            self._no_room += len(events)
            self._is_torn = True
            return
        if self._is_torn or not self._last_segment_ns:
            reason = "events were lost" if self._is_torn else "recording began"
            self._is_torn = False
            self.mark(reason, events[0].received_at_ns)
        self._inbox.append(events)
        self._handed += len(events)

    def mark(self, reason: str, at_ns: int) -> None:
        """Begin a segment: prices or numbers that follow do not continue those before."""
        self._last_segment_ns = max(at_ns, self._last_segment_ns + 1)
        self._inbox.append(Segment(self._last_segment_ns, reason))

    def gauges(self) -> Mapping[str, float]:
        """Return how many events are stored and lost since the start."""
        return {"recorded_events": self.stored, "recorder_lost_events": self.lost}

    async def close(self) -> None:
        """Store what is collected and end the thread; a disk that hangs is not waited for."""
        self._stop.set()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, CLOSE_LIMIT_S)
        if self._thread.is_alive():
            log.error("the recorder did not finish within %.1f s; what it had not stored is lost", CLOSE_LIMIT_S)

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.wait(self._look_s):
            self.step()
        self.step()
        self.flush()

    def step(self) -> None:
        """Take what was handed over, and flush when it is time."""
        while self._inbox:
            item = self._inbox.popleft()
            if isinstance(item, Segment):
                self._segment = item
                self._collected.segments.append(item)
                continue
            for start in range(0, len(item), CHUNK):
                self._collect(item[start : start + CHUNK])
            self._taken += len(item)
            if self._collected.rows >= self._flush_events:
                self.flush()
        if self._monotonic() - self._flushed_at >= self._flush_s:
            self.flush()

    def _collect(self, events: Sequence[MarketEvent]) -> None:
        assert self._segment is not None  # the first event is handed over behind one
        sequence = np.arange(self._sequence, self._sequence + len(events), dtype=np.int64)
        self._sequence += len(events)
        is_trade = np.fromiter((type(event) is Trade for event in events), dtype=bool, count=len(events))
        tops = [event for event in events if isinstance(event, BookTop)]
        trades = [event for event in events if isinstance(event, Trade)]
        for rows, found in ((sequence[~is_trade], self._tops(tops)), (sequence[is_trade], self._trades(trades))):
            if len(rows):
                segment = np.full(len(rows), self._segment.at_ns, dtype=np.int64)
                self._collected.blocks.append(found | {"sequence": rows, "segment_ns": segment})
        self._collected.rows += len(events)

    def _tops(self, events: Sequence[BookTop]) -> dict[str, Integers]:
        if not events:
            return {}
        symbol, bid, bid_lots, ask, ask_lots, number, venue, received = zip(*events, strict=True)
        values = (received, venue, number, bid, bid_lots, ask, ask_lots)
        return self._block(symbol, values) | _flags(len(events), is_trade=0, maker=None)

    def _trades(self, events: Sequence[Trade]) -> dict[str, Integers]:
        if not events:
            return {}
        symbol, price, lots, maker, number, venue, received = zip(*events, strict=True)
        nothing = (0,) * len(events)
        values = (received, venue, number, price, lots, nothing, nothing)
        return self._block(symbol, values) | _flags(len(events), is_trade=1, maker=maker)

    def _block(self, symbols: Sequence[str], values: Sequence[Sequence[int]]) -> dict[str, Integers]:
        columns = {name: np.array(column, dtype=np.int64) for name, column in zip(COLUMNS, values, strict=True)}
        return columns | {"symbol": np.array([self._codes[symbol] for symbol in symbols], dtype=np.int64)}

    def flush(self) -> None:
        """Store what is collected; nothing is written where nothing came."""
        self._flushed_at = self._monotonic()
        collected, self._collected = self._collected, _Collected(segments=[self._segment] if self._segment else [])
        if not collected.rows:
            self._collected.segments = collected.segments
            return
        lost = self.lost
        columns = _in_order(collected.blocks, self._last_ns)
        self._last_ns = int(columns["received_at_ns"][-1])
        tape = Tape(self._symbols, tuple(collected.segments), columns, lost - self._reported)
        try:
            self._save(tape)
        except Exception:  # whatever it is: trading goes on, and the loss is counted
            log.exception("a recording of %d events was not stored", collected.rows)
            self._not_stored += collected.rows
            self._is_torn = True
            return
        self._reported = lost
        self.stored += collected.rows
        if tape.lost:
            log.warning("the recorder had no room for %d events", tape.lost)


def _flags(count: int, *, is_trade: int, maker: Sequence[Any] | None) -> dict[str, Integers]:
    made = np.zeros(count, dtype=np.int64) if maker is None else np.array(maker, dtype=np.int64)
    return {"is_trade": np.full(count, is_trade, dtype=np.int64), "buyer_is_maker": made}


def _in_order(blocks: Sequence[Mapping[str, Integers]], since_ns: int) -> dict[str, Integers]:
    joined = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    order = np.argsort(joined["sequence"], kind="stable")
    columns = {name: values[order] for name, values in joined.items()}
    # A clock that was set back must not turn the order of events around.
    columns["received_at_ns"] = np.maximum.accumulate(np.maximum(columns["received_at_ns"], since_ns))
    return columns

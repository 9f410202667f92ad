"""Recorded market data: read strictly, kept as integers, walked event by event."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from trading.domain.instruments import Instrument
from trading.domain.market import BookTop, MarketEvent, Trade
from trading.simulator.listing import DATA_ROOM

Integers = NDArray[np.int64]

DATASETS: Final[dict[str, Path]] = {
    "ticks": DATA_ROOM / "ticks_spot_BTC_ETH_20240808T2354.parquet",
    "bars": DATA_ROOM / "bars_1m_usdm_7sym_20250510-16.parquet",
}
TICKS_LABEL: Final = "ticks"
BARS_LABEL: Final = "bars, not ticks"
LAP_STRIDE: Final = 100_000_000  # sequence numbers a lap may use per symbol; keeps them below 2**53 for 60 years
BLOCK_ROWS: Final = 2_048
MINUTE_NS: Final = 60_000_000_000
EARLIEST_NS: Final = 1_230_768_000_000_000_000  # 2009-01-01: earlier means seconds, ms or us were written for ns
LATEST_NS: Final = 4_102_444_800_000_000_000  # 2100-01-01
BAR_STEPS_NS: Final = (0, 20_000_000_000, 40_000_000_000, 59_999_000_000)  # when a bar's four prices print (ours)

BOOK, BUY_PRINT, SELL_PRINT = 0, 1, 2  # kinds of rows; the word is the side that took liquidity

TICK_COLUMNS: Final = {
    "recv_ts_ns": "int64",
    "symbol": "string",
    "kind": "string",
    "price": "decimal128",
    "qty": "decimal128",
    "is_buyer_maker": "bool",
    "ask_price": "decimal128",
    "ask_qty": "decimal128",
}
BAR_COLUMNS: Final = {"open_ts": "int64", "symbol": "string"} | dict.fromkeys("ohlcv", "decimal128")


class ReplayError(Exception):
    """A recording cannot be replayed; the message names the file, the row and what to do."""


class Row(NamedTuple):
    """One recorded event as integers; `ask` fields are 0 for a print."""

    at_ns: int
    symbol: int  # index into the recording's symbols
    kind: int
    price_ticks: int  # best bid for BOOK
    quantity_lots: int  # at the best bid for BOOK
    ask_ticks: int
    ask_lots: int


class Recording(Protocol):
    """One recorded piece of market, walked from the start as often as wanted."""

    @property
    def name(self) -> str:
        """File stem."""
        ...

    @property
    def label(self) -> str:
        """What the page calls it: "ticks" or "bars, not ticks"."""
        ...

    @property
    def symbols(self) -> tuple[str, ...]:
        """Venue symbols it has data of."""
        ...

    @property
    def count(self) -> int:
        """Number of rows in the file: events, or bars."""
        ...

    @property
    def first_ns(self) -> int:
        """Time of the first event, ns UTC."""
        ...

    @property
    def last_ns(self) -> int:
        """Time of the last event, ns UTC."""
        ...

    def rows(self) -> Iterator[Row]:
        """Yield every event in time order."""
        ...


@dataclass(frozen=True, slots=True)
class RowRecording:
    """A short recording written by hand."""

    name: str
    symbols: tuple[str, ...]
    events: tuple[Row, ...]
    label: str = TICKS_LABEL

    @property
    def count(self) -> int:
        """Number of events."""
        return len(self.events)

    @property
    def first_ns(self) -> int:
        """Time of the first event, ns UTC."""
        return self.events[0].at_ns

    @property
    def last_ns(self) -> int:
        """Time of the last event, ns UTC."""
        return self.events[-1].at_ns

    def rows(self) -> Iterator[Row]:
        """Yield every event in time order."""
        return iter(self.events)


@dataclass(frozen=True, slots=True)
class TickRecording:
    """Book tops and prints as recorded; columns of equal length, oldest first."""

    name: str
    symbols: tuple[str, ...]
    at_ns: Integers
    symbol: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    prices: Integers  # (4, n): price, quantity, ask price, ask quantity in ticks and lots
    label: str = TICKS_LABEL

    @property
    def count(self) -> int:
        """Number of events."""
        return len(self.at_ns)

    @property
    def first_ns(self) -> int:
        """Time of the first event, ns UTC."""
        return int(self.at_ns[0])

    @property
    def last_ns(self) -> int:
        """Time of the last event, ns UTC."""
        return int(self.at_ns[-1])

    def rows(self) -> Iterator[Row]:
        """Yield every event in time order."""
        for start in range(0, self.count, BLOCK_ROWS):
            part = slice(start, start + BLOCK_ROWS)
            yield from _rows(self.at_ns[part], self.symbol[part], self.kind[part], self.prices[:, part])


@dataclass(frozen=True, slots=True)
class BarRecording:
    """One-minute bars; each prints its open, two extremes and close, with a book one tick wide around every print.

    A rising bar runs open, low, high, close; a falling one open, high, low, close. A quarter of the bar's volume stands
    behind every print and on both sides of the book.
    """

    name: str
    symbols: tuple[str, ...]
    at_ns: Integers  # (n,) open time, oldest first, equal minutes in the order of `symbols`
    symbol: NDArray[np.uint8]
    path: Integers  # (n, 4) ticks, in the order they print
    quantity: Integers  # (n,) lots of one print
    label: str = BARS_LABEL

    @property
    def count(self) -> int:
        """Number of bars."""
        return len(self.at_ns)

    @property
    def first_ns(self) -> int:
        """Time of the first event, ns UTC."""
        return int(self.at_ns[0])

    @property
    def last_ns(self) -> int:
        """Time of the last event, ns UTC."""
        return int(self.at_ns[-1]) + BAR_STEPS_NS[-1]

    def rows(self) -> Iterator[Row]:
        """Yield every event in time order."""
        starts = np.flatnonzero(np.diff(self.at_ns, prepend=self.at_ns[0] - 1))
        bounds = [*starts[:: max(1, BLOCK_ROWS // (8 * len(self.symbols)))].tolist(), self.count]
        for start, stop in pairwise(bounds):
            yield from self._expand(slice(start, stop))

    def _expand(self, part: slice) -> Iterator[Row]:
        path, lots = self.path[part], self.quantity[part]
        bars = len(path)
        rising = np.empty((bars, 4), dtype=bool)
        rising[:, 0] = path[:, 3] >= path[:, 0]
        rising[:, 1:] = path[:, 1:] >= path[:, :-1]
        at_ns = self.at_ns[part, None] + np.array(BAR_STEPS_NS, dtype=np.int64)
        ask = np.where(rising, path, path + 1)
        bid = ask - 1
        quantity = np.repeat(lots[:, None], 4, axis=1)
        zero = np.zeros_like(path)
        fields = np.stack([np.stack([bid, path], 2), np.stack([quantity, quantity], 2)])
        asks = np.stack([np.stack([ask, zero], 2), np.stack([quantity, zero], 2)])
        kind = np.stack([np.full((bars, 4), BOOK), np.where(rising, BUY_PRINT, SELL_PRINT)], 2)
        shown = np.stack([np.ones((bars, 4), dtype=bool), quantity > 0], 2).ravel()
        times = np.repeat(at_ns.ravel(), 2)
        order = np.argsort(times, kind="stable")
        order = order[shown[order]]
        symbol = np.repeat(self.symbol[part], 8)
        numbers = np.concatenate([fields.reshape(2, -1), asks.reshape(2, -1)])
        yield from _rows(times[order], symbol[order], kind.ravel()[order], numbers[:, order])


class Cursor:
    """Walks a recording once and numbers its events; sequence numbers rise with `epoch` and never come back."""

    def __init__(self, recording: Recording, *, epoch: int) -> None:
        self._symbols = recording.symbols
        self._rows = recording.rows()
        self._next: Row | None = next(self._rows, None)
        self._update_ids = [epoch * LAP_STRIDE] * len(recording.symbols)
        self._trade_ids = [epoch * LAP_STRIDE] * len(recording.symbols)

    @property
    def next_ns(self) -> int | None:
        """Recorded time of the next event; None at the end."""
        return None if self._next is None else self._next.at_ns

    def take(self, at_ns: int | None = None) -> MarketEvent | None:
        """Return the next event, stamped with `at_ns` or else its recorded time; None at the end."""
        row = self._next
        if row is None:
            return None
        self._next = next(self._rows, None)
        recorded_ns, index, kind, price, lots, ask, ask_lots = row
        stamp = recorded_ns if at_ns is None else at_ns
        if kind == BOOK:
            self._update_ids[index] += 1
            update_id = self._update_ids[index]
            return BookTop(self._symbols[index], price, lots, ask, ask_lots, update_id, stamp, stamp)
        self._trade_ids[index] += 1
        trade_id = self._trade_ids[index]
        return Trade(self._symbols[index], price, lots, kind == SELL_PRINT, trade_id, stamp, stamp)


def events(recording: Recording, *, epoch: int = 1) -> Iterator[MarketEvent]:
    """Yield the recording as market events with recorded times: what a lockstep exchange publishes, in its order."""
    cursor = Cursor(recording, epoch=epoch)
    while (event := cursor.take()) is not None:
        yield event


def read(dataset: str | Path, instruments: Mapping[str, Instrument]) -> Recording:
    """Return a recording: "ticks", "bars", or the path of a Parquet file with the same columns.

    Raises:
        ReplayError: the file cannot be read, columns are missing, rows are out of order or hold impossible values.
    """
    path = DATASETS.get(str(dataset), Path(dataset))
    # pyarrow takes 40 MB and is needed only here; see `reading`.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        columns = _known_columns(path, file.schema_arrow)
        table = file.read(columns=list(columns), use_threads=False).combine_chunks()
        file.close()
        table.validate(full=True)  # text that is no UTF-8, offsets that point outside
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: names of columns that are no UTF-8
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ReplayError(
            f"{path}: cannot be read as Parquet ({reason}). Restore it from the release or choose another dataset."
        ) from error
    if table.num_rows == 0:
        raise ReplayError(f"{path.name}: the file has no rows. Choose another dataset.")
    reader = _Reader(path, table, instruments)
    recording = reader.bars() if columns is BAR_COLUMNS else reader.ticks()
    del table, reader, file
    pa.default_memory_pool().release_unused()
    return recording


def _known_columns(path: Path, schema: Any) -> dict[str, str]:
    columns = BAR_COLUMNS if "open_ts" in schema.names else TICK_COLUMNS
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise ReplayError(
            f"{path.name}: columns {', '.join(missing)} are missing. Ticks need {', '.join(TICK_COLUMNS)}; "
            f"bars need {', '.join(BAR_COLUMNS)}."
        )
    for name, kind in columns.items():
        found = str(schema.field(name).type)
        if not found.startswith(kind):
            raise ReplayError(f"{path.name}: column {name} is {found}, expected {kind}. Write it with that type.")
    return columns


class _Reader:
    """Turns one table into integers and names the row of everything it refuses."""

    def __init__(self, path: Path, table: Any, instruments: Mapping[str, Instrument]) -> None:
        self._path = path
        self._table = table
        self._instruments = instruments
        self.symbols, self.symbol = self._symbols()

    def ticks(self) -> TickRecording:
        at_ns = self._times("recv_ts_ns")
        self._refuse(np.diff(at_ns, prepend=at_ns[0]) < 0, "time goes back; sort the file by recv_ts_ns")
        books = self._equals("kind", "bbo")
        self._refuse(~books & ~self._equals("kind", "trade"), "kind is neither 'bbo' nor 'trade'")
        buyer_is_maker = self._flags("is_buyer_maker", needed=~books)
        prices = np.zeros((4, len(at_ns)), dtype=np.int64)
        everywhere = np.ones(len(at_ns), dtype=bool)
        for index, (name, is_price) in enumerate(
            (("price", True), ("qty", False), ("ask_price", True), ("ask_qty", False))
        ):
            prices[index] = self._steps(name, is_price=is_price, needed=books if index > 1 else everywhere)
        self._refuse(prices[0] <= 0, "price is not positive")
        self._refuse(np.where(books, prices[1] < 0, prices[1] <= 0), "qty is not positive")
        self._refuse(books & (prices[2] <= prices[0]), "the ask is not above the bid")
        self._refuse(prices[3] < 0, "ask_qty is negative")
        kind = np.where(books, BOOK, np.where(buyer_is_maker, SELL_PRINT, BUY_PRINT)).astype(np.uint8)
        return TickRecording(self._path.stem, self.symbols, at_ns, self.symbol, kind, prices)

    def bars(self) -> BarRecording:
        at_ns = self._times("open_ts")
        self._refuse(at_ns % MINUTE_NS != 0, "open_ts is not a whole minute")
        everywhere = np.ones(len(at_ns), dtype=bool)
        o, h, low, c = (self._steps(name, is_price=True, needed=everywhere) for name in "ohlc")
        volume = self._steps("v", is_price=False, needed=everywhere)
        self._refuse((low > np.minimum(o, c)) | (h < np.maximum(o, c)), "o or c lies outside l..h")
        self._refuse(low <= 1, "price is not positive")
        self._refuse(volume < 0, "v is negative")
        self._refuse(self._goes_back(at_ns), "the minutes of its symbol are not in rising order; sort by open_ts")
        rising = c >= o
        path = np.stack([o, np.where(rising, low, h), np.where(rising, h, low), c], axis=1)
        quantity = np.where(volume > 0, np.maximum(volume // len(BAR_STEPS_NS), 1), 0)
        order = np.lexsort((self.symbol, at_ns))
        return BarRecording(
            self._path.stem, self.symbols, at_ns[order], self.symbol[order], path[order], quantity[order]
        )

    def _goes_back(self, at_ns: Integers) -> NDArray[np.bool_]:
        bad = np.zeros(len(at_ns), dtype=bool)
        for index in range(len(self.symbols)):
            rows = np.flatnonzero(self.symbol == index)
            bad[rows[1:]] = np.diff(at_ns[rows]) <= 0
        return bad

    def _equals(self, name: str, value: str) -> NDArray[np.bool_]:
        import pyarrow.compute as pc

        return np.asarray(pc.equal(self._table.column(name), value).fill_null(False).to_numpy(), dtype=bool)

    def _symbols(self) -> tuple[tuple[str, ...], NDArray[np.uint8]]:
        encoded = self._table.column("symbol").combine_chunks().dictionary_encode()
        if encoded.null_count:
            self._refuse(np.asarray(encoded.is_null()), "symbol is empty")
        names = tuple(encoded.dictionary.to_pylist())
        codes = np.asarray(encoded.indices.to_numpy(zero_copy_only=False))
        for index, name in enumerate(names):
            if name not in self._instruments:
                self._refuse(codes == index, f"symbol {name!r} is not listed by the simulated exchange")
        # The exchange's own order of symbols, so that equal times replay alike whatever order the file has.
        rank = {name: index for index, name in enumerate(n for n in self._instruments if n in names)}
        return tuple(rank), np.array([rank[name] for name in names], dtype=np.uint8)[codes]

    def _times(self, name: str) -> Integers:
        column = self._table.column(name)
        if column.null_count:
            self._refuse(np.asarray(column.is_null()), f"{name} is empty")
        at_ns = np.asarray(column.to_numpy(), dtype=np.int64)
        self._refuse((at_ns < EARLIEST_NS) | (at_ns > LATEST_NS), f"{name} is not in nanoseconds since 1970 UTC")
        return at_ns

    def _flags(self, name: str, *, needed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        column = self._table.column(name)
        self._refuse(needed & np.asarray(column.is_null()), f"{name} is empty")
        return np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)

    def _steps(self, name: str, *, is_price: bool, needed: NDArray[np.bool_]) -> Integers:
        column = self._table.column(name).combine_chunks()
        self._refuse(needed & np.asarray(column.is_null()), f"{name} is empty")
        unscaled = _unscaled(column)
        steps = np.zeros(len(unscaled), dtype=np.int64)
        for index, symbol in enumerate(self.symbols):
            instrument = self._instruments[symbol]
            step = instrument.tick_size if is_price else instrument.lot_size
            ratio = Fraction(1, 10**column.type.scale) / Fraction(step)
            mine = needed & (self.symbol == index)
            too_large = np.abs(unscaled) > (2**62) // ratio.numerator
            self._refuse(mine & too_large, f"{name} has too many digits")
            scaled = np.where(mine, unscaled, 0) * ratio.numerator
            parts = min(ratio.denominator, np.iinfo(np.int64).max)  # of so many digits only zero is a multiple
            self._refuse(scaled % parts != 0, f"{name} is not a multiple of {symbol}'s step {step}")
            steps += scaled // parts
        return steps

    def _refuse(self, bad: NDArray[np.bool_], reason: str) -> None:
        if bad.any():
            row = int(np.argmax(bad))
            raise ReplayError(f"{self._path.name}, row {row}: {reason}. Correct the file or choose another dataset.")


def _unscaled(column: Any) -> Integers:
    """Return the integers behind a decimal column; a value beyond 64 bits becomes the largest number."""
    words = np.frombuffer(column.buffers()[1], dtype=np.int64).reshape(-1, 2)
    words = words[column.offset : column.offset + len(column)]
    low, high = words[:, 0], words[:, 1]
    fits = high == low >> 63
    return np.where(fits | np.asarray(column.is_null()), low, np.iinfo(np.int64).max)


def _rows(at_ns: Integers, symbol: NDArray[Any], kind: NDArray[Any], numbers: Integers) -> Iterator[Row]:
    columns = (at_ns.tolist(), symbol.tolist(), kind.tolist(), *(column.tolist() for column in numbers))
    return map(Row._make, zip(*columns, strict=True))

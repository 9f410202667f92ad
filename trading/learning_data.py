"""The bars a model learns from: shipped with the product, in a folder of Parquet files, or in the market store."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trading.domain.bars import SECOND_NS, Bars, Floats, Ints, UnsoundBars
from trading.domain.history import DAY_NS, Kind, Series

if TYPE_CHECKING:
    from trading.services.market_history import History

SHIPPED: Final = "shipped"
STORED: Final = "store:"
SHIPPED_FILE: Final = Path(__file__).resolve().parent / "data" / "bars_1m_usdm_7sym_20250510-16.parquet"
SHIPPED_BAR_S: Final = 60
STORED_BAR_S: Final = 60
LENGTHS_S: Final = (60, 180, 300, 900)
PRICES: Final = ("o", "h", "l", "c", "v")
SYMBOL: Final = re.compile(r"[A-Z0-9]{2,20}")
MOST_ROWS: Final = 10_000_000  # of a file: nineteen years of minutes
FROM_NS: Final = 1_230_768_000 * SECOND_NS  # 2009, before the first price
UNTIL_NS: Final = 4_102_444_800 * SECOND_NS  # 2100


class UnableToLoad(Exception):
    """There are no bars to learn from; the message names the field, the reason and what to do."""


def load(data: str, symbols: Sequence[str] = ()) -> tuple[Bars, ...]:
    """Return the bars of `symbols`, all of one length, or of every symbol there is, in order of their names.

    Args:
        data: "shipped"; the path of a folder of files SYMBOL.parquet with columns open_ts (ns UTC, when a bar begins),
            o, h, l, c (quote) and v (base); or "store:VENUE": bars of a minute made of the stored trades.
        symbols: as their files or the venue name them; () for all, which a store must be told.

    Raises:
        UnableToLoad: nothing is there, a file cannot be read or holds no bars, or lengths differ.
    """
    for symbol in symbols:
        if not SYMBOL.fullmatch(symbol):
            raise UnableToLoad(f"symbols: {symbol!r:.40} is no symbol; write it as in BTCUSDT.")
    if len(set(symbols)) < len(symbols):
        raise UnableToLoad("symbols: one comes twice; name each once.")
    found = tuple(_found(data, symbols))
    if len({bars.bar_ns for bars in found}) > 1:
        raise UnableToLoad("data: the lengths of the bars differ; name symbols of one length.")
    return found


def _found(data: str, symbols: Sequence[str]) -> Iterator[Bars]:
    if data == SHIPPED:
        return _shipped(symbols)
    if data.startswith(STORED):
        return (_stored(data.removeprefix(STORED), symbol) for symbol in _named(symbols))
    return _folder(data, symbols)


# --- files ------------------------------------------------------------------------------------------------------------


def _shipped(symbols: Sequence[str]) -> Iterator[Bars]:
    table = _read(SHIPPED_FILE, ("open_ts", "symbol", *PRICES))
    held = sorted(table["symbol"].unique().to_pylist())
    for symbol in symbols or held:
        if symbol not in held:
            raise UnableToLoad(f"symbols: {symbol} is not shipped; choose from {', '.join(held)}.")
        yield _bars(symbol, table.filter(pc.equal(table["symbol"], symbol)), SHIPPED_FILE.name, SHIPPED_BAR_S)


def _folder(data: str, symbols: Sequence[str]) -> Iterator[Bars]:
    folder = Path(data)
    if not data or not _is_folder(folder):
        text = f"{data!r:.120} is no folder; write shipped, store:VENUE or the path of a folder of SYMBOL.parquet."
        raise UnableToLoad(f"data: {text}")
    names = symbols or sorted(path.stem for path in folder.glob("*.parquet") if SYMBOL.fullmatch(path.stem))
    if not names:
        raise UnableToLoad(f"data: {folder.name} holds no file SYMBOL.parquet; name a folder that does.")
    for symbol in names:
        path = folder / f"{symbol}.parquet"
        yield _bars(symbol, _read(path, ("open_ts", *PRICES)), path.name)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long for a path, or with a zero byte
        return False


def _read(path: Path, columns: tuple[str, ...]) -> pa.Table:
    if not path.is_file():
        raise UnableToLoad(f"{path.name}: there is no such file; check data and symbols.")
    try:
        with pq.ParquetFile(path, memory_map=False) as file:
            if missing := [name for name in columns if name not in file.schema_arrow.names]:
                text = f"column {', '.join(missing)} is missing; it must have {', '.join(columns)}."
                raise UnableToLoad(f"{path.name}: {text}")
            if not 2 <= file.metadata.num_rows <= MOST_ROWS:
                text = f"it has {file.metadata.num_rows} rows; from 2 to {MOST_ROWS} can be read."
                raise UnableToLoad(f"{path.name}: {text}")
            return file.read(columns=list(columns))
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        text = "it is damaged or no Parquet file; fetch it again."
        raise UnableToLoad(f"{path.name}: {text}") from error


def _bars(symbol: str, table: pa.Table, name: str, bar_s: int | None = None) -> Bars:
    """Return the bars of a table; without `bar_s` their length is the smallest step of their times."""
    open_ns = _times(table, name)
    open_, high, low, close, volume = (_floats(table, column, name) for column in PRICES)
    bar_ns = bar_s * SECOND_NS if bar_s else _length(open_ns, name)
    try:
        return Bars(symbol, bar_ns, open_ns + bar_ns, open_, high, low, close, volume)
    except UnsoundBars as error:
        raise UnableToLoad(f"{name}: {error}") from error


def _times(table: pa.Table, name: str) -> Ints:
    column = table["open_ts"]
    if not pa.types.is_int64(column.type) or column.null_count:
        text = f"open_ts is {column.type} with {column.null_count} empty; write int64 nanoseconds UTC in every row."
        raise UnableToLoad(f"{name}: {text}")
    times: Ints = column.to_numpy()
    if int(times.min()) < FROM_NS or int(times.max()) >= UNTIL_NS:
        raise UnableToLoad(f"{name}: open_ts lies outside 2009 to 2100; write nanoseconds since 1970 UTC.")
    return times


def _floats(table: pa.Table, column: str, name: str) -> Floats:
    kind, values = table[column].type, table[column]
    is_number = pa.types.is_decimal(kind) or pa.types.is_floating(kind) or pa.types.is_integer(kind)
    if not is_number or values.null_count:
        raise UnableToLoad(f"{name}: {column} is {kind} with {values.null_count} empty; write a number in every row.")
    try:
        numbers: Floats = values.cast(pa.float64()).to_numpy()
    except pa.ArrowException as error:
        raise UnableToLoad(f"{name}: {column} holds numbers that no price is; write quote currency.") from error
    return numbers


def _length(open_ns: Ints, name: str) -> int:
    step = int(np.diff(open_ns).min())
    if step not in [bar_s * SECOND_NS for bar_s in LENGTHS_S]:
        lengths = ", ".join(map(str, LENGTHS_S))
        text = f"open_ts: the smallest step is {step / SECOND_NS:g} s; sort bars of {lengths} s, each once."
        raise UnableToLoad(f"{name}: {text}")
    return step


# --- the market store -------------------------------------------------------------------------------------------------


def _named(symbols: Sequence[str]) -> Sequence[str]:
    if not symbols:
        raise UnableToLoad("symbols: none is named; name those of the store that are to be learned from.")
    return symbols


def _stored(venue: str, symbol: str) -> Bars:
    from trading.services import market_history  # the catalogue is in the database, which nothing else here needs

    series = Series(Kind.TRADES, venue, symbol)
    try:
        found = market_history.bars(series, STORED_BAR_S)
    except market_history.NoHistory as error:
        raise UnableToLoad(f"data: {error}") from error
    at_ns = found.columns["at_ns"]
    return _of_history(symbol, found, _not_whole(_trades(series, int(at_ns[0]), int(at_ns[-1]))))


def _trades(series: Series, first_ns: int, last_ns: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield times and ids of the trades day by day: a store holds more of them than a process."""
    from trading.services import market_history  # see above

    for from_ns in range(first_ns - first_ns % DAY_NS, last_ns + 1, DAY_NS):
        try:
            found = market_history.history(series, from_ns, from_ns + DAY_NS, columns=("trade_id",))
        except market_history.NoHistory:
            continue  # nothing of that day: the ids do not follow each other
        yield found.columns["at_ns"], found.columns["trade_id"]


def _not_whole(days: Iterator[tuple[Ints, Ints]]) -> Ints:
    """Return when the bars begin that are not seen whole: the first, the last, and both sides of missing trades."""
    seams: list[Ints] = []
    last_ns, last_id = np.empty(0, np.int64), np.empty(0, np.int64)
    for day_ns, day_id in days:
        at_ns, trade_id = np.concatenate((last_ns, day_ns)), np.concatenate((last_id, day_id))
        before = np.flatnonzero(np.diff(trade_id) != 1)
        seams += [at_ns[before], at_ns[before + 1], at_ns[: 0 if len(last_ns) else 1]]
        last_ns, last_id = at_ns[-1:], trade_id[-1:]
    found: Ints = np.concatenate([*seams, last_ns])
    found -= found % (STORED_BAR_S * SECOND_NS)
    return found


def _of_history(symbol: str, found: "History", not_whole: Ints) -> Bars:
    whole = ~np.isin(found.columns["at_ns"], not_whole)
    if not whole.any():
        raise UnableToLoad(f"data: {found.series.name} has no whole bar; record or import a longer time.")
    columns = {name: values[whole] for name, values in found.columns.items()}
    tick, lot, bar_ns = float(found.steps.tick_size), float(found.steps.lot_size), STORED_BAR_S * SECOND_NS
    prices = (columns[f"{name}_ticks"].astype(np.float64) * tick for name in ("open", "high", "low", "close"))
    open_, high, low, close = prices
    volume = columns["volume_lots"].astype(np.float64) * lot
    try:
        return Bars(symbol, bar_ns, columns["at_ns"] + bar_ns, open_, high, low, close, volume)
    except UnsoundBars as error:
        raise UnableToLoad(f"data: {error}") from error

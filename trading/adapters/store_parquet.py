"""Market history on disk: one Parquet file a part, partitioned by kind, venue, symbol and day.

Prices are whole ticks and quantities whole lots (the steps stand in the file's metadata), times int64 ns UTC. A part is
written under a temporary name and renamed when it is on the disk: whoever sees its name sees all of it.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trading.domain.history import BOOLEANS, COLUMNS, DAY_NS, IDS, OPTIONAL, SECOND_NS, Hole, Kind, Series, Steps
from trading.domain.soundness import Checker, Columns

FORMAT: Final = 1
KEY: Final = b"gridconsole"
LEVEL: Final = 3  # zstd: twice as fast as 9 for 2 % more bytes (measured)
ROW_GROUP: Final = 524_288  # rows; a reader works on several at once
SMALLEST_GROUP: Final = 65_536  # rows; less is packed badly, so it waits for more
STAGING: Final = ".staging"
PACKERS: Final = 2  # threads that pack days beside each other
CHUNK: Final = 1 << 20  # bytes
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class StoreError(Exception):
    """The store cannot do what was asked; the message names the file, the reason and what to do."""


class PartBroken(StoreError):
    """A stored part is not what was stored: do not compute from it; import it again."""


@dataclass(frozen=True, slots=True)
class Part:
    """One stored file."""

    series: Series
    day: int  # days since 1970 UTC
    path: str  # below the root of the store
    sha256: str
    bytes: int
    rows: int
    first_ns: int
    last_ns: int
    first_id: int  # 0 where its rows have none
    last_id: int
    steps: Steps
    holes: tuple[Hole, ...] = ()
    hole_count: int = 0


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows come from, as the file itself tells."""

    source: str  # "file" | "recorder"
    clock: str  # which clock `at_ns` is: "venue" | "received"
    segments: tuple[Mapping[str, Any], ...] = ()  # of a recording: {"at_ns", "reason"}


@dataclass(slots=True)
class _Open:
    """A part that is being written: checked by the caller, packed by a thread, one block at a time."""

    writer: pq.ParquetWriter
    path: Path
    checker: Checker
    ids: list[int] = field(default_factory=list)  # first, last
    waiting: list[Columns] = field(default_factory=list)
    waiting_rows: int = 0
    packing: "Future[None] | None" = None

    def add(self, rows: Columns, pool: Executor) -> None:
        self.checker.feed(rows)
        self.waiting.append(rows)
        self.waiting_rows += len(rows["at_ns"])
        if self.waiting_rows >= SMALLEST_GROUP:
            self.pack(pool)

    def pack(self, pool: Executor) -> None:
        if self.waiting:
            blocks, self.waiting, self.waiting_rows = self.waiting, [], 0
            self.settle()
            self.packing = pool.submit(self._pack, blocks[0] if len(blocks) == 1 else _joined(blocks))

    def settle(self) -> None:
        """Wait for the block that is being packed; raises what went wrong with it."""
        packing, self.packing = self.packing, None
        if packing is not None:
            packing.result()

    def close(self) -> None:
        self.settle()
        self.writer.close()

    def _pack(self, rows: Columns) -> None:
        self.writer.write_table(_table(rows, self.writer.schema), row_group_size=ROW_GROUP)


def _joined(blocks: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


class Staging:
    """Parts that nobody sees until `commit`; `abandon` leaves nothing behind."""

    def __init__(self, root: Path, steps: Mapping[str, Steps], origin: Origin) -> None:
        """`steps` by symbol."""
        self._root = root
        self._steps = steps
        self._origin = origin
        self._folder = root / STAGING / f"{os.getpid()}-{uuid.uuid4().hex}"
        self._open: dict[tuple[Series, int], _Open] = {}
        self._moved: list[Path] = []
        self._folder.mkdir(parents=True)
        self._pool = ThreadPoolExecutor(PACKERS, thread_name_prefix="pack")

    def add(self, series: Series, rows: Columns) -> None:
        """Append rows in order, which nobody changes afterwards; each goes to the part of its day.

        Raises:
            Unsound: a rule is broken; the row is counted in the day.
            StoreError: the disk is full or closed to us.
        """
        try:
            for start, stop in pairwise(_days(rows["at_ns"])):
                block = {name: values[start:stop] for name, values in rows.items()}
                self._append(series, int(block["at_ns"][0]) // DAY_NS, block)
        except OSError as error:
            raise self._no_room(error) from error

    def _append(self, series: Series, day: int, rows: Columns) -> None:
        part = self._open.get((series, day))
        if part is None:
            part = self._open[(series, day)] = self._begin(series, rows)
        part.add(rows, self._pool)
        if (ids := rows.get(IDS.get(series.kind, ""))) is not None:
            part.ids = [part.ids[0] if part.ids else int(ids[0]), int(ids[-1])]

    def _begin(self, series: Series, rows: Columns) -> _Open:
        path = self._folder / f"{len(self._open)}.new"
        schema = _schema(series, tuple(rows), self._steps[series.symbol], self._origin)
        checker = Checker(series.kind, series.interval_s * SECOND_NS, restarts=self._origin.source == "recorder")
        return _Open(_writer(path, schema), path, checker)

    def commit(self) -> list[Part]:
        """Put every part on the disk under its final name, and say what they are, in the order they were begun.

        Raises:
            StoreError: the disk is full or closed to us; nothing is left of what was staged.
        """
        try:
            for opened in self._open.values():
                opened.pack(self._pool)
            with ThreadPoolExecutor(PACKERS, thread_name_prefix="finish") as finishers:
                parts = list(finishers.map(self._finish, self._open))
        except OSError as error:
            self.abandon()
            raise self._no_room(error) from error
        self._pool.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)
        return parts

    def _no_room(self, error: OSError) -> StoreError:
        return StoreError(f"{self._root}: {error.strerror or error}; free space there, then repeat.")

    def _finish(self, key: tuple[Series, int]) -> Part:
        (series, day), opened = key, self._open[key]
        opened.close()
        digest = file_hash(opened.path)
        final = self._root / folder_of(series, day) / f"{digest[:16]}.parquet"
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists():  # the same bytes stand there already: they are not ours to remove
            opened.path.unlink()
        else:
            put(opened.path, final)
            self._moved.append(final)
        first_id, last_id = opened.ids or (0, 0)
        checker = opened.checker
        return Part(
            series=series,
            day=day,
            path=str(final.relative_to(self._root)),
            sha256=digest,
            bytes=final.stat().st_size,
            rows=checker.rows,
            first_ns=checker.first_ns,
            last_ns=checker.last_ns,
            first_id=first_id,
            last_id=last_id,
            steps=self._steps[series.symbol],
            holes=tuple(checker.holes),
            hole_count=checker.hole_count,
        )

    def abandon(self) -> None:
        """Leave no file behind, whether it had its final name or not."""
        for opened in self._open.values():
            with suppress(OSError, pa.ArrowException):  # it is thrown away whatever became of it
                opened.close()
        self._pool.shutdown()
        for path in self._moved:
            remove(self._root, path)
        shutil.rmtree(self._folder, ignore_errors=True)


def _days(at_ns: NDArray[np.int64]) -> list[int]:
    """Return where each day begins, and the end; one day after another where a clock was set back."""
    first, last = (int(edge) // DAY_NS for edge in (at_ns.min(), at_ns.max())) if len(at_ns) else (0, 0)
    if first == last:
        return [0, len(at_ns)] if len(at_ns) else []
    if np.all(at_ns[1:] >= at_ns[:-1]):  # a search is a tenth of the work of dividing every time
        midnights = np.arange(first + 1, last + 1, dtype=np.int64) * DAY_NS
        return sorted({0, *np.searchsorted(at_ns, midnights).tolist(), len(at_ns)})
    return [0, *(np.flatnonzero(np.diff(at_ns // DAY_NS)) + 1).tolist(), len(at_ns)]


def put(path: Path, final: Path) -> None:
    """Give a written file its final name once its content is on the disk, and put the name there, too."""
    for place in (path, None, final.parent):
        if place is None:
            path.replace(final)
            continue
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove(root: Path, path: Path) -> None:
    """Remove a file below `root` and the folders it leaves empty."""
    path.unlink(missing_ok=True)
    for folder in path.parents[: len(path.relative_to(root).parts) - 1]:
        with suppress(OSError):  # something else is in there
            folder.rmdir()


def folder_of(series: Series, day: int) -> Path:
    """Return the folder of a partition, below the root; hive names, so that any reader finds its way."""
    kind = f"{series.kind}-{series.interval_s}s" if series.interval_s else str(series.kind)
    return Path(f"kind={kind}", f"venue={series.venue}", f"symbol={series.symbol}", f"day={day_text(day)}")


def day_text(day: int) -> str:
    """Return days since 1970 as 2024-08-08."""
    return (EPOCH + timedelta(days=day)).date().isoformat()


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _schema(series: Series, names: Sequence[str], steps: Steps, origin: Origin) -> pa.Schema:
    known = [name for name in (*COLUMNS[series.kind], *OPTIONAL) if name in names]
    fields = [pa.field(name, pa.bool_() if name in BOOLEANS else pa.int64(), nullable=False) for name in known]
    about = {
        "format": FORMAT,
        "kind": str(series.kind),
        "venue": series.venue,
        "symbol": series.symbol,
        "interval_s": series.interval_s,
        "tick_size": str(steps.tick_size),
        "lot_size": str(steps.lot_size),
        "steps_from": steps.origin,
        **asdict(origin),
    }
    return pa.schema(fields, metadata={KEY: json.dumps(about).encode()})


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    encodings = {name: "DELTA_BINARY_PACKED" for name in schema.names if name not in BOOLEANS}
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=LEVEL,
        use_dictionary=False,
        column_encoding=encodings,
        write_statistics=["at_ns"],
    )


def _table(rows: Columns, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_arrays([as_stored(field.name, rows[field.name]) for field in schema], schema=schema)


def as_stored(name: str, values: NDArray[np.int64]) -> pa.Array:
    """Return a column as it is stored: a truth value is one bit."""
    column = pa.array(values, pa.int64())
    return pc.not_equal(column, 0) if name in BOOLEANS else column


# --- reading ------------------------------------------------------------------------------------------------------


class ParquetStore:
    """The folder of the store; a missing one is an empty store."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def stage(self, steps: Mapping[str, Steps], origin: Origin) -> Staging:
        """Return a place for new parts; `steps` by symbol.

        Raises:
            StoreError: the folder cannot be made.
        """
        try:
            return Staging(self.root, steps, origin)
        except OSError as error:
            raise StoreError(f"{self.root}: {error.strerror}; choose another folder or free it.") from error

    def read(self, path: str, columns: Sequence[str] | None = None) -> dict[str, NDArray[np.int64]]:
        """Return the columns of one part, (n,) each; `columns` it does not have are left out.

        Raises:
            PartBroken: the file is gone or cannot be read.
        """
        return {name: values for block in self.blocks(path, columns, whole=True) for name, values in block.items()}

    def blocks(
        self, path: str, columns: Sequence[str] | None = None, *, whole: bool = False
    ) -> Iterator[dict[str, NDArray[np.int64]]]:
        """Yield the columns of one part, block by block in its order, or all of it at once.

        Raises:
            PartBroken: the file is gone or cannot be read.
        """
        try:
            with pq.ParquetFile(self.root / path) as file:
                names = [name for name in file.schema_arrow.names if columns is None or name in columns]
                if whole:
                    yield _arrays(file.read(names, use_threads=True))
                    return
                for group in range(file.num_row_groups):
                    yield _arrays(file.read_row_group(group, names, use_threads=False))
        except (OSError, pa.ArrowException) as error:
            raise PartBroken(f"{path}: {error}. Import it again with --again.") from error

    def about(self, path: str) -> dict[str, Any]:
        """Return what the file says of itself: series, steps, origin and segments.

        Raises:
            PartBroken: the file is gone, cannot be read, or is not ours.
        """
        try:
            metadata = pq.read_schema(self.root / path).metadata or {}
            return dict(json.loads(metadata[KEY]))
        except (OSError, pa.ArrowException, KeyError, ValueError) as error:
            raise PartBroken(f"{path}: {error}. Import it again with --again.") from error

    def check(self, part: Part) -> None:
        """Read a part again and hold it against its hash, its catalogue row and the rules of its kind.

        Raises:
            PartBroken: something differs; the message says what.
        """
        path = self.root / part.path
        try:
            digest = file_hash(path)
        except OSError as error:
            raise PartBroken(f"{part.path}: {error.strerror}. Import it again with --again.") from error
        if digest != part.sha256:
            raise PartBroken(f"{part.path}: its bytes are not those stored (SHA-256). Import it again with --again.")
        recorded = self.about(part.path).get("source") == "recorder"
        checker = Checker(part.series.kind, part.series.interval_s * SECOND_NS, restarts=recorded)
        try:
            for block in self.blocks(part.path):
                checker.feed(block)
        except ValueError as error:
            raise PartBroken(f"{part.path}: {error}. Import it again with --again.") from error
        found = (checker.rows, checker.first_ns, checker.last_ns)
        if found != (part.rows, part.first_ns, part.last_ns):
            raise PartBroken(f"{part.path}: it holds {found[0]} rows, the catalogue says {part.rows}.")

    def bars(
        self, paths: Sequence[str], interval_s: int, *, threads: int | None = None, recorded: bool = False
    ) -> dict[str, NDArray[np.int64]]:
        """Return bars of `interval_s` seconds resampled from stored trades by DuckDB, oldest first.

        Shapes: at_ns, open_ticks, high_ticks, low_ticks, close_ticks, volume_lots: (n,) int64. A stretch without a
        trade has no bar. All `paths` must have the same steps; `recorded`: they are our own recording, whose trade
        ids start anew at its seams.

        Raises:
            PartBroken: a file is gone or cannot be read.
        """
        import duckdb

        query = _BARS.format(order="row(segment_ns, sequence)" if recorded else "trade_id")
        try:
            with duckdb.connect(config={"threads": threads} if threads else {}) as connection:
                found = connection.execute(
                    query, {"paths": [str(self.root / path) for path in paths], "step": interval_s * SECOND_NS}
                ).fetchnumpy()
        except duckdb.Error as error:
            raise PartBroken(f"{error}. Run ./console data check.") from error
        return {name: np.asarray(values, dtype=np.int64) for name, values in found.items()}

    def remove(self, path: str) -> None:
        """Remove a part and the folders it leaves empty."""
        remove(self.root, self.root / path)

    def orphans(self, known: set[str]) -> list[str]:
        """Return the parts on disk that `known` does not name: a crash came between file and catalogue."""
        found = (str(path.relative_to(self.root)) for path in self.root.glob("kind=*/**/*.parquet"))
        return sorted(set(found) - known)

    def clear_staging(self, older_than_s: float, now_s: float) -> int:
        """Remove what crashed writers left behind; return how many of them."""
        old = [path for path in self.root.glob(f"{STAGING}/*") if _is_older(path, now_s - older_than_s)]
        for path in old:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return len(old)


def _is_older(path: Path, than_s: float) -> bool:
    try:
        return path.stat().st_mtime < than_s
    except FileNotFoundError:  # its writer has just finished
        return False


# The first and last trade of a bar are its open and close, whatever thread read them.
_BARS: Final = """
SELECT at_ns - at_ns % $step AS at_ns, arg_min(price_ticks, {order}) AS open_ticks, max(price_ticks) AS high_ticks,
    min(price_ticks) AS low_ticks, arg_max(price_ticks, {order}) AS close_ticks,
    sum(quantity_lots)::BIGINT AS volume_lots
FROM read_parquet($paths) GROUP BY 1 ORDER BY 1
"""


def _arrays(table: pa.Table) -> dict[str, NDArray[np.int64]]:
    return {name: np.asarray(table.column(name).to_numpy(), dtype=np.int64) for name in table.column_names}


def steps_of(about: Mapping[str, Any]) -> Steps:
    """Return the steps that a file's metadata gives."""
    return Steps(Decimal(about["tick_size"]), Decimal(about["lot_size"]), str(about["steps_from"]))


def series_of(about: Mapping[str, Any]) -> Series:
    """Return the series that a file's metadata gives."""
    return Series(Kind(about["kind"]), about["venue"], about["symbol"], about["interval_s"])

"""Files of market history, opened without trust: text, gzip, ZIP and Parquet, block by block, with line numbers."""

import codecs
import gzip
import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from trading.adapters.history_columns import DUMPS, Shape, Unreadable, dump_shape, shape_of
from trading.domain.history import Kind

BLOCK: Final = 8 << 20  # bytes of text decoded at once
BATCH_ROWS: Final = 262_144
LARGEST: Final = 16 << 30  # bytes, unpacked; a day of the busiest symbol is under 1 GiB
MOST_RATIO: Final = 100  # unpacked against packed; numbers as text reach 10
FREE_BYTES: Final = 64 << 20  # below this no ratio is held against a file
MOST_MEMBERS: Final = 400  # of a ZIP: more than a year of days
LONGEST_LINE: Final = 4_096
SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}\.csv")
DAMAGED: Final = (  # what gzip and zipfile raise for bytes that are none of theirs
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    UnicodeDecodeError,
    OverflowError,
    struct.error,
)
SEPARATORS: Final = (",", ";", "\t")

Ticker = Callable[[int], None]  # told how many bytes of the file itself have been read


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that follow each other in a file."""

    columns: dict[str, pa.Array]  # by field
    rows: int
    where: Callable[[int], str]  # row of this block -> "line 17"


@dataclass(frozen=True, slots=True)
class Member:
    """One text inside a file."""

    name: str  # of the member of a ZIP; empty for a file that is no archive
    open: Callable[[], IO[bytes]]


class HistoryFile:
    """A file whose rows can be walked as often as wanted."""

    def __init__(self, path: Path, *, kind: Kind | None, dump: str) -> None:
        """`dump`: "trades", "aggTrades" or "klines" where the name says so.

        Raises:
            Unreadable: it is missing, empty, no file we read, or damaged.
        """
        self.path = path
        self._kind = kind
        self._dump = dump
        try:
            self.size = path.stat().st_size
        except OSError as error:
            raise Unreadable(f"{error.strerror}; check the path.") from error
        if not path.is_file():
            raise Unreadable("not a file; give the path of one file.")
        if self.size == 0:
            raise Unreadable("the file is empty; download it again.")

    def blocks(self, tick: Ticker) -> Iterator[tuple[Shape, Block]]:
        """Yield every block of the file with its shape.

        Raises:
            Unreadable: the file is damaged, larger than it says, or of another shape.
        """
        try:
            yield from self._parquet(tick) if self.path.suffix == ".parquet" else self._texts(tick)
        except DAMAGED as error:
            raise Unreadable(f"the archive is damaged ({_short(error)}); download it again.") from error
        except (OSError, pa.ArrowException) as error:
            raise Unreadable(f"it cannot be read ({_short(error)}); download it again.") from error

    # --- Parquet ------------------------------------------------------------------------------------------------

    def _parquet(self, tick: Ticker) -> Iterator[tuple[Shape, Block]]:
        with pq.ParquetFile(self.path) as file:
            shape = shape_of(file.schema_arrow.names, self._kind)
            if not file.metadata.num_rows:
                raise Unreadable("it holds no rows; download it again.")
            names = file.schema_arrow.names
            wanted = [names[place] for place in shape.columns.values()]
            done = 0
            for batch in file.iter_batches(BATCH_ROWS, columns=wanted, use_threads=False):
                columns = {field: batch.column(names[place]) for field, place in shape.columns.items()}
                yield shape, Block(columns, batch.num_rows, _place("row", done + 1))
                done += batch.num_rows
                tick(self.size * done // file.metadata.num_rows)

    # --- text -----------------------------------------------------------------------------------------------------

    def _texts(self, tick: Ticker) -> Iterator[tuple[Shape, Block]]:
        rows = 0
        for member in self._members(tick):
            for shape, block in self._text(member):
                rows += block.rows
                yield shape, block
        if not rows:
            raise Unreadable("there is a header and no row; download it again.")

    def _members(self, tick: Ticker) -> Iterator[Member]:
        suffix = self.path.suffix.lower()
        if suffix == ".zip":
            yield from self._zip_members(tick)
        elif suffix == ".gz":
            counted = opener_of(self.path, tick)
            yield Member(
                "", lambda: _guarded(cast("IO[bytes]", gzip.GzipFile(fileobj=counted(), mode="rb")), self.size)
            )
        elif suffix in (".csv", ".txt", ".tsv"):
            yield Member("", opener_of(self.path, tick))
        else:
            raise Unreadable(f"{suffix or 'no ending'}: .csv, .csv.gz, .zip and .parquet are read.")

    def _zip_members(self, tick: Ticker) -> Iterator[Member]:
        counted = opener_of(self.path, tick)
        with counted() as raw, zipfile.ZipFile(raw) as archive:
            infos = sorted((i for i in archive.infolist() if not i.is_dir()), key=lambda info: info.filename)
            if not infos:
                raise Unreadable("the archive is empty; download it again.")
            if len(infos) > MOST_MEMBERS:
                raise Unreadable(
                    f"{len(infos)} files inside, at most {MOST_MEMBERS}; unpack and import them one by one."
                )
            for info in infos:
                _refuse_member(info)
            unpacked = sum(info.file_size for info in infos)
            if unpacked > LARGEST or unpacked > FREE_BYTES + MOST_RATIO * self.size:
                raise Unreadable(f"it unpacks to {unpacked:,} bytes out of {self.size:,}: refused as a bomb.")
            for info in infos:
                yield Member(info.filename, lambda info=info: _guarded(archive.open(info), info.compress_size))  # type: ignore[misc]  # the default binds it now

    def _text(self, member: Member) -> Iterator[tuple[Shape, Block]]:
        inside = f"{member.name} " if member.name else ""
        with member.open() as file:
            shape, separator, names, has_header = self._head(file)
        with member.open() as file:
            line = 2 if has_header else 1
            for batch in _batches(_as_text(file, inside), names, separator, has_header, inside):
                columns = {field: batch.column(place) for field, place in shape.columns.items()}
                yield shape, Block(columns, batch.num_rows, _place(f"{inside}line", line))
                line += batch.num_rows

    def _head(self, file: IO[bytes]) -> tuple[Shape, str, list[str], bool]:
        """Return what the first line tells: shape, separator, a name for each column, whether it is a header."""
        first = file.read(LONGEST_LINE)
        if first[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise Unreadable("line 1: the text is UTF-16; save it as UTF-8.")
        if b"\0" in first:
            raise Unreadable("line 1: bytes that are no text; is this a CSV file?")
        line = first.removeprefix(b"\xef\xbb\xbf").splitlines()[0] if first.strip() else b""
        if not line:
            raise Unreadable("line 1 is empty; download it again.")
        text = line.decode("utf-8", "replace")
        separator = max(SEPARATORS, key=text.count)
        fields = [field.strip().strip('"') for field in text.split(separator)]
        names = [str(place) for place in range(len(fields))]
        if not re.fullmatch(r"[-+0-9. :TZ]+", fields[0]):
            return shape_of(fields, self._kind), separator, names, True
        if self._dump not in DUMPS:
            raise Unreadable("line 1: no header; add one, or keep the name the venue gave the dump.")
        return dump_shape(self._dump, len(fields)), separator, names, False


def _refuse_member(info: zipfile.ZipInfo) -> None:
    if not SAFE_NAME.fullmatch(info.filename):
        raise Unreadable(f"{info.filename[:80]!r} inside: only plain names ending in .csv are read, without folders.")
    if info.flag_bits & 0x1:
        raise Unreadable(f"{info.filename} inside is encrypted; unpack it first.")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise Unreadable(f"{info.filename} inside is a link; archive the file itself.")


def _batches(
    file: IO[bytes], names: list[str], separator: str, has_header: bool, inside: str
) -> Iterator[pa.RecordBatch]:
    wrong: list[pc_csv.InvalidRow] = []  # an exception would not get through the reader

    def keep(row: pc_csv.InvalidRow) -> str:
        wrong.append(row)
        return "error"

    try:
        yield from pc_csv.open_csv(
            file,
            pc_csv.ReadOptions(use_threads=False, block_size=BLOCK, skip_rows=int(has_header), column_names=names),
            pc_csv.ParseOptions(delimiter=separator, ignore_empty_lines=False, invalid_row_handler=keep),
            pc_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        if wrong:
            raise Unreadable(_columns(f"{inside}line {wrong[0].number}", wrong[0])) from error
        raise


def _columns(where: str, row: pc_csv.InvalidRow) -> str:
    return (
        f"{where}: {row.actual_columns} columns instead of {row.expected_columns}; "
        "correct the line: a field is missing, or another separator was used."
    )


def _place(unit: str, first: int) -> Callable[[int], str]:
    return lambda row: f"{unit} {first + row}"


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__


# --- guards -------------------------------------------------------------------------------------------------------


class _Guarded(io.RawIOBase):
    """Reads on until more comes out than any honest file holds."""

    def __init__(self, inner: IO[bytes], packed: int) -> None:
        self._inner = inner
        self._left = min(LARGEST, FREE_BYTES + MOST_RATIO * packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read = self._inner.read(len(buffer))
        self._left -= len(read)
        if self._left < 0:
            raise Unreadable("it unpacks to far more than it is long: refused as a bomb.")
        buffer[: len(read)] = read
        return len(read)

    def close(self) -> None:
        self._inner.close()
        super().close()


class _Text(io.RawIOBase):
    """Reads on as long as the bytes are UTF-8: the reader of rows would print what it cannot tell us."""

    def __init__(self, inner: IO[bytes], inside: str) -> None:
        self._inner = inner
        self._inside = inside
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._lines = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read = self._inner.read(len(buffer))
        try:
            self._decoder.decode(read, final=not read)
        except UnicodeDecodeError as error:
            line = self._lines + read[: error.start].count(b"\n") + 1
            raise Unreadable(f"{self._inside}line {line}: bytes that are no UTF-8; save it as UTF-8.") from error
        self._lines += read.count(b"\n")
        buffer[: len(read)] = read
        return len(read)


def _as_text(inner: IO[bytes], inside: str) -> IO[bytes]:
    return cast("IO[bytes]", io.BufferedReader(_Text(inner, inside), BLOCK))


def _guarded(inner: IO[bytes], packed: int) -> IO[bytes]:
    return cast("IO[bytes]", io.BufferedReader(_Guarded(inner, packed), BLOCK))


class _Counted(io.FileIO):
    """A file that tells how far it has been read."""

    tick: Ticker

    def readinto(self, buffer: Any) -> int | None:
        read = super().readinto(buffer)
        self.tick(self.tell())
        return read

    def read(self, size: int | None = -1) -> bytes | None:  # type: ignore[override]  # as above
        read = super().read(-1 if size is None else size)
        self.tick(self.tell())
        return read


def opener_of(path: Path, tick: Ticker) -> Callable[[], IO[bytes]]:
    """Return what opens `path` for reading and tells `tick` of every read."""

    def begin() -> IO[bytes]:
        raw = _Counted(path, "rb")
        raw.tick = tick
        return cast("IO[bytes]", io.BufferedReader(raw, 1 << 20))

    return begin

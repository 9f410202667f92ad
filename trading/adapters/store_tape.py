"""Flushes of the recorder in the market store: one file each, until the day they belong to is over."""

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trading.adapters.recorder import Segment, Tape
from trading.adapters.store_parquet import KEY, LEVEL, STAGING, PartBroken, StoreError, day_text, file_hash, put
from trading.domain.history import DAY_NS, Kind, Series, Steps

FORMAT: Final = 1
BOOLEANS: Final = frozenset({"is_trade", "buyer_is_maker"})
KEYS: Final = ("symbol", "is_trade", "sequence", "segment_ns", "received_at_ns", "venue_at_ns", "number")
COLUMNS: Final = (*KEYS, "price_ticks", "quantity_lots", "ask_ticks", "ask_lots", "buyer_is_maker")

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TapePart:
    """One stored flush."""

    venue: str
    day: int  # days since 1970 UTC
    path: str  # below the root of the store
    sha256: str
    bytes: int
    rows: int
    first_ns: int
    last_ns: int
    lost: int


@dataclass(frozen=True, slots=True)
class StoredTape:
    """A flush as it is read back: rows by symbol and kind, each in the order received."""

    venue: str
    symbols: tuple[str, ...]
    steps: Mapping[str, Steps]
    segments: tuple[Segment, ...]
    lost: int
    columns: Mapping[str, Integers]

    def series(self) -> Iterator[tuple[Series, dict[str, Integers]]]:
        """Yield the rows of every series in the columns of its kind, `at_ns` being when they were received."""
        key = self.columns["symbol"] * 2 + self.columns["is_trade"]
        bounds = np.flatnonzero(np.diff(key, prepend=-1, append=-1))
        for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            rows = {name: values[start:stop] for name, values in self.columns.items()}
            is_trade = bool(rows["is_trade"][0])
            symbol = self.symbols[int(rows["symbol"][0])]
            yield Series(Kind.TRADES if is_trade else Kind.TOPS, self.venue, symbol), _as_kind(rows, is_trade)


def _as_kind(rows: Mapping[str, Integers], is_trade: bool) -> dict[str, Integers]:
    shared = {name: rows[name] for name in ("venue_at_ns", "segment_ns", "sequence")}
    if is_trade:
        names = {"trade_id": "number", "price_ticks": "price_ticks", "quantity_lots": "quantity_lots"}
        names["buyer_is_maker"] = "buyer_is_maker"
    else:
        names = {"update_id": "number", "bid_ticks": "price_ticks", "bid_lots": "quantity_lots"}
        names |= {"ask_ticks": "ask_ticks", "ask_lots": "ask_lots"}
    return {"at_ns": rows["received_at_ns"], **{name: rows[source] for name, source in names.items()}, **shared}


def write(root: Path, tape: Tape, *, venue: str, steps: Mapping[str, Steps]) -> list[TapePart]:
    """Store a flush, one file for each day it touches, and return what was stored.

    Raises:
        StoreError: the disk is full or closed to us; nothing of the file is left.
    """
    days = tape.columns["received_at_ns"] // DAY_NS
    lost = tape.lost
    parts = []
    for day in np.unique(days).tolist():
        chosen = {name: values[days == day] for name, values in tape.columns.items()}
        parts.append(_write_day(root, tape, chosen, day, venue, steps, lost))
        lost = 0  # told once
    return parts


def _write_day(
    root: Path, tape: Tape, rows: Mapping[str, Integers], day: int, venue: str, steps: Mapping[str, Steps], lost: int
) -> TapePart:
    first_ns, last_ns = int(rows["received_at_ns"][0]), int(rows["received_at_ns"][-1])
    # By series: neighbours differ little, which packs them in a third of the room. `sequence` keeps the order.
    order = np.lexsort((rows["sequence"], rows["is_trade"], rows["symbol"]))
    fields = [pa.field(name, pa.bool_() if name in BOOLEANS else pa.int64(), nullable=False) for name in COLUMNS]
    schema = pa.schema(fields, metadata={KEY: json.dumps(_about(tape, venue, steps, lost)).encode()})
    arrays = [pa.array(rows[f.name][order] != 0 if f.name in BOOLEANS else rows[f.name][order], f.type) for f in fields]
    fresh = root / STAGING / f"{uuid.uuid4().hex}.new"
    try:
        fresh.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            pa.Table.from_arrays(arrays, schema=schema),
            fresh,
            compression="zstd",
            compression_level=LEVEL,
            use_dictionary=False,
            column_encoding={name: "DELTA_BINARY_PACKED" for name in COLUMNS if name not in BOOLEANS},
        )
        digest = file_hash(fresh)
        path = Path("kind=tape", f"venue={venue}", f"day={day_text(day)}", f"{first_ns}-{digest[:16]}.parquet")
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        put(fresh, root / path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise StoreError(f"{root}: {error.strerror}; free space there.") from error
    size = (root / path).stat().st_size
    return TapePart(venue, day, str(path), digest, size, len(order), first_ns, last_ns, lost)


def _about(tape: Tape, venue: str, steps: Mapping[str, Steps], lost: int) -> dict[str, Any]:
    told = {symbol: [str(steps[symbol].tick_size), str(steps[symbol].lot_size)] for symbol in tape.symbols}
    return {
        "format": FORMAT,
        "kind": "tape",
        "venue": venue,
        "symbols": list(tape.symbols),
        "steps": told,
        "segments": [asdict(segment) for segment in tape.segments],
        "lost": lost,
        "source": "recorder",
        "clock": "received",
    }


def read(root: Path, path: str) -> StoredTape:
    """Return a stored flush.

    Raises:
        PartBroken: the file is gone or cannot be read.
    """
    try:
        table = pq.read_table(root / path)
        about = json.loads(table.schema.metadata[KEY])
        columns = {name: np.asarray(table.column(name).to_numpy(), dtype=np.int64) for name in table.column_names}
        return StoredTape(
            venue=about["venue"],
            symbols=tuple(about["symbols"]),
            steps=steps_of(about),
            segments=segments_of(about),
            lost=about["lost"],
            columns=columns,
        )
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise PartBroken(f"{path}: {error}. It is a recording: nothing can bring it back.") from error


def steps_of(about: Mapping[str, Any]) -> dict[str, Steps]:
    """Return the steps of every symbol, from the metadata of a flush."""
    return {symbol: Steps(Decimal(tick), Decimal(lot), "instrument") for symbol, (tick, lot) in about["steps"].items()}


def segments_of(about: Mapping[str, Any]) -> tuple[Segment, ...]:
    """Return the segments that the metadata of a recorded part tells of."""
    return tuple(Segment(segment["at_ns"], segment["reason"]) for segment in about["segments"])


def described(root: Path, path: str) -> TapePart:
    """Return what the catalogue keeps of a stored flush, from the file itself.

    Raises:
        PartBroken: the file is gone or cannot be read.
    """
    stored = read(root, path)
    at_ns = stored.columns["received_at_ns"]
    first_ns, last_ns = int(at_ns.min()), int(at_ns.max())
    place = root / path
    return TapePart(
        stored.venue,
        first_ns // DAY_NS,
        path,
        file_hash(place),
        place.stat().st_size,
        len(at_ns),
        first_ns,
        last_ns,
        stored.lost,
    )

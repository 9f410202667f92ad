"""Columns of a file as whole numbers: which field a header means, and strict readings of times, decimals and flags."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trading.domain.history import Kind, Problem, Unsound

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

EARLIEST_NS: Final = 1_230_768_000_000_000_000  # 2009-01-01
LATEST_NS: Final = 4_102_444_800_000_000_000  # 2100-01-01
UNITS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
DECIMAL: Final = r"^-?[0-9]{1,20}(\.[0-9]{1,18})?$"
WHOLE: Final = r"^-?[0-9]{1,19}$"
ISO: Final = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|\+00:00)$"
MAX_SCALE: Final = 18  # decimals

# How a header may spell each field; compared in lower case and without anything but letters and digits.
SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    "time": (
        "time",
        "timestamp",
        "ts",
        "tsns",
        "tsms",
        "transacttime",
        "transactiontime",
        "tradetime",
        "date",
        "datetime",
        "opentime",
        "opents",
    ),
    "received": ("recvtsns", "receivedatns", "localtimestamp", "received"),
    "trade_id": ("tradeid", "aggtradeid", "id", "aggregatetradeid"),
    "update_id": ("updateid",),
    "last_update_id": ("lastupdateid",),
    "first_id": ("firstid", "firstupdateid"),
    "final_id": ("finalid", "finalupdateid"),
    "prev_id": ("previd", "prevfinalupdateid"),
    "price": ("price", "p"),
    "quantity": ("quantity", "qty", "size", "amount", "q"),
    "buyer_is_maker": ("isbuyermaker", "buyerismaker", "m"),
    "side": ("side", "takerside"),
    "exec_type": ("exectype", "x"),
    "bid_price": ("bidprice", "bestbidprice", "bid"),
    "bid_quantity": ("bidqty", "bestbidqty", "bidquantity", "bidsize"),
    "ask_price": ("askprice", "bestaskprice", "ask"),
    "ask_quantity": ("askqty", "bestaskqty", "askquantity", "asksize"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v", "basevolume"),
    "symbol": ("symbol", "pair"),
    "kind": ("kind",),
}
# What dumps carry besides and nobody computes from.
IGNORED: Final = frozenset(
    [
        "quoteqty",
        "quotequantity",
        "isbestmatch",
        "wasbestpricematch",
        "firsttradeid",
        "lasttradeid",
        "closetime",
        "quotevolume",
        "quotev",
        "count",
        "quoteassetvolume",
        "trades",
        "numberoftrades",
        "takerbuyvolume",
        "takerbuybaseassetvolume",
        "takerbuyquotevolume",
        "level",
        "ignore",
        "takerbuyquoteassetvolume",
        "takerbuybasevolume",
        "nsrc",
        "eventtsns",
        "eventtime",
    ]
)
NEEDED: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.BARS: ("time", "open", "high", "low", "close", "volume"),
    Kind.TOPS: ("bid_price", "bid_quantity", "ask_price", "ask_quantity"),
    Kind.L2DIFF: ("first_id", "final_id", "side", "price", "quantity"),
    Kind.L2SNAP: ("last_update_id", "side", "price", "quantity"),
    Kind.TRADES: ("price", "quantity"),
}
# The venue's public dumps without a header, by kind and number of columns (spot and futures differ by the last).
# Source: the venue's public data repository, README "Trades", "AggTrades", "Klines".
_TRADES: Final = ("trade_id", "price", "quantity", "", "time", "buyer_is_maker", "")
_AGGREGATES: Final = ("trade_id", "price", "quantity", "", "", "time", "buyer_is_maker", "")
_KLINES: Final = ("time", "open", "high", "low", "close", "volume", *[""] * 6)
DUMPS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "trades": (_TRADES, _TRADES[:6]),
    "aggTrades": (_AGGREGATES, _AGGREGATES[:7]),
    "klines": (_KLINES,),
}


class Unreadable(Exception):
    """The file as a whole cannot be taken; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the columns of a file are."""

    kind: Kind
    columns: Mapping[str, int]  # field -> position

    @property
    def has_ids(self) -> bool:
        """Return whether every row carries a number."""
        return bool({"trade_id", "update_id", "final_id"} & set(self.columns))


def plain(header: str) -> str:
    """Return a header as spellings are compared."""
    return re.sub(r"[^a-z0-9]", "", header.lower())


def shape_of(headers: Sequence[str], kind: Kind | None) -> Shape:
    """Return what a header says; `kind` where it must be that, or where the file mixes kinds.

    Raises:
        Unreadable: a column is unknown or twice there, or what a kind needs is missing.
    """
    known = {spelling: name for name, spellings in SPELLINGS.items() for spelling in spellings}
    columns: dict[str, int] = {}
    for place, header in enumerate(headers):
        if (word := plain(header)) in IGNORED:
            continue
        if word not in known:
            raise Unreadable(f"column {header!r} is not known; rename it or leave it out. Known: {_spelled()}.")
        if known[word] in columns:
            raise Unreadable(f"column {header!r} gives {known[word]} a second time; leave one of them out.")
        columns[known[word]] = place
    return Shape(_kind_of(columns, kind), columns)


def _spelled() -> str:
    return ", ".join(spellings[0] for spellings in SPELLINGS.values())


def _kind_of(columns: Mapping[str, int], asked: Kind | None) -> Kind:
    if "kind" in columns:  # a file of several kinds
        if asked is None:
            raise Unreadable("the file mixes kinds of rows: say which with --kind.")
        return asked
    for kind, needed in NEEDED.items():
        if set(needed) <= set(columns) and {"time", "received"} & set(columns):
            if asked not in (None, kind):
                raise Unreadable(f"its columns are those of {kind}, not of {asked}; leave --kind out.")
            return kind
    missing = [name for name in NEEDED[asked or Kind.TRADES] if name not in columns]
    raise Unreadable(f"the columns are of no kind we store: {', '.join(missing) or 'time'} is missing.")


def dump_shape(dump: str, count: int) -> Shape:
    """Return the shape of a public dump without header that has `count` columns.

    Raises:
        Unreadable: no dump of that kind has so many.
    """
    for names in DUMPS[dump]:
        if len(names) == count:
            columns = {name: place for place, name in enumerate(names) if name}
            return Shape(Kind.BARS if dump == "klines" else Kind.TRADES, columns)
    widths = " or ".join(str(len(names)) for names in DUMPS[dump])
    raise Unreadable(f"line 1: {count} columns, but a {dump} dump has {widths}; give the file its header line.")


# --- values -------------------------------------------------------------------------------------------------------


def refuse(broken: Flags, field: str, reason: str, remedy: str) -> None:
    """Refuse the rows where `broken` is true.

    Raises:
        Unsound: there is at least one.
    """
    if broken.any():
        raise Unsound(Problem(int(np.argmax(broken)), field, reason, remedy, int(np.count_nonzero(broken))))


def mask(array: Any) -> Flags:
    """Return a boolean column as (n,) flags."""
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=bool)


def _matches(column: pa.Array, pattern: str) -> Flags:
    return mask(pc.match_substring_regex(column, pattern).fill_null(False))


def _present(column: pa.Array, field: str) -> pa.Array:
    refuse(mask(column.is_null()), field, "empty", "Fill it, or leave the row out.")
    return column


def _wrong_text(column: pa.Array, broken: Flags, field: str, wanted: str) -> None:
    if broken.any():
        text = str(column[int(np.argmax(broken))].as_py())[:40]
        refuse(broken, field, f"{text!r} is not {wanted}", "Correct it at its source: no other writing is guessed at.")


def whole(column: pa.Array, field: str) -> Integers:
    """Return (n,) integers.

    Raises:
        Unsound: a value is empty, no whole number, or larger than 64 bits.
    """
    column = _present(column, field)
    if pa.types.is_string(column.type):
        _wrong_text(column, ~_matches(column, WHOLE), field, "a whole number")
    elif not pa.types.is_integer(column.type):
        raise Unreadable(f"{field}: stored as {column.type}; save it as a whole number.")
    try:
        return np.asarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)
    except pa.ArrowInvalid as error:
        raise Unreadable(f"{field}: a number is beyond 64 bits; correct it at its source.") from error


def times(column: pa.Array, field: str, unit: str = "") -> tuple[Integers, str]:
    """Return (n,) ns UTC and the unit they were written in, which must be `unit` where that is given.

    Raises:
        Unsound: a value is no time, lies outside 2009..2099, or is in another unit than those before.
    """
    if pa.types.is_timestamp(column.type):
        if column.type.tz != "UTC":
            raise Unreadable(f"{field}: stored without time zone UTC; save it as UTC.")
        return whole(_present(column, field).cast(pa.timestamp("ns", "UTC")).cast(pa.int64()), field), "iso"
    if pa.types.is_string(column.type) and unit in ("", "iso") and len(column) and "-" in str(column[0].as_py())[1:]:
        return _iso(_present(column, field), field), "iso"
    values = whole(column, field)
    unit = unit or _unit(values)
    factor = UNITS.get(unit, 1)
    low, high = EARLIEST_NS // factor, LATEST_NS // factor
    reason = f"not in {unit} since 1970 UTC like the rows before" if unit else "not a time from 2009 to 2099"
    refuse((values < low) | (values > high), field, reason, "Write every time in one unit: s, ms, us or ns.")
    return values * factor, unit


def _unit(values: Integers) -> str:
    first = int(values[0]) if len(values) else 0
    fits = (name for name, factor in UNITS.items() if EARLIEST_NS // factor <= first <= LATEST_NS // factor)
    return next(fits, "ns")


def _iso(column: pa.Array, field: str) -> Integers:
    _wrong_text(column, ~_matches(column, ISO), field, "a UTC time such as 2024-08-08T23:54:15Z")
    bare = pc.replace_substring_regex(column, r"(Z|\+00:00)$", "")
    try:
        return np.asarray(bare.to_numpy(zero_copy_only=False).astype("datetime64[ns]"), dtype=np.int64)
    except ValueError as error:
        raise Unreadable(f"{field}: {error}; write UTC times such as 2024-08-08T23:54:15Z.") from error


def decimals(column: pa.Array, field: str) -> tuple[Integers, int]:
    """Return (n,) the number of units of 10**-scale, and the scale; exact.

    Raises:
        Unsound: a value is empty, NaN, infinite, no plain decimal, or has more digits than 64 bits hold.
        Unreadable: the column holds floats, which are not the prices that were traded.
    """
    column = _present(column, field)
    if pa.types.is_floating(column.type):
        raise Unreadable(f"{field}: stored as {column.type}; save prices and quantities as decimal or text, exact.")
    if pa.types.is_string(column.type):
        _wrong_text(column, ~_matches(column, DECIMAL), field, "a plain decimal number such as 0.125")
        column = column.cast(pa.decimal128(38, _text_scale(column)))
    elif pa.types.is_integer(column.type):
        return whole(column, field), 0
    elif not pa.types.is_decimal128(column.type):
        raise Unreadable(f"{field}: stored as {column.type}; save prices and quantities as decimal or text, exact.")
    words = np.frombuffer(column.buffers()[1], dtype=np.int64).reshape(-1, 2)
    low, high = words[column.offset : column.offset + len(column)].T
    refuse(high != low >> 63, field, "too many digits", "Correct it at its source.")
    return np.ascontiguousarray(low), column.type.scale


def _text_scale(column: pa.Array) -> int:
    """Return the most decimals that any of the texts has."""
    points = pc.find_substring(column, ".")
    after = pc.if_else(pc.less(points, 0), 0, pc.subtract(pc.subtract(pc.utf8_length(column), points), 1))
    return int(pc.max(after).as_py() or 0)


def same_scale(pairs: Sequence[tuple[Integers, int]], field: str) -> tuple[list[Integers], int]:
    """Return columns in units of the finest scale among them.

    Raises:
        Unsound: a value does not fit 64 bits there.
    """
    finest = max(scale for _, scale in pairs)
    found = []
    for values, scale in pairs:
        factor = 10 ** (finest - scale)
        refuse(np.abs(values) > (2**62) // factor, field, "too many digits", "Correct it at its source.")
        found.append(values * factor)
    return found, finest


def flags(column: pa.Array, field: str) -> Integers:
    """Return (n,) 0 or 1.

    Raises:
        Unsound: a value is neither true nor false.
    """
    column = _present(column, field)
    if pa.types.is_boolean(column.type):
        return mask(column).astype(np.int64)
    if not pa.types.is_string(column.type):
        raise Unreadable(f"{field}: stored as {column.type}; save it as true or false.")
    lower = pc.utf8_lower(column)
    is_true = _matches(lower, "^(true|1)$")
    _wrong_text(column, ~(is_true | _matches(lower, "^(false|0)$")), field, "true or false")
    return is_true.astype(np.int64)


def sides(column: pa.Array, field: str, plus: str, minus: str) -> Integers:
    """Return (n,) +1 or -1; as text `plus` ("bid", "buy") or `minus` ("ask", "sell").

    Raises:
        Unsound: a value is neither.
    """
    column = _present(column, field)
    if not pa.types.is_string(column.type):
        return whole(column, field)
    lower = pc.utf8_lower(column)
    is_plus = _matches(lower, f"^({plus}|1|\\+1)$")
    _wrong_text(column, ~(is_plus | _matches(lower, f"^({minus}|-1)$")), field, f"{plus} or {minus}")
    return np.where(is_plus, 1, -1).astype(np.int64)

"""Blocks of a file as rows of one series: times in ns, prices and quantities as whole units of a power of ten."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trading.adapters import history_columns as columns
from trading.adapters.history_columns import Integers, Shape, Unreadable, refuse
from trading.adapters.history_files import Block
from trading.domain.history import Kind, Steps
from trading.domain.soundness import coarsest

PRICES: Final = frozenset(f"{name}_ticks" for name in ("price", "bid", "ask", "open", "high", "low", "close"))
QUANTITIES: Final = frozenset(f"{name}_lots" for name in ("quantity", "bid", "ask", "volume"))
KIND_WORDS: Final = {Kind.TRADES: "trade", Kind.TOPS: "bbo"}  # in a file that mixes kinds
MARKET: Final = "MARKET"
_SCALED: Final[dict[Kind, dict[str, str]]] = {  # stored column -> field
    Kind.TRADES: {"price_ticks": "price", "quantity_lots": "quantity"},
    Kind.TOPS: {
        "bid_ticks": "bid_price",
        "bid_lots": "bid_quantity",
        "ask_ticks": "ask_price",
        "ask_lots": "ask_quantity",
    },
    Kind.L2DIFF: {"price_ticks": "price", "quantity_lots": "quantity"},
    Kind.L2SNAP: {"price_ticks": "price", "quantity_lots": "quantity"},
    Kind.BARS: {f"{name}_ticks": name for name in ("open", "high", "low", "close")} | {"volume_lots": "volume"},
}
_IDS: Final = {
    Kind.TRADES: {"trade_id": "trade_id"},
    Kind.TOPS: {"update_id": "update_id"},
    Kind.L2DIFF: {"first_id": "first_id", "final_id": "final_id", "prev_id": "prev_id"},
    Kind.L2SNAP: {"update_id": "last_update_id"},
    Kind.BARS: {},
}


@dataclass(frozen=True, slots=True)
class Decoded:
    """Rows of one block; prices and quantities in units of 10**-scale."""

    rows: dict[str, Integers]
    price_scale: int
    quantity_scale: int
    places: Integers  # (n,) row in the block
    is_market: NDArray[np.bool_]  # (n,) its price was traded on the market

    def in_steps(self, steps: Steps) -> dict[str, Integers]:
        """Return the market rows in ticks and lots.

        Raises:
            Unsound: a value is no multiple of its step.
        """
        rows = {}
        for name, values in self.rows.items():
            if name in PRICES:
                values = _steps(values, self.price_scale, steps.tick_size, name)
            elif name in QUANTITIES:
                values = _steps(values, self.quantity_scale, steps.lot_size, name)
            rows[name] = values if self.is_market.all() else values[self.is_market]
        return rows


@dataclass(slots=True)
class Decoder:
    """Reads the blocks of one file, in order."""

    symbol: str
    only_market: bool  # leave out what was not traded on the market, instead of refusing it
    clock: str = ""
    numbered: bool = False  # the file has no ids: they are counted here
    left_out: int = 0
    others: set[str] = field(default_factory=set)  # symbols that were passed over
    _unit: dict[str, str] = field(default_factory=dict)  # of each time column
    _names: frozenset[str] = frozenset()
    _count: int = 0

    def decode(self, shape: Shape, block: Block) -> Decoded:
        """Return the rows of `block` that are about the symbol.

        Raises:
            Unsound: a value cannot be read; the row is counted in the block.
            Unreadable: the file as a whole cannot be taken.
        """
        places = self._chosen(shape, block)
        taken = {name: column.take(pa.array(places)) for name, column in block.columns.items()}
        if len(places) == block.rows:
            taken = block.columns
        rows = self._times(shape.kind, taken) | self._ids(shape.kind, taken, len(places))
        prices, price_scale = self._scaled(shape.kind, taken, PRICES)
        quantities, quantity_scale = self._scaled(shape.kind, taken, QUANTITIES)
        rows |= prices | quantities | self._side(shape.kind, taken)
        self._same_columns(rows)
        self._count += len(places)
        return Decoded(rows, price_scale, quantity_scale, places, self._market(taken, len(places)))

    def _chosen(self, shape: Shape, block: Block) -> Integers:
        """Return the rows of our symbol and kind."""
        chosen = np.ones(block.rows, dtype=bool)
        if "symbol" in block.columns:
            names = block.columns["symbol"]
            chosen &= columns.mask(pc.equal(names, self.symbol).fill_null(False))
            self.others |= {str(name) for name in pc.unique(names).to_pylist()} - {self.symbol}
        if "kind" in block.columns:
            word = KIND_WORDS.get(shape.kind, str(shape.kind))
            chosen &= columns.mask(pc.equal(block.columns["kind"], word).fill_null(False))
        return np.flatnonzero(chosen)

    def _times(self, kind: Kind, taken: dict[str, Any]) -> dict[str, Integers]:
        found = {}
        for name in ("time", "received"):
            column = taken.get(name)
            if column is None or (len(column) and column.null_count == len(column)):
                continue
            found[name], self._unit[name] = columns.times(column, name, self._unit.get(name, ""))
        # A book top is what we knew when it came; a trade happened when the venue says.
        order = ("received", "time") if kind in (Kind.TOPS, Kind.L2SNAP) else ("time", "received")
        main = next((name for name in order if name in found), "")
        if not main:
            raise Unreadable("no row has a time.")
        self.clock = {"time": "venue", "received": "received"}[main]
        other = {"time": "venue_at_ns", "received": "received_at_ns"}
        return {"at_ns": found.pop(main)} | {other[name]: values for name, values in found.items()}

    def _ids(self, kind: Kind, taken: dict[str, Any], count: int) -> dict[str, Integers]:
        found = {}
        for stored, name in _IDS[kind].items():
            column = taken.get(name)
            if column is not None and not (len(column) and column.null_count == len(column)):
                found[stored] = columns.whole(column, name)
            elif stored != "prev_id":
                self.numbered = True
                found[stored] = np.arange(self._count + 1, self._count + count + 1, dtype=np.int64)
        return found

    def _scaled(self, kind: Kind, taken: dict[str, Any], which: frozenset[str]) -> tuple[dict[str, Integers], int]:
        fields = {stored: name for stored, name in _SCALED[kind].items() if stored in which}
        # In a file that mixes kinds, the best bid stands where a trade has its price.
        alias = {"bid_price": "price", "bid_quantity": "quantity"} if "kind" in taken else {}
        names = [alias.get(name, name) for name in fields.values()]
        if missing := [name for name in names if name not in taken]:
            raise Unreadable(f"the column {missing[0]} is missing.")
        values, scale = columns.same_scale([columns.decimals(taken[name], name) for name in names], names[0])
        return dict(zip(fields, values, strict=True)), scale

    def _side(self, kind: Kind, taken: dict[str, Any]) -> dict[str, Integers]:
        if kind in (Kind.L2DIFF, Kind.L2SNAP):
            return {"side": columns.sides(taken["side"], "side", "bid", "ask")}
        if kind is not Kind.TRADES:
            return {}
        if "buyer_is_maker" in taken:
            return {"buyer_is_maker": columns.flags(taken["buyer_is_maker"], "buyer_is_maker")}
        if "side" not in taken:
            raise Unreadable("neither is_buyer_maker nor side is there: who took liquidity is not guessed.")
        return {"buyer_is_maker": (columns.sides(taken["side"], "side", "buy", "sell") < 0).astype(np.int64)}

    def _market(self, taken: dict[str, Any], count: int) -> NDArray[np.bool_]:
        column = taken.get("exec_type")
        if column is None:
            return np.ones(count, dtype=bool)
        is_market = columns.mask(pc.equal(column, MARKET).fill_null(False))
        if not self.only_market and not is_market.all():
            word = column[int(np.argmin(is_market))].as_py()
            remedy = "Leave such rows out with --only-market; they are counted."
            refuse(~is_market, "exec_type", f"{word}: its price was not made on the market", remedy)
        self.left_out += int(np.count_nonzero(~is_market))
        return is_market

    def _same_columns(self, rows: dict[str, Integers]) -> None:
        if self._names and frozenset(rows) != self._names:
            odd = ", ".join(sorted(frozenset(rows) ^ self._names))
            raise Unreadable(f"{odd}: only some rows have it; fill it everywhere, or leave the column out.")
        self._names = frozenset(rows)


@dataclass(slots=True)
class Measure:
    """Finds the steps of prices and quantities over all blocks."""

    price_decimals: int = 0
    quantity_decimals: int = 0
    fits: bool = True  # the venue's own steps, where they are known

    def feed(self, decoded: Decoded, known: Steps | None) -> None:
        """Take the next block into account."""
        for name, values in decoded.rows.items():
            if name in PRICES:
                self.price_decimals = max(self.price_decimals, coarsest(values, decoded.price_scale))
                self.fits &= known is not None and _is_on(values, decoded.price_scale, known.tick_size)
            elif name in QUANTITIES:
                self.quantity_decimals = max(self.quantity_decimals, coarsest(values, decoded.quantity_scale))
                self.fits &= known is not None and _is_on(values, decoded.quantity_scale, known.lot_size)


def _ratio(scale: int, step: Any) -> Fraction:
    return Fraction(1, 10**scale) / Fraction(step)


def _is_on(values: Integers, scale: int, step: Any) -> bool:
    ratio = _ratio(scale, step)
    return not ((values % ratio.denominator) * (ratio.numerator % ratio.denominator) % ratio.denominator).any()


def _steps(values: Integers, scale: int, step: Any, name: str) -> Integers:
    ratio = _ratio(scale, step)
    remedy = "Correct it at its source."
    refuse(np.abs(values) > (2**62) // ratio.numerator, name, "too many digits", remedy)
    scaled = values * ratio.numerator
    refuse(scaled % ratio.denominator != 0, name, f"no multiple of {step}", remedy)
    result: Integers = scaled // ratio.denominator
    return result

"""Lots for the tax report: what was sold, what it had cost, and what is still held; exact, whatever the method."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext
from enum import StrEnum
from heapq import heappop, heappush
from typing import Any, Final

from trading.domain.orders import Side

PRECISION: Final = 60  # digits: prices, quantities and fees of 12 decimals each lose none of theirs
STEP: Final = Decimal("1E-12")  # quote; cost and proceeds are shared out in these, the last share takes the exact rest
_ZERO: Final = Decimal(0)


class Method(StrEnum):
    """Which lot a sale takes first."""

    FIFO = "FIFO"  # the oldest
    LIFO = "LIFO"  # the newest
    HIFO = "HIFO"  # the dearest by unit, fees included; of equals the oldest


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution, or a position that was settled (a sale without a fee)."""

    at: datetime
    reference: str  # trade id, or what else it can be found by
    symbol: str
    base: str  # asset, "BTC"
    side: Side
    price: Decimal  # quote per base, > 0
    quantity: Decimal  # base, > 0
    fee: Decimal = _ZERO  # in `fee_asset`, >= 0
    fee_asset: str = ""


@dataclass(slots=True)
class Lot:
    """What is left of one buy."""

    number: int  # 0, 1, 2 ... in the order of the buys
    symbol: str
    acquired_at: datetime
    reference: str
    base: Decimal
    cost_quote: Decimal  # fee included where its value is known


@dataclass(frozen=True, slots=True)
class Disposal:
    """A part of one sale beside the lot it came out of."""

    symbol: str
    sold_at: datetime
    sold_by: str  # reference
    base: Decimal
    proceeds_quote: Decimal  # less the fee
    acquired_at: datetime | None  # None: no buy is known for it
    bought_by: str
    cost_quote: Decimal | None  # None: not known; it is not zero

    @property
    def gain_quote(self) -> Decimal | None:
        """Proceeds less cost, None where the cost is not known."""
        return None if self.cost_quote is None else self.proceeds_quote - self.cost_quote

    @property
    def days_held(self) -> int | None:
        """Whole days from the buy to the sale."""
        return None if self.acquired_at is None else (self.sold_at - self.acquired_at).days


@dataclass(frozen=True, slots=True)
class Books:
    """Everything that was disposed of, in order, and what is held."""

    disposals: list[Disposal] = field(default_factory=list)
    held: list[Lot] = field(default_factory=list)  # oldest first
    fees_without_value: dict[str, Decimal] = field(default_factory=dict)  # asset -> in neither base nor quote


_KEYS: Final[Mapping[Method, Callable[[Lot], tuple[Any, ...]]]] = {
    Method.FIFO: lambda lot: (lot.number,),
    Method.LIFO: lambda lot: (-lot.number,),
    Method.HIFO: lambda lot: (-lot.cost_quote / lot.base, lot.number),
}


def keep_books(trades: Iterable[Trade], method: Method, quote: str) -> Books:
    """Return the books of `trades`, which come in order of time; every price is in `quote`.

    A fee in quote adds to the cost of a buy and lessens the proceeds of a sale. A fee in base makes a buy bring in
    less, at the same cost, and a sale give away more, for the same proceeds. A fee in any other asset has no value
    here: it is counted apart and is in no gain. What is sold beyond every known buy is a disposal whose cost is not
    known.

    Raises:
        ValueError: price or quantity is not above zero, or a fee below it; the message names the trade.
    """
    books = Books()
    shelves: dict[str, list[tuple[tuple[Any, ...], Lot]]] = {}
    key = _KEYS[method]
    with localcontext(prec=PRECISION):
        for number, trade in enumerate(trades):
            _check(trade)
            base, money = _moved(trade, quote)
            if trade.fee and trade.fee_asset not in (quote, trade.base):
                known = books.fees_without_value.get(trade.fee_asset, _ZERO)
                books.fees_without_value[trade.fee_asset] = known + trade.fee
            shelf = shelves.setdefault(trade.symbol, [])
            if trade.side is Side.SELL:
                books.disposals.extend(_dispose(trade, base, money, shelf))
            elif base > 0:
                lot = Lot(number, trade.symbol, trade.at, trade.reference, base, money)
                heappush(shelf, (key(lot), lot))
    books.held.extend(sorted((lot for shelf in shelves.values() for _, lot in shelf), key=lambda lot: lot.number))
    return books


@dataclass(frozen=True, slots=True)
class Total:
    """Disposals added up."""

    disposals: int
    base: Decimal
    proceeds_quote: Decimal
    cost_quote: Decimal
    gain_quote: Decimal
    unknown: int  # disposals whose cost is not known; they are in none of the sums but `disposals`


def total(disposals: Iterable[Disposal]) -> Total:
    """Return the sums of `disposals`; base of different symbols does not add up."""
    count = unknown = 0
    base = proceeds = cost = _ZERO
    with localcontext(prec=PRECISION):
        for one in disposals:
            count += 1
            if one.cost_quote is None:
                unknown += 1
                continue
            base += one.base
            proceeds += one.proceeds_quote
            cost += one.cost_quote
        return Total(count, base, proceeds, cost, proceeds - cost, unknown)


def _check(trade: Trade) -> None:
    numbers = (trade.price, trade.quantity, trade.fee)
    if not all(one.is_finite() for one in numbers) or trade.price <= 0 or trade.quantity <= 0 or trade.fee < 0:
        raise ValueError(
            f"{trade.symbol} trade {trade.reference}: price {trade.price}, quantity {trade.quantity}, fee {trade.fee}; "
            "expected finite numbers, price and quantity above zero."
        )


def _moved(trade: Trade, quote: str) -> tuple[Decimal, Decimal]:
    """Return the base that came in or went out, and its cost or proceeds in quote."""
    sign = 1 if trade.side is Side.BUY else -1
    in_quote = trade.fee if trade.fee_asset == quote else _ZERO
    in_base = trade.fee if trade.fee_asset == trade.base else _ZERO
    return trade.quantity - sign * in_base, trade.price * trade.quantity + sign * in_quote


def _dispose(
    trade: Trade, base: Decimal, proceeds: Decimal, shelf: list[tuple[tuple[Any, ...], Lot]]
) -> Iterable[Disposal]:
    while base:
        lot = shelf[0][1] if shelf else None
        part = base if lot is None else min(base, lot.base)
        got = proceeds if part == base else (proceeds * part / base).quantize(STEP)
        base, proceeds = base - part, proceeds - got
        if lot is None:
            yield Disposal(trade.symbol, trade.at, trade.reference, part, got, None, "", None)
            continue
        cost = lot.cost_quote if part == lot.base else (lot.cost_quote * part / lot.base).quantize(STEP)
        lot.base, lot.cost_quote = lot.base - part, lot.cost_quote - cost
        if not lot.base:
            heappop(shelf)
        yield Disposal(trade.symbol, trade.at, trade.reference, part, got, lot.acquired_at, lot.reference, cost)

"""The books of one account: cash, lots, profit and fees, each execution exactly once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from trading.domain.instruments import Instrument
from trading.domain.orders import Fill, Side

ZERO: Final = Decimal(0)


class Contradiction(Exception):
    """An execution cannot be true beside what was booked; nothing was changed. Halt and read the venue."""


class Oversold(Contradiction):
    """More is sold than is held: a buy that we have not heard of yet may explain it. Read the venue first."""


@dataclass(slots=True)
class Lot:
    """What one slot holds; costs in quote currency."""

    opened_by: str = ""  # client_order_id of the buy
    base: Decimal = ZERO
    cost: Decimal = ZERO  # price paid, fees apart
    fees: Decimal = ZERO  # fees of the buy that still belong to what is held
    sold_some: bool = False  # part of it was sold: its round trip has begun to close


@dataclass(slots=True)
class Position:
    """Everything held of one symbol, and what it earned since the day began."""

    lots: dict[int, Lot] = field(default_factory=dict)  # by slot; never holds an empty lot
    dust: Lot = field(default_factory=Lot)  # left-overs too small to sell
    grid_profit: Decimal = ZERO  # of sold lots, after both fees, today
    fees: Decimal = ZERO  # today, in quote
    fills: int = 0  # today
    round_trips: int = 0  # today
    bought: Decimal = ZERO  # cash spent on it today, fees apart
    sold: Decimal = ZERO  # cash received for it today, fees apart
    opening_value: Decimal = ZERO  # value when the day began, at the mark of that moment

    @property
    def base(self) -> Decimal:
        """Quantity held, dust included."""
        return sum((lot.base for lot in self.lots.values()), self.dust.base) if self.lots else self.dust.base

    @property
    def cost(self) -> Decimal:
        """Price paid for what is held, fees apart."""
        return sum((lot.cost for lot in self.lots.values()), self.dust.cost)


@dataclass(frozen=True, slots=True)
class Booking:
    """What one execution did."""

    realized_quote: Decimal  # buy: minus its fee; sell: proceeds - fee - price paid
    grid_profit_quote: Decimal | None  # sell of a slot: its part of the round trip after both fees


class Ledger:
    """Cash and positions in exact decimals. Bank test: cash and base always equal the sum of fills and fees."""

    def __init__(self, quote: str, cash: Decimal, instruments: Mapping[str, Instrument]) -> None:
        self.quote = quote
        self.cash = cash
        self.positions = {symbol: Position() for symbol in instruments}
        self.other_fees: dict[str, Decimal] = {}  # asset -> fees taken in neither base nor quote
        self._instruments = instruments
        self._booked: dict[str, dict[int, Fill]] = {symbol: {} for symbol in instruments}  # those not forgotten

    def knows(self, fill: Fill) -> bool:
        """Return whether `fill` is booked and remembered.

        Raises:
            Contradiction: its trade id is booked with other contents.
        """
        booked = self._booked[fill.symbol].get(fill.trade_id)
        if booked is None:
            return False
        if _facts(booked) != _facts(fill):
            raise Contradiction(f"{fill.symbol} trade {fill.trade_id} came again with other contents")
        return True

    def apply(self, fill: Fill, slot: int | None, *, grid: bool = True) -> Booking:
        """Book one execution once.

        `slot` None books a buy as dust and takes a sell from everything held (flatten), lowest slot first. `grid` False
        keeps the result out of the grid profit.

        Raises:
            Contradiction: unknown symbol, quantity or fee below zero, a trade id seen before, or more sold than held.
        """
        if fill.symbol not in self.positions:
            raise Contradiction(f"fill on unknown symbol {fill.symbol}")
        if fill.quantity_lots <= 0 or fill.price_ticks <= 0 or not fill.fee.is_finite() or fill.fee < 0:
            raise Contradiction(f"{fill.symbol} trade {fill.trade_id} has no positive price and quantity")
        if self.knows(fill):
            raise Contradiction(f"{fill.symbol} trade {fill.trade_id} was booked before")
        booking = self._buy(fill, slot) if fill.side is Side.BUY else self._sell(fill, slot, grid=grid)
        self._booked[fill.symbol][fill.trade_id] = fill
        self.positions[fill.symbol].fills += 1
        if fill.fee and fill.fee_asset not in (self.quote, self._instruments[fill.symbol].base):
            self.other_fees[fill.fee_asset] = self.other_fees.get(fill.fee_asset, ZERO) + fill.fee
        return booking

    def pay(self, amount_quote: Decimal) -> None:
        """Book money that was paid in, or out where it is below zero: no profit, no loss.

        Raises:
            Contradiction: it is no number, nothing, or more was paid out than there is.
        """
        if not amount_quote.is_finite() or not amount_quote:
            raise Contradiction(f"a transfer of {amount_quote} {self.quote}")
        if self.cash + amount_quote < 0:
            raise Contradiction(f"a transfer pays {-amount_quote} {self.quote} out, held {self.cash}")
        self.cash += amount_quote

    def held(self, symbol: str, slot: int) -> Decimal:
        """Return the base quantity of one slot."""
        lot = self.positions[symbol].lots.get(slot)
        return ZERO if lot is None else lot.base

    def sellable_lots(self, symbol: str, slot: int | None) -> int:
        """Return what of a slot (None: of everything, dust included) can be sold, in whole lots."""
        base = self.positions[symbol].base if slot is None else self.held(symbol, slot)
        return self._instruments[symbol].lots_down(base)

    def sweep(self, symbol: str, slot: int) -> None:
        """Move what is left in a slot to the dust of its symbol."""
        position = self.positions[symbol]
        lot = position.lots.pop(slot, None)
        if lot is not None:
            position.round_trips += lot.sold_some
            _merge(position.dust, lot)

    def sweep_all(self, symbol: str) -> None:
        """Move every lot of a symbol to its dust: its ladder no longer exists."""
        for slot in list(self.positions[symbol].lots):
            self.sweep(symbol, slot)

    def value(self, symbol: str, mark_ticks: int) -> Decimal:
        """Return the position at `mark_ticks`, quote currency."""
        return self.positions[symbol].base * self._instruments[symbol].price(mark_ticks)

    def equity(self, marks_ticks: Mapping[str, int]) -> Decimal:
        """Return cash plus every position at its mark; a position without a mark counts at cost."""
        total = self.cash
        for symbol, position in self.positions.items():
            if position.lots or position.dust.base:
                mark = marks_ticks.get(symbol)
                total += position.cost if mark is None else self.value(symbol, mark)
        return total

    def day_pnl(self, symbol: str, mark_ticks: int | None) -> Decimal:
        """Return what a symbol earned or lost since the day began, fees and inventory included."""
        position = self.positions[symbol]
        value = position.cost if mark_ticks is None else self.value(symbol, mark_ticks)
        return value - position.opening_value + position.sold - position.bought - position.fees

    def settle(self, symbol: str, price_ticks: int) -> Decimal:
        """Turn a position into cash at `price_ticks` without a fill; return the base settled. Equity stays the same."""
        position = self.positions[symbol]
        base = position.base
        received = base * self._instruments[symbol].price(price_ticks)
        self.cash += received
        position.sold += received
        position.lots.clear()
        position.dust = Lot()
        return base

    def apply_settled(self, fill: Fill, price_ticks: int) -> Decimal:
        """Book once an execution whose base the venue has settled at `price_ticks` already; return the change of cash.

        Raises:
            Contradiction: the trade id is booked, or the fee is in neither base nor quote.
        """
        if self.knows(fill):
            raise Contradiction(f"{fill.symbol} trade {fill.trade_id} was booked before")
        instrument = self._instruments[fill.symbol]
        notional = instrument.notional(fill.price_ticks, fill.quantity_lots)
        settled = instrument.notional(price_ticks, fill.quantity_lots)
        if fill.fee and fill.fee_asset != self.quote:
            raise Contradiction(f"{fill.symbol} trade {fill.trade_id}: a settled fill with a fee in {fill.fee_asset}")
        gained = (settled - notional if fill.side is Side.BUY else notional - settled) - fill.fee
        self.cash += gained
        self._booked[fill.symbol][fill.trade_id] = fill
        return gained

    def remember(self, fill: Fill) -> None:
        """Know an execution that was booked and settled before: it may be read again."""
        self._booked[fill.symbol][fill.trade_id] = fill

    def forget(self, read_from: Mapping[str, int], before_ns: int) -> None:
        """Forget the fills that are older and lie below the trade id from which the venue is read.

        Whoever is told of such a fill knows by its trade id that it is booked.
        """
        for symbol, known_to in read_from.items():
            booked = self._booked[symbol]
            old = [number for number, fill in booked.items() if number <= known_to and fill.at_ns < before_ns]
            for number in old:
                del booked[number]

    def open_day(self, marks_ticks: Mapping[str, int]) -> None:
        """Start the day's counters anew; what is held opens the day at its mark."""
        for symbol, position in self.positions.items():
            mark = marks_ticks.get(symbol)
            position.opening_value = position.cost if mark is None else self.value(symbol, mark)
            position.grid_profit = position.fees = position.bought = position.sold = ZERO
            position.fills = position.round_trips = 0

    def balances(self) -> dict[str, Decimal]:
        """Return what the venue must hold for us: asset -> total."""
        totals = {self.quote: self.cash}
        for symbol, position in self.positions.items():
            base = self._instruments[symbol].base
            totals[base] = totals.get(base, ZERO) + position.base
        return totals

    def _buy(self, fill: Fill, slot: int | None) -> Booking:
        instrument, position = self._instruments[fill.symbol], self.positions[fill.symbol]
        notional = instrument.notional(fill.price_ticks, fill.quantity_lots)
        fee_quote, base = self._fee(fill, instrument)
        if slot is None:
            lot = position.dust
        else:
            lot = position.lots.get(slot, Lot())
            if lot.opened_by and lot.opened_by != fill.client_order_id:
                # A slot buys again only after its last lot was sold: what is left of that one is dust.
                self.sweep(fill.symbol, slot)
                lot = Lot()
            position.lots[slot] = lot
        lot.opened_by = fill.client_order_id
        lot.base += base
        lot.cost += notional
        lot.fees += fee_quote
        self.cash -= notional + (fee_quote if fill.fee_asset == self.quote else ZERO)
        position.bought += notional
        if fill.fee_asset == instrument.base:
            lot.cost -= fee_quote  # the fee came out of what was bought
            position.bought -= fee_quote
        position.fees += fee_quote
        return Booking(-fee_quote, None)

    def _sell(self, fill: Fill, slot: int | None, *, grid: bool) -> Booking:
        instrument, position = self._instruments[fill.symbol], self.positions[fill.symbol]
        proceeds = instrument.notional(fill.price_ticks, fill.quantity_lots)
        base = instrument.quantity(fill.quantity_lots)
        fee_quote, _ = self._fee(fill, instrument)
        taken = self._take(fill, slot, base)
        self.cash += proceeds - (fee_quote if fill.fee_asset == self.quote else ZERO)
        position.sold += proceeds
        position.fees += fee_quote
        realized = proceeds - fee_quote - taken.cost
        if slot is None or not grid:
            return Booking(realized, None)
        profit = realized - taken.fees
        position.grid_profit += profit
        position.round_trips += slot not in position.lots
        return Booking(realized, profit)

    def _take(self, fill: Fill, slot: int | None, base: Decimal) -> Lot:
        """Take `base` out of its slot, or else out of everything, and return it with its share of cost and fees.

        Base is base: a sell of unknown fate may have filled after its lot went another way (flatten). What its slot no
        longer holds comes out of the dust, then out of the other lots.
        """
        position = self.positions[fill.symbol]
        if base > position.base:
            raise Oversold(f"{fill.symbol} trade {fill.trade_id} sells {base}, held {position.base}")
        others = [position.lots[key] for key in sorted(position.lots) if key != slot]
        sources = [*others, position.dust] if slot is None else [position.lots.get(slot, Lot()), position.dust, *others]
        taken = Lot()
        for lot in sources:
            if taken.base < base and lot.base:
                _move(lot, taken, base - taken.base)
                lot.sold_some = True
        position.lots = {key: lot for key, lot in position.lots.items() if lot.base}
        return taken

    def _fee(self, fill: Fill, instrument: Instrument) -> tuple[Decimal, Decimal]:
        """Return the fee in quote and the base quantity that a buy really brings in."""
        base = instrument.quantity(fill.quantity_lots)
        if fill.fee_asset == self.quote or not fill.fee:
            return fill.fee, base
        if fill.fee_asset == instrument.base and fill.side is Side.BUY:
            return fill.fee * instrument.price(fill.price_ticks), base - fill.fee
        if fill.fee_asset == instrument.base:
            raise Contradiction(f"{fill.symbol} trade {fill.trade_id}: a sell with a fee in {fill.fee_asset}")
        return ZERO, base


def _facts(fill: Fill) -> tuple[object, ...]:
    """What one execution is, whoever reports it: sources differ in time stamps and venue order ids."""
    return (fill.client_order_id, fill.side, fill.price_ticks, fill.quantity_lots, fill.fee, fill.fee_asset)


def _merge(into: Lot, lot: Lot) -> None:
    into.base += lot.base
    into.cost += lot.cost
    into.fees += lot.fees


def _move(source: Lot, target: Lot, wanted: Decimal) -> None:
    """Move up to `wanted` base with its share of cost and fees; the last piece takes the exact rest."""
    base = min(source.base, wanted)
    if base == source.base:
        _merge(target, source)
        source.base = source.cost = source.fees = ZERO
        return
    share = base / source.base
    cost, fees = source.cost * share, source.fees * share
    _merge(target, Lot("", base, cost, fees))
    source.base, source.cost, source.fees = source.base - base, source.cost - cost, source.fees - fees

"""The dynamic grid of arXiv 2506.11921 on bars: its trades once, its money counted three ways.

The grid: lines `size` of the centre apart, `half` above and `half` below it; half of a principal of 100 is coin bought
at the centre, the other half waits below. A price that leaves the lines opens a new grid at itself: above, everything
has been sold; below, everything has been bought, and the coin is kept. A bar is walked previous close, low, high,
close. Written from what the rules say; the authors' code has no licence.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from trading.domain.fees import Fees
from trading.domain.instruments import Instrument
from trading.domain.ledger import Ledger
from trading.domain.orders import Fill, Side

PRINCIPAL = 100.0
# Steps so fine that nothing is rounded away: the published grid knows none.
COIN = Instrument("BTCUSDT", "BTC", "USDT", Decimal("1E-6"), Decimal("1E-10"), Decimal(0))


class Bar(NamedTuple):
    """Prices of one bar."""

    open: float
    low: float
    high: float
    close: float


class Rules(NamedTuple):
    """Distance of two lines as a fraction of the centre, lines on each side, fee of a side."""

    size: float
    half: int
    fee: float = 0.0008


@dataclass
class Grid:
    """One grid from its opening to its break."""

    rules: Rules
    centre: float
    level: int = field(init=False)  # line at which the price was last
    lines: list[float] = field(init=False)
    trades: int = 0
    highest: float = field(init=False)

    def __post_init__(self) -> None:
        step, half = self.centre * self.rules.size, self.rules.half
        below, above = ([self.centre + sign * step * k for k in range(1, half + 1)] for sign in (-1, 1))
        self.lines = [*reversed(below), self.centre, *above]
        self.level, self.highest = half, self.centre

    def move(self, start: float, end: float) -> Iterator[tuple[int, int]]:
        """Yield (line, +1 bought or -1 sold) of every line that the price passes."""
        self.highest = max(self.highest, end)
        top = 2 * self.rules.half
        if start < end:
            while self.level < top and start <= self.lines[self.level + 1] < end:
                self.level += 1
                self.trades += 1
                yield self.level, -1
        else:
            while self.level > 0 and end <= self.lines[self.level - 1] < start:
                self.level -= 1
                self.trades += 1
                yield self.level, 1

    def broke(self, price: float) -> int:
        """Return 1 above, -1 below, 0 within."""
        if price > self.lines[-1] or self.level == 2 * self.rules.half:
            return 1
        return -1 if price < self.lines[0] or self.level == 0 else 0

    def risen(self) -> int:
        """Return how many lines above the centre, the last one left out, the price has reached since the opening."""
        half = self.rules.half
        return next((k for k in range(half - 1) if self.highest < self.lines[half + 1 + k]), half - 1)


@dataclass
class Published:
    """Money as the formulas of the publication count it; nothing is booked trade by trade."""

    rules: Rules
    takes_out: bool = True  # the next grid's principal leaves the cash, as in the revision of 2025
    cash: float = 0.0
    coin: float = 0.0
    put_in: float = PRINCIPAL
    grids: int = 1

    def ended(self, grid: Grid, way: int) -> None:
        """Count a grid that broke."""
        rules, each = self.rules, PRINCIPAL / (2 * self.rules.half)
        margin = each * (rules.size - 2 * rules.fee)
        risen = rules.half if way > 0 else grid.risen()
        turns = (grid.trades - risen - (rules.half if way < 0 else 0)) / 2
        earned = (risen * (risen + 1) / 2 + turns) * margin
        self.grids += 1
        if way > 0:
            self.cash += earned + PRINCIPAL
        else:
            self.cash += earned
            kept = 1 - 2 * rules.fee
            self.coin += PRINCIPAL / 2 / grid.centre * kept
            self.coin += sum(each / line * kept for line in grid.lines[: rules.half])
        if self.takes_out or way < 0:
            taken = min(self.cash, PRINCIPAL) if self.takes_out else earned
            self.cash -= taken
            self.put_in += PRINCIPAL - taken

    def closed(self, grid: Grid, price: float) -> None:
        """Count the grid that is open at the end; its coin above the centre is left out, as published."""
        rules, each = self.rules, PRINCIPAL / (2 * self.rules.half)
        bought = [line for line in grid.lines[: rules.half] if line >= price]
        risen = grid.risen()
        turns = (grid.trades - risen - len(bought)) / 2
        self.cash += (risen * (risen + 1) / 2 + turns) * each * (rules.size - 2 * rules.fee)
        self.cash += each * (rules.half - len(bought))
        self.coin += sum(each / line * (1 - 2 * rules.fee) for line in bought)


@dataclass
class Booked:
    """The same trades in the product's ledger: each moves money and coin, and its fee leaves the money."""

    rules: Rules
    put_in: Decimal = Decimal(0)
    ledger: Ledger = field(default_factory=lambda: Ledger(COIN.quote, Decimal(0), {COIN.symbol: COIN}))
    fills: list[Fill] = field(default_factory=list)

    def opened(self, grid: Grid) -> None:
        """Fund a grid out of the cash, the rest from outside, and buy its coin at the centre; older coin is kept."""
        self.ledger.sweep_all(COIN.symbol)
        missing = Decimal(int(PRINCIPAL)) - self.ledger.cash
        if missing > 0:
            self.ledger.pay(missing)
            self.put_in += missing
        for slot in range(self.rules.half, 2 * self.rules.half):
            self._buy(slot, grid.centre)

    def traded(self, grid: Grid, line: int, side: int) -> None:
        """Book a line: a buy fills the interval above it, a sell empties the one below it."""
        if side > 0:
            self._buy(line, grid.lines[line])
        else:
            lots = self.ledger.sellable_lots(COIN.symbol, line - 1)
            self._book(line - 1, Side.SELL, grid.lines[line], lots)

    def value(self, price: float) -> Decimal:
        """Return money and coin at `price`."""
        return self.ledger.equity({COIN.symbol: _ticks(price)})

    def _buy(self, slot: int, price: float) -> None:
        spent = Decimal(int(PRINCIPAL)) / (2 * self.rules.half) / (1 + Decimal(str(self.rules.fee)))
        self._book(slot, Side.BUY, price, int(spent / (_ticks(price) * COIN.tick_size * COIN.lot_size)))

    def _book(self, slot: int, side: Side, price: float, lots: int) -> None:
        fee = Fees(Decimal(str(self.rules.fee)), Decimal(str(self.rules.fee)))
        ticks = _ticks(price)
        paid = fee.fee(COIN.notional(ticks, lots), maker=True)
        number = len(self.fills) + 1
        name = str(number)
        fill = Fill(number, name, name, COIN.symbol, side, ticks, lots, paid, COIN.quote, maker=True, at_ns=number)
        self.fills.append(fill)
        self.ledger.apply(fill, slot)


def _ticks(price: float) -> int:
    return round(price / float(COIN.tick_size))


def run(bars: Iterable[Bar], rules: Rules, published: Published, ledger: Booked | None = None) -> float:
    """Walk the bars and count the money both ways; return the last price."""
    grid, price = None, 0.0
    for bar in bars:
        if grid is None:
            grid, price = Grid(rules, bar.open), bar.open
            if ledger is not None:
                ledger.opened(grid)
        for end in (bar.low, bar.high, bar.close):
            for line, side in grid.move(price, end):
                if ledger is not None:
                    ledger.traded(grid, line, side)
            price = end
            way = grid.broke(end)
            if way:
                published.ended(grid, way)
                grid = Grid(rules, end)
                if ledger is not None:
                    ledger.opened(grid)
    if grid is None:
        raise ValueError("no bars")
    published.closed(grid, price)
    return price

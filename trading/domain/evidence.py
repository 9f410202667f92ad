"""What was measured of one account in one window, with everything needed to believe it or to measure it again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from trading.domain.drills import Drill
from trading.domain.flows import UNFUNDED, Funding
from trading.domain.latency import Histogram
from trading.domain.metrics import drawdown_fraction


class Unit(StrEnum):
    """How a value is shown."""

    COUNT = "count"
    FRACTION = "fraction"
    MILLISECONDS = "ms"
    QUOTE = "quote"
    RATIO = "ratio"
    PER_MINUTE = "per minute"


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that can be measured."""

    label: str
    unit: Unit
    fewest: int  # samples below which the value says nothing
    sample: str  # what is counted in `Measurement.samples`
    of_each: bool = False  # of every symbol by itself: one that is left out is not known
    is_detail: bool = False  # out of what slices keep only since `Facts.detailed_ns`: time before it is not covered


METRICS: Final[Mapping[str, Metric]] = {
    "crit_alerts": Metric("CRIT alerts", Unit.COUNT, 0, "alerts"),
    "warn_alerts_per_day": Metric("WARN alerts per day", Unit.COUNT, 0, "alerts"),
    "fill_rate": Metric("Fill rate", Unit.FRACTION, 20, "orders"),
    "fill_rate_each_symbol": Metric("Fill rate of each symbol", Unit.FRACTION, 20, "orders", of_each=True),
    "latency_p50_ms": Metric("Latency p50, submit to ack", Unit.MILLISECONDS, 20, "orders"),
    "latency_p95_ms": Metric("Latency p95, submit to ack", Unit.MILLISECONDS, 20, "orders"),
    "latency_p99_ms": Metric("Latency p99, submit to ack", Unit.MILLISECONDS, 100, "orders"),
    "tick_submit_p50_ms": Metric("Latency p50, tick to submit", Unit.MILLISECONDS, 20, "orders", is_detail=True),
    "tick_submit_p95_ms": Metric("Latency p95, tick to submit", Unit.MILLISECONDS, 20, "orders", is_detail=True),
    "tick_submit_p99_ms": Metric("Latency p99, tick to submit", Unit.MILLISECONDS, 100, "orders", is_detail=True),
    "ack_fill_p50_ms": Metric("Latency p50, ack to fill", Unit.MILLISECONDS, 20, "orders", is_detail=True),
    "ack_fill_p95_ms": Metric("Latency p95, ack to fill", Unit.MILLISECONDS, 20, "orders", is_detail=True),
    "ack_fill_p99_ms": Metric("Latency p99, ack to fill", Unit.MILLISECONDS, 100, "orders", is_detail=True),
    "reject_rate": Metric("Rejects", Unit.FRACTION, 20, "orders", is_detail=True),
    "reconnects": Metric("Market data lost", Unit.COUNT, 0, "losses", is_detail=True),
    "feed_uptime": Metric("Feed uptime", Unit.FRACTION, 60, "samples"),
    "position_sync": Metric("Position sync", Unit.FRACTION, 20, "reconciles"),
    "daily_drawdown": Metric("Largest daily drawdown", Unit.FRACTION, 60, "samples"),
    "symbol_drawdown": Metric(
        "Largest daily drawdown of a symbol", Unit.FRACTION, 60, "samples", of_each=True, is_detail=True
    ),
    "high_water_drawdown": Metric("Largest drawdown from the high-water mark", Unit.FRACTION, 60, "samples"),
    "monthly_drawdown": Metric("Largest drawdown within a month", Unit.FRACTION, 60, "samples"),
    "pnl_quote": Metric("P&L", Unit.QUOTE, 60, "samples"),
    "pnl_per_day_quote": Metric("P&L per day", Unit.QUOTE, 60, "samples"),
    "monthly_return": Metric("Return per month", Unit.FRACTION, 60, "samples"),
    "fills_per_minute": Metric("Fills per minute", Unit.PER_MINUTE, 0, "fills"),
    "sharpe": Metric("Sharpe ratio", Unit.RATIO, 7, "days"),
    "win_rate": Metric("Win rate per round trip", Unit.FRACTION, 20, "round trips"),
    "profit_factor": Metric("Profit factor", Unit.RATIO, 20, "round trips"),
    "kill_drills": Metric("Kinds of kill drill passed", Unit.COUNT, len(Drill), "kinds"),
    "drift_pnl": Metric("P&L, drift from the backtest", Unit.FRACTION, 20, "round trips"),
    "drift_drawdown": Metric("Drawdown, drift from the backtest", Unit.FRACTION, 20, "round trips"),
    "drift_win_rate": Metric("Win rate, drift from the backtest", Unit.FRACTION, 20, "round trips"),
    "drift_sharpe": Metric("Sharpe ratio, drift from the backtest", Unit.FRACTION, 7, "days"),
}


@dataclass(frozen=True, slots=True)
class Measurement:
    """One metric of one account over one window."""

    metric: str
    value: Decimal | None  # None: there is nothing to compute it from
    samples: int
    coverage: Decimal  # fraction of the window in which it was watched, 0 to 1
    since: datetime
    until: datetime
    detail: str  # numerator and denominator in words: "412 of 430 lots"
    query: str  # what to ask the database to get the value again
    each: tuple[tuple[str, Decimal | None], ...] = ()  # the same per symbol, where that is what counts


# --- what one slice of time showed --------------------------------------------------------------------------------

HOUR: Final = timedelta(hours=1)
LONGEST_MARKET_NS: Final = 3_660_000_000_000  # of one slice, an hour and a minute: a market day has at least 23
_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Equity:
    """A series of equities in order of time, without its middle; quote currency.

    The first five are of the equity as it would be without any transfer (`Funding.unscaled`): returns and drawdowns run
    on through every deposit. What was really held, and what had been paid in by then, stands beside them.
    """

    first: Decimal
    last: Decimal
    peak: Decimal
    trough: Decimal
    drawdown: Decimal  # largest fall from a high to a later low, as a fraction of that high, 0 to 1
    held_first: Decimal
    held_last: Decimal
    paid_in_first: Decimal = _ZERO  # deposits less withdrawals since the account began
    paid_in_last: Decimal = _ZERO

    @classmethod
    def of(cls, equity_quote: Decimal, funding: Funding = UNFUNDED) -> "Equity":
        """Return the series of one equity."""
        own, paid_in = funding.unscaled(equity_quote), funding.paid_in_quote
        return cls(own, own, own, own, _ZERO, equity_quote, equity_quote, paid_in, paid_in)

    @property
    def paid_in(self) -> Decimal:
        """What was paid in between the first and the last equity, less what was paid out."""
        return self.paid_in_last - self.paid_in_first

    @property
    def pnl(self) -> Decimal:
        """What was earned or lost between the first and the last equity."""
        return self.held_last - self.held_first - self.paid_in

    def then(self, later: "Equity") -> "Equity":
        """Return this series followed by `later`; exact, for the deepest fall between them is from peak to trough."""
        between = min(drawdown_fraction(self.peak, later.trough), Decimal(1))
        return Equity(
            self.first,
            later.last,
            max(self.peak, later.peak),
            min(self.trough, later.trough),
            max(self.drawdown, later.drawdown, between),
            self.held_first,
            later.held_last,
            self.paid_in_first,
            later.paid_in_last,
        )


@dataclass(frozen=True, slots=True)
class SymbolFacts:
    """What one symbol did in one slice of time; lots of different symbols do not add up."""

    filled_lots: int = 0  # of the MARKET orders decided in it that have ended
    asked_lots: int = 0
    ended: int = 0  # orders
    touched: int = 0  # resting orders whose price was traded through
    touch_filled: int = 0  # resting orders that filled
    fills: int = 0
    round_trips: int = 0
    wins: int = 0
    gain_quote: Decimal = _ZERO
    loss_quote: Decimal = _ZERO  # >= 0
    answered: int = 0  # orders that left, of whatever type, and whose answer is known
    rejected: int = 0  # of them: by the venue
    drawdown: Decimal | None = None  # largest loss of a day / capital, >= 0; None: not known

    def plus(self, other: "SymbolFacts") -> "SymbolFacts":
        """Return both together."""
        return SymbolFacts(
            self.filled_lots + other.filled_lots,
            self.asked_lots + other.asked_lots,
            self.ended + other.ended,
            self.touched + other.touched,
            self.touch_filled + other.touch_filled,
            self.fills + other.fills,
            self.round_trips + other.round_trips,
            self.wins + other.wins,
            self.gain_quote + other.gain_quote,
            self.loss_quote + other.loss_quote,
            self.answered + other.answered,
            self.rejected + other.rejected,
            max((one for one in (self.drawdown, other.drawdown) if one is not None), default=None),
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """What a slice of time showed of one account; slices that follow each other merge without loss."""

    watched_ns: int = 0  # somebody looked
    fed_ns: int = 0  # every price fresh, nothing in the way of an order
    in_force_ns: int = 0  # a mandate in force, the account ACTIVE, its loop alive, the speed known
    market_ns: int = 0  # in force, in the market's time: of an accelerated replay more than passed on the wall
    accelerated: bool = False
    samples: int = 0  # looks at the equity
    readings: int = 0  # of the venue
    in_sync: int = 0  # of the readings: they left nothing unexplained
    equity: Equity | None = None  # None: nobody looked
    daily_drawdown: Decimal = _ZERO  # largest seen, from the equity the day began with
    latency: Histogram = field(default_factory=Histogram)  # submit to ack
    symbols: Mapping[str, SymbolFacts] = field(default_factory=dict)
    detailed_ns: int = 0  # of the time watched: what follows, and each symbol's `answered` to `drawdown`, was kept
    feed_losses: int = 0  # how often market data was lost
    tick_submit: Histogram = field(default_factory=Histogram)  # of orders that a market message called for
    ack_fill: Histogram = field(default_factory=Histogram)  # to the first execution

    def then(self, later: "Facts") -> "Facts":
        """Return what both showed; `later` follows."""
        return merged((self, later))

    @property
    def total(self) -> SymbolFacts:
        """Every symbol together; only its counts and its money mean something."""
        total = SymbolFacts()
        for one in self.symbols.values():
            total = total.plus(one)
        return total

    def to_json(self) -> dict[str, Any]:
        """Return it for a JSON column: whole numbers, decimals as text."""
        counts: dict[str, Any] = {name: getattr(self, name) for name in _COUNTS}
        equity = None if self.equity is None else {name: str(getattr(self.equity, name)) for name in _EQUITY}
        return counts | {
            "accelerated": self.accelerated,
            "equity": equity,
            "daily_drawdown": str(self.daily_drawdown),
            **{name: getattr(self, name).to_json() for name in _SEGMENTS},
            "symbols": {symbol: _symbol_json(self.symbols[symbol]) for symbol in sorted(self.symbols)},
        }

    @classmethod
    def from_json(cls, found: object) -> "Facts":
        """Return the facts of `to_json`.

        Raises:
            ValueError: it is anything else; the message names what is wrong.
        """
        table = _table(found, _FACTS, "facts", _LATER_FACTS)
        facts = cls(
            **{name: _count(table, name) for name in _COUNTS},
            accelerated=_truth(table, "accelerated"),
            equity=None if table["equity"] is None else _equity(table["equity"]),
            daily_drawdown=_amount(table, "daily_drawdown"),
            latency=_latency(table, "latency"),
            tick_submit=_latency(table, "tick_submit"),
            ack_fill=_latency(table, "ack_fill"),
            symbols={symbol: _symbol(one) for symbol, one in _any_table(table["symbols"], "symbols").items()},
        )
        if unsound := _unsound(facts):
            raise ValueError(f"facts: {unsound}.")
        return facts


EMPTY: Final = Facts()


def merged(parts: Iterable[Facts]) -> Facts:
    """Return what all `parts` showed, in order of time; nothing of nothing."""
    watched = fed = in_force = market = samples = readings = in_sync = 0
    accelerated, equity, deepest = False, None, _ZERO
    detailed = losses = 0
    latency, tick_submit, ack_fill, symbols = Histogram(), Histogram(), Histogram(), dict[str, SymbolFacts]()
    for part in parts:
        watched += part.watched_ns
        fed += part.fed_ns
        in_force += part.in_force_ns
        market += part.market_ns
        accelerated = accelerated or part.accelerated
        samples += part.samples
        readings += part.readings
        in_sync += part.in_sync
        if part.equity is not None:
            equity = part.equity if equity is None else equity.then(part.equity)
        deepest = max(deepest, part.daily_drawdown)
        latency.add(part.latency)
        tick_submit.add(part.tick_submit)
        ack_fill.add(part.ack_fill)
        detailed += part.detailed_ns
        losses += part.feed_losses
        for symbol, one in part.symbols.items():
            known = symbols.get(symbol)
            symbols[symbol] = one if known is None else known.plus(one)
    return Facts(
        watched, fed, in_force, market, accelerated, samples, readings, in_sync, equity, deepest, latency, symbols,
        detailed, losses, tick_submit, ack_fill,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Slice:
    """What one account showed from `since` to before `until`, both on whole minutes."""

    since: datetime
    until: datetime
    facts: Facts


def cut(since: datetime, until: datetime, minutes: Iterable[tuple[datetime, Facts]]) -> list[Slice]:
    """Return the time from `since` to `until` in slices, given its recorded minutes in order of time.

    No slice reaches over a full hour of the wall clock, nor (but for a single minute) beyond `LONGEST_MARKET_NS`, so
    that a day of an accelerated replay can be told from the next. The slices leave nothing out.
    """
    found: list[Slice] = []
    begin, facts = since, EMPTY
    for at, minute in minutes:
        while at >= (turn := _next_hour(begin)):
            found.append(Slice(begin, turn, facts))
            begin, facts = turn, EMPTY
        if facts.market_ns and facts.market_ns + minute.market_ns > LONGEST_MARKET_NS:
            found.append(Slice(begin, at, facts))
            begin, facts = at, EMPTY
        facts = facts.then(minute)
    while begin < until:
        turn = min(_next_hour(begin), until)
        found.append(Slice(begin, turn, facts))
        begin, facts = turn, EMPTY
    return found


def hour_of(at: datetime) -> datetime:
    """Return the whole hour `at` lies in."""
    return at.replace(minute=0, second=0, microsecond=0)


def _next_hour(at: datetime) -> datetime:
    return hour_of(at) + HOUR


# --- reading JSON: everything that is not exactly what was written is refused ---------------------------------------

# What rows do not have that were stored before it was kept.
_LATER_COUNTS: Final = ("detailed_ns", "feed_losses")
_LATER_FACTS: Final[Mapping[str, Any]] = dict.fromkeys(_LATER_COUNTS, 0) | {"tick_submit": {}, "ack_fill": {}}
_LATER_EQUITY: Final[Mapping[str, Any]] = {"paid_in_first": "0", "paid_in_last": "0"}
_LATER_SYMBOL: Final[Mapping[str, Any]] = {"answered": 0, "rejected": 0, "drawdown": None}
_COUNTS: Final = ("watched_ns", "fed_ns", "in_force_ns", "market_ns", "samples", "readings", "in_sync", *_LATER_COUNTS)
_SEGMENTS: Final = ("latency", "tick_submit", "ack_fill")
_EQUITY: Final = tuple(one.name for one in fields(Equity))
_FACTS: Final = frozenset(one.name for one in fields(Facts))
_MONEY: Final = ("gain_quote", "loss_quote")
_SYMBOL: Final = tuple(one.name for one in fields(SymbolFacts))
_SYMBOL_COUNTS: Final = tuple(name for name in _SYMBOL if name not in (*_MONEY, "drawdown"))


def _symbol_json(facts: SymbolFacts) -> dict[str, Any]:
    counts: dict[str, Any] = {name: getattr(facts, name) for name in _SYMBOL_COUNTS}
    drawdown = None if facts.drawdown is None else str(facts.drawdown)
    return counts | {name: str(getattr(facts, name)) for name in _MONEY} | {"drawdown": drawdown}


def _symbol(found: object) -> SymbolFacts:
    table = _table(found, frozenset(_SYMBOL), "symbol", _LATER_SYMBOL)
    return SymbolFacts(
        **{name: _count(table, name) for name in _SYMBOL_COUNTS},
        gain_quote=_amount(table, "gain_quote"),
        loss_quote=_amount(table, "loss_quote"),
        drawdown=None if table["drawdown"] is None else _amount(table, "drawdown"),
    )


def _equity(found: object) -> Equity:
    given = _any_table(found, "equity")
    held = {f"held_{end}": given.get(end) for end in ("first", "last")}  # before transfers it was the same
    table = _table(given, frozenset(_EQUITY), "equity", {**held, **_LATER_EQUITY})
    return Equity(*(_number(table, name) for name in _EQUITY))


def _latency(table: Mapping[str, Any], name: str) -> Histogram:
    try:
        return Histogram.from_json(_any_table(table[name], name))
    except ValueError as error:
        raise ValueError(f"facts: {error}") from error


def _unsound(facts: Facts) -> str:
    """Return what cannot be true of any slice of time; "" when nothing."""
    if facts.watched_ns < max(facts.fed_ns, facts.in_force_ns, facts.detailed_ns):
        return "fed, in force or kept in detail for longer than watched"
    if facts.in_sync > facts.readings:
        return "more readings in sync than readings"
    if any(one.filled_lots > one.asked_lots or one.wins > one.round_trips for one in facts.symbols.values()):
        return "more filled than asked for, or more wins than round trips"
    if any(one.rejected > one.answered for one in facts.symbols.values()):
        return "more orders rejected than answered"
    equity = facts.equity
    if (equity is None) != (facts.samples == 0):
        return "equity without samples, or samples without equity"
    if equity is not None and not (
        equity.trough <= min(equity.first, equity.last) and max(equity.first, equity.last) <= equity.peak
    ):
        return "equity outside its trough and peak"
    return ""


def _table(
    found: object, names: frozenset[str], what: str, later: Mapping[str, Any] = MappingProxyType({})
) -> Mapping[str, Any]:
    """Return the table with exactly `names`; what an older row cannot have is filled in from `later`."""
    table = {**later, **_any_table(found, what)}
    if table.keys() != names:
        odd = ", ".join(sorted(table.keys() ^ names))
        raise ValueError(f"{what}: {odd} is missing or not known; expected exactly {', '.join(sorted(names))}.")
    return table


def _any_table(found: object, what: str) -> Mapping[str, Any]:
    if isinstance(found, dict):
        return found
    raise ValueError(f"{what} is {found!r}; expected a table.")


def _count(table: Mapping[str, Any], name: str) -> int:
    found = table[name]
    if type(found) is int and found >= 0:
        return found
    raise ValueError(f"{name} is {found!r}; expected a whole number from 0 on.")


def _truth(table: Mapping[str, Any], name: str) -> bool:
    found = table[name]
    if isinstance(found, bool):
        return found
    raise ValueError(f"{name} is {found!r}; expected true or false.")


def _amount(table: Mapping[str, Any], name: str) -> Decimal:
    if (amount := _number(table, name)) >= 0:
        return amount
    raise ValueError(f"{name} is {table[name]!r}; expected a number from 0 on.")


def _number(table: Mapping[str, Any], name: str) -> Decimal:
    found = table[name]
    try:
        number = Decimal(found) if isinstance(found, str) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise ValueError(f"{name} is {found!r}; expected a finite number as text.")
    return number

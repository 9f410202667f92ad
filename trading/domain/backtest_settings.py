"""What one backtest is asked to do, read strictly: every value that is wrong is named with its reason and a remedy."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple

from trading.domain.fees import DEMO_FEES
from trading.domain.grid import Spacing, UnableToBuild
from trading.domain.grids import MOST, Carried, GridSpec, Kind, UnsoundGrid
from trading.domain.instruments import Instrument, UnreadableNumber, parse_decimal
from trading.domain.ladders import Ladder
from trading.domain.laying import lay
from trading.domain.limits import ExecutionStyle
from trading.domain.queues import QueueChoice, read_queue
from trading.domain.terms import Mode as SpecMode

FEWEST_LEVELS: Final = 2
MOST_LEVELS: Final = 500
MOST_LATENCY_MS: Final = Decimal(60_000)
MOST_QUOTE: Final = Decimal(10**12)
STORED: Final = "store:"  # begins the name of data in the market store
NO_BOOK: Final = "needs data that carry the book: store:l2/VENUE. Trades, tops and bars have no queue; leave it out."
NO_QUEUE: Final = "is missing; a book needs risk-averse, log or power:2."
MOST_SYMBOLS: Final = 8  # in one purse
LONGEST_TEXT: Final = 1_000  # characters of a file's name


class Mode(StrEnum):
    """What a grid holds to begin with, and which side of a round trip comes first."""

    NEUTRAL = "neutral"
    LONG = "long"
    SHORT = "short"


class Prices(StrEnum):
    """Which recorded events move the grid."""

    TRADES = "trades"
    TOPS = "tops"
    ALL = "all"


class Fill(StrEnum):
    """When a printed trade fills a resting order: at its price, or only beyond it."""

    TOUCH = "touch"
    THROUGH = "through"


class Engine(StrEnum):
    """What carries the backtest out."""

    KERNEL = "kernel"
    CORE = "core"


class Wrong(NamedTuple):
    """One value that cannot be used."""

    field: str
    reason: str  # and what to do

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class UnusableSettings(ValueError):
    """A backtest cannot be carried out as asked; `wrong` names every field, its reason and what to do."""

    def __init__(self, *wrong: Wrong) -> None:
        super().__init__("; ".join(map(str, wrong)))
        self.wrong = wrong


@dataclass(frozen=True, slots=True)
class BacktestSettings:
    """One backtest of one plain grid; money in quote currency, fees as fractions of the notional."""

    data: str = "ticks"
    symbol: str = "BTCUSDT"
    prices: Prices = Prices.TRADES
    fill: Fill = Fill.TOUCH
    grid: Spacing = Spacing.GEOMETRIC
    mode: Mode = Mode.NEUTRAL
    style: ExecutionStyle = ExecutionStyle.MAKER
    levels: int = 20
    lower: Decimal | None = None  # with `upper`; else levels are laid around the first price by `step`
    upper: Decimal | None = None
    step: Decimal | None = None
    lot: Decimal = Decimal(500)  # value of one lot
    cash: Decimal = Decimal(10_000)
    base: Decimal | None = None  # of what SHORT sells; None: what its first ladder sells
    fee_maker: Decimal = DEMO_FEES.maker_fraction
    fee_taker: Decimal = DEMO_FEES.taker_fraction  # of what is bought to begin with, and of a TAKER
    latency_ms: Decimal = Decimal(0)  # each way: to the venue, and back
    max_drawdown: Decimal | None = None  # stop at this fall from the high
    max_trades_per_day: int | None = None
    engine: Engine = Engine.KERNEL
    kind: Kind = Kind.RANGE
    atr_multiple: Decimal | None = None  # instead of a step: in average true ranges when the ladder is laid
    atr_bars: int | None = None
    atr_bar_s: int | None = None
    trail_up_to: Decimal | None = None
    trail_down_to: Decimal | None = None
    recentre_steps: int | None = None
    carried: Carried = Carried.KEEP
    reinvest: Decimal | None = None  # of the grid profit
    reinvest_every_s: int | None = None
    resting: int | None = None  # orders a side; further levels are virtual
    skew: Decimal | None = None
    stop: Decimal | None = None
    take_profit: Decimal | None = None
    start_at: Decimal | None = None
    each: str | None = None  # what one of several symbols has of its own, see `backtest_symbols`
    queue: QueueChoice | None = None  # what moves an order up behind others: for data that carry the book

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that share the purse, in their order on the clock; most often one."""
        return tuple(self.symbol.split(","))

    @property
    def is_plain(self) -> bool:
        """True where one static ladder says it all: no bound is reached at which anything happens."""
        plain = BacktestSettings()
        return all(getattr(self, name) == getattr(plain, name) for name in OF_A_CAMPAIGN)

    @property
    def step_fraction(self) -> Decimal:
        """The step between levels where no bounds are given."""
        return DEFAULT_STEP if self.step is None else self.step

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON: decimals as text."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: _plain(value) for name, value in found.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value) if isinstance(value, QueueChoice) else value


DEFAULT_STEP: Final = Decimal("0.0005")  # the step of the production desk
OF_A_CAMPAIGN: Final = (
    "kind", "atr_multiple", "atr_bars", "atr_bar_s", "trail_up_to", "trail_down_to", "recentre_steps", "carried",
    "reinvest", "reinvest_every_s", "resting", "skew", "stop", "take_profit", "start_at",
)  # fmt: skip
SPEC_NAMES: Final = {  # of a field of GridSpec that is called otherwise here
    "slots": "levels", "lot_quote": "lot", "lot_base": "lot", "spacing": "grid", "step_fraction": "step",
    "reinvest_fraction": "reinvest", "skew_fraction": "skew",
}  # fmt: skip
FIELDS: Final = tuple(one.name for one in fields(BacktestSettings))


def read(values: Mapping[str, object]) -> BacktestSettings:
    """Return the settings in `values`: texts, whole numbers or decimals; what is missing or empty has its default.

    Raises:
        UnusableSettings: names every value that cannot be used.
    """
    wrong = [Wrong(name, f"is not known; known are {', '.join(FIELDS)}.") for name in sorted(values.keys() - {*FIELDS})]
    found = dict[str, Any]()
    for name, take in READERS.items():
        if (value := values.get(name)) not in (None, ""):
            try:
                found[name] = take(value)
            except ValueError as error:
                wrong.append(Wrong(name, str(error)))
    if found.get("engine") is Engine.CORE:
        found.setdefault("mode", Mode.LONG)
    if not wrong:
        wrong += _at_odds(settings := BacktestSettings(**found))
    if wrong:
        raise UnusableSettings(*wrong)
    return settings


def spec_of(settings: BacktestSettings) -> GridSpec:
    """Return the grid of `settings` as whoever drives it over a tape takes it.

    Raises:
        UnusableSettings: fields that contradict each other.
    """
    bounded = settings.lower is not None and settings.upper is not None
    stepless = settings.atr_multiple is not None or (bounded and settings.kind is not Kind.INFINITY)
    try:
        return GridSpec(
            symbol=settings.symbol,
            slots=settings.levels - 1,
            lot_quote=settings.lot,
            kind=settings.kind,
            mode=SpecMode(settings.mode),
            style=settings.style,
            spacing=settings.grid,
            lower=settings.lower,
            upper=settings.upper,
            step_fraction=settings.step if stepless else settings.step_fraction,
            atr_multiple=settings.atr_multiple,
            atr_bars=settings.atr_bars or 14,
            atr_bar_s=settings.atr_bar_s or 60,
            trail_up_to=settings.trail_up_to,
            trail_down_to=settings.trail_down_to,
            recentre_steps=settings.recentre_steps,
            carried=settings.carried,
            reinvest_fraction=settings.reinvest or _ZERO,
            reinvest_every_s=settings.reinvest_every_s,
            resting=settings.resting,
            skew_fraction=settings.skew or _ZERO,
            stop=settings.stop,
            take_profit=settings.take_profit,
            start_at=settings.start_at,
        )
    except UnsoundGrid as error:
        wrong = (Wrong(SPEC_NAMES.get(one.field, one.field), f"{one.text}.") for one in error.problems)
        raise UnusableSettings(*wrong) from error


def lay_grid(settings: BacktestSettings, instrument: Instrument, first_ticks: int) -> Ladder:
    """Return the levels of `settings` around the first price, or between its bounds, and the lots of each slot.

    Raises:
        UnusableSettings: the grid cannot be laid, or a lot is below the venue's smallest order.
    """
    try:
        ladder = lay(spec_of(settings), instrument, first_ticks).ladder
    except UnableToBuild as error:
        raise UnusableSettings(Wrong("grid", str(error))) from error
    opening = ladder.levels[1:] if settings.mode is Mode.SHORT else ladder.levels[:-1]
    for ticks, found in zip(opening, ladder.lots, strict=True):
        if found < (needed := instrument.smallest_lots(ticks)):
            least = instrument.notional(ticks, needed)
            text = (
                f"{settings.lot:f} is below the venue's smallest order at {instrument.price(ticks):f}; use {least:f}."
            )
            raise UnusableSettings(Wrong("lot", text))
    return ladder


def _at_odds(settings: BacktestSettings) -> list[Wrong]:
    """Return what is right by itself and wrong together."""
    found = list[Wrong]()
    bounds = (settings.lower, settings.upper)
    if settings.kind is Kind.INFINITY:
        pass  # it has a lower bound and a step, and says so itself
    elif (settings.lower is None) != (settings.upper is None):
        missing = "lower" if settings.lower is None else "upper"
        found.append(Wrong(missing, "is missing; give both bounds, or a step instead of them."))
    elif settings.lower is not None and settings.step is not None:
        found.append(Wrong("step", "is given beside lower and upper, which already say it; leave one of them out."))
    elif settings.lower is not None and settings.upper is not None and settings.lower >= settings.upper:
        found.append(Wrong("lower", f"{settings.lower:f} is not below upper {settings.upper:f}; swap or correct them."))
    if settings.base is not None and settings.mode is not Mode.SHORT:
        found.append(Wrong("base", f"is for mode short; a {settings.mode} grid begins in cash. Leave it out."))
    if settings.style is ExecutionStyle.TAKER and settings.latency_ms:
        found.append(Wrong("latency_ms", "must be 0 with style TAKER, whose latency is not modelled; use MAKER."))
    if settings.queue is not None:
        found += _at_odds_with_a_queue(settings)
    if settings.engine is Engine.CORE:
        if settings.mode is not Mode.LONG:
            found.append(Wrong("mode", "must be long with engine core: that is what the live ladder does."))
        if not settings.is_plain:
            names = [name for name in OF_A_CAMPAIGN if getattr(settings, name) != getattr(BacktestSettings(), name)]
            found.append(Wrong(names[0], "cannot be used with engine core, which runs a plain grid; use the kernel."))
        if bounds != (None, None):
            found.append(Wrong("lower", "cannot be used with engine core, which lays its own ladder; use step."))
        if settings.latency_ms:
            found.append(Wrong("latency_ms", "must be 0 with engine core, whose wires take no time; use the kernel."))
    return found


def _at_odds_with_a_queue(settings: BacktestSettings) -> Iterator[Wrong]:
    """Yield what a queue of post-only orders cannot carry."""
    if settings.engine is Engine.CORE:
        yield Wrong("queue", "is for engine kernel: the core's venue has none. Leave it out, or use the kernel.")
    if settings.style is not ExecutionStyle.MAKER:
        yield Wrong("style", "must be MAKER with a queue, whose orders are post-only; leave one of them out.")
    if not settings.is_plain:
        name = next(name for name in OF_A_CAMPAIGN if getattr(settings, name) != getattr(BacktestSettings(), name))
        yield Wrong(name, "cannot be used with a queue, which holds one plain ladder; leave one of them out.")
    if settings.max_drawdown is not None and len(settings.symbols) == 1:
        yield Wrong("max_drawdown", "is not looked at in a queue; leave one of them out.")
    if settings.prices is not Prices.TRADES:
        yield Wrong("prices", "says nothing beside a queue: book and trades move it. Leave it out.")
    if settings.fill is not Fill.TOUCH:
        yield Wrong("fill", "says nothing beside a queue, which knows when a print fills. Leave --through out.")


# --- readers ----------------------------------------------------------------------------------------------------------


def choice(kind: type[StrEnum]) -> Callable[[object], StrEnum]:
    """Return the reader of one of the words of `kind`; it raises ValueError with the reason and what to do."""

    def take(value: object) -> StrEnum:
        if isinstance(value, str) and value in set(kind):
            return kind(value)
        raise ValueError(f"{shown(value)} is not one of {', '.join(kind)}; use one of them.")

    return take


def whole(low: int, high: int) -> Callable[[object], int]:
    """Return the reader of a whole number from `low` to `high`; it raises ValueError."""

    def take(value: object) -> int:
        text = str(value)
        plain = not isinstance(value, bool) and text.isascii() and text.isdigit() and len(text) <= len(str(high))
        if plain and low <= int(text) <= high:
            return int(text)
        raise ValueError(f"{shown(value)} is no whole number from {low} to {high}; use one.")

    return take


def number(low: Decimal, high: Decimal, *, beyond: bool = False) -> Callable[[object], Decimal]:
    """Return the reader of a number from `low` (`beyond`: above it) to `high`; it raises ValueError."""

    def take(value: object) -> Decimal:
        words = f"{'above' if beyond else 'from'} {low:f} to {high:f}"
        try:
            found = parse_decimal(value, field="value")
        except UnreadableNumber:
            raise ValueError(f"{shown(value)} is no plain number {words}; write it like 0.125.") from None
        if low <= found <= high and not (beyond and found == low):
            return found
        raise ValueError(f"{shown(value)} is not {words}; use a number there.")

    return take


def _text(longest: int) -> Callable[[object], str]:
    def take(value: object) -> str:
        if isinstance(value, str) and value.isprintable() and len(value) <= longest:
            return value
        raise ValueError(f"{shown(value)} is no text of at most {longest} visible characters; shorten it.")

    return take


def _symbols(value: object) -> str:
    """Return a symbol, or several with a comma between them; it raises ValueError."""
    names = [one.strip() for one in value.split(",")] if isinstance(value, str) else [value]
    found = [_text(20)(name) for name in names]
    if len(found) > MOST_SYMBOLS or len(set(found)) < len(found) or (len(found) > 1 and "" in found):
        raise ValueError(f"{shown(value)} is no list of 1 to {MOST_SYMBOLS} different symbols; write BTCUSDT,ETHUSDT.")
    return ",".join(found) if len(found) > 1 else _text(20)(value)


def shown(value: object) -> str:
    """Return `value` as an error repeats it: quoted, and cut where it is long."""
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


_ZERO, _ONE = Decimal(0), Decimal(1)
READERS: Final[Mapping[str, Callable[[object], Any]]] = {
    **{name: whole(1, most) for name, most in MOST.items()},
    "data": _text(LONGEST_TEXT),
    "symbol": _symbols,
    "prices": choice(Prices),
    "fill": choice(Fill),
    "grid": choice(Spacing),
    "mode": choice(Mode),
    "style": choice(ExecutionStyle),
    "levels": whole(FEWEST_LEVELS, MOST_LEVELS),
    "lower": number(_ZERO, MOST_QUOTE, beyond=True),
    "upper": number(_ZERO, MOST_QUOTE, beyond=True),
    "step": number(Decimal("0.000001"), Decimal("0.5")),
    "lot": number(_ZERO, MOST_QUOTE, beyond=True),
    "cash": number(_ZERO, MOST_QUOTE, beyond=True),
    "base": number(_ZERO, MOST_QUOTE, beyond=True),
    "fee_maker": number(_ZERO, Decimal("0.1")),
    "fee_taker": number(_ZERO, Decimal("0.1")),
    "latency_ms": number(_ZERO, MOST_LATENCY_MS),
    "max_drawdown": number(_ZERO, _ONE, beyond=True),
    "max_trades_per_day": whole(1, 1_000_000),
    "engine": choice(Engine),
    "kind": choice(Kind),
    "atr_multiple": number(_ZERO, Decimal(1_000), beyond=True),
    "trail_up_to": number(_ZERO, MOST_QUOTE, beyond=True),
    "trail_down_to": number(_ZERO, MOST_QUOTE, beyond=True),
    "carried": choice(Carried),
    "reinvest": number(_ZERO, _ONE),
    "skew": number(-_ONE, _ONE),
    "stop": number(_ZERO, MOST_QUOTE, beyond=True),
    "take_profit": number(_ZERO, MOST_QUOTE, beyond=True),
    "start_at": number(_ZERO, MOST_QUOTE, beyond=True),
    "queue": read_queue,
    "each": _text(LONGEST_TEXT),
}

"""Every kind of grid as data: what a person chooses, strictly checked."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from trading.domain.grid import MAX_SLOTS, GridSettings, UnableToBuild
from trading.domain.levels import Spacing
from trading.domain.limits import ExecutionStyle
from trading.domain.terms import Mode

_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
MOST: Final = {  # of each count; ours
    "atr_bars": 10_000, "atr_bar_s": 86_400, "recentre_steps": 500, "reinvest_every_s": 31_536_000, "resting": 500,
}  # fmt: skip
_OF_THE_SHAPE: Final = ("kind", "mode", "spacing", "lower", "upper", "step_fraction", "slots")
_OF_THE_RANGE: Final = ("atr_multiple", "atr_bars", "atr_bar_s")


class Kind(StrEnum):
    """What a grid earns and where it ends.

    RANGE works between two prices and earns quote. INFINITY has no upper price: it keeps base of a constant value.
    REVERSE sells first and buys back more base for the same quote: it earns base.
    """

    RANGE = "range"
    INFINITY = "infinity"
    REVERSE = "reverse"


class Carried(StrEnum):
    """What happens to open lots whose slot falls out of the ladder when it is laid anew.

    KEEP leaves them their exit, outside the ladder. CLOSE trades them back at the market. ROLL gives them a slot of the
    new ladder, and with it a nearer exit; what finds no slot is closed.
    """

    KEEP = "keep"
    CLOSE = "close"
    ROLL = "roll"


class Problem(NamedTuple):
    """One thing that is wrong with a specification."""

    field: str
    text: str  # the reason, and what to change


class UnsoundGrid(UnableToBuild):
    """A specification that is no grid; it names every field that is wrong, why, and what to change."""

    def __init__(self, symbol: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(f"{symbol} grid: " + "; ".join(f"{field}: {text}" for field, text in problems) + ".")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class GridSpec:
    """What a person chooses for one grid; prices in quote currency, None where a thing is not wanted.

    The range is either `lower` and `upper`, or lies around the price with steps of `step_fraction` of it, or of
    `atr_multiple` average true ranges. INFINITY has `lower` and `step_fraction`.

    Raises:
        UnsoundGrid: fields that are wrong or contradict each other, all of them at once.
    """

    symbol: str
    slots: int  # n slots have n + 1 levels; INFINITY: slots laid on either side of the price
    lot_quote: Decimal | None = None  # value of one lot where its slot opens; INFINITY: value sold at every level
    lot_base: Decimal | None = None  # or its quantity
    kind: Kind = Kind.RANGE
    mode: Mode = Mode.LONG
    style: ExecutionStyle = ExecutionStyle.MAKER
    spacing: Spacing = Spacing.GEOMETRIC
    lower: Decimal | None = None
    upper: Decimal | None = None
    step_fraction: Decimal | None = None  # of the price; arithmetic: of the centre
    atr_multiple: Decimal | None = None  # step in average true ranges, measured when the ladder is laid
    atr_bars: int = 14  # Wilder's own
    atr_bar_s: int = 60
    trail_up_to: Decimal | None = None  # the ladder follows a rising price; its top level never above this
    trail_down_to: Decimal | None = None  # the ladder follows a falling price; its lowest level never below this
    recentre_steps: int | None = None  # laid anew around a price so many steps outside the range
    carried: Carried = Carried.KEEP
    reinvest_fraction: Decimal = _ZERO  # of the grid profit, spread over the slots
    reinvest_every_s: int | None = None
    resting: int | None = None  # orders a side that rest at once; further levels are virtual; None: all rest
    skew_fraction: Decimal = _ZERO  # > 0: lots shrink as the inventory grows; < 0: they grow; within -1..1
    stop: Decimal | None = None  # LONG, NEUTRAL: below the range; SHORT: above it
    take_profit: Decimal | None = None  # on the other side
    flatten: bool = True  # close everything open at the stop and at the take-profit bound
    start_at: Decimal | None = None  # nothing is done before the price has reached this

    def __post_init__(self) -> None:
        """Refuse what is no grid."""
        problems = tuple(_problems(self))
        if problems:
            raise UnsoundGrid(self.symbol, problems)

    @property
    def is_long(self) -> bool:
        """True when a slot opens with a buy."""
        return self.mode is not Mode.SHORT

    @property
    def is_trailing(self) -> bool:
        """True when the ladder follows the price, up or down."""
        return self.trail_up_to is not None or self.trail_down_to is not None


Chosen = GridSettings | GridSpec  # a ladder that stays where it is laid, or one that moves, starts and ends by itself


def not_live(spec: GridSpec) -> tuple[Problem, ...]:
    """Return what of `spec` only the backtest lab runs; empty: a desk may run it."""
    return tuple(_lab_only(spec))


def shape(spec: GridSpec) -> tuple[str, ...]:
    """Return what of `spec` says where its levels lie; lots and bounds may change without another ladder."""
    names = _OF_THE_SHAPE if spec.atr_multiple is None else _OF_THE_SHAPE + _OF_THE_RANGE
    return tuple(str(getattr(spec, name)) for name in names)


def plain(settings: GridSettings) -> GridSpec:
    """Return a ladder that stays where it is laid as a specification."""
    return GridSpec(
        symbol=settings.symbol,
        slots=settings.slots,
        lot_quote=settings.lot_quote,
        style=settings.style,
        spacing=settings.spacing,
        step_fraction=settings.step_fraction,
    )


def settings_of(spec: GridSpec) -> GridSettings:
    """Return what the live loop asks of every ladder; the step of a fixed range is the one of its middle, and
    0 where it is measured when the ladder is laid.

    Raises:
        UnsoundGrid: it runs in the lab only.
    """
    problems = not_live(spec)
    if problems or spec.lot_quote is None:
        raise UnsoundGrid(spec.symbol, problems)
    return GridSettings(spec.symbol, spec.style, _usual_step(spec), spec.slots, spec.lot_quote, spec.spacing)


def _usual_step(spec: GridSpec) -> Decimal:
    if spec.lower is None or spec.upper is None:
        return spec.step_fraction or _ZERO
    if spec.spacing is Spacing.GEOMETRIC:
        return (spec.upper / spec.lower) ** (_ONE / spec.slots) - 1
    return 2 * (spec.upper - spec.lower) / spec.slots / (spec.upper + spec.lower)


def _lab_only(spec: GridSpec) -> Iterator[Problem]:
    if spec.kind is not Kind.RANGE:
        yield Problem("kind", f"{spec.kind} runs in the backtest lab only; use {Kind.RANGE}")
    if not spec.is_long:
        yield Problem("mode", f"{spec.mode} runs in the backtest lab only; use {Mode.LONG} or {Mode.NEUTRAL}")
    if spec.lot_base is not None:
        yield Problem("lot_base", "the mandate sizes the lots of a desk by their value; use lot_quote")
    if spec.carried is Carried.ROLL:
        yield Problem("carried", f"{Carried.ROLL} runs in the backtest lab only; use {Carried.KEEP} or {Carried.CLOSE}")
    if spec.reinvest_every_s is not None:
        yield Problem("reinvest_every_s", "it runs in the backtest lab only; leave it out")


def _problems(spec: GridSpec) -> Iterator[Problem]:
    numbers = tuple(_numbers(spec))
    yield from numbers
    if numbers:
        return  # what is no number cannot be compared
    yield from _sizes(spec)
    yield from _range(spec)
    yield from _following(spec)
    yield from _reinvesting(spec)
    yield from _ends(spec)
    if spec.kind is Kind.INFINITY:
        yield from _infinity(spec)
    if spec.kind is Kind.REVERSE:
        yield from _reverse(spec)


def _numbers(spec: GridSpec) -> Iterator[Problem]:
    if not 1 <= spec.slots <= MAX_SLOTS:
        yield Problem("slots", f"{spec.slots} is no number of slots; use 1 to {MAX_SLOTS}")
    for name in (field.name for field in fields(spec)):
        value = getattr(spec, name)
        if not isinstance(value, Decimal):
            continue
        if not value.is_finite():
            yield Problem(name, f"{value} is not a number; use a plain decimal such as 0.01")
        elif value <= 0 and name not in {"skew_fraction", "reinvest_fraction"}:
            yield Problem(name, f"{value} is not above zero; use a positive number, or leave it out")
    for name, most in MOST.items():
        count = getattr(spec, name)
        if count is not None and not 1 <= count <= most:
            yield Problem(name, f"{count} is not from 1 to {most}; use such a whole number, or leave it out")


def _sizes(spec: GridSpec) -> Iterator[Problem]:
    if (spec.lot_quote is None) == (spec.lot_base is None):
        yield Problem("lot_quote", "a lot is either a value (lot_quote) or a quantity (lot_base); give one of them")
    if not -_ONE < spec.skew_fraction < _ONE:
        yield Problem("skew_fraction", f"{spec.skew_fraction} would leave a slot without a lot; stay between -1 and 1")
    if spec.resting is not None and spec.style is ExecutionStyle.TAKER:
        yield Problem("resting", "a TAKER grid rests no orders; leave it out, or choose MAKER")


def _range(spec: GridSpec) -> Iterator[Problem]:
    if spec.step_fraction is not None and spec.step_fraction >= 1:
        yield Problem("step_fraction", f"{spec.step_fraction} is not below 1; use a fraction such as 0.001")
    if spec.kind is Kind.INFINITY:
        return
    ways = (
        spec.lower is not None or spec.upper is not None,
        spec.step_fraction is not None,
        spec.atr_multiple is not None,
    )
    if sum(ways) != 1:
        yield Problem("lower", "give either lower and upper, or step_fraction, or atr_multiple; exactly one of them")
    elif ways[0] and (spec.lower is None or spec.upper is None):
        yield Problem("lower" if spec.lower is None else "upper", "a range has two ends; give both")
    if spec.lower is not None and spec.upper is not None and spec.lower >= spec.upper:
        yield Problem("upper", f"{spec.upper} is not above lower ({spec.lower}); exchange or widen them")


def _following(spec: GridSpec) -> Iterator[Problem]:
    if spec.recentre_steps is not None and spec.is_trailing:
        yield Problem("recentre_steps", "a grid trails or is laid anew around the price, not both; leave one out")
    if spec.recentre_steps is not None and spec.lower is not None:
        yield Problem("recentre_steps", "a fixed range has no other centre; use step_fraction or atr_multiple")
    if spec.trail_up_to is not None and spec.upper is not None and spec.trail_up_to <= spec.upper:
        yield Problem("trail_up_to", f"{spec.trail_up_to} is not above upper ({spec.upper}); raise it, or leave it out")
    if spec.trail_down_to is not None and spec.lower is not None and spec.trail_down_to >= spec.lower:
        yield Problem(
            "trail_down_to", f"{spec.trail_down_to} is not below lower ({spec.lower}); lower it, or leave it out"
        )


def _reinvesting(spec: GridSpec) -> Iterator[Problem]:
    if not 0 <= spec.reinvest_fraction <= 1:
        yield Problem("reinvest_fraction", f"{spec.reinvest_fraction} is no share of the profit; use 0 to 1")
    if (spec.reinvest_fraction > 0) != (spec.reinvest_every_s is not None):
        yield Problem("reinvest_every_s", "reinvesting needs a share and an interval; give both, or neither")
    if spec.reinvest_fraction > 0 and (spec.kind is not Kind.RANGE or not spec.is_long):
        yield Problem("reinvest_fraction", "only a LONG or NEUTRAL range earns quote to reinvest; leave it out")


def _ends(spec: GridSpec) -> Iterator[Problem]:
    below, above = ("stop", "take_profit") if spec.is_long else ("take_profit", "stop")
    low, high = getattr(spec, below), getattr(spec, above)
    if low is not None and high is not None and low >= high:
        yield Problem(below, f"{low} is not below {above} ({high}); exchange them")
    for floor in ("lower", "trail_down_to"):
        value = getattr(spec, floor)
        if low is not None and value is not None and low >= value:
            yield Problem(below, f"{low} is not below {floor} ({value}); lower it")
    for ceiling in ("upper", "trail_up_to"):
        value = getattr(spec, ceiling)
        if high is not None and value is not None and high <= value:
            yield Problem(above, f"{high} is not above {ceiling} ({value}); raise it")


def _infinity(spec: GridSpec) -> Iterator[Problem]:
    for name in ("lower", "step_fraction", "lot_quote"):
        if getattr(spec, name) is None:
            yield Problem(name, "an infinity grid needs it; give a number")
    for name in ("upper", "atr_multiple", "trail_up_to", "trail_down_to", "recentre_steps"):
        if getattr(spec, name) is not None:
            yield Problem(name, "an infinity grid has no upper end and never moves; leave it out")
    if spec.mode is not Mode.NEUTRAL:
        yield Problem("mode", f"an infinity grid holds base from the start; use {Mode.NEUTRAL}")
    if spec.spacing is not Spacing.GEOMETRIC:
        yield Problem("spacing", f"an infinity grid keeps a constant ratio; use {Spacing.GEOMETRIC}")
    if spec.skew_fraction:
        yield Problem("skew_fraction", "the lots of an infinity grid follow from its value; leave it at 0")


def _reverse(spec: GridSpec) -> Iterator[Problem]:
    if spec.mode is not Mode.SHORT:
        yield Problem("mode", f"a reverse grid sells first; use {Mode.SHORT}")
    if spec.lot_quote is None:
        yield Problem("lot_quote", "a reverse grid buys back for the quote it sold for; give the value of a lot")
    if spec.carried is Carried.ROLL:
        yield Problem("carried", f"what a reverse grid sold is bought back for the same quote; use {Carried.KEEP}")

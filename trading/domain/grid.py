"""The ladder: where a grid buys, where it sells, how much, and whether the venue and the mandate let it."""

from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from itertools import pairwise
from typing import Final

from trading.domain.fees import Fees
from trading.domain.instruments import Instrument
from trading.domain.levels import Spacing as Spacing
from trading.domain.levels import around
from trading.domain.limits import ExecutionStyle, Limits

MAX_SLOTS: Final = 500  # a ladder longer than any phase of the mission; a larger number is a slip of the pen
_CENT: Final = Decimal("0.01")
_STEP_SLACK: Final = Decimal("0.02")  # geometric steps grow along the ladder


class UnableToBuild(ValueError):
    """The levels of a grid cannot be laid out; the message names the field, the reason and what to change."""


@dataclass(frozen=True, slots=True)
class GridSettings:
    """What a person chooses for one grid; mode is long: it buys below, sells one level higher."""

    symbol: str
    style: ExecutionStyle
    step_fraction: Decimal  # distance of two levels, as a fraction of the price (arithmetic: of the centre)
    slots: int  # n slots have n + 1 levels
    lot_quote: Decimal  # value of one lot, quote currency
    spacing: Spacing = Spacing.GEOMETRIC


@dataclass(frozen=True, slots=True)
class GridPlan:
    """One laid-out grid. Slot i buys at `levels[i]` and sells at `levels[i + 1]`."""

    settings: GridSettings
    levels: tuple[int, ...]  # ticks, strictly ascending
    sizes: tuple[int, ...] = ()  # lots of every slot where they differ from what `lot_quote` buys; else empty

    @property
    def symbol(self) -> str:
        """Instrument this grid trades."""
        return self.settings.symbol

    @property
    def slots(self) -> int:
        """Number of slots; there is one more level."""
        return len(self.levels) - 1

    def lots(self, slot: int, instrument: Instrument) -> int:
        """Return the quantity of one lot of `slot`: what `lot_quote` buys at its level, rounded down."""
        if self.sizes:
            return self.sizes[slot]
        return instrument.lots_down(self.settings.lot_quote / instrument.price(self.levels[slot]))

    def smallest_step_fraction(self) -> Decimal:
        """Return the narrowest step of the ladder as a fraction of its lower level, after rounding to the tick."""
        pairs = pairwise(self.levels)
        return min(Decimal(high - low) / low for low, high in pairs)


def build(settings: GridSettings, instrument: Instrument, centre_ticks: int) -> GridPlan:
    """Return the ladder around `centre_ticks`: the first buy level lies half a step below, half of the slots above.

    Raises:
        UnableToBuild: no slots, a step that is no positive finite fraction below 1, levels that fall together on the
            tick or reach zero.
    """
    _check(settings, centre_ticks)
    below = settings.slots // 2 + 1  # levels below the centre: the slot around it, and half of the others
    levels = around(settings.spacing, centre_ticks, settings.step_fraction).window(-below, settings.slots)
    if levels[0] <= 0:
        raise UnableToBuild(
            f"{settings.symbol} grid: the lowest level is not above zero; use fewer slots or a smaller step."
        )
    if any(high <= low for low, high in pairwise(levels)):
        raise UnableToBuild(
            f"{settings.symbol} grid: step_fraction {settings.step_fraction} is less than one tick "
            f"({instrument.tick_size}) at {instrument.price(centre_ticks)}; use a wider step."
        )
    return GridPlan(settings, levels)


def from_levels(settings: GridSettings, levels: tuple[int, ...], *, only_if_fits: bool = True) -> GridPlan | None:
    """Return the plan of stored `levels`; None when they are no ladder, or (`only_if_fits`) not that of `settings`."""
    rising = all(high > low for low, high in pairwise(levels))
    if len(levels) < 2 or levels[0] <= 0 or not rising:
        return None
    plan = GridPlan(settings, levels)
    if not only_if_fits:
        return plan
    # Rounding to the tick moves a step by at most one tick; a changed setting moves it by more or changes the count.
    step = (levels[-1] - levels[0]) / Decimal(plan.slots)
    wanted = settings.step_fraction * (levels[0] + levels[-1]) / 2
    return plan if plan.slots == settings.slots and abs(step - wanted) <= 1 + wanted * _STEP_SLACK else None


def break_even_step_fraction(settings: GridSettings, fees: Fees, spread_fraction: Decimal) -> Decimal:
    """Return the step at which a round trip earns nothing: 2 x fee of the style, plus the spread a taker pays.

    Shapes:
        spread_fraction: (ask - bid) / bid, >= 0.
    """
    return 2 * fee_fraction(settings.style, fees) + spread_fraction


def fee_fraction(style: ExecutionStyle, fees: Fees) -> Decimal:
    """Return the fee of one fill of a grid of this style, as a fraction of its value."""
    return fees.maker_fraction if style is ExecutionStyle.MAKER else fees.taker_fraction


def narrowest_step_fraction(settings: GridSettings, fees: Fees, tick_fraction: Decimal) -> Decimal:
    """Return the narrowest step that pays for itself while the spread is one tick, however its levels are rounded.

    Rounding moves two neighbours by half a tick each, so a step may lose one tick of its width.

    Shapes:
        tick_fraction: tick size / lowest price of the ladder, > 0.
    """
    return break_even_step_fraction(settings, fees, tick_fraction) + tick_fraction


@dataclass(frozen=True, slots=True)
class Feasible:
    """The grid may run; `lots` of the top slot and the capital it needs when every slot is filled."""

    lots: int
    capital_quote: Decimal


@dataclass(frozen=True, slots=True)
class Infeasible:
    """The grid may not run: which limit binds, and the smallest capital with which it would."""

    binding: str  # name of the filter or limit, e.g. "MIN_NOTIONAL", "max_position_fraction", "break_even_step"
    reason: str
    smallest_capital_quote: Decimal | None  # None: more capital does not help


def feasibility(
    plan: GridPlan, instrument: Instrument, limits: Limits, fees: Fees, spread_fraction: Decimal = Decimal(0)
) -> Feasible | Infeasible:
    """Return whether `plan` fits the venue's filters, the mandate and its own costs."""
    for verdict in (
        _mandate(plan, limits),
        _costs(plan, fees, spread_fraction),
        _smallest_lot(plan, instrument, limits),
        _largest_lot(plan, instrument),
        _lot_cap(plan, limits),
        _exposure(plan, limits),
    ):
        if verdict is not None:
            return verdict
    return Feasible(plan.lots(plan.slots - 1, instrument), plan.settings.lot_quote * plan.slots)


def within_mandate(settings: GridSettings, limits: Limits) -> Infeasible | None:
    """Return which limit of the mandate refuses `settings` wherever its levels lie; None: none does."""
    plan = GridPlan(settings, ())
    return _mandate(plan, limits) or _lot_cap(plan, limits) or _exposure(plan, limits)


def _check(settings: GridSettings, centre_ticks: int) -> None:
    step = settings.step_fraction
    if not 1 <= settings.slots <= MAX_SLOTS:
        raise UnableToBuild(f"{settings.symbol} grid: slots is {settings.slots}; use 1 to {MAX_SLOTS}.")
    if not step.is_finite() or not 0 < step < 1:
        raise UnableToBuild(f"{settings.symbol} grid: step_fraction is {step}; use a fraction such as 0.001.")
    if not settings.lot_quote.is_finite() or settings.lot_quote <= 0:
        raise UnableToBuild(f"{settings.symbol} grid: lot_quote is {settings.lot_quote}; use a positive amount.")
    if centre_ticks <= 0:
        raise UnableToBuild(f"{settings.symbol} grid: the centre price is not above zero; wait for a price.")


def _mandate(plan: GridPlan, limits: Limits) -> Infeasible | None:
    symbol, style = plan.symbol, plan.settings.style
    if symbol not in limits.symbols:
        return Infeasible("symbols", f"{symbol} is not in the mandate of phase {limits.phase}; remove the grid.", None)
    if style not in limits.execution_styles:
        allowed = ", ".join(sorted(limits.execution_styles))
        return Infeasible(
            "execution_styles", f"{symbol}: {style} is not allowed in phase {limits.phase}; use {allowed}.", None
        )
    return None


def _costs(plan: GridPlan, fees: Fees, spread_fraction: Decimal) -> Infeasible | None:
    floor = break_even_step_fraction(plan.settings, fees, spread_fraction)
    step = plan.smallest_step_fraction()
    if step >= floor:
        return None
    return Infeasible(
        "break_even_step",
        f"{plan.symbol}: a step of {step:.6f} earns less than the fees and the spread of a round trip ({floor:.6f}); "
        "use a wider step.",
        None,
    )


def _smallest_lot(plan: GridPlan, instrument: Instrument, limits: Limits) -> Infeasible | None:
    needed = [instrument.smallest_lots(ticks) for ticks in plan.levels[:-1]]
    short = [slot for slot, lots in enumerate(needed) if plan.lots(slot, instrument) < lots]
    if not short:
        return None
    # Every slot must be able to buy its smallest order: the dearest of them sets the capital.
    lot_quote = _up(max(instrument.notional(plan.levels[slot], needed[slot]) for slot in range(plan.slots)))
    ticks, lots = plan.levels[short[0]], needed[short[0]]
    binding = "MIN_NOTIONAL" if instrument.notional(ticks, lots - 1) < instrument.min_notional else "LOT_SIZE"
    capital = _up(lot_quote / limits.max_position_fraction) if limits.max_position_fraction > 0 else None
    return Infeasible(
        binding,
        f"{plan.symbol}: a lot of {plan.settings.lot_quote} {instrument.quote} is below the venue's smallest order "
        f"({binding}, {lot_quote} {instrument.quote}); with max_position_fraction {limits.max_position_fraction} "
        f"it works from a capital of {capital} {instrument.quote} on.",
        capital,
    )


def _largest_lot(plan: GridPlan, instrument: Instrument) -> Infeasible | None:
    taker = plan.settings.style is ExecutionStyle.TAKER
    largest = min(instrument.max_quantity, instrument.market_max_quantity) if taker else instrument.max_quantity
    if instrument.quantity(plan.lots(0, instrument)) <= largest:
        return None
    binding = "MARKET_LOT_SIZE" if taker else "LOT_SIZE"
    return Infeasible(
        binding,
        f"{plan.symbol}: a lot is above the venue's largest order ({binding}, {largest}); use a smaller lot.",
        None,
    )


def _lot_cap(plan: GridPlan, limits: Limits) -> Infeasible | None:
    lot = plan.settings.lot_quote
    if lot <= limits.max_lot_quote:
        return None
    if lot <= limits.max_position_quote:
        text = f"would lose more than {limits.max_trade_loss_quote} at the hard stop; lay lots of at most"
        return Infeasible("max_trade_loss_quote", f"{plan.symbol}: a lot of {lot} {text} {limits.max_lot_quote}.", None)
    capital = _up(lot / limits.max_position_fraction) if limits.max_position_fraction > 0 else None
    return Infeasible(
        "max_position_fraction",
        f"{plan.symbol}: a lot of {lot} is above the mandate's {limits.max_position_quote} "
        f"({limits.max_position_fraction} of {limits.capital_quote}); it works from a capital of {capital} on.",
        capital,
    )


def _exposure(plan: GridPlan, limits: Limits) -> Infeasible | None:
    """One lot must fit; a ladder that outgrows the exposure cap runs, and its furthest slots are denied."""
    names = ("max_symbol_exposure_fraction", "max_total_exposure_fraction")
    for name in names:
        fraction: Decimal = getattr(limits, name)
        if plan.settings.lot_quote > limits.capital_quote * fraction:
            capital = _up(plan.settings.lot_quote / fraction) if fraction > 0 else None
            return Infeasible(
                name, f"{plan.symbol}: not even one lot fits under {name} {fraction}; lower the lot.", capital
            )
    return None


def _up(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_UP)

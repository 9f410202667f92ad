"""One grid in full: its facts, whether it is feasible, and its ladder rung by rung."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Final

from django.db.models import Count, Sum

from trading import live
from trading.domain import grid as ladders
from trading.domain.fees import DEMO_FEES
from trading.domain.grids import shape
from trading.domain.instruments import Instrument
from trading.domain.laying import ladder as wanted_lots
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.orders import OPEN, Side
from trading.domain.places import Place
from trading.domain.preview import spacing_floor_fraction
from trading.live import Values
from trading.models import Account, Fill, Grid, Order, VenueInstrument, running
from trading.selectors import desks, mark_outs
from trading.selectors.numbers import UNKNOWN, as_number, decimals_of, percent, plain, short, signed

WIDE_SPREAD: Final = Decimal("0.01")  # a wider one is a broken book, not a cost to reckon with


@dataclass(frozen=True, slots=True)
class Rung:
    """One slot of the ladder as the action it takes next, at which price."""

    slot: int
    price: float  # for the mark of the last price
    price_text: str
    action: str  # "BUY" | "SELL"
    quantity: str
    order: str  # status of the working order; "virtual" while a taker level only waits for the price
    fills: int  # of the trading day


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rungs from the highest price down, with the hottest one's count."""

    rungs: tuple[Rung, ...]
    most_fills: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What follows from the ladder in force; unknown until it is centred."""

    range_text: str = UNKNOWN
    step_quote: str = UNKNOWN
    round_trip: str = UNKNOWN  # profit of one round trip after fees, quote
    round_trip_percent: str = UNKNOWN
    lot_base: str = UNKNOWN


@dataclass(frozen=True, slots=True)
class GridFacts:
    """What a person asks of one grid."""

    grid: Grid
    base: str
    steps: desks.Steps
    plan: PlanFacts
    step: str
    break_even: str
    mark_out: str
    spacing_floor: str
    lot: str
    fees: str
    filters: str
    filters_as_of: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether the grid may run, in one sentence."""

    level: str  # "ok" | "warn" | "wait"
    text: str


@dataclass(frozen=True, slots=True)
class GridPage:
    """Everything the page shows of one grid."""

    facts: GridFacts
    finding: Finding
    warning: str  # what may run, and will hardly earn anything
    unknown: str  # what the page does not know, and why
    ladder: Ladder | None  # None: not centred yet


def page(account: Account, symbol: str, values: Values, at: datetime) -> GridPage | None:
    """Return one grid of `account` in full, or None when it runs none on `symbol`."""
    row = Grid.objects.filter(account=account, symbol=symbol).first()
    if row is None:
        return None
    filters = desks.instruments_of(account).get(symbol)
    instrument = as_instrument(filters) if filters else None
    plan = _plan(row, instrument)
    mandate = desks.mandate_in_force(account)
    spread = _spread(symbol, values)
    limits = desks.limits_of(mandate) if mandate else None
    costs = _costs(account, row, spread, at)
    return GridPage(
        facts=_facts(row, plan, instrument, filters, costs),
        finding=_finding(plan, instrument, limits, spread),
        warning=mark_outs.warning(_narrowest(plan) if plan else row.step_fraction or None, costs.floor),
        unknown=costs.measured.why,
        ladder=_ladder(account, row, plan, instrument) if plan and instrument else None,
    )


def as_instrument(row: VenueInstrument) -> Instrument:
    """Return the venue's filters as the core reads them."""
    return Instrument(
        symbol=row.symbol,
        base=row.base,
        quote=row.quote,
        tick_size=row.tick_size,
        lot_size=row.lot_size,
        min_notional=row.min_notional,
        min_quantity=row.min_quantity,
        max_quantity=row.max_quantity,
        market_max_quantity=row.market_max_quantity,
        trading=row.trading,
    )


def levels_of(account: Account, symbol: str) -> list[float]:
    """Return the prices of the ladder in force, lowest first; empty while it is not centred."""
    row = Grid.objects.filter(account=account, symbol=symbol).first()
    filters = desks.instruments_of(account).get(symbol)
    if row is None or filters is None:
        return []
    return [float(ticks * filters.tick_size) for ticks in row.levels_ticks]


def _settings(row: Grid) -> ladders.GridSettings:
    return ladders.GridSettings(
        symbol=row.symbol,
        style=ExecutionStyle(row.style),
        step_fraction=row.step_fraction,
        slots=row.slots,
        lot_quote=row.lot_quote,
        spacing=ladders.Spacing(row.spacing),
    )


def _plan(row: Grid, instrument: Instrument | None) -> ladders.GridPlan | None:
    """Return the ladder in force; None before it is laid, and between an edit and the ladder that follows it."""
    if not row.levels_ticks:
        return None
    in_force = running(row)
    if in_force.footing is None:
        return ladders.from_levels(_settings(row), tuple(row.levels_ticks))
    if instrument is None or in_force.footing.shape != shape(in_force.spec):
        return None
    lots = wanted_lots(in_force.spec, instrument, in_force.levels).lots
    return ladders.GridPlan(_settings(row), in_force.levels, lots)


def _spread(symbol: str, values: Values) -> Decimal:
    bid, ask = (as_number(values.get(live.market(symbol, side))) for side in ("bid", "ask"))
    if not bid or not ask or ask < bid:
        return Decimal(0)
    return min(Decimal(str(ask - bid)) / Decimal(str(bid)), WIDE_SPREAD)


def _narrowest(plan: ladders.GridPlan) -> Decimal:
    return min(Decimal(high - low) / low for low, high in pairwise(plan.levels))


@dataclass(frozen=True, slots=True)
class _Costs:
    """What a round trip costs, as fractions of the price."""

    break_even: Decimal
    measured: mark_outs.Measured

    @property
    def floor(self) -> Decimal | None:
        return spacing_floor_fraction(self.break_even, self.measured.mark_out.fraction)


def _costs(account: Account, row: Grid, spread: Decimal, at: datetime) -> _Costs:
    break_even = ladders.break_even_step_fraction(_settings(row), DEMO_FEES, spread)
    return _Costs(break_even, mark_outs.recent(account, row.symbol, at))


def _facts(
    row: Grid,
    plan: ladders.GridPlan | None,
    instrument: Instrument | None,
    filters: VenueInstrument | None,
    costs: _Costs,
) -> GridFacts:
    steps = desks.steps_of({row.symbol: filters} if filters else {}, row.symbol)
    return GridFacts(
        grid=row,
        base=filters.base if filters else "",
        steps=steps,
        plan=_plan_facts(row, plan, instrument, steps) if plan and instrument else PlanFacts(),
        step=percent(row.step_fraction, 3) if row.step_fraction else "as measured when it is laid",
        break_even=percent(costs.break_even, 3),
        mark_out=costs.measured.words,
        spacing_floor=mark_outs.floor_words(costs.floor),
        lot=plain(row.lot_quote),
        fees=f"{short(DEMO_FEES.maker_fraction * 100)} % maker, {short(DEMO_FEES.taker_fraction * 100)} % taker",
        filters=_filter_text(filters),
        filters_as_of=filters.as_of.isoformat() if filters else UNKNOWN,
    )


def _plan_facts(row: Grid, plan: ladders.GridPlan, instrument: Instrument, steps: desks.Steps) -> PlanFacts:
    middle = plan.slots // 2
    low, high, lots = plan.levels[middle], plan.levels[middle + 1], plan.lots(middle, instrument)
    bought, sold = instrument.notional(low, lots), instrument.notional(high, lots)
    maker = row.style == ExecutionStyle.MAKER
    profit = sold - bought - DEMO_FEES.fee(bought, maker=maker) - DEMO_FEES.fee(sold, maker=maker)
    edges = (instrument.price(plan.levels[0]), instrument.price(plan.levels[-1]))
    return PlanFacts(
        range_text=" – ".join(plain(price, steps.price) for price in edges),  # noqa: RUF001 - a range takes an en dash
        step_quote=plain(instrument.price(high - low), steps.price),
        round_trip=signed(profit, 4),
        round_trip_percent=percent(profit / bought, 3) if bought else UNKNOWN,
        lot_base=plain(instrument.quantity(lots), steps.quantity),
    )


def _filter_text(row: VenueInstrument | None) -> str:
    if row is None:
        return "not known"
    return f"tick {short(row.tick_size)}, lot {short(row.lot_size)}, min notional {short(row.min_notional)} {row.quote}"


def _finding(
    plan: ladders.GridPlan | None, instrument: Instrument | None, limits: Limits | None, spread: Decimal
) -> Finding:
    if instrument is None:
        return Finding("warn", "The venue lists no such symbol: its filters are not known, so this grid does not run.")
    if limits is None:
        return Finding("warn", "No mandate is in force for this desk, so no order may be sent.")
    if plan is None:
        return Finding("wait", "Not centred yet: the ladder is laid around the first price of this lap.")
    verdict = ladders.feasibility(plan, instrument, limits, DEMO_FEES, spread)
    if isinstance(verdict, ladders.Infeasible):
        return Finding("warn", f"Does not run: {verdict.reason}")
    return Finding(
        "ok",
        f"Feasible: {plan.slots} lots of {plain(plan.settings.lot_quote)} {instrument.quote} need "
        f"{plain(verdict.capital_quote)} {instrument.quote} when every slot is filled.",
    )


def _ladder(account: Account, row: Grid, plan: ladders.GridPlan, instrument: Instrument) -> Ladder:
    lap = row.levels_lap
    held, fills = _held(account, row.symbol, lap), _fill_counts(account, row.symbol, lap)
    working = _working(account, row.symbol)
    lots = {pair: plan.lots(at, instrument) for at, pair in enumerate(pairwise(plan.levels))}
    rungs = [
        _rung(row, place, instrument, held.get(place.number, 0), working.get(place.number),
              lots.get((place.low_ticks, place.high_ticks), 0), fills.get(place.number, 0))
        for place in running(row).places
        if place.role.is_of_ladder or held.get(place.number, 0) > 0 or place.number in working
    ]  # fmt: skip
    return Ladder(
        rungs=tuple(sorted(rungs, key=lambda rung: -rung.price)),
        most_fills=max((rung.fills for rung in rungs), default=0),
        low=float(instrument.price(plan.levels[0])),
        high=float(instrument.price(plan.levels[-1])),
    )


def _rung(
    row: Grid,
    place: Place,
    instrument: Instrument,
    held_lots: int,
    order: Order | None,
    whole_lots: int,
    fills: int,
) -> Rung:
    steps = desks.Steps(decimals_of(instrument.tick_size), decimals_of(instrument.lot_size))
    selling = (order.side == Side.SELL) if order else held_lots > 0
    ticks = place.high_ticks if selling else place.low_ticks
    lots = order.quantity_lots - order.filled_lots if order else held_lots if selling else whole_lots
    return Rung(
        slot=place.number,
        price=float(instrument.price(ticks)),
        price_text=plain(instrument.price(ticks), steps.price),
        action="SELL" if selling else "BUY",
        quantity=plain(instrument.quantity(lots), steps.quantity),
        order=_order_text(row, order),
        fills=fills,
    )


def _order_text(row: Grid, order: Order | None) -> str:
    if order is not None:
        return order.status
    return "virtual" if row.style == ExecutionStyle.TAKER else "none"


def _held(account: Account, symbol: str, lap: int) -> dict[int, int]:
    """Return slot -> lots bought and not yet sold in this lap."""
    held: dict[int, int] = {}
    rows = (
        Fill.objects.filter(account=account, symbol=symbol, lap=lap, slot__isnull=False)
        .values_list("slot", "side")
        .annotate(lots=Sum("quantity_lots"))
        .order_by()
    )
    for slot, side, lots in rows:
        held[slot] = held.get(slot, 0) + (lots if side == Side.BUY else -lots)
    return held


def _fill_counts(account: Account, symbol: str, lap: int) -> dict[int, int]:
    rows = (
        Fill.objects.filter(account=account, symbol=symbol, lap=lap, slot__isnull=False)
        .values_list("slot")
        .annotate(count=Count("order", distinct=True))
        .order_by()
    )
    return dict(rows)


def _working(account: Account, symbol: str) -> dict[int, Order]:
    rows: Iterable[Order] = Order.objects.filter(
        account=account, symbol=symbol, status__in=OPEN, slot__isnull=False
    ).order_by("id")
    return {order.slot: order for order in rows if order.slot is not None}

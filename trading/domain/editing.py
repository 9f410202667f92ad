"""Editing a running grid: what changes between the ladder in force and the new one, order by order."""

from collections import Counter
from dataclasses import dataclass, replace

from trading.domain.carrying import From, Lots, Standing, Touch, Why, move
from trading.domain.grids import Carried, GridSpec
from trading.domain.instruments import Instrument
from trading.domain.laying import Laid
from trading.domain.orders import Side
from trading.domain.preview import Resting, nearest, resting_orders


@dataclass(frozen=True, slots=True)
class Change:
    """What editing does. Orders with the same side, price and lots stay where they are, and keep their queue."""

    levels_kept: tuple[int, ...]
    levels_added: tuple[int, ...]
    levels_removed: tuple[int, ...]
    orders_kept: tuple[Resting, ...]
    orders_cancelled: tuple[Resting, ...]
    orders_placed: tuple[Resting, ...]
    lots_parked: tuple[Lots, ...]  # in force without a slot of the new ladder: they keep their exit
    lots_closed: tuple[Lots, ...]  # traded back at the market: their exit is behind the price
    lots_bought: int  # at the market, for the slots of a NEUTRAL ladder above the price
    standing: Standing  # as it goes on


def diff(old: GridSpec, new: GridSpec, instrument: Instrument, standing: Standing, laid: Laid, touch: Touch) -> Change:
    """Return what changes when `standing` of `old` goes on as `laid` of `new`.

    An open lot whose slot has the same two levels in both ladders stays in it; any other keeps its exit.

    Raises:
        ValueError: another symbol, another kind, or one opens with a buy and the other with a sell: what is open cannot
            be carried over.
    """
    for field, before, after in (
        ("symbol", old.symbol, new.symbol),
        ("kind", old.kind, new.kind),
        ("mode", old.is_long, new.is_long),
    ):
        if before != after:
            raise ValueError(
                f"{old.symbol} grid: {field}: it cannot change while the grid runs; stop it, start another."
            )
    relay = move(replace(new, carried=Carried.KEEP), instrument, standing, Why.EDIT, laid, touch)
    going_on = relay.standing
    bought = sum(
        lots
        for lots, source in zip(going_on.laid.ladder.lots, relay.sources, strict=True)
        if source is not None and source.origin is From.MARKET
    )
    levels_before, levels = set(standing.laid.ladder.levels), set(laid.ladder.levels)
    resting, wanted = _orders(old, standing, touch), _orders(new, going_on, touch)
    return Change(
        levels_kept=tuple(sorted(levels_before & levels)),
        levels_added=tuple(sorted(levels - levels_before)),
        levels_removed=tuple(sorted(levels_before - levels)),
        orders_kept=_sorted(resting & wanted),
        orders_cancelled=_sorted(resting - wanted),
        orders_placed=_sorted(wanted - resting),
        lots_parked=going_on.parked,
        lots_closed=relay.closed,
        lots_bought=bought,
        standing=going_on,
    )


def _orders(spec: GridSpec, at: Standing, touch: Touch) -> Counter[Resting]:
    exit_side = Side.SELL if spec.is_long else Side.BUY
    rest = list(resting_orders(replace(spec, resting=None), at.laid.ladder, at.opened, touch.mark_ticks))
    rest += [Resting(exit_side, one.exit_ticks, one.lots) for one in at.parked]
    rest.sort(key=lambda one: abs(one.ticks - touch.mark_ticks))
    return Counter(nearest(rest, spec.resting))


def _sorted(orders: Counter[Resting]) -> tuple[Resting, ...]:
    return tuple(sorted(orders.elements(), key=lambda one: (one.ticks, one.side, one.lots)))

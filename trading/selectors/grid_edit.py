"""Editing a running grid: the form, what the typed grid would be, and what changing to it does, order by order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from trading import live
from trading.domain.admitting import Admitted, Running, admit, change, fingerprint
from trading.domain.carrying import Lots, Touch
from trading.domain.editing import Change
from trading.domain.fees import DEMO_FEES
from trading.domain.grids import Carried, Problem, UnsoundGrid
from trading.domain.instruments import Instrument
from trading.domain.laying import Laid
from trading.domain.levels import Spacing
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.preview import Preview, Resting
from trading.domain.spelling import spell
from trading.domain.terms import Mode
from trading.live import Values
from trading.models import Account, Grid, running
from trading.selectors import desks, mark_outs
from trading.selectors.numbers import as_number, decimals_of, percent, plain, signed
from trading.selectors.recovery import nanoseconds

SHOWN: Final = 40  # orders of a list; more are counted
LAB_ONLY: Final = "short, infinity and reverse grids, reinvesting, lots by quantity, and rolling of open lots"
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "mode": (Mode.LONG, Mode.NEUTRAL),
    "spacing": tuple(Spacing),
    "style": tuple(ExecutionStyle),
    "carried": (Carried.KEEP, Carried.CLOSE),
    "flatten": ("true", "false"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form."""

    name: str
    label: str
    hint: str = ""
    choices: tuple[str, ...] = ()
    is_price: bool = False  # it may be picked from the chart


FIELDS: Final[tuple[Field, ...]] = (
    Field("lower", "Lowest level", "around the price", is_price=True),
    Field("upper", "Highest level", "around the price", is_price=True),
    Field("step_fraction", "or step, fraction", "instead of a range"),
    Field("atr_multiple", "or step, true ranges", "instead of a range"),
    Field("atr_bars", "of so many bars"),
    Field("atr_bar_s", "of so many seconds"),
    Field("slots", "Slots"),
    Field("lot_quote", "Lot, quote"),
    Field("mode", "Mode", choices=CHOICES["mode"]),
    Field("spacing", "Spacing", choices=CHOICES["spacing"]),
    Field("style", "Style", choices=CHOICES["style"]),
    Field("skew_fraction", "Skew", "0"),
    Field("resting", "Orders that rest a side", "all"),
    Field("trail_up_to", "Follow up to", "stays", is_price=True),
    Field("trail_down_to", "Follow down to", "stays", is_price=True),
    Field("recentre_steps", "Re-centre beyond, steps", "never"),
    Field("carried", "Lots that fall out", choices=CHOICES["carried"]),
    Field("stop", "Stop bound", "none", is_price=True),
    Field("take_profit", "Take-profit bound", "none", is_price=True),
    Field("flatten", "Sell at these bounds", choices=CHOICES["flatten"]),
    Field("start_at", "Start at", "now", is_price=True),
)


@dataclass(frozen=True, slots=True)
class Typed:
    """One field as it was typed, and what is wrong with it."""

    field: Field
    value: str
    wrong: str


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders of one kind of change, nearest to the top first."""

    title: str
    count: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EditPage:
    """Everything the page shows of one edit."""

    symbol: str
    typed: tuple[Typed, ...]
    wrong: tuple[str, ...]  # what belongs to no field of the form
    facts: tuple[tuple[str, str], ...]  # () while something is wrong
    warning: str  # what may be run, and will hardly earn anything
    unknown: str  # what the preview does not know, and why
    changes: tuple[Orders, ...]
    levels: tuple[tuple[str, bool], ...]  # price, above the price of now; highest first
    proposed: str  # the same levels for the chart, as JSON
    seen: str
    is_in_force: bool  # what is typed is what runs
    lab_only: str = LAB_ONLY

    @property
    def is_sound(self) -> bool:
        """True when the typed grid may be confirmed."""
        return bool(self.facts)


def touch_of(symbol: str, instrument: Instrument, values: Values, now_ns: int) -> Touch | None:
    """Return what the market shows of `symbol` now; None while it shows nothing."""
    bid, ask = (as_number(values.get(live.market(symbol, side))) for side in ("bid", "ask"))
    if not bid or not ask or ask < bid:
        return None
    down, up = (round(Decimal(str(price)) / instrument.tick_size) for price in (ask, bid))
    return Touch(now_ns, up, down, up)


def page(
    account: Account, symbol: str, given: Mapping[str, str], values: Values, at: datetime, wrong: Sequence[Problem] = ()
) -> EditPage | None:
    """Return the page of an edit of the grid on `symbol` as it was typed, or None where there is none to edit.

    `wrong` is what the service refused beyond that.
    """
    row = Grid.objects.filter(account=account, symbol=symbol, enabled=True).first()
    filters, mandate = desks.instruments_of(account).get(symbol), desks.mandate_in_force(account)
    if row is None or filters is None or mandate is None:
        return None
    instrument, in_force = filters.instrument, running(row)
    typed = typed_of(in_force, given)
    touch = touch_of(symbol, instrument, values, nanoseconds(at))
    measured = mark_outs.recent(account, symbol, at)
    admitted, refused = _tried(
        typed | {"symbol": symbol}, instrument, desks.limits_of(mandate), touch, in_force, measured
    )
    problems = [*wrong, *(one for one in refused if one not in wrong)]
    return EditPage(
        symbol=symbol,
        typed=tuple(
            Typed(one, typed[one.name], "; ".join(text for name, text in problems if name == one.name))
            for one in FIELDS
        ),
        wrong=tuple(
            f"{name}: {text}" if name else text for name, text in problems if name not in {one.name for one in FIELDS}
        ),
        facts=_facts(admitted, instrument, measured) if admitted is not None else (),
        warning=_warning(admitted.preview) if admitted is not None else "",
        unknown=measured.why,
        changes=_changes(in_force, admitted, instrument, touch) if admitted is not None and touch is not None else (),
        levels=_levels(admitted.laid, instrument, touch.mark_ticks) if admitted and admitted.laid and touch else (),
        proposed=_proposed(admitted.laid, instrument) if admitted and admitted.laid else "[]",
        seen=given.get("seen") or fingerprint(row.chosen),
        is_in_force=admitted is not None and admitted.spec == in_force.spec,
    )


def _tried(
    words: Mapping[str, object],
    instrument: Instrument,
    limits: Limits,
    touch: Touch | None,
    in_force: Running,
    measured: mark_outs.Measured,
) -> tuple[Admitted | None, tuple[Problem, ...]]:
    if touch is None:
        return None, (Problem("", f"{instrument.symbol} has no price now, so nothing can be previewed; wait for one"),)
    mark_out = measured.mark_out.fraction
    try:
        return admit(words, instrument, limits, DEMO_FEES, touch, in_force, mark_out_fraction=mark_out), ()
    except UnsoundGrid as error:
        return None, error.problems


def typed_of(in_force: Running, given: Mapping[str, str]) -> dict[str, str]:
    """Return the fields as they were typed; an untouched form shows the grid in force."""
    words = {name: _text(word) for name, word in spell(in_force.spec).items()}
    if not any(one.name in given for one in FIELDS):
        return {one.name: words.get(one.name, "") for one in FIELDS}
    return {one.name: given.get(one.name, "").strip()[:40] for one in FIELDS}


def _text(word: str | int | bool) -> str:
    if isinstance(word, bool):
        return "true" if word else "false"
    text = str(word)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _facts(admitted: Admitted, instrument: Instrument, measured: mark_outs.Measured) -> tuple[tuple[str, str], ...]:
    seen, quote = admitted.preview, instrument.quote
    if seen is None or admitted.laid is None:
        known = f"{admitted.spec.atr_bars} bars of {admitted.spec.atr_bar_s} s are known"
        return (("Levels", f"laid when {known}, and then held against venue, costs and mandate"),)
    profits = [trip.profit_quote for trip in seen.trips]
    steps = dict.fromkeys((percent(seen.narrowest_step_fraction, 3), percent(seen.widest_step_fraction, 3)))
    at_stop = "no stop: everything open may be lost"
    if seen.loss_at_stop_quote is not None:
        at_stop = f"{signed(-seen.loss_at_stop_quote)} {quote}"
    smallest = "no lot passes its filters"
    if seen.smallest_capital_quote is not None:
        smallest = f"{plain(seen.smallest_capital_quote)} {quote}"
    ladder = admitted.laid.ladder
    return (
        ("Levels", f"{len(ladder.levels)}, {ladder.slots} slots"),
        ("Step", " to ".join(steps)),
        ("Break-even step", percent(seen.break_even_fraction, 3)),
        ("Mark-out", measured.words),
        ("Spacing floor from measured mark-out", mark_outs.floor_words(seen.spacing_floor_fraction)),
        ("Profit of a round trip, after fees", f"{signed(min(profits), 4)} to {signed(max(profits), 4)} {quote}"),
        ("All slots bought cost", f"{plain(seen.capital_quote)} {quote}"),
        ("Smallest capital the venue allows", smallest),
        *_bought(seen, instrument),
        ("Filter that refuses an order", "none"),
        ("Worst-case exposure", f"{plain(seen.worst_exposure_quote)} {quote}"),
        ("Lost at the stop, at most", at_stop),
    )


def _warning(seen: Preview | None) -> str:
    return "" if seen is None else mark_outs.warning(seen.narrowest_step_fraction, seen.spacing_floor_fraction)


def _bought(seen: Preview, instrument: Instrument) -> tuple[tuple[str, str], ...]:
    lots = seen.opening.base_lots
    return (("Bought at the market where nothing is held", _quantity(lots, instrument)),) if lots else ()


def _changes(in_force: Running, admitted: Admitted, instrument: Instrument, touch: Touch) -> tuple[Orders, ...]:
    found = change(in_force, admitted, instrument, touch)
    if found is None:
        return ()
    return (
        _orders("Orders kept", found.orders_kept, instrument),
        _orders("Orders cancelled", found.orders_cancelled, instrument),
        _orders("Orders placed", found.orders_placed, instrument),
        *_opened(found, instrument),
        *_lots(found, instrument),
    )


def _orders(title: str, orders: tuple[Resting, ...], instrument: Instrument) -> Orders:
    lines = [f"{one.side} {_quantity(one.lots, instrument)} at {_price(one.ticks, instrument)}" for one in orders]
    return Orders(title, len(lines), tuple(reversed(lines))[:SHOWN])


def _opened(found: Change, instrument: Instrument) -> tuple[Orders, ...]:
    if not found.lots_bought:
        return ()
    return (Orders("Bought at the market for slots above the price", 1, (_quantity(found.lots_bought, instrument),)),)


def _lots(found: Change, instrument: Instrument) -> tuple[Orders, ...]:
    """Return what becomes of the lots without a slot; one whose exit is passed is offered there all the same."""
    named = (
        ("Lots that keep their exit beside the ladder", found.lots_parked),
        ("Lots whose exit the price has passed: offered at once", found.lots_closed),
    )
    return tuple(Orders(title, len(lots), _lines(lots, instrument)) for title, lots in named if lots)


def _lines(lots: tuple[Lots, ...], instrument: Instrument) -> tuple[str, ...]:
    lines = (f"{_quantity(one.lots, instrument)}, exit {_price(one.exit_ticks, instrument)}" for one in lots)
    return tuple(lines)[:SHOWN]


def _levels(laid: Laid, instrument: Instrument, mark_ticks: int) -> tuple[tuple[str, bool], ...]:
    levels = laid.ladder.levels
    return tuple((_price(ticks, instrument), ticks > mark_ticks) for ticks in reversed(levels))


def _proposed(laid: Laid, instrument: Instrument) -> str:
    return "[" + ",".join(format(instrument.price(ticks), "f") for ticks in laid.ladder.levels) + "]"


def _price(ticks: int, instrument: Instrument) -> str:
    return plain(instrument.price(ticks), decimals_of(instrument.tick_size))


def _quantity(lots: int, instrument: Instrument) -> str:
    return f"{plain(instrument.quantity(lots), decimals_of(instrument.lot_size))} {instrument.base}"

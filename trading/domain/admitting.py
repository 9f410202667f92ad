"""Whether a desk may run a grid as a person typed it, and what changing a running one to it would do."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from typing import Final

from trading.domain.carrying import Lots, Standing, Touch
from trading.domain.editing import Change, diff
from trading.domain.fees import Fees
from trading.domain.grid import GridSettings, Infeasible, UnableToBuild, feasibility, within_mandate
from trading.domain.grids import Chosen, GridSpec, Problem, UnsoundGrid, not_live, plain, settings_of, shape
from trading.domain.instruments import Instrument
from trading.domain.laying import Laid, bound_ticks, ladder, lay
from trading.domain.levels import between
from trading.domain.limits import Limits
from trading.domain.moving import Mover, refusal
from trading.domain.places import Footing, Place
from trading.domain.preview import Preview, plan_of, preview
from trading.domain.spelling import FIELDS, read, spell

_FIELD_OF: Final[Mapping[str, str]] = {  # what binds -> what a person changes
    "symbols": "symbol",
    "execution_styles": "style",
    "break_even_step": "slots",
}
_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Admitted:
    """A grid that a desk may run, and the ladder it would stand on now.

    Without a measured range nobody knows that ladder: it is held against venue, costs and mandate when it is laid.
    """

    spec: GridSpec
    laid: Laid | None
    preview: Preview | None  # None: neither


@dataclass(frozen=True, slots=True)
class Running:
    """A grid as it stands: its choice, its levels (() before it is laid), and what every slot holds, by number."""

    chosen: Chosen
    levels: tuple[int, ...]
    footing: Footing | None
    held_lots: Mapping[int, int]

    @property
    def spec(self) -> GridSpec:
        """What was chosen, as a specification."""
        return plain(self.chosen) if isinstance(self.chosen, GridSettings) else self.chosen

    @property
    def places(self) -> tuple[Place, ...]:
        """Every slot, those beside the ladder included."""
        if self.footing is not None:
            return self.footing.places
        return tuple(Place(number, *pair) for number, pair in enumerate(pairwise(self.levels)))

    def atr_ticks(self, spec: GridSpec) -> Decimal | None:
        """Return the average true range that the desk has measured for `spec` by now; None where there is none."""
        measured = None if self.footing is None else self.footing.measured
        is_like = measured is not None and (measured.bars, measured.bar_s) == (spec.atr_bars, spec.atr_bar_s)
        return measured.atr_ticks if measured is not None and is_like else None

    def standing(self, instrument: Instrument) -> Standing | None:
        """Return where the grid stands; None before it is laid."""
        if len(self.levels) < 2:
            return None
        spec, held = self.spec, self.held_lots
        numbers = {place[1:3]: place.number for place in self.places if place.role.is_of_ladder}
        lots = [held.get(numbers.get(pair, -1), 0) for pair in pairwise(self.levels)]
        full = ladder(spec, instrument, self.levels)
        sized = tuple(has or wants for has, wants in zip(lots, full.lots, strict=True))
        rungs = between(spec.spacing, self.levels[0], self.levels[-1], len(lots))
        laid = Laid(rungs, 0, type(full)(self.levels, sized, full.mode))
        parked = tuple(
            Lots(place.low_ticks, place.high_ticks, held[place.number])
            for place in self.places
            if not place.role.is_of_ladder and held.get(place.number, 0) > 0
        )
        return Standing(laid, tuple(has > 0 for has in lots), (0,) * len(lots), 0, parked)


def admit(
    words: Mapping[str, object],
    instrument: Instrument,
    limits: Limits,
    fees: Fees,
    touch: Touch,
    running: Running | None = None,
    *,
    mark_out_fraction: Decimal | None = None,
) -> Admitted:
    """Return the grid that `words` spell, laid at the price of `touch`; one whose levels stay keeps its ladder.

    `mark_out_fraction` is what was measured of the desk's own fills, None where nothing was; it refuses nothing.

    Raises:
        UnsoundGrid: every field that is wrong, that only the lab runs, or that venue, mandate or costs refuse.
    """
    spec = read(words)
    problems = not_live(spec)
    if problems:
        raise UnsoundGrid(spec.symbol, problems)
    atr = None if running is None else running.atr_ticks(spec)
    if spec.atr_multiple is not None and atr is None:
        return _before_it_is_measured(spec, instrument, limits)
    try:
        laid = lay(spec, instrument, touch.mark_ticks, atr_ticks=atr)
        spread = Decimal(max(touch.down_ticks - touch.up_ticks, 0)) / touch.mark_ticks
        shown = preview(
            spec, instrument, fees, touch.mark_ticks, spread_fraction=spread, mark_out_fraction=mark_out_fraction,
            limits=limits, atr_ticks=atr,
        )  # fmt: skip
        laid = _where_it_stands(spec, instrument, running) or laid
        Mover(spec).stand(laid, instrument)
    except UnableToBuild as e:
        raise UnsoundGrid(spec.symbol, (_problem(spec, e),)) from e
    verdict = refusal(spec, limits) or feasibility(plan_of(spec, instrument, laid), instrument, limits, fees)
    if isinstance(verdict, Infeasible):
        raise _refused(spec, verdict)
    if shown.filter is not None:
        text = f"the venue's filter {shown.filter} refuses an order of this ladder; use a larger lot or fewer slots"
        raise UnsoundGrid(spec.symbol, (Problem("lot_quote", text),))
    return Admitted(spec, laid, shown)


def unmeasured(spec: GridSpec, instrument: Instrument, limits: Limits) -> Infeasible | None:
    """Return what of the mandate refuses `spec` wherever its ladder will lie; None: nothing does.

    Raises:
        UnableToBuild: a bound is not on the tick.
    """
    for name in ("trail_up_to", "trail_down_to", "stop", "take_profit", "start_at"):
        bound_ticks(spec, instrument, name)
    return refusal(spec, limits) or within_mandate(settings_of(spec), limits)


def _before_it_is_measured(spec: GridSpec, instrument: Instrument, limits: Limits) -> Admitted:
    try:
        verdict = unmeasured(spec, instrument, limits)
    except UnableToBuild as e:
        raise UnsoundGrid(spec.symbol, (_problem(spec, e),)) from e
    if verdict is not None:
        raise _refused(spec, verdict)
    return Admitted(spec, None, None)


def _refused(spec: GridSpec, verdict: Infeasible) -> UnsoundGrid:
    return UnsoundGrid(spec.symbol, (Problem(_FIELD_OF.get(verdict.binding, "lot_quote"), verdict.reason),))


def change(running: Running, new: Admitted, instrument: Instrument, touch: Touch) -> Change | None:
    """Return what changing `running` to `new` does, order by order; None before either was laid."""
    standing = running.standing(instrument)
    if standing is None or new.laid is None:
        return None
    return diff(running.spec, new.spec, instrument, standing, new.laid, touch)


def fingerprint(chosen: Chosen) -> str:
    """Return a short text that is another one for every other choice: who edits must have seen what is in force."""
    words = spell(plain(chosen) if isinstance(chosen, GridSettings) else chosen)
    return sha256(repr(sorted(words.items())).encode()).hexdigest()[:_DIGITS]


def _where_it_stands(spec: GridSpec, instrument: Instrument, running: Running | None) -> Laid | None:
    """Return the ladder in force with the lots of `spec`, where a restart would go on with it."""
    if running is not None and running.footing is None and running.spec == spec:
        standing = running.standing(instrument)
        return None if standing is None else standing.laid
    if running is None or running.footing is None or running.footing.rungs is None or len(running.levels) < 2:
        return None
    if running.footing.shape != shape(spec):
        return None
    return Laid(running.footing.rungs, running.footing.first, ladder(spec, instrument, running.levels))


def _problem(spec: GridSpec, error: UnableToBuild) -> Problem:
    text = str(error).removeprefix(f"{spec.symbol} grid: ").rstrip(".")
    field = text.replace(":", " ").split(" ", 1)[0]
    return Problem(field, text.removeprefix(f"{field}: ")) if field in FIELDS else Problem("slots", text)

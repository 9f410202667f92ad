"""The driver: one grid over a whole tape, kernel run by kernel run, laid anew in between."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trading.domain import kernel, stepping
from trading.domain.carrying import From, Lots, Relay, Source, Standing, Touch, Why, within_base
from trading.domain.dealing import OPENING, Deal, beyond_window, fees_of, lowest_cash, maker_terms, rates
from trading.domain.grids import GridSpec, Kind
from trading.domain.instruments import Instrument
from trading.domain.kernel import Ended, Outcome, Side, State
from trading.domain.ladders import Ladder
from trading.domain.laying import bound_ticks, lay, opening
from trading.domain.limits import ExecutionStyle
from trading.domain.recounting import drawdown
from trading.domain.relaying import Stay, Stop, bounds, next_step
from trading.domain.tapes import Tape
from trading.domain.terms import Ladder as RunnableLadder
from trading.domain.terms import Mode, Terms, UnableToRun
from trading.domain.true_range import RangeHistory, history

ASSUMPTIONS: Final = (
    "What is traded at a bound is traded at the touch of the event that reached it, with the taker fee and without "
    "delay; what rested then is cancelled, and the new ladder's orders leave at once.",
    "Parked lots fill at their exit, with the maker fee, at the event that touches it.",
    "Every level rests; where only the nearest do, one event fills at most so many a side: fills beyond are counted.",
    "A level of a fixed range, a stop and a start price know nothing of the events after them.",
)


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """The life of one ladder."""

    why: Why | None  # what brought it; None: the start
    first_event: int
    last_event: int
    standing: Standing  # as it began
    fills: NDArray[np.void]  # kernel.FILL; slots and lines are those of this ladder


@dataclass(frozen=True, slots=True, eq=False)
class Campaign:
    """What a grid did over a tape."""

    segments: tuple[Segment, ...]
    deals: tuple[Deal, ...]
    outcome: Outcome  # sums of all runs and deals; `fills` are those of every segment
    standing: Standing  # where it stands at the end
    ended: Ended | Why
    lowest_cash: int  # money; below zero: the account could not have paid for it
    beyond_window: int  # fills of levels that were virtual at their event, see `GridSpec.resting`; 0: the run is exact

    @property
    def is_funded(self) -> bool:
        """True when no trade needed more cash than there was."""
        return self.lowest_cash >= 0


def run_campaign(tape: Tape, spec: GridSpec, instrument: Instrument, terms: Terms) -> Campaign:
    """Run `spec` over `tape` from its start price (or the first event) on until a bound ends it, or the tape.

    Raises:
        UnableToRun: the start is never reached, no true range is ever known, or the kernel refuses the terms.
        UnableToBuild: the first ladder cannot be laid.
    """
    terms = replace(terms, style=spec.style)
    if spec.kind is Kind.REVERSE and (terms.max_drawdown or terms.max_inventory_lots):
        raise UnableToRun(
            "max_drawdown, max_inventory_lots: not with a reverse grid, whose base grows; leave them out."
        )
    ranges = _ranges(tape, spec)
    driver = _Driver(tape, spec, instrument, terms, ranges)
    driver.begin(_first_event(tape, spec, instrument, ranges))
    while driver.ended is None:
        driver.advance()
    return driver.campaign()


@dataclass(slots=True, eq=False)
class _Driver:
    """Carries state and standing from run to run."""

    tape: Tape
    spec: GridSpec
    instrument: Instrument
    terms: Terms
    ranges: RangeHistory | None
    ended: Ended | Why | None = None
    _state: State = field(init=False)
    _standing: Standing = field(init=False)
    _began: Standing = field(init=False)  # standing at the start of the segment
    _why: Why | None = None
    _first: int = 0  # event at which the segment began
    _event: int = 0  # next event
    _relaid_at: int = -1  # event of the last relay
    _reserve_ticks: int = 0  # what the reserve was bought at
    _last: Outcome = field(init=False)
    _fills: list[NDArray[np.void]] = field(default_factory=list)  # of the segment
    _segments: list[Segment] = field(default_factory=list)
    _deals: list[Deal] = field(default_factory=list)

    def begin(self, event: int) -> None:
        """Lay the first ladder at `event` and buy what it needs."""
        tape, spec = self.tape, self.spec
        mark, price = int(tape.mark[event]), int(tape.down[event])
        laid = lay(spec, self.instrument, mark, fees=fees_of(self.terms), atr_ticks=self._atr(event))
        needed = opening(spec, self.instrument, laid, mark)
        self._state = kernel.opened(tape, _ladder(laid.ladder), self.terms, start=event)
        if spec.mode is Mode.NEUTRAL and needed.base_lots:
            self._deals.append(self._deal(event, Side.BUY, price, needed.base_lots, OPENING))
        if needed.reserve_lots:
            self._state = kernel.traded(self._state, Side.BUY, needed.reserve_lots, price, self.terms)
            self._reserve_ticks = price
        self._state = _valued(self._state, mark)
        self._standing = self._began = Standing(laid, needed.opened, _basis(self._state), int(tape.at_ns[event]))
        self._event = self._first = event

    def advance(self) -> None:
        """Run the ladder to its next bound and do what follows there."""
        self._last = kernel.run(
            self.tape,
            self._state.ladder,
            self.terms,
            start=self._event,
            state=self._state,
            bounds=bounds(self.spec, self.instrument, self._standing),
        )
        self._state, self._event = self._last.state, self._last.next_event
        self._fills.append(self._buy_back(self._last.fills))
        held = self._state.held
        opened = held if self.spec.is_long else tuple(not one for one in held)
        self._standing = replace(self._standing, opened=opened, basis=_basis(self._state))
        if self._last.ended in (Ended.TAPE, Ended.DRAWDOWN):
            self.ended = self._last.ended
        else:
            self._step(self._last.ended_at)
            if self.ended is None and self._event >= len(self.tape):
                self.ended = Ended.TAPE

    def _buy_back(self, fills: NDArray[np.void]) -> NDArray[np.void]:
        """Return `fills` with what a REVERSE slot really buys back, and take the difference into the books.

        Which orders fill does not depend on their quantity, so a run with the quantity sold meets the same events.
        """
        ladder = self._standing.laid.ladder
        if ladder.lots == ladder.sold_lots or not len(fills):
            return fills
        fills = fills.copy()
        bought = fills["side"] == 1
        more = np.where(bought, np.array(ladder.lots)[fills["slot"]] - fills["lots"], 0)
        fills["lots"] += more
        notional = int((more * fills["ticks"]).sum())
        fee = notional * rates(self.terms)[self.spec.style is ExecutionStyle.TAKER]
        books = self._state.books.copy()
        books[stepping.CASH] -= notional * self.terms.scale + fee
        books[stepping.GRID_PROFIT] -= notional * self.terms.scale + fee
        books[stepping.LOTS] += int(more.sum())
        books[stepping.FEES] += fee
        books[stepping.TURNOVER] += notional
        self._state = replace(self._state, books=books)
        return fills

    def _step(self, event: int) -> None:
        touch = _touch(self.tape, event)
        step = next_step(
            self.spec,
            self.instrument,
            self._standing,
            touch,
            fees=fees_of(self.terms),
            atr_ticks=self._atr(event),
            earned_quote=self._earned_quote(),
        )
        match step:
            case Stay():
                return
            case Stop(why, flatten):
                if flatten:
                    self._flatten(event, touch, why)
                self.ended = why
            case Relay():
                self._relay(event, touch, step)
        self._state = _valued(self._state, touch.mark_ticks)

    def _relay(self, event: int, touch: Touch, step: Relay) -> None:
        for one in step.exited:
            self._exit(event, one)
        self._close(event, touch, sum(one.lots for one in step.closed), step.why)
        self._standing = step.standing
        if step.is_same_ladder:
            return
        if not self.spec.is_long:
            sized = within_base(step.standing, self._state.lots)
            if sized is None:
                self.ended = Why.SHORT_OF_BASE
                return
            step = replace(step, standing=sized)
        bought = _from(step.sources, From.MARKET)
        lots = sum(step.standing.laid.ladder.lots[slot] for slot in bought) + step.reserve_bought_lots
        self._trade(event, Side.BUY, touch.down_ticks, lots, step.why)
        basis = list(step.standing.basis)
        for origin, ticks in ((From.MARKET, touch.down_ticks), (From.RESERVE, self._reserve_ticks)):
            for slot in _from(step.sources, origin):
                basis[slot] = self._cost(ticks, step.standing.laid.ladder.lots[slot])
        self._standing = replace(step.standing, basis=tuple(basis))
        self._state = _entered(self.spec, self._state, self._standing)
        self._end_segment(event)
        self._why, self._first, self._began = step.why, event, self._standing
        # The event is seen once more: nothing works that it could fill, and it sends the orders of the new ladder.
        self._event = event + 1 if self._relaid_at == event else event
        self._relaid_at = event

    def _exit(self, event: int, one: Lots) -> None:
        """Trade parked lots at their exit, as maker; a round trip is closed."""
        side = Side.SELL if self.spec.is_long else Side.BUY
        before = self._state.cash
        self._trade(event, side, one.exit_ticks, one.lots, Why.EXIT, maker=True)
        books = self._state.books.copy()
        books[stepping.GRID_PROFIT] += self._state.cash - before - one.basis
        books[stepping.ROUND_TRIPS] += 1
        self._state = replace(self._state, books=books)

    def _close(self, event: int, touch: Touch, lots: int, why: Why) -> None:
        if self.spec.is_long:
            self._trade(event, Side.SELL, touch.up_ticks, lots, why)
        else:
            affordable = self._state.cash // self._cost(touch.down_ticks, 1)
            self._trade(event, Side.BUY, touch.down_ticks, min(lots, max(affordable, 0)), why)

    def _flatten(self, event: int, touch: Touch, why: Why) -> None:
        """Close everything open: LONG and NEUTRAL hold no base of the grid afterwards, SHORT owes none."""
        standing, ladder = self._standing, self._standing.laid.ladder
        parked = sum(one.lots for one in standing.parked)
        if self.spec.is_long:
            lots = self._state.lots - self.terms.opening_lots
        else:
            lots = parked + sum(q for q, is_open in zip(ladder.lots, standing.opened, strict=True) if is_open)
        self._close(event, touch, lots, why)
        nothing = (False,) * ladder.slots
        self._standing = replace(standing, opened=nothing, basis=(0,) * ladder.slots, parked=())

    def _trade(self, event: int, side: Side, ticks: int, lots: int, why: Why, *, maker: bool = False) -> None:
        if lots <= 0:
            return
        terms = maker_terms(self.terms) if maker else self.terms
        self._state = kernel.traded(self._state, side, lots, ticks, terms)
        self._deals.append(self._deal(event, side, ticks, lots, why, maker=maker))

    def _deal(self, event: int, side: Side, ticks: int, lots: int, why: str, *, maker: bool = False) -> Deal:
        return Deal(event, int(self.tape.at_ns[event]), side, ticks, lots, maker, why)

    def _cost(self, ticks: int, lots: int) -> int:
        """Return the money that `lots` cost at the market, fee included."""
        return ticks * lots * (self.terms.scale + rates(self.terms)[1])

    def _atr(self, event: int) -> Decimal | None:
        known = self.ranges.at(event) if self.ranges is not None else None
        return None if known is None else Decimal(known)

    def _earned_quote(self) -> Decimal:
        earned = Decimal(int(self._state.books[stepping.GRID_PROFIT])) / self.terms.scale
        return earned * self.instrument.tick_size * self.instrument.lot_size

    def _end_segment(self, event: int) -> None:
        fills = np.concatenate(self._fills) if self._fills else np.empty(0, kernel.FILL)
        self._segments.append(Segment(self._why, self._first, event, self._began, fills))
        self._fills = []

    def campaign(self) -> Campaign:
        """Return what was done; call it once, at the end."""
        assert self.ended is not None  # `run_campaign` drives until then
        self._end_segment(self._last.ended_at)
        fills = np.concatenate([segment.fills for segment in self._segments])
        last, first = self._last.ended_at, self._segments[0].first_event
        outcome = _summed(self._last, self._state, int(self.tape.mark[last]), fills)
        if self.spec.kind is Kind.REVERSE:  # within a run the kernel does not know what is bought back on top
            fell = drawdown(self.tape, self.terms, first, last, fills, self._deals)
            outcome = replace(outcome, max_drawdown=fell.money, max_drawdown_fraction=fell.fraction)
        return Campaign(
            segments=tuple(self._segments),
            deals=tuple(self._deals),
            outcome=outcome,
            standing=self._standing,
            ended=self.ended,
            lowest_cash=lowest_cash(self.terms, fills, self._deals),
            beyond_window=beyond_window(self.spec.resting, fills, self._deals),
        )


def _ranges(tape: Tape, spec: GridSpec) -> RangeHistory | None:
    if spec.atr_multiple is None:
        return None
    return history(tape.at_ns, tape.mark, bar_s=spec.atr_bar_s, bars=spec.atr_bars)


def _first_event(tape: Tape, spec: GridSpec, instrument: Instrument, ranges: RangeHistory | None) -> int:
    known = 0
    if ranges is not None:
        if not len(ranges.known_from):
            raise UnableToRun(
                f"atr_bars: the tape ends before {spec.atr_bars} bars of {spec.atr_bar_s} s are over; use fewer or "
                "shorter bars, or a longer tape."
            )
        known = int(ranges.known_from[0])
    start = bound_ticks(spec, instrument, "start_at")
    if start is None:
        return known
    mark = tape.mark[known:]
    reached = np.flatnonzero(mark <= start if int(tape.mark[0]) >= start else mark >= start)
    if not len(reached):
        raise UnableToRun(f"start_at: the tape never reaches {spec.start_at}; choose another price, or leave it out.")
    return known + int(reached[0])


def _ladder(ladder: Ladder) -> RunnableLadder:
    """Return what the kernel runs: it trades one quantity a slot, what the slot sells (see `_Driver._buy_back`)."""
    return RunnableLadder(ladder.levels, ladder.sold_lots, ladder.mode)


def _touch(tape: Tape, event: int) -> Touch:
    return Touch(int(tape.at_ns[event]), int(tape.mark[event]), int(tape.down[event]), int(tape.up[event]))


def _basis(state: State) -> tuple[int, ...]:
    return tuple(int(amount) for amount in state.slots[stepping.BASIS])


def _from(sources: tuple[Source | None, ...], origin: From) -> list[int]:
    return [slot for slot, source in enumerate(sources) if source is not None and source.origin is origin]


def _entered(spec: GridSpec, state: State, standing: Standing) -> State:
    """Return `state` on the ladder of `standing`, whose open round trips go on."""
    holds = standing.opened if spec.is_long else tuple(not one for one in standing.opened)
    entered = kernel.relaid(state, _ladder(standing.laid.ladder), [0 if one else None for one in holds])
    entered.slots[stepping.BASIS] = np.array(standing.basis, np.int64)
    return entered


def _valued(state: State, mark: int) -> State:
    """Return `state` with its equity at `mark` taken into peak and drawdown."""
    books = state.books.copy()
    stepping.value(int(books[stepping.CASH]) + int(books[stepping.LOTS]) * state.scale * mark, books)
    return replace(state, books=books)


def _summed(last: Outcome, state: State, mark: int, fills: NDArray[np.void]) -> Outcome:
    books = state.books.copy()
    stepping.settle(books)
    worst = (int(books[stepping.WORST_FALL]), int(books[stepping.WORST_PEAK]))
    return replace(
        last,
        fills=fills,
        cash=state.cash,
        lots=state.lots,
        fees=int(books[stepping.FEES]),
        equity=state.cash + state.lots * mark * state.scale,
        max_drawdown=int(books[stepping.DRAWDOWN]),
        max_drawdown_fraction=worst if worst[1] else (0, 1) if books[stepping.PEAK] > 0 else None,
        grid_profit=int(books[stepping.GRID_PROFIT]),
        turnover=int(books[stepping.TURNOVER]),
        round_trips=int(books[stepping.ROUND_TRIPS]),
        state=state,
    )

"""Several grids in one purse: each trades as it does alone, the purse holds their sum, and one gate ends them all."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.domain import grids_at_random as at_random
from trading.domain import kernel
from trading.domain.backtest_run import log_of
from trading.domain.curves import Path, path_of
from trading.domain.kernel import Ladder, Mode, Outcome, Terms, UnableToRun
from trading.domain.purse import Leg, Purse, common_unit, events_until, stopped_at, together
from trading.domain.tapes import Tape, of_trades, part

CASH = 500  # ticks x lots of each leg that is drawn
UNITS = (Decimal("0.01"), Decimal("0.5"), Decimal("0.0003"))


def alone(tape: Tape, ladder: Ladder, terms: Terms) -> tuple[Path, Outcome]:
    """Return the path and the outcome of one ladder by itself."""
    state, done = kernel.opened(tape, ladder, terms), kernel.run(tape, ladder, terms)
    log, stop = log_of(done.fills, terms), done.ended_at + 1
    return path_of(
        tape.at_ns[:stop], tape.mark[:stop], index=log.event, signed_lots=log.signed_lots, ticks=log.ticks,
        fees=log.fee, held=(state.cash, state.lots), unit=terms.scale, opening=done.opening_equity,
    ), done  # fmt: skip


@st.composite
def grids(draw: st.DrawFn) -> tuple[Tape, Ladder, Terms, Decimal]:
    ladder = draw(at_random.ladders())
    terms = replace(draw(at_random.terms(ladder)), opening_cash=CASH, max_drawdown=None)
    if ladder.mode is not Mode.SHORT:
        terms = replace(terms, opening_lots=0)
    return draw(at_random.tapes(40)), ladder, terms, draw(st.sampled_from(UNITS)) / terms.scale


def leg(tape: Tape, ladder: Ladder, terms: Terms, unit: Decimal) -> Leg:
    return Leg(alone(tape, ladder, terms)[0], unit, terms.opening_lots)


def plain_sums(legs: list[Leg], cash: Decimal) -> list[tuple[int, int, Fraction]]:
    """Return (time, leg, equity) of every event, from the last thing known of each leg, in fractions."""
    known = [Fraction(one.base_lots * int(one.path.mark[0]) * one.path.unit) * Fraction(one.unit) for one in legs]
    opened = [Fraction(one.path.opening) * Fraction(one.unit) - known[n] for n, one in enumerate(legs)]
    events = sorted((int(at), n, k) for n, one in enumerate(legs) for k, at in enumerate(one.path.at_ns))
    told = list[tuple[int, int, Fraction]]()
    for at_ns, n, k in events:
        known[n] = Fraction(int(legs[n].path.equity(k, k + 1)[0])) * Fraction(legs[n].unit) - opened[n]
        told.append((at_ns, n, Fraction(cash) + sum(known)))
    return told


def quote(purse: Purse, units: int) -> Fraction:
    return units * Fraction(purse.unit)


@given(drawn=st.lists(grids(), min_size=1, max_size=4), cash=st.sampled_from([Decimal(1), Decimal("1000.07")]))
@settings(max_examples=100, deadline=None)
def test_a_purse_is_worth_its_cash_and_what_each_grid_gained_alone(
    drawn: list[tuple[Tape, Ladder, Terms, Decimal]], cash: Decimal
) -> None:
    legs = [leg(*one) for one in drawn]

    purse = together(legs, cash)

    plain = plain_sums(legs, cash)
    told = zip(purse.at_ns.tolist(), purse.leg.tolist(), purse.worths.tolist(), strict=True)
    assert [(at_ns, n, quote(purse, worth)) for at_ns, n, worth in told] == plain
    last = sum(Fraction(int(one.path.worth(len(one.path.at_ns) - 1, len(one.path.at_ns))[1][0])) * Fraction(one.unit)
               for one in legs)  # fmt: skip
    assert quote(purse, int(purse.values[-1])) == last


@given(drawn=grids(), fraction=st.sampled_from([(1, 2), (1, 7), (1, 100), (1, 1)]))
@settings(max_examples=150, deadline=None)
def test_the_gate_of_a_purse_with_one_grid_is_the_kernels(
    drawn: tuple[Tape, Ladder, Terms, Decimal], fraction: tuple[int, int]
) -> None:
    tape, ladder, terms, unit = drawn
    gated = kernel.run(tape, ladder, replace(terms, max_drawdown=fraction))

    stopped = stopped_at(together([leg(*drawn)], CASH * unit * terms.scale), fraction)

    assert stopped == (gated.ended_at if gated.ended is kernel.Ended.DRAWDOWN else None)


@given(drawn=st.lists(grids(), min_size=2, max_size=3), fraction=st.sampled_from([(1, 3), (1, 10), (1, 50)]))
@settings(max_examples=100, deadline=None)
def test_a_gate_ends_every_grid_at_one_event_and_changes_nothing_before_it(
    drawn: list[tuple[Tape, Ladder, Terms, Decimal]], fraction: tuple[int, int]
) -> None:
    purse = together([leg(*one) for one in drawn], Decimal(1))
    stopped = stopped_at(purse, fraction)
    equities = list(accumulate(purse.worths.tolist(), max, initial=purse.opening))[1:]
    plain = (n for n, (worth, peak) in enumerate(zip(purse.worths.tolist(), equities, strict=True))
             if peak > 0 and (peak - worth) * fraction[1] >= peak * fraction[0])  # fmt: skip
    assert stopped == next(plain, None)
    if stopped is None:
        return

    counts = events_until(purse, stopped, len(drawn))
    cut = [
        leg(part(tape, 0, count), ladder, terms, unit)
        for (tape, ladder, terms, unit), count in zip(drawn, counts, strict=True) if count
    ]  # fmt: skip
    again = together(cut, Decimal(1))

    assert sum(counts) == stopped + 1
    if len(cut) == len(drawn):
        ended = [quote(again, worth) for worth in again.worths.tolist()]
        assert ended == [quote(purse, worth) for worth in purse.worths[: stopped + 1].tolist()]
    for (tape, ladder, terms, _), count in zip(drawn, counts, strict=True):
        if count:
            fills, whole = (kernel.run(one, ladder, terms).fills for one in (part(tape, 0, count), tape))
            assert fills.tolist() == whole[whole["event"] < count].tolist()


def test_events_of_one_time_come_in_the_order_of_the_legs() -> None:
    tape = of_trades("XYZ", np.array([5, 5, 7]), np.array([10, 11, 12]), through=False)
    one = leg(tape, Ladder((10, 12), (1,), Mode.LONG), Terms(100), Decimal(1))

    purse = together([one, one], Decimal(100))

    assert (purse.at_ns.tolist(), purse.leg.tolist()) == ([5, 5, 5, 5, 7, 7], [0, 0, 1, 1, 0, 1])


@pytest.mark.parametrize(
    ("amounts", "unit"),
    [(["10000", "0.000001", "0.0000025"], "0.0000005"), (["6", "4"], "2"), (["0.3", "0.2"], "0.1"), (["7"], "7")],
)
def test_the_common_unit_is_the_largest_that_measures_every_amount(amounts: list[str], unit: str) -> None:
    assert common_unit(map(Decimal, amounts)) == Decimal(unit)


def test_amounts_that_leave_64_bits_are_refused_and_the_largest_that_fit_are_taken() -> None:
    tape = of_trades("XYZ", np.array([1, 2]), np.array([10, 11]), through=False)
    one = leg(tape, Ladder((10, 12), (1,), Mode.LONG), Terms(100), Decimal(1))

    assert together([one], Decimal(2**60)).opening == 2**60
    with pytest.raises(UnableToRun, match=r"cash: in the common unit of all symbols, 1, the amounts do not fit"):
        together([one], Decimal(2**61 + 1))
    with pytest.raises(UnableToRun, match=r"0\.000000000000000001, the amounts"):
        together([one, replace(one, unit=Decimal("0.000000000000000001"))], Decimal(100))

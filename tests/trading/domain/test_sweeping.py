"""A sweep gives for every ladder what the kernel gives for it alone."""

from itertools import accumulate, takewhile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.domain import grids_at_random as at_random
from trading.domain import kernel
from trading.domain.kernel import Ended, Ladder, Mode, Terms, UnableToRun
from trading.domain.scanning import BLOCK, LARGE, NEVER_HIGH, extremes, quiet, quiet_indexed, quiet_wide
from trading.domain.sweeping import RESULT, sweep, sweep_with_equity
from trading.domain.tapes import Tape, of_trades, part

LADDER = Ladder((90, 100, 110), (5, 5), Mode.LONG)


def wandering(length: int, seed: int, through: bool = False) -> Tape:
    steps = np.random.default_rng(seed).integers(-1, 2, length)
    price = 100 + np.abs(np.cumsum(steps)) % 60
    return of_trades("XYZ", np.arange(length, dtype=np.int64), price.astype(np.int64), through=through)


def row(tape: Tape, ladder: Ladder, terms: Terms) -> tuple[int, ...]:
    outcome = kernel.run(tape, ladder, terms)
    fraction = outcome.max_drawdown_fraction or (0, 0)
    return (
        len(outcome.fills), outcome.round_trips, outcome.equity, outcome.cash, outcome.lots, outcome.fees,
        outcome.turnover, outcome.grid_profit, outcome.max_drawdown, fraction[0], fraction[1] if fraction[0] else 0,
        outcome.ended_at, outcome.ended is Ended.DRAWDOWN,
    )  # fmt: skip


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_sweep_is_every_run(data: st.DataObject) -> None:
    tape = data.draw(st.one_of(at_random.tapes(), st.builds(wandering, st.integers(1, 4_000), st.integers(0, 99),
                                                            st.booleans())))  # fmt: skip
    ladders = data.draw(st.lists(at_random.ladders() | tall_ladders(), min_size=1, max_size=6))
    biggest = max(ladders, key=lambda ladder: sum(ladder.lots))
    terms = data.draw(at_random.terms(Ladder(biggest.levels, biggest.lots, Mode.SHORT)))

    rows = sweep(tape, ladders, terms)

    assert [tuple(r) for r in rows.tolist()] == [row(tape, ladder, terms) for ladder in ladders]


@st.composite
def tall_ladders(draw: st.DrawFn) -> Ladder:
    steps = draw(st.lists(st.integers(1, 15), min_size=2, max_size=8))
    levels = tuple(accumulate(steps, initial=draw(st.integers(80, 120))))
    return Ladder(levels, (2,) * len(steps), draw(st.sampled_from(Mode)))


def test_two_threads_give_what_one_gives() -> None:
    tape = wandering(20_000, 1)
    ladders = [Ladder(tuple(range(90, 150, step)), (3,) * (len(range(90, 150, step)) - 1), mode)
               for step in range(2, 12) for mode in (Mode.NEUTRAL, Mode.LONG)]  # fmt: skip
    terms = Terms(100_000, maker_fee=(1, 1000), submit_ns=3, report_ns=2)

    alone, together = sweep(tape, ladders, terms), sweep(tape, ladders, terms, threads=2)

    assert alone.dtype == RESULT
    assert alone.tobytes() == together.tobytes()
    assert alone["fills"].min() > 0


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_spans_and_blocks_find_what_a_look_at_every_event_finds(data: st.DataObject) -> None:
    mark = wandering(data.draw(st.integers(1, 5_000)), data.draw(st.integers(0, 99))).mark
    at_ns = np.arange(len(mark), dtype=np.int64) // data.draw(st.integers(1, 100))  # several events at one time
    start = data.draw(st.integers(0, len(mark) - 1))
    stop = data.draw(st.integers(start, len(mark)))
    due = data.draw(st.just(NEVER_HIGH) | st.integers(-1, int(at_ns[-1])))
    low, high = data.draw(st.integers(80, 130)), data.draw(st.integers(100, 170))

    in_spans = quiet(at_ns, mark, start, stop, due, low, high)
    indexed = quiet_indexed(at_ns, mark, extremes(mark, BLOCK), extremes(mark, LARGE), start, stop, due, low, high)
    touch = mark + 5, mark - 5
    wide = quiet_wide(at_ns, *touch, mark, start, stop, due, low + 5, high + 5, low - 5, high - 5, low, high)

    quiet_ones = takewhile(lambda i: low < mark[i] < high and at_ns[i] <= due, range(start, stop))
    inside = [int(mark[i]) for i in quiet_ones]
    assert in_spans == indexed == wide == (start + len(inside), min(inside, default=NEVER_HIGH))


@pytest.mark.parametrize(
    ("ladders", "terms", "threads", "reason"),
    [
        ([], Terms(1), 1, "ladders"),
        ([LADDER], Terms(1), 0, "threads"),
        ([LADDER], Terms(1), 10_000, "threads"),
        ([Ladder((10, 20), (5,), Mode.SHORT)], Terms(1, 4), 1, "opening_lots"),
        ([Ladder((10, 20), (2**58,), Mode.LONG)], Terms(1), 1, "64 bits"),
    ],
)
def test_a_sweep_refuses_what_a_run_refuses(ladders: list[Ladder], terms: Terms, threads: int, reason: str) -> None:
    with pytest.raises(UnableToRun, match=reason):
        sweep(wandering(10, 1), ladders, terms, threads)


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_equity_along_the_way_is_that_of_runs_that_end_there(data: st.DataObject) -> None:
    tape = data.draw(at_random.tapes())
    ladder = data.draw(at_random.ladders())
    terms = data.draw(at_random.terms(ladder))
    inner = data.draw(st.lists(st.integers(1, len(tape)), max_size=5))
    stops = np.array([*sorted(inner), len(tape)], np.int64)

    rows, equity = sweep_with_equity(tape, [ladder], terms, stops)

    assert rows.tobytes() == sweep(tape, [ladder], terms).tobytes()
    assert equity[0].tolist() == [kernel.run(part(tape, 0, stop), ladder, terms).equity for stop in stops.tolist()]


@pytest.mark.parametrize("stops", [[], [0, 10], [5], [11], [7, 5, 10]])
def test_stops_that_do_not_rise_to_the_end_are_refused(stops: list[int]) -> None:
    with pytest.raises(UnableToRun, match="stops"):
        sweep_with_equity(wandering(10, 1), [LADDER], Terms(1_000), np.array(stops, np.int64))

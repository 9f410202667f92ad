"""Orders behind others: the compiled queue against a plain one, and what a queue does at its edges."""

from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.domain import grids_at_random as at_random
from tests.trading.domain.plain_queue import PlainQueue
from trading.domain import kernel, queueing
from trading.domain.depth import (
    ASK,
    BID,
    BOUGHT,
    BY_LOG,
    BY_POWER,
    BY_TRADES,
    SOLD,
    Changes,
    Flow,
    Prints,
    Snapshot,
    move_up,
    of_messages,
)
from trading.domain.kernel import Ladder, Mode, Terms, UnableToRun
from trading.domain.limits import ExecutionStyle
from trading.domain.queueing import QueueModel, QueueOutcome
from trading.domain.tapes import Ints, Tape, UnreadableTape

LADDER = Ladder((10, 20, 30), (5, 5), Mode.LONG)
SNAPSHOT = [(0, BID, 20, 7), (0, ASK, 25, 4)]


def ints(*values: int) -> Ints:
    return np.array(values, np.int64)


def flow(*events: tuple[int, int, int, int]) -> Flow:
    return Flow("XYZ", *(np.ascontiguousarray(column) for column in np.array([*SNAPSHOT, *events], np.int64).T))


def told(outcome: QueueOutcome) -> list[tuple[int, int, int, int, int]]:
    return [tuple(int(f[name]) for name in ("event", "slot", "side", "ticks", "lots")) for f in outcome.fills]  # type: ignore[misc]  # five names


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    length = draw(st.integers(1, 120))
    steps = draw(st.lists(st.integers(0, 2), min_size=length, max_size=length))
    kinds = draw(st.lists(st.integers(0, 3), min_size=length, max_size=length))
    ticks = draw(st.lists(st.integers(8, 26), min_size=length, max_size=length))
    lots = [draw(st.integers(0, 6)) if kind < BOUGHT else draw(st.integers(1, 6)) for kind in kinds]
    return Flow("XYZ", ints(*accumulate(steps)), ints(*kinds), ints(*ticks), ints(*lots))


@given(data=st.data(), partial=st.booleans())
@settings(max_examples=100, deadline=None)
def test_the_queue_does_what_a_plain_one_does(data: st.DataObject, partial: bool) -> None:
    events, ladder = data.draw(flows()), data.draw(at_random.ladders())
    terms = Terms(
        500, sum(ladder.lots), maker_fee=(1, 1000), taker_fee=(3, 4000), submit_ns=data.draw(st.integers(0, 4)),
        report_ns=data.draw(st.integers(0, 4)),
    )  # fmt: skip
    slow = PlainQueue(events, ladder, terms, partial).run()
    if not slow.is_open:
        with pytest.raises(UnreadableTape, match="both sides"):
            queueing.run(events, ladder, terms)
        return

    fast = queueing.run(events, ladder, terms, QueueModel(partial=partial))

    assert told(fast) == slow.fills
    assert (fast.lots, fast.refused) == (slow.lots, slow.refused)
    money = (fast.cash, fast.equity, fast.opening_equity, fast.grid_profit)
    assert tuple(Fraction(m, fast.scale) for m in money) == (
        slow.cash, slow.equities[-1], slow.equities[0], slow.grid_profit
    )  # fmt: skip
    peaks = list(accumulate(slow.equities, max))
    assert Fraction(fast.max_drawdown, fast.scale) == max(p - e for p, e in zip(peaks, slow.equities, strict=True))


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_with_nothing_ahead_of_it_the_queue_is_the_kernel(data: st.DataObject) -> None:
    ladder = replace(data.draw(at_random.ladders()), mode=Mode.SHORT)
    length = data.draw(st.integers(1, 60))
    price, bought = data.draw(at_random.prices(length)), np.array(data.draw(
        st.lists(st.booleans(), min_size=length, max_size=length)))  # fmt: skip
    at_ns = np.arange(1, length + 1, dtype=np.int64) * 10
    terms = Terms(
        500, sum(ladder.lots), submit_ns=data.draw(st.integers(1, 30)), report_ns=data.draw(st.integers(0, 9))
    )
    wide = Flow(
        "XYZ", np.concatenate((ints(0, 0), at_ns)), np.concatenate((ints(BID, ASK), np.where(bought, BOUGHT, SOLD))),
        np.concatenate((ints(1, 99), price)), np.concatenate((ints(1, 1), np.full(length, 100))),
    )  # fmt: skip
    marks = np.concatenate((ints(1), price))
    times = np.concatenate((ints(0), at_ns))
    down = np.concatenate((ints(99), np.where(bought, 99, price)))
    up = np.concatenate((ints(1), np.where(bought, price, 0)))

    queued = queueing.run(wide, ladder, terms)
    touched = kernel.run(Tape("XYZ", times, down, up, marks, ()), ladder, terms)

    assert [row[1:] for row in told(queued)] == [
        tuple(int(f[name]) for name in ("slot", "side", "ticks", "lots")) for f in touched.fills
    ]
    assert queued.cash == touched.cash


def test_an_order_waits_behind_what_rests_at_its_price_and_fills_in_parts() -> None:
    events = flow((1, BOUGHT, 25, 1), (2, SOLD, 20, 6), (3, SOLD, 20, 3), (4, SOLD, 20, 9))

    assert told(queueing.run(events, LADDER, Terms(1_000))) == [(4, 1, 1, 20, 2), (5, 1, 1, 20, 3)]
    assert told(queueing.run(events, LADDER, Terms(1_000), QueueModel(partial=False))) == [(4, 1, 1, 20, 5)]


def test_what_arrives_later_stands_behind() -> None:
    events = flow((2, BID, 20, 50), (3, SOLD, 20, 7), (4, SOLD, 20, 1))

    assert told(queueing.run(events, LADDER, Terms(1_000))) == [(4, 1, 1, 20, 1)]


def test_a_trade_beyond_the_price_fills_the_rest() -> None:
    assert told(queueing.run(flow((2, SOLD, 19, 1)), LADDER, Terms(1_000))) == [(2, 1, 1, 20, 5)]


def test_an_order_that_would_trade_on_arrival_is_refused_and_sent_again() -> None:
    events = flow((1, BID, 15, 1), (1, ASK, 20, 3), (9, ASK, 20, 0), (10, BID, 20, 7), (20, SOLD, 20, 9))

    outcome = queueing.run(events, LADDER, Terms(1_000, submit_ns=5))

    assert outcome.refused == 1
    assert told(outcome) == [(6, 1, 1, 20, 2)]


@pytest.mark.parametrize(
    ("model", "power", "expected"),
    [(BY_TRADES, 2.0, 6.0), (BY_POWER, 1.0, 4.8), (BY_POWER, 2.0, 4.6154), (BY_LOG, 1, 4.9054)],
)
def test_cancellations_are_shared_between_before_and_behind_as_the_model_says(
    model: int, power: float, expected: float
) -> None:
    assert move_up(6.0, 0.0, 10.0, 8.0, model, power, 1.0) == pytest.approx(expected, abs=1e-4)


def test_what_was_traded_is_not_counted_twice() -> None:
    assert move_up(6.0, 2.0, 10.0, 8.0, BY_POWER, 2.0, 1.0) == 6.0


def messages(**changed: Any) -> tuple[Snapshot, Changes, Prints]:
    columns = {
        "at_ns": ints(10, 20, 20, 30), "first_id": ints(1, 6, 6, 9), "final_id": ints(5, 8, 8, 12),
        "side": ints(1, 1, -1, 1), "ticks": ints(9, 10, 12, 11), "lots": ints(1, 2, 3, 4), **changed,
    }  # fmt: skip
    prints = Prints(ints(15, 20), ints(11, 12), ints(1, 1), np.array([True, False]))
    return Snapshot(5, ints(1, -1), ints(9, 12), ints(5, 5)), Changes(**columns), prints


def test_a_book_begins_with_its_snapshot_and_what_reaches_back_to_it() -> None:
    events = of_messages("XYZ", *messages())

    assert events.at_ns.tolist() == [20, 20, 20, 20, 20, 30]
    assert events.kind.tolist() == [BID, ASK, BOUGHT, BID, ASK, BID]
    assert events.lots.tolist() == [5, 5, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"final_id": ints(1, 2, 2, 3)}, "older than the snapshot"),
        ({"first_id": ints(1, 7, 7, 9)}, "begins after the snapshot"),
        ({"first_id": ints(1, 6, 6, 10)}, "missing before row 3"),
        ({"first_id": ints(1, 6, 6, 99), "prev_id": ints(0, 5, 5, 7)}, "missing before row 3"),
    ],
)
def test_a_book_with_a_hole_is_refused(changed: dict[str, Ints], reason: str) -> None:
    with pytest.raises(UnreadableTape, match=reason):
        of_messages("XYZ", *messages(**changed))


def test_futures_chain_by_the_id_of_the_message_before() -> None:
    events = of_messages("XYZ", *messages(first_id=ints(1, 6, 6, 99), prev_id=ints(0, 5, 5, 8)))

    assert len(events) == 6


@pytest.mark.parametrize(
    ("ladder", "terms", "reason"),
    [
        (LADDER, Terms(1, style=ExecutionStyle.TAKER), "style"),
        (LADDER, Terms(1, max_drawdown=(1, 2)), "max_drawdown"),
        (replace(LADDER, mode=Mode.SHORT), Terms(1, 9), "opening_lots"),
        (replace(LADDER, lots=(2**58, 1)), Terms(1), "64 bits"),
    ],
)
def test_a_queue_refuses_what_it_cannot_run(ladder: Ladder, terms: Terms, reason: str) -> None:
    with pytest.raises(UnableToRun, match=reason):
        queueing.run(flow(), ladder, terms)

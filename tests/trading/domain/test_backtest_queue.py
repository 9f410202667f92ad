"""A grid in the queues of a book, told as any other: the sums are those of the queue itself."""

from decimal import Decimal
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain import queueing
from trading.domain.backtest_queue import on_queue
from trading.domain.backtest_report import report
from trading.domain.backtest_run import opened
from trading.domain.backtest_settings import BacktestSettings, UnusableSettings, read
from trading.domain.depth import ASK, BID, BOUGHT, SOLD, Flow, tops_of
from trading.domain.instruments import Instrument
from trading.domain.queueing import QueueModel
from trading.domain.tapes import UnreadableTape

XYZ = Instrument("XYZUSDT", "XYZ", "USDT", Decimal(1), Decimal(1), Decimal(1), Decimal(1))
WHOLE = [(0, BID, 14, 7), (0, ASK, 18, 4)]


def flow(*events: tuple[int, int, int, int]) -> Flow:
    return Flow("XYZUSDT", *(np.ascontiguousarray(column) for column in np.array(events, np.int64).T))


def asked(**values: object) -> BacktestSettings:
    plain = {"lower": 10, "upper": 22, "levels": 5, "grid": "arithmetic", "lot": 60, "cash": 5_000, "queue": "log"}
    return read({**plain, "symbol": "XYZUSDT", **values})


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    length = draw(st.integers(1, 120))
    times = accumulate(draw(st.lists(st.integers(1, 2_000_000), min_size=length, max_size=length)))
    kinds = draw(st.lists(st.integers(0, 3), min_size=length, max_size=length))
    ticks = draw(st.lists(st.integers(8, 26), min_size=length, max_size=length))
    lots = [draw(st.integers(0, 6)) if kind < BOUGHT else draw(st.integers(1, 6)) for kind in kinds]
    return flow(*WHOLE, *zip(times, kinds, ticks, lots, strict=True))


def test_the_tops_of_a_book_follow_its_changes_and_stay_while_a_side_is_empty() -> None:
    events = flow(
        (0, BID, 14, 7), (0, ASK, 18, 4), (0, BID, 15, 1), (1, SOLD, 15, 9), (2, BID, 15, 0), (3, ASK, 18, 0),
        (4, BID, 13, 2), (5, ASK, 17, 1), (6, BID, 17, 2), (7, ASK, 20, 1), (8, BID, 17, 0),
    )  # fmt: skip

    first, tape = tops_of(events)

    assert first == 2  # the snapshot is whole before anything is said of it
    both = list(zip(tape.at_ns.tolist(), tape.up.tolist(), tape.down.tolist(), strict=True))
    crossed = (6, 14, 17)  # what was offered at 17 is consumed, and nothing is offered until 7
    assert both == [
        (0, 15, 18), (1, 15, 18), (2, 14, 18), (3, 14, 18), (4, 14, 18), (5, 14, 17), crossed, (7, 17, 20), (8, 14, 20),
    ]  # fmt: skip
    assert tape.mark is tape.up


@given(
    events=flows(),
    mode=st.sampled_from(["neutral", "long", "short"]),
    queue=st.sampled_from(["risk-averse", "log", "power:2"]),
    latency=st.sampled_from([0, 1]),
)
@settings(max_examples=40, deadline=None)
def test_what_is_told_are_the_sums_of_the_queue(events: Flow, mode: str, queue: str, latency: int) -> None:
    wanted = asked(mode=mode, queue=queue, latency_ms=latency)
    assert wanted.queue is not None

    ran = on_queue(events, wanted, XYZ)

    ladder, terms, _ = opened(tops_of(events)[1], wanted, XYZ)
    out = queueing.run(events, ladder, terms, QueueModel(wanted.queue.queue, float(wanted.queue.power)))
    facts = report(ran).facts
    money = {name: Decimal(facts[name]) / ran.scale for name in ("equity", "grid_profit", "fees", "max_drawdown_quote")}
    assert money == {
        "equity": out.equity, "grid_profit": out.grid_profit, "fees": out.fees, "max_drawdown_quote": out.max_drawdown,
    }  # fmt: skip
    assert (facts["fills"], facts["round_trips"], facts["refused"]) == (len(out.fills), out.round_trips, out.refused)
    assert Decimal(facts["turnover"]) == out.turnover
    assert out.max_drawdown_fraction is not None
    fall, peak = out.max_drawdown_fraction
    assert float(facts["max_drawdown"]) == pytest.approx(fall / peak)


def test_an_order_filled_in_two_parts_is_two_fills_and_closes_one_round_trip() -> None:
    sold = [(5, SOLD, 13, 9), (6, BID, 14, 9), (7, BOUGHT, 16, 1), (8, BOUGHT, 16, 9)]
    ran = on_queue(flow(*WHOLE, *sold), asked(mode="long", fee_maker=0), XYZ)

    assert list(zip(ran.log.signed_lots.tolist(), ran.log.ticks.tolist(), strict=True)) == [
        (3, 16), (4, 13), (-1, 16), (-3, 16),
    ]  # fmt: skip
    assert ran.trips.closed.tolist() == [3]
    assert ran.trips.profit.tolist() == [12 * (Decimal(1) / ran.scale)]


def test_what_moves_the_queue_is_among_the_assumptions_and_no_queue_is_denied() -> None:
    told = " ".join(on_queue(flow(*WHOLE, (5, SOLD, 13, 9)), asked(queue="power:3", latency_ms=2), XYZ).assumptions)

    assert "behind^p / (ahead^p + behind^p) came from behind an order, p = 3." in told
    assert "An order takes 2 ms to the venue" in told
    assert "there is no queue before them" not in told


def test_a_book_without_a_queue_and_one_that_is_never_whole_are_refused() -> None:
    with pytest.raises(UnusableSettings, match="queue: is missing"):
        on_queue(flow(*WHOLE), asked(queue=""), XYZ)
    with pytest.raises(UnreadableTape, match="never had both sides"):
        on_queue(flow(WHOLE[0]), asked(), XYZ)

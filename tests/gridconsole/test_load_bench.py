"""The load test would notice: what it calls lost, overhead and growth. The load itself is in `tests/load`."""

from typing import Any

import pytest

from benchmarks import laden, load
from benchmarks.load import Missing, Moment
from gridconsole import processes, profile
from trading.domain.latency import Histogram
from trading.domain.matching import VenueState

VENUE = VenueState(3, {"BTCUSDT": 2, "ETHUSDT": 1}, {}, {}, {})  # two orders and one execution so far
ORDERS, FILLS = {1, 2}, {("BTCUSDT", 1)}


@pytest.mark.parametrize(
    ("orders", "fills", "acknowledged", "missing"),
    [
        (ORDERS, FILLS, 2, 0),
        ({1}, FILLS, 1, 1),
        (ORDERS, set(), 2, 1),
        (ORDERS, FILLS, 3, 1),
        (set(), set(), 2, 5),
    ],
    ids=["everything is there", "an order", "an execution", "an acknowledgement", "all of it"],
)
def test_what_the_exchange_numbered_or_answered_must_be_in_the_database(
    orders: set[int], fills: set[tuple[str, int]], acknowledged: int, missing: int
) -> None:
    assert Missing.of(VENUE, orders, fills, acknowledged).count == missing


def test_only_what_was_counted_since_the_warm_up_counts() -> None:
    before, now = Histogram({10: 5, 20: 1}), Histogram({10: 7, 20: 1, 30: 1})

    assert load._since(now, before).samples == 3


def test_the_simulated_round_trip_is_no_overhead() -> None:
    known = Histogram()
    known.record_ns(int((load.ROUND_TRIP_MS + 5.0) * 1e6))

    overhead = load._overhead(known, 99)

    assert overhead is not None
    assert 5.0 <= overhead <= 5.0 + 0.04 * (load.ROUND_TRIP_MS + 5.0)  # the width of a bucket
    assert load._overhead(Histogram(), 99) is None


def moment(**mb: float) -> Moment:
    memory = {
        "total_pss_mb": sum(mb.values()),
        "shared_mb": 0.0,
        "processes": {name: {"pss_mb": one} for name, one in mb.items()},
    }
    return Moment(0.0, {}, memory, {})


def test_memory_grows_by_what_all_processes_grew_and_the_recording_is_no_base_of_it() -> None:
    found = load._memory(moment(loops=100.0, simulator=200.0), moment(loops=108.0, simulator=202.0), tape_mb=100.0)

    assert found["memory_growth_fraction"] == pytest.approx(10 / 200)
    assert found["memory_by_process_mb"] == {"loops": [100.0, 108.0], "simulator": [200.0, 202.0]}


def test_what_was_not_measured_is_missed() -> None:
    assert {name for name, bound in load.BOUNDS.items() if not bound.is_met(None)} == set(load.BOUNDS)


def test_the_console_is_started_as_up_does_but_for_the_limits_and_the_counters() -> None:
    found = profile.read(of_running=False)

    exchange, loops = laden.simulator(found), laden.loops()

    assert exchange.argv == [*processes.simulator(found).argv, "--lift-order-limits"]
    expected: list[Any] = list(processes.loops().argv)
    expected[2] = "benchmarks.counted"
    assert loops.argv == expected

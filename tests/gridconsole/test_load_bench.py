"""The load test would notice: what it calls lost, overhead and growth. The load itself is in `tests/load`."""

from typing import Any

import pytest

from benchmarks import laden, load
from benchmarks.load import Missing, Moment
from gridconsole import processes, profile
from trading.domain.core import KEPT_FOR_NS
from trading.domain.latency import Histogram
from trading.domain.venue_orders import VenueState

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


def test_memory_grows_by_what_the_processes_of_the_console_grew_and_the_venue_stands_apart() -> None:
    before = moment(loops=100.0, postgres=60.0, simulator=200.0)
    after = moment(loops=108.0, postgres=64.0, simulator=290.0)

    found = load._memory(before, after)

    assert found["memory_growth_fraction"] == pytest.approx(12 / 160)
    assert (found["memory_first_mb"], found["memory_last_mb"]) == (160.0, 172.0)
    assert found["venue_mb"] == [200.0, 290.0]
    assert found["memory_by_process_mb"]["simulator"] == [200.0, 290.0]


@pytest.mark.parametrize(("seconds", "warm_up_s"), [(600.0, 90.0), (60.0, 90.0), (10.0, 2.5)])
def test_a_run_that_judges_memory_warms_up_for_longer_than_anything_is_remembered(
    seconds: float, warm_up_s: float
) -> None:
    plan = load.Plan(seconds, 10_000, 28.0)

    assert plan.warm_up_s == warm_up_s
    assert warm_up_s * 10**9 > KEPT_FOR_NS or seconds < 60


def test_what_was_not_measured_is_missed() -> None:
    assert {name for name, bound in load.BOUNDS.items() if not bound.is_met(None)} == set(load.BOUNDS)


def test_the_console_is_started_as_up_does_but_for_the_limits_and_the_counters() -> None:
    found = profile.read(of_running=False)

    exchange, loops = laden.simulator(found), laden.loops()

    assert exchange.argv == [*processes.simulator(found).argv, "--lift-order-limits"]
    expected: list[Any] = list(processes.loops().argv)
    expected[2] = "benchmarks.counted"
    assert loops.argv == expected

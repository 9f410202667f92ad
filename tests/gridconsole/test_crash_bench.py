"""The crash harness would notice: what it calls lost, doubled and different. The killing itself is not tested."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from benchmarks import crash, truth, victims
from benchmarks.crash import Harness, Plan, Tally
from gridconsole import profile
from trading.domain.orders import Fill, OrderType, Side
from trading.domain.venue_orders import BookedOrder, NewOrder, VenueState

ORDER, FILL = ("micro", "gc-1"), ("micro", "BTCUSDT", 1)
FACTS = ("gc-1", "BUY", 6_000_000, 10, Decimal("0.1"))


def booked(name: str, order_id: int, *, lots: int = 10) -> BookedOrder:
    order = NewOrder(name, "BTCUSDT", Side.BUY, OrderType.LIMIT_MAKER, lots, 6_000_000)
    return BookedOrder("micro", order, order_id, 0, 0, Decimal(0))


def fill(trade_id: int, *, lots: int = 10) -> Fill:
    return Fill(trade_id, "gc-1", "1", "BTCUSDT", Side.BUY, 6_000_000, lots, Decimal("0.1"), "USDT", True, 0)


def venue(orders: list[BookedOrder], fills: list[Fill], *, next_order_id: int) -> truth.Venue:
    seen = truth.Venue()
    seen.take(VenueState(next_order_id, {}, {}, {"micro": orders}, {"micro": fills}))
    return seen


def harness(tmp_path: Path, tally: Tally, **plan: Any) -> Harness:
    planned = Plan(**{"kills": 1, "limit_s": 1.0, "names": ("loops",), "chance": random.Random(1), **plan})
    return Harness(tmp_path, 0, profile.read(of_running=False), None, truth.Watcher(tmp_path), planned, tally)


@pytest.mark.parametrize(
    ("orders", "fills", "doubled"),
    [
        ([booked("gc-1", 1)], [fill(1)], []),
        ([booked("gc-1", 1), booked("gc-1", 2)], [], [ORDER]),
        ([booked("gc-1", 1)], [fill(1), fill(2)], [ORDER]),
    ],
    ids=["one order, one fill", "two orders with one id", "executed beyond its quantity"],
)
def test_an_order_that_went_out_twice_is_found(
    orders: list[BookedOrder], fills: list[Fill], doubled: list[truth.OrderKey]
) -> None:
    assert venue(orders, fills, next_order_id=3).doubled() == doubled


def test_an_order_that_was_never_seen_is_counted() -> None:
    assert venue([booked("gc-1", 1), booked("gc-3", 3)], [], next_order_id=4).unseen() == 1


@pytest.mark.parametrize(
    ("books", "lost"),
    [
        (truth.Books({ORDER: "FILLED"}, {FILL: FACTS}), set()),
        (truth.Books({}, {FILL: FACTS}), {ORDER}),
        (truth.Books({ORDER: "FILLED"}, {}), {FILL}),
    ],
    ids=["everything is there", "the order is gone", "the fill is gone"],
)
def test_what_the_venue_knew_at_the_kill_must_be_in_the_books(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, books: truth.Books, lost: set[Any]
) -> None:
    monkeypatch.setattr(truth, "read_books", lambda: books)
    tally = Tally()

    harness(tmp_path, tally)._verify(({ORDER}, {FILL}))

    assert tally.lost == lost


@pytest.mark.parametrize(("there", "lost"), [(True, set()), (False, {("audit", (7, "abc"))})])
def test_an_audit_row_that_was_confirmed_before_the_kill_must_still_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool, lost: set[Any]
) -> None:
    monkeypatch.setattr(truth, "read_books", truth.Books)
    monkeypatch.setattr(truth, "audit_head", lambda: (7, "abc"))
    monkeypatch.setattr(truth, "has_audit_row", lambda *row: there or row != (7, "abc"))
    tally = Tally()
    hand = harness(tmp_path, tally)

    hand._remember()
    hand._verify((set(), set()))

    assert tally.lost == lost


@pytest.mark.django_db
def test_the_head_of_the_chain_is_found_by_number_and_hash() -> None:
    from trading.services import audit

    assert truth.has_audit_row(*truth.audit_head())
    audit.record(actor="a", action="b", subject="c", payload={}, at=datetime(2026, 1, 1, tzinfo=UTC))

    sequence, digest = truth.audit_head()

    assert truth.has_audit_row(sequence, digest)
    assert not truth.has_audit_row(sequence, "0" * 64)
    assert not truth.has_audit_row(sequence + 1, digest)


@pytest.mark.parametrize("kills", [20, 300])
def test_everybody_is_struck_equally_often_and_every_sixth_time_frozen(kills: int) -> None:
    def drawn(seed: int) -> list[tuple[str, float]]:
        return Plan(kills, 1.0, victims.VICTIMS, random.Random(seed)).strikes()

    counts = Counter(name for name, _ in drawn(1))
    stills = [seconds for _, seconds in drawn(1) if seconds]

    assert counts.keys() == set(victims.VICTIMS)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(drawn(1)) == kills
    assert len(stills) == round(kills / 6)
    assert all(4 <= seconds <= 8 for seconds in stills)
    assert drawn(1) == drawn(1) != drawn(2)


def test_a_run_that_is_cut_off_leaves_what_it_saw_and_counts_as_missed(tmp_path: Path) -> None:
    tally = Tally(planned=20)
    tally.by_process.update(["loops", "web"])
    tally.lost.add(ORDER)
    hand = harness(tmp_path, tally, partial=tmp_path / "new" / "crash.json")

    hand._keep()

    kept = json.loads((tmp_path / "new" / "crash.json").read_text())
    assert (kept["kills"], kept["kills_missing"], kept["lost"]) == (2, 18, 1)
    assert not crash.BOUNDS["kills_missing"].is_met(kept["kills_missing"])
    assert tally.words() == "1 lost, 0 doubled, 0 never ready, 0 halts"


def test_beat_is_found_below_its_worker_and_no_longer_once_it_was_killed() -> None:
    below = "import subprocess, time; subprocess.Popen(['sleep', '1000']); time.sleep(1000)"
    supervisor = (
        "import os, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {below!r}], env={{**os.environ, 'GRIDCONSOLE_PROCESS': 'tasks'}})\n"
        "time.sleep(1000)"
    )
    root = subprocess.Popen([sys.executable, "-c", supervisor], start_new_session=True)
    try:
        until(lambda: victims.find(root.pid, "beat") is not None)
        worker = victims.find(root.pid, "tasks")

        killed = victims.kill(root.pid, "beat")

        until(lambda: victims.find(root.pid, "beat") is None)  # what is left of it is no process
        assert killed != worker == victims.find(root.pid, "tasks")
    finally:
        os.killpg(root.pid, signal.SIGKILL)
        root.wait()


def until(condition: Callable[[], bool], *, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline


def test_nobody_who_does_not_run_can_be_struck() -> None:
    with subprocess.Popen(["sleep", "1000"]) as childless:
        for name in victims.VICTIMS:
            with pytest.raises(ProcessLookupError, match=name):
                victims.kill(childless.pid, name)
        childless.kill()


def test_books_that_were_never_compared_are_not_called_equal() -> None:
    measured = Tally().figures()

    assert (measured["audit_ok"], measured["books_equal"], measured["ready_p99_ms"]) == (False, False, None)
    missed = {name for name, bound in crash.BOUNDS.items() if not bound.is_met(measured.get(name))}
    assert missed >= {"book_differences", "audit_breaks", "ready_p99_ms"}

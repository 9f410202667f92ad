"""The crash harness would notice: what it calls lost, doubled and different. The killing itself is not tested."""

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from benchmarks import crash, truth
from benchmarks.crash import Harness, Plan, Tally
from trading.domain.matching import BookedOrder, NewOrder, VenueState
from trading.domain.orders import Fill, OrderType, Side

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
    tally, plan = Tally(), Plan(1, 1.0, ("loops",), random.Random(1))
    harness = Harness(tmp_path, 0, 0, None, truth.Watcher(tmp_path), plan, tally)

    harness._verify(({ORDER}, {FILL}))

    assert tally.lost == lost


def test_books_that_were_never_compared_are_not_called_equal() -> None:
    measured = Tally().figures()

    assert (measured["audit_ok"], measured["books_equal"], measured["ready_p99_ms"]) == (False, False, None)
    missed = {name for name, bound in crash.BOUNDS.items() if not bound.is_met(measured.get(name))}
    assert missed >= {"book_differences", "audit_breaks", "ready_p99_ms"}

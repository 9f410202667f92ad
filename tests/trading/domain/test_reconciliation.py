"""What a venue read says beyond our books, and what it proves."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import pytest

from trading.domain.events import VenueOrder, VenueRead
from trading.domain.orders import Fill, Order, OrderStatus, OrderType, Purpose, Side
from trading.domain.reconciliation import (
    PROOF_AFTER_NS,
    BalanceMismatch,
    Fate,
    Finding,
    ForeignOrder,
    Ghost,
    LocalBooks,
    MissingFill,
    NeverArrived,
    Orphan,
    StillUnknown,
    compare,
    compare_balances,
    describe,
)

DECIDED = 1_000 * 10**9
OURS = Order(
    "gc-micro-1-1", "BTCUSDT", Side.BUY, OrderType.LIMIT_MAKER, 10, 100, 0, Purpose.GRID, DECIDED, 100,
    status=OrderStatus.ACCEPTED, updated_at_ns=DECIDED,
)  # fmt: skip
THERE = VenueOrder("gc-micro-1-1", "7", "BTCUSDT", OrderStatus.ACCEPTED, 0, ours=True)
FILL = Fill(5, "gc-micro-1-1", "7", "BTCUSDT", Side.BUY, 100, 4, Decimal(0), "USDT", True, DECIDED)


def read(
    orders: Iterable[VenueOrder] = (), *, missing: Iterable[str] = (), fills: Iterable[Fill] = (), after_ns: int = 10**9
) -> VenueRead:
    return VenueRead(
        DECIDED + after_ns, frozenset({"gc-micro-1-1"}), tuple(orders), frozenset(missing), tuple(fills), {}
    )


def found(local: Iterable[Order], venue: VenueRead, known: Iterable[int] = ()) -> list[Finding]:
    books = {order.client_order_id: order for order in local}
    return compare(LocalBooks(books, lambda fill: fill.trade_id in set(known)), venue)


def test_a_fill_we_did_not_hear_of_is_missing_and_one_we_did_is_not() -> None:
    assert found([OURS], read(fills=[FILL])) == [MissingFill(FILL)]
    assert found([OURS], read(fills=[FILL]), known=[5]) == []


@pytest.mark.parametrize(
    ("local", "venue", "expected"),
    [
        (OrderStatus.ACCEPTED, OrderStatus.ACCEPTED, Fate),
        (OrderStatus.UNKNOWN, OrderStatus.CANCELED, Fate),
        (OrderStatus.SUBMITTED, OrderStatus.REJECTED, Fate),
        (OrderStatus.CANCELED, OrderStatus.CANCELED, None),
        (OrderStatus.CANCELED, OrderStatus.ACCEPTED, Orphan),
        (OrderStatus.REJECTED, OrderStatus.PARTIALLY_FILLED, Orphan),
    ],
)
def test_the_venue_s_word_on_an_order_of_ours(
    local: OrderStatus, venue: OrderStatus, expected: type[Finding] | None
) -> None:
    findings = found([replace(OURS, status=local)], read([replace(THERE, status=venue)]))

    assert [type(finding) for finding in findings] == ([] if expected is None else [expected])


def test_what_ended_after_the_read_began_is_no_orphan() -> None:
    ended = replace(OURS, status=OrderStatus.CANCELED, updated_at_ns=DECIDED + 2 * 10**9)

    assert found([ended], read([THERE])) == []


def test_an_open_order_with_an_id_of_ours_that_we_never_kept_is_an_orphan() -> None:
    assert found([], read([THERE])) == [Orphan(THERE)]
    assert found([], read([replace(THERE, status=OrderStatus.FILLED)])) == []


def test_an_order_of_a_person_is_reported_while_it_works() -> None:
    human = replace(THERE, client_order_id="web_1", ours=False)

    assert found([], read([human])) == [ForeignOrder(human)]
    assert found([], read([replace(human, status=OrderStatus.CANCELED)])) == []


@pytest.mark.parametrize(
    ("status", "filled", "after_ns", "expected"),
    [
        (OrderStatus.UNKNOWN, 0, PROOF_AFTER_NS - 1, StillUnknown),
        (OrderStatus.UNKNOWN, 0, PROOF_AFTER_NS, NeverArrived),
        (OrderStatus.SUBMITTED, 0, PROOF_AFTER_NS - 1, StillUnknown),
        (OrderStatus.SUBMITTED, 0, PROOF_AFTER_NS, NeverArrived),
        (OrderStatus.INITIALIZED, 0, PROOF_AFTER_NS, NeverArrived),
        (OrderStatus.ACCEPTED, 0, PROOF_AFTER_NS - 1, StillUnknown),
        (OrderStatus.ACCEPTED, 0, PROOF_AFTER_NS, Ghost),
        (OrderStatus.PENDING_CANCEL, 0, PROOF_AFTER_NS, Ghost),
        (OrderStatus.UNKNOWN, 3, PROOF_AFTER_NS, Ghost),  # it filled once: it was there
    ],
)
def test_not_found_is_proof_only_after_the_order_can_no_longer_arrive(
    status: OrderStatus, filled: int, after_ns: int, expected: type[Finding]
) -> None:
    order = replace(OURS, status=status, filled_lots=filled)

    findings = found([order], read(missing=[OURS.client_order_id], after_ns=after_ns))

    assert [type(finding) for finding in findings] == [expected]


def test_not_found_says_nothing_of_an_order_that_has_ended() -> None:
    ended = replace(OURS, status=OrderStatus.REJECTED)

    assert found([ended], read(missing=[OURS.client_order_id], after_ns=PROOF_AFTER_NS)) == []


def test_an_order_sent_since_is_not_contradicted_by_a_read_that_could_not_see_it() -> None:
    sent_since = replace(OURS, client_order_id="gc-micro-1-2", status=OrderStatus.SUBMITTED)

    assert found([sent_since], read()) == []


@pytest.mark.parametrize(
    ("venue", "mismatch"),
    [
        ({"USDT": "100", "BTC": "0.5"}, []),
        ({"USDT": "100.00000001", "BTC": "0.5"}, []),
        ({"USDT": "100.00000002", "BTC": "0.5"}, ["USDT"]),
        ({"USDT": "100"}, ["BTC"]),
        ({}, ["BTC", "USDT"]),
        ({"USDT": "NaN", "BTC": "0.5"}, ["USDT"]),
        ({"USDT": "100", "BTC": "0.5", "DOGE": "7"}, []),
    ],
)
def test_balances_must_be_what_our_fills_explain(venue: dict[str, str], mismatch: list[str]) -> None:
    ours = {"USDT": Decimal(100), "BTC": Decimal("0.5")}
    seen = replace(read(), balances={asset: Decimal(amount) for asset, amount in venue.items()})

    assert [found.asset for found in compare_balances(ours, seen)] == mismatch


def test_every_finding_has_words() -> None:
    findings: list[Finding | BalanceMismatch] = [
        MissingFill(FILL),
        Fate("a", THERE),
        NeverArrived("a"),
        StillUnknown("a"),
        Ghost("a"),
        Orphan(THERE),
        ForeignOrder(THERE),
        BalanceMismatch("BTC", Decimal(1), Decimal(2)),
    ]

    assert len({describe(finding) for finding in findings}) == len(findings)

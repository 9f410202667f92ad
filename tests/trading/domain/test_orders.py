"""Orders: which step may follow which, what may still fill, and ids that are never too long."""

from dataclasses import replace

import pytest

from trading.domain.orders import (
    CLIENT_ORDER_ID_LENGTH,
    IN_FLIGHT,
    OPEN,
    TERMINAL,
    TRANSITIONS,
    WORKING,
    IllegalTransition,
    Order,
    OrderStatus,
    OrderType,
    Purpose,
    Side,
    advance,
    client_order_id,
)

S = OrderStatus
ORDER = Order("id", "BTCUSDT", Side.BUY, OrderType.LIMIT_MAKER, 100, 6_000_000, 0, Purpose.GRID, 0, 6_000_000)


@pytest.mark.parametrize(
    ("current", "reported"),
    [
        (S.INITIALIZED, S.DENIED),
        (S.INITIALIZED, S.SUBMITTED),
        (S.SUBMITTED, S.FILLED),  # the fill was heard before the acknowledgement
        (S.UNKNOWN, S.REJECTED),  # it was proven never to have arrived
        (S.UNKNOWN, S.ACCEPTED),
        (S.ACCEPTED, S.UNKNOWN),
        (S.PENDING_CANCEL, S.ACCEPTED),  # the cancel was refused
        (S.CANCELED, S.PARTIALLY_FILLED),  # a fill crossed our cancel on the wire
        (S.EXPIRED, S.FILLED),
    ],
)
def test_an_order_may_take_this_step(current: OrderStatus, reported: OrderStatus) -> None:
    assert advance(current, reported) is reported


@pytest.mark.parametrize(
    ("current", "reported"),
    [
        (S.FILLED, S.PARTIALLY_FILLED),
        (S.FILLED, S.CANCELED),
        (S.REJECTED, S.ACCEPTED),
        (S.DENIED, S.SUBMITTED),
        (S.CANCELED, S.ACCEPTED),
        (S.EXPIRED, S.UNKNOWN),
        (S.ACCEPTED, S.SUBMITTED),
        (S.ACCEPTED, S.REJECTED),  # what worked at the venue was not refused
        (S.UNKNOWN, S.SUBMITTED),  # it is never sent again
        (S.SUBMITTED, S.DENIED),  # the rules judge before it leaves
    ],
)
def test_a_step_that_cannot_be_is_refused_in_words(current: OrderStatus, reported: OrderStatus) -> None:
    with pytest.raises(IllegalTransition, match=f"^{current} -> {reported}$"):
        advance(current, reported)


def test_every_status_has_its_steps_and_belongs_to_one_kind() -> None:
    assert TRANSITIONS.keys() == set(S)
    assert set(S) == TERMINAL | OPEN
    assert not TERMINAL & OPEN
    assert not IN_FLIGHT & WORKING


@pytest.mark.parametrize("status", S)
def test_only_what_is_open_may_still_fill(status: OrderStatus) -> None:
    order = replace(ORDER, status=status, filled_lots=30)

    assert order.is_open is (status in OPEN)
    assert order.remaining_lots == (70 if order.is_open else 0)


def test_an_id_is_as_long_as_the_venue_allows_and_not_longer() -> None:
    longest = "a" * (CLIENT_ORDER_ID_LENGTH - len("gc--1-1"))

    assert len(client_order_id(longest, 1, 1)) == CLIENT_ORDER_ID_LENGTH
    with pytest.raises(ValueError, match=r"is longer than 36: shorten the account's slug\.$"):
        client_order_id(longest + "a", 1, 1)

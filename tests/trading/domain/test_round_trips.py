"""Round trips, calculated by hand."""

import numpy as np
import pytest

from trading.domain.round_trips import FillLog, UnpairedFills, paired, whole_orders


def log(*fills: tuple[int, int, int, int]) -> FillLog:
    """Fills of (slot, signed lots, ticks, fee), one an event."""
    columns = np.array(fills, dtype=np.int64).reshape(-1, 4).T
    return FillLog(np.arange(len(fills), dtype=np.int64), *columns)


def test_a_sell_closes_the_buy_of_its_slot_and_pays_both_fees() -> None:
    # slot 0: 2 lots bought at 100, sold at 110: 2 * 10 * 5 - 3 - 4; slot 1: bought at 110, sold at 111 with fees of 8
    trips = paired(log((1, 2, 110, 4), (0, 2, 100, 3), (0, -2, 110, 4), (1, -2, 111, 8)), opens=1, unit=5)

    assert trips.profit.tolist() == [93, -2]
    assert trips.slot.tolist() == [0, 1]
    assert trips.closed.tolist() == [2, 3]
    assert (trips.wins, trips.gain, trips.loss) == (1, 93, 2)


def test_what_was_given_to_begin_with_closes_no_round_trip() -> None:
    trips = paired(log((3, -1, 110, 0), (3, 1, 100, 0), (3, -1, 110, 0)), opens=1, unit=1)

    assert trips.profit.tolist() == [10]


def test_the_first_sell_closes_what_a_slot_was_given() -> None:
    trips = paired(
        log((3, -2, 110, 1), (1, 1, 90, 0), (3, 2, 100, 0), (3, -2, 111, 0), (1, -1, 95, 0)),
        opens=1, unit=1, basis={3: 205, 7: 1},
    )  # fmt: skip

    assert trips.profit.tolist() == [220 - 1 - 205, 22, 5]
    assert trips.slot.tolist() == [3, 3, 1]


def test_a_short_slot_sells_first() -> None:
    trips = paired(log((0, -1, 110, 1), (0, 1, 100, 1), (0, -1, 110, 1)), opens=-1, unit=1)

    assert trips.profit.tolist() == [8]


def test_a_slot_can_go_round_many_times() -> None:
    trips = paired(log(*[(0, 1, 10, 0), (0, -1, 12, 0)] * 3), opens=1, unit=1)

    assert trips.profit.tolist() == [2, 2, 2]
    assert len(trips) == 3


def test_no_fills_make_no_round_trips() -> None:
    trips = paired(log(), opens=1, unit=1)

    assert (len(trips), trips.wins, trips.gain, trips.loss) == (0, 0, 0, 0)


def test_a_round_trip_that_earns_nothing_is_no_win() -> None:
    assert paired(log((0, 1, 10, 1), (0, -1, 12, 1)), opens=1, unit=1).wins == 0


def test_two_buys_of_a_slot_in_a_row_are_refused() -> None:
    with pytest.raises(UnpairedFills, match="two fills of one slot"):
        paired(log((0, 1, 10, 0), (0, 1, 10, 0)), opens=1, unit=1)


def test_the_parts_of_an_order_are_one_order_once_its_last_lot_is_filled() -> None:
    parts = FillLog(*np.array([
        # event, slot, signed lots, ticks, fee
        (1, 0, 3, 10, 3), (2, 1, 2, 20, 4), (3, 0, 2, 10, 2), (4, 0, -1, 20, 2), (5, 1, 3, 20, 6), (6, 0, -3, 20, 6),
    ]).T)  # fmt: skip

    whole, last = whole_orders(parts, np.array([5, 5]))

    assert last.tolist() == [2, 4]  # the sell of slot 0 lacks a lot
    assert (whole.slot.tolist(), whole.signed_lots.tolist(), whole.fee.tolist()) == ([0, 1], [5, 5], [5, 10])
    assert len(whole_orders(FillLog(*(column[:0] for column in np.zeros((5, 1), np.int64))), np.array([5]))[0]) == 0

"""Rows of market history are held to their rules, whatever blocks they come in."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain.history import COLUMNS, SECOND_NS, Hole, Kind, Series, Unsound, between
from trading.domain.soundness import Checker, coarsest

BASE_NS = 1_700_000_040 * SECOND_NS  # a whole minute
MINUTE_NS = 60 * SECOND_NS


def columns(kind: Kind, rows: list[tuple[int, ...]]) -> dict[str, Any]:
    return {
        name: np.array(values, dtype=np.int64)
        for name, values in zip(COLUMNS[kind], zip(*rows, strict=True), strict=True)
    }


def trades(*rows: tuple[int, int, int, int]) -> dict[str, Any]:
    return columns(Kind.TRADES, [(BASE_NS + at, number, price, lots, 0) for at, number, price, lots in rows])


def tops(*rows: tuple[int, int, int, int]) -> dict[str, Any]:
    return columns(Kind.TOPS, [(BASE_NS + at, number, bid, 1, ask, 1) for at, number, bid, ask in rows])


def bars(*rows: tuple[int, int, int, int, int]) -> dict[str, Any]:
    return columns(Kind.BARS, [(BASE_NS + at, *prices, 5) for at, *prices in rows])


@pytest.mark.parametrize(
    ("kind", "rows", "field", "row"),
    [
        (Kind.TRADES, trades((5, 1, 10, 1), (4, 2, 10, 1)), "at_ns", 1),
        (Kind.TRADES, trades((5, 1, 10, 1), (5, 1, 10, 1)), "trade_id", 1),
        (Kind.TRADES, trades((5, 2, 10, 1), (5, 1, 10, 1)), "trade_id", 1),
        (Kind.TRADES, trades((5, 1, 0, 1)), "price_ticks", 0),
        (Kind.TRADES, trades((5, 1, -1, 1)), "price_ticks", 0),
        (Kind.TRADES, trades((5, 1, 10, 0)), "quantity_lots", 0),
        (Kind.TOPS, tops((1, 1, 10, 10)), "ask_ticks", 0),
        (Kind.TOPS, tops((1, 1, 10, 11), (1, 1, 10, 11)), "update_id", 1),
        (Kind.BARS, bars((0, 10, 9, 8, 9)), "high_ticks", 0),
        (Kind.BARS, bars((0, 10, 12, 11, 12)), "low_ticks", 0),
        (Kind.BARS, bars((0, 10, 12, 9, 12), (0, 10, 12, 9, 12)), "at_ns", 1),
        (Kind.BARS, bars((1, 10, 12, 9, 12)), "at_ns", 0),
    ],
)
def test_a_broken_rule_is_named_with_its_first_row(kind: Kind, rows: Any, field: str, row: int) -> None:
    with pytest.raises(Unsound) as refused:
        Checker(kind, MINUTE_NS).feed(rows)

    assert (refused.value.problem.field, refused.value.problem.row) == (field, row)


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        (Kind.TRADES, trades((5, 1, 10, 1), (5, 2, 10, 1))),
        (Kind.TOPS, tops((5, 1, 10, 11), (5, 9, 10, 11))),
        (Kind.BARS, bars((0, 10, 10, 10, 10), (MINUTE_NS, 9, 12, 9, 12))),
    ],
)
def test_what_stands_just_on_the_edge_is_sound(kind: Kind, rows: Any) -> None:
    checker = Checker(kind, MINUTE_NS)

    checker.feed(rows)

    assert (checker.rows, checker.holes) == (2, [])


def test_missing_trades_and_minutes_are_holes_with_their_times() -> None:
    prints, minutes = Checker(Kind.TRADES), Checker(Kind.BARS, MINUTE_NS)

    prints.feed(trades((0, 1, 10, 1), (7, 5, 10, 1)))
    minutes.feed(bars((0, 10, 10, 10, 10), (3 * MINUTE_NS, 10, 10, 10, 10)))

    assert prints.holes == [Hole(BASE_NS, BASE_NS + 7, 3)]
    assert minutes.holes == [Hole(BASE_NS + MINUTE_NS, BASE_NS + 3 * MINUTE_NS, 2)]


@pytest.mark.parametrize("prev", [True, False])
def test_an_update_that_does_not_follow_the_one_before_is_a_hole(prev: bool) -> None:
    rows = columns(Kind.L2DIFF, [(1, 1, 5, 1, 9, 1), (2, 6, 8, 1, 9, 1), (3, 10, 12, -1, 9, 1)])
    if prev:
        rows["prev_id"] = np.array([0, 5, 9], dtype=np.int64)
    checker = Checker(Kind.L2DIFF)

    checker.feed(rows)

    assert checker.holes == [Hole(2, 3, 0)]


def test_ids_start_anew_only_at_the_seams_of_a_recording() -> None:
    rows = trades((0, 5, 10, 1), (1, 6, 10, 1), (2, 1, 10, 1))
    rows["segment_ns"] = np.array([1, 1, 2], dtype=np.int64)
    recorded = Checker(Kind.TRADES, restarts=True)

    recorded.feed(rows)

    assert recorded.holes == [Hole(BASE_NS + 1, BASE_NS + 2, 0)]
    with pytest.raises(Unsound):
        Checker(Kind.TRADES).feed(rows)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-1, 3), st.integers(0, 3), st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=30
    ),
    st.lists(st.integers(0, 30), max_size=4),
)
def test_blocks_do_not_change_what_is_found(steps: list[tuple[int, int, int, int]], cuts: list[int]) -> None:
    at, number, rows = 0, 100, []
    for step, more, price, lots in steps:
        at, number = at + step, number + more
        rows.append((at, number, price, lots))
    table = trades(*rows)
    bounds = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})

    def found(blocks: list[slice]) -> Any:
        checker = Checker(Kind.TRADES)
        try:
            for block in blocks:
                checker.feed({name: values[block] for name, values in table.items()})
        except Unsound as error:
            return error.problem.row, error.problem.field
        return checker.rows, checker.first_ns, checker.last_ns, checker.holes

    assert found([slice(a, b) for a, b in pairwise(bounds)]) == found([slice(None)])


@pytest.mark.parametrize(
    ("units", "scale", "decimals"),
    [([100, 250], 2, 1), ([100, 200], 2, 0), ([101], 2, 2), ([0, 0], 5, 0), ([5], 0, 0), ([1_000], 2, 0)],
)
def test_steps_are_the_coarsest_power_of_ten(units: list[int], scale: int, decimals: int) -> None:
    assert coarsest(np.array(units, dtype=np.int64), scale) == decimals


def test_parts_that_follow_each_other_join_or_leave_a_hole() -> None:
    prints, minutes = Series(Kind.TRADES, "v", "BTCUSDT"), Series(Kind.BARS, "v", "BTCUSDT", 60)

    assert between((0, 7), (10**18, 8), prints) is None
    assert between((0, 7), (10, 10), prints) == Hole(0, 10, 2)
    assert between((0, 0), (MINUTE_NS, 0), minutes) is None
    assert between((0, 0), (2 * MINUTE_NS, 0), minutes) == Hole(MINUTE_NS, 2 * MINUTE_NS, 1)

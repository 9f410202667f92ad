"""What a recording says about resting orders, and which recordings say nothing."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.tapes import MAX_TICKS, Ints, Tape, UnreadableTape, of_bars, of_tops, of_trades


def ints(*values: int) -> Ints:
    return np.array(values, np.int64)


def bars(**changes: Any) -> Tape:
    columns = {"open_at_ns": ints(0, 60), "open_": ints(10, 12), "high": ints(15, 14), "low": ints(8, 9),
               "close": ints(12, 10), **changes}  # fmt: skip
    return of_bars("XYZ", **{"bar_ns": 60, **columns})


def test_a_touch_is_the_price_itself_and_through_is_one_tick_beyond() -> None:
    touch, through = (of_trades("XYZ", ints(1, 2), ints(10, 11), through=beyond) for beyond in (False, True))

    assert touch.down is touch.up is touch.mark
    assert through.down.tolist() == [11, 12]
    assert through.up.tolist() == [9, 10]
    assert through.mark.tolist() == [10, 11]


def test_book_tops_touch_a_buy_with_the_ask_and_a_sell_with_the_bid() -> None:
    tape = of_tops("XYZ", ints(1, 2), ints(10, 11), ints(12, 11))

    assert tape.down.tolist() == [12, 11]
    assert tape.up is tape.mark
    assert (tape.highest, tape.pad, len(tape)) == (12, -1, 2)


def test_a_rising_bar_goes_down_first_and_a_falling_one_up() -> None:
    tape = bars()

    assert tape.mark.tolist() == [10, 8, 15, 12, 12, 14, 9, 10]
    assert tape.at_ns.tolist() == [0, 15, 30, 45, 60, 75, 90, 105]
    assert (tape.down - tape.mark).tolist() == [1] * 8


@given(st.lists(st.integers(1, 99), min_size=4, max_size=4).map(sorted), st.booleans())
def test_no_way_through_a_bar_is_shorter(sorted_prices: list[int], rises: bool) -> None:
    low, a, b, high = sorted_prices
    open_, close = (a, b) if rises else (b, a)
    tape = bars(open_at_ns=ints(0), open_=ints(open_), high=ints(high), low=ints(low), close=ints(close))

    walked = int(np.abs(np.diff(tape.mark)).sum())

    ways = ((low, high), (high, low))
    assert walked == min(abs(open_ - x) + high - low + abs(y - close) for x, y in ways)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: of_trades("XYZ", ints(), ints(), through=False), "no events"),
        (lambda: of_trades("XYZ", ints(1, 2), ints(1), through=False), "rows"),
        (lambda: of_trades("XYZ", ints(2, 1), ints(1, 1), through=False), "at_ns of event 0"),
        (lambda: of_trades("XYZ", ints(1, 2), ints(1, -1), through=False), "event 1 is outside"),
        (lambda: of_trades("XYZ", ints(1), ints(MAX_TICKS + 1), through=False), "event 0 is outside"),
        (lambda: of_trades("XYZ", ints(1), np.array([1.5]), through=False), "int64"),
        (lambda: of_trades("XYZ", ints(1, 2, 3, 4)[::2], ints(1, 2), through=False), "int64"),
        (lambda: of_tops("XYZ", ints(1, 2), ints(5, 7), ints(6, 6)), "up of event 1 lies above down"),
        (lambda: Tape("XYZ", ints(1), ints(5), ints(5), ints(5), (), 1), "pad"),
        (lambda: bars(bar_ns=3), "bar_ns"),
        (lambda: bars(close=ints(12)), "differ in length"),
        (lambda: bars(high=ints(15, 11)), "event 1 does not hold"),
        (lambda: bars(low=ints(11, 9)), "event 0 does not hold"),
        (lambda: bars(open_at_ns=ints(0, 59)), "overlaps"),
    ],
)  # fmt: skip
def test_what_is_no_recording_is_refused_with_its_place(build: Any, reason: str) -> None:
    with pytest.raises(UnreadableTape, match=reason):
        build()

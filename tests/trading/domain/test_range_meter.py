"""The true range as it is measured live: the lab's to the last digit, and nothing of what was not seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.range_meter import Measured, RangeMeter, as_json, from_json
from trading.domain.true_range import history

SECOND = 1_000_000_000
Prices = list[tuple[int, int]]


def meter(bars: int = 1, bar_s: int = 60) -> RangeMeter:
    return RangeMeter(Measured(bars, bar_s))


def seen(by: RangeMeter, *prices: tuple[int, int]) -> RangeMeter:
    """Show prices at so many seconds."""
    for second, ticks in prices:
        by.observe(second * SECOND, ticks)
    return by


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 10**6)), min_size=1, max_size=60), st.integers(1, 4))
def test_what_is_known_at_every_event_is_what_the_lab_knows(moves: Prices, bars: int) -> None:
    at_ns = np.cumsum([seconds for seconds, _ in moves]).astype(np.int64) * SECOND
    mark = np.array([ticks for _, ticks in moves], np.int64)
    lab, by = history(at_ns, mark, bar_s=60, bars=bars), meter(bars)

    for event, (now_ns, ticks) in enumerate(zip(at_ns.tolist(), mark.tolist(), strict=True)):
        by.observe(now_ns, ticks)

        known = lab.at(event)
        assert by.known.atr_ticks == (known if known else None)


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ([], "waits for 2 bars of 60 s, has 0"),
        ([(0, 10), (60, 20)], "waits for 2 bars of 60 s, has 0"),  # the first bar has no close before it
        ([(0, 10), (60, 20), (120, 30)], "waits for 2 bars of 60 s, has 1"),
        ([(0, 10), (60, 20), (120, 30), (180, 30)], ""),
        ([(0, 10), (60, 10), (120, 10), (180, 10)], "waits for a price that moves: 2 bars of 60 s had no range"),
    ],
)
def test_it_says_what_it_waits_for(prices: Prices, words: str) -> None:
    assert seen(meter(2), *prices).known.waits == words


@pytest.mark.parametrize("again_s", [70, 130])
def test_a_bar_in_which_the_stream_broke_gives_its_close_alone(again_s: int) -> None:
    by = seen(meter(), (0, 100), (60, 110))
    by.broke()

    seen(by, (again_s, 500), (again_s + 10, 90), (180, 100))

    assert (by.known.ranges, by.known.close_ticks) == (0, 90)
    assert seen(by, (190, 104), (240, 104)).known.value == 104 - 90


def test_a_restart_goes_on_with_what_was_stored_and_drops_the_bar_in_progress() -> None:
    before = seen(meter(2), (0, 100), (60, 110), (120, 130), (150, 900))

    again = RangeMeter(from_json(as_json(before.known)))
    assert again.known == before.known
    seen(again, (170, 120), (180, 125))

    assert (again.known.ranges, again.known.close_ticks) == (1, 120)
    assert seen(again, (240, 140)).known.value == (10 + 5) / 2


@pytest.mark.parametrize(("missing", "kept"), [(2, True), (3, False)])
def test_what_was_measured_too_long_ago_is_not_known(missing: int, kept: bool) -> None:
    known = seen(meter(2), (0, 100), (60, 110), (120, 130), (180, 140)).known
    assert known.atr_ticks is not None

    again = seen(RangeMeter(known), (60 * (known.bar + missing), 150))

    assert (again.known.atr_ticks is not None) is kept


@given(st.integers(1, 5), st.integers(0, 9), st.floats(0, 1e12), st.none() | st.integers(1, 10**9))
def test_what_is_known_is_read_back_as_it_was_stored(bars: int, ranges: int, value: float, close: int | None) -> None:
    known = Measured(bars, 60, min(ranges, bars), value, close, 7)

    assert from_json(as_json(known)) == known


@pytest.mark.parametrize(
    "changes",
    [{"value": "nan"}, {"value": "-1"}, {"bars": 0}, {"bar_s": 0}, {"ranges": 3}, {"value": "x"}, {"close_ticks": "x"}],
)
def test_what_is_no_measurement_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the words of int() and float() are not ours
        from_json(as_json(Measured(2, 60)) | changes)

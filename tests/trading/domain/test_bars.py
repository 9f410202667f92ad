"""Bars refuse what no bars can be, by name and place."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trading.domain.bars import Bars, UnsoundBars

MINUTE_NS = 60_000_000_000


def sound() -> Bars:
    at_ns = np.arange(1, 5, dtype=np.int64) * MINUTE_NS
    price = np.array([10.0, 11.0, 12.0, 11.0])
    return Bars("BTCUSDT", MINUTE_NS, at_ns, price, price + 1, price - 1, price, np.ones(4))


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_a_value_that_no_bar_has_is_named_with_its_place(name: str, value: float) -> None:
    column: Any = getattr(sound(), name).copy()
    column[2] = value

    with pytest.raises(UnsoundBars, match="of bar 2"):
        replace(sound(), **{name: column})


@pytest.mark.parametrize(
    "at_ns", [[1, 2, 2, 3], [1, 3, 2, 4], [0, 1, 2, 3.5]], ids=["twice", "backwards", "off the length"]
)
def test_times_rise_on_the_length_of_a_bar(at_ns: list[float]) -> None:
    with pytest.raises(UnsoundBars, match="at_ns"):
        replace(sound(), at_ns=(np.array(at_ns) * MINUTE_NS).astype(np.int64))


def test_a_part_holds_the_bars_that_close_in_it() -> None:
    part = sound().between(2 * MINUTE_NS, 4 * MINUTE_NS)

    assert part.at_ns.tolist() == [2 * MINUTE_NS, 3 * MINUTE_NS]
    assert part.close.tolist() == [11.0, 12.0]

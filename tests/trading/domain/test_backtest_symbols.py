"""Several symbols in one backtest: what they share, what each has of its own, and what is refused by name."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain.backtest_settings import Mode, UnusableSettings, read
from trading.domain.backtest_symbols import legs_of, own_of, spelled

BOTH = "BTCUSDT,ETHUSDT"


def wrong(**values: Any) -> list[str]:
    with pytest.raises(UnusableSettings) as refused:
        legs_of(read(values))
    return [str(one) for one in refused.value.wrong]


def test_one_symbol_is_what_was_asked() -> None:
    asked = read({"symbol": "ETHUSDT", "max_drawdown": "0.1", "lower": 1, "upper": 2})

    assert legs_of(asked) == (asked,)


def test_each_symbol_has_a_grid_of_its_own_and_the_purse_its_cash_and_its_gate() -> None:
    asked = read({
        "symbol": " BTCUSDT, ETHUSDT", "levels": 12, "max_drawdown": "0.05", "cash": 500, "step": "0.002",
        "each": "ETHUSDT: lower=2000, upper=3000 , mode=long; BTCUSDT:lot=60;",
    })  # fmt: skip

    btc, eth = legs_of(asked)

    assert asked.symbols == ("BTCUSDT", "ETHUSDT")
    assert (btc.symbol, btc.lot, btc.step, btc.levels) == ("BTCUSDT", Decimal(60), Decimal("0.002"), 12)
    assert (eth.symbol, eth.lower, eth.step, eth.mode, eth.levels) == ("ETHUSDT", Decimal(2000), None, Mode.LONG, 12)
    assert (btc.cash, btc.max_drawdown, btc.each) == (Decimal(500), None, None)
    assert read(asked.as_json()) == asked


def test_a_queue_in_a_purse_may_stand_beside_the_gate_of_the_purse() -> None:
    assert len(legs_of(read({"symbol": BOTH, "queue": "log", "max_drawdown": "0.1"}))) == 2


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"symbol": "BTCUSDT", "each": "BTCUSDT: lot=1"}, ["each: is for several symbols"]),
        ({"symbol": BOTH, "each": "XRPUSDT: lot=1"}, ["each: XRPUSDT is none of the symbols BTCUSDT,ETHUSDT"]),
        ({"symbol": BOTH, "each": "ETHUSDT: levels=1"}, ["ETHUSDT.levels: '1' is no whole number from 2"]),
        ({"symbol": BOTH, "each": "ETHUSDT: level=8"}, ["ETHUSDT.level: is not known; known are data, prices"]),
        ({"symbol": BOTH, "each": "ETHUSDT: cash=8"}, ["ETHUSDT.cash: is that of the purse, for all symbols"]),
        ({"symbol": BOTH, "each": "ETHUSDT: max_drawdown=0.1"}, ["ETHUSDT.max_drawdown: is that of the purse"]),
        ({"symbol": BOTH, "each": "ETHUSDT: lower=1"}, ["ETHUSDT.upper: is missing"]),
        ({"symbol": BOTH, "lower": "1", "upper": "2"}, ["lower: says nothing of several", "upper: says nothing"]),
        ({"symbol": BOTH, "max_trades_per_day": "1"}, ["max_trades_per_day: says nothing of several symbols"]),
        ({"symbol": BOTH, "engine": "core", "mode": "long"}, ["engine: core runs one symbol here"]),
        ({"symbol": BOTH, "each": "ETHUSDT"}, ["each: 'ETHUSDT' cannot be read; write it like"]),
        ({"symbol": BOTH, "each": "ETHUSDT: lot"}, ["each: 'ETHUSDT: lot' cannot be read"]),
        ({"symbol": BOTH, "each": "ETHUSDT: lot=1, lot=2"}, ["each: 'ETHUSDT: lot=1, lot=2' cannot be read"]),
        ({"symbol": BOTH, "each": "ETHUSDT: lot=1; ETHUSDT: step=1"}, ["each: ETHUSDT stands there twice"]),
    ],
)
def test_what_symbols_cannot_share_or_have_is_refused_by_name(values: dict[str, Any], said: list[str]) -> None:
    found = wrong(**values)

    assert len(found) == len(said)
    assert all(one.startswith(words) for one, words in zip(found, said, strict=True))


@pytest.mark.parametrize("symbol", ["BTCUSDT,BTCUSDT", "BTCUSDT,", ",", "A,B,C,D,E,F,G,H,I"])
def test_a_list_that_is_none_is_refused(symbol: str) -> None:
    assert wrong(symbol=symbol)[0].startswith(f"symbol: {symbol!r} is no list of 1 to 8 different symbols")


WORDS = st.text("abz019.:/-", min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text("AZ09", min_size=2, max_size=9), st.dictionaries(WORDS, WORDS, min_size=1)))
def test_what_is_spelled_is_read_back(own: dict[str, dict[str, str]]) -> None:
    assert own_of(spelled(own)) == own


def test_a_small_number_is_spelled_in_plain_digits() -> None:
    assert spelled({"ETHUSDT": {"fee_maker": Decimal("1E-7"), "levels": 8}}) == "ETHUSDT: fee_maker=0.0000001, levels=8"


def test_a_value_that_would_be_read_as_two_is_not_spelled() -> None:
    with pytest.raises(UnusableSettings, match=r"ETHUSDT\.data: 'a;b' holds a comma or a semicolon"):
        spelled({"ETHUSDT": {"data": "a;b"}})

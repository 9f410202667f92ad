"""Numbers come in through one door, and leave on the steps of the venue."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.instruments import Instrument, UnreadableNumber, parse_decimal

BTC = Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5), Decimal("0.00001"))


@pytest.mark.parametrize("text", ["0", "1.5", "-2", "0.00000001", "12345678901234567890", 7, Decimal("1e3")])
def test_plain_numbers_are_read(text: object) -> None:
    assert parse_decimal(text, field="price") == Decimal(str(text))


@pytest.mark.parametrize(
    "text",
    [
        *("NaN", "sNaN", "Infinity", "-Infinity", "1e5", "1e999999", "1_000", "\uff11\uff12", " 5 ", "1,5", "0x10"),
        *("", "-", ".", "1.2.3", "--1", "1-", "1" * 21, 10**20, None, True, 1.5, Decimal("NaN"), "1\n", b"1", [], {}),
    ],
    ids=repr,
)
def test_everything_else_is_refused_with_the_name_of_the_field(text: object) -> None:
    with pytest.raises(UnreadableNumber, match=r"^price: "):
        parse_decimal(text, field="price")


@given(st.text(max_size=30))
def test_no_text_crashes_the_parser(text: str) -> None:
    try:
        value = parse_decimal(text, field="quantity")
    except UnreadableNumber:
        return
    assert value.is_finite()


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_steps_survive_the_way_out_and_back(ticks: int, lots: int) -> None:
    assert (BTC.ticks(BTC.price(ticks)), BTC.lots(BTC.quantity(lots))) == (ticks, lots)


@pytest.mark.parametrize(("price", "down", "up"), [("1.00", 100, 100), ("1.001", 100, 101), ("1.009", 100, 101)])
def test_rounding_says_its_direction(price: str, down: int, up: int) -> None:
    assert (BTC.ticks_down(Decimal(price)), BTC.ticks_up(Decimal(price))) == (down, up)


def test_a_price_between_ticks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"BTCUSDT price: 1\.005 is not a multiple of 0\.01"):
        BTC.ticks(Decimal("1.005"))


@given(st.integers(1, 10**8))
def test_the_smallest_order_is_just_large_enough(price_ticks: int) -> None:
    lots = BTC.smallest_lots(price_ticks)

    assert BTC.notional(price_ticks, lots) >= BTC.min_notional
    assert lots == 1 or BTC.notional(price_ticks, lots - 1) < BTC.min_notional

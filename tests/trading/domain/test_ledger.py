"""The books: exact, each execution once, grid profit apart from inventory."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.fees import DEMO_FEES
from trading.domain.instruments import Instrument
from trading.domain.ledger import Contradiction, Ledger
from trading.domain.orders import Fill, Side

BTC = Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5))
ETH = Instrument("ETHUSDT", "ETH", "USDT", Decimal("0.01"), Decimal("0.0001"), Decimal(5))
PRICE = 6_000_000


def ledger(cash: Decimal = Decimal(1_000)) -> Ledger:
    return Ledger("USDT", cash, {"BTCUSDT": BTC, "ETHUSDT": ETH})


def fill(
    number: int, side: Side, lots: int, price: int = PRICE, *, order: str = "", fee: Decimal | None = None
) -> Fill:
    charged = DEMO_FEES.fee(BTC.notional(price, lots), maker=False) if fee is None else fee
    return Fill(number, order or f"o{number}", "v", "BTCUSDT", side, price, lots, charged, "USDT", False, number)


def test_a_round_trip_earns_the_step_less_both_fees() -> None:
    books = ledger()

    bought = books.apply(fill(1, Side.BUY, 100), 3)
    sold = books.apply(fill(2, Side.SELL, 100, 6_006_000), 3)

    assert bought.realized_quote == Decimal("-0.024")
    assert bought.grid_profit_quote is None
    assert sold.realized_quote == Decimal("0.06") - Decimal("0.024024")
    assert sold.grid_profit_quote == Decimal("0.06") - Decimal("0.024024") - Decimal("0.024")
    assert books.cash == Decimal(1_000) + sold.grid_profit_quote
    assert books.positions["BTCUSDT"].round_trips == 1


def test_parts_of_a_round_trip_add_up_to_the_whole() -> None:
    parts = ledger()
    for number, lots in ((1, 40), (2, 60)):
        parts.apply(fill(number, Side.BUY, lots, order="buy"), 3)
    profits = [
        parts.apply(fill(number, Side.SELL, lots, 6_006_000), 3).grid_profit_quote or Decimal(0)
        for number, lots in ((3, 10), (4, 33), (5, 57))
    ]

    assert sum(profits) == parts.positions["BTCUSDT"].grid_profit == parts.cash - Decimal(1_000)
    assert parts.positions["BTCUSDT"].round_trips == 1
    assert not parts.positions["BTCUSDT"].lots


def test_a_fill_that_comes_twice_is_known() -> None:
    books = ledger()
    books.apply(fill(1, Side.BUY, 100), 0)

    assert books.knows(fill(1, Side.BUY, 100))
    assert books.knows(replace(fill(1, Side.BUY, 100), at_ns=99, venue_order_id="other"))
    assert not books.knows(fill(2, Side.BUY, 100))
    with pytest.raises(Contradiction, match="booked before"):
        books.apply(fill(1, Side.BUY, 100), 0)


def test_a_trade_id_that_comes_with_other_contents_is_a_contradiction() -> None:
    books = ledger()
    books.apply(fill(1, Side.BUY, 100), 0)

    with pytest.raises(Contradiction, match="other contents"):
        books.knows(fill(1, Side.BUY, 101, order="o1"))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (replace(fill(1, Side.BUY, 1), symbol="XRPUSDT"), "unknown symbol"),
        (replace(fill(1, Side.BUY, 1), quantity_lots=0), "no positive price"),
        (replace(fill(1, Side.BUY, 1), quantity_lots=-1), "no positive price"),
        (replace(fill(1, Side.BUY, 1), price_ticks=0), "no positive price"),
        (replace(fill(1, Side.BUY, 1), fee=Decimal("-0.1")), "no positive price"),
        (replace(fill(1, Side.BUY, 1), fee=Decimal("NaN")), "no positive price"),
        (replace(fill(1, Side.BUY, 1), fee=Decimal("Infinity")), "no positive price"),
        (fill(1, Side.SELL, 1), "held 0"),
        (replace(fill(1, Side.SELL, 1), fee_asset="BTC"), "a sell with a fee in BTC"),
    ],
)
def test_what_cannot_be_true_changes_nothing(wrong: Fill, why: str) -> None:
    books = ledger()

    with pytest.raises(Contradiction, match=why):
        books.apply(wrong, 0)

    assert (books.cash, books.positions["BTCUSDT"].base, books.positions["BTCUSDT"].fills) == (
        Decimal(1_000),
        Decimal(0),
        0,
    )


def test_a_fee_in_base_lowers_what_was_bought() -> None:
    books = ledger()

    books.apply(replace(fill(1, Side.BUY, 100), fee=Decimal("0.0000004"), fee_asset="BTC"), 0)

    assert books.cash == Decimal(940)
    assert books.positions["BTCUSDT"].base == Decimal("0.0009996")
    assert books.sellable_lots("BTCUSDT", 0) == 99
    assert books.equity({"BTCUSDT": PRICE}) == Decimal("999.976")
    assert books.day_pnl("BTCUSDT", PRICE) == Decimal("-0.024")


def test_a_fee_in_a_third_asset_is_kept_apart() -> None:
    books = ledger()

    books.apply(replace(fill(1, Side.BUY, 100), fee=Decimal("0.0001"), fee_asset="BNB"), 0)

    assert books.other_fees == {"BNB": Decimal("0.0001")}
    assert (books.cash, books.positions["BTCUSDT"].base) == (Decimal(940), Decimal("0.001"))


def test_left_overs_become_dust_and_close_their_round_trip() -> None:
    books = ledger()
    books.apply(fill(1, Side.BUY, 100), 5)
    books.apply(fill(2, Side.SELL, 97), 5)

    books.sweep("BTCUSDT", 5)

    position = books.positions["BTCUSDT"]
    assert (position.dust.base, position.base, position.round_trips) == (Decimal("0.00003"), Decimal("0.00003"), 1)
    assert not position.lots


def test_a_slot_that_buys_again_leaves_its_old_rest_as_dust() -> None:
    books = ledger()
    books.apply(fill(1, Side.BUY, 3, order="first"), 5)

    books.apply(fill(2, Side.BUY, 100, order="second"), 5)

    assert books.held("BTCUSDT", 5) == Decimal("0.001")
    assert books.positions["BTCUSDT"].dust.base == Decimal("0.00003")


def test_flatten_sells_every_lot_and_the_dust_and_is_no_grid_profit() -> None:
    books = ledger()
    books.apply(fill(1, Side.BUY, 3), None)
    books.apply(fill(2, Side.BUY, 100), 1)
    books.apply(fill(3, Side.BUY, 100), 2)

    booking = books.apply(fill(4, Side.SELL, 203, 5_900_000), None, grid=False)

    assert booking.grid_profit_quote is None
    assert books.positions["BTCUSDT"].base == 0
    assert books.positions["BTCUSDT"].grid_profit == 0
    assert books.sellable_lots("BTCUSDT", None) == 0


def test_a_sell_of_unknown_fate_may_take_what_another_slot_holds() -> None:
    books = ledger()
    books.apply(fill(1, Side.BUY, 100), 1)
    books.apply(fill(2, Side.BUY, 100), 2)
    books.apply(fill(3, Side.SELL, 100), None, grid=False)  # the flatten took slot 1

    books.apply(fill(4, Side.SELL, 100), 1)

    assert books.positions["BTCUSDT"].base == 0


def test_settling_a_position_changes_cash_and_leaves_equity() -> None:
    books = ledger()
    books.apply(fill(1, Side.BUY, 100), 1)
    before = books.equity({"BTCUSDT": 5_950_000})

    base = books.settle("BTCUSDT", 5_950_000)

    assert base == Decimal("0.001")
    assert books.cash == books.equity({}) == before
    assert books.day_pnl("BTCUSDT", None) == before - Decimal(1_000)


@pytest.mark.parametrize(("side", "expected"), [(Side.BUY, Decimal("-0.524")), (Side.SELL, Decimal("0.476"))])
def test_a_fill_of_a_settled_lap_changes_cash_only(side: Side, expected: Decimal) -> None:
    books = ledger()

    gained = books.apply_settled(fill(1, side, 100), 5_950_000)

    assert gained == expected
    assert (books.cash, books.positions["BTCUSDT"].base) == (Decimal(1_000) + expected, Decimal(0))


def test_a_new_day_counts_from_what_is_held() -> None:
    books = ledger()
    books.apply(fill(1, Side.BUY, 100), 1)

    books.open_day({"BTCUSDT": 5_900_000})

    position = books.positions["BTCUSDT"]
    assert (books.day_pnl("BTCUSDT", 5_900_000), position.fills, position.fees) == (Decimal(0), 0, Decimal(0))
    assert books.day_pnl("BTCUSDT", 6_000_000) == Decimal(1)


@pytest.mark.parametrize(
    ("read_from", "later_ns", "known"), [(0, 1, True), (1, 0, True), (1, 1, False)], ids=["not read", "young", "both"]
)
def test_a_fill_is_remembered_until_it_is_old_and_below_what_was_read(
    read_from: int, later_ns: int, known: bool
) -> None:
    books = ledger()
    first = fill(1, Side.BUY, 100)
    books.apply(first, 1)
    held = books.balances()

    books.forget({"BTCUSDT": read_from}, first.at_ns + later_ns)

    assert books.knows(first) is known
    assert books.balances() == held


def test_a_position_without_a_price_counts_at_cost() -> None:
    books = ledger()
    books.apply(fill(1, Side.BUY, 100), 1)

    assert books.equity({}) == Decimal(1_000) - Decimal("0.024")


executions = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(1, 500), st.integers(1_000_000, 9_000_000), st.integers(0, 4)),
    max_size=60,
)


@given(executions)
def test_bank_test_cash_and_base_are_the_sum_of_the_fills(moves: list[tuple[Side, int, int, int]]) -> None:
    books = ledger(Decimal(10**9))
    cash, base = Decimal(10**9), Decimal(0)

    for number, (side, lots, price, slot) in enumerate(moves):
        execution = fill(number, side, lots, price)
        try:
            books.apply(execution, slot)
        except Contradiction:
            assert side is Side.SELL
            assert BTC.quantity(lots) > base
            continue
        notional, quantity = BTC.notional(price, lots), BTC.quantity(lots)
        cash += (notional if side is Side.SELL else -notional) - execution.fee
        base += quantity if side is Side.BUY else -quantity

    assert books.balances() == {"USDT": cash, "BTC": base, "ETH": 0}


@given(executions)
def test_equity_is_cash_plus_profit_however_the_lots_were_sold(moves: list[tuple[Side, int, int, int]]) -> None:
    books = ledger(Decimal(10**9))
    realized = Decimal(0)

    for number, (side, lots, price, slot) in enumerate(moves):
        try:
            realized += books.apply(fill(number, side, lots, price), slot).realized_quote
        except Contradiction:
            continue

    unrealized = books.value("BTCUSDT", PRICE) - books.positions["BTCUSDT"].cost
    equity = books.equity({"BTCUSDT": PRICE})
    assert equity - Decimal(10**9) == pytest.approx(realized + unrealized, abs=Decimal("1e-12"))
    assert books.day_pnl("BTCUSDT", PRICE) == pytest.approx(equity - Decimal(10**9), abs=Decimal("1e-12"))

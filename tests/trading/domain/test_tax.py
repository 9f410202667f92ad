"""Lots for the tax report: exact, nothing lost, whatever the method."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.instruments import Instrument
from trading.domain.ledger import Ledger
from trading.domain.orders import Fill, Side
from trading.domain.tax import STEP, Books, Method, Trade, keep_books, total

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
BTC = Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5))


def trade(number: int, side: str, quantity: str, price: str, **changes: Any) -> Trade:
    values: dict[str, Any] = {"fee": Decimal(0), "fee_asset": "USDT", "symbol": "BTCUSDT", "base": "BTC"}
    return Trade(
        at=BEGIN + number * DAY, reference=str(number), side=Side(side), price=Decimal(price),
        quantity=Decimal(quantity), **(values | changes),
    )  # fmt: skip


THREE_BUYS = [trade(0, "BUY", "1", "100"), trade(1, "BUY", "1", "300"), trade(2, "BUY", "1", "200")]


@pytest.mark.parametrize(
    ("method", "gains", "bought_by"),
    [
        (Method.FIFO, [150, -25], ["0", "1"]),
        (Method.LIFO, [50, -25], ["2", "1"]),
        (Method.HIFO, [-50, 25], ["1", "2"]),
    ],
)
def test_each_method_takes_its_own_lot_first(method: Method, gains: list[int], bought_by: list[str]) -> None:
    sales = [trade(3, "SELL", "1", "250"), trade(4, "SELL", "0.5", "250")]

    books = keep_books([*THREE_BUYS, *sales], method, "USDT")

    assert [one.gain_quote for one in books.disposals] == gains
    assert [one.bought_by for one in books.disposals] == bought_by
    assert sum(lot.base for lot in books.held) == Decimal("1.5")


def test_a_sale_out_of_two_lots_is_two_disposals() -> None:
    books = keep_books([*THREE_BUYS, trade(3, "SELL", "1.5", "250")], Method.FIFO, "USDT")

    assert [(one.base, one.proceeds_quote, one.cost_quote, one.days_held) for one in books.disposals] == [
        (Decimal(1), Decimal(250), Decimal(100), 3),
        (Decimal("0.5"), Decimal(125), Decimal(150), 2),
    ]


def test_a_fee_in_quote_is_in_cost_and_proceeds() -> None:
    fee = {"fee": Decimal("0.5")}

    books = keep_books([trade(0, "BUY", "2", "100", **fee), trade(1, "SELL", "2", "110", **fee)], Method.FIFO, "USDT")

    (sold,) = books.disposals
    assert (sold.cost_quote, sold.proceeds_quote, sold.gain_quote) == (Decimal("200.5"), Decimal("219.5"), Decimal(19))


def test_a_fee_in_base_makes_a_buy_bring_in_less_at_the_same_cost() -> None:
    bought = trade(0, "BUY", "2", "100", fee=Decimal("0.1"), fee_asset="BTC")

    books = keep_books([bought, trade(1, "SELL", "1.9", "100")], Method.FIFO, "USDT")

    assert [one.gain_quote for one in books.disposals] == [-10]
    assert not books.held


def test_a_fee_in_base_makes_a_sale_give_away_more() -> None:
    sold = trade(1, "SELL", "1", "100", fee=Decimal("0.1"), fee_asset="BTC")

    books = keep_books([trade(0, "BUY", "2", "100"), sold], Method.FIFO, "USDT")

    assert [one.gain_quote for one in books.disposals] == [-10]
    assert [lot.base for lot in books.held] == [Decimal("0.9")]


def test_a_fee_in_another_asset_is_counted_apart_and_in_no_gain() -> None:
    fee = {"fee": Decimal("0.01"), "fee_asset": "BNB"}

    books = keep_books([trade(0, "BUY", "1", "100", **fee), trade(1, "SELL", "1", "101", **fee)], Method.FIFO, "USDT")

    assert books.fees_without_value == {"BNB": Decimal("0.02")}
    assert [one.gain_quote for one in books.disposals] == [1]


def test_what_was_never_bought_has_no_known_gain() -> None:
    books = keep_books([trade(0, "BUY", "1", "100"), trade(1, "SELL", "3", "110")], Method.FIFO, "USDT")

    assert [(one.base, one.gain_quote, one.days_held) for one in books.disposals] == [
        (Decimal(1), Decimal(10), 1),
        (Decimal(2), None, None),
    ]
    added = total(books.disposals)
    assert (added.disposals, added.unknown, added.proceeds_quote, added.gain_quote) == (2, 1, Decimal(110), Decimal(10))


def test_symbols_do_not_lend_each_other_lots() -> None:
    eth = {"symbol": "ETHUSDT", "base": "ETH"}

    books = keep_books([trade(0, "BUY", "1", "100"), trade(1, "SELL", "1", "110", **eth)], Method.FIFO, "USDT")

    assert [one.cost_quote for one in books.disposals] == [None]


def test_the_last_piece_of_a_lot_takes_the_exact_rest() -> None:
    bought = trade(0, "BUY", "3", "33.33", fee=Decimal("0.01"))

    books = keep_books([bought, *(trade(day, "SELL", "1", "40") for day in (1, 2, 3))], Method.HIFO, "USDT")

    assert sum(one.cost_quote or 0 for one in books.disposals) == Decimal("100.00")


@pytest.mark.parametrize(
    ("field", "value"),
    [("price", "0"), ("price", "NaN"), ("quantity", "-1"), ("quantity", "0"), ("fee", "-0.1"), ("fee", "Infinity")],
)
def test_a_trade_that_cannot_be_is_refused_by_name(field: str, value: str) -> None:
    values: dict[str, Any] = {"price": "1", "quantity": "1"}
    changes = {"fee": Decimal(value)} if field == "fee" else {}
    values |= {field: value} if field != "fee" else {}

    with pytest.raises(ValueError, match="BTCUSDT trade 7: "):
        keep_books([trade(7, "BUY", values["quantity"], values["price"], **changes)], Method.FIFO, "USDT")


# --- laws -------------------------------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[Trade]:
    """Buys and sells that never sell more than is held."""
    held, found = Decimal(0), []
    for number in range(draw(st.integers(1, 14))):
        price, fee = draw(st.decimals("0.01", 100_000, places=2)), draw(st.decimals(0, 5, places=8))
        sells = held > 0 and draw(st.booleans())
        quantity = draw(st.decimals("0.00001", held if sells else 10, places=5))
        held += -quantity if sells else quantity
        found.append(trade(number, "SELL" if sells else "BUY", str(quantity), str(price), fee=fee))
    return found


def sold_out(trades: list[Trade]) -> list[Trade]:
    """Return the history with everything sold at its end."""
    held = sum((one.quantity if one.side is Side.BUY else -one.quantity for one in trades), Decimal(0))
    return [*trades, trade(len(trades), "SELL", str(held), "50")] if held else trades


def gains(books: Books) -> list[Decimal]:
    """Return the gain of each sale, in order."""
    found: dict[str, Decimal] = {}
    for one in books.disposals:
        assert one.gain_quote is not None
        found[one.sold_by] = found.get(one.sold_by, Decimal(0)) + one.gain_quote
    return list(found.values())


@given(histories(), st.sampled_from(Method))
def test_quantity_and_money_are_conserved(trades: list[Trade], method: Method) -> None:
    books = keep_books(trades, method, "USDT")

    bought = sum(one.quantity for one in trades if one.side is Side.BUY)
    spent = sum(one.price * one.quantity + one.fee for one in trades if one.side is Side.BUY)
    sold = sum(one.quantity for one in trades if one.side is Side.SELL)
    received = sum(one.price * one.quantity - one.fee for one in trades if one.side is Side.SELL)
    assert sum(one.base for one in books.disposals) == sold
    assert sum(one.proceeds_quote for one in books.disposals) == received
    assert sum(lot.base for lot in books.held) == bought - sold
    costs = sum((one.cost_quote or Decimal(0) for one in books.disposals), Decimal(0))
    assert costs + sum(lot.cost_quote for lot in books.held) == spent


@given(histories())
def test_once_everything_is_sold_every_method_says_the_same(trades: list[Trade]) -> None:
    sums = {sum(gains(keep_books(sold_out(trades), method, "USDT"))) for method in Method}

    assert len(sums) == 1


@given(histories())
def test_the_dearest_first_never_gains_more_up_to_any_sale(trades: list[Trade]) -> None:
    hifo, fifo, lifo = (
        accumulate(gains(keep_books(trades, method, "USDT"))) for method in (Method.HIFO, Method.FIFO, Method.LIFO)
    )

    for dearest, oldest, newest in zip(hifo, fifo, lifo, strict=True):
        assert dearest <= min(oldest, newest) + STEP * len(trades) ** 2  # shares are rounded to one step each


@given(histories())
def test_a_ledger_that_has_sold_everything_realised_the_same(trades: list[Trade]) -> None:
    history = sold_out(trades)
    ledger = Ledger("USDT", Decimal(10**9), {"BTCUSDT": BTC})

    realized = sum((ledger.apply(fill_of(one), None).realized_quote for one in history), Decimal(0))

    gained = sum(gains(keep_books(history, Method.FIFO, "USDT")), Decimal(0))
    assert abs(realized - gained) < Decimal("1E-12")  # the ledger counts with 28 digits


def test_a_grid_that_holds_one_lot_at_a_time_gains_what_its_slot_earned() -> None:
    """With one slot the lot that the ledger sells is the oldest and the newest: its method is all three."""
    ledger = Ledger("USDT", Decimal(10**6), {"BTCUSDT": BTC})
    history = []
    for number in range(0, 20, 2):
        history.append(trade(number, "BUY", "0.0003", str(60_000 + 7 * number), fee=Decimal("0.0072")))
        history.append(trade(number + 1, "SELL", "0.0003", str(60_061 + 5 * number), fee=Decimal("0.00721")))
    booked = [ledger.apply(fill_of(one), 3) for one in history]

    for method in Method:
        assert gains(keep_books(history, method, "USDT")) == [
            one.grid_profit_quote for one in booked if one.grid_profit_quote is not None
        ]


def fill_of(one: Trade) -> Fill:
    lots, ticks = int(one.quantity / BTC.lot_size), int(one.price / BTC.tick_size)
    number = int(one.reference)
    return Fill(number, f"o{number}", "v", one.symbol, one.side, ticks, lots, one.fee, one.fee_asset, False, number)

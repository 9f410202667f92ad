"""Every rule of the pre-trade check, on both sides of its edge."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.domain.instruments import Instrument
from trading.domain.limits import ExecutionStyle, Limits, TradingState
from trading.domain.orders import Order, OrderType, Purpose, Side
from trading.domain.risk import RULES, Exposure, check, notional_quote

BTC = Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5), max_quantity=Decimal(2))
BID, ASK = 6_000_000, 6_000_001
LIMITS = Limits(
    phase="4.0",
    version=1,
    capital_quote=Decimal(1_000),
    symbols=frozenset({"BTCUSDT"}),
    execution_styles=frozenset({ExecutionStyle.TAKER}),
    max_position_fraction=Decimal("0.02"),
    max_symbol_exposure_fraction=Decimal("0.10"),
    max_total_exposure_fraction=Decimal("0.20"),
    max_daily_drawdown_fraction=Decimal("0.02"),
    max_daily_drawdown_hard_fraction=Decimal("0.05"),
    max_symbol_drawdown_fraction=Decimal("0.01"),
    max_daily_trades=20,
    max_open_orders=3,
)
FACTS = Exposure(
    state=TradingState.ACTIVE,
    flatten=False,
    pause="",
    fresh=True,
    reconciled=True,
    symbol_worst_quote=Decimal(0),
    total_worst_quote=Decimal(0),
    slot_worst_quote=Decimal(0),
    open_orders=0,
    trades_today=0,
    trades_pending=0,
    exits_owed=0,
    daily_drawdown_fraction=Decimal(0),
    high_water_drawdown_fraction=Decimal(0),
    symbol_drawdown_fraction=Decimal(0),
    free_lots=30,
    bid_ticks=BID,
    ask_ticks=ASK,
)
BUY = Order("id", "BTCUSDT", Side.BUY, OrderType.MARKET, 30, None, 0, Purpose.GRID, 0, ASK)  # 18.00000300 USDT
SELL = Order("id", "BTCUSDT", Side.SELL, OrderType.MARKET, 30, None, 0, Purpose.GRID, 0, BID)
FLATTEN = Order("id", "BTCUSDT", Side.SELL, OrderType.MARKET, 30, None, None, Purpose.FLATTEN, 0, BID)
HALTED_FLATTEN = {"state": TradingState.HALTED, "flatten": True}
WORTH = Decimal("18.00000300")
EPSILON = Decimal("0.00000001")


def codes(order: Order, facts: Mapping[str, object] | None = None, limits: Limits = LIMITS) -> list[str]:
    exposure = replace(FACTS, **(facts or {}))  # type: ignore[arg-type]  # a table of named facts
    return [denial.code for denial in check(order, exposure, limits, BTC)]


def test_an_ordinary_order_passes() -> None:
    assert (codes(BUY), codes(SELL)) == ([], [])


@pytest.mark.parametrize(
    ("order", "facts", "expected"),
    [
        (BUY, {"state": TradingState.REDUCING}, ["TRADING_STATE"]),
        (SELL, {"state": TradingState.REDUCING}, []),
        (BUY, {"state": TradingState.HALTED}, ["TRADING_STATE"]),
        (SELL, {"state": TradingState.HALTED}, ["TRADING_STATE"]),
        (SELL, HALTED_FLATTEN, ["TRADING_STATE"]),
        (FLATTEN, HALTED_FLATTEN, []),
        (FLATTEN, {"state": TradingState.HALTED}, ["TRADING_STATE", "FLATTEN_NOT_ASKED"]),
        (FLATTEN, {"flatten": True}, ["FLATTEN_NOT_ASKED"]),
        (BUY, {"throttled": True}, ["THROTTLED"]),
        (SELL, {"throttled": True}, ["THROTTLED"]),
        (FLATTEN, {**HALTED_FLATTEN, "throttled": True}, []),
        (BUY, {"pause": "paused"}, ["PAUSED"]),
        (SELL, {"pause": "paused"}, []),
        (BUY, {"fresh": False}, ["STALE_DATA"]),
        (SELL, {"fresh": False}, ["STALE_DATA"]),
        (BUY, {"bid_ticks": None}, ["STALE_DATA"]),
        (BUY, {"reconciled": False}, ["RECONCILE"]),
        (SELL, {"reconciled": False}, ["RECONCILE"]),
        (FLATTEN, {**HALTED_FLATTEN, "reconciled": False}, []),
        (BUY, {"watched": False}, ["NOT_WATCHED"]),
        (SELL, {"measured": False}, ["NOT_MEASURED"]),
        (FLATTEN, {**HALTED_FLATTEN, "watched": False, "measured": False}, []),
        (BUY, {"pace_left": 1}, []),
        (BUY, {"pace_left": 0}, ["PACE"]),
        (SELL, {"pace_left": 0}, []),
        (SELL, {"free_lots": 29}, ["NOT_HELD"]),
        (FLATTEN, {**HALTED_FLATTEN, "free_lots": 29}, ["NOT_HELD"]),
        (BUY, {"free_lots": 0}, []),
        (BUY, {"slot_worst_quote": Decimal(20) - WORTH}, []),
        (BUY, {"slot_worst_quote": Decimal(20) - WORTH + EPSILON}, ["MAX_POSITION"]),
        (SELL, {"slot_worst_quote": Decimal(900)}, []),
        (BUY, {"symbol_worst_quote": Decimal(100) - WORTH}, []),
        (BUY, {"symbol_worst_quote": Decimal(100) - WORTH + EPSILON}, ["SYMBOL_EXPOSURE"]),
        (SELL, {"symbol_worst_quote": Decimal(900)}, []),
        (BUY, {"total_worst_quote": Decimal(200) - WORTH}, []),
        (BUY, {"total_worst_quote": Decimal(200) - WORTH + EPSILON}, ["TOTAL_EXPOSURE"]),
        (SELL, {"total_worst_quote": Decimal(900)}, []),
        (BUY, {"cash_left_quote": WORTH}, []),
        (BUY, {"cash_left_quote": WORTH - EPSILON}, ["CASH"]),
        (SELL, {"cash_left_quote": Decimal(-1)}, []),
        (BUY, {"open_orders": 2}, []),
        (BUY, {"open_orders": 3}, ["MAX_OPEN_ORDERS"]),
        (SELL, {"open_orders": 3}, ["MAX_OPEN_ORDERS"]),
        (FLATTEN, {**HALTED_FLATTEN, "open_orders": 3}, []),
        (BUY, {"trades_today": 18}, []),
        (BUY, {"trades_today": 19}, ["DAILY_TRADES"]),
        (BUY, {"trades_today": 10, "trades_pending": 4, "exits_owed": 4}, []),
        (BUY, {"trades_today": 10, "trades_pending": 5, "exits_owed": 4}, ["DAILY_TRADES"]),
        (BUY, {"trades_today": 10, "trades_pending": 4, "exits_owed": 5}, ["DAILY_TRADES"]),
        (SELL, {"trades_today": 19, "exits_owed": 1}, []),
        (SELL, {"trades_today": 18, "trades_pending": 2}, ["DAILY_TRADES"]),
        (SELL, {"trades_today": 20}, ["DAILY_TRADES"]),
        (FLATTEN, {**HALTED_FLATTEN, "trades_today": 20}, []),
        (BUY, {"daily_drawdown_fraction": Decimal("0.0199999")}, []),
        (BUY, {"daily_drawdown_fraction": Decimal("0.02")}, ["DAILY_DRAWDOWN"]),
        (SELL, {"daily_drawdown_fraction": Decimal("0.02")}, ["DAILY_DRAWDOWN"]),
        (BUY, {"daily_drawdown_fraction": Decimal("0.05")}, ["HARD_DRAWDOWN", "DAILY_DRAWDOWN"]),
        (FLATTEN, {**HALTED_FLATTEN, "daily_drawdown_fraction": Decimal("0.06")}, []),
        (BUY, {"symbol_drawdown_fraction": Decimal("0.0099999")}, []),
        (BUY, {"symbol_drawdown_fraction": Decimal("0.01")}, ["SYMBOL_DRAWDOWN"]),
        (SELL, {"symbol_drawdown_fraction": Decimal("0.01")}, []),
        (BUY, {"bid_ticks": 6_666_666, "ask_ticks": 6_666_667}, []),
        (BUY, {"bid_ticks": 6_666_667, "ask_ticks": 6_666_668}, ["PRICE_COLLAR"]),
        (SELL, {"bid_ticks": 5_454_545, "ask_ticks": 5_454_546}, ["PRICE_COLLAR"]),
    ],
)
def test_each_rule_denies_on_one_side_of_its_edge(order: Order, facts: dict[str, object], expected: list[str]) -> None:
    assert codes(order, facts) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"quantity_lots": 0}, ["FILTERS"]),
        ({"quantity_lots": -1}, ["FILTERS"]),
        ({"reference_ticks": 0}, ["FILTERS", "PRICE_COLLAR"]),
        ({"quantity_lots": 9}, []),  # 5.40 USDT
        ({"quantity_lots": 8}, ["MIN_NOTIONAL"]),  # 4.80 USDT
        ({"symbol": "ETHUSDT"}, ["SYMBOL"]),
        ({"type": OrderType.LIMIT_MAKER, "price_ticks": BID}, ["EXECUTION_STYLE"]),
        ({"type": OrderType.LIMIT, "price_ticks": BID}, ["EXECUTION_STYLE"]),
    ],
)
def test_the_order_itself_must_be_one_that_may_be_sent(change: dict[str, object], expected: list[str]) -> None:
    assert codes(replace(BUY, **change)) == expected  # type: ignore[arg-type]  # a table of named values


def test_what_is_held_may_be_sold_after_its_symbol_left_the_mandate() -> None:
    assert codes(SELL, limits=replace(LIMITS, symbols=frozenset())) == []


@pytest.mark.parametrize(("lots", "denied"), [(200_000, False), (200_001, True)])
def test_no_order_is_larger_than_the_venue_takes(lots: int, denied: bool) -> None:
    limits = replace(LIMITS, capital_quote=Decimal(10**9), execution_styles=frozenset({ExecutionStyle.MAKER}))
    order = replace(BUY, quantity_lots=lots, type=OrderType.LIMIT_MAKER, price_ticks=BID)

    assert ("LOT_SIZE" in codes(order, limits=limits)) is denied


def test_a_market_that_is_closed_takes_no_order() -> None:
    closed = replace(BTC, trading=False)

    assert [denial.code for denial in check(BUY, FACTS, LIMITS, closed)] == ["SYMBOL_BREAK"]


@pytest.mark.parametrize("number", [Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity"), Decimal("sNaN")])
@pytest.mark.parametrize(
    "name",
    [
        "symbol_worst_quote",
        "total_worst_quote",
        "slot_worst_quote",
        "daily_drawdown_fraction",
        "high_water_drawdown_fraction",
        "symbol_drawdown_fraction",
    ],
)
def test_a_measurement_that_is_no_number_denies_everything(name: str, number: Decimal) -> None:
    assert codes(BUY, {name: number}) == ["NOT_FINITE"]
    assert codes(FLATTEN, {name: number, **HALTED_FLATTEN}) == ["NOT_FINITE"]


@pytest.mark.parametrize(
    "name",
    [
        "capital_quote",
        "max_position_fraction",
        "max_symbol_exposure_fraction",
        "max_total_exposure_fraction",
        "max_daily_drawdown_fraction",
        "max_daily_drawdown_hard_fraction",
        "max_symbol_drawdown_fraction",
    ],
)
def test_a_limit_that_is_no_number_denies_everything(name: str) -> None:
    limits = replace(LIMITS, **{name: Decimal("NaN")})  # type: ignore[arg-type]  # a table of named values

    assert codes(BUY, limits=limits) == ["NOT_FINITE"]


def test_every_denial_says_why_in_words() -> None:
    worst = replace(FACTS, state=TradingState.HALTED, fresh=False, reconciled=False, open_orders=9, trades_today=99)

    denials = check(BUY, worst, LIMITS, BTC)

    assert len({denial.code for denial in denials}) == len(denials) >= 5
    assert all(denial.message for denial in denials)


@given(
    symbol=st.decimals(0, 300, places=8),
    total=st.decimals(0, 300, places=8),
    slot=st.decimals(0, 30, places=8),
    lots=st.integers(1, 60),
    open_orders=st.integers(0, 5),
)
def test_what_passes_is_within_every_limit(
    symbol: Decimal, total: Decimal, slot: Decimal, lots: int, open_orders: int
) -> None:
    order = replace(BUY, quantity_lots=lots)
    facts = replace(
        FACTS, symbol_worst_quote=symbol, total_worst_quote=total, slot_worst_quote=slot, open_orders=open_orders
    )

    if check(order, facts, LIMITS, BTC):
        return

    worth = notional_quote(order, BTC)
    assert symbol + worth <= LIMITS.capital_quote * LIMITS.max_symbol_exposure_fraction
    assert total + worth <= LIMITS.capital_quote * LIMITS.max_total_exposure_fraction
    assert slot + worth <= LIMITS.max_lot_quote
    assert open_orders + 1 <= LIMITS.max_open_orders


def test_the_policy_is_the_list_of_its_rules() -> None:
    assert len(RULES) == len(set(RULES)) == 26


LOSSES = replace(LIMITS, max_trade_loss_quote=Decimal(5), max_slippage_loss_quote=Decimal("0.5"))


@pytest.mark.parametrize(
    ("order", "facts", "expected"),
    [
        (BUY, {"ask_lots": 30, "bid_lots": 30}, []),  # at the hard stop a lot has lost a quarter
        (BUY, {"ask_lots": 30, "slot_worst_quote": Decimal(20) - WORTH}, []),
        (BUY, {"ask_lots": 30, "slot_worst_quote": Decimal(20) - WORTH + EPSILON}, ["TRADE_LOSS"]),
        (SELL, {"bid_lots": 30, "slot_worst_quote": Decimal(99)}, []),
        (BUY, {"ask_lots": 22}, []),  # 8 of 30 lots at the collar: 0.48
        (BUY, {"ask_lots": 21}, ["SLIPPAGE"]),  # 9: 0.54
        (SELL, {"bid_lots": 21}, ["SLIPPAGE"]),
        (FLATTEN, HALTED_FLATTEN, []),
        (BUY, {"ask_ticks": None}, ["STALE_DATA"]),
    ],
)
def test_what_one_trade_may_lose(order: Order, facts: dict[str, object], expected: list[str]) -> None:
    assert codes(order, facts, replace(LOSSES, max_position_fraction=Decimal("0.09"))) == expected


def test_a_lot_is_as_large_as_its_fraction_and_its_loss_allow() -> None:
    assert LIMITS.max_lot_quote == LIMITS.max_position_quote == 20
    assert replace(LOSSES, max_trade_loss_quote=Decimal("4.5")).max_lot_quote == 18

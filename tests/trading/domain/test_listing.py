"""What the venue lists is taken over while trading: a break stops new buys, new steps stop the symbol."""

from dataclasses import replace
from decimal import Decimal

import pytest

from trading.domain import events as e
from trading.domain.desk import DeskSettings
from trading.domain.fees import DEMO_FEES
from trading.domain.grid import GridSettings
from trading.domain.instruments import Instrument
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.market import BookTop
from trading.domain.trader import Trader

NOW = 1_795_176_000_000_000_000
BTC = Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5))
BREAK = replace(BTC, trading=False)
LIMITS = Limits(
    phase="4.4",
    version=1,
    capital_quote=Decimal(25_000),
    symbols=frozenset({"BTCUSDT"}),
    execution_styles=frozenset({ExecutionStyle.MAKER}),
    max_position_fraction=Decimal("0.015"),
    max_symbol_exposure_fraction=Decimal("0.30"),
    max_total_exposure_fraction=Decimal("0.60"),
    max_daily_drawdown_fraction=Decimal("0.015"),
    max_daily_drawdown_hard_fraction=Decimal("0.05"),
    max_symbol_drawdown_fraction=Decimal("0.01"),
    max_daily_trades=500,
    max_open_orders=140,
)
GRID = GridSettings("BTCUSDT", ExecutionStyle.MAKER, step_fraction=Decimal("0.0005"), slots=20, lot_quote=Decimal(375))


def started(instrument: Instrument) -> Trader:
    settings = DeskSettings("production", "USDT", (GRID,), DEMO_FEES, Decimal(25_000))
    trader = Trader(settings=settings, limits=LIMITS, instruments={"BTCUSDT": instrument}, epoch=1, now_ns=NOW)
    trader.start(NOW)
    trader.handle(e.VenueRead(NOW, frozenset(), (), frozenset(), (), {"USDT": Decimal(25_000)}), NOW)
    return trader


def top(update_id: int = 1) -> BookTop:
    return BookTop("BTCUSDT", 6_183_763, 1_000, 6_183_764, 1_000, update_id, 0, NOW)


def submits(effects: list[e.Effect]) -> int:
    return sum(isinstance(effect, e.Submit) for effect in effects)


def test_a_symbol_in_break_gets_no_orders_and_no_flood_of_denials() -> None:
    trader = started(BREAK)

    effects = trader.handle(top(), NOW)

    assert submits(effects) == 0
    assert not any(isinstance(effect, e.PersistOrder) for effect in effects)
    assert trader.view(NOW).symbols[0].why == "the venue does not trade it now"


def test_orders_leave_as_soon_as_the_venue_trades_again() -> None:
    trader = started(BREAK)
    trader.handle(top(), NOW)

    effects = trader.handle(e.InstrumentListed(BTC), NOW)

    assert submits(effects) > 0


def test_a_trading_symbol_needs_no_listing() -> None:
    assert submits(started(BTC).handle(top(), NOW)) > 0


@pytest.mark.parametrize(
    "listed",
    [replace(BTC, tick_size=Decimal("0.1")), replace(BTC, lot_size=Decimal("0.001"))],
    ids=["tick", "lot"],
)
def test_new_steps_pause_the_symbol_and_shout(listed: Instrument) -> None:
    trader = started(BTC)
    trader.handle(top(), NOW)

    effects = trader.handle(e.InstrumentListed(listed), NOW)

    assert [effect.code for effect in effects if isinstance(effect, e.RaiseAlert)] == ["STEPS_CHANGED"]
    assert "restart the trading loops" in trader.view(NOW).symbols[0].why


def test_a_symbol_nobody_trades_is_ignored() -> None:
    assert started(BTC).handle(e.InstrumentListed(replace(BTC, symbol="DOGEUSDT")), NOW) == []

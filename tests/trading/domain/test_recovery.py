"""A restart is a continuation: what the journal kept is all a trader needs."""

from copy import deepcopy
from random import Random

import pytest

from tests.trading.domain.in_memory import (
    ACCOUNT,
    BEGIN,
    CAPITAL,
    INSTRUMENTS,
    PRICES,
    Journal,
    limits,
    settings,
)
from trading.domain.backtest import Lockstep
from trading.domain.desk import HaltState, NeverRan, TraderView
from trading.domain.events import Effect
from trading.domain.fees import DEMO_FEES
from trading.domain.limits import ExecutionStyle, TradingState
from trading.domain.market import BookTop
from trading.domain.matching import SimulatedVenue
from trading.domain.trader import Trader

QUARTER = 250_000_000


class Kept(Lockstep):
    """A lockstep run whose journal a restart can read."""

    def __init__(self, trader: Trader, venue: SimulatedVenue, journal: Journal) -> None:
        super().__init__(trader, venue, ACCOUNT)
        self.journal = journal

    def _execute(self, effects: list[Effect], now_ns: int) -> None:
        self.journal.keep(effects, now_ns)
        super()._execute(effects, now_ns)


def walk(seed: int, count: int) -> list[BookTop]:
    random, prices, tops = Random(seed), dict(PRICES), []
    for i in range(count):
        symbol = random.choice(list(PRICES))
        prices[symbol] = int(prices[symbol] * (1 + random.gauss(0, 0.00015)))  # its floor stays below the step
        lots = random.choice((20, 200, 20_000))
        at_ns = BEGIN + i * QUARTER
        tops.append(BookTop(symbol, prices[symbol], lots, prices[symbol] + 1, lots, i + 1, 0, at_ns))
    return tops


def start(
    style: ExecutionStyle, venue: SimulatedVenue, journal: Journal, now_ns: int, epoch: int
) -> tuple[Trader, Kept]:
    trader = Trader(
        settings=settings(style),
        limits=limits(style),
        instruments=INSTRUMENTS,
        epoch=epoch,
        now_ns=now_ns,
        state=journal.state(),
    )
    lockstep = Kept(trader, venue, journal)
    lockstep.start(now_ns)
    return trader, lockstep


def lasting(view: TraderView) -> dict[str, object]:
    """What a restart must not change; order ids and forecasts are of one life only."""
    return {
        "cash": view.cash_quote,
        "equity": view.equity_quote,
        "opening": view.opening_equity_quote,
        "drawdown": view.daily_drawdown_fraction,
        "grid profit": view.grid_profit_day_quote,
        "fees": view.fees_day_quote,
        "open": view.open_orders,
        "trades": view.trades_today,
        "fills": view.fills_today,
        "symbols": [
            (
                s.symbol,
                s.base,
                s.dust_base,
                s.cost_quote,
                s.levels,
                [(r.state, r.held_base, r.order_id) for r in s.slots],
            )
            for s in view.symbols
        ],
    }


@pytest.mark.parametrize("style", ExecutionStyle)
@pytest.mark.parametrize("seed", range(8))
def test_a_trader_rebuilt_from_its_journal_equals_the_one_that_wrote_it(seed: int, style: ExecutionStyle) -> None:
    tops = walk(seed, 2_000)
    venue, journal = SimulatedVenue(INSTRUMENTS, DEMO_FEES), Journal()
    venue.open_account(ACCOUNT, {"USDT": CAPITAL})
    first, lockstep = start(style, venue, journal, BEGIN, 1)
    for top in tops:
        lockstep.step(top)
    now_ns = tops[-1].received_at_ns

    second, again = start(style, deepcopy(venue), deepcopy(journal), now_ns, 2)
    for symbol in PRICES:  # it must see a price before it can mark what it holds
        last = next(top for top in reversed(tops) if top.symbol == symbol)
        again.step(last._replace(received_at_ns=now_ns))

    assert journal.fills
    assert lasting(second.view(now_ns)) == lasting(first.view(now_ns))


@pytest.mark.parametrize("style", ExecutionStyle)
def test_two_restarts_from_one_journal_do_the_same(style: ExecutionStyle) -> None:
    tops = walk(3, 3_000)
    venue, journal = SimulatedVenue(INSTRUMENTS, DEMO_FEES), Journal()
    venue.open_account(ACCOUNT, {"USDT": CAPITAL})
    _, lockstep = start(style, venue, journal, BEGIN, 1)
    for top in tops[:1_500]:
        lockstep.step(top)

    results = []
    for _ in range(2):
        _, again = start(style, deepcopy(venue), deepcopy(journal), tops[1_499].received_at_ns, 2)
        for top in tops[1_500:]:
            again.step(top)
        results.append(again.journal.fills)

    assert results[0] == results[1]
    assert len(results[0]) > len(journal.fills)


def test_what_people_stopped_before_the_first_day_stays_stopped() -> None:
    halted = NeverRan({"BTCUSDT": "a person"}, (HaltState("a person", False, "LATCHED", BEGIN),))

    view = new_trader(halted).view(BEGIN)

    assert view.state is TradingState.HALTED
    assert (view.halt,) == halted.halts
    assert [each.why for each in view.symbols if each.symbol == "BTCUSDT"] != [""]


def new_trader(state: NeverRan) -> Trader:
    return Trader(
        settings=settings(ExecutionStyle.MAKER),
        limits=limits(ExecutionStyle.MAKER),
        instruments=INSTRUMENTS,
        epoch=1,
        now_ns=BEGIN,
        state=state,
    )

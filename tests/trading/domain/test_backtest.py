"""The backtest: the same input, the same fills, and books that the venue agrees with."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.trading.domain.in_memory import BEGIN, INSTRUMENTS, limits, settings
from tests.trading.domain.test_recovery import walk
from trading.domain import backtest
from trading.domain.advice import GridAdvice
from trading.domain.backtest import Result, booked, due_timers, orders_digest, rebased, run
from trading.domain.drift import fills_digest
from trading.domain.events import AdviceChanged
from trading.domain.limits import ExecutionStyle
from trading.domain.orders import OrderStatus, Side

SECOND = 1_000_000_000


def result(style: ExecutionStyle, *, seed: int = 1, count: int = 3_000) -> Result:
    return run(walk(seed, count), settings=settings(style), limits=limits(style), instruments=INSTRUMENTS)


@pytest.mark.parametrize("style", ExecutionStyle)
def test_the_same_input_gives_the_same_result(style: ExecutionStyle) -> None:
    assert result(style) == result(style)


@pytest.mark.parametrize("style", ExecutionStyle)
def test_another_market_gives_other_fills(style: ExecutionStyle) -> None:
    assert result(style, seed=1).fills_sha256 != result(style, seed=2).fills_sha256


@pytest.mark.parametrize("style", ExecutionStyle)
@pytest.mark.parametrize("seed", range(5))
def test_every_reconcile_is_clean_and_every_sell_had_its_buy(style: ExecutionStyle, seed: int) -> None:
    done = result(style, seed=seed)

    held: dict[tuple[str, int | None], int] = {}
    for stored in done.fills:
        sign = 1 if stored.fill.side is Side.BUY else -1
        key = (stored.fill.symbol, stored.slot)
        held[key] = held.get(key, 0) + sign * stored.fill.quantity_lots
        assert held[key] >= 0
    assert done.fills
    assert not done.discrepancies
    assert not done.halts


@pytest.mark.parametrize("style", ExecutionStyle)
def test_profit_is_split_without_a_rest(style: ExecutionStyle) -> None:
    done = result(style)
    view = done.view

    cash = settings(style).opening_cash_quote
    for stored in done.fills:
        notional = INSTRUMENTS[stored.fill.symbol].notional(stored.fill.price_ticks, stored.fill.quantity_lots)
        cash += (notional if stored.fill.side is Side.SELL else -notional) - stored.fill.fee
    assert view.cash_quote == cash
    assert view.pnl_day_quote == view.grid_profit_day_quote + view.inventory_pnl_day_quote
    assert view.pnl_day_quote == pytest.approx(
        sum((s.pnl_day_quote or Decimal(0) for s in view.symbols), Decimal(0)), abs=Decimal("1e-12")
    )


@pytest.mark.parametrize("style", ExecutionStyle)
def test_no_order_is_left_without_an_answer(style: ExecutionStyle) -> None:
    waiting = {OrderStatus.INITIALIZED, OrderStatus.SUBMITTED, OrderStatus.UNKNOWN}

    assert not [order for order in result(style).orders if order.status in waiting]


def advised(style: ExecutionStyle, *tape: tuple[int, AdviceChanged]) -> Result:
    return run(walk(1, 3_000), settings=settings(style), limits=limits(style), instruments=INSTRUMENTS, advice=tape)


def asks(at_ns: int, **changes: Any) -> tuple[int, AdviceChanged]:
    """What a model asks of every grid of one symbol from then on, for an hour."""
    asked = GridAdvice("BTCUSDT", "ab", at_ns, at_ns + 3_600 * SECOND, **changes)
    return at_ns, AdviceChanged("BTCUSDT", asked)


@pytest.mark.parametrize("style", ExecutionStyle)
def test_a_tape_of_advice_holds_entries_back_and_gives_the_same_result_again(style: ExecutionStyle) -> None:
    free, nothing = result(style), advised(style, asks(BEGIN))
    middle_ns = free.fills[len(free.fills) // 2].fill.at_ns
    held = advised(style, asks(middle_ns, pause_buys=True))
    smaller = advised(style, asks(BEGIN, size_fraction=0.5))

    assert (free.fills_sha256, free.orders_sha256) == (nothing.fills_sha256, nothing.orders_sha256)
    assert held == advised(style, asks(middle_ns, pause_buys=True))
    of_it = [one for one in held.orders if one.symbol == "BTCUSDT" and one.decided_at_ns >= middle_ns]
    assert not [one for one in of_it if one.side is Side.BUY]
    before = [one.client_order_id for one in free.orders if one.decided_at_ns < middle_ns]
    assert [one.client_order_id for one in held.orders if one.decided_at_ns < middle_ns] == before
    largest = [
        max(one.quantity_lots for one in each.orders if one.symbol == "BTCUSDT" and one.side is Side.BUY)
        for each in (free, smaller)
    ]
    assert largest[1] <= largest[0] / 2
    assert all(not each.discrepancies for each in (held, smaller))


def test_an_advice_that_is_over_leaves_the_rule_grid_alone() -> None:
    style, until = ExecutionStyle.TAKER, BEGIN + 5 * SECOND
    paused = GridAdvice("BTCUSDT", "ab", BEGIN, until, pause_buys=True)

    done = advised(style, (BEGIN, AdviceChanged("BTCUSDT", paused)))

    bought = [one.decided_at_ns for one in done.orders if one.symbol == "BTCUSDT" and one.side is Side.BUY]
    assert bought
    assert min(bought) > until


def test_a_recording_without_events_is_refused() -> None:
    style = ExecutionStyle.TAKER
    with pytest.raises(ValueError, match="no events"):
        run([], settings=settings(style), limits=limits(style), instruments=INSTRUMENTS)


def test_progress_is_told_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest, "PROGRESS_EVERY", 100)
    told: list[int] = []
    style = ExecutionStyle.MAKER

    run(
        walk(1, 350),
        settings=settings(style),
        limits=limits(style),
        instruments=INSTRUMENTS,
        progress=lambda events, at_ns: told.append(events),
    )

    assert told == [100, 200, 300]


@pytest.mark.parametrize(
    ("last", "now", "seconds"),
    [
        (None, 5 * SECOND, []),
        (SECOND, SECOND, []),
        (SECOND, 2 * SECOND - 1, []),
        (SECOND, 2 * SECOND, [2]),
        (2 * SECOND - 1, 4 * SECOND + 1, [2, 3, 4]),
    ],
)
def test_a_timer_is_due_at_every_whole_second(last: int | None, now: int, seconds: list[int]) -> None:
    assert [timer.at_ns // SECOND for timer in due_timers(last, now)] == seconds


def test_a_rebased_recording_keeps_its_distances() -> None:
    tops = [top._replace(venue_at_ns=top.received_at_ns - 5) for top in walk(1, 3)]

    moved = list(rebased(tops, 1_000))

    assert [event.received_at_ns - 1_000 for event in moved] == [top.received_at_ns - BEGIN for top in tops]
    assert [event.venue_at_ns for event in moved] == [event.received_at_ns - 5 for event in moved]


def test_a_digest_sees_what_was_executed_and_in_which_order() -> None:
    done = result(ExecutionStyle.MAKER)
    deals = [one.deal for one in booked(done)]
    first = deals[0]
    changes = [
        first._replace(symbol="ETHUSDT"),
        first._replace(side=Side.SELL),
        first._replace(slot=None),
        first._replace(price_ticks=first.price_ticks + 1),
        first._replace(lots=first.lots + 1),
    ]

    assert fills_digest(deals) == done.fills_sha256
    assert len({fills_digest([one, *deals[1:]]) for one in [first, *changes]}) == 6
    assert fills_digest([deals[1], deals[0], *deals[2:]]) != done.fills_sha256
    assert fills_digest(deals[:-1]) != done.fills_sha256


def test_a_digest_of_orders_sees_how_they_ended() -> None:
    orders = list(result(ExecutionStyle.MAKER).orders)
    changed = [replace(orders[0], status=OrderStatus.CANCELED), *orders[1:]]

    assert orders_digest(changed) != orders_digest(orders)

"""The core, message by message: what it sends, what it books, when it refuses."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.trading.domain.hand import BEGIN, BTC, CENTRE, SECOND, SYMBOL, Hand, at_venue, human_order, mandate
from trading.domain.events import (
    DAY_NS,
    Cancel,
    CancelRefused,
    FeedLost,
    FeedRestored,
    ForecastChanged,
    LatchHalt,
    MandateChanged,
    OrderAmbiguous,
    OrderFilled,
    OrderRefused,
    PersistDay,
    PersistFill,
    PersistGrid,
    PersistOrder,
    PersistPause,
    PersistReconcile,
    PersistSettlement,
    RaiseAlert,
    ReadVenue,
    SeamReached,
    Severity,
    Submit,
    SymbolPaused,
    SymbolResumed,
    TimerFired,
)
from trading.domain.flows import Flow
from trading.domain.limits import ExecutionStyle, TradingState
from trading.domain.market import BookTop
from trading.domain.orders import Fill, Order, OrderStatus, OrderType, Side
from trading.domain.strategy import SlotState

TAKER, MAKER = ExecutionStyle.TAKER, ExecutionStyle.MAKER


# --- start ------------------------------------------------------------------------------------------------


def test_the_first_start_opens_the_day_and_asks_to_read_the_venue() -> None:
    hand = Hand(ready=False)

    assert hand.of(PersistDay) == [PersistDay(0, Decimal(1_000), Decimal(1_000), "start", BEGIN)]
    assert [read.reason for read in hand.of(ReadVenue)] == ["start"]
    assert hand.codes() == ["STARTED"]


@pytest.mark.parametrize("style", ExecutionStyle)
def test_nothing_is_traded_before_the_first_clean_read(style: ExecutionStyle) -> None:
    hand = Hand(style, ready=False)

    before = hand.top(CENTRE) + hand.top(CENTRE - 10_000)
    hand.read()
    hand.top(CENTRE)

    assert not [effect for effect in before if isinstance(effect, Submit | PersistGrid)]
    assert len(hand.journal_of(PersistGrid)) == 1


def test_a_first_read_that_disagrees_starts_nothing() -> None:
    hand = Hand(MAKER, ready=False)

    hand.read(balances={"USDT": Decimal(999), "BTC": Decimal(0)})
    hand.top(CENTRE)

    assert not hand.sent
    assert (hand.symbol.state, hand.symbol.why) == ("Waiting", "reading the venue")


def test_the_ladder_is_centred_on_the_first_price_and_stored() -> None:
    hand = Hand()

    (grid,) = hand.of(PersistGrid)
    assert grid.levels_ticks == hand.symbol.levels
    assert (hand.level(2) + hand.level(3)) // 2 == pytest.approx(CENTRE, abs=5)


# --- taker ------------------------------------------------------------------------------------------------


def test_a_crossing_sends_a_market_buy_and_the_next_level_a_market_sell() -> None:
    hand = Hand()

    buy = hand.buy(2)
    assert (buy.side, buy.type, buy.slot, buy.quantity_lots) == (Side.BUY, OrderType.MARKET, 2, 33)
    hand.accept(buy)
    hand.fill(buy)
    assert hand.state(2) is SlotState.HELD

    hand.top(hand.level(3) - 1)
    assert not hand.sent
    hand.top(hand.level(3))
    (sell,) = hand.sent
    assert (sell.side, sell.type, sell.slot, sell.quantity_lots) == (Side.SELL, OrderType.MARKET, 2, 33)
    hand.accept(sell)
    hand.fill(sell)

    (stored,) = hand.of(PersistFill)
    assert stored.grid_profit_quote == hand.symbol.grid_profit_day_quote > 0
    assert hand.state(2) is SlotState.EMPTY
    assert hand.symbol.round_trips_today == 1


def test_the_intent_is_kept_before_it_leaves() -> None:
    hand = Hand()
    buy = hand.buy(2)

    kinds = [type(effect) for effect in hand.effects]
    assert kinds.index(PersistOrder) < kinds.index(Submit)
    assert buy.status is OrderStatus.INITIALIZED


def test_a_slot_that_buys_is_not_bought_twice() -> None:
    hand = Hand()
    hand.buy(2)

    for bid in (hand.level(2) + 100, hand.level(2) - 1, hand.level(2) + 100, hand.level(2) - 2):
        hand.top(bid)
        assert not hand.sent


def test_a_fall_through_two_levels_buys_both_nearest_first() -> None:
    hand = Hand()

    hand.top(hand.level(1) - 1)

    assert [order.slot for order in hand.sent] == [2, 1]


@pytest.mark.parametrize(
    ("filled", "state", "dust"), [(9, SlotState.HELD, 0), (8, SlotState.EMPTY, 8), (0, SlotState.EMPTY, 0)]
)
def test_a_part_that_can_be_sold_is_held_and_less_is_dust(filled: int, state: SlotState, dust: int) -> None:
    hand = Hand()
    buy = hand.buy(2)
    hand.accept(buy)

    if filled:
        hand.fill(buy, filled)
    hand.end(buy, filled=filled)

    assert hand.state(2) is state
    assert hand.symbol.dust_base == BTC.quantity(dust)


def test_the_rest_of_a_sell_is_sold_at_the_next_price_not_at_the_same() -> None:
    hand = Hand()
    hand.hold(2)
    hand.top(hand.level(3))
    (sell,) = hand.sent
    hand.accept(sell)
    hand.fill(sell, 20)

    hand.end(sell, filled=20)
    assert not hand.sent
    hand.top(hand.level(3) + 1)

    assert [(order.side, order.quantity_lots) for order in hand.sent] == [(Side.SELL, 13)]


def test_a_sell_that_found_nothing_at_the_top_waits_a_second() -> None:
    hand = Hand()
    hand.hold(2)
    hand.top(hand.level(3))
    (sell,) = hand.sent
    hand.accept(sell)

    hand.end(sell)
    hand.top(hand.level(3) + 1)
    assert not hand.sent

    assert [e for e in hand.seconds(1) if isinstance(e, Submit)]


# --- maker ------------------------------------------------------------------------------------------------


def test_a_maker_rests_its_buys_and_offers_what_it_holds_one_level_up() -> None:
    hand = Hand(MAKER)
    assert [order.slot for order in hand.sent] == [2, 1, 0]

    buy = hand.sent[0]
    hand.accept(buy)
    hand.fill(buy)

    (sell,) = hand.sent
    assert (sell.side, sell.type, sell.price_ticks) == (Side.SELL, OrderType.LIMIT_MAKER, hand.level(3))


def test_a_level_that_the_price_leaves_below_gets_its_buy() -> None:
    hand = Hand(MAKER)
    assert hand.state(3) is SlotState.EMPTY

    hand.top(hand.level(3) - 1)
    assert not hand.sent
    hand.top(hand.level(3))

    assert [(order.slot, order.price_ticks) for order in hand.sent] == [(3, hand.level(3))]


def test_a_sold_slot_buys_again() -> None:
    hand = Hand(MAKER)
    buy = hand.sent[0]
    hand.accept(buy)
    hand.fill(buy)
    (sell,) = hand.sent
    hand.accept(sell)
    hand.top(hand.level(3) - 1)

    hand.fill(sell)

    assert [(order.side, order.slot) for order in hand.sent] == [(Side.BUY, 2)]


def test_what_exceeds_the_order_limit_stays_virtual() -> None:
    hand = Hand(MAKER, max_open_orders=2)

    assert [order.slot for order in hand.sent] == [2, 1]
    assert hand.state(0) is SlotState.EMPTY


def test_a_post_only_order_that_would_take_is_tried_again_after_a_second() -> None:
    hand = Hand(MAKER)
    first = hand.sent[0]

    hand.give(OrderRefused(first.client_order_id, "-2010", "Order would immediately match and take.", BEGIN))
    assert not hand.sent
    assert hand.slots[2].note.startswith("-2010")

    again = [e.order for e in hand.seconds(1) if isinstance(e, Submit)]
    assert [order.slot for order in again] == [2]
    assert again[0].client_order_id != first.client_order_id


def test_refusals_in_a_row_wait_longer_each_time() -> None:
    hand = Hand(MAKER, slots=1)
    waits = []
    for _ in range(4):
        (order,) = hand.sent
        hand.give(OrderRefused(order.client_order_id, "-2010", "no", hand.now_ns))
        waited = 0
        while not hand.sent:
            hand.seconds(1)
            waited += 1
        waits.append(waited)

    assert waits == [1, 2, 4, 8]


def test_the_ladder_is_sent_within_the_venues_order_rate() -> None:
    hand = Hand(MAKER, slots=120, max_open_orders=200, max_daily_trades=2_000, max_symbol_exposure_fraction=Decimal(9),
                max_total_exposure_fraction=Decimal(9), ready=False)  # fmt: skip
    hand.read(flows=[Flow("gcf-micro-2", Decimal(1_000), BEGIN)], balances={"USDT": Decimal(2_000)})
    hand.read()
    hand.top(CENTRE)

    first = len(hand.sent)
    later = [sum(isinstance(e, Submit) for e in hand.seconds(5)) for _ in range(4)]

    assert (first, later) == (45, [0, 16, 0, 0])


# --- reports in any order ---------------------------------------------------------------------------------


def test_a_fill_may_come_twice_before_its_acknowledgement_and_after_its_end() -> None:
    hand = Hand()
    buy = hand.buy(2)
    first, second = hand.execution(buy, 10), hand.execution(buy, 12)

    hand.give(OrderFilled(second))
    hand.accept(buy)
    hand.give(OrderFilled(second))
    hand.end(buy, filled=22)  # the first fill is still on its way
    assert hand.state(2) is SlotState.BUYING
    assert hand.asked_to_read()
    hand.give(OrderFilled(first))
    hand.give(OrderFilled(first))

    assert len(hand.journal.fills) == 2
    assert hand.symbol.base == BTC.quantity(22)
    assert hand.state(2) is SlotState.HELD
    assert hand.journal.orders[buy.client_order_id].status is OrderStatus.EXPIRED


def test_a_fill_that_crosses_our_cancel_is_still_ours() -> None:
    hand = Hand(MAKER)
    buy = hand.sent[0]
    hand.accept(buy)
    hand.end(buy, OrderStatus.CANCELED)

    hand.fill(buy)

    assert hand.symbol.base == BTC.quantity(33)
    assert hand.journal.orders[buy.client_order_id].status is OrderStatus.FILLED


def contradictions(hand: Hand, buy: Order) -> dict[str, Fill]:
    fine = hand.execution(buy)
    return {
        "overfill": replace(fine, quantity_lots=34),
        "other side": replace(fine, side=Side.SELL),
        "other symbol": replace(fine, symbol="ETHUSDT"),
        "nothing": replace(fine, quantity_lots=0),
        "negative": replace(fine, quantity_lots=-5),
        "not ours to know": replace(fine, client_order_id="gc-micro-9-9"),
    }


@pytest.mark.parametrize("name", ["overfill", "other side", "other symbol", "nothing", "negative", "not ours to know"])
def test_what_cannot_be_true_halts_reads_the_venue_and_books_nothing(name: str) -> None:
    hand = Hand()
    buy = hand.buy(2)
    hand.accept(buy)

    hand.give(OrderFilled(contradictions(hand, buy)[name]))

    assert [halt.flatten for halt in hand.of(LatchHalt)] == [False]
    assert hand.asked_to_read()
    assert not hand.of(PersistFill)
    assert hand.trader.view(hand.now_ns).state is TradingState.HALTED


def test_a_trade_id_that_comes_with_other_contents_halts() -> None:
    hand = Hand()
    buy = hand.buy(2)
    execution = hand.execution(buy, 10)
    hand.give(OrderFilled(execution))

    hand.give(OrderFilled(replace(execution, price_ticks=execution.price_ticks + 1)))

    assert hand.of(LatchHalt)


def test_a_fill_of_a_person_is_reported_and_halts_nothing() -> None:
    hand = Hand()
    buy = hand.buy(2)

    hand.give(OrderFilled(replace(hand.execution(buy), client_order_id="web_77")))

    assert hand.codes() == ["FOREIGN_FILL"]
    assert hand.asked_to_read()


def test_an_acknowledgement_of_what_was_refused_is_a_contradiction() -> None:
    hand = Hand()
    buy = hand.buy(2)
    hand.give(OrderRefused(buy.client_order_id, "-2010", "no", hand.now_ns))

    hand.accept(buy)

    assert hand.of(LatchHalt)


# --- unknown fates ----------------------------------------------------------------------------------------


def unknown(hand: Hand) -> Order:
    buy = hand.buy(2)
    hand.give(OrderAmbiguous(buy.client_order_id, "time-out", hand.now_ns))
    return buy


def test_an_order_of_unknown_fate_locks_its_slot_and_is_never_sent_again() -> None:
    hand = Hand()
    buy = unknown(hand)
    assert hand.journal.orders[buy.client_order_id].status is OrderStatus.UNKNOWN
    assert hand.asked_to_read()

    for bid in (hand.level(2) + 50, hand.level(2) - 2):
        hand.top(bid)
        assert not hand.sent
    assert hand.trader.view(hand.now_ns).unknown_orders == 1


@pytest.mark.parametrize(("seconds", "status"), [(12, OrderStatus.UNKNOWN), (13, OrderStatus.REJECTED)])
def test_not_found_frees_the_slot_only_when_the_order_can_no_longer_arrive(seconds: int, status: OrderStatus) -> None:
    hand = Hand()
    buy = unknown(hand)
    hand.seconds(seconds)

    hand.read(missing=[buy.client_order_id])

    assert hand.journal.orders[buy.client_order_id].status is status
    assert (hand.state(2) is SlotState.EMPTY) is (status is OrderStatus.REJECTED)


def test_a_read_that_began_before_the_proof_proves_nothing_however_late_it_comes() -> None:
    hand = Hand()
    buy = unknown(hand)
    began_ns = hand.now_ns + 12 * SECOND
    hand.seconds(20)

    hand.read(missing=[buy.client_order_id], began_ns=began_ns)

    assert hand.journal.orders[buy.client_order_id].status is OrderStatus.UNKNOWN


def test_the_venues_word_resolves_an_unknown_order() -> None:
    hand = Hand()
    buy = unknown(hand)
    execution = hand.execution(buy)

    hand.read([at_venue(buy, OrderStatus.FILLED, 33)], fills=[execution],
              balances={"USDT": Decimal(1_000) - BTC.notional(execution.price_ticks, 33) - execution.fee,
                        "BTC": BTC.quantity(33)})  # fmt: skip

    assert hand.journal.orders[buy.client_order_id].status is OrderStatus.FILLED
    assert hand.state(2) is SlotState.HELD
    assert hand.of(PersistReconcile)[0].clean


def test_an_order_without_any_answer_becomes_unknown() -> None:
    hand = Hand()
    buy = hand.buy(2)

    hand.seconds(12)
    assert hand.journal.orders[buy.client_order_id].status is OrderStatus.INITIALIZED
    hand.seconds(1)

    assert hand.journal.orders[buy.client_order_id].status is OrderStatus.UNKNOWN


def test_a_cancel_that_was_refused_asks_for_the_fate_but_no_faster_than_the_venue_answers() -> None:
    hand = Hand(MAKER)
    buy = hand.sent[0]
    hand.accept(buy)
    hand.give(SymbolPaused(SYMBOL, "a person"))
    assert hand.of(Cancel)

    refused = CancelRefused(buy.client_order_id, "Unknown order sent.", hand.now_ns)
    hand.now_ns += SECOND
    asked = [hand.asked_to_read() for _ in range(5) if hand.give(refused) is not None]

    assert asked == [True, False, False, False, False]
    assert [read.reason for read in hand.seconds(1) if isinstance(read, ReadVenue)] == ["cancel refused"]


# --- circuit breakers -------------------------------------------------------------------------------------


def test_two_venue_errors_within_a_minute_pause_new_orders_for_a_minute() -> None:
    hand = Hand()
    doubtful = unknown(hand)
    hand.top(hand.level(1) + 10)
    (order,) = hand.top_and_sent(hand.level(1) - 1)

    hand.give(OrderRefused(order.client_order_id, "-1003", "banned", hand.now_ns))

    assert "VENUE_ERRORS" in hand.codes()
    assert hand.symbol.why == "the venue failed twice within a minute"
    hand.seconds(61)
    hand.read(missing=[doubtful.client_order_id])
    assert hand.symbol.state == "Running"


def test_a_throttled_order_waits_as_long_as_the_venue_says() -> None:
    hand = Hand(MAKER)
    hand.give(OrderRefused(hand.sent[0].client_order_id, "THROTTLED", "429", hand.now_ns, retry_after_ms=7_000))
    assert hand.symbol.why == "the venue asked us to wait"

    assert not [e for e in hand.seconds(6) if isinstance(e, Submit)]
    assert [e for e in hand.seconds(1) if isinstance(e, Submit)]


def test_stale_prices_start_nothing_and_the_next_good_one_does() -> None:
    hand = Hand(MAKER)
    first = hand.sent[0]
    hand.seconds(4, keep_fresh=False)
    assert (hand.symbol.state, hand.symbol.why) == ("Waiting", "prices are stale")

    hand.give(OrderRefused(first.client_order_id, "-2010", "no", hand.now_ns))
    hand.seconds(2, keep_fresh=False)
    assert not hand.sent
    hand.top(CENTRE)

    assert [order.slot for order in hand.sent] == [2]


@pytest.mark.parametrize(
    "change",
    [
        {"ask_ticks": 1, "bid_ticks": 2},
        {"bid_ticks": 0},
        {"update_id": 0},
        {"venue_at_ns": BEGIN + 6 * SECOND},
        {"bid_ticks": 4_000_000, "ask_ticks": 4_000_001},
    ],
    ids=["crossed", "zero", "old", "future", "spike"],
)
def test_nothing_is_decided_on_a_defective_price(change: dict[str, Any]) -> None:
    hand = Hand()
    sound = BookTop(SYMBOL, hand.level(1), 5, hand.level(1) + 1, 5, 10**6, 0, hand.now_ns)

    hand.give(sound._replace(**change))

    assert not hand.sent
    assert hand.symbol.mark_ticks == CENTRE


def test_a_crossing_during_a_break_of_the_feed_is_not_traded_afterwards() -> None:
    hand = Hand()

    hand.give(FeedLost("connection closed", hand.now_ns))
    assert hand.codes() == ["FEED_LOST"]
    assert hand.symbol.state == "Waiting"
    hand.give(FeedRestored(hand.now_ns))
    hand.top(hand.level(2) - 1)
    assert not hand.sent

    hand.top(hand.level(1) - 1)
    assert [order.slot for order in hand.sent] == [1]


@pytest.mark.parametrize(("seconds", "halted"), [(60, False), (61, True)])
def test_a_minute_without_market_data_halts(seconds: int, halted: bool) -> None:
    hand = Hand()

    asked = hand.seconds(seconds, keep_fresh=False)

    assert any(isinstance(e, LatchHalt) for e in asked) is halted
    assert any(isinstance(e, RaiseAlert) and e.code == "MARKET_DATA_SILENT" for e in asked) is halted


def test_silence_is_counted_over_a_lost_feed() -> None:
    hand = Hand()
    hand.seconds(30, keep_fresh=False)
    hand.give(FeedLost("silent", hand.now_ns))

    assert any(isinstance(e, LatchHalt) for e in hand.seconds(31, keep_fresh=False))


def test_a_resting_order_that_should_have_filled_for_five_minutes_is_cancelled() -> None:
    hand = Hand(MAKER, slots=1)
    (buy,) = hand.sent
    hand.accept(buy)
    hand.top(hand.level(0) - 10)

    asked = hand.seconds(320)

    assert [e.client_order_id for e in asked if isinstance(e, Cancel)] == [buy.client_order_id]
    assert Counter(e.code for e in asked if isinstance(e, RaiseAlert)) == {"STUCK_ORDER": 1}


# --- limits -----------------------------------------------------------------------------------------------


def test_a_denial_is_kept_once_for_a_slot_and_a_reason() -> None:
    hand = Hand(MAKER, max_symbol_exposure_fraction=Decimal("0.03"))
    denied = [o for o in hand.journal.orders.values() if o.status is OrderStatus.DENIED]
    assert [(o.slot, o.reason.split(":")[0]) for o in denied] == [(1, "SYMBOL_EXPOSURE")]

    hand.seconds(30)

    assert len([o for o in hand.journal.orders.values() if o.status is OrderStatus.DENIED]) == 1
    assert hand.slots[1].note.startswith("worst case of BTCUSDT would be")


def test_a_buy_needs_room_for_its_exit_within_the_day() -> None:
    hand = Hand(max_daily_trades=3)
    hand.hold(2)

    hand.top(hand.level(1) - 1)
    assert not hand.sent
    hand.top(hand.level(3))

    assert [order.side for order in hand.sent] == [Side.SELL]


def test_other_limits_hold_from_the_next_order_on() -> None:
    hand = Hand()

    hand.give(MandateChanged(mandate(TAKER, max_open_orders=0)))
    hand.top(hand.level(2) - 1)

    (denied,) = hand.of(PersistOrder)
    assert denied.order.reason.startswith("MAX_OPEN_ORDERS")
    assert not hand.sent


def test_a_symbol_that_left_the_mandate_is_only_sold() -> None:
    hand = Hand()
    hand.hold(2)
    hand.give(MandateChanged(mandate(TAKER, symbols=frozenset({"ETHUSDT"}))))

    hand.top(hand.level(1) - 1)
    assert not hand.sent
    assert hand.symbol.why == "not in the mandate of phase 4.0"
    hand.top(hand.level(3))
    assert [order.side for order in hand.sent] == [Side.SELL]


def test_a_grid_that_cannot_work_says_so_and_sends_nothing() -> None:
    hand = Hand(max_position_fraction=Decimal("0.004"))

    assert [a.severity for a in hand.of(RaiseAlert) if a.code == "GRID_INFEASIBLE"] == [Severity.WARN]
    assert hand.symbol.state == "Paused"
    assert "5000" in hand.symbol.why
    hand.give(MandateChanged(mandate(TAKER)))
    assert hand.of(PersistGrid)


def test_a_ladder_is_not_centred_while_the_spread_eats_its_step() -> None:
    hand = Hand(ready=False)
    hand.read()

    hand.top(CENTRE, CENTRE + 2_000)
    assert not hand.effects
    hand.top(CENTRE)

    assert hand.of(PersistGrid)


@pytest.mark.parametrize(("floor", "state"), [(0.00099, "Running"), (0.00101, "Paused")])
def test_a_forecast_floor_above_the_step_pauses_new_buys(floor: float, state: str) -> None:
    hand = Hand()

    hand.give(ForecastChanged(SYMBOL, 0.0003, floor, hand.now_ns))
    hand.top(hand.level(2) - 1)

    assert hand.symbol.state == state
    assert bool(hand.sent) is (state == "Running")


def test_buys_go_on_when_the_floor_has_fallen_or_the_forecast_is_old() -> None:
    for relief in ("falls", "ages"):
        hand = Hand(MAKER)
        hand.give(ForecastChanged(SYMBOL, 0.001, 0.003, hand.now_ns))
        order = hand.journal.orders["gc-micro-1-1"]
        hand.accept(order)
        hand.end(order, OrderStatus.CANCELED)
        assert not hand.sent

        if relief == "falls":
            hand.give(ForecastChanged(SYMBOL, 0.0001, 0.0003, hand.now_ns))
            sent = hand.sent
        else:
            hand.seconds(50)
            hand.read()
            sent = [e.order for e in hand.seconds(12) if isinstance(e, Submit)]

        assert [o.slot for o in sent] == [2]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_forecast_that_is_no_number_is_not_taken(value: float) -> None:
    hand = Hand()

    hand.give(ForecastChanged(SYMBOL, value, 0.0003, hand.now_ns))
    hand.give(ForecastChanged(SYMBOL, 0.0003, value, hand.now_ns))

    assert (hand.symbol.volatility_per_second, hand.symbol.floor_fraction) == (None, None)


# --- pauses -----------------------------------------------------------------------------------------------


def test_a_paused_symbol_cancels_its_buys_and_keeps_its_exits() -> None:
    hand = Hand(MAKER)
    first, second, third = hand.sent
    for order in (first, second, third):
        hand.accept(order)
    hand.fill(first)
    (sell,) = hand.sent
    hand.accept(sell)

    hand.give(SymbolPaused(SYMBOL, "news"))

    assert {cancel.client_order_id for cancel in hand.of(Cancel)} == {second.client_order_id, third.client_order_id}
    assert (hand.symbol.state, hand.symbol.why) == ("Paused", "news")
    for order in (second, third):
        hand.end(order, OrderStatus.CANCELED)
        assert not hand.sent

    hand.give(SymbolResumed(SYMBOL))
    assert [order.slot for order in hand.sent] == [1, 0]


@pytest.mark.parametrize(("bid", "paused"), [(5_970_007, False), (5_969_000, True)])
def test_a_symbol_that_lost_its_limit_is_paused_by_rule(bid: int, paused: bool) -> None:
    hand = Hand(max_symbol_drawdown_fraction=Decimal("0.0001"))
    hand.hold(2)
    hand.top(bid)

    hand.seconds(1)

    assert bool(hand.of(PersistPause)) is paused
    assert ("SYMBOL_DRAWDOWN" in hand.codes()) is paused


# --- the day ----------------------------------------------------------------------------------------------


def test_midnight_begins_a_new_day_and_its_trades() -> None:
    hand = Hand()
    hand.hold(2)
    hand.now_ns += 86_399 * SECOND
    hand.top(CENTRE - 4_000)
    assert hand.trader.view(hand.now_ns).trades_today == 1

    hand.seconds(1)

    (day,) = hand.of(PersistDay)
    view = hand.trader.view(hand.now_ns)
    assert day.reason == "midnight UTC"
    assert day.opening_equity_quote == view.equity_quote
    assert view.trades_today == view.pnl_day_quote == view.symbols[0].pnl_day_quote == 0


# --- the seam ---------------------------------------------------------------------------------------------


def test_a_seam_expires_orders_settles_lots_and_begins_a_lap_with_equal_equity() -> None:
    hand = Hand(MAKER)
    first, second, _ = hand.sent
    for order in hand.sent:
        hand.accept(order)
    hand.fill(first)
    hand.top(CENTRE - 10)
    before = hand.trader.view(hand.now_ns).equity_quote

    hand.give(SeamReached(1, {SYMBOL: CENTRE - 10}, hand.now_ns))

    view = hand.trader.view(hand.now_ns)
    assert (view.equity_quote, view.cash_quote, view.lap) == (before, before, 1)
    assert hand.of(PersistSettlement) == [PersistSettlement(SYMBOL, BTC.quantity(33), CENTRE - 10, 0, hand.now_ns)]
    assert [(day.reason, day.lap, day.opening_cash_quote) for day in hand.of(PersistDay)] == [("seam", 1, before)]
    assert hand.journal.orders[second.client_order_id].status is OrderStatus.EXPIRED
    assert view.trades_today == view.pnl_day_quote == len(hand.symbol.levels) == 0
    assert hand.asked_to_read()


def test_the_new_lap_is_centred_at_its_first_price() -> None:
    hand = Hand(MAKER)
    hand.give(SeamReached(1, {SYMBOL: CENTRE}, hand.now_ns))
    hand.read()

    hand.top(7_000_000)

    (grid,) = hand.of(PersistGrid)
    assert (grid.lap, grid.levels_ticks[2] < 7_000_000 < grid.levels_ticks[3]) == (1, True)
    assert {order.lap for order in hand.sent} == {1}


@pytest.mark.parametrize("lap", [0, 1])
def test_a_seam_that_was_seen_is_seen_once(lap: int) -> None:
    hand = Hand()
    hand.give(SeamReached(1, {SYMBOL: CENTRE}, hand.now_ns))

    assert hand.give(SeamReached(lap, {SYMBOL: 1}, hand.now_ns)) == []


def test_a_fill_of_the_old_lap_that_comes_after_the_seam_is_settled_like_the_rest() -> None:
    hand = Hand(MAKER)
    buy = hand.sent[0]
    hand.accept(buy)
    late = hand.execution(buy)
    hand.give(SeamReached(1, {SYMBOL: CENTRE}, hand.now_ns))

    hand.give(OrderFilled(late))

    view = hand.trader.view(hand.now_ns)
    gained = BTC.notional(CENTRE - late.price_ticks, 33) - late.fee
    assert view.cash_quote == view.equity_quote == Decimal(1_000) + gained
    assert view.pnl_day_quote == 0
    assert [(stored.lap, stored.slot) for stored in hand.of(PersistFill)] == [(0, None)]
    assert hand.of(PersistDay)[0].opening_cash_quote == view.cash_quote


def test_an_order_in_flight_over_the_seam_stays_unknown_until_its_fate_is_proven() -> None:
    hand = Hand(MAKER)
    buy = hand.sent[0]

    hand.give(SeamReached(1, {SYMBOL: CENTRE}, hand.now_ns))

    assert hand.journal.orders[buy.client_order_id].status is OrderStatus.UNKNOWN
    hand.seconds(14)
    hand.read(missing=list(hand.open))
    assert hand.journal.orders[buy.client_order_id].status is OrderStatus.REJECTED


def test_an_order_that_reached_the_venue_after_the_seam_is_cancelled_not_forgotten() -> None:
    hand = Hand(MAKER)
    early, late, _ = hand.sent
    hand.accept(early)
    seam = SeamReached(1, {SYMBOL: CENTRE}, hand.now_ns)
    hand.now_ns += SECOND
    hand.accept(late)

    hand.give(seam)

    assert hand.journal.orders[early.client_order_id].status is OrderStatus.EXPIRED
    assert [cancel.client_order_id for cancel in hand.of(Cancel)] == [late.client_order_id]
    assert hand.trader.view(hand.now_ns).exposure_quote > 0  # it counts until it has ended


def test_a_seam_without_a_price_for_what_is_held_halts() -> None:
    hand = Hand()
    hand.hold(2)
    hand.give(FeedLost("gone", hand.now_ns))
    restarted = hand.restarted()

    restarted.give(SeamReached(1, {}, hand.now_ns))

    assert restarted.of(LatchHalt)


# --- reconcile --------------------------------------------------------------------------------------------


def test_the_venue_is_read_every_five_seconds() -> None:
    hand = Hand()

    reads = [e for e in hand.seconds(20) if isinstance(e, ReadVenue)]

    assert [read.reason for read in reads] == ["periodic"] * 4


def test_a_read_carries_what_was_open_and_where_fills_are_known_to() -> None:
    hand = Hand()
    buy = hand.hold(2)
    hand.read(fills=[stored.fill for stored in hand.journal.fills])
    hand.top(hand.level(1) - 1)
    (open_order,) = hand.sent

    hand.give(OrderAmbiguous(open_order.client_order_id, "502", hand.now_ns))

    (read,) = hand.of(ReadVenue)
    assert read.local_open == ((SYMBOL, open_order.client_order_id),)
    assert read.since_trade_ids == ((SYMBOL, 1),)
    assert buy.client_order_id not in dict(read.local_open).values()


def test_an_orphan_is_cancelled_and_blocks_new_orders_until_it_is_gone() -> None:
    hand = Hand()
    orphan = replace(at_venue(hand.buy(2)), client_order_id="gc-micro-0-5")

    hand.read([orphan])

    assert [cancel.client_order_id for cancel in hand.of(Cancel)] == ["gc-micro-0-5"]
    assert "ORPHAN_ORDER" in hand.codes()
    hand.top(hand.level(1) - 1)
    assert not hand.sent
    hand.read()
    hand.top(hand.level(1) + 10)
    hand.top(hand.level(1) - 1)
    assert hand.sent


def test_an_order_of_a_person_counts_and_is_left_alone() -> None:
    hand = Hand(max_open_orders=1)

    hand.read([human_order()])

    assert hand.codes() == ["FOREIGN_ORDER"]
    assert not hand.of(Cancel)
    assert hand.trader.view(hand.now_ns).exposure_quote == Decimal(50)
    hand.top(hand.level(2) - 1)
    assert not hand.sent  # one order is open already, the limit is one
    hand.read([human_order()])
    assert hand.codes() == []  # said once


def test_an_order_the_venue_no_longer_knows_pauses_its_symbol() -> None:
    hand = Hand(MAKER)
    first, *rest = hand.sent
    for order in (first, *rest):
        hand.accept(order)
    hand.seconds(14)

    hand.read([at_venue(order) for order in rest], missing=[first.client_order_id])

    assert "GHOST_ORDER" in hand.codes()
    assert hand.of(PersistPause)
    assert hand.journal.orders[first.client_order_id].status is OrderStatus.EXPIRED


def test_a_balance_that_differs_blocks_at_once_and_halts_when_it_stays() -> None:
    hand = Hand()
    wrong = {"USDT": Decimal(990), "BTC": Decimal(0)}

    hand.read(balances=wrong)
    assert not hand.of(PersistReconcile)[0].clean
    hand.top(hand.level(2) - 1)
    assert not hand.sent
    hand.seconds(2)
    hand.read(balances=wrong)
    assert not hand.of(LatchHalt)
    hand.seconds(1)
    hand.read(balances=wrong)

    assert "POSITION_MISMATCH" in hand.codes()
    assert hand.of(LatchHalt)


def test_a_balance_read_between_two_executions_is_forgiven() -> None:
    hand = Hand()
    hand.read(balances={"USDT": Decimal(990), "BTC": Decimal(0)})
    hand.seconds(5)

    hand.read()

    assert hand.of(PersistReconcile)[0].clean
    assert hand.symbol.state == "Running"


def test_balances_read_while_fills_came_are_not_judged() -> None:
    hand = Hand()
    began_ns = hand.now_ns
    hand.now_ns += SECOND // 2
    hand.hold(2)

    hand.read(began_ns=began_ns, balances={"USDT": Decimal(1_000), "BTC": Decimal(0)})

    assert hand.of(PersistReconcile)[0].clean


def test_fills_the_venue_counts_and_never_shows_halt_the_account() -> None:
    hand = Hand()
    buy = hand.buy(2)
    hand.accept(buy)
    hand.end(buy, filled=12)

    asked = hand.seconds(20)

    assert [e for e in asked if isinstance(e, LatchHalt)]


def test_no_orders_are_sent_when_the_venue_could_not_be_read_for_a_minute() -> None:
    hand = Hand()
    hand.seconds(61)

    hand.top(hand.level(2) - 1)

    assert not hand.sent
    assert hand.symbol.why == "our books and the venue's do not agree"


# --- restart ----------------------------------------------------------------------------------------------


def test_a_restart_adopts_the_orders_that_still_fit_and_cancels_the_others() -> None:
    hand = Hand(MAKER)
    first, second, third = hand.sent
    for order in (first, second, third):
        hand.accept(order)
    moved = replace(hand.journal.orders[second.client_order_id], price_ticks=5_000_000)
    hand.journal.orders[second.client_order_id] = moved

    again = hand.restarted()
    again.read()
    again.top(CENTRE)

    assert [e.code for e in hand.effects if isinstance(e, RaiseAlert)] == []
    assert [c.client_order_id for c in again.journal_of(Cancel)] == [second.client_order_id]
    text = next(e.message for e in again.journal_of(RaiseAlert) if e.code == "ORDERS_ADOPTED")
    assert text == "orders found open after the restart: 2 adopted, 1 cancelled, 0 had ended, 0 still unknown"


def test_a_restart_treats_unanswered_orders_as_unknown_and_sends_nothing_before_a_read() -> None:
    hand = Hand(MAKER)
    again = hand.restarted()

    again.top(CENTRE)

    assert not again.sent
    assert again.trader.view(again.now_ns).unknown_orders == 3


def test_a_restart_goes_on_with_lots_cash_ladder_trades_and_pause() -> None:
    hand = Hand()
    hand.hold(2)
    (part,) = hand.top_and_sent(hand.level(1) - 1)
    hand.accept(part)
    hand.fill(part, 8)
    hand.end(part, filled=8)
    hand.give(SymbolPaused(SYMBOL, "a person"))
    hand.journal.paused[SYMBOL] = "a person"

    again = hand.restarted()
    again.read()
    again.top(hand.symbol.mark_ticks or 0)

    before, after = hand.trader.view(again.now_ns), again.trader.view(again.now_ns)
    assert after.cash_quote == before.cash_quote
    assert after.equity_quote == before.equity_quote
    assert after.trades_today == before.trades_today == 2
    assert (after.symbols[0].base, after.symbols[0].dust_base) == (before.symbols[0].base, BTC.quantity(8))
    assert after.symbols[0].levels == before.symbols[0].levels
    assert [slot.state for slot in after.symbols[0].slots] == [slot.state for slot in before.symbols[0].slots]
    assert after.symbols[0].why == "a person"


def test_a_restarted_trader_gives_ids_that_never_were() -> None:
    hand = Hand()
    first = hand.buy(2)
    again = hand.restarted()
    again.read(missing=[first.client_order_id])
    again.top(hand.level(2) + 10)
    again.top(hand.level(1) - 1)

    assert [order.client_order_id for order in again.sent] == ["gc-micro-2-1"]


def test_an_open_fate_is_asked_after_at_growing_distances_and_when_its_proof_is_due() -> None:
    hand = Hand()
    doubtful = unknown(hand)
    hand.read([])
    asked: list[int] = []

    for second in range(1, 17):
        if any(isinstance(effect, ReadVenue) for effect in hand.seconds(1)):
            asked.append(second)
            hand.read([], missing=[doubtful.client_order_id] if second > 12 else [])

    assert asked[:3] == [1, 3, 7]
    assert 12 in asked or 13 in asked
    assert len([second for second in asked if second <= 12]) <= 5


@pytest.mark.parametrize(("waits_s", "opened"), [(60, False), (61, True)])
def test_a_day_waits_for_the_price_of_what_is_held_but_not_for_ever(waits_s: int, opened: bool) -> None:
    hand = Hand()
    hand.hold(2)
    again = hand.restarted()
    again.now_ns += DAY_NS
    again.trader._started_at_ns = again.now_ns
    again.trader._core.marks.clear()

    again.now_ns += waits_s * SECOND
    again.give(TimerFired(again.now_ns))

    assert bool(again.of(PersistDay)) is opened


def test_a_day_opens_at_the_first_price_after_midnight() -> None:
    hand = Hand()
    hand.hold(2)
    again = hand.restarted()
    again.now_ns += DAY_NS
    again.trader._started_at_ns = again.now_ns
    again.trader._core.marks.clear()
    again.give(TimerFired(again.now_ns))
    assert not again.of(PersistDay)

    again.top(CENTRE - 1_000)
    again.seconds(1)

    (day,) = [effect for effect in again.all_effects if isinstance(effect, PersistDay) and "midnight" in effect.reason]
    assert day.opening_equity_quote == again.trader.equity_quote

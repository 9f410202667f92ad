from collections import defaultdict
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain.events import OrderAccepted, OrderEnded, OrderFilled
from trading.domain.fees import DEMO_FEES, Fees
from trading.domain.instruments import Instrument
from trading.domain.market import BookTop, Trade
from trading.domain.matching import SimulatedVenue
from trading.domain.orders import Fill, OrderStatus, OrderType, Side
from trading.domain.venue_orders import Balance, NewOrder, Rejection, Report

BTC = Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal(5), max_quantity=Decimal(9))
ETH = Instrument("ETHUSDT", "ETH", "USDT", Decimal("0.01"), Decimal("0.01"), Decimal(5), Decimal("0.02"))
DESK, OTHER = "desk", "other"
NOW_NS = 1_723_161_254_024_619_568
SHOWN_NS = 1_723_161_254_024_000_000  # whole milliseconds


def top(
    bid: int = 9_999, ask: int = 10_001, *, bid_lots: int = 100, ask_lots: int = 100, symbol: str = "BTCUSDT"
) -> BookTop:
    return BookTop(symbol, bid, bid_lots, ask, ask_lots, 1, NOW_NS, NOW_NS)


def trade(price: int, lots: int = 100) -> Trade:
    return Trade("BTCUSDT", price, lots, True, 1, NOW_NS, NOW_NS)


def order(
    side: Side = Side.BUY,
    kind: OrderType = OrderType.LIMIT,
    *,
    lots: int = 100,
    price: int | None = 9_990,
    name: str = "a",
    symbol: str = "BTCUSDT",
) -> NewOrder:
    return NewOrder(name, symbol, side, kind, lots, None if kind is OrderType.MARKET else price)


def market(side: Side = Side.BUY, *, lots: int = 100, name: str = "m") -> NewOrder:
    return order(side, OrderType.MARKET, lots=lots, name=name)


@pytest.fixture
def venue() -> SimulatedVenue:
    venue = SimulatedVenue({"BTCUSDT": BTC, "ETHUSDT": ETH}, DEMO_FEES)
    for account in (DESK, OTHER):
        venue.open_account(account, {"USDT": Decimal(1_000), "BTC": Decimal(1)})
    venue.on_market(top())
    return venue


def filled(reports: list[Report]) -> list[Fill]:
    return [event.fill for _, event in reports if isinstance(event, OrderFilled)]


def ended(reports: list[Report]) -> list[OrderEnded]:
    return [event for _, event in reports if isinstance(event, OrderEnded)]


# --- MARKET ---------------------------------------------------------------------------------------------------


def test_a_market_buy_takes_the_ask_and_pays_the_taker_fee_in_quote(venue: SimulatedVenue) -> None:
    reports = venue.submit(DESK, market(), NOW_NS)

    assert reports[0] == (DESK, OrderAccepted("m", "1", SHOWN_NS))
    assert filled(reports) == [
        Fill(1, "m", "1", "BTCUSDT", Side.BUY, 10_001, 100, Decimal("0.00400040"), "USDT", False, SHOWN_NS)
    ]
    assert venue.balances(DESK) == {
        "USDT": Balance(Decimal("989.9949996"), Decimal(0)),
        "BTC": Balance(Decimal("1.1"), Decimal(0)),
    }


@pytest.mark.parametrize(
    ("shown", "expected", "status"), [(100, 100, "FILLED"), (99, 99, "EXPIRED"), (0, 0, "EXPIRED")]
)
def test_a_market_order_fills_what_is_displayed_and_expires_with_the_rest(
    venue: SimulatedVenue, shown: int, expected: int, status: str
) -> None:
    venue.on_market(top(ask_lots=shown))

    reports = venue.submit(DESK, market(), NOW_NS)

    assert sum(f.quantity_lots for f in filled(reports)) == expected
    assert venue.order(DESK, "BTCUSDT", "m").status == status
    assert [e.filled_lots for e in ended(reports)] == ([] if status == "FILLED" else [expected])
    assert venue.balances(DESK)["USDT"].locked == 0


def test_a_market_order_before_the_first_price_expires_unfilled() -> None:
    venue = SimulatedVenue({"BTCUSDT": BTC}, DEMO_FEES)
    venue.open_account(DESK, {"USDT": Decimal(10)})

    reports = venue.submit(DESK, market(), NOW_NS)

    assert [type(event) for _, event in reports] == [OrderAccepted, OrderEnded]


def test_what_was_taken_stays_taken_until_the_price_moves(venue: SimulatedVenue) -> None:
    venue.submit(DESK, market(lots=60), NOW_NS)
    venue.on_market(top(bid=9_998))

    second = venue.submit(DESK, market(lots=60, name="n"), NOW_NS)
    venue.on_market(top(ask=10_002))
    venue.on_market(top(ask=10_001))
    third = venue.submit(DESK, market(lots=60, name="o"), NOW_NS)

    assert [f.quantity_lots for f in filled(second)] == [40]
    assert [f.quantity_lots for f in filled(third)] == [60]


def test_accounts_do_not_compete_for_the_displayed_quantity(venue: SimulatedVenue) -> None:
    venue.submit(DESK, market(), NOW_NS)

    assert [f.quantity_lots for f in filled(venue.submit(OTHER, market(), NOW_NS))] == [100]


# --- LIMIT and LIMIT_MAKER --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "price", "takes_at"),
    [
        (Side.BUY, 10_000, None),
        (Side.BUY, 10_001, 10_001),
        (Side.BUY, 10_050, 10_001),
        (Side.SELL, 10_000, None),
        (Side.SELL, 9_999, 9_999),
        (Side.SELL, 9_950, 9_999),
    ],
)
def test_a_limit_takes_from_the_exact_touch_on(
    venue: SimulatedVenue, side: Side, price: int, takes_at: int | None
) -> None:
    fills = filled(venue.submit(DESK, order(side, price=price), NOW_NS))

    assert [(f.price_ticks, f.maker) for f in fills] == ([] if takes_at is None else [(takes_at, False)])


def test_a_limit_that_crosses_rests_with_what_the_top_did_not_have(venue: SimulatedVenue) -> None:
    venue.on_market(top(ask_lots=30))

    taken = filled(venue.submit(DESK, order(price=10_001), NOW_NS))
    same_top = venue.on_market(top(ask_lots=30))
    grown = filled(venue.on_market(top(ask_lots=50)))
    moved = filled(venue.on_market(top(ask=10_000, ask_lots=50)))

    assert [(f.quantity_lots, f.maker) for f in taken] == [(30, False)]
    assert same_top == []
    assert [(f.quantity_lots, f.price_ticks, f.maker) for f in grown] == [(20, 10_001, True)]
    assert [(f.quantity_lots, f.price_ticks, f.maker) for f in moved] == [(50, 10_001, True)]
    assert venue.order(DESK, "BTCUSDT", "a").status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("side", "price", "accepted"),
    [(Side.BUY, 10_000, True), (Side.BUY, 10_001, False), (Side.SELL, 10_000, True), (Side.SELL, 9_999, False)],
)
def test_a_post_only_order_is_rejected_from_the_exact_touch_on(
    venue: SimulatedVenue, side: Side, price: int, accepted: bool
) -> None:
    post_only = order(side, OrderType.LIMIT_MAKER, price=price)

    if accepted:
        assert len(venue.submit(DESK, post_only, NOW_NS)) == 1
        return
    with pytest.raises(Rejection, match="-2010 Order would immediately match and take"):
        venue.submit(DESK, post_only, NOW_NS)


@pytest.mark.parametrize(
    ("side", "event", "lots"),
    [
        (Side.BUY, top(9_980, 9_991), 0),
        (Side.BUY, top(9_980, 9_990), 100),
        (Side.BUY, top(9_980, 9_990, ask_lots=40), 40),
        (Side.BUY, top(9_980, 9_980), 100),
        (Side.BUY, trade(9_990), 0),
        (Side.BUY, trade(9_989), 100),
        (Side.BUY, trade(9_989, 25), 25),
        (Side.SELL, top(10_009, 10_020), 0),
        (Side.SELL, top(10_010, 10_020), 100),
        (Side.SELL, top(10_010, 10_020, bid_lots=40), 40),
        (Side.SELL, trade(10_010), 0),
        (Side.SELL, trade(10_011), 100),
        (Side.SELL, trade(10_011, 25), 25),
    ],
)
def test_a_resting_order_fills_at_its_price_when_reached_by_the_top_or_passed_by_a_print(
    venue: SimulatedVenue, side: Side, event: BookTop | Trade, lots: int
) -> None:
    price = 9_990 if side is Side.BUY else 10_010
    venue.submit(DESK, order(side, price=price), NOW_NS)

    fills = filled(venue.on_market(event))

    assert sum(f.quantity_lots for f in fills) == lots
    assert all(f.maker and f.price_ticks == price for f in fills)


def test_one_print_is_shared_in_price_time_order(venue: SimulatedVenue) -> None:
    for name, price in (("low", 9_990), ("high", 9_995), ("late", 9_995)):
        venue.submit(DESK, order(price=price, name=name), NOW_NS)

    fills = filled(venue.on_market(trade(9_980, 250)))

    assert [(f.client_order_id, f.quantity_lots) for f in fills] == [("high", 100), ("late", 100), ("low", 50)]


def test_each_account_is_offered_the_whole_print(venue: SimulatedVenue) -> None:
    venue.submit(DESK, order(), NOW_NS)
    venue.submit(OTHER, order(), NOW_NS)

    reports = venue.on_market(trade(9_980, 100))

    assert [account for account, _ in reports] == [DESK, OTHER]
    assert [f.quantity_lots for f in filled(reports)] == [100, 100]


# --- checks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "code", "message"),
    [
        (order(price=0), -1013, "Filter failure: PRICE_FILTER"),
        (NewOrder("a", "BTCUSDT", Side.BUY, OrderType.MARKET, 1, 5), -1013, "Filter failure: PRICE_FILTER"),
        (NewOrder("a", "BTCUSDT", Side.BUY, OrderType.LIMIT, 1, None), -1013, "Filter failure: PRICE_FILTER"),
        (order(lots=0), -1013, "Filter failure: LOT_SIZE"),
        (order(lots=-1), -1013, "Filter failure: LOT_SIZE"),
        (order(lots=9_001), -1013, "Filter failure: LOT_SIZE"),
        (order(lots=1, symbol="ETHUSDT"), -1013, "Filter failure: LOT_SIZE"),
        (order(lots=50, price=9_999), -1013, "Filter failure: NOTIONAL"),
        (market(lots=49), -1013, "Filter failure: NOTIONAL"),
        (order(symbol="DOGEUSDT"), -1121, "Invalid symbol."),
        (market(Side.SELL, lots=1_001), -2010, "Account has insufficient balance for requested action."),
    ],
)
def test_a_bad_order_is_rejected_and_changes_nothing(
    venue: SimulatedVenue, new: NewOrder, code: int, message: str
) -> None:
    before = venue.snapshot()

    with pytest.raises(Rejection) as refused:
        venue.submit(DESK, new, NOW_NS)

    assert (refused.value.code, refused.value.message) == (code, message)
    assert venue.snapshot() == before


@pytest.mark.parametrize("new", [order(lots=50, price=10_000), market(lots=50), order(lots=8, price=100_000)])
def test_an_order_on_the_edge_of_its_filters_is_accepted(venue: SimulatedVenue, new: NewOrder) -> None:
    assert venue.submit(DESK, new, NOW_NS)


def test_a_market_order_has_its_own_largest_quantity() -> None:
    capped = Instrument("X", "B", "Q", Decimal(1), Decimal(1), Decimal(1), market_max_quantity=Decimal(10))
    venue = SimulatedVenue({"X": capped}, DEMO_FEES)
    venue.open_account(DESK, {"Q": Decimal(10_000)})

    venue.submit(DESK, NewOrder("a", "X", Side.BUY, OrderType.MARKET, 10, None), NOW_NS)
    with pytest.raises(Rejection, match="MARKET_LOT_SIZE"):
        venue.submit(DESK, NewOrder("b", "X", Side.BUY, OrderType.MARKET, 11, None), NOW_NS)


@pytest.mark.parametrize(("cash", "accepted"), [("9.993996", True), ("9.99399599", False)])
def test_a_buy_must_be_covered_with_its_fee(cash: str, accepted: bool) -> None:
    venue = SimulatedVenue({"BTCUSDT": BTC}, DEMO_FEES)
    venue.open_account(DESK, {"USDT": Decimal(cash)})

    if accepted:
        venue.submit(DESK, order(), NOW_NS)
        assert venue.balances(DESK)["USDT"] == Balance(Decimal(0), Decimal("9.993996"))
        return
    with pytest.raises(Rejection, match="insufficient balance"):
        venue.submit(DESK, order(), NOW_NS)


def test_a_client_id_is_unique_among_open_orders_only(venue: SimulatedVenue) -> None:
    venue.submit(DESK, order(), NOW_NS)
    with pytest.raises(Rejection, match="-2010 Duplicate order sent"):
        venue.submit(DESK, order(), NOW_NS)
    venue.cancel(DESK, "BTCUSDT", "a", NOW_NS)

    venue.submit(DESK, order(), NOW_NS)

    assert venue.order(DESK, "BTCUSDT", "a").order_id == 2


# --- cancel and read ------------------------------------------------------------------------------------------


def test_a_cancel_ends_the_order_and_frees_what_it_locked(venue: SimulatedVenue) -> None:
    before = venue.balances(DESK)
    venue.submit(DESK, order(), NOW_NS)

    reports = venue.cancel(DESK, "BTCUSDT", "a", NOW_NS)

    assert reports == [(DESK, OrderEnded("a", OrderStatus.CANCELED, 0, SHOWN_NS))]
    assert venue.balances(DESK) == before
    assert venue.on_market(trade(1)) == []


@pytest.mark.parametrize("name", ["a", "never sent"])
def test_cancelling_what_is_not_open_is_refused(venue: SimulatedVenue, name: str) -> None:
    venue.submit(DESK, order(price=10_001), NOW_NS)

    with pytest.raises(Rejection, match="-2011 Unknown order sent"):
        venue.cancel(DESK, "BTCUSDT", name, NOW_NS)


def test_cancel_all_cancels_one_symbol_of_one_account(venue: SimulatedVenue) -> None:
    venue.submit(DESK, order(name="a"), NOW_NS)
    venue.submit(DESK, order(name="b"), NOW_NS)
    venue.submit(DESK, order(name="c", symbol="ETHUSDT", price=500), NOW_NS)
    venue.submit(OTHER, order(name="d"), NOW_NS)

    assert [e.client_order_id for e in ended(venue.cancel_all(DESK, "BTCUSDT", NOW_NS))] == ["a", "b"]
    assert venue.cancel_all(DESK, "BTCUSDT", NOW_NS) == []
    assert [b.order.client_order_id for b in venue.open_orders(DESK)] == ["c"]
    assert len(venue.open_orders(OTHER, "BTCUSDT")) == 1


def test_an_unknown_order_does_not_exist(venue: SimulatedVenue) -> None:
    venue.submit(OTHER, order(), NOW_NS)

    with pytest.raises(Rejection, match="-2013"):
        venue.order(DESK, "BTCUSDT", "a")
    with pytest.raises(Rejection, match="-2013"):
        venue.order_by_id(DESK, "BTCUSDT", 1)
    with pytest.raises(Rejection, match="-2013"):
        venue.order_by_id(OTHER, "ETHUSDT", 1)


def test_fills_are_read_from_a_trade_id_on(venue: SimulatedVenue) -> None:
    for name in "abc":
        venue.submit(DESK, market(lots=50, name=name), NOW_NS)
        venue.on_market(top(ask=10_002))
        venue.on_market(top())

    assert [f.trade_id for f in venue.fills(DESK, "BTCUSDT", 1)] == [2, 3]
    assert venue.fills(OTHER, "BTCUSDT") == []


def test_only_so_many_ended_orders_are_remembered() -> None:
    venue = SimulatedVenue({"BTCUSDT": BTC}, DEMO_FEES, history=2)
    venue.open_account(DESK, {"USDT": Decimal(1_000)})
    for name in ("a", "b", "c"):
        venue.submit(DESK, order(name=name), NOW_NS)
        venue.cancel(DESK, "BTCUSDT", name, NOW_NS)

    assert [b.order.client_order_id for b in venue.orders(DESK, "BTCUSDT")] == ["b", "c"]


# --- seam -----------------------------------------------------------------------------------------------------


def test_a_seam_expires_orders_and_turns_base_into_quote_at_the_bid(venue: SimulatedVenue) -> None:
    venue.submit(DESK, order(Side.SELL, price=10_050), NOW_NS)

    settlement = venue.settle(NOW_NS)

    assert settlement.reports == [(DESK, OrderEnded("a", OrderStatus.EXPIRED, 0, SHOWN_NS))]
    assert settlement.prices == {"BTCUSDT": 9_999}
    assert [(c.account, c.asset, c.delta) for c in settlement.changes] == [
        (DESK, "BTC", Decimal(-1)),
        (DESK, "USDT", Decimal("99.99")),
        (OTHER, "BTC", Decimal(-1)),
        (OTHER, "USDT", Decimal("99.99")),
    ]
    assert venue.balances(DESK)["USDT"].total == Decimal("1099.99")
    assert venue.top("BTCUSDT") is None
    assert venue.is_open


def test_a_closed_market_rejects_orders_until_it_opens(venue: SimulatedVenue) -> None:
    venue.submit(DESK, order(), NOW_NS)

    assert [e.status for e in ended(venue.close_market(NOW_NS))] == [OrderStatus.EXPIRED]
    with pytest.raises(Rejection, match="-1013 Market is closed"):
        venue.submit(DESK, order(name="b"), NOW_NS)
    venue.settle(NOW_NS)
    assert not venue.is_open
    venue.open_market()
    venue.submit(DESK, order(name="b"), NOW_NS)


def test_a_base_balance_without_a_known_bid_stays() -> None:
    venue = SimulatedVenue({"BTCUSDT": BTC}, DEMO_FEES)
    venue.open_account(DESK, {"BTC": Decimal(1)})

    assert venue.settle(NOW_NS).changes == []


def test_a_restored_venue_goes_on_where_the_first_one_stopped(venue: SimulatedVenue) -> None:
    venue.submit(DESK, market(lots=50), NOW_NS)
    venue.submit(DESK, order(), NOW_NS)
    restored = SimulatedVenue({"BTCUSDT": BTC, "ETHUSDT": ETH}, DEMO_FEES)

    restored.restore(venue.snapshot())
    restored.on_market(top())

    assert restored.snapshot() == venue.snapshot()
    assert restored.on_market(trade(9_980)) == venue.on_market(trade(9_980))
    assert restored.submit(DESK, order(name="z"), NOW_NS) == venue.submit(DESK, order(name="z"), NOW_NS)


# --- the bank ---------------------------------------------------------------------------------------------------

ACTIONS = st.one_of(
    st.tuples(
        st.just("order"),
        st.sampled_from([DESK, OTHER]),
        st.sampled_from(Side),
        st.sampled_from(OrderType),
        st.integers(1, 400),
        st.integers(9_900, 10_100),
    ),
    st.tuples(st.just("cancel"), st.sampled_from([DESK, OTHER]), st.integers(0, 40)),
    st.tuples(st.just("cancel all"), st.sampled_from([DESK, OTHER])),
    st.tuples(st.just("top"), st.integers(9_900, 10_099), st.integers(1, 30), st.integers(0, 300), st.integers(0, 300)),
    st.tuples(st.just("trade"), st.integers(9_900, 10_100), st.integers(1, 300)),
    st.tuples(st.just("seam")),
)
FRACTIONS = st.decimals(0, Decimal("0.01"), places=6)


def play(
    venue: SimulatedVenue, number: int, action: tuple[object, ...]
) -> tuple[list[Report], list[tuple[str, str, Decimal]]]:
    match action:
        case ("order", str(account), Side() as side, OrderType() as kind, int(lots), int(price)):
            try:
                return venue.submit(account, order(side, kind, lots=lots, price=price, name=str(number)), NOW_NS), []
            except Rejection:
                return [], []
        case ("cancel", str(account), int(nth)):
            if nth < len(venue.open_orders(account)):
                name = venue.open_orders(account)[nth].order.client_order_id
                return venue.cancel(account, "BTCUSDT", name, NOW_NS), []
        case ("cancel all", str(account)):
            return venue.cancel_all(account, "BTCUSDT", NOW_NS), []
        case ("top", int(bid), int(width), int(bid_lots), int(ask_lots)):
            return venue.on_market(top(bid, bid + width, bid_lots=bid_lots, ask_lots=ask_lots)), []
        case ("trade", int(price), int(lots)):
            return venue.on_market(trade(price, lots)), []
        case ("seam",):
            settlement = venue.settle(NOW_NS)
            return settlement.reports, [(c.account, c.asset, c.delta) for c in settlement.changes]
    return [], []


def locked_by_orders(venue: SimulatedVenue, account: str) -> dict[str, Decimal]:
    locked: dict[str, Decimal] = defaultdict(Decimal)
    for booked in venue.open_orders(account):
        locked["USDT" if booked.order.side is Side.BUY else "BTC"] += booked.locked
    return locked


@settings(max_examples=150, deadline=None)
@given(actions=st.lists(ACTIONS, max_size=60), maker=FRACTIONS, taker=FRACTIONS, cash=st.decimals(0, 100, places=8))
def test_fills_fees_and_settlements_add_up_to_the_balances_to_the_last_digit(
    actions: list[tuple[object, ...]], maker: Decimal, taker: Decimal, cash: Decimal
) -> None:
    venue = SimulatedVenue({"BTCUSDT": BTC}, Fees(maker, taker))
    expected: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for account in (DESK, OTHER):
        venue.open_account(account, {"USDT": cash, "BTC": Decimal(1)})
        expected[account, "USDT"], expected[account, "BTC"] = cash, Decimal(1)
    per_order: dict[tuple[str, str], int] = defaultdict(int)
    trade_ids: list[int] = []

    for number, action in enumerate(actions):
        reports, changes = play(venue, number, action)
        for account, event in reports:
            if isinstance(event, OrderFilled):
                fill = event.fill
                sign = 1 if fill.side is Side.BUY else -1
                expected[account, "USDT"] -= sign * BTC.notional(fill.price_ticks, fill.quantity_lots) + fill.fee
                expected[account, "BTC"] += sign * BTC.quantity(fill.quantity_lots)
                per_order[account, fill.client_order_id] += fill.quantity_lots
                trade_ids.append(fill.trade_id)
                assert fill.fee >= 0
        for account, asset, delta in changes:
            expected[account, asset] += delta

        for account in (DESK, OTHER):
            locked = locked_by_orders(venue, account)
            for asset, balance in venue.balances(account).items():
                assert balance.free >= 0
                assert balance.locked == locked[asset]
                assert balance.total == expected[account, asset]
            for booked in venue.orders(account, "BTCUSDT"):
                assert booked.filled_lots == per_order[account, booked.order.client_order_id]
                assert 0 <= booked.filled_lots <= booked.order.quantity_lots
    assert trade_ids == list(range(1, len(trade_ids) + 1))

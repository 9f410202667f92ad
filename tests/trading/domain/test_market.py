"""Only sound market data may reach a decision."""

import pytest

from trading.domain.market import STALE_AFTER_NS, BookTop, Defect, MarketEvent, MarketState, Trade

NOW = 1_000_000_000_000


def top(bid: int = 10_000, ask: int = 10_001, *, update: int = 2, lots: int = 5, venue_at_ns: int = 0) -> BookTop:
    return BookTop("BTCUSDT", bid, lots, ask, lots, update, venue_at_ns, NOW)


def trade(price: int = 10_000, *, number: int = 2, lots: int = 1, venue_at_ns: int = NOW) -> Trade:
    return Trade("BTCUSDT", price, lots, True, number, venue_at_ns, NOW)


@pytest.fixture
def state() -> MarketState:
    known = MarketState("BTCUSDT")
    assert known.accept(top(update=1), NOW) is None
    assert known.accept(trade(number=1), NOW) is None
    return known


@pytest.mark.parametrize(
    ("event", "defect"),
    [
        (top(), None),
        (top(10_001, 10_001), Defect.CROSSED),
        (top(10_002, 10_001), Defect.CROSSED),
        (top(0, 1), Defect.NOT_POSITIVE),
        (top(lots=-1), Defect.NOT_POSITIVE),
        (top(update=1), Defect.OUT_OF_ORDER),
        (top(11_000, 11_001), None),
        (top(11_001, 11_002), Defect.SPIKE),
        (top(8_999, 9_000), Defect.SPIKE),
        (trade(), None),
        (trade(number=1), Defect.OUT_OF_ORDER),
        (trade(number=3), Defect.GAP),
        (trade(0), Defect.NOT_POSITIVE),
        (trade(100_000), Defect.SPIKE),
        (trade(venue_at_ns=NOW + 5_000_000_000), None),
        (trade(venue_at_ns=NOW + 5_000_000_001), Defect.FUTURE),
    ],
)
def test_each_defect_is_named(state: MarketState, event: MarketEvent, defect: Defect | None) -> None:
    assert state.accept(event, NOW) is defect


def test_a_dropped_message_changes_nothing_but_its_count(state: MarketState) -> None:
    before = state.top

    state.accept(top(10_002, 10_001), NOW + 1)

    assert (state.top, state.good_at_ns, state.dropped) == (before, NOW, {Defect.CROSSED: 1})


@pytest.mark.parametrize(("age_ns", "fresh"), [(STALE_AFTER_NS, True), (STALE_AFTER_NS + 1, False)])
def test_data_is_fresh_up_to_the_limit(state: MarketState, age_ns: int, fresh: bool) -> None:
    assert state.is_fresh(NOW + age_ns) is fresh


def test_nothing_heard_is_not_fresh() -> None:
    assert not MarketState("BTCUSDT").is_fresh(NOW)

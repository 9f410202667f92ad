"""How far paper lies from its backtest: by hand."""

from decimal import Decimal

import pytest

from trading.domain import drift
from trading.domain.drift import DAY_NS, Booked, Comparison, Conduct, Deal, Sample
from trading.domain.evidence import EMPTY, Facts
from trading.domain.measuring import MEASURES, Material
from trading.domain.orders import Side

D = Decimal
HOUR_NS = DAY_NS // 24


def done(pnl: str = "3", drawdown: str = "0.01", trips: int = 20, wins: int = 10, *returns: str) -> Conduct:
    return Conduct(D(pnl), D(drawdown), trips, wins, tuple(map(D, returns)))


def both(paper: Conduct, backtest: Conduct, hours: int = 10) -> Comparison:
    return Comparison(D(300), hours * HOUR_NS, paper, backtest)


def sale(order: str, profit: str | None, *, slot: int = 1, at_ns: int = 0) -> Booked:
    return Booked(Deal("BTCUSDT", Side.SELL, slot, 6_000_000, 10), order, None if profit is None else D(profit), at_ns)


# --- one side ---------------------------------------------------------------------------------------------------------


def test_a_round_trip_is_one_selling_order_however_many_fills_it_has() -> None:
    fills = [sale("a", "0.5"), sale("a", "-0.1"), sale("b", "-0.2"), sale("c", None)]

    found = drift.conduct(Sample(0, D(300)), [Sample(1, D(301))], fills)

    assert (found.round_trips, found.wins, found.pnl_quote) == (2, 1, D(1))


def test_the_drawdown_is_the_deepest_fall_from_a_high_the_opening_included() -> None:
    equity = [Sample(at, D(value)) for at, value in enumerate((297, 310, 300, 305), 1)]

    assert drift.conduct(Sample(0, D(300)), equity, []).drawdown_fraction == D(10) / 310


def test_a_day_that_is_not_whole_has_no_return() -> None:
    equity = [Sample(12 * HOUR_NS, D(303)), Sample(30 * HOUR_NS, D(306)), Sample(47 * HOUR_NS, D(400))]

    assert drift.conduct(Sample(0, D(300)), equity, []).returns == (D("0.01"),)


def test_nothing_happened_is_no_loss() -> None:
    assert drift.conduct(Sample(0, D(300)), [], []) == Conduct(D(0), D(0), 0, 0, ())


# --- the distance -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paper", "backtest", "expected"),
    [("3", "3", "0"), ("2.4", "3", "0.2"), ("-3", "3", "2"), ("0.03", "0", "0.2"), ("0", "-0.3", "1")],
    ids=["equal", "a fifth less", "lost what was to be won", "of a still backtest: 0.05 % of the capital", "nothing"],
)
def test_the_drift_of_pnl(paper: str, backtest: str, expected: str) -> None:
    assert drift.of_pnl(both(done(paper), done(backtest))) == D(expected)


def test_the_drift_of_the_drawdown_is_taken_of_the_backtests() -> None:
    assert drift.of_drawdown(both(done(drawdown="0.012"), done(drawdown="0.01"))) == D("0.2")
    assert drift.of_drawdown(both(done(drawdown="0.0001"), done(drawdown="0"))) == D("0.2")


def test_the_drift_of_the_win_rate_is_unknown_without_trips() -> None:
    assert drift.of_win_rate(both(done(trips=20, wins=12), done(trips=20, wins=15))) == D("0.2")
    assert drift.of_win_rate(both(done(trips=0, wins=0), done())) is None
    assert drift.of_win_rate(both(done(), done(trips=0, wins=0))) is None


def test_the_drift_of_the_sharpe_ratio_needs_a_week_on_both_sides() -> None:
    week = ("0.01", "0.02", "-0.01", "0.01", "0", "0.02", "0.01")
    paper, short = done("3", "0.01", 20, 10, *week), done("3", "0.01", 20, 10, *week[:6])
    doubled = done("3", "0.01", 20, 10, *[str(D(one) * 2) for one in week])

    assert drift.of_sharpe(both(paper, short)) is None
    assert drift.of_sharpe(both(short, paper)) is None
    assert drift.of_sharpe(both(paper, paper)) == 0
    found = drift.of_sharpe(both(paper, doubled))  # the ratio does not depend on the size
    assert found is not None
    assert found < D("1e-20")


# --- several stretches ------------------------------------------------------------------------------------------------


def test_stretches_add_up_and_the_deepest_drawdown_counts() -> None:
    one = both(done("1", "0.01", 5, 4, "0.01"), done("2", "0.03", 6, 5))
    other = both(done("-3", "0.02", 1, 0, "0.02"), done("1", "0.01", 2, 1), hours=5)

    found = drift.joined([one, other])

    assert found is not None
    assert found.compared_ns == 15 * HOUR_NS
    assert found.paper == done("-2", "0.02", 6, 4, "0.01", "0.02")
    assert found.backtest == done("3", "0.03", 8, 6)
    assert drift.joined([]) is None


def test_only_the_fills_that_the_other_side_lacks_are_named() -> None:
    twice = [sale("a", "1"), sale("b", "1")]

    assert drift.only_on_one_side(twice, [sale("x", "1")]) == ([twice[1]], [])
    assert drift.only_on_one_side([], [sale("x", "1", slot=2)]) == ([], [sale("x", "1", slot=2)])


def order(name: str, at_ns: int, *, slot: int = 1, ticks: int = 6_000_000, lots: int = 10) -> Booked:
    return Booked(Deal("BTCUSDT", Side.BUY, slot, ticks, lots), name, None, at_ns)


def test_the_same_orders_are_not_apart_whatever_they_are_called() -> None:
    paper = [
        order("a", 5, lots=4),
        order("a", 9, lots=6),
        order("b", 9),
        order("c", 9, slot=2),
        sale("d", "1", at_ns=20),
    ]
    backtest = [
        order("v", 9, slot=2),
        order("x", 9),
        order("w", 5, lots=4),
        order("w", 9, lots=6),
        sale("y", "2", at_ns=20),
    ]

    assert drift.order_by_order(paper, backtest) == []


def test_an_order_apart_is_told_with_what_each_side_made_of_it() -> None:
    paper = [order("late", 130), order("dear", 300, ticks=6_000_001), order("part", 500, lots=7), order("only", 900)]
    backtest = [order("1", 100), order("2", 300), order("3", 500), order("4", 720)]

    found = drift.order_by_order(paper, backtest)

    whole = 60_000_000
    assert [(one.paper, one.backtest) for one in found] == [
        ((10, whole, 130), (10, whole, 100)),
        ((10, whole + 10, 300), (10, whole, 300)),
        ((7, 42_000_000, 500), (10, whole, 500)),
        ((10, whole, 900), (10, whole, 720)),
    ]
    assert [one.at_ns for one in found] == [100, 300, 500, 720]


def test_an_order_that_one_side_never_filled_does_not_shift_those_after_it() -> None:
    paper = [order("b", 1_010), order("c", 2_010)]
    backtest = [order("1", 0), order("2", 1_000), order("3", 2_000), order("4", 9_000, slot=3)]

    found = drift.order_by_order(paper, backtest)

    assert [one.paper and one.paper.at_ns for one in found] == [None, 1_010, 2_010, None]
    assert [one.backtest and one.backtest.at_ns for one in found] == [0, 1_000, 2_000, 9_000]
    turned = drift.order_by_order(backtest, paper)
    assert [(one.backtest, one.paper) for one in turned] == [(one.paper, one.backtest) for one in found]


ALIKE, LATER = order("a", 100), order("b", 105)
KINDS = [
    ([ALIKE], [ALIKE], [], "0"),
    ([ALIKE], [LATER], ["another time"], "0"),
    ([order("a", 100, ticks=6_000_001)], [LATER], ["another price"], "1"),
    ([order("a", 100, ticks=6_000_001, lots=9)], [LATER], ["another quantity"], "1"),
    ([ALIKE, order("c", 900)], [LATER], ["another time", "only on paper"], "0.5"),
    ([ALIKE], [LATER, order("c", 900)], ["another time", "only in the backtest"], "0.5"),
    ([order("a", 5, slot=3), order("b", 5, slot=4)], [order("c", 5, slot=4), order("d", 9)],
     ["only on paper", "only in the backtest"], "0.6666666666666666666666666667"),
]  # fmt: skip


@pytest.mark.parametrize(("paper", "backtest", "kinds", "fraction"), KINDS)
def test_an_order_is_another_deal_unless_only_its_time_differs(
    paper: list[Booked], backtest: list[Booked], kinds: list[str], fraction: str
) -> None:
    assert [drift.kind_of(one) for one in drift.order_by_order(paper, backtest)] == kinds
    assert drift.of_orders(paper, backtest) == D(fraction)


def test_without_orders_nothing_can_be_apart_nor_alike() -> None:
    assert drift.of_orders([], []) is None


# --- the metric -------------------------------------------------------------------------------------------------------


def material(compared: Comparison | None, watched_hours: int = 10) -> Material:
    before = Facts(watched_ns=watched_hours * HOUR_NS)
    return Material.of(before, [], alerts={}, styles={}, running=frozenset(), compared=compared)


def test_what_was_not_compared_is_unknown() -> None:
    assert MEASURES["drift_pnl"](material(None)).value is None
    assert MEASURES["drift_sharpe"](material(None))[:2] == (None, 0)
    assert MEASURES["drift_pnl"](Material.of(EMPTY, [], alerts={}, styles={}, running=frozenset())).value is None


@pytest.mark.parametrize(("hours", "known"), [(8, True), (7, False)], ids=["four fifths", "less"])
def test_four_fifths_of_the_time_have_to_be_compared(hours: int, *, known: bool) -> None:
    found = MEASURES["drift_pnl"](material(both(done("2.4"), done("3"), hours)))

    assert found.value == (D("0.2") if known else None)
    assert found.samples == 20
    assert ("but only 70% of the time" in found.detail) is not known

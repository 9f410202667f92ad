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

"""The statement's ratios on series worked out by hand, and what it says where there is none."""

from decimal import Decimal

import pytest

from trading.domain.drift import DAY_NS
from trading.domain.evidence import EMPTY, METRICS, Equity, Facts, SymbolFacts
from trading.domain.measuring import MEASURES, Material
from trading.domain.performance import STATEMENT, calmar, downside_deviation, fee_in_quote, sortino, statement

CLOSES = (101, 100, 102, 101, 103, 102, 105)


def material(closes: tuple[int, ...] = CLOSES, first: int = 100, **changes: object) -> Material:
    days, opened = [], first
    for close in closes:
        equity = Equity.of(Decimal(opened)).then(Equity.of(Decimal(close)))
        days.append(Facts(watched_ns=DAY_NS, market_ns=DAY_NS, samples=60, equity=equity))
        opened = close
    before = Facts(samples=1, equity=Equity.of(Decimal(first)), **changes)  # type: ignore[arg-type]
    return Material.of(before, days, alerts={}, styles={}, running=frozenset())


def test_only_what_was_lost_deviates_downwards() -> None:
    assert downside_deviation([Decimal("0.03"), Decimal("-0.03"), Decimal("-0.04"), Decimal(0)]) == Decimal("0.025")


def test_the_sortino_ratio_by_hand() -> None:
    returns = [b / a - 1 for a, b in zip((100, *CLOSES), CLOSES, strict=False)]
    mean = sum(returns) / 7
    downside = (sum(min(one, 0) ** 2 for one in returns) / 7) ** 0.5

    found = sortino(material())

    assert found.value is not None
    assert float(found.value) == pytest.approx(mean / downside * 365**0.5)
    assert found.samples == 7


def test_the_calmar_ratio_by_hand() -> None:
    found = calmar(material())

    assert found.value is not None
    assert float(found.value) == pytest.approx(0.05 * 365 / 7 / (1 / 101))


@pytest.mark.parametrize("ratio", [sortino, calmar])
def test_six_days_are_too_few(ratio: object) -> None:
    found = ratio(material(CLOSES[:6]))  # type: ignore[operator]

    assert (found.value, found.detail) == (None, "6 whole market days; at least 7 are needed")


@pytest.mark.parametrize("ratio", [sortino, calmar])
def test_without_a_loss_a_ratio_has_no_bound(ratio: object) -> None:
    found = ratio(material((101, 102, 103, 104, 105, 106, 107)))  # type: ignore[operator]

    assert found.value is None
    assert "no bound" in found.detail


def test_the_sharpe_ratio_is_that_of_the_gates() -> None:
    of = material()
    figures = {one.name: one for one in statement(of)}

    assert figures["sharpe"].value == MEASURES["sharpe"](of).value
    assert [one.name for one in statement(of)] == list(STATEMENT)


def test_too_few_samples_make_a_figure_unknown_and_say_how_many_are_needed() -> None:
    symbol = SymbolFacts(round_trips=19, wins=19, gain_quote=Decimal(1))
    few = {one.name: one for one in statement(material(symbols={"BTCUSDT": symbol}))}
    enough = {
        one.name: one for one in statement(material(symbols={"BTCUSDT": symbol.plus(SymbolFacts(round_trips=1))}))
    }

    assert few["win_rate"].value is None
    assert "19 round trips, at least 20 are needed" in few["win_rate"].detail
    assert enough["win_rate"].value == Decimal("0.95")


def test_of_nothing_everything_but_the_alerts_is_unknown() -> None:
    nothing = Material.of(EMPTY, [], alerts={}, styles={}, running=frozenset())

    assert {one.name for one in statement(nothing) if one.value is not None} == {"crit_alerts"}
    assert all(one.detail for one in statement(nothing))
    assert METRICS["sharpe"].fewest == 7


@pytest.mark.parametrize(("asset", "expected"), [("USDT", 2), ("BTC", 120), ("BNB", None)])
def test_a_fee_is_worth_what_the_ledger_books(asset: str, expected: int | None) -> None:
    assert fee_in_quote(Decimal(2), Decimal(120), asset=asset, base="BTC", quote="USDT") == expected

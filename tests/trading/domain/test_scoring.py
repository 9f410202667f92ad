"""A score is what a backtest of the same grid tells, whether many were swept together or one was carried out alone."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from trading.domain.backtest_campaign import on_campaign
from trading.domain.backtest_report import report
from trading.domain.backtest_run import on_kernel
from trading.domain.backtest_settings import BacktestSettings, Mode, read
from trading.domain.instruments import Instrument
from trading.domain.limits import ExecutionStyle
from trading.domain.scoring import Score, score, together
from trading.domain.splits import Span
from trading.domain.tapes import Tape, of_trades

TOKEN = Instrument("XYZUSDT", "XYZ", "USDT", Decimal("0.01"), Decimal("0.001"), Decimal(5))
PLAIN = read({"symbol": "XYZUSDT", "levels": "9", "step": "0.004", "lot": "100"})
SECOND = 10**9


def wandering(length: int = 3_000, seed: int = 3) -> Tape:
    steps = np.random.default_rng(seed).integers(-9, 10, length)
    price = 10_000 + np.cumsum(steps)
    return of_trades("XYZUSDT", np.arange(length, dtype=np.int64) * SECOND, price.astype(np.int64), through=False)


TAPE = wandering()
WHOLE = Span(0, len(TAPE) * SECOND)
VARIED = dict(enumerate((
        PLAIN,
        replace(PLAIN, mode=Mode.LONG),
        replace(PLAIN, mode=Mode.SHORT, levels=12),
        replace(PLAIN, style=ExecutionStyle.TAKER, step=Decimal("0.006")),
        replace(PLAIN, max_drawdown=Decimal("0.002")),
        replace(PLAIN, mode=Mode.LONG, recentre_steps=1),
        replace(PLAIN, mode=Mode.LONG, start_at=Decimal("99.8"), stop=Decimal("90")),
    )))  # fmt: skip


def alone(settings: BacktestSettings, tape: Tape = TAPE) -> dict[str, object]:
    ran = (on_kernel if settings.is_plain else on_campaign)(tape, settings, TOKEN)
    return report(ran).facts


def scored(trials: dict[int, BacktestSettings], span: Span = WHOLE, period_s: int = 100) -> dict[int, Score]:
    found = score(TAPE, trials, TOKEN, span, period_s * SECOND)
    assert list(found) == list(trials)
    return {number: one for number, one in found.items() if isinstance(one, Score)}


def test_every_score_is_what_a_backtest_alone_tells() -> None:
    found = scored(VARIED)

    for number, settings in VARIED.items():
        facts, one = alone(settings), found[number]
        amounts = ("pnl", "turnover", "fees", "grid_profit", "max_drawdown")
        assert {name: getattr(one, name) for name in amounts} == {
            name: pytest.approx(Decimal(str(facts[name])), abs=Decimal("1e-12")) for name in amounts
        }
        assert (one.fills, one.round_trips) == (facts["fills"], facts["round_trips"])
        assert one.growth == Decimal(str(facts["equity"])) / Decimal(str(facts["opening_equity"]))
    assert min(one.fills for one in found.values()) > 0
    assert found[4].fills < found[0].fills  # its drawdown ended it


def test_the_returns_multiply_to_the_growth_and_are_of_equal_spans() -> None:
    found = scored(VARIED)

    for one in found.values():
        assert len(one.returns) == 30
        assert np.prod([1 + value for value in one.returns]) == pytest.approx(float(one.growth), rel=1e-12)
    until = scored(VARIED, Span(0, 1_200 * SECOND))
    for number, one in until.items():
        assert one.returns == found[number].returns[:12]


def test_a_window_is_a_tape_of_its_own() -> None:
    span = Span(500 * SECOND, 1_700 * SECOND)
    window = of_trades("XYZUSDT", TAPE.at_ns[500:1_700], TAPE.mark[500:1_700], through=False)

    found = scored(VARIED, span)

    assert {n: one.fills for n, one in found.items()} == {n: alone(VARIED[n], window)["fills"] for n in found}
    assert found[0].pnl != scored({0: PLAIN})[0].pnl


def test_what_cannot_run_says_why_and_holds_nobody_up() -> None:
    poor, tiny = replace(PLAIN, cash=Decimal(10)), replace(PLAIN, lot=Decimal(1))

    found = score(TAPE, {3: poor, 5: PLAIN, 7: tiny}, TOKEN, WHOLE, 100 * SECOND)

    assert isinstance(found[5], Score)
    assert str(found[3]).startswith("cash: 10 USDT is")
    assert str(found[7]).startswith("lot: 1 is below the venue's smallest order")
    empty = score(TAPE, {1: PLAIN}, TOKEN, Span(10**18, 10**18 + 5), SECOND)
    assert empty == {1: "The window holds no event; use fewer folds."}


def test_windows_together_multiply_and_add_and_keep_the_deepest_fall() -> None:
    first, second = (scored({0: PLAIN}, Span(a * SECOND, b * SECOND))[0] for a, b in ((0, 1_000), (1_000, 3_000)))

    both = together([first, second])

    assert both.growth == first.growth * second.growth
    assert both.max_drawdown == max(first.max_drawdown, second.max_drawdown)
    assert (both.pnl, both.fills) == (first.pnl + second.pnl, first.fills + second.fills)
    assert both.returns == first.returns + second.returns
    assert both.as_json()["sharpe"] == both.moments.sharpe if both.moments else None


def test_what_is_not_known_is_none_in_json() -> None:
    told = scored({0: PLAIN}, period_s=1_000)[0].as_json()

    assert told["returns"] == 3
    assert (told["sharpe"], told["skewness"], told["kurtosis"]) == (None, None, None)
    assert set(told["return"]) <= set("-0123456789.")

"""What a backtest is judged by, calculated by hand, and held against what the kernel counted itself."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

from trading.domain import kernel
from trading.domain.backtest_report import Ran, deals, report
from trading.domain.backtest_run import Events, on_kernel, tape_of
from trading.domain.backtest_settings import Mode, UnusableSettings, read
from trading.domain.backtest_words import in_words, level_lines
from trading.domain.drift import fills_digest
from trading.domain.instruments import Instrument

COIN = Instrument("COINUSDT", "COIN", "USDT", Decimal("0.01"), Decimal("0.1"), Decimal(1), Decimal("0.1"))
SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
PLAIN: dict[str, Any] = {
    "symbol": "COINUSDT", "grid": "arithmetic", "levels": "3", "lower": "100", "upper": "102", "lot": "100",
    "cash": "1000", "fee_maker": "0.001", "fee_taker": "0.001",
}  # fmt: skip


def prints(*prices: str | Decimal, every_ns: int = SECOND_NS) -> Events:
    count = len(prices)
    at_ns = np.arange(count, dtype=np.int64) * every_ns
    ticks = np.array([COIN.ticks(Decimal(price)) for price in prices], dtype=np.int64)
    return Events("COINUSDT", at_ns, np.zeros(count, dtype=bool), ticks, np.zeros(count, dtype=np.int64))


def ran(events: Events, **settings: str) -> Ran:
    chosen = read({**PLAIN, **settings})
    return on_kernel(tape_of(events, chosen), chosen, COIN)


def test_a_long_round_trip_by_hand() -> None:
    # Slot 0 buys 1.0 at 100 (fee 0.1) and sells it at 101 (fee 0.101); slot 1 buys 0.9 at 101 (fee 0.0909).
    found = report(ran(prints("101.5", "101", "100", "101", "100.5"), mode="long")).facts

    # bought 0.9 at 101 (90.9 + 0.0909), 1.0 at 100 (100 + 0.1); sold 1.0 at 101 (101 - 0.101)
    cash = Decimal(1000) - Decimal("90.9909") - Decimal("100.1") + Decimal("100.899")
    equity = cash + Decimal("0.9") * Decimal("100.5")
    assert (found["fills"], found["round_trips"]) == (3, 1)
    assert Decimal(found["equity"]) == equity
    assert Decimal(found["grid_profit"]) == Decimal("1") - Decimal("0.1") - Decimal("0.101")
    assert Decimal(found["inventory_pnl"]) == equity - 1000 - Decimal("0.799")
    assert Decimal(found["fees"]) == Decimal("0.0909") + Decimal("0.1") + Decimal("0.101")
    assert Decimal(found["turnover"]) == Decimal("90.9") + 100 + 101
    assert found["inventory"] == "0.9"
    assert found["ended"] == "the tape ended"
    assert found["win_rate"] == "1"


def test_the_levels_tell_what_filled_at_them() -> None:
    rows = report(ran(prints("101.5", "101", "100", "101", "100.5"), mode="long")).facts["per_level"]

    assert [(row["price"], row["buys"], row["sells"], row["round_trips"]) for row in rows] == [
        ("100", 1, 0, 1), ("101", 1, 1, 0), ("102", 0, 0, 0),
    ]  # fmt: skip
    assert Decimal(rows[0]["grid_profit"]) == Decimal("0.799")


def test_the_deepest_fall_counts_from_what_it_began_with() -> None:
    # NEUTRAL at 101: slot 1 holds 0.9 bought at 101 for a fee of 0.0909, which is the first fall; then 100.5.
    found = report(ran(prints("101", "100.5", "101"), mode="neutral")).facts

    fall = Decimal("0.0909") + Decimal("0.9") * Decimal("0.5")
    assert Decimal(found["max_drawdown_quote"]) == fall
    assert Decimal(found["max_drawdown"]) == fall / 1000
    assert Decimal(found["fees"]) == Decimal("0.0909")
    assert Decimal(found["turnover"]) == Decimal("90.9")


def test_what_a_short_run_says_nothing_of_is_unknown_and_says_why() -> None:
    found = report(ran(prints("101", "101"))).facts

    for name in ("sharpe", "sortino", "calmar"):
        assert found[name] is None
        assert found["unknown"][name] == "0 whole market days; at least 7 are needed"
    assert found["win_rate"] is None
    assert found["unknown"]["profit_factor"] == "no round trip was closed"


def test_the_ratios_of_a_week_by_hand() -> None:
    # NEUTRAL below both slots: 1.0 and 0.6 bought at the first price without fees, held for a week; a close each day.
    closes = ("101", "102", "101", "103", "102", "104", "103", "105")
    days = prints(*(Decimal(price) - Decimal("0.05") for price in closes), every_ns=DAY_NS)
    held = ran(days, mode="neutral", lower="100", upper="200", fee_maker="0", fee_taker="0")
    found = report(held).facts

    equity = [Decimal(1000) + Decimal("1.6") * (Decimal(close) - 101) for close in closes]
    assert held.path.lots.tolist() == [16]
    returns = [float(later / earlier - 1) for earlier, later in pairwise(equity)]
    mean, deviation = np.mean(returns), np.std(returns, ddof=1)
    downside = np.sqrt(np.mean(np.minimum(returns, 0) ** 2))
    assert float(found["sharpe"]) == pytest.approx(mean / deviation * np.sqrt(365))
    assert float(found["sortino"]) == pytest.approx(mean / downside * np.sqrt(365))
    drawdown = max(1 - float(equity[k + 1] / equity[k]) for k in (1, 3, 5))
    assert float(found["calmar"]) == pytest.approx(float(equity[-1] / equity[0] - 1) * 365 / 7 / drawdown)
    assert "sharpe" not in found["unknown"]


def test_six_days_are_too_few_for_a_ratio() -> None:
    found = report(ran(prints(*["101"] * 7, every_ns=DAY_NS))).facts

    assert found["sharpe"] is None
    assert found["unknown"]["sharpe"] == "6 whole market days; at least 7 are needed"


def test_cash_that_does_not_pay_for_every_slot_is_refused() -> None:
    # 190.9 and its fee are 191.0909; cash counts in whole ticks x lots of 0.001
    ran(prints("101.5", "101"), mode="long", cash="191.091")
    with pytest.raises(UnusableSettings, match=r"cash: 191\.09 USDT is 0\.01 less than all slots cost; use more"):
        ran(prints("101.5", "101"), mode="long", cash="191.09")


def test_a_recording_without_such_events_says_which_there_are() -> None:
    with pytest.raises(UnusableSettings, match=r"prices: the recording has no such events of COINUSDT; use trades\."):
        ran(prints("101"), prices="tops")


def test_tops_and_prints_share_one_tape() -> None:
    # top 100.5/100.6, print at 100.2 (through), top 100.3/100.4
    events = Events(
        "COINUSDT", np.arange(4, dtype=np.int64), np.array([False, True, False, True]),
        np.array([9_999, 10_050, 10_020, 10_030]), np.array([0, 10_060, 0, 10_040]),
    )  # fmt: skip
    tape = tape_of(events, read({**PLAIN, "prices": "all", "fill": "through"}))

    assert tape.down.tolist() == [10_060, 10_021, 10_040]
    assert tape.up.tolist() == [10_050, 10_019, 10_030]
    assert tape.mark.tolist() == [10_050, 10_050, 10_030]
    assert len(tape.assumptions) == 2


def test_the_words_hold_every_figure_and_unknown_is_not_zero() -> None:
    found = report(ran(prints("101.5", "101", "100", "101"), mode="long")).facts

    text = "\n".join([*in_words(found, "USDT"), *level_lines(found["per_level"])])

    assert "Sharpe        unknown (0 whole market days" in text
    assert "win rate      100.000% (1 of 1 round trips" in text
    assert "+0.7990" in text
    assert fills_digest(deals(ran(prints("101.5", "101", "100", "101"), mode="long"))) in text


@trials(deadline=None)  # the first one loads the compiled loop
@given(
    prices=st.lists(st.integers(9_800, 10_400), min_size=1, max_size=120),
    mode=st.sampled_from(Mode),
    latency=st.sampled_from(("0", "700", "2500")),
    tops=st.booleans(),
    fill=st.sampled_from(("touch", "through")),
)
def test_the_report_counts_what_the_kernel_counts(
    prices: list[int], mode: Mode, latency: str, tops: bool, fill: str
) -> None:
    ticks = np.array(prices, dtype=np.int64)
    events = Events(
        "COINUSDT", np.arange(len(ticks), dtype=np.int64) * SECOND_NS, np.full(len(ticks), tops), ticks, ticks + 1
    )
    kind = "tops" if tops else "trades"
    settings = read({**PLAIN, "levels": "6", "mode": mode, "latency_ms": latency, "prices": kind, "fill": fill})
    tape = tape_of(events, settings)
    run = on_kernel(tape, settings, COIN)

    outcome = _again(run, tape, settings)
    found = report(run, points=7).facts

    counted = {
        "equity": outcome.equity,
        "grid_profit": outcome.grid_profit,
        "fees": outcome.fees,
        "turnover": outcome.turnover * outcome.scale,
        "inventory_pnl": outcome.inventory_pnl,
    }
    assert {name: Decimal(found[name]) / run.scale for name in counted} == counted
    assert found["round_trips"] == outcome.round_trips
    fall, peak = outcome.max_drawdown_fraction or (0, 1)
    assert Decimal(found["max_drawdown"]) == Decimal(fall) / peak


def _again(run: Ran, tape: Any, settings: Any) -> kernel.Outcome:
    from trading.domain.backtest_run import terms_of
    from trading.domain.backtest_settings import lay_grid

    lots = lay_grid(settings, COIN, int(tape.mark[0])).lots
    terms = terms_of(settings, COIN, sum(lots) if settings.mode is Mode.SHORT else 0)
    return kernel.run(tape, kernel.Ladder(run.levels, lots, kernel.Mode(settings.mode)), terms)

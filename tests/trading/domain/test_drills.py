"""A drill fires the real rule once, is no alarm, and passes only where latch and proof came in time."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.trading.domain.hand import Hand
from trading.domain.drills import Drill, Outcome, judge
from trading.domain.events import DrillRequested, LatchHalt, RaiseAlert, Resumed, Severity
from trading.domain.guard import ERRORS_HALT_WITHIN_NS
from trading.domain.limits import TradingState

ASKED = datetime(2026, 11, 21, 12, tzinfo=UTC)


def after(seconds: float | None) -> datetime | None:
    return None if seconds is None else ASKED + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("latched_s", "proven_s", "now_s", "outcome", "reason"),
    [
        (None, None, 10, Outcome.RUNNING, ""),
        (None, None, 10.1, Outcome.FAILED, "nothing was latched within 10 s"),
        (3, None, 4, Outcome.RUNNING, ""),
        (3, 16, 99, Outcome.PASSED, ""),
        (3.1, 4, 99, Outcome.FAILED, "latched only after 3.1 s"),
        (1, None, 14, Outcome.RUNNING, ""),
        (1, None, 14.1, Outcome.FAILED, "not proven clear"),
        (1, 14.1, 99, Outcome.FAILED, "proven clear only 0:00:13.1"),
    ],
)
def test_a_drill_passes_where_latch_and_proof_came_in_time(
    latched_s: float | None, proven_s: float | None, now_s: float, outcome: Outcome, reason: str
) -> None:
    now = after(now_s)
    assert now is not None

    verdict = judge(asked_at=ASKED, latched_at=after(latched_s), proven_at=after(proven_s), at=now)

    assert verdict.outcome is outcome
    assert verdict.reason.startswith(reason)
    assert bool(verdict.reason) is bool(reason)


def alerts(hand: Hand) -> list[tuple[Severity, str]]:
    return [(alert.severity, alert.code) for alert in hand.of(RaiseAlert)]


@pytest.mark.parametrize("drill", [Drill.DRAWDOWN, Drill.SILENT_DATA, Drill.VENUE_ERRORS])
def test_a_drill_halts_through_its_rule_and_is_no_alarm(drill: Drill) -> None:
    hand = Hand()
    hand.give(DrillRequested(drill))
    assert not hand.of(LatchHalt)

    hand.seconds(1)

    (latch,) = hand.of(LatchHalt)
    assert latch.reason.startswith("drill: ")
    assert (Severity.INFO, "DRILL") in alerts(hand)
    assert all(severity is not Severity.CRIT for severity, _ in alerts(hand))
    assert hand.trader.view(hand.now_ns).state is TradingState.HALTED


def test_a_drill_fires_once() -> None:
    hand = Hand()
    hand.give(DrillRequested(Drill.DRAWDOWN))
    hand.seconds(1)
    hand.seconds(1)

    assert not hand.of(LatchHalt)


def test_a_halted_account_is_not_drilled() -> None:
    hand = Hand()
    hand.halt("a person", flatten=False)
    hand.give(DrillRequested(Drill.VENUE_ERRORS))
    hand.seconds(1)

    assert not hand.of(LatchHalt)


def test_a_halt_that_comes_first_ends_the_drill() -> None:
    hand = Hand()
    hand.give(DrillRequested(Drill.VENUE_ERRORS))
    hand.halt("a person", flatten=False)
    hand.read()
    hand.give(Resumed("two people"))

    assert not [effect for effect in hand.seconds(2) if isinstance(effect, LatchHalt)]


def test_a_loss_that_is_real_is_an_alarm_whatever_is_drilled() -> None:
    hand = Hand()
    hand.top(hand.level(1) + 10)
    (order,) = hand.top_and_sent(hand.level(1) - 1)
    hand.fill(order)
    hand.give(DrillRequested(Drill.DRAWDOWN))
    hand.trader._core.ledger.cash -= 30

    hand.seconds(1)

    assert "DAILY_DRAWDOWN" in hand.codes()
    assert [latch.reason[:14] for latch in hand.of(LatchHalt)] == ["daily drawdown"]


@pytest.mark.parametrize(("apart_ns", "halts"), [(ERRORS_HALT_WITHIN_NS // 2, True), (ERRORS_HALT_WITHIN_NS, False)])
def test_the_third_pause_for_venue_errors_within_ten_minutes_halts(apart_ns: int, halts: bool) -> None:
    hand = Hand()
    now_ns = hand.now_ns
    hand.trader._core.error_pauses_ns = (now_ns - 2 * apart_ns + 10**9, now_ns - apart_ns, now_ns)

    hand.seconds(1)

    assert bool(hand.of(LatchHalt)) is halts

"""What the world must be like to trade in it: each rule on both sides of its edge."""

from dataclasses import replace

import pytest

from trading.domain.watch import BUILD, CLOCK, SECOND_NS, Signs, judge

NOW = 1_000_000 * SECOND_NS
CALM = Signs(NOW, NOW - 5 * SECOND_NS, NOW, (), 0.0, {"execution": NOW, "market_data": NOW, "model": NOW})


def codes(signs: Signs) -> list[str]:
    return [notice.code for notice in judge(signs).notices]


def test_a_calm_world_says_nothing() -> None:
    judgement = judge(CALM)

    assert (judgement.halts, judgement.holds, judgement.notices) == ((), {}, ())


@pytest.mark.parametrize(("silent_s", "halts"), [(60, 0), (61, 1)])
def test_a_minute_without_market_data_halts_everything(silent_s: int, halts: int) -> None:
    assert len(judge(replace(CALM, market_at_ns=NOW - silent_s * SECOND_NS)).halts) == halts


def test_data_that_never_came_is_silence_since_the_watch_began() -> None:
    assert judge(replace(CALM, market_at_ns=None)).halts == ()
    assert judge(replace(CALM, market_at_ns=None, began_ns=NOW - 61 * SECOND_NS)).halts


@pytest.mark.parametrize(
    ("skew_ms", "holds"), [(499.9, False), (-499.9, False), (500.0, True), (-3_600_000.0, True), (float("nan"), True)]
)
def test_a_clock_that_is_off_holds_orders_back(skew_ms: float, holds: bool) -> None:
    assert bool(judge(replace(CALM, skew_ms=skew_ms)).holds) is holds


def test_a_clock_that_was_not_compared_yet_holds_orders_back_and_is_no_alarm() -> None:
    judgement = judge(replace(CALM, skew_ms=None))

    assert judgement.holds == {CLOCK: "our clock was not compared with the venue's yet"}
    assert judgement.notices == ()


def test_a_clock_that_cannot_be_read_is_told_apart_from_one_that_is_off() -> None:
    assert codes(replace(CALM, skew_ms=float("nan"))) == ["CLOCK_UNKNOWN"]
    assert codes(replace(CALM, skew_ms=900.0)) == ["CLOCK_SKEW"]


@pytest.mark.parametrize(("silent_s", "said", "halts"), [(10, 0, 0), (11, 1, 0), (60, 1, 0), (61, 1, 1)])
def test_a_loop_that_stopped_is_said_and_then_halts(silent_s: int, said: int, halts: int) -> None:
    judgement = judge(replace(CALM, beats_at_ns={"execution": NOW - silent_s * SECOND_NS}))

    assert (len(judgement.notices), len(judgement.halts)) == (said, halts)


def test_a_model_loop_that_stopped_does_not_halt() -> None:
    assert judge(replace(CALM, beats_at_ns={"model": NOW - 500 * SECOND_NS})).halts == ()


@pytest.mark.parametrize(("losses", "warned"), [(4, False), (5, True)])
def test_many_reconnects_within_a_day_are_said(losses: int, warned: bool) -> None:
    assert ("MANY_RECONNECTS" in codes(replace(CALM, market_lost_at_ns=(NOW,) * losses))) is warned


def test_reconnects_of_yesterday_do_not_count() -> None:
    assert codes(replace(CALM, market_lost_at_ns=(NOW - 86_400 * SECOND_NS,) * 9)) == []


@pytest.mark.parametrize(
    ("builds", "since_s", "holds", "halts"),
    [
        ({}, None, False, 0),
        ({"loops@a:1": "1-1", "web@a:2": "1-1"}, None, False, 0),
        ({"loops@a:1": "1-1", "web@a:2": "1-2"}, 0, True, 0),
        ({"loops@a:1": "1-1", "web@a:2": "2-1"}, 10, True, 0),
        ({"loops@a:1": "1-1", "web@a:2": "2-1"}, 11, True, 1),
    ],
    ids=["nobody spoke", "one build", "another configuration", "as long as a restart takes", "longer"],
)
def test_processes_of_different_builds_do_not_trade_together(
    builds: dict[str, str], since_s: int | None, holds: bool, halts: int
) -> None:
    since_ns = None if since_s is None else NOW - since_s * SECOND_NS

    judgement = judge(replace(CALM, builds=builds, builds_differ_since_ns=since_ns))

    assert (BUILD in judgement.holds, len(judgement.halts)) == (holds, halts)


def test_who_runs_what_is_named() -> None:
    (notice,) = judge(replace(CALM, builds={"loops@a:1": "1-1", "tasks@a:3": "1-1", "web@a:2": "2-1"})).notices

    assert "1-1 loops, tasks; 2-1 web" in notice.message

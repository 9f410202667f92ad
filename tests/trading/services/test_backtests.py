"""Backtests are asked for, carried out one after another, followed and cancelled; nothing is done twice."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from trading import backtesting, live, searching
from trading.domain.backtest_settings import BacktestSettings, read
from trading.models import AuditEvent, Backtest
from trading.services import backtests
from trading.services.backtests import UnableToAsk, UnableToCancel, Works

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
REAL = Works(backtesting.carry_out, searching.carry_out_shared)


@dataclass
class Told:
    facts: dict[str, Any]
    curves: dict[str, Any]


class Refused(Exception):
    pass


def asked(by: str = "trader", **settings: str) -> Backtest:
    return backtests.ask(settings=read(settings), by=by, at=NOW)


def clock() -> datetime:
    return NOW + timedelta(seconds=1)


def carried_out(work: Callable[..., Any]) -> int:
    return backtests.carry_out_waiting(Works(work, work), clock, (Refused,))


def test_what_waits_is_carried_out_in_its_order() -> None:
    first, second = asked(levels="8"), asked(levels="9")
    seen: list[int] = []

    def work(settings: BacktestSettings, progress: Callable[[float], None]) -> Told:
        seen.append(settings.levels)
        progress(0.5)
        return Told({"levels": settings.levels}, {"at": []})

    assert carried_out(work) == 2

    first.refresh_from_db()
    second.refresh_from_db()
    assert seen == [8, 9]
    assert (first.state, first.progress, first.facts, first.curves) == ("DONE", 1, {"levels": 8}, {"at": []})
    assert (second.began_at, second.ended_at) == (clock(), clock())
    assert carried_out(work) == 0


def test_asking_calls_the_worker_after_the_commit_and_leaves_its_row(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(live, "send_command", sent.append)

    with django_capture_on_commit_callbacks(execute=True):
        run = asked()

    assert [one["cmd"] for one in sent] == ["run_backtests"]
    event = AuditEvent.objects.latest("sequence")
    assert (event.actor, event.action, event.subject) == ("trader", "backtest.asked", f"backtest:{run.pk}")


def test_a_person_has_three_at_once_and_not_four() -> None:
    for _ in range(3):
        asked()

    with pytest.raises(UnableToAsk, match="3 backtests of yours have not ended"):
        asked()
    assert asked(by="engineer").pk


def test_a_refusal_is_kept_for_people_to_read() -> None:
    run = asked()

    def work(*_: object) -> Told:
        raise Refused("lot: too small; use more.")

    carried_out(work)

    run.refresh_from_db()
    assert (run.state, run.why) == ("FAILED", "lot: too small; use more.")


def test_a_defect_ends_the_run_and_is_raised() -> None:
    run = asked()

    def work(*_: object) -> Told:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        carried_out(work)

    run.refresh_from_db()
    assert run.state == "FAILED"
    assert "ZeroDivisionError" in run.why


def test_one_that_waits_is_cancelled_at_once() -> None:
    run = backtests.cancel(run_id=asked().pk, by="trader", at=NOW)

    assert (run.state, run.ended_at) == ("CANCELED", NOW)
    assert not backtests.anything_waits()
    with pytest.raises(UnableToCancel, match="has ended: cancelled"):
        backtests.cancel(run_id=run.pk, by="trader", at=NOW)


def test_one_that_runs_ends_when_it_next_says_how_far_it_is() -> None:
    run = asked()

    def work(_: object, progress: Callable[[float], None]) -> Told:
        backtests.cancel(run_id=run.pk, by="trader", at=NOW)
        progress(0.3)
        raise AssertionError("it went on")

    carried_out(work)

    run.refresh_from_db()
    assert (run.state, run.facts, run.cancel_asked) == ("CANCELED", None, True)


def test_what_nobody_carries_out_any_more_has_failed() -> None:
    run = asked()
    Backtest.objects.filter(pk=run.pk).update(state="RUNNING", seen_at=NOW)

    assert backtests.end_silent(NOW + timedelta(minutes=2)) == 0
    assert backtests.end_silent(NOW + timedelta(minutes=2, seconds=1)) == 1

    run.refresh_from_db()
    assert run.state == "FAILED"
    assert "Run it again" in run.why


def test_the_oldest_that_have_ended_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "KEPT", 2)
    waiting = asked(by="a")
    old = backtests.cancel(run_id=asked(by="b").pk, by="b", at=NOW)
    newer = backtests.cancel(run_id=asked(by="c").pk, by="c", at=NOW)

    newest = asked(by="d")

    assert set(Backtest.objects.values_list("pk", flat=True)) == {waiting.pk, newer.pk, newest.pk}
    assert not Backtest.objects.filter(pk=old.pk).exists()


def test_the_real_work_fills_the_row() -> None:
    run = asked(levels="8", mode="long")

    backtests.carry_out_waiting(REAL, clock, (backtesting.UnableToBacktest,))

    run.refresh_from_db()
    assert run.state == "DONE"
    assert run.facts is not None
    assert run.curves is not None
    assert run.facts["fills"] > 0
    assert len(run.curves["at"]) == len(run.curves["equity"])


def test_what_cannot_be_run_says_why() -> None:
    run = asked(lot="1")

    backtests.carry_out_waiting(REAL, clock, (backtesting.UnableToBacktest,))

    run.refresh_from_db()
    assert run.state == "FAILED"
    assert run.why.startswith("lot: 1 is below the venue's smallest order")

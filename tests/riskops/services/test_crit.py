"""A CRIT does not wait for beat: the desk is halted on its alerts alone, and the run is judged right after."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from riskops import tasks
from riskops.models import PhaseRun
from riskops.services import phases
from riskops.standing import fatal_alerts
from tests.riskops import cast
from trading import live
from trading.domain.events import Severity
from trading.domain.limits import TradingState
from trading.live.door import valkey
from trading.models import Account, Alert, Halt
from trading.services import alerts, backtests, trainings

LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def latch_file(settings: Settings, tmp_path: Path) -> None:
    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"


@pytest.fixture
def listening(transactional_db: None) -> Iterator[None]:
    """Listen as the worker of the tasks does."""
    stop = threading.Event()
    listener = threading.Thread(target=tasks.judge_on_crit, args=(stop,))
    listener.start()
    wait_for(somebody_listens)
    yield
    stop.set()
    listener.join(LIMIT_S)


def somebody_listens() -> bool:
    told: Any = valkey().pubsub_numsub(live.COMMANDS)
    return bool(told[0][1])


def wait_for(condition: Callable[[], bool]) -> None:
    never, until = threading.Event(), datetime.now(UTC).timestamp() + LIMIT_S
    while not condition():
        assert datetime.now(UTC).timestamp() < until
        never.wait(0.01)


def raise_alert(account: Account | None, at: datetime, severity: Severity = Severity.CRIT) -> None:
    alerts.raise_alert(account=account, severity=severity, code="GHOST_ORDER", message="gc-1 is gone", at=at)


@pytest.mark.parametrize("of_all_accounts", [False, True])
def test_a_crit_halts_before_the_run_is_judged(db: None, of_all_accounts: bool) -> None:
    run, at = cast.passed_run()
    raise_alert(None if of_all_accounts else run.account, at)

    phases.heed_alerts(run=run, at=at + cast.MINUTE)

    run.refresh_from_db()
    assert Account.objects.get().state == TradingState.HALTED
    assert Halt.objects.get().reason == "gate 4.0 failed: crit_alerts"
    assert (run.decision, run.ended_at) == ("PENDING", None)


def test_judging_after_that_ends_the_run_and_halts_no_second_time(db: None) -> None:
    run, at = cast.passed_run()
    raise_alert(run.account, at)
    phases.heed_alerts(run=run, at=at + cast.MINUTE)

    phases.judge(run=run, at=at + cast.MINUTE)

    run.refresh_from_db()
    assert (run.decision, Halt.objects.count()) == ("NO_GO", 1)


def test_a_warning_or_a_crit_before_the_run_halts_nobody(db: None) -> None:
    run, at = cast.passed_run()
    raise_alert(run.account, at, Severity.WARN)
    raise_alert(run.account, cast.BEGIN - cast.MINUTE)

    phases.heed_alerts(run=run, at=at + cast.MINUTE)

    assert Account.objects.get().state == TradingState.ACTIVE


def test_alerts_alone_say_of_a_crit_what_all_the_evidence_says_in_one_query(db: None) -> None:
    desk, at = cast.passed_run()
    raise_alert(desk.account, at)
    (run,) = phases.open_runs()

    with CaptureQueriesContext(connection) as asked:
        (alone,) = fatal_alerts(run, at + cast.MINUTE)
    (judged,) = phases.judge(run=run, at=at + cast.MINUTE).fatal

    assert len(asked) == 1
    assert alone.measured is not None
    assert judged.measured is not None
    assert (alone.criterion, alone.bound) == (judged.criterion, judged.bound)
    assert alone.measured.value == judged.measured.value == 1


def test_whoever_listens_judges_the_moment_a_crit_is_raised(listening: None) -> None:
    run = phases.start_run(account=cast.desk(), phase_id="4.0", by="lead", at=datetime.now(UTC) - cast.MINUTE)

    raise_alert(run.account, datetime.now(UTC))

    wait_for(PhaseRun.objects.filter(decision="NO_GO").exists)
    assert Account.objects.get().state == TradingState.HALTED


def test_a_warning_is_told_to_nobody_who_judges(listening: None) -> None:
    run = phases.start_run(account=cast.desk(), phase_id="4.0", by="lead", at=datetime.now(UTC) - cast.MINUTE)

    raise_alert(run.account, datetime.now(UTC), Severity.WARN)
    live.send_command({"cmd": "mandate", "account": "micro"})

    assert [alert.severity for alert in Alert.objects.exclude(code="PHASE_STARTED")] == [Severity.WARN]
    assert not PhaseRun.objects.exclude(judged_at=None).exists()


@pytest.mark.parametrize("command", [backtests.RUN, backtests.WARM, trainings.RUN])
def test_people_who_wait_for_a_backtest_or_a_training_are_heard_on_the_same_line(
    listening: None, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    heard: list[str] = []
    for name, task in tasks._ASKED.items():
        monkeypatch.setattr(task, "delay", lambda name=name: heard.append(name))

    live.send_command({"cmd": command, "account": None})

    wait_for(lambda: bool(heard))
    assert heard == [command]


def test_a_broker_that_is_away_does_not_end_the_listening(listening: None, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    def away() -> None:
        raise ConnectionError

    monkeypatch.setattr(tasks._ASKED[backtests.RUN], "delay", away)
    monkeypatch.setattr(tasks._ASKED[backtests.WARM], "delay", lambda: heard.append("warm"))

    for command in (backtests.RUN, backtests.WARM):
        live.send_command({"cmd": command, "account": None})

    wait_for(lambda: bool(heard))

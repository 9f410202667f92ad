"""One backtest at a time in a process: the task that finds somebody at work leaves what waits to them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from trading import backtesting, searching, tasks
from trading.domain.backtest_settings import BacktestSettings
from trading.models import Backtest
from trading.services import backtests

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def asked(by: str) -> Backtest:
    return backtests.ask(settings=BacktestSettings(levels=4), by=by, at=NOW)


def test_what_waits_is_carried_out() -> None:
    run = asked("trader")

    tasks.run_backtests()

    run.refresh_from_db()
    assert run.state == "DONE"


def test_what_is_asked_meanwhile_is_carried_out_by_whoever_is_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked("trader")
    real = backtesting.carry_out

    def work(settings: BacktestSettings, progress: Callable[[float], None]) -> Any:
        if Backtest.objects.count() == 1:
            asked("engineer")
            tasks.run_backtests()  # as another thread would: it leaves it
            assert Backtest.objects.filter(state="WAITING").count() == 1
        return real(settings, progress)

    monkeypatch.setattr(backtesting, "carry_out", work)

    tasks.run_backtests()

    assert list(Backtest.objects.values_list("state", flat=True)) == ["DONE", "DONE"]


def test_nothing_heavy_is_loaded_while_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> None:
        raise AssertionError("it was")

    monkeypatch.setattr(tasks, "_carry_out_backtests", never)

    tasks.run_backtests()


def test_warming_loads_backtests_and_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    monkeypatch.setattr(searching, "warm", lambda: done.append(1))

    tasks.warm_backtests()

    assert done == [1]


def test_what_is_asked_while_it_warms_is_carried_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def warm() -> None:
        asked("trader")
        tasks.run_backtests()  # as another thread would: it leaves it
        assert Backtest.objects.get().state == "WAITING"

    monkeypatch.setattr(searching, "warm", warm)

    tasks.warm_backtests()

    assert Backtest.objects.get().state == "DONE"

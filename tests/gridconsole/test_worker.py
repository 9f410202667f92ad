"""The worker of tasks and its beat: one does not go on without the other."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gridconsole.worker import LOOK_EVERY_S, BeatWatch


@dataclass
class Beat:
    """The process of beat, as far as its worker sees it."""

    alive: bool = True

    def is_alive(self) -> bool:
        return self.alive


@dataclass
class Timer:
    """A timer whose time passes when the test says so."""

    every_s: list[float] = field(default_factory=list)
    looks: list[tuple[Callable[..., None], tuple[Any, ...]]] = field(default_factory=list)

    def call_repeatedly(self, every_s: float, look: Callable[..., None], arguments: tuple[Any, ...]) -> "Timer":
        self.every_s.append(every_s)
        self.looks.append((look, arguments))
        return self

    def cancel(self) -> None:
        self.looks.clear()

    def pass_once(self) -> None:
        for look, arguments in self.looks:
            look(*arguments)


@dataclass
class Worker:
    """What a step of a Celery worker is given."""

    beat: Beat = field(default_factory=Beat)
    timer: Timer = field(default_factory=Timer)


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    return sent


def test_a_worker_whose_beat_has_ended_ends_so_that_both_start_anew(signals: list[tuple[int, int]]) -> None:
    worker = Worker()
    BeatWatch(worker, beat=True).start(worker)

    worker.timer.pass_once()
    assert signals == []

    worker.beat.alive = False
    worker.timer.pass_once()
    assert signals == [(os.getpid(), signal.SIGTERM)]
    assert worker.timer.every_s == [LOOK_EVERY_S]


def test_beat_is_not_missed_while_its_worker_stops(signals: list[tuple[int, int]]) -> None:
    worker = Worker()
    watch = BeatWatch(worker, beat=True)
    watch.start(worker)

    watch.stop(worker)
    worker.beat.alive = False
    worker.timer.pass_once()

    assert signals == []


def test_a_worker_without_beat_is_not_watched() -> None:
    assert BeatWatch(Worker(), beat=True).enabled
    assert not BeatWatch(Worker(), beat=False).enabled

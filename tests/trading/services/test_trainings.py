"""Trainings are asked for, carried out, followed, cancelled and begun again; nobody who was begun before ends one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trading import live
from trading.models import AuditEvent, ModelVersion, TrainingRun
from trading.services import trainings
from trading.services.trainings import Canceled, Progress, UnableToCancel, UnableToTrain, Works

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
Train = Callable[[Mapping[str, Any], Progress, Path], "Trained"]


@dataclass
class Trained:
    files: Mapping[str, bytes] = field(default_factory=lambda: {"card.json": b"{}"})
    curves: Mapping[str, Any] = field(default_factory=lambda: {"loss": [1.0, 0.5]})
    trials: int = 3


@dataclass
class Registry:
    kept: list[Any] = field(default_factory=list)

    def __call__(self, files: Mapping[str, bytes], *, by: str, at: datetime, training: TrainingRun) -> None:
        self.kept.append((dict(files), by, training.pk))


class Refused(Exception):
    pass


def asked(by: str = "engineer", **settings: Any) -> TrainingRun:
    return trainings.ask(settings={"stage": 0, "quick": True} | settings, by=by, at=NOW)


def claimed() -> TrainingRun:
    run = trainings.claim(NOW)
    assert run is not None
    return run


def carried_out(run: TrainingRun, train: Train, registry: Registry | None = None) -> TrainingRun:
    works = Works(train, registry or Registry())
    trainings.carry_out(run, works, lambda: LATER, Path("checkpoints"), (Refused,))
    run.refresh_from_db()
    return run


def fails(error: Exception) -> Train:
    def train(*_: object) -> Trained:
        raise error

    return train


def test_asking_calls_whoever_trains_after_the_commit_and_leaves_its_row(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(live, "send_command", sent.append)

    with django_capture_on_commit_callbacks(execute=True):
        run = asked(stage=2)

    assert (run.stage, run.state) == (2, "WAITING")
    assert [one["cmd"] for one in sent] == ["run_trainings"]
    event = AuditEvent.objects.latest("sequence")
    assert (event.actor, event.action, event.subject) == ("engineer", "training.asked", f"training:{run.pk}")


def test_a_person_has_three_at_once_and_not_four() -> None:
    for _ in range(3):
        asked()

    with pytest.raises(UnableToTrain, match="3 trainings of yours have not ended"):
        asked()
    assert asked(by="cto").pk


def test_the_oldest_is_taken_once() -> None:
    first, second = asked(), asked()

    assert (claimed().pk, claimed().pk) == (first.pk, second.pk)
    assert trainings.claim(NOW) is None


def test_what_was_trained_is_registered_by_whoever_asked_and_its_curves_are_kept() -> None:
    asked(levels=7)
    registry, seen = Registry(), []

    def train(settings: Mapping[str, Any], progress: Progress, checkpoints: Path) -> Trained:
        progress(0.5, "epoch 1 of 2")
        run = TrainingRun.objects.get()
        seen.append((settings["levels"], run.progress, run.doing, checkpoints))
        return Trained()

    run = carried_out(claimed(), train, registry)

    assert seen == [(7, 0.5, "epoch 1 of 2", Path("checkpoints"))]
    assert registry.kept == [({"card.json": b"{}"}, "engineer", run.pk)]
    assert (run.state, run.progress, run.trials, run.doing, run.ended_at) == ("DONE", 1, 3, "", LATER)
    assert run.curves == {"loss": [1.0, 0.5]}


def test_a_refusal_is_kept_for_people_and_a_defect_is_raised() -> None:
    first, second = asked(), asked()

    refused = carried_out(claimed(), fails(Refused("symbols: none has enough bars; add data.")))
    with pytest.raises(ZeroDivisionError):
        carried_out(claimed(), fails(ZeroDivisionError()))

    second.refresh_from_db()
    assert (refused.pk, refused.state, refused.why) == (first.pk, "FAILED", "symbols: none has enough bars; add data.")
    assert second.state == "FAILED"
    assert "ZeroDivisionError" in second.why


def test_one_that_waits_is_cancelled_at_once_and_only_once() -> None:
    run = trainings.cancel(run_id=asked().pk, by="engineer", at=NOW)

    assert (run.state, run.ended_at) == ("CANCELED", NOW)
    assert not trainings.anything_waits()
    with pytest.raises(UnableToCancel, match="has ended: cancelled"):
        trainings.cancel(run_id=run.pk, by="engineer", at=NOW)
    assert AuditEvent.objects.filter(action="training.canceled").count() == 1


def test_one_that_runs_ends_when_it_next_says_how_far_it_is_and_registers_nothing() -> None:
    asked()
    run, registry = claimed(), Registry()

    def train(settings: Mapping[str, Any], progress: Progress, checkpoints: Path) -> Trained:
        trainings.cancel(run_id=run.pk, by="engineer", at=NOW)
        progress(0.2, "on")
        raise AssertionError("it went on")

    assert carried_out(run, train, registry).state == "CANCELED"
    assert not registry.kept


def test_a_host_is_told_to_stop_what_was_cancelled() -> None:
    asked()
    run = claimed()

    assert trainings.pulse(run.pk, run.tries, LATER)
    trainings.cancel(run_id=run.pk, by="engineer", at=LATER)
    assert not trainings.pulse(run.pk, run.tries, LATER)

    trainings.begin_again(run.pk, run.tries, LATER)
    run.refresh_from_db()
    assert run.state == "CANCELED"


def test_a_silent_one_is_begun_again_twice_and_then_has_failed() -> None:
    run = asked()
    at, silence = NOW, trainings.SILENT_AFTER

    for tries in (1, 2):
        assert trainings.claim(at) is not None
        assert trainings.begin_silent_again(at + silence) == 0  # not silent for longer than that
        at += silence + timedelta(seconds=1)
        assert trainings.begin_silent_again(at) == 1
        run.refresh_from_db()
        assert (run.state, run.tries) == ("WAITING", tries)
        assert "from its last checkpoint" in run.doing
    trainings.claim(at)
    trainings.begin_silent_again(at + silence + timedelta(seconds=1))

    run.refresh_from_db()
    assert (run.state, run.began_at) == ("FAILED", NOW)
    assert "ended 3 times without a word" in run.why


def test_who_was_begun_before_says_and_ends_nothing_any_more() -> None:
    asked()
    old = claimed()
    trainings.begin_again(old.pk, old.tries, LATER)
    new = claimed()

    def train(settings: Mapping[str, Any], progress: Progress, checkpoints: Path) -> Trained:
        with pytest.raises(Canceled):
            progress(0.9, "the old one")
        raise Refused("the old one")

    carried_out(old, train)

    new.refresh_from_db()
    assert (new.state, new.progress, new.tries) == ("RUNNING", 0, 2)
    assert trainings.claimed(new.pk, 1) is None
    assert not trainings.pulse(new.pk, 1, LATER)


def test_handing_one_back_counts_as_no_try() -> None:
    asked()
    run = claimed()

    trainings.hand_back(run.pk, run.tries)

    run.refresh_from_db()
    assert (run.state, run.tries) == ("WAITING", 0)


def test_every_training_stays_as_a_trial_but_old_curves_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainings, "KEPT", 2)
    old, with_model, young = (
        TrainingRun.objects.create(stage=0, settings={}, asked_by="x", asked_at=NOW, state="DONE", curves={"loss": [1]})
        for _ in range(3)
    )
    ModelVersion.objects.create(
        digest="a" * 64, name="lstm", stage=0, card={}, training=with_model, registered_by="x", registered_at=NOW,
        state_since=NOW,
    )  # fmt: skip

    asked()

    assert dict(TrainingRun.objects.exclude(curves=None).values_list("pk", "state")) == {
        with_model.pk: "DONE", young.pk: "DONE",
    }  # fmt: skip
    assert TrainingRun.objects.filter(pk=old.pk).exists()

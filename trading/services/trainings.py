"""Ask for a training, carry it out, follow it, cancel it. The work itself is handed in: services know no net.

Whoever carries one out may be gone at any moment: the training is begun again and goes on from its last checkpoint.
`tries` counts how often it was begun and fences: who was begun before says and ends nothing any more.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from django.db import transaction
from django.db.models import QuerySet

from trading import live
from trading.models import TrainingRun
from trading.services import audit

MOST_AT_ONCE: Final = 3  # of one person, waiting or running
MOST_TRIES: Final = 3  # a training that ends its process so often would end it for ever
KEPT: Final = 200  # trainings with their curves; the rows themselves stay, since every one counts as a trial
SILENT_AFTER: Final = timedelta(minutes=2)  # whoever carried it out is gone
SAY_EVERY: Final = timedelta(milliseconds=200)
RUN: Final = "run_trainings"  # command to whoever carries them out
LONGEST_DOING: Final = 100  # characters
OPEN: Final = (TrainingRun.State.WAITING, TrainingRun.State.RUNNING)

Clock = Callable[[], datetime]
Progress = Callable[[float, str], None]  # fraction 0..1, what is done; raises `Canceled`


class Trained(Protocol):
    """What came of a training."""

    @property
    def files(self) -> Mapping[str, bytes]: ...
    @property
    def curves(self) -> Mapping[str, Any]: ...
    @property
    def trials(self) -> int: ...


class Register(Protocol):
    """Keeps the package of a model."""

    def __call__(self, files: Mapping[str, bytes], *, by: str, at: datetime, training: TrainingRun) -> object: ...


class Works(NamedTuple):
    """Who carries out what."""

    train: Callable[[Mapping[str, Any], Progress, Path], Trained]  # settings, progress, folder of its checkpoints
    register: Register


class UnableToTrain(Exception):
    """Nothing was started; the message is fit for the operator."""


class UnableToCancel(Exception):
    """Nothing was cancelled; the message is fit for the operator."""


class Canceled(Exception):
    """Somebody asked to end the training that is being carried out, or it was begun again elsewhere."""


def ask(*, settings: Mapping[str, Any], by: str, at: datetime) -> TrainingRun:
    """Keep what is asked, `settings` with their stage, and call whoever carries it out.

    Raises:
        UnableToTrain: this person has enough trainings that have not ended.
    """
    with transaction.atomic():
        mine = TrainingRun.objects.select_for_update().filter(asked_by=by, state__in=OPEN)
        if len(mine) >= MOST_AT_ONCE:
            raise UnableToTrain(f"{MOST_AT_ONCE} trainings of yours have not ended; wait for one, or cancel it.")
        asked = TrainingRun.objects.create(stage=settings["stage"], settings=dict(settings), asked_by=by, asked_at=at)
        _record("training.asked", asked, by, at, {"settings": asked.settings})
        _forget_old_curves()
        _call()
    return asked


def cancel(*, run_id: int, by: str, at: datetime) -> TrainingRun:
    """End a training: one that waits at once, one that runs as soon as its host looks.

    Raises:
        UnableToCancel: it has ended.
    """
    with transaction.atomic():
        run = TrainingRun.objects.select_for_update().get(pk=run_id)
        if run.state not in OPEN:
            raise UnableToCancel(f"Training {run.pk} has ended: {run.get_state_display().lower()}.")
        run.cancel_asked = True
        if run.state == TrainingRun.State.WAITING:
            run.state, run.ended_at = TrainingRun.State.CANCELED, at
        run.save(update_fields=["cancel_asked", "state", "ended_at"])
        _record("training.canceled", run, by, at, {})
        _call()
    return run


def anything_waits() -> bool:
    """Return whether a training waits to be carried out."""
    return TrainingRun.objects.filter(state=TrainingRun.State.WAITING).exists()


def is_open(run_id: int) -> bool:
    """Return whether a training has not ended."""
    return TrainingRun.objects.filter(pk=run_id, state__in=OPEN).exists()


def claim(at: datetime) -> TrainingRun | None:
    """Take the oldest training that waits; nobody else gets it."""
    with transaction.atomic():
        waiting = TrainingRun.objects.select_for_update(skip_locked=True).filter(state=TrainingRun.State.WAITING)
        run = waiting.order_by("id").first()
        if run is not None:
            run.state, run.seen_at, run.began_at = TrainingRun.State.RUNNING, at, run.began_at or at
            run.tries += 1
            run.save(update_fields=["state", "seen_at", "began_at", "tries"])
    return run


def claimed(run_id: int, tries: int) -> TrainingRun | None:
    """Return the training if whoever began it so often is still the one to carry it out."""
    return _mine(run_id, tries).first()


def pulse(run_id: int, tries: int, at: datetime) -> bool:
    """Say that the training is still carried out; return whether it is to go on."""
    return _mine(run_id, tries).filter(cancel_asked=False).update(seen_at=at) == 1


def carry_out(
    run: TrainingRun, works: Works, clock: Clock, checkpoints: Path, refusals: tuple[type[Exception], ...]
) -> None:
    """Train, register what came of it and end the training. `refusals` are what `works` say no with."""
    State, end = TrainingRun.State, partial(_end, run)
    try:
        follow = _Follow(run, clock)
        trained = works.train(run.settings, follow, checkpoints)
        follow(1.0, "registering the model")
        works.register(trained.files, by=run.asked_by, at=clock(), training=run)
    except Canceled:
        end(State.CANCELED, clock())
    except refusals as error:
        end(State.FAILED, clock(), why=str(error)[:500])
    except Exception as error:
        end(State.FAILED, clock(), why=f"A defect ended it ({type(error).__name__}); the log has more.")
        raise
    else:
        end(State.DONE, clock(), curves=dict(trained.curves), trials=trained.trials, progress=1, doing="")


def hand_back(run_id: int, tries: int) -> None:
    """Let a training wait again, from its checkpoint: its host stops. That counts as no try."""
    _mine(run_id, tries).update(state=TrainingRun.State.WAITING, tries=tries - 1, doing=WAITS)


def begin_again(run_id: int, tries: int, at: datetime) -> None:
    """Decide on a training whose process ended without a word."""
    for run in _mine(run_id, tries):
        _decide(run, at)


def begin_silent_again(at: datetime) -> int:
    """Decide on every training that nobody carries out any more; return how many."""
    gone = list(TrainingRun.objects.filter(state=TrainingRun.State.RUNNING, seen_at__lt=at - SILENT_AFTER))
    for run in gone:
        _decide(run, at)
    return len(gone)


WAITS: Final = "waits to go on from its last checkpoint"


def _decide(run: TrainingRun, at: datetime) -> None:
    rows, State = _mine(run.pk, run.tries), TrainingRun.State
    if run.cancel_asked:
        rows.update(state=State.CANCELED, ended_at=at)
    elif run.tries >= MOST_TRIES:
        why = f"Its process ended {run.tries} times without a word (memory, or a kill); the log of tasks has more."
        rows.update(state=State.FAILED, ended_at=at, why=why)
    else:
        rows.update(state=State.WAITING, doing=WAITS)


def _mine(run_id: int, tries: int) -> QuerySet[TrainingRun]:
    return TrainingRun.objects.filter(pk=run_id, tries=tries, state=TrainingRun.State.RUNNING)


class _Follow:
    """Says how far a training is, now and then, and ends it where somebody asked for that."""

    def __init__(self, run: TrainingRun, clock: Clock) -> None:
        self._rows = _mine(run.pk, run.tries)
        self._clock = clock
        self._said_at: datetime | None = None

    def __call__(self, fraction: float, doing: str) -> None:
        at = self._clock()
        if self._said_at is not None and at - self._said_at < SAY_EVERY:
            return
        self._said_at = at
        told = {"progress": min(max(fraction, 0.0), 1.0), "doing": doing[:LONGEST_DOING], "seen_at": at}
        if not self._rows.filter(cancel_asked=False).update(**told):
            raise Canceled


def _end(run: TrainingRun, state: TrainingRun.State, at: datetime, **told: Any) -> None:
    _mine(run.pk, run.tries).update(state=state, ended_at=at, **told)


def _forget_old_curves() -> None:
    oldest = TrainingRun.objects.order_by("-id").values_list("id", flat=True)[KEPT : KEPT + 1]
    if found := list(oldest):
        old = TrainingRun.objects.filter(id__lte=found[0], curves__isnull=False, versions__isnull=True)
        TrainingRun.objects.filter(id__in=list(old.values_list("id", flat=True))).update(curves=None)


def _call() -> None:
    transaction.on_commit(partial(live.send_command, {"cmd": RUN, "account": None}))


def _record(action: str, run: TrainingRun, by: str, at: datetime, payload: Mapping[str, Any]) -> None:
    audit.record(actor=by, action=action, subject=f"training:{run.pk}", payload=dict(payload), at=at)

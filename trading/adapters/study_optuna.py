"""Searches that learn: Optuna proposes, several workers on any hosts take from one study in PostgreSQL."""

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final
from zlib import crc32

import optuna
from optuna.trial import TrialState

from trading.domain.search_report import Row, State
from trading.domain.search_space import Axis, Choices, Parameters, Space

DIRECTIONS: Final = ("maximize", "minimize", "minimize")  # return, largest drawdown, turnover
URL: Final = "postgresql+psycopg://"  # how to connect is handed in
PLAN, ROW = "plan", "row"  # attributes of a study and of a trial
Connect = Callable[[], Any]  # to the schema that holds Optuna's tables; a new psycopg connection each time
TOLD: Final = {State.DONE: TrialState.COMPLETE, State.FAILED: TrialState.FAIL, State.PRUNED: TrialState.PRUNED}

optuna.logging.set_verbosity(optuna.logging.WARNING)


class OtherPlan(Exception):
    """The study of this name was begun with another plan; the message says what to do."""


class StudyLost(Exception):
    """The study cannot be reached any more; the message says why, and what was tried by others is not lost."""


@contextmanager
def _there() -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise StudyLost("study: whoever began it has ended it; there is nothing left to try.") from error
    except optuna.exceptions.StorageInternalError as error:
        raise StudyLost("study: the database does not answer any more; join it again when it does.") from error


class OptunaStudy:
    """One study: proposes parameters of `space` until `size` trials were handed out to whomever."""

    def __init__(self, study: optuna.Study, space: Space, size: int, close: Callable[[], None] = lambda: None) -> None:
        self.close = close  # its connections
        self._study = study
        self._space = space
        self._size = size
        self._asked = dict[int, optuna.Trial]()

    def ask(self, count: int) -> Mapping[int, Parameters]:
        """Return up to `count` numbered proposals; none when as many trials as were wanted are handed out.

        Raises:
            StudyLost: it was deleted, or the database is away; so do `tell`, `rows` and `is_over`.
        """
        with _there():
            return self._asked_of(count)

    def _asked_of(self, count: int) -> dict[int, Parameters]:
        proposed = dict[int, Parameters]()
        left = self._size - len(self._study.get_trials(deepcopy=False))
        for _ in range(min(count, left)):
            trial = self._study.ask()
            parameters = {axis.field: _suggested(trial, axis) for axis in self._space.axes}
            if trial.number >= self._size:  # somebody else took the last one meanwhile: this one is run by nobody
                self._study.tell(trial, state=TrialState.FAIL)
                break
            self._asked[trial.number] = trial
            proposed[trial.number] = parameters
        return proposed

    def tell(self, row: Row) -> None:
        """Keep what came of one that was asked here."""
        trial, state = self._asked.pop(row["number"]), State(row["state"])
        with _there():
            trial.set_user_attr(ROW, json.dumps(row))
            self._study.tell(trial, row["aim"] if state is State.DONE else None, state=TOLD[state])

    def rows(self) -> list[Row]:
        """Return every trial so far, by number; one that its worker has not told of counts as failed."""
        with _there():
            trials = self._study.get_trials(deepcopy=False)
        return [_row(trial, self._space) for trial in trials if trial.number < self._size]

    @property
    def is_over(self) -> bool:
        """True when no trial is still with a worker."""
        with _there():
            return not self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def alone(space: Space, size: int, seed: int) -> OptunaStudy:
    """Return a study in memory: the same space, size and seed propose the same."""
    return OptunaStudy(optuna.create_study(directions=DIRECTIONS, sampler=_sampler(seed)), space, size)


def shared(connect: Connect, name: str, plan: Mapping[str, Any], space: Space, size: int, seed: int) -> OptunaStudy:
    """Return the study `name` in PostgreSQL, begun now or by another worker; the first one of all makes the tables.

    Each worker draws from a seed of its own, made of `seed`, host and process: what one learns from the others depends
    on when they end, so a shared search cannot be repeated draw by draw.

    Raises:
        OtherPlan: it was begun with another plan.
    """
    own = crc32(f"{seed} {socket.gethostname()} {os.getpid()}".encode())
    room = storage(connect)
    study = optuna.create_study(
        storage=room, study_name=name, directions=DIRECTIONS, sampler=_sampler(own), load_if_exists=True
    )
    text = json.dumps(plan, sort_keys=True)
    if study.user_attrs.get(PLAN, text) != text:
        room.engine.dispose()
        raise OtherPlan(f"study: {name!a} was begun with another plan; use the same options, or another name.")
    study.set_user_attr(PLAN, text)
    return OptunaStudy(study, space, size, close=room.engine.dispose)


def plan_of(connect: Connect, name: str) -> str | None:
    """Return the plan that the study `name` was begun with, as JSON; None where there is no such study."""
    with _for_a_moment(connect) as room:
        try:
            text: str | None = optuna.load_study(study_name=name, storage=room).user_attrs.get(PLAN)
        except KeyError:
            return None
    return text


def forget(connect: Connect, name: str) -> None:
    """Delete a study and its trials, if there is one."""
    with _for_a_moment(connect) as room, suppress(KeyError):
        optuna.delete_study(study_name=name, storage=room)


def storage(connect: Connect) -> optuna.storages.RDBStorage:
    """Return where studies lie in PostgreSQL; the first one of all makes the tables. Dispose of its `engine` after."""
    return optuna.storages.RDBStorage(URL, engine_kwargs={"creator": connect, "pool_size": 1})


@contextmanager
def _for_a_moment(connect: Connect) -> Iterator[optuna.storages.RDBStorage]:
    room = storage(connect)
    try:
        yield room
    finally:
        room.engine.dispose()


def _sampler(seed: int) -> optuna.samplers.BaseSampler:
    # Constant liar: what others run at this moment is taken as bad, so that nobody proposes it again.
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _suggested(trial: optuna.Trial, axis: Axis) -> str:
    if isinstance(axis, Choices):
        if axis.is_ordered:
            return axis.points[trial.suggest_int(axis.field, 0, len(axis.points) - 1)]
        return str(trial.suggest_categorical(axis.field, axis.points))
    if axis.is_whole:
        return axis.text(trial.suggest_int(axis.field, int(axis.low), int(axis.high), log=axis.is_log))
    return axis.text(trial.suggest_float(axis.field, float(axis.low), float(axis.high), log=axis.is_log))


def _as_text(value: Any, axis: Axis) -> str:
    """Return a value of Optuna's as the setting writes it."""
    if isinstance(axis, Choices):
        return axis.points[value] if axis.is_ordered else str(value)
    return axis.text(value)


def _row(trial: optuna.trial.FrozenTrial, space: Space) -> Row:
    if ROW in trial.user_attrs:
        row: Row = json.loads(trial.user_attrs[ROW])
        return row
    known = {axis.field: _as_text(trial.params[axis.field], axis) for axis in space.axes if axis.field in trial.params}
    why = "Its worker has told nothing of it."
    return {
        "number": trial.number, "state": State.FAILED, "why": why, "parameters": known, "score": None, "trained": [],
        "aim": None,
    }  # fmt: skip

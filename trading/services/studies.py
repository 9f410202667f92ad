"""Studies that several workers share, on one host or many: Optuna's tables beside ours, in a schema of their own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from django.db import connection

from trading.adapters import study_optuna
from trading.adapters.study_optuna import OptunaStudy, StudyLost
from trading.domain.backtest_settings import BacktestSettings
from trading.domain.search_plan import Plan

__all__ = ["StudyLost", "UnableToJoin", "asked_of", "forget", "join", "shared_trials"]

SCHEMA: Final = "optuna"  # its tables are no tables of ours: no model, no migration
LOCK: Final = 0x6F707475  # of PostgreSQL: one worker makes the tables, the others wait
LONGEST_NAME: Final = 60
_PARAMETERS: Final = ("dbname", "user", "password", "host", "port")


class UnableToJoin(Exception):
    """Nothing was tried; the message is fit for the operator."""


def join(name: str, settings: BacktestSettings, plan: Plan) -> OptunaStudy:
    """Return the study `name` of this plan, begun here or by another worker.

    Raises:
        UnableToJoin: it was begun with another plan, or the name cannot be used.
        django.db.OperationalError: the database does not answer.
    """
    _check(name)
    asked = {"settings": settings.as_json(), "plan": plan.as_json()}
    with _alone():
        try:
            return study_optuna.shared(_connect, name, asked, plan.space, plan.size, plan.seed)
        except study_optuna.OtherPlan as error:
            raise UnableToJoin(str(error)) from error


def asked_of(name: str) -> dict[str, Any]:
    """Return the settings and the plan that the study `name` was begun with.

    Raises:
        UnableToJoin: there is no such study, or the name cannot be used.
    """
    _check(name)
    with _alone():
        text = study_optuna.plan_of(_connect, name)
    if text is None:
        raise UnableToJoin(f"study: there is none called {name[:LONGEST_NAME]!a}; say what to vary, and it is begun.")
    found: dict[str, Any] = json.loads(text)
    return found


def forget(name: str) -> None:
    """Delete a study and its trials, if there is one."""
    with _alone():
        study_optuna.forget(_connect, name)


@contextmanager
def shared_trials() -> Iterator[Any]:
    """Give the storage of a search for nets: workers that train the same, on any hosts, share its trials.

    Raises:
        django.db.OperationalError: the database does not answer.
    """
    with _alone():
        storage = study_optuna.storage(_connect)
    try:
        yield storage
    finally:
        storage.engine.dispose()


def _check(name: str) -> None:
    if not name.isprintable() or not 0 < len(name) <= LONGEST_NAME:
        text = f"{name[:LONGEST_NAME]!a} is no name of 1 to {LONGEST_NAME} visible characters; choose another"
        raise UnableToJoin(f"study: {text}.")


@contextmanager
def _alone() -> Iterator[None]:
    """Hold others off while tables are made; and make the schema."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        try:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _connect() -> Any:
    """Return a new connection of the driver to the database of this process, in the schema of the studies."""
    known = connection.get_connection_params()
    chosen = {name: known[name] for name in _PARAMETERS if known.get(name)}
    return psycopg.connect(**chosen, options=f"-csearch_path={SCHEMA}")

"""Governance on beat: runs are judged again and again, people are told of alerts; on a CRIT both at once."""

import logging
import threading
from datetime import UTC, datetime
from typing import Any, Final

from celery import shared_task
from django.db import close_old_connections

from riskops.services import compliance, incidents, phases, promotions, releases, reports, routing, slowing
from trading import live
from trading import tasks as operation
from trading.selectors import desks
from trading.services import backtests, sessions, trainings, venue_keys

log = logging.getLogger(__name__)

_ASKED: Final[dict[str, Any]] = {  # command -> task that people wait for
    backtests.RUN: operation.run_backtests,
    backtests.WARM: operation.warm_backtests,
    trainings.RUN: operation.run_trainings,
}


@shared_task(ignore_result=True)
def judge_runs() -> None:
    """Judge every open run; one that fails halts its account and ends. What alerts alone fail is halted first."""
    runs, at = phases.open_runs(), datetime.now(UTC)
    for run in runs:
        phases.heed_alerts(run=run, at=at)
    for run in runs:
        phases.judge(run=run, at=at)
    for account in desks.all_desks():
        incidents.open_for_alerts(account=account, at=at)
        incidents.remind(account=account, at=at)


@shared_task(ignore_result=True)
def tend_promotions() -> None:
    """Close every promotion that was asked for and can no longer be decided."""
    promotions.tend(at=datetime.now(UTC))


_delivering = threading.Lock()  # one sender in each process: a service that hangs takes one thread, never two


@shared_task(ignore_result=True)
def escalate_alerts() -> None:
    """Write what is due to be told, and send what is written unless somebody in this process still does."""
    at = datetime.now(UTC)
    routing.end_quiet(at)
    routing.escalate(at)
    if _delivering.acquire(blocking=False):
        try:
            routing.deliver(lambda: datetime.now(UTC))
        finally:
            _delivering.release()


@shared_task(ignore_result=True)
def prune_deliveries() -> None:
    """Delete messages that were sent and are older than we keep them."""
    routing.prune(datetime.now(UTC))


@shared_task(ignore_result=True)
def make_reports() -> None:
    """Store the report of every period that has closed, and open what is owed for this month."""
    at = datetime.now(UTC)
    compliance.open_items(at=at)
    reports.store_closed(at=at)


@shared_task(ignore_result=True)
def create_release_tags() -> None:
    """Create the tags of phases that succeeded in the configured repository; one that fails is tried again."""
    releases.create_pending(at=datetime.now(UTC))


def judge_on_crit(stop: threading.Event) -> None:
    """Judge every open run whenever somebody tells of a CRIT, until `stop` is set; beat judges what nobody told of.

    On the same line people have the venue asked about its keys, and their backtests and trainings carried out, at once.
    """
    for command in live.commands(stop):
        if command.get("cmd") == "crit":
            _judge_now()
            _tell_now()
        elif command.get("cmd") == "check_keys":  # venues may take seconds, a CRIT may not wait for them
            threading.Thread(target=_check_keys_now, name="check keys", daemon=True).start()
        elif (task := _ASKED.get(str(command.get("cmd")))) is not None:
            _enqueue(task)


def _enqueue(task: Any) -> None:
    try:
        task.delay()
    except Exception:
        log.exception("%s could not be enqueued; beat looks for what waits within half a minute", task.name)


def _check_keys_now() -> None:
    close_old_connections()
    try:
        venue_keys.check_all(at=datetime.now(UTC))
    except Exception:  # whatever it is: beat asks again within a minute
        log.exception("the venue could not be asked about its keys; beat asks again within a minute")
    finally:
        close_old_connections()


def _judge_now() -> None:
    close_old_connections()
    try:
        judge_runs()
    except Exception:  # whatever it is: the next CRIT finds somebody who listens
        log.exception("runs could not be judged on a CRIT; beat judges them within seconds")
    finally:
        close_old_connections()


def _tell_now() -> None:
    try:
        escalate_alerts.delay()
    except Exception:
        log.exception("nobody could be told on a CRIT; beat tells them within seconds")


@shared_task(ignore_result=True)
def tend_sign_ins() -> None:
    """Tell the audit trail of failed sign-ins, one row a minute; forget sessions that have expired."""
    at = datetime.now(UTC)
    slowing.tell_the_trail(at)
    sessions.forget(at)

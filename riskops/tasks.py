"""Governance on beat: runs are judged again and again, people are told of alerts; on a CRIT both at once."""

import logging
import threading
from datetime import UTC, datetime

from celery import shared_task
from django.db import close_old_connections

from riskops.services import phases, routing
from trading import live

log = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def judge_runs() -> None:
    """Judge every open run; one that fails halts its account and ends. What alerts alone fail is halted first."""
    runs, at = phases.open_runs(), datetime.now(UTC)
    for run in runs:
        phases.heed_alerts(run=run, at=at)
    for run in runs:
        phases.judge(run=run, at=at)


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


def judge_on_crit(stop: threading.Event) -> None:
    """Judge every open run whenever somebody tells of a CRIT, until `stop` is set; beat judges what nobody told of."""
    for command in live.commands(stop):
        if command.get("cmd") == "crit":
            _judge_now()
            _tell_now()


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

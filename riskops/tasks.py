"""Governance on beat: every open run is judged again and again, also while people sign; on a CRIT at once."""

import logging
import threading
from datetime import UTC, datetime

from celery import shared_task
from django.db import close_old_connections

from riskops.services import phases, releases
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


@shared_task(ignore_result=True)
def create_release_tags() -> None:
    """Create the tags of phases that succeeded in the configured repository; one that fails is tried again."""
    releases.create_pending(at=datetime.now(UTC))


def judge_on_crit(stop: threading.Event) -> None:
    """Judge every open run whenever somebody tells of a CRIT, until `stop` is set; beat judges what nobody told of."""
    for command in live.commands(stop):
        if command.get("cmd") == "crit":
            _judge_now()


def _judge_now() -> None:
    close_old_connections()
    try:
        judge_runs()
    except Exception:  # whatever it is: the next CRIT finds somebody who listens
        log.exception("runs could not be judged on a CRIT; beat judges them within seconds")
    finally:
        close_old_connections()

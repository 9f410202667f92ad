"""Governance on beat: every open run is judged again and again, also while people sign; on a CRIT at once."""

import logging
import threading
from datetime import UTC, datetime

from celery import shared_task
from django.db import close_old_connections

from riskops.services import phases
from trading import live
from trading.services import venue_keys

log = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def judge_runs() -> None:
    """Judge every open run; one that fails halts its account and ends. What alerts alone fail is halted first."""
    runs, at = phases.open_runs(), datetime.now(UTC)
    for run in runs:
        phases.heed_alerts(run=run, at=at)
    for run in runs:
        phases.judge(run=run, at=at)


def judge_on_crit(stop: threading.Event) -> None:
    """Judge every open run whenever somebody tells of a CRIT, until `stop` is set; beat judges what nobody told of.

    On the same line people have the venue asked about its keys at once.
    """
    for command in live.commands(stop):
        if command.get("cmd") == "crit":
            _judge_now()
        elif command.get("cmd") == "check_keys":  # venues may take seconds, a CRIT may not wait for them
            threading.Thread(target=_check_keys_now, name="check keys", daemon=True).start()


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

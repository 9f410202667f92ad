"""Governance on beat: every open run is judged again and again, also while people sign."""

from datetime import UTC, datetime

from celery import shared_task

from riskops.services import phases


@shared_task(ignore_result=True)
def judge_runs() -> None:
    """Judge every open run; one that fails halts its account and ends."""
    for run in phases.open_runs():
        phases.judge(run=run, at=datetime.now(UTC))

"""The Celery application: housekeeping tasks, and the host of the trading loops.

Only workers import it: web and commands enqueue nothing (beat does), and Celery would cost each start half a second.
"""

import os

from celery import Celery
from celery.signals import setup_logging, worker_ready

from gridconsole import worker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gridconsole.settings")

app = Celery("gridconsole")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
worker.install(app)


@worker_ready.connect
def _announce(**_: object) -> None:
    """From now on this process is compared with the others."""
    from gridconsole.announcing import announce_build

    announce_build()


@setup_logging.connect
def _keep_our_logging(**_: object) -> None:
    """Celery leaves logging alone when somebody listens here; settings.LOGGING stays in force."""

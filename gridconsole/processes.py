"""The command line of every process of the console."""

import sys
from collections.abc import Sequence
from typing import Final

from gridconsole.children import Launch
from gridconsole.loopback import HOST
from gridconsole.profile import BASE_DIR, Profile

PYTHON: Final = sys.executable
CELERY: Final = (PYTHON, "-m", "celery", "-A", "gridconsole", "worker", "--pool", "threads", "--loglevel", "INFO")
CELERY_ALONE: Final = ("--without-mingle", "--without-gossip")  # two workers that need not know each other
LOOPS: Final = "market_data,model,execution,risk"
WS_MESSAGE_LIMIT: Final = 65_536  # bytes; a browser only ever says pause or resume
QUEUES: Final = "default,risk,reports,learning"


def simulator(profile: Profile) -> Launch:
    """Return the simulated exchange; it needs no Django."""
    where = ("--port", str(profile.simulator_port), "--data-dir", str(profile.data_dir), "--instance", profile.instance)
    what = ("--speed", str(profile.speed), "--dataset", profile.dataset)
    return _launch("simulator", [PYTHON, "-m", "trading.simulator", *where, *what])


def web(profile: Profile) -> Launch:
    """Return the web process. A frame is 265 bytes: compressing it would cost more than it saves."""
    options = (
        f"gridconsole.asgi:application --host {HOST} --port {profile.port} --ws websockets-sansio "
        f"--ws-max-size {WS_MESSAGE_LIMIT} --ws-per-message-deflate false --no-access-log --log-level warning "
        "--lifespan off --timeout-graceful-shutdown 3"
    )
    return _launch("web", [PYTHON, "-m", "uvicorn", *options.split()])


def loops() -> Launch:
    """Return the worker that hosts all trading loops."""
    return _launch(
        "loops", [*CELERY, *CELERY_ALONE, "--concurrency", "1", "--loops", LOOPS, "-Q", "loops", "-n", "loops@%h"]
    )


def tasks() -> Launch:
    """Return the worker of the housekeeping tasks, with beat inside."""
    return _launch("tasks", [*CELERY, *CELERY_ALONE, "--concurrency", "2", "-B", "-Q", QUEUES, "-n", "tasks@%h"])


def watchdog() -> Launch:
    """Return the watchdog; it needs the settings, but no Django set-up."""
    return _launch("watchdog", [PYTHON, "-m", "trading.management.commands.watchdog"])


def prepare() -> Launch:
    """Return the one-off process that migrates and loads the demo."""
    return _launch("prepare", [PYTHON, str(BASE_DIR / "manage.py"), "prepare", "--demo", "--json"])


def _launch(name: str, argv: Sequence[str]) -> Launch:
    environment = {"GRIDCONSOLE_PROCESS": name, "DJANGO_SETTINGS_MODULE": "gridconsole.settings"}
    return Launch(name=name, argv=argv, environment=environment)

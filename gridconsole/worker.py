"""The trading loops inside a Celery worker: `celery worker --loops market_data,model,execution,risk`.

A bootstep on the threads pool keeps answering `inspect ping` and stops with the worker; a long-running task would do
neither. A second one watches beat, which runs in a process of its own below its worker. A third one, beside the tasks,
has runs judged the moment a CRIT is raised: a task would wait for those before it.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from celery import Celery, bootsteps
from click import Option

log = logging.getLogger(__name__)

STOP_LIMIT_S: Final = 2.0
LOOK_EVERY_S: Final = 1.0
# The thread that commits must not wait the interpreter's usual 5 ms for the one that decides.
SWITCH_INTERVAL_S: Final = 0.0005


def install(app: Celery) -> None:
    """Give `celery worker` the option `--loops`, the step that hosts them and those that watch beat and CRIT alerts."""
    app.user_options["worker"].add(
        Option(("--loops",), default="", help="trading loops to host: market_data,model,execution,risk")
    )
    app.steps["worker"].add(LoopsStep)
    app.steps["worker"].add(BeatWatch)
    app.steps["worker"].add(CritWatch)


class LoopsStep(bootsteps.StartStopStep):
    """Starts the chosen loops with the worker and stops them with it."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, loops: str = "", **options: Any) -> None:
        self._kinds = [kind.strip() for kind in (loops or "").split(",") if kind.strip()]
        self.enabled = bool(self._kinds)
        self._host: LoopThread | None = None
        super().__init__(parent, **options)

    def start(self, parent: Any) -> None:
        """Start the thread of the loops."""
        self._host = LoopThread(self._kinds, on_failure=_end_worker)
        self._host.start()

    def stop(self, parent: Any) -> None:
        """Stop the loops; they release their leases, so that a standby need not wait for them to run out."""
        if self._host is not None:
            self._host.stop()

    terminate = stop


class BeatWatch(bootsteps.StartStopStep):
    """Ends the worker when its beat has ended: Celery would go on without, and no task would ever come again."""

    requires = ("celery.worker.components:Beat", "celery.worker.components:Timer")

    def __init__(self, parent: Any, beat: bool = False, **options: Any) -> None:
        self.enabled = beat
        self._looks: Any = None
        super().__init__(parent, **options)

    def start(self, parent: Any) -> None:
        """Look at beat every second from now on."""
        self._looks = parent.timer.call_repeatedly(LOOK_EVERY_S, self.look, (parent,))

    def look(self, parent: Any) -> None:
        """End the worker if its beat runs no more; whoever supervises it starts both anew."""
        if not parent.beat.is_alive():
            log.error("beat has ended; this worker ends with it")
            _end_worker()

    def stop(self, parent: Any) -> None:
        """Look no more: beat is about to be stopped."""
        if self._looks is not None:
            self._looks.cancel()

    terminate = stop


class CritWatch(bootsteps.StartStopStep):
    """Has every run judged as soon as a CRIT is told of; in the worker that has beat, which judges them anyway."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, beat: bool = False, **options: Any) -> None:
        self.enabled = beat
        self._stop = threading.Event()
        super().__init__(parent, **options)

    def start(self, parent: Any) -> None:
        """Listen in a thread of its own from now on."""
        from riskops import tasks

        threading.Thread(target=tasks.judge_on_crit, args=(self._stop,), name="crit", daemon=True).start()

    def stop(self, parent: Any) -> None:
        """Listen no more."""
        self._stop.set()

    terminate = stop


class LoopThread:
    """One event loop in a thread of its own."""

    def __init__(self, kinds: Sequence[str], *, on_failure: Callable[[], None]) -> None:
        self._kinds = kinds
        self._on_failure = on_failure
        self._thread = threading.Thread(target=self._run, name="loops", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def start(self) -> None:
        """Start the thread."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._thread.start()

    def stop(self) -> None:
        """Ask the loops to stop and wait for them, not longer than the limit."""
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STOP_LIMIT_S)
        if self._thread.is_alive():
            log.error("the trading loops did not stop within %.0f s", STOP_LIMIT_S)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._host())
        except Exception:
            log.exception("the host of the trading loops ended")
            self._on_failure()

    async def _host(self) -> None:
        from django.conf import settings

        from trading import bootstrap

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await bootstrap.host_loops(self._kinds, base_url=settings.VENUE_URL, stop=self._stop)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # comes with uvicorn[standard] where it runs
    except ImportError:
        return None
    return uvloop.new_event_loop


def _end_worker() -> None:
    """End the process: whoever supervises it starts it anew."""
    os.kill(os.getpid(), signal.SIGTERM)

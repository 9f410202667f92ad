"""The process of one training: `python -m trading.training_child RUN TRIES PARENT`, started by `training_host`.

It is nice to everybody else, and ends by itself when whoever started it is gone: the training then waits to go on.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # Django is set up further below
    from trading.services.trainings import Progress, Trained, Works

NICENESS: Final = 10
LOOK_EVERY_S: Final = 0.5


def main(run_id: int, tries: int, parent: int) -> None:
    """Carry out training `run_id`, begun `tries` times, unless somebody else began it since."""
    os.nice(NICENESS)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gridconsole.settings")
    import django

    django.setup()
    from trading.services import trainings
    from trading.training_host import checkpoints_of

    _watch(parent, lambda: trainings.hand_back(run_id, tries))
    if (run := trainings.claimed(run_id, tries)) is None:
        return
    folder = checkpoints_of(run_id)
    folder.mkdir(parents=True, exist_ok=True)
    works, refusals = works_and_refusals()
    trainings.carry_out(run, works, lambda: datetime.now(UTC), folder, refusals)


def works_and_refusals() -> "tuple[Works, tuple[type[Exception], ...]]":
    """Return who trains and registers, and what they say no with. It loads the libraries of nets."""
    from trading import learning
    from trading.domain.training_settings import UnusableTraining, read
    from trading.ports import ArtifactError
    from trading.services import model_registry
    from trading.services.trainings import Works

    def train(settings: Mapping[str, Any], progress: "Progress", checkpoints: Path) -> "Trained":
        return learning.train(read(settings), progress, checkpoints)

    return Works(train, model_registry.register), (UnusableTraining, model_registry.UnableToRegister, ArtifactError)


def _watch(parent: int, hand_back: Callable[[], None]) -> None:
    """End this process, from a thread of its own, as soon as its parent is gone."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY_S)
        with suppress(Exception):  # the database may be gone too: then it is found silent
            hand_back()
        os._exit(1)

    threading.Thread(target=look, name="parent", daemon=True).start()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))

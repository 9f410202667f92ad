"""Who listens for CRIT alerts: the worker that has beat, and no other."""

from types import SimpleNamespace

import pytest

from gridconsole.worker import CritWatch


@pytest.mark.parametrize("beat", [True, False])
def test_only_the_worker_with_beat_listens(beat: bool) -> None:
    assert CritWatch(SimpleNamespace(steps=[]), beat=beat).enabled is beat

"""A desk that really runs, as fixtures; the desk itself is in `desk.py`, which needs Django."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings


@pytest.fixture
def console(
    no_session_left: None, settings: Settings, tmp_path: Path
) -> Callable[..., AbstractAsyncContextManager[Any]]:
    """Return what runs a console on a recording for the length of a block."""
    from tests.trading.runtime import desk

    settings.HALT_LATCH_FILE = tmp_path / "halt.latch"  # a halt of one test must not hold the next
    desk.load_desks()
    return desk.running_console

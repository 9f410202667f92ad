"""A desk that really runs, as fixtures; the desk itself is in `desk.py`, which needs Django."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest


@pytest.fixture
def console(no_session_left: None) -> Callable[..., AbstractAsyncContextManager[Any]]:
    """Return what runs a console on a recording for the length of a block."""
    from tests.trading.runtime import desk

    desk.load_desks()
    return desk.running_console

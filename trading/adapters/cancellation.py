"""Keep a cancellation that a library loses.

redis-py sends through `asyncio.wait_for`, which before Python 3.12 returns the result and forgets the cancellation when
both happen in the same turn of the event loop: two of five cancellations of a publishing task were lost that way.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def steadfast(work: Awaitable[T]) -> T:
    """Return what `work` returns; a cancellation of this task that `work` lost is raised after it."""
    result = await work
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    return result

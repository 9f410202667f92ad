"""What every clock must do alike."""

import asyncio

import pytest

from trading.adapters.clock_replay import ReplayClock
from trading.adapters.clock_system import SystemClock
from trading.ports import Clock


@pytest.mark.parametrize("clock", [SystemClock(), ReplayClock(5)], ids=["system", "replay"])
async def test_time_is_in_nanoseconds_and_does_not_run_backwards(clock: Clock) -> None:
    before = clock.now_ns()
    await clock.sleep(0)

    assert isinstance(before, int)
    assert clock.now_ns() >= before


async def test_a_replay_stands_still_until_it_is_moved_and_never_goes_back() -> None:
    clock = ReplayClock(100)
    async with asyncio.timeout(1):
        await clock.sleep(3_600)
    assert clock.now_ns() == 100

    clock.advance(250)
    clock.advance(200)

    assert clock.now_ns() == 250

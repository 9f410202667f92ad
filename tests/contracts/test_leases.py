"""What leases promise: one owner at a time, a number that only rises, and a loss that is noticed."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from django.conf import settings
from redis.asyncio import Redis

from tests.contracts.conftest import until
from trading.adapters.leases_valkey import ValkeyLeases


@pytest.fixture
async def client() -> AsyncIterator[Redis]:
    client = Redis.from_url(settings.REDIS_URL, socket_timeout=1)
    await client.delete("gc:lease:try", "gc:fence:try")
    yield client
    await client.aclose()


async def test_only_one_holds_the_lease(client: Redis) -> None:
    first = await ValkeyLeases(client).acquire("try")

    assert first is not None
    assert first.is_held
    assert await ValkeyLeases(client).acquire("try") is None


async def test_a_released_lease_can_be_had_with_a_higher_fence(client: Redis) -> None:
    first = await ValkeyLeases(client).acquire("try")
    assert first is not None
    await first.release()

    second = await ValkeyLeases(client).acquire("try")

    assert second is not None
    assert second.fence > first.fence
    assert not first.is_held


async def test_a_lease_that_is_not_renewed_passes_on_and_its_owner_learns_it(client: Redis) -> None:
    first = await ValkeyLeases(client).acquire("try", ttl_ms=50)
    assert first is not None
    second = None

    async def taken() -> bool:
        nonlocal second
        second = second or await ValkeyLeases(client).acquire("try")
        return second is not None

    while not await taken():
        continue

    assert not first.is_held
    assert await first.renew() is False


async def test_renewing_keeps_it(client: Redis) -> None:
    lease = await ValkeyLeases(client).acquire("try", ttl_ms=2_000)
    assert lease is not None

    assert await lease.renew()

    assert await client.pttl("gc:lease:try") > 1_500


async def test_releasing_a_lost_lease_does_not_take_it_from_its_new_owner(client: Redis) -> None:
    first = await ValkeyLeases(client).acquire("try", ttl_ms=1)
    assert first is not None
    await until(lambda: not first.is_held)
    second = None
    while second is None:
        second = await ValkeyLeases(client).acquire("try")

    await first.release()

    assert await second.renew()


async def test_fences_stay_above_what_the_database_has_seen(client: Redis) -> None:
    lease = await ValkeyLeases(client, floor=41).acquire("try")

    assert lease is not None
    assert lease.fence == 42


async def test_a_silent_server_costs_the_lease_only_when_its_time_runs_out() -> None:
    nobody = Redis.from_url("unix:///nowhere.sock")
    lease = await _held_without_server(nobody)

    assert await lease.renew()
    await until(lambda: not lease.is_held)
    assert await lease.renew() is False


async def _held_without_server(nobody: Redis):  # type: ignore[no-untyped-def]  # a lease of a private class
    from time import monotonic

    from trading.adapters.leases_valkey import ValkeyLease

    return ValkeyLease(nobody, key="k", token="t", ttl_ms=60, fence=1, asked_at=monotonic())


async def test_a_holder_that_was_killed_holds_nothing(client: Redis) -> None:
    code = (
        "import asyncio, sys, time; from redis.asyncio import Redis; "
        "from trading.adapters.leases_valkey import ValkeyLeases; "
        "asyncio.run(ValkeyLeases(Redis.from_url(sys.argv[1])).acquire('try', ttl_ms=60_000)); "
        "print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, settings.REDIS_URL], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == "held\n"
        while_it_lives = await ValkeyLeases(client).acquire("try")
        holder.kill()

        lease = None
        async with asyncio.timeout(5):
            while lease is None:  # it ends, and is not even collected
                lease = await ValkeyLeases(client).acquire("try")
        holder.wait()

    assert while_it_lives is None
    assert lease.fence == 2

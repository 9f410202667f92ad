"""Loops under leases: one leads, one stands by, a failure starts anew, a lost lease stops at once."""

import asyncio
import time
from collections.abc import Callable

import pytest
from psycopg import OperationalError

from trading.ports import Lease, Leases, NotArmed
from trading.runtime import host as hosting
from trading.runtime.host import Hosted, Loop, host


class Shelf:
    """One lease for everybody; `take_away` is what a lost connection does."""

    def __init__(self) -> None:
        self.owner: Held | None = None
        self.fence = 0

    async def acquire(self, name: str, *, ttl_ms: int = 3_000) -> "Held | None":
        if self.owner is not None and self.owner.is_held:
            return None
        self.fence += 1
        self.owner = Held(self.fence)
        return self.owner

    def take_away(self) -> None:
        assert self.owner is not None
        self.owner.is_held = False


class Held:
    def __init__(self, fence: int) -> None:
        self.fence = fence
        self.is_held = True

    async def renew(self) -> bool:
        return self.is_held

    async def release(self) -> None:
        self.is_held = False


class Quiet:
    """A loop that lives until it is told to fail."""

    def __init__(self, fence: int) -> None:
        self.fence = fence
        self.alive_at = time.monotonic()
        self.broken = asyncio.Event()
        self.is_closed = False

    async def run(self) -> None:
        await self.broken.wait()
        raise RuntimeError("a defect")

    async def close(self) -> None:
        self.is_closed = True


class Maker:
    def __init__(self) -> None:
        self.made: list[Quiet] = []

    async def __call__(self, lease: Lease) -> Quiet:
        self.made.append(Quiet(lease.fence))
        return self.made[-1]


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RENEW_S", "STANDBY_S"):
        monkeypatch.setattr(hosting, name, 0.001)
    monkeypatch.setattr(hosting, "BACK_OFF_S", (0.001,))


def hosted(shelf: Shelf, make: Maker) -> Hosted:
    async def leases() -> Leases:
        return shelf

    return Hosted(name="execution:micro", kind="execution", make=make, leases=leases)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_a_loop_that_fails_is_started_anew_under_a_higher_fence() -> None:
    make = Maker()
    task = asyncio.create_task(hosted(Shelf(), make).forever())
    await until(lambda: make.made)

    make.made[0].broken.set()
    await until(lambda: len(make.made) == 2)

    assert make.made[0].is_closed
    assert make.made[1].fence > make.made[0].fence
    task.cancel()


async def test_a_loop_that_ends_by_itself_is_started_anew_at_once_and_has_not_failed() -> None:
    class Outdated(Quiet):
        async def run(self) -> None:
            await self.broken.wait()

    class MakeOutdated(Maker):
        async def __call__(self, lease: Lease) -> Quiet:
            self.made.append(Outdated(lease.fence))
            return self.made[-1]

    make = MakeOutdated()
    host_of_one = hosted(Shelf(), make)
    task = asyncio.create_task(host_of_one.forever())
    await until(lambda: make.made)

    make.made[0].broken.set()
    await until(lambda: len(make.made) == 2)

    assert make.made[0].is_closed
    assert host_of_one.failures == 0
    task.cancel()


async def test_only_one_of_two_hosts_leads_and_the_other_takes_over() -> None:
    shelf, first, second = Shelf(), Maker(), Maker()
    leading = asyncio.create_task(hosted(shelf, first).forever())
    await until(lambda: first.made)
    standing_by = asyncio.create_task(hosted(shelf, second).forever())
    await asyncio.sleep(0)
    assert not second.made

    leading.cancel()
    await until(lambda: second.made)

    assert first.made[0].is_closed
    standing_by.cancel()


async def test_a_lost_lease_stops_the_loop_at_once() -> None:
    shelf, make = Shelf(), Maker()
    task = asyncio.create_task(hosted(shelf, make).forever())
    await until(lambda: make.made)

    shelf.take_away()

    await until(lambda: make.made[0].is_closed)
    task.cancel()


async def test_a_kind_is_alive_only_while_every_account_of_it_is() -> None:
    make, said = Maker(), []
    both = [hosted(Shelf(), make), hosted(Shelf(), make)]
    stop = asyncio.Event()

    async def beat(kinds: frozenset[str]) -> None:
        said.append(kinds)

    task = asyncio.create_task(host(both, stop=stop, beat=beat))
    await until(lambda: len(make.made) == 2)
    assert all(h.is_alive for h in both)

    make.made[0].alive_at -= 60.0

    assert [h.is_alive for h in both].count(True) == 1
    stop.set()
    await task
    assert all(loop.is_closed for loop in make.made)


async def test_a_database_or_valkey_that_was_away_makes_no_later_start_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "AWAY_S", 0.001)
    make, shelf, refusals = Maker(), Shelf(), iter(range(5))

    async def leases() -> Leases:
        if next(refusals, None) is not None:
            raise ConnectionError("not there")
        return shelf

    loop = Hosted(name="execution:micro", kind="execution", make=make, leases=leases)
    task = asyncio.create_task(loop.forever())
    await until(lambda: make.made)

    assert (loop.failures, loop.away) == (0, "")
    task.cancel()


async def test_a_loop_that_lost_its_database_again_and_again_waits_no_longer_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosting, "AWAY_S", 0.001)
    made = 0

    async def make(lease: Lease) -> Loop:
        nonlocal made
        made += 1
        raise OperationalError("the connection is gone")

    loop = Hosted(name="execution:micro", kind="execution", make=make, leases=lambda: shelves(Shelf()))
    task = asyncio.create_task(loop.forever())
    await until(lambda: made > 8)

    assert loop.failures == 0
    task.cancel()


async def shelves(shelf: Shelf) -> Leases:
    return shelf


async def test_an_account_that_was_made_meanwhile_gets_its_loop_without_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosting, "WELCOME_S", 0.001)
    stop, first, late = asyncio.Event(), Maker(), Maker()
    waiting = [hosted(Shelf(), late)]
    beats: list[frozenset[str]] = []

    async def beat(kinds: frozenset[str]) -> None:
        beats.append(kinds)

    async def newcomers() -> list[Hosted]:
        found = list(waiting)
        waiting.clear()
        return found

    running = [hosted(Shelf(), first)]
    task = asyncio.create_task(host(running, stop=stop, beat=beat, newcomers=newcomers))
    await until(lambda: late.made)

    stop.set()
    await task
    assert len(running) == 2
    assert first.made


async def test_a_loop_that_must_not_run_holds_up_no_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "WITHHELD_S", 0.001)
    stop, make, beats = asyncio.Event(), Maker(), list[frozenset[str]]()

    async def refuse(lease: Lease) -> Loop:
        raise NotArmed("microlive: LIVE was never armed.")

    async def beat(kinds: frozenset[str]) -> None:
        beats.append(kinds)

    unarmed = hosted(Shelf(), make)
    unarmed.make = refuse
    task = asyncio.create_task(host([hosted(Shelf(), make), unarmed], stop=stop, beat=beat))
    await until(lambda: beats and beats[-1] == {"execution"})

    stop.set()
    await task
    assert unarmed.withheld == "microlive: LIVE was never armed."


async def test_no_fence_is_spent_on_a_loop_that_must_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "WITHHELD_S", 0.001)
    shelf, make, refusals = Shelf(), Maker(), 0

    async def leases() -> Leases:
        nonlocal refusals
        refusals += 1
        if refusals < 3:
            raise NotArmed("microlive: LIVE was never armed.")
        return shelf

    one = Hosted(name="execution:microlive", kind="execution", make=make, leases=leases)
    task = asyncio.create_task(one.forever())
    await until(lambda: one.withheld)
    assert shelf.fence == 0
    await until(lambda: make.made)

    assert shelf.fence == 1
    assert one.withheld == ""
    task.cancel()

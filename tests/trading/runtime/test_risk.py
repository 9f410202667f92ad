"""The risk loop: what it cannot see does not pass for good."""

import math
from dataclasses import dataclass, field

import pytest

from trading.adapters.bus_inprocess import InProcessBus
from trading.adapters.clock_system import SystemClock
from trading.domain.watch import BUILD, CLOCK, CODES, Notice
from trading.ports import FateUnknown
from trading.runtime.risk import SKEW_EVERY_S, SKEW_HOLDS_FOR_S, RiskLoop, Senses
from trading.runtime.topics import HOLD


@dataclass
class World:
    """Senses whose venue clock is set by hand; None: the venue does not answer."""

    skew: float | None = 0.0
    notices: list[Notice] = field(default_factory=list)
    running: dict[str, str] = field(default_factory=dict)
    ended: list[frozenset[str]] = field(default_factory=list)

    async def skew_ms(self) -> float:
        if self.skew is None:
            raise FateUnknown("no answer")
        return self.skew

    async def beats(self) -> dict[str, int]:
        return {}

    async def builds(self) -> dict[str, str]:
        return self.running

    async def halt(self, reason: str) -> None:
        raise AssertionError(reason)

    async def warn(self, notice: Notice) -> None:
        self.notices.append(notice)

    async def over(self, codes: frozenset[str]) -> None:
        self.ended.append(codes)


@pytest.fixture
def world() -> World:
    return World()


class HoldBus(InProcessBus):
    """A bus that remembers which holds are in force."""

    def __init__(self) -> None:
        super().__init__()
        self.holds: set[str] = set()

    async def publish(self, topic: str, payload: object) -> None:
        assert topic == HOLD
        assert isinstance(payload, dict)
        (self.holds.add if payload["reason"] else self.holds.discard)(payload["cause"])


@dataclass
class Desk:
    """A risk loop, and what it told the execution loops."""

    loop: RiskLoop
    bus: HoldBus

    async def compare(self, after_s: float = 0.0) -> None:
        """Read the venue's clock so long after the start."""
        await self.loop.compare_clocks(self.loop._seen.skew_at_s + after_s)

    async def holds(self) -> set[str]:
        """Return the causes in force after one step."""
        await self.loop.step()
        return self.bus.holds


@pytest.fixture
def desk(world: World) -> Desk:
    bus = HoldBus()
    senses = Senses(
        skew_ms=world.skew_ms,
        beats=world.beats,
        builds=world.builds,
        halt=world.halt,
        warn=world.warn,
        over=world.over,
        beat=lambda now_ns: None,
    )
    return Desk(RiskLoop(senses=senses, bus=bus, clock=SystemClock()), bus)


def test_clocks_are_compared_at_least_once_a_minute() -> None:
    assert SKEW_EVERY_S <= 60


@pytest.mark.parametrize(
    ("skew_ms", "held"), [(499.0, False), (500.0, True), (-499.0, False), (-500.0, True), (math.nan, True)]
)
async def test_no_order_leaves_while_the_clocks_differ(world: World, desk: Desk, skew_ms: float, held: bool) -> None:
    world.skew = skew_ms

    await desk.compare()

    assert (CLOCK in await desk.holds()) is held


async def test_the_hold_ends_when_the_clocks_agree_again(world: World, desk: Desk) -> None:
    world.skew = 700.0
    await desk.compare()
    assert CLOCK in await desk.holds()

    world.skew = 3.0
    await desk.compare()

    assert await desk.holds() == set()


@pytest.mark.parametrize("ever_read", [True, False], ids=["read once", "never read"])
@pytest.mark.parametrize(("after_s", "held"), [(SKEW_HOLDS_FOR_S, False), (SKEW_HOLDS_FOR_S + 0.1, True)])
async def test_a_venue_clock_never_read_or_not_for_a_minute_holds_orders_back(
    world: World, desk: Desk, ever_read: bool, after_s: float, held: bool
) -> None:
    if ever_read:
        await desk.compare()

    world.skew = None
    await desk.compare(after_s)

    assert (CLOCK in await desk.holds()) is (held or not ever_read)


async def test_no_order_leaves_while_two_processes_run_different_code(world: World, desk: Desk) -> None:
    await desk.compare()
    world.running = {"loops@a:1": "1-1", "web@a:2": "2-1"}
    assert BUILD in await desk.holds()

    world.running = {"loops@a:1": "1-1", "web@a:3": "1-1"}

    assert BUILD not in await desk.holds()
    assert [notice.code for notice in world.notices] == ["BUILDS_DIFFER"]


async def test_what_is_over_is_said_once_and_at_the_start_of_everything(world: World, desk: Desk) -> None:
    world.running = {"loops@a:1": "1-1", "web@a:2": "2-1"}
    await desk.loop.step()
    assert world.ended == [CODES - {"BUILDS_DIFFER"}]

    world.running = {"loops@a:1": "1-1", "web@a:3": "1-1"}
    await desk.loop.step()
    await desk.loop.step()

    assert world.ended[1:] == [{"BUILDS_DIFFER"}]

"""A desk that really runs: the simulated exchange behind sockets, the loops, the journal in PostgreSQL."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from trading.adapters.bus_inprocess import InProcessBus
from trading.bootstrap import World
from trading.domain.limits import TradingState
from trading.domain.market import BookTop, Trade
from trading.models import Alert, Fill, Grid, Halt, Order, Reconciliation
from trading.runtime.execution import ExecutionLoop
from trading.runtime.threads import DatabaseThread
from trading.services.demo import load_demo
from trading.simulator import faults
from trading.simulator.replay import BOOK, Row, RowRecording
from trading.simulator.server import RunningExchange, running_exchange

SYMBOL = "BTCUSDT"
START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
PRICE = 6_000_000  # ticks of 0.01
TICK_EVERY_S = 0.02
WITHIN_S = 45.0  # what never comes fails; how soon it comes is measured elsewhere
DIP = -7_000  # ticks: one level of the micro desk's grid, several of the production desk's


# A recording that shows one price and then waits for an hour: what moves after that is moved by the test.
STILL = RowRecording(
    "still",
    (SYMBOL,),
    tuple(Row(START_NS + at_s * SECOND_NS, 0, BOOK, PRICE, 10_000, PRICE + 1, 10_000) for at_s in (0, 3_600)),
)


def load_desks() -> None:
    """Load the two demo desks, on BTCUSDT alone."""
    load_demo(at=datetime.now(UTC))
    Grid.objects.exclude(symbol=SYMBOL).delete()


class Lease:
    """A lease that is held until the test takes it away."""

    def __init__(self, fence: int) -> None:
        self.fence = fence
        self.is_held = True

    async def renew(self) -> bool:
        return self.is_held

    async def release(self) -> None:
        self.is_held = False


@dataclass(slots=True)
class Console:
    """One exchange and the loops around it; everything the tests ask of it."""

    exchange: RunningExchange
    world: World
    database: DatabaseThread
    shift: int = 0  # ticks between the price and where it began
    ticks: int = 0
    fences: dict[str, int] = field(default_factory=dict)
    loops: dict[str, ExecutionLoop] = field(default_factory=dict)
    tasks: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    background: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)

    async def start(self, slug: str) -> ExecutionLoop:
        """Start the execution loop of a desk as its host would: under a new fence."""
        self.fences[slug] = self.fences.get(slug, 0) + 1
        loop = await self.world.make_execution(slug, Lease(self.fences[slug]))
        self.loops[slug] = loop
        self.tasks[slug] = asyncio.create_task(loop.run())
        return loop

    async def stop(self, slug: str) -> None:
        """End a loop as a host does."""
        task = self.tasks.pop(slug)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await self.loops.pop(slug).close()

    async def falls(self, slug: str, error: type[Exception]) -> None:
        """Wait until the loop of a desk has ended with this error, as a host would see it."""
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(error):
                await self.tasks.pop(slug)
        await self.loops.pop(slug).close()

    async def keep_ticking(self) -> None:
        """Show a book fifty times a second and print a trade ten times."""
        while True:
            self.ticks += 1
            now_ns, bid = time.time_ns(), PRICE + self.shift
            self._publish(
                BookTop(SYMBOL, bid, 10_000 + self.ticks % 2, bid + 1, 10_000, 10**12 + self.ticks, now_ns, now_ns)
            )
            if self.ticks % 5 == 0:
                self._publish(Trade(SYMBOL, bid, 1, True, self.ticks // 5, now_ns, now_ns))
            self.exchange.exchange.streams.flush()
            await asyncio.sleep(TICK_EVERY_S)

    async def keep_watching(self) -> None:
        """Receive market data, and begin anew when what is to be received has changed, as the loops' host does."""
        for fence in itertools.count(1):
            feed = await self.world.make_market_data(Lease(fence))
            try:
                await feed.run()
            finally:
                await feed.close()

    def _publish(self, event: BookTop | Trade) -> None:
        self.exchange.exchange.match(event)
        self.exchange.exchange.publish(event)

    async def ready(self, slug: str) -> None:
        """Wait until a desk may trade: its books and the venue's agree, and it has laid its ladder."""
        await self.until(lambda: Reconciliation.objects.filter(account__slug=slug, is_clean=True).exists())
        await self.until(lambda: Grid.objects.filter(account__slug=slug).exclude(levels_ticks=[]).exists())

    async def dip(self, slug: str) -> None:
        """Let the price cross one level downwards, once the desk is ready."""
        await self.ready(slug)
        self.shift = DIP

    def state(self, slug: str) -> TradingState:
        """Return what the core itself thinks it may do."""
        return self.loops[slug]._p.trader.view(time.time_ns()).state

    def fault(self, **rule: Any) -> None:
        """Put a fault of the exchange in force."""
        self.exchange.gate.faults.rules.append(faults.parse(rule))

    def at_venue(self, slug: str) -> list[str]:
        """Return the ids of the orders that are open at the venue."""
        return [b.order.client_order_id for b in self.exchange.exchange.venue.open_orders(slug)]

    async def rows(self, query: Callable[[], Any]) -> Any:
        """Read the database outside the event loop."""
        return await self.database.run(query)

    async def until(self, query: Callable[[], Any], *, within_s: float = WITHIN_S) -> Any:
        """Wait until a query of the database is true and return what it found; fail when it never is, with what is."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for slug, task in (*self.tasks.items(), *self.background.items()):
                        if task.done():
                            raise AssertionError(f"the loop of {slug} ended") from task.exception()
                    if found := await self.rows(query):
                        return found
                    await asyncio.sleep(0.01)
        except TimeoutError as error:
            views = {slug: loop._p.trader.view(time.time_ns()) for slug, loop in self.loops.items()}
            alerts = await self.rows(lambda: list(Alert.objects.order_by("-id").values_list("code", "message")[:9]))
            raise AssertionError(f"not within {within_s} s: {views} {alerts}") from error


@contextlib.asynccontextmanager
async def running_console(**options: Any) -> AsyncIterator[Console]:
    """Run an exchange and the market-data loop; the test starts the desks it wants and moves the price."""
    async with running_exchange(recording=STILL, **options) as exchange:
        world = World(base_url=exchange.url, bus=InProcessBus())
        made = Console(exchange, world, DatabaseThread("test"))
        made.background |= {"market data": asyncio.create_task(made.keep_watching())}
        made.background |= {"the market": asyncio.create_task(made.keep_ticking())}
        try:
            yield made
        finally:
            for slug in list(made.tasks):
                await made.stop(slug)
            for task in made.background.values():
                task.cancel()
            await asyncio.gather(*made.background.values(), return_exceptions=True)
            await world.close()
            await made.database.close()


def orders(slug: str, **where: Any) -> list[Order]:
    return list(Order.objects.filter(account__slug=slug, **where).order_by("id"))


def fills(slug: str) -> list[Fill]:
    return list(Fill.objects.filter(account__slug=slug).order_by("id"))


def halt_of(slug: str) -> Halt | None:
    return Halt.objects.filter(account__slug=slug).first()

"""What the loops tell machines, all the way to /metrics; what is silent tells nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

from django.conf import settings
from django.test import Client
from redis.asyncio import Redis

from tests.trading.runtime.desk import Console, fills
from trading import live
from trading.adapters.bus_inprocess import InProcessBus
from trading.bootstrap import World
from trading.runtime.host import Hosted, host
from trading.runtime.show import feed_gauges

Run = Callable[..., AbstractAsyncContextManager[Console]]


def lines_with(gauge: str) -> str:
    """Return the page once `gauge` is on it."""
    text = str(Client().get("/metrics").content.decode())
    return text if gauge in text else ""


async def test_desks_and_feed_are_shown_to_machines(console: Run) -> None:
    async with console() as made:
        world, stop = World(base_url=made.exchange.url, bus=InProcessBus()), asyncio.Event()
        hosted = await world.hosted(("market_data", "execution"))
        loops = asyncio.create_task(host(hosted, stop=stop, beat=world.beat))
        try:
            await made.dip("micro")
            await made.until(lambda: fills("micro"))
            text = await made.until(lambda: lines_with('tick_submit_p99_ms{account="micro"}'))
        finally:
            stop.set()
            await loops
            await world.close()

        assert 'gridconsole_equity_quote{account="production"} 2' in text
        assert 'gridconsole_open_orders{account="micro"} ' in text
        assert 'gridconsole_halted{account="micro"} 0.0' in text
        assert 'gridconsole_tick_submit_p50_ms{account="micro"} ' in text
        assert "gridconsole_feed_age_ms " in text
        assert "gridconsole_feed_reconnects 0.0" in text


async def test_numbers_of_a_loop_replace_the_last_ones_and_end_with_it() -> None:
    client, key = Redis.from_url(settings.REDIS_URL), live.METRICS.format(loop="execution")

    await live.areport_gauges(client, "execution", {"halted:micro": 0, "equity_quote:micro": 300.5}, 10_000)
    await live.areport_gauges(client, "execution", {"halted:micro": 1}, 10_000)

    assert await cast("Awaitable[dict[bytes, bytes]]", client.hgetall(key)) == {b"halted:micro": b"1"}
    assert 0 < await client.pttl(key) <= 10_000
    await live.areport_gauges(client, "execution", {}, 10_000)
    assert not await client.exists(key)
    await client.aclose()


def test_what_is_not_known_is_absent() -> None:
    assert feed_gauges(None, None, 2) == {"feed_reconnects": 2}


class Silent:
    """A loop that took no turn for a minute."""

    alive_at = time.monotonic() - 60.0

    async def run(self) -> None: ...

    async def close(self) -> None: ...

    def gauges(self) -> dict[str, float]:
        return {"halted": 0}


async def nobody(*_: object) -> Any:
    raise AssertionError("nothing is made or leased here")


def test_a_loop_that_takes_no_turns_tells_nothing() -> None:
    hosted = Hosted(name="execution:micro", kind="execution", make=nobody, leases=nobody, loop=Silent())

    assert hosted.gauges() == {}

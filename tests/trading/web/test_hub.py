"""One subscription per process, fanned out to every browser at its own pace."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from django.conf import settings
from redis.asyncio import Redis

from trading import live
from trading.live.door import valkey
from trading.live.hub import Hub, Subscriber

LIMIT_S = 10.0


class Browser:
    """Collects frames; while its gate is shut it does not read."""

    def __init__(self, hub: Hub, desk: str = "micro") -> None:
        self.frames: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.subscriber = Subscriber(desk, self._send)
        self._hub = hub

    async def _send(self, frame: str) -> None:
        await self.gate.wait()
        await self.frames.put(orjson.loads(frame))

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator["Browser"]:
        async with self._hub.subscribed(self.subscriber):
            writer = asyncio.create_task(self.subscriber.write(self._hub.latest))
            yield self
            writer.cancel()

    async def next(self, *, with_key: str = "") -> dict[str, Any]:
        async with asyncio.timeout(LIMIT_S):
            while True:
                frame = await self.frames.get()
                if "hb" not in frame and (not with_key or with_key in frame.get("d", {})):
                    return frame


@pytest.fixture
async def client() -> AsyncIterator[Redis]:
    client = Redis.from_url(settings.REDIS_URL)
    yield client
    await client.aclose()


@pytest.fixture
def hub() -> Hub:
    return Hub(settings.REDIS_URL)


async def test_a_new_browser_starts_with_the_last_known_values(hub: Hub) -> None:
    live.publish_values({"m.BTCUSDT.px": 61_000.5, "d.micro.equity": None})

    async with Browser(hub).watching() as browser:
        first = await browser.next()

    assert (first["snap"], first["n"]) == (1, 0)
    assert first["d"]["m.BTCUSDT.px"] == 61_000.5
    assert first["d"]["d.micro.equity"] is None


async def test_what_is_published_arrives_as_a_numbered_delta(hub: Hub, client: Redis) -> None:
    async with Browser(hub).watching() as browser:
        await browser.next()
        await live.apublish_values(client, {"m.BTCUSDT.px": 1.0})
        first = await browser.next(with_key="m.BTCUSDT.px")
        await live.apublish_values(client, {"m.BTCUSDT.px": 2.0})
        second = await browser.next(with_key="m.BTCUSDT.px")

    assert second["n"] == first["n"] + 1
    assert second["d"] == {"m.BTCUSDT.px": 2.0}


async def test_a_browser_hears_of_its_own_desk_and_what_a_halt_needs_of_the_others(hub: Hub) -> None:
    live.publish_values({"d.production.equity": 25_000, "d.production.BTCUSDT.pos": 1, "d.micro.BTCUSDT.pos": 2})

    async with Browser(hub, "micro").watching() as browser:
        known = (await browser.next())["d"]

    assert known["d.production.equity"] == 25_000
    assert known["d.micro.BTCUSDT.pos"] == 2
    assert "d.production.BTCUSDT.pos" not in known


async def test_a_browser_that_does_not_read_blocks_nobody(hub: Hub, client: Redis) -> None:
    async with Browser(hub).watching() as slow, Browser(hub).watching() as quick:
        await quick.next()
        slow.gate.clear()
        for price in range(30):
            await live.apublish_values(client, {"m.BTCUSDT.px": price})
        async with asyncio.timeout(LIMIT_S):
            while (await quick.next(with_key="m.BTCUSDT.px"))["d"]["m.BTCUSDT.px"] != 29:
                pass

    assert slow.frames.qsize() <= 1


async def test_a_browser_that_was_slow_gets_a_snapshot(
    hub: Hub, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trading.live.hub.SLOW_S", 0.0)  # every frame counts as slow

    async with Browser(hub).watching() as browser:
        await browser.next()
        await live.apublish_values(client, {"m.BTCUSDT.px": 7.0})
        again = await browser.next(with_key="m.BTCUSDT.px")

    assert (again["snap"], again["n"]) == (1, 0)


async def test_frames_leave_at_most_ten_times_a_second(hub: Hub, client: Redis) -> None:
    async with Browser(hub).watching() as browser:
        await browser.next()
        began = time.monotonic()
        for price in range(200):
            await live.apublish_values(client, {"m.BTCUSDT.px": price})
        count = 0
        async with asyncio.timeout(LIMIT_S):
            while (await browser.next(with_key="m.BTCUSDT.px"))["d"]["m.BTCUSDT.px"] != 199:
                count += 1
        elapsed = time.monotonic() - began

    assert count + 1 <= elapsed / 0.1 + 2


async def test_rare_events_are_told_by_name(hub: Hub) -> None:
    async with Browser(hub).watching() as browser:
        await browser.next()
        live.publish_events("halt", "alerts")
        async with asyncio.timeout(LIMIT_S):
            while "ev" not in (frame := await browser.next()):
                pass

    assert frame == {"ev": ["alerts", "halt"]}


async def test_loops_without_a_heartbeat_are_named(hub: Hub) -> None:
    now_ms = time.time_ns() // 1_000_000
    for loop in settings.LOOPS[1:]:
        valkey().set(f"gc:heartbeat:{loop}", now_ms)

    async with Browser(hub).watching() as browser:
        async with asyncio.timeout(LIMIT_S):
            while (known := (await browser.next()).get("d", {}).get("sys.silent")) is None:
                pass

    assert known == settings.LOOPS[0]


async def test_an_unreadable_message_is_dropped(hub: Hub, client: Redis) -> None:
    async with Browser(hub).watching() as browser:
        await browser.next()
        for rubbish in (b"\xff", b"[]", b'{"d": 3}', b"{"):
            await client.publish(live.CHANNEL, rubbish)
        await live.apublish_values(client, {"m.BTCUSDT.px": 1.0})
        frame = await browser.next(with_key="m.BTCUSDT.px")

    assert frame["d"]["m.BTCUSDT.px"] == 1.0


async def test_the_subscription_ends_with_the_last_browser(hub: Hub, client: Redis) -> None:
    async with Browser(hub).watching() as browser:
        await browser.next()
        during = dict(await client.pubsub_numsub(live.CHANNEL))[live.CHANNEL.encode()]
    async with asyncio.timeout(LIMIT_S):
        while dict(await client.pubsub_numsub(live.CHANNEL))[live.CHANNEL.encode()]:
            await asyncio.sleep(0)

    assert during == 1


def test_a_silent_valkey_costs_a_push_and_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    from redis import Redis as SyncRedis

    dead = SyncRedis.from_url("unix:///nowhere/valkey.sock")
    monkeypatch.setattr("trading.live.door.valkey", lambda: dead)

    assert live.publish_values({"a": 1}) is False
    assert live.publish_events("halt") is False
    assert live.send_command({"cmd": "halt", "account": None}) is False
    assert live.last_values() == {}
    assert live.price_history("BTCUSDT") == []


def test_the_price_ring_keeps_its_newest_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    async def remember() -> None:
        client = Redis.from_url(settings.REDIS_URL)
        monkeypatch.setattr("trading.live.door.HISTORY_LENGTH", 3)
        for n in range(5):
            await live.aremember_prices(client, {"BTCUSDT": (n, float(n))})
        await client.aclose()

    asyncio.run(remember())

    assert live.price_history("BTCUSDT") == [(2, 2.0), (3, 3.0), (4, 4.0)]


async def test_the_last_browser_leaves_though_the_client_library_loses_a_cancellation(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reads_on() -> None:
        with contextlib.suppress(asyncio.CancelledError):  # as redis-py does when an answer comes in the same turn
            await asyncio.sleep(LIMIT_S)
        await asyncio.sleep(LIMIT_S)

    monkeypatch.setattr(hub, "_read_for_ever", reads_on)

    began = time.monotonic()
    async with asyncio.timeout(LIMIT_S / 2), Browser(hub).watching():
        pass

    assert time.monotonic() - began < LIMIT_S / 2


@pytest.mark.parametrize("turns", range(4))
async def test_a_browser_that_goes_as_news_come_is_let_go(turns: int) -> None:
    first = asyncio.Event()

    async def send(frame: str) -> None:
        first.set()

    subscriber = Subscriber("micro", send)
    writer = asyncio.create_task(subscriber.write(lambda desk, seen: {}))
    await first.wait()
    await asyncio.sleep(0)  # it waits for news

    subscriber.mailbox.resume()
    subscriber.notify()
    for _ in range(turns):  # of the event loop; in one of them the news have come and the writer has not run yet
        await asyncio.sleep(0)
    writer.cancel()

    assert (await asyncio.wait({writer}, timeout=2))[0]

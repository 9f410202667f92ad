"""The hub: one Valkey subscription per web process, fanned out to browsers at their own pace."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

import orjson
from django.conf import settings
from redis import RedisError
from redis.asyncio import Redis

from trading.live.door import unpacked
from trading.live.keys import CHANNEL, HEARTBEAT, LAST, SILENT, Value, concerns
from trading.live.mailbox import Mailbox

log = logging.getLogger(__name__)

FRAME_INTERVAL_S: Final = 0.1  # 10 frames a second and browser at most
HEARTBEAT_S: Final = 1.0  # silence on the link never lasts longer
HIDDEN_HEARTBEAT_S: Final = 15.0  # a hidden tab only needs to keep its connection
SLOW_S: Final = 1.0  # a frame that took longer to leave: what was missed is skipped, a snapshot follows
STALLED_S: Final = 10.0  # a browser that has not read for this long is let go
PULSE_S: Final = 1.0  # how often the loops' heartbeats are read
RECONNECT_S: Final = 0.5
CANCEL_AGAIN_S: Final = 0.1
FIRST_SNAPSHOT_S: Final = 1.0  # how long the first frame waits for Valkey

Send = Callable[[str], Awaitable[None]]
HEARTBEAT_FRAME: Final = '{"hb":1}'


class BrowserStalled(Exception):
    """The browser has not read for `STALLED_S`: close its socket."""


class Subscriber:
    """One browser: its desk, its mailbox and the task that writes to it."""

    def __init__(self, desk: str, send: Send, seen: frozenset[str] | None = None) -> None:
        """`seen`: the desks of which its person may learn anything; None is all of them."""
        self.desk = desk
        self.seen = seen
        self.mailbox = Mailbox()
        self._send = send
        self._news = asyncio.Event()

    def notify(self) -> None:
        """Wake the writer; whatever lies in the mailbox leaves within one frame interval."""
        self._news.set()

    async def write(self, latest: Callable[[str, frozenset[str] | None], dict[str, Value]]) -> None:
        """Send frames for ever: at once after a quiet moment, else `FRAME_INTERVAL_S` apart; heartbeats in silence.

        Raises:
            BrowserStalled: a frame did not leave within `STALLED_S`.
        """
        clock = asyncio.get_running_loop().time
        sent_at = clock() - FRAME_INTERVAL_S
        while True:
            silence_s = HIDDEN_HEARTBEAT_S if self.mailbox.paused else HEARTBEAT_S
            if self.mailbox.is_empty and not await self._woken(sent_at + silence_s - clock()):
                sent_at = await self._deliver(HEARTBEAT_FRAME)
                continue
            await asyncio.sleep(max(0.0, sent_at + FRAME_INTERVAL_S - clock()))
            self._news.clear()
            for frame in self.mailbox.frames(latest(self.desk, self.seen), time.time_ns() // 1_000_000):
                sent_at = await self._deliver(frame.decode())

    async def _woken(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(max(0.0, within_s)):  # wait_for loses a cancellation that comes with the news
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return not self.mailbox.is_empty

    async def _deliver(self, frame: str) -> float:
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(STALLED_S):
                await self._send(frame)
        except TimeoutError:
            raise BrowserStalled from None
        if clock() - started > SLOW_S:
            self.mailbox.skip_to_snapshot()
        return clock()


class Hub:
    """The latest value of every key, and the browsers that watch."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._latest: dict[str, Value] = {}
        self._subscribers: set[Subscriber] = set()
        self._reader: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self.sessions_changed = asyncio.Event()  # somebody signed out, or lost a role: whoever watches looks at once

    @contextlib.asynccontextmanager
    async def subscribed(self, subscriber: Subscriber) -> AsyncIterator[None]:
        """Feed `subscriber` inside the block; the first one opens the subscription, the last one closes it."""
        self._subscribers.add(subscriber)
        if self._reader is None:
            self._reader = asyncio.create_task(self._read_for_ever())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_SNAPSHOT_S):
                    await self._ready.wait()
            yield
        finally:
            self._subscribers.discard(subscriber)
            if not self._subscribers:
                await self._stop()

    def latest(self, desk: str, seen: frozenset[str] | None = None) -> dict[str, Value]:
        """Return everything a browser that looks at `desk` shows, of a person who sees only the desks in `seen`."""
        return {key: value for key, value in self._latest.items() if concerns(key, desk, seen)}

    def take(self, message: bytes) -> None:
        """Pass one published message on; one that cannot be read is counted in the log and dropped."""
        try:
            body = orjson.loads(message)
            if "sessions" in body:
                self.sessions_changed.set()
                return
            values, events = body.get("d") or {}, body.get("ev") or []
            self._spread(dict(values), [str(name) for name in events])
        except (ValueError, TypeError, AttributeError):
            log.warning("unreadable message on %s dropped: %r", CHANNEL, message[:80])

    def _spread(self, values: dict[str, Value], events: list[str]) -> None:
        self._latest.update(values)
        per_view: dict[tuple[str, frozenset[str] | None], dict[str, Value]] = {}
        for subscriber in self._subscribers:
            view = subscriber.desk, subscriber.seen
            if view not in per_view:
                per_view[view] = {key: value for key, value in values.items() if concerns(key, *view)}
            subscriber.mailbox.offer(per_view[view])
            subscriber.mailbox.tell(events)
            subscriber.notify()

    async def _stop(self) -> None:
        reader, self._reader = self._reader, None
        self._ready.clear()
        while reader is not None and not reader.done():
            reader.cancel()  # again: redis-py may lose one that comes in the turn of an answer
            await asyncio.wait({reader}, timeout=CANCEL_AGAIN_S)

    async def _read_for_ever(self) -> None:
        while True:
            client = Redis.from_url(self._redis_url, socket_timeout=None, socket_connect_timeout=2)
            try:
                await self._read(client)
            except (RedisError, OSError) as error:
                log.warning("valkey does not answer, browsers see old values: %s", error)
                self._spread({SILENT: "valkey"}, [])
            finally:
                await client.aclose()
            await asyncio.sleep(RECONNECT_S)

    async def _read(self, client: Redis) -> None:
        async with client.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(CHANNEL)
            self._latest = unpacked(await cast(Awaitable[Any], client.hgetall(LAST)))
            for subscriber in self._subscribers:
                subscriber.mailbox.skip_to_snapshot()
                subscriber.notify()
            self._ready.set()
            pulse = asyncio.create_task(self._feel_pulse(client))
            try:
                async for message in channel.listen():
                    self.take(message["data"])
            finally:
                pulse.cancel()

    async def _feel_pulse(self, client: Redis) -> None:
        """Watch the loops' heartbeats: a loop that died left its last values behind, and they look alive."""
        keys = [HEARTBEAT.format(loop=loop) for loop in settings.LOOPS]
        while True:
            beats: list[Any] = await client.mget(keys)
            oldest_ms = time.time_ns() // 1_000_000 - settings.LOOP_HEARTBEAT_LIMIT_MS
            silent = [
                loop for loop, beat in zip(settings.LOOPS, beats, strict=True) if beat is None or int(beat) < oldest_ms
            ]
            text = ", ".join(silent)
            if self._latest.get(SILENT) != text:
                self._spread({SILENT: text}, [])
            await asyncio.sleep(PULSE_S)


_hubs: "WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]" = WeakKeyDictionary()


def hub() -> Hub:
    """Return the hub of the running event loop; a web process has one loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub(settings.REDIS_URL)
    return _hubs[loop]

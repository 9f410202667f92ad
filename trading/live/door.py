"""The door to Valkey: publish what changed, read what is known. Nothing here is a record; a lost push is only late."""

import logging
import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson
from django.conf import settings
from redis import Redis, RedisError
from redis.asyncio import Redis as AsyncRedis

from trading.live.keys import CHANNEL, COMMANDS, HISTORY, HISTORY_LENGTH, LAST, METRICS, EventName, Value, Values

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 1.0  # a halt must not wait for a Valkey that hangs
LISTEN_S: Final = 0.5  # at a time

SAY_EVERY_S: Final = 5.0
_said = {"at": -math.inf}  # monotonic seconds of the last line about a Valkey that is away

Command = Mapping[str, str | bool | None]


@lru_cache
def valkey() -> Redis:
    """Return this process's connections for publishing and reading."""
    return Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)


def publish_values(values: Values) -> bool:
    """Tell every browser what changed and keep it for the next one; return whether Valkey took it."""
    pipe = valkey().pipeline(transaction=False)
    _store_and_tell(pipe, values)
    return _sent(pipe.execute)


def publish_events(*names: EventName) -> bool:
    """Tell every browser that something rare happened; return whether Valkey took it."""
    return _sent(lambda: valkey().publish(CHANNEL, _events(names)))


def publish_sessions() -> bool:
    """Have every web process look at the sessions behind its sockets; return whether Valkey took it."""
    return _sent(lambda: valkey().publish(CHANNEL, orjson.dumps({"sessions": 1})))


def send_command(command: Command) -> bool:
    """Hint to the loops that a row changed, so that they need not wait a second; return whether Valkey took it."""
    return _sent(lambda: valkey().publish(COMMANDS, orjson.dumps(dict(command))))


def commands(stop: threading.Event) -> Iterator[Command]:
    """Yield what is sent from now on until `stop` is set; what is sent while Valkey is away is never told."""
    while not stop.is_set():
        try:
            with valkey().pubsub(ignore_subscribe_messages=True) as channel:  # type: ignore[no-untyped-call]  # of redis
                channel.subscribe(COMMANDS)
                while not stop.is_set():
                    if (message := channel.get_message(timeout=LISTEN_S)) is not None:
                        yield orjson.loads(message["data"])
        except RedisError as error:
            _say_unsent(error)
            stop.wait(LISTEN_S)


async def apublish_values(client: AsyncRedis, values: Values) -> bool:
    """Tell every browser what changed, from a loop; see `publish_values`."""
    pipe = client.pipeline(transaction=False)
    _store_and_tell(pipe, values)
    return await _asent(pipe)


async def apublish_events(client: AsyncRedis, *names: EventName) -> bool:
    """Tell every browser that something rare happened, from a loop."""
    pipe = client.pipeline(transaction=False)
    pipe.publish(CHANNEL, _events(names))
    return await _asent(pipe)


async def aremember_prices(client: AsyncRedis, prices: Mapping[str, tuple[int, float]]) -> bool:
    """Append symbol -> (t_ms, price) to the rings that a chart starts from."""
    pipe = client.pipeline(transaction=False)
    for symbol, (at_ms, price) in prices.items():
        key = HISTORY.format(symbol=symbol)
        pipe.rpush(key, orjson.dumps([at_ms, price]))
        pipe.ltrim(key, -HISTORY_LENGTH, -1)
    return await _asent(pipe)


async def areport_gauges(client: AsyncRedis, loop: str, gauges: Mapping[str, float], life_ms: int) -> bool:
    """Replace the numbers that `loop` tells machines; they are gone `life_ms` after the last report."""
    key = METRICS.format(loop=loop)
    pipe = client.pipeline(transaction=True)
    pipe.delete(key)
    if gauges:
        pipe.hset(key, mapping=dict(gauges))
        pipe.pexpire(key, life_ms)
    return await _asent(pipe)


def last_values() -> dict[str, Value]:
    """Return the last known value of every key; empty when Valkey does not answer."""
    try:
        return unpacked(valkey().hgetall(LAST))
    except RedisError:
        log.warning("valkey does not answer: the page starts without values", exc_info=True)
        return {}


def price_history(symbol: str) -> list[tuple[int, float]]:
    """Return the ring of (t_ms, price), oldest first; empty when Valkey does not answer or holds none."""
    try:
        entries: Any = valkey().lrange(HISTORY.format(symbol=symbol), 0, -1)
    except RedisError:
        return []
    return [(int(at_ms), float(price)) for at_ms, price in map(orjson.loads, entries)]


def unpacked(stored: Any) -> dict[str, Value]:
    """Return the values of the hash `LAST` as they were published."""
    return {key.decode(): orjson.loads(value) for key, value in stored.items()}


def _store_and_tell(pipe: Any, values: Values) -> None:
    if values:
        pipe.hset(LAST, mapping={key: orjson.dumps(value) for key, value in values.items()})
    pipe.publish(CHANNEL, orjson.dumps({"d": dict(values)}))


def _events(names: Iterable[str]) -> bytes:
    return orjson.dumps({"ev": list(names)})


def _sent(send: Any) -> bool:
    try:
        send()
    except RedisError as error:
        _say_unsent(error)
        return False
    return True


async def _asent(pipe: Any) -> bool:
    try:
        await pipe.execute()
    except RedisError as error:
        _say_unsent(error)
        return False
    return True


def _say_unsent(error: RedisError) -> None:
    """Say it now and then: twenty frames a second of every desk are held back at once."""
    now = time.monotonic()
    if now - _said["at"] >= SAY_EVERY_S:
        _said["at"] = now
        log.warning("valkey does not answer, browsers and loops learn of this later: %s", error)

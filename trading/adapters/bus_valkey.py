"""The event bus of loops in different processes: Valkey streams, many events packed into one entry."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from trading.adapters.cancellation import steadfast
from trading.domain.advice import GridAdvice
from trading.domain.events import AdviceChanged, FeedLost, FeedRestored, ForecastChanged, SeamReached
from trading.domain.market import BookTop, Trade

STREAM: Final = "gc:bus:{topic}"
KEPT_ENTRIES: Final = 10_000  # per topic, about; a subscriber further behind has lost some
READ_AT_ONCE: Final = 500
BLOCK_MS: Final = 500
RETRY_S: Final = 0.25
SUBSCRIBING: Final = "bus subscription"  # name of the task that finds where to start

# The words on the wire; a name never changes its meaning.
TUPLES: Final[dict[str, type[BookTop] | type[Trade]]] = {"book": BookTop, "trade": Trade}
RECORDS: Final[dict[str, Any]] = {
    "seam": SeamReached,
    "lost": FeedLost,
    "restored": FeedRestored,
    "forecast": ForecastChanged,
}
ADVICE: Final = "advice"  # AdviceChanged: [name, symbol, what is asked or null]
NAMES: Final = {kind: name for name, kind in (TUPLES | RECORDS).items()}


class Unreadable(ValueError):
    """An entry on the bus is not of ours: another version wrote it."""


class ValkeyBus:
    """Publishes to and reads from Valkey streams; what was published before a subscription is not seen."""

    def __init__(self, client: Redis) -> None:
        """`client` needs a socket time-out above the half second a read blocks."""
        self._client: Any = client  # redis types every reply as "awaitable or not"

    async def publish(self, topic: str, payload: object) -> None:
        """Send `payload` to every subscriber of `topic`."""
        entry = {"p": orjson.dumps(encode(payload))}
        key = STREAM.format(topic=topic)
        await steadfast(self._client.xadd(key, entry, maxlen=KEPT_ENTRIES, approximate=True))

    def subscribe(self, *topics: str) -> AsyncIterator[tuple[str, object]]:
        """Yield (topic, payload) from now on; order holds within a topic."""
        starting = asyncio.create_task(self._ends(topics), name=SUBSCRIBING)
        return self._read(starting)

    async def _ends(self, topics: tuple[str, ...]) -> dict[str, str]:
        """Return where each stream ends now."""
        return {key: await self._end(key) for key in (STREAM.format(topic=topic) for topic in topics)}

    async def _end(self, key: str) -> str:
        newest = await steadfast(self._client.xrevrange(key, count=1))
        return newest[0][0].decode() if newest else "0-0"

    async def _read(self, starting: "asyncio.Task[dict[str, str]]") -> AsyncIterator[tuple[str, object]]:
        positions = await starting
        while True:
            try:
                found = await steadfast(self._client.xread(positions, count=READ_AT_ONCE, block=BLOCK_MS))
            except (RedisError, OSError):
                await asyncio.sleep(RETRY_S)
                continue
            for key, entries in _items(found):
                name = key.decode()
                for position, entry in entries:
                    positions[name] = position.decode()
                    yield name.removeprefix(STREAM.format(topic="")), decode(orjson.loads(entry[b"p"]))


def _items(found: Any) -> list[tuple[bytes, Any]]:
    return list(found.items()) if isinstance(found, Mapping) else list(found or [])


def encode(payload: object) -> object:
    """Return `payload` as JSON values: facts become [name, fields...], sequences of facts lists of them."""
    name = NAMES.get(type(payload))
    if name in TUPLES:
        return [name, *payload]  # type: ignore[misc]  # a NamedTuple: found by its type
    if is_dataclass(payload) and name is not None:
        return [name, *_values(payload)]
    if isinstance(payload, AdviceChanged):
        return [ADVICE, payload.symbol, payload.advice and _values(payload.advice)]
    if isinstance(payload, list | tuple):
        return {"all": [encode(item) for item in payload]}
    if isinstance(payload, Mapping):
        return {"map": dict(payload)}
    raise TypeError(f"{type(payload).__name__} does not travel on the bus.")


def _values(record: Any) -> list[Any]:
    return [getattr(record, field.name) for field in fields(record)]


def _advice(symbol: str, asked: list[Any] | None) -> AdviceChanged:
    if asked is None:
        return AdviceChanged(symbol, None)
    said = dict(zip((field.name for field in fields(GridAdvice)), asked, strict=True))
    return AdviceChanged(symbol, GridAdvice(**(said | {"reasons": tuple(said["reasons"])})))


def decode(value: object) -> object:
    """Return what `encode` was given.

    Raises:
        Unreadable: it is nothing of ours.
    """
    try:
        if isinstance(value, list):
            name, *values = value
            if name == ADVICE:
                return _advice(*values)
            return (TUPLES | RECORDS)[name](*values)
        if isinstance(value, dict) and "all" in value:
            return [decode(item) for item in value["all"]]
        if isinstance(value, dict) and "map" in value:
            return value["map"]
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"bus entry {str(value)[:80]!r}: {error}") from error
    raise Unreadable(f"bus entry {str(value)[:80]!r} is nothing of ours.")

"""What every event bus must do alike."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from django.conf import settings
from redis.asyncio import Redis

from tests.contracts.conftest import until
from trading.adapters.bus_inprocess import InProcessBus
from trading.adapters.bus_valkey import SUBSCRIBING, Unreadable, ValkeyBus, decode
from trading.domain.advice import GridAdvice
from trading.domain.events import AdviceChanged, FeedLost, FeedRestored, ForecastChanged, SeamReached
from trading.domain.market import BookTop, Trade
from trading.ports import EventBus

TOP = BookTop("BTCUSDT", 6_000_000, 10, 6_000_001, 12, 77, 0, 1_700_000_000_000_000_001)
PRINT = Trade("ETHUSDT", 260_000, 5, True, 99, 1_700_000_000_000_000_000, 1_700_000_000_000_000_002)
BATCH = [FeedRestored(1), TOP, PRINT, SeamReached(3, {"BTCUSDT": 6_000_000}, 5), FeedLost("silent", 7)]


@pytest.fixture(params=["in process", "valkey"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[EventBus]:
    if request.param == "in process":
        yield InProcessBus()
        return
    client = Redis.from_url(settings.REDIS_URL, socket_timeout=5)
    await client.delete("gc:bus:market", "gc:bus:forecast", "gc:bus:hold", "gc:bus:advice")
    yield ValkeyBus(client)
    await client.aclose()


async def take(stream: AsyncIterator[tuple[str, object]], count: int) -> list[tuple[str, object]]:
    async with asyncio.timeout(5):
        return [await anext(stream) for _ in range(count)]


async def test_a_batch_arrives_whole_and_in_order(bus: EventBus) -> None:
    stream = bus.subscribe("market")
    reading = asyncio.create_task(take(stream, 1))
    await _settled()

    await bus.publish("market", BATCH)

    assert await reading == [("market", BATCH)]


async def test_every_subscriber_gets_everything_once(bus: EventBus) -> None:
    readings = [asyncio.create_task(take(bus.subscribe("market"), 20)) for _ in range(2)]
    await _settled()

    for number in range(20):
        await bus.publish("market", [TOP._replace(update_id=number)])

    for received in await asyncio.gather(*readings):
        assert received == [("market", [TOP._replace(update_id=number)]) for number in range(20)]


async def test_topics_do_not_mix(bus: EventBus) -> None:
    reading = asyncio.create_task(take(bus.subscribe("forecast", "hold"), 2))
    await _settled()
    forecast = ForecastChanged("BTCUSDT", 0.0001, 0.0003, 5)

    await bus.publish("market", BATCH)
    await bus.publish("forecast", forecast)
    await bus.publish("hold", {"cause": "clock", "reason": "skew"})

    assert sorted(await reading, key=str) == [
        ("forecast", forecast),
        ("hold", {"cause": "clock", "reason": "skew"}),
    ]


async def test_what_a_model_asks_arrives_as_it_was_said(bus: EventBus) -> None:
    reading = asyncio.create_task(take(bus.subscribe("advice"), 2))
    await _settled()
    asked = GridAdvice("BTCUSDT", "ab", 5, 9, 0.003, 4, 0.5, -0.2, True, False, 0.1, True, ("book", "a shock"))

    await bus.publish("advice", AdviceChanged("BTCUSDT", asked))
    await bus.publish("advice", AdviceChanged("ETHUSDT", None))

    said = [("advice", AdviceChanged("BTCUSDT", asked)), ("advice", AdviceChanged("ETHUSDT", None))]
    assert await reading == said


@pytest.mark.parametrize(
    "entry", [None, [], ["book"], ["advice", "BTCUSDT", [1]], ["unheard of", 1], {"other": 1}, "text", 5]
)
def test_an_entry_of_another_version_is_refused(entry: object) -> None:
    with pytest.raises(Unreadable):
        decode(entry)


async def test_a_reader_that_is_too_slow_is_told() -> None:
    bus = InProcessBus()
    stream = bus.subscribe("market")

    for _ in range(50_001):
        await bus.publish("market", BATCH)

    with pytest.raises(OverflowError, match="too slow"):
        await take(stream, 50_001)


async def _settled() -> None:
    """Wait until every subscription knows where it starts."""
    await asyncio.sleep(0)
    await until(lambda: not any(task.get_name() == SUBSCRIBING for task in asyncio.all_tasks()))

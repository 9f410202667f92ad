"""The loops of one installation, hosted as the worker hosts them, with counters around them.

Run as a process of its own: a line on standard input asks for what was counted, the answer is one line of JSON; the end
of the input ends the process.
"""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import django

from trading.domain.latency import Histogram

DECIDE, COMMIT, SEND, KNOWN = "tick_to_decided", "commit", "committed_to_sent", "tick_to_acknowledged"
PARTS: Final = (DECIDE, COMMIT, SEND, KNOWN)
STOP_LIMIT_S: Final = 15.0
FOLLOWED: Final = 5_000  # orders whose acknowledgement is awaited; older ones are forgotten


@dataclass(slots=True)
class Counts:
    """What passed the loops."""

    published: int = 0  # ticks the market-data loop put on the bus
    handled: dict[str, int] = field(default_factory=dict)  # account -> ticks its execution loop took
    starts: dict[str, int] = field(default_factory=dict)  # loop -> how often it was made
    age: Histogram = field(default_factory=Histogram)  # of the last print of a batch: sent by the venue -> received


class Host:
    """Runs the loops of one process and knows them."""

    def __init__(self, *, pace: int | None = None, sigmas: float | None = None) -> None:
        """`pace` replaces the ladder's limit of new resting orders in ten seconds, `sigmas` the forecast's caution."""
        self.counts = Counts()
        self.loops: dict[str, Any] = {}
        self.parts = {part: Histogram() for part in PARTS}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loops", daemon=True)
        if pace is not None:
            from trading.domain import ladder

            ladder.PACE_LIMIT = pace  # type: ignore[misc]  # a bench need not wait until a ladder has filled

        if sigmas is not None:
            from trading.domain import forecast

            forecast.SIGMAS = sigmas  # type: ignore[misc]  # a market that calls for many orders is one to keep out of

    def start(self) -> None:
        """Start the thread of the loops, as the worker does, and return when they are about to run."""
        from gridconsole import worker

        sys.setswitchinterval(worker.SWITCH_INTERVAL_S)
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        from gridconsole import worker

        with asyncio.Runner(loop_factory=worker._loop_factory()) as runner:
            runner.run(self._host())

    async def _host(self) -> None:
        from django.conf import settings

        from trading import bootstrap

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await self.host_loops(bootstrap.KINDS, base_url=settings.SIMULATOR_URL, stop=self._stop)

    async def host_loops(self, kinds: Sequence[str], *, base_url: str, stop: asyncio.Event) -> None:
        """Do what `bootstrap.host_loops` does, and count."""
        from trading import bootstrap
        from trading.runtime.host import host

        world = bootstrap.World(base_url=base_url, bus=_counting_bus(self.counts))
        hosted = await world.hosted(kinds)
        for one in hosted:
            one.make = self._watched(one.name, one.make)
        self._ready.set()
        commands = asyncio.create_task(bootstrap.follow_commands(world.client, world.bus))
        await host(hosted, stop=stop, beat=world.beat)
        commands.cancel()
        await world.close()

    def _watched(self, name: str, make: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
        async def made(lease: Any) -> Any:
            loop = self.loops[name] = await make(lease)
            self.counts.starts[name] = self.counts.starts.get(name, 0) + 1
            if name.startswith("execution:"):
                self._count_turns(loop, name.partition(":")[2])
                self._time_parts(loop)
            return loop

        return made

    def _count_turns(self, loop: Any, slug: str) -> None:
        from trading.domain.market import BookTop, Trade

        take, handled, ticks = loop._inbox.take, self.counts.handled, {BookTop, Trade}
        handled[slug] = 0

        def counted(limit: int) -> list[Any]:
            events: list[Any] = take(limit)
            handled[slug] += sum(type(event) in ticks for event in events)
            return events

        loop._inbox.take = counted

    def _time_parts(self, loop: Any) -> None:
        """Split tick -> submit: until it is decided, until it is committed, until the bytes leave; and the whole way.

        An order that no tick called for (an answer or a second did) begins when it is decided.
        """
        meter, now_ns, commit = loop._p.meter, time.time_ns, loop._p.journal.commit
        decided, sent, acknowledged = meter.decided, meter.sent, meter.acknowledged
        at: dict[str, int] = {}
        began: dict[str, int] = {}

        def note_decided(key: str, tick_at_ns: int | None) -> None:
            at[key] = now_ns()
            if len(began) >= FOLLOWED:
                began.pop(next(iter(began)))
            began[key] = tick_at_ns or at[key]
            if tick_at_ns is not None:
                self.parts[DECIDE].record_ns(at[key] - tick_at_ns)
            decided(key, tick_at_ns)

        async def note_commit(effects: Sequence[Any], *, at_ns: int) -> frozenset[str]:
            asked_ns = now_ns()
            refused: frozenset[str] = await commit(effects, at_ns=at_ns)
            self.parts[COMMIT].record_ns(now_ns() - asked_ns)
            for effect in effects:
                if (order := getattr(effect, "order", None)) is not None and order.client_order_id in at:
                    at[order.client_order_id] = now_ns()
            return refused

        def note_sent(key: str) -> None:
            if key in at:
                self.parts[SEND].record_ns(now_ns() - at.pop(key))
            sent(key)

        def note_acknowledged(key: str) -> None:
            if key in began:
                self.parts[KNOWN].record_ns(now_ns() - began.pop(key))
            acknowledged(key)

        meter.decided, meter.acknowledged = note_decided, note_acknowledged
        loop._p.journal.commit, loop._p.venue._on_sent = note_commit, note_sent

    def report(self) -> dict[str, Any]:
        """Return everything that was counted by now."""
        market = self.loops.get("market_data")
        return {
            "published": self.counts.published,
            "handled": self.counts.handled.copy(),
            "starts": self.counts.starts.copy(),
            "reconnects": market.reconnects if market else None,
            "dropped": {str(defect): count for defect, count in market.dropped.items()} if market else None,
            "unreadable": dict(market._feed.dropped) if market else None,
            "waiting": {name: len(loop._inbox) for name, loop in self._execution().items()},
            # Not the view: it walks through the orders, which the thread of the loops changes meanwhile.
            "started": {name: loop._p.trader._core.started for name, loop in self._execution().items()},
            "parts": {part: histogram.counts.copy() for part, histogram in self.parts.items()},
            "age": self.counts.age.counts.copy(),
            "segments": {name: _segments(loop._p.meter) for name, loop in self._execution().items()},
        }

    def _execution(self) -> dict[str, Any]:
        return {name.partition(":")[2]: loop for name, loop in self.loops.items() if name.startswith("execution:")}

    def stop(self) -> None:
        """End the loops, and give them the time to store what they recorded."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STOP_LIMIT_S)


def _counting_bus(counts: Counts) -> Any:
    from trading.adapters.bus_inprocess import InProcessBus
    from trading.domain.market import BookTop, Trade
    from trading.runtime.topics import MARKET

    ticks = {BookTop, Trade}

    class CountingBus(InProcessBus):
        async def publish(self, topic: str, payload: object) -> None:
            if topic == MARKET:
                counts.published += sum(type(item) in ticks for item in payload)  # type: ignore[attr-defined]  # a batch
                last = payload[-1] if payload else None  # type: ignore[index]  # as above
                if isinstance(last, Trade):
                    counts.age.record_ns(last.received_at_ns - last.venue_at_ns)
            await super().publish(topic, payload)

    return CountingBus()


def _segments(meter: Any) -> dict[str, dict[int, int]]:
    return {segment: histogram.counts.copy() for segment, histogram in meter.run.items()}


def main() -> int:
    """Host until the input ends."""
    django.setup()
    host = Host(pace=int(sys.argv[1]) if len(sys.argv) > 1 else None)
    host.start()
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(host.report()) + "\n")
        sys.stdout.flush()
    host.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

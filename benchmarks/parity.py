"""The same recording through the paper loop and through the backtest: the same orders and fills, to the last digit.

The paper side is what runs live: the simulated exchange behind real sockets, ccxt, the market-data, model and
execution loops, and the journal in PostgreSQL. Only the exchange waits for the loops between two events.

The same book tops also go three ways, core, kernel and sockets, and must leave the same list of fills. Their prices and
times are those of the recording; the sizes are raised so that none binds, because the kernel does not look at them.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from benchmarks import figures, sandbox

SLUGS: Final = ("micro", "production")
THREE_WAYS: Final = "production"  # its orders rest, as the kernel's do
DEEP_LOTS: Final = 10**9  # displayed at each top
MS_NS: Final = 1_000_000
BOUNDS: Final = {"differences": figures.Bound(at_most=0), "hashes_of_three_ways": figures.Bound(at_most=1)}


@dataclass(frozen=True, slots=True)
class Trail:
    """What one side did, in comparable rows: every digit as text."""

    orders: list[tuple[str, ...]]
    fills: list[tuple[str, ...]]
    events: int


def differences(paper: Trail, backtest: Trail) -> list[str]:
    """Return the first differences, empty when both sides did the same."""
    found = []
    if paper.events != backtest.events:
        found.append(f"events: {paper.events} on paper, {backtest.events} in the backtest")
    for name, ours, theirs in (("order", paper.orders, backtest.orders), ("fill", paper.fills, backtest.fills)):
        if len(ours) != len(theirs):
            found.append(f"{name}s: {len(ours)} on paper, {len(theirs)} in the backtest")
        pairs = zip(ours, theirs, strict=False)
        unequal = ((i, one, other) for i, (one, other) in enumerate(pairs) if one != other)
        found += [f"{name} {i}: {one} on paper, {other} in the backtest" for i, one, other in islice(unequal, 3)]
    return found


def backtest_trail(slug: str, recording: Any, limit: int | None) -> Trail:
    """Fold the recording through `domain.backtest` with the settings of the desk `slug`."""
    result = _folded(slug, recording, limit)
    orders = [_order_row(order) for order in result.orders]
    return Trail(orders, [_fill_row(stored.fill) for stored in result.fills], result.events)


def _folded(slug: str, recording: Any, limit: int | None) -> Any:
    from trading.domain import backtest
    from trading.simulator import replay

    desk = _desk(slug, recording)
    events = islice(replay.events(recording), limit)
    return backtest.run(events, settings=desk.settings, limits=desk.limits, instruments=desk.instruments)


def _desk(slug: str, recording: Any) -> Any:
    return desk_on(slug, recording.symbols)


def desk_on(slug: str, symbols: Sequence[str]) -> Any:
    """Return the desk `slug` as its loop reads it, where the venue trades `symbols` alone."""
    from trading import bootstrap
    from trading.simulator import listing

    return bootstrap.read_desk(slug, _traded(listing.load().instruments, symbols))


def paper_trail(slug: str, recording: Any, limit: int | None) -> Trail:
    """Send the recording through the paper loop in lockstep and read back what the journal kept."""
    events = asyncio.run(run_paper(slug, recording, limit))
    return Trail(stored_orders(slug), stored_fills(slug), events)


async def run_paper(slug: str, recording: Any, limit: int | None) -> int:
    """Run the paper loops of one desk over the recording, in lockstep; return how many events they took."""
    from trading.adapters.bus_inprocess import InProcessBus
    from trading.adapters.clock_replay import ReplayClock
    from trading.bootstrap import World
    from trading.runtime.lockstep import Conductor
    from trading.simulator.server import running_exchange

    async with running_exchange(recording=recording, lockstep=True) as running:
        steps = Steps(running, slug)
        clock, bus = ReplayClock(recording.first_ns), InProcessBus()
        world = World(base_url=running.url, clock=clock, bus=bus, in_order=True)
        market, model = await world.make_market_data(FirstLease()), await world.make_model(FirstLease())
        execution = await world.make_execution(slug, FirstLease())
        working = asyncio.create_task(execution.run())
        try:
            conductor = Conductor(market=market, model=model, execution=execution, clock=clock, bus=bus, exchange=steps)
            await conductor.run(limit=limit)
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working
            for part in (market, execution, world):
                await part.close()
        return conductor.events


class FirstLease:
    """The lease of an account's first loop; nobody else is there."""

    fence = 1
    is_held = True

    async def renew(self) -> bool:
        """Keep it."""
        return True

    async def release(self) -> None:
        """Nobody waits for it."""


class Steps:
    """A simulated exchange in this process, moved event by event; its clients still come through sockets."""

    def __init__(self, running: Any, slug: str) -> None:
        self._running = running
        self._slug = slug
        # Limits count real minutes, and the recording passes in fewer of them.
        running.exchange.weights.limit = 10**9
        running.exchange.speed = 10**6

    def step(self) -> Mapping[str, Any]:
        """Match the next event, or publish the one that was matched."""
        # Held back: what is on the wire before its timers were carried out may overtake them.
        moved: Mapping[str, Any] = self._running.player.step(hold=True)
        return moved

    def set_time(self, at_ns: int) -> None:
        """Let orders that a timer called for be booked at the timer's time, as the backtest does."""
        self._running.exchange.clock._frozen_ns = at_ns

    @property
    def reports_sent(self) -> int:
        """Execution reports sent to the desk's stream."""
        sent: int = self._running.exchange.users.reports_sent[self._slug]
        return sent

    @property
    def is_listened_to(self) -> bool:
        """True once the market streams have a subscriber."""
        return bool(self._running.exchange.streams.subscribers("btcusdt@trade"))


# --- three ways -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Way:
    """The fills of one way, and when each happened (ms UTC)."""

    deals: list[Any]
    at_ms: list[int]


def three_ways(tops: Any) -> dict[str, Way]:
    """Run the desk over book tops, see `deep_tops`: through the event core, the kernel, the paper loop over sockets.

    The kernel runs a grid a symbol; its fills are put in the order of the common clock.
    """
    return {"core": _core_way(tops), "kernel": _kernel_way(tops), "sockets": _sockets_way(tops)}


def deep_tops(recording: Any, part: slice = slice(None)) -> Any:
    """Return the book tops of a recording of ticks, or a part of them, with so much displayed that no size binds."""
    from trading.simulator import replay

    kept = (recording.kind == replay.BOOK).nonzero()[0][part]
    columns = {name: getattr(recording, name)[kept] for name in ("at_ns", "symbol", "kind")}
    prices = recording.prices[:, kept]
    prices[1::2] = DEEP_LOTS
    return replace(recording, prices=prices, **columns)


def _core_way(tops: Any) -> Way:
    from trading.domain import backtest

    found = backtest.booked(_folded(THREE_WAYS, tops, None))
    return Way([one.deal for one in found], [one.at_ns // MS_NS for one in found])


def _kernel_way(tops: Any) -> Way:
    desk = _desk(THREE_WAYS, tops)
    rows = [row for chosen in desk.settings.grids if chosen.symbol in tops.symbols for row in _run(chosen, desk, tops)]
    rows.sort(key=lambda row: row[0])  # stable: fills of one event stay in their order
    return Way([deal for _, deal in rows], [int(tops.at_ns[event]) // MS_NS for event, _ in rows])


def _run(chosen: Any, desk: Any, tops: Any) -> list[tuple[int, Any]]:
    """Return (event of the recording, deal) of each fill that the kernel makes of one grid."""
    import numpy as np

    mine = (tops.symbol == tops.symbols.index(chosen.symbol)).nonzero()[0]
    bid, _, ask, _ = (np.ascontiguousarray(row) for row in tops.prices[:, mine])
    return [(int(mine[event]), deal) for event, deal in kernel_fills(chosen, desk, tops.at_ns[mine], bid, ask)]


def kernel_fills(
    chosen: Any, desk: Any, at_ns: Any, bid: Any, ask: Any, *, submit_ns: int = 0, report_ns: int = 0
) -> list[tuple[int, Any]]:
    """Return (event, deal) of each fill that the kernel makes of one grid of a desk over its book tops.

    Shapes:
        at_ns, bid, ask: (n,) int64 time, ticks. submit_ns, report_ns: latency to the venue and back.
    """
    from trading.domain import grid, kernel, tapes
    from trading.domain.drift import Deal
    from trading.domain.orders import Side

    instrument, fees = desk.instruments[chosen.symbol], desk.settings.fees
    plan = grid.build(chosen, instrument, (int(bid[0]) + int(ask[0])) // 2)
    lots = tuple(plan.lots(slot, instrument) for slot in range(plan.slots))
    terms = kernel.Terms(
        opening_cash=int(desk.settings.opening_cash_quote / (instrument.tick_size * instrument.lot_size)),
        maker_fee=fees.maker_fraction.as_integer_ratio(),
        taker_fee=fees.taker_fraction.as_integer_ratio(),
        submit_ns=submit_ns,
        report_ns=report_ns,
    )
    tape = tapes.of_tops(chosen.symbol, at_ns, bid, ask)
    fills = kernel.run(tape, kernel.Ladder(plan.levels, lots, kernel.Mode.LONG), terms).fills
    columns = (fills[name].tolist() for name in ("event", "side", "slot", "ticks", "lots"))
    return [
        (event, Deal(chosen.symbol, Side.BUY if side > 0 else Side.SELL, slot, ticks, q))
        for event, side, slot, ticks, q in zip(*columns, strict=True)
    ]


def _sockets_way(tops: Any) -> Way:
    from trading.domain.drift import Deal
    from trading.domain.orders import Side
    from trading.models import Fill

    asyncio.run(run_paper(THREE_WAYS, tops, None))
    columns = ("symbol", "side", "slot", "price_ticks", "quantity_lots", "at_ns")
    rows = list(Fill.objects.filter(account__slug=THREE_WAYS).order_by("id").values_list(*columns))
    deals = [Deal(symbol, Side(side), slot, ticks, lots) for symbol, side, slot, ticks, lots, _ in rows]
    return Way(deals, [row[-1] // MS_NS for row in rows])


def hashes(ways: Mapping[str, Way]) -> dict[str, str]:
    """Return the digest of each way's list of fills."""
    from trading.domain.drift import fills_digest

    return {name: fills_digest(way.deals) for name, way in ways.items()}


# --- rows -----------------------------------------------------------------------------------------------------


def _order_row(order: Any) -> tuple[str, ...]:
    fields = (order.client_order_id, order.symbol, order.side, order.type, order.quantity_lots, order.price_ticks)
    rest = (order.slot, order.purpose, order.reference_ticks, order.decided_at_ns, order.status, order.filled_lots)
    return tuple(str(value) for value in (*fields, *rest, order.venue_order_id or ""))


def _fill_row(fill: Any) -> tuple[str, ...]:
    fields = (fill.symbol, fill.trade_id, fill.client_order_id, fill.venue_order_id, fill.side, fill.price_ticks)
    return tuple(
        str(v) for v in (*fields, fill.quantity_lots, f"{fill.fee:.8f}", fill.fee_asset, fill.maker, fill.at_ns)
    )


def stored_orders(slug: str) -> list[tuple[str, ...]]:
    """Return the approved orders the journal kept, in the order of their decision."""
    from trading.models import Order

    rows = Order.objects.filter(account__slug=slug).exclude(status="DENIED").order_by("id")
    return [_order_row(row) for row in rows]


def stored_fills(slug: str) -> list[tuple[str, ...]]:
    """Return the executions the journal kept, in the order they were booked."""
    from trading.models import Fill
    from trading.selectors.recovery import _fill

    rows = Fill.objects.filter(account__slug=slug).select_related("order").order_by("id")
    return [_fill_row(_fill(row).fill) for row in rows]


def _traded(listed: Mapping[str, Any], symbols: Sequence[str]) -> dict[str, Any]:
    return {symbol: replace(i, trading=symbol in symbols) for symbol, i in listed.items()}


# --- command --------------------------------------------------------------------------------------------------


def main(argv: Sequence[str]) -> int:
    """Prove parity on the whole shipped recording, or on its first events."""
    parser = figures.options("parity", __doc__)
    parser.add_argument("--events", type=int, default=None, help="only so many events of the recording")
    parser.add_argument("--three-ways", action="store_true", help="only the list of fills of core, kernel and sockets")
    parser.add_argument("--free", action="store_true", help="instead: a paper loop that nobody waits for")
    parser.add_argument("--seconds", type=float, default=60.0, help="with --free: how long it trades")
    parser.add_argument("--speed", type=float, default=10.0, help="with --free: of the recording, 1 to 60 times real")
    options = parser.parse_args(argv)
    since = figures.before()
    if options.free:
        from benchmarks import free_run

        found = free_run.measure(options.seconds, options.speed)
        return figures.conclude("parity", found, free_run.BOUNDS, as_json=options.json, since=since)
    if options.three_ways:
        with sandbox.database():
            sandbox.report(_three_ways(options.events))
        return 0
    with sandbox.database():
        recording = _shipped()
        desks = {slug: _prove(slug, recording, options.events) for slug in SLUGS}
    ways = _in_a_database_of_its_own(options.events)
    found = {
        "differences": sum(len(desk["differences"]) for desk in desks.values()),
        "hashes_of_three_ways": len(set(ways["fills_sha256"].values())),
        "desks": desks,
        "three_ways": ways,
    }
    return figures.conclude("parity", found, BOUNDS, as_json=options.json, since=since)


def _shipped() -> Any:
    from trading.simulator import listing, replay

    return replay.read("ticks", listing.load().instruments)


def _three_ways(limit: int | None) -> dict[str, Any]:
    sandbox.say("core, kernel and sockets over the same book tops ...")
    ways = three_ways(deep_tops(_shipped(), slice(limit)))
    return {"fills": {name: len(way.deals) for name, way in ways.items()}, "fills_sha256": hashes(ways)}


def _in_a_database_of_its_own(limit: int | None) -> dict[str, Any]:
    """Return what the three ways come to; the desk has traded in the database of this process."""
    command = [sys.executable, "-m", "benchmarks.parity", "--three-ways"]
    command += ["--events", str(limit)] if limit else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _prove(slug: str, recording: Any, limit: int | None) -> dict[str, Any]:
    sandbox.say(f"{slug}: the paper loop in lockstep ...")
    began = time.monotonic()
    paper = paper_trail(slug, recording, limit)
    seconds = time.monotonic() - began
    backtest = backtest_trail(slug, recording, limit)
    found = differences(paper, backtest)
    sandbox.say(f"{slug}: {paper.events} events, {len(paper.orders)} orders, {len(paper.fills)} fills, {seconds:.0f} s")
    return {
        "events": paper.events,
        "orders": len(paper.orders),
        "fills": len(paper.fills),
        "paper_seconds": round(seconds, 1),
        "differences": found,
    }


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""From the exchange's event to the browser: twenty WebSocket clients at the real web process, ten frames a second.

On the made tape every trade of BTCUSDT prints one tick above the last, so a price on a page names an event of the
venue, and whatever came before it is included. The clock starts with the exchange's own time stamp of a trade and stops
when the first frame with its price, or a later one, has been read by a client. Every trade counts, for every client.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from benchmarks import figures, sandbox, tape
from benchmarks.figures import Bound

CLIENTS: Final = 20
SYMBOL: Final = "BTCUSDT"
PER_SECOND: Final = 1_000
WARM_UP_S: Final = 3.0
PEOPLE: Final = ("trader", "trading_lead")  # a person may have a dozen tabs
DESKS: Final = ("production", "micro")
TICKS_PER_UNIT: Final = 100
BOUNDS: Final = {"push_p95_ms": Bound(at_most=150), "clients": Bound(at_least=CLIENTS)}

Moments = dict[int, float]  # price in ticks -> ms since 1970


def main(argv: Sequence[str]) -> int:
    """Watch for half a minute."""
    parser = figures.options("push", __doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args(argv)
    since = figures.before()
    with sandbox.database() as folder:
        measured = _measure(folder, options.seconds)
    return figures.conclude("push", measured, BOUNDS, as_json=options.json, since=since)


def _measure(folder: Path, seconds: float) -> dict[str, Any]:
    from benchmarks import demo, stage

    sandbox.say("writing the tape ...")
    made = tape.rising(folder / "tape.parquet", seconds=seconds + 40, per_second=PER_SECOND)
    cookies = [demo.session_cookie(name) for name in PEOPLE]
    with stage.exchange(dataset=made, speed=1) as exchange, stage.web(), stage.loops() as loops:
        loops.wait_until_started()
        sandbox.say(f"{CLIENTS} clients, {seconds:g} s ...")
        venue, clients, frames = asyncio.run(_watch(exchange.url, cookies, seconds))
    from_first = time.time() * 1_000 - (seconds - WARM_UP_S) * 1_000
    return _figures(venue, clients, frames, from_first)


async def _watch(url: str, cookies: Sequence[dict[str, str]], seconds: float) -> tuple[Moments, list[Moments], int]:
    """Return the venue's time of every trade, when each client first knew of a price, and the number of frames."""
    venue: Moments = {}
    clients: list[Moments] = [{} for _ in range(CLIENTS)]
    counts = [0] * CLIENTS
    tasks = [asyncio.create_task(_observe(url, venue))]
    for number in range(CLIENTS):
        cookie, desk = cookies[number % len(cookies)], DESKS[number % len(DESKS)]
        tasks.append(asyncio.create_task(_browse(cookie, desk, clients[number], counts, number)))
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
    return venue, clients, sum(counts)


async def _observe(url: str, venue: Moments) -> None:
    """Note the exchange's own stamp of every trade."""
    address = f"{url.replace('http', 'ws', 1)}/ws/{SYMBOL.lower()}@trade"
    async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
        async for message in socket:
            trade = orjson.loads(message.data)
            if trade.get("e") == "trade":
                venue[_ticks(float(trade["p"]))] = trade["T"]


async def _browse(cookie: dict[str, str], desk: str, seen: Moments, counts: list[int], number: int) -> None:
    """Note when each new price was read."""
    from benchmarks import demo
    from trading import live

    key = live.market(SYMBOL, "px")
    async with demo.browser(cookie, desk) as frames:
        async for frame in frames:
            counts[number] += "d" in frame
            if (price := frame.get("d", {}).get(key)) is not None:
                seen.setdefault(_ticks(price), time.time_ns() / 1e6)


def _figures(venue: Moments, clients: Sequence[Moments], frames: int, from_ms: float) -> dict[str, Any]:
    delays: list[float] = []
    shown: list[float] = []
    for seen in clients:
        delays += _delays(venue, seen, from_ms)
        shown += [at_ms - venue[price] for price, at_ms in seen.items() if price in venue and venue[price] >= from_ms]
    delays.sort()
    shown.sort()
    return {
        "push_p50_ms": _percentile(delays, 50),
        "push_p95_ms": _percentile(delays, 95),
        "push_p99_ms": _percentile(delays, 99),
        "shown_p50_ms": _percentile(shown, 50),  # age of the newest price at the moment its frame is read
        "shown_p95_ms": _percentile(shown, 95),
        "events": len(delays),
        "frames": frames,
        "clients": sum(bool(seen) for seen in clients),
    }


def _delays(venue: Moments, seen: Moments, from_ms: float) -> list[float]:
    """Return, for every trade, how long it took until a frame carried its price or a later one."""
    found, prices = [], sorted(seen)
    index = 0
    for price in sorted(venue):
        while index < len(prices) and prices[index] < price:
            index += 1
        if index == len(prices):
            break
        if venue[price] >= from_ms:
            found.append(seen[prices[index]] - venue[price])
    return found


def _ticks(price: float) -> int:
    return round(price * TICKS_PER_UNIT)


def _percentile(ordered: Sequence[float], percent: float) -> float | None:
    return round(ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)], 1) if ordered else None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""From `./console up` on a prepared folder to the first fill that a browser shows.

The first start prepares the folder (database, tables, demo) and is reported too; then everything is stopped and started
anew, several times, and a WebSocket client tries to connect from the first moment on, as an open page would.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import aiohttp

from benchmarks import demo, figures, sandbox
from benchmarks.figures import Bound

DESKS: Final = ("micro", "production")
LIMIT_S: Final = 120.0
POLL_S: Final = 0.1
BOUNDS: Final = {"first_fill_s": Bound(at_most=15)}


def main(argv: Sequence[str]) -> int:
    """Start cold once, then warm again and again."""
    parser = figures.options("start", __doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(argv)
    since = figures.before()
    with sandbox.data_folder():
        measured = _measure(options.rounds)
    return figures.conclude("start", measured, BOUNDS, as_json=options.json, since=since)


def _measure(rounds: int) -> dict[str, Any]:
    began = time.monotonic()
    with demo.running():
        prepared_s = time.monotonic() - began
        sandbox.say(f"prepared and ready in {prepared_s:.1f} s")
        import django

        django.setup()
        cookie = demo.session_cookie("trader")
        from django.db import connections

        connections.close_all()
    starts = [_warm(cookie, number) for number in range(1, rounds + 1)]
    fills = sorted(one["first_fill_s"] for one in starts)
    return {
        "first_fill_s": fills[len(fills) // 2],
        "first_fill_worst_s": fills[-1],
        "ready_s": sorted(one["ready_s"] for one in starts)[len(starts) // 2],
        "first_start_ready_s": round(prepared_s, 1),
        "rounds": starts,
    }


def _warm(cookie: dict[str, str], number: int) -> dict[str, float]:
    began, began_ms = time.monotonic(), time.time() * 1_000
    up = demo.start()
    try:
        seen_s = asyncio.run(_first_fill(cookie, began, began_ms))
        demo.wait_until_ready(up)
        ready = demo.words().read_text().partition(demo.READY)[2].split()[0]
    finally:
        demo.stop(up)
    sandbox.say(f"start {number}: ready after {ready} s, first fill in the browser after {seen_s:.1f} s")
    return {"ready_s": float(ready), "first_fill_s": round(seen_s, 1)}


async def _first_fill(cookie: dict[str, str], began: float, began_ms: float) -> float:
    """Return after how many seconds a page of either desk showed a fill of this run."""
    async with asyncio.timeout(LIMIT_S):
        tasks = [asyncio.create_task(_watch(cookie, desk, began_ms)) for desk in DESKS]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        seen = time.monotonic() - began
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return seen


async def _watch(cookie: dict[str, str], desk: str, began_ms: float) -> None:
    while True:
        try:
            async with demo.browser(cookie, desk) as frames:
                async for frame in frames:
                    fills = (value for key, value in frame.get("d", {}).items() if key.endswith(".fill"))
                    if any(fill and fill[0] >= began_ms for fill in fills):
                        return
        except (aiohttp.ClientError, OSError):
            await asyncio.sleep(POLL_S)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

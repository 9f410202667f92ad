"""From the tick to the order's bytes on the socket, at 1,000 ticks a second, stored before it leaves.

Everything is what runs in `up`: the exchange in its own process behind real sockets, the four loops and both desks in
another, ccxt, and a journal in PostgreSQL with every commit on disk. The tape keeps the recorded order and gaps of
ticks, bursts included; its prices swing through the levels, because the recorded ones call for too few orders.
"""

import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from benchmarks import figures, sandbox, tape
from benchmarks.figures import Bound

TICKS_PER_S: Final = 1_000
TAPE_PER_S: Final = 1_050  # the recorded rate is uneven: its slowest minute still has the ticks that were asked for
SWING_S: Final = 4.0
DEPTH_FRACTION: Final = 0.013
STEP_FRACTION: Final = Decimal("0.0012")
SLOTS: Final = 20
LOT_QUOTE: Final = Decimal(375)
SAY_EVERY_S: Final = 10.0
BOUNDS: Final = {
    "tick_to_submit_p50_ms": Bound(at_most=3),
    "tick_to_submit_p99_ms": Bound(at_most=20),
    "ticks_per_s": Bound(at_least=TICKS_PER_S),
    "lost": Bound(at_most=0),
    "orders": Bound(at_least=500),
}


def main(argv: Sequence[str]) -> int:
    """Measure for a minute."""
    parser = figures.options("latency", __doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args(argv)
    since = figures.before()
    with sandbox.database() as folder:
        measured = _measure(folder, options.seconds)
    return figures.conclude("latency", measured, BOUNDS, as_json=options.json, since=since)


def _measure(folder: Path, seconds: float) -> dict[str, Any]:
    from benchmarks import stage, usage

    sandbox.say("writing the tape ...")
    made = tape.swinging(
        folder / "tape.parquet",
        seconds=seconds + 15,
        per_second=TAPE_PER_S,
        swing_s=SWING_S,
        depth_fraction=DEPTH_FRACTION,
    )
    _retune()
    with stage.exchange(dataset=made, speed=tape.PLAYED_AT) as exchange:
        exchange.tell("/sim/pause", paused=True)
        with stage.loops() as loops:
            loops.wait_until_started()
            stage.wait_for("market data", lambda: exchange.status()["market_connections"] > 0)
            counted = stage.Counted(exchange, loops)
            sandbox.say(f"measuring for {seconds:g} s ...")
            while (left := seconds - counted.seconds()) > 0:
                time.sleep(min(SAY_EVERY_S, left))
                sandbox.say(f"  {counted.seconds():.0f} s")
            played, lost, took, report = counted.finish()
            memory_mb = usage.rss_mb(loops.pid)
    return {
        **_durations(report),
        "ticks_per_s": round(played / took, 1),
        "lost": lost,
        "memory_mb": memory_mb,
        "seconds": round(took, 1),
        "ticks": played,
        "defects": {**report["dropped"], **report["unreadable"]},
        "reconnects": report["reconnects"],
    }


def _retune() -> None:
    from benchmarks import stage
    from trading.domain.limits import ExecutionStyle

    stage.retune(
        "production",
        style=ExecutionStyle.TAKER,
        step_fraction=STEP_FRACTION,
        slots=SLOTS,
        lot_quote=LOT_QUOTE,
        open_orders=100,
    )


def _durations(report: dict[str, Any]) -> dict[str, Any]:
    """Return the percentiles, and where the time goes: p50 and p99 of each part."""
    from benchmarks import stage

    submit, ack = stage.merged(report, "tick_submit"), stage.merged(report, "submit_ack")
    parts = {part: stage.durations(counts) for part, counts in report["parts"].items()}
    return {
        "tick_to_submit_p50_ms": submit.percentile_ms(50),
        "tick_to_submit_p95_ms": submit.percentile_ms(95),
        "tick_to_submit_p99_ms": submit.percentile_ms(99),
        "tick_to_submit_max_ms": submit.percentile_ms(100),
        "submit_to_ack_p50_ms": ack.percentile_ms(50),
        "submit_to_ack_p99_ms": ack.percentile_ms(99),
        "parts_p50_p99_ms": {part: [found.percentile_ms(50), found.percentile_ms(99)] for part, found in parts.items()},
        "orders": submit.samples,
    }


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""How many ticks a second the loops sustain: market data to both desks' traders, two symbols, none lost.

The shipped ticks, several times in a row, at a speed that offers more than the bound; the exchange slows its replay
down when a reader cannot keep up, so what is offered and not taken shows in the rate. Lost is what the exchange sent
and a trader did not take.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import figures, sandbox, tape
from benchmarks.figures import Bound

SPEED: Final = 48.0  # the recording has 252 ticks a second
COPIES: Final = 4
SAMPLE_S: Final = 2.0
WARM_UP_S: Final = 4.0  # what is allocated once is there before memory is compared
GROWTH_MB: Final = 8.0  # more is not flat
BOUNDS: Final = {
    "ticks_per_s": Bound(at_least=10_000),
    "seconds": Bound(at_least=20),
    "lost": Bound(at_most=0),
    "memory_growth_mb": Bound(at_most=GROWTH_MB),
}


def main(argv: Sequence[str]) -> int:
    """Measure for half a minute."""
    parser = figures.options("ticks", __doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--speed", type=float, default=SPEED, help="of the replay, up to 60")
    options = parser.parse_args(argv)
    since = figures.before()
    with sandbox.database() as folder:
        measured = _measure(folder, options.seconds, options.speed)
    return figures.conclude("ticks", measured, BOUNDS, as_json=options.json, since=since)


def _measure(folder: Path, seconds: float, speed: float) -> dict[str, Any]:
    from benchmarks import stage, usage

    sandbox.say("writing the tape ...")
    made = tape.tiled(folder / "tape.parquet", copies=COPIES)
    with stage.exchange(dataset=made, speed=speed) as exchange:
        exchange.tell("/sim/pause", paused=True)
        with stage.loops() as loops:
            loops.wait_until_started()
            stage.wait_for("market data", lambda: exchange.status()["market_connections"] > 0)
            counted = stage.Counted(exchange, loops)
            memory: list[float] = []
            for _ in range(int(seconds / SAMPLE_S)):
                time.sleep(SAMPLE_S)
                memory.append(usage.rss_mb(loops.pid))
                sandbox.say(f"  {counted.seconds():.0f} s, {memory[-1]:.1f} MB")
            played, lost, took, report = counted.finish()
            cut = exchange.status()["disconnected_slow"]
    warm = memory[int(WARM_UP_S / SAMPLE_S) :]
    return {
        "ticks_per_s": round(played / took, 1),
        "seconds": round(took, 1),
        "ticks": played,
        "lost": lost,
        "memory_mb": memory[-1],
        "memory_first_mb": warm[0],
        "memory_last_mb": warm[-1],
        "memory_growth_mb": round(warm[-1] - warm[0], 1),
        "defects": {**report["dropped"], **report["unreadable"]},
        "reconnects": report["reconnects"],
        "disconnected_slow": cut,
    }


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""Resident memory of the whole demo a minute after its start, process by process.

RSS counts shared pages once for every process that maps them; PSS shares them out, so its sum is what the machine
really gives away. The bound is held against the larger one.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from benchmarks import demo, figures, sandbox, usage
from benchmarks.figures import Bound

BOUNDS: Final = {"total_rss_mb": Bound(at_most=1_200)}
SERVERS: Final = ("postgres", "valkey")


def main(argv: Sequence[str]) -> int:
    """Start the demo, wait, look."""
    parser = figures.options("memory", __doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="after everything is ready")
    options = parser.parse_args(argv)
    since = figures.before()
    with sandbox.data_folder(), demo.running() as up:
        sandbox.say(f"ready; waiting {options.seconds:g} s ...")
        time.sleep(options.seconds)
        measured = of_console(up.pid)
    return figures.conclude("memory", measured, BOUNDS, as_json=options.json, since=since)


def of_console(root: int) -> dict[str, Any]:
    """Return the memory of everything below the supervisor `root`, in all and by process."""
    rss: dict[str, float] = defaultdict(float)
    pss: dict[str, float] = defaultdict(float)
    shared_mb = 0.0
    processes: dict[str, int] = defaultdict(int)
    for pid in usage.descendants(root):
        try:
            found = usage.usage(pid)
        except OSError:
            continue  # it ended meanwhile
        name = "supervisor" if pid == root else name_of(pid)
        rss[name] += found.rss_mb
        pss[name] += found.pss_mb or found.rss_mb
        shared_mb += found.shared_mb
        processes[name] += 1
    return {
        "total_rss_mb": round(sum(rss.values()), 1),
        "total_pss_mb": round(sum(pss.values()), 1),
        "shared_mb": round(shared_mb, 1),
        "processes": {
            name: {"rss_mb": round(rss[name], 1), "pss_mb": round(pss[name], 1), "processes": processes[name]}
            for name in sorted(rss, key=lambda name: -rss[name])
        },
    }


def name_of(pid: int) -> str:
    """Return what the supervisor calls the process; the servers' own children carry their title."""
    line = usage.command_line(pid)
    return next((name for name in SERVERS if name in line), usage.variable(pid, "GRIDCONSOLE_PROCESS") or line[:40])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

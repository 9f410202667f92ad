"""`./console up` for a load test: the exchange lifts its order limits, the loops are counted; nothing else differs."""

import sys
from dataclasses import replace

from gridconsole import processes, up
from gridconsole.children import Launch
from gridconsole.profile import Profile

SIMULATOR, LOOPS = processes.simulator, processes.loops
CELERY = ["-m", "celery"]


def simulator(profile: Profile) -> Launch:
    """Return the exchange without its order limits."""
    launch = SIMULATOR(profile)
    return replace(launch, argv=[*launch.argv, "--lift-order-limits"])


def loops() -> Launch:
    """Return the worker of the loops with counters around them."""
    launch = LOOPS()
    python, *arguments = launch.argv
    if arguments[:2] != CELERY:
        raise RuntimeError(f"the loops are not started as this measurement expects: {launch.argv}")
    return replace(launch, argv=[python, "-m", "benchmarks.counted", *arguments[2:]])


if __name__ == "__main__":
    processes.simulator, processes.loops = simulator, loops
    raise SystemExit(up.main(sys.argv[1:]))

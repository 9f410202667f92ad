"""What a benchmark measured, held against its bounds."""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final

from benchmarks import sandbox

MISSED: Final = 1  # exit status
PRESSURE: Final = Path("/proc/pressure/cpu")


@dataclass(frozen=True, slots=True)
class Bound:
    """What a figure may be at most, or must be at least; a figure that was not measured is missed."""

    at_most: float | None = None
    at_least: float | None = None

    def is_met(self, value: float | None) -> bool:
        """Return whether `value` keeps within the bound."""
        if value is None:
            return False
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    def __str__(self) -> str:
        limits = ((self.at_most, "at most"), (self.at_least, "at least"))
        return " and ".join(f"{words} {limit:g}" for limit, words in limits if limit is not None)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest of the ascending values that `percent` of them do not exceed; one decimal is kept."""
    return round(ordered[max(ceil(len(ordered) * percent / 100), 1) - 1], 1)


def options(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return the parser every benchmark starts from."""
    parser = argparse.ArgumentParser(prog=f"./console bench {name}", description=description)
    parser.add_argument("--json", action="store_true", help="only the figures, as JSON on the last line")
    return parser


@dataclass(frozen=True, slots=True)
class Before:
    """How busy the machine was when a measurement began."""

    load: float  # average of the last minute, runnable processes
    at: float  # monotonic seconds
    waited_us: int  # time in which some process waited for a processor


def before() -> Before:
    """Return how busy the machine is now."""
    return Before(_load(), time.monotonic(), _waited_us())


def _load() -> float:
    return round(os.getloadavg()[0], 2)


def _waited_us() -> int:
    """Return the kernel's total of "some" processor pressure, 0 where it keeps none."""
    try:
        return int(PRESSURE.read_text().split("total=", 2)[1].split()[0])
    except (OSError, IndexError):
        return 0


def conclude(
    name: str,
    figures: Mapping[str, Any],
    bounds: Mapping[str, Bound],
    *,
    as_json: bool,
    since: Before,
) -> int:
    """Print the figures with their bounds; return the exit status, 0 when every bound is met."""
    missed = [figure for figure, bound in bounds.items() if not bound.is_met(figures.get(figure))]
    result = {
        "bench": name,
        "ok": not missed,
        **figures,
        "bounds": {figure: str(bound) for figure, bound in bounds.items()},
        "missed": missed,
        "processors": os.cpu_count(),
        "load_before": since.load,
        "load_after": _load(),
        # The share of the time in which somebody, ours or not, waited for a processor: high means a busy machine.
        "processor_pressure_percent": round((_waited_us() - since.waited_us) / (time.monotonic() - since.at) / 1e4, 1),
    }
    if as_json:
        sandbox.report(result)
    else:
        for key, value in result.items():
            limit = f"   ({bounds[key]}{', MISSED' if key in missed else ''})" if key in bounds else ""
            sys.stdout.write(f"{key:<28} {value}{limit}\n")
    return MISSED if missed else 0

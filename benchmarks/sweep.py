"""A thousand grids over a million ticks: the product's sweep on two cores, and what other engines make of a sample.

First the sweep must equal the plain kernel in every grid, bit for bit, and the sample must equal the other engines.
Each peer runs its part of the grids one after another in compiled, warm processes; hftbacktest, the fastest of them, in
two at once, as the sweep has two threads.
"""

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks import backtest, engines, figures, sandbox
from benchmarks.engines import Engine, Spec
from benchmarks.environments import BACKTESTING, HFTBACKTEST, NAUTILUS, PEERS, VECTORBT
from benchmarks.figures import Bound

CONFIGURATIONS: Final = 1_000
TICKS: Final = 1_000_000
THREADS: Final = 2
WARM: Final = 4
SAMPLES: Final = {HFTBACKTEST.name: 100, VECTORBT.name: 40, NAUTILUS.name: 4, BACKTESTING.name: 2}
PROCESSES: Final = {HFTBACKTEST.name: 2}
ROUNDS: Final = 3
MANY_ROUNDS: Final = frozenset({HFTBACKTEST.name, VECTORBT.name})  # the others run in the first one alone
TOLERANCE: Final = 1e-6  # quote currency
BOUNDS: Final = {
    "unequal": Bound(at_most=0),
    "seconds": Bound(at_most=1),
    "times_hftbacktest": Bound(at_least=100),
}


@dataclass(frozen=True, slots=True)
class Part:
    """What one engine did with its part of the grids."""

    results: Sequence[Any]  # fills, digest, equity of each
    wall_s: float
    cpu_s: float
    peak_mb: float


def specs(count: int = CONFIGURATIONS) -> list[Spec]:
    """Return grids of 8 to 40 intervals between 1.5 and 9 % to each side, every other one geometric."""
    found = []
    for k in range(count):
        away = 150 + 25 * (k % 31)
        found.append(Spec(10_000 - away, 10_000 + away, 8 + k % 33, 5, 50_000.0, geometric=k % 2 == 1))
    return found


def sample(count: int, of: int) -> list[int]:
    """Return `count` places spread evenly over `of`, all of them where there are fewer."""
    count = min(count, of)
    return [k * of // count for k in range(count)]


def main(argv: Sequence[str]) -> int:
    """Sweep, compare, report."""
    parser = figures.options("sweep", __doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--configurations", type=int, default=CONFIGURATIONS)
    parser.add_argument("--count", type=int, default=TICKS, help="ticks")
    parser.add_argument("--peers", nargs="*", choices=[p.name for p in PEERS], default=[p.name for p in PEERS])
    options = parser.parse_args(argv)
    pythons, missing = backtest.interpreters(options.peers)
    since = figures.before()
    folder = Path(tempfile.mkdtemp(prefix="gc-bench-"))
    try:
        tapes = engines.Tapes(folder, count=options.count)
        first = int(tapes.prints("sparse").ticks[0])
        grids = [spec.grid(first) for spec in specs(options.configurations)]
        measured = _measured(tapes.path("sparse"), grids, pythons, missing, options.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return figures.conclude("sweep", measured, BOUNDS, as_json=options.json, since=since)


def _measured(
    tape: Path,
    grids: Sequence[Mapping[str, Any]],
    pythons: Mapping[str, Path],
    missing: Mapping[str, str],
    rounds: int,
) -> dict[str, Any]:
    own = Engine("own", "run_own_sweep", engines.own().python, WARM)
    ours: list[dict[str, Any]] = []
    theirs: dict[str, list[Part]] = {name: [] for name in pythons}
    for number in range(rounds):
        sandbox.say(f"round {number + 1} of {rounds}: own ...")
        ours.append(engines.run(own, tape, grids))
        for peer in PEERS:
            if peer.name in pythons and (number == 0 or peer.name in MANY_ROUNDS):
                sandbox.say(f"round {number + 1} of {rounds}: {peer.name} ...")
                engine = Engine(peer.name, peer.module, pythons[peer.name])
                part = [grids[k] for k in sample(SAMPLES[peer.name], len(grids))]
                theirs[peer.name].append(_ran(engine, tape, part))
    return _told(ours, theirs, missing, len(grids))


def _ran(engine: Engine, tape: Path, grids: Sequence[Mapping[str, Any]]) -> Part:
    """Run the grids, in several processes at once where the engine is given them."""
    processes = PROCESSES.get(engine.name, 1)
    started = [engines.start(engine, tape, grids[k::processes]) for k in range(processes)]
    answers = [engines.finish(engine, *process) for process in started]
    results: list[Any] = [None] * len(grids)
    for k, answer in enumerate(answers):
        results[k::processes] = answer["results"]
    return Part(
        results,
        max(answer["wall_s"] for answer in answers),
        sum(answer["cpu_s"] for answer in answers),
        sum(answer["peak_mb"] for answer in answers),
    )


def _told(
    ours: Sequence[Mapping[str, Any]], theirs: Mapping[str, Sequence[Part]], missing: Mapping[str, str], count: int
) -> dict[str, Any]:
    seconds = [median(run["wall_s"] for run in answer["runs"][1:]) for answer in ours]
    cpu = [median(run["cpu_s"] for run in answer["runs"][1:]) for answer in ours]
    unequal = {name: differing(parts[0].results, ours[0]["results"]) for name, parts in theirs.items() if parts}
    own_unequal = max(int(answer["unequal"]) for answer in ours)
    peers: dict[str, Any] = {name: {"not_run": why} for name, why in missing.items()}
    for name, parts in theirs.items():
        peers[name] = peer_figures(parts, seconds, cpu, count) if not unequal[name] else {"comparable": False}
        peers[name]["unequal"] = unequal[name]
    total = own_unequal + sum(unequal.values())
    return {
        "own": {
            "configurations": count,
            "configurations_per_cpu_s": round(count / median(cpu), 1),
            "configurations_per_s": round(count / median(seconds), 1),
            "seconds": round(median(seconds), 3),
            "best_seconds": round(min(seconds), 3),
            "threads": THREADS,
            "ticks": ours[0]["ticks"],
            "fills": [min(r[0] for r in ours[0]["results"]), max(r[0] for r in ours[0]["results"])],
            "unequal_to_plain_kernel": own_unequal,
            "first_s": round(median(answer["runs"][0]["wall_s"] for answer in ours), 3),
            "peak_mb": round(median(answer["peak_mb"] for answer in ours), 1),
            "tape_sha256": ours[0]["tape_sha256"],
        },
        "peers": peers,
        "equal": total == 0,
        "unequal": total,
        "seconds": round(median(seconds), 3),
        "times_hftbacktest": peers.get(HFTBACKTEST.name, {}).get("own_is_faster", {}).get("wall"),
    }


def differing(theirs: Sequence[Any], ours: Sequence[Any]) -> int:
    """Return in how many grids of its sample a peer has other fills or another equity than ours."""
    places = sample(len(theirs), len(ours))
    return sum(
        fills != ours[k][0] or not abs(equity - ours[k][2]) <= TOLERANCE
        for k, (fills, _, equity) in zip(places, theirs, strict=True)
    )


def peer_figures(
    parts: Sequence[Part], own_seconds: Sequence[float], own_cpu: Sequence[float], count: int
) -> dict[str, Any]:
    """Return a peer's rates and how many times ours they are, the median over the rounds it took part in."""
    ran = len(parts[0].results)
    wall = [part.wall_s / ran for part in parts]  # a grid
    cpu = [part.cpu_s / ran for part in parts]
    return {
        "comparable": True,
        "configurations": ran,
        "configurations_per_cpu_s": round(1 / median(cpu), 2),
        "configurations_per_s": round(1 / median(wall), 2),
        "rounds": len(parts),
        "peak_mb": round(median(part.peak_mb for part in parts), 1),
        "own_is_faster": {
            "wall": round(median(w * count / s for w, s in zip(wall, own_seconds, strict=False)), 1),
            "cpu": round(median(c * count / s for c, s in zip(cpu, own_cpu, strict=False)), 1),
        },
    }


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

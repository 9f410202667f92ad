"""A thousand grids in one go: the product's sweep, held against its plain kernel grid by grid, bit for bit."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.peers import job, run_own
from trading.domain import kernel, sweeping

COMPARED = ("fills", "cash", "lots", "equity", "max_drawdown")


def main() -> None:
    """Sweep once to compile, then `--warm` times; run every grid in the plain kernel; print both."""
    options = _parser().parse_args()
    tape = job.read_tape(options.tape, options.count)
    grids = [job.grid_of(document) for document in json.loads(options.grids.read_text())]
    data = run_own.prepare(tape, grids[0])
    ladders, terms = [run_own.ladder(grid) for grid in grids], run_own.terms(grids[0])
    runs = [_swept(data, ladders, terms, options.threads)[1] for _ in range(options.warm)]
    swept, timing = _swept(data, ladders, terms, options.threads)
    plain = [kernel.run(data, ladder, terms) for ladder in ladders]
    unequal = sum(_row(swept, k) != _plain_row(outcome) for k, outcome in enumerate(plain))
    scale = plain[0].scale * 100
    answer = {
        "results": [[len(outcome.fills), "", outcome.equity / scale] for outcome in plain],
        "unequal": unequal,
        "runs": [*runs, timing],
        "tape_sha256": tape.sha256(),
        "ticks": len(tape.ticks),
        "peak_mb": job.peak_mb(),
        "cold_s": 0.0,
    }
    sys.stdout.write(json.dumps(answer) + "\n")


def _swept(data: Any, ladders: Any, terms: Any, threads: int) -> tuple[Any, dict[str, float]]:
    wall, cpu = time.perf_counter(), time.process_time()
    swept = sweeping.sweep(data, ladders, terms, threads=threads)
    return swept, {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def _row(swept: Any, k: int) -> tuple[int, ...]:
    return tuple(int(swept[name][k]) for name in COMPARED)


def _plain_row(outcome: kernel.Outcome) -> tuple[int, ...]:
    return len(outcome.fills), outcome.cash, outcome.lots, outcome.equity, outcome.max_drawdown


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--count", type=int, default=None)
    parser.add_argument("--grids", type=Path, required=True)
    parser.add_argument("--warm", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--spawned", type=float, default=0.0, help="not used: a sweep is measured warm")
    return parser


if __name__ == "__main__":
    main()

"""What every engine is asked, and what it must answer: one process, one tape, one grid, one line of JSON.

The grid has lines 0..n. One line is empty; below it every line holds a resting buy, above it a resting sell. A fill at
a line is followed by the opposite order on the line that was empty before: at line j of a buy by a sell at j + 1, of a
sell by a buy at j - 1. The inventory for the sells is bought at the first price. A print at a line's price fills.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

TICK: Final = 0.01
BUY, SELL = 1, -1
ROW: Final = 17  # bytes of one print in the file: time, price, side
MODULE_STARTED: Final = time.monotonic()


@dataclass(frozen=True)
class Grid:
    """The grid of one run; prices in ticks of 0.01, money in quote currency."""

    levels: tuple[int, ...]
    lots: int  # of each order
    empty: int  # line without an order at the start
    cash: float  # before the inventory was bought
    fee: float = 0.001  # of the notional, each side
    submit_ns: int = 0  # from the decision to the venue
    report_ns: int = 0  # from the venue to us
    by_side: bool = False  # a resting buy fills only from a seller that takes, a resting sell only from a buyer
    one_a_print: bool = False  # a print that passes several lines fills the first of them alone
    queue: str = "risk-averse"  # on a book: which model moves the queue ahead of an order
    power: float = 2.0  # of the model "power"
    partial: bool = True  # on a book: an order fills in parts
    opening_ticks: int = 0  # on a book: best ask, at which the inventory is bought

    @property
    def inventory(self) -> int:
        """Return the lots that the sells above the empty line need."""
        return self.lots * (len(self.levels) - 1 - self.empty)


@dataclass(frozen=True)
class Tape:
    """Shapes: (n,) each; see `benchmarks.gridtapes.Prints`, of a book `benchmarks.bookflows.Book`."""

    at_ns: Any
    ticks: Any
    side: Any = None
    kind: Any = None
    lots: Any = None

    def sha256(self) -> str:
        """Return the digest of the tape this process has read."""
        digest = sha256(self.at_ns.astype("<i8").tobytes())
        digest.update(self.ticks.astype("<i8").tobytes())
        for column, stored in ((self.side, "i1"), (self.kind, "i1"), (self.lots, "<i8")):
            if column is not None:
                digest.update(column.astype(stored).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Result:
    """What an engine did: fills (m, 3) of event index, line and side in their order, and what is owned at the end.

    On a book a fill has its lots as well, and its event is the first of its time.
    """

    fills: Any
    cash: float
    lots: float

    def equity(self, last_ticks: int) -> float:
        """Return cash and inventory at the last price."""
        return self.cash + self.lots * last_ticks * TICK


# An engine: reads the tape into what it runs on, runs it (timed), tells what came of it in common terms (not timed).
Prepare = Callable[[Tape, Grid], Any]
Run = Callable[[Any, Tape, Grid], Any]
Collect = Callable[[Any, Tape, Grid], Result]


def opening_cash(grid: Grid, first_ticks: int) -> float:
    """Return the cash that is left when the inventory was bought at the first price, fee included."""
    return grid.cash - grid.inventory * first_ticks * TICK * (1 + grid.fee)


def first_at(tape: Tape, at_ns: Any) -> Any:
    """Return the first event of each time: those of one time have no order that every engine keeps."""
    return np.searchsorted(tape.at_ns, at_ns)


def joined(fills: Any) -> Any:
    """Return one row for all parts of an order that filled at one time; lots are added up.

    Shapes:
        fills: (m, 4) of event index, line, side, lots.
    """
    found, place = np.unique(fills[:, :3], axis=0, return_inverse=True)
    lots = np.bincount(place.ravel(), weights=fills[:, 3], minlength=len(found)).astype(np.int64)
    return ordered(np.column_stack([found, lots]), columns=4)


def ordered(fills: Any, columns: int = 3) -> Any:
    """Return the fills as an array: by event, and in the order in which the price passed the lines within one.

    Several lines that one print passes have no order of their own in the market: buys are listed from the highest line
    down, sells from the lowest up.

    Shapes:
        fills: m rows of event index, line, side.
    """
    table = np.array(fills, dtype=np.int64).reshape(-1, columns)
    return table[np.lexsort((-table[:, 1] * table[:, 2], table[:, 0]))]


def digest(fills: Any) -> str:
    """Return the SHA-256 of (event index, line, side) of every fill."""
    return sha256(np.ascontiguousarray(fills, dtype="<i8").tobytes()).hexdigest()


def read_tape(path: Path, count: int | None) -> Tape:
    """Return the tape, or its first `count` prints."""
    if path.suffix == ".npz":  # a book
        with np.load(path) as stored:
            return Tape(**{name: stored[name][:count] for name in stored.files})
    stored = np.asarray(np.memmap(path, np.uint8, mode="c"))  # no archive: to unpack it took as long as a short run
    at_ns, ticks = stored[: len(stored) // ROW * 16].view("<i8").reshape(2, -1)
    return Tape(at_ns[:count], ticks[:count], stored[2 * at_ns.nbytes :].view("i1")[:count])


def peak_mb() -> float:
    """Return the most memory this process ever held resident, MB."""
    try:
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return largest / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main(version: str, prepare: Prepare, run: Run, collect: Collect, *, tuned: Sequence[str]) -> None:
    """Run the engine once cold, `--warm` times more in the same process, and print what it did.

    `cold_s` ends when the first report is there; hashing, the warm runs and this line come after it. `peak_mb` is that
    of the first report, too.
    """
    options = _parser().parse_args()
    grids = [grid_of(document) for document in json.loads(options.grids.read_text())]
    tape = read_tape(options.tape, options.count)
    if len(grids) > 1:
        _print(_sweep(prepare, run, collect, tape, grids))
        return
    grid = grids[0]
    began = time.monotonic()
    data = prepare(tape, grid)
    prepare_s = time.monotonic() - began
    raw, timing = _timed(run, data, tape, grid)
    first = collect(raw, tape, grid)
    equity = round(first.equity(int(tape.ticks[-1])), 9)
    cold_s, peak, runs = time.monotonic() - options.spawned, peak_mb(), [timing]
    cold_cpu_s = time.process_time()
    for _ in range(options.warm):
        raw, timing = _timed(run, prepare(tape, grid), tape, grid)
        runs.append(timing)
        if digest(collect(raw, tape, grid).fills) != digest(first.fills):
            raise SystemExit("the second run of the same process filled differently")
    _print(
        {
            "version": version,
            "tuned": list(tuned),
            "fills": len(first.fills),
            "equity": equity,
            "cash": first.cash,
            "lots": first.lots,
            "fills_sha256": digest(first.fills),
            "tape_sha256": tape.sha256(),
            "ticks": len(tape.ticks),
            "prepare_s": prepare_s,
            "cold_s": cold_s,
            "cold_cpu_s": cold_cpu_s,
            "runs": runs,
            "peak_mb": peak,
            "load": os.getloadavg()[0],
        }
    )


def _sweep(prepare: Prepare, run: Run, collect: Collect, tape: Tape, grids: Sequence[Grid]) -> dict[str, Any]:
    """Run grid after grid on one prepared tape; the first one once more before, so that compiling is not counted."""
    data = prepare(tape, grids[0])
    collect(run(data, tape, grids[0]), tape, grids[0])
    found, wall_s, cpu_s = [], 0.0, 0.0
    for grid in grids:
        raw, timing = _timed(run, data, tape, grid)
        result = collect(raw, tape, grid)
        found.append([len(result.fills), digest(result.fills), result.equity(int(tape.ticks[-1]))])
        wall_s, cpu_s = wall_s + timing["wall_s"], cpu_s + timing["cpu_s"]
    return {"results": found, "wall_s": wall_s, "cpu_s": cpu_s, "tape_sha256": tape.sha256(), "peak_mb": peak_mb()}


def grid_of(document: dict[str, Any]) -> Grid:
    """Return the grid of one entry of a file of grids."""
    return Grid(**{**document, "levels": tuple(document["levels"])})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--count", type=int, default=None, help="only so many prints")
    parser.add_argument("--grids", type=Path, required=True, help="JSON list of grids; more than one is a sweep")
    parser.add_argument("--warm", type=int, default=1, help="further runs in this process")
    parser.add_argument("--spawned", type=float, default=MODULE_STARTED, help="monotonic time of the start")
    return parser


def _timed(run: Run, data: Any, tape: Tape, grid: Grid) -> tuple[Any, dict[str, float]]:
    """Return the answer of one run and how long it took, by the clock and by the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    raw = run(data, tape, grid)
    return raw, {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def _print(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()

"""The grid in the product's queue model: a book and its trades, post-only orders with a place in the queue."""

from typing import Any

import numpy as np

from benchmarks.peers import run_own
from benchmarks.peers.job import Grid, Result, Tape, first_at, joined, main
from trading.domain import queueing
from trading.domain.depth import Flow
from trading.domain.queues import Queue


def prepare(tape: Tape, grid: Grid) -> Any:
    """Return the tape as the model's own."""
    return Flow("BOOK", tape.at_ns, tape.kind, tape.ticks, tape.lots)


def run(data: Any, tape: Tape, grid: Grid) -> Any:
    """Run the queue model."""
    terms = run_own.terms(grid)
    model = queueing.QueueModel(Queue(grid.queue), grid.power, 1.0, grid.partial)
    return queueing.run(data, run_own.ladder(grid), run_own.ungated(terms), model)


def collect(raw: Any, tape: Tape, grid: Grid) -> Result:
    """Return fills, cash and inventory."""
    events = first_at(tape, raw.fills["at_ns"])
    fills = np.stack([events, *(raw.fills[name] for name in ("line", "side", "lots"))], axis=1)
    return Result(joined(fills), raw.cash / raw.scale / 100, raw.lots)


if __name__ == "__main__":
    main("", prepare, run, collect, tuned=())

"""One run of one engine in a process of its own, on a tape that lies in a file."""

import json
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import bookflows, environments, gridtapes
from gridconsole.profile import BASE_DIR

LIMIT_S: Final = 3_600
WORDS: Final = 2_000  # characters of what a failed run said last
CENTS: Final = 100


class Failed(Exception):
    """An engine did not finish; the message shows its last words."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A grid between two prices, in ticks of 0.01."""

    low: int
    high: int
    intervals: int
    lots: int
    cash: float
    geometric: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)  # latencies and rules, as `peers.job.Grid` names them

    def levels(self) -> list[int]:
        """Return the lines, rounded to the tick."""
        steps = np.arange(self.intervals + 1) / self.intervals
        if self.geometric:
            return [int(level) for level in np.rint(self.low * (self.high / self.low) ** steps)]
        return [int(level) for level in np.rint(self.low + (self.high - self.low) * steps)]

    def grid(self, first_ticks: int) -> dict[str, Any]:
        """Return what a runner is given; the line nearest to the first price stays empty, the lower of two."""
        levels = self.levels()
        empty = min(range(len(levels)), key=lambda line: (abs(levels[line] - first_ticks), line))
        return {"levels": levels, "lots": self.lots, "empty": empty, "cash": self.cash, **self.more}


@dataclass(frozen=True, slots=True)
class Engine:
    """A runner and the interpreter that runs it."""

    name: str
    module: str
    python: Path
    warm: int = 0  # further runs in the same process, where the first one compiles


class Tapes:
    """The tapes and the books of one benchmark, each written once."""

    def __init__(self, folder: Path, *, count: int | None = None) -> None:
        self._folder = folder
        self._count = count
        self._made: dict[str, gridtapes.Prints] = {}
        self._books: dict[str, bookflows.Book] = {}

    def prints(self, name: str) -> gridtapes.Prints:
        """Return a tape, cut off where the benchmark is cut short.

        Raises:
            UnableToMake: its recording is not there.
        """
        if name not in self._made:
            prints = gridtapes.MAKERS[name]()
            self._made[name] = prints if self._count is None else prints.first(self._count)
            self._made[name].write(self.path(name))
        return self._made[name]

    def book(self, name: str) -> bookflows.Book:
        """Return a book, cut off where the benchmark is cut short.

        Raises:
            UnableToMake: its recording is not there.
        """
        if name not in self._books:
            book = bookflows.recorded(name)
            self._books[name] = book if self._count is None else book.first(self._count)
            self._books[name].write(self.path(name))
        return self._books[name]

    def path(self, name: str) -> Path:
        """Return where it lies."""
        return self._folder / f"{name}.{'npz' if name in self._books else 'tape'}"


def run(
    engine: Engine,
    tape: Path,
    grids: Sequence[Mapping[str, Any]],
    *,
    variables: Mapping[str, str] | None = None,
    count: int | None = None,
) -> dict[str, Any]:
    """Return what the runner printed.

    Raises:
        Failed: it ended in error or took too long.
    """
    process, asked = start(engine, tape, grids, variables=variables, count=count)
    return finish(engine, process, asked)


def start(
    engine: Engine,
    tape: Path,
    grids: Sequence[Mapping[str, Any]],
    *,
    variables: Mapping[str, str] | None = None,
    count: int | None = None,
) -> tuple[subprocess.Popen[str], Path]:
    """Start a runner; return its process and the file of its grids."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(list(grids), file)
    command: list[str | Path] = [
        engine.python,
        "-m",
        f"benchmarks.peers.{engine.module}",
        "--tape",
        tape,
        "--grids",
        file.name,
    ]
    command += ["--warm", str(engine.warm), *(["--count", str(count)] if count else [])]
    process = subprocess.Popen(
        [*command, "--spawned", str(time.monotonic())],
        cwd=BASE_DIR,
        env=environments.environment() | dict(variables or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, Path(file.name)


def finish(engine: Engine, process: subprocess.Popen[str], asked: Path) -> dict[str, Any]:
    """Wait for a runner and return what it printed.

    Raises:
        Failed: it ended in error or took too long.
    """
    try:
        said, errors = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise Failed(f"{engine.name}: not ready within {LIMIT_S} s") from error
    finally:
        asked.unlink(missing_ok=True)
    if process.returncode:
        raise Failed(f"{engine.name}: {(said + errors)[-WORDS:]}")
    return dict(json.loads(said.splitlines()[-1]))


def own(name: str = "own", module: str = "run_own", *, warm: int = 0) -> Engine:
    """Return an engine that runs in the product's environment."""
    return Engine(name, module, environments.own_python(), warm)

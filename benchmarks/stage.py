"""The processes a benchmark measures: the exchange, the loops, the web, each by itself as in `up`."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from benchmarks import sandbox
from gridconsole import processes, profile
from gridconsole.children import Child, Launch, stop_together
from gridconsole.loopback import answers
from trading.domain.latency import Histogram
from trading.domain.limits import ExecutionStyle

START_LIMIT_S: Final = 60.0
POLL_S: Final = 0.05
GRACE_S: Final = 8.0
ANSWER_LIMIT_S: Final = 10.0
LATE_S: Final = 10.0  # how long the last ticks may take
AT_REST_S: Final = 0.3  # without a tick
WORDS: Final = 4_000  # characters of a log


class UnableToMeasure(Exception):
    """A process did not do its part; the message says which, or shows its log."""


def wait_for(what: str, condition: Callable[[], bool], *, limit_s: float = START_LIMIT_S) -> float:
    """Return after how many seconds `condition` held.

    Raises:
        UnableToMeasure: it never did.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > limit_s:
            raise UnableToMeasure(f"{what}: not within {limit_s:g} s.")
        time.sleep(POLL_S)
    return time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Exchange:
    """A simulated exchange in a process of its own."""

    url: str
    pid: int

    def status(self) -> dict[str, Any]:
        """Return what the exchange says of itself."""
        return self._ask("/sim/status", None)

    def tell(self, path: str, **document: object) -> dict[str, Any]:
        """Post to the control plane."""
        return self._ask(path, json.dumps(document).encode())

    def _ask(self, path: str, body: bytes | None) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + path, data=body, timeout=ANSWER_LIMIT_S) as answer:
            return dict(json.load(answer))


@contextmanager
def exchange(*, dataset: str | Path, speed: float, latency_ms: float = 0.0) -> Iterator[Exchange]:
    """Run the exchange on the sandbox's port."""
    found = profile.read(of_running=False)
    launch = processes.simulator(found)
    what = ("--dataset", str(dataset), "--speed", str(speed), "--latency-ms", str(latency_ms))
    launch = replace(launch, argv=[*launch.argv, *what])  # what is said last counts
    with running(launch, found.data_dir, lambda: answers(f"{found.own_simulator_url}/sim/status")) as child:
        yield Exchange(found.own_simulator_url, child.pid)


@contextmanager
def web() -> Iterator[Child]:
    """Run the web process on the sandbox's port."""
    found = profile.read(of_running=False)
    with running(processes.web(found), found.data_dir, lambda: answers(found.health_url("healthz"))) as child:
        yield child


@contextmanager
def running(launch: Launch, data_dir: Path, is_ready: Callable[[], bool]) -> Iterator[Child]:
    """Run one process for the length of the block.

    Raises:
        UnableToMeasure: it did not get ready.
    """
    child = Child(launch, log_dir=data_dir / "log")
    child.start()
    try:
        wait_for(launch.name, lambda: is_ready() or not child.running)
        if not child.running:
            raise UnableToMeasure(f"{launch.name} did not start:\n{child.log_tail(15)}")
        yield child
    finally:
        stop_together([child], grace_s=GRACE_S)


class Loops:
    """The loops in a process of their own, with counters."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def ask(self) -> dict[str, Any]:
        """Return what was counted by now.

        Raises:
            UnableToMeasure: the process has ended.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise UnableToMeasure("the loops were started without pipes.")
        self._process.stdin.write("report\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise UnableToMeasure(f"the loops ended:\n{self.words()}")
        return dict(json.loads(line))

    def words(self) -> str:
        """Return the end of the loops' log."""
        return self._log.read_text()[-WORDS:]

    def wait_until_started(self) -> None:
        """Return when every execution loop has started and has read its venue clean."""
        wait_for("execution loops", lambda: (seen := self.ask()["started"]) and all(seen.values()))


class Counted:
    """Ticks between now and `finish`, counted by the exchange and by the loops; the replay must stand still now."""

    def __init__(self, exchange: Exchange, loops: Loops) -> None:
        self._exchange = exchange
        self._loops = loops
        self._played, self._before = self._at_rest()
        self._began = time.monotonic()
        exchange.tell("/sim/pause", paused=False)

    def seconds(self) -> float:
        """Return how long it has been."""
        return time.monotonic() - self._began

    def finish(self) -> tuple[int, int, float, dict[str, Any]]:
        """Stop the replay, let everything arrive; return ticks sent, ticks lost, seconds and the loops' report."""
        self._exchange.tell("/sim/pause", paused=True)
        took = self.seconds()
        played = self._exchange.status()["events_played"] - self._played
        with suppress(UnableToMeasure):
            wait_for("the last ticks", lambda: self._missing(played) == 0, limit_s=LATE_S)
        if missing := self._missing(played):
            sandbox.say(f"{missing} ticks are missing; the loops' last words:\n{self._loops.words()}")
        return played, self._missing(played), took, self._loops.ask()

    def _at_rest(self) -> tuple[int, dict[str, int]]:
        """Return what was sent and taken once both stand still: what is on its way belongs to before."""
        last: tuple[int, dict[str, int]] | None = None
        while (now := (self._exchange.status()["events_played"], self._taken(self._loops.ask()))) != last:
            last = now
            time.sleep(AT_REST_S)
        return now

    def _missing(self, played: int) -> int:
        """Return how many ticks the loop that took the fewest has not taken."""
        taken = self._taken(self._loops.ask())
        return played - min(taken[name] - self._before.get(name, 0) for name in taken)

    def _taken(self, report: Mapping[str, Any]) -> dict[str, int]:
        return {"market_data": report["published"], **report["handled"]}


@contextmanager
def loops(*, pace: int | None = None) -> Iterator[Loops]:
    """Run the loops of every desk of the sandbox."""
    log = profile.read(of_running=False).data_dir / "log" / "loops.log"
    arguments = [] if pace is None else [str(pace)]
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.host", *arguments],
            cwd=profile.BASE_DIR,
            env=_environment("loops"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
    try:
        yield Loops(process, log)
    except UnableToMeasure:
        sandbox.say(f"the loops' last words:\n{log.read_text()[-WORDS:]}")
        raise
    finally:
        process.communicate()  # the end of its input ends it


def _environment(name: str) -> Mapping[str, str]:
    import os

    return {**os.environ, "GRIDCONSOLE_PROCESS": name}


def merged(report: Mapping[str, Any], segment: str) -> Histogram:
    """Return the durations of one segment over all desks."""
    total = Histogram()
    for segments in report["segments"].values():
        total.add(durations(segments[segment]))
    return total


def durations(counts: Mapping[str, int]) -> Histogram:
    """Return the histogram whose counts came as JSON."""
    return Histogram(counts={int(bucket): count for bucket, count in counts.items()})


def retune(
    slug: str,
    *,
    style: ExecutionStyle,
    step_fraction: Decimal,
    slots: int,
    lot_quote: Decimal,
    open_orders: int,
    symbols: Sequence[str] | None = None,
) -> None:
    """Give a desk the grids a measurement needs under a mandate wide enough, on the two tick symbols unless told."""
    from trading.domain.grid import Spacing
    from trading.models import Account, Grid, Mandate
    from trading.services.demo import TICK_SYMBOLS

    account = Account.objects.get(slug=slug)
    mandate = Mandate.objects.filter(account=account).latest("version")
    mandate.pk, mandate.version = None, mandate.version + 1
    symbols = symbols or TICK_SYMBOLS
    mandate.symbols, mandate.execution_styles = list(symbols), [style]
    mandate.max_daily_trades, mandate.max_open_orders = 1_000_000, open_orders
    mandate.max_daily_drawdown_fraction = mandate.max_daily_drawdown_hard_fraction = Decimal("0.9")
    mandate.max_symbol_drawdown_fraction = None
    mandate.max_trade_loss_quote = mandate.max_slippage_loss_quote = None
    mandate.max_symbol_exposure_fraction, mandate.max_total_exposure_fraction = Decimal("0.45"), Decimal("0.9")
    mandate.put_into_force_at = datetime.now(UTC)
    mandate.save()
    Grid.objects.filter(account=account).exclude(symbol__in=symbols).update(enabled=False)
    laid = {"style": style, "step_fraction": step_fraction, "slots": slots, "lot_quote": lot_quote}
    for symbol in symbols:
        Grid.objects.update_or_create(
            account=account, symbol=symbol, defaults={**laid, "spacing": Spacing.GEOMETRIC, "enabled": True}
        )

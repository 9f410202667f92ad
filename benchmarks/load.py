"""Two hundred orders a second beside ten thousand ticks a second: nothing lost, no order held up, no memory that grows.

The whole console runs under its real supervisor, the venue 20 ms away, on a tape whose prices run up and down through
the ladders of both desks; ticks come evenly. The micro desk takes (MARKET orders on crossings), the production desk
makes (post-only orders). All figures are of the time after a warm-up. With `--steps` or `--ticks` it shows where the
console ends.

The exchange lifts its order limits (100 orders in ten seconds and account, 200,000 a day, and the weight of an order
in the 6,000 a minute): it would refuse almost all of these. How a desk behaves within them is held by
`tests/trading/runtime/test_order_limits.py`. Four things are of the harness, not of a console: counters around the
loops; mandates wide enough for a load that never ends; no pace of the ladder's own, which follows the venue's limit;
and a forecast that allows steps a third as wide, because prices that cross two hundred levels a second are what it is
there to keep out of (`benchmarks.counted`).

lost: ticks the exchange sent and a desk did not take; orders and executions the exchange numbered and the database
    does not have (its order ids and trade ids have no gaps, so this misses none); acknowledgements the loops received
    whose order has no venue id in the database.
overhead: of each acknowledged order, from the arrival of the tick that called for it in our process (for an order that
    an answer or a second called for: from its decision) until the venue's answer is decoded, minus the simulated round
    trip. What the exchange itself computes, the sockets, and a round trip longer than asked for count as ours. What
    comes before is `tick_age`: from the exchange's stamp of a print (whole ms) until our decoder has it.
memory_growth_fraction: of the resident memory of all processes of the console together (PSS: shared pages count once),
    from the end of the warm-up to the end of the load. What ended is remembered for 20 s and the database takes its
    buffers page by page: the warm-up of a run of a minute or more is long enough for both. The exchange stands for the
    venue, is no part of a console, and keeps every order so that nothing can be lost unseen: it is shown by itself.
"""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks import counted, figures, memory, sandbox, stage, tape, truth, usage
from benchmarks.figures import Bound
from benchmarks.host import COMMIT, DECIDE, KNOWN, SEND
from gridconsole import profile
from gridconsole.children import Child, Launch, stop_together
from trading.domain.latency import Histogram
from trading.domain.venue_orders import VenueState

SHORT_S, LONG_S = 60.0, 600.0
WARM_UP_S, WARM_UP_FRACTION = (
    90.0,
    0.25,
)  # of a run of a minute or more; of a shorter one, which tells nothing of memory
START_LIMIT_S: Final = 60.0
CALM_S: Final = 20.0  # the console starts and lays its ladders while prices stand still
LATE_S: Final = 15.0  # of tape, beyond what is asked for
TICKS_PER_S: Final = 10_000
ORDERS_PER_S: Final = 200
TAPE_PER_S: Final = 10_200
ROUND_TRIP_MS: Final = 20.0
STEP_FRACTION: Final = Decimal("0.0024")  # pays for fees, spread and rounding on every symbol
STEPS_PER_S: Final = 28.0  # of each of eight ladders
BETWEEN_STEPS: Final = (-5.55, 5.55)  # from the middle: just beyond the outermost levels of eleven slots
SLOTS: Final = 11  # on four symbols: 44 lots of 6 USDT are what 90 % of 300 USDT are enough for
SAY_EVERY_S: Final = 10.0
QUIET_LIMIT_S: Final = 30.0
SHOWN: Final = 10  # differences
REFUSED: Final = ("DENIED", "REJECTED")
VENUE: Final = "simulator"
OPENING: Final = {"micro": Decimal(300), "production": Decimal(25_000)}
BOUNDS: Final = {
    "orders_per_s": Bound(at_least=ORDERS_PER_S),
    "ticks_per_s": Bound(at_least=TICKS_PER_S),
    "lost": Bound(at_most=0),
    "overhead_p99_ms": Bound(at_most=50),
    "memory_growth_fraction": Bound(at_most=0.05),
    "book_differences": Bound(at_most=0),
    "audit_breaks": Bound(at_most=0),
}


def main(argv: Sequence[str]) -> int:
    """Load the console, then look for everything."""
    parser = figures.options("load", __doc__)
    parser.add_argument("--seconds", type=float, default=SHORT_S)
    parser.add_argument("--long", action="store_true", help=f"{LONG_S:g} s")
    parser.add_argument("--ticks", type=int, default=TAPE_PER_S, help="offered in a second")
    parser.add_argument("--steps", type=float, default=STEPS_PER_S, help="of the ladders crossed in a second")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # everything is stopped on the way out
    since = figures.before()
    plan = Plan(LONG_S if options.long else options.seconds, options.ticks, options.steps)
    with sandbox.data_folder() as folder:
        measured = _measure(folder, plan)
    return figures.conclude("load", measured, BOUNDS, as_json=options.json, since=since)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is offered for how long."""

    seconds: float
    ticks_per_s: int
    steps_per_s: float

    @property
    def warm_up_s(self) -> float:
        """How long the load runs before anything is measured."""
        return WARM_UP_S if self.seconds >= SHORT_S else self.seconds * WARM_UP_FRACTION

    @property
    def tape_s(self) -> float:
        """Length of the tape."""
        return CALM_S + self.warm_up_s + self.seconds + LATE_S


def _measure(folder: Path, plan: Plan) -> dict[str, Any]:
    sandbox.say(f"writing the tape and preparing {folder} ...")
    made = tape.zigzag(
        folder / "tape.parquet",
        seconds=plan.tape_s,
        calm_s=CALM_S,
        per_second=plan.ticks_per_s,
        step_fraction=float(STEP_FRACTION),
        steps_per_s=plan.steps_per_s,
        between=BETWEEN_STEPS,
    )
    os.environ.update(GRIDCONSOLE_DATASET=str(made), GRIDCONSOLE_SPEED=str(tape.PLAYED_AT))
    with sandbox.prepared(folder):
        _retune()
        _hang_up()
    launch = Launch("up", [sys.executable, "-m", "benchmarks.laden", "--no-browser"], stop_signal=signal.SIGINT)
    up = Child(launch, log_dir=folder / "log")
    up.start()
    try:
        _wait_until_ready(up)
        found = profile.read(of_running=True)
        exchange = stage.Exchange(found.own_simulator_url, 0)
        exchange.tell("/sim/fault", kind="round_trip", latency_ms=ROUND_TRIP_MS)
        watcher, load = truth.Watcher(folder), Load(up.pid, exchange, Loops(folder), plan)
        with watcher.watching():
            measured = load.run()
        compared = _compare(watcher, load.acknowledged())
        lifted = {
            "order_limits_lifted": exchange.status()["order_limits_lifted"],
            "ladder_pace_per_10s": counted.PACE,
            "forecast_sigmas": counted.SIGMAS,
        }
        return {**measured, **compared, "lost": measured["ticks_lost"] + compared["missing"], **lifted}
    finally:
        _hang_up()
        stop_together([up], grace_s=60.0)


def _wait_until_ready(up: Child) -> None:
    """Return when the supervisor says that everything runs.

    Raises:
        UnableToMeasure: it does not; the message shows what it and the loops said.
    """
    try:
        stage.wait_for(
            "./console up", lambda: "Ready after" in up.log_tail(50) or not up.running, limit_s=START_LIMIT_S
        )
        if up.running:
            return
        why = "./console up ended"
    except stage.UnableToMeasure as error:
        why = str(error)
    loops = up.log_path.with_name("loops.log")
    raise stage.UnableToMeasure(
        f"{why}\n{up.log_tail(30)}\n{loops.read_text()[-stage.WORDS :] if loops.exists() else ''}"
    )


class Loops(stage.Loops):
    """The loops as the supervisor started them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "log" / "loops.log"

    def ask(self) -> dict[str, Any]:
        """Return what was counted by now.

        Raises:
            UnableToMeasure: the loops do not run.
        """
        try:
            return counted.ask(self.folder)
        except (OSError, ValueError) as error:
            raise stage.UnableToMeasure(f"the loops do not answer ({error}):\n{self.words()}") from error


@dataclass(frozen=True, slots=True)
class Moment:
    """The console as it stands at one moment."""

    at: float  # monotonic seconds
    report: Mapping[str, Any]  # of the loops
    memory: Mapping[str, Any]
    processor_s: Mapping[str, float]  # by process

    @property
    def handled(self) -> int:
        """Ticks taken by the desk that took the fewest."""
        return int(min(self.report["handled"].values()))

    def part(self, name: str) -> Histogram:
        """Return the durations of one part of an order's way so far."""
        return stage.durations(self.report["parts"][name])


class Load:
    """The load on one running console."""

    def __init__(self, up: int, exchange: stage.Exchange, loops: Loops, plan: Plan) -> None:
        self._up, self._exchange, self._loops, self._plan = up, exchange, loops, plan

    def run(self) -> dict[str, Any]:
        """Load it for as long as planned; return what was measured meanwhile."""
        stage.wait_for("counters", self._counts)
        self._loops.wait_until_started()
        if self._is_swinging():
            raise stage.UnableToMeasure(f"the console took longer than the {CALM_S:g} s in which prices stand still.")
        self._exchange.tell("/sim/pause", paused=True)
        sandbox.say("ready; loading ...")
        ticks = stage.Counted(self._exchange, self._loops)
        stage.wait_for("prices that swing", self._is_swinging)
        time.sleep(self._plan.warm_up_s)
        warm = self._moment()
        while (left := warm.at + self._plan.seconds - time.monotonic()) > 0:
            time.sleep(min(SAY_EVERY_S, left))
            sandbox.say(f"  {time.monotonic() - warm.at:.0f} s, {self.acknowledged()} orders")
        end = self._moment()
        played, lost, _, _ = ticks.finish()
        return {**_rates(warm, end), **_memory(warm, end), "ticks": played, "ticks_lost": lost}

    def _counts(self) -> bool:
        try:
            counted.ask(self._loops.folder)
        except OSError:
            return False
        return True

    def _is_swinging(self) -> bool:
        progress: float = self._exchange.status()["progress"]
        return progress * self._plan.tape_s > CALM_S

    def acknowledged(self) -> int:
        """Return how many acknowledgements the loops have received."""
        return stage.durations(self._loops.ask()["parts"][KNOWN]).samples

    def _moment(self) -> Moment:
        return Moment(time.monotonic(), self._loops.ask(), memory.of_console(self._up), self._processor_s())

    def _processor_s(self) -> dict[str, float]:
        used: dict[str, float] = {}
        for pid in usage.descendants(self._up):
            name = "supervisor" if pid == self._up else memory.name_of(pid)
            with suppress(OSError):  # it ended meanwhile
                used[name] = used.get(name, 0.0) + usage.processor_s(pid)
        return used


def _rates(warm: Moment, end: Moment) -> dict[str, Any]:
    seconds = end.at - warm.at
    parts = {name: _since(end.part(name), warm.part(name)) for name in (DECIDE, COMMIT, SEND, KNOWN)}
    known, age = parts[KNOWN], _since(*(stage.durations(moment.report["age"]) for moment in (end, warm)))
    return {
        "orders_per_s": round(known.samples / seconds, 1),
        "ticks_per_s": round((end.handled - warm.handled) / seconds, 1),
        "overhead_p50_ms": _overhead(known, 50),
        "overhead_p99_ms": _overhead(known, 99),
        "overhead_max_ms": _overhead(known, 100),
        "tick_age_p50_p99_ms": [age.percentile_ms(50), age.percentile_ms(99)],
        "parts_p50_p99_ms": {name: [part.percentile_ms(50), part.percentile_ms(99)] for name, part in parts.items()},
        "orders": known.samples,
        "seconds": round(seconds, 1),
        "venue_round_trip_ms": ROUND_TRIP_MS,
        "processors_by_process": {
            name: round((used - warm.processor_s.get(name, 0.0)) / seconds, 2)
            for name, used in sorted(end.processor_s.items(), key=lambda pair: -pair[1])
        },
        "defects": {**end.report["dropped"], **end.report["unreadable"]},
        "reconnects": end.report["reconnects"],
        "loop_starts": end.report["starts"],
    }


def _overhead(known: Histogram, percent: float) -> float | None:
    """Return the percentile without the venue's round trip, which is the same for every order."""
    found = known.percentile_ms(percent)
    return None if found is None else round(found - ROUND_TRIP_MS, 1)


def _since(now: Histogram, before: Histogram) -> Histogram:
    """Return what was counted between two moments."""
    return Histogram({bucket: n - before.counts.get(bucket, 0) for bucket, n in now.counts.items()})


def _memory(warm: Moment, end: Moment) -> dict[str, Any]:
    """Return how the memory of the console grew; where the kernel tells no PSS of a process, its RSS counts."""
    venue = [moment.memory["processes"].get(VENUE, {}).get("pss_mb", 0.0) for moment in (warm, end)]
    all_of_it = [moment.memory["total_pss_mb"] for moment in (warm, end)]
    first, last = (round(total - its, 1) for total, its in zip(all_of_it, venue, strict=True))
    return {
        "memory_growth_fraction": round((last - first) / first, 4),
        "memory_first_mb": first,
        "memory_last_mb": last,
        "venue_mb": venue,
        "shared_buffers_mb": [moment.memory["shared_mb"] for moment in (warm, end)],  # taken page by page
        "memory_by_process_mb": {
            name: [found["pss_mb"], end.memory["processes"].get(name, {}).get("pss_mb")]
            for name, found in warm.memory["processes"].items()
        },
    }


# --- what must be there afterwards ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Missing:
    """What the exchange numbered, or the loops were told, and the database does not have."""

    orders: frozenset[int]  # the exchange's ids
    fills: frozenset[tuple[str, int]]  # symbol, trade id
    acknowledged: int

    @classmethod
    def of(cls, venue: VenueState, orders: Set[int], fills: Set[tuple[str, int]], acknowledged: int) -> "Missing":
        """Compare what the exchange gave out with the venue ids and trade ids in the database."""
        given = {(symbol, n) for symbol, following in venue.next_trade_ids.items() for n in range(1, following)}
        return cls(
            orders=frozenset(range(1, venue.next_order_id)) - orders,
            fills=frozenset(given - fills),
            acknowledged=max(acknowledged - len(orders), 0),
        )

    @property
    def count(self) -> int:
        """How much is missing."""
        return len(self.orders) + len(self.fills) + self.acknowledged


def _compare(watcher: truth.Watcher, acknowledged: int) -> dict[str, Any]:
    """Wait until nothing moves, then look in the database for everything the exchange knows."""
    from trading.models import Alert, Fill, Halt, Order
    from trading.services import audit

    deadline = time.monotonic() + QUIET_LIMIT_S
    while (found := truth.differences(watcher, OPENING)) and time.monotonic() < deadline:
        time.sleep(1.0)  # orders on their way at the end come to rest
    for words in found[:SHOWN]:
        sandbox.say(f"DIFFERENT {words}")
    known = Order.objects.exclude(venue_order_id="").values_list("venue_order_id", flat=True)
    venue = watcher.read().newest
    if venue is None:
        raise stage.UnableToMeasure("the exchange has stored nothing to compare with.")
    missing = Missing.of(venue, set(map(int, known)), set(Fill.objects.values_list("symbol", "trade_id")), acknowledged)
    sandbox.say("verifying the audit trail ...")
    broken = audit.verify()
    statuses = Counter(Order.objects.values_list("status", flat=True))
    return {
        "missing": missing.count,
        "missing_orders": len(missing.orders),
        "missing_fills": len(missing.fills),
        "missing_acknowledged": missing.acknowledged,
        "book_differences": len(found),
        "audit_breaks": int(broken is not None),
        "orders_by_status": dict(sorted(statuses.items())),
        "refusals": dict(
            Counter(Order.objects.filter(status__in=REFUSED).values_list("reason", flat=True)).most_common(5)
        ),
        "fills": Fill.objects.count(),
        "alerts": dict(sorted(Counter(Alert.objects.values_list("code", flat=True)).items())),
        "halts_by_rule": list(Halt.objects.values_list("reason", flat=True)),
    }


def _retune() -> None:
    from trading.domain.limits import ExecutionStyle

    lay = partial(stage.retune, symbols=tuple(tape.MIDDLES), step_fraction=STEP_FRACTION, slots=SLOTS)
    lay("micro", style=ExecutionStyle.TAKER, lot_quote=Decimal(6), open_orders=140)
    lay("production", style=ExecutionStyle.MAKER, lot_quote=Decimal(300), open_orders=140)


def _hang_up() -> None:
    """Drop this process's own connections: the server is about to stop."""
    from django.db import connections

    with suppress(Exception):
        connections.close_all()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

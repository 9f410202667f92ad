"""Processes killed at random instants while both desks trade: nothing lost, nothing doubled, soon ready again.

The whole console runs under its real supervisor on a tape that crosses levels all the time, the venue 20 ms away. Each
round one of loops, web, tasks, beat, watchdog, Valkey and PostgreSQL (with all its backends, or the postmaster alone)
gets SIGKILL, or, every sixth time, stands still for four to eight seconds; everybody comes round equally often, in an
order that is drawn. The exchange is never touched: it is the truth.

Ready is measured from the kill (or the end of the stillness) of loops, Valkey or PostgreSQL until `/readyz` counts only
what was said since and every desk that had to start anew (a short absence of Valkey stops none) has stored a reconcile
that is clean but for orders whose request the kill cut off: "not found" proves their end only after thirteen seconds,
and until then they count as exposure while the desk trades on. Settled is the time until every desk has read its venue
anew and nothing is unknown any more.

Every round the orders and fills the exchange knew at the kill, and the rows the database had confirmed by then (orders,
fills, the newest of the audit chain), are looked for in the database; every twentieth round and at the end the replay
is paused and open orders, fills, positions and cash are compared to the last digit, and the audit chain is verified. An
account that a rule halts on the way is counted and released as people would, through `services.halts.release` (proven
clear, clean reconcile), so that the load goes on; a symbol paused by rule is unpaused. Three things are of the harness,
not of a console: restarts keep their first wait (`benchmarks.often`), the mandates are wide enough for a load that
never ends, and the next kill waits while more than half of the minute's request weight is used: each costs the venue
some hundreds in readings.

After every round the figures so far are written to a file and a line is said, so that a run that is cut off still tells
what it saw.
"""

import json
import os
import random
import signal
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks import figures, sandbox, tape, victims
from benchmarks.figures import Bound
from gridconsole.profile import BASE_DIR, Profile

SHORT, LONG = 20, 300
STILL_FRACTION: Final = 1 / 6
STILL_S: Final = (4.0, 8.0)
BETWEEN_S: Final = (0.2, 1.0)  # trading between two kills, so that the next meets orders in flight
SIGNS: Final = {"tasks": " ready. ", "beat": "beat: Starting"}  # what the log of the worker says of each start
TRADING: Final = frozenset({"loops", "valkey", "postgres", "postmaster"})  # whose loss stops the desks
RESTARTING: Final = TRADING - {"valkey"}  # a short absence of Valkey may pass without a new fence
QUIET_EVERY: Final = 20
ROUND_TRIP_MS: Final = 20.0
WEIGHT_ROOM: Final = 3_000  # of 6,000 a minute
WEIGHT_HEADER: Final = "X-MBX-USED-WEIGHT-1M"
LIMIT_S: Final = 45.0
POLL_S: Final = 0.03
TAPE_S: Final = 240.0
TAPE_PER_S: Final = 200
SWING_S: Final = 10.0
DEPTH_FRACTION: Final = 0.006
UNKNOWN: Final = "unknown: "  # how a reconcile names an order that may still appear
OPENING: Final = {"micro": Decimal(300), "production": Decimal(25_000)}
BY: Final = "bench"
PARTIAL: Final = BASE_DIR / "var" / "artifacts" / "crash.json"
BOUNDS: Final = {
    "kills_missing": Bound(at_most=0),
    "lost": Bound(at_most=0),
    "duplicates": Bound(at_most=0),
    "ready_p99_ms": Bound(at_most=5_000),
    "settled_p99_ms": Bound(at_most=18_000),  # ready, and the time "not found" needs to be proof
    "never_ready": Bound(at_most=0),
    "book_differences": Bound(at_most=0),
    "audit_breaks": Bound(at_most=0),
    "left_behind": Bound(at_most=0),
}


def main(argv: Sequence[str]) -> int:
    """Kill, look, compare; again and again."""
    parser = figures.options("crash", __doc__)
    parser.add_argument("--kills", type=int, default=SHORT)
    parser.add_argument("--long", action="store_true", help=f"{LONG} kills")
    parser.add_argument("--limit-s", type=float, default=3_600.0, help="begin no round later than this")
    parser.add_argument("--seed", type=int, default=None, help="of the choices; instants are never the same")
    parser.add_argument("--partial", type=Path, default=PARTIAL, help="file for the figures so far, after every round")
    parser.add_argument("--only", default=",".join(victims.VICTIMS), help="whom to kill, separated by commas")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: all is stopped and told on the way out
    since = figures.before()
    with sandbox.data_folder() as folder:
        seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
        kills = LONG if options.long else options.kills
        plan = Plan(kills, options.limit_s, tuple(options.only.split(",")), random.Random(seed), options.partial)
        measured = _measure(folder, plan)
    return figures.conclude("crash", {**measured, "seed": seed}, BOUNDS, as_json=options.json, since=since)


@dataclass(frozen=True, slots=True)
class Plan:
    """Whom to kill how often."""

    kills: int
    limit_s: float
    names: tuple[str, ...]
    chance: random.Random
    partial: Path = PARTIAL

    def strikes(self) -> list[tuple[str, float]]:
        """Draw whom to strike in which order, and how long each stands still (0.0: it is killed)."""
        rounds = -(-self.kills // len(self.names))
        names = [name for _ in range(rounds) for name in self.chance.sample(self.names, len(self.names))]
        stills = set(self.chance.sample(range(self.kills), round(self.kills * STILL_FRACTION)))
        return [
            (name, self.chance.uniform(*STILL_S) if number in stills else 0.0)
            for number, name in enumerate(names[: self.kills])
        ]


@dataclass(slots=True)
class Tally:
    """What was seen in all rounds."""

    planned: int = 0
    by_process: Counter[str] = field(default_factory=Counter)
    stills: int = 0
    ready_ms: dict[str, list[float]] = field(default_factory=dict)
    settled_ms: list[float] = field(default_factory=list)
    never_ready: int = 0
    lost: set[Any] = field(default_factory=set)
    doubled: set[Any] = field(default_factory=set)
    halts: list[str] = field(default_factory=list)
    pauses: list[str] = field(default_factory=list)
    differences: int = 0
    audit_breaks: int = 0
    quiet_checks: int = 0
    strays: int = 0

    def words(self) -> str:
        """Return how it has gone so far."""
        counted = (len(self.lost), "lost"), (len(self.doubled), "doubled"), (self.never_ready, "never ready")
        return ", ".join(f"{count} {what}" for count, what in (*counted, (len(self.halts), "halts")))

    def figures(self) -> dict[str, Any]:
        """Return the figures of all rounds."""
        ready = sorted(ms for name in TRADING for ms in self.ready_ms.get(name, []))
        return {
            "kills": sum(self.by_process.values()),
            "kills_missing": self.planned - sum(self.by_process.values()),
            "lost": len(self.lost),
            "duplicates": len(self.doubled),
            "ready_p50_ms": percentile(ready, 50),
            "ready_p99_ms": percentile(ready, 99),
            "settled_p50_ms": percentile(sorted(self.settled_ms), 50),
            "settled_p99_ms": percentile(sorted(self.settled_ms), 99),
            "ready_by_process_ms": {
                name: {"p50": percentile(sorted(ms), 50), "worst": round(max(ms), 1)}
                for name, ms in sorted(self.ready_ms.items())
            },
            "never_ready": self.never_ready,
            "by_process": dict(sorted(self.by_process.items())),
            "frozen": self.stills,
            "halts_by_rule": len(self.halts),
            "halt_reasons": sorted(set(self.halts)),
            "pauses_by_rule": len(self.pauses),
            "pause_reasons": sorted(set(self.pauses)),
            "audit_ok": self.audit_breaks == 0 and self.quiet_checks > 0,
            "books_equal": self.differences == 0 and self.quiet_checks > 0,
            "audit_breaks": self.audit_breaks if self.quiet_checks else None,
            "book_differences": self.differences if self.quiet_checks else None,
            "comparisons": self.quiet_checks,
        }


def _measure(folder: Path, plan: Plan) -> dict[str, Any]:
    sandbox.say(f"{plan.kills} kills; writing the tape and preparing {folder} ...")
    made = tape.swinging(
        folder / "tape.parquet", seconds=TAPE_S, per_second=TAPE_PER_S, swing_s=SWING_S, depth_fraction=DEPTH_FRACTION
    )
    os.environ.update(GRIDCONSOLE_DATASET=str(made), GRIDCONSOLE_SPEED=str(tape.PLAYED_AT))
    with sandbox.prepared(folder):
        _retune()
        _hang_up()
    from benchmarks import stage, truth
    from gridconsole import profile
    from gridconsole.children import Child, Launch, stop_together

    launch = Launch("up", [sys.executable, "-m", "benchmarks.often", "--no-browser"], stop_signal=signal.SIGINT)
    up = Child(launch, log_dir=folder / "log")
    tally = Tally(planned=plan.kills)
    up.start()
    try:
        stage.wait_for("./console up", lambda: "Ready after" in up.log_tail(50) or not up.running, limit_s=120)
        found = profile.read(of_running=True)
        exchange = stage.Exchange(found.own_simulator_url, 0)
        exchange.tell("/sim/fault", kind="round_trip", latency_ms=ROUND_TRIP_MS)
        harness = Harness(folder, up.pid, found, exchange, truth.Watcher(folder), plan, tally)
        with harness.watcher.watching():
            began = time.monotonic()
            try:
                harness.run(began + plan.limit_s)
            except KeyboardInterrupt:
                sandbox.say("stopped before the end: this is what was seen by then")
            took = time.monotonic() - began
        orders, fills = len(harness.watcher.venue.orders), len(harness.watcher.venue.fills)
        unseen = harness.watcher.venue.unseen()
    finally:
        _hang_up()
        stop_together([up], grace_s=60.0)
    left = victims.strays(folder, 0)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    load = {"seconds": round(took, 1), "orders": orders, "fills": fills, "orders_per_s": round(orders / took, 1)}
    return {**tally.figures(), **load, "orders_unseen": unseen, "orphans": tally.strays, "left_behind": len(left)}


class Harness:
    """One running console and the hand that kills."""

    def __init__(
        self, folder: Path, up: int, found: Profile, exchange: Any, watcher: Any, plan: Plan, tally: Tally
    ) -> None:
        self._folder, self._up, self._found = folder, up, found
        self._exchange, self.watcher = exchange, watcher
        self._plan, self._chance, self._tally = plan, plan.chance, tally
        self._confirmed: tuple[set[Any], set[Any]] = (set(), set())
        self._audit_head = (0, "")

    def run(self, deadline: float) -> None:
        """Kill so many times, or until the deadline; compare on the way and at the end."""
        self._until("both desks are ready", partial(self._is_ready, datetime.now(UTC)), LIMIT_S)
        for number, (name, still_s) in enumerate(self._plan.strikes(), start=1):
            if time.monotonic() > deadline:
                break
            self._until("request weight", self._has_weight, 2 * LIMIT_S)
            time.sleep(self._chance.uniform(*BETWEEN_S))
            self._round(number, name, still_s)
            self._keep()
            if number % QUIET_EVERY == 0 and number < self._plan.kills:
                self._compare()
        self._compare()

    # --- one round --------------------------------------------------------------------------------------------

    def _round(self, number: int, name: str, still_s: float) -> None:
        self._until(f"{name} runs", lambda: victims.find(self._up, name) is not None, LIMIT_S)
        self._remember()
        known = self.watcher.known()
        fences, starts = _fences(), self._starts(name)
        _hang_up()
        try:
            began, since = self._strike(name, still_s)
        except ProcessLookupError:
            return  # it has ended by itself: a kill that is missing
        self._tally.by_process[name] += 1
        self._tally.stills += bool(still_s)
        must_restart = not still_s and name in SIGNS.keys() | RESTARTING
        ready = self._ready_test(name, since, fences, starts, must_restart)
        ready_s = self._until(f"ready after {name}", ready, LIMIT_S, began=began)
        if ready_s is None:
            self._tally.never_ready += 1
            log = self._folder / "log" / ("tasks.log" if name in SIGNS else "loops.log")
            sandbox.say(f"{name}: not ready within {LIMIT_S:g} s\n{_tail(log)}")
        else:
            self._tally.ready_ms.setdefault(name, []).append(ready_s * 1_000)
            self._settle(name, since, began)
        if not self._until("the database", partial(self._verify, known), LIMIT_S):
            self._tally.never_ready += 1
        self._tally.strays = max(self._tally.strays, len(victims.strays(self._folder, self._up)))
        said = f"frozen for {still_s:.1f} s" if still_s else "killed"
        took = "NOT READY" if ready_s is None else f"ready after {ready_s:.2f} s"
        sandbox.say(f"{number}/{self._plan.kills}: {name} {said}, {took}; {self._tally.words()}")
        self._let_go_on()

    def _settle(self, name: str, since: datetime, began: float) -> None:
        if name not in TRADING:
            return
        settled_s = self._until("settled", partial(self._is_ready, since), LIMIT_S, began=began)
        if settled_s is None:
            self._tally.never_ready += 1
        else:
            self._tally.settled_ms.append(settled_s * 1_000)

    def _strike(self, name: str, still_s: float) -> tuple[float, datetime]:
        """Kill or freeze; return since when readiness is measured, and since when signs of life count."""
        if still_s:
            with victims.frozen(self._up, name):
                time.sleep(still_s)
            return time.monotonic(), datetime.now(UTC)
        before = victims.kill(self._up, name)
        began = time.monotonic()
        self._until(f"the next {name}", lambda: victims.find(self._up, name) not in (before, None), LIMIT_S)
        return began, datetime.now(UTC)

    def _ready_test(
        self, name: str, since: datetime, fences: Mapping[str, int], starts: int, must_restart: bool
    ) -> Callable[[], bool]:
        from gridconsole.loopback import answers

        if name == "web":
            return partial(answers, self._found.health_url("healthz"))
        if name == "watchdog":
            return lambda: _said_at(self._folder / "watchdog.json") > since.timestamp()
        if name in SIGNS:
            return lambda: not must_restart or self._starts(name) > starts
        return lambda: self._is_back(since, fences, must_restart)

    def _is_back(self, since: datetime, fences: Mapping[str, int], must_restart: bool) -> bool:
        """Return whether every desk goes on, or was reconciled under a new fence; orders may still be unknown."""
        from django.db import DatabaseError

        try:
            now = _fences()
        except DatabaseError:
            _hang_up()
            return False
        restarted = {slug for slug, fence in now.items() if fence > fences[slug]}
        if must_restart and restarted != now.keys():
            return False
        return self._is_ready(since, restarted, but_for=UNKNOWN)

    def _is_ready(self, since: datetime, slugs: Collection[str] = tuple(OPENING), but_for: str | None = None) -> bool:
        """Return whether the loops live and the desks `slugs` were reconciled clean since (`but_for` one kind)."""
        from django.db import DatabaseError

        from gridconsole.loopback import answers
        from trading.models import Account, Reconciliation

        try:
            for account in Account.objects.filter(slug__in=slugs):
                last = Reconciliation.objects.filter(account=account).order_by("-id").first()
                if last is None or last.at <= since:
                    return False
                if not last.is_clean and not (but_for and all(d.startswith(but_for) for d in last.discrepancies)):
                    return False
        except DatabaseError:
            _hang_up()
            return False
        return answers(f"{self._found.health_url('readyz')}?since={int(since.timestamp() * 1_000)}")

    def _starts(self, name: str) -> int:
        """Return how often the worker of tasks or its beat has said that it started."""
        log = self._folder / "log" / "tasks.log"
        return log.read_text(errors="replace").count(SIGNS[name]) if name in SIGNS and log.exists() else 0

    def _keep(self) -> None:
        """Write the figures so far, whole at any moment."""
        part = self._plan.partial.with_suffix(".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps({"bench": "crash", **self._tally.figures()}))
        part.replace(self._plan.partial)

    # --- what must hold ---------------------------------------------------------------------------------------

    def _remember(self) -> None:
        """Note which rows the database has confirmed by now; no kill may take them away."""
        from django.db import DatabaseError

        from benchmarks import truth

        with suppress(DatabaseError):
            books = truth.read_books()
            self._confirmed = (set(books.orders), set(books.fills))
            self._audit_head = truth.audit_head()

    def _verify(self, known: tuple[set[Any], set[Any]]) -> bool:
        """Look for everything that was known at the kill; False while the database does not answer."""
        from django.db import DatabaseError

        from benchmarks import truth

        try:
            books = truth.read_books()
            has_head = truth.has_audit_row(*self._audit_head)
        except DatabaseError:
            _hang_up()
            return False
        missing: set[Any] = set() if has_head else {("audit", self._audit_head)}
        missing |= (known[0] | self._confirmed[0]) - books.orders.keys()
        missing |= (known[1] | self._confirmed[1]) - books.fills.keys()
        for one in missing - self._tally.lost:
            sandbox.say(f"LOST {one}")
        self._tally.lost |= missing
        doubled = set(self.watcher.read().doubled())
        for one in doubled - self._tally.doubled:
            sandbox.say(f"DOUBLED {one}")
        self._tally.doubled |= doubled
        return True

    def _compare(self) -> None:
        """Let the market stand still, wait for a clean reconcile, compare to the last digit, verify the audit chain."""
        from benchmarks import truth
        from trading.services import audit

        self._exchange.tell("/sim/pause", paused=True)
        try:
            self._until("quiet", partial(self._is_ready, datetime.now(UTC)), LIMIT_S)
            found: list[str] = []
            for _ in range(20):  # orders on their way at the pause come to rest
                found = truth.differences(self.watcher, OPENING)
                if not found:
                    break
                time.sleep(0.5)
            for words in found[:10]:
                sandbox.say(f"DIFFERENT {words}")
            broken = audit.verify()
            if broken is not None:
                sandbox.say(f"AUDIT {broken}")
        finally:
            self._exchange.tell("/sim/pause", paused=False)
        self._tally.differences += len(found)
        self._tally.audit_breaks += broken is not None
        self._tally.quiet_checks += 1

    def _has_weight(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._exchange.url}/api/v3/ping", timeout=LIMIT_S) as answer:
                has_room = int(answer.headers[WEIGHT_HEADER]) < WEIGHT_ROOM
        except urllib.error.HTTPError:  # it is used up
            has_room = False
        if not has_room:
            time.sleep(1.0)  # asking costs weight, too
        return has_room

    def _let_go_on(self) -> None:
        """Count what a rule has halted or paused, and let it trade again through the services."""
        from django.db import DatabaseError

        from trading.models import Grid
        from trading.services import grids

        with suppress(DatabaseError):
            self._release_halts()
            for grid in Grid.objects.exclude(paused_reason="").select_related("account"):
                self._tally.pauses.append(grid.paused_reason)
                grids.unpause(account=grid.account, symbol=grid.symbol, by=BY, at=datetime.now(UTC))

    def _release_halts(self) -> None:
        from trading.models import Halt

        for halt in Halt.objects.filter(released_at=None).select_related("account"):
            self._tally.halts.append(halt.reason)
            sandbox.say(f"HALTED {halt.account.slug}: {halt.reason} (by {halt.requested_by})")
            self._until("release", partial(_is_released, halt.account), LIMIT_S)

    def _until(
        self, what: str, condition: Callable[[], bool], limit_s: float, *, began: float | None = None
    ) -> float | None:
        """Return after how many seconds `condition` held, None when it did not."""
        start = time.monotonic() if began is None else began
        while not condition():
            if time.monotonic() - start > limit_s:
                sandbox.say(f"{what}: not within {limit_s:g} s")
                return None
            time.sleep(POLL_S)
        return time.monotonic() - start


def _retune() -> None:
    from benchmarks import stage
    from trading.domain.limits import ExecutionStyle

    stage.retune(
        "micro",
        style=ExecutionStyle.TAKER,
        step_fraction=Decimal("0.001"),
        slots=8,
        lot_quote=Decimal(6),
        open_orders=8,
    )
    stage.retune(
        "production",
        style=ExecutionStyle.MAKER,
        step_fraction=Decimal("0.0005"),
        slots=12,
        lot_quote=Decimal(300),
        open_orders=140,
    )


def _fences() -> dict[str, int]:
    from trading.models import Account

    return dict(Account.objects.values_list("slug", "fence"))


def _is_released(account: Any) -> bool:
    from django.db import DatabaseError

    from trading.services import halts

    try:
        halts.release(account=account, by=BY, note="the load goes on", at=datetime.now(UTC))
    except (halts.UnableToRelease, DatabaseError):
        return False
    return True


def _hang_up() -> None:
    """Drop this process's own connections: the server may be about to die."""
    from django.db import connections

    with suppress(Exception):
        connections.close_all()


def _said_at(path: Path) -> float:
    try:
        return float(json.loads(path.read_text())["at_ms"]) / 1_000
    except (OSError, ValueError, KeyError):
        return 0.0


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-6_000:] if path.exists() else ""


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """Return what `figures.percentile` says, None where nothing was measured."""
    return figures.percentile(ordered, percent) if ordered else None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

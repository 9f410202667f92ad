"""The same grid on the same tape in the product and in four other engines: first that they do the same, then how fast.

Every run is a process of its own. Rounds interleave the engines (own, A, B, own, A, B ...); a ratio is that of one
round, and the median of the rounds counts. `cold_s` is from the start of the process to its first report; `ticks_per_*`
are those of the engine alone once it is compiled and its data is in memory. Peers live in `var/peers`.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks import bookflows, engines, environments, equality, figures, gridtapes, sandbox
from benchmarks.engines import Engine, Spec
from benchmarks.environments import BACKTESTING, HFTBACKTEST, NAUTILUS, PEERS, VECTORBT, Peer
from benchmarks.figures import Bound

THREE_SECONDS: Final = 3_000_000_000
TEN_MS: Final = 10_000_000
ROUNDS: Final = 3
WARM: Final[Mapping[str, int]] = {HFTBACKTEST.name: 2, VECTORBT.name: 2}  # what compiles; the others run once
OWN_WARM: Final = 5
BOUNDS: Final = {
    "unequal": Bound(at_most=0),
    "times_hftbacktest": Bound(at_least=20),
    "times_hftbacktest_dense": Bound(at_least=80),
    "times_vectorbt": Bound(at_least=10),
    "times_nautilus_trader": Bound(at_least=1_000),
    "times_backtesting.py": Bound(at_least=2_500),
    "queue_times_hftbacktest": Bound(at_least=1),
    "core_times_nautilus_trader": Bound(at_least=2),
    "cold_times_hftbacktest": Bound(at_least=5),
    "cold_times_nautilus_trader": Bound(at_least=40),
    "memory_of_hftbacktest": Bound(at_most=0.6),
    "memory_of_nautilus_trader": Bound(at_most=0.2),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One tape and one grid, and who runs it; every round is timed, those of `peers_once` in the first one alone."""

    tape: str
    spec: Spec
    peers: tuple[Peer, ...]
    once: tuple[Peer, ...] = ()  # too slow for every round


LATE: Final = {"submit_ns": THREE_SECONDS, "report_ns": THREE_SECONDS, "by_side": True}
FAST: Final = (HFTBACKTEST, VECTORBT)
SLOW: Final = (NAUTILUS, BACKTESTING)
CASES: Final[Mapping[str, Case]] = {
    "sparse": Case("sparse", Spec(9_500, 10_500, 20, 5, 10_000.0), PEERS),
    "sparse_geometric": Case("sparse", Spec(9_500, 10_500, 20, 5, 10_000.0, geometric=True), FAST),
    "dense": Case("dense", Spec(9_500, 10_500, 200, 1, 40_000.0, more=LATE), (HFTBACKTEST,)),
    "ltc": Case("ltc", Spec(7_700, 8_400, 44, 2, 10_000.0), FAST, SLOW),
    "ltc_geometric": Case("ltc", Spec(7_700, 8_400, 44, 2, 10_000.0, geometric=True), FAST, SLOW),
    "eth": Case("eth", Spec(4_000, 20_000, 100, 1, 40_000.0), FAST, SLOW),
    "shipped": Case("shipped", Spec(6_155_000, 6_187_000, 20, 1, 2_000_000.0), FAST, SLOW),
    "shipped_geometric": Case("shipped", Spec(6_155_000, 6_187_000, 20, 1, 2_000_000.0, geometric=True), FAST, SLOW),
}


@dataclass(frozen=True, slots=True)
class QueueCase:
    """A recorded book and a ladder on it, a tenth beyond the prices that traded: which queue model, parts or not."""

    book: str
    intervals: int
    queue: str
    partial: bool

    def grid(self, book: bookflows.Book) -> dict[str, Any]:
        """Return what a runner is given; the line nearest to the best bid stays empty, the lower of two."""
        (low, high), (bid, ask) = book.traded(), book.opening()
        beyond = (high - low) // 10
        more = {"queue": self.queue, "partial": self.partial, "opening_ticks": ask, "submit_ns": TEN_MS, "report_ns": 0}
        return Spec(low - beyond, high + beyond, self.intervals, ODD_LOTS, 1e9, more=more).grid(bid)


ODD_LOTS: Final = 21  # see `bookflows.Book`
QUEUES: Final[Mapping[str, QueueCase]] = {
    "queue_power": QueueCase("usdm_BTCUSDT", 60, "power", partial=False),
    "queue_log": QueueCase("usdm_ETHUSDT", 40, "log", partial=False),
    "queue_parts": QueueCase("usdm_BTCUSDT", 60, "risk-averse", partial=True),
    "queue_parts_spot": QueueCase("spot_ETHUSDT", 40, "risk-averse", partial=True),
}
CORE: Final = "core"
ALL: Final = [*CASES, *QUEUES, CORE]
CORE_SPEC: Final = Spec(9_580, 10_380, 20, 5, 100_000.0)
COUNTER_RUNS: Final[Mapping[str, tuple[str, str]]] = {  # peer -> the rule by which it may differ, our runner for it
    HFTBACKTEST.name: ("by_side", "run_own"),
    NAUTILUS.name: ("one_a_print", "run_plain"),
}


@dataclass(slots=True)
class Bench:
    """What one call of the benchmark works with."""

    tapes: engines.Tapes
    rounds: int
    pythons: Mapping[str, Path]  # of the peers that could be installed
    missing: Mapping[str, str]  # peer -> why it is not run
    unequal: list[str]

    def engine(self, peer: Peer) -> Engine:
        """Return the peer's runner."""
        return Engine(peer.name, peer.module, self.pythons[peer.name], WARM.get(peer.name, 0))


# --- one case -------------------------------------------------------------------------------------------------


def measure(bench: Bench, name: str, case: Case) -> dict[str, Any]:
    """Return the figures of one tape: ours and each peer's, or why there are none."""
    try:
        prints = bench.tapes.prints(case.tape)
    except gridtapes.UnableToMake as error:
        return {"not_run": str(error)}
    grid, path = case.spec.grid(int(prints.ticks[0])), bench.tapes.path(case.tape)
    asked = {peer.name: bench.engine(peer) for peer in (*case.peers, *case.once) if peer.name in bench.pythons}
    rounds = _rounds(bench, name, case, lambda engine: engines.run(engine, path, [grid]), asked)
    first = rounds[0]["own"]
    judged = {
        peer: _judged(bench, f"{peer} on {name}", answer, first, _counter_runs(peer, path, grid))
        for peer, answer in rounds[0].items()
        if peer != "own"
    }
    told = {peer: _peer_figures(rounds, peer, verdict) for peer, verdict in judged.items()}
    told |= {p.name: {"not_run": bench.missing[p.name]} for p in (*case.peers, *case.once) if p.name in bench.missing}
    about = {"tape_sha256": prints.sha256(), "ticks": len(prints), "lines": len(grid["levels"])}
    return about | {"own": summary([answers["own"] for answers in rounds]), "peers": told}


def _rounds(
    bench: Bench, name: str, case: Case, run: Callable[[Engine], dict[str, Any]], asked: Mapping[str, Engine]
) -> list[dict[str, dict[str, Any]]]:
    """Run the engines in turn, again and again; a round is engine -> answer."""
    own = engines.own(warm=OWN_WARM)
    run(own)  # what it compiles is kept on disk from now on, and the tape is in the page cache
    once = {peer.name for peer in case.once}
    found: list[dict[str, dict[str, Any]]] = []
    for number in range(bench.rounds):
        answers = {}
        for engine in (own, *(e for e in asked.values() if number == 0 or e.name not in once)):
            sandbox.say(f"{name}, round {number + 1} of {bench.rounds}: {engine.name} ...")
            answers[engine.name] = run(engine)
        found.append(answers)
    return found


def _counter_runs(peer: str, path: Path, grid: Mapping[str, Any]) -> dict[str, Callable[[], dict[str, Any]]]:
    if peer not in COUNTER_RUNS:
        return {}
    rule, module = COUNTER_RUNS[peer]
    return {rule: lambda: engines.run(engines.own(f"own, {rule}", module), path, [{**grid, rule: True}])}


def _judged(
    bench: Bench, what: str, answer: Mapping[str, Any], own: Mapping[str, Any], counter: Mapping[str, Any]
) -> equality.Verdict | equality.Unequal:
    try:
        return equality.judge(what, answer, own, counter)
    except equality.Unequal as error:
        sandbox.say(str(error))
        bench.unequal.append(str(error))
        return error


def _peer_figures(
    rounds: Sequence[Mapping[str, Mapping[str, Any]]], peer: str, verdict: equality.Verdict | equality.Unequal
) -> dict[str, Any]:
    """Return a peer's figures; none but what it did where it did something else."""
    answers = [answers[peer] for answers in rounds if peer in answers]
    if isinstance(verdict, equality.Unequal):
        return {"comparable": False, "why": str(verdict), "fills": answers[0]["fills"], "equity": answers[0]["equity"]}
    pairs = [(answers["own"], answers[peer]) for answers in rounds if peer in answers]
    told = summary(answers) | {"comparable": True, "own_is_faster": ratios(pairs)}
    if verdict.rule:
        told["equal_under"] = equality.RULES[verdict.rule]
        told |= {"fills_apart": verdict.fills_apart, "equity_apart": verdict.equity_apart}
    return told


# --- numbers --------------------------------------------------------------------------------------------------


def warm(answer: Mapping[str, Any]) -> dict[str, float]:
    """Return the time of one run once everything is compiled: the median of the later runs, the only one without."""
    runs = answer["runs"][1:] or answer["runs"]
    return {clock: median(run[clock] for run in runs) for clock in ("wall_s", "cpu_s")}


def jit_s(answer: Mapping[str, Any]) -> float:
    """Return by how much the first run of a process took longer than the later ones."""
    return max(float(answer["runs"][0]["wall_s"]) - warm(answer)["wall_s"], 0.0) if len(answer["runs"]) > 1 else 0.0


def summary(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one engine's figures over the rounds: medians, and the best where it says so."""
    first, ticks = answers[0], answers[0]["ticks"]
    times = [warm(answer) for answer in answers]
    return {
        "ticks_per_cpu_s": round(ticks / median(t["cpu_s"] for t in times)),
        "ticks_per_s": round(ticks / median(t["wall_s"] for t in times)),
        "best_ticks_per_cpu_s": round(ticks / min(t["cpu_s"] for t in times)),
        "fills": first["fills"],
        "fills_sha256": first["fills_sha256"],
        "equity": first["equity"],
        "peak_mb": round(median(a["peak_mb"] for a in answers), 1),
        "cold_s": round(median(a["cold_s"] for a in answers), 3),
        "cold_cpu_s": round(median(a["cold_cpu_s"] for a in answers), 3),
        "prepare_s": round(median(a["prepare_s"] for a in answers), 3),
        "jit_s": round(median(jit_s(a) for a in answers), 3),
        "rounds": len(answers),
        "load": [round(a["load"], 2) for a in answers],
        "tape_sha256": first["tape_sha256"],
    } | ({"version": first["version"], "tuned": first["tuned"]} if first["version"] else {})


def ratios(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> dict[str, float]:
    """Return how many times faster the first of each pair was, the median over the rounds."""
    found = {
        "cpu": median(warm(other)["cpu_s"] / warm(own)["cpu_s"] for own, other in pairs),
        "wall": median(warm(other)["wall_s"] / warm(own)["wall_s"] for own, other in pairs),
        "cold": median(other["cold_s"] / own["cold_s"] for own, other in pairs),
    }
    return {name: round(value, 1) for name, value in found.items()} | {
        "memory": round(median(own["peak_mb"] / other["peak_mb"] for own, other in pairs), 3)
    }


# --- the event core -------------------------------------------------------------------------------------------


def measure_core(bench: Bench) -> dict[str, Any]:
    """Return the figures of the event core against nautilus_trader, both on the same book tops."""
    prints, path = bench.tapes.prints("tops"), bench.tapes.path("tops")
    grid = CORE_SPEC.grid(int(prints.ticks[0])) | {"empty": CORE_SPEC.intervals}  # nothing is held at the start
    own = engines.own(CORE, "run_core")
    asked = [own]
    if NAUTILUS.name in bench.pythons:
        asked.append(Engine(NAUTILUS.name, "run_nautilus_tops", bench.pythons[NAUTILUS.name]))
    rounds = []
    for number in range(bench.rounds):
        sandbox.say(f"event core, round {number + 1} of {bench.rounds} ...")
        rounds.append({engine.name: engines.run(engine, path, [grid]) for engine in asked})
    told = summary([answers[CORE] for answers in rounds]) | {"ticks": len(prints), "tape_sha256": prints.sha256()}
    if len(asked) == 1:
        return told | {"peers": {NAUTILUS.name: {"not_run": bench.missing.get(NAUTILUS.name, "not asked for")}}}
    as_own = [{"own": answers[CORE], NAUTILUS.name: answers[NAUTILUS.name]} for answers in rounds]
    verdict = _judged(bench, "nautilus_trader on tops", as_own[0][NAUTILUS.name], as_own[0]["own"], {})
    return told | {"peers": {NAUTILUS.name: _peer_figures(as_own, NAUTILUS.name, verdict)}}


# --- queue and partial fills -------------------------------------------------------------------------------------


def measure_queue(bench: Bench, name: str, case: QueueCase) -> dict[str, Any]:
    """Return the figures of the queue model against hftbacktest's on a recorded book, or why there are none."""
    try:
        book = bench.tapes.book(case.book)
    except gridtapes.UnableToMake as error:
        return {"not_run": str(error)}
    grid, path = case.grid(book), bench.tapes.path(case.book)
    own, peer = engines.own("own", "run_own_queue", warm=OWN_WARM), HFTBACKTEST.name
    asked = [own]
    if peer in bench.pythons:
        asked.append(Engine(peer, "run_hftbacktest_queue", bench.pythons[peer], OWN_WARM))
    engines.run(own, path, [grid])  # what it compiles is kept on disk from now on
    rounds = []
    for number in range(bench.rounds):
        sandbox.say(f"{name}, round {number + 1} of {bench.rounds} ...")
        rounds.append({engine.name: engines.run(engine, path, [grid]) for engine in asked})
    about = {"tape_sha256": book.sha256(), "ticks": len(book), "lines": len(grid["levels"])}
    about |= {"queue": case.queue, "partial": case.partial, "own": summary([answers["own"] for answers in rounds])}
    if len(asked) == 1:
        return about | {"peers": {peer: {"not_run": bench.missing.get(peer, "not asked for")}}}
    verdict = _judged(bench, f"{peer} on {name}", rounds[0][peer], rounds[0]["own"], {})
    return about | {"peers": {peer: _peer_figures(rounds, peer, verdict)}}


# --- command --------------------------------------------------------------------------------------------------


def main(argv: Sequence[str]) -> int:
    """Make the environments, run the cases, hold the figures against their bounds."""
    parser = figures.options("backtest", __doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--count", type=int, default=None, help="only so many events of each tape: no figure counts")
    parser.add_argument("--cases", nargs="*", choices=ALL, default=ALL)
    parser.add_argument("--peers", nargs="*", choices=[p.name for p in PEERS], default=[p.name for p in PEERS])
    options = parser.parse_args(argv)
    pythons, missing = interpreters(options.peers)
    since = figures.before()
    folder = Path(tempfile.mkdtemp(prefix="gc-bench-"))
    try:
        bench = Bench(engines.Tapes(folder, count=options.count), options.rounds, pythons, missing, [])
        measured = _measured(bench, options.cases)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return figures.conclude("backtest", measured, BOUNDS, as_json=options.json, since=since)


def interpreters(names: Sequence[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the interpreter of each peer asked for, and why the others are not run."""
    found, missing = {}, {peer.name: "not asked for" for peer in PEERS if peer.name not in names}
    for peer in PEERS:
        if peer.name not in names:
            continue
        try:
            found[peer.name] = environments.python_of(peer)
        except environments.NotInstalled as error:
            sandbox.say(str(error))
            missing[peer.name] = str(error)
    return found, missing


def _measured(bench: Bench, cases: Sequence[str]) -> dict[str, Any]:
    """Return everything measured; the sparse tape stands at the top, all of them under `cases`."""
    told = {name: measure(bench, name, CASES[name]) for name in cases if name in CASES}
    told |= {name: measure_queue(bench, name, QUEUES[name]) for name in cases if name in QUEUES}
    core = measure_core(bench) if CORE in cases else {"not_run": "not asked for"}
    sparse = told.get("sparse", {})
    return {
        "own": sparse.get("own", {"not_run": "not asked for"}),
        "core": core,
        "peers": sparse.get("peers", {}),
        "cases": told,
        "unequal": len(bench.unequal),
        "unequal_because": bench.unequal,
        **headline(told, core),
    }


def headline(told: Mapping[str, Any], core: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the figures that have a bound; None where nothing was measured."""

    def faster(case: str, peer: Peer, what: str) -> float | None:
        found: Mapping[str, float] = told.get(case, {}).get("peers", {}).get(peer.name, {}).get("own_is_faster", {})
        return found.get(what)

    queues = [faster(case, HFTBACKTEST, "cpu") for case in QUEUES]
    known = [ratio for ratio in queues if ratio is not None]
    over_nautilus = core.get("peers", {}).get(NAUTILUS.name, {}).get("own_is_faster", {})
    return {
        **{f"times_{peer.name}": faster("sparse", peer, "cpu") for peer in PEERS},
        "times_hftbacktest_dense": faster("dense", HFTBACKTEST, "cpu"),
        "queue_times_hftbacktest": min(known) if len(known) == len(QUEUES) else None,
        "core_times_nautilus_trader": over_nautilus.get("cpu"),
        **{f"cold_times_{peer.name}": faster("sparse", peer, "cold") for peer in (HFTBACKTEST, NAUTILUS)},
        **{f"memory_of_{peer.name}": faster("sparse", peer, "memory") for peer in (HFTBACKTEST, NAUTILUS)},
    }


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

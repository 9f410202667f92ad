"""What it costs to hear models: nets of every size behind ONNX Runtime and in torch, a bar of seven symbols, faults.

Weights are not trained, which makes no difference to how long they take; scales and straight lines are fitted to bars
that are shipped, so that what is said is a volatility. Processor time of the thread that asks, through the product's
own way, every check of shapes and numbers included; torch runs the same net on one thread, in turn with it.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks import figures, sandbox
from benchmarks.figures import Bound

BOUNDS: Final = {
    "stage0_step_p99_us": Bound(at_most=100),
    "stage0_200_symbols_ms": Bound(at_most=1),
    "stage0_vs_torch_eager": Bound(at_least=3),
    "stage2_p99_ms": Bound(at_most=2),
    "stage2_parameters": Bound(at_most=1_000_000),
    "stage2_vs_torch_eager": Bound(at_least=4),
    "stage2_roadmap_p99_ms": Bound(at_most=8),
    "actor_p99_us": Bound(at_most=100),
    "multitask_p99_ms": Bound(at_most=10),
    "advice_p99_us": Bound(at_most=500),
    "memory_mb": Bound(at_most=60),
    "parity": Bound(at_most=1e-5),
    "faults_to_rule": Bound(at_least=1),
    "fault_worst_ms": Bound(at_most=50),
}
MANY: Final = 200  # symbols
COLUMNS: Final = ("at_ns", "open", "high", "low", "close", "volume")
ROUNDS: Final = 1_000
WARM_UP: Final = 50
BLOCK: Final = 25  # questions in a row: what one leaves in the caches is its own, as where only one of them runs


def main(argv: Sequence[str]) -> int:
    """Measure, report."""
    parser = figures.options("inference", __doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="times each net is asked")
    parser.add_argument("--memory", default="", help="in a process of its own: serve the model in this folder")
    options = parser.parse_args(argv)
    if options.memory:
        return _say_memory(options.memory)
    since = figures.before()
    with tempfile.TemporaryDirectory() as folder:
        measured = _measure(Path(folder), options.rounds)
    return figures.conclude("inference", measured, BOUNDS, as_json=options.json, since=since)


def _measure(folder: Path, rounds: int) -> dict[str, Any]:
    from benchmarks import faulty, listening, nets
    from trading.learning_data import load

    found: dict[str, Any] = {}
    bars = {each.symbol: each for each in load("shipped")}
    parities = []
    for name, make in nets.NETS.items():
        sandbox.say(f"{name}: exporting ...")
        made = make()
        parities.append(made.card.parity)
        found[f"{name}_parameters"] = made.card.parameters
        found |= _timed(name, made, max(rounds // made.slowness, 100))
        if name == "stage0":
            many = made.predictor(MANY)
            found["stage0_200_symbols_ms"] = round(median(_took(many, 200)) / 1e6, 3)
            sandbox.say("bars, features, answers and advice of seven symbols ...")
            found |= listening.timed(made, bars, rounds)
            sandbox.say("faults ...")
            found |= faulty.injected(made, bars)
            _write(folder, made.files, bars)
    found["parity"] = max(parities)
    sandbox.say("memory ...")
    without, served = _memory("none"), _memory(str(folder))
    return found | {"memory_mb": round(served - without, 1), "memory_without_mb": without, "memory_with_mb": served}


def _timed(name: str, made: Any, rounds: int) -> dict[str, float]:
    """Return how long the model takes, asked on and on; and torch as it is and without gradients, in turn with it.

    The first question after torch had the processor is told by itself: its caches hold nothing of the model.
    """
    asked = (made.predictor(1), made.eager(1, gradients=True), made.eager(1, gradients=False))
    alone = _took(asked[0], rounds)
    took: tuple[list[int], ...] = ([], [], [])
    for each in asked:
        _took(each, 0)
    for _ in range(max(rounds // BLOCK, 1)):
        for each, found in zip(asked, took, strict=True):
            found += [_once(each) for _ in range(BLOCK)]
    ours, eager, without = took
    unit, scale = ("us", 1e3) if name in {"stage0", "actor"} else ("ms", 1e6)
    step = "_step" if name == "stage0" else ""
    return {
        f"{name}{step}_p50_{unit}": round(median(alone) / scale, 3),
        f"{name}{step}_p99_{unit}": round(float(np.percentile(alone, 99)) / scale, 3),
        f"{name}{step}_cold_{unit}": round(median(ours[::BLOCK]) / scale, 3),
        f"{name}_vs_torch_eager": round(median(eager) / median(ours), 2),
        f"{name}_vs_torch_without_gradients": round(median(without) / median(ours), 2),
    }


def _took(asked: Callable[[], object], rounds: int) -> list[int]:
    for _ in range(WARM_UP):
        asked()
    return [_once(asked) for _ in range(rounds)]


def _once(asked: Callable[[], object]) -> int:
    began = time.thread_time_ns()
    asked()
    return time.thread_time_ns() - began


# --- memory -----------------------------------------------------------------------------------------------------------


def _write(folder: Path, files: dict[str, bytes], bars: Mapping[str, Any]) -> None:
    (folder / "model").mkdir()
    for name, content in files.items():
        (folder / "model" / name).write_bytes(content)
    for symbol, each in bars.items():
        columns = {name: getattr(each, name) for name in COLUMNS}
        np.savez(folder / f"{symbol}.npz", **columns)


def _memory(folder: str) -> float:
    command = [sys.executable, "-m", "benchmarks.inference", "--memory", folder]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(ran.stdout.splitlines()[-1])["rss_mb"])


def _say_memory(folder: str) -> int:
    """Be the process of the loops, with or without a model that serves seven symbols; tell the resident memory."""
    import os

    with tempfile.TemporaryDirectory() as data:
        os.environ |= {"GRIDCONSOLE_DATA_DIR": data, "DJANGO_SETTINGS_MODULE": "gridconsole.settings"}
        import django

        django.setup()
        import trading.bootstrap  # noqa: F401  # all that the loops load anyway
        from benchmarks import listening, usage

        if folder != "none":
            files = {path.name: path.read_bytes() for path in (Path(folder) / "model").iterdir()}
            listening.serve(files, {path.stem: _bars(path) for path in sorted(Path(folder).glob("*.npz"))})
        if "torch" in sys.modules:
            raise RuntimeError("torch was imported where models are only served")
        sandbox.report({"rss_mb": usage.rss_mb(os.getpid())})
    return 0


def _bars(path: Path) -> Any:
    from trading.domain.bars import SECOND_NS, Bars

    with np.load(path) as columns:
        return Bars(path.stem, 60 * SECOND_NS, *(columns[name] for name in COLUMNS))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

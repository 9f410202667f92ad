"""How many small changes of the governance rules the tests of those rules notice.

mutmut changes one operator, constant or argument of `riskops/domain` at a time, in a copy, and runs the pure tests of
that folder against each. It lives in an environment of its own that sees the product's packages; the product does not
depend on it.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import figures, sandbox
from benchmarks.figures import Bound
from benchmarks.stage import UnableToMeasure
from gridconsole.profile import BASE_DIR

MUTMUT: Final = "mutmut==3.8.1"
TOOLS: Final = BASE_DIR / "var" / "tools" / MUTMUT.replace("==", "-")
LIMIT_S: Final = 1_800
BOUNDS: Final = {"score_percent": Bound(at_least=90)}
COPIED: Final = ("benchmarks", "docs", "gridconsole", "riskops", "templates", "tests", "trading")
SETTINGS: Final = """
[tool.mutmut]
source_paths = ["riskops/"]
only_mutate = ["riskops/domain/*.py"]
also_copy = ["benchmarks", "docs", "gridconsole", "manage.py", "templates", "trading"]
pytest_add_cli_args = ["-q", "-x", "-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = ["tests/riskops/domain"]
use_setproctitle = false
"""


def main(argv: Sequence[str]) -> int:
    """Change, test, count."""
    options = figures.options("mutation", __doc__).parse_args(argv)
    since = figures.before()
    with tempfile.TemporaryDirectory(prefix="gc-mutation-", ignore_cleanup_errors=True) as folder:
        measured = _measure(Path(folder))
    return figures.conclude("mutation", measured, BOUNDS, as_json=options.json, since=since)


def _measure(folder: Path) -> dict[str, Any]:
    mutmut = _tool()
    for name in COPIED:
        shutil.copytree(BASE_DIR / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "journeys"))
    shutil.copy(BASE_DIR / "manage.py", folder)
    (folder / "pyproject.toml").write_text((BASE_DIR / "pyproject.toml").read_text() + SETTINGS)
    sandbox.say("changing riskops/domain, some minutes ...")
    _run(folder, mutmut, "run")
    _run(folder, mutmut, "export-cicd-stats")
    stats = json.loads((folder / "mutants" / "mutmut-cicd-stats.json").read_text())
    return score(stats, _run(folder, mutmut, "results"))


def score(stats: Mapping[str, int], results: str) -> dict[str, Any]:
    """Return the share of changes noticed, in percent, and in which functions the others lie.

    A change that makes the tests run for ever is noticed; one that no test reaches is not.

    Args:
        stats: what mutmut counted, by outcome.
        results: its lines `name__mutmut_1: outcome` of every change that was not killed.
    """
    noticed = stats["killed"] + stats["timeout"]
    lines = (line.strip().rpartition(": ") for line in results.splitlines() if "__mutmut_" in line)
    missed = Counter(name.partition("__mutmut_")[0] for name, _, outcome in lines if outcome != "timeout")
    return {
        "changes": stats["total"],
        "noticed": noticed,
        "score_percent": round(100 * noticed / stats["total"], 1) if stats["total"] else None,
        "missed_in": dict(missed.most_common()),
    }


def _tool() -> Path:
    """Return the mutmut of an environment of its own, made once."""
    mutmut = TOOLS / "bin" / "mutmut"
    if not mutmut.exists():
        sandbox.say(f"installing {MUTMUT} ...")
        venv.create(TOOLS, with_pip=True, clear=True)
        _run(TOOLS, TOOLS / "bin" / "python", "-m", "pip", "install", "--quiet", MUTMUT)
        inside = TOOLS / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        (inside / "product.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return mutmut


def _run(folder: Path, *command: str | Path) -> str:
    """Run a command in `folder` and return what it printed.

    Raises:
        UnableToMeasure: it failed or took too long; the message shows its last words.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GRIDCONSOLE_", "PYTHON"))}
    try:
        done = subprocess.run(
            command, cwd=folder, env=kept, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UnableToMeasure(f"not ready within {LIMIT_S} s.") from error
    if done.returncode:
        raise UnableToMeasure((done.stdout + done.stderr)[-2_000:])
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

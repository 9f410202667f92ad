"""Every branch of what decides, books and judges is taken by the tests of the core, without the seeded worlds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES: Final = [f"trading/domain/{name}.py" for name in ("trader", "risk", "orders", "ledger", "reconciliation")]
# Seeded worlds would excuse everything; ladders, tapes and the kernel touch none of these modules and take minutes.
APART: Final = (
    "simulation", "backtest_*", "bar_features", "campaign*", "conformance", "curves", "deflation", "dynamic_grid",
    "editing", "grid_docs", "grid_worlds", "grids", "kernel*", "labels", "ladders", "laying", "levels", "mark_outs",
    "preview", "purse*", "queue*", "recounting", "relaying", "round_trips", "scoring", "search*", "soundness",
    "spelling", "splits", "sweeping", "tapes", "true_range",
)  # fmt: skip
TESTS: Final = ["tests/trading/domain", *(f"--ignore-glob=*/test_{name}.py" for name in APART)]
# No comment in the source excuses a line or a branch: coverage's own list of excuses is replaced by nothing.
SETTINGS: Final = f"""
[run]
branch = true
include = {",".join(MODULES)}
[report]
exclude_lines = (?!)
partial_branches = (?!)
"""
LIMIT_S: Final = 200


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the tests of the core once under coverage; return its report by file."""
    folder = tmp_path_factory.mktemp("coverage")
    (folder / "settings").write_text(SETTINGS)
    coverage = [sys.executable, "-m", "coverage"]
    known = [f"--rcfile={folder / 'settings'}", f"--data-file={folder / 'data'}"]
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=ci", *TESTS]

    ran = subprocess.run([*coverage, "run", *known, *tests], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S)
    assert ran.returncode == 0, ran.stdout[-4_000:]
    subprocess.run([*coverage, "json", *known, "-q", f"-o{folder / 'report'}"], cwd=ROOT, check=True)

    return dict(json.loads((folder / "report").read_text())["files"])


@pytest.mark.timeout(LIMIT_S + 60)
@pytest.mark.parametrize("module", MODULES)
def test_every_line_and_branch_is_taken(module: str, measured: dict[str, Any]) -> None:
    source = (ROOT / module).read_text().splitlines()
    report = measured[module]

    lines = [f"{module}:{line} is never run: {source[line - 1].strip()}" for line in report["missing_lines"]]
    branches = [
        f"{module}:{line} never goes on to {_place(target)}: {source[line - 1].strip()}"
        for line, target in report["missing_branches"]
    ]

    assert not lines + branches, "\n".join(lines + branches)


def _place(target: int) -> str:
    return "the end of its function" if target < 0 else f"line {target}"

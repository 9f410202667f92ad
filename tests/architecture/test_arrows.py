"""The arrows between the rooms, checked on the source itself."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECK = Path(sys.executable).with_name("lint-imports")  # in a process of its own: it sets up logging anew


def test_imports_follow_the_arrows() -> None:
    checked = subprocess.run(
        [CHECK, "--config", ROOT / ".importlinter", "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )

    assert checked.returncode == 0, checked.stdout[-4_000:]

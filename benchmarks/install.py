"""A cold installation: the repository's files in a new folder, no environment, an empty package cache.

Measured until `./console` can run a command; the first `./console up` then creates the database, see `start`. How long
the download takes is the network's and the registry's doing.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import figures, sandbox
from benchmarks.figures import Bound
from benchmarks.stage import UnableToMeasure
from gridconsole.profile import BASE_DIR

LIMIT_S: Final = 1_800.0
SAY_EVERY_S: Final = 10.0
BOUNDS: Final = {"install_s": Bound(at_most=300)}
IGNORED: Final = ("var", ".venv", ".git", "__pycache__", "staticfiles", "*_cache")


def main(argv: Sequence[str]) -> int:
    """Install once."""
    parser = figures.options("install", __doc__)
    parser.add_argument(
        "--folder", type=Path, help="where to install; several GB are needed (default: the temp folder)"
    )
    options = parser.parse_args(argv)
    since = figures.before()
    with tempfile.TemporaryDirectory(prefix="gc-install-", dir=options.folder, ignore_cleanup_errors=True) as folder:
        measured = _measure(Path(folder))
    return figures.conclude("install", measured, BOUNDS, as_json=options.json, since=since)


def _measure(folder: Path) -> dict[str, Any]:
    repository, home = folder / "gridconsole", folder / "home"
    shutil.copytree(BASE_DIR, repository, ignore=shutil.ignore_patterns(*IGNORED))
    home.mkdir()
    install_s = _timed([str(repository / "console"), "help"], repository, home)
    sandbox.say(f"installed in {install_s:.0f} s")
    size = sum(path.lstat().st_size for path in (repository / ".venv").rglob("*") if path.is_file())
    return {"install_s": round(install_s, 1), "environment_mb": round(size / 1e6)}


def _timed(command: Sequence[str], repository: Path, home: Path) -> float:
    """Run a command that knows no environment and no cache; return its seconds.

    Raises:
        UnableToMeasure: it failed; the message shows its last words.
    """
    cache = {"HOME": str(home), "PIP_CACHE_DIR": str(home / "cache"), "XDG_CACHE_HOME": str(home / "cache")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GRIDCONSOLE_", "PYTHON"))}
    began = time.monotonic()
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=repository, env=kept | cache, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while process.poll() is None:
                if time.monotonic() - began > LIMIT_S:
                    raise UnableToMeasure(f"not installed within {LIMIT_S:g} s.")
                _wait(process)
                sandbox.say(f"  {time.monotonic() - began:.0f} s")
        finally:
            process.kill()
    if process.returncode:
        raise UnableToMeasure((home / "output").read_text()[-2_000:])
    return time.monotonic() - began


def _wait(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(SAY_EVERY_S)
    except subprocess.TimeoutExpired:
        return


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""An environment of its own for every engine the product is compared with; made once, under `var/peers`."""

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from benchmarks import sandbox
from gridconsole.profile import BASE_DIR

FOLDER: Final = BASE_DIR / "var" / "peers"
REQUIREMENTS: Final = BASE_DIR / "benchmarks" / "peers"
INSTALL_LIMIT_S: Final = 1_200
WORDS: Final = 300  # characters of what an installer said last


class NotInstalled(Exception):
    """A peer cannot be had on this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """An engine of somebody else's."""

    name: str
    requirement: str  # file of pinned packages
    module: str  # runner

    @property
    def pins(self) -> Path:
        """Return the file of pinned packages."""
        return REQUIREMENTS / self.requirement


HFTBACKTEST: Final = Peer("hftbacktest", "hftbacktest.txt", "run_hftbacktest")
VECTORBT: Final = Peer("vectorbt", "vectorbt.txt", "run_vectorbt")
NAUTILUS: Final = Peer("nautilus_trader", "nautilus_trader.txt", "run_nautilus_trader")
BACKTESTING: Final = Peer("backtesting.py", "backtesting.txt", "run_backtesting")
PEERS: Final = (HFTBACKTEST, VECTORBT, NAUTILUS, BACKTESTING)


def python_of(peer: Peer) -> Path:
    """Return the interpreter of the peer's environment; make the environment when it is missing or its pins changed.

    Raises:
        NotInstalled: it could not be made.
    """
    home = FOLDER / peer.name
    python, stamp = home / "bin" / "python", home / "pins"
    pins = sha256(peer.pins.read_bytes()).hexdigest()
    if not (python.exists() and stamp.exists() and stamp.read_text() == pins):
        sandbox.say(f"installing {peer.name} into {home} ...")
        _make(home, peer)
        stamp.write_text(pins)
    return python


def _make(home: Path, peer: Peer) -> None:
    shutil.rmtree(home, ignore_errors=True)
    try:
        venv.create(home, with_pip=True)
        command: list[str | Path] = [
            home / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--requirement",
            peer.pins,
        ]
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NotInstalled(f"{peer.name} could not be installed: {error}"[:WORDS]) from error
    if done.returncode:
        last = " ".join(line for line in done.stderr.splitlines() if "ERROR" in line) or done.stderr
        raise NotInstalled(f"{peer.name} could not be installed: {last[-WORDS:].strip()}")


def environment() -> dict[str, str]:
    """Return what a peer's process may see of ours: nothing that would lead it to our packages."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("GRIDCONSOLE_", "PYTHON"))}


def own_python() -> Path:
    """Return the product's interpreter."""
    return Path(sys.executable)

"""What the documents promise exists, and what exists is documented."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("gridconsole", "riskops", "trading")
COMMANDS = sorted(path.stem for app in APPS for path in (ROOT / app / "management" / "commands").glob("[!_]*.py"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"./console {command}" in (ROOT / "README.md").read_text()

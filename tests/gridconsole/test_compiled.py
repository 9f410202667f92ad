"""Machine code is kept by what it was compiled from."""

import os
import re
from pathlib import Path

import pytest

from gridconsole import compiled

ROOT = Path(compiled.ROOT)


def test_every_file_with_compiled_loops_is_one_of_the_sources() -> None:
    compiles = re.compile(r"^\s*@(?:njit|jit|vectorize|compiled|inlined)\b|\bnjit\(", re.MULTILINE)
    found = {path for path in (ROOT / "trading").rglob("*.py") if compiles.search(path.read_text())}

    assert found == set(compiled.SOURCES)


def test_another_source_is_another_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changed = tmp_path / "stepping.py"
    folders = []
    for text in ("a", "b", "a"):
        changed.write_text(text)
        monkeypatch.setattr(compiled, "SOURCES", (changed,))
        monkeypatch.delenv(compiled.VARIABLE, raising=False)
        compiled.choose_folder()
        folders.append(os.environ[compiled.VARIABLE])

    assert folders[0] == folders[2] != folders[1]


def test_who_has_chosen_a_folder_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiled.VARIABLE, "/elsewhere")
    compiled.choose_folder()

    assert os.environ[compiled.VARIABLE] == "/elsewhere"

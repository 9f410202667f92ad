"""A command that keeps something works where no console runs, beside one that does, and leaves nothing behind."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridconsole import embedded
from gridconsole.datalock import DataLock
from gridconsole.profile import BASE_DIR


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gc-"))
    yield folder
    shutil.rmtree(folder)


def asked(data_dir: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    unset = {"DATABASE_URL", "REDIS_URL"}
    own = {name: value for name, value in os.environ.items() if name not in unset}
    environment = own | {"GRIDCONSOLE_DATA_DIR": str(data_dir)}
    argv = [sys.executable, "manage.py", *command]
    return subprocess.run(argv, cwd=BASE_DIR, env=environment, capture_output=True, text=True, timeout=120)


def test_a_command_brings_its_own_database_and_takes_it_away_again(data_dir: Path) -> None:
    said = asked(data_dir, "models", "--json")

    assert json.loads(said.stdout.splitlines()[-1]) == {"models": []}, said.stderr
    assert "the database is started for this command" in said.stderr
    assert not embedded.postgres_ready(data_dir)
    assert not embedded.valkey_ready(data_dir)


def test_beside_a_running_console_nothing_is_started(data_dir: Path) -> None:
    with DataLock(data_dir):
        said = asked(data_dir, "models", "--json")

    assert said.returncode == 1
    assert "The database does not answer" in said.stderr
    assert not (data_dir / "postgres").exists()


def test_other_commands_say_that_no_console_runs(data_dir: Path) -> None:
    said = asked(data_dir, "roadmap", "--json")

    assert said.returncode == 1
    assert "Is `./console up` running?" in said.stderr
    assert not (data_dir / "postgres").exists()


def test_a_bad_argument_starts_nothing(data_dir: Path) -> None:
    said = asked(data_dir, "models", "nothing")

    assert said.returncode != 0
    assert "No console runs" not in said.stderr
    assert not (data_dir / "postgres").exists()

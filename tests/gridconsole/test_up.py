"""`up`: one console per data folder, on ports that are free, saying what it does."""

import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gridconsole import embedded, profile, up
from gridconsole.datalock import AlreadyRunning, DataLock, described
from gridconsole.loopback import NoFreePort
from gridconsole.screen import Screen
from gridconsole.up import Console

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, "GRIDCONSOLE_DATA_DIR": str(tmp_path)})


def listening() -> socket.socket:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    return taken


def test_a_second_console_on_the_same_data_is_refused_and_names_the_first(tmp_path: Path) -> None:
    with DataLock(tmp_path) as first:
        first.describe(url="http://127.0.0.1:8001")

        with pytest.raises(AlreadyRunning, match=rf"process {os.getpid()} \(http://127.0.0.1:8001\).*--data-dir"):
            DataLock(tmp_path).__enter__()


def test_the_command_says_the_refusal_and_ends_with_an_error(tmp_path: Path) -> None:
    with DataLock(tmp_path):
        second = subprocess.run(
            [sys.executable, "manage.py", "up", "--data-dir", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
        )

    assert second.returncode == 1
    assert f"already runs on {tmp_path}: process {os.getpid()}" in second.stdout


def test_a_console_waits_for_the_last_processes_of_one_that_was_killed(tmp_path: Path) -> None:
    with DataLock(tmp_path) as first:
        orphan = subprocess.Popen(["sleep", "0.3"], pass_fds=[first.fd])

    with DataLock(tmp_path):
        assert orphan.wait() == 0


def test_a_stopped_console_leaves_the_folder_free(tmp_path: Path) -> None:
    with DataLock(tmp_path):
        assert described(tmp_path) == {"pid": os.getpid()}

    assert described(tmp_path) == {}
    with DataLock(tmp_path):
        pass


def test_a_taken_port_gives_way_to_the_next_free_one_and_says_so(tmp_path: Path) -> None:
    out = io.StringIO()
    with listening() as taken, DataLock(tmp_path) as lock:
        os.environ["GRIDCONSOLE_PORT"] = str(wanted := taken.getsockname()[1])

        Console(profile.read(of_running=False), lock=lock, screen=Screen(out))

        chosen = described(tmp_path)["port"]
    assert chosen > wanted
    assert f"Port {wanted} is taken; using {chosen}." in out.getvalue()


def test_when_every_port_in_reach_is_taken_the_console_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("gridconsole.loopback.PORTS_TRIED", 1)
    with listening() as taken, DataLock(tmp_path) as lock:
        os.environ["GRIDCONSOLE_PORT"] = str(taken.getsockname()[1])

        with pytest.raises(NoFreePort, match="--port"):
            Console(profile.read(of_running=False), lock=lock, screen=Screen(io.StringIO()))


def test_other_commands_find_the_ports_of_the_running_console(tmp_path: Path) -> None:
    with DataLock(tmp_path) as lock:
        lock.describe(port=8004, simulator_port=8907)

        found = profile.read()

    assert (found.port, found.simulator_url) == (8004, f"http://127.0.0.1:8907/instance/{found.instance}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--speed", "61"], "GRIDCONSOLE_SPEED: found '61', accepted: a whole number from 1 to 60"),
        (
            ["--dataset", "candles"],
            "GRIDCONSOLE_DATASET: found 'candles', accepted: ticks, bars or the path of a Parquet file",
        ),
        (["--port", "80"], "GRIDCONSOLE_PORT: found '80', accepted: a whole number from 1024 to 65535"),
        (["--data-dir", __file__], "GRIDCONSOLE_DATA_DIR: found"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(arguments: list[str], message: str) -> None:
    refused = subprocess.run([sys.executable, "manage.py", "up", *arguments], cwd=ROOT, capture_output=True, text=True)

    assert refused.returncode == 2
    assert message in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_progress_line_appears_only_when_something_takes_long() -> None:
    out = io.StringIO()
    screen = Screen(out)

    screen.waiting(["Web"], since=time.monotonic())
    assert out.getvalue() == ""

    screen.waiting(["Web", "Trading loops"], since=time.monotonic() - 60)
    assert "waiting for Web, Trading loops" in out.getvalue()


def test_a_command_without_a_running_console_says_so_at_once(tmp_path: Path) -> None:
    environment = {**os.environ, "GRIDCONSOLE_DATA_DIR": str(tmp_path)}

    refused = subprocess.run(
        [sys.executable, "manage.py", "showmigrations"], cwd=ROOT, env=environment, capture_output=True, text=True
    )

    assert refused.returncode == 1
    assert refused.stderr.startswith("The database does not answer: ")
    assert "./console up" in refused.stderr


@contextmanager
def servers_only(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `up --servers-only` until the servers are ready; killed at the end if the test has not ended it."""
    command = [sys.executable, "manage.py", "up", "--servers-only", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Servers only" in line:
                break
        yield process
        process.kill()


def test_one_signal_stops_everything_in_order(tmp_path: Path) -> None:
    with servers_only(tmp_path) as console:
        console.send_signal(signal.SIGINT)
        said, _ = console.communicate()

    assert console.returncode == 0
    assert "Stopped in" in said
    assert not embedded.postgres_ready(tmp_path)
    assert not embedded.valkey_ready(tmp_path)


def test_a_console_whose_terminal_is_gone_stops_in_order(tmp_path: Path) -> None:
    with servers_only(tmp_path) as console:
        assert console.stdout is not None
        console.stdout.close()
        console.send_signal(signal.SIGHUP)

        assert console.wait() == 0
    assert "database system is shut down" in (tmp_path / "log" / "postgres.log").read_text()


def test_a_killed_console_starts_again_on_its_data(tmp_path: Path) -> None:
    with servers_only(tmp_path) as console:
        console.kill()

    with servers_only(tmp_path) as again:
        assert embedded.postgres_ready(tmp_path)
        again.send_signal(signal.SIGTERM)
        assert again.wait() == 0


@pytest.mark.parametrize(
    ("venue", "said"),
    [
        ("simulator", "Paper trading: replay of recorded ticks, speed x10. No real money."),
        ("testnet", "TESTNET: orders of armed accounts go to the venue's test network. No real money."),
        ("live", "LIVE: REAL MONEY. Orders of armed accounts go to the venue"),
    ],
)
def test_the_start_says_where_orders_go(monkeypatch: pytest.MonkeyPatch, venue: str, said: str) -> None:
    monkeypatch.setenv("GRIDCONSOLE_VENUE", venue)

    where = up._where(profile.read(of_running=False))

    assert where.startswith(said)
    assert ("No real money" in where) is (venue != "live")

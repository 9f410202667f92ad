import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

RESIDENT_LIMIT_KB = 130 * 1024
COMMAND = [sys.executable, "-m", "trading.simulator"]


@contextmanager
def started(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the program on a free port and wait until it says that it is ready."""
    process = subprocess.Popen([*COMMAND, "--port", "0", *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        yield process, line.split(" on ")[1].split(" ")[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_it_starts_small_without_django_and_stops_on_sigterm(tmp_path: Path) -> None:
    with started("--data-dir", str(tmp_path), "--speed", "60") as (process, url):
        with urllib.request.urlopen(f"{url}/sim/status") as reply:
            status = json.loads(reply.read())
        resident_kb = int(Path(f"/proc/{process.pid}/status").read_text().split("VmRSS:")[1].split()[0])
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=10)

    assert (status["speed"], status["instance"]) == (60.0, "")
    assert resident_kb < RESIDENT_LIMIT_KB
    assert code == 0
    assert (tmp_path / "simulator.json").exists()


def test_under_its_name_it_answers_and_under_another_it_refuses() -> None:
    with started("--instance", "ours") as (_, url):
        with urllib.request.urlopen(f"{url}/instance/ours/sim/status") as reply:
            assert json.loads(reply.read())["instance"] == "ours"
        with pytest.raises(urllib.error.HTTPError, match="421"):
            urllib.request.urlopen(f"{url}/instance/theirs/sim/status")


def test_lifted_order_limits_stand_in_the_line_it_starts_with() -> None:
    command = [*COMMAND, "--port", "0", "--lift-order-limits"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.kill()

    assert "ORDER LIMITS LIFTED" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--speed", "0"], "speed: 0.0 is outside 1..60"),
        (["--dataset", "absent.parquet"], "choose another dataset"),
    ],
)
def test_a_wrong_option_is_refused_with_what_to_do(options: list[str], message: str) -> None:
    done = subprocess.run([*COMMAND, "--port", "0", *options], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert message in done.stderr


def test_a_taken_port_is_refused_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run([*COMMAND, "--port", str(port)], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert f"port {port}: Address already in use" in done.stderr
    assert "--port" in done.stderr

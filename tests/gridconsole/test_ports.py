"""A console takes no other program's port and no other console's answers for its own."""

import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gridconsole import profile
from gridconsole.datalock import DataLock
from gridconsole.loopback import HOST, answers, claim_port
from gridconsole.screen import Screen
from gridconsole.supervisor import UnableToStart
from gridconsole.up import Console

LIMIT_S = 20
SIMULATOR = [sys.executable, "-m", "trading.simulator"]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRIDCONSOLE_")}
    monkeypatch.setattr(os, "environ", {**kept, "GRIDCONSOLE_PROFILE": "embedded"})


@contextmanager
def console(folder: Path, *, wanted: int) -> Iterator[Console]:
    """Give a console that has its ports; whatever it starts ends with the block."""
    os.environ |= {"GRIDCONSOLE_DATA_DIR": str(folder), "GRIDCONSOLE_SIMULATOR_PORT": str(wanted)}
    os.environ["GRIDCONSOLE_PORT"] = str(free_port())
    with DataLock(folder) as lock:
        made = Console(profile.read(of_running=False), lock=lock, screen=Screen(io.StringIO()))
        try:
            yield made
        finally:
            made._supervisor.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


# --- who else may listen there ----------------------------------------------------------------------------------


@contextmanager
def another_consoles_exchange(port: int, folder: Path) -> Iterator[None]:
    yield from _exchange(port, "--instance", "another", "--data-dir", str(folder / "another"))


@contextmanager
def unnamed_exchange(port: int, folder: Path) -> Iterator[None]:
    yield from _exchange(port, "--data-dir", str(folder / "unnamed"))


def _exchange(port: int, *options: str) -> Iterator[None]:
    with subprocess.Popen([*SIMULATOR, "--port", str(port), *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "ready" in process.stdout.readline()
        assert answers(f"http://{HOST}:{port}/api/v3/time")
        yield
        process.kill()


@contextmanager
def older_program(port: int, folder: Path) -> Iterator[None]:
    """A console or an exchange of a version that knows no names: 404 for what it does not know."""

    class Older(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path.partition("?")[0] in {"/api/v3/time", "/sim/status", "/healthz", "/readyz"}
            self.send_response(200 if known else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((HOST, port), Older) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


@contextmanager
def no_http(port: int, folder: Path) -> Iterator[None]:
    """A server that greets as a mail server does."""
    with socket.create_server((HOST, port)) as server:

        def greet() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"220 ready 200\r\n")

        threading.Thread(target=greet, daemon=True).start()
        yield
        server.shutdown(socket.SHUT_RDWR)


Other = Callable[[int, Path], AbstractContextManager[None]]
OTHERS = [another_consoles_exchange, unnamed_exchange, older_program, no_http]


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.__name__)
def test_a_console_refuses_an_exchange_that_is_not_its_own(other: Other, tmp_path: Path) -> None:
    """The other one came between the choice of the port and the start."""
    port = free_port()
    with console(tmp_path / "ours", wanted=port) as ours, other(port, tmp_path):
        began = time.monotonic()

        with pytest.raises(UnableToStart) as refused:
            ours._supervisor.start([ours._exchange()])

    said = str(refused.value)
    assert f"port {port}: Address already in use" in said
    assert f"If port {port} is taken: stop the program that listens there, or choose another port with " in said
    assert "GRIDCONSOLE_SIMULATOR_PORT" in said
    assert time.monotonic() - began < LIMIT_S


def test_a_console_starts_its_own_exchange_under_its_own_name(tmp_path: Path) -> None:
    with console(tmp_path, wanted=free_port()) as ours:
        ours._supervisor.start([ours._exchange()])

        with urllib.request.urlopen(f"{ours._profile.simulator_url}/sim/status") as reply:
            assert json.load(reply)["instance"] == ours._profile.instance
    assert not answers(f"{ours._profile.simulator_url}/sim/status")


def test_two_consoles_that_start_together_choose_different_ports_and_books(tmp_path: Path) -> None:
    wanted = free_port()
    with ExitStack() as both:
        first, second = (both.enter_context(console(tmp_path / name, wanted=wanted)) for name in ("a", "b"))
        # Nothing listens yet: to choose by looking for listeners would choose one port twice.
        assert first._profile.simulator_port == wanted != second._profile.simulator_port
        for one in (first, second):
            one._supervisor.start([one._exchange()])

        states = [(tmp_path / name / "simulator.json").exists for name in ("a", "b")]
        deadline = time.monotonic() + LIMIT_S
        while not all(exists() for exists in states):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not answers(second._profile.own_simulator_url.replace(str(second._profile.simulator_port), str(wanted)))


def test_a_claim_ends_with_its_process(tmp_path: Path) -> None:
    port = free_port()
    script = f"from gridconsole.loopback import claim_port; c = claim_port({port}); print(c.port, flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=profile.BASE_DIR
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == f"{port}\n"
    assert claim_port(port).port > port

    holder.kill()
    holder.communicate()

    assert claim_port(port).port == port


# --- the web process --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [older_program, no_http], ids=lambda other: other.__name__)
def test_another_programs_answer_is_not_taken_for_the_consoles_own(other: Other, tmp_path: Path) -> None:
    port = free_port()
    os.environ |= {"GRIDCONSOLE_DATA_DIR": str(tmp_path), "GRIDCONSOLE_PORT": str(port)}
    found = profile.read(of_running=False)
    with other(port, tmp_path):
        assert not answers(found.health_url("healthz"))
        assert not answers(f"{found.health_url('readyz')}?since=0")


# --- where a deployment has its own exchange --------------------------------------------------------------------


def test_an_address_that_a_deployment_sets_stays_as_it_is(tmp_path: Path) -> None:
    os.environ["GRIDCONSOLE_SIMULATOR_URL"] = "http://exchange.internal:8900"

    assert profile.read(of_running=False).simulator_url == "http://exchange.internal:8900"


def test_processes_of_a_deployment_ask_for_no_name(tmp_path: Path) -> None:
    servers = {"DATABASE_URL": "postgresql://u@db/n", "REDIS_URL": "redis://valkey"}
    os.environ |= {"GRIDCONSOLE_PROFILE": "distributed", **servers}

    assert profile.read(of_running=False).simulator_url == "http://127.0.0.1:8900"


def test_the_name_follows_the_data_folder_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "data")
    (tmp_path / "data").mkdir()
    names = []
    for folder in ("data", "link", "other"):
        os.environ["GRIDCONSOLE_DATA_DIR"] = str(tmp_path / folder)
        names.append(profile.read(of_running=False).instance)

    assert names[0] == names[1] != names[2]

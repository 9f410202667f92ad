"""`./console up`: the servers and processes of the embedded profile under one supervisor.

Nothing of Django is imported here: this process stays for days, and Django would cost it 60 MB.
"""

import argparse
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from gridconsole import embedded, processes, profile
from gridconsole.children import Child, Launch, stop_together
from gridconsole.datalock import AlreadyRunning, DataLock
from gridconsole.env import InvalidEnvironment
from gridconsole.loopback import HOST, Claim, NoFreePort, answers, claim_port
from gridconsole.profile import BASE_DIR, Profile
from gridconsole.screen import Screen
from gridconsole.supervisor import Part, StopRequested, Supervisor, UnableToStart

PREPARED_FILE: Final = "prepared.json"
PYTHON_SOURCES: Final = ("gridconsole", "riskops", "trading", "requirements.txt")

# What stops first must not mistake the stop of the others for a failure.
STOP_WATCHDOG, STOP_CONSOLE, STOP_EXCHANGE, STOP_SERVERS = range(4)

TAKEN: Final = "If port {} is taken: stop the program that listens there, or choose another port with {}."
REFUSALS: Final = (AlreadyRunning, NoFreePort, UnableToStart, embedded.UnableToStart)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; what is not given comes from the environment."""
    parser.add_argument("--port", help="port of the console (default 8000, or the next free one)")
    parser.add_argument("--data-dir", help="folder of databases and logs (default var/ beside manage.py)")
    parser.add_argument("--speed", help="replay seconds per second, 1 to 60 (default 10)")
    parser.add_argument("--dataset", help="ticks (default), bars, or a Parquet file")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument("--servers-only", action="store_true", help="only PostgreSQL and Valkey, for maintenance")


def main(argv: Sequence[str]) -> int:
    """Parse the options, run the console, return its exit status."""
    parser = argparse.ArgumentParser(prog="./console up", description="Start the console and everything it needs.")
    add_arguments(parser)
    return run(**vars(parser.parse_args(argv)))


def run(
    *,
    port: str | None = None,
    data_dir: str | None = None,
    speed: str | None = None,
    dataset: str | None = None,
    no_browser: bool = False,
    servers_only: bool = False,
) -> int:
    """Run the console until it is stopped; 0 after an orderly stop, 1 when it could not start.

    Raises:
        InvalidEnvironment: an option or a variable is not usable.
    """
    given = {
        "GRIDCONSOLE_PORT": port,
        "GRIDCONSOLE_DATA_DIR": data_dir,
        "GRIDCONSOLE_SPEED": speed,
        "GRIDCONSOLE_DATASET": dataset,
    }
    os.environ.update({name: value for name, value in given.items() if value})
    found = profile.read(of_running=False)
    if found.kind != "embedded":
        raise InvalidEnvironment(
            "GRIDCONSOLE_PROFILE", found.kind, "embedded for `up`; see docs/operations.md, Profiles"
        )
    screen = Screen()
    try:
        with DataLock(found.data_dir) as lock:
            console = Console(found, lock=lock, screen=screen)
            console.run_servers() if servers_only else console.run(open_browser=not no_browser)
    except StopRequested:
        return 0
    except REFUSALS as error:
        screen.say(f"\n{error}")
        return 1
    return 0


class Console:
    """The parts of one installation and the order in which they start."""

    def __init__(self, found: Profile, *, lock: DataLock, screen: Screen) -> None:
        self._screen = screen
        self._lock = lock
        self._log_dir = found.data_dir / "log"
        self._supervisor = Supervisor(screen=screen)
        self._claims: list[Claim] = []  # held until this process ends
        self._people = ""
        self._profile = self._with_free_ports(found)
        self._url = f"http://{HOST}:{self._profile.port}"
        self._stamp_file = found.data_dir / PREPARED_FILE

    def run(self, *, open_browser: bool) -> None:
        """Start everything, show the address, keep it running.

        Raises:
            StopRequested: stopped by a person or the system; everything has ended.
            UnableToStart: a part did not come up; everything has ended.
        """
        began = time.monotonic()
        self._screen.say(f"Grid Console starts on {self._profile.data_dir}")
        with self._stopping_everything():
            self._start()
            self._welcome(time.monotonic() - began)
            if open_browser:
                _show(self._url)
            self._supervisor.watch()

    def run_servers(self) -> None:
        """Run the servers alone, for maintenance: nothing trades, nothing is migrated.

        Raises:
            StopRequested: stopped by a person or the system; both have ended.
            UnableToStart: a server did not come up.
        """
        with self._stopping_everything():
            self._supervisor.start(self._servers())
            sockets = profile.socket_dir(self._profile.data_dir)
            self._screen.say(f"\nServers only, on sockets in {sockets}. Stop: Ctrl-C")
            self._supervisor.watch()

    @contextmanager
    def _stopping_everything(self) -> Iterator[None]:
        """Whatever ends the block, stop every part in order; new passwords are shown even then."""
        with self._supervisor.signals():
            try:
                yield
            finally:
                self._show_people()
                self._supervisor.stop()

    def _start(self) -> None:
        servers = self._servers()
        if not self._is_prepared():
            self._supervisor.start(servers)
            self._prepare()
            servers = []
        # Importing Django takes each process longer than the servers need to start.
        self._supervisor.start([*servers, self._exchange(), self._web(), self._loops()])
        self._supervisor.start([self._tasks(), self._watchdog()])

    def _with_free_ports(self, found: Profile) -> Profile:
        """Choose the ports, tell the children through the environment, and tell other commands through the lock."""
        port = self._claim_port("Port", found.port)
        simulator_port = self._claim_port("Exchange port", found.simulator_port)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each start would compile ccxt anew: ten seconds
        os.environ.update(
            GRIDCONSOLE_DATA_DIR=str(found.data_dir),
            GRIDCONSOLE_PORT=str(port),
            GRIDCONSOLE_SIMULATOR_PORT=str(simulator_port),
            PYTHONUNBUFFERED="1",
            MALLOC_ARENA_MAX="2",  # glibc gives every thread an arena; two are enough and save memory
        )
        chosen = profile.read(of_running=False)
        self._lock.describe(port=port, simulator_port=simulator_port, url=f"http://{HOST}:{port}")
        return chosen

    def _claim_port(self, title: str, wanted: int) -> int:
        claim = claim_port(wanted)
        self._claims.append(claim)
        if claim.port != wanted:
            self._screen.say(f"{title} {wanted} is taken; using {claim.port}.")
        return claim.port

    def _servers(self) -> list[Part]:
        data_dir, parts = self._profile.data_dir, []
        if self._profile.own_postgres:
            if not (data_dir / "postgres").exists():
                self._screen.say("  First start: creating the database ...")
            launch = embedded.postgres(data_dir)
            ready = partial(embedded.postgres_ready, data_dir)
            parts.append(self._part("PostgreSQL", launch, ready, STOP_SERVERS, embedded.POSTGRES_HELP))
        if self._profile.own_valkey:
            launch, ready = embedded.valkey(data_dir), partial(embedded.valkey_ready, data_dir)
            parts.append(self._part("Valkey", launch, ready, STOP_SERVERS, embedded.VALKEY_HELP))
        return parts

    def _exchange(self) -> Part:
        ready = partial(answers, f"{self._profile.own_simulator_url}/sim/status")
        advice = TAKEN.format(self._profile.simulator_port, "GRIDCONSOLE_SIMULATOR_PORT")
        return self._part("Simulated exchange", processes.simulator(self._profile), ready, STOP_EXCHANGE, advice)

    def _web(self) -> Part:
        ready = partial(answers, self._profile.health_url("healthz"))
        advice = TAKEN.format(self._profile.port, "--port")
        return self._part("Web", processes.web(self._profile), ready, STOP_CONSOLE, advice)

    def _loops(self) -> Part:
        since_ms = time.time_ns() // 1_000_000
        ready = partial(answers, f"{self._profile.health_url('readyz')}?since={since_ms}")
        return self._part("Trading loops", processes.loops(), ready, STOP_CONSOLE)

    def _tasks(self) -> Part:
        return self._part("Housekeeping", processes.tasks(), _at_once, STOP_CONSOLE)

    def _watchdog(self) -> Part:
        return self._part("Watchdog", processes.watchdog(), _at_once, STOP_WATCHDOG)

    def _part(self, title: str, launch: Launch, ready: Callable[[], bool], rank: int, advice: str = "") -> Part:
        child = Child(launch, log_dir=self._log_dir, inherit=[self._lock.fd])
        return Part(title=title, child=child, is_ready=ready, stop_rank=rank, advice=advice)

    def _is_prepared(self) -> bool:
        """Return whether nothing has changed since this data folder was prepared last."""
        prepared = _read_json(self._stamp_file)
        if not self._profile.own_postgres or prepared.get("digest") != _sources_digest(self._profile):
            return False
        self._people = _sign_in_line(prepared["people"])
        return True

    def _prepare(self) -> None:
        """Migrate and load the demo."""
        began, digest = time.monotonic(), _sources_digest(self._profile)
        with tempfile.TemporaryFile() as output:  # never a log: the demo prints new passwords
            child = Child(processes.prepare(), log_dir=self._log_dir, inherit=[self._lock.fd], output=output)
            try:
                self._run_to_end(child, began)
            finally:
                output.seek(0)
                said = output.read().decode().splitlines()
                self._people = "\n".join(line for line in said if not line.startswith("{"))
        result = json.loads(said[-1])
        if not result["created"]:
            self._people = _sign_in_line(result["people"])
        self._stamp_file.write_text(json.dumps({"digest": digest, "people": result["people"]}))
        self._screen.done("Tables and demo", time.monotonic() - began)

    def _run_to_end(self, child: Child, began: float) -> None:
        child.start()
        try:
            while child.running:
                self._screen.waiting(["tables and demo"], began)
                self._supervisor.pause(0.05)
        finally:
            stop_together([child], grace_s=5)
        if child.exit_code:
            raise UnableToStart(f"The database could not be prepared.\n\n{child.log_tail(15)}\nLog: {child.log_path}")

    def _welcome(self, seconds: float) -> None:
        self._screen.say(f"\nReady after {seconds:.1f} s: {self._url}\n")
        self._show_people()
        self._screen.say(
            f"{_where(self._profile)}\nLogs: {self._log_dir}    Stop: Ctrl-C    Halt all trading: ./console halt"
        )

    def _show_people(self) -> None:
        """Say the people once, also when the start is cut short: new passwords exist nowhere else."""
        if self._people:
            self._screen.say(self._people + "\n")
        self._people = ""


def _sign_in_line(people: Sequence[str]) -> str:
    return (
        f"Sign in as {', '.join(people)}. Passwords were shown at the first start; "
        "`./console changepassword trader` sets a new one."
    )


def _at_once() -> bool:
    return True


def _sources_digest(found: Profile) -> str:
    """Return what changes whenever code, dependencies or the database folder change (size and time of every file)."""
    digest = hashlib.sha256()
    cluster = found.data_dir / "postgres" / "PG_VERSION"
    for source in (*(BASE_DIR / name for name in PYTHON_SOURCES), cluster):
        files = sorted(source.rglob("*.py")) if source.is_dir() else [source]
        for path in (path for path in files if path.exists()):
            stat = path.stat()
            digest.update(f"{path}:{stat.st_size}:{stat.st_mtime_ns};".encode())
    return digest.hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def _show(url: str) -> None:
    """Open the page where a person can see it."""
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        import webbrowser

        webbrowser.open(url)


def _where(profile: Profile) -> str:
    """Return where orders go, in a sentence nobody can take for another."""
    if profile.venue == "live":
        return "LIVE: REAL MONEY. Orders of armed accounts go to the venue; paper accounts do not trade here."
    if profile.venue == "testnet":
        return "TESTNET: orders of armed accounts go to the venue's test network. No real money."
    return f"Paper trading: replay of recorded {profile.dataset}, speed x{profile.speed}. No real money."

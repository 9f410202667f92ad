"""What the environment says about this installation: one reading for settings, supervisor and commands."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from dotenv import load_dotenv

from gridconsole import datalock, env
from trading.simulator import INSTANCE_PATH

BASE_DIR: Final = Path(__file__).resolve().parent.parent
VENUES: Final = ("simulator", "testnet", "live")
DATASETS: Final = ("ticks", "bars")
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
SPEED_RANGE: Final = (1, 60)  # replay seconds per second
DEFAULT_SPEED: Final = 10
PORT_RANGE: Final = (1024, 65_535)
SOCKET_PATH_LIMIT: Final = 100  # bytes; the kernel takes 107, PostgreSQL adds up to ".lock" to the name
POSTGRES_SOCKET: Final = ".s.PGSQL.5432"
VALKEY_SOCKET: Final = "valkey.sock"

Kind = Literal["embedded", "distributed"]


@dataclass(frozen=True, slots=True)
class Profile:
    """One installation: where its data lies, who starts its servers, where it listens."""

    kind: Kind
    data_dir: Path
    instance: str  # the name by which this installation knows its own processes; another data folder has another
    port: int
    origins: tuple[str, ...]  # scheme, host and port a browser may come from
    simulator_port: int
    own_simulator_url: str  # where `up` starts the simulated exchange; one of another name refuses what comes this way
    simulator_url: str
    speed: int  # replay seconds per second
    dataset: str  # one of DATASETS, or the absolute path of a recording
    database_url: str
    redis_url: str
    broker_url: str
    own_postgres: bool  # `up` starts PostgreSQL
    own_valkey: bool  # `up` starts Valkey
    log_level: str
    venue: str  # one of VENUES: where prices come from and orders go to

    def health_url(self, address: str) -> str:
        """Return where the web process of this installation, and of no other, answers for `address`, "healthz"."""
        return f"http://127.0.0.1:{self.port}/{address}/{self.instance}"


def read(*, of_running: bool = True) -> Profile:
    """Return the profile of this process, from the environment and the `.env` file beside manage.py.

    With `of_running`, ports that are not set are those of the console that runs on the same data folder.

    Raises:
        env.InvalidEnvironment: a variable is not usable.
    """
    _load_file(BASE_DIR / ".env")
    kind = cast(Kind, env.choice("GRIDCONSOLE_PROFILE", ("embedded", "distributed"), "embedded"))
    data_dir = env.directory("GRIDCONSOLE_DATA_DIR", BASE_DIR / "var")
    running = datalock.described(data_dir) if of_running else {}
    low, high = PORT_RANGE
    port = env.integer("GRIDCONSOLE_PORT", running.get("port", 8000), low=low, high=high)
    simulator_port = env.integer("GRIDCONSOLE_SIMULATOR_PORT", running.get("simulator_port", 8900), low=low, high=high)
    instance = _digest(data_dir.resolve())
    bare_url = f"http://127.0.0.1:{simulator_port}"
    own_url = bare_url + INSTANCE_PATH.format(instance)
    own_postgres, own_valkey = _own_servers(kind)
    redis_url = env.url(
        "REDIS_URL", f"unix://{socket_dir(data_dir) / VALKEY_SOCKET}", ("redis", "rediss", "valkey", "unix")
    ).replace("valkey://", "redis://", 1)
    return Profile(
        kind=kind,
        data_dir=data_dir,
        instance=instance,
        port=port,
        origins=tuple(env.origins("GRIDCONSOLE_ORIGINS", f"http://127.0.0.1:{port},http://localhost:{port}")),
        simulator_port=simulator_port,
        own_simulator_url=own_url,
        simulator_url=env.url(
            "GRIDCONSOLE_SIMULATOR_URL", own_url if kind == "embedded" else bare_url, ("http", "https")
        ),
        speed=env.integer("GRIDCONSOLE_SPEED", DEFAULT_SPEED, low=SPEED_RANGE[0], high=SPEED_RANGE[1]),
        dataset=_dataset("GRIDCONSOLE_DATASET"),
        database_url=env.text("DATABASE_URL", f"postgresql://gridconsole@/gridconsole?host={socket_dir(data_dir)}"),
        redis_url=redis_url,
        broker_url=env.url("BROKER_URL", redis_url, ("redis", "rediss", "unix", "amqp", "amqps")),
        own_postgres=own_postgres,
        own_valkey=own_valkey,
        venue=env.choice("GRIDCONSOLE_VENUE", VENUES, VENUES[0]),
        log_level=env.choice("GRIDCONSOLE_LOG_LEVEL", LOG_LEVELS, "INFO"),
    )


def _load_file(path: Path) -> None:
    try:
        load_dotenv(path)
    except (ValueError, OSError) as error:  # other bytes than UTF-8, a zero byte, a file closed to us
        raise env.InvalidEnvironment(str(path), str(error), "lines such as NAME=value, as UTF-8 text") from error


def _dataset(name: str) -> str:
    value = env.text(name, DATASETS[0])
    if value in DATASETS:
        return value
    accepted = ", ".join(DATASETS) + " or the path of a Parquet file"
    if not (recording := env.place(name, value, accepted)).is_file():
        raise env.InvalidEnvironment(name, value, accepted)
    return str(recording)


def socket_dir(data_dir: Path) -> Path:
    """Return the folder of the Unix sockets: inside the data folder, or a short one when that path is too long.

    Source:
        unix(7): sun_path holds 108 bytes; both servers refuse to start beyond it.
    """
    inside = data_dir / "run"
    if len(os.fsencode(inside / POSTGRES_SOCKET)) <= SOCKET_PATH_LIMIT:
        return inside
    return Path(tempfile.gettempdir()) / f"gridconsole-{os.getuid()}-{_digest(data_dir)}"


def _digest(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]


def _own_servers(kind: Kind) -> tuple[bool, bool]:
    if kind == "embedded":
        return not env.text("DATABASE_URL"), not env.text("REDIS_URL")
    env.required("DATABASE_URL", "a PostgreSQL address (profile distributed starts no servers)")
    env.required("REDIS_URL", "a Redis or Valkey address (profile distributed starts no servers)")
    return False, False

"""A database, a data folder and ports of this run alone; progress on stderr, the result alone on the last line."""

import json
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

OWN_SERVERS: Final = ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "GRIDCONSOLE_SIMULATOR_URL", "GRIDCONSOLE_ORIGINS")


def say(text: str) -> None:
    """Tell a person how far it is."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def report(result: Mapping[str, Any]) -> None:
    """Print the result as one JSON object on the last line of standard output."""
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


def free_ports(count: int) -> list[int]:
    """Return ports nobody listens on right now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@contextmanager
def data_folder() -> Iterator[Path]:
    """Make a folder, choose ports and point the settings at them; must come before Django reads them."""
    with tempfile.TemporaryDirectory(prefix="gc-bench-", ignore_cleanup_errors=True) as folder:
        port, simulator_port = free_ports(2)
        os.environ.update(
            GRIDCONSOLE_PROFILE="embedded",
            GRIDCONSOLE_DATA_DIR=folder,
            GRIDCONSOLE_PORT=str(port),
            GRIDCONSOLE_SIMULATOR_PORT=str(simulator_port),
            DJANGO_SETTINGS_MODULE="gridconsole.settings",
            PYTHONUNBUFFERED="1",
            MALLOC_ARENA_MAX="2",  # as `up` does
        )
        for name in OWN_SERVERS:
            os.environ.pop(name, None)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each start would compile ccxt anew: ten seconds
        yield Path(folder)


@contextmanager
def database() -> Iterator[Path]:
    """Run PostgreSQL and Valkey as in production (every commit on disk), with the demo loaded."""
    with data_folder() as folder, prepared(folder):
        yield folder


@contextmanager
def prepared(folder: Path) -> Iterator[None]:
    """Run PostgreSQL and Valkey on the data folder for the length of the block, with the demo loaded."""
    from gridconsole import embedded

    servers = embedded.Servers(folder, durable=True)
    servers.start()
    try:
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", interactive=False, verbosity=0)
        from datetime import UTC, datetime

        from trading.services.demo import load_demo

        load_demo(at=datetime.now(UTC))
        yield
    finally:
        servers.stop()

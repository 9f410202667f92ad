"""The embedded servers for the length of one command, where no console runs that has them already."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gridconsole import embedded, profile
from gridconsole.datalock import AlreadyRunning, DataLock

COMMANDS: Final = frozenset({"train", "evaluate", "models"})  # they keep something, and need nobody else


class NoServers(Exception):
    """The command cannot run; the message says why and what to do."""


@contextmanager
def servers(command: str) -> Iterator[None]:
    """Have a database and a cache while the block runs: those of a running console, or our own until it ends.

    Raises:
        NoServers: a server does not start here.
    """
    found = profile.read()
    if command not in COMMANDS or not (found.own_postgres and found.own_valkey):
        yield
        return
    lock = DataLock(found.data_dir)
    try:
        lock.__enter__()
    except AlreadyRunning:
        yield
        return
    own = embedded.Servers(found.data_dir, durable=True)
    try:
        _start(own)
        yield
    finally:
        own.stop()
        lock.__exit__()


def _start(own: embedded.Servers) -> None:
    import django
    from django.core.management import CommandError, call_command

    sys.stderr.write("No console runs here: the database is started for this command.\n")
    try:
        own.start()
    except embedded.UnableToStart as error:
        raise NoServers(str(error)) from error
    django.setup()
    try:
        call_command("prepare", verbosity=0, stdout=sys.stderr)
    except CommandError as error:
        raise NoServers(str(error)) from error

"""The embedded servers for the length of one command, where no console runs that has them already."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from gridconsole import embedded, profile
from gridconsole.datalock import AlreadyRunning, DataLock

COMMANDS: Final = {  # they keep something, and need nobody else
    "train": "trading",
    "evaluate": "trading",
    "models": "trading",
}


class NoServers(Exception):
    """The command cannot run; the message says why and what to do."""


@contextmanager
def servers(command: Sequence[str]) -> Iterator[None]:
    """Have a database and a cache while the block runs: those of a running console, or our own until it ends.

    Whoever has set up Django before has a database already. Arguments that are refused start nothing.

    Raises:
        NoServers: a server does not start here.
        SystemExit: the arguments are refused, or only help was asked for.
    """
    from django.conf import settings

    found = profile.read()
    if command[:1] and command[0] in COMMANDS and not settings.configured and found.own_postgres and found.own_valkey:
        _check(command)
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
    else:
        yield


def _check(command: Sequence[str]) -> None:
    import django
    from django.core.management import load_command_class

    django.setup()
    name, *arguments = command
    load_command_class(COMMANDS[name], name).create_parser("./console", name).parse_args(arguments)


def _start(own: embedded.Servers) -> None:
    from django.core.management import CommandError, call_command

    sys.stderr.write("No console runs here: the database is started for this command.\n")
    try:
        own.start()
        call_command("prepare", verbosity=0, stdout=sys.stderr)
    except (embedded.UnableToStart, CommandError) as error:
        raise NoServers(str(error)) from error

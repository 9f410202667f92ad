#!/usr/bin/env python
"""The command line of Grid Console."""

import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Run one command; a wrong setting or a missing database ends in one line that says what to do."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gridconsole.settings")
    from gridconsole import compiled
    from gridconsole.env import InvalidEnvironment

    compiled.choose_folder()
    try:
        if argv[1:2] == ["up"]:
            # The supervisor stays for days and needs nothing of Django.
            from gridconsole.up import main as up

            return up(argv[2:])
        if argv[1:2] == ["smoke"]:
            # It sets up Django only when it knows the folder of the console it started.
            from gridconsole.smoke import main as smoke

            return smoke(argv[2:])
        if argv[1:2] == ["backtest"]:
            # A grid over a file needs neither a database nor Django.
            from gridconsole.backtest import main as backtest

            return backtest(argv[2:])
        if argv[1:2] == ["sweep"]:
            # As backtest does.
            from gridconsole.sweep import main as sweep

            return sweep(argv[2:])
        if argv[1:2] == ["drill"]:
            # As smoke does.
            from gridconsole.rehearsal import main as drill

            return drill(argv[2:])
        if argv[1:2] == ["watchdog"]:
            # It must work when nothing else does, so it leans on as little as possible.
            from trading.management.commands.watchdog import main as watchdog

            return watchdog(argv[2:])
        return run_django(argv)
    except InvalidEnvironment as error:
        print(f"Wrong setting. {error}", file=sys.stderr)
        return 2


def run_django(argv: Sequence[str]) -> int:
    """Run a management command."""
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, connection

    from gridconsole.at_hand import NoServers, servers

    try:
        with servers(argv[1:]):
            execute_from_command_line(["./console", *argv[1:]])
    except NoServers as error:
        print(error, file=sys.stderr)
        return 1
    except OperationalError as error:
        if connection.connection is not None:  # the database answered: this is not about reaching it
            raise
        reason = str(error).strip().splitlines()[0]
        print(f"The database does not answer: {reason}\nIs `./console up` running?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

"""`./console bench <name>`: measure one figure in a process, a folder and on ports of its own."""

import os
import sys
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gridconsole.profile import BASE_DIR

MODULES: Final = {
    "latency": "tick_to_submit",
    "ticks": "tick_rate",
    "push": "push",
    "halt": "kill_switch",
    "start": "start",
    "memory": "memory",
    "install": "install",
    "parity": "parity",
    "crash": "crash",
    "kill": "kill",
    "load": "load",
    "audit": "audit",
    "gate": "gate",
    "mutation": "mutation",
    "data": "data",
    "backtest": "backtest",
    "sweep": "sweep",
    "page": "page",
    "rl": "rl",
    "inference": "inference",
}
NAMES: Final = tuple(MODULES)


class Command(BaseCommand):
    """Hand over to the benchmark; it must choose its data folder before Django reads the settings."""

    help = f"Measure one figure: {', '.join(NAMES)}. With --json the figures stand alone on the last line."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the name; everything after it goes through to the benchmark."""
        parser.add_argument("name", help=", ".join(NAMES))
        parser.add_argument("--json", action="store_true", help="only the figures, as JSON on the last line")

    def run_from_argv(self, argv: list[str]) -> None:
        """Let a benchmark read its own options; the help of the command stays Django's."""
        if len(argv) > 2 and argv[2] in NAMES:
            _become(argv[2], argv[3:])
        super().run_from_argv(argv)

    def handle(self, *args: Any, **options: Any) -> None:
        """Refuse a name that does not exist."""
        if options["name"] not in NAMES:
            raise CommandError(f"bench: {options['name']!r} is not known; choose one of {', '.join(NAMES)}.")
        _become(options["name"], ["--json"] * options["json"])


def _become(name: str, arguments: list[str]) -> None:
    """Turn this process into the benchmark: signals and the exit status are its own."""
    sys.stdout.flush()
    os.chdir(BASE_DIR)
    os.execv(sys.executable, [sys.executable, "-m", f"benchmarks.{MODULES[name]}", *arguments])

"""`./console up`: start everything. manage.py goes straight to gridconsole.up; this names the command in the help."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from gridconsole import up


class Command(BaseCommand):
    """Start the console and everything it needs; Ctrl-C stops it."""

    help = "Start the console and everything it needs: servers, exchange, web, loops, tasks, watchdog. Ctrl-C stops it."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Offer port, data folder, replay speed and dataset."""
        up.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until stopped."""
        names = ("port", "data_dir", "speed", "dataset", "no_browser", "servers_only")
        raise SystemExit(up.run(**{name: options[name] for name in names}))

"""`./console sweep`: manage.py goes straight to gridconsole.sweep; this names the command in the help."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from gridconsole import sweep


class Command(BaseCommand):
    """Search among many grids over recorded data."""

    help = "Try many grids over recorded data: walk-forward, deflated by every trial; grid, random or Optuna."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Offer the options."""
        sweep.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it."""
        raise SystemExit(sweep.run(options))

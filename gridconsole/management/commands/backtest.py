"""`./console backtest`: manage.py goes straight to gridconsole.backtest; this names the command in the help."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from gridconsole import backtest


class Command(BaseCommand):
    """Run one grid over recorded data."""

    help = "Run a grid over recorded data: fills, equity, drawdown and ratios, as text, JSON or a page with charts."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Offer the options."""
        backtest.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it."""
        raise SystemExit(backtest.run(options))

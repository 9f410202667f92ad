"""`./console smoke`: manage.py goes straight to gridconsole.smoke; this names the command in the help."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from gridconsole import smoke


class Command(BaseCommand):
    """Start everything in a temporary folder, trade, halt, prove, stop."""

    help = "Start everything in a temporary folder, trade on both desks, halt, prove it, stop; prints one JSON object."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Offer --json."""
        smoke.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run once."""
        raise SystemExit(smoke.run(only_json=options["json"]))

"""`./console drill`: manage.py goes straight to gridconsole.rehearsal; this names the command in the help."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from gridconsole import rehearsal


class Command(BaseCommand):
    """Take the first step of the roadmap on paper, from an empty folder."""

    help = "Rehearse a step of the roadmap on paper, on the production gate and clock; prints one JSON object."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Offer the options."""
        rehearsal.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run once."""
        raise SystemExit(rehearsal.run(speed=options["speed"], limit_s=options["limit_minutes"] * 60))

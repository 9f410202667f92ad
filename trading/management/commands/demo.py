"""`./console demo`: create what is missing of the demo desks and people."""

import json
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from trading.services.demo import DEMO_PEOPLE, load_demo


class Command(BaseCommand):
    """Load the demo desks, their mandates and grids, and the five people; passwords are shown once."""

    help = "Create what is missing of the demo: two desks and five people (passwords are printed once)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Offer --json."""
        parser.add_argument("--json", action="store_true", help="print the new people as JSON on the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Load and print."""
        passwords = load_demo(at=datetime.now(UTC))
        if options["json"]:
            self.stdout.write(json.dumps({"people": passwords}))
        elif passwords:
            self.stdout.write("People of the demo (passwords are shown this once):")
            for username, password in passwords.items():
                self.stdout.write(f"  {username:<14} {password:<14} {DEMO_PEOPLE[username]}")
        else:
            self.stdout.write("The demo is loaded already; people keep their passwords.")

"""`./console roadmap`: load the phases of the roadmap and show them."""

import json
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from riskops.domain.phases import UnreadablePhase
from riskops.domain.playbooks import UnreadablePlaybook
from riskops.selectors import roadmap
from riskops.services import phases
from riskops.services.phases import UnableToStep
from trading.models import Account


class Command(BaseCommand):
    """Read every template strictly, store what is new, say what is in force."""

    help = "Load the phases of the roadmap (strictly; nothing is stored when one is wrong) and show them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Offer the account whose run is shown, and --json."""
        parser.add_argument("--account", default="micro", help="whose phase in force is shown (its slug)")
        parser.add_argument("--json", action="store_true", help="print the phases as JSON on the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Load and print."""
        try:
            phases.load_roadmap(at=datetime.now(UTC))
        except (UnreadablePhase, UnreadablePlaybook, UnableToStep) as error:
            raise CommandError(str(error)) from error
        account = Account.objects.filter(slug=options["account"]).first()
        if options["json"]:
            self.stdout.write(json.dumps(roadmap.as_json(account)))
            return
        for stop in roadmap.track(account) if account else ():
            self.stdout.write(f"{stop.phase.id:<5} {stop.capital:>8} {account and account.quote}  {stop.state}")

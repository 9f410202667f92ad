"""`./console prepare`: bring the tables up to date and, if wanted, load the demo."""

import json
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from riskops import alarming
from riskops.domain.alert_rules import UnreadableRules
from riskops.services import phases
from trading.services.demo import DEMO_PEOPLE


class Command(BaseCommand):
    """Migrate, load the roadmap, create what is missing of the demo; safe to repeat."""

    help = "Bring the database tables up to date; with --demo also create what is missing of the demo."

    def add_arguments(self, parser: CommandParser) -> None:
        """Offer the demo and a machine's answer."""
        parser.add_argument("--demo", action="store_true", help="load the demo desks and people")
        parser.add_argument("--json", action="store_true", help="say who can sign in, as JSON on the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read the alert rules, which need no table; migrate; the demo needs the tables."""
        try:
            alarming.rulebook()
        except UnreadableRules as error:
            raise CommandError(str(error)) from error
        call_command("migrate", interactive=False, verbosity=0)
        before = User.objects.count()
        if options["demo"]:
            call_command("demo", stdout=self.stdout)
        phases.load_roadmap(at=datetime.now(UTC))
        if options["demo"]:
            phases.begin_demo(at=datetime.now(UTC))
        if options["json"]:
            people = list(DEMO_PEOPLE) if options["demo"] else []
            self.stdout.write(json.dumps({"people": people, "created": User.objects.count() - before}))

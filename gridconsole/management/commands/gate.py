"""`./console gate`: judge the run of one account and say how every criterion stands."""

import json
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from riskops.selectors import gate
from riskops.services import phases
from riskops.standing import recommendation, stand
from trading.models import Account


class Command(BaseCommand):
    """Measure, judge, print."""

    help = "Judge the run in force of an account on its evidence."

    def add_arguments(self, parser: CommandParser) -> None:
        """Offer the account and --json."""
        parser.add_argument("--account", default="micro", help="slug of the account")
        parser.add_argument("--json", action="store_true", help="print findings and outcome as JSON on the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Judge and print; without a run there is nothing to judge, which is an error."""
        account = Account.objects.filter(slug=options["account"]).first()
        if account is None:
            raise CommandError(f"--account: there is no account {options['account']}.")
        run = gate.open_run(account)
        if run is None:
            raise CommandError(f"{account.name} has no run in force; start one on the page /gate/.")
        at = datetime.now(UTC)
        phases.judge(run=run, at=at)
        standing = stand(run, at)
        asked = recommendation(run, standing)
        if options["json"]:
            found = {"phase": standing.phase.id, "account": account.slug, **standing.shown}
            self.stdout.write(json.dumps({**found, "matrix": gate.matrix_json(asked)}))
            return
        self.stdout.write(f"{standing.phase.id} at {account.name}: {standing.verdict.outcome}")
        self.stdout.write(f"  may capital rise: {asked.answer}{''.join(f'; {reason}' for reason in asked.reasons)}")
        for text in standing.verdict.missing:
            self.stdout.write(f"  ◷ {text}")
        for finding in standing.verdict.findings:
            self.stdout.write(f"  {gate.GLYPHS[finding.state]} {finding.criterion.metric}: {finding.state}")

"""`./console arm`: what stands between an account and real money; and how to take it back."""

import getpass
import json
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from riskops.selectors import arming as selectors
from riskops.services import arming
from trading.models import Account
from trading.selectors import armings
from trading.services.halts import NoDatabase

GLYPHS = {"met": "✓", "not met": "✗", "unknown": "?"}


class Command(BaseCommand):
    """Show every precondition with its evidence; arming itself takes two people on the page Going live."""

    help = "Show what an account still lacks before TESTNET or LIVE, or disarm it. Arming takes two people on the page."

    def add_arguments(self, parser: CommandParser) -> None:
        """The account, and one of two things to do."""
        parser.add_argument("account", help="slug of the account, as micro")
        parser.add_argument("--json", action="store_true", help="print everything as JSON on the last line")
        parser.add_argument("--disarm", metavar="WHY", help="halt the account and let no further order leave")

    def handle(self, *args: Any, **options: Any) -> None:
        """Show, or disarm."""
        account = Account.objects.filter(slug=options["account"]).first()
        if account is None:
            known = ", ".join(Account.objects.values_list("slug", flat=True)) or "none"
            raise CommandError(f"There is no account {options['account']!r}; known: {known}.")
        if options["disarm"] is not None:
            self._disarm(account, options["disarm"])
            return
        found = selectors.as_json(armings.paper_of(account), datetime.now(UTC))
        if options["json"]:
            self.stdout.write(json.dumps(found))
            return
        for step in found["steps"]:
            self._show(step)

    def _show(self, step: dict[str, Any]) -> None:
        state = f"armed by {step['armed_by']}" if step["armed"] else "not armed"
        self.stdout.write(f"{step['mode']} {step['phase']}: {step['account'] or 'no account prepared'}, {state}")
        for one in step["preconditions"]:
            self.stdout.write(f"  {GLYPHS[one['state']]} {one['name']}: {one['evidence']}")
            if one["remedy"]:
                self.stdout.write(f"      {one['remedy']}")
        missing = len(step["missing"])
        ready = "ready: a Trading Lead and a CTO arm it on the page Going live"
        self.stdout.write(f"  {f'{missing} open' if missing else ready}\n")

    def _disarm(self, account: Account, why: str) -> None:
        by, at = f"command line: {getpass.getuser()}", datetime.now(UTC)
        try:
            arming.disarm(account=account, by=by, why=why.replace("\0", ""), at=at)
        except (arming.UnableToArm, NoDatabase) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{account.name} is disarmed and halted. Two people arm it again, on the page Going live.")

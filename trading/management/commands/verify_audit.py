"""`./console verify_audit`: prove that the audit trail is whole."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trading.models import AuditEvent
from trading.services import audit


class Command(BaseCommand):
    """Recompute every hash of the chain."""

    help = "Recompute the audit chain and say where it stops being true, if anywhere."

    def add_arguments(self, parser: CommandParser) -> None:
        """Offer --json."""
        parser.add_argument("--json", action="store_true", help="print the outcome as JSON on the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify and report; a broken chain is an error."""
        found = audit.verify()
        count = AuditEvent.objects.count()
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "ok": found is None,
                        "events": count,
                        "broken_at": found and found.sequence,
                        "reason": found and found.reason,
                    }
                )
            )
        if found is not None:
            raise CommandError(f"The audit chain breaks at #{found.sequence}: {found.reason}.")
        if not options["json"]:
            self.stdout.write(f"The audit chain is whole: {count} events.")

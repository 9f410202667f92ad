"""`./console verify_audit`: prove that the audit trail is whole."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now

from trading.models import AuditEvent
from trading.services import audit


class Command(BaseCommand):
    """Recompute every hash of the chain and hold it against the anchors outside the database."""

    help = "Recompute the audit chain, check its anchors and say where they stop being true, if anywhere."

    def add_arguments(self, parser: CommandParser) -> None:
        """Offer --json."""
        parser.add_argument("--json", action="store_true", help="print the outcome as JSON on the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify and report; a broken chain is an error."""
        seen = audit.verify_and_remember(now())
        count = AuditEvent.objects.count()
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(seen, count)))
        if seen.found is not None:
            raise CommandError(f"The audit chain breaks at #{seen.found.sequence}: {seen.found.reason}.")
        if seen.half_line:
            self.stderr.write("The last line of the anchors is half written (a crash): the next anchor replaces it.")
        if seen.is_late(now()):
            self.stderr.write(f"No anchor covers the rows since {seen.unanchored_since}: is the console running?")
        if not options["json"]:
            self.stdout.write(f"The audit chain is whole: {count} events, {_anchors_in_words(seen)}.")


def _as_json(seen: audit.Examination, count: int) -> dict[str, Any]:
    newest = seen.newest and {"number": seen.newest.number, "sequence": seen.newest.sequence, "at": seen.newest.at}
    return {
        "ok": seen.found is None,
        "events": count,
        "broken_at": seen.found and seen.found.sequence,
        "reason": seen.found and seen.found.reason,
        "anchors": {
            "checked": seen.anchors,
            "newest": newest,
            "late": seen.is_late(now()),
            "half_line": seen.half_line,
        },
    }


def _anchors_in_words(seen: audit.Examination) -> str:
    if seen.newest is None:
        return "no anchor yet"
    return f"{seen.anchors} anchors checked, the newest at #{seen.newest.sequence} of {seen.newest.at}"

"""`./console halt`: the kill switch from the command line."""

import getpass
import json
import time
from argparse import ArgumentTypeError
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from trading.domain.scopes import Scope
from trading.models import Halt
from trading.services import halts

POLL_S = 0.1
LONGEST_WAIT_S = 86_400.0
REASON_LENGTH = 300  # characters that the table keeps


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= LONGEST_WAIT_S:
        raise ArgumentTypeError(f"{text[:40]!r} is no number of seconds from 0 to {LONGEST_WAIT_S:.0f}")
    return seconds


def _storable(reason: str) -> str:
    """Return what the database can keep of `reason`: nothing in it may keep a halt from being latched."""
    return reason.encode("utf-8", "replace").decode().replace("\0", "")[:REASON_LENGTH]


class Command(BaseCommand):
    """Latch the halt and watch it until the venue is proven clear."""

    help = "Halt all trading, one account or one symbol: cancels every open order, blocks new ones, proves it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Scope, reason, flatten and patience."""
        parser.add_argument("--account", default="", help="slug of one account; without it every account halts")
        parser.add_argument("--symbol", default="", help="one symbol only, as BTCUSDT; without it all of them halt")
        parser.add_argument("--reason", default="halted from the command line", help="kept in the audit trail")
        parser.add_argument("--flatten", action="store_true", help="also sell all positions at market")
        parser.add_argument(
            "--wait", type=_seconds, default=20.0, metavar="SECONDS", help="how long to watch for the proof"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Latch first, then report every stage; a halt that is not proven in time is an error."""
        by = f"command line: {getpass.getuser()}"
        try:
            latched = halts.halt(
                scope=str(Scope(options["account"], options["symbol"])),
                by=by,
                reason=_storable(options["reason"]),
                flatten=options["flatten"],
                at=datetime.now(UTC),
            )
        except halts.UnableToHalt as e:
            raise CommandError(str(e)) from e
        except halts.NoDatabase as e:
            self._watch_watchdog(str(e), wait_s=options["wait"])
            return
        for halt in latched:
            self.stdout.write(f"{halt.where}: LATCHED, {halt.orders_at_latch} open orders, new orders are blocked.")
        wanted = Halt.Stage.FLAT if options["flatten"] else Halt.Stage.PROVEN_CLEAR
        late = self._watch([h.pk for h in latched], wanted=wanted, deadline=time.monotonic() + options["wait"])
        if late:
            names = ", ".join(late)
            raise CommandError(
                f"NOT PROVEN CLEAR within {options['wait']:.0f} s: {names}. The latch holds and the watchdog keeps "
                "cancelling; is `./console up` running? If in doubt cancel at the exchange itself."
            )

    def _watch_watchdog(self, problem: str, *, wait_s: float) -> None:
        """Without a database the watchdog is the one who cancels: say what it says."""
        began_ms, deadline = time.time() * 1_000, time.monotonic() + wait_s
        self.stderr.write(f"{problem}\nThe latch file is set: no order passes once the database is back.")
        path = Path(settings.DATA_DIR) / "watchdog.json"
        while time.monotonic() < deadline:
            with suppress(OSError, ValueError):
                said = json.loads(path.read_text())
                clear = set(said.get("clear", [])) >= set(said.get("reasons", {})) and said.get("reasons")
                if said.get("at_ms", 0) > began_ms and clear:
                    self.stdout.write(f"The watchdog found no open order of {', '.join(sorted(said['clear']))}.")
                    return
            time.sleep(POLL_S)
        raise CommandError(
            f"The watchdog did not say within {wait_s:.0f} s that everything is cancelled. The latch file holds; "
            "is `./console up` running? If in doubt cancel at the exchange itself."
        )

    def _watch(self, keys: list[int], *, wanted: str, deadline: float) -> list[str]:
        stages = list(Halt.Stage)
        seen: dict[int, str] = {}
        while True:
            rows = list(Halt.objects.filter(pk__in=keys).select_related("account"))
            for row in rows:
                if seen.get(row.pk, Halt.Stage.LATCHED) != row.stage:
                    self.stdout.write(f"{row.where}: {row.stage}, {row.canceled} cancelled, {row.remaining} left.")
                seen[row.pk] = row.stage
            late = [r.where for r in rows if stages.index(Halt.Stage(r.stage)) < stages.index(Halt.Stage(wanted))]
            if not late or time.monotonic() > deadline:
                return late
            time.sleep(POLL_S)

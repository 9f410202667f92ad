"""`./console watchdog`: a process of its own that cancels when the console cannot.

It needs no database, no Valkey, no Celery and no Django beyond reading the settings: it reads the heartbeat file and
the latch file, and it has its own cancel-only keys. It speaks to the venue with a small client of its own instead of
ccxt: importing ccxt costs 100 MB and half a second, and a bug there must not silence both.
"""

import argparse
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from trading.adapters.cancel_http import CancelClient, UnableToCancel
from trading.adapters.keys_paper import paper_key
from trading.adapters.keys_sealed import SealedKeys, read_cancel_keys
from trading.adapters.latch_file import LatchFile
from trading.ports import NoKey
from trading.runtime.build import digest
from trading.runtime.watchdog import Duty, Sight, Vigil, read_accounts, read_beat

log = logging.getLogger("watchdog")

POLL_S: Final = 0.25
CHECK_AGAIN_S: Final = 5.0  # while a reason lasts, an account found clear is looked at again this often
SAY_EVERY_S: Final = 5.0


class Command(BaseCommand):
    """Watch heartbeat and latch; cancel at the venue when one of them says so."""

    help = "Cancel all orders at the venue when the console's heartbeat stops or the halt latch is set."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """No options: everything comes from the settings."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or Ctrl-C."""
        raise SystemExit(main([]))


def main(argv: Sequence[str]) -> int:
    """Run until SIGTERM or Ctrl-C; needs the settings, but no Django set-up."""
    argparse.ArgumentParser(prog="./console watchdog", description=Command.help).parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    data_dir, latch = Path(settings.DATA_DIR), Path(settings.HALT_LATCH_FILE)
    watchdog = Watchdog(data_dir=data_dir, latch=latch, url=settings.SIMULATOR_URL)
    try:
        LatchFile(latch).reserve()
    except OSError as error:
        log.error("no room could be reserved for the latch file: %s", error)
    log.info("watching %s; venue %s", settings.DATA_DIR, settings.SIMULATOR_URL)
    while not stop.wait(POLL_S):
        watchdog.step(now_ms=time.time_ns() // 1_000_000)
    return 0


class Watchdog:
    """One look at the files per step; acts when the rule says so and says what it did."""

    def __init__(self, *, data_dir: Path, latch: Path, url: str) -> None:
        self._data_dir = data_dir
        self._latch = LatchFile(latch)
        self._url = url
        self._vigil = Vigil()
        self._duties: dict[str, Duty] = {}
        self._clear_at_ms: dict[str, int] = {}  # account -> when it was last read clear for the duty that lasts
        self._canceled: dict[str, int] = {}
        self._said_at_ms = 0
        self._said: dict[str, str] = {}

    def step(self, *, now_ms: int) -> None:
        """Look once and act."""
        accounts = read_accounts(self._data_dir / "watched.json")
        sight = Sight(now_ms, read_beat(self._data_dir / "heartbeat"), frozenset(self._latch.read()))
        before, self._duties = self._duties, self._vigil.duties(sight, accounts)
        for account in list(self._clear_at_ms):
            if self._duties.get(account) != before.get(account):
                del self._clear_at_ms[account]
        for account, duty in self._duties.items():
            if now_ms - self._clear_at_ms.get(account, 0) >= CHECK_AGAIN_S * 1_000:
                self._cancel(account, duty.symbols, duty.reason, now_ms)
        reasons = {account: duty.reason for account, duty in self._duties.items()}
        if reasons != self._said or now_ms - self._said_at_ms >= SAY_EVERY_S * 1_000:
            self._say(reasons, now_ms)

    def _cancel(self, account: str, symbols: Sequence[str], reason: str, now_ms: int) -> None:
        try:
            url, key, secret = self._door(account)
        except NoKey as error:
            log.error("%s CANNOT BE CANCELLED: %s", account, error)
            return
        client = CancelClient(url, key=key, secret=secret)
        try:
            canceled = sum(client.cancel_all(symbol) for symbol in symbols)
            left = sum(client.open_orders(symbol) for symbol in symbols)
        except UnableToCancel as error:
            log.error("%s: %s; trying again", account, error)
            return
        if canceled:
            log.warning("%s: %s; %d orders cancelled, %d left", account, reason, canceled, left)
        self._canceled[account] = self._canceled.get(account, 0) + canceled
        if not left:
            self._clear_at_ms[account] = now_ms

    def _door(self, account: str) -> tuple[str, str, str]:
        """Return where the account's venue listens and its cancel key; it is opened now and kept nowhere."""
        url, sealed = read_cancel_keys(self._data_dir / "cancel-keys.json").get(account, (self._url, ()))
        if sealed == ():
            return url, *paper_key(account, "cancel")
        keys = SealedKeys({(account, "cancel"): sealed} if sealed else {})
        return url, *keys(account, "cancel")

    def _say(self, reasons: Mapping[str, str], now_ms: int) -> None:
        """Leave what is known in `watchdog.json`; a disk that is full must not stop the cancelling."""
        document = {
            "at_ms": now_ms,
            "build": digest(),
            "armed": self._vigil.is_armed,
            "reasons": dict(reasons),
            "clear": sorted(self._clear_at_ms),
            "canceled": self._canceled,
        }
        try:
            fresh = self._data_dir / "watchdog.json.new"
            fresh.write_text(json.dumps(document))
            fresh.replace(self._data_dir / "watchdog.json")
        except OSError as error:
            log.error("watchdog.json could not be written: %s", error)
        self._said, self._said_at_ms = dict(reasons), now_ms


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

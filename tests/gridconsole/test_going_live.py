"""PAPER to TESTNET with nothing made up: drills, keys, clock, prices, builds and the trail are real, and each of them
alone keeps the account from trading; then two people arm it, and the runtime trades.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from aiohttp import ClientSession
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, transaction
from pytest_django import Settings

from riskops.models import ArmRequest, Incident, PhaseRun
from riskops.readiness import AUDIT_SEEN, readiness
from riskops.services import arming, kill_switch, phases
from tests.trading.runtime.desk import Console, fills, halt_of, load_desks, orders, running_console
from trading import live
from trading.adapters.keys_paper import paper_key
from trading.bootstrap import write_heartbeat
from trading.domain.drills import Drill
from trading.domain.modes import Mode
from trading.domain.restrictions import KeyPurpose
from trading.live import builds
from trading.live.door import valkey
from trading.management.commands.watchdog import Watchdog
from trading.models import Account, AuditEvent, Grid, Halt, HaltDrill, KeyCheck, VenueKey
from trading.ports import NotArmed
from trading.runtime.build import digest
from trading.selectors import armings
from trading.services import armings as arming_rows
from trading.services import drills, venue_keys

Run = Callable[[], AbstractAsyncContextManager[Console]]
PRICE: Final = live.market("BTCUSDT", "px")
SPEED: Final = live.replay("speed")


@pytest.fixture
def console(transactional_db: None, settings: Settings, tmp_path: Path) -> Iterator[Run]:
    """What runs the desks of the demo; the simulated exchange stands in for the test network."""
    settings.HALT_LATCH_FILE, settings.DATA_DIR = tmp_path / "halt.latch", tmp_path
    settings.SECRETS_KEY_FILE = tmp_path / "secrets.key"
    settings.SIMULATOR_STANDS_IN = True
    cache.delete(AUDIT_SEEN)
    load_desks()
    phases.load_roadmap(at=datetime.now(UTC))
    yield running_console
    connection.close_pool()  # type: ignore[attr-defined]  # of the PostgreSQL back end alone


class Processes:
    """Web, loops and watchdog as far as they are heard: they say once a second that they live, and what they run."""

    def __init__(self, data_dir: Path, url: str) -> None:
        self.said = data_dir / "watchdog.json"
        self.names: list[str] = []
        self.quiet = threading.Lock()  # while it is held nobody speaks
        self._data_dir = data_dir
        self._watchdog = Watchdog(data_dir=data_dir, latch=data_dir / "halt.latch", url=url)

    def speak(self) -> None:
        with self.quiet:
            write_heartbeat(self._data_dir / "heartbeat", time.time_ns())
            self.names = [builds.announce(valkey(), process, digest()) for process in ("web", "loops")]
            self._watchdog.step(now_ms=time.time_ns() // 1_000_000)

    @contextlib.asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        async def speak_on() -> None:
            while True:
                await asyncio.to_thread(self.speak)
                await asyncio.sleep(1)

        await asyncio.to_thread(self.speak)
        speaking = asyncio.create_task(speak_on())
        try:
            yield
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
            valkey().delete(builds.BUILDS)


# --- what is done for real --------------------------------------------------------------------------------------------


async def drilled(made: Console) -> None:
    """Run each drill on paper, and have two people resume after each."""
    paper = await made.rows(lambda: Account.objects.get(slug="micro"))
    for drill in Drill:
        await made.rows(partial(drills.run, account=paper, drill=drill, by="trader", at=datetime.now(UTC)))
        await made.until(lambda: (halt := halt_of("micro")) and halt.stage == "PROVEN_CLEAR" and not halt.released_at)
        await made.until(lambda: resumed(paper))


def resumed(paper: Account) -> bool:
    """Have two people resume the desk; False while the rule still refuses them."""
    trader, lead, at = User.objects.get(username="trader"), User.objects.get(username="trading_lead"), datetime.now(UTC)
    try:
        with transaction.atomic():
            asked = kill_switch.request_resume(
                account=paper, by=trader, reason="the drill has held", typed="RESUME", at=at
            )  # fmt: skip
            kill_switch.grant_resume(request_id=asked.pk, by=lead, typed="RESUME", at=at)
    except kill_switch.UnableToResume:
        return False
    return True


def prepared() -> Account:
    """Prepare the TESTNET account as people do, with the keys of an account that the exchange knows."""
    paper, at = Account.objects.get(slug="micro"), datetime.now(UTC)
    testnet = arming.prepare(paper=paper, mode=Mode.TESTNET, by=User.objects.get(username="cto"), at=at)
    for purpose in KeyPurpose:
        key, secret = paper_key("micro", purpose)
        venue_keys.add(account=testnet, purpose=purpose, label=purpose, key=key, secret=secret, by="cto", at=at)
    return testnet


def open_points() -> list[str]:
    """Return what does not hold, after housekeeping has asked the venue about the keys."""
    venue_keys.check_all(at=datetime.now(UTC))
    cache.delete(AUDIT_SEEN)
    stands = readiness(Account.objects.get(slug="micro"), Mode.TESTNET, datetime.now(UTC))
    return [f"{finding.name}: {finding.evidence}" for finding in stands.findings if finding.state != "met"]


def asked(testnet: Account, by: str = "trading_lead") -> ArmRequest:
    stands = readiness(armings.paper_of(testnet), Mode.TESTNET, datetime.now(UTC))
    person = User.objects.get(username=by)
    return arming.request(account=testnet, by=person, typed=stands.word, digest=stands.digest, at=datetime.now(UTC))


def approved(testnet: Account, request: ArmRequest, by: str = "cto") -> ArmRequest:
    person, at = User.objects.get(username=by), datetime.now(UTC)
    return arming.approve(
        account=testnet, request_id=request.pk, by=person, typed="TESTNET 4.0", digest=request.digest, at=at
    )  # fmt: skip


# --- one fact taken away ----------------------------------------------------------------------------------------------

Undo = Callable[[], object]


def nothing() -> None:
    """What the database undoes by itself."""


def key_gone(purpose: KeyPurpose) -> Undo:
    (kept,) = VenueKey.objects.filter(purpose=purpose, revoked_at=None)
    venue_keys.revoke(key_id=kept.pk, typed=purpose, by="cto", at=datetime.now(UTC))
    return nothing


def clock_off() -> Undo:
    KeyCheck.objects.update(skew_ms=500.0)
    return nothing


def never_asked() -> Undo:
    KeyCheck.objects.update(at=datetime.now(UTC) - timedelta(minutes=6))
    return nothing


def no_grid() -> Undo:
    Grid.objects.filter(account__mode=Mode.TESTNET).update(enabled=False)
    return nothing


def no_price() -> Undo:
    price = live.last_values()[PRICE]
    valkey().hdel(live.LAST, PRICE)
    return lambda: live.publish_values({PRICE: price})


def drill_gone(drill: Drill) -> Undo:
    HaltDrill.objects.filter(drill=drill).delete()
    return nothing


def incident() -> Undo:
    Incident.objects.create(account=Account.objects.get(slug="micro"), what="a plain CRIT", opened_at=datetime.now(UTC))
    return nothing


def halted(slug: str) -> Undo:
    account = Account.objects.get(slug=slug)
    Halt.objects.create(account=account, requested_by="trader", reason="it looks odd", latched_at=datetime.now(UTC))
    return nothing


def trail_broken() -> Undo:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # what a database superuser could do
        AuditEvent.objects.filter(sequence=3).update(actor="nobody")
    return nothing


def faster() -> Undo:
    live.publish_values({SPEED: 10})
    return lambda: live.publish_values({SPEED: 1})


def other_venue(settings: Settings) -> Undo:
    settings.SIMULATOR_STANDS_IN = False
    return lambda: setattr(settings, "SIMULATOR_STANDS_IN", True)


def other_build(processes: Processes) -> Undo:
    valkey().hset(builds.BUILDS, "tasks@elsewhere:1", f"0ld00000-c0nf1g00 {time.time_ns() // 1_000_000}")
    return lambda: valkey().hdel(builds.BUILDS, "tasks@elsewhere:1")


def unheard(processes: Processes, number: int) -> Undo:
    valkey().hdel(builds.BUILDS, processes.names[number])
    return lambda: builds.announce(valkey(), ("web", "loops")[number], digest())


def no_watchdog(processes: Processes) -> Undo:
    said = processes.said.read_text()
    processes.said.unlink()
    return lambda: processes.said.write_text(said)


def taken(settings: Settings, processes: Processes) -> dict[str, tuple[str, Callable[[], Undo]]]:
    """Return what is taken away, the one precondition that then does not hold, and how it is taken."""
    code, grids = "Code and configuration", "Grids at the venue's filters"
    return {
        **{f"no key to {p}": (f"Key to {p}", partial(key_gone, p)) for p in KeyPurpose},
        **{f"no drill {d}": (f"Drill {d.replace('_', ' ').lower()}", partial(drill_gone, d)) for d in Drill},
        "clock": ("Clock", clock_off),
        "the venue was not asked lately": ("Clock", never_asked),
        "no grid": (grids, no_grid),
        "no price": (grids, no_price),
        "an incident": ("No open incident", incident),
        "paper halted": ("No halt in force", lambda: halted("micro")),
        "the account halted": ("No halt in force", lambda: halted("microtest")),
        "the trail changed": ("Audit trail", trail_broken),
        "a replay faster than time": ("The market's own speed", faster),
        "another venue": ("Venue of this console", lambda: other_venue(settings)),
        "another build": (code, lambda: other_build(processes)),
        "no web": (code, lambda: unheard(processes, 0)),
        "no loops": (code, lambda: unheard(processes, 1)),
        "no watchdog": (code, lambda: no_watchdog(processes)),
    }  # fmt: skip


def refused(deed: Callable[[], object], settings: Settings, processes: Processes) -> dict[str, str]:
    """Take one fact away at a time, try it, and put the fact back; return what was said of each."""
    found = {}
    for name, (_, take) in taken(settings, processes).items():
        processes.speak()
        with processes.quiet, transaction.atomic():
            undo = take()
            cache.delete(AUDIT_SEEN)  # the trail is walked again
            try:
                deed()
                found[name] = "it was not refused"
            except arming.UnableToArm as error:
                found[name] = str(error)
            finally:
                undo()
                transaction.set_rollback(True)
    cache.delete(AUDIT_SEEN)
    return found


# --- the whole way ----------------------------------------------------------------------------------------------------


async def test_an_account_leaves_paper_when_everything_holds_and_one_thing_less_is_too_little(
    console: Run, settings: Settings, tmp_path: Path
) -> None:
    async with console() as made:
        settings.VENUE_URL = made.exchange.url
        processes = Processes(tmp_path, made.exchange.url)
        async with processes.alive():
            await made.start("micro")
            await made.ready("micro")
            await drilled(made)
            testnet = await made.rows(prepared)
            with pytest.raises(NotArmed, match="microtest: TESTNET was never armed"):
                await made.start(testnet.slug)

            await made.until(lambda: not open_points())
            assert [check.objections for check in await made.rows(lambda: list(KeyCheck.objects.all()))] == [[], [], []]
            told = await made.rows(lambda: refused(lambda: asked(testnet), settings, processes))
            expected = taken(settings, processes)
            assert {name for name in told if f"do not hold: {expected[name][0]}." not in told[name]} == set()

            await switched(made, enableWithdrawals=True)
            (unsound,) = await made.rows(open_points)
            assert unsound.startswith("What the trade key may do: withdrawals are enabled")
            await switched(made, enableWithdrawals=False)
            await made.until(lambda: not open_points())

            request = await made.rows(lambda: asked(testnet))
            told = await made.rows(lambda: refused(lambda: approved(testnet, request), settings, processes))
            assert {name for name in told if f"do not hold any more: {expected[name][0]}." not in told[name]} == set()
            with pytest.raises(arming.UnableToArm, match="whoever asked cannot approve it"):
                await made.rows(lambda: approved(testnet, request, by="trading_lead"))
            with pytest.raises(NotArmed):
                await made.start(testnet.slug)

            await made.rows(lambda: approved(testnet, request))
            run = await made.rows(lambda: PhaseRun.objects.select_related("template").get(account=testnet))
            assert (run.template.phase, run.started_by) == ("4.0", "trading_lead + cto")
            await made.start(testnet.slug)
            await made.dip(testnet.slug)
            await made.until(lambda: fills(testnet.slug))
            sent = await made.rows(lambda: [row.client_order_id for row in orders(testnet.slug) if row.venue_order_id])
            assert sent
            assert {name[:13] for name in sent} == {"gt-microtest-"}

            await made.rows(
                lambda: arming_rows.disarm(account=testnet, by="trader", why="enough", at=datetime.now(UTC))
            )
            await made.until(lambda: (halt := halt_of(testnet.slug)) and halt.stage == "PROVEN_CLEAR")


async def switched(made: Console, **switches: bool) -> None:
    """Change at the exchange what its trade key may do."""
    document = {"key": "paper-micro-trade", "switches": switches}
    async with ClientSession() as session, session.post(f"{made.exchange.url}/sim/key", json=document) as answer:
        assert answer.status == 200, await answer.text()

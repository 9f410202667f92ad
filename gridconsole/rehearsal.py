"""`./console drill paper-4.0-to-4.1`: the first step of the roadmap as people take it, on production's gate and clock.

A console in an empty folder trades its replay until 48 hours are in force; sixty times faster than time, the market
standing still at every seam, that took 73 minutes, and the run says so everywhere. Nothing is inserted:
every measurement is what the runtime recorded. Then the step is asked for, the checklist ticked, three people set up
their authenticators and sign, one decides, all through the pages' own forms; $600 must be in force. Last a CRIT is
raised: the new run must fail, the desk halt and an incident be open with its clocks running.
"""

import argparse
import asyncio
import base64
import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gridconsole.afresh import Failed, console, point_settings_at, print_json, say, submit

if TYPE_CHECKING:
    from riskops.models import PhaseRun

NAME: Final = "paper-4.0-to-4.1"
DESK: Final = "micro"
SIGNERS: Final[Mapping[str, str]] = {"trading_lead": "Trading Lead", "engineer": "Engineer", "cto": "CTO"}
START_LIMIT_S: Final = 180.0
LOOK_EVERY_S: Final = 5.0
SAY_EVERY_S: Final = 60.0
JUDGED_WITHIN_S: Final = 60.0
CODE_S: Final = 30  # life of a one-time code
FASTEST: Final = 60
DATASET: Final = "ticks"  # of the bars a narrow grid trades too little for a fill rate


@dataclass(slots=True)
class Outcome:
    """What was seen; what was never reached stays as it is."""

    hours_in_force: float = 0.0
    minutes_taken: float = 0.0
    accelerated: bool = False
    evidence: dict[str, str] = field(default_factory=dict)  # metric -> state at the decision
    incidents_reviewed: int = 0  # opened on the way, closed by a person before the step
    signatures: int = 0
    decision: str = ""
    capital_in_force: str = ""
    phase_in_force: str = ""
    after_crit: str = ""  # the decision on the run that a CRIT met
    halted: bool = False
    incident_open: bool = False
    clocks: list[str] = field(default_factory=list)
    audit_ok: bool = False
    failures: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the object to print; `ok` only where everything came as it must."""
        held = (
            self.signatures == len(SIGNERS)
            and (self.decision, self.capital_in_force, self.phase_in_force) == ("GO", "600", "4.1")
            and (self.after_crit, self.halted, self.incident_open, self.audit_ok) == ("NO_GO", True, True, True)
            and bool(self.clocks)
            and not self.failures
        )
        return {"ok": held, **{name: getattr(self, name) for name in self.__slots__}}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("drill", choices=[NAME])
    parser.add_argument("--speed", type=float, default=FASTEST, help="of the replay, 1 to 60 times real time")
    parser.add_argument("--limit-minutes", type=float, default=150.0, help="give up after so long")
    parser.add_argument("--json", action="store_true", help="only the JSON object on standard output")


def main(argv: Sequence[str]) -> int:
    """Run, print, return 0 only if all held."""
    parser = argparse.ArgumentParser(prog="./console drill", description=__doc__)
    add_arguments(parser)
    options = parser.parse_args(argv)
    return run(speed=options.speed, limit_s=options.limit_minutes * 60)


def run(*, speed: float, limit_s: float) -> int:
    """Take the step once; 0 only if all held."""
    outcome = Outcome()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="gc-drill-", ignore_cleanup_errors=True) as folder,
            console(Path(folder), speed=speed, limit_s=START_LIMIT_S, dataset=DATASET) as child,
        ):
            url, passwords = child.wait_until_ready()
            point_settings_at(Path(folder))
            _take_the_step(url, passwords, outcome, time.monotonic() + limit_s)
    except Failed as error:
        outcome.failures.append(str(error))
    result = outcome.as_json()
    print_json(result)
    return 0 if result["ok"] else 1


def _take_the_step(url: str, passwords: Mapping[str, str], outcome: Outcome, deadline: float) -> None:
    from trading.services import audit

    began = time.monotonic()
    _wait_for_pass(outcome, deadline)
    asyncio.run(_sign_and_decide(url, passwords, outcome))
    _read_what_is_in_force(outcome)
    _meet_a_crit(outcome)
    outcome.audit_ok = audit.verify() is None
    outcome.minutes_taken = round((time.monotonic() - began) / 60, 1)


# --- what the runtime earns ---------------------------------------------------------------------------------------


def _wait_for_pass(outcome: Outcome, deadline: float) -> None:
    from riskops.standing import stand

    said = 0.0
    while True:
        run = _open_run()
        if run is None:
            raise Failed("the run of 4.0 ended before its time: " + _last_words())
        standing = stand(run, datetime.now(UTC))
        window = standing.verdict.window
        outcome.hours_in_force = round(float(window.hours_in_force), 2)
        outcome.accelerated = standing.accelerated
        outcome.evidence = {one.criterion.metric: one.state.value for one in standing.verdict.findings}
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            say(f"{window.hours_in_force:.1f} of {window.min_hours} h in force, {run.outcome}: {outcome.evidence}")
        if run.outcome == "PASS":
            return
        if run.outcome == "STAY" or time.monotonic() > deadline:
            raise Failed(f"no PASS but {run.outcome} after {window.hours_in_force:.1f} h: {outcome.evidence}")
        time.sleep(LOOK_EVERY_S)


def _open_run() -> "PhaseRun | None":
    from riskops.services import phases

    return next((run for run in phases.open_runs() if run.account.slug == DESK), None)


def _last_words() -> str:
    from riskops.models import Incident
    from trading.models import Alert

    alerts = Alert.objects.filter(severity="CRIT").values_list("code", "message")[:3]
    return json.dumps([[one.what for one in Incident.objects.all()], [list(one) for one in alerts]])


# --- what people do -----------------------------------------------------------------------------------------------


async def _sign_and_decide(url: str, passwords: Mapping[str, str], outcome: Outcome) -> None:
    import aiohttp

    def browser() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async with browser() as trader:
        await _sign_in(trader, url, "trader", passwords["trader"])
        await _review_incidents(trader, url, outcome)
        shown = await submit(trader, f"{url}/gate/request/", {}, page=f"{url}/gate/")
        step = _found(r"/gate/request/(\d+)/withdraw/", shown, "the request")
        for item in re.findall(r'name="item" value="([^"]+)"', shown):
            await submit(trader, f"{url}/gate/request/{step}/tick/", {"item": item, "done": "yes"}, page=f"{url}/gate/")
    for name, role in SIGNERS.items():
        async with browser() as person:
            await _sign_in(person, url, name, passwords[name])
            code = await _set_up_authenticator(person, url, passwords[name])
            form = {"password": passwords[name], "digest": await _digest(person, url)}
            await asyncio.sleep(CODE_S)  # a code counts once
            signed = {**form, "role": role, "word": "sign", "code": code()}
            said = await submit(person, f"{url}/gate/request/{step}/sign/", signed, page=f"{url}/gate/")
            if f"Signed as {role}." not in said:
                raise Failed(f"{name} could not sign: {_message(said)}")
            outcome.signatures += 1
            say(f"{name} signed as {role}")
            if outcome.signatures == len(SIGNERS):
                await asyncio.sleep(CODE_S)
                decided = {**form, "decision": "GO", "notes": "every criterion is met", "code": code()}
                said = await submit(person, f"{url}/gate/request/{step}/decide/", decided, page=f"{url}/gate/")
                if "GO is recorded." not in said:
                    raise Failed(f"GO was refused: {_message(said)}")
                outcome.decision = "GO"


async def _review_incidents(browser: Any, url: str, outcome: Outcome) -> None:
    """Close what a criterion opened on the way (a machine that was busy loses market data): it holds GO until then."""
    async with browser.get(f"{url}/incidents/") as page:
        numbers = re.findall(r'href="/incidents/(\d+)/"', await page.text())
    for number in dict.fromkeys(numbers):
        async with browser.get(f"{url}/incidents/{number}/") as page:
            shown = await page.text()
        if f"/gate/incident/{number}/close/" not in shown:
            continue
        review = {
            "cause": "the machine was busy with other work for some minutes",
            "impact": "market data stood still meanwhile; no order was lost",
            "prevention": "rehearse on a machine that does nothing else",
        }
        await submit(browser, f"{url}/gate/incident/{number}/close/", review, page=f"{url}/incidents/{number}/")
        outcome.incidents_reviewed += 1
        say(f"incident #{number} reviewed and closed")


async def _sign_in(browser: Any, url: str, name: str, password: str) -> None:
    await submit(browser, f"{url}/login/", {"username": name, "password": password})
    async with browser.get(f"{url}/gate/") as page:
        token = _found(r'name="csrfmiddlewaretoken" value="([^"]+)"', await page.text(), "a form")
        desks = re.findall(r'name="desk" value="(\w+)"', await page.text())
    if DESK not in desks:
        raise Failed(f"the page offers no desk {DESK}: {desks}")
    address = f"{url}/desk/"
    headers = {"Origin": url, "Referer": f"{url}/gate/"}
    async with browser.post(address, data={"csrfmiddlewaretoken": token, "desk": DESK}, headers=headers) as answer:
        if answer.status != 200:
            raise Failed(f"{address} answered {answer.status}")


async def _set_up_authenticator(browser: Any, url: str, password: str) -> Callable[[], str]:
    from django_otp.oath import TOTP

    page = f"{url}/people/authenticator/"
    shown = await submit(browser, f"{page}begin/", {}, page=page)
    text = _found(r'<code class="key">([^<]+)</code>', shown, "the key").replace(" ", "")
    key = base64.b32decode(text + "=" * (-len(text) % 8))

    def code() -> str:
        totp = TOTP(key)
        totp.time = time.time()
        return f"{totp.token():06}"

    said = await submit(browser, f"{page}confirm/", {"password": password, "code": code()}, page=page)
    if "in use" not in said:
        raise Failed(f"the authenticator was refused: {_message(said)}")
    return code


async def _digest(browser: Any, url: str) -> str:
    async with browser.get(f"{url}/gate/") as page:
        return _found(r'name="digest" value="([0-9a-f]{64})"', await page.text(), "what is signed")


def _found(pattern: str, text: str, what: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise Failed(f"the page does not show {what}: {_message(text)}")
    return match[1]


def _message(page: str) -> str:
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    return words[-400:]


# --- what is in force, and what a CRIT does -------------------------------------------------------------------------


def _read_what_is_in_force(outcome: Outcome) -> None:
    from trading.models import Account
    from trading.selectors.recovery import limits_in_force

    limits = limits_in_force(Account.objects.get(slug=DESK))
    outcome.capital_in_force, outcome.phase_in_force = f"{limits.capital_quote.normalize():f}", limits.phase
    say(f"phase {limits.phase} with {limits.capital_quote} in force")


def _meet_a_crit(outcome: Outcome) -> None:
    from riskops.domain.incidents import clocks
    from riskops.models import Incident
    from trading.domain.events import Severity
    from trading.models import Account
    from trading.services import alerts

    run, at = _open_run(), datetime.now(UTC)
    if run is None:
        raise Failed("no run followed the GO")
    alerts.raise_alert(account=run.account, severity=Severity.CRIT, code="PLANTED", message="planted by a drill", at=at)
    deadline = time.monotonic() + JUDGED_WITHIN_S
    while run.decision == "PENDING" and time.monotonic() < deadline:
        time.sleep(0.5)
        run.refresh_from_db()
    outcome.after_crit = run.decision
    outcome.halted = Account.objects.get(slug=DESK).state == "HALTED"
    incident = Incident.objects.filter(account=run.account, closed_at=None, failed_run=True).first()
    outcome.incident_open = incident is not None
    if incident is not None:
        due = clocks(incident.opened_at, datetime.now(UTC))
        outcome.clocks = [f"{clock.name}: {clock.due_at.isoformat(timespec='seconds')}" for clock in due]

"""The gate in the browser of every role: who asks, who ticks, who signs, who refuses, who decides, who only looks."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest
from django_otp.oath import TOTP
from playwright.async_api import Page, expect

from tests.journeys.conftest import ROOT, Arrive, Console, Person, environment, started_console
from tests.journeys.passing_world import PASSWORD, PEOPLE

pytestmark = pytest.mark.asyncio(loop_scope="session")
LATER_MS: Final = 15_000


@dataclass(frozen=True)
class Desk:
    """The authenticators of everybody."""

    keys: dict[str, str]

    def code(self, name: str, step: int) -> str:
        """Return a code of this person, so many times 30 s from now; each must be later than the one before."""
        totp = TOTP(bytes.fromhex(self.keys[name]), drift=step)
        totp.time = time.time()
        return f"{totp.token():06}"


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    """A console of its own: here the first desk passes its gate."""
    with started_console() as console:
        yield console


@pytest.fixture(scope="module")
def desk(console: Console) -> Desk:
    told = subprocess.run(
        [sys.executable, "-m", "tests.journeys.passing_world"], cwd=ROOT, env=environment(console.data_dir), text=True,
        capture_output=True, timeout=60,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    console.passwords.update(dict.fromkeys(PEOPLE, PASSWORD))
    return Desk(json.loads(told.stdout.splitlines()[-1]))


async def at_the_gate(arrive: Arrive, desk: Desk, name: str, step: int = -5) -> Person:
    person = await arrive(name, desk="micro", code=desk.code(name, step))
    await person.page.goto("/gate/")
    return person


async def sign(page: Page, desk: Desk, name: str, word: str, step: int, note: str = "") -> None:
    form = page.locator("form[action$='/sign/']")
    if note:
        await form.locator("[name=note]").fill(note)
    await form.locator("[name=password]").fill(PASSWORD)
    await form.locator("[name=code]").fill(desk.code(name, step))
    await form.locator(f"button[value={word}]").click()
    await page.wait_for_load_state()


async def tick_everything(page: Page) -> None:
    open_items = page.locator("form[action$='/tick/'] button[value=yes]")
    for left in range(await open_items.count(), 0, -1):
        await expect(open_items).to_have_count(left)
        await open_items.first.click()
    await expect(open_items).to_have_count(0)


async def may(page: Page) -> dict[str, bool]:
    """Return what the page lets this person press."""
    return {
        "ask": await page.locator("form[action$='/gate/request/'] button:enabled").count() > 0,
        "tick": await page.locator("form[action$='/tick/'] button:enabled").count() > 0,
        "sign": await page.locator("form[action$='/sign/'] button:enabled").count() > 0,
        "decide": await page.locator("form[action$='/decide/'] button:enabled").count() > 0,
        "withdraw": await page.locator("form[action$='/withdraw/'] button:enabled").count() > 0,
    }


async def test_every_role_does_its_part_and_no_other(arrive: Arrive, desk: Desk) -> None:
    # The trader asks.
    trader = await at_the_gate(arrive, desk, "trader")
    await expect(trader.page.locator("#verdict-title")).to_contain_text("PASS: GO is possible")
    assert await may(trader.page) == {"ask": True, "tick": False, "sign": False, "decide": False, "withdraw": False}
    await trader.page.click("button:has-text('Ask for the step')")
    await expect(trader.page.locator("#gate")).to_contain_text("trader asked at")
    assert await may(trader.page) == {"ask": False, "tick": True, "sign": False, "decide": False, "withdraw": True}
    await expect(trader.page.locator("#gate")).to_contain_text("Only Trading Lead, Engineer, CTO decide this step.")
    await trader.shot("gate_asked_trader")

    # Who watches sees everything, presses nothing and reads why.
    for name, ticks in (("auditor", False), ("compliance", False), ("ceo", True)):
        watcher = await at_the_gate(arrive, desk, name)
        nothing = {"ask": False, "sign": False, "decide": False, "withdraw": False}
        assert await may(watcher.page) == {**nothing, "tick": ticks}
        for button in await watcher.page.locator("#gate button:disabled").all():
            assert await button.get_attribute("title")
        await watcher.shot(f"gate_{name}")

    # The CTO rejects with a reason: GO waits, and the Trading Lead takes the request back.
    cto = await at_the_gate(arrive, desk, "cto")
    await sign(cto.page, desk, "cto", "reject", -4, "the weekend is not over")
    await expect(cto.page.locator("#toasts")).to_contain_text("Rejected as CTO.")
    await expect(cto.page.locator("#gate")).to_contain_text("cto rejects")
    await expect(cto.page.locator("button[value=GO]")).to_be_disabled()
    await expect(cto.page.locator("#matrix-title")).to_contain_text("NO")
    lead = await at_the_gate(arrive, desk, "trading_lead")
    await expect(lead.page.locator("#gate")).to_contain_text("the weekend is not over")
    await lead.page.click("button:has-text('Withdraw the request')")

    # Asked again: the page of the trader shows it by itself.
    await lead.page.click("button:has-text('Ask for the step')")
    await expect(trader.page.locator("#gate")).to_contain_text("trading_lead asked at", timeout=LATER_MS)

    # The engineer ticks with a note and a file, and signs; a code that was used does not count again.
    engineer = await at_the_gate(arrive, desk, "engineer")
    first = engineer.page.locator("form[action$='/tick/']").first
    await first.locator("summary").click()
    await first.locator("[name=note]").fill("told in the morning")
    told = {"name": "told.txt", "mimeType": "text/plain", "buffer": b"everybody was told"}
    await first.locator("[name=file]").set_input_files(told)  # type: ignore[arg-type]
    await first.locator("button[value=yes]").click()
    await expect(engineer.page.locator("#gate")).to_contain_text("told in the morning")
    await tick_everything(engineer.page)
    await sign(engineer.page, desk, "engineer", "sign", 0)
    await expect(engineer.page.locator("#gate")).to_contain_text("✓ engineer")
    await engineer.shot("gate_signed_engineer")

    # The Trading Lead signs what she asked for; alone that is not enough.
    await lead.page.reload()
    await sign(lead.page, desk, "trading_lead", "sign", 0)
    await expect(lead.page.locator("#gate")).to_contain_text("Signatures are missing: CTO.")
    assert (await may(lead.page))["sign"] is False

    # The CTO signs and decides with another code; the next phase is in force.
    await cto.page.reload()
    await sign(cto.page, desk, "cto", "sign", 0)
    await expect(cto.page.locator("#gate")).to_contain_text("GO puts $600")
    await cto.page.goto("/gate/")
    sheet = await cto.page.locator("a:has-text('approval sheet')").get_attribute("href")
    decision = cto.page.locator("form[action$='/decide/']")
    await decision.locator("[name=password]").fill(PASSWORD)
    await decision.locator("[name=code]").fill(desk.code("cto", 4))
    await decision.locator("button[value=GO]").click()
    await expect(cto.page.locator("h1")).to_contain_text("Gate 4.1 → 4.2")
    await expect(cto.page.locator("#toasts")).to_contain_text("GO is recorded.")
    await cto.shot("gate_4_1_after_go")

    # The auditor reads the sheet that was signed.
    auditor = await at_the_gate(arrive, desk, "auditor", 0)
    await auditor.page.goto(str(sheet))
    await expect(auditor.page.locator(".sheet")).to_contain_text("GO / HOLD / NO_GO decision: GO")
    await expect(auditor.page.locator(".sheet")).to_contain_text("told.txt SHA-256")
    await auditor.shot("approval_sheet")
    await auditor.page.emulate_media(media="print")
    await auditor.shot("approval_sheet_print")
    phone = await arrive("auditor", desk="micro", phone=True, code=desk.code("auditor", 5))
    await phone.page.goto("/checklist/")
    assert await phone.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await phone.shot("checklist_phone")

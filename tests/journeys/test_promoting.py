"""Two models on their way: asked for, signed and decided by the people it takes; the second drifts and is taken back.

One console, two models with files that verify. What takes days is lived by `promoting_world`; every move is that of the
rule or of people at their own browsers.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from django_otp.oath import TOTP
from playwright.async_api import Locator, Page, expect

from tests.journeys.conftest import ROOT, Arrive, Console, Person, environment, listen, started_console
from tests.journeys.passing_world import PASSWORD, PEOPLE
from tests.journeys.promoting_world import CODES_APART, DRIFTED, SYMBOL

pytestmark = pytest.mark.asyncio(loop_scope="session")
SIGNERS: Final = {"canary": ("engineer", "trading_lead"), "champion": ("engineer", "trading_lead", "cto", "ceo")}
WITHIN_MS: Final = 90_000  # the watch looks every minute
WORLD_S: Final = 60


@dataclass
class Desk:
    """The authenticators of everybody, both models, and the days that pass for them."""

    console: Console
    keys: dict[str, str]
    models: list[str]  # digests, in the order they are promoted
    used: Counter[str] = field(default_factory=Counter)

    def code(self, name: str) -> str:
        """Return the next code of this person; each counts once, and is later than the one before."""
        totp = TOTP(bytes.fromhex(self.keys[name]), drift=self.used[name] - CODES_APART // 2)
        totp.time = time.time()
        self.used[name] += 1
        return f"{totp.token():06}"

    async def lives(self, deed: str, digest: str) -> None:
        """Let days pass for a model."""
        await asyncio.to_thread(tell_world, self.console, deed, digest)


def tell_world(console: Console, deed: str, what: str) -> str:
    told = subprocess.run(
        [sys.executable, "-m", "tests.journeys.promoting_world", deed, what], cwd=ROOT,
        env=environment(console.data_dir), text=True, capture_output=True, timeout=WORLD_S,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return told.stdout


@pytest.fixture(scope="module")
def making(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, "subprocess.Popen[str]"]]:
    """Both models, in the making while the console starts."""
    folder = tmp_path_factory.mktemp("models")
    made = subprocess.Popen(
        [sys.executable, "-m", "tests.journeys.promoting_world", "make", str(folder)], cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield folder, made
    made.kill()
    made.communicate()


@pytest.fixture(scope="module")
def console(making: object) -> Iterator[Console]:
    """A console of its own: here the first desk passes its gate, and models trade."""
    with started_console() as console:
        yield console


@pytest.fixture(scope="module")
def desk(console: Console, making: "tuple[Path, subprocess.Popen[str]]") -> Desk:
    folder, made = making
    _, complaint = made.communicate(timeout=WORLD_S * 2)
    assert made.returncode == 0, complaint
    told = json.loads(tell_world(console, "begin", str(folder)).splitlines()[-1])
    console.passwords.update(dict.fromkeys(PEOPLE, PASSWORD))
    return Desk(console, told["keys"], told["models"])


async def at_the_model(arrive: Arrive, desk: Desk, name: str, digest: str) -> Person:
    person: Person = await arrive(name, desk="micro", code=desk.code(name))
    await person.page.goto(place(digest))
    return person


def place(digest: str) -> str:
    return f"/models/{digest}/promotion/"


async def ask(page: Page, to: str) -> None:
    """Ask for the promotion; a canary is asked for on the symbol of the journey."""
    if to == "canary":
        await page.select_option("[name=symbol]", SYMBOL)
    await page.click(f"button:has-text('Ask for {to}')")
    await expect(page.locator("#toasts")).to_contain_text("Asked.")


async def prove(form: Locator, desk: Desk, name: str) -> None:
    await form.locator("[name=password]").fill(PASSWORD)
    await form.locator("[name=code]").fill(desk.code(name))


async def sign(person: Person, desk: Desk, name: str) -> None:
    form = person.page.locator("form[action$='/sign/']")
    await prove(form, desk, name)
    await form.locator("button[value=sign]").click()
    await expect(person.page.locator("#toasts")).to_contain_text(f"Signed as {PEOPLE[name]}.")


async def decide(person: Person, desk: Desk, name: str) -> None:
    form = person.page.locator("form[action$='/decide/']")
    await prove(form, desk, name)
    await form.locator("button[value=GO]").click()
    await expect(person.page.locator("#toasts")).to_contain_text("GO is recorded.")


async def stands(page: Page, digest: str, state: str) -> None:
    """See on the page of models how far one is."""
    await page.goto("/models/")
    card = page.locator("#model-list :is(.model, tr)", has=page.locator(f"a[href='/models/{digest}/']"))
    await expect(card).to_contain_text(state)


async def evidence(page: Page) -> dict[str, str]:
    """Return the state of each criterion, as the page says it: "met"."""
    rows = page.locator("[aria-labelledby=evidence-title] tbody tr")
    told = [await row.locator("th, td").all_inner_texts() for row in await rows.all()]
    return {cells[0]: cells[3].split(maxsplit=1)[1] for cells in told}


async def test_a_model_becomes_champion_by_the_word_of_everybody_it_takes(arrive: Arrive, desk: Desk) -> None:
    digest = desk.models[0]

    # The machine has passed it; the trader asks for the shadow and may not sign it.
    trader = await at_the_model(arrive, desk, "trader", digest)
    assert await evidence(trader.page) == {"Offline gate": "met", "Full training": "met"}
    await ask(trader.page, "shadow")
    await expect(trader.page.locator(".signatures")).to_contain_text("Engineer")
    await expect(trader.page.locator("form[action$='/sign/']")).to_have_count(0)
    await expect(trader.page.locator("#promotion")).to_contain_text("Only Engineer decides this promotion")
    await trader.shot("promotion_asked_trader")

    # The engineer signs it once, whatever another window of hers still shows, and decides.
    engineer = await at_the_model(arrive, desk, "engineer", digest)
    other = Person(await engineer.page.context.new_page(), engineer.complaints)
    listen(other)
    await other.page.goto(place(digest))
    await other.page.locator("form[action$='/sign/'] [name=note]").fill("looks well")
    await sign(engineer, desk, "engineer")
    await prove(other.page.locator("form[action$='/sign/']"), desk, "engineer")
    await other.page.click("button[value=sign]")
    await expect(other.page.locator("#toasts")).to_contain_text(re.compile("signed", re.IGNORECASE))
    await expect(other.page.locator("#toasts")).not_to_contain_text("Signed as")
    await other.page.close()
    await decide(engineer, desk, "engineer")
    await expect(trader.page.locator("main header").first).to_contain_text("shadow since")  # by itself
    await stands(trader.page, digest, "Shadow")

    # Nothing is known yet of the shadow, and the page says why; then it has lived.
    await engineer.page.goto(place(digest))
    before = await evidence(engineer.page)
    assert before["Loss against the one in force"] == "no data"
    await expect(engineer.page.locator("#promotion")).to_contain_text("Too few hours scored beside the rule")
    await engineer.shot("promotion_shadow_no_data")
    await desk.lives("shadow", digest)
    await engineer.page.reload()
    assert set((await evidence(engineer.page)).values()) == {"met"}

    # While a step of capital is asked for, no model may change what trades.
    await ask(engineer.page, "canary")
    await trader.page.goto("/gate/")
    await trader.page.click("button:has-text('Ask for the step')")
    lead = await at_the_model(arrive, desk, "trading_lead", digest)
    for person, name in ((engineer, "engineer"), (lead, "trading_lead")):
        await person.page.goto(place(digest))
        await sign(person, desk, name)
    await expect(lead.page.locator("#promotion")).to_contain_text("GO waits. A step of capital is asked for at Micro")
    await expect(lead.page.locator("button[value=GO]")).to_be_disabled()
    await lead.shot("promotion_beside_a_step")
    await trader.page.click("button:has-text('Withdraw the request')")
    await expect(lead.page.locator("button[value=GO]")).to_be_enabled()  # by itself
    await decide(lead, desk, "trading_lead")
    await expect(lead.page.locator("main header").first).to_contain_text(f"canary on {SYMBOL}")
    await stands(trader.page, digest, f"Canary on {SYMBOL}")

    # Eight days later four people sign: $25,000 are in force.
    await desk.lives("canary", digest)
    cto, ceo = [await at_the_model(arrive, desk, name, digest) for name in ("cto", "ceo")]
    assert set((await evidence(cto.page)).values()) == {"met"}
    await ask(cto.page, "champion")
    for person, name in zip((engineer, lead, cto, ceo), SIGNERS["champion"], strict=True):
        await expect(cto.page.locator("#promotion")).to_contain_text("Signatures are missing")
        await person.page.goto(place(digest))
        await sign(person, desk, name)
    await ceo.shot("promotion_signed_ceo")
    await cto.page.goto(place(digest))
    await decide(cto, desk, "cto")
    await expect(cto.page.locator("#promotion")).to_contain_text("the champion")
    await stands(trader.page, digest, "Champion")
    await cto.shot("promotion_champion")


async def promoted(arrive: Arrive, desk: Desk, digest: str) -> dict[str, Person]:
    """Have a model promoted all the way, without a look aside; return who was there."""
    names = ("trader", *SIGNERS["champion"])
    people = {name: await at_the_model(arrive, desk, name, digest) for name in names}
    for to, signers in (("shadow", ("engineer",)), *SIGNERS.items()):
        await people["trader"].page.goto(place(digest))
        await ask(people["trader"].page, to)
        for name in signers:
            await people[name].page.goto(place(digest))
            await sign(people[name], desk, name)
        await decide(people[signers[-1]], desk, signers[-1])
        if to != "champion":
            await desk.lives(to, digest)
    return people


async def test_the_next_model_takes_its_place(arrive: Arrive, desk: Desk) -> None:
    first, second = desk.models

    people = await promoted(arrive, desk, second)

    page = people["trading_lead"].page
    await stands(page, first, "Retired")
    await stands(page, second, "Champion")
    await expect(page.locator("#model-list tr", has_text=first[:8])).to_contain_text("took its place")


async def test_one_that_drifts_is_taken_back_by_itself_and_the_one_before_is_heard_again(
    arrive: Arrive, desk: Desk
) -> None:
    first, second = desk.models
    engineer, lead = [await at_the_model(arrive, desk, name, second) for name in ("engineer", "trading_lead")]
    await stands(lead.page, second, "Champion")

    await desk.lives("drift", second)

    # Nobody presses anything.
    await expect(engineer.page.locator("main header").first).to_contain_text("rolled back since", timeout=WITHIN_MS)
    await expect(engineer.page.locator("#promotion")).to_contain_text(f"a feature has drifted: PSI {DRIFTED:.2f}")
    await expect(engineer.page.locator("#promotion")).to_contain_text(f"In force: pointwise {first[:8]}")
    await engineer.shot("promotion_rolled_back")
    models = lead.page.locator("#model-list")
    await expect(models.locator(".model", has_text=first[:8])).to_contain_text("Champion")
    await expect(models.locator("tr", has_text=second[:8])).to_contain_text("a feature has drifted")
    await lead.shot("models_after_drift")

    # It is told, with what to do, and stands in the trail.
    await engineer.page.goto("/alerts/?show=all")
    for code in ("MODEL_ROLLED_BACK", "MODEL_DRIFT"):
        told = engineer.page.locator("#alarms li", has_text=code)
        await expect(told.locator("a", has_text=code.lower())).to_have_count(1)  # its playbook
    await engineer.shot("alerts_after_drift")
    await lead.page.goto("/audit/?action=model.moved")
    for by, moved in (("rule: model watch", "ROLLED_BACK"), ("ceo", "CHAMPION"), ("rule: offline gate", "PASS")):
        rows = lead.page.locator("#rows tr", has_text=by)
        await expect(rows.filter(has_text=moved).first).to_be_visible()
    await lead.shot("audit_of_models")

    # One person, one click: the rule grid trades alone.
    await lead.page.goto(place(first))
    await lead.page.click("button:has-text('Roll back')")
    await expect(lead.page.locator("#toasts")).to_contain_text("The rule grid trades alone.")
    await expect(lead.page.locator("#promotion")).to_contain_text("In force: the rule grid")
    await lead.shot("promotion_rule_alone")

"""An engineer has a model trained from the page, sees how far it is, finds it among the models and reads its page.

The helpers serve whoever goes on from there: `trained` leaves a model, `open_model` and `state_of` look at it.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import expect

from tests.journeys.test_searching import grave

pytestmark = pytest.mark.asyncio(loop_scope="session")
Arrive = Callable[..., Awaitable[Any]]
TRAINED_MS = 180_000  # a quick training of stage 0, its process and its libraries included
DIGEST = re.compile(r"/models/([0-9a-f]{64})/")


async def ask_for(page: Any, *, stage: int = 0, symbols: str = "") -> None:
    """Fill the form of a quick training and press the button."""
    await page.goto("/models/")
    await page.select_option("[name=stage]", str(stage))
    await page.fill("[name=symbols]", symbols)
    await page.check("[name=quick]")
    await page.click("button:text-is('Train')")


async def trained(page: Any, *, stage: int = 0, symbols: str = "") -> str:
    """Have a quick model trained and registered; return its digest."""
    await ask_for(page, stage=stage, symbols=symbols)
    newest = page.locator("#trainings li").first
    await expect(newest.locator(".training-state")).to_contain_text(re.compile("Done|Failed"), timeout=TRAINED_MS)
    link = newest.locator("a:text-is('Its model')")
    await expect(link).to_be_visible()  # of one that failed the page says why instead
    return digest_in(await link.get_attribute("href"))


def digest_in(address: str | None) -> str:
    """Return the digest that an address names."""
    found = DIGEST.search(address or "")
    assert found, address
    return found[1]


async def open_model(page: Any, digest: str) -> None:
    """Open the page of one model."""
    await page.goto(f"/models/{digest}/")
    await expect(page.locator("#card-title")).to_be_visible()


async def state_of(page: Any, digest: str) -> str:
    """Return how far a model was promoted, as its page says it: "Registered"."""
    await open_model(page, digest)
    _, _, words = (await page.locator("main > header .model-state").inner_text()).partition(" ")  # a glyph comes first
    return str(words)


async def test_a_training_is_asked_for_followed_and_leaves_a_model_that_people_read(arrive: Arrive) -> None:
    engineer = await arrive("engineer", desk="production")
    page = engineer.page
    await page.wait_for_load_state()  # the keys work once the scripts are there
    await page.keyboard.press("g")
    await page.keyboard.press("m")
    await page.wait_for_url("**/models/")
    await expect(page.get_by_text("No model yet.")).to_be_visible()

    await ask_for(page)
    await expect(page.locator("#trainings progress").first).to_be_visible()
    await expect(page.locator("#trainings li").first).to_contain_text(re.compile(r"\d+ %: "), timeout=TRAINED_MS)
    await engineer.shot("training_dark")
    newest = page.locator("#trainings li").first
    await expect(newest.locator(".training-state")).to_contain_text("Done", timeout=TRAINED_MS)

    digest = digest_in(await newest.locator("a").get_attribute("href"))
    card = page.locator(".model", has=page.locator(f"a[href='/models/{digest}/']"))
    await expect(card).to_contain_text("Registered")
    await expect(card).to_contain_text("quick: no claim")
    assert await state_of(page, digest) == "Registered"
    await expect(page.locator("main")).to_contain_text("quick")
    await expect(page.locator("[data-name=training] .main-svg").first).to_be_visible(timeout=60_000)
    await engineer.shot("model_dark")


async def test_a_training_that_runs_is_cancelled(arrive: Arrive) -> None:
    engineer = await arrive("engineer", desk="production")
    page = engineer.page

    await ask_for(page)
    await page.locator("#trainings li").first.locator("button:has-text('Cancel')").click()

    newest = page.locator("#trainings li").first
    await expect(newest.locator(".training-state")).to_contain_text("Cancelled", timeout=60_000)
    await expect(newest).to_contain_text("Nothing of it was kept.")


async def test_models_fit_the_phone_in_both_themes_and_axe_finds_nothing_grave(arrive: Arrive) -> None:
    engineer = await arrive("engineer", desk="production", phone=True, bypass_csp=True)
    page = engineer.page
    found: list[str] = []

    for theme in ("dark", "light"):
        await page.evaluate(f"localStorage.setItem('gc.theme', '{theme}')")
        for name, place in (("models", "/models/"), ("readiness", "/models/readiness/")):
            await page.goto(place)
            await expect(page.locator("html")).to_have_attribute("data-theme", theme)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 375, place
            await engineer.shot(f"{name}_phone_{theme}")
            found += await grave(page)

    assert found == []

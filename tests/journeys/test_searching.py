"""A person searches many grids, adopts one of them as candidate, finds it where the grids are, and takes it back."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")
Arrive = Callable[..., Awaitable[Any]]
WARM_MS = 60_000  # a first search compiles the loops
FEW = {"vary": "levels = 6..12 by 2\nstep = 0.0008, 0.0016", "folds": "2", "lot": "100"}
MANY = {"vary": "levels = 6..40\nstep = 0.0002..0.002 log", "method": "random", "trials": "5000", "lot": "100"}
AXE = Path(__file__).parent / "assets" / "axe-core-4.14.1.min.js"
GRAVE = {"serious", "critical"}


async def ask(page: Any, **fields: str) -> None:
    """Fill the form of a search and press the button."""
    for name, value in fields.items():
        field = page.locator(f".lab-form [name={name}]")
        kind = await field.evaluate("one => one.tagName")
        await (field.select_option(value) if kind == "SELECT" else field.fill(value))
    await page.click(".lab-form button:has-text('Search')")


async def search(page: Any) -> None:
    """Have a small search done and its page open."""
    await page.goto("/backtests/search/")
    await ask(page, **FEW)
    await expect(page.locator("#trials-title")).to_be_visible(timeout=WARM_MS)


async def test_a_long_search_shows_how_far_it_is_and_can_be_cancelled(arrive: Arrive) -> None:
    trader = await arrive("trader", desk="production")
    page = trader.page
    await page.goto("/backtests/")
    await page.click("a:has-text('Search many')")

    await ask(page, **MANY)

    await expect(page.locator("#progress-title")).to_have_text("Running", timeout=WARM_MS)
    await expect(page.locator("#progress")).to_contain_text(re.compile(r"[1-9]\d? % done"), timeout=WARM_MS)
    await trader.shot("search_running_dark")
    await page.click("#progress button:has-text('Cancel')")
    await expect(page.locator("#progress-title")).to_have_text("Cancelled", timeout=WARM_MS)


async def test_a_trial_is_found_adopted_seen_at_its_grid_and_taken_back(arrive: Arrive) -> None:
    trader = await arrive("trader", desk="production")
    page = trader.page

    await search(page)

    await expect(page.locator(".kpi", has_text="Trials counted").locator("dd").first).to_have_text("8")
    await expect(page.locator("[data-name=heat] .main-svg").first).to_be_visible(timeout=WARM_MS)
    await expect(page.locator("[data-name=front] .main-svg").first).to_be_visible(timeout=WARM_MS)
    await trader.shot("search_dark")
    adopted = await page.locator("tr", has=page.locator("button:has-text('Adopt')")).first.locator("th").inner_text()
    await page.locator("button:has-text('Adopt as candidate')").first.click()

    await expect(page).to_have_url(re.compile(r"/symbols/\?symbol=BTCUSDT$"))
    waiting = page.locator(".finding", has_text=f"trial {adopted.removeprefix('#')} of search")
    await expect(waiting).to_contain_text("adopted by trader")
    await trader.shot("candidate_dark")
    await page.click("button:has-text('Withdraw the candidate')")
    await expect(page.get_by_text("The candidate for BTCUSDT is withdrawn")).to_be_visible(timeout=WARM_MS)
    await expect(waiting).to_have_count(0)


async def test_a_search_fits_the_phone_in_both_themes_and_axe_finds_nothing_grave(arrive: Arrive) -> None:
    trader = await arrive("trader", desk="production", phone=True, bypass_csp=True)
    page = trader.page
    await search(page)
    await expect(page.locator("[data-name=heat] .main-svg").first).to_be_visible(timeout=WARM_MS)
    await expect(page.locator("button:has-text('Adopt as candidate')").first).to_be_visible()
    found: list[str] = []

    for theme in ("dark", "light"):
        await page.evaluate(f"localStorage.setItem('gc.theme', '{theme}')")
        for name, place in (("result", page.url), ("form", "/backtests/search/")):
            await page.goto(place)
            await expect(page.locator("html")).to_have_attribute("data-theme", theme)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 375, place
            await trader.shot(f"search_{name}_phone_{theme}")
            found += await grave(page)
        await page.go_back()

    assert found == []


async def grave(page: Any) -> list[str]:
    """Return what axe finds grave on the open page."""
    await page.add_script_tag(path=AXE)
    result = await page.evaluate("() => axe.run({resultTypes: ['violations']})")
    return [
        f"{page.url} {violation['id']}: {node['html'][:160]} {node['failureSummary']}"
        for violation in result["violations"]
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
    ]

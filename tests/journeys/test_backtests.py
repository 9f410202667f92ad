"""A person lays a grid, runs it, reads what came of it, changes it and compares."""

import re
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")
Arrive = Callable[..., Awaitable[Any]]
WARM_MS = 60_000  # a first backtest compiles the kernel
FIRST_RESULT_S = 1.0
LIVE_MS = 15_000
AXE = Path(__file__).parent / "assets" / "axe-core-4.14.1.min.js"
GRAVE = {"serious", "critical"}
RESULT = re.compile(r"/backtests/\d+/$")


async def run(page: Any, **fields: str) -> float:
    """Fill the form and press Run; return the seconds from asking to the result, as the page tells them."""
    await page.goto("/backtests/")
    for name, value in fields.items():
        field = page.locator(f"#lab-form [name={name}]")
        kind = await field.evaluate("one => one.tagName")
        await (field.select_option(value) if kind == "SELECT" else field.fill(value))
    await page.click("#lab-form button:has-text('Run')")
    await expect(page.locator(".kpi", has_text="Grid profit")).to_be_visible(timeout=WARM_MS)
    asked = await page.locator("section", has=page.locator("#asked-title")).locator(".aside").inner_text()
    return float(asked.rpartition("took ")[2].removesuffix(" s"))


async def test_a_grid_is_run_read_changed_and_compared(arrive: Arrive) -> None:
    trader = await arrive("trader")
    page = trader.page
    await page.goto("/")
    await page.keyboard.press("g")
    await page.keyboard.press("b")

    await expect(page.locator("h1")).to_have_text("Backtest lab")
    await expect(page.get_by_text("No backtest yet.")).to_be_visible()
    await expect(page.locator("#preview .rungs li")).to_have_count(20)
    await expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=LIVE_MS)
    await page.fill("#lab-form [name=levels]", "9")
    await expect(page.locator("#preview .rungs li")).to_have_count(9)
    await page.fill("#lab-form [name=cash]", "1000")
    await expect(page.locator("#preview")).to_contain_text("The cash does not pay for every slot")
    await page.fill("#lab-form [name=levels]", "x")
    await expect(page.locator("#preview")).to_contain_text("is no whole number from 2 to 500")
    await trader.shot("backtests_wrong")

    await run(page, levels="12", mode="long", lot="100")
    await expect(page).to_have_url(RESULT)
    await expect(page.locator("[data-fig] .main-svg").first).to_be_visible()
    await expect(page.locator("table.ladder tbody tr")).to_have_count(12)
    await expect(page.locator("#assumed-title")).to_have_text("Assumptions")
    await trader.shot("backtest_dark")

    await page.click("button:has-text('Change and run again')")
    await expect(page.locator("#lab-form [name=levels]")).to_have_value("12")
    await page.fill("#lab-form [name=levels]", "24")
    await page.click("#lab-form button:has-text('Run')")
    await expect(page.locator("table.ladder tbody tr")).to_have_count(24, timeout=WARM_MS)
    await page.click("button:has-text('Compare')")

    await expect(page.locator("h1")).to_have_text("Compare")
    await expect(page.locator("[data-fig] .main-svg").first).to_be_visible()
    await expect(page.locator("tr", has_text="Levels").first).to_contain_text("▲")
    await trader.shot("backtest_compare_dark")


async def test_a_warm_result_is_there_within_a_second_and_nobody_asks_twice(arrive: Arrive) -> None:
    trader = await arrive("trader")
    page = trader.page
    await run(page)  # warms it
    followed: list[str] = []
    page.on("request", lambda request: followed.append(request.url) if "/progress/" in request.url else None)

    took = [(await run(page, levels=str(levels), lot="100"), len(followed)) for levels in (20, 21, 22)]

    assert min(seconds for seconds, _ in took) < FIRST_RESULT_S
    assert 0 in (after - before for (_, before), (_, after) in pairwise([(0.0, 0), *took]))


async def test_a_long_run_shows_how_far_it_is_and_can_be_cancelled(arrive: Arrive) -> None:
    trader = await arrive("trader")
    page = trader.page
    await page.goto("/backtests/")
    await page.select_option("#lab-form [name=source]", "bars|BTCUSDT")
    await page.click("summary:has-text('Execution and limits')")
    await page.select_option("#lab-form [name=engine]", "core")
    await page.select_option("#lab-form [name=mode]", "long")
    await page.click("#lab-form button:has-text('Run')")

    await expect(page.locator("#progress-title")).to_have_text("Running", timeout=WARM_MS)
    await expect(page.locator("#progress")).to_contain_text(re.compile(r"[1-9]\d? % done"))
    await trader.shot("backtest_running")
    await page.click("#progress button:has-text('Cancel')")

    await expect(page.locator("#progress-title")).to_have_text("Cancelled", timeout=WARM_MS)


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_axe_finds_nothing_grave_in_the_lab(arrive: Arrive, theme: str) -> None:
    trader = await arrive("trader", bypass_csp=True)
    page = trader.page
    await page.evaluate(f"localStorage.setItem('gc.theme', '{theme}')")
    await run(page, mode="short")
    address = page.url
    number = address.rstrip("/").rpartition("/")[2]
    await run(page, also="ETHUSDT", each="ETHUSDT: levels=8", lot="100")
    found: list[str] = []

    for place in (address, page.url, "/backtests/", "/backtests/compare/", f"/backtests/compare/?run={number}&run=1"):
        await page.goto(place)
        await page.wait_for_load_state("networkidle")
        await trader.shot(f"lab_{theme}_{len(found)}_{place.strip('/').split('/')[-1].partition('?')[0] or 'lab'}")
        await page.add_script_tag(path=AXE)
        result = await page.evaluate("() => axe.run({resultTypes: ['violations']})")
        found += [
            f"{place} {violation['id']}: {node['html'][:160]} {node['failureSummary']}"
            for violation in result["violations"]
            if violation["impact"] in GRAVE
            for node in violation["nodes"]
        ]

    assert found == []


async def test_the_phone_shows_the_lab_without_sideways_scrolling(arrive: Arrive) -> None:
    trader = await arrive("trader", phone=True)
    page = trader.page
    await page.goto("/backtests/")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 375
    await trader.shot("backtests_phone")

    await run(page)

    await expect(page.locator("[data-fig] .main-svg").first).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 375
    await trader.shot("backtest_phone")

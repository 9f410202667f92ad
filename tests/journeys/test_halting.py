"""A person stops everything, sees it proven, and two people start it again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")
Arrive = Callable[..., Awaitable[Any]]
PROOF_MS = 30_000
ARMING_S = 0.4
DESKS = {"micro": "Micro $300", "production": "Production $25,000"}


async def open_dialog(page: Page) -> None:
    await page.click(".top .halt")
    await expect(page.locator("#halt")).to_be_visible()
    await asyncio.sleep(ARMING_S)  # a double click must not confirm: the button listens after 350 ms


async def see_proof(page: Page) -> None:
    for slug in DESKS:
        await expect(page.locator(f'[data-halt={slug}][data-stage="PROVEN_CLEAR"]')).to_be_visible(timeout=PROOF_MS)


async def resume_all(first: Page, second: Page) -> None:
    for slug in DESKS:
        for page in (first, second):
            await page.goto("/risk/")
            await page.click(f"button[name=desk][value={slug}]")
            await expect(page.locator("body")).to_have_attribute("data-desk", slug)  # or the next step looks elsewhere
        await resume(first, second, f"{DESKS[slug]} resumes.")
    await expect(second.locator("#state-bar .bar")).to_have_text([])  # or it says who halted, and why


async def resume(first: Page, second: Page, said: str) -> None:
    """Release the one halt of the desk that both look at."""
    await first.fill("#kill-switch textarea", "The drill is over, the books agree")
    await first.fill("#kill-switch input[name=typed]", "RESUME")
    await first.click("button:has-text('Ask a second person')")
    await second.goto("/risk/")
    await second.wait_for_selector("button:has-text('Grant and resume'):enabled", timeout=PROOF_MS)
    await second.fill("#kill-switch input[name=typed]", "RESUME")
    await second.click("button:has-text('Grant and resume')")
    await expect(second.locator("#toasts")).to_contain_text(said)


async def test_one_press_and_one_confirm_stop_everything_and_two_people_resume(arrive: Arrive) -> None:
    trader, lead = await arrive("trader", desk="production"), await arrive("trading_lead")
    page = trader.page

    await page.keyboard.press("Shift+K")
    await expect(page.locator("#halt-effect")).to_contain_text("Blocks new orders until two people resume")
    await expect(page.locator("#halt-confirm")).to_be_focused()
    await trader.shot("halt_dialog")
    await asyncio.sleep(ARMING_S)
    await page.keyboard.press("Enter")
    await see_proof(page)
    await trader.shot("halted")

    bar = page.locator("[data-halt=production]")
    await expect(bar).to_contain_text("HALTED Production $25,000 by trader")
    await expect(bar).to_contain_text("0 left")
    await expect(bar).to_contain_text("audit #")
    await expect(page.locator("body")).to_have_attribute("data-link", "live")
    await see_proof(lead.page)
    await resume_all(page, lead.page)
    await page.goto("/risk/")
    await expect(page.locator("#halts")).to_contain_text("trader + trading_lead")
    await trader.shot("risk")


async def test_a_double_click_does_not_confirm(arrive: Arrive) -> None:
    trader = await arrive("trader")

    await trader.page.click(".top .halt")
    await trader.page.locator("#halt-confirm").click()

    await expect(trader.page.locator("#halt")).to_be_visible()
    await trader.page.keyboard.press("Escape")
    await expect(trader.page.locator("#halt")).to_be_hidden()
    await expect(trader.page.locator("#state-bar .bar")).to_have_count(0)


async def test_without_scripts_the_halt_is_a_plain_form(arrive: Arrive) -> None:
    trader, lead = await arrive("trader", java_script_enabled=False), await arrive("trading_lead")
    page = trader.page

    await page.click(".top .halt")
    await page.wait_for_url("**/risk/halt/**")
    await trader.shot("halt_without_scripts")
    await page.click("main button:has-text('HALT now')")
    await page.wait_for_url("**/risk/")
    await expect(page.locator("[data-halt=micro]")).to_contain_text("HALTED Micro $300 by trader")
    await see_proof(lead.page)

    await resume_all(page, lead.page)


async def test_the_phone_halts_with_the_thumb(arrive: Arrive) -> None:
    trader, lead = await arrive("trader", phone=True), await arrive("trading_lead")
    page = trader.page

    await page.tap(".bottom .halt")
    await expect(page.locator("#halt-effect")).to_contain_text("Keeps positions")
    await trader.shot("halt_dialog_phone")
    await asyncio.sleep(ARMING_S)
    await page.tap("#halt-confirm")
    await see_proof(page)
    await trader.shot("halted_phone")

    await resume_all(lead.page, page)


async def test_a_halt_that_cannot_be_sent_names_the_other_ways(arrive: Arrive) -> None:
    trader = await arrive("trader")
    page = trader.page
    await page.route(
        "**/risk/halt/", lambda route: route.abort() if route.request.method == "POST" else route.continue_()
    )

    await open_dialog(page)
    await page.click("#halt-confirm")

    await expect(page.locator("#halt .failed")).to_contain_text("Nothing was halted from here.")
    await expect(page.locator("#halt .failed")).to_contain_text("./console halt")


async def test_a_halt_after_signing_out_elsewhere_says_so(arrive: Arrive) -> None:
    trader = await arrive("trader")
    page = trader.page
    await open_dialog(page)

    await page.context.clear_cookies()
    await page.click("#halt-confirm")

    await expect(page.locator("#halt .failed")).to_contain_text("Nothing was halted")
    await expect(page.locator("#halt .failed")).to_contain_text("./console halt")


async def test_the_command_line_halts_what_the_browser_shows(console: Any, arrive: Arrive) -> None:
    trader, lead = await arrive("trader"), await arrive("trading_lead")

    done = await asyncio.to_thread(console.run, "halt")
    await see_proof(trader.page)
    await resume_all(trader.page, lead.page)

    assert done.returncode == 0, done.stderr
    assert "PROVEN_CLEAR" in done.stdout


async def test_one_symbol_is_halted_from_its_page_and_the_desk_trades_on(arrive: Arrive) -> None:
    trader, lead = await arrive("trader", desk="production"), await arrive("trading_lead", desk="production")
    page = trader.page
    await page.goto("/symbols/")

    await page.click("#pause .halt")
    await expect(page.locator("#halt-effect")).to_contain_text("Halt BTCUSDT at Production $25,000?")
    await asyncio.sleep(ARMING_S)
    await page.click("#halt-confirm")
    bar = page.locator('[data-halt="production/BTCUSDT"][data-stage="PROVEN_CLEAR"]')
    await expect(bar).to_be_visible(timeout=PROOF_MS)
    await page.goto("/risk/")
    await expect(page.locator("#kill-switch")).to_contain_text("BTCUSDT at Production $25,000 halted")
    await trader.shot("symbol_halted")

    await resume(page, lead.page, "BTCUSDT at Production $25,000 resumes.")


async def test_a_drill_fires_its_rule_and_says_who_ran_it(arrive: Arrive) -> None:
    engineer, lead = await arrive("engineer", desk="micro"), await arrive("trading_lead", desk="micro")
    page = engineer.page
    await page.goto("/risk/")

    await page.click("#drills button[value=DRAWDOWN]")
    drill = page.locator("#drills li", has_text="Drawdown")
    await expect(drill).to_contain_text("✓ passed", timeout=PROOF_MS)
    await expect(drill).to_contain_text("by engineer")
    await engineer.shot("drills")

    await resume(page, lead.page, "Micro $300 resumes.")

"""A person looks after who may sign in and where they are signed in, and another reads in the trail what was done."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from playwright.async_api import Browser, expect

from tests.journeys.conftest import OVERVIEW, Console, sign_in

pytestmark = pytest.mark.asyncio(loop_scope="session")
Arrive = Callable[..., Awaitable[Any]]
LIVE_MS: Final = 15_000
SIGN_IN: Final = re.compile(r"/login/")


async def test_a_session_elsewhere_is_ended_from_the_settings(arrive: Arrive) -> None:
    here, elsewhere = await arrive("cto"), await arrive("cto")
    await expect(elsewhere.page.locator("body")).to_have_attribute("data-link", "live", timeout=LIVE_MS)

    await here.page.goto("/settings/")
    sessions = here.page.locator("section", has=here.page.locator("#sessions-title"))
    await expect(sessions.locator("li")).to_have_count(2)
    await sessions.get_by_role("button", name="Sign out everywhere else").click()

    await expect(here.page.get_by_text("1 other session ended.")).to_be_visible()
    await expect(sessions.locator("li")).to_have_count(1)
    await expect(elsewhere.page.locator("#link-word")).to_have_text("Signed out", timeout=LIVE_MS)
    await elsewhere.page.goto("/settings/")
    await expect(elsewhere.page).to_have_url(SIGN_IN)


async def test_who_is_added_signs_in_and_reads_in_the_trail_who_added_them(
    arrive: Arrive, console: Console, chromium: Browser
) -> None:
    engineer = await arrive("engineer")
    await engineer.page.goto("/settings/")
    await engineer.page.click("summary:has-text('Add a person')")
    form = engineer.page.locator("form[action$='/people/add/']")
    await form.locator("[name=name]").fill("second_auditor")
    await form.get_by_label("Auditor").check()
    await form.get_by_role("button", name="Add and make an invitation").click()
    link = await engineer.page.locator("code.key").inner_text()
    await engineer.shot("settings_invitation")

    context = await chromium.new_context(base_url=console.url)
    page = await context.new_page()
    await page.goto(link)
    for field in ("new_password", "again"):
        await page.fill(f"[name={field}]", "three blue herons")
    await page.click("button:has-text('Set my password')")
    await page.goto(link)
    await expect(page.get_by_text("This invitation was used or has expired.")).to_be_visible()
    await sign_in(page, "second_auditor", "three blue herons")
    await expect(page).to_have_url(OVERVIEW)

    await page.goto("/audit/")
    await page.select_option("[name=action]", "user.added")
    row = page.locator("#rows tbody tr", has_text="second_auditor")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("Person added")
    await expect(row).to_contain_text("engineer")
    await expect(page).to_have_url(re.compile(r"/audit/\?.*action=user\.added"))
    async with page.expect_download() as kept:
        await page.get_by_role("link", name="CSV").click()
    exported = (await (await kept.value).path()).read_text()
    assert "user.added" in exported
    assert "halt.latched" not in exported
    await context.close()


async def test_a_trader_reads_their_own_rows_in_words(arrive: Arrive) -> None:
    trader = await arrive("trader")
    page = trader.page
    await page.goto("/symbols/?symbol=ETHUSDT")
    await page.click("button:has-text('Pause ETHUSDT')")
    await page.click("#toasts button:has-text('Undo')")
    await expect(page.locator("#pause")).to_contain_text("Pause ETHUSDT")

    await page.goto("/audit/")

    await expect(page.locator("#rows tbody tr").first).to_contain_text("Symbol resumed")
    await expect(page.locator("#rows tbody tr").nth(1)).to_contain_text("Symbol paused")
    await expect(page.locator("#rows")).to_contain_text("you read your own rows")
    assert all("trader" in who for who in await page.locator("#rows tbody tr td:nth-child(3)").all_inner_texts())
    await trader.shot("audit_own")

"""A person changes a running grid: sees what would change, confirms, and the desk goes on with the new ladder."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")
Arrive = Callable[..., Awaitable[Any]]
LIVE_MS = 30_000  # the desk starts anew with the ladder; on a busy machine too
GRID, EDIT = "/symbols/?symbol=ETHUSDT", "/symbols/ETHUSDT/edit/"
AXE = Path(__file__).parent / "assets" / "axe-core-4.14.1.min.js"
GRAVE = {"serious", "critical"}


async def form(page: Any) -> dict[str, str]:
    """Return what the form shows, once it does."""
    await expect(page.locator("#grid-form [name=start_at]")).to_be_visible(timeout=LIVE_MS)
    found: dict[str, str] = await page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('#grid-form label :is(input, select)')]"
        ".map((one) => [one.name, one.value]))"
    )
    return found


async def type_in(page: Any, fields: dict[str, str]) -> None:
    for name, value in fields.items():
        field = page.locator(f"#grid-form [name={name}]")
        kind = await field.evaluate("one => one.tagName")
        await (field.select_option(value) if kind == "SELECT" else field.fill(value))


async def price(page: Any) -> int:
    """Return the last whole price of the chosen symbol, once there is one."""
    shown = page.locator('[data-k="m.ETHUSDT.px"]').first
    await expect(shown).to_have_text(re.compile(r"\d"), timeout=LIVE_MS)
    return int((await shown.inner_text()).replace(",", "").partition(".")[0])


async def test_a_running_grid_is_changed_and_the_desk_goes_on_with_the_new_ladder(arrive: Arrive) -> None:
    trader = await arrive("trader", desk="production")
    page = trader.page
    await page.goto(GRID)
    await expect(page.locator("table.ladder tr[data-price]").first).to_be_visible(timeout=LIVE_MS)
    around = await price(page)
    await page.click("a:has-text('Edit this grid')")
    await expect(page).to_have_url(re.compile(EDIT))
    before = await form(page)
    lower, upper = round(around * 0.97), round(around * 1.03)

    fixed = {"step_fraction": "", "lower": f"{lower}", "upper": f"{upper}", "slots": "12", "spacing": "arithmetic"}
    await type_in(page, fixed)

    await expect(page.locator("#preview .rungs li")).to_have_count(13, timeout=LIVE_MS)
    await expect(page.locator("#preview .rungs li").first).to_have_text(f"{upper:,}.00")
    await expect(page.locator("#preview .rungs li").last).to_have_text(f"{lower:,}.00")
    for title in ("Orders kept", "Orders cancelled", "Orders placed"):
        await expect(page.locator("#preview summary", has_text=title)).to_be_visible()
    await expect(page.locator("#preview")).to_contain_text("Spacing floor from measured mark-out")
    await trader.shot("editing_dark")
    await page.click("button:has-text('Confirm the change')")

    await expect(page.get_by_text("The grid on ETHUSDT is changed")).to_be_visible(timeout=LIVE_MS)
    edges = f'[data-low="{lower}.00000000"][data-high="{upper}.00000000"]'
    await expect(page.locator(f"table.ladder{edges}")).to_be_visible(timeout=LIVE_MS)  # by itself, once it is laid
    shown = page.locator("table.ladder tr[data-price]")
    prices = [float(one) for one in await shown.evaluate_all("rows => rows.map((row) => row.dataset.price)")]
    assert sum(lower <= one <= upper for one in prices) >= 12
    await trader.shot("edited_dark")

    await page.goto(EDIT)  # and back to what it was
    await type_in(page, before)
    await page.click("button:has-text('Confirm the change')")
    await expect(page.get_by_text("The grid on ETHUSDT is changed")).to_be_visible(timeout=LIVE_MS)
    await expect(page.locator("table.ladder")).to_be_visible(timeout=LIVE_MS)
    await page.goto(EDIT)
    assert await form(page) == before


async def test_the_form_fits_the_phone_in_both_themes_and_axe_finds_nothing_grave(arrive: Arrive) -> None:
    trader = await arrive("trader", desk="production", phone=True, bypass_csp=True)
    page = trader.page
    found: list[str] = []

    for theme in ("dark", "light"):
        await page.evaluate(f"localStorage.setItem('gc.theme', '{theme}')")
        await page.goto(EDIT)
        await expect(page.locator("html")).to_have_attribute("data-theme", theme)
        await page.fill("#grid-form [name=slots]", "x")
        await expect(page.locator("#preview [role=alert]")).to_contain_text("Slots", timeout=LIVE_MS)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 375
        await trader.shot(f"editing_phone_{theme}")
        await page.add_script_tag(path=AXE)
        result = await page.evaluate("() => axe.run({resultTypes: ['violations']})")
        grave = [one for one in result["violations"] if one["impact"] in GRAVE]
        found += [f"{one['id']}: {node['html'][:160]}" for one in grave for node in one["nodes"]]

    assert found == []

"""A person signs in and watches the desks trade."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")
Arrive = Callable[..., Awaitable[Any]]
LIVE_MS = 15_000
FIRST_FILL_MS = 90_000
PAGES = [
    "/",
    "/symbols/",
    "/orders/fills/",
    "/orders/denied/",
    "/orders/reconciliation/",
    "/risk/",
    "/risk/halt/",
    "/alerts/",
    "/alerts/?show=all",
    "/alerts/?show=rules",
    "/alerts/?show=routes",
    "/data/",
    "/reports/",
    f"/reports/daily/{datetime.now(UTC):%Y-%m-%d}/",
    "/reports/summary/",
    "/reports/planner/",
    "/reports/tax/",
    "/audit/",
    "/settings/",
]
AXE = Path(__file__).parent / "assets" / "axe-core-4.14.1.min.js"
GRAVE = {"serious", "critical"}


async def test_a_wrong_password_is_refused_in_words(console: Any, chromium: Browser) -> None:
    page = await chromium.new_page(base_url=console.url)

    await page.goto("/orders/fills/")
    await page.fill("#id_username", "trader")
    await page.fill("#id_password", "guess")
    await page.click("button:has-text('Sign in')")

    await expect(page.get_by_role("alert")).to_contain_text("Name and password do not fit together")
    await page.fill("#id_password", console.passwords["trader"])
    await page.click("button:has-text('Sign in')")
    await expect(page).to_have_url(f"{console.url}/orders/fills/")
    await page.context.close()


async def test_the_overview_moves(arrive: Arrive) -> None:
    trader = await arrive("trader")
    price = trader.page.locator('[data-k="m.BTCUSDT.px"]').first

    await expect(trader.page.locator("body")).to_have_attribute("data-link", "live", timeout=LIVE_MS)
    before = await price.inner_text()
    await expect(price).not_to_have_text(before, timeout=10_000)
    await expect(trader.page.locator("#link-word")).to_have_text("Live")
    await expect(trader.page.locator("[data-chart] canvas").first).to_be_visible()
    await expect(trader.page.locator(".pill.mode").nth(1)).to_contain_text("Replay lap")
    await trader.shot("overview_dark")


async def test_fills_appear_without_a_reload(arrive: Arrive) -> None:
    trader = await arrive("trader", desk="production")

    await trader.page.goto("/orders/fills/")

    await expect(trader.page.locator("#rows tbody tr td.id").first).to_be_visible(timeout=FIRST_FILL_MS)
    await trader.shot("fills")


async def test_a_symbol_is_chosen_without_leaving_the_page(arrive: Arrive) -> None:
    trader = await arrive("trader")
    page = trader.page

    await page.click("a[data-pick=ETHUSDT]")

    await expect(page.locator("#chart-title")).to_have_text("ETHUSDT")
    await expect(page.locator("a[data-pick=ETHUSDT]")).to_have_attribute("aria-current", "true")
    await expect(page.locator('[data-chart="ETHUSDT"] canvas').first).to_be_visible()


async def test_the_ladder_marks_the_last_price(arrive: Arrive) -> None:
    trader = await arrive("trader", desk="production")

    await trader.page.goto("/symbols/?symbol=ETHUSDT")

    await expect(trader.page.locator("table[data-ladder=ETHUSDT] tr.last")).to_be_visible(timeout=LIVE_MS)
    await trader.shot("symbols")


async def test_pausing_a_symbol_can_be_undone(arrive: Arrive) -> None:
    trader = await arrive("trader")
    page = trader.page
    await page.goto("/symbols/?symbol=BTCUSDT")

    await page.click("button:has-text('Pause BTCUSDT')")
    await expect(page.locator("#pause")).to_contain_text("Paused: paused by trader")
    await page.click("#toasts button:has-text('Undo')")

    await expect(page.locator("#pause")).to_contain_text("Pause BTCUSDT")


async def test_the_replay_is_steered_from_the_page(arrive: Arrive) -> None:
    trader = await arrive("trader")
    page = trader.page
    await page.goto("/#replay")

    await page.click("#replay button:has-text('\u00d720')")
    await expect(page.locator("#toasts")).to_contain_text("The replay runs at \u00d720.")
    await expect(page.locator('.pill [data-k="replay.speed"]')).to_have_text("20", timeout=LIVE_MS)
    await page.click("#replay button:has-text('\u00d710')")

    await expect(page.locator('.pill [data-k="replay.speed"]')).to_have_text("10", timeout=LIVE_MS)


async def test_filter_and_sort_work_in_place_and_keep_their_address(arrive: Arrive) -> None:
    trader = await arrive("trader", desk="production")
    page = trader.page
    await page.goto("/orders/all/")

    await page.select_option("select[name=symbol]", "ETHUSDT")
    await expect(page).to_have_url(re.compile(r"/orders/all/\?symbol=ETHUSDT"))
    await expect(page.locator("#rows tbody tr", has_text="BTCUSDT")).to_have_count(0)
    await page.click("th a:has-text('Price')")

    await expect(page.locator("th[aria-sort=descending]")).to_contain_text("Price")
    assert "symbol=ETHUSDT" in page.url


async def test_numbers_are_written_the_same_in_the_browser(arrive: Arrive) -> None:
    from trading.selectors import numbers

    trader = await arrive("trader")
    cases = [
        (1234.5, 2),
        (-0.25, 2),
        (-0.001, 2),
        (0, 0),
        (61712.4, 2),
        (None, 2),
        (0.00009, 5),
        (25000.005, 2),
        (-1e6, 0),
    ]

    written = await trader.page.evaluate(
        """async (cases) => { const f = await import("/static/js/format.js");
           return cases.map(([v, d]) => [f.plain(v, d), f.signed(v, d), f.sign(v, d)]); }""",
        [list(case) for case in cases],
    )

    assert written == [
        [numbers.plain(value, places), numbers.signed(value, places), numbers.sign(value, places)]
        for value, places in cases
    ]


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_axe_finds_nothing_grave(arrive: Arrive, theme: str) -> None:
    trader = await arrive("trader", desk="production", bypass_csp=True)
    await trader.page.evaluate(f"localStorage.setItem('gc.theme', '{theme}')")
    found: list[str] = []

    for address in PAGES:
        await trader.page.goto(address)
        await expect(trader.page.locator("body")).to_have_attribute("data-link", "live", timeout=LIVE_MS)
        await trader.page.add_script_tag(path=AXE)
        result = await trader.page.evaluate("() => axe.run({resultTypes: ['violations']})")
        found += [
            f"{address} {violation['id']}: {node['html'][:160]} {node['failureSummary']}"
            for violation in result["violations"]
            if violation["impact"] in GRAVE
            for node in violation["nodes"]
        ]

    assert found == []


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_both_themes_are_kept_for_the_browser(arrive: Arrive, theme: str) -> None:
    trader = await arrive("trader", desk="production")
    page = trader.page

    await page.click(".top [data-open-display]")
    await page.check(f"#display input[name=theme][value={theme}]")
    await page.check("#display input[name=pnl][value=green-red]")
    await page.click("#display button:has-text('Done')")
    await page.reload()

    await expect(page.locator("html")).to_have_attribute("data-theme", theme)
    await expect(page.locator("html")).to_have_attribute("data-pnl", "green-red")
    await expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=LIVE_MS)
    await trader.shot(f"overview_production_{theme}")


async def test_the_keys_lead_to_every_page_and_can_be_turned_off(console: Any, arrive: Arrive) -> None:
    trader = await arrive("trader")
    page = trader.page

    pages = {
        "s": "/symbols/", "f": "/orders/open/", "r": "/risk/", "a": "/alerts/", "p": "/roadmap/", "g": "/gate/",
        "c": "/checklist/", "o": "/",
    }  # fmt: skip
    for letter, address in pages.items():
        await page.keyboard.press("g")
        await page.keyboard.press(letter)
        await expect(page).to_have_url(f"{console.url}{address}")
        await page.wait_for_load_state()
    await page.keyboard.press("j")
    await expect(page.locator("tr[data-focus]")).to_have_attribute("data-symbol", "BTCUSDT")
    await page.keyboard.press("?")
    await expect(page.locator("#help")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.evaluate("document.documentElement.dataset.keys = 'off'")
    await page.keyboard.press("Shift+K")
    await expect(page.locator("#halt")).to_be_hidden()


async def test_the_phone_shows_everything_without_sideways_scrolling(arrive: Arrive) -> None:
    trader = await arrive("trader", desk="production", phone=True)

    for address in PAGES:
        await trader.page.goto(address)
        halt = await trader.page.locator(".bottom .halt").bounding_box()
        assert await trader.page.evaluate("document.documentElement.scrollWidth") <= 375, address
        assert halt is not None
        assert halt["height"] >= 52
        assert halt["y"] + halt["height"] <= 812

    await trader.page.goto("/")
    await expect(trader.page.locator("body")).to_have_attribute("data-link", "live", timeout=LIVE_MS)
    await trader.shot("overview_phone")


async def test_the_tables_of_the_admin_keep_to_the_same_policy(arrive: Arrive) -> None:
    engineer = await arrive("engineer")

    for address in ("/admin/", "/admin/trading/auditevent/", "/admin/trading/order/"):
        await engineer.page.goto(address)

    await engineer.shot("admin")

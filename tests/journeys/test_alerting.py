"""Somebody who is away is told; somebody who is there puts an alert aside and acknowledges another by key."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import expect

from tests.riskops import away

pytestmark = pytest.mark.asyncio(loop_scope="session")
Arrive = Callable[..., Awaitable[Any]]
LIVE_MS = 15_000
TOLD_MS = 20_000
PLANT = """
from datetime import UTC, datetime
from trading.domain.events import Severity
from trading.models import Account
from trading.services import alerts
alerts.raise_alert(
    account=Account.objects.get(slug="production"), severity=Severity.WARN, code="FOREIGN_ORDER", symbol="{symbol}",
    message="{symbol} is traded by somebody else", at=datetime.now(UTC),
)
"""


def plant(console: Any, symbol: str) -> None:
    assert console.run("shell", "-v0", "-c", PLANT.format(symbol=symbol)).returncode == 0


async def test_a_route_proves_itself_and_tells_of_the_next_alert(console: Any, arrive: Arrive) -> None:
    engineer = await arrive("engineer", desk="production")
    page = engineer.page
    with away.webhook() as place:
        await page.goto("/alerts/?show=routes")
        await page.fill("#id_name", "desk hook")
        await page.select_option("#id_channel", "webhook")
        await page.fill("#id_address", place.address)
        await page.check("input[name=roles][value=Trader]")
        await page.click("button:has-text('Add')")
        await page.click("button:has-text('Send test')")
        assert place.reached.wait(TOLD_MS / 1_000)
        plant(console, "BTCUSDT")
        await expect(page.locator("#toasts")).to_be_attached()
        while len(place.heard) < 2:
            await page.wait_for_timeout(500)
        await page.goto("/alerts/?show=routes")

        await expect(page.locator("main")).to_contain_text("taken")
        await expect(page.locator("main")).not_to_contain_text("/desk")
    told = [heard["title"] for heard in place.heard]
    assert told[0] == "● TEST · Grid Console"
    assert "▲ WARN · PAPER · Production $25,000 · BTCUSDT · FOREIGN_ORDER" in told
    await page.click("button:has-text('Remove')")


async def test_a_form_that_is_being_filled_in_stays(console: Any, arrive: Arrive) -> None:
    plant(console, "ETHUSDT")
    trader = await arrive("trader", desk="production")
    page = trader.page
    await page.goto("/alerts/")
    await expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=LIVE_MS)
    line = page.locator("#alarms li", has_text="ETHUSDT is traded")
    await line.locator("summary").click()
    await line.locator("input[name=reason]").fill("the other program is ours")

    await page.evaluate("htmx.trigger(document.body, 'gc:alerts')")
    plant(console, "SOLUSDT")
    await page.wait_for_timeout(1_500)

    await expect(line.locator("input[name=reason]")).to_have_value("the other program is ours")
    await line.locator("button:has-text('Shelve')").last.click()
    await expect(page.locator("#toasts")).to_contain_text("Shelved until")
    await expect(page.locator("#alarms")).not_to_contain_text("ETHUSDT is traded")


async def test_the_row_that_stands_out_is_acknowledged_by_key(console: Any, arrive: Arrive) -> None:
    plant(console, "XRPUSDT")
    trader = await arrive("trader", desk="production")
    page = trader.page
    await page.goto("/alerts/")
    line = page.locator("#alarms li", has_text="XRPUSDT is traded")
    await expect(line).to_be_visible()
    texts = await page.locator("#alarms li").all_inner_texts()
    place = next(index for index, text in enumerate(texts) if "XRPUSDT is traded" in text)

    await page.keyboard.press("a")  # shows which row it would be
    for _ in range(place):
        await page.keyboard.press("j")
    await page.keyboard.press("a")

    await expect(page.locator("#toasts")).to_contain_text("Acknowledged: XRPUSDT is traded by somebody else")
    await expect(line).to_have_count(0)

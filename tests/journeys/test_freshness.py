"""Old values never look new: silence, a lost server, a missed frame, a session that ended."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest
from playwright.async_api import WebSocketRoute, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")
Arrive = Callable[..., Awaitable[Any]]
LIVE_MS = 15_000
STALE_MS = 8_000
BACK_MS = 45_000


class Tap:
    """Stands between the page and the server; a journey decides what passes."""

    def __init__(self) -> None:
        self.passes: Callable[[dict[str, Any]], bool] = lambda frame: True
        self.opened = 0
        self.snapshots = 0
        self.said: list[str] = []
        self.values: dict[str, Any] = {}  # newest of each, as the server told them
        self.beats = False  # whether a frame that may not pass still counts as a sign of life

    def route(self, page_side: WebSocketRoute) -> None:
        self.opened += 1
        server_side = page_side.connect_to_server()
        page_side.on_message(lambda text: self._to_server(server_side, text))
        server_side.on_message(lambda text: self._to_page(page_side, text))

    def _to_server(self, server_side: WebSocketRoute, text: str | bytes) -> None:
        self.said.append(str(text))
        server_side.send(text)

    def _to_page(self, page_side: WebSocketRoute, text: str | bytes) -> None:
        frame = json.loads(text)
        self.snapshots += "snap" in frame
        self.values |= frame.get("d", {})
        if self.passes(frame):
            page_side.send(text)
        elif self.beats:
            page_side.send('{"hb":1}')


async def watch_through(tap: Tap, person: Any) -> None:
    await person.page.route_web_socket("**/ws/live/**", tap.route)
    await person.page.reload()
    await expect(person.page.locator("body")).to_have_attribute("data-link", "live", timeout=LIVE_MS)


async def test_silent_data_turns_amber_though_the_heartbeat_goes_on(arrive: Arrive) -> None:
    trader, tap = await arrive("trader"), Tap()
    page = trader.page
    await watch_through(tap, trader)
    async with asyncio.timeout(LIVE_MS / 1_000):
        while tap.values.get("replay.state") == "BREAK":  # between two laps the page has another reason to give
            await page.wait_for_timeout(50)

    tap.passes, tap.beats = lambda frame: "hb" in frame, True
    await expect(page.locator("body")).to_have_attribute("data-link", "stale", timeout=STALE_MS)

    await expect(page.locator("#link-text")).to_contain_text("No exchange data for")
    await expect(page.locator("#link-text")).to_contain_text("Values below are old.")
    link_age = await page.locator("#link-age").inner_text()
    assert float(link_age.split()[0]) < 3
    await expect(page.locator("#link-word")).to_have_text("Stale")
    await trader.shot("stale")


async def test_a_missed_frame_brings_a_new_snapshot(arrive: Arrive) -> None:
    trader, tap = await arrive("trader"), Tap()
    await watch_through(tap, trader)
    opened = tap.opened

    dropped: list[int] = []

    def drop_one(frame: dict[str, Any]) -> bool:
        if "n" in frame and "snap" not in frame and not dropped:
            dropped.append(frame["n"])
            return False
        return True

    tap.passes = drop_one
    async with asyncio.timeout(LIVE_MS / 1_000):
        while tap.snapshots < 2:
            await trader.page.wait_for_timeout(50)

    assert dropped
    assert tap.opened == opened + 1
    await expect(trader.page.locator("body")).to_have_attribute("data-link", "live", timeout=LIVE_MS)


async def test_paused_updates_stand_still_until_resumed(arrive: Arrive) -> None:
    trader, tap = await arrive("trader"), Tap()
    page = trader.page
    await watch_through(tap, trader)

    await page.click(".top [data-open-display]")
    await page.click("#pause-updates")
    await expect(page.locator("#link-text")).to_contain_text("Updates are paused by you.")
    await page.click("#link-resume")

    await expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=LIVE_MS)
    assert tap.said == ['{"pause":1}', '{"resume":1}']


async def test_a_server_that_dies_is_said_at_once_and_the_page_comes_back(console: Any, arrive: Arrive) -> None:
    trader = await arrive("trader")
    page = trader.page
    await expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=LIVE_MS)

    web = next(
        child
        for child in psutil.Process(console.pid).children(recursive=True)
        if "uvicorn" in " ".join(child.cmdline())
    )
    supervisor = web.parent()
    assert supervisor is not None
    supervisor.suspend()  # it would have another web server up before anyone could read what the page says
    try:
        web.send_signal(signal.SIGKILL)

        await expect(page.locator("body")).to_have_attribute("data-link", "down", timeout=2_000)
        await expect(page.locator("#link-text")).to_contain_text("Connection lost. Last update")
        await expect(page.locator("#link-text")).to_contain_text(
            "HALT from the host with ./console halt", timeout=4_000
        )
        await trader.shot("disconnected")
    finally:
        supervisor.resume()
    await expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=BACK_MS)
    await expect(page.locator("#link-bar")).to_be_hidden()
    # What the page had asked for when the server died came to nothing, and the browser says so.
    of_the_death = ("console: htmx:sendError", "console: htmx:afterRequest")
    trader.complaints[:] = [said for said in trader.complaints if not said.startswith(of_the_death)]


async def test_signing_out_in_another_tab_ends_this_one(arrive: Arrive) -> None:
    trader = await arrive("trader")
    await expect(trader.page.locator("body")).to_have_attribute("data-link", "live", timeout=LIVE_MS)
    other = await trader.page.context.new_page()
    await other.goto("/")

    await other.click("button:has-text('Sign out') >> nth=0")

    await expect(trader.page.locator("#link-text")).to_contain_text("You are signed out.", timeout=7_000)
    await expect(trader.page.locator("#link-sign-in")).to_be_visible()
    for _ in range(3):
        async with trader.page.expect_response("**/panels/state_bar/") as refused:
            await trader.page.evaluate("htmx.trigger(document.body, 'gc:halt')")
        assert (await refused.value).status == 401
    await expect(trader.page.locator("#toasts .toast", has_text="You are signed out.")).to_have_count(1)

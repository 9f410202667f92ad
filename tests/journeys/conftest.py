"""The whole product, started as a person starts it, and people with browsers who use it."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, async_playwright
from playwright.async_api import Error as PlaywrightError

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "var" / "artifacts" / "screenshots"
START_LIMIT_S = 180
STOP_LIMIT_S = 60
CLOSE_LIMIT_S = 20
PERSON = re.compile(r"^  (trader|trading_lead|engineer|cto|ceo) +(\S+) ", re.MULTILINE)
OVERVIEW = re.compile(r"://[^/]+/$")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Console:
    """One running console."""

    url: str
    passwords: dict[str, str]
    pid: int
    data_dir: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run `./console <command>` on the same data folder."""
        return subprocess.run(
            [sys.executable, "manage.py", *command], cwd=ROOT, env=environment(self.data_dir), text=True,
            capture_output=True, timeout=60,
        )  # fmt: skip


@dataclass
class Person:
    """One person at one browser, and what their browser complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    async def shot(self, name: str) -> None:
        """Keep a picture of the page, the caret as it is: hiding it writes a style that htmx would carry into the
        panel that comes next, and the content policy rightly refuses that."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=SHOTS / f"{name}.png", caret="initial")


Arrive = Callable[..., Awaitable[Person]]


def environment(data_dir: Path) -> dict[str, str]:
    """Return the environment of a console that owns its servers, whatever the tests themselves use."""
    kept = {
        name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL", "BROKER_URL"}
    }
    return {**kept, "GRIDCONSOLE_DATA_DIR": str(data_dir), "GRIDCONSOLE_PROFILE": "embedded"}


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def console() -> Iterator[Console]:
    """One console for all journeys that do not ask for their own."""
    with started_console() as console:
        yield console


@contextmanager
def started_console() -> Iterator[Console]:
    """Start everything in a folder of its own; stop it as Ctrl-C does."""
    folder = Path(tempfile.mkdtemp(prefix="gc-journey-"))
    port, log = free_port(), folder / "up.txt"
    with log.open("w") as out:
        started = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(port), "--data-dir", str(folder / "var"), "--no-browser"],
            cwd=ROOT, env=environment(folder / "var"), stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        yield _ready(started, log, folder / "var")
    finally:
        started.send_signal(signal.SIGINT)
        try:
            started.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            started.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _ready(started: subprocess.Popen[bytes], log: Path, data_dir: Path) -> Console:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and started.poll() is None:
        said = log.read_text()
        if (address := re.search(r"(http://127\.0\.0\.1:\d+)", said)) and "Stop: Ctrl-C" in said:
            return Console(address.group(1), dict(PERSON.findall(said)), started.pid, data_dir)
        time.sleep(0.1)
    pytest.fail(f"The console did not come up.\n{log.read_text()}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """A real browser without a window."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    async with async_playwright() as playwright:
        try:
            browser = await playwright.chromium.launch(
                executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
        except PlaywrightError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no Chromium here: {str(error).splitlines()[0]}")
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def arrive(console: Console, chromium: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Arrive]:
    """Return a function that lets a person of the demo sign in at a browser of their own.

    Of a journey that failed it is shown what was on everybody's page.
    """
    contexts: list[BrowserContext] = []
    people: list[Person] = []

    async def come(
        name: str = "trader", *, desk: str = "", phone: bool = False, code: str = "", **options: Any
    ) -> Person:
        size = ViewportSize(width=375, height=812) if phone else ViewportSize(width=1440, height=900)
        context = await chromium.new_context(base_url=console.url, viewport=size, has_touch=phone, **options)
        contexts.append(context)
        person = Person(await context.new_page())
        people.append(person)
        listen(person)
        await sign_in(person.page, name, console.passwords[name], code)
        if desk:
            await person.page.click(f"button[name=desk][value={desk}]")
        return person

    failed_before = request.session.testsfailed
    yield come
    if request.session.testsfailed > failed_before:
        for person in people:
            sys.stderr.write(await _shown(person.page))
    for context in contexts:
        with suppress(TimeoutError):  # of the browser; it is closed with all that is in it at the end
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await context.close()
    assert [complaint for person in people for complaint in person.complaints] == []


async def _shown(page: Page) -> str:
    try:
        return f"{page.url}\n{(await page.inner_text('body', timeout=5_000))[:3_000]}\n"
    except PlaywrightError as error:
        return f"{page.url}: {error}"


def listen(person: Person) -> None:
    """Note every error on the page: scripts, blocked content, failed answers of the server."""
    page = person.page
    page.on("pageerror", lambda error: person.complaints.append(f"script: {error}"))
    page.on("console", lambda said: _note(person, said.type, said.text))
    page.on("response", lambda answer: _note_failure(person, answer.status, answer.url))


def _note(person: Person, kind: str, text: str) -> None:
    # The browser itself says so of a refused request (4xx) and of a connection that a journey cut on purpose.
    # A proof of identity gives the session another key: what the page asked for a moment before comes with the old one.
    unsigned = tuple(f"Response Status Error Code 401 from /{part}/" for part in ("panels", "gate", "models"))
    expected = ("Failed to load resource", "WebSocket connection to", *unsigned)
    if kind == "error" and not text.startswith(expected):
        person.complaints.append(f"console: {text}")


def _note_failure(person: Person, status: int, address: str) -> None:
    if status >= 500:
        person.complaints.append(f"{status} {address}")


async def sign_in(page: Page, name: str, password: str, code: str = "") -> None:
    """Sign in on the page that asks for it, with a code if this person has an authenticator."""
    await page.goto("/login/")
    await page.fill("#id_username", name)
    await page.fill("#id_password", password)
    await page.click("button:has-text('Sign in')")
    if code:
        await page.fill("#id_code", code)
        await page.click("button:has-text('Sign in')")
    await page.wait_for_url(OVERVIEW)

"""A real browser at the console's own web process, and when it showed a halt."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from benchmarks import sandbox, stage
from gridconsole import profile

if TYPE_CHECKING:
    from playwright.sync_api import Page

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Two frames later the change is painted. The clock is the machine's, the same that the benchmark reads.
WATCH: Final = """() => {
    window.halted = null;
    const look = () => {
        if (window.halted === null && document.querySelector("#state-bar [data-halt]")) {
            window.halted = 0;
            requestAnimationFrame(() => requestAnimationFrame(() => { window.halted = Date.now(); }));
        }
    };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
}"""


class Screen:
    """One page of one person."""

    def __init__(self, page: "Page") -> None:
        self._page = page

    def look(self) -> None:
        """Load the page anew, wait for its live link, and begin to watch for a halt."""
        self._page.goto("/")
        stage.wait_for("the page's live link", lambda: self._link() in ("live", "stale"))
        self._page.evaluate(WATCH)

    def halted_at_ms(self) -> float:
        """Return when the halt was painted, Unix milliseconds."""
        stage.wait_for("the halt on screen", lambda: bool(self._page.evaluate("() => window.halted")))
        return float(self._page.evaluate("() => window.halted"))

    def _link(self) -> str:
        return str(self._page.evaluate("() => document.body.dataset.link"))


@contextmanager
def screen(session_key: str) -> Iterator[Screen | None]:
    """Open the overview for whoever has this session; None where there is no browser to be had."""
    from django.conf import settings

    with stage.web(), pages({settings.SESSION_COOKIE_NAME: session_key}) as open_page:
        yield None if open_page is None else Screen(open_page())


@contextmanager
def pages(cookie: Mapping[str, str]) -> "Iterator[Callable[[], Page] | None]":
    """Give what opens a page at the running web process for whoever has this cookie; None where there is no browser."""
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        browser = None
    if browser is None:
        sandbox.say("not on screen: playwright (requirements-dev.txt) or a Chromium is missing.")
        yield None
        return
    url = f"http://127.0.0.1:{profile.read(of_running=False).port}"
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # the browser library keeps an event loop running
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        context = chromium.new_context(base_url=url)
        for name, value in cookie.items():
            context.add_cookies([{"name": name, "value": value, "url": url}])
        yield context.new_page
        chromium.close()

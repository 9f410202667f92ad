"""A whole console in an empty folder, started as a person starts it, for whoever tries it from the outside."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gridconsole.profile import BASE_DIR

STOP_LIMIT_S: Final = 30.0
FIRST_PORT: Final = 18_000  # `up` takes the next ones where these are taken
FIRST_SIMULATOR_PORT: Final = 18_500


class Failed(Exception):
    """One promise of the product did not hold; the message says which."""


class Console:
    """One running console."""

    def __init__(self, process: "subprocess.Popen[str]", output: Path, limit_s: float) -> None:
        self._process = process
        self._output = output
        self._limit_s = limit_s

    def wait_until_ready(self) -> tuple[str, dict[str, str]]:
        """Return its address and the password of each person of the demo.

        Raises:
            Failed: it ended, or was not ready in time.
        """
        deadline = time.monotonic() + self._limit_s
        while time.monotonic() < deadline:
            said = self._output.read_text()
            address = re.search(r"Ready after .* s: (http://\S+)", said)
            people = dict(re.findall(r"^  (trader|trading_lead|engineer|cto|ceo) +(\S+) ", said, re.MULTILINE))
            if address and people:
                return address[1], people
            if self._process.poll() is not None:
                raise Failed(f"the console ended while starting: {said[-2_000:]}")
            time.sleep(0.05)
        raise Failed(f"the console was not ready within {self._limit_s:.0f} s: {self._output.read_text()[-2_000:]}")


@contextmanager
def console(folder: Path, *, speed: float, limit_s: float, **options: str) -> Iterator[Console]:
    """Start everything in `folder`, stop it as Ctrl-C does; `options` are further ones of `up`.

    Raises:
        Failed: it did not stop cleanly.
    """
    output = folder / "up.out"
    environment = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL", "BROKER_URL"}}
    environment |= {"GRIDCONSOLE_SIMULATOR_PORT": str(FIRST_SIMULATOR_PORT), "PYTHONUNBUFFERED": "1"}
    environment["GRIDCONSOLE_PROFILE"] = "embedded"
    arguments = ["--data-dir", str(folder), "--port", str(FIRST_PORT), "--speed", f"{speed:g}", "--no-browser"]
    for name, value in options.items():
        arguments += [f"--{name}", value]
    say(f"starting everything in {folder}")
    with output.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", *arguments],
            cwd=BASE_DIR,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        yield Console(process, output, limit_s)
    finally:
        _stop(process)


def _stop(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise Failed(f"the console did not stop within {STOP_LIMIT_S:.0f} s after Ctrl-C") from error
    if process.returncode:
        raise Failed(f"the console ended with status {process.returncode}")
    say("stopped cleanly")


async def submit(browser: Any, address: str, fields: dict[str, str], *, page: str = "") -> str:
    """Send the form of a page as a browser without JavaScript would; return what the answer shows.

    `page` shows the form, where it is another than `address`.

    Raises:
        Failed: there is no form, or the answer is no page.
    """
    async with browser.get(page or address) as shown:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', await shown.text())
    if token is None:
        raise Failed(f"{page or address} shows no form")
    origin = "/".join(address.split("/")[:3])
    headers = {"Origin": origin, "Referer": page or address}
    async with browser.post(address, data={"csrfmiddlewaretoken": token[1], **fields}, headers=headers) as answer:
        text = str(await answer.text())
        if answer.status != 200 or str(answer.url).endswith("/login/"):
            why = re.search(r"Nothing was changed[^<]*", text)
            raise Failed(f"{address} answered {answer.status} at {answer.url}: {why[0] if why else 'no reason given'}")
        return text


def point_settings_at(folder: Path) -> None:
    """Let this process read the database of the console in `folder`."""
    os.environ.update(GRIDCONSOLE_PROFILE="embedded", GRIDCONSOLE_DATA_DIR=str(folder))
    for name in ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "GRIDCONSOLE_PORT", "GRIDCONSOLE_SIMULATOR_PORT"):
        os.environ.pop(name, None)
    import django

    django.setup()


def say(text: str) -> None:
    """Tell a person how far it is."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def print_json(result: dict[str, Any]) -> None:
    """Print one JSON object, alone on the last line of standard output."""
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()

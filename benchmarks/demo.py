"""The whole demo as a person starts it, and a browser that looks at it."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from benchmarks import sandbox
from benchmarks.stage import UnableToMeasure, wait_for
from gridconsole import profile
from gridconsole.loopback import answers

READY: Final = "Ready after"
START_LIMIT_S: Final = 120.0
STOP_LIMIT_S: Final = 60.0


def start() -> "subprocess.Popen[bytes]":
    """Start `./console up` on the sandbox's folder and return at once; its words go to `up.out` there."""
    found = profile.read(of_running=False)
    with words().open("wb") as out:
        return subprocess.Popen(
            [sys.executable, str(profile.BASE_DIR / "manage.py"), "up", "--no-browser"],
            cwd=profile.BASE_DIR,
            env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
            | {"GRIDCONSOLE_DATA_DIR": str(found.data_dir)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )


def stop(up: "subprocess.Popen[bytes]") -> None:
    """Stop it as Ctrl-C does."""
    if up.poll() is None:
        up.send_signal(signal.SIGINT)
    try:
        up.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        up.kill()
        up.wait()


@contextmanager
def running() -> Iterator["subprocess.Popen[bytes]"]:
    """Run the whole demo; the block begins when it says that it is ready."""
    up = start()
    sandbox.say("starting the demo ...")
    try:
        wait_until_ready(up)
        yield up
    finally:
        stop(up)


def wait_until_ready(up: "subprocess.Popen[bytes]") -> None:
    """Return when `up` says that everything runs.

    Raises:
        UnableToMeasure: it ended instead, or took too long.
    """
    try:
        wait_for("./console up", lambda: READY in words().read_text() or up.poll() is not None, limit_s=START_LIMIT_S)
    except UnableToMeasure as error:
        raise UnableToMeasure(f"{error}\n{words().read_text()}") from error
    if up.poll() is not None:
        raise UnableToMeasure(f"./console up ended:\n{words().read_text()}")


def words() -> Path:
    """Return the file with what `up` said."""
    return profile.read(of_running=False).data_dir / "up.out"


def is_web_up() -> bool:
    """Return whether the web process answers."""
    return answers(profile.read(of_running=False).health_url("healthz"))


def session_cookie(username: str) -> dict[str, str]:
    """Return the cookie of a person who has signed in; Django must be set up and the database running."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.get(username=username))
    return {settings.SESSION_COOKIE_NAME: client.cookies[settings.SESSION_COOKIE_NAME].value}


@asynccontextmanager
async def browser(cookie: dict[str, str], desk: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """Open the page's WebSocket and give its frames.

    Raises:
        aiohttp.ClientError: the web process does not answer or refuses.
    """
    port = profile.read(of_running=False).port
    url = f"ws://127.0.0.1:{port}/ws/live/?desk={desk}"
    async with (
        aiohttp.ClientSession(cookies=cookie, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
        session.ws_connect(url, origin=f"http://127.0.0.1:{port}", max_msg_size=0) as socket,
    ):
        yield _frames(socket)


async def _frames(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[dict[str, Any]]:
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT:
            yield orjson.loads(message.data)

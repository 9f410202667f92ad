"""The socket: who gets in, what closes it, and with which code."""

import asyncio
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils.timezone import now

from gridconsole.asgi import application
from trading import consumers, live
from trading.live import sessions as eyes
from trading.models import Account, Session
from trading.services import members

pytestmark = pytest.mark.django_db(transaction=True)
LIMIT_S = 10.0


class Socket:
    """One browser's socket against the whole ASGI application (channels.testing would need daphne)."""

    def __init__(self, cookie: str = "", desk: str = "micro") -> None:
        headers = [(b"origin", settings.ALLOWED_ORIGINS[0].encode())]
        if cookie:
            headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode()))
        scope = {"type": "websocket", "path": "/ws/live/", "query_string": f"desk={desk}".encode(), "headers": headers}
        self._wire = ApplicationCommunicator(application, scope)

    async def open(self) -> "Socket":
        await self._wire.send_input({"type": "websocket.connect"})
        answer = await self._wire.receive_output(timeout=LIMIT_S)
        assert answer["type"] == "websocket.accept"
        return self

    async def say(self, text: str | None = None, data: bytes | None = None) -> None:
        await self._wire.send_input({"type": "websocket.receive", "text": text, "bytes": data})

    async def frame(self) -> dict[str, Any]:
        async with asyncio.timeout(LIMIT_S):
            while True:
                message = await self._wire.receive_output(timeout=LIMIT_S)
                frame: dict[str, Any] = orjson.loads(message["text"])
                if "hb" not in frame:
                    return frame

    async def close_code(self) -> int:
        async with asyncio.timeout(LIMIT_S):
            while (message := await self._wire.receive_output(timeout=LIMIT_S))["type"] != "websocket.close":
                pass
        await self.leave()
        return int(message["code"])

    async def leave(self) -> None:
        await self._wire.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._wire.wait(timeout=LIMIT_S)


@pytest.fixture
def cookie(signed_in: Client) -> str:
    return str(signed_in.cookies[settings.SESSION_COOKIE_NAME].value)


async def test_a_signed_in_person_gets_a_snapshot_of_the_desk(cookie: str) -> None:
    live.publish_values({"m.BTCUSDT.px": 5.0})
    opened = await Socket(cookie).open()

    frame = await opened.frame()
    await opened.leave()

    assert (frame["snap"], frame["d"]["m.BTCUSDT.px"]) == (1, 5.0)


async def test_without_a_session_the_socket_closes_with_4401(micro: Account) -> None:
    opened = await Socket().open()

    assert await opened.close_code() == consumers.NOT_SIGNED_IN


@pytest.mark.parametrize("desk", ["nobody", "%00", "micro%00", "%ff", "%ED%A0%80", ""])
async def test_an_unknown_desk_closes_with_4400(cookie: str, desk: str) -> None:
    opened = await Socket(cookie, desk=desk).open()

    assert await opened.close_code() == consumers.BAD_FRAME


@pytest.mark.parametrize("frame", ["", "{", "[]", '{"pause": 2}', '{"subscribe": "all"}', "x" * 1_000_000])
async def test_anything_but_pause_and_resume_closes_with_4400(cookie: str, frame: str) -> None:
    opened = await Socket(cookie).open()

    await opened.say(frame)

    assert await opened.close_code() == consumers.BAD_FRAME


async def test_a_binary_frame_closes_with_4400(cookie: str) -> None:
    opened = await Socket(cookie).open()

    await opened.say(data=b"\x00\x01")

    assert await opened.close_code() == consumers.BAD_FRAME


async def test_a_flood_of_frames_closes_with_4429(cookie: str) -> None:
    opened = await Socket(cookie).open()

    for _ in range(consumers.FRAMES_PER_WINDOW + 1):
        await opened.say('{"pause":1}')

    assert await opened.close_code() == consumers.TOO_MANY


async def test_resume_brings_a_snapshot(cookie: str) -> None:
    opened = await Socket(cookie).open()
    await opened.frame()

    await opened.say('{"pause":1}')
    await opened.say('{"resume":1}')
    while "snap" not in (frame := await opened.frame()):
        pass
    await opened.leave()

    assert frame["n"] == 0


async def test_one_person_cannot_open_sockets_without_end(cookie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "SOCKETS_PER_PERSON", 2)
    held = [await Socket(cookie).open(), await Socket(cookie).open()]
    for opened in held:
        await opened.frame()

    refused = await (await Socket(cookie).open()).close_code()
    await held.pop().leave()
    again = await Socket(cookie).open()
    frame = await again.frame()
    for opened in (*held, again):
        await opened.leave()

    assert refused == consumers.TOO_MANY
    assert frame["snap"] == 1


async def test_signing_out_closes_the_open_socket(cookie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eyes, "CHECK_S", 0.01)
    opened = await Socket(cookie).open()
    await opened.frame()

    await Session.objects.all().adelete()

    assert await opened.close_code() == consumers.NOT_SIGNED_IN


async def test_deactivation_closes_the_open_socket(cookie: str, trader: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eyes, "CHECK_S", 0.01)
    opened = await Socket(cookie).open()
    await opened.frame()

    await User.objects.filter(pk=trader.pk).aupdate(is_active=False)

    assert await opened.close_code() == consumers.NOT_SIGNED_IN


def test_the_session_is_looked_at_at_least_every_five_seconds() -> None:
    assert eyes.CHECK_S <= 4


def give_away(slug: str) -> None:
    """Let a desk belong to somebody else alone."""
    User.objects.create_user("owner")
    members.give(account=Account.objects.get(slug=slug), person="owner", by="cto", at=now())


async def test_a_desk_of_others_does_not_exist_on_the_socket(cookie: str) -> None:
    await sync_to_async(give_away)("production")

    opened = await Socket(cookie, desk="production").open()

    assert await opened.close_code() == consumers.BAD_FRAME


async def test_nothing_of_a_desk_of_others_comes_over_the_socket_of_ones_own(cookie: str) -> None:
    await sync_to_async(give_away)("production")
    live.publish_values({"d.production.equity": 7.0, "d.micro.equity": 5.0})
    opened = await Socket(cookie).open()

    snapshot = await opened.frame()
    live.publish_values({"d.production.equity": 8.0, "d.production.state": "HALTED", "d.micro.equity": 6.0})
    delta = await opened.frame()
    await opened.leave()

    assert snapshot["d"]["d.micro.equity"] == 5.0
    assert {key: value for key, value in delta["d"].items() if key.startswith("d.")} == {"d.micro.equity": 6.0}
    assert not [key for key in snapshot["d"] if key.startswith("d.production")]


async def test_a_socket_closes_within_seconds_once_its_person_sees_other_desks(
    cookie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eyes, "CHECK_S", 0.05)
    opened = await Socket(cookie).open()
    await opened.frame()

    await sync_to_async(give_away)("production")

    assert await opened.close_code() == consumers.NOT_SIGNED_IN

"""The WebSocket of the console: one socket per page, fed by the hub of its process."""

import asyncio
import contextlib
from collections import Counter, deque
from importlib import import_module
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import DatabaseError

from trading.live.hub import BrowserStalled, Subscriber, hub
from trading.selectors import desks

SESSION_CHECK_S: Final = 4.0  # a session that ended or a person who was deactivated is noticed within five seconds
CHECKS_MISSED_MAX: Final = 7  # a database that does not answer: half a minute of grace, then the browser is let go
SOCKETS_PER_PERSON: Final = 12  # per web process: a dozen tabs
FRAME_LIMIT: Final = 200  # characters; a browser only ever says pause or resume
FRAMES_PER_WINDOW: Final = 20
WINDOW_S: Final = 10.0

TRY_LATER: Final = 1013
BAD_FRAME: Final = 4400
NOT_SIGNED_IN: Final = 4401
STALLED: Final = 4408
TOO_MANY: Final = 4429

_sockets: Counter[int] = Counter()  # user id -> open sockets of this process


class SessionEnded(Exception):
    """Signed out, expired, deactivated or given another password: the socket must close."""


class DatabaseSilent(Exception):
    """Whether the session still holds could not be read for too long: the socket must close."""


class LiveConsumer(AsyncWebsocketConsumer):
    """Snapshot, then numbered deltas of one desk; the browser may pause and resume, nothing else."""

    channel_layer_alias = "none"  # the hub delivers; a channel per socket would hold a Valkey connection each

    async def connect(self) -> None:
        """Accept first, so that the browser learns the reason of a refusal from the close code."""
        self._service: asyncio.Task[None] | None = None
        self._heard: deque[float] = deque(maxlen=FRAMES_PER_WINDOW)
        self._user = self.scope["user"]
        await self.accept()
        if not self._user.is_authenticated:
            await self.close(NOT_SIGNED_IN)
        elif _sockets[self._user.pk] >= SOCKETS_PER_PERSON:
            await self.close(TOO_MANY)
        elif self._asked_desk() not in (seen := await _seen_by(self._user)):
            await self.close(BAD_FRAME)
        else:
            _sockets[self._user.pk] += 1
            self._subscriber = Subscriber(self._asked_desk(), self.send, seen)
            self._service = asyncio.create_task(self._serve())

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Obey {"pause": 1} and {"resume": 1}; close on anything else, and on a flood of either."""
        if self._service is None:
            return
        if self._floods():
            await self._refuse(TOO_MANY)
            return
        match _word(text_data):
            case "pause":
                self._subscriber.mailbox.pause()
            case "resume":
                self._subscriber.mailbox.resume()
                self._subscriber.notify()
            case _:
                await self._refuse(BAD_FRAME)

    async def disconnect(self, code: int) -> None:
        """Let go of the hub."""
        if self._service is None:
            return
        _sockets[self._user.pk] -= 1
        if not _sockets[self._user.pk]:
            del _sockets[self._user.pk]
        self._service.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._service

    async def _refuse(self, code: int) -> None:
        """Stop writing, then close: nothing may follow a close."""
        if self._service is not None and self._service.cancel():
            await self.close(code)

    async def _serve(self) -> None:
        code: int | None = None
        try:
            async with hub().subscribed(self._subscriber), asyncio.TaskGroup() as group:
                group.create_task(self._subscriber.write(hub().latest))
                group.create_task(self._watch_session())
        except* SessionEnded:
            code = NOT_SIGNED_IN
        except* DatabaseSilent:
            code = TRY_LATER
        except* BrowserStalled:
            code = STALLED
        except* OSError:
            pass  # the browser went away in the middle of a frame; `disconnect` follows
        if code is not None:
            await self.close(code)

    async def _watch_session(self) -> None:
        missed = 0
        while True:
            await asyncio.sleep(SESSION_CHECK_S)
            try:
                user = await get_user({"session": self._fresh_session()})
                seen = await _seen_by(user)
            except DatabaseError:
                missed += 1
                if missed > CHECKS_MISSED_MAX:
                    raise DatabaseSilent from None
                continue
            missed = 0
            if not user.is_authenticated or user.pk != self._user.pk or seen != self._subscriber.seen:
                raise SessionEnded  # or what this person sees has changed

    def _fresh_session(self) -> Any:
        return import_module(settings.SESSION_ENGINE).SessionStore(self.scope["session"].session_key)

    def _asked_desk(self) -> str:
        query: dict[str, list[str]] = parse_qs(self.scope["query_string"].decode("ascii", "replace"))
        desk = query.get("desk", [""])[0]
        return "" if "\0" in desk else desk  # the database refuses to compare with a zero byte

    def _floods(self) -> bool:
        now = asyncio.get_running_loop().time()
        full = len(self._heard) == FRAMES_PER_WINDOW and now - self._heard[0] < WINDOW_S
        self._heard.append(now)
        return full


@database_sync_to_async
def _seen_by(person: Any) -> frozenset[str]:
    return frozenset(desk.slug for desk in desks.visible_to(person))


def _word(text: str | None) -> str:
    """Return "pause" or "resume" of a well-formed frame, else an empty text."""
    if text is None or len(text) > FRAME_LIMIT:
        return ""
    try:
        frame: object = orjson.loads(text)
    except ValueError:
        return ""
    for word in ("pause", "resume"):
        if frame == {word: 1}:
            return word
    return ""

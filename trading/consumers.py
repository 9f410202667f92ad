"""The WebSocket of the console: one socket per page, fed by the hub of its process."""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Collection
from typing import Final
from urllib.parse import parse_qs
from weakref import WeakKeyDictionary

import orjson
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils.timezone import now

from trading.live.hub import BrowserStalled, Subscriber, hub
from trading.live.sessions import DatabaseSilent, SessionEnded, SessionWatch
from trading.selectors import sessions
from trading.selectors.sessions import Standing

log = logging.getLogger(__name__)

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
_watches: "WeakKeyDictionary[asyncio.AbstractEventLoop, SessionWatch]" = WeakKeyDictionary()


def watch() -> SessionWatch:
    """Return the eye on the sessions of the running event loop; a web process has one loop."""
    loop = asyncio.get_running_loop()
    if loop not in _watches:
        _watches[loop] = SessionWatch(_standing, hub().sessions_changed)
    return _watches[loop]


async def _standing(labels: Collection[str]) -> dict[str, Standing]:
    found: dict[str, Standing] = await database_sync_to_async(sessions.standing)(labels, now())
    return found


class LiveConsumer(AsyncWebsocketConsumer):
    """Snapshot, then numbered deltas of one desk; the browser may pause and resume, nothing else."""

    channel_layer_alias = "none"  # the hub delivers; a channel per socket would hold a Valkey connection each

    async def connect(self) -> None:
        """Accept first, so that the browser learns the reason of a refusal from the close code."""
        self._service: asyncio.Task[None] | None = None
        self._heard: deque[float] = deque(maxlen=FRAMES_PER_WINDOW)
        self._user = self.scope["user"]
        await self.accept()
        self._session = str(self.scope["session"].row.label) if self._user.is_authenticated else ""
        self._standing = (await _standing({self._session})).get(self._session) if self._session else None
        if self._standing is None:
            await self.close(NOT_SIGNED_IN)
        elif _sockets[self._user.pk] >= SOCKETS_PER_PERSON:
            await self.close(TOO_MANY)
        elif self._asked_desk() not in self._standing.desks:
            await self.close(BAD_FRAME)
        else:
            _sockets[self._user.pk] += 1
            self._subscriber = Subscriber(self._asked_desk(), self.send, self._standing.desks)
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
                group.create_task(watch().hold(self._session, self._standing))
        except* SessionEnded:
            code = NOT_SIGNED_IN
        except* DatabaseSilent:
            code = TRY_LATER
        except* BrowserStalled:
            code = STALLED
        except* OSError as gone:
            log.debug("the browser went away in the middle of a frame: %s", gone.exceptions)  # `disconnect` follows
        if code is not None:
            await self.close(code)

    def _asked_desk(self) -> str:
        query: dict[str, list[str]] = parse_qs(self.scope["query_string"].decode("ascii", "replace"))
        desk = query.get("desk", [""])[0]
        return "" if "\0" in desk else desk  # the database refuses to compare with a zero byte

    def _floods(self) -> bool:
        now = asyncio.get_running_loop().time()
        full = len(self._heard) == FRAMES_PER_WINDOW and now - self._heard[0] < WINDOW_S
        self._heard.append(now)
        return full


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

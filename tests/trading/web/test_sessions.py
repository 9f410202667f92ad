"""Whatever ends a session closes its open sockets within five seconds, at once where somebody did it on a page."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.sessions.backends.base import SessionBase
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from pytest_django import Settings

from tests.trading.web.test_consumer import Socket
from trading import consumers
from trading.live import sessions as eyes
from trading.models import Session
from trading.selectors import sessions as session_selectors
from trading.services import sessions

pytestmark = pytest.mark.django_db(transaction=True)
LIMIT_S = 5.0  # the promise
AT_ONCE_S = 1.0  # well before the next look
PASSWORD = "a long enough passphrase 1"


@pytest.fixture
def browser(signed_in: Client) -> Client:
    return signed_in


def cookie_of(browser: Client) -> str:
    return str(browser.cookies[settings.SESSION_COOKIE_NAME].value)


async def closes_within(browser: Client, deed: Callable[[], Any]) -> tuple[int, float]:
    """Open a real socket of `browser`, do the deed, and return the close code and the seconds until it came."""
    opened = await Socket(cookie_of(browser)).open()
    await opened.frame()
    began = time.monotonic()
    await sync_to_async(deed)()
    return await opened.close_code(), time.monotonic() - began


def expire() -> None:
    Session.objects.update(expire_date=now() - timedelta(seconds=1))


def lie_idle() -> None:
    Session.objects.update(seen_at=now() - timedelta(seconds=settings.SESSION_IDLE_AGE + 1))


def take_the_role() -> None:
    User.objects.get(username="trader").groups.clear()


def give_a_role() -> None:
    User.objects.get(username="trader").groups.add(Group.objects.get(name="CTO"))


def deactivate() -> None:
    User.objects.filter(username="trader").update(is_active=False)


def set_password_on_the_host() -> None:
    person = User.objects.get(username="trader")
    person.set_password(PASSWORD)
    person.save()


def delete_the_row() -> None:
    Session.objects.all().delete()


@pytest.mark.parametrize(
    "deed", [expire, lie_idle, take_the_role, give_a_role, deactivate, set_password_on_the_host, delete_the_row]
)
async def test_what_nobody_told_of_is_noticed_within_five_seconds(browser: Client, deed: Callable[[], None]) -> None:
    code, after_s = await closes_within(browser, deed)

    assert code == consumers.NOT_SIGNED_IN
    assert after_s <= LIMIT_S


async def test_signing_out_on_a_page_closes_its_sockets_at_once(browser: Client) -> None:
    code, after_s = await closes_within(browser, lambda: browser.post("/logout/"))

    assert code == consumers.NOT_SIGNED_IN
    assert after_s <= AT_ONCE_S


async def test_signing_out_everywhere_else_spares_the_session_it_was_said_in(browser: Client, trader: User) -> None:
    here = Client()
    await sync_to_async(here.force_login)(trader)
    kept = await Socket(cookie_of(here)).open()
    await kept.frame()

    code, after_s = await closes_within(browser, lambda: here.post("/settings/sessions/end/"))
    async with asyncio.timeout(LIMIT_S):
        await kept._wire.receive_output(timeout=LIMIT_S)  # a heartbeat, not a close
    await kept.leave()

    assert (code, after_s <= AT_ONCE_S) == (consumers.NOT_SIGNED_IN, True)


async def test_another_key_of_the_same_session_closes_nothing(browser: Client) -> None:
    first = cookie_of(browser)

    @sync_to_async
    def placed() -> SessionBase:
        session = browser.session
        sessions.place(session, address="", browser="", at=now())
        session.save()
        return session

    @sync_to_async
    def rotate(session: SessionBase) -> None:
        session.cycle_key()
        sessions.tell()

    session = await placed()
    opened = await Socket(first).open()
    await opened.frame()
    await rotate(session)
    message = await opened._wire.receive_output(timeout=LIMIT_S)
    await opened.leave()

    assert session.session_key != first
    assert message["type"] == "websocket.send"


def test_a_hundred_sockets_cost_the_queries_of_one(trader: User, desks: object) -> None:
    for _ in range(100):
        Client().force_login(trader)
    labels = [str(label) for label in Session.objects.values_list("label", flat=True)]

    counts = []
    for some in (labels[:1], labels):
        with CaptureQueriesContext(
            connection,
        ) as seen:
            found = session_selectors.standing(some, now())
        counts.append(len(seen))
        assert len(found) == len(some)

    assert counts == [4, 4]


async def test_a_database_that_never_answers_lets_nobody_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eyes, "CHECK_S", 0.01)

    async def ask(labels: Collection[str]) -> dict[str, object]:
        raise DatabaseError("away")

    watch = eyes.SessionWatch(ask, asyncio.Event())

    with pytest.raises(eyes.DatabaseSilent):
        async with asyncio.timeout(LIMIT_S):
            await watch.hold("a", object())


async def test_a_database_that_hangs_counts_as_one_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eyes, "CHECK_S", 0.01)
    monkeypatch.setattr(eyes, "ANSWER_S", 0.01)

    async def ask(labels: Collection[str]) -> dict[str, object]:
        await asyncio.Event().wait()
        return {}

    with pytest.raises(eyes.DatabaseSilent):
        async with asyncio.timeout(LIMIT_S):
            await eyes.SessionWatch(ask, asyncio.Event()).hold("a", object())


async def test_one_look_serves_every_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[str]] = []
    news = asyncio.Event()

    async def ask(labels: Collection[str]) -> dict[str, object]:
        asked.append(set(labels))
        return {"a": 1, "b": 2}

    watch = eyes.SessionWatch(ask, news)
    held: list[Awaitable[None]] = [asyncio.ensure_future(watch.hold(name, standing)) for name, standing in
                                   (("a", 1), ("b", 2), ("c", 3))]  # fmt: skip
    await asyncio.sleep(0)
    news.set()
    with pytest.raises(eyes.SessionEnded):
        await held[2]
    news.set()
    await asyncio.sleep(0.01)

    assert asked == [{"a", "b", "c"}, {"a", "b"}]
    assert not any(one.done() for one in held[:2] if isinstance(one, asyncio.Future))
    for one in held[:2]:
        assert isinstance(one, asyncio.Future)
        one.cancel()


# --- limits -----------------------------------------------------------------------------------------------------


def test_a_session_nobody_used_for_too_long_is_over_for_pages_too(browser: Client) -> None:
    assert browser.get("/").status_code == 200

    Session.objects.update(seen_at=now() - timedelta(seconds=settings.SESSION_IDLE_AGE + 1))

    assert browser.get("/").status_code == 302


@pytest.mark.parametrize(
    ("headers", "counts"),
    [({}, True), ({"HX-Request": "true"}, False), ({"Accept": "application/json"}, False)],
    ids=["a page", "a part that a page fetches", "numbers that a script fetches"],
)
def test_only_what_a_person_does_keeps_a_session_alive(browser: Client, headers: dict[str, str], counts: bool) -> None:
    long_ago = now() - timedelta(minutes=30)
    Session.objects.update(seen_at=long_ago)

    browser.get("/", headers=headers)

    assert (Session.objects.get().seen_at > long_ago) is counts


def test_working_all_day_does_not_move_the_end_of_a_session(browser: Client, settings: Settings) -> None:
    began = now()
    session = browser.session
    sessions.place(session, address="10.0.0.1", browser="Firefox", at=began)
    session.save()

    browser.post("/desk/", {"desk": "production"})

    row = Session.objects.get()
    assert row.expire_date == began + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    assert (row.address, row.browser, row.began_at) == ("10.0.0.1", "Firefox", began)

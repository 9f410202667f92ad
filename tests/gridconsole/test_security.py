"""What every response tells the browser, and where a WebSocket may come from."""

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.test import Client

from gridconsole.asgi import application
from gridconsole.security import OwnOriginsOnly, Receive, Scope, Send, content_security_policy


@pytest.mark.parametrize("address", ["/healthz", "/no-such-page", "/static/admin/css/base.css"])
def test_every_response_carries_the_policy(client: Client, address: str) -> None:
    headers = client.get(address).headers

    assert headers["Content-Security-Policy"] == content_security_policy(settings.ALLOWED_ORIGINS)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def test_pages_may_not_be_framed(client: Client) -> None:
    assert client.get("/healthz").headers["X-Frame-Options"] == "DENY"


def test_the_policy_allows_our_own_origin_and_its_socket_only() -> None:
    policy = content_security_policy(["http://127.0.0.1:8000", "https://desk.example.com"])

    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "connect-src 'self' ws://127.0.0.1:8000 wss://desk.example.com" in policy
    assert "unsafe" not in policy


def test_a_request_is_marked_with_an_id_of_our_own(client: Client) -> None:
    first = client.get("/healthz", headers={"X-Request-ID": "chosen by the caller"}).headers["X-Request-ID"]
    second = client.get("/healthz").headers["X-Request-ID"]

    assert len({first, second, "chosen by the caller"}) == 3


def test_static_files_are_answered_again_only_when_they_changed(client: Client) -> None:
    first = client.get("/static/admin/css/base.css")

    again = client.get("/static/admin/css/base.css", headers={"If-None-Match": first.headers["ETag"]})

    assert first.content.startswith(b"/*")
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "origin",
    [
        None,
        b"null",
        b"http://evil.example",
        b"http://127.0.0.1:9999",
        b"https://127.0.0.1:8000",
        b"http://127.0.0.1",
        b"http://127.0.0.1:8000.evil.example",
        b"http://127.0.0.1:8000/",
        b"\xff",
    ],
)
async def test_a_socket_from_anywhere_else_is_refused(origin: bytes | None) -> None:
    headers = [] if origin is None else [(b"origin", origin)]

    socket = ApplicationCommunicator(application, {"type": "websocket", "path": "/ws/live/", "headers": headers})

    await socket.send_input({"type": "websocket.connect"})

    assert (await socket.receive_output())["type"] == "websocket.close"
    await socket.wait()


async def test_a_socket_from_our_own_page_passes() -> None:
    reached: list[str] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])

    scope = {"type": "websocket", "path": "/ws/live/", "headers": [(b"origin", b"http://127.0.0.1:8000")]}
    await ApplicationCommunicator(OwnOriginsOnly(page, ["http://127.0.0.1:8000"]), scope).wait()

    assert reached == ["/ws/live/"]

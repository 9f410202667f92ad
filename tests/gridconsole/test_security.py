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


@pytest.mark.parametrize(
    ("path", "cookie"),
    [("/ws/elsewhere/", b""), ("/ws/live/", rf'{settings.SESSION_COOKIE_NAME}="aaaaaaaa\000"'.encode())],
    ids=["an address of none of ours", "a zero byte in the session"],
)
async def test_a_socket_that_leads_nowhere_is_refused(path: str, cookie: bytes) -> None:
    headers = [(b"origin", settings.ALLOWED_ORIGINS[0].encode()), (b"cookie", cookie)]

    socket = ApplicationCommunicator(application, {"type": "websocket", "path": path, "headers": headers})

    await socket.send_input({"type": "websocket.connect"})

    assert (await socket.receive_output())["type"] == "websocket.close"
    await socket.wait()


def test_a_zero_byte_in_a_cookie_is_refused(client: Client) -> None:
    client.cookies.load({settings.SESSION_COOKIE_NAME: "aaaaaaaa\0"})

    assert client.get("/").status_code == 400


async def test_a_socket_from_our_own_page_passes() -> None:
    reached: list[str] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])

    scope = {"type": "websocket", "path": "/ws/live/", "headers": [(b"origin", b"http://127.0.0.1:8000")]}
    await ApplicationCommunicator(OwnOriginsOnly(page, ["http://127.0.0.1:8000"]), scope).wait()

    assert reached == ["/ws/live/"]


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("address", "kind", "body", "status"),
    [
        ("/login/", "multipart/form-data", b"x", 400),
        ("/no-such-page", f"multipart/form-data; boundary={'b' * 300}", b"x", 400),
        ("/login/", f"{FORM}; charset=latin-1", b"x=1", 400),
        ("/login/", "multipart/form-data; boundary=b; charset=hex", b"x", 400),
        ("/login/", FORM, b"&".join(b"f=1" for _ in range(201)), 400),
        ("/login/", FORM, b"x=" + b"A" * 1_100_000, 413),
        ("/login/", FORM, b"username=%00", 400),
        ("/symbols/%00/pause/", FORM, b"", 400),
        ("/orders/all/?symbol=%00", FORM, b"", 400),
    ],
    ids=[
        "no boundary", "a boundary too long", "another encoding", "an encoding of no text", "too many fields",
        "too large", "a zero byte in a form", "a zero byte in the path", "a zero byte in the query",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_before_anything_looks_at_it(
    client: Client, address: str, kind: str, body: bytes, status: int
) -> None:
    assert client.generic("POST", address, body, content_type=kind).status_code == status


async def test_a_request_that_no_object_can_be_made_of_is_refused() -> None:
    scope = {
        "type": "http", "method": "GET", "path": "/healthz", "query_string": b"&".join(b"f=1" for _ in range(201)),
        "headers": [(b"host", b"127.0.0.1:8000"), (b"content-type", b"text/plain; charset=utf-8")],
    }  # fmt: skip
    wire = ApplicationCommunicator(application, scope)

    await wire.send_input({"type": "http.request", "body": b"", "more_body": False})

    assert (await wire.receive_output())["status"] == 400
    await wire.wait()


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_admin_is_not_asked_for_a_field_without_a_name(admin_client: Client, method: str) -> None:
    address = "/admin/trading/alert/1/change/?_to_field="

    assert admin_client.generic(method, address).status_code == 400

"""The browser's rules: content security policy, where a WebSocket may come from, and what can be read at all."""

import codecs
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, parse_cookie
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

LARGEST_REQUEST: Final = 2 * 1_048_576  # bytes, with its files
TO_FIELD: Final = "_to_field"  # by which field Django's admin looks a row up
# Plotly inserts one empty <style> and fills it through the CSSOM; this is the hash of the empty string.
EMPTY_STYLE: Final = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class OwnOriginsOnly:
    """Refuse a WebSocket unless its Origin is exactly one of ours: scheme, host and port.

    A page on another port of this machine has the session cookie too. Channels' own validator compares the same
    parts but fails with an error on an origin it cannot parse.
    """

    def __init__(self, application: Application, origins: Collection[str]) -> None:
        self._application = application
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a socket from our own pages on, close any other before it is accepted (HTTP 403)."""
        found, cookies = _values(scope, b"origin"), _values(scope, b"cookie")
        if len(found) == 1 and found[0] in self._origins and not any(map(_holds_zero_byte, map(parse_cookie, cookies))):
            return await self._application(scope, receive, send)
        return await refuse_socket(scope, receive, send)


async def refuse_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """Close a socket before it is accepted (HTTP 403); the router would fail on an address that is none of ours."""
    await receive()  # websocket.connect
    await send({"type": "websocket.close"})


def _values(scope: Scope, header: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == header]


def _holds_zero_byte(cookies: Mapping[str, str]) -> bool:
    """Return whether a cookie smuggles one in as an escape; the database refuses to look for such a session."""
    return any("\0" in value for value in cookies.values())


def content_security_policy(origins: Sequence[str]) -> str:
    """Return the header: everything from our own origin, no inline code, nothing from elsewhere, no frames."""
    sockets = " ".join(origin.replace("http", "ws", 1) for origin in origins)
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            f"style-src 'self' {EMPTY_STYLE}",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            "manifest-src 'self'",
            f"connect-src 'self' {sockets}".rstrip(),
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


class ContentSecurityPolicyMiddleware:
    """Send the content security policy with every response."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.policy = content_security_policy(settings.ALLOWED_ORIGINS)
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._handle(request)
        return self._marked(self.get_response(request))

    async def _handle(self, request: HttpRequest) -> HttpResponseBase:
        return self._marked(await self.get_response(request))

    def _marked(self, response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault("Content-Security-Policy", self.policy)
        return response


class ReadableRequestsOnly:
    """Refuse a request whose address or form cannot be read, before anything looks at it.

    Django's own pages for 400 and 404 read the form once more, which would make an error 500 of it; and it decodes by
    whatever encoding the request names, also by one that is none of text (hex) or that yields halves of pairs (UTF-7).
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._handle(request)
        response: HttpResponseBase = _refusal(request) or self.get_response(request)
        return response

    async def _handle(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = _refusal(request) or await self.get_response(request)
        return response


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """Return 413 for a form that is too large, 400 for one that cannot be read, None for every other request."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdecimal() and int(length[:20]) > LARGEST_REQUEST:
        return HttpResponse(render_to_string("400.html"), status=413)
    try:
        if request.encoding is not None and codecs.lookup(request.encoding).name != "utf-8":
            raise BadRequest("not UTF-8")
        if any("\0" in text for text in _texts(request)):
            raise BadRequest("a zero byte, which no text of ours holds and the database refuses")
        if "" in (request.GET.get(TO_FIELD), request.POST.get(TO_FIELD)):
            raise BadRequest("a field without a name, which the admin would look for")
    except RequestDataTooBig:
        return HttpResponse(render_to_string("400.html"), status=413)
    except (BadRequest, SuspiciousOperation, MultiPartParserError, ValueError, OverflowError):
        return HttpResponse(render_to_string("400.html"), status=400)
    return None


def _texts(request: HttpRequest) -> Iterator[str]:
    yield request.path
    yield from request.COOKIES.values()
    for fields in (request.GET, request.POST):
        for name, values in fields.lists():
            yield from (name, *values)

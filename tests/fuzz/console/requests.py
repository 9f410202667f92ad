"""Requests that no page of ours sends: right ones with up to four things wrong, and right ones of the wrong person."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any, Final
from urllib.parse import quote, quote_plus

from django.conf import settings

from tests.fuzz.console.routes import ARGUMENTS, FORMS, OPEN_DOORS, PUBLIC, Endpoint, Fields, Form, Route, address
from tests.fuzz.console.world import NOBODY, PEOPLE, SECRET, World
from tests.fuzz.hostile import text, value

OWN_ORIGIN: Final = settings.ALLOWED_ORIGINS[0]
OWN_HOST: Final = OWN_ORIGIN.partition("//")[2]
FORM_TYPE: Final = "application/x-www-form-urlencoded"
BOUNDARY: Final = "fuzz"
HUGE: Final = "A" * 1_100_000  # more than a request may hold
LONG: Final = "A" * 900_000  # less

# How many of a hundred requests get past every door: a page costs as much as fifty refusals, the admin's a hundred.
PAST_ALL_DOORS: Final = 6
PAST_WITH_FORM: Final = 6
PAST_IN_ADMIN: Final = 2
PAST_WITHOUT_DOORS: Final = 25

TEXTS: Final = [
    "", " ", "\x00", "micro\x00", "\ud800", "\U0001f600", "\u202egnp.exe", "\u200b\u2060", "<script>alert(1)</script>",
    '=HYPERLINK("http://evil.example","x")', "@SUM(1)", "'; DROP TABLE trading_order; --", "{{7*7}}", "%00", "%s%n",
    "../../etc/passwd", "//evil.example", "https://evil.example/", "javascript:alert(1)", "\r\nSet-Cookie: a=b", "0",
    "-1", "9" * 400, "9" * 5_000, "1e999", "NaN", "Infinity", "1_000", "\u0663", "0x10", "true", "null", "[]", "{}",
    "x" * 301, "RESUME ", "resume", "RES\u0003UME", "\uff32\uff25\uff33\uff35\uff2d\uff25", "on", "2026-13-45",
    "a" * 2_000,
]  # fmt: skip
FOREIGN: Final = (
    "user", "by", "role", "requested_by", "decided_by", "is_superuser", "groups", "account", "at", "id", "pk",
    "_method", "csrfmiddlewaretoken", "_save", "_popup", "_to_field", "next", "", "\x00", "scope[]", "__proto__",
    "_selected_action",
)  # fmt: skip
CURSOR: Final = "WyJkZWNpZGVkX2F0IiwgIjIwMjYtMTEtMjFUMTI6MDA6MDArMDA6MDAiLCAxXQ=="
QUERY: Final[Fields] = [
    ("symbol", "BTCUSDT"), ("symbol", "ETHUSDT"), ("side", "BUY"), ("status", "FILLED"), ("q", "gc-"),
    ("sort", "-price"), ("sort", "time"), ("cursor", CURSOR), ("show", "all"), ("short", "1"),
    ("since", "1700000000000"), ("next", "/"), ("scope", "micro/BTCUSDT"), ("flatten", "1"),
    ("year", "2026"), ("method", "HIFO"), ("percent", "5"), ("costs", "1"), ("months", "3"), ("check", "1"),
]  # fmt: skip
QUERY_OF_ADMIN: Final[Fields] = [
    ("p", "1"), ("o", "1.-2"), ("q", "x"), ("all", ""), ("e", "1"), ("action__exact", "x"), ("app_label", "auth"),
    ("model_name", "user"), ("field_name", "groups"), ("term", "x"), ("_popup", "1"), ("_to_field", "id"),
    ("_changelist_filters", "o=1"), ("account__id__exact", "1"), ("status__exact", "NEW"), ("at__gte", "2026-01-01"),
]  # fmt: skip
WRONG_IN_FORM: Final = (0, 0, 1, 1, 2, 3, 4)  # fields that are not as they should be
WRONG_IN_QUERY: Final = (0, 1, 2, 4, 8)
HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "x-forwarded-host": ("evil.example", "a,b", "[::1"),
    "x-forwarded-proto": ("https", "gopher"),
    "x-forwarded-for": ("127.0.0.1", "x" * 2_000),
    "x-http-method-override": ("POST", "DELETE"),
    "hx-request": ("true", "false", "\xff"),
    "hx-current-url": ("http://[::1", "http://127.0.0.1:8000/%ff", "http://a:x/", "\xe9", "//"),
    "hx-current-url-uri-autoencoded": ("true",),
    "hx-history-restore-request": ("true",),
    "hx-prompt": ("\x00", "x"),
    "hx-triggering-event": ("{", "NaN", "[" * 3_000),
    "accept": ("application/json", "*/*;q=x", ",,,;", "text/html;q=" + "9" * 300),
    "accept-language": ("xx-" + "y" * 600, "en;q=2,de;q=-1", "\xff"),
    "accept-encoding": ("gzip;q=0, br", "x" * 500),
    "referer": ("https://evil.example/", "http://[", "\xff"),
    "user-agent": ("x" * 5_000, "\xff\xfe"),
    "authorization": ("Basic \xff", "Bearer x"),
    "if-modified-since": ("Sat, 99 Nov 9999 99:99:99 GMT", "x", "Sat, 21 Nov 2026 12:00:00 GMT"),
    "if-none-match": ("*", '"', 'W/"x"'),
    "if-match": ("x", "*"),
    "range": ("bytes=0-", "bytes=-1", "bytes=5-1", "bytes=" + "9" * 5_000 + "-", "bytes=a-b", "lines=1"),
    "content-encoding": ("gzip",),
    "transfer-encoding": ("chunked",),
    "x-csrftoken": ("x", "\xff" * 32, "b" * 64),
    "x-request-id": ("\r\nx: y", "x" * 300),
    "content-length": ("-1", "x", "", "9" * 30),
}
HOSTS: Final = ("evil.example", "127.0.0.1:8000@evil.example", "", "[::1", "127.0.0.1:x", "\xff", "a" * 300)
ORIGINS: Final = ("null", "http://evil.example", "http://127.0.0.1:9999", "http://[", "\xff", "https://127.0.0.1:8000")
METHODS: Final = ("PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "FOO", "", "GET POST")
CHARSETS: Final = (
    "utf-7", "utf-16", "utf-16-le", "idna", "punycode", "hex", "zip", "unicode_escape", "raw_unicode_escape",
    "undefined", "x", "utf-8", "latin-1", "cp037",
)  # fmt: skip
TYPES: Final = (
    "text/plain", "application/json", "application/octet-stream", "multipart/form-data", "multipart/mixed", "", "/",
    "multipart/form-data; boundary=" + "b" * 300, "multipart/form-data; boundary=\xff", "\xff",
)  # fmt: skip
SESSIONS: Final = ("f" * 32, "", "\xff", "x" * 4_000, "'; --", "a" * 7, '"aaaaaaaaaa\\000"', '"\\377aaaaaaaaaa"')
COOKIES: Final = ("; \xff=\xff", "; messages=x", "; messages=W10:x:y", "; a=" + "b" * 4_000, ";;;")
DOORS: Final = ("person", "method", "csrf", "host", "origin", "body", "address")
DOORS_OF_PAGES: Final = ("person", "method", "host")


@dataclass(frozen=True, slots=True)
class Shot:
    """One request, and whether it has any right to change something."""

    route: str
    person: str
    scope: dict[str, Any]
    body: bytes
    lawful: bool

    def __str__(self) -> str:
        """Return it as a test's message can show it."""
        what = f"{self.scope['method']} {self.scope['path']!r} ?{self.scope['query_string']!r} {self.body[:400]!r}"
        return f"{self.route} as {self.person or 'nobody'}: {what} {self.scope['headers']}"[:3_000]


def scope(path: str, method: str = "GET", query: bytes = b"", **headers: str) -> dict[str, Any]:
    """Return what the web server hands over; `path` is decoded as it decodes it, headers are latin-1."""
    sent = {"host": OWN_HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {
        "type": "http", "method": method, "scheme": "http", "http_version": "1.1", "root_path": "",
        "path": path.encode("utf-8", "surrogatepass").decode("utf-8", "replace"), "query_string": query,
        "client": ("127.0.0.1", 50_000), "server": ("127.0.0.1", 8_000),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
    }  # fmt: skip


def cookies(session: str) -> str:
    """Return the header of a browser that has our CSRF cookie and this session."""
    return f"{settings.CSRF_COOKIE_NAME}={SECRET}; {settings.SESSION_COOKIE_NAME}={session}"


def right(route: Route, world: World, random: Random) -> Shot:
    """Return the request that is obeyed."""
    form = FORMS[route.name]
    person = random.choice(form.people)
    body = _encoded([*form.fields(world, random, person), ("csrfmiddlewaretoken", SECRET)])
    found = scope(_path(route, world, random), "POST", cookie=cookies(world.cookie(person)), content_type=FORM_TYPE)
    return Shot(route.name, person, found, body, lawful=True)


def hostile(endpoint: Endpoint, world: World, random: Random) -> Shot:
    """Return a request with something wrong: a closed door or two, or only what it carries."""
    route = random.choice(endpoint.routes)
    form = FORMS.get(route.name)
    shut = _shut(route, form, random)
    person = _person(form, shut, random)
    path = _path(route, world, random, wrong="address" in shut)
    wrong = random.choice(WRONG_IN_FORM if form else WRONG_IN_QUERY)
    fields = _mangled(_fields(route, form, world, random, person), wrong, random)
    posts = random.random() < (0.97 if form else 0.1)
    method = random.choice((*METHODS, "POST", "post")) if "method" in shut else "POST" if posts else "GET"
    token = random.choice(("", "x", "b" * 32, "\x00", "\ud800", SECRET[1:])) if "csrf" in shut else SECRET
    body, kind = _body(fields if posts else [], token, random, wrong="body" in shut)
    headers = {
        "cookie": cookies(_cookie(world, person, random)),
        "content-type": kind,
        "content-length": str(len(body)),
    }
    if random.random() < 0.2 and "csrf" not in shut:
        headers["x-csrftoken"] = SECRET
    for name in random.sample(sorted(HEADERS), random.choice((0, 0, 1, 1, 2, 4))):
        headers[name] = random.choice(HEADERS[name])
    if "host" in shut:
        headers["host"] = random.choice(HOSTS)
    if random.random() < 0.1:
        headers["origin"] = OWN_ORIGIN
    if "origin" in shut:
        headers["origin"] = random.choice(ORIGINS)
    if random.random() < 0.03:
        headers["cookie"] += random.choice(COOKIES)
    query = _query([] if posts and random.random() < 0.8 else fields, random)
    may_act = person in PEOPLE or route.name in OPEN_DOORS
    lawful = method.upper() == "POST" and may_act and not shut & {"csrf", "host", "origin"}
    return Shot(route.name, person, scope(path, method, query, **headers), body, lawful)


def _shut(route: Route, form: Form | None, random: Random) -> set[str]:
    """Return the doors that this request does not get past."""
    past = PAST_WITH_FORM if form else PAST_ALL_DOORS
    if route.name in PUBLIC:
        past = PAST_WITHOUT_DOORS
    elif route.name.startswith("admin:"):
        past = PAST_IN_ADMIN
    if random.randrange(100) < past:
        return set()
    shut = set(random.sample(DOORS, random.choice((1, 1, 1, 2, 3))))
    if not form and not shut & set(DOORS_OF_PAGES):  # a look needs no token
        shut.add(random.choice(DOORS_OF_PAGES))
    return shut


def _person(form: Form | None, shut: set[str], random: Random) -> str:
    if "person" in shut:
        strangers = tuple(set(PEOPLE) - set(form.people)) if form else ()
        return random.choice((*NOBODY, *strangers))
    return random.choice(form.people if form else PEOPLE)


def _cookie(world: World, person: str, random: Random) -> str:
    if person == "forged":
        return random.choice(SESSIONS)
    return world.cookie(person)


def _path(route: Route, world: World, random: Random, *, wrong: bool = False) -> str:
    arguments = {name: ARGUMENTS[name](world, route.name, random) for _, name in route.arguments}
    if wrong and arguments:
        arguments[random.choice(sorted(arguments))] = _text(random)
        return address(route, arguments)
    path = address(route, arguments)
    return (
        path
        if not wrong
        else random.choice((path + "/", path[:-1], path.upper(), "/" + path, path + "\x00", path + "%2e"))
    )


def _text(random: Random) -> str:
    kind = random.random()
    if kind < 0.6:
        return random.choice(TEXTS)
    if kind < 0.99:
        found = value(random) if kind < 0.8 else text(random, 20)
        try:
            return str(found)
        except ValueError:  # a number too long to print
            return "9" * 6_000
    return random.choice((HUGE, LONG))


def _fields(route: Route, form: Form | None, world: World, random: Random, person: str) -> Fields:
    if form:
        return list(form.fields(world, random, person))
    if route.name.startswith("admin:") and random.random() < 0.2:
        return [("post", "yes"), ("action", "delete_selected"), ("_selected_action", "1"), ("_save", "Save")]
    known = QUERY_OF_ADMIN if route.name.startswith("admin:") else QUERY
    return random.sample(known, random.choice((2, 6, len(known))))


def _mangled(fields: Fields, wrong: int, random: Random) -> Fields:
    """Return the fields with as many of them dropped, doubled, replaced or added."""
    for _ in range(wrong):
        place, how = random.randrange(len(fields) + 1), random.random()
        if place == len(fields) or how < 0.2:
            fields.append((random.choice(FOREIGN) if how < 0.7 else _text(random), _text(random)))
        elif how < 0.7:
            fields[place] = (fields[place][0], _text(random))
        elif how < 0.8:
            del fields[place]
        elif how < 0.9:
            fields.append((fields[place][0], _text(random)))
        else:
            fields[place] = (fields[place][0] + random.choice(("[]", " ", "\x00", ".x")), fields[place][1])
    if random.random() < 0.005:
        fields.extend((f"f{number}", "") for number in range(300))
    return fields


def _encoded(fields: Fields) -> bytes:
    return b"&".join(_quoted(name) + b"=" + _quoted(content) for name, content in fields)


def _quoted(content: str) -> bytes:
    return quote_plus(content.encode("utf-8", "surrogatepass")).encode()


def _query(fields: Fields, random: Random) -> bytes:
    if random.random() < 0.03:
        return random.choice(
            (b"&" * 3_000, b"%", b"=", b"a" * 3_000, b"\xff=\xff", b"%ff=%ed%a0%80", b"??", b";a;b", b"a=b=c")
        )
    return _encoded([(name, content[:5_000]) for name, content in fields])


def _body(fields: Fields, token: str, random: Random, *, wrong: bool) -> tuple[bytes, str]:
    sent = [*fields, ("csrfmiddlewaretoken", token)]
    if wrong:
        return _wrong_body(sent, random)
    if random.random() < 0.1:
        return _multipart(sent), f"multipart/form-data; boundary={BOUNDARY}"
    return _encoded(sent), FORM_TYPE


def _wrong_body(fields: Fields, random: Random) -> tuple[bytes, str]:
    match random.randrange(6):
        case 0:
            return _encoded(fields), random.choice(TYPES)
        case 1:
            kind = random.choice((FORM_TYPE, "text/plain", "multipart/form-data; boundary=fuzz"))
            return _encoded(fields), f"{kind}; charset={random.choice(CHARSETS)}"
        case 2:
            whole = _multipart(fields)
            return whole[: random.randrange(len(whole))] + random.randbytes(
                3
            ), f"multipart/form-data; boundary={BOUNDARY}"
        case 3:
            return json.dumps(dict(fields)).encode(), "application/json"
        case 4:
            return random.randbytes(random.randrange(200)), random.choice((FORM_TYPE, *TYPES))
        case _:
            return _encoded([*fields, ("note", HUGE)]), FORM_TYPE


def _multipart(fields: Fields) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{quote(name, errors="surrogatepass")}"\r\n\r\n'.encode()
        + content.encode("utf-8", "surrogatepass")
        + b"\r\n"
        for name, content in fields
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()

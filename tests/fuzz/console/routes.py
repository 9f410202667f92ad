"""Every address of the console, grouped into endpoints, with the form that each of them obeys."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from html.parser import HTMLParser
from random import Random
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils.timezone import now

from riskops.domain.periods import Kind
from riskops.models import ArmRequest, BreakGlass, ChecklistAttachment, ComplianceItem, Incident, NotificationRoute
from riskops.selectors.reports import TABLES as REPORT_TABLES
from riskops.standing import checklist_of
from tests.fuzz.console.step import ASKS_FOR_GLASS, PHASE, SIGNERS, STARTERS, code_of
from tests.fuzz.console.world import DESK_PEOPLE, INVITATION, PASSWORD, PEOPLE, World
from trading import live
from trading.domain.admitting import fingerprint
from trading.domain.drills import Drill
from trading.domain.people import Role
from trading.models import Alert, Backtest, CapitalTransfer, Grid, ModelVersion, TrainingRun, VenueKey, running
from trading.selectors import grid_edit
from trading.selectors.orders import TABS

Fields = list[tuple[str, str]]
MakeFields = Callable[[World, Random, str], Fields]  # of whoever sends it

SUPERUSERS: Final = ("engineer",)
ROLES: Final = tuple(role.value for role in Role if role is not Role.AUDITOR)
OPERATORS: Final = ("trader", "trading_lead", "engineer")
BOOKKEEPERS: Final = ("trading_lead", "engineer", "cto", "ceo")
KEEPERS: Final = ("cto", "ceo")
PROMOTERS: Final = {**SIGNERS, "ceo": "CEO"}  # of a model: one desk has 25,000 in force
TRAINERS: Final = ("trading_lead", "engineer", "cto")
KEY_KEEPERS: Final = ("engineer", "cto")
ROUTERS: Final = ("trading_lead", "engineer", "cto")
STAFF: Final = ("engineer", "cto", "auditor")
ADMIN_ROOMS: Final = ("changelist", "add", "history", "delete", "change")


@dataclass(frozen=True, slots=True)
class Route:
    """One address pattern."""

    name: str  # "riskops:halt"
    pattern: str  # "risk/resume/<int:request_id>/grant/"

    @property
    def arguments(self) -> list[tuple[str, str]]:
        """Return (converter, name) of each part that varies."""
        plain = re.findall(r"<(?:(\w+):)?(\w+)>", self.pattern.replace("(?P<", "(?P "))
        return [*plain, *(("", name) for name in re.findall(r"\(\?P<(\w+)>", self.pattern))]


@dataclass(frozen=True, slots=True)
class Form:
    """What a right request carries and who may send it."""

    fields: MakeFields
    people: tuple[str, ...] = PEOPLE
    changes: bool = True  # False: only the session


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Addresses behind which the same code stands."""

    name: str
    routes: tuple[Route, ...]


def routes() -> list[Route]:
    """Return every address pattern of the console."""
    return list(_walk(get_resolver(), "", ""))


def _walk(resolver: URLResolver, prefix: str, space: str) -> Iterator[Route]:
    for entry in resolver.url_patterns:
        pattern = f"{prefix}{entry.pattern}"
        if isinstance(entry, URLResolver):
            inner = f"{space}{entry.namespace}:" if entry.namespace else space
            yield from _walk(entry, pattern, inner)
        elif isinstance(entry, URLPattern):
            yield Route(f"{space}{entry.name or entry.pattern}", pattern)


def endpoints() -> list[Endpoint]:
    """Return the addresses by the code behind them: a kind of page of the admin is one, whatever the table."""
    found: dict[str, list[Route]] = {}
    for route in routes():
        found.setdefault(_endpoint_name(route), []).append(route)
    found["static"] = [Route("static", "static/<path:file>")]
    found["nowhere"] = [Route("nowhere", "<path:nowhere>")]
    return [Endpoint(name, tuple(group)) for name, group in found.items()]


def _endpoint_name(route: Route) -> str:
    if not route.name.startswith("admin:") or (route.name in FORMS and "_" not in route.name):
        return route.name
    room = route.name.rpartition("_")[2]
    if room not in ADMIN_ROOMS or _table(route.name) is None:
        return route.name if route.name in FORMS else "admin: other pages"
    return f"admin: {'changed' if route.name in FORMS else 'any'} {room}"


def _table(route: str) -> type[Model] | None:
    """Return the table that `route` of the admin is about, None where it is about none."""
    name = route.partition(":")[2].rpartition("_")[0]
    return next(
        (model for model in apps.get_models() if name == f"{model._meta.app_label}_{model._meta.model_name}"), None
    )


# --- addresses ------------------------------------------------------------------------------------------------

PERIODS: Final = (f"{now():%Y-%m-%d}", f"{now():%G-W%V}", f"{now():%Y-%m}", "2024-02-30", "1", "9999-12-31", "2999-01")
FILES: Final = ("admin/css/base.css", "js/console.js", "css/base.css", "../gridconsole/settings.py", "js/", "nix.css")


def _first(world: World, route: str) -> str:
    """Return the key of a row of the table that `route` of the admin is about."""
    table = _table(route)
    if table in {User, Group}:
        return str(world.people["spare"].pk if table is User else Group.objects.get(name="spare").pk)
    if table is None:  # the page that leads from a row's address to its form
        return "1"
    return str(table._default_manager.values_list("pk", flat=True).first() or 1)


def _request(world: World, route: str) -> str:
    if "arming" in route:
        return str(ArmRequest.objects.values_list("pk", flat=True).first() or 1)
    if "promotion" in route:
        return str(world.promotion.pk if world.promotion else 1)
    asked = world.request if route.endswith("-resume") else world.step
    return str(asked.pk if asked else 1)


def _kinds(route: str) -> tuple[str, ...]:
    if "backtest" in route:
        return ("html", "json")
    return ("csv", "jsonl") if "audit" in route else (*Kind, "yearly")


def _run(route: str) -> str:
    if "training" in route:
        return str(TrainingRun.objects.filter(state="WAITING").values_list("pk", flat=True).first() or 1)
    states = ("WAITING", "RUNNING") if route.endswith("cancel-backtest") else ("DONE",)
    is_search = "search" in route or "trial" in route
    runs = Backtest.objects.filter(state__in=states, plan__isnull=not is_search)
    return str(runs.values_list("pk", flat=True).first() or 1)


ARGUMENTS: Final[dict[str, Callable[[World, str, Random], str]]] = {
    "symbol": lambda world, route, random: random.choice(("BTCUSDT", "ETHUSDT")[: 2 - route.endswith("edit-grid")]),
    "tab": lambda world, route, random: random.choice(list(TABS)),
    "panel": lambda world, route, random: random.choice(("alerts", "events", "state_bar", "alert_count", "replay")),
    "alert_id": lambda world, route, random: str(Alert.objects.values_list("pk", flat=True).get(code="DRAWDOWN")),
    "route_id": lambda world, route, random: str(NotificationRoute.objects.values_list("pk", flat=True).last() or 1),
    "request_id": lambda world, route, random: _request(world, route),
    "slug": lambda world, route, random: "micro" if route.endswith(":arming-prepare") else "microlive",
    "transfer_id": lambda world, route, random: str(
        CapitalTransfer.objects.filter(confirmed_at=None, account__slug="microlive").values_list("pk", flat=True).last()
        or 1
    ),
    "key_id": lambda world, route, random: str(VenueKey.objects.values_list("pk", flat=True).first() or 1),
    "glass_id": lambda world, route, random: str(BreakGlass.objects.values_list("pk", flat=True).first() or 1),
    "attachment_id": lambda world, route, random: str(
        ChecklistAttachment.objects.values_list("pk", flat=True).first() or 1
    ),
    "incident_id": lambda world, route, random: str(Incident.objects.values_list("pk", flat=True).first() or 1),
    "item_id": lambda world, route, random: str(
        ComplianceItem.objects.order_by("-pk").values_list("pk", flat=True).first() or 1
    ),
    "kind": lambda world, route, random: random.choice(_kinds(route)),
    "run_id": lambda world, route, random: _run(route),
    "digest": lambda world, route, random: ModelVersion.objects.values_list("digest", flat=True).first() or "0" * 64,
    "period": lambda world, route, random: random.choice(PERIODS),
    "table": lambda world, route, random: random.choice((*REPORT_TABLES, "nix")),
    "object_id": lambda world, route, random: _first(world, route),
    "id": lambda world, route, random: str(world.people["spare"].pk),
    "content_type_id": lambda world, route, random: str(random.randint(1, 30)),
    "app_label": lambda world, route, random: random.choice(("auth", "riskops", "trading")),
    "person_id": lambda world, route, random: str(world.people["spare"].pk),
    "label": lambda world, route, random: world.other_session,
    "secret": lambda world, route, random: INVITATION,
    "instance": lambda world, route, random: settings.INSTANCE,
    "url": lambda world, route, random: "nix",
    "file": lambda world, route, random: random.choice(FILES),
    "nowhere": lambda world, route, random: random.choice(("nix", "wp-login.php", ".env", "admin/../risk/halt/")),
}


def address(route: Route, arguments: dict[str, str]) -> str:
    """Return the path of `route` with `arguments` filled in."""
    path = route.pattern
    for converter, name in route.arguments:
        for placeholder in (f"<{converter}:{name}>", f"<{name}>"):
            if placeholder in path and f"(?P<{name}>" not in path:
                path = path.replace(placeholder, arguments[name])
        path = re.sub(rf"\(\?P<{name}>[^)]*\)", lambda _, name=name: arguments[name], path)  # type: ignore[misc]
    return "/" + path.replace("^", "").removesuffix("$")


# --- forms ----------------------------------------------------------------------------------------------------


class _Fields(HTMLParser):
    """What a browser would send of the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Fields = []
        self._select = self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note inputs, chosen options and text areas."""
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag == "select":
            self._select = name
        elif tag == "option" and "selected" in given and self._select:
            self.found.append((self._select, given.get("value", "")))
        elif tag == "textarea":
            self._area = name
        elif tag == "input" and name and name != "csrfmiddlewaretoken" and self._is_sent(given):
            missing = "on" if given.get("type") in {"checkbox", "radio"} else ""
            self.found.append((name, given.get("value", missing)))

    def handle_data(self, data: str) -> None:
        """Note the text of a text area."""
        if self._area:
            self.found.append((self._area, data.strip()))
            self._area = ""

    def handle_endtag(self, tag: str) -> None:
        """Leave a list of choices."""
        if tag == "select":
            self._select = ""

    @staticmethod
    def _is_sent(given: dict[str, str]) -> bool:
        kind = given.get("type", "text")
        return kind not in {"submit", "button"} and (kind not in {"checkbox", "radio"} or "checked" in given)


def shown(world: World, path: str) -> Fields:
    """Return the fields of the page at `path` as the superuser sees it."""
    from tests.fuzz.console.requests import cookies, scope  # they draw from these routes

    parser = _Fields()
    answer: Any = world.send(scope(path, cookie=cookies(world.cookie("engineer"))))
    parser.feed(answer.content.decode())
    unwanted = {"_continue", "_addanother", "logout"}
    return [(name, value) for name, value in parser.found if name not in unwanted]


def _changed(table: str, **changes: str) -> MakeFields:
    """Return the form of the page that changes a row of `table`, with `changes`; read once."""
    pages: dict[World, Fields] = {}

    def fields(world: World, random: Random, person: str) -> Fields:
        if world not in pages:
            name = f"admin:{table}_change"
            pages[world] = shown(world, reverse(name, args=[_first(world, name)]))
        kept, number = [(name, value) for name, value in pages[world] if name not in changes], random.randint(1, 9**9)
        group = Group.objects.values_list("pk", flat=True).order_by("pk")[0]
        return [*kept, *((name, value.format(n=number, group=group)) for name, value in changes.items())]

    return fields


def _fixed(**fields: str | tuple[str, ...]) -> MakeFields:
    """Return a form with one of the given values in each field; `{n}` is another number each time."""

    def make(world: World, random: Random, person: str) -> Fields:
        number = random.randint(1, 9**9)
        chosen = [(name, value if isinstance(value, str) else random.choice(value)) for name, value in fields.items()]
        return [(name, value.format(n=number)) for name, value in chosen]

    return make


_REASON: Final = "the books agree with the venue"
_NEW_PASSWORD: Final = {"password1": PASSWORD + "x", "password2": PASSWORD + "x", "usable_password": "true"}
_INSTRUMENT: Final = {
    "venue": "binance", "base": "BTC", "quote": "USDT", "tick_size": "0.01", "lot_size": "0.00001", "min_notional": "5",
    "min_quantity": "0", "max_quantity": "9000", "market_max_quantity": "100", "trading": "on", "as_of": "2026-11-21",
    "source": "hand",
}  # fmt: skip


def _deleted(table: str) -> MakeFields:
    def fields(world: World, random: Random, person: str) -> Fields:
        key = _first(world, f"admin:{table}_delete")
        return [("action", "delete_selected"), ("_selected_action", key), ("post", "yes"), ("index", "0")]

    return fields


def _proven(**fields: str | tuple[str, ...]) -> MakeFields:
    """Return such a form about the request that is open, with the password and the code of whoever sends it."""
    choose = _fixed(**fields)

    def make(world: World, random: Random, person: str) -> Fields:
        asked = world.promotion or world.step
        digest, role = asked.digest if asked else "", PROMOTERS.get(person, "CTO")
        code = code_of(world.people[person]) if person in world.people else "000000"
        chosen = [(name, value or role) for name, value in choose(world, random, person)]
        return [*chosen, ("digest", digest), ("password", PASSWORD), ("code", code)]

    return make


def _armed(**fields: str) -> MakeFields:
    """Return such a form about the arming that is shown or waits, with the proof of whoever sends it."""

    def make(world: World, random: Random, person: str) -> Fields:
        code = code_of(world.people[person]) if person in world.people else "000000"
        proven = {"digest": world.arm_digest, "password": PASSWORD, "code": code, **fields}
        return list(proven.items())

    return make


def _edited_grid(world: World, random: Random, person: str) -> Fields:
    """Return the form of the grid in force, at the price of now, with another number of slots."""
    live.publish_values({"m.BTCUSDT.bid": 60_000.0, "m.BTCUSDT.ask": 60_000.01})
    row = Grid.objects.get(account__slug="micro", symbol="BTCUSDT")
    other = random.choice([slots for slots in (4, 6, 8) if slots != row.slots])
    words = grid_edit.typed_of(running(row), {}) | {"slots": str(other)}
    return [*words.items(), ("seen", fingerprint(row.chosen))]


def _ticked(world: World, random: Random, person: str) -> Fields:
    items = checklist_of(world.step) if world.step else ("",)
    return [("item", random.choice(items)), ("done", random.choice(("yes", "no"))), ("note", "seen by myself")]


def _item(world: World, random: Random, person: str) -> Fields:
    due = now() + timedelta(days=random.randint(1, 99))
    return [("title", f"Tax consultant {random.randint(1, 9**9)}"), ("due_on", f"{due:%Y-%m-%d}")]


_KEY: Final = {"key": "k{n}" * 8, "secret": "s{n}" * 8}
_OWN_PASSWORD: Final = {
    "old_password": PASSWORD,
    **dict.fromkeys(("new_password1", "new_password2"), PASSWORD + "{n}x"),
}


def _chosen(world: World, random: Random, person: str) -> Fields:
    return [(name, f"{PASSWORD} {person}") for name in ("new_password", "again")]


FORMS: Final[dict[str, Form]] = {
    "login": Form(_fixed(username="trader", password=PASSWORD, next="/"), ("",)),
    "logout": Form(_fixed(), changes=False),
    "admin-logout": Form(_fixed(), changes=False),
    "invitation": Form(_chosen, ("",)),
    "riskops:change-password": Form(lambda *of: [("old_password", PASSWORD), *_chosen(*of)]),
    "riskops:end-session": Form(_fixed()),
    "riskops:end-other-sessions": Form(_fixed()),
    "riskops:add-person": Form(_fixed(name="new{n}", full_name="", roles=ROLES), SUPERUSERS),
    "riskops:invite-person": Form(_fixed(), SUPERUSERS),
    "riskops:set-roles": Form(_fixed(roles=ROLES, anyway="on"), SUPERUSERS),
    "riskops:set-active": Form(_fixed(active="no", anyway="on"), SUPERUSERS),
    "riskops:remove-authenticator": Form(_proven(), SUPERUSERS),
    "riskops:halt": Form(_fixed(scope=("", "micro", "production/BTCUSDT"), flatten=("", "1"), reason=_REASON)),
    "riskops:shelve": Form(_fixed(hours=("0.5", "8"), reason=_REASON), OPERATORS),
    "riskops:unshelve": Form(_fixed(), OPERATORS),
    "riskops:add-route": Form(
        _fixed(
            name="desk {n}", channel="webhook", address="json://localhost/{n}", roles=("CTO", "Trader"), minimum="WARN"
        ),
        ROUTERS,
    ),
    "riskops:remove-route": Form(_fixed(), ROUTERS),
    "riskops:test-route": Form(_fixed(), ROUTERS),
    "riskops:run-drill": Form(_fixed(drill=tuple(Drill)), DESK_PEOPLE),
    "riskops:request-resume": Form(_fixed(symbol="", reason=_REASON, typed="RESUME"), DESK_PEOPLE),
    "riskops:grant-resume": Form(_fixed(typed="RESUME"), ("trading_lead",)),
    "riskops:withdraw-resume": Form(_fixed(), DESK_PEOPLE),
    "riskops:ask-break-glass": Form(_proven(reason=_REASON, hours=("1", "4")), DESK_PEOPLE),
    "riskops:grant-break-glass": Form(_proven(), tuple(name for name in DESK_PEOPLE if name != ASKS_FOR_GLASS)),
    "riskops:end-break-glass": Form(_fixed(), DESK_PEOPLE),
    "riskops:start-run": Form(_fixed(phase=PHASE), STARTERS),
    "riskops:request-step": Form(_fixed(), (*OPERATORS, "cto")),
    "riskops:sign-step": Form(_proven(role="", word=("sign", "reject"), note=_REASON), tuple(SIGNERS)),
    "riskops:tick-item": Form(_ticked, DESK_PEOPLE),
    "riskops:decide-step": Form(_proven(decision=("GO", "HOLD", "NO_GO"), notes=_REASON), tuple(SIGNERS)),
    "riskops:withdraw-step": Form(_fixed(), ("trader", *SIGNERS)),
    "riskops:request-promotion": Form(_fixed(symbol=("", "BTCUSDT")), (*OPERATORS, "cto")),
    "riskops:roll-back-model": Form(_fixed(why=("", _REASON))),
    "riskops:sign-promotion": Form(_proven(role="", word=("sign", "reject"), note=_REASON), tuple(PROMOTERS)),
    "riskops:decide-promotion": Form(_proven(decision=("HOLD", "NO_GO"), notes=_REASON), tuple(PROMOTERS)),
    "riskops:withdraw-promotion": Form(_fixed(), ("trader", *PROMOTERS)),
    "riskops:close-incident": Form(_fixed(cause=_REASON, impact=_REASON, prevention=_REASON), DESK_PEOPLE),
    "riskops:enter-cost": Form(
        _fixed(billed_on="2026-11-01", what="Server {n}", amount=("100", "-3.5"), currency="USD"), BOOKKEEPERS
    ),
    "riskops:add-item": Form(_item, KEEPERS),
    "riskops:tick-compliance": Form(_fixed(done="yes", note="seen by myself {n}"), KEEPERS),
    "riskops:arming-prepare": Form(_fixed(mode=("TESTNET", "LIVE")), STARTERS),
    "riskops:arming-request": Form(_armed(typed="LIVE 4.0"), STARTERS),
    "riskops:arming-approve": Form(_armed(typed="LIVE 4.0"), ("cto",)),
    "riskops:arming-withdraw": Form(_fixed(), DESK_PEOPLE),
    "riskops:arming-disarm": Form(_fixed(why=_REASON)),
    "riskops:confirm-transfer": Form(_fixed(amount=("120", "300"), deed="moved"), STARTERS),
    "riskops:give-account": Form(_fixed(person="trader"), STARTERS),
    "riskops:take-account": Form(_fixed(person="spare"), STARTERS),
    "riskops:add-key": Form(_fixed(account="microlive", purpose=("cancel", "read"), label="ours", **_KEY), KEY_KEEPERS),
    "riskops:check-keys": Form(_fixed(), KEY_KEEPERS),
    "riskops:revoke-key": Form(_fixed(typed="kept"), KEY_KEEPERS),
    "riskops:open-incident": Form(_fixed(playbook=("crit", "process"), what=_REASON), DESK_PEOPLE),
    "riskops:review-desk": Form(_fixed(note=("", _REASON)), DESK_PEOPLE),
    "riskops:apply-step": Form(_fixed(step="immediate.1", symbol=""), OPERATORS),
    "riskops:undo-step": Form(_fixed(step="immediate.1", symbol=""), OPERATORS),
    "riskops:write-incident": Form(
        _fixed(kind=("done", "note", "owner"), step="immediate.0", note=_REASON), DESK_PEOPLE
    ),
    "riskops:begin-authenticator": Form(_fixed()),
    "riskops:confirm-authenticator": Form(_proven()),
    "trading:edit-grid": Form(_edited_grid, OPERATORS),
    "trading:pause": Form(_fixed(reason=("", _REASON)), OPERATORS),
    "trading:unpause": Form(_fixed(), OPERATORS),
    "trading:decide-foreign": Form(_fixed(order="web_1", choice=("cancel", "leave")), OPERATORS),
    "trading:acknowledge": Form(_fixed(show=("open", "all"), short=("", "1")), OPERATORS),
    "trading:unacknowledge": Form(_fixed(show=("open", "all"), short=("", "1")), OPERATORS),
    "trading:run-backtest": Form(
        _fixed(
            source=("ticks|BTCUSDT", "bars|BTCUSDT"),
            levels=("8", ""),
            mode=("long", "short", ""),
            lot="100",
            also=("ETHUSDT", ""),
            max_drawdown=("0.5", ""),
        ),
        DESK_PEOPLE,
    ),
    "trading:cancel-backtest": Form(_fixed(), DESK_PEOPLE),
    "trading:run-search": Form(
        _fixed(
            source=("ticks|BTCUSDT", "bars|ETHUSDT"),
            vary=("levels = 8, 9", "step = 0.001..0.002 log in 3"),
            method="grid",
            split=("none", "walk_forward"),
        ),
        DESK_PEOPLE,
    ),
    "trading:train-model": Form(
        _fixed(stage=("0", "5"), source="shipped", symbols=("", "BTCUSDT"), quick=("on", "")), TRAINERS
    ),
    "trading:cancel-training": Form(_fixed(), TRAINERS),
    "trading:adopt-trial": Form(_fixed(trial="0"), OPERATORS),
    "trading:withdraw-candidate": Form(_fixed(), OPERATORS),
    "trading:choose-desk": Form(_fixed(desk=("micro", "production"), next="/risk/"), changes=False),
    "trading:steer-replay": Form(
        lambda world, random, person: random.choice([[("speed", "20")], [("dataset", "bars")]]), DESK_PEOPLE
    ),
    "admin:login": Form(_fixed(username="engineer", password=PASSWORD, next="/admin/"), ("",), changes=False),
    "admin:logout": Form(_fixed(), STAFF, changes=False),
    "own-password": Form(_fixed(**_OWN_PASSWORD), STAFF),
    "admin:password_change": Form(_fixed(**_OWN_PASSWORD), STAFF),  # Django's own name for the same address
    "admin:auth_user_add": Form(_fixed(username="new{n}", **_NEW_PASSWORD), SUPERUSERS),
    "admin:auth_user_change": Form(_changed("auth_user", first_name="Name {n}", groups="{group}"), SUPERUSERS),
    "admin:auth_user_password_change": Form(_fixed(**_NEW_PASSWORD, **{"set-password": "1"}), SUPERUSERS),
    "admin:auth_user_delete": Form(_fixed(post="yes"), SUPERUSERS),
    "admin:auth_user_changelist": Form(_deleted("auth_user"), SUPERUSERS),
    "admin:auth_group_add": Form(_fixed(name="new {n}", permissions="1"), SUPERUSERS),
    "admin:auth_group_change": Form(_changed("auth_group", name="Name {n}"), SUPERUSERS),
    "admin:auth_group_delete": Form(_fixed(post="yes"), SUPERUSERS),
    "admin:auth_group_changelist": Form(_deleted("auth_group"), SUPERUSERS),
    "admin:trading_venueinstrument_add": Form(_fixed(symbol="NEW{n}", **_INSTRUMENT), SUPERUSERS),
    "admin:trading_venueinstrument_change": Form(_changed("trading_venueinstrument", source="by hand {n}"), SUPERUSERS),
    "admin:trading_venueinstrument_delete": Form(_fixed(post="yes"), SUPERUSERS),
    "admin:trading_venueinstrument_changelist": Form(_deleted("trading_venueinstrument"), SUPERUSERS),
}
OPEN_DOORS: Final = ("login", "invitation")  # who has the right words need not be signed in
PUBLIC: Final = (
    "healthz", "readyz", "metrics", "login", "logout", "admin-login", "admin-logout", "invitation", "admin:login",
    "static", "nowhere",
)  # fmt: skip

__all__ = [
    "ARGUMENTS",
    "DESK_PEOPLE",
    "FORMS",
    "OPEN_DOORS",
    "PUBLIC",
    "Endpoint",
    "Fields",
    "Form",
    "Route",
    "address",
    "endpoints",
]

"""A console with people, desks and rows in it, that notices every change of its state."""

import io
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Group, Permission, User
from django.core.handlers.base import BaseHandler
from django.core.signals import got_request_exception
from django.db import connection
from django.http.response import HttpResponseBase
from django.utils.timezone import now

from gridconsole.asgi import http
from riskops.models import (
    ComplianceItem,
    Delivery,
    Invitation,
    Notice,
    NotificationRoute,
    PromotionRequest,
    ResumeRequest,
    StepRequest,
    Tries,
)  # fmt: skip
from riskops.services.phases import load_roadmap
from tests.fuzz.console.beyond import BEYOND_PAPER, arrange_arming
from tests.fuzz.console.promoting import OF_PROMOTIONS, arrange_promotion, clear_models
from tests.fuzz.console.step import OF_THE_GATE, arrange_step, give_authenticators
from tests.fuzz.hostile import promptly
from tests.trading import models_at_hand as at_hand
from trading import backtesting, searching
from trading.adapters.latch_file import LatchFile
from trading.domain.backtest_settings import BacktestSettings, read
from trading.domain.search_plan import read_plan
from trading.models import (
    Account,
    Alert,
    AuditEvent,
    Backtest,
    Fill,
    ForeignOrderDecision,
    Grid,
    GridCandidate,
    Halt,
    HaltDrill,
    Order,
    Reconciliation,
    Session,
    VenueInstrument,
    VenueReading,
)
from trading.models.audit import AuditHead
from trading.services.demo import load_demo

PASSWORD: Final = "a long enough passphrase 1"
INVITATION: Final = "i" * 32  # its secret
OF_PEOPLE: Final = {"login", "invitation", *(f"riskops:{name}" for name in (
    "settings", "change-password", "end-session", "end-other-sessions", "add-person", "invite-person", "set-roles",
    "set-active", "remove-authenticator",
))}  # fmt: skip
SECRET: Final = "s" * 32  # of the CSRF cookie; the bare secret is a valid token
DESK_PEOPLE: Final = ("trader", "trading_lead", "engineer", "cto", "ceo")
PEOPLE: Final = (
    *DESK_PEOPLE,
    "auditor",
)  # the engineer is a superuser; cto and auditor are staff without and with eyes
NOBODY: Final = ("", "left", "forged", "expired")  # anonymous, deactivated, a session of nobody, one that has ended

STOPS: Final = {"riskops:halt", "riskops:run-drill"}  # they need desks that trade; the others desks that are halted
OF_ALERTS: Final = frozenset(
    f"riskops:{name}" for name in ("shelve", "unshelve", "add-route", "remove-route", "test-route")
)
# What is no state of the product: sessions come and go with logins, Django's own log is no record of ours.
# How often a sign-in failed slows the next one and is told once a minute; tests/riskops/web/test_sign_in.py watches it.
NOT_STATE: Final = {
    "trading_session", "django_session", "django_admin_log", "django_migrations", "django_content_type",
    "riskops_tries", "riskops_failedsignins", "riskops_knownaddress",
}  # fmt: skip
# Written by every login that succeeds; by every proof of identity that is asked for, which is watched by itself.
NOT_STATE_COLUMNS: Final = {
    "auth_user": ("last_login",),
    "otp_totp_totpdevice": (
        "last_t", "last_used_at", "drift", "throttling_failure_timestamp", "throttling_failure_count",
    ),
}  # fmt: skip
PROOFS: Final = """
    SELECT 'proof of ' || u.username, to_jsonb(t)::text FROM otp_totp_totpdevice t JOIN auth_user u ON u.id = t.user_id
"""
READS: Final = ("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK", "SET", "SHOW", "DECLARE", "FETCH", "CLOSE")

State = dict[str, str]
Scope = dict[str, Any]  # of ASGI


class Handler(BaseHandler):
    """The middleware stack around the requests that the web process makes, without its threads."""

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()

    def answer(self, scope: Scope, body: bytes) -> HttpResponseBase:
        """Return the response, rendered."""
        request, refusal = http.create_request(scope, io.BytesIO(body))
        answer: HttpResponseBase = refusal if request is None else self.get_response(request)
        return answer


class World:
    """The console under fire; `state` is what it was after the last change that was allowed."""

    def __init__(self, latch: Path) -> None:
        load_demo(at=now())
        load_roadmap(at=now())
        self.latch = latch
        self.steered: list[object] = []  # what the simulated exchange was told
        self.errors: list[str] = []
        self._handler = Handler()
        self._backtest: backtesting.Done | None = None
        self._search: backtesting.Done | None = None
        self.arm_digest = ""  # of the arming that is shown or waits
        self.other_session = str(uuid4())  # names one of everybody
        self.step: StepRequest | None = None  # what waits for signatures
        self.promotion: PromotionRequest | None = None  # of a model, the same
        self._touched: set[str] = set()
        self._make_people()
        self._make_rows()
        self._originals = {model: list(model.objects.all()) for model in (User, Group, VenueInstrument)}
        self._memberships = list(User.groups.through.objects.values_list("user_id", "group_id"))
        self._cookies: dict[str, str] = {}
        self.settle("riskops:risk")

    # --- the cast and what they look at -----------------------------------------------------------------------

    def _make_people(self) -> None:
        auditor = User.objects.create_user("auditor", is_staff=True)
        auditor.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
        User.objects.create_user("left", is_active=False, is_staff=True, is_superuser=True)
        User.objects.create_user("spare", password=PASSWORD)
        Group.objects.create(name="spare")
        for person in User.objects.filter(username__in=PEOPLE):
            person.set_password(PASSWORD)
            person.save()
        self.people = {person.username: person for person in User.objects.all()}

    def _make_rows(self) -> None:
        self.micro, self.production = Account.objects.filter(proven_by=None).order_by("id")
        at = now()
        for number, status in enumerate(("ACCEPTED", "FILLED", "DENIED", "REJECTED", "UNKNOWN")):
            order = Order.objects.create(
                account=self.micro, client_order_id=f"gc-micro-1-{number}", symbol="BTCUSDT", side="BUY", type="LIMIT",
                purpose="grid", slot=0, price=Decimal("60000.1"), quantity=Decimal("0.0001"), price_ticks=6_000_010,
                quantity_lots=10, filled_lots=10 if status == "FILLED" else 0, reference_ticks=6_000_010, status=status,
                reason='=HYPERLINK("http://x","y") \u202e\U0001f600<script>', decided_at=at, decided_at_ns=0,
                updated_at=at,
            )  # fmt: skip
        Fill.objects.create(
            account=self.micro, order=order, trade_id=1, symbol="BTCUSDT", side="BUY", slot=0, price=Decimal("60000.1"),
            quantity=Decimal("0.0001"), price_ticks=6_000_010, quantity_lots=10, fee=Decimal("0.006"), fee_asset="USDT",
            maker=True, realized_quote=Decimal(0), at=at, at_ns=0,
        )  # fmt: skip
        Alert.objects.create(
            account=self.micro, severity="CRIT", code="DRAWDOWN", message="=1+1 <b>", at=at - timedelta(days=1)
        )
        foreign = {"id": "web_1", "symbol": "BTCUSDT", "side": "BUY", "price": "1", "quantity": "1", "filled": "0"}
        VenueReading.objects.create(
            account=self.micro, is_clean=True, local_open=1, venue_open=2, foreign=[foreign], at=at
        )

    def arrange(self, route: str) -> None:
        """Put back what a right request for `route` needs to find, so that it would be obeyed."""
        self.latch.unlink(missing_ok=True)
        Tries.objects.all().delete()
        self.promotion = None
        if route in OF_PEOPLE:
            self._arrange_tables(route)
            self._arrange_people()
        elif route in OF_THE_GATE:
            self._arrange_halts(halted=False)
            give_authenticators(self.people, route)
            self.step = arrange_step(self.micro, self.people, route)
        elif route in OF_PROMOTIONS:
            give_authenticators(self.people, route)
            self.promotion = arrange_promotion(self.people, route)
        elif route in BEYOND_PAPER:
            self._arrange_halts(halted=False)
            give_authenticators(self.people, route)
            self.arm_digest = arrange_arming(self.micro, self.people, route)
        elif route == "riskops:tick-compliance":  # a tick stays for good: each needs an item that has none
            ComplianceItem.objects.create(
                account=self.micro, title=f"Item {now().timestamp()}", due_on=now().date(), opened_by="cto",
                opened_at=now(),
            )  # fmt: skip
        elif route in OF_ALERTS:
            self._arrange_alerts(route)
        elif route.startswith("riskops:"):
            self._arrange_halts(halted=route not in STOPS)
        elif route.startswith(("admin:", "own-password")):
            self._arrange_tables(route)
        elif "backtest" in route or "search" in route or "trial" in route or "candidate" in route:
            self._arrange_backtests()
        elif "training" in route or "model" in route:
            self._arrange_models()
        else:
            ForeignOrderDecision.objects.all().delete()
            seen = route == "trading:unacknowledge"
            Alert.objects.update(
                acknowledged_at=now() if seen else None, acknowledged_by=self.people["engineer"] if seen else None
            )
            Grid.objects.update(paused_reason="held" if route.endswith("unpause") else "")

    def _arrange_alerts(self, route: str) -> None:
        """Shelve the alert or take it back; leave one route."""
        until = now() + timedelta(hours=8) if route == "riskops:unshelve" else None
        Alert.objects.update(acknowledged_at=None, shelved_until=until, shelved_by=self.people["engineer"])
        Delivery.objects.all().delete()
        NotificationRoute.objects.all().delete()
        NotificationRoute.objects.create(
            name="desk", channel="webhook", address="sealed", shown="json://\u202e••••", roles=["CTO"], minimum="WARN",
            created_by=self.people["engineer"], created_at=now(),
        )  # fmt: skip

    def _arrange_backtests(self) -> None:
        """Leave one that waits and one that is done."""
        Backtest.objects.all().delete()
        told = self._backtest = self._backtest or backtesting.carry_out(BacktestSettings())
        asked: dict[str, Any] = {"settings": BacktestSettings().as_json(), "asked_by": "trader", "asked_at": now()}
        Backtest.objects.create(**asked)
        Backtest.objects.create(**asked, state="DONE", ended_at=now(), facts=told.facts, curves=told.curves)
        GridCandidate.objects.all().delete()
        found = self._search = self._search or _small_search()
        given = {"settings": found.facts["settings"], "plan": found.facts["plan"]}
        Backtest.objects.create(**asked | given, state="DONE", ended_at=now(), facts=found.facts, curves=found.curves)
        GridCandidate.objects.bulk_create(
            GridCandidate(
                account=desk, symbol=symbol, settings=given["settings"], search=1, trial=0, found={},
                proposed_by="trader", proposed_at=now(),
            )
            for desk in (self.micro, self.production) for symbol in ("BTCUSDT", "ETHUSDT")
        )  # fmt: skip

    def _arrange_models(self) -> None:
        """Leave a champion with what it said and came, and a training that waits."""
        clear_models()
        at_hand.training("WAITING")
        champion = at_hand.model(1, "CHAMPION", training=at_hand.training(), why="\u202e <b>")
        at_hand.health(champion, fault="late", reason="<script>")
        at_hand.forecasts(champion, 2, off=0.1, rule_off=0.2, until=now())

    def _arrange_halts(self, *, halted: bool) -> None:
        """Halt both desks, one of them with an open request to resume; or neither."""
        ResumeRequest.objects.all().delete()
        HaltDrill.objects.all().delete()
        Halt.objects.all().delete()
        Account.objects.update(state="HALTED" if halted else "ACTIVE")
        if not halted:
            return
        at, desks = now(), (self.micro, self.production)
        Reconciliation.objects.all().delete()
        Reconciliation.objects.bulk_create(
            Reconciliation(account=desk, is_clean=True, local_open=0, venue_open=0, at=at) for desk in desks
        )
        proven = {"stage": "PROVEN_CLEAR", "remaining": 0, "latched_at": at, "stopped_at": at, "proven_clear_at": at}
        halts = Halt.objects.bulk_create(
            Halt(account=desk, requested_by="trader", reason="=1", **proven) for desk in desks
        )
        self.request = ResumeRequest.objects.create(
            account=self.production,
            halt=halts[1],
            requested_by=self.people["trader"],
            reason="\u202e safe",
            requested_at=at,
        )

    def _arrange_tables(self, route: str) -> None:
        """Undo what somebody did in the admin."""
        LogEntry.objects.all().delete()
        for model, rows in self._originals.items():
            if model is VenueInstrument and "venueinstrument" not in route:
                continue
            model.objects.exclude(pk__in=[row.pk for row in rows]).delete()
            fields = [field.name for field in model._meta.concrete_fields if not field.primary_key]
            manager: Any = model.objects
            manager.bulk_create(rows, update_conflicts=True, unique_fields=["id"], update_fields=fields)
        through = User.groups.through
        through.objects.all().delete()
        through.objects.bulk_create([through(user_id=user, group_id=group) for user, group in self._memberships])
        give_authenticators(self.people, route)
        self.people["spare"].user_permissions.clear()
        self.people["left"].user_permissions.clear()
        Group.objects.get(name="spare").permissions.clear()

    def _arrange_people(self) -> None:
        """Sign everybody in somewhere else too, and invite one of them."""
        at = now()
        Notice.objects.all().delete()
        Invitation.objects.all().delete()
        Invitation.objects.create(
            person=self.people["spare"], digest=sha256(INVITATION.encode()).hexdigest(), made_at=at,
            made_by=self.people["engineer"], expires_at=at + timedelta(days=1),
        )  # fmt: skip
        Session.objects.filter(label=self.other_session).delete()
        Session.objects.bulk_create(
            Session(session_key=f"elsewhere{person.pk}", session_data="", expire_date=at + timedelta(days=1),
                    person=person, label=self.other_session, began_at=at, seen_at=at)
            for person in self.people.values()
        )  # fmt: skip

    def cookie(self, person: str) -> str:
        """Return the session key of `person`, signed in anew after anything happened to the sessions."""
        if person and person not in self._cookies:
            self._cookies[person] = self._sign_in(person)
        return self._cookies.get(person, "")

    def _sign_in(self, name: str) -> str:
        person = self.people["trader" if name == "expired" else name]
        session = import_module(settings.SESSION_ENGINE).SessionStore()
        session.update({
            SESSION_KEY: str(person.pk), BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
            HASH_SESSION_KEY: person.get_session_auth_hash(),
        })  # fmt: skip
        if name == "expired":
            session.set_expiry(now() - timedelta(days=1))
        session.create()
        return str(session.session_key)

    # --- watching ---------------------------------------------------------------------------------------------

    def send(self, scope: Scope, body: bytes = b"") -> HttpResponseBase:
        """Let the whole middleware stack answer; exceptions land in `errors`."""
        self.errors.clear()
        self._touched.clear()
        with connection.execute_wrapper(self._note), promptly():
            answer = self._handler.answer(scope, body)
        if "trading_session" in self._touched:
            self._cookies.clear()
        return answer

    @property
    def touched(self) -> bool:
        """Whether the last request wrote anything that could be state."""
        return bool(self._touched - NOT_STATE) or self.latch.exists() or bool(self.steered)

    def _note(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        words = str(sql).split(None, 3)
        if words and (words[0].upper() not in READS or "gridconsole_" in str(sql)[:60]):
            target = words[1] if words[0].upper() == "UPDATE" else words[2] if len(words) > 2 else ""
            self._touched.add(target.strip('"'))
        return execute(sql, params, many, context)

    def head(self) -> int:
        """Return the number of the newest audit row."""
        return AuditHead.objects.values_list("sequence", flat=True).get(pk=1)

    def audited(self) -> list[AuditEvent]:
        """Return the audit rows since `sequence`."""
        return list(AuditEvent.objects.filter(sequence__gt=self.sequence).order_by("sequence"))

    def digest(self) -> State:
        """Return one hash for every table, every authenticator, the latch file and what the exchange was told."""
        parts, own = [], {"trading_auditevent", "trading_audithead", *NOT_STATE}
        for table in sorted({model._meta.db_table for model in apps.get_models(include_auto_created=True)} - own):
            row = f"to_jsonb(t) - '{{{','.join(NOT_STATE_COLUMNS.get(table, ()))}}}'::text[]"
            parts.append(
                f"SELECT '{table}', md5(coalesce(string_agg(({row})::text, '|' ORDER BY t.id), '')) FROM {table} t"
            )
        parts.append(PROOFS)
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(parts))
            found: State = dict(cursor.fetchall())
        return {**found, "latch file": str(LatchFile(self.latch).read()), "exchange": str(self.steered)}

    def settle(self, route: str) -> None:
        """Take what is now as the state to compare with, after putting back what the next request needs."""
        self.steered.clear()
        self.arrange(route)
        self.sequence, self.state = self.head(), self.digest()

    def go_on(self) -> None:
        """Take the audit rows of a request that changed nothing else as known, and forget that anybody failed."""
        Tries.objects.all().delete()
        self.sequence = self.head()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Collect what views raise."""

        def note(**_: Any) -> None:
            self.errors.append("".join(traceback.format_exception(*sys.exc_info())[-6:]))

        got_request_exception.connect(note, weak=False)
        try:
            yield
        finally:
            got_request_exception.disconnect(note)


def difference(before: State, after: State) -> list[str]:
    """Return the tables that changed."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def repeated(events: list[AuditEvent]) -> Counter[tuple[str, str]]:
    """Return (action, subject) pairs that were recorded more than once."""
    return Counter({deed: n for deed, n in Counter((e.action, e.subject) for e in events).items() if n > 1})


def _small_search() -> backtesting.Done:
    """Return a search whose trials fit the small desk."""
    settings = read({"mode": "long", "style": "TAKER", "lot": "6", "step": "0.002"})
    return searching.carry_out(settings, read_plan({"vary": {"levels": "6, 8"}}, settings))

"""Every address and every role: one row each, held against what the console does."""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils.timezone import now
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from riskops import readiness
from riskops.domain.approvals import RESUME_WORD
from riskops.domain.attachments import Attached
from riskops.domain.steps import ROADMAP
from riskops.models import (
    ChecklistAttachment,
    Incident,
    NotificationRoute,
    PhaseRun,
    PhaseTemplate,
    PromotionRequest,
    ResumeRequest,
    StepRequest,
)
from riskops.services import arming, break_glass, compliance, incidents, kill_switch, phases, promotions
from riskops.standing import checklist_of
from tests.riskops.armed import make_ready
from tests.riskops.proofs import text_of
from tests.riskops.web import permissions_page
from tests.trading import models_at_hand
from tests.trading.services.test_transfers import put
from tests.trading.web.test_consumer import Socket
from trading import backtesting, lab_views, live, searching
from trading.consumers import NOT_SIGNED_IN
from trading.domain.admitting import fingerprint
from trading.domain.backtest_settings import BacktestSettings
from trading.domain.backtest_settings import read as read_settings
from trading.domain.drills import Drill
from trading.domain.modes import Mode
from trading.domain.people import Role
from trading.domain.restrictions import KeyPurpose
from trading.domain.search_plan import read_plan
from trading.http import DESK_IN_SESSION
from trading.models import (
    Account,
    Alert,
    AuditEvent,
    Backtest,
    CapitalTransfer,
    GridCandidate,
    Halt,
    ModelVersion,
    Reconciliation,
    Session,
    VenueReading,
    running,
)
from trading.selectors import grid_edit
from trading.services import armings, halts, members, replay, venue_keys
from trading.services.demo import load_demo

pytestmark = pytest.mark.django_db

NOBODY: Final = "nobody"
NO_ROLE: Final = "no role"
ADMINISTRATOR: Final = "administrator"  # a superuser holds no role by being one
ROLES: Final = (NOBODY, NO_ROLE, *Role, ADMINISTRATOR)  # in the order of the letters below
# "-" is refused, or led to the login; "r" may read; "w" may do, and read where there is something to read.
# After "@" the phase whose step is asked for, 4.0 where there is none.
TABLE: Final = """
                                  ┌ nobody
                                  │┌ signed in, without a role
                                  ││┌ Trader
                                  │││┌ Trading Lead
                                  ││││┌ Engineer
                                  │││││┌ CTO
                                  ││││││┌ CEO
                                  │││││││┌ Compliance
                                  ││││││││┌ Auditor
                                  │││││││││┌ administrator; where there is no letter, as without a role
trading:overview                  -rrrrrrrr
trading:symbols                   -rrrrrrrr
trading:ladder                    -rrrrrrrr
trading:grid-edit                 -rrrrrrrr
trading:grid-change               -rrrrrrrr
trading:edit-grid                 --www----
trading:pause                     --www----
trading:unpause                   --www----
trading:reconciliation            -rrrrrrrr
trading:proofs                    -rrrrrrrr
trading:decide-foreign            --www----
trading:orders                    -rrrrrrrr
trading:export-orders             -rrrrrrrr
trading:alerts                    -rrrrrrrr
trading:acknowledge               --www----
trading:unacknowledge             --www----
trading:choose-desk               -wwwwwwww
trading:steer-replay              --wwwww--
trading:panel                     -rrrrrrrr
trading:price-history             -rrrrrrrr
trading:recent-prices             -rrrrrrrr
trading:drawdown-history          -rrrrrrrr
trading:data                      -rrrrrrrr
trading:backtests                 -rrrrrrrr
trading:backtest-preview          -rrrrrrrr
trading:run-backtest              --wwwww--
trading:backtest                  -rrrrrrrr
trading:follow-backtest           -rrrrrrrr
trading:cancel-backtest           --wwwww--
trading:backtest-figures          -rrrrrrrr
trading:export-backtest           -rrrrrrrr
trading:compare-backtests         -rrrrrrrr
trading:compared-figures          -rrrrrrrr
trading:search-form               -rrrrrrrr
trading:run-search                --wwwww--
trading:search                    -rrrrrrrr
trading:search-figures            -rrrrrrrr
trading:export-search             -rrrrrrrr
trading:adopt-trial               --www----
trading:models                    -rrrrrrrr
trading:train-model               ---www---
trading:trainings                 -rrrrrrrr
trading:cancel-training           ---www---
trading:model-readiness           -rrrrrrrr
trading:model                     -rrrrrrrr
trading:model-figures             -rrrrrrrr
trading:withdraw-candidate        --www----

riskops:risk                      -rrrrrrrr
riskops:halt                      -wwwwwwww
riskops:halt-effect               -rrrrrrrr
riskops:halt-stages               -rrrrrrrr
riskops:halt-history              -rrrrrrrr
riskops:kill-switch               -rrrrrrrr
riskops:run-drill                 --wwwww--
riskops:drills                    -rrrrrrrr
riskops:request-resume            --wwwww--
riskops:grant-resume              --wwwww--
riskops:withdraw-resume           --wwwww--

riskops:arming                    -rrrrrrrr
riskops:arming-prepare            ---w-w---
riskops:arming-request            ---w-w---
riskops:arming-approve            -----w---
riskops:arming-withdraw           --wwwww--
riskops:arming-disarm             -wwwwwwww
riskops:confirm-transfer          ---w-w---
riskops:give-account              ---w-w---
riskops:take-account              ---w-w---
riskops:keys                      -rrrrrrrr
riskops:add-key                   ----ww---
riskops:check-keys                ----ww---
riskops:revoke-key                ----ww---
riskops:shelve                    --www----
riskops:unshelve                  --www----
riskops:add-route                 ---www---
riskops:remove-route              ---www---
riskops:test-route                ---www---
riskops:break-glass               -rrrrrrrr
riskops:ask-break-glass           --wwwww--
riskops:grant-break-glass         --wwwww--
riskops:end-break-glass           --wwwww--

riskops:authenticator             -rrrrrrrr
riskops:begin-authenticator       -wwwwwwww
riskops:confirm-authenticator     -wwwwwwww
riskops:roadmap                   -rrrrrrrr
riskops:start-run                 ---w-w---
riskops:gate                      -rrrrrrrr
riskops:criteria                  -rrrrrrrr
riskops:checklist                 -rrrrrrrr
riskops:attachment                -rrrrrrrr
riskops:gate-card                 -rrrrrrrr
riskops:export-evidence-now       -rrrrrrrr
riskops:sheet                     -rrrrrrrr
riskops:sheet-pdf                 -rrrrrrrr
riskops:export-evidence           -rrrrrrrr
riskops:request-step              --wwww---
riskops:sign-step                 ---www---
riskops:sign-step@4.1             ---www---
riskops:sign-step@4.2             ---www---
riskops:sign-step@4.3             ---wwww--
riskops:sign-step@4.4a            ---wwww--
riskops:sign-step@4.4b            ---wwww--
riskops:sign-step@4.4c            ---wwwww-
riskops:sign-step@5               ---wwwww-
riskops:tick-item                 --wwwww--
riskops:close-incident            --wwwww--
riskops:incidents                 -rrrrrrrr
riskops:incident                  -rrrrrrrr
riskops:open-incident             --wwwww--
riskops:review-desk               --wwwww--
riskops:promotion                 -rrrrrrrr
riskops:request-promotion         --wwww---
riskops:roll-back-model           -wwwwwwww
riskops:sign-promotion            ---wwww--
riskops:decide-promotion          ---wwww--
riskops:withdraw-promotion        ---wwww--
riskops:apply-step                --www----
riskops:undo-step                 --www----
riskops:write-incident            --wwwww--
riskops:decide-step               ---www---
riskops:decide-step@4.3           ---wwww--
riskops:decide-step@4.4c          ---wwwww-
riskops:withdraw-step             ---www---
riskops:withdraw-step@4.4c        ---wwwww-

riskops:reports                   -rrrrrrrr
riskops:report                    -rrrrrrrr
riskops:report-figures            -rrrrrrrr
riskops:export-report             -rrrrrrrr
riskops:export-table              -rrrrrrrr
riskops:report-summary            -rrrrrrrr
riskops:tax                       -rrrrrrrr
riskops:export-tax                -rrrrrrrr
riskops:planner                   -rrrrrrrr
riskops:planner-figure            -rrrrrrrr
riskops:enter-cost                ---wwww--
riskops:add-item                  -----www-
riskops:tick-compliance           -----www-
riskops:audit                     -rrrrrrrr
riskops:export-audit              -rrrrrrrr
riskops:settings                  -rrrrrrrr
riskops:change-password           -wwwwwwww
riskops:end-session               -wwwwwwww
riskops:end-other-sessions        -wwwwwwww
riskops:add-person                ---------w
riskops:invite-person             ---------w
riskops:set-roles                 ---------w
riskops:set-active                ---------w
riskops:remove-authenticator      ---------w
"""
ROWS: Final = {
    name: letters.ljust(len(ROLES), letters[1])
    for name, letters in (line.split() for line in TABLE.splitlines() if ":" in line)
}
SOCKETS: Final = {"socket:live": "-rrrrrrrrr"}  # who may open it; every desk alike
# They ask for no role.
NO_PAGES: Final = {
    "healthz", "readyz", "metrics", "login", "logout", "admin-login", "admin-logout", "invitation", "own-password",
}  # fmt: skip

PASSWORD: Final = "a long enough passphrase 1"
WORDS: Final = "the books agree with the venue"
REFUSALS: Final = {  # what whoever is refused reads; by the name of the address
    "edit-grid": "Only Trader, Trading Lead or Engineer may edit a grid.",
    "pause": "Only Trader, Trading Lead or Engineer may pause or resume a symbol.",
    "unpause": "Only Trader, Trading Lead or Engineer may pause or resume a symbol.",
    "decide-foreign": "Only Trader, Trading Lead or Engineer may decide about an order of others.",
    "acknowledge": "Only Trader, Trading Lead or Engineer may acknowledge an alert.",
    "unacknowledge": "Only Trader, Trading Lead or Engineer may acknowledge an alert.",
    "shelve": "Only Trader, Trading Lead or Engineer may shelve an alert.",
    "unshelve": "Only Trader, Trading Lead or Engineer may shelve an alert.",
    "add-route": "Only Trading Lead, Engineer or CTO may change notification routes.",
    "remove-route": "Only Trading Lead, Engineer or CTO may change notification routes.",
    "test-route": "Only Trading Lead, Engineer or CTO may change notification routes.",
    "steer-replay": "Only Trader, .* or CEO may steer the replay.",
    "run-drill": "Only Trader, .* or CEO may run a drill.",
    "run-backtest": "Only Trader, .* or CEO may run a backtest.",
    "cancel-backtest": "Only Trader, .* or CEO may cancel a backtest.",
    "run-search": "Only Trader, .* or CEO may run a search.",
    "train-model": "Only Trading Lead, Engineer or CTO may train a model.",
    "cancel-training": "Only Trading Lead, Engineer or CTO may cancel a training.",
    "adopt-trial": "Only Trader, Trading Lead or Engineer may adopt a trial.",
    "withdraw-candidate": "Only Trader, Trading Lead or Engineer may withdraw a candidate.",
    "request-resume": "Only Trader, .* or CEO may ask to resume.",
    "withdraw-resume": "Only Trader, .* or CEO may withdraw a request to resume.",
    "ask-break-glass": "Only Trader, .* or CEO may break the glass.",
    "grant-break-glass": "Only Trader, .* or CEO may break the glass.",
    "end-break-glass": "Only Trader, .* or CEO may end a break-glass.",
    "request-step": "Only Trader, Trading Lead, Engineer or CTO may ask for a step.",
    "request-promotion": "Only Trader, Trading Lead, Engineer or CTO may ask for a promotion.",
    "sign-promotion": "does not sign this promotion|You do not hold the role",
    "decide-promotion": "Only Engineer, Trading Lead, CTO, CEO decide this promotion.",
    "withdraw-promotion": "Only who asked for it, or who signs it, can withdraw a request.",
    "grant-resume": "Only a person with a role of the desk can grant a resume.",
    "arming-prepare": "Only Trading Lead or CTO may prepare it.",
    "arming-request": "Only Trading Lead or CTO may ask for it.",
    "arming-approve": "Of the two people one must be the Trading Lead and the other the CTO.",
    "arming-withdraw": "Only a person with a role of the desk withdraws a request.",
    "confirm-transfer": "Only Trading Lead or CTO may confirm a transfer.",
    "give-account": "Only Trading Lead or CTO may say who belongs to an account.",
    "take-account": "Only Trading Lead or CTO may say who belongs to an account.",
    "add-key": "Only Engineer or CTO may add a venue key.",
    "check-keys": "Only Engineer or CTO may have the venue asked about its keys.",
    "revoke-key": "Only Engineer or CTO may revoke a venue key.",
    "start-run": "Only CTO or Trading Lead start a run.",
    "sign-step": "does not sign this step|You do not hold the role",
    "tick-item": "Only a person with a role of the desk ticks the checklist.",
    "decide-step": "Only Trading Lead, .* decide this step.",
    "close-incident": "Only a person with a role of the desk closes an incident.",
    "enter-cost": "Only Trading Lead, Engineer, CTO or CEO may enter a bill.",
    "add-item": "Only CTO, CEO or Compliance may keep compliance items.",
    "tick-compliance": "Only CTO, CEO or Compliance may keep compliance items.",
    "open-incident": "Only Trader, .* or CEO may open an incident.",
    "review-desk": "Only Trader, .* or CEO may review a desk.",
    "apply-step": "Only Trader, Trading Lead or Engineer may act on the runtime.",
    "undo-step": "Only Trader, Trading Lead or Engineer may act on the runtime.",
    "write-incident": "Only Trader, .* or CEO may write in an incident.",
    "withdraw-step": "Only who asked for it, or who signs it, can withdraw a request.",
    **dict.fromkeys(
        ("add-person", "invite-person", "set-roles", "set-active", "remove-authenticator"),
        "Only an administrator may change people.",
    ),
}
LOGIN: Final = "/login/"


@dataclass(frozen=True, slots=True)
class Cell:
    """One address and who asks for it."""

    name: str  # "riskops:sign-step"
    phase: str
    role: str

    @property
    def short_name(self) -> str:
        """The name without its space."""
        return self.name.partition(":")[2]

    @property
    def person(self) -> User | None:
        """Who asks; None for nobody."""
        return User.objects.filter(username=self.role).first()


# --- what a right request finds and carries ---------------------------------------------------------------------


@pytest.fixture
def scene(db: None, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The demo's first desk, a person for every role with an authenticator, and one who asks for everything."""
    monkeypatch.setattr(replay, "_post", lambda url, body: None)  # the simulated exchange
    monkeypatch.setattr(lab_views, "WAIT_S", 0)  # no tasks worker here
    make_ready(monkeypatch)
    load_demo(at=now())
    phases.load_roadmap(at=now())
    for role in (*ROLES[1:], "asks"):
        person = User.objects.create_user(role, password=PASSWORD, is_superuser=role == ADMINISTRATOR)
        groups = {NO_ROLE: [], ADMINISTRATOR: [], "asks": [Role.TRADING_LEAD]}.get(role, [role])
        person.groups.set(Group.objects.get_or_create(name=name)[0] for name in groups)
    account = Account.objects.get(slug="micro")
    Alert.objects.create(account=account, severity="WARN", code="HIGH_LATENCY", message="slow", at=now())
    foreign = {"id": "web_1", "symbol": "BTCUSDT", "side": "BUY", "price": "1", "quantity": "1", "filled": "0"}
    VenueReading.objects.create(account=account, is_clean=True, local_open=1, venue_open=2, foreign=[foreign], at=now())
    return account


def asker() -> User:
    return User.objects.get(username="asks")


def resume_asked(account: Account) -> ResumeRequest:
    """Halt the desk, prove it clear, and have the Trading Lead ask to resume it."""
    halt_proven(account)
    return kill_switch.request_resume(account=account, by=asker(), reason=WORDS, typed=RESUME_WORD, at=now())


def halt_proven(account: Account) -> None:
    halts.halt(scope=account.slug, by="asks", reason=WORDS, flatten=False, at=now())
    Halt.objects.update(stage=Halt.Stage.PROVEN_CLEAR, remaining=0, stopped_at=now(), proven_clear_at=now())
    Reconciliation.objects.create(account=account, is_clean=True, local_open=0, venue_open=0, at=now())


def step_asked(account: Account, phase: str) -> StepRequest:
    """Have somebody without a part in it ask for the step of a run of `phase`."""
    run = PhaseRun.objects.create(
        account=account, template=PhaseTemplate.objects.get(phase=phase), started_by="asks", started_at=now(),
        mandate=account.mandates.latest("version"), window_from=now(),
    )  # fmt: skip
    return phases.request_step(run=run, by=asker(), at=now())


def attached(request: StepRequest) -> ChecklistAttachment:
    """Have somebody attach a file to an item."""
    file = Attached("seen.txt", "text/plain", b"seen by myself")
    item = checklist_of(request)[0]
    tick = phases.tick(request_id=request.pk, by=asker(), item=item, done=True, note="", attached=file, at=now())
    return ChecklistAttachment.objects.get(tick=tick)


def proof(person: User | None, *, confirmed: bool = True) -> dict[str, str]:
    """Give `person` a new authenticator; return the password and the code that it shows."""
    if person is None:
        return {"password": PASSWORD, "code": "000000"}
    device = TOTPDevice.objects.create(user=person, confirmed=confirmed, name="authenticator")
    totp = TOTP(device.bin_key)
    totp.time = time.time()
    return {"password": PASSWORD, "code": f"{totp.token():06}"}


def route_made() -> NotificationRoute:
    return NotificationRoute.objects.create(
        name="desk", channel="webhook", address="sealed", shown="json://••••", minimum="WARN", created_by=asker(),
        created_at=now(),
    )  # fmt: skip


@cache
def backtest_done() -> backtesting.Done:
    return backtesting.carry_out(BacktestSettings())


def backtest_asked(*, done: bool) -> Backtest:
    """Have somebody ask for a backtest, which waits or is done."""
    told = {"state": "DONE", "facts": backtest_done().facts, "curves": backtest_done().curves} if done else {}
    return Backtest.objects.create(
        settings=BacktestSettings().as_json(), asked_by="asks", asked_at=now(), began_at=now(), ended_at=now(), **told
    )


def search_done() -> Backtest:
    """Have somebody ask for a search of one trial, which is done and fits the small desk."""
    found = small_search()
    return Backtest.objects.create(
        settings=found.facts["settings"], plan=found.facts["plan"], asked_by="asks", asked_at=now(), began_at=now(),
        ended_at=now(), state="DONE", facts=found.facts, curves=found.curves,
    )  # fmt: skip


@cache
def small_search() -> backtesting.Done:
    settings = read_settings({"mode": "long", "style": "TAKER", "lot": "6", "step": "0.002"})
    return searching.carry_out(settings, read_plan({"vary": {"levels": "6, 8"}}, settings))


Prepared = tuple[dict[str, Any], dict[str, Any]]  # parts of the address, fields of the form


def prepared(account: Account, cell: Cell) -> Prepared:
    """Arrange what `cell` is about; return what the right request names and carries."""
    match cell.short_name:
        case "grant-resume":
            return {"request_id": resume_asked(account).pk}, {"typed": RESUME_WORD}
        case "withdraw-resume":
            return {"request_id": resume_asked(account).pk}, {}
        case "request-resume":
            halt_proven(account)
            return {}, {"reason": WORDS, "typed": RESUME_WORD}
        case "close-incident":
            run = step_asked(account, cell.phase).run
            incident = Incident.objects.create(
                account=account, run=run, metric="crit_alerts", what="one CRIT", failed_run=True, opened_at=now()
            )
            return {"incident_id": incident.pk}, dict.fromkeys(("cause", "impact", "prevention"), WORDS)
        case "incident" | "apply-step" | "undo-step" | "write-incident":
            opened = Incident.objects.create(account=account, playbook="latency", what="slow", opened_at=now())
            if cell.short_name == "undo-step":
                incidents.carry_out(incident_id=opened.pk, by=asker(), step="immediate.1", symbol="", at=now())
            form = {"kind": "note", "note": WORDS} if cell.short_name == "write-incident" else {"step": "immediate.1"}
            return {"incident_id": opened.pk}, form
        case "request-step":
            step_asked(account, cell.phase).delete()
            return {}, {}
        case "sheet" | "sheet-pdf" | "export-evidence":
            return {"request_id": step_asked(account, cell.phase).pk}, {}
        case "ask-break-glass":
            return {}, {"reason": WORDS, "hours": "1", **proof(cell.person)}
        case "grant-break-glass" | "end-break-glass":
            asker().groups.add(Group.objects.get(name=Role.CTO))
            glass = break_glass.ask(account=account, by=asker(), reason=WORDS, hours=1, at=now())
            return {"glass_id": glass.pk}, proof(cell.person)
        case "attachment":
            return {"attachment_id": attached(step_asked(account, cell.phase)).pk}, {}
        case "export-evidence-now":
            step_asked(account, cell.phase)
        case "sign-step" | "tick-item" | "decide-step" | "withdraw-step":
            request = step_asked(account, cell.phase)
            return {"request_id": request.pk}, step_form(request, cell)
        case "promotion" | "request-promotion" | "roll-back-model":
            return {"digest": canary().digest}, {}
        case "sign-promotion" | "decide-promotion" | "withdraw-promotion":
            asked = promotions.request(version=canary(), by=asker(), at=now())
            return {"digest": asked.version.digest, "request_id": asked.pk}, promotion_form(asked, cell)
        case "tick-compliance":
            item = compliance.add(account=account, by=asker(), title=WORDS, due_on=now().date(), at=now())
            return {"item_id": item.pk}, {"done": "yes", "note": WORDS}
        case "add-item":
            return {}, {"title": WORDS, "due_on": f"{now():%Y-%m-%d}"}
        case "confirm-authenticator":
            return {}, proof(cell.person, confirmed=False)
        case "end-session" | "end-other-sessions":
            label = other_session(cell.person)
            return ({"label": label} if cell.short_name == "end-session" else {}), {}
        case "remove-authenticator":
            proof(User.objects.get(username="trader"))
            return other_person(), proof(cell.person)
        case "invite-person" | "set-roles" | "set-active":
            return other_person(), FORMS.get(cell.short_name, {})
        case "arming-prepare":
            return {"slug": "micro"}, {"mode": "TESTNET"}
        case "arming-request" | "arming-approve" | "arming-withdraw" | "arming-disarm" | "add-key" | "revoke-key":
            return beyond_paper(account, cell)
        case "confirm-transfer":
            return beyond_paper(account, cell)
        case "take-account":
            for name in (cell.role if cell.person else "asks", "trader"):
                members.give(account=account, person=name, by="asks", at=now())
            return {"slug": "micro"}, {"person": "trader"}
        case "edit-grid":
            return SYMBOL, edited_grid(account)
        case "unpause":
            account.grids.update(paused_reason="held")
        case "acknowledge" | "unacknowledge" as deed:
            if deed == "unacknowledge":
                Alert.objects.update(acknowledged_at=now(), acknowledged_by=asker())
            return {"alert_id": Alert.objects.get().pk}, {}
        case "shelve" | "unshelve" as deed:
            until = now() + timedelta(hours=1) if deed == "unshelve" else None
            Alert.objects.update(shelved_until=until, shelved_by=asker())
            return {"alert_id": Alert.objects.get().pk}, {"hours": "1", "reason": WORDS} if deed == "shelve" else {}
        case "remove-route" | "test-route":
            return {"route_id": route_made().pk}, {}
        case "backtest" | "follow-backtest" | "cancel-backtest" | "backtest-figures" | "export-backtest" as deed:
            kind = {"kind": "json"} if deed == "export-backtest" else {}
            return {"run_id": backtest_asked(done=deed in ("backtest-figures", "export-backtest")).pk, **kind}, {}
        case "search" | "search-figures" | "export-search" | "adopt-trial":
            return {"run_id": search_done().pk}, {"trial": "0"}
        case "cancel-training":
            return {"run_id": models_at_hand.training("WAITING").pk}, {}
        case "model" | "model-figures":
            return {"digest": models_at_hand.model().digest}, {}
        case "withdraw-candidate":
            GridCandidate.objects.create(
                account=account, symbol="BTCUSDT", settings=small_search().facts["settings"], search=1, trial=0,
                found={}, proposed_by="asks", proposed_at=now(),
            )  # fmt: skip
            return {"symbol": "BTCUSDT"}, {}
    return ARGUMENTS.get(cell.short_name, {}), FORMS.get(cell.short_name, {})


def other_session(person: User | None) -> UUID:
    """Sign `person` in somewhere else; return the name of that session."""
    if person is None:
        return uuid4()
    Client().force_login(person)
    return Session.objects.get(person=person).label


def other_person() -> dict[str, Any]:
    return {"person_id": User.objects.get(username="trader").pk}


def beyond_paper(paper: Account, cell: Cell) -> Prepared:
    """Prepare the LIVE account of the desk; return what the right request about it names and carries."""
    live = armings.prepare(paper=paper, mode=Mode.LIVE, by="asks", at=now())
    given = {"purpose": KeyPurpose.READ.value, "label": "ours", "key": "k" * 64, "secret": "s" * 64}
    stands = readiness.readiness(paper, Mode.LIVE, now())
    proven = {"typed": stands.word, "digest": stands.digest, **proof(cell.person)}
    if cell.short_name == "confirm-transfer":
        moved = {"amount": "300", "deed": "moved"}
        for capital in (300, 600):
            put(live, capital, now())
        return {"slug": live.slug, "transfer_id": CapitalTransfer.objects.get(account=live).pk}, moved
    if cell.short_name == "add-key":
        return {}, {"account": live.slug, **given}
    if cell.short_name == "revoke-key":
        key = venue_keys.add(account=live, by="asks", at=now(), **{**given, "purpose": KeyPurpose.READ})  # type: ignore[arg-type]  # by name
        return {"key_id": key.pk}, {"typed": "ours"}
    if cell.short_name == "arming-disarm":
        armings.arm(account=live, build="1-1", phase="4.0", digest="d" * 64, by="asks", at=now())
        return {"slug": live.slug}, {"why": WORDS}
    if cell.short_name == "arming-request":
        return {"slug": live.slug}, proven
    asked = arming.request(account=live, by=asker(), typed=stands.word, digest=stands.digest, at=now())
    return {"slug": live.slug, "request_id": asked.pk}, proven


def edited_grid(account: Account) -> dict[str, Any]:
    """Return the form that changes a grid, at the prices of now."""
    live.publish_values({"m.BTCUSDT.bid": 60_000.0, "m.BTCUSDT.ask": 60_000.01})
    row = account.grids.get(symbol="BTCUSDT")
    shown = grid_edit.typed_of(running(row), {})
    return shown | {"slots": "6", "seen": fingerprint(row.chosen)}


def step_form(request: StepRequest, cell: Cell) -> dict[str, Any]:
    """Return the right form about `request` of this role."""
    proven = {"digest": request.digest, **proof(cell.person)}
    return {
        "sign-step": {"role": cell.role if cell.role in set(Role) else Role.CTO, "word": "sign", **proven},
        "tick-item": {"item": next(iter(checklist_of(request)), ""), "done": "yes"},
        "decide-step": {"decision": "HOLD", "notes": WORDS, **proven},
        "withdraw-step": {},
    }[cell.short_name]


def canary() -> ModelVersion:
    return models_at_hand.model(1, "CANARY", canary_symbol="BTCUSDT")


def promotion_form(request: PromotionRequest, cell: Cell) -> dict[str, Any]:
    """Return the right form about `request` of this role."""
    proven = {"digest": request.digest, **proof(cell.person)}
    return {
        "sign-promotion": {"role": cell.role if cell.role in set(Role) else Role.CTO, "word": "sign", **proven},
        "decide-promotion": {"decision": "HOLD", "notes": WORDS, **proven},
        "withdraw-promotion": {},
    }[cell.short_name]


SYMBOL: Final = {"symbol": "BTCUSDT"}
REPORT: Final = {"kind": "monthly", "period": "2026-10"}
ARGUMENTS: Final[Mapping[str, dict[str, Any]]] = {
    "arming": {"slug": "micro"},
    "give-account": {"slug": "micro"},
    "ladder": SYMBOL,
    "grid-edit": SYMBOL,
    "grid-change": SYMBOL,
    "edit-grid": SYMBOL,
    "pause": SYMBOL,
    "unpause": SYMBOL,
    "price-history": SYMBOL,
    "orders": {"tab": "open"},
    "export-orders": {"tab": "fills"},
    "panel": {"panel": "alerts"},
    **dict.fromkeys(("report", "report-figures", "export-report"), REPORT),
    "export-table": {**REPORT, "table": "days"},
    "export-audit": {"kind": "csv"},
}
FORMS: Final[Mapping[str, dict[str, Any]]] = {
    "halt": {"scope": "micro", "reason": WORDS},
    "run-drill": {"drill": Drill.MANUAL.value},
    "pause": {"reason": WORDS},
    "decide-foreign": {"order": "web_1", "choice": "leave"},
    "choose-desk": {"desk": "production"},
    "steer-replay": {"speed": "20"},
    "run-backtest": {"source": "ticks|BTCUSDT"},
    "train-model": {"stage": "0", "source": "shipped"},
    "run-search": {"source": "ticks|BTCUSDT", "vary": "levels = 6, 8"},
    "start-run": {"phase": "4.0"},
    "enter-cost": {"billed_on": "2026-11-01", "what": "Server", "amount": "100", "currency": "USD"},
    "change-password": {"old_password": PASSWORD, "new_password": f"{PASSWORD} 2", "again": f"{PASSWORD} 2"},
    "add-person": {"name": "newcomer", "full_name": "", "roles": [Role.AUDITOR.value]},
    "set-roles": {"roles": [Role.ENGINEER.value]},
    "set-active": {"active": "no"},
    "open-incident": {"playbook": "crit", "what": WORDS},
    "review-desk": {"note": WORDS},
    "give-account": {"person": "trader"},
    "add-route": {
        "name": "desk",
        "channel": "webhook",
        "address": "json://localhost/x",
        "roles": ["CTO"],
        "minimum": "WARN",
    },
}


# --- what comes of it -------------------------------------------------------------------------------------------


def letter(account: Account, cell: Cell) -> str:
    """Return what the console lets this role do at this address; everything is undone after."""
    with transaction.atomic():
        arguments, form = prepared(account, cell)
        path, client = reverse(cell.name, kwargs=arguments), Client()
        if cell.person is not None:
            client.force_login(cell.person)
        reads = may_read(client, path, cell)
        found = "w" if does(client, path, form, cell) else "r" if reads else "-"
        transaction.set_rollback(True)
    return found


def may_read(client: Client, path: str, cell: Cell) -> bool:
    """Return whether a look is answered; it must leave nothing behind."""
    before = AuditEvent.objects.count()

    answer = client.get(path)

    assert AuditEvent.objects.count() == before
    if answer.status_code == 302:
        assert cell.role == NOBODY
        assert answer.headers["Location"].startswith(LOGIN)
    else:
        assert answer.status_code in (200, 405)
    return answer.status_code == 200


def does(client: Client, path: str, form: dict[str, Any], cell: Cell) -> bool:
    """Return whether the right form was obeyed; where it was not, this person is told why."""
    last = AuditEvent.objects.latest("sequence").sequence

    answer = client.post(path, form, follow=True)

    deeds = list(AuditEvent.objects.filter(sequence__gt=last).values_list("actor", "action"))
    refused = [(cell.role, "refused")]
    if deeds and deeds != refused:
        assert all(cell.role in actor or action == "phase.ended" for actor, action in deeds)
        return True
    if cell.name == "trading:choose-desk":
        return bool(client.session.get(DESK_IN_SESSION) == form["desk"])
    if cell.role == NOBODY:
        assert answer.status_code == 405 or answer.redirect_chain[-1][0].startswith(LOGIN)
        return False
    if answer.status_code == 405:  # a page, which takes no form
        assert not deeds
        return False
    said = text_of(answer)
    assert re.search(REFUSALS[cell.short_name], said), said
    assert deeds == (refused if cell.short_name != "grant-resume" else [])
    return False


@pytest.mark.parametrize("row", ROWS)
def test_each_role_may_do_what_its_letter_says_and_no_more(
    scene: Account, settings: Any, tmp_path: Any, row: str
) -> None:
    name, _, phase = row.partition("@")
    found = ""
    for role in ROLES:
        settings.HALT_LATCH_FILE = tmp_path / f"{role}.latch"
        found += letter(scene, Cell(name, phase or ROADMAP[0], role))

    assert found == ROWS[row]


@pytest.mark.parametrize("row", SOCKETS)
@pytest.mark.django_db(transaction=True)
def test_each_role_may_open_the_sockets_that_its_letter_says(scene: Account, row: str) -> None:
    found = ""
    for role in ROLES:
        client, person = Client(), Cell(row, "", role).person
        if person is not None:
            client.force_login(person)
        cookie = client.cookies.get(settings.SESSION_COOKIE_NAME)
        found += async_to_sync(_opened)(cookie.value if cookie else "")

    assert found == SOCKETS[row]


async def _opened(cookie: str) -> str:
    """Return "r" where the socket brings numbers, "-" where it closes with 4401."""
    socket = await Socket(cookie).open()
    first = await socket._wire.receive_output(timeout=10.0)
    if first["type"] == "websocket.close":
        assert first["code"] == NOT_SIGNED_IN
    await socket.leave()
    return "-" if first["type"] == "websocket.close" else "r"


def test_the_page_of_permissions_is_this_table() -> None:
    assert permissions_page.PAGE.read_text() == permissions_page.page(), (
        "run `.venv/bin/python -m tests.riskops.web.permissions_page`"
    )


# --- nothing is forgotten ---------------------------------------------------------------------------------------


def names(resolver: URLResolver, space: str = "") -> Iterator[str]:
    """Return the name of every address but the admin's."""
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver) and entry.namespace != "admin":
            yield from names(entry, f"{entry.namespace}:" if entry.namespace else space)
        elif isinstance(entry, URLPattern):
            yield f"{space}{entry.name}"


def test_every_address_has_a_row() -> None:
    missing = set(names(get_resolver())) - NO_PAGES - set(ROWS)

    assert not missing, f"say in TABLE which role may read {missing} and which may do it"


def test_every_row_is_an_address_and_has_a_letter_for_every_role() -> None:
    assert {row.partition("@")[0] for row in ROWS} <= set(names(get_resolver()))
    assert {len(letters) for letters in ROWS.values()} == {len(ROLES)}
    assert set("".join(ROWS.values())) <= set("-rw")


@pytest.mark.parametrize("phase", ROADMAP)
def test_the_roles_that_sign_are_written_down_for_every_phase(phase: str) -> None:
    assert f"riskops:sign-step@{phase}" in ROWS or phase == ROADMAP[0]


def test_who_watches_does_nothing_but_halt_and_sign_and_keep_what_is_due() -> None:
    keeps = {"riskops:add-item", "riskops:tick-compliance"}
    own = {"riskops:halt", "riskops:begin-authenticator", "riskops:confirm-authenticator", "trading:choose-desk"}
    own |= {"riskops:change-password", "riskops:end-session", "riskops:end-other-sessions", "riskops:arming-disarm"}
    own |= {"riskops:roll-back-model"}  # as a halt: it takes one person, whoever they are
    signs = {
        f"riskops:{deed}@{phase}" for deed in ("sign-step", "decide-step", "withdraw-step") for phase in ("4.4c", "5")
    }
    place = {role: ROLES.index(role) for role in (Role.COMPLIANCE, Role.AUDITOR)}
    may = {role: {row for row, letters in ROWS.items() if letters[place[role]] == "w"} for role in place}

    assert may[Role.AUDITOR] == own
    assert may[Role.COMPLIANCE] == own | keeps | (signs & set(ROWS))

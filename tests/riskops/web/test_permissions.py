"""Every address and every role: one row each, held against what the console does."""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils.timezone import now
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from riskops.domain.approvals import RESUME_WORD
from riskops.domain.attachments import Attached
from riskops.domain.steps import ROADMAP
from riskops.models import ChecklistAttachment, Incident, PhaseRun, PhaseTemplate, ResumeRequest, StepRequest
from riskops.services import break_glass, kill_switch, phases
from riskops.standing import checklist_of
from trading.domain.drills import Drill
from trading.domain.people import Role
from trading.http import DESK_IN_SESSION
from trading.models import Account, Alert, AuditEvent, Halt, Reconciliation, VenueReading
from trading.services import halts, replay
from trading.services.demo import load_demo

pytestmark = pytest.mark.django_db

NOBODY: Final = "nobody"
NO_ROLE: Final = "no role"
ROLES: Final = (NOBODY, NO_ROLE, *Role)  # in the order of the letters below
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
trading:overview                  -rrrrrrrr
trading:symbols                   -rrrrrrrr
trading:ladder                    -rrrrrrrr
trading:pause                     --www----
trading:unpause                   --www----
trading:reconciliation            -rrrrrrrr
trading:proofs                    -rrrrrrrr
trading:decide-foreign            --www----
trading:orders                    -rrrrrrrr
trading:export-orders             -rrrrrrrr
trading:alerts                    -rrrrrrrr
trading:acknowledge               --www----
trading:choose-desk               -wwwwwwww
trading:steer-replay              --wwwww--
trading:panel                     -rrrrrrrr
trading:price-history             -rrrrrrrr
trading:recent-prices             -rrrrrrrr
trading:drawdown-history          -rrrrrrrr

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
riskops:decide-step               ---www---
riskops:decide-step@4.3           ---wwww--
riskops:decide-step@4.4c          ---wwwww-
riskops:withdraw-step             ---www---
riskops:withdraw-step@4.4c        ---wwwww-
"""
ROWS: Final = dict(line.split() for line in TABLE.splitlines() if ":" in line)
NO_PAGES: Final = {"healthz", "readyz", "metrics", "login", "logout", "own-password"}  # they ask for no role

PASSWORD: Final = "a long enough passphrase 1"
WORDS: Final = "the books agree with the venue"
REFUSALS: Final = {  # what whoever is refused reads; by the name of the address
    "pause": "Only Trader, Trading Lead or Engineer may pause or resume a symbol.",
    "unpause": "Only Trader, Trading Lead or Engineer may pause or resume a symbol.",
    "decide-foreign": "Only Trader, Trading Lead or Engineer may decide about an order of others.",
    "acknowledge": "Only Trader, Trading Lead or Engineer may acknowledge an alert.",
    "steer-replay": "Only Trader, .* or CEO may steer the replay.",
    "run-drill": "Only Trader, .* or CEO may run a drill.",
    "request-resume": "Only Trader, .* or CEO may ask to resume.",
    "withdraw-resume": "Only Trader, .* or CEO may withdraw a request to resume.",
    "ask-break-glass": "Only Trader, .* or CEO may break the glass.",
    "grant-break-glass": "Only Trader, .* or CEO may break the glass.",
    "end-break-glass": "Only Trader, .* or CEO may end a break-glass.",
    "request-step": "Only Trader, Trading Lead, Engineer or CTO may ask for a step.",
    "grant-resume": "Only a person with a role of the desk can grant a resume.",
    "start-run": "Only CTO or Trading Lead start a run.",
    "sign-step": "does not sign this step|You do not hold the role",
    "tick-item": "Only a person with a role of the desk ticks the checklist.",
    "decide-step": "Only Trading Lead, .* decide this step.",
    "close-incident": "Only a person with a role of the desk closes an incident.",
    "withdraw-step": "Only who asked for it, or who signs it, can withdraw a request.",
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
    load_demo(at=now())
    phases.load_roadmap(at=now())
    for role in (*ROLES[1:], "asks"):
        person = User.objects.create_user(role, password=PASSWORD)
        groups = {NO_ROLE: [], "asks": [Role.TRADING_LEAD]}.get(role, [role])
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
        case "confirm-authenticator":
            return {}, proof(cell.person, confirmed=False)
        case "unpause":
            account.grids.update(paused_reason="held")
        case "acknowledge":
            return {"alert_id": Alert.objects.get().pk}, {}
    return ARGUMENTS.get(cell.short_name, {}), FORMS.get(cell.short_name, {})


def step_form(request: StepRequest, cell: Cell) -> dict[str, Any]:
    """Return the right form about `request` of this role."""
    proven = {"digest": request.digest, **proof(cell.person)}
    return {
        "sign-step": {"role": cell.role if cell.role in set(Role) else Role.CTO, "word": "sign", **proven},
        "tick-item": {"item": next(iter(checklist_of(request)), ""), "done": "yes"},
        "decide-step": {"decision": "HOLD", "notes": WORDS, **proven},
        "withdraw-step": {},
    }[cell.short_name]


SYMBOL: Final = {"symbol": "BTCUSDT"}
ARGUMENTS: Final[Mapping[str, dict[str, Any]]] = {
    "ladder": SYMBOL,
    "pause": SYMBOL,
    "unpause": SYMBOL,
    "price-history": SYMBOL,
    "orders": {"tab": "open"},
    "export-orders": {"tab": "fills"},
    "panel": {"panel": "alerts"},
}
FORMS: Final[Mapping[str, dict[str, Any]]] = {
    "halt": {"scope": "micro", "reason": WORDS},
    "run-drill": {"drill": Drill.MANUAL.value},
    "pause": {"reason": WORDS},
    "decide-foreign": {"order": "web_1", "choice": "leave"},
    "choose-desk": {"desk": "production"},
    "steer-replay": {"speed": "20"},
    "start-run": {"phase": "4.0"},
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
    said = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))
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


def test_who_watches_does_nothing_but_halt_and_sign() -> None:
    own = {"riskops:halt", "riskops:begin-authenticator", "riskops:confirm-authenticator", "trading:choose-desk"}
    signs = {
        f"riskops:{deed}@{phase}" for deed in ("sign-step", "decide-step", "withdraw-step") for phase in ("4.4c", "5")
    }
    place = {role: ROLES.index(role) for role in (Role.COMPLIANCE, Role.AUDITOR)}
    may = {role: {row for row, letters in ROWS.items() if letters[place[role]] == "w"} for role in place}

    assert may[Role.AUDITOR] == own
    assert may[Role.COMPLIANCE] == own | (signs & set(ROWS))

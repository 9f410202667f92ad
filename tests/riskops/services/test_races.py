"""Two processes at one decision at the same instant: one of them is too late, and nothing is counted twice.

Fifty races in the test command; `GRIDCONSOLE_RACES=1000` is the long form.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from riskops.domain.gates import Outcome
from riskops.domain.steps import Decision
from riskops.models import ChecklistTick, PhaseRun, SignOff, StepRequest
from riskops.services import phases
from riskops.standing import template_of
from tests.riskops import cast, racers
from tests.riskops.cast import BEGIN
from tests.riskops.racers import BROKEN, DONE, Deed
from trading.domain.limits import TradingState
from trading.models import Account, AuditEvent, Grid, Halt, Mandate
from trading.models.audit import AuditHead
from trading.services import audit

if TYPE_CHECKING:
    from pytest_django.plugin import DjangoDbBlocker

KINDS: Final = 10  # tests below
RACES: Final = int(os.environ.get("GRIDCONSOLE_RACES", "50"))
EACH: Final = -(-RACES // KINDS)
PASSWORD: Final = "a long enough passphrase 1"
pytestmark = pytest.mark.timeout(max(300, RACES))  # seconds


@dataclass(slots=True)
class Race:
    """One race on a desk of its own."""

    go: racers.Go
    number: int
    account: Account
    seen: int  # newest row of the audit trail before it

    def run(self, first: Deed, second: Deed) -> tuple[str, str]:
        """Return both answers, after everything that must be true of any race."""
        answers = self.go(first, second, swapped=bool(self.number % 2))
        assert not [answer for answer in answers if answer.startswith(BROKEN)]
        check_desk(self.account)
        check_chain(self.seen)
        return answers


@dataclass(slots=True)
class Ring:
    """Where all races are held."""

    go: racers.Go
    held: int = 0

    def races(self) -> Iterator[Race]:
        """Give one race after the other, each on a new desk; then walk the whole audit chain."""
        for _ in range(EACH):
            self.held += 1
            seen = AuditHead.objects.get(pk=1).sequence if AuditHead.objects.exists() else 0
            yield Race(self.go, self.held, desk(f"race-{self.held}"), seen)
        assert audit.verify() is None


@pytest.fixture(scope="module")
def transactional_db(django_db_setup: None, django_db_blocker: "DjangoDbBlocker") -> Iterator[None]:
    """One database for all races: emptying it after each kind would take most of the time."""
    with django_db_blocker.unblock():
        yield
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture(scope="module")
def ring(transactional_db: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """Both processes, and the people."""
    phases.load_roadmap(at=BEGIN)
    for name in cast.ROLES:
        cast.person(name)
    another("deputy", "CTO")
    another("founder", "CTO", "Engineer")
    latch = tmp_path_factory.mktemp("latch") / "halt.latch"
    with racers.started(connection.settings_dict["NAME"], latch) as go:
        yield Ring(go)


def another(name: str, *roles: str) -> None:
    User.objects.create(username=name).groups.set([Group.objects.get_or_create(name=role)[0] for role in roles])


# --- a desk before the race -----------------------------------------------------------------------------------------


def desk(slug: str) -> Account:
    account = Account.objects.create(slug=slug, name=slug)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        Grid.objects.create(
            account=account, symbol=symbol, style="TAKER", spacing="geometric", step_fraction="0.001", slots=8,
            lot_quote=6,
        )  # fmt: skip
    return account


def passed(account: Account) -> tuple[PhaseRun, datetime]:
    run = phases.start_run(account=account, phase_id="4.0", by="lead", at=BEGIN)
    at = cast.live_through(account, 49)
    assert phases.judge(run=run, at=at).outcome is Outcome.PASS
    return run, at


def signed(account: Account) -> tuple[StepRequest, datetime]:
    run, at = passed(account)
    return cast.signed_request(run, at), at


def decided(request: StepRequest, by: str, decision: Decision, at: datetime) -> Deed:
    return "decide", {"request": request.pk, "by": by, "decision": decision.value, "at": at}


def signature(request: StepRequest, by: str, role: str, at: datetime) -> Deed:
    return "sign", {"request": request.pk, "by": by, "role": role, "at": at}


def new_code(name: str) -> str:
    person = User.objects.get(username=name)
    person.set_password(PASSWORD)
    person.save()
    TOTPDevice.objects.filter(user=person).delete()
    totp = TOTP(TOTPDevice.objects.create(user=person, confirmed=True, name="authenticator").bin_key)
    totp.time = time.time()
    return f"{totp.token():06}"


# --- after every race -----------------------------------------------------------------------------------------------


def check_desk(account: Account) -> None:
    """What the rows of one desk say agrees with itself and with its audit trail: nothing is half done."""
    account.refresh_from_db()
    runs = list(PhaseRun.objects.filter(account=account).select_related("template").order_by("id"))
    mandates = list(Mandate.objects.filter(account=account).order_by("version"))
    requests = StepRequest.objects.filter(run__account=account)
    ended = [run for run in runs if run.ended_at]
    gone = [run for run in runs if run.decision == Decision.GO]
    told = Counter(AuditEvent.objects.filter(subject=f"account:{account.slug}").values_list("action", flat=True))

    assert [one.version for one in mandates] == list(range(1, len(runs) + 1))
    assert [run.mandate_id for run in runs] == [one.pk for one in mandates]
    assert told["phase.started"] == told["mandate.in_force"] == len(runs) <= 2
    assert told["phase.ended"] == len(ended) >= len(runs) - 1
    assert {run.pk for run in gone} == set(requests.filter(decision="GO").values_list("run", flat=True))
    assert told["step.requested"] == requests.count()
    assert told["step.decided"] == requests.filter(state="DECIDED").count()
    assert told["step.void"] + told["step.withdrawn"] == requests.filter(state="VOID").count()
    assert told["step.signed"] == SignOff.objects.filter(request__run__account=account).count()
    ticks = ChecklistTick.objects.filter(request__run__account=account)
    assert told["checklist.ticked"] + told["checklist.unticked"] == ticks.count()
    halts = Halt.objects.filter(account=account).count()
    assert told["halt.latched"] == halts == (account.state == TradingState.HALTED) <= 1
    capital = Decimal(600 if gone else 300)
    assert mandates[-1].capital_quote == template_of(runs[-1]).capital_quote == capital
    lots = set(Grid.objects.filter(account=account).values_list("lot_quote", flat=True))
    assert lots == {capital * Decimal("0.02")}


def check_chain(seen: int) -> None:
    """Every row since `seen` follows from the one before it, and the head is the last of them."""
    rows = list(AuditEvent.objects.filter(sequence__gte=seen).order_by("sequence"))
    head = AuditHead.objects.get(pk=1)

    assert all(later.sequence == earlier.sequence + 1 for earlier, later in pairwise(rows))
    assert all(later.previous_hash == earlier.hash for earlier, later in pairwise(rows))
    assert (rows[-1].sequence, rows[-1].hash) == (head.sequence, head.hash)


# --- the races ------------------------------------------------------------------------------------------------------


def test_of_two_who_decide_go_one_does(ring: Ring) -> None:
    for race in ring.races():
        request, at = signed(race.account)

        answers = race.run(decided(request, "cto", Decision.GO, at), decided(request, "lead", Decision.GO, at))

        assert sorted(answers) == [DONE, "This request is closed already; reload the page."]
        assert PhaseRun.objects.get(account=race.account, ended_at=None).template.phase == "4.1"


def test_go_and_no_go_are_never_both_recorded(ring: Ring) -> None:
    for race in ring.races():
        request, at = signed(race.account)

        answers = race.run(decided(request, "cto", Decision.GO, at), decided(request, "lead", Decision.NO_GO, at))

        request.refresh_from_db()
        assert sorted(answers) == [DONE, "This request is closed already; reload the page."]
        assert request.decision == ("GO" if answers[0] == DONE else "NO_GO")
        assert PhaseRun.objects.filter(account=race.account).count() == (2 if answers[0] == DONE else 1)


def test_of_two_people_who_sign_the_same_role_one_does(ring: Ring) -> None:
    for race in ring.races():
        run, at = passed(race.account)
        request = cast.ask(run, at)

        answers = race.run(signature(request, "cto", "CTO", at), signature(request, "deputy", "CTO", at))

        assert answers.count(DONE) == 1
        assert SignOff.objects.get(request=request).person.username == ("cto" if answers[0] == DONE else "deputy")


def test_a_person_with_two_roles_signs_one_of_them(ring: Ring) -> None:
    for race in ring.races():
        run, at = passed(race.account)
        request = cast.ask(run, at)

        answers = race.run(signature(request, "founder", "CTO", at), signature(request, "founder", "Engineer", at))

        assert answers.count(DONE) == 1
        assert SignOff.objects.get(request=request).role == ("CTO" if answers[0] == DONE else "Engineer")


def test_a_code_counts_once_in_whichever_process(ring: Ring) -> None:
    for race in ring.races():
        run, at = passed(race.account)
        request = cast.ask(run, at)
        proof = {"by": "cto", "password": PASSWORD, "code": new_code("cto")}
        deeds = signature(request, "cto", "CTO", at), decided(request, "cto", Decision.NO_GO, at)

        answers = race.run(("prove", {**proof, "then": deeds[0]}), ("prove", {**proof, "then": deeds[1]}))

        run.refresh_from_db()
        assert answers.count(DONE) == 1
        assert "the code was used before" in "".join(answers)
        assert SignOff.objects.filter(request=request).exists() == (answers[0] == DONE)
        assert run.decision == ("PENDING" if answers[0] == DONE else "NO_GO")


def test_of_two_who_start_a_run_one_does(ring: Ring) -> None:
    for race in ring.races():
        if race.number % 4 > 1:  # not the first run of this desk
            run, at = passed(race.account)
            cast.decide(cast.ask(run, at), Decision.NO_GO, at, notes="not confident")
        before = PhaseRun.objects.filter(account=race.account).count()
        deeds: list[Deed] = [
            ("begin", {"account": race.account.pk, "by": name, "at": BEGIN + 60 * cast.MINUTE})
            for name in ("lead", "cto")
        ]

        answers = race.run(*deeds)

        assert answers.count(DONE) == 1
        assert PhaseRun.objects.filter(account=race.account).count() == before + 1


def test_of_two_who_ask_for_the_step_one_does(ring: Ring) -> None:
    for race in ring.races():
        run, at = passed(race.account)

        answers = race.run(*(("ask", {"run": run.pk, "by": name, "at": at}) for name in ("lead", "cto")))

        assert answers.count(DONE) == 1
        assert StepRequest.objects.get(run=run).requested_by.username == ("lead" if answers[0] == DONE else "cto")


def test_a_tick_taken_back_in_time_stops_go_and_a_late_one_is_refused(ring: Ring) -> None:
    for race in ring.races():
        request, at = signed(race.account)
        untick = {"request": request.pk, "by": "engineer", "item": "Team notified", "at": at}

        answers = race.run(("untick", untick), decided(request, "cto", Decision.GO, at))

        assert answers.count(DONE) == 1
        assert request.ticks.filter(done=False).exists() == (answers[0] == DONE)


def test_a_request_is_withdrawn_or_decided(ring: Ring) -> None:
    for race in ring.races():
        request, at = signed(race.account)
        withdrawn = {"request": request.pk, "by": "engineer", "at": at}

        answers = race.run(("withdraw", withdrawn), decided(request, "cto", Decision.GO, at))

        request.refresh_from_db()
        assert answers.count(DONE) == 1
        assert request.state == ("VOID" if answers[0] == DONE else "DECIDED")


def test_a_crit_stops_go_or_fails_the_run_that_go_started(ring: Ring) -> None:
    for race in ring.races():
        request, at = signed(race.account)

        answers = race.run(
            ("judge a CRIT", {"run": request.run_id, "at": at}), decided(request, "cto", Decision.GO, at)
        )

        last = PhaseRun.objects.filter(account=race.account).latest("id")
        if answers[1] == DONE:
            assert (last.template.phase, phases.judge(run=last, at=at + cast.MINUTE).outcome) == ("4.1", Outcome.FAIL)
        else:
            assert (last.decision, Halt.objects.get(account=race.account).stage) == ("NO_GO", "LATCHED")

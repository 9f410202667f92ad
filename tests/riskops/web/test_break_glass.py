"""The glass is broken by two people; everybody sees it, the gate waits, and it is over by itself."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from riskops.domain.approvals import RESUME_WORD
from riskops.domain.steps import Decision
from riskops.models import BreakGlass, Incident, PhaseRun
from riskops.services import break_glass, kill_switch, phases
from riskops.services.phases import UnableToStep
from tests.riskops.proofs import give_authenticator, proof, text_of
from trading.models import Account, Alert, AuditEvent, Halt, Mandate, Reconciliation, Session
from trading.services import halts

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]
REASON = "the Trading Lead is on a plane"


@pytest.fixture
def devices(as_person: AsPerson, at: datetime, monkeypatch: pytest.MonkeyPatch) -> dict[str, TOTPDevice]:
    """Everybody with an authenticator, at the moment in which the gate passes."""
    monkeypatch.setattr("riskops.views.break_glass.now", lambda: at)
    return {name: give_authenticator(name) for name in ("trader", "engineer", "cto")}


def person(name: str) -> User:
    return User.objects.get(username=name)


def ask(as_person: AsPerson, devices: dict[str, TOTPDevice], name: str = "trader", **changed: str) -> object:
    form = {"reason": REASON, "hours": "2", **proof(devices[name]), **changed}
    return as_person(name).post("/break-glass/ask/", form, follow=True)


def grant(as_person: AsPerson, devices: dict[str, TOTPDevice], name: str = "cto", **changed: str) -> object:
    form = {**proof(devices[name]), **changed}
    return as_person(name).post(f"/break-glass/{BreakGlass.objects.latest('id').pk}/grant/", form, follow=True)


def halted(at: datetime) -> Account:
    """Halt the desk and prove it clear."""
    account = Account.objects.get(slug="micro")
    halts.halt(scope="micro", by="rule: test", reason="a test", flatten=False, at=at)
    Halt.objects.update(stage=Halt.Stage.PROVEN_CLEAR, remaining=0, stopped_at=at, proven_clear_at=at)
    Reconciliation.objects.create(account=account, is_clean=True, local_open=0, venue_open=0, at=at)
    return account


def resume(account: Account, at: datetime) -> None:
    """Two people resume, neither of them the Trading Lead."""
    asked = kill_switch.request_resume(account=account, by=person("trader"), reason=REASON, typed=RESUME_WORD, at=at)
    kill_switch.grant_resume(request_id=asked.pk, by=person("engineer"), typed=RESUME_WORD, at=at)


def test_two_people_break_it_and_everybody_hears(
    as_person: AsPerson, devices: dict[str, TOTPDevice], at: datetime
) -> None:
    assert "Asked. A second person grants it" in text_of(ask(as_person, devices))
    assert "The glass is broken until 14:49 UTC" in text_of(grant(as_person, devices))

    for address in ("/", "/risk/", "/gate/", "/orders/open/"):
        said = text_of(as_person("engineer").get(address))
        assert "BREAK-GLASS at Micro $300 until 14:49 UTC" in said
    alert = Alert.objects.get(code="BREAK_GLASS")
    assert alert.account is None
    assert alert.message.startswith("BREAK-GLASS, CRITICAL: ")
    assert Incident.objects.get().what == f"Break-glass by trader + cto: {REASON}"
    actions = list(AuditEvent.objects.filter(action__startswith="breakglass").values_list("actor", "action"))
    assert sorted(actions) == [("cto", "breakglass.granted"), ("trader", "breakglass.asked")]


def test_the_proof_gives_the_session_another_key(as_person: AsPerson, devices: dict[str, TOTPDevice]) -> None:
    client = as_person("trader")
    before = client.session.session_key

    client.post("/break-glass/ask/", {"reason": REASON, "hours": "2", **proof(devices["trader"])})

    assert BreakGlass.objects.exists()
    assert client.session.session_key != before
    assert not Session.objects.filter(session_key=before).exists()


def test_only_while_it_is_broken_the_desk_resumes_without_the_trading_lead(
    as_person: AsPerson, devices: dict[str, TOTPDevice], at: datetime
) -> None:
    account = halted(at)
    with pytest.raises(kill_switch.UnableToResume, match="must be the Trading Lead"), transaction.atomic():
        resume(account, at)
    ask(as_person, devices)
    grant(as_person, devices)

    resume(account, at)

    account.refresh_from_db()
    assert account.state == "ACTIVE"


def test_it_is_over_by_itself(as_person: AsPerson, devices: dict[str, TOTPDevice], at: datetime) -> None:
    ask(as_person, devices)
    grant(as_person, devices)
    later = at + timedelta(hours=2)
    account = halted(later)

    with pytest.raises(kill_switch.UnableToResume, match="must be the Trading Lead"):
        resume(account, later)


def test_a_halt_that_is_not_proven_clear_stays_all_the_same(
    as_person: AsPerson, devices: dict[str, TOTPDevice], at: datetime
) -> None:
    ask(as_person, devices)
    grant(as_person, devices)
    account = halted(at)
    Halt.objects.update(stage=Halt.Stage.LATCHED, proven_clear_at=None)

    with pytest.raises(kill_switch.UnableToResume):
        resume(account, at)


def test_it_moves_no_capital_and_holds_the_gate_until_its_review(
    as_person: AsPerson, devices: dict[str, TOTPDevice], at: datetime
) -> None:
    before = list(Mandate.objects.values())
    ask(as_person, devices)
    grant(as_person, devices)
    request = phases.request_step(run=PhaseRun.objects.get(ended_at=None), by=person("trader"), at=at)

    with pytest.raises(UnableToStep, match="Break-glass by trader"):
        phases.decide(
            request_id=request.pk, by=person("cto"), decision=Decision.GO, notes="", digest=request.digest, at=at
        )
    assert list(Mandate.objects.values()) == before


@pytest.mark.parametrize(
    ("deed", "name", "changed", "why"),
    [
        (ask, "trader", {"hours": "5"}, "less than or equal to 4"),
        (ask, "trader", {"reason": "short"}, "Say why it cannot wait"),
        (ask, "trader", {"reason": "=HYPERLINK(1) and more"}, "begins with"),
        (ask, "trader", {"code": "000000"}, "Password or one-time code is wrong"),
        (grant, "trader", {}, "whoever asked cannot grant it"),
        (grant, "engineer", {}, "must be the CTO or the CEO"),
        (grant, "cto", {"password": "no"}, "Password or one-time code is wrong"),
    ],
)
def test_what_is_refused_changes_nothing_and_is_on_record(
    as_person: AsPerson, devices: dict[str, TOTPDevice], deed: Callable[..., object], name: str,
    changed: dict[str, str], why: str,
) -> None:  # fmt: skip
    if deed is grant:
        ask(as_person, devices)
    before = list(BreakGlass.objects.values())

    answer = deed(as_person, devices, name, **changed)

    assert answer.status_code == 422  # type: ignore[attr-defined]
    assert why in text_of(answer)
    assert list(BreakGlass.objects.values()) == before
    assert AuditEvent.objects.latest("sequence").action == "refused"


def test_it_is_ended_before_its_time_and_reviewed_before_the_next(
    as_person: AsPerson, devices: dict[str, TOTPDevice], at: datetime
) -> None:
    ask(as_person, devices)
    grant(as_person, devices)

    as_person("engineer").post(f"/break-glass/{BreakGlass.objects.get().pk}/end/")

    assert "BREAK-GLASS at" not in text_of(as_person("engineer").get("/break-glass/"))
    assert "The review of the last time is still open" in text_of(ask(as_person, devices))
    assert BreakGlass.objects.count() == 1


def test_the_database_itself_wants_two_people(
    as_person: AsPerson, devices: dict[str, TOTPDevice], at: datetime
) -> None:
    row = break_glass.ask(account=Account.objects.get(slug="micro"), by=person("cto"), reason=REASON, hours=1, at=at)

    with pytest.raises(IntegrityError), transaction.atomic():
        BreakGlass.objects.filter(pk=row.pk).update(granted_by=person("cto"))

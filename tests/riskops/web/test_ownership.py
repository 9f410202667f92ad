"""A person of one desk sees nothing of another's: at no address, by no number, on no socket; but may halt it."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils.timezone import now

from riskops.domain.approvals import RESUME_WORD
from riskops.models import (
    BreakGlass,
    ChecklistAttachment,
    ChecklistTick,
    ComplianceItem,
    Incident,
    PhaseRun,
    PhaseTemplate,
    ResumeRequest,
)
from riskops.services import kill_switch, phases
from tests.riskops.web.test_permissions import WORDS, halt_proven
from trading.live.keys import concerns
from trading.models import Account, Alert, AuditEvent, CapitalTransfer, Halt, Membership
from trading.selectors import desks
from trading.services import members
from trading.services.members import UnableToChange

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]
SECRET_NAME = "Their Very Own Desk"
OVERSEERS = ("CTO", "CEO", "Compliance", "Auditor")


@pytest.fixture
def theirs(as_person: AsPerson) -> Account:
    """The production desk, of one member; the trader and the lead of the demo are none."""
    as_person("trader")
    phases.load_roadmap(at=now())
    User.objects.create_user("owner")
    account = Account.objects.get(slug="production")
    Account.objects.filter(pk=account.pk).update(name=SECRET_NAME)
    members.give(account=account, person="owner", by="cto", at=now())
    account.refresh_from_db()
    return account


def rows_of(account: Account) -> dict[str, int]:
    """Make one row of each kind that an address names by number; return their keys by the name in the address."""
    halt_proven(account)
    asked = User.objects.get(username="owner")
    asked.groups.add(Group.objects.get(name="Engineer"))
    resume = kill_switch.request_resume(account=account, by=asked, reason=WORDS, typed=RESUME_WORD, at=now())
    run = PhaseRun.objects.create(
        account=account, template=PhaseTemplate.objects.get(phase="4.0"), started_by="x", started_at=now(),
        mandate=account.mandates.latest("version"), window_from=now(),
    )  # fmt: skip
    step = phases.request_step(run=run, by=asked, at=now())
    incident = Incident.objects.create(
        account=account, run=run, metric="crit_alerts", what="x", failed_run=True, opened_at=now()
    )
    alert = Alert.objects.create(account=account, severity="WARN", code="X", message="slow", at=now())
    item = ComplianceItem.objects.create(account=account, title="x", due_on=now(), opened_by="owner", opened_at=now())
    tick = ChecklistTick.objects.create(request=step, item="x", done=True, person=asked, at=now())
    file = ChecklistAttachment.objects.create(
        tick=tick, name="x.txt", kind="text/plain", size=1, sha256="0" * 64, content=b"x"
    )
    glass = BreakGlass.objects.create(
        account=account, reason=WORDS, hours=1, asked_by=asked, asked_at=now(), expires_at=now()
    )
    transfer = CapitalTransfer.objects.create(
        account=account, mandate=account.mandates.latest("version"), flow_id="gcf-x-9", amount_quote=1, asked_by="x",
        asked_at=now(),
    )  # fmt: skip
    return {
        "transfer_id": transfer.pk,
        "resume": resume.pk, "step": step.pk, "incident_id": incident.pk, "alert_id": alert.pk, "item_id": item.pk,
        "attachment_id": file.pk, "glass_id": glass.pk,
    }  # fmt: skip


def addresses(resolver: URLResolver, space: str = "") -> Iterator[tuple[str, str]]:
    """Return (name, pattern) of every address but the admin's."""
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver) and entry.namespace != "admin":
            yield from addresses(entry, f"{entry.namespace}:" if entry.namespace else space)
        elif isinstance(entry, URLPattern) and space:
            yield f"{space}{entry.name}", str(entry.pattern)


ADDRESSES = dict(addresses(get_resolver()))
OF_NO_DESK = re.compile(r"<int:(person_id|route_id|run_id)>|<model:digest>")
BY_NUMBER = {name: at for name, at in ADDRESSES.items() if "<int:" in at and not OF_NO_DESK.search(at)}
FILLED = {
    "symbol": "BTCUSDT", "tab": "open", "panel": "alerts", "slug": "production", "request_id": 1, "key_id": 1,
    "kind": "csv", "period": "2026-11", "table": "days", "label": "00000000-0000-0000-0000-000000000000",
    "digest": "0" * 64,
}  # fmt: skip


def arguments(pattern: str) -> dict[str, Any]:
    return {name: FILLED[name] for name in re.findall(r":(\w+)>", pattern) if name in FILLED}


@pytest.mark.parametrize("name", [name for name, pattern in ADDRESSES.items() if "<int:" not in pattern])
def test_no_address_shows_a_word_of_a_desk_that_is_not_ones_own(
    as_person: AsPerson, theirs: Account, name: str
) -> None:
    stranger = as_person("trader")
    session = stranger.session
    session["desk"] = theirs.slug
    session.save()

    answer = stranger.get(reverse(name, kwargs=arguments(ADDRESSES[name])))

    assert answer.status_code in (200, 302, 404, 405)
    assert SECRET_NAME not in answer.getvalue().decode()
    if "<slug:slug>" in ADDRESSES[name]:
        assert answer.status_code in (404, 405)


@pytest.mark.parametrize("name", BY_NUMBER)
def test_what_has_a_number_does_not_exist_for_a_stranger(as_person: AsPerson, theirs: Account, name: str) -> None:
    keys = rows_of(theirs)
    keys["request_id"] = keys["resume" if "resume" in name else "step"]
    before = AuditEvent.objects.latest("sequence").sequence
    given = {part: {**FILLED, **keys}[part] for part in re.findall(r":(\w+)>", BY_NUMBER[name])}

    answers = [asked(as_person(who), reverse(name, kwargs=given)) for who in ("trading_lead", "trader")]

    assert {answer.status_code for answer in answers} <= {404, 302}
    assert name in ("riskops:revoke-key", "riskops:tick-compliance") or {answer.status_code for answer in answers} == {
        404
    }
    since = AuditEvent.objects.filter(sequence__gt=before).values_list("action", flat=True)
    assert set(since) <= {"refused"}
    assert ResumeRequest.objects.get(pk=keys["resume"]).outcome == "OPEN"
    assert Alert.objects.get(pk=keys["alert_id"]).acknowledged_at is None


def asked(client: Client, address: str) -> Any:
    """Send a form that is empty; ask for what takes none."""
    answer = client.post(address)
    return client.get(address) if answer.status_code == 405 else answer


def test_a_stranger_cannot_look_at_the_desk(as_person: AsPerson, theirs: Account) -> None:
    stranger = as_person("trader")

    told = stranger.post("/desk/", {"desk": theirs.slug, "next": "/"}, follow=True)

    assert "There is no desk" in told.content.decode()
    assert SECRET_NAME not in told.content.decode()


def test_a_stranger_halts_it_all_the_same(as_person: AsPerson, theirs: Account) -> None:
    as_person("trader").post("/risk/halt/", {"scope": "", "reason": "stop"})

    assert Halt.objects.filter(account=theirs, released_at=None).exists()


@pytest.mark.parametrize("who", [*OVERSEERS, "superuser", "member", "group"])
def test_members_and_who_oversees_see_it(theirs: Account, who: str) -> None:
    person = User.objects.create_user("somebody", is_superuser=who == "superuser")
    if who in OVERSEERS:
        person.groups.add(Group.objects.get_or_create(name=who)[0])
    if who == "member":
        members.give(account=theirs, person="somebody", by="cto", at=now())
    if who == "group":
        person.groups.add(Group.objects.get(name="Engineer"))
        Membership.objects.create(account=theirs, group=Group.objects.get(name="Engineer"))

    assert theirs in desks.visible_to(person)


@pytest.mark.parametrize("role", ["Trader", "Trading Lead", "Engineer", ""])
def test_the_others_do_not(theirs: Account, role: str) -> None:
    person = User.objects.create_user("somebody")
    if role:
        person.groups.add(Group.objects.get(name=role))

    assert [desk.slug for desk in desks.visible_to(person)] == ["micro"]


def test_who_sees_no_desk_at_all_is_told_so(as_person: AsPerson, theirs: Account) -> None:
    members.give(account=Account.objects.get(slug="micro"), person="owner", by="cto", at=now())

    answer = as_person("trader").get("/")

    assert answer.status_code == 503
    assert "No account of yours" in answer.content.decode()


def test_belonging_is_given_and_taken_on_record_and_the_last_member_stays(theirs: Account) -> None:
    members.give(account=theirs, person="trader", by="cto", at=now())
    given = AuditEvent.objects.latest("sequence")
    members.take(account=theirs, person="trader", by="cto", at=now())

    assert (given.actor, given.action, given.payload) == ("cto", "member.given", {"person": "trader"})
    assert AuditEvent.objects.latest("sequence").action == "member.taken"
    with pytest.raises(UnableToChange, match="owner is the last member"):
        members.take(account=theirs, person="owner", by="cto", at=now())
    with pytest.raises(UnableToChange, match="There is no person called nobody"):
        members.give(account=theirs, person="nobody", by="cto", at=now())
    with pytest.raises(UnableToChange, match="trader does not belong"):
        members.take(account=theirs, person="trader", by="cto", at=now())


@pytest.mark.parametrize(
    ("key", "seen", "told"),
    [
        ("d.production.equity", None, True),
        ("d.production.equity", frozenset({"micro"}), False),
        ("d.production.state", frozenset({"micro"}), False),
        ("d.production.state", frozenset({"micro", "production"}), True),
        ("d.micro.equity", frozenset({"micro"}), True),
        ("d.production.pnl", frozenset({"micro", "production"}), False),
        ("m.BTCUSDT.px", frozenset({"micro"}), True),
    ],
)
def test_the_socket_tells_of_no_desk_that_its_person_does_not_see(
    key: str, seen: frozenset[str] | None, told: bool
) -> None:
    assert concerns(key, "micro", seen) is told

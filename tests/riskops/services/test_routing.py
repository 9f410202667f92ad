"""Messages to people who are away: told in time, by whoever may be told, at least once, and never more than needed."""

import multiprocessing
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email import message_from_string, policy
from pathlib import Path
from typing import Final

import pytest
from django.db import connection
from pytest_django import Settings

from riskops.domain.alert_rules import Channel
from riskops.domain.routes import CLAIM_LAPSES, GIVE_UP_AFTER, KEEP_FAILED_FOR, KEEP_FOR
from riskops.models import Delivery, NotificationRoute
from riskops.services import phases, routing
from tests.riskops import away, cast
from tests.riskops.away import WAIT_S, Webhook
from tests.riskops.cast import BEGIN, MINUTE, person
from trading.adapters.sealing import unseal
from trading.domain.events import Severity
from trading.models import Account, Alert, AuditEvent
from trading.services import alerts

SECOND: Final = timedelta(seconds=1)
TRADERS: Final = ["Trader", "Engineer"]
State = Delivery.State


@pytest.fixture(autouse=True)
def key_file(settings: Settings, tmp_path: Path) -> Path:
    settings.SECRETS_KEY_FILE = tmp_path / "secrets.key"
    return tmp_path / "secrets.key"


@pytest.fixture
def account(db: None) -> Account:
    return Account.objects.create(slug="micro", name="Micro $300")


@pytest.fixture
def place() -> Iterator[Webhook]:
    with away.webhook() as found:
        yield found


def route(
    address: str = "json://127.0.0.1:1/x",
    *,
    name: str = "desk",
    channel: Channel = Channel.WEBHOOK,
    roles: list[str] = TRADERS,
    minimum: Severity = Severity.WARN,
    at: datetime = BEGIN,
) -> NotificationRoute:
    return routing.add_route(
        name=name, channel=channel, address=address, roles=roles, minimum=minimum, by=person("engineer"), at=at
    )


def crit(account: Account | None, at: datetime = BEGIN) -> Alert:
    return alerts.raise_alert(
        account=account, severity=Severity.CRIT, code="VENUE_ERRORS", message="two venue errors within a minute", at=at
    )


class Post:
    """Takes every message, or refuses with a word."""

    def __init__(self, error: str = "") -> None:
        self.error, self.titles = error, list[str]()

    def __call__(self, address: str, title: str, body: str) -> str:
        self.titles.append(title)
        return self.error


def drained(made: NotificationRoute, post: Post, at: datetime) -> int:
    return routing.drain(made.pk, now=lambda: at, send=post)


# --- routes -------------------------------------------------------------------------------------------------------


def test_an_address_is_sealed_and_never_shown_again(account: Account) -> None:
    secret = "json://user:geheim@127.0.0.1:9/long-token-1234"

    made = route(secret)

    row = NotificationRoute.objects.get()
    assert "geheim" not in row.address
    assert row.shown == "json://••••1234"
    event = AuditEvent.objects.get(action="route.added")
    assert "geheim" not in event.payload
    assert unseal(made.address) == secret


@pytest.mark.parametrize(
    ("address", "refusal"),
    [
        ("syslog://", "An address of webhook begins with one of form://"),
        ("json://", "This address is not complete"),
        ("", "begins with one of"),
    ],
)
def test_an_address_that_is_none_is_refused(account: Account, address: str, refusal: str) -> None:
    with pytest.raises(routing.UnableToRoute, match=refusal):
        route(address)

    assert not NotificationRoute.objects.exists()


def test_a_name_is_used_once_and_free_again_when_its_route_is_removed(account: Account) -> None:
    first = route()
    with pytest.raises(routing.UnableToRoute, match="A route named desk is in use"):
        route()

    routing.remove_route(route_id=first.pk, by=person("lead"), at=BEGIN)

    assert route().pk != first.pk
    assert NotificationRoute.objects.get(pk=first.pk).address == ""


@pytest.mark.parametrize("name", ["trader", "ceo"])
def test_routes_are_for_lead_engineer_and_cto(account: Account, name: str) -> None:
    made, by = route(), person(name)

    for deed in (
        lambda: routing.add_route(
            name="x", channel=Channel.WEBHOOK, address="json://h", roles=TRADERS, minimum=Severity.WARN, by=by, at=BEGIN
        ),
        lambda: routing.remove_route(route_id=made.pk, by=by, at=BEGIN),
        lambda: routing.send_test(route_id=made.pk, by=by, at=BEGIN),
    ):
        with pytest.raises(routing.UnableToRoute, match="Only Trading Lead, Engineer or CTO may change notification"):
            deed()


# --- escalation ---------------------------------------------------------------------------------------------------


def test_every_step_is_written_once(account: Account) -> None:
    route(name="chat", at=BEGIN - MINUTE)
    route(
        "mailto://127.0.0.1?from=desk@example.com&to=lead@example.com",
        name="mail",
        channel=Channel.EMAIL,
        at=BEGIN - MINUTE,
    )
    crit(account)

    written = [routing.escalate(BEGIN + seconds * SECOND) for seconds in (0, 5, 29, 30, 35, 3_600)]

    assert written == [1, 0, 0, 1, 0, 0]
    assert set(Delivery.objects.values_list("step", flat=True)) == {"critical+0", "critical+30"}


def test_an_alert_of_all_desks_says_so(account: Account) -> None:
    Account.objects.create(slug="gold", name="Gold", mode="LIVE")
    route(at=BEGIN - MINUTE)
    crit(None)

    routing.escalate(BEGIN)

    assert Delivery.objects.get().title == "■ CRIT · LIVE and PAPER · all desks · VENUE_ERRORS"


def test_an_acknowledgement_stops_what_has_not_been_sent(account: Account) -> None:
    made, alert, post = route(at=BEGIN - MINUTE), crit(account), Post()
    routing.escalate(BEGIN)

    alerts.acknowledge(alert_id=alert.pk, by=person("trader"), at=BEGIN)

    assert drained(made, post, BEGIN + SECOND) == 0
    assert (post.titles, Delivery.objects.get().state) == ([], State.STOPPED)
    assert routing.escalate(BEGIN + 600 * SECOND) == 0


def test_a_shelved_alert_tells_nobody_until_it_returns(account: Account) -> None:
    route(at=BEGIN - MINUTE)
    alert = crit(account)
    alerts.shelve(alert_id=alert.pk, by=person("trader"), hours=1, reason="the venue is being mended", at=BEGIN)

    assert routing.escalate(BEGIN + 59 * MINUTE) == 0
    assert routing.escalate(BEGIN + 60 * MINUTE) == 1


def test_a_warning_of_a_halted_desk_that_says_nothing_new_is_not_sent(account: Account) -> None:
    route(at=BEGIN - MINUTE)
    alerts.raise_alert(account=account, severity=Severity.WARN, code="TRADES_HALF_USED", message="11 of 20", at=BEGIN)
    Account.objects.update(state="HALTED")
    assert routing.escalate(BEGIN) == 0

    Account.objects.update(state="ACTIVE")
    assert routing.escalate(BEGIN) == 1


def test_without_a_route_nothing_is_written(account: Account) -> None:
    crit(account)

    assert routing.escalate(BEGIN) == 0


# --- the outbox ---------------------------------------------------------------------------------------------------


def test_what_is_not_taken_is_tried_again_after_ever_longer_times(account: Account) -> None:
    made, post = route(at=BEGIN - MINUTE), Post("no answer")
    crit(account)
    routing.escalate(BEGIN)

    tried = []
    for seconds in range(0, 120, 1):
        before = len(post.titles)
        drained(made, post, BEGIN + seconds * SECOND)
        tried += [seconds] * (len(post.titles) - before)

    assert tried == [0, 5, 15, 35, 75]
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error, delivery.attempts) == (State.DUE, "no answer", 5)


def test_a_route_that_does_not_take_its_messages_is_an_alert_of_its_own(account: Account) -> None:
    made, post = route(at=BEGIN - MINUTE), Post("no answer")
    crit(account)
    routing.escalate(BEGIN)

    for seconds in (0, 5, 15, 35):
        drained(made, post, BEGIN + seconds * SECOND)

    alert = Alert.objects.get(code="ROUTE_FAILED")
    assert (alert.severity, alert.times) == ("WARN", 2)
    assert alert.message == "Route desk did not take a message 4 times: no answer"


def test_it_gives_up_after_a_day(account: Account) -> None:
    made, post = route(at=BEGIN - MINUTE), Post("no answer")
    crit(account)
    routing.escalate(BEGIN)

    drained(made, post, BEGIN + GIVE_UP_AFTER)

    assert Delivery.objects.get().state == State.FAILED


def test_a_test_is_sent_once_and_says_what_came_of_it(account: Account) -> None:
    made, post = route(), Post("401 wrong token")
    routing.send_test(route_id=made.pk, by=person("cto"), at=BEGIN)

    drained(made, post, BEGIN)
    drained(made, post, BEGIN + MINUTE)

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error, post.titles) == (State.FAILED, "401 wrong token", ["● TEST · Grid Console"])
    assert not Alert.objects.filter(code="ROUTE_FAILED").exists()
    assert AuditEvent.objects.filter(action="route.tested", actor="cto").exists()


def test_a_removed_route_sends_nothing_more(account: Account) -> None:
    made, post = route(at=BEGIN - MINUTE), Post()
    crit(account)
    routing.escalate(BEGIN)

    routing.remove_route(route_id=made.pk, by=person("lead"), at=BEGIN)

    assert drained(made, post, BEGIN) == 0
    assert Delivery.objects.get().state == State.STOPPED


def test_what_somebody_claimed_is_left_to_them_until_the_claim_lapses(account: Account) -> None:
    made = route(at=BEGIN - MINUTE)
    crit(account)
    routing.escalate(BEGIN)
    assert routing.claim(made.pk, BEGIN) is not None

    assert routing.claim(made.pk, BEGIN + CLAIM_LAPSES - SECOND) is None
    assert routing.claim(made.pk, BEGIN + CLAIM_LAPSES) is not None


def test_a_fault_of_the_library_loses_no_message(account: Account) -> None:
    made = route(at=BEGIN - MINUTE)
    crit(account)
    routing.escalate(BEGIN)

    def broken(address: str, title: str, body: str) -> str:
        raise KeyError("token geheim")

    routing.drain(made.pk, now=lambda: BEGIN, send=broken)

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error) == (State.DUE, "It could not be sent: KeyError.")


# --- real services ------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_webhook_is_told(account: Account, place: Webhook) -> None:
    route(place.address, at=BEGIN - MINUTE)
    crit(account)
    routing.escalate(BEGIN)

    assert routing.deliver(lambda: BEGIN) == 1

    (heard,) = place.heard
    assert heard["title"] == "■ CRIT · PAPER · Micro $300 · VENUE_ERRORS"
    assert re.search(r"Playbook: venue_errors\nhttp://.*/alerts/", heard["message"])
    assert Delivery.objects.get().state == State.SENT


@pytest.mark.django_db(transaction=True)
def test_one_route_that_fails_holds_no_other_back(account: Account, place: Webhook) -> None:
    place.status = 500
    route(place.address, name="broken", at=BEGIN - MINUTE)
    crit(account)
    routing.escalate(BEGIN)
    with away.webhook() as other:
        route(other.address, name="works", at=BEGIN - MINUTE)
        routing.escalate(BEGIN)

        assert routing.deliver(lambda: BEGIN) == 1

    states = {one.route.name: (one.state, one.error) for one in Delivery.objects.all()}
    assert states["works"] == (State.SENT, "")
    assert states["broken"][0] == State.DUE
    assert "500" in states["broken"][1]


@pytest.mark.django_db(transaction=True)
def test_a_letter_is_sent(account: Account) -> None:
    with away.mail_server() as (port, letters):
        address = f"mailto://127.0.0.1:{port}?from=desk@example.com&to=lead@example.com&mode=insecure"
        route(address, channel=Channel.EMAIL, at=BEGIN - MINUTE)
        crit(account)
        routing.escalate(BEGIN + 30 * SECOND)

        assert routing.deliver(lambda: BEGIN + 30 * SECOND) == 1

    letter = message_from_string(letters[0], policy=policy.default)
    assert letter["Subject"] == "■ CRIT · PAPER · Micro $300 · VENUE_ERRORS"
    assert "Playbook: venue_errors" in letter.get_content()


@pytest.mark.django_db(transaction=True)
def test_a_sender_killed_between_claim_and_mark_loses_nothing(account: Account, place: Webhook, key_file: Path) -> None:
    place.may_answer.clear()
    route(place.address, at=datetime.now(UTC) - MINUTE)
    crit(account, datetime.now(UTC))
    routing.escalate(datetime.now(UTC))
    sender = multiprocessing.get_context("spawn").Process(
        target=away.send_all, args=(connection.settings_dict["NAME"], str(key_file)), daemon=True
    )
    sender.start()
    assert place.reached.wait(WAIT_S)

    sender.kill()
    sender.join(WAIT_S)
    place.may_answer.set()

    assert Delivery.objects.get().state == State.SENDING
    assert routing.deliver(lambda: datetime.now(UTC)) == 0  # the claim still holds
    assert routing.deliver(lambda: datetime.now(UTC) + CLAIM_LAPSES) == 1
    assert Delivery.objects.get().state == State.SENT
    assert len(place.heard) == 2  # at least once: the service may have taken the first one, too


@pytest.mark.django_db(transaction=True)
def test_two_senders_at_once_send_nothing_twice(account: Account) -> None:
    made, post = route(at=BEGIN - MINUTE), Post()
    for number in range(30):
        code = f"X{number}"
        alerts.raise_alert(account=account, severity=Severity.CRIT, code=code, message="m", at=BEGIN)
    routing.escalate(BEGIN)

    with ThreadPoolExecutor(2) as pool:
        sent = sum(pool.map(lambda _: routing._drain_alone(made.pk, now=lambda: BEGIN, send=post), range(2)))

    assert sent == len(post.titles) == len(set(post.titles))
    assert not Delivery.objects.exclude(state=State.SENT).exists()


@pytest.mark.django_db(transaction=True)
def test_the_task_tells_and_a_second_one_does_not_wait_for_a_service_that_hangs(
    account: Account, place: Webhook
) -> None:
    from riskops import tasks

    route(place.address, at=datetime.now(UTC) - MINUTE)
    crit(account, datetime.now(UTC))
    with tasks._delivering:
        tasks.escalate_alerts()
        assert (place.heard, Delivery.objects.get().state) == ([], State.DUE)

    tasks.escalate_alerts()

    assert Delivery.objects.get().state == State.SENT


@pytest.mark.parametrize(
    ("level", "told"), [(Severity.INFO, ["CRIT", "WARN"]), (Severity.WARN, ["CRIT", "WARN"]), (Severity.CRIT, ["CRIT"])]
)
def test_the_phase_of_a_desk_says_from_which_severity_on_people_are_told(
    db: None, level: Severity, told: list[str]
) -> None:
    account = cast.desk()
    phases.start_run(account=account, phase_id="4.0", by="lead", at=BEGIN)
    account.mandates.update(alert_level=level)
    route(at=BEGIN - MINUTE, minimum=Severity.WARN)
    for severity, code in ((Severity.CRIT, "VENUE_ERRORS"), (Severity.WARN, "REJECTS")):
        alerts.raise_alert(account=account, severity=severity, code=code, message="told or not", at=BEGIN)

    routing.escalate(BEGIN)

    alerted = Delivery.objects.values_list("alert_id", flat=True)
    assert sorted(Alert.objects.filter(pk__in=alerted).values_list("severity", flat=True)) == told


# --- retention ----------------------------------------------------------------------------------------------------

OLD: Final = BEGIN + KEEP_FOR  # what was sent at BEGIN is kept up to here


def message_of(
    alert: Alert | None, state: State, sent_at: datetime | None = None, step: str = "critical+0"
) -> Delivery:
    return Delivery.objects.create(
        route=NotificationRoute.objects.first() or route(), alert=alert, step=step, title="t", body="b", state=state,
        created_at=BEGIN, due_at=BEGIN, sent_at=sent_at,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "sent_at", "goes"),
    [
        (State.SENT, BEGIN, True), (State.SENT, BEGIN + SECOND, False), (State.STOPPED, None, True),
        (State.DUE, None, False), (State.SENDING, None, False), (State.FAILED, None, False),
    ],
)  # fmt: skip
def test_a_message_goes_when_it_is_old_and_was_sent_or_is_not_needed(
    account: Account, state: State, sent_at: datetime | None, goes: bool
) -> None:
    message_of(None, state, sent_at)
    trail = AuditEvent.objects.count()

    assert routing.prune(OLD) == 0
    assert routing.prune(OLD + SECOND) == int(goes)
    assert routing.prune(OLD + SECOND) == 0
    assert AuditEvent.objects.count() == trail


@pytest.mark.parametrize(
    ("severity", "changes", "goes"),
    [
        ("CRIT", {}, False),
        ("CRIT", {"cleared_at": BEGIN}, False),
        ("CRIT", {"acknowledged_at": BEGIN}, True),
        ("CRIT", {"acknowledged_at": BEGIN + SECOND}, False),
        ("WARN", {}, False),
        ("WARN", {"cleared_at": BEGIN}, True),
        ("WARN", {"cleared_at": BEGIN + SECOND}, False),
        ("WARN", {"acknowledged_at": BEGIN}, True),
    ],
)
def test_what_was_told_of_an_alert_stays_while_people_may_still_be_told_of_it(
    account: Account, severity: str, changes: dict[str, datetime], goes: bool
) -> None:
    alert = crit(account)
    Alert.objects.update(severity=severity, **changes)
    for step in ("critical+0", "critical+30"):
        message_of(alert, State.SENT, BEGIN, step)

    assert routing.prune(OLD + SECOND) == (2 if goes else 0)
    assert Alert.objects.count() == 1


def test_what_was_given_up_goes_after_a_year_and_the_trail_says_how_many(account: Account) -> None:
    for _ in range(2):
        message_of(None, State.FAILED)
    message_of(None, State.STOPPED)
    trail = AuditEvent.objects.count()

    assert routing.prune(BEGIN + KEEP_FAILED_FOR) == 1
    assert AuditEvent.objects.count() == trail
    assert routing.prune(BEGIN + KEEP_FAILED_FOR + SECOND) == 2
    assert routing.prune(BEGIN + KEEP_FAILED_FOR + SECOND) == 0

    assert AuditEvent.objects.count() == trail + 1
    row = AuditEvent.objects.latest("sequence")
    name = NotificationRoute.objects.get().name
    assert (row.actor, row.action, row.subject) == ("housekeeping", "messages.deleted", "routes")
    assert {key: row.payload[key] for key in ("given_up", "routes", "first", "last")} == {
        "given_up": 2, "routes": [[name, 2]], "first": BEGIN.isoformat(), "last": BEGIN.isoformat(),
    }  # fmt: skip


@pytest.mark.parametrize("acknowledged", [False, True])
def test_what_was_given_up_stays_while_people_may_still_be_told_of_its_alert(
    account: Account, acknowledged: bool
) -> None:
    alert = crit(account)
    Alert.objects.update(acknowledged_at=BEGIN if acknowledged else None)
    message_of(alert, State.FAILED)

    assert routing.prune(BEGIN + KEEP_FAILED_FOR + SECOND) == int(acknowledged)

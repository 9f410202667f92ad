"""The Alerts page: what waits, what is put aside, the rules in words, and routes that prove themselves."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from riskops.models import Delivery, Incident, NotificationRoute
from riskops.services import routing
from tests.riskops.proofs import text_of
from trading.domain.events import Severity
from trading.models import Account, Alert, RuleReading
from trading.services import alerts

AsPerson = Callable[[str], Client]
MINUTE = timedelta(minutes=1)
WHY = "the line is being mended"
ROUTE = {"name": "desk", "channel": "webhook", "address": "json://localhost/geheim-1234567890", "roles": ["CTO"]}


def desk() -> Account:
    return Account.objects.get(slug="micro")


def raised(code: str = "VENUE_ERRORS", *, minutes_ago: float = 0, severity: Severity = Severity.CRIT) -> Alert:
    at = now() - minutes_ago * MINUTE
    return alerts.raise_alert(account=desk(), severity=severity, code=code, message=f"{code} of now", at=at)


def test_an_alert_says_its_state_and_what_to_do(as_person: AsPerson) -> None:
    client = as_person("trader")
    raised()

    said = text_of(client.get("/alerts/"))

    assert "■ CRIT VENUE_ERRORS of now active, unacknowledged · VENUE_ERRORS · Micro $300" in said
    assert "Check the venue&#x27;s status and the messages; halt if it goes on. Playbook: venue_errors" in said


def test_an_alert_opens_the_incident_of_its_playbook(as_person: AsPerson) -> None:
    client = as_person("trader")
    raised()
    shown = client.get("/alerts/").content.decode()
    form = shown[shown.index('action="/incidents/open/"') :]
    fields = dict(re.findall(r'name="(playbook|what)" value="([^"]*)"', form)[:2])

    client.post("/incidents/open/", fields)

    incident = Incident.objects.get()
    assert (incident.playbook, incident.what) == ("venue_errors", "VENUE_ERRORS: VENUE_ERRORS of now")


def test_what_ended_waits_until_somebody_has_seen_it(as_person: AsPerson) -> None:
    client = as_person("trader")
    alert = raised(minutes_ago=6)
    assert "cleared, unacknowledged" in text_of(client.get("/alerts/"))

    client.post(f"/alerts/{alert.pk}/acknowledge/")

    assert "Nothing waits for you." in text_of(client.get("/alerts/"))
    assert "cleared · VENUE_ERRORS" in text_of(client.get("/alerts/?show=all"))


def test_a_shelved_alert_moves_to_its_tab_and_is_taken_back(as_person: AsPerson) -> None:
    client = as_person("trader")
    alert = raised()

    said = text_of(client.post(f"/alerts/{alert.pk}/shelve/", {"hours": "8", "reason": WHY}, follow=True))
    assert "Shelved until" in said
    assert "Nothing waits for you." in said
    shelf = text_of(client.get("/alerts/?show=shelved"))
    assert f"by trader: {WHY}" in shelf
    assert "0 wait · 1 shelved" in shelf

    client.post(f"/alerts/{alert.pk}/unshelve/")
    assert "active, unacknowledged" in text_of(client.get("/alerts/"))


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"hours": "8.5", "reason": WHY}, "at most 8 hours"),
        ({"hours": "nan", "reason": WHY}, "Say how many hours"),
        ({"hours": "", "reason": WHY}, "Say for how many hours"),
        ({"hours": "1", "reason": ""}, "Say why it is shelved"),
        ({"hours": "1", "reason": "ok"}, "at least 10 characters"),
        ({}, "Nothing was shelved."),
    ],
)
def test_shelving_without_bound_or_reason_is_refused(as_person: AsPerson, form: dict[str, str], said: str) -> None:
    client = as_person("trader")
    alert = raised()

    assert said in text_of(client.post(f"/alerts/{alert.pk}/shelve/", form, follow=True))
    alert.refresh_from_db()
    assert alert.shelved_until is None


def test_what_is_suppressed_is_counted_and_shown_under_all(as_person: AsPerson) -> None:
    client = as_person("trader")
    raised("FEES", severity=Severity.WARN)
    Account.objects.update(state="HALTED")

    assert "0 wait · 1 suppressed, under All · 0 shelved" in text_of(client.get("/alerts/"))
    assert "suppressed · FEES" in text_of(client.get("/alerts/?show=all"))


def test_a_flood_is_grouped_by_its_causes_in_the_order_they_came(as_person: AsPerson) -> None:
    client = as_person("trader")
    for number in range(9):
        raised(f"X{number}", minutes_ago=9 - number)
    assert "▲ busy 9 in the last 10 min" in text_of(client.get("/alerts/"))

    raised("X9")
    page = client.get("/alerts/").content.decode()

    assert "■ flood" in page
    assert re.findall(r'class="group">(X\d)', page) == [f"X{number}" for number in range(10)]


def test_the_page_says_how_the_alarms_do(as_person: AsPerson) -> None:
    client = as_person("trader")
    for _ in range(3):
        raised(severity=Severity.WARN, code="FEED_LOST")
    old = raised("DAILY_DRAWDOWN", minutes_ago=25 * 60)
    raised("STARTED", severity=Severity.INFO)

    said = text_of(client.get("/alerts/"))

    assert "✓ calm 1 in the last 10 min, 0.01 on average over 24 h" in said
    assert "■ 0 ▲ 1 ● 1 · standing for a day: 1 · chatter: FEED_LOST · most: FEED_LOST 1" in said
    assert old.acknowledged_at is None


def test_the_number_of_queries_does_not_grow_with_the_alerts(as_person: AsPerson) -> None:
    client = as_person("trader")
    raised()
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get("/alerts/?show=all")
    for number in range(30):
        raised(f"X{number}")
    with CaptureQueriesContext(connection) as many:
        client.get("/alerts/?show=all")

    assert len(many) == len(few)


def test_every_rule_is_shown_with_its_number_and_where_it_stands(as_person: AsPerson) -> None:
    client = as_person("trader")
    raised("DAILY_DRAWDOWN")
    RuleReading.objects.create(
        account=desk(), code="FILL_RATE", is_broken=False, text="20 market orders filled 96.0 %", judged_at=now(),
        known_at=now(),
    )  # fmt: skip

    said = text_of(client.get("/alerts/?show=rules"))

    assert re.search(r"DAILY_DRAWDOWN CRIT_DAILY_DD active, unacknowledged", said)
    assert "2 %: max daily drawdown of the mandate" in said
    assert " 3: max retries of the mandate" in said
    assert re.search(r"FILL_RATE WARN_FILL_RATE normal 20 market orders filled 96.0 %", said)
    assert re.search(r"REJECTS WARN_REJECT_RATE no data", said)
    assert "e-mail after 30 s; SMS after 60 s; CTO by chat, webhook, e-mail, SMS after 3 min" in said


# --- routes -------------------------------------------------------------------------------------------------------


def test_a_route_is_added_tested_and_removed(as_person: AsPerson) -> None:
    client = as_person("engineer")
    empty = text_of(client.get("/alerts/?show=routes"))
    assert "Nobody who is away is told." in empty
    assert "critical : chat, webhook at once; e-mail after 30 s; SMS after 60 s; CTO by" in empty

    added = client.post("/alerts/routes/add/", {**ROUTE, "minimum": "WARN"}, follow=True)
    assert "json://••••7890" in text_of(added)
    assert "geheim" not in added.content.decode()
    assert "never used: send a test" in text_of(added)

    route = NotificationRoute.objects.get()
    assert "on its way" in text_of(client.post(f"/alerts/routes/{route.pk}/test/", follow=True))
    routing.drain(route.pk, now=now, send=lambda address, title, body: "401 wrong token")
    assert "✕ given up: 401 wrong token · ● TEST" in text_of(client.get("/alerts/?show=routes"))

    assert "Nobody who is away is told." in text_of(client.post(f"/alerts/routes/{route.pk}/remove/", follow=True))


def test_a_test_that_was_taken_says_so(as_person: AsPerson) -> None:
    client = as_person("cto")
    client.post("/alerts/routes/add/", {**ROUTE, "minimum": "CRIT"})
    route = NotificationRoute.objects.get()
    client.post(f"/alerts/routes/{route.pk}/test/")

    routing.drain(route.pk, now=now, send=lambda address, title, body: "")

    assert "✓ taken" in text_of(client.get("/alerts/?show=routes"))
    assert Delivery.objects.get().state == Delivery.State.SENT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"address": "syslog://"}, "An address of webhook begins with one of form://"),
        ({"address": "json://"}, "This address is not complete"),
        ({"address": ""}, "The address is missing."),
        ({"roles": []}, "at least one role"),
        ({"roles": ["Cook"]}, "Cook is not one of the available choices"),
        ({"name": ""}, "Name the route."),
        ({"channel": "pigeon"}, "pigeon is not one of the available choices"),
        ({"minimum": "INFO"}, "INFO is not one of the available choices"),
    ],
)
def test_a_route_that_cannot_work_is_refused_and_its_address_not_repeated(
    as_person: AsPerson, change: dict[str, object], said: str
) -> None:
    client = as_person("engineer")

    answer = client.post("/alerts/routes/add/", {**ROUTE, "minimum": "WARN", **change})

    assert answer.status_code == 422
    assert said in text_of(answer)
    assert "geheim" not in answer.content.decode()
    assert not NotificationRoute.objects.exists()


def test_who_may_not_edit_routes_sees_them_without_buttons(as_person: AsPerson) -> None:
    as_person("engineer").post("/alerts/routes/add/", {**ROUTE, "minimum": "WARN"})
    client = Client()
    client.force_login(User.objects.get(username="trader"))

    page = client.get("/alerts/?show=routes")

    assert "json://••••7890" in text_of(page)
    assert "Send test" not in text_of(page)
    assert "Trading Lead, Engineer and CTO add and test routes." in text_of(page)

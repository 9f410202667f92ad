"""Tell people who are not at the screen: routes, the escalation, and an outbox that no crash empties.

Every message is a row before anything is sent. Whoever sends claims the row, sends, and marks it; if it dies in between
the claim lapses and another sends again: a message arrives at least once, twice at worst, and is never lost.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, Max, Min, Q, QuerySet

from riskops import alarming
from riskops.domain import routes
from riskops.domain.alert_rules import AlertRule, Channel, Ends
from riskops.domain.routes import Place, Told
from riskops.models import Delivery, NotificationRoute
from trading import live
from trading.domain.events import Severity, is_told
from trading.domain.people import why_not
from trading.selectors import alerts as alert_selectors
from trading.selectors import desks
from trading.services import alerts, audit, messenger

if TYPE_CHECKING:
    from trading.models import Alert

log = logging.getLogger(__name__)

ROUTES_AT_ONCE: Final = 8
TEST: Final = "test"
Clock = Callable[[], datetime]
Send = Callable[[str, str, str], str]  # address, title, text -> why not, "" once taken


class UnableToRoute(Exception):
    """Nothing was changed; the message is fit for the operator."""


# --- routes -------------------------------------------------------------------------------------------------------


def add_route(
    *, name: str, channel: Channel, address: str, roles: Sequence[str], minimum: Severity, by: User, at: datetime
) -> NotificationRoute:
    """Add one place where alerts are told; the address is sealed and never shown again.

    Raises:
        UnableToRoute: this person may not, the address is none, or a route of that name is in use.
    """
    _refuse_strangers(by)
    if refusal := routes.why_not_address(channel, address):
        raise UnableToRoute(refusal)
    try:
        sealed = messenger.sealed(address)
        with transaction.atomic():
            route = NotificationRoute.objects.create(
                name=name, channel=channel, address=sealed, shown=routes.masked(address), roles=list(roles),
                minimum=minimum, created_by=by, created_at=at,
            )  # fmt: skip
            _record(route, "route.added", by, at)
    except messenger.UnusableAddress as error:
        raise UnableToRoute(str(error)) from error
    except IntegrityError as error:
        raise UnableToRoute(f"A route named {name} is in use; remove it first or choose another name.") from error
    return route


def remove_route(*, route_id: int, by: User, at: datetime) -> NotificationRoute:
    """Stop telling alerts there; what has not been sent is not sent any more.

    Raises:
        UnableToRoute: this person may not, or there is no such route in use.
    """
    _refuse_strangers(by)
    with transaction.atomic():
        route = _in_use(route_id)
        route.removed_at, route.address = at, ""
        route.save(update_fields=["removed_at", "address"])
        open_states = (Delivery.State.DUE, Delivery.State.SENDING)
        route.deliveries.filter(state__in=open_states).update(state=Delivery.State.STOPPED)
        _record(route, "route.removed", by, at)
    return route


def send_test(*, route_id: int, by: User, at: datetime) -> Delivery:
    """Send one message to prove that a route works; it takes the way of every alert.

    Raises:
        UnableToRoute: this person may not, or there is no such route in use.
    """
    _refuse_strangers(by)
    with transaction.atomic():
        route = _in_use(route_id)
        body = f"{by.username} tests this route at {at:%Y-%m-%d %H:%M:%S} UTC. Nothing is wrong.\n{_page()}"
        delivery = Delivery.objects.create(
            route=route, step=TEST, title="● TEST · Grid Console", body=body, created_at=at, due_at=at
        )
        _record(route, "route.tested", by, at)
    return delivery


# --- escalation ---------------------------------------------------------------------------------------------------


def end_quiet(at: datetime) -> int:
    """Let end every alert that its rule takes for over because it did not repeat; return how many."""
    by_span: dict[int, list[str]] = {}
    for rule in alarming.rulebook():
        if rule.ends is Ends.QUIET and rule.clear_after_s:
            by_span.setdefault(rule.clear_after_s, []).append(rule.code)
    return sum(
        alerts.end_quiet(codes=codes, quiet_since=at - timedelta(seconds=span)) for span, codes in by_span.items()
    )


def escalate(at: datetime) -> int:
    """Write a message for every step of every alert that is due by now and not written yet; return how many."""
    places = [_place(route) for route in NotificationRoute.objects.filter(removed_at=None)]
    if not places:
        return 0
    with transaction.atomic():
        waiting = _loud_enough(alarming.stand(alert_selectors.waiting(), at))
        known = set(
            Delivery.objects.filter(alert__in=[alarm.row.pk for alarm in waiting]).values_list(
                "alert_id", "step", "route_id"
            )
        )
        modes = _modes()
        new = [
            delivery
            for alarm in waiting
            for delivery in _deliveries(alarm.row, alarm.rule, _told(alarm, modes), places, at)
            if (delivery.alert_id, delivery.step, delivery.route_id) not in known
        ]
        Delivery.objects.bulk_create(new, ignore_conflicts=True)  # another process may have written the same
    return len(new)


def _loud_enough(alarms: Iterable[alarming.Alarm]) -> list[alarming.Alarm]:
    """Return the alarms that people are told of wherever they are: the phase says from which severity on."""
    levels: dict[int | None, Severity] = {
        mandate.account_id: Severity(mandate.alert_level) for mandate in desks.mandates_in_force()
    }
    return [
        alarm
        for alarm in alarms
        if is_told(Severity(alarm.row.severity), levels.get(alarm.row.account_id, Severity.INFO))
    ]


def _deliveries(row: "Alert", rule: AlertRule, told: Told, places: Sequence[Place], at: datetime) -> Iterable[Delivery]:
    title, body = routes.message(told, rule, _page())
    for step, place in routes.steps_due(told, rule, alarming.rulebook(), places, at):
        yield Delivery(
            route_id=place.id, alert_id=row.pk, step=routes.name_of(step), title=title[:200], body=body, created_at=at,
            due_at=at,
        )  # fmt: skip


def _told(alarm: alarming.Alarm, modes: str) -> Told:
    row = alarm.row
    return Told(
        severity=Severity(row.severity),
        code=row.code,
        message=row.message,
        symbol=row.symbol,
        desk=row.account.name if row.account else "all desks",
        mode=row.account.mode if row.account else modes,
        raised_at=row.raised_at or row.at,
        state=alarm.state,
        is_acknowledged=row.acknowledged_at is not None,
    )


def _modes() -> str:
    """Return the modes of all desks, real money first: "LIVE and PAPER"."""
    return " and ".join(sorted({account.mode for account in desks.all_desks()})) or "PAPER"


def _place(route: NotificationRoute) -> Place:
    return Place(route.pk, route.channel, frozenset(route.roles), Severity(route.minimum), route.created_at)


# --- the outbox ---------------------------------------------------------------------------------------------------


def deliver(now: Clock, send: Send = messenger.send) -> int:
    """Send everything that is due, each route in a thread of its own: one that hangs holds no other back."""
    due = _due(now()).order_by().values_list("route_id", flat=True).distinct()
    if not (ids := list(due)):
        return 0
    with ThreadPoolExecutor(ROUTES_AT_ONCE, thread_name_prefix="deliver") as pool:
        return sum(pool.map(partial(_drain_alone, now=now, send=send), ids))


def _drain_alone(route_id: int, *, now: Clock, send: Send) -> int:
    try:
        return drain(route_id, now=now, send=send)
    except Exception:  # whatever it is: the rows wait, and the next call looks again
        log.exception("the messages of route %s wait", route_id)
        return 0
    finally:
        connection.close()


def drain(route_id: int, *, now: Clock, send: Send) -> int:
    """Send what is due on one route, the oldest first, until the first that is not taken; return how many were."""
    sent = 0
    while (delivery := claim(route_id, now())) is not None:
        error = _attempt(delivery, send)
        settle(delivery, error, now())
        if error:
            break
        sent += 1
    return sent


def claim(route_id: int, at: datetime) -> Delivery | None:
    """Take the oldest message that is due on this route, so that nobody else sends it; None where none is.

    What nobody needs any more on the way there is stopped: its alert was acknowledged or shelved, its route removed.
    """
    with transaction.atomic():
        for delivery in (
            _due(at).filter(route=route_id).order_by("id").select_for_update(skip_locked=True, of=("self",))
        ):
            if _is_needed(delivery, at):
                delivery.state, delivery.claimed_at = Delivery.State.SENDING, at
                delivery.attempts += 1
                delivery.save(update_fields=["state", "claimed_at", "attempts"])
                return delivery
            delivery.state = Delivery.State.STOPPED
            delivery.save(update_fields=["state"])
    return None


def settle(delivery: Delivery, error: str, at: datetime) -> None:
    """Mark what came of an attempt; a route that does not take its messages is an alert."""
    with transaction.atomic():
        delivery.error = error[:300]
        if not error:
            delivery.state, delivery.sent_at = Delivery.State.SENT, at
        elif delivery.alert_id is None or at - delivery.created_at >= routes.GIVE_UP_AFTER:
            delivery.state = Delivery.State.FAILED
        else:
            delivery.state = Delivery.State.DUE
            delivery.due_at = at + routes.retry_after(delivery.attempts)
        delivery.save(update_fields=["state", "error", "sent_at", "due_at"])
        if error and delivery.alert_id is not None and delivery.attempts >= routes.ALERT_AT_ATTEMPT:
            message = f"Route {delivery.route.name} did not take a message {delivery.attempts} times: {error}"
            alerts.raise_alert(account=None, severity=Severity.WARN, code="ROUTE_FAILED", message=message, at=at)
        transaction.on_commit(partial(live.publish_events, "alerts"))


def prune(at: datetime) -> int:
    """Delete messages longer ago than they are kept, by what became of them; return how many.

    One that is due or on its way stays, and so do all of an alert that people may still be told of: without them the
    escalation would begin anew. What the audit trail says of routes and alerts is untouched; it is told how many
    messages that reached nobody are deleted, of which routes and from which time.
    """
    with transaction.atomic():
        closed = (Delivery.State.SENT, Delivery.State.STOPPED)
        given_up = _outlived((Delivery.State.FAILED,), at, routes.KEEP_FAILED_FOR)
        told = _told_of_deleted(given_up)
        gone = given_up | _outlived(closed, at, routes.KEEP_FOR)
        count, _ = Delivery.objects.filter(pk__in=gone.values("pk")).delete()
        if told["given_up"]:
            audit.record(actor="housekeeping", action="messages.deleted", subject="routes", payload=told, at=at)
    return count


def _outlived(states: Collection[str], at: datetime, keep: timedelta) -> QuerySet[Delivery]:
    """Return the messages in `states` that are older than `keep` and that no escalation needs any more."""
    before = at - keep
    is_over = Q(alert=None) | Q(alert__acknowledged_at__lt=before)
    is_over |= Q(alert__cleared_at__lt=before) & ~Q(alert__severity=Severity.CRIT.value)  # told until acknowledged
    old = Delivery.objects.filter(state__in=states, created_at__lt=before)
    return old.filter(Q(sent_at=None) | Q(sent_at__lt=before)).filter(is_over)


def _told_of_deleted(given_up: QuerySet[Delivery]) -> dict[str, object]:
    of_routes = given_up.order_by("route__name").values_list("route__name").annotate(count=Count("pk"))
    span = given_up.aggregate(first=Min("created_at"), last=Max("created_at"))
    return {
        "given_up": sum(count for _, count in of_routes),
        "routes": [list(one) for one in of_routes],
        **{name: found.isoformat() if found else None for name, found in span.items()},
    }


def _attempt(delivery: Delivery, send: Send) -> str:
    try:
        return send(delivery.route.address, delivery.title, delivery.body)
    except Exception as error:  # a library's fault is no reason to lose the message
        log.exception("route %s", delivery.route.name)
        return f"It could not be sent: {type(error).__name__}."


def _due(at: datetime) -> QuerySet[Delivery]:
    lapsed = Q(state=Delivery.State.SENDING, claimed_at__lte=at - routes.CLAIM_LAPSES)
    return Delivery.objects.filter(Q(state=Delivery.State.DUE, due_at__lte=at) | lapsed)


def _is_needed(delivery: Delivery, at: datetime) -> bool:
    if delivery.route.removed_at is not None:
        return False
    alert = delivery.alert
    if alert is None:
        return True
    return alert.acknowledged_at is None and (alert.shelved_until is None or alert.shelved_until <= at)


# --- the rest -----------------------------------------------------------------------------------------------------


def _refuse_strangers(by: User) -> None:
    roles = frozenset(by.groups.values_list("name", flat=True))
    if refusal := why_not(roles, routes.EDITORS, "change notification routes"):
        raise UnableToRoute(refusal)


def _in_use(route_id: int) -> NotificationRoute:
    route = NotificationRoute.objects.select_for_update().filter(pk=route_id, removed_at=None).first()
    if route is None:
        raise UnableToRoute("This route does not exist any more; reload the page.")
    return route


def _record(route: NotificationRoute, action: str, by: User, at: datetime) -> None:
    payload = {"name": route.name, "channel": route.channel, "address": route.shown, "roles": route.roles}
    audit.record(actor=by.username, action=action, subject=f"route:{route.pk}", payload=payload, at=at)
    transaction.on_commit(partial(live.publish_events, "alerts"))


def _page() -> str:
    return f"{settings.ALLOWED_ORIGINS[0]}/alerts/"

"""Decide about an open order that is not ours: ask the execution loop to cancel or adopt it, or leave it."""

from datetime import datetime
from functools import partial

from django.db import IntegrityError, transaction

from trading import live
from trading.models import Account, ForeignOrderDecision, Order, VenueReading
from trading.services import audit

Choice = ForeignOrderDecision.Choice
Outcome = ForeignOrderDecision.Outcome
DETAIL_LENGTH = 200


class UnableToDecide(Exception):
    """Nothing was decided and nothing leaves; the message is fit for the operator."""


def cancel(*, account: Account, client_order_id: str, by: str, at: datetime) -> ForeignOrderDecision:
    """Ask the execution loop of `account` to cancel the one order named.

    Raises:
        UnableToDecide: the newest reading shows no such order of others, or its cancel is asked for already.
    """
    try:
        return _decide(account, client_order_id, Choice.CANCEL, Outcome.ASKED, by, at)
    except IntegrityError as error:
        raise UnableToDecide(f"The cancel of {client_order_id} is asked for already.") from error


def adopt(*, account: Account, client_order_id: str, by: str, at: datetime) -> ForeignOrderDecision:
    """Ask the execution loop of `account` to take the one order named into our books.

    Raises:
        UnableToDecide: the newest reading shows no such order of others, its id is in our books already, or something
            is asked for it already.
    """
    if Order.objects.filter(client_order_id=client_order_id).exists():
        raise UnableToDecide(
            f"{client_order_id} is in our books already: an id is never used twice. Cancel it instead."
        )
    try:
        return _decide(account, client_order_id, Choice.ADOPT, Outcome.ASKED, by, at)
    except IntegrityError as error:
        raise UnableToDecide(f"Something is asked for {client_order_id} already.") from error


def adopted(*, account: Account, client_order_id: str, refusal: str, at: datetime) -> None:
    """Record in the caller's transaction what came of a wish to adopt."""
    asked = ForeignOrderDecision.objects.filter(
        account=account, client_order_id=client_order_id, choice=Choice.ADOPT, outcome=Outcome.ASKED
    )
    outcome = Outcome.FAILED if refusal else Outcome.ADOPTED
    asked.update(outcome=outcome, detail=refusal[:DETAIL_LENGTH], settled_at=at)
    transaction.on_commit(partial(live.publish_events, "reconcile"))


def leave(*, account: Account, client_order_id: str, by: str, at: datetime) -> ForeignOrderDecision:
    """Remember that a person looked at an order of others and leaves it; it still counts in the worst case.

    Raises:
        UnableToDecide: the newest reading shows no such order of others.
    """
    return _decide(account, client_order_id, Choice.LEAVE, Outcome.LEFT, by, at)


def settle(*, decision: int, outcome: Outcome, detail: str, at: datetime) -> None:
    """Record what came of a cancel (its key); a settled one stays as it is."""
    with transaction.atomic():
        row = (
            ForeignOrderDecision.objects.select_for_update()
            .select_related("account")
            .filter(pk=decision, outcome=Outcome.ASKED)
            .first()
        )
        if row is None:
            return
        row.outcome, row.detail, row.settled_at = outcome, detail[:DETAIL_LENGTH], at
        row.save(update_fields=["outcome", "detail", "settled_at"])
        slug = row.account.slug
        payload = {"decision": row.pk, "order": row.client_order_id, "outcome": outcome, "detail": row.detail}
        audit.record(
            actor=f"runtime:{slug}", action="foreign.settled", subject=f"account:{slug}", payload=payload, at=at
        )
        transaction.on_commit(partial(live.publish_events, "reconcile"))


def _decide(
    account: Account, client_order_id: str, choice: Choice, outcome: Outcome, by: str, at: datetime
) -> ForeignOrderDecision:
    reading = VenueReading.objects.filter(account=account).first()
    seen = next((one for one in reading.foreign if one["id"] == client_order_id), None) if reading else None
    if seen is None:
        raise UnableToDecide(f"The newest reading of {account.name} shows no order {client_order_id} of others.")
    with transaction.atomic():
        row = ForeignOrderDecision.objects.create(
            account=account,
            client_order_id=client_order_id,
            symbol=seen["symbol"],
            choice=choice,
            decided_by=by,
            decided_at=at,
            outcome=outcome,
            settled_at=None if outcome is Outcome.ASKED else at,
        )
        payload = {"decision": row.pk, "order": client_order_id, "symbol": row.symbol, "choice": choice}
        audit.record(actor=by, action="foreign.decided", subject=f"account:{account.slug}", payload=payload, at=at)
        if outcome is Outcome.ASKED:
            transaction.on_commit(partial(live.send_command, {"cmd": "foreign", "account": account.slug}))
        transaction.on_commit(partial(live.publish_events, "reconcile"))
    return row

"""Compliance items, opened by the phase in force or by people and ticked by people; and the bills people enter."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from riskops.domain import compliance
from riskops.models import ComplianceItem, ComplianceTick, CostEntry, PhaseRun
from riskops.standing import template_of
from trading.services import audit

if TYPE_CHECKING:
    from trading.models import Account

FIRST_BILL: Final = date(2020, 1, 1)


class UnableToKeep(Exception):
    """Nothing was changed; the message is fit for the operator."""


def open_items(*, at: datetime) -> list[ComplianceItem]:
    """Open what the phase in force of every account owes for this month; calling it again changes nothing."""
    opened = []
    for run in PhaseRun.objects.filter(ended_at=None).select_related("template", "account"):
        for due in compliance.items_of_month(template_of(run).compliance, at.astimezone(UTC).date()):
            with transaction.atomic():
                row, is_new = ComplianceItem.objects.get_or_create(
                    account=run.account,
                    title=due.title,
                    defaults={"due_on": due.due_on, "opened_by": f"phase {run.template.phase}", "opened_at": at},
                )
                if is_new:
                    _opened(row, "governance", at)
                    opened.append(row)
    return opened


def add(*, account: "Account", by: User, title: str, due_on: date, at: datetime) -> ComplianceItem:
    """Add an item that no phase names.

    Raises:
        UnableToKeep: the title says nothing, the date is past or too far, or there is such an item.
    """
    if refusal := compliance.why_not_add(title, due_on, at.astimezone(UTC).date()):
        raise UnableToKeep(refusal)
    try:
        with transaction.atomic():
            row = ComplianceItem.objects.create(
                account=account, title=title.strip(), due_on=due_on, opened_by=by.username, opened_at=at
            )
            _opened(row, by.username, at)
    except IntegrityError as e:
        raise UnableToKeep("There is an item of that name; give this one another.") from e
    return row


def tick(*, account: "Account", item_id: int, by: User, done: bool, note: str, at: datetime) -> ComplianceTick:
    """Say that an item is done, or take that back; both stay on record.

    Raises:
        UnableToKeep: this account has no such item, it stands so already, or the note says nothing.
    """
    with transaction.atomic():
        item = ComplianceItem.objects.select_for_update().filter(account=account, pk=item_id).first()
        if item is None:
            raise UnableToKeep("This desk has no such item; reload the page.")
        last = item.ticks.last()
        if refusal := compliance.why_not_tick(done=done, was_done=last is not None and last.done, note=note):
            raise UnableToKeep(refusal)
        row = ComplianceTick.objects.create(item=item, done=done, person=by, note=note.strip(), at=at)
        action = "compliance.ticked" if done else "compliance.unticked"
        _record(by.username, action, account, {"item": item.title, "note": row.note}, at)
    return row


def enter_cost(
    *, account: "Account", by: User, billed_on: date, what: str, amount: Decimal, currency: str, at: datetime
) -> CostEntry:
    """Enter one bill; the opposite of one that was entered takes it back.

    Raises:
        UnableToKeep: the bill is of nothing, of the future or of long ago.
    """
    if not amount:
        raise UnableToKeep("A bill is not 0.")
    if not FIRST_BILL <= billed_on <= at.astimezone(UTC).date():
        raise UnableToKeep(f"A bill is dated from {FIRST_BILL} to today.")
    with transaction.atomic():
        row = CostEntry.objects.create(
            account=account, billed_on=billed_on, what=what, amount=amount, currency=currency, entered_by=by,
            entered_at=at,
        )  # fmt: skip
        payload = {"what": what, "amount": str(amount), "currency": currency, "billed_on": billed_on.isoformat()}
        _record(by.username, "cost.entered", account, payload, at)
    return row


def _opened(item: ComplianceItem, actor: str, at: datetime) -> None:
    payload = {"item": item.title, "due_on": item.due_on.isoformat()}
    _record(actor, "compliance.opened", item.account, payload, at)


def _record(actor: str, action: str, account: "Account", payload: Mapping[str, object], at: datetime) -> None:
    audit.record(actor=actor, action=action, subject=f"account:{account.slug}", payload=payload, at=at)

"""Capital in force is what may be used, cash is what the venue holds: ask for what lies between, book what was made."""

from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from functools import partial
from typing import Final

from django.db import transaction
from django.db.models import Sum

from trading import live
from trading.domain import flows
from trading.domain.events import Severity
from trading.domain.modes import Mode
from trading.models import Account, CapitalTransfer, CashFlow, Mandate, asked_for, first_cash
from trading.services import alerts, audit

SMALLEST: Final = Decimal("1e-8")  # as venues keep money


class UnableToBook(Exception):
    """The venue made a transfer that nobody asked for, or that is booked already: halt and look at both."""


class UnableToConfirm(Exception):
    """Nothing was changed; the message is fit for the operator."""


def ask(*, account: Account, mandate: Mandate, by: str, at: datetime) -> CapitalTransfer | None:
    """Ask for what the capital of `mandate` is above or below what was paid in so far; None where it is the same.

    The loop of a paper account carries it out. Beyond paper the console moves no money: people are told what to do.
    """
    if account.mode != Mode.PAPER:
        asked_for(account).update(is_void=True)
    amount = (mandate.capital_quote - funded(account)).quantize(SMALLEST, ROUND_DOWN)
    if not amount:
        return None
    asked = CapitalTransfer.objects.create(
        account=account,
        mandate=mandate,
        flow_id=flows.flow_id(account.slug, mandate.version),
        amount_quote=amount,
        asked_by=by,
        asked_at=at,
    )
    payload = {"transfer": asked.flow_id, "amount_quote": str(amount), "capital_quote": str(mandate.capital_quote)}
    audit.record(actor=by, action="transfer.asked", subject=f"account:{account.slug}", payload=payload, at=at)
    alerts.raise_alert(account=account, severity=Severity.INFO, code="TRANSFER", message=_words(asked), at=at)
    return asked


def funded(account: Account) -> Decimal:
    """Return what was paid in since the account began, and what is on its way."""
    booked = CashFlow.objects.filter(account=account).aggregate(sum=Sum("amount_quote"))["sum"] or Decimal(0)
    coming = asked_for(account).aggregate(sum=Sum("amount_quote"))["sum"] or Decimal(0)
    return first_cash(account) + booked + coming


def confirm(*, account: Account, transfer_id: int, by: str, at: datetime) -> CapitalTransfer:
    """Take a person's word that the money was moved; it is booked once the balance at the venue shows it.

    Raises:
        UnableToConfirm: it is not asked for (any more), or confirmed already.
    """
    with transaction.atomic():
        found = asked_for(account).select_for_update(of=("self",)).filter(pk=transfer_id, confirmed_at=None).first()
        if found is None or account.mode == Mode.PAPER:
            raise UnableToConfirm("No transfer waits for your word under this number; reload the page.")
        found.confirmed_by, found.confirmed_at = by, at
        found.save(update_fields=["confirmed_by", "confirmed_at"])
        payload = {"transfer": found.flow_id, "amount_quote": str(found.amount_quote)}
        audit.record(actor=by, action="transfer.confirmed", subject=f"account:{account.slug}", payload=payload, at=at)
        transaction.on_commit(partial(live.send_command, {"cmd": "transfer", "account": account.slug}))
    return found


def book(*, account: Account, flow_id: str, facts: Mapping[str, object]) -> None:
    """Store what a transfer did to the books (`facts` by the names of the columns), once.

    Raises:
        UnableToBook: it was not asked for, or is booked already; nothing of its turn is stored.
    """
    asked = CapitalTransfer.objects.filter(account=account, flow_id=flow_id, booked=None).first()
    if asked is None:
        raise UnableToBook(f"{account.slug}: {flow_id} was not asked for, or is booked already.")
    CashFlow.objects.create(transfer=asked, account=account, **facts)


def _words(asked: CapitalTransfer) -> str:
    amount = f"{abs(asked.amount_quote).normalize():f} {asked.account.quote}"
    capital = f"Capital in force is {asked.mandate.capital_quote.normalize():f} {asked.account.quote}"
    deposits = asked.amount_quote > 0
    if asked.account.mode == Mode.PAPER:
        return f"{capital}: {amount} {'are paid in' if deposits else 'or what is free of it are paid out'}."
    deed = f"deposit {amount}; until then the desk uses what is there" if deposits else f"withdraw {amount}"
    return f"{capital}: {deed}. The console moves no money there: confirm it on the page Going live."

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
from trading.models import Account, CapitalTransfer, CashFlow, Mandate, asked_for, first_cash, shown
from trading.services import alerts, audit
from trading.services.locks import lock_account

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
    facts = {"amount_quote": str(amount), "capital_quote": str(mandate.capital_quote)}
    _record(asked, "transfer.asked", facts, by, at)
    alerts.raise_alert(account=account, severity=Severity.INFO, code="TRANSFER", message=_words(asked), at=at)
    return asked


def funded(account: Account) -> Decimal:
    """Return what was paid in since the account began, and what is on its way."""
    booked = CashFlow.objects.filter(account=account).aggregate(sum=Sum("amount_quote"))["sum"] or Decimal(0)
    coming = asked_for(account).aggregate(sum=Sum("amount_quote"))["sum"] or Decimal(0)
    return first_cash(account) + booked + coming


def confirm(*, account: Account, transfer_id: int, moved_quote: Decimal, by: str, at: datetime) -> CapitalTransfer:
    """Take a person's word that `moved_quote` (above zero, whatever the direction) was moved.

    It is booked once the balance at the venue shows exactly that, and what it leaves open is asked for again. Until
    then another word takes the place of this one.

    Raises:
        UnableToConfirm: it is not asked for (any more), nobody can have moved this amount, or it is confirmed already.
    """
    with transaction.atomic():
        found = _open(account, transfer_id)
        _refuse_unfit(found, moved_quote)
        before, found.confirmed_quote = found.confirmed_quote, moved_quote.copy_sign(found.amount_quote)
        if found.confirmed_quote == before:
            raise UnableToConfirm("This amount is confirmed already: it is booked once the venue shows exactly that.")
        found.confirmed_by, found.confirmed_at = by, at
        found.save(update_fields=["confirmed_by", "confirmed_quote", "confirmed_at"])
        facts = {"confirmed_quote": str(found.confirmed_quote), "before": None if before is None else str(before)}
        _record(found, "transfer.confirmed", facts, by, at)
        transaction.on_commit(partial(live.send_command, {"cmd": "transfer", "account": account.slug}))
    return found


def end(*, account: Account, transfer_id: int, by: str, at: datetime) -> CapitalTransfer:
    """Take a person's word that nothing (more) of a transfer comes: capital stays, and the desk uses what is there.

    Raises:
        UnableToConfirm: it is not asked for (any more), or the venue shows, or may show, some of it.
    """
    with transaction.atomic():
        found = _open(account, transfer_id)
        seen = shown(found, at)
        if seen is None:
            raise UnableToConfirm("What the venue holds is not known: wait for a reading of it, then end the transfer.")
        if seen:
            amount = f"{abs(seen).normalize():f} {account.quote}"
            raise UnableToConfirm(f"The venue shows {amount} of it: confirm that first, then end what is left.")
        found.is_void = True
        found.save(update_fields=["is_void"])
        _record(found, "transfer.ended", {"amount_quote": str(found.amount_quote)}, by, at)
        transaction.on_commit(partial(live.send_command, {"cmd": "transfer", "account": account.slug}))
    return found


def book(*, account: Account, flow_id: str, facts: Mapping[str, object], at: datetime) -> None:
    """Store what a transfer did to the books (`facts` by the names of the columns), once.

    Beyond paper a part may have been moved: what it leaves open is asked for as a transfer of its own.

    Raises:
        UnableToBook: it was not asked for, is booked already, or nobody confirmed this amount; nothing of its turn is
            stored.
    """
    asked = asked_for(account).select_for_update(of=("self",)).filter(flow_id=flow_id).first()
    if asked is None:
        raise UnableToBook(f"{account.slug}: {flow_id} was not asked for, or is booked already.")
    booked = CashFlow.objects.create(transfer=asked, account=account, **facts)
    if account.mode == Mode.PAPER:
        return
    if booked.amount_quote != asked.confirmed_quote:
        raise UnableToBook(f"{account.slug}: nobody confirmed {booked.amount_quote} of {flow_id}.")
    left = asked.amount_quote - booked.amount_quote
    if left and left.is_signed() == asked.amount_quote.is_signed():
        _ask_again(asked, left, at)


def _ask_again(asked: CapitalTransfer, left_quote: Decimal, at: datetime) -> None:
    part = CapitalTransfer.objects.filter(mandate=asked.mandate).count() + 1
    name = flows.flow_id(asked.account.slug, asked.mandate.version, part)
    rest = CapitalTransfer.objects.create(
        account=asked.account, mandate=asked.mandate, flow_id=name, amount_quote=left_quote, asked_by=asked.asked_by,
        asked_at=at,
    )  # fmt: skip
    facts = {"amount_quote": str(left_quote), "after": asked.flow_id}
    _record(rest, "transfer.asked", facts, asked.asked_by, at)


def _open(account: Account, transfer_id: int) -> CapitalTransfer:
    lock_account(account.pk)
    found = asked_for(account).select_for_update(of=("self",)).filter(pk=transfer_id).first()
    if found is None or account.mode == Mode.PAPER:
        raise UnableToConfirm("No transfer waits for your word under this number; reload the page.")
    return found


def _refuse_unfit(asked: CapitalTransfer, moved_quote: Decimal) -> None:
    quote = asked.account.quote
    if not moved_quote.is_finite() or moved_quote < SMALLEST or moved_quote % SMALLEST:
        raise UnableToConfirm(f"amount: is no amount of {quote}; give it as the venue shows it, with 8 decimals.")
    if asked.amount_quote < 0 and moved_quote > -asked.amount_quote:
        most = f"{-asked.amount_quote.normalize():f} {quote}"
        raise UnableToConfirm(f"amount: more than the {most} that were asked for; pay the rest back in at the venue.")


def _record(transfer: CapitalTransfer, action: str, facts: Mapping[str, object], by: str, at: datetime) -> None:
    account, payload = transfer.account, {"transfer": transfer.flow_id, **facts}
    audit.record(actor=by, action=action, subject=f"account:{account.slug}", payload=payload, at=at)


def _words(asked: CapitalTransfer) -> str:
    amount = f"{abs(asked.amount_quote).normalize():f} {asked.account.quote}"
    capital = f"Capital in force is {asked.mandate.capital_quote.normalize():f} {asked.account.quote}"
    deposits = asked.amount_quote > 0
    if asked.account.mode == Mode.PAPER:
        return f"{capital}: {amount} {'are paid in' if deposits else 'or what is free of it are paid out'}."
    deed = f"deposit {amount}; until then the desk uses what is there" if deposits else f"withdraw {amount}"
    return f"{capital}: {deed}. The console moves no money there: confirm on the page Going live what was moved."

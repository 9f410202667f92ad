"""Who belongs to an account: given and taken by people, on record."""

from datetime import datetime
from functools import partial

from django.contrib.auth.models import User
from django.db import transaction

from trading import live
from trading.models import Account, Membership
from trading.services import audit
from trading.services.locks import lock_account


class UnableToChange(Exception):
    """Nobody was given or taken the account; the message is fit for the operator."""


def give(*, account: Account, person: str, by: str, at: datetime) -> None:
    """Let `person` see and touch `account`; from its first member on it is its members' alone.

    Raises:
        UnableToChange: there is no such person, or they belong to it already.
    """
    with transaction.atomic():
        _, is_new = Membership.objects.get_or_create(account=lock_account(account.pk), person=_named(person))
        if not is_new:
            raise UnableToChange(f"{person} belongs to {account.name} already.")
        _record(account, "member.given", person, by, at)


def take(*, account: Account, person: str, by: str, at: datetime) -> None:
    """Let `person` no longer see `account`; without any member it is everybody's again, so the last one stays.

    Raises:
        UnableToChange: there is no such person, they do not belong to it, or nobody else does.
    """
    with transaction.atomic():
        members = Membership.objects.filter(account=lock_account(account.pk))
        row = members.filter(person=_named(person)).first()
        if row is None:
            raise UnableToChange(f"{person} does not belong to {account.name} by name.")
        if members.count() == 1:
            raise UnableToChange(f"{person} is the last member: without one {account.name} would be everybody's.")
        row.delete()
        _record(account, "member.taken", person, by, at)


def _named(person: str) -> User:
    found = User.objects.filter(username=person, is_active=True).first()
    if found is None:
        raise UnableToChange(f"There is no person called {person}.")
    return found


def _record(account: Account, action: str, person: str, by: str, at: datetime) -> None:
    audit.record(actor=by, action=action, subject=f"account:{account.slug}", payload={"person": person}, at=at)
    transaction.on_commit(partial(live.publish_events, "desk"))

"""Keys of real venues: added and revoked by people, checked against what the venue says, opened for the runtime."""

import re
from datetime import datetime
from functools import partial
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.crypto import salted_hmac

from trading import live
from trading.adapters import binance_wire
from trading.adapters.cancel_http import CancelClient, UnableToCancel
from trading.adapters.keys_paper import paper_key
from trading.adapters.keys_sealed import Sealed, SealedKeys
from trading.adapters.sealing import seal
from trading.domain.modes import Mode
from trading.domain.restrictions import KeyPurpose, objections
from trading.models import Account, KeyCheck, VenueKey
from trading.ports import NoKey
from trading.services import audit

FINGERPRINTS: Final = "gridconsole venue keys"
TWICE: Final = "This key is in use already: each purpose of each account needs a key of its own."
WRITTEN: Final = re.compile(r"[!-~]{8,200}")  # printable ASCII without blanks


class UnableToKeep(Exception):
    """No key was added or revoked; the message is fit for the operator and holds no part of a secret."""


def add(
    *, account: Account, purpose: KeyPurpose, label: str, key: str, secret: str, by: str, at: datetime
) -> VenueKey:  # fmt: skip
    """Seal a key of `account`; from here on nobody sees it again.

    Raises:
        UnableToKeep: a paper account, a text that is no key, or one in use for this purpose.
    """
    label = label.strip()
    if account.mode == Mode.PAPER:
        raise UnableToKeep(f"{account.name} is a paper account: its keys are those of the simulated exchange.")
    if not label:
        raise UnableToKeep("Give the key a label: it is typed to revoke it.")
    for name, text in (("key", key), ("secret", secret)):
        if not WRITTEN.fullmatch(text):
            raise UnableToKeep(f"The {name} is no key of a venue: 8 to 200 letters, digits and signs, no blanks.")
    if key == secret:
        raise UnableToKeep("Key and secret are the same: copy both from the venue's page.")
    try:
        with transaction.atomic():
            kept = VenueKey.objects.create(
                account=account, purpose=purpose, label=label, sealed_key=seal(key), sealed_secret=seal(secret),
                fingerprint=salted_hmac(FINGERPRINTS, key, algorithm="sha256").hexdigest(),
                last_four=key[-4:], added_by=by, added_at=at,
            )  # fmt: skip
            _record(kept, "venue_key.added", by, at)
    except IntegrityError as error:
        known = VenueKey.objects.filter(account=account, purpose=purpose, revoked_at=None).exists()
        why = f"{account.name} has a {purpose} key in use: revoke that one first." if known else TWICE
        raise UnableToKeep(why) from error
    return kept


def revoke(*, key_id: int, typed: str, by: str, at: datetime) -> VenueKey:
    """Throw a key away, its sealed text with it; at the venue it must be deleted by hand.

    Raises:
        UnableToKeep: it is gone already, or the label was not typed.
    """
    with transaction.atomic():
        kept = VenueKey.objects.select_for_update(of=("self",)).select_related("account").filter(pk=key_id).first()
        if kept is None or kept.revoked_at is not None:
            raise UnableToKeep("This key is revoked already; reload the page.")
        if typed.strip() != kept.label:
            raise UnableToKeep(f"Type the label of the key, {kept.label}, to revoke it.")
        kept.sealed_key = kept.sealed_secret = ""
        kept.revoked_by, kept.revoked_at = by, at
        kept.save(update_fields=["sealed_key", "sealed_secret", "revoked_by", "revoked_at"])
        _record(kept, "venue_key.revoked", by, at)
    return kept


def sealed(account: Account) -> Sealed:
    """Return the keys in use of `account`, sealed as they lie."""
    rows = VenueKey.objects.filter(account=account, revoked_at=None)
    return {(account.slug, row.purpose): (row.sealed_key, row.sealed_secret) for row in rows}


def key_of(account: Account, purpose: KeyPurpose) -> tuple[str, str]:
    """Return name and secret of the key of `account` for one purpose; keep them nowhere.

    Raises:
        NoKey: there is none, or it cannot be opened.
    """
    keys = paper_key if account.mode == Mode.PAPER else SealedKeys(sealed(account))
    return keys(account.slug, purpose)


def check(kept: VenueKey, *, at: datetime) -> KeyCheck:
    """Ask the venue what a key may do and what time it is there, and keep the answer; no answer is kept as none."""
    found: tuple[str, ...] | None = None
    skew_ms, problem, opened = None, "", False
    try:
        name, secret = key_of(kept.account, KeyPurpose(kept.purpose))
        opened = True
        client = CancelClient(settings.VENUE_URL, key=name, secret=secret)
        skew_ms = client.clock_skew_ms()
        found = objections(KeyPurpose(kept.purpose), binance_wire.restrictions(client.restrictions()))
    except (NoKey, UnableToCancel, binance_wire.Unreadable) as error:
        problem = str(error)
    with transaction.atomic():
        answer, _ = KeyCheck.objects.update_or_create(
            key=kept,
            defaults={
                "at": at,
                "opened": opened,
                "objections": None if found is None else list(found),
                "problem": problem[:200],
                "skew_ms": skew_ms,
            },
        )
        transaction.on_commit(partial(live.publish_events, "gate"))
    return answer


def check_all(*, at: datetime) -> None:
    """Ask the venue about every key in use."""
    for kept in VenueKey.objects.filter(revoked_at=None).select_related("account"):
        check(kept, at=at)


def ask_soon(*, by: str, at: datetime) -> None:
    """Have housekeeping ask the venue about every key; whoever serves pages opens none that may trade."""
    with transaction.atomic():
        audit.record(actor=by, action="venue_key.check_asked", subject="venue keys", payload={}, at=at)
        transaction.on_commit(partial(live.send_command, {"cmd": "check_keys", "account": None}))


def _record(kept: VenueKey, action: str, by: str, at: datetime) -> None:
    payload = {"purpose": kept.purpose, "label": kept.label, "last_four": kept.last_four}
    audit.record(actor=by, action=action, subject=f"account:{kept.account.slug}", payload=payload, at=at)
    transaction.on_commit(partial(live.publish_events, "gate"))

"""Apply and undo conduct overrides: in force within a second, over restarts, until somebody undoes them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

from django.db import IntegrityError, transaction

from trading import live
from trading.domain.limits import ExecutionStyle
from trading.domain.throttle import Act, pace_limit, why_not
from trading.models import Account, ConductOverride, Mandate, Order
from trading.services import audit

HOUR: Final = timedelta(hours=1)


class UnableToOverride(Exception):
    """Nothing was changed; the message is fit for the operator."""


@dataclass(frozen=True, slots=True)
class Why:
    """Who throttles an account, and what for."""

    by: str
    reason: str
    incident: int | None = None


def apply(*, account: Account, act: Act, factor: Decimal, why: Why, at: datetime) -> ConductOverride:
    """Put an override in force on top of those that are.

    Raises:
        UnableToOverride: it would loosen something, the mandate does not allow it, or it is in force already.
    """
    if refusal := why_not(act, factor) or _against_mandate(account, act):
        raise UnableToOverride(refusal)
    try:
        with transaction.atomic():
            row = ConductOverride.objects.create(
                account=account,
                act=act,
                factor=factor,
                limit=_pace(account, factor, at) if act is Act.ORDERS_PER_MINUTE else None,
                by=why.by,
                reason=why.reason[:200],
                incident=why.incident,
                applied_at=at,
            )
            _tell(row, "conduct.applied", why.by, at)
    except IntegrityError as e:
        raise UnableToOverride(f"{act} is in force already for this incident.") from e
    return row


def undo(*, override_id: int, by: str, at: datetime) -> ConductOverride:
    """Take an override out of force; what others ask for stays.

    Raises:
        UnableToOverride: there is no such override, or it is undone already.
    """
    with transaction.atomic():
        row = ConductOverride.objects.select_for_update().filter(pk=override_id).first()
        if row is None or row.undone_at is not None:
            raise UnableToOverride("This is undone already; reload the page.")
        row.undone_at, row.undone_by = at, by
        row.save(update_fields=["undone_at", "undone_by"])
        _tell(row, "conduct.undone", by, at)
    return row


def _against_mandate(account: Account, act: Act) -> str:
    if act is not Act.MARKET_ONLY:
        return ""
    mandate = Mandate.objects.filter(account=account).order_by("-version").first()
    if mandate is not None and ExecutionStyle.TAKER in mandate.execution_styles:
        return ""
    return "The mandate in force does not allow MARKET orders."


def _pace(account: Account, factor: Decimal, at: datetime) -> int:
    sent = Order.objects.filter(account=account, decided_at__gt=at - HOUR, decided_at__lte=at).exclude(status="DENIED")
    first = sent.order_by("decided_at").values_list("decided_at", flat=True).first()
    return pace_limit(factor, sent.count(), int((at - first).total_seconds()) if first else 0)


def _tell(row: ConductOverride, action: str, by: str, at: datetime) -> None:
    payload = {
        "override": row.pk,
        "act": row.act,
        "factor": str(row.factor),
        "limit": row.limit,
        "incident": row.incident,
        "reason": row.reason,
    }
    audit.record(actor=by, action=action, subject=f"account:{row.account.slug}", payload=payload, at=at)
    transaction.on_commit(partial(live.send_command, {"cmd": "conduct", "account": row.account.slug}))
    transaction.on_commit(partial(live.publish_events, "desk"))

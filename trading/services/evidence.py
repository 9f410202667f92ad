"""Roll up what was measured: every closed hour of every account becomes one row that is kept for good."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Max, Min

from trading.domain.evidence import HOUR, Facts, Slice, hour_of
from trading.domain.orders import OrderType
from trading.models import Account, ConductSample, Fill, HourFacts, Order, slices
from trading.services.samples import KEEP_CONDUCT

MINUTE: Final = timedelta(minutes=1)
# An hour is not rolled up anew once its minutes may be pruned: they would be missing.
ROLLED_FOR_GOOD: Final = KEEP_CONDUCT - timedelta(hours=2)
# Fills that were booked since, and the hours they change: their own, and the one their MARKET order was decided in.
_BOOKED_SINCE: Final = """
SELECT max(fill.id), array_agg(DISTINCT date_trunc('hour', fill.at, 'UTC')),
    array_agg(DISTINCT date_trunc('hour', asked.decided_at, 'UTC')) FILTER (WHERE asked.id IS NOT NULL)
FROM trading_fill fill LEFT JOIN trading_order asked ON asked.id = fill.order_id AND asked.type = %s
WHERE fill.account_id = %s AND fill.id > %s AND fill.at >= %s"""


def record_minute(*, account: str, facts: Facts, at: datetime) -> None:
    """Store what the loop of `account` (its slug) saw in the minute of `at`; a minute that is stored stays as it is."""
    minute = at.replace(second=0, microsecond=0)
    owner = Account.objects.get(slug=account)
    sample = ConductSample(account=owner, at=minute, facts=facts.to_json())
    ConductSample.objects.bulk_create([sample], ignore_conflicts=True)


def roll_up(at: datetime) -> int:
    """Store every hour that is closed at `at` and not stored yet, or changed since; return how many were stored.

    Calling it again changes nothing. Each hour of each account is one transaction: what was stored stays, whatever
    happens to the next.
    """
    return sum(_roll_up_account(account, at.astimezone(UTC)) for account in Account.objects.all())


@dataclass(frozen=True, slots=True)
class _Booked:
    """Which fills were booked since the last roll-up."""

    newest: int
    hours: frozenset[datetime]  # that they change


def _roll_up_account(account: Account, at: datetime) -> int:
    rolled = HourFacts.objects.filter(account=account)
    known = rolled.aggregate(newest=Max("hour"), seen=Max("fills_seen"))
    if known["newest"] is None:
        begin, booked = _first_hour(account), _Booked(_newest_fill(account), frozenset())
    else:
        begin, booked = known["newest"] + HOUR, _booked_since(account, known["seen"], at - ROLLED_FOR_GOOD)
    if begin is None:
        return 0
    unsettled = rolled.filter(unended__gt=0).values_list("hour", flat=True)
    again = {hour for hour in {*booked.hours, *unsettled} if at - ROLLED_FOR_GOOD <= hour < begin}
    hours = sorted(again | set(_closed_hours(begin, at)))
    for hour in hours:  # only with the last one are the fills seen: until then a crash would have to look again
        _roll_up_hour(account, hour, fills_seen=booked.newest if hour == hours[-1] else known["seen"] or 0)
    return len(hours)


def _roll_up_hour(account: Account, hour: datetime, *, fills_seen: int) -> None:
    with transaction.atomic():
        seen = slices.conduct(account, [(hour, hour + HOUR)])
        told = slices.rows(account, [(one.since, one.until) for one in seen])
        whole = [slices.with_rows(one, symbols) for one, symbols in zip(seen, told.symbols, strict=True)]
        HourFacts.objects.update_or_create(
            account=account,
            hour=hour,
            defaults={"facts": _to_json(hour, whole), "unended": told.unended, "fills_seen": fills_seen},
        )


def _to_json(hour: datetime, found: Iterable[Slice]) -> list[dict[str, Any]]:
    return [{"minute": (one.since - hour) // MINUTE, "facts": one.facts.to_json()} for one in found]


def _closed_hours(begin: datetime, at: datetime) -> Iterable[datetime]:
    # The minute before the turn of the hour is stored some seconds after it.
    closed = hour_of(at - MINUTE)
    return (begin + number * HOUR for number in range(max((closed - begin) // HOUR, 0)))


def _first_hour(account: Account) -> datetime | None:
    firsts = (
        ConductSample.objects.filter(account=account).aggregate(at=Min("at"))["at"],
        Fill.objects.filter(account=account).aggregate(at=Min("at"))["at"],
        Order.objects.filter(account=account).aggregate(at=Min("decided_at"))["at"],
    )
    known = [at for at in firsts if at is not None]
    return hour_of(min(known)) if known else None


def _newest_fill(account: Account) -> int:
    """Return the id of the newest fill; one booked after it that is older is looked at once more, and that is all."""
    return Fill.objects.filter(account=account).order_by("-at").values_list("id", flat=True).first() or 0


def _booked_since(account: Account, seen: int, since: datetime) -> _Booked:
    with connection.cursor() as cursor:
        cursor.execute(_BOOKED_SINCE, [OrderType.MARKET.value, account.pk, seen, since])
        newest, filled, decided = cursor.fetchone()
    return _Booked(newest or seen, frozenset([*(filled or ()), *(decided or ())]))

"""Remember which grids a desk runs, from its start on: evidence must know what it was measured on."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from trading.domain.desk import Chosen
from trading.domain.grid import GridSettings
from trading.domain.grids import GridSpec, plain
from trading.domain.in_force import Cause, Ran, cause, granted_lot
from trading.domain.spelling import spell
from trading.models import Account, Grid, GridInForce, Mandate
from trading.services.locks import lock_account


def record(*, account: str, fence: int, grids: Sequence[Chosen], at: datetime) -> list[GridInForce]:
    """Store which of `grids` the desk of `account` (its slug) runs otherwise than before, as of `at`.

    For whoever starts the desk under `fence`; a newer writer has the word. A grid whose row is another one again by now
    is left out: the desk starts anew for it, and it is not in force before.
    """
    with transaction.atomic():
        owner = lock_account(Account.objects.values_list("pk", flat=True).get(slug=account))
        if owner.fence != fence:
            return []
        before = _newest(owner)
        stored = {row.symbol: row for row in Grid.objects.filter(account=owner)}
        now = {chosen.symbol: _spec(chosen) for chosen in grids}
        lot = _lot(owner)
        made = []
        for symbol in sorted(before.keys() | now.keys()):
            row, spec = stored.get(symbol), now.get(symbol)
            if row is not None and row.enabled and (spec is None or _spec(row.chosen) != spec):
                continue
            ran = Ran(spec, row.edited_at if row else None)
            why = cause(before.get(symbol), ran, is_first=not before, lot=lot)
            if why is not None:
                made.append(_row(owner, symbol, ran, why, at))
        return GridInForce.objects.bulk_create(made)


def _newest(account: Account) -> dict[str, Ran]:
    rows = GridInForce.objects.filter(account=account).order_by("symbol", "-id").distinct("symbol")
    return {row.symbol: row.ran for row in rows}


def _row(account: Account, symbol: str, ran: Ran, why: Cause, at: datetime) -> GridInForce:
    words = {} if ran.spec is None else spell(ran.spec)
    return GridInForce(account=account, symbol=symbol, words=words, edited_at=ran.edited_at, cause=why, since=at)


def _spec(chosen: Chosen) -> GridSpec:
    return plain(chosen) if isinstance(chosen, GridSettings) else chosen


def _lot(account: Account) -> Decimal | None:
    mandate = Mandate.objects.filter(account=account).order_by("-version").first()
    return None if mandate is None else granted_lot(mandate.limits)

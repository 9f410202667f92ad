"""What a release of a halt needs, and what trades again after it."""

from datetime import datetime

from trading.domain import halting
from trading.models import Account, Halt, Reconciliation
from trading.selectors import desks
from trading.selectors.numbers import plain


def why_not_releasable(account: Account, at: datetime) -> str:
    """Return what is missing before the halt of `account` may be released, or an empty text."""
    halt = Halt.objects.filter(account=account, released_at=None).first()
    if halt is None:
        return ""
    last = Reconciliation.objects.filter(account=account).order_by("-id").first()
    return halting.why_not_releasable(
        stage=halt.stage,
        clean=last.is_clean if last else None,
        discrepancies=last.discrepancies if last else (),
        age_s=(at - last.at).total_seconds() if last else 0.0,
    )


def what_starts(account: Account) -> list[str]:
    """Return one line per grid: what will place orders again, and what stays paused."""
    return [
        f"{grid.symbol}: stays paused ({grid.paused_reason})"
        if grid.paused_reason
        else f"{grid.symbol}: {grid.style} grid, {grid.slots} slots of {plain(grid.lot_quote)} {account.quote}"
        for grid in desks.grids_of(account)
    ]

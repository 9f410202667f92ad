"""What a release of a halt needs, and what trades again after it."""

from datetime import datetime, timedelta
from typing import Final

from trading.models import Account, Halt, Reconciliation
from trading.selectors import desks
from trading.selectors.numbers import plain

CLEAN_RECONCILE_MAX_AGE: Final = timedelta(seconds=15)  # as services.halts judges it


def why_not_releasable(account: Account, at: datetime) -> str:
    """Return what is missing before the halt of `account` may be released, or an empty text."""
    halt = Halt.objects.filter(account=account, released_at=None).first()
    if halt is None:
        return ""
    if halt.stage not in {Halt.Stage.PROVEN_CLEAR, Halt.Stage.FLAT}:
        return "The halt is not proven clear yet: an order may still be working at the venue."
    last = Reconciliation.objects.filter(account=account).order_by("-id").values_list("is_clean", "at").first()
    if last is None:
        return "There is no reconcile yet: the execution loop has not compared its books with the venue's."
    clean, read_at = last
    if not clean:
        return "The last reconcile is not clean; see Orders & fills, Reconciliation."
    if at - read_at > CLEAN_RECONCILE_MAX_AGE:
        return "The last clean reconcile is older than 15 s; the execution loop may not be running."
    return ""


def what_starts(account: Account) -> list[str]:
    """Return one line per grid: what will place orders again, and what stays paused."""
    return [
        f"{grid.symbol}: stays paused ({grid.paused_reason})"
        if grid.paused_reason
        else f"{grid.symbol}: {grid.style} grid, {grid.slots} slots of {plain(grid.lot_quote)} {account.quote}"
        for grid in desks.grids_of(account)
    ]

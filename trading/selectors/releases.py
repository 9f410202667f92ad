"""What a release of a halt needs, and what trades again after it."""

from datetime import datetime

from trading.domain import halting
from trading.models import Halt, Reconciliation
from trading.selectors import desks
from trading.selectors.numbers import plain


def why_not_releasable(halt: Halt, at: datetime) -> str:
    """Return what is missing before `halt` may be released, or an empty text."""
    last = Reconciliation.objects.filter(account=halt.account).order_by("-id").first()
    return halting.why_not_releasable(
        stage=halt.stage,
        clean=last.is_clean if last else None,
        discrepancies=last.discrepancies if last else (),
        age_s=(at - last.at).total_seconds() if last else 0.0,
    )


def what_starts(halt: Halt) -> list[str]:
    """Return one line per grid that `halt` stops: what will place orders again, what stays paused or halted."""
    account = halt.account
    others = Halt.objects.filter(account=account, released_at=None).exclude(pk=halt.pk)
    halted = set(others.values_list("symbol", flat=True))
    lines: list[str] = []
    for grid in desks.grids_of(account):
        if halt.symbol not in ("", grid.symbol):
            continue
        if halted & {"", grid.symbol}:
            lines.append(f"{grid.symbol}: stays halted by another halt")
        elif grid.paused_reason:
            lines.append(f"{grid.symbol}: stays paused ({grid.paused_reason})")
        else:
            slots = f"{grid.slots} slots of {plain(grid.lot_quote)} {account.quote}"
            lines.append(f"{grid.symbol}: {grid.style} grid, {slots}")
    return lines

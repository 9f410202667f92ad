"""What has to be seen to by a date, as people read it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from riskops.domain import compliance
from riskops.models import ComplianceItem

if TYPE_CHECKING:
    from trading.models import Account

ITEMS_SHOWN: Final = 60  # days a ticked item stays on the page


@dataclass(frozen=True, slots=True)
class ItemLine:
    """One compliance item."""

    id: int
    title: str
    due_on: date
    state: str
    glyph: str
    opened_by: str
    person: str
    at: datetime | None
    note: str
    done: bool


GLYPHS: Final = {
    compliance.State.DONE: "✓",
    compliance.State.LATE: "✗",
    compliance.State.SOON: "◷",
    compliance.State.OPEN: "○",
}


def items(account: "Account", at: datetime) -> list[ItemLine]:
    """Return what is open, and what was due of late, by its date; two queries."""
    today = at.astimezone(UTC).date()
    rows = ComplianceItem.objects.filter(account=account).prefetch_related("ticks__person")
    lines = [_item(row, today) for row in rows]
    return [line for line in lines if not line.done or line.due_on >= today - timedelta(days=ITEMS_SHOWN)]


def _item(row: ComplianceItem, today: date) -> ItemLine:
    last = next(reversed(row.ticks.all()), None)
    done = last is not None and last.done
    state = compliance.state(done=done, due_on=row.due_on, on=today)
    return ItemLine(
        id=row.pk,
        title=row.title,
        due_on=row.due_on,
        state=state.value,
        glyph=GLYPHS[state],
        opened_by=row.opened_by,
        person=last.person.username if last else "",
        at=last.at if last else None,
        note=last.note if last else "",
        done=done,
    )

"""Where the glass is broken, who asked, who may grant."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib.auth.models import User

from riskops.domain.break_glass import why_not_break
from riskops.models import BreakGlass
from riskops.standing import glass_asked, glass_broken
from trading.domain.people import DESK, why_not

if TYPE_CHECKING:
    from trading.models import Account


@dataclass(frozen=True, slots=True)
class GlassPage:
    """What the page shows of one desk."""

    broken: BreakGlass | None
    asked: BreakGlass | None
    past: tuple[BreakGlass, ...]
    why_not_ask: str
    why_not_grant: str


def in_force(at: datetime) -> list[BreakGlass]:
    """Return the glass that is broken at any desk; one query."""
    rows = BreakGlass.objects.filter(granted_at__isnull=False, expires_at__gt=at)
    return list(rows.select_related("account", "asked_by", "granted_by"))


def glass_page(account: "Account", reader: User, at: datetime) -> GlassPage:
    """Return what the page of `account` shows to `reader`."""
    roles = frozenset(reader.groups.values_list("name", flat=True))
    asked = glass_asked(account, at)
    past = BreakGlass.objects.filter(account=account, expires_at__lte=at).select_related("asked_by", "granted_by")
    return GlassPage(
        broken=glass_broken(account, at),
        asked=asked,
        past=tuple(past[:10]),
        why_not_ask=why_not(roles, DESK, "break the glass"),
        why_not_grant=why_not_break(
            same_person=asked.asked_by_id == reader.pk,
            asker_roles=set(asked.asked_by.groups.values_list("name", flat=True)),
            roles=roles,
            waited=at - asked.asked_at,
        )
        if asked
        else "",
    )

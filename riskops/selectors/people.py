"""The people of the console, as an administrator sees them."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef
from django_otp.plugins.otp_totp.models import TOTPDevice

from trading.domain.people import NEEDED


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One person."""

    id: int
    name: str
    full_name: str
    roles: tuple[str, ...]
    last_sign_in: datetime | None
    has_authenticator: bool
    is_active: bool
    is_administrator: bool
    is_invited: bool  # has never set a password
    is_you: bool
    last_of: str  # roles the desk needs that nobody else active holds


def people(you: User) -> list[PersonLine]:
    """Return everybody, active people first, in two queries."""
    device = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
    rows = list(
        User.objects.annotate(has_device=Exists(device)).prefetch_related("groups").order_by("-is_active", "username")
    )
    holders: dict[str, int] = {}
    for row in rows:
        for group in row.groups.all():
            holders[group.name] = holders.get(group.name, 0) + row.is_active
    return [_line(row, you, holders) for row in rows]


def _line(row: User, you: User, holders: dict[str, int]) -> PersonLine:
    roles = tuple(sorted(group.name for group in row.groups.all()))
    last = [role for role in roles if role in NEEDED and row.is_active and holders[role] == 1]
    return PersonLine(
        id=row.pk,
        name=row.username,
        full_name=row.first_name,
        roles=roles,
        last_sign_in=row.last_login,
        has_authenticator=bool(getattr(row, "has_device", False)),
        is_active=row.is_active,
        is_administrator=row.is_superuser,
        is_invited=not row.has_usable_password(),
        is_you=row.pk == you.pk,
        last_of=" and ".join(last),
    )

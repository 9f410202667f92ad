"""Write docs/permissions.md out of the table that the tests try: `python -m tests.riskops.web.permissions_page`."""

from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "permissions.md"
WORDS: Final = {"-": "no", "r": "reads", "w": "**does**"}
HEAD: Final = """# Permissions: every address and every role

Written by `python -m tests.riskops.web.permissions_page` out of the table that `tests/riskops/web/test_permissions.py`
tries cell by cell; a test fails when this page is not current. **does**: obeyed, and read where there is something to
read; reads: may look; no: refused, told why, recorded. After `@` stands the phase whose step is asked for.

Being an administrator (superuser) gives no role. The sign-in, an invitation, health and metrics ask for no role;
Django's tables (`/admin/`) ask for staff and the rights given there. Of the audit trail a Trader, and who has no role,
reads their own rows; everybody else all of it. Everybody ends only their own sessions."""
SPACES: Final = {"trading": "Operation", "riskops": "Governance", "socket": "Live numbers"}


def page() -> str:
    """Return the page."""
    from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver

    from tests.riskops.web.test_permissions import ROLES, ROWS, SOCKETS

    addresses: dict[str, str] = {}

    def walk(resolver: URLResolver, prefix: str, space: str) -> None:
        for entry in resolver.url_patterns:
            if isinstance(entry, URLResolver):
                walk(entry, f"{prefix}{entry.pattern}", f"{entry.namespace}:" if entry.namespace else space)
            elif isinstance(entry, URLPattern):
                addresses[f"{space}{entry.name}"] = f"/{prefix}{entry.pattern}"

    walk(get_resolver(), "", "")
    names = [name.replace("nobody", "not signed in") for name in ROLES]
    lines = [HEAD]
    for space, title in SPACES.items():
        rows = {name: letters for name, letters in (ROWS | SOCKETS).items() if name.startswith(f"{space}:")}
        lines += ["", f"## {title}", "", f"| address | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
        for name, letters in rows.items():
            route, _, phase = name.partition("@")
            address = addresses.get(route) or {"socket:live": "WebSocket /ws/live/"}.get(route)
            if address is None:
                raise NoReverseMatch(route)
            shown = f"`{address}`{f' @{phase}' if phase else ''}"
            lines.append(f"| {shown} | {' | '.join(WORDS[letter] for letter in letters)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import django

    django.setup()
    PAGE.write_text(page())

"""Messages to people: one notification through apprise, which speaks the dialect of every service."""

from typing import Final

LONGEST_ANSWER: Final = 300  # characters of what a service said
LIMIT_S: Final = 30.0  # of one message, retries of the library included


def why_not(address: str) -> str:
    """Return why `address` cannot be used, or an empty text; nothing is sent."""
    from apprise import Apprise  # late: only who tells people needs its hundred services

    service = Apprise.instantiate(address, suppress_exceptions=True)
    return "" if service else "This address is not complete; compare it with the service's example."


def send(address: str, title: str, body: str) -> str:
    """Send one message within `LIMIT_S`; return an empty text once the service has taken it, otherwise why not."""
    from apprise import Apprise, AppriseAsset, NotifyFormat

    messenger = Apprise(asset=AppriseAsset(secure_logging=True, app_id="Grid Console"))
    if not messenger.add(address):
        return "This address is not complete."
    taken = messenger.notify(title=title, body=body, body_format=NotifyFormat.TEXT, timeout=LIMIT_S)
    if taken:
        return ""
    said = " ".join(" ".join(entry.message.split()) for entry in taken.logs())
    return (said or "The service did not take it.")[:LONGEST_ANSWER]

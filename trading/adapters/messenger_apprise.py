"""Messages to people: one notification through apprise, which knows every service worth having."""

import logging
import threading
from typing import Final

LOGGER: Final = "apprise"
LONGEST_WORD: Final = 300  # characters of what a service answered


def why_not(address: str) -> str:
    """Return why `address` cannot be used, or an empty text; nothing is sent."""
    from apprise import Apprise  # late: only who tells people needs its hundred services

    service = Apprise.instantiate(address, suppress_exceptions=True)
    return "" if service else "This address is not complete; compare it with the service's example."


def send(address: str, title: str, body: str) -> str:
    """Send one message and return an empty text once the service has taken it, otherwise why not.

    What a service said when it refused is read off the library's log, of this thread alone.
    """
    from apprise import Apprise, AppriseAsset, NotifyFormat

    messenger = Apprise(asset=AppriseAsset(async_mode=False, secure_logging=True, app_id="Grid Console"))
    if not messenger.add(address):
        return "This address is not complete."
    with _Heard() as heard:
        taken = messenger.notify(title=title, body=body, body_format=NotifyFormat.TEXT)
    return "" if taken else (heard.words or "The service did not take it.")[:LONGEST_WORD]


class _Heard(logging.Handler):
    """What the library warned of in this thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self._lines: list[str] = []

    @property
    def words(self) -> str:
        return " ".join(self._lines)

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._lines.append(" ".join(record.getMessage().split()))

    def __enter__(self) -> "_Heard":
        logging.getLogger(LOGGER).addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger(LOGGER).removeHandler(self)

"""Which code and configuration a process runs: two processes that differ must not trade together."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from django.conf import settings

SOURCES: Final = ("gridconsole", "riskops", "trading")
LIBRARIES: Final = ("celery", "ccxt", "channels", "django", "numpy", "psycopg", "redis")
SETTINGS: Final = (
    "PROFILE", "DEBUG", "LOOPS", "LOOP_HEARTBEAT_LIMIT_MS", "SIMULATOR_URL", "VENUE_URL", "SIMULATOR_STANDS_IN",
)  # fmt: skip
DATABASE: Final = ("NAME", "HOST", "PORT")
DIGITS: Final = 8


@cache
def digest() -> str:
    """Return code and configuration of this process as it started, as "1a2b3c4d-5e6f7a8b"; the rest of the process
    keeps what it has loaded, whatever is edited meanwhile.
    """
    code, root = hashlib.sha256(), Path(settings.BASE_DIR)
    for path in sorted(path for source in SOURCES for path in (root / source).rglob("*.py")):
        code.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    for library in LIBRARIES:
        code.update(f"{library} {version(library)}\0".encode())
    database = settings.DATABASES["default"]
    facts = [*(getattr(settings, name) for name in SETTINGS), *(database.get(name) for name in DATABASE)]
    configuration = hashlib.sha256(repr(facts).encode())
    return f"{code.hexdigest()[:DIGITS]}-{configuration.hexdigest()[:DIGITS]}"

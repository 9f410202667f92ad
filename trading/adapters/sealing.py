"""Secrets at rest: sealed with a key that the database never sees.

The key stands in `SECRETS_KEY_FILE`, made once, readable by its owner alone. Where several machines share a database
`GRIDCONSOLE_SECRETS_KEYS` gives it instead: Fernet keys with commas between, the first seals, every one unseals.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Unreadable(Exception):
    """What was sealed cannot be opened with the keys at hand; enter the secret anew, or bring the key back."""


def seal(plain: str) -> str:
    """Return `plain` sealed: fit for a column, of no use without the key.

    Raises:
        Unreadable: a key at hand is none.
    """
    return _fernet().encrypt(plain.encode()).decode()


def unseal(sealed: str) -> str:
    """Return what was sealed.

    Raises:
        Unreadable: it was sealed with another key, or changed since, or a key at hand is none.
    """
    try:
        return _fernet().decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise Unreadable("It was sealed with another key, or changed since.") from error


def _fernet() -> MultiFernet:
    given = [key.strip() for key in settings.SECRETS_KEYS.split(",") if key.strip()]
    try:
        return MultiFernet([Fernet(key) for key in given or [_kept(Path(settings.SECRETS_KEY_FILE))]])
    except ValueError as error:
        place = "GRIDCONSOLE_SECRETS_KEYS" if given else str(settings.SECRETS_KEY_FILE)
        raise Unreadable(f"{place} holds no Fernet key (32 bytes in url-safe base64).") from error


def _kept(path: Path) -> str:
    """Return the key of the file; the first who asks makes it, whole or not at all."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was first: its key counts
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()

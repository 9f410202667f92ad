"""Keys of a real venue: sealed wherever they lie, opened only for the moment of use, by purpose."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from trading.adapters.sealing import Unreadable, unseal
from trading.ports import NoKey

Sealed = Mapping[tuple[str, str], tuple[str, str]]  # (account, purpose) -> name and secret, both sealed


class SealedKeys:
    """Opens what was sealed, one purpose of one account at a time."""

    def __init__(self, sealed: Sealed) -> None:
        self._sealed = dict(sealed)

    def __call__(self, slug: str, purpose: str) -> tuple[str, str]:
        """Return name and secret of a key.

        Raises:
            NoKey: none is kept, or it was sealed with another key than the one at hand.
        """
        found = self._sealed.get((slug, purpose))
        if found is None:
            raise NoKey(f"{slug}: no {purpose} key is kept; add one under Settings, Venue keys.")
        try:
            name, secret = map(unseal, found)
        except Unreadable:
            raise NoKey(f"{slug}: the {purpose} key cannot be opened with the keys at hand; add it anew.") from None
        return name, secret


def write_cancel_keys(path: Path, doors: Mapping[str, tuple[str, tuple[str, str] | None]]) -> None:
    """Leave the sealed cancel keys for the watchdog: account -> the venue's address and the key, None without one.

    Raises:
        OSError: the file cannot be written.
    """
    fresh = path.with_suffix(".new")
    with open(os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        json.dump({slug: [url, list(key) if key else None] for slug, (url, key) in doors.items()}, file)
    fresh.replace(path)


def read_cancel_keys(path: Path) -> dict[str, tuple[str, tuple[str, str] | None]]:
    """Return what `write_cancel_keys` left; empty without a file: then every account is paper.

    Raises:
        NoKey: the file is damaged: nobody knows which account is paper.
    """
    try:
        found = json.loads(path.read_text()).items()
        return {str(slug): (str(url), (str(key[0]), str(key[1])) if key else None) for slug, (url, key) in found}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError, IndexError, RecursionError):
        raise NoKey(f"{path.name} is damaged: restart the trading loops, which write it.") from None

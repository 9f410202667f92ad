"""The keys of the simulated exchange: fixed, and no secret; each can do no more than it must."""

import hashlib

from trading.domain.restrictions import KeyPurpose
from trading.ports import NoKey


def paper_key(slug: str, purpose: str) -> tuple[str, str]:
    """Return name and secret of an account's key; `purpose` is "trade", "cancel" or "read".

    Raises:
        NoKey: there is no such purpose.
    """
    if purpose not in set(KeyPurpose):
        raise NoKey(f"{slug}: there is no key to {purpose}.")
    name = f"paper-{slug}-{purpose}"
    return name, hashlib.sha256(name.encode()).hexdigest()

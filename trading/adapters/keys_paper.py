"""The keys of the simulated exchange: fixed, and no secret; each can do no more than it must."""

import hashlib


def paper_key(slug: str, purpose: str) -> tuple[str, str]:
    """Return name and secret of an account's key; `purpose` is "trade", "cancel" or "read"."""
    name = f"paper-{slug}-{purpose}"
    return name, hashlib.sha256(name.encode()).hexdigest()

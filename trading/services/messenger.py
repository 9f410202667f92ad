"""Messages to people outside the console; whoever sends one never sees the address."""

from trading.adapters import messenger_apprise
from trading.adapters.sealing import Unreadable, seal, unseal


class UnusableAddress(Exception):
    """No message can go there; the message is fit for the operator."""


def sealed(address: str) -> str:
    """Return `address` sealed, once it is known to be one.

    Raises:
        UnusableAddress: it is none, or there is no key to seal it with.
    """
    if refusal := messenger_apprise.why_not(address):
        raise UnusableAddress(refusal)
    try:
        return seal(address)
    except Unreadable as error:
        raise UnusableAddress(f"The address cannot be sealed: {error}") from error


def send(address: str, title: str, body: str) -> str:
    """Send one message to a sealed address; return an empty text once the service has taken it, otherwise why not."""
    try:
        opened = unseal(address)
    except Unreadable as error:
        return f"The address cannot be opened: {error} Remove the route and add it anew."
    return messenger_apprise.send(opened, title, body)

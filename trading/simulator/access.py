"""Keys of the simulated exchange: who asks, what the key may do, whether the request is genuine and in time."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

from trading.simulator import errors

DEFAULT_WINDOW_MS: Final = 5_000
LONGEST_WINDOW_MS: Final = 60_000
AHEAD_MS: Final = 1_000  # a time stamp may be less than this ahead of the server
PURPOSES: Final = ("trade", "cancel", "read")


class Permission(StrEnum):
    """What an endpoint asks of a key."""

    NONE = "none"  # public
    READ = "read"
    CANCEL = "cancel"
    TRADE = "trade"


GRANTS: Final = MappingProxyType(
    {
        "trade": frozenset({Permission.READ, Permission.CANCEL, Permission.TRADE}),
        "cancel": frozenset({Permission.READ, Permission.CANCEL}),
        "read": frozenset({Permission.READ}),
    }
)


@dataclass(frozen=True, slots=True)
class PaperAccount:
    """One account of the simulated exchange: what it starts with."""

    slug: str
    balances: Mapping[str, Decimal]


DEFAULT_ACCOUNTS: Final = (
    PaperAccount("micro", MappingProxyType({"USDT": Decimal(300)})),
    PaperAccount("production", MappingProxyType({"USDT": Decimal(25_000)})),
)


# What a key may do as its venue says, besides what its grants tell; the control plane changes it key by key.
SWITCHES: Final = MappingProxyType(
    {
        "ipRestrict": True,
        "enableReading": True,
        "enableWithdrawals": False,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enablePortfolioMarginTrading": False,
    }
)
TRADES: Final = "enableSpotAndMarginTrading"


@dataclass(frozen=True, slots=True)
class Key:
    """One API key. Paper only: anybody may know it, it opens nothing but this simulator."""

    name: str
    secret: str
    account: str
    grants: frozenset[Permission]
    switches: Mapping[str, bool] = field(default_factory=lambda: SWITCHES)

    @property
    def restrictions(self) -> dict[str, bool]:
        """What the venue says of it. Binance has no permission to cancel only: such a key is one that may trade."""
        return {TRADES: Permission.CANCEL in self.grants, **self.switches}


def key_name(slug: str, purpose: str) -> str:
    """Return the API key of an account for "trade", "cancel" or "read"."""
    return f"paper-{slug}-{purpose}"


def secret_of(name: str) -> str:
    """Return the secret of a paper key: fixed, and no secret."""
    return hashlib.sha256(name.encode()).hexdigest()


def keys_of(slug: str) -> list[Key]:
    """Return the three keys of an account."""
    names = {purpose: key_name(slug, purpose) for purpose in PURPOSES}
    return [Key(name, secret_of(name), slug, GRANTS[purpose]) for purpose, name in names.items()]


class Keyring:
    """All keys; checks requests against them."""

    def __init__(self, slugs: list[str]) -> None:
        self._keys = {key.name: key for slug in slugs for key in keys_of(slug)}

    def switch(self, name: str, switches: Mapping[str, bool]) -> dict[str, bool]:
        """Change what the venue says of a key; return all of it.

        Raises:
            KeyError: there is no such key.
        """
        self._keys[name] = replace(self._keys[name], switches={**self._keys[name].switches, **switches})
        return self._keys[name].restrictions

    def open(self, name: str | None, permission: Permission) -> Key:
        """Return the key called `name` if it grants `permission`.

        Raises:
            ApiError: -2014 without a key, -2015 otherwise.
        """
        if not name:
            raise errors.bad_key_format()
        key = self._keys.get(name)
        if key is None or permission not in key.grants:
            raise errors.bad_key()
        return key


def check_signature(key: Key, payload: str, signature: str | None) -> None:
    """Check the HMAC-SHA256 of `payload`.

    Raises:
        ApiError: -1102 without a signature, -1022 with a wrong one.
    """
    if not signature:
        raise errors.missing("signature")
    expected = hmac.new(key.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise errors.bad_signature()


def check_time(parameters: Mapping[str, str], now_ms: int) -> None:
    """Check that the request was sent within its window.

    Raises:
        ApiError: -1102 without a time stamp, -1131 for a window above a minute, -1021 outside of it.
    """
    sent_ms = integer(parameters, "timestamp")
    if sent_ms is None:
        raise errors.missing("timestamp")
    window_ms = _window_ms(parameters)
    if sent_ms >= now_ms + AHEAD_MS:
        raise errors.ahead_of_server()
    if now_ms - sent_ms > window_ms:
        raise errors.outside_window()


def integer(parameters: Mapping[str, str], name: str) -> int | None:
    """Return a whole number, None when it is absent.

    Raises:
        ApiError: -1100, it is something else.
    """
    text = parameters.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,19}", text):
        raise errors.illegal(name, errors.INTEGER)
    return int(text)


def _window_ms(parameters: Mapping[str, str]) -> Decimal:
    text = parameters.get("recvWindow", str(DEFAULT_WINDOW_MS))
    if not re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,3})?", text):  # Binance takes microseconds as a fraction
        raise errors.illegal("recvWindow", errors.NUMBER)
    window_ms = Decimal(text)
    if window_ms > LONGEST_WINDOW_MS:
        raise errors.ApiError(400, -1131, "recvWindow must be less than 60000")
    return window_ms


def split_signature(query: str, body: str) -> tuple[str, str | None]:
    """Return what a REST request signs (query and body, joined without a separator) and its signature."""
    signature: str | None = None
    parts: list[str] = []
    for half in (query, body):
        kept = []
        for pair in half.split("&") if half else []:
            if pair.startswith("signature="):
                signature = pair.removeprefix("signature=")
            else:
                kept.append(pair)
        parts.append("&".join(kept))
    return "".join(parts), signature


def parse(query: str, body: str) -> dict[str, str]:
    """Return the parameters of a REST request; those in the query win over the body's.

    Raises:
        ApiError: -1101 a name is sent twice in one half, -1100 the text cannot be decoded.
    """
    parameters: dict[str, str] = {}
    for half in (body, query):
        pairs = _pairs(half)
        if len({name for name, _ in pairs}) != len(pairs):
            raise errors.ApiError(400, -1101, "Duplicate values for a parameter detected.")
        parameters.update(pairs)
    return parameters


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=False, encoding="utf-8", errors="strict", max_num_fields=64)
    except ValueError as error:
        raise errors.ApiError(400, -1101, "Too many parameters sent, or text that is not UTF-8.") from error

"""What a key of the venue may do, as the venue itself says, held against what it is for."""

from dataclasses import dataclass
from enum import StrEnum


class KeyPurpose(StrEnum):
    """Keys are split by what they are for (decisions: several keys share one limit per address anyway)."""

    TRADE = "trade"
    CANCEL = "cancel"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Restrictions:
    """The venue's answer about one key.

    Source: Binance, "Get API Key Permission", GET /sapi/v1/account/apiRestrictions.
    """

    is_address_restricted: bool
    may_read: bool
    may_trade_spot: bool  # Binance has one permission for spot and margin
    may_withdraw: bool
    may_transfer_internally: bool
    may_transfer_universally: bool
    may_trade_margin: bool
    may_trade_futures: bool
    may_trade_options: bool


def objections(purpose: KeyPurpose, found: Restrictions) -> tuple[str, ...]:
    """Return what makes a key unfit for its purpose; empty where nothing does.

    The venue knows no permission to cancel only: a CANCEL key needs the permission to trade, and it is ours to use it
    for nothing else. It is a key of its own so that it can be revoked by itself.
    """
    said = (
        (found.may_withdraw, "withdrawals are enabled"),
        (found.may_transfer_internally, "internal transfers are enabled"),
        (found.may_transfer_universally, "universal transfers are enabled"),
        (not found.is_address_restricted, "it is not restricted to an address"),
        (not found.may_read, "it may not read"),
        (found.may_trade_margin, "margin trading is enabled"),
        (found.may_trade_futures, "futures are enabled"),
        (found.may_trade_options, "options are enabled"),
        (purpose is KeyPurpose.READ and found.may_trade_spot, "it may trade, and is for reading"),
        (purpose is not KeyPurpose.READ and not found.may_trade_spot, "it may not trade, and so not cancel either"),
    )
    return tuple(text for is_so, text in said if is_so)

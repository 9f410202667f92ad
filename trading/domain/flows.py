"""Money that is paid in or out: cash for the books, no profit and no loss, and no change of any drawdown."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

SCALE_STEP: Final = Decimal("1e-12")  # as the database keeps it


class Word(StrEnum):
    """Who says that a transfer was made."""

    VENUE = "the venue"
    PERSON = "a person"  # booked once the balance shows exactly that
    NOBODY = "nobody yet"  # asked for: a balance that may show some of it waits for a person


@dataclass(frozen=True, slots=True)
class Flow:
    """One transfer."""

    flow_id: str  # ours, unique for life: "gcf-micro-2"
    amount_quote: Decimal  # above zero paid in, below zero paid out
    at_ns: int  # venue time
    word: Word = Word.VENUE


@dataclass(frozen=True, slots=True)
class Funding:
    """What was paid in since the account began, and what that makes of its equity.

    `scale` is how many times as much the account holds as it would without any flow. Equity / scale therefore runs on
    through every flow as if nothing had been paid: drawdowns and returns are measured on it, as a fund measures them on
    the price of its unit. P&L is in money: it is equity less what was paid in.
    """

    paid_in_quote: Decimal = Decimal(0)  # deposits less withdrawals
    scale: Decimal = Decimal(1)

    def after(self, amount_quote: Decimal, equity_before_quote: Decimal) -> "Funding":
        """Return the funding once `amount_quote` was paid in or out; an account that is empty before or after it has
        no share of its equity to speak of, and keeps its scale."""
        left, scale = equity_before_quote + amount_quote, self.scale
        if equity_before_quote > 0 and left > 0:
            scale = max((scale * left / equity_before_quote).quantize(SCALE_STEP), SCALE_STEP)
        return Funding(self.paid_in_quote + amount_quote, scale)

    def unscaled(self, equity_quote: Decimal) -> Decimal:
        """Return `equity_quote` as it would be without any flow."""
        return equity_quote if self.scale == 1 else equity_quote / self.scale

    def reference(self, opening_quote: Decimal, then: "Funding") -> Decimal:
        """Return what an equity of `opening_quote` under the funding of `then` is to be compared with now."""
        return opening_quote if self.scale == then.scale else opening_quote / then.scale * self.scale


UNFUNDED: Final = Funding()  # nothing was ever paid in or out


def flow_id(account: str, number: int, part: int = 1) -> str:
    """Return the id of a transfer: a venue that is asked twice under the same one makes it once.

    What a first part leaves open is asked for under an id of its own: "gcf-micro-2.2".
    """
    return f"{id_prefix(account)}{number}{'' if part == 1 else f'.{part}'}"


def id_prefix(account: str) -> str:
    """Return how the ids of our transfers of `account` begin."""
    return f"gcf-{account}-"

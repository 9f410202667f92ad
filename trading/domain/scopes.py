"""What a halt stops: everything, one account, one symbol wherever it trades, or one grid."""

from dataclasses import dataclass
from typing import Final

ALL: Final = "*"


@dataclass(frozen=True, slots=True)
class Scope:
    """Written "*", "micro", "*/BTCUSDT" or "micro/BTCUSDT"; the same text in forms, the latch file and the audit."""

    account: str = ""  # slug; "": every account
    symbol: str = ""  # "": every symbol, and with it the account itself

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Return the scope that `text` names; nothing at all is everything.

        Raises:
            ValueError: it is no such text.
        """
        account, slash, symbol = text.partition("/")
        if (slash and not symbol) or "/" in symbol or symbol == ALL or not text.isprintable():
            raise ValueError(f"{text!r} is no scope: write an account, account/SYMBOL, or */SYMBOL.")
        return cls("" if account == ALL else account, symbol)

    @classmethod
    def of_latch(cls, text: str) -> "Scope":
        """Return what a latch stops; one that cannot be understood stops everything."""
        try:
            return cls.parse(text)
        except ValueError:
            return cls()

    def __str__(self) -> str:
        return f"{self.account or ALL}/{self.symbol}" if self.symbol else self.account or ALL

    def concerns(self, account: str) -> bool:
        """Return whether something of `account` stops."""
        return self.account in ("", account)

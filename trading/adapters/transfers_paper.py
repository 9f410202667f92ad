"""Transfers at the simulated exchange, through its control plane: play money alone."""

from decimal import Decimal
from typing import Any
from urllib.parse import quote as quoted

from trading.adapters.binance_ccxt import Binance
from trading.adapters.binance_wire import Unreadable, milliseconds, sequence, text
from trading.domain.flows import Flow
from trading.domain.instruments import UnreadableNumber, parse_decimal
from trading.ports import FateUnknown


class PaperTransfers:
    """The purse of one paper account."""

    def __init__(self, base_url: str, *, account: str, quote: str) -> None:
        """`base_url` is where the simulated exchange listens."""
        self._exchange = Binance(base_url)
        self._base = f"{base_url.rstrip('/')}/sim"
        self._account = account
        self._quote = quote

    async def move(self, flow_id: str, amount_quote: Decimal) -> None:
        """Have money paid in or out; asked again under the same id nothing more is moved."""
        order = {"account": self._account, "id": flow_id, "asset": self._quote, "amount": f"{amount_quote:f}"}
        await self._exchange.post(f"{self._base}/transfer", order)

    async def made(self) -> list[Flow]:
        """Return every transfer of the account, oldest first."""
        found = await self._exchange.get(f"{self._base}/transfers?account={quoted(self._account, safe='')}")
        try:
            return [_flow(one) for one in sequence(found, "transfers")]
        except (Unreadable, UnreadableNumber) as error:
            raise FateUnknown(str(error)) from error

    async def close(self) -> None:
        """Close the connection."""
        await self._exchange.close()


def _flow(row: Any) -> Flow:
    return Flow(text(row, "id"), parse_decimal(row.get("amount"), field="amount"), milliseconds(row, "at_ms"))

"""What the simulated exchange says of transfers is read strictly, or not at all."""

from decimal import Decimal
from typing import Any

import pytest

from trading.adapters.binance_ccxt import Binance
from trading.adapters.transfers_paper import PaperTransfers
from trading.domain.flows import Flow
from trading.ports import FateUnknown

ROW = {"id": "gcf-micro-2", "amount": "300", "at_ms": 1_795_262_400_000}


async def made(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[Flow]:
    async def get(self: Binance, url: str) -> Any:
        assert url == "http://127.0.0.1:1/sim/transfers?account=micro"
        return answer

    monkeypatch.setattr(Binance, "get", get)
    transfers = PaperTransfers("http://127.0.0.1:1/", account="micro", quote="USDT")
    try:
        return await transfers.made()
    finally:
        await transfers.close()


async def test_every_transfer_is_read_as_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await made(monkeypatch, [ROW, {**ROW, "id": "gcf-micro-3", "amount": "-0.5"}])

    at_ns = 1_795_262_400_000_000_000
    assert found == [Flow("gcf-micro-2", Decimal(300), at_ns), Flow("gcf-micro-3", Decimal("-0.5"), at_ns)]


@pytest.mark.parametrize(
    "answer",
    [
        None, {}, "x", [None], [{}], [{**ROW, "amount": "1e9"}], [{**ROW, "amount": None}], [{**ROW, "amount": "NaN"}],
        [{**ROW, "id": 7}], [{**ROW, "at_ms": "now"}], [{**ROW, "at_ms": -1}],
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_no_transfer(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    with pytest.raises(FateUnknown):
        await made(monkeypatch, answer)

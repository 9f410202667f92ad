"""Executions of a lap that the venue has settled: booked once, known again, and never against the facts."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.trading.domain.test_ledger import fill, ledger
from trading.domain.ledger import Contradiction
from trading.domain.orders import Side

SETTLED_AT = 5_950_000


def test_a_settled_fill_is_booked_once() -> None:
    books = ledger()
    books.apply_settled(fill(1, Side.BUY, 100), SETTLED_AT)
    cash = books.cash

    with pytest.raises(Contradiction, match="booked before"):
        books.apply_settled(fill(1, Side.BUY, 100), SETTLED_AT)

    assert books.cash == cash
    assert books.knows(fill(1, Side.BUY, 100))


@pytest.mark.parametrize("asset", ["BTC", "BNB"])
def test_a_settled_fill_whose_fee_is_not_in_quote_cannot_be_settled(asset: str) -> None:
    books = ledger()
    execution = replace(fill(1, Side.BUY, 100), fee=Decimal("0.0000004"), fee_asset=asset)

    with pytest.raises(Contradiction, match=f"a settled fill with a fee in {asset}"):
        books.apply_settled(execution, SETTLED_AT)

    assert (books.cash, books.knows(execution)) == (Decimal(1_000), False)


def test_a_settled_fill_without_a_fee_may_name_any_asset_for_it() -> None:
    execution = replace(fill(1, Side.BUY, 100), fee=Decimal(0), fee_asset="BNB")

    assert ledger().apply_settled(execution, SETTLED_AT) == Decimal("-0.5")


def test_a_fill_that_was_settled_before_a_restart_is_known_and_booked_no_second_time() -> None:
    books = ledger()

    books.remember(fill(1, Side.BUY, 100))

    assert books.knows(fill(1, Side.BUY, 100))
    assert (books.cash, books.positions["BTCUSDT"].base) == (Decimal(1_000), Decimal(0))
    with pytest.raises(Contradiction, match="booked before"):
        books.apply(fill(1, Side.BUY, 100), 1)
    with pytest.raises(Contradiction, match="other contents"):
        books.knows(fill(1, Side.BUY, 101, order="o1"))


def test_everything_of_a_ladder_that_is_gone_becomes_dust() -> None:
    books = ledger()
    for slot in (1, 2, 7):
        books.apply(fill(slot, Side.BUY, 100), slot)
    cost = books.positions["BTCUSDT"].cost

    books.sweep_all("BTCUSDT")

    position = books.positions["BTCUSDT"]
    assert not position.lots
    assert (position.dust.base, position.cost) == (Decimal("0.003"), cost)
    assert books.sellable_lots("BTCUSDT", None) == 300

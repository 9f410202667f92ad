"""The page Data shows every stored series with its coverage and holes, and what to do where nothing is stored."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from trading.models import MarketPart
from trading.selectors import market_store

pytestmark = pytest.mark.django_db

HOUR_NS = 3_600 * 1_000_000_000
FIRST_NS = 1_723_075_200 * 1_000_000_000  # 2024-08-08 00:00 UTC
AT = datetime(2024, 8, 10, 12, 0, tzinfo=UTC)


def part(day: int, **fields: Any) -> MarketPart:
    first_ns = FIRST_NS + day * 24 * HOUR_NS
    symbol = fields.get("symbol", "BTCUSDT")
    usual: dict[str, Any] = {
        "source": "file",
        "kind": "trades",
        "venue": "binance-spot",
        "symbol": symbol,
        "day": f"2024-08-{8 + day:02d}",
        "path": f"{symbol}-{day}",
        "sha256": "0" * 64,
        "size": 6_000,
        "rows": 1_000,
        "first_at_ns": first_ns,
        "last_at_ns": first_ns + 24 * HOUR_NS - 1,
        "first_id": day * 1_000 + 1,
        "last_id": (day + 1) * 1_000,
        "tick_size": "0.01",
        "lot_size": "0.001",
        "steps_from": "data",
        "stored_at": AT,
    }
    return MarketPart.objects.create(**usual | fields)


def text_of(client: Client) -> str:
    answer = client.get("/data/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_empty_store_says_how_to_fill_it(signed_in: Client) -> None:
    assert "Nothing is stored yet.</strong> <code>./console data import" in text_of(signed_in)


def test_a_series_shows_days_rows_bytes_and_check(signed_in: Client) -> None:
    part(0, checked_at=AT)
    part(1, checked_at=AT)

    text = text_of(signed_in)

    assert "BTCUSDT" in text
    assert "2,000" in text
    assert "6.00" in text
    assert '✓ <time datetime="2024-08-10T12:00:00+00:00"' in text
    assert "The longest holes" not in text


def test_a_part_that_broke_or_was_never_checked_says_so(signed_in: Client) -> None:
    part(0, checked_at=AT, problem="its bytes are not those stored")
    part(0, symbol="ETHUSDT")

    text = text_of(signed_in)

    assert "✗ 1 broken" in text
    assert "never" in text


def test_holes_inside_and_between_parts_are_listed_with_their_length(signed_in: Client) -> None:
    part(0, holes=[[FIRST_NS + HOUR_NS, FIRST_NS + 4 * HOUR_NS, 7]], hole_count=1)
    part(2)

    text = re.sub(r"\s+", " ", text_of(signed_in))

    assert "<td>3.0 h</td><td>7</td>" in text
    assert "<td>24.0 h</td><td>1,000</td>" in text
    assert "2 of 2" in text


def test_a_bar_goes_from_the_first_row_to_the_last_with_its_holes() -> None:
    part(0)
    part(3)
    part(3, symbol="ETHUSDT")

    btc, eth = market_store.page().covers

    assert [(round(s.x), round(s.width)) for s in btc.stretches] == [(0, 250), (750, 250)]
    assert [(round(s.x), round(s.width)) for s in btc.holes] == [(250, 500)]
    assert [(round(s.x), round(s.width)) for s in eth.stretches] == [(0, 1_000)]
    assert eth.words == "trades/binance-spot/ETHUSDT: 2024-08-11 to 2024-08-11, no hole"


def test_a_short_stretch_can_still_be_seen_and_stays_inside() -> None:
    part(0)
    part(9, first_at_ns=FIRST_NS + 240 * HOUR_NS - 2, last_at_ns=FIRST_NS + 240 * HOUR_NS - 1)

    last = market_store.page().covers[0].stretches[-1]

    assert (last.x, last.width) == (998.0, 2.0)


def test_the_page_asks_the_store_once(signed_in: Client, django_assert_max_num_queries: Any) -> None:
    for day in range(6):
        part(day)

    with django_assert_max_num_queries(1):
        market_store.page()


def test_recording_that_is_switched_off_is_said(signed_in: Client, settings: Any) -> None:
    settings.RECORD_MARKET = False

    assert "recording is switched off" in text_of(signed_in)

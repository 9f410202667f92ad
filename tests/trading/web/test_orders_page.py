"""Orders and fills: filter, sort, pages that do not slip, and a CSV that is safe to open."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client

from trading.models import Account, Fill, Order, Reconciliation
from trading.selectors import orders
from trading.selectors.exports import as_csv

pytestmark = pytest.mark.django_db
MakeOrder = Callable[..., Order]
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def ids(response: object) -> list[str]:
    return re.findall(r'class="left id">(gc-[^<]+)<', response.content.decode())  # type: ignore[attr-defined]


def older(response: object) -> str:
    found = re.search(r'href="(\?[^"]*cursor=[^"]+)"', response.content.decode())  # type: ignore[attr-defined]
    return found.group(1).replace("&amp;", "&") if found else ""


def test_each_tab_holds_its_own_orders(signed_in: Client, make_order: MakeOrder) -> None:
    made = {
        status: make_order(status=status).client_order_id for status in ("ACCEPTED", "UNKNOWN", "DENIED", "REJECTED")
    }
    made["FILLED"] = make_order(status="FILLED").client_order_id

    assert set(ids(signed_in.get("/orders/open/"))) == {made["ACCEPTED"], made["UNKNOWN"]}
    assert set(ids(signed_in.get("/orders/denied/"))) == {made["DENIED"], made["REJECTED"]}
    assert set(ids(signed_in.get("/orders/all/"))) == set(made.values())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("symbol=ETHUSDT", ["gc-micro-1-2"]),
        ("side=SELL", ["gc-micro-1-3"]),
        ("status=DENIED", ["gc-micro-1-4"]),
        ("q=TRADES", ["gc-micro-1-4"]),
        ("q=micro-1-1", ["gc-micro-1-1"]),
        ("symbol=ETHUSDT&side=SELL", []),
        ("q=%00", ["gc-micro-1-4", "gc-micro-1-3", "gc-micro-1-2", "gc-micro-1-1"]),
        ("symbol='%3B+DROP+TABLE+trading_order", []),
    ],
    ids=["symbol", "side", "status", "reason in any case", "part of the id", "two filters", "a zero byte", "an attack"],
)
def test_the_server_filters(signed_in: Client, make_order: MakeOrder, query: str, expected: list[str]) -> None:
    make_order()
    make_order(symbol="ETHUSDT")
    make_order(side="SELL")
    make_order(status="DENIED", reason="max_daily_trades: 20 of 20")

    assert ids(signed_in.get(f"/orders/all/?{query}")) == expected


@pytest.mark.parametrize(("sort", "expected"), [("price", [2, 3, 1]), ("-price", [1, 3, 2]), ("nonsense", [3, 2, 1])])
def test_the_server_sorts_and_a_market_order_counts_as_zero(
    signed_in: Client, make_order: MakeOrder, sort: str, expected: list[int]
) -> None:
    make_order(price=Decimal(30))
    make_order(price=None, type="MARKET")
    make_order(price=Decimal(20))

    assert ids(signed_in.get(f"/orders/all/?sort={sort}")) == [f"gc-micro-1-{n}" for n in expected]


def test_pages_follow_a_cursor_and_do_not_slip_when_orders_arrive(signed_in: Client, make_order: MakeOrder) -> None:
    for n in range(orders.PAGE_SIZE + 7):
        make_order(decided_at=NOW + timedelta(seconds=n))

    first = signed_in.get("/orders/all/")
    make_order(decided_at=NOW + timedelta(hours=1))
    second = signed_in.get(f"/orders/all/{older(first)}")

    assert len(ids(first)) == orders.PAGE_SIZE
    assert ids(second) == [f"gc-micro-1-{n}" for n in range(7, 0, -1)]
    assert older(second) == ""


@pytest.mark.parametrize("sort", ["price", "-price", "symbol", "-filled", "status"])
def test_every_sorting_pages_through_every_row_once(signed_in: Client, make_order: MakeOrder, sort: str) -> None:
    for n in range(2 * orders.PAGE_SIZE + 1):
        make_order(price=Decimal(n % 3) if n % 2 else None, symbol=("BTCUSDT", "ETHUSDT")[n % 2])

    seen: list[str] = []
    response = signed_in.get(f"/orders/all/?sort={sort}")
    while True:
        seen += ids(response)
        if not (link := older(response)):
            break
        response = signed_in.get(f"/orders/all/{link}")

    assert sorted(seen) == sorted(f"gc-micro-1-{n + 1}" for n in range(2 * orders.PAGE_SIZE + 1))


@pytest.mark.parametrize(
    "cursor", ["%%%", "AAAA", "W10=", "WyJwcmljZSIsICJ4IiwgMV0=", "WyJkZWNpZGVkX2F0IiwgIngiLCAxXQ=="]
)
def test_a_damaged_cursor_is_refused(signed_in: Client, cursor: str) -> None:
    response = signed_in.get("/orders/all/", {"cursor": cursor})

    assert response.status_code == 400
    assert "damaged" in response.content.decode()


def test_the_filter_survives_sorting_and_paging(signed_in: Client, make_order: MakeOrder) -> None:
    for _ in range(orders.PAGE_SIZE + 1):
        make_order(symbol="ETHUSDT")

    html = signed_in.get("/orders/all/?symbol=ETHUSDT&sort=-price").content.decode()

    assert 'href="?symbol=ETHUSDT&amp;sort=price"' in html
    assert re.search(r'href="\?symbol=ETHUSDT&amp;sort=-price&amp;cursor=', html)
    assert 'href="/orders/all.csv?symbol=ETHUSDT&amp;sort=-price"' in html


def test_an_empty_tab_says_what_will_appear(signed_in: Client) -> None:
    assert "places its first orders within seconds" in signed_in.get("/orders/fills/").content.decode()


def test_a_filter_without_rows_says_so(signed_in: Client) -> None:
    assert "No row fits this filter." in signed_in.get("/orders/fills/?side=BUY").content.decode()


def test_the_first_page_follows_new_orders_and_older_ones_stand_still(signed_in: Client, make_order: MakeOrder) -> None:
    for _ in range(orders.PAGE_SIZE + 1):
        make_order()

    first = signed_in.get("/orders/all/", headers={"HX-Request": "true"})
    second = signed_in.get(f"/orders/all/{older(first)}", headers={"HX-Request": "true"})

    assert "gc:orders from:body" in first.content.decode()
    assert "gc:orders from:body" not in second.content.decode()


def test_the_csv_holds_the_filtered_rows_as_plain_numbers(signed_in: Client, make_order: MakeOrder) -> None:
    make_order()
    make_order(symbol="ETHUSDT")

    response = signed_in.get("/orders/open.csv?symbol=BTCUSDT")
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))

    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="gridconsole-micro-open-\d{8}T\d{6}Z\.csv"', response.headers["Content-Disposition"]
    )
    assert [row["symbol"] for row in rows] == ["BTCUSDT"]
    assert (Decimal(rows[0]["price_quote"]), Decimal(rows[0]["quantity_base"])) == (
        Decimal("60000.10"),
        Decimal("0.00010"),
    )
    assert (rows[0]["slot"], rows[0]["decided_at_utc"]) == ("1", "2026-11-21T12:00:00+00:00")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_text_cell_never_starts_a_formula(make_order: MakeOrder, start: str) -> None:
    order = make_order(reason=f'{start}HYPERLINK("http://evil","-1013")')

    rows = list(csv.DictReader(io.StringIO(as_csv([order], fills=False), newline="")))

    assert rows[0]["reason"].startswith("'" + start)


def test_a_loss_stays_a_number_in_the_csv(signed_in: Client, micro: Account, make_order: MakeOrder) -> None:
    facts = {"price": Decimal(60000), "quantity": Decimal("0.00010"), "price_ticks": 6_000_000, "quantity_lots": 10}
    facts |= {"fee": Decimal("0.0024"), "fee_asset": "USDT", "maker": False, "realized_quote": Decimal("-0.0024")}
    Fill.objects.create(
        account=micro, order=make_order(), trade_id=1, symbol="BTCUSDT", side="BUY", at=NOW, at_ns=0, **facts
    )

    rows = list(csv.DictReader(io.StringIO(signed_in.get("/orders/fills.csv").content.decode())))

    assert Decimal(rows[0]["realized_quote"]) == Decimal("-0.0024")
    assert rows[0]["maker"] == "0"


def test_a_discrepancy_is_shown_in_words(signed_in: Client, micro: Account) -> None:
    Reconciliation.objects.create(
        account=micro, is_clean=False, discrepancies=["orphan order 8812"], local_open=2, venue_open=3, at=NOW
    )

    html = signed_in.get("/orders/reconciliation/").content.decode()

    assert "not clean" in html
    assert "orphan order 8812" in html

"""Orders and fills: filter, sort, pages that do not slip, and a CSV that is safe to open."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils.timezone import now

from tests.riskops.proofs import text_of
from trading.models import Account, Fill, ForeignOrderDecision, Order, Reconciliation, VenueReading
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
        ("symbol='%3B+DROP+TABLE+trading_order", []),
    ],
    ids=["symbol", "side", "status", "reason in any case", "part of the id", "two filters", "an attack"],
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


# --- the room of the reconcile ----------------------------------------------------------------------------------

MANUAL = {"id": "web_1", "symbol": "BTCUSDT", "side": "BUY", "price": "55000.00", "quantity": "0.1", "filled": "0"}
ROOM = "/orders/reconciliation/"


def read(account: Account, *, seconds_ago: float = 1, **facts: object) -> VenueReading:
    """Store a reading, and the proof it gives."""
    at = now() - timedelta(seconds=seconds_ago)
    shown: dict[str, object] = {"is_clean": True, "local_open": 41, "venue_open": 41, "at": at, **facts}
    if shown["is_clean"]:
        Reconciliation.objects.create(account=account, is_clean=True, local_open=41, venue_open=41, at=at)
    return VenueReading.objects.update_or_create(account=account, defaults=shown)[0]


def test_before_the_first_reading_nothing_is_zero_and_the_page_says_what_comes_next(signed_in: Client) -> None:
    text = text_of(signed_in.get(ROOM))

    assert "not read yet" in text
    assert "Micro $300 ◷ not read yet ◷ — — — — never" in text
    assert "reads the venue when it starts, then every 5 s" in text
    assert "unknown, not zero" in text


def test_a_young_clean_reading_is_the_proof(signed_in: Client, micro: Account) -> None:
    read(micro, balances={"USDT": ["300", "300"], "BTC": ["0.001", "0.001"]}, dust={"BTC": "0.00000004"})

    text = text_of(signed_in.get(ROOM))

    assert re.search(r"Micro \$300 ✓ local = venue \d+ s 41 41 0", text)
    assert "Nothing differs." in text
    assert "BTC 0.001 0.001 ✓ same 0.00000004" in text


@pytest.mark.parametrize(
    ("venue_open", "foreign", "said"),
    [(41, [], "local = venue N s 41 41 0"), (42, [MANUAL], "local = venue N s 41 42 1"),
     (40, [], "local = venue; 1 moved while it was read N s 41 40 0")],
    ids=["the same", "one of others", "one filled meanwhile"],
)  # fmt: skip
def test_counts_that_differ_in_a_clean_reading_are_explained(
    signed_in: Client, micro: Account, venue_open: int, foreign: list[dict[str, str]], said: str
) -> None:
    read(micro, venue_open=venue_open, foreign=foreign)

    text = re.sub(r"\d+ s ", "N s ", text_of(signed_in.get("/orders/reconciliation/proofs/")))
    assert f"✓ {said}" in text


@pytest.mark.parametrize(("seconds_ago", "stale"), [(14.0, False), (15.1, True)])
def test_a_proof_is_stale_after_fifteen_seconds(
    signed_in: Client, micro: Account, monkeypatch: pytest.MonkeyPatch, seconds_ago: float, stale: bool
) -> None:
    moment = now()
    monkeypatch.setattr("trading.views.now", lambda: moment)
    read(micro, seconds_ago=seconds_ago)

    text = text_of(signed_in.get("/orders/reconciliation/proofs/"))

    assert ("stale: last read" in text) is stale
    assert ("✓ local = venue" in text) is not stale


@pytest.mark.parametrize(
    ("found", "kind", "then"),
    [
        ("orphan order: gc-micro-1-9 works at the venue, not in our books", "orphan", "it is being cancelled"),
        ("ghost order: gc-micro-1-9 works in our books, the venue does not know it", "ghost", "its symbol is paused"),
        ("balance mismatch: BTC ours 1, venue 2", "balance", "no new order leaves"),
        ("missing fill: BTCUSDT trade 7 of gc-micro-1-9 (booked now)", "other", "taken into our books"),
    ],
)
def test_a_difference_is_said_with_what_happens_about_it(
    signed_in: Client, micro: Account, found: str, kind: str, then: str
) -> None:
    read(micro, is_clean=False, venue_open=42, discrepancies=[found])

    text = text_of(signed_in.get(ROOM))

    assert re.search(r"✗ local ≠ venue ◷ — 41 42", text)
    assert f"{kind} {found}" in text
    assert then in text


@pytest.mark.parametrize(("age_s", "then"), [(3, "is proof in 10 s"), (20, "the next reading proves its fate")])
def test_an_unknown_order_says_when_its_fate_is_proven(
    signed_in: Client, micro: Account, make_order: MakeOrder, monkeypatch: pytest.MonkeyPatch, age_s: int, then: str
) -> None:
    moment = now()
    monkeypatch.setattr("trading.views.now", lambda: moment)  # however long the page takes on a busy machine
    make_order(status="UNKNOWN", reason="no answer", decided_at=moment - timedelta(seconds=age_s))
    read(micro, is_clean=False, discrepancies=["unknown: gc-micro-1-1 may still appear"])

    text = text_of(signed_in.get(ROOM))

    assert "✗ a fate is open" in text
    assert text.count("UNKNOWN gc-micro-1-1 on BTCUSDT: no answer counts as exposure") == 1
    assert then in text


def test_an_order_of_others_is_offered_for_cancel_or_left(signed_in: Client, micro: Account) -> None:
    read(micro, venue_open=42, foreign=[MANUAL], discrepancies=["foreign order: web_1 on BTCUSDT is not ours"])

    html = signed_in.get(ROOM).content.decode()

    assert 'name="choice" value="cancel"' in html
    assert 'name="choice" value="leave"' in html
    assert "Nothing differs." in html  # an order of others has a table of its own


def test_a_signed_in_person_asks_for_the_cancel_with_a_plain_form(signed_in: Client, micro: Account) -> None:
    read(micro, foreign=[MANUAL])

    response = signed_in.post("/orders/reconciliation/foreign/", {"order": "web_1", "choice": "cancel"}, follow=True)

    row = ForeignOrderDecision.objects.get()
    assert (row.outcome, row.decided_by, row.account) == ("ASKED", "trader", micro)
    assert "Asked the execution loop to cancel web_1." in text_of(response)
    assert "cancel asked by trader" in text_of(response)
    assert 'value="cancel"' not in response.content.decode()


@pytest.mark.parametrize(
    ("side", "filled", "offered"), [("BUY", "0", True), ("BUY", "0.1", False), ("SELL", "0", False)]
)
def test_only_a_buy_without_fills_is_offered_for_adoption(
    signed_in: Client, micro: Account, side: str, filled: str, offered: bool
) -> None:
    read(micro, foreign=[{**MANUAL, "side": side, "filled": filled}])

    page = signed_in.get("/orders/reconciliation/").content.decode()

    assert ('value="adopt"' in page) is offered


def test_adopting_is_asked_with_the_same_plain_form(signed_in: Client, micro: Account) -> None:
    read(micro, foreign=[MANUAL])

    response = signed_in.post("/orders/reconciliation/foreign/", {"order": "web_1", "choice": "adopt"}, follow=True)

    assert "Asked the execution loop to adopt web_1." in text_of(response)
    assert "adopt asked by trader" in text_of(response)


def test_leaving_an_order_keeps_it_on_the_page_with_the_name_of_who_left_it(signed_in: Client, micro: Account) -> None:
    read(micro, foreign=[MANUAL])

    part = signed_in.post(
        "/orders/reconciliation/foreign/", {"order": "web_1", "choice": "leave"}, headers={"HX-Request": "true"}
    )

    assert "<html" not in part.content.decode()
    assert "left by trader" in text_of(part)
    assert "web_1 is left alone." in text_of(part)


@pytest.mark.parametrize(
    "form", [{}, {"order": "web_1"}, {"order": "web_1", "choice": "all"}, {"order": "gc-micro-1-1", "choice": "cancel"}]
)
def test_nothing_else_can_be_decided(signed_in: Client, micro: Account, form: dict[str, str]) -> None:
    read(micro, foreign=[MANUAL])

    response = signed_in.post("/orders/reconciliation/foreign/", form, follow=True)

    assert response.status_code == 200
    assert 'data-level="error"' in response.content.decode()
    assert not ForeignOrderDecision.objects.exists()


def test_nobody_decides_without_signing_in_or_by_reading(client: Client, signed_in: Client, micro: Account) -> None:
    read(micro, foreign=[MANUAL])

    assert signed_in.get("/orders/reconciliation/foreign/").status_code == 405
    client.logout()
    assert client.post("/orders/reconciliation/foreign/", {"order": "web_1", "choice": "cancel"}).status_code == 302
    assert not ForeignOrderDecision.objects.exists()

"""The reports as people read and take them along."""

import csv
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import plotly.graph_objects as go
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from riskops.models import ComplianceItem, CostEntry, PhaseRun, Report
from riskops.services import phases
from riskops.services import reports as making
from tests.riskops import cast
from tests.riskops.proofs import text_of
from trading.models import Account, AuditEvent, Fill, Order, VenueInstrument

pytestmark = pytest.mark.django_db
AsPerson = Callable[[str], Client]
PEOPLE = ("trader", "trading_lead", "engineer", "cto", "ceo")
AT = cast.BEGIN + timedelta(days=1, hours=2)  # 2026-11-22 14:00 UTC
DAY, MONTH = "/reports/daily/2026-11-21/", "/reports/monthly/2026-11/"
LISTS = ("/reports/", "/reports/summary/", "/reports/planner/", "/reports/tax/")
PAGES = (*LISTS, DAY, MONTH, "/reports/weekly/2026-W47/")


@pytest.fixture
def lived(as_person: AsPerson, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The demo's first desk with 49 accelerated minutes of a run and a round trip, seen a day later."""
    as_person("trader")
    phases.load_roadmap(at=cast.BEGIN)
    phases.begin_demo(at=cast.BEGIN)
    account = PhaseRun.objects.get().account
    Account.objects.update(created_at=cast.BEGIN - timedelta(hours=1))
    account.refresh_from_db()
    cast.live_through(account, 49)
    for number, (side, price) in enumerate((("BUY", 60_000), ("SELL", 60_060))):
        trade(account, number, side, price)
    monkeypatch.setattr("riskops.views.reports.now", lambda: AT)
    return account


def trade(account: Account, number: int, side: str, price: int) -> None:
    at = cast.BEGIN + number * cast.MINUTE
    shared = {
        "account": account,
        "symbol": "BTCUSDT",
        "side": side,
        "slot": 0,
        "price": price,
        "price_ticks": price * 100,
    }
    order = Order.objects.create(
        **shared, client_order_id=f"o{number}", type="MARKET", purpose="grid", quantity="0.0001", quantity_lots=10,
        filled_lots=10, reference_ticks=1, status="FILLED", decided_at=at, decided_at_ns=0, updated_at=at,
    )  # fmt: skip
    Fill.objects.create(
        **shared, order=order, trade_id=number, quantity="0.0001", quantity_lots=10, fee="0.0024", fee_asset="USDT",
        maker=False, realized_quote="0.0036" if number else "-0.0024", at=at, at_ns=int(at.timestamp() * 1e9),
    )  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", PEOPLE)
def test_everybody_reads_every_report(as_person: AsPerson, lived: Account, name: str, page: str) -> None:
    answer = as_person(name).get(page)

    assert answer.status_code == 200
    assert "PAPER · no real money" in answer.content.decode()


@pytest.mark.parametrize("page", PAGES)
def test_a_desk_without_a_past_has_its_pages_too(as_person: AsPerson, page: str) -> None:
    client = as_person("trader")
    VenueInstrument.objects.all().delete()

    assert client.get(page.replace("2026-11-21", "2026-10-01").replace("2026-11", "2026-10")).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_nobody_reads_a_report_without_signing_in(db: None, page: str) -> None:
    assert Client().get(page).status_code == 302


def test_the_report_of_a_day_says_what_it_counted_and_over_what(as_person: AsPerson, lived: Account) -> None:
    said = text_of(as_person("trader").get(DAY))

    assert "Daily report 2026-11-21" in said
    assert "Accelerated." in said
    assert "49 min of 24 h 00 min" in said
    assert "P&amp;L 0.00 equity from 300.0000 to 300.0000" in said
    assert "Sharpe ratio — not known 2 whole market days; at least 7 are needed" in said
    assert "BTCUSDT +0.0012" in said
    assert "0.0048 USDT in all" in said
    assert "Daily drawdown, stop 2.00 % 0.000 % ✓ within" in said
    assert "mandate of phase 4.0 put in force, capital 300" in said


def test_a_report_leads_to_the_one_before_and_the_one_after(as_person: AsPerson, lived: Account) -> None:
    client = as_person("trader")

    assert "← 2026-11-20 2026-11-22 →" in text_of(client.get(DAY))
    assert "2026-11-23 →" not in text_of(client.get("/reports/daily/2026-11-22/"))


def test_live_money_is_never_mistaken_for_paper(as_person: AsPerson, lived: Account) -> None:
    Account.objects.update(mode="LIVE")

    said = text_of(as_person("trader").get(DAY))

    assert "LIVE · real money" in said
    assert "PAPER" not in said


@pytest.mark.parametrize(
    "path",
    [
        "/reports/daily/2026-02-30/", "/reports/daily/2026-11/", "/reports/yearly/2026/", "/reports/daily/2026-12-24/",
        "/reports/phase/999/", "/reports/phase/4-0/", "/reports/phase/99999999999999999999/",
        "/reports/weekly/2026-W60/figures/", "/reports/daily/9999-12-31.json", "/reports/monthly/2026-11/nix.csv",
    ],
)  # fmt: skip
def test_a_period_that_is_none_or_has_not_begun_is_not_found(as_person: AsPerson, lived: Account, path: str) -> None:
    assert as_person("trader").get(path).status_code == 404


def test_the_run_in_force_has_a_report(as_person: AsPerson, lived: Account) -> None:
    run = PhaseRun.objects.get()

    said = text_of(as_person("ceo").get(f"/reports/phase/{run.pk}/"))

    assert f"Phase report 4.0, run {run.pk}" in said
    assert "runs: counted now" in said


def test_a_run_of_another_desk_is_not_shown(as_person: AsPerson, lived: Account) -> None:
    client, run = as_person("trader"), PhaseRun.objects.get()
    client.post("/desk/", {"desk": "production", "next": "/"})

    if client.session.get("desk") == "production":
        assert client.get(f"/reports/phase/{run.pk}/").status_code == 404


# --- stored -----------------------------------------------------------------------------------------------------------


def test_a_stored_report_is_listed_shown_and_compared(as_person: AsPerson, lived: Account) -> None:
    making.store_closed(at=AT)
    report, client = Report.objects.get(kind="daily", account=lived), as_person("trader")

    assert "PAPER, P&amp;L 0.00 USDT, watched 49 min, accelerated" in text_of(client.get("/reports/"))
    assert report.digest in client.get(DAY).content.decode()
    assert "the same digest" in text_of(client.get(f"{DAY}?check=1"))


def test_what_changed_since_is_said_and_what_was_stored_is_still_shown(as_person: AsPerson, lived: Account) -> None:
    making.store_closed(at=AT)
    trade(lived, 2, "BUY", 60_000)

    client = as_person("trader")
    said = text_of(client.get(f"{DAY}?check=1"))

    assert "it is not the same: days, fees, figures, symbols" in said
    assert "0.0048 USDT in all" in said


# --- charts -----------------------------------------------------------------------------------------------------------


def drawn(part: Any) -> Any:
    """Return a figure with a colour for every token, as the browser draws it."""
    if isinstance(part, str) and part.startswith("--"):
        return "#123456"
    if isinstance(part, list):
        return [drawn(one) for one in part]
    return {name: drawn(one) for name, one in part.items()} if isinstance(part, dict) else part


@pytest.mark.parametrize("path", [f"{DAY}figures/", f"{MONTH}figures/", "/reports/daily/2026-11-22/figures/"])
def test_every_chart_is_one_that_plotly_knows(as_person: AsPerson, lived: Account, path: str) -> None:
    found = as_person("trader").get(path).json()

    assert list(found) == ["equity", "drawdown", "symbols", "fees"]
    for figure in found.values():
        go.Figure(drawn(figure))


def test_the_charts_show_what_the_tables_say(as_person: AsPerson, lived: Account) -> None:
    found = as_person("trader").get(f"{DAY}figures/").json()

    assert {y for y in found["equity"]["data"][0]["y"] if y is not None} == {300.0}
    bars = found["symbols"]["data"][0]
    assert bars["x"] == ["BTCUSDT", "not sold", "P&L"]
    assert bars["y"] == pytest.approx([0.0012, -0.0012, 0.0])
    assert bars["base"] == pytest.approx([0, 0.0012, 0])
    assert [one["text"] for one in found["equity"]["layout"]["annotations"]] == ["phase 4.0"]


def test_the_planners_chart_is_one_that_plotly_knows(as_person: AsPerson, lived: Account) -> None:
    client = as_person("trader")

    plain = client.get("/reports/planner/figure/").json()["paths"]
    assumed = client.get("/reports/planner/figure/?percent=5&months=3").json()["paths"]

    go.Figure(drawn(assumed))
    assert [one["name"] for one in plain["data"]] == [
        "Roadmap's projection", "Earliest by the phases' hours", "Measured: capital in force",
    ]  # fmt: skip
    assert [one["name"] for one in assumed["data"]][-1] == "Your assumption"


# --- to take along ----------------------------------------------------------------------------------------------------


def test_a_report_as_json_carries_its_digest(as_person: AsPerson, lived: Account) -> None:
    client = as_person("trader")
    before = client.get(f"{DAY[:-1]}.json")
    making.store_closed(at=AT)
    after = json.loads(client.get(f"{DAY[:-1]}.json").content)

    assert before.headers["Content-Disposition"] == 'attachment; filename="gridconsole-micro-daily-2026-11-21.json"'
    assert before.json()["digest"] is None
    assert after["digest"] == Report.objects.get(kind="daily", account=lived).digest
    assert after["facts"] == before.json()["facts"]


@pytest.mark.parametrize("table", ["figures", "days", "symbols", "fees", "incidents", "halts", "denials"])
def test_every_table_is_a_csv_whose_rows_say_what_they_are_of(as_person: AsPerson, lived: Account, table: str) -> None:
    answer = as_person("trader").get(f"{DAY}{table}.csv")
    header, *rows = csv.reader(answer.content.decode().splitlines())

    assert header[:4] == ["account", "mode", "report", "period"]
    assert all(row[:4] == ["micro", "PAPER", "daily", "2026-11-21"] for row in rows)
    assert all(len(row) == len(header) for row in rows)


def test_no_cell_of_a_csv_starts_a_formula_and_numbers_stay_numbers(as_person: AsPerson, lived: Account) -> None:
    run = PhaseRun.objects.get()
    run.incidents.create(
        account=lived, metric="x", what='=HYPERLINK("http://x","y")', failed_run=False, opened_at=cast.BEGIN
    )
    client = as_person("trader")

    incidents = list(csv.reader(client.get(f"{DAY}incidents.csv").content.decode().splitlines()))
    symbols = list(csv.reader(client.get(f"{DAY}symbols.csv").content.decode().splitlines()))

    assert incidents[1][5] == '\'=HYPERLINK("http://x","y")'
    assert symbols[1][symbols[0].index("realized")] == "0.0012"


# --- tax --------------------------------------------------------------------------------------------------------------


def test_the_tax_report_shows_each_sale_beside_its_lot(as_person: AsPerson, lived: Account) -> None:
    client = as_person("ceo")

    said = text_of(client.get("/reports/tax/?year=2026&method=HIFO"))
    header, row = csv.reader(client.get("/reports/tax.csv?year=2026&method=LIFO").content.decode().splitlines())

    assert "Tax report 2026, HIFO" in said
    assert "These are paper trades: nothing of it is income." in said
    assert "BTCUSDT 1 0.0001 6.0036 6.0024 +0.0012" in said
    assert dict(zip(header, row, strict=True))["gain_quote"] == "0.0012"
    assert "Nothing was sold in 2025." in text_of(client.get("/reports/tax/?year=2025&method=FIFO"))


@pytest.mark.parametrize("query", ["year=x", "year=1999", "method=AVERAGE", "year=99999999999999999999"])
def test_a_year_or_method_that_is_none_is_said(as_person: AsPerson, lived: Account, query: str) -> None:
    client = as_person("trader")

    assert client.get(f"/reports/tax/?{query}").status_code == 422
    assert client.get(f"/reports/tax.csv?{query}").status_code == 302


# --- the planner ------------------------------------------------------------------------------------------------------


def test_the_planner_shows_the_projection_as_one_beside_what_was_measured(as_person: AsPerson, lived: Account) -> None:
    said = text_of(as_person("trader").get("/reports/planner/"))

    assert "Return a month 15\N{EN DASH}25 % 0.0 %" in said
    assert "200\N{EN DASH}400 % “high-risk scenario” — not extrapolated" in said
    assert "Type a return and see where it would lead from 300 USDT" in said
    assert "5 100,000 2027-01-28" in said


def test_a_scenario_is_what_was_typed(as_person: AsPerson, lived: Account) -> None:
    said = text_of(as_person("trader").get("/reports/planner/?percent=10&costs=5&months=2"))

    assert "325.00 USDT" in said
    assert "352.50 USDT" in said


@pytest.mark.parametrize(
    "query", ["percent=x&months=1", "percent=NaN&months=1", "percent=1001&months=1", "percent=1&months=61"]
)
def test_a_scenario_beyond_reason_is_refused(as_person: AsPerson, lived: Account, query: str) -> None:
    answer = as_person("trader").get(f"/reports/planner/?{query}")

    assert answer.status_code == 422
    assert "Type a return" in text_of(answer)
    assert len(as_person("trader").get(f"/reports/planner/figure/?{query}").json()["paths"]["data"]) == 3


def test_a_bill_is_entered_and_taken_back_by_its_opposite(as_person: AsPerson, lived: Account) -> None:
    client = as_person("engineer")
    bill = {"billed_on": "2026-11-20", "what": "Server", "amount": "120.50", "currency": "USD"}

    client.post("/reports/planner/cost/", bill)
    client.post("/reports/planner/cost/", {**bill, "amount": "-20.50", "what": "Server, credit"})

    assert "100.00 USD a month" in text_of(client.get("/reports/planner/"))
    assert [row.action for row in AuditEvent.objects.filter(actor="engineer").order_by("sequence")] == [
        "cost.entered"
    ] * 2


@pytest.mark.parametrize(
    "wrong",
    [{"amount": "0"}, {"amount": "NaN"}, {"amount": "1e400"}, {"billed_on": "2026-12-24"}, {"billed_on": "1999-01-01"},
     {"currency": "dollars"}, {"what": ""}],
)  # fmt: skip
def test_a_bill_that_cannot_be_changes_nothing(as_person: AsPerson, lived: Account, wrong: dict[str, str]) -> None:
    bill = {"billed_on": "2026-11-20", "what": "Server", "amount": "120.50", "currency": "USD", **wrong}

    said = text_of(as_person("engineer").post("/reports/planner/cost/", bill, follow=True))

    assert "Nothing was changed." in said
    assert not CostEntry.objects.exists()


# --- compliance -------------------------------------------------------------------------------------------------------


def test_an_item_is_added_ticked_and_the_tick_taken_back(as_person: AsPerson, lived: Account) -> None:
    client = as_person("cto")
    client.post("/reports/compliance/add/", {"title": "Tax consultant engaged", "due_on": "2026-11-30"})
    item = ComplianceItem.objects.get()
    assert "Tax consultant engaged due 2026-11-30, open" in text_of(client.get("/reports/"))

    client.post(f"/reports/compliance/{item.pk}/tick/", {"done": "yes", "note": "contract 17 is signed"})
    assert "2026-11-30, done Done by cto" in text_of(client.get("/reports/summary/"))
    client.post(f"/reports/compliance/{item.pk}/tick/", {"done": "no", "note": "it was another one"})

    assert "Tick taken back by cto" in text_of(client.get("/reports/"))
    assert [row.done for row in item.ticks.all()] == [True, False]


def test_a_trader_keeps_no_items_and_sees_no_form(as_person: AsPerson, lived: Account) -> None:
    client = as_person("trader")

    said = text_of(
        client.post("/reports/compliance/add/", {"title": "Something new", "due_on": "2026-11-30"}, follow=True)
    )

    assert "Only CTO, CEO or Compliance may keep compliance items." in said
    assert "/reports/compliance/add/" not in client.get("/reports/").content.decode()
    assert not ComplianceItem.objects.exists()


# --- how often the database is asked ---------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [*LISTS, DAY, MONTH, f"{DAY}figures/"])
def test_a_page_asks_as_often_whatever_happened(as_person: AsPerson, lived: Account, page: str) -> None:
    client = as_person("trader")
    counts = []
    for more in range(2):
        with CaptureQueriesContext(connection) as asked:
            client.get(page)
        counts.append(len(asked))
        for number in range(10 * (more + 1), 10 * (more + 1) + 8):
            trade(lived, number, "BUY", 60_000)

    assert counts[0] == counts[1]
    assert counts[0] <= 40

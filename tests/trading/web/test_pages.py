"""The pages as plain HTML: who sees them, what they say, and that they work without scripts."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tests.riskops.proofs import text_of
from trading import live
from trading.models import Account, Alert, AuditEvent, Fill, Grid, Halt, Order, Settlement, TradingDay

pytestmark = pytest.mark.django_db
MakeOrder = Callable[..., Order]
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PAGES = [
    "/",
    "/symbols/",
    "/orders/open/",
    "/orders/fills/",
    "/orders/denied/",
    "/orders/all/",
    "/orders/reconciliation/",
]
PAGES += ["/alerts/", "/alerts/?show=all", "/risk/", "/risk/halt/"]
PARTS = ["/panels/alerts/", "/panels/events/", "/panels/state_bar/", "/panels/alert_count/", "/panels/replay/"]
PARTS += [
    "/orders/reconciliation/proofs/",
    "/risk/halt/stages/",
    "/risk/kill-switch/",
    "/risk/halt/history/",
    "/risk/halt/effect/",
    "/symbols/BTCUSDT/ladder/",
]
DATA = ["/api/prices/BTCUSDT/", "/api/recent/", "/api/drawdown/"]


class Tags(HTMLParser):
    """Notices what the content security policy would block."""

    def __init__(self) -> None:
        super().__init__()
        self.forbidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        if tag == "style" or (tag == "script" and "src" not in names):
            self.forbidden.append(tag)
        self.forbidden += [name for name in names if name == "style" or name.startswith("on")]


def test_the_page_of_a_grid_has_a_line_for_what_a_model_asks(signed_in: Client) -> None:
    page = signed_in.get("/symbols/").content.decode()

    assert re.search(r'<dt>Advice</dt><dd>[^<]*<span data-k="d\.[a-z]+\.BTCUSDT\.advice"', page)


@pytest.mark.parametrize("address", PAGES + PARTS + DATA)
def test_every_page_opens_for_a_signed_in_person(signed_in: Client, address: str) -> None:
    response = signed_in.get(address)

    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"] or "no-cache" in response.headers["Cache-Control"]


@pytest.mark.parametrize("address", [*PAGES, *PARTS, *DATA, "/orders/fills.csv"])
def test_nobody_sees_a_page_without_signing_in(client: Client, desks: dict[str, Account], address: str) -> None:
    response = client.get(address)

    assert response.status_code == 302
    assert response.headers["Location"].startswith("/login/?next=")


@pytest.mark.parametrize("address", PARTS)
def test_a_part_asked_for_while_signed_out_is_refused_and_not_replaced_by_the_sign_in(
    client: Client, desks: dict[str, Account], address: str
) -> None:
    assert client.get(address, headers={"HX-Request": "true"}).status_code == 401


@pytest.mark.parametrize("address", [*PAGES, "/login/"])
def test_no_page_holds_inline_code_or_style(signed_in: Client, address: str) -> None:
    if address == "/login/":
        signed_in.logout()
    tags = Tags()

    tags.feed(signed_in.get(address).content.decode())

    assert tags.forbidden == []


def test_htmx_gets_the_part_alone(signed_in: Client) -> None:
    part = signed_in.get("/orders/open/", headers={"HX-Request": "true"}).content.decode()

    assert part.startswith("{") is False
    assert "<html" not in part
    assert 'id="rows"' in part


def test_without_any_desk_the_page_says_how_to_make_one(client: Client, db: None) -> None:
    client.force_login(User.objects.create_user("trader"))

    response = client.get("/")

    assert response.status_code == 503
    assert "./console demo" in text_of(response)


def test_unknown_values_are_dashes_and_never_zero(signed_in: Client) -> None:
    html = signed_in.get("/").content.decode()

    assert re.search(r'data-k="d\.micro\.equity"[^>]*>—<', html)


def test_the_first_paint_shows_the_last_known_values(signed_in: Client) -> None:
    live.publish_values({"d.micro.equity": 300.25, "d.micro.pnl_day": -0.5, "m.BTCUSDT.px": 61712.4})

    html = signed_in.get("/").content.decode()

    assert re.search(r'data-k="d\.micro\.equity"[^>]*>300\.25<', html)
    assert re.search(r'data-k="d\.micro\.pnl_day"[^>]*data-s="-1"[^>]*>\u22120\.50<', html)
    assert re.search(r'data-k="m\.BTCUSDT\.px"[^>]*>61,712\.40<', html)


def test_the_overview_names_the_limits_of_the_phase(signed_in: Client) -> None:
    text = text_of(signed_in.get("/"))

    for limit in ("stop \u22126", "hard \u221215", "need ≥ 85 %", "need ≤ 2,000", "limit 3", "limit 20"):
        assert limit in text


def test_limits_the_roadmap_leaves_unset_are_marked_as_ours(signed_in: Client) -> None:
    signed_in.post("/desk/", {"desk": "production"})

    assert "limit 140 (ours)" in text_of(signed_in.get("/"))


def test_the_gate_card_fetches_how_the_gate_stands(signed_in: Client) -> None:
    page = signed_in.get("/")

    assert 'hx-get="/gate/card/"' in page.content.decode()
    assert "How the gate stands: open it" in text_of(page)


def test_paper_is_written_on_every_page(signed_in: Client) -> None:
    for address in PAGES:
        assert 'data-mode="PAPER"' in signed_in.get(address).content.decode()


def test_the_chosen_desk_is_kept_for_the_session(signed_in: Client) -> None:
    response = signed_in.post("/desk/", {"desk": "production", "next": "/alerts/"})

    assert response.headers["Location"] == "/alerts/"
    assert signed_in.session["desk"] == "production"
    assert 'data-desk="production"' in signed_in.get("/").content.decode()


@pytest.mark.parametrize("target", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)"])
def test_the_desk_switch_never_leads_elsewhere(signed_in: Client, target: str) -> None:
    assert signed_in.post("/desk/", {"desk": "micro", "next": target}).headers["Location"] == "/"


def test_a_desk_that_does_not_exist_changes_nothing(signed_in: Client) -> None:
    response = signed_in.post("/desk/", {"desk": "nobody"}, follow=True)

    assert "desk" not in signed_in.session
    assert "There is no desk" in text_of(response)


def test_the_replay_is_marked_with_lap_speed_and_kind_of_data(signed_in: Client) -> None:
    live.publish_values({"replay.lap": 3, "replay.speed": 10, "replay.label": "bars, not ticks"})

    assert "Replay lap 3 · \u00d7 10 · bars, not ticks" in text_of(signed_in.get("/"))


def test_the_seam_is_told_as_a_settlement_and_not_as_profit(signed_in: Client, micro: Account) -> None:
    facts = {"account": micro, "lap": 2, "reason": "seam", "opening_cash_quote": 300, "opened_at": NOW}
    TradingDay.objects.create(opening_equity_quote=Decimal("300.31"), **facts)
    Settlement.objects.create(
        account=micro, symbol="BTCUSDT", quantity_base=Decimal("0.00009"), price=Decimal("61650.12"), lap=1, at=NOW
    )

    text = text_of(signed_in.get("/alerts/"))

    assert "Lap 2 began: positions settled at the last bid, equity unchanged at 300.31 USDT." in text
    assert "Settled, no fill and no P&amp;L: BTCUSDT 0.00009 at 61,650.12" in text


def test_an_alert_is_acknowledged_with_one_click(signed_in: Client, micro: Account, trader: User) -> None:
    alert = Alert.objects.create(account=micro, severity="WARN", code="WARN_X", message="Reconnected twice", at=NOW)

    part = signed_in.post(f"/alerts/{alert.pk}/acknowledge/", headers={"HX-Request": "true"})

    alert.refresh_from_db()
    assert alert.acknowledged_by == trader
    assert "Nothing waits for you." in text_of(part)
    assert "Acknowledged: Reconnected twice" in text_of(part)


def test_an_acknowledgement_can_be_undone(signed_in: Client, micro: Account) -> None:
    alert = Alert.objects.create(account=micro, severity="WARN", code="WARN_X", message="Reconnected twice", at=NOW)
    part = signed_in.post(f"/alerts/{alert.pk}/acknowledge/", headers={"HX-Request": "true"})
    assert f'hx-post="/alerts/{alert.pk}/unacknowledge/" hx-swap="none"' in part.getvalue().decode()

    undone = signed_in.post(f"/alerts/{alert.pk}/unacknowledge/", headers={"HX-Request": "true"})

    alert.refresh_from_db()
    assert (alert.acknowledged_at, alert.acknowledged_by) == (None, None)
    assert "Waits again: Reconnected twice" in text_of(undone)
    assert list(AuditEvent.objects.order_by("sequence").values_list("action", flat=True))[-2:] == [
        "alert.acknowledged",
        "alert.unacknowledged",
    ]


def test_what_was_raised_again_since_is_not_brought_back(signed_in: Client, micro: Account) -> None:
    facts = {"account": micro, "severity": "WARN", "code": "WARN_X", "at": NOW}
    alert = Alert.objects.create(**facts, message="Reconnected twice", acknowledged_at=NOW)
    Alert.objects.create(**facts, message="Reconnected thrice")

    answer = signed_in.post(f"/alerts/{alert.pk}/unacknowledge/", follow=True)

    alert.refresh_from_db()
    assert alert.acknowledged_at == NOW
    assert "It was raised again since" in text_of(answer)


def test_acknowledging_works_as_a_plain_form(signed_in: Client, micro: Account) -> None:
    alert = Alert.objects.create(account=micro, severity="CRIT", code="CRIT_X", message="Silent", at=NOW)

    response = signed_in.post(f"/alerts/{alert.pk}/acknowledge/", follow=True)

    assert response.redirect_chain == [("/alerts/", 302)]
    assert "Acknowledged: Silent" in text_of(response)


def test_info_is_an_event_and_never_an_alarm(signed_in: Client, micro: Account) -> None:
    Alert.objects.create(account=micro, severity="INFO", code="START", message="The loops run", at=NOW)

    text = text_of(signed_in.get("/alerts/?show=all"))

    assert "No alert was ever raised." in text
    assert "The loops run" in text


def test_a_message_cannot_smuggle_in_markup(signed_in: Client, micro: Account) -> None:
    Alert.objects.create(account=micro, severity="WARN", code="X", message="<script>alert(1)</script>", at=NOW)

    assert "<script>alert(1)" not in signed_in.get("/alerts/").content.decode()


def test_a_symbol_is_paused_and_the_undo_lets_it_trade_again(signed_in: Client, micro: Account) -> None:
    paused = signed_in.post("/symbols/BTCUSDT/pause/", headers={"HX-Request": "true"})
    held = Grid.objects.get(account=micro, symbol="BTCUSDT").paused_reason
    undone = signed_in.post("/symbols/BTCUSDT/unpause/", follow=True)

    assert held == "paused by trader"
    assert reverse("trading:unpause", args=["BTCUSDT"]) in paused.content.decode()
    assert "cancelled orders do not come back" in text_of(paused)
    assert Grid.objects.get(account=micro, symbol="BTCUSDT").paused_reason == ""
    assert "BTCUSDT trades again." in text_of(undone)


def test_pausing_what_the_desk_does_not_trade_says_so(signed_in: Client) -> None:
    assert "runs no grid on DOGEUSDT" in text_of(signed_in.post("/symbols/DOGEUSDT/pause/", follow=True))


@pytest.mark.parametrize("address", ["/symbols/BTCUSDT/pause/", "/alerts/1/acknowledge/", "/desk/", "/replay/"])
def test_nothing_changes_by_reading(signed_in: Client, address: str) -> None:
    assert signed_in.get(address).status_code == 405


@pytest.mark.parametrize("address", ["/symbols/BTCUSDT/pause/", "/desk/", "/replay/", "/risk/halt/", "/risk/resume/"])
def test_a_form_from_elsewhere_is_refused(trader: User, address: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(trader)

    response = strict.post(address)

    assert response.status_code == 403
    assert "older than your sign-in" in text_of(response)


def test_a_grid_that_is_not_centred_says_what_will_appear(signed_in: Client) -> None:
    text = text_of(signed_in.get("/symbols/"))

    assert "Not centred yet" in text
    assert "No ladder yet." in text


def centre(account: Account, symbol: str = "BTCUSDT") -> Grid:
    grid = Grid.objects.get(account=account, symbol=symbol)
    grid.levels_ticks = [round(6_000_000 * 1.001**n) for n in range(grid.slots + 1)]
    grid.levels_lap = 1
    grid.save()
    return grid


def test_the_ladder_shows_what_each_slot_does_next(signed_in: Client, micro: Account, make_order: MakeOrder) -> None:
    centre(micro)
    order = make_order(status="FILLED", lap=1, slot=0)
    facts = {"price": Decimal(60000), "quantity": Decimal("0.00010"), "price_ticks": 6_000_000, "quantity_lots": 10}
    facts |= {"fee": Decimal("0.0024"), "fee_asset": "USDT", "maker": False, "realized_quote": Decimal("-0.0024")}
    Fill.objects.create(
        account=micro, order=order, trade_id=1, symbol="BTCUSDT", side="BUY", slot=0, lap=1, at=NOW, at_ns=0, **facts
    )
    make_order(slot=1, side="BUY", price=Decimal("60060.00"))

    text = text_of(signed_in.get("/symbols/BTCUSDT/ladder/"))

    assert "60,060.00 SELL 0.00010 virtual 1" in text
    assert "60,060.00 BUY 0.00010 ACCEPTED 0" in text
    assert "60,120.06 BUY 0.00009 virtual 0" in text


def test_the_facts_of_a_grid_include_its_break_even(signed_in: Client, micro: Account) -> None:
    centre(micro)

    text = text_of(signed_in.get("/symbols/"))

    assert "Break-even step 0.080 %" in text
    assert "Feasible: 8 lots of 6.00 USDT need 48.00 USDT" in text
    assert "as of 20" in text


def test_an_infeasible_grid_says_which_limit_binds_and_what_would_work(signed_in: Client, micro: Account) -> None:
    centre(micro)
    Grid.objects.filter(account=micro, symbol="BTCUSDT").update(lot_quote=4)

    text = text_of(signed_in.get("/symbols/"))

    assert "Does not run:" in text
    assert "MIN_NOTIONAL" in text
    assert "it works from a capital of" in text


def test_the_state_bar_tells_how_far_the_halt_is(signed_in: Client, micro: Account) -> None:
    Halt.objects.create(
        account=micro,
        requested_by="trader",
        reason="drill",
        orders_at_latch=3,
        canceled=3,
        remaining=0,
        stage="PROVEN_CLEAR",
        latched_at=NOW,
        stopped_at=NOW + timedelta(milliseconds=210),
        proven_clear_at=NOW + timedelta(milliseconds=380),
    )

    response = signed_in.get("/panels/state_bar/")

    assert "HALTED Micro $300 by trader 12:00:00 UTC drill" in text_of(response)
    assert "STOPPED after 0.21 s PROVEN CLEAR after 0.38 s 3 of 3 cancelled, 0 left" in text_of(response)
    assert "every 20s" in response.content.decode()


def test_a_halt_under_way_is_asked_for_every_second(signed_in: Client, micro: Account) -> None:
    Halt.objects.create(account=micro, requested_by="rule", reason="daily drawdown", latched_at=NOW)

    response = signed_in.get("/panels/state_bar/")

    assert "by a rule" in text_of(response)
    assert "— cancelled, — left" in text_of(response)
    assert "every 1s" in response.content.decode()


def test_the_chart_starts_with_history_levels_and_fills(signed_in: Client, micro: Account) -> None:
    centre(micro)
    live.door.valkey().rpush("gc:live:hist:BTCUSDT", "[1000,60000.5]", "[2000,60001.5]")

    chart = signed_in.get("/api/prices/BTCUSDT/").json()

    assert (chart["t"], chart["price"], chart["decimals"]) == ([1000, 2000], [60000.5, 60001.5], 2)
    assert len(chart["levels"]) == 9


def test_prices_of_a_symbol_the_desk_does_not_trade_are_not_found(signed_in: Client) -> None:
    response = signed_in.get("/api/prices/DOGEUSDT/")

    assert response.status_code == 404
    assert "runs no grid on DOGEUSDT" in response.json()["error"]


def test_navigation_only_leads_to_what_is_built(signed_in: Client) -> None:
    html = signed_in.get("/").content.decode()
    links = set(re.findall(r'<a[^>]+href="(/[^"#?]*)', html))

    assert {link: signed_in.get(link, follow=True).status_code for link in links} == dict.fromkeys(links, 200)


FIELDS_SHOWN_ELSEWHERE = {
    "d.micro.BTCUSDT.fill",  # a mark on the chart
    "d.micro.BTCUSDT.vol",  # behind the spacing floor, which is shown
    "d.micro.BTCUSDT.range_hi",  # the ladder is fetched again when range_lo moves
    "d.micro.cash",  # in the effect of a halt
    "d.micro.halt.stage",  # in the state bar, from the database
    "d.micro.reconcile.clean",  # as words, from the database
    "d.micro.state",  # in the state bar, from the database
    "m.BTCUSDT.ask",  # in the spread of the break-even step
    "m.BTCUSDT.bid",
    "m.BTCUSDT.t",  # the age of the data
    "feed.age_ms",  # reckoned in the browser from the time of the last price
    "replay.dataset",
    "replay.state",  # in the words of the stale bar
}


def test_every_value_on_the_wire_is_shown_or_accounted_for(signed_in: Client, micro: Account) -> None:
    from typing import get_args

    centre(micro)
    live.publish_values({"replay.lap": 1})
    keys = {live.desk("micro", field) for field in get_args(live.DeskField)}
    keys |= {live.grid("micro", "BTCUSDT", field) for field in get_args(live.GridField)}
    keys |= {live.market("BTCUSDT", field) for field in get_args(live.MarketField)}
    keys |= {live.replay(field) for field in get_args(live.ReplayField)}
    keys |= {live.feed(field) for field in get_args(live.FeedField)}

    html = "".join(signed_in.get(address).content.decode() for address in PAGES)
    shown = {key for key in keys if f'data-k="{key}"' in html or key in html}

    assert keys - shown <= FIELDS_SHOWN_ELSEWHERE

"""The backtest lab in the browser's words: lay a grid, run it, read it, compare it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from trading import backtesting, lab_views, searching
from trading.domain.people import Role
from trading.models import AuditEvent, Backtest
from trading.services import backtests

pytestmark = pytest.mark.django_db
LAB = "/backtests/"
BOTH = ("BTCUSDT", "ETHUSDT")


@pytest.fixture(autouse=True)
def nobody_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker stands behind these pages: what is asked waits, unless `work` is called."""
    monkeypatch.setattr(lab_views, "WAIT_S", 0)


def work() -> None:
    works = backtests.Works(backtesting.carry_out, searching.carry_out_shared)
    backtests.carry_out_waiting(works, lambda: datetime.now(UTC), (backtesting.UnableToBacktest,))


def run(client: Client, **fields: str) -> Backtest:
    answer = client.post(reverse("trading:run-backtest"), {"source": "ticks|BTCUSDT", **fields})
    found = Backtest.objects.latest("pk")
    assert answer.status_code == 302
    assert answer["Location"] == f"{LAB}{found.pk}/"
    return found


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_an_empty_lab_says_what_to_do_and_shows_the_levels_of_its_defaults(signed_in: Client) -> None:
    page = text(signed_in.get(LAB))

    assert "No backtest yet" in page
    assert "BTCUSDT, ticks: 10 min, 19,904 events" in page
    assert all(f"<option selected>{choice}</option>" in page for choice in ("geometric", "neutral", "MAKER", "touch"))
    assert page.count('data-side="sell"') == 10
    assert page.count('data-side="buy"') == 10


def test_the_preview_follows_what_is_typed(signed_in: Client) -> None:
    page = text(signed_in.get(f"{LAB}preview/?source=bars|ETHUSDT&levels=5&lower=2400&upper=2800&grid=arithmetic"))

    assert page.count("<li data-side") == 5
    assert all(f">{price:,}.00<" in page for price in (2400, 2500, 2600, 2700, 2800))
    assert "A round trip loses" not in page


def test_the_preview_names_what_is_wrong_and_warns_of_what_loses(signed_in: Client) -> None:
    wrong = text(signed_in.get(f"{LAB}preview/?source=ticks|BTCUSDT&levels=1"))
    losing = text(signed_in.get(f"{LAB}preview/?source=ticks|BTCUSDT&step=0.0001"))

    assert "<b>levels</b>: &#x27;1&#x27; is no whole number from 2 to 500" in wrong
    poor = text(signed_in.get(f"{LAB}preview/?source=ticks|BTCUSDT&levels=22"))

    assert "A round trip loses" in losing
    assert "The cash does not pay for every slot" in poor


def test_a_grid_that_moves_is_previewed_and_run(signed_in: Client) -> None:
    fields = {"kind": "range", "trail_up_to": "65000", "stop": "60000", "lot": "100", "mode": "long"}

    shown = text(signed_in.get(f"{LAB}preview/", {"source": "ticks|BTCUSDT", **fields}))
    asked = run(signed_in, **fields)
    work()

    assert "Lost at the stop, at most" in shown
    page = text(signed_in.get(f"{LAB}{asked.pk}/"))
    assert "Follows up to" in page
    assert "laid anew" in page or "traded at a bound" in page
    assert "<details open>" in text(signed_in.get(LAB, {"data": "ticks", "symbol": "BTCUSDT", **fields}))


def test_a_run_is_followed_until_it_is_done_and_then_shown_whole(signed_in: Client) -> None:
    asked = run(signed_in, levels="8", mode="long")

    waiting = text(signed_in.get(f"{LAB}{asked.pk}/"))
    assert "It waits for the tasks worker" in waiting
    assert f'hx-get="{LAB}{asked.pk}/progress/"' in waiting
    assert "HX-Refresh" not in signed_in.get(f"{LAB}{asked.pk}/progress/")
    work()

    assert signed_in.get(f"{LAB}{asked.pk}/progress/")["HX-Refresh"] == "true"
    page = text(signed_in.get(f"{LAB}{asked.pk}/"))
    assert "Grid profit" in page
    assert "Inventory P&amp;L" in page
    assert 'title="not known"' in page  # Sharpe of ten minutes
    assert "at least 7 are needed" in page
    assert "fills with 10 s after them; at least 20 are needed" in page
    assert page.count("data-fig=") == 4
    assert page.count("<progress") == 8
    assert "No backtest yet" not in text(signed_in.get(LAB))


def test_a_run_of_an_earlier_version_says_that_it_did_not_measure_the_mark_out(signed_in: Client) -> None:
    asked = run(signed_in, levels="8", mode="long")
    work()
    asked.refresh_from_db()
    asked.facts = {k: v for k, v in (asked.facts or {}).items() if k not in {"mark_out", "mark_out_fills"}}
    asked.save(update_fields=["facts"])

    assert "the version that ran it did not measure it" in text(signed_in.get(f"{LAB}{asked.pk}/"))


def test_the_charts_and_the_files_of_a_run(signed_in: Client) -> None:
    asked = run(signed_in)
    work()

    charts = signed_in.get(f"{LAB}{asked.pk}/figures/").json()
    alone = signed_in.get(f"{LAB}{asked.pk}/export.html")
    plain = signed_in.get(f"{LAB}{asked.pk}/export.json")

    assert set(charts) == {"equity", "drawdown", "price", "heat"}
    assert len(charts["price"]["layout"]["shapes"]) == 20
    assert "within 10 s of a fill, mean of 37; no step below 0.0548 % pays" in text(signed_in.get(f"{LAB}{asked.pk}/"))
    assert "attachment" in alone["Content-Disposition"]
    assert plain.json()["fills_sha256"] in text(alone)


def test_what_is_wrong_stands_beside_the_form_and_nothing_starts(signed_in: Client) -> None:
    answer = signed_in.post(f"{LAB}run/", {"source": "ticks|BTCUSDT", "levels": "x", "lot": "77"})

    page = text(answer)
    assert answer.status_code == 422
    assert "<b>levels</b>: &#x27;x&#x27; is no whole number" in page
    assert 'value="77"' in page
    assert not Backtest.objects.exists()
    assert AuditEvent.objects.latest("sequence").action == "refused"


def test_no_file_of_the_server_is_read_by_its_name(signed_in: Client) -> None:
    answer = signed_in.post(f"{LAB}run/", {"data": "/etc/passwd", "symbol": "BTCUSDT"})

    assert answer.status_code == 422
    assert "is no recording that is known here" in text(answer)


def test_several_symbols_run_in_one_purse_and_each_is_shown_with_its_levels(signed_in: Client) -> None:
    fields = {"also": "ETHUSDT", "each": "ETHUSDT: levels=8, mode=long", "lot": "100", "max_drawdown": "0.5"}
    shown = text(signed_in.get(f"{LAB}preview/", {"source": "ticks|BTCUSDT", **fields}))
    asked = run(signed_in, **fields)
    work()

    assert "BTCUSDT 20 levels, ETHUSDT 8 levels" in shown
    assert shown.count("<li data-side") == 28
    assert "The purse does not pay" not in shown
    poor = text(signed_in.get(f"{LAB}preview/", {"source": "ticks|BTCUSDT", **fields, "cash": "2100"}))
    assert "The purse does not pay for every slot of all symbols" in poor
    assert "The cash does not pay for every slot" not in poor  # for each alone it would
    unlaid = {**fields, "each": "ETHUSDT: step=0.000001"}
    wrong = text(signed_in.get(f"{LAB}preview/", {"source": "ticks|BTCUSDT", **unlaid}))
    assert "<b>ETHUSDT.grid</b>: " in wrong
    page = text(signed_in.get(f"{LAB}{asked.pk}/"))
    assert asked.settings["symbol"] == "BTCUSDT,ETHUSDT"
    assert page.count("data-fig=") == 6
    assert page.count("<progress") == 28
    assert "ETHUSDT: Levels and fills on the price" in page
    assert "Levels of ETHUSDT" in page
    assert "geometric long, 8 levels" in page
    assert "Of single symbols" in page
    figures = signed_in.get(f"{LAB}{asked.pk}/figures/").json()
    assert figures.keys() == {"equity", "drawdown", *(f"{a}-{b}" for a in ("price", "heat") for b in BOTH)}
    alone = text(signed_in.get(f"{LAB}{asked.pk}/export.html"))
    assert "2 grids in one purse" in alone
    assert all(f'id="fig-{name}"' in alone for name in figures)
    assert "<h2>ETHUSDT</h2>" in alone
    again = text(signed_in.get(LAB, {name: value for name, value in asked.settings.items() if value is not None}))
    assert 'name="also" value="ETHUSDT"' in again
    assert 'name="each" value="ETHUSDT: levels=8, mode=long"' in again
    assert '<option value="ticks|BTCUSDT" selected>' in again


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"also": "XRPUSDT"}, "has XRPUSDT in no recording of that name"),
        ({"also": "ETHUSDT", "each": "ETHUSDT: data=/etc/passwd"}, "has ETHUSDT in no recording of that name"),
        ({"also": "ETHUSDT", "each": "ETHUSDT: levels=1"}, "<b>ETHUSDT.levels</b>: &#x27;1&#x27; is no whole number"),
        ({"also": "ETHUSDT", "each": "ETHUSDT: step=" + "1" * 2_000}, "<b>each</b>: "),
        ({"queue": "log"}, "<b>queue</b>: needs data that carry the book"),
        ({"also": "ETHUSDT", "each": "ETHUSDT: queue=log"}, "<b>ETHUSDT.queue</b>: needs data that carry the book"),
        ({"also": "BTCUSDT"}, "is no list of 1 to 8 different symbols"),
    ],
)
def test_what_symbols_and_data_cannot_carry_stands_beside_the_form(
    signed_in: Client, fields: dict[str, str], said: str
) -> None:
    answer = signed_in.post(reverse("trading:run-backtest"), {"source": "ticks|BTCUSDT", **fields})

    assert answer.status_code == 422
    assert said in text(answer)
    assert not Backtest.objects.exists()


def test_two_runs_stand_side_by_side(signed_in: Client) -> None:
    first, second = run(signed_in, mode="long"), run(signed_in, mode="short")
    work()

    page = text(signed_in.get(f"{LAB}compare/?run={first.pk}&run={second.pk}"))
    charts = signed_in.get(f"{LAB}compare/figures/?run={first.pk}&run={second.pk}").json()

    assert f"#{first.pk}, #{second.pk}" in page
    assert page.count('title="differs"') == 1
    assert "Difference" in page
    assert [trace["name"] for trace in charts["equity"]["data"]] == [f"Run {first.pk}", f"Run {second.pk}"]


@pytest.mark.parametrize("query", ["", "run=1", "run=x&run=y", "run=99999&run=99998"])
def test_fewer_than_two_runs_cannot_be_compared(signed_in: Client, query: str) -> None:
    assert "Choose 2 to 4 runs that are done" in text(signed_in.get(f"{LAB}compare/?{query}"))
    assert signed_in.get(f"{LAB}compare/figures/?{query}").json()["equity"]["data"] == []


def test_a_run_that_waits_is_cancelled(signed_in: Client) -> None:
    asked = run(signed_in)

    page = text(signed_in.post(f"{LAB}{asked.pk}/cancel/", follow=True))

    assert f"Asked backtest {asked.pk} to end" in page
    assert "It was cancelled" in page
    assert "Nothing was changed" in text(signed_in.post(f"{LAB}{asked.pk}/cancel/", follow=True))


def test_what_was_asked_can_be_changed_and_run_again(signed_in: Client) -> None:
    run(signed_in, levels="8", latency_ms="5")
    work()

    page = text(signed_in.get(f"{LAB}?levels=8&latency_ms=5&data=ticks&symbol=ETHUSDT"))

    assert 'name="levels" inputmode="numeric" value="8"' in page
    assert '<option value="ticks|ETHUSDT" selected>' in page
    assert "<details open>" in page


def test_whoever_is_not_of_the_desk_reads_and_runs_nothing(signed_in: Client, client: Client) -> None:
    asked = run(signed_in)
    work()
    auditor = User.objects.create_user("auditor")
    auditor.groups.add(Group.objects.get_or_create(name=Role.AUDITOR)[0])
    client.force_login(auditor)

    refused = client.post(f"{LAB}run/", {"source": "ticks|BTCUSDT"}, follow=True)

    assert "Only Trader, Trading Lead, Engineer, CTO or CEO may run a backtest." in text(refused)
    assert Backtest.objects.count() == 1
    assert client.get(f"{LAB}{asked.pk}/").status_code == 200
    assert "you read them" in text(client.get(LAB))


def test_a_run_that_does_not_exist_is_not_found(signed_in: Client) -> None:
    for address in ("", "progress/", "figures/", "export.html", "export.json"):
        assert signed_in.get(f"{LAB}4711/{address}").status_code == 404
    assert signed_in.post(f"{LAB}4711/cancel/").status_code == 404


def test_one_that_failed_says_why(signed_in: Client) -> None:
    asked = run(signed_in, lot="1")
    work()

    page = text(signed_in.get(f"{LAB}{asked.pk}/"))

    assert "lot: 1 is below the venue&#x27;s smallest order" in page
    assert "Change and run again" in page
    assert "hx-get" not in page.split('id="progress"')[1].split(">")[0]

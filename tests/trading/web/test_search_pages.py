"""Searches in the browser's words: ask, follow, read, adopt; nothing goes where it may not."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from trading import backtesting, lab_views, searching
from trading.domain.people import Role
from trading.models import Account, AuditEvent, Backtest, GridCandidate
from trading.services import backtests

pytestmark = pytest.mark.django_db
FORM = {
    "source": "ticks|BTCUSDT", "vary": "levels = 6, 8\nstep = 0.001, 0.002", "mode": "long", "style": "TAKER",
    "lot": "6", "method": "grid",
}  # fmt: skip


@pytest.fixture(autouse=True)
def nobody_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_views, "WAIT_S", 0)


def work() -> None:
    works = backtests.Works(backtesting.carry_out, searching.carry_out_shared)
    backtests.carry_out_waiting(works, lambda: datetime.now(UTC), (backtesting.UnableToBacktest,))


def search(client: Client, **fields: str) -> Backtest:
    answer = client.post("/backtests/search/run/", {**FORM, **fields})
    found = Backtest.objects.latest("pk")
    assert answer.status_code == 302, text(answer)
    assert answer["Location"] == f"/backtests/{found.pk}/"
    return found


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_the_form_says_how_ranges_are_written(signed_in: Client) -> None:
    page = text(signed_in.get("/backtests/search/"))

    assert "levels = 8..20 by 4" in page
    assert "Every trial counts against the best one" in page
    assert 'href="/backtests/search/"' in text(signed_in.get("/backtests/"))


def test_a_search_is_followed_until_it_is_done_and_then_has_a_page_of_its_own(signed_in: Client) -> None:
    asked = search(signed_in)

    waiting = text(signed_in.get(f"/backtests/{asked.pk}/"))
    assert f"<h1>Search {asked.pk}</h1>" in waiting
    assert "It waits for the tasks worker" in waiting
    assert signed_in.get(f"/backtests/{asked.pk}/search/").status_code == 404
    work()

    assert signed_in.get(f"/backtests/{asked.pk}/progress/")["HX-Refresh"] == "true"
    assert signed_in.get(f"/backtests/{asked.pk}/")["Location"] == f"/backtests/{asked.pk}/search/"
    page = text(signed_in.get(f"/backtests/{asked.pk}/search/"))
    assert "Trials counted" in page
    assert "luck alone shows" in page
    assert page.count("data-fig=") == 2
    assert page.count(">Adopt as candidate</button>") == page.count('name="trial"') > 0
    assert "in-sample" in page
    assert AuditEvent.objects.filter(action="search.asked").latest("sequence").payload["plan"]["method"] == "grid"
    lab = text(signed_in.get("/backtests/"))
    assert f"#{asked.pk} search: BTCUSDT ticks, grid over levels, step" in lab


def test_the_trials_of_earlier_searches_over_the_same_data_count(signed_in: Client) -> None:
    search(signed_in)
    search(signed_in, source="ticks|ETHUSDT")
    third = search(signed_in, vary="levels = 7")
    work()

    third.refresh_from_db()
    assert third.facts is not None
    assert third.facts["counts"]["before"] == 4
    assert "4 before over the same data" in text(signed_in.get(f"/backtests/{third.pk}/search/"))


def test_charts_and_files(signed_in: Client) -> None:
    asked = search(signed_in)
    work()

    address = f"/backtests/{asked.pk}/search/"
    charts = signed_in.get(f"{address}figures/?across=step&up=levels&metric=sharpe").json()
    plain = signed_in.get(f"{address}trials.json")

    assert charts["heat"]["data"][0]["x"] == ["0.001", "0.002"] * 2
    assert charts["heat"]["layout"]["xaxis"]["title"]["text"].startswith("step (Sharpe ratio a span: colour ")
    assert {trace["name"] for trace in charts["front"]["data"]} == {"Other trials", "Beaten by none"}
    assert "attachment" in plain["Content-Disposition"]
    assert len(plain.json()["trials"]) == 4
    assert signed_in.get(f"{address}figures/?across=nonsense&up=nonsense").json()["heat"]["data"][0]["y"]
    for other in ("figures/", "export.html", "export.json"):
        assert signed_in.get(f"/backtests/{asked.pk}/{other}").status_code == 404
    assert "Choose 2 to 4 runs" in text(signed_in.get(f"/backtests/compare/?run={asked.pk}&run={asked.pk}"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"vary": ""}, "<b>vary</b>: names nothing to vary"),
        ({"vary": "levels"}, "<b>vary</b>: &#x27;levels&#x27; has no values"),
        ({"vary": "levels = 8\nlevels = 9"}, "comes twice"),
        ({"vary": "levels = 8..40"}, "<b>levels</b>: is a range without a number of points"),
        ({"vary": "x" * 2_001}, "<b>vary</b>: has more than 2000 characters"),
        ({"folds": "x"}, "<b>folds</b>: &#x27;x&#x27; is no whole number"),
        ({"source": "/etc/passwd|BTCUSDT"}, "is no recording that is known here"),
    ],
)
def test_what_is_wrong_stands_beside_the_form_and_nothing_starts(
    signed_in: Client, fields: dict[str, str], words: str
) -> None:
    answer = signed_in.post("/backtests/search/run/", {**FORM, **fields})

    assert answer.status_code == 422
    assert words in text(answer)
    assert not Backtest.objects.exists()
    assert AuditEvent.objects.latest("sequence").action == "refused"


def test_a_trial_is_adopted_shown_beside_its_grid_and_withdrawn(signed_in: Client) -> None:
    asked = search(signed_in)
    work()
    account = Account.objects.get(slug="micro")
    signed_in.post("/desk/", {"desk": "micro", "next": "/"})

    page = text(signed_in.post(f"/backtests/{asked.pk}/search/adopt/", {"trial": "0"}, follow=True))

    assert "Trial 0 is the candidate for BTCUSDT of Micro $300" in page
    assert f"trial 0 of search {asked.pk}" in page
    assert GridCandidate.objects.get().account == account
    page = text(signed_in.post("/symbols/BTCUSDT/candidate/withdraw/", follow=True))
    assert "The candidate for BTCUSDT is withdrawn" in page
    assert "Withdraw the candidate" not in page
    assert "Nothing was changed" in text(signed_in.post("/symbols/BTCUSDT/candidate/withdraw/", follow=True))


def test_what_the_live_core_cannot_run_says_why_in_place_of_the_button(signed_in: Client) -> None:
    asked = search(signed_in, carried="roll", trail_down_to="1000")
    work()

    page = text(signed_in.get(f"/backtests/{asked.pk}/search/"))

    assert "Not yet: carried: roll runs in the backtest lab only; use keep or close" in page
    assert "Adopt as candidate" not in page
    signed_in.post("/desk/", {"desk": "micro", "next": "/"})
    refused = text(signed_in.post(f"/backtests/{asked.pk}/search/adopt/", {"trial": "0"}, follow=True))
    assert "Nothing was changed. carried: roll runs in the backtest lab only" in refused
    assert not GridCandidate.objects.exists()


@pytest.mark.parametrize("trial", ["", "99", "x", "-1", "9" * 50])
def test_a_trial_that_was_not_run_cannot_be_adopted(signed_in: Client, trial: str) -> None:
    asked = search(signed_in, vary="levels = 8")
    work()

    page = text(signed_in.post(f"/backtests/{asked.pk}/search/adopt/", {"trial": trial}, follow=True))

    assert "There is no trial" in page
    assert not GridCandidate.objects.exists()


def test_nothing_is_adopted_for_real_money(signed_in: Client) -> None:
    asked = search(signed_in)
    work()
    Account.objects.filter(slug="micro").update(mode="LIVE")
    signed_in.post("/desk/", {"desk": "micro", "next": "/"})

    page = text(signed_in.get(f"/backtests/{asked.pk}/search/"))
    refused = text(signed_in.post(f"/backtests/{asked.pk}/search/adopt/", {"trial": "0"}, follow=True))

    assert "is no paper account" in page
    assert "Adopt as candidate" not in page
    assert "candidates go to a paper account" in refused
    assert not GridCandidate.objects.exists()


def test_whoever_only_reads_searches_and_adopts_nothing(signed_in: Client, client: Client) -> None:
    asked = search(signed_in)
    work()
    auditor = User.objects.create_user("auditor")
    auditor.groups.add(Group.objects.get_or_create(name=Role.AUDITOR)[0])
    client.force_login(auditor)

    assert "Only Trader, " in text(client.post("/backtests/search/run/", FORM, follow=True))
    assert "Adopt as candidate" not in text(client.get(f"/backtests/{asked.pk}/search/"))
    assert "you read what they found" in text(client.get("/backtests/search/"))
    assert Backtest.objects.count() == 1

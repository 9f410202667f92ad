"""Halting alone and resuming in pairs, as people do it with plain forms."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils.timezone import now

from tests.riskops.proofs import text_of
from trading.models import Account, AuditEvent, Halt, Order, Reconciliation

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
AsPerson = Callable[[str], Client]
PEOPLE = ["trader", "trading_lead", "engineer", "cto", "ceo"]
RESUME = {"reason": "The drill is over, the books agree", "typed": "RESUME"}


def prove_clear() -> None:
    Halt.objects.update(stage=Halt.Stage.PROVEN_CLEAR, remaining=0, proven_clear_at=now())
    for account in Account.objects.all():
        Reconciliation.objects.create(account=account, is_clean=True, local_open=0, venue_open=0, at=now())


@pytest.mark.parametrize("name", PEOPLE)
def test_anybody_signed_in_halts_alone(as_person: AsPerson, latch_file: Path, name: str) -> None:
    response = as_person(name).post("/risk/halt/", follow=True)

    assert set(Account.objects.values_list("state", flat=True)) == {"HALTED"}
    assert latch_file.exists()
    assert "Halt latched: Micro $300 and Production $25,000." in text_of(response)
    assert f"by {name}" in text_of(response)


def test_nobody_halts_without_signing_in(as_person: AsPerson) -> None:
    as_person("trader")

    page, script = Client().post("/risk/halt/"), Client().post("/risk/halt/", headers={"Accept": "application/json"})

    assert (page.status_code, script.status_code) == (302, 401)
    assert not Halt.objects.exists()


def test_reading_the_halt_page_halts_nothing(as_person: AsPerson) -> None:
    response = as_person("trader").get("/risk/halt/")

    assert "Cancels 0 open orders" in text_of(response)
    assert not Halt.objects.exists()


def test_one_desk_can_be_halted_alone(as_person: AsPerson) -> None:
    as_person("trader").post("/risk/halt/", {"scope": "micro"})

    assert dict(Account.objects.values_list("slug", "state")) == {"micro": "HALTED", "production": "ACTIVE"}


def test_selling_the_positions_is_a_choice_of_its_own(as_person: AsPerson) -> None:
    trader = as_person("trader")

    trader.post("/risk/halt/", {"scope": "micro"})
    before = Halt.objects.get().flatten
    trader.post("/risk/halt/", {"scope": "micro", "flatten": "1"})

    assert (before, Halt.objects.get().flatten) == (False, True)


def test_a_second_press_changes_nothing(as_person: AsPerson) -> None:
    trader = as_person("trader")

    first, second = trader.post("/risk/halt/"), trader.post("/risk/halt/")

    assert (first.status_code, second.status_code) == (302, 302)
    assert Halt.objects.count() == 2


@pytest.mark.parametrize("scope", ["nobody", "x" * 40])
def test_a_desk_that_does_not_exist_halts_nothing_and_names_other_ways(as_person: AsPerson, scope: str) -> None:
    response = as_person("trader").post("/risk/halt/", {"scope": scope})

    assert response.status_code == 422
    assert "Nothing was halted" in text_of(response)
    assert "./console halt" in text_of(response)
    assert not Halt.objects.exists()


def test_a_script_gets_an_answer_it_can_show(as_person: AsPerson) -> None:
    trader, header = as_person("trader"), {"Accept": "application/json"}

    done = trader.post("/risk/halt/", headers=header)
    refused = trader.post("/risk/halt/", {"scope": "nobody"}, headers=header)

    assert done.json()["message"].startswith("Halt latched: Micro $300 and Production $25,000.")
    assert (refused.status_code, refused.json()["message"][:19]) == (422, "Nothing was halted:")


def test_the_effect_is_counted_before_the_press(as_person: AsPerson) -> None:
    trader, micro = as_person("trader"), Account.objects.get(slug="micro")
    for n, symbol in enumerate(["BTCUSDT", "BTCUSDT", "ETHUSDT"]):
        Order.objects.create(
            account=micro, client_order_id=f"gc-{n}", symbol=symbol, side="BUY", type="LIMIT", purpose="grid",
            quantity=1, quantity_lots=1, reference_ticks=1,
            status="ACCEPTED", decided_at=NOW, decided_at_ns=0, updated_at=NOW,
        )  # fmt: skip

    text = text_of(trader.get("/risk/halt/effect/"))

    assert "Cancels 3 open orders : 3 on 2 symbols at Micro $300; none at Production $25,000." in text
    assert "Blocks new orders until two people resume" in text


def test_two_people_resume_a_desk(as_person: AsPerson) -> None:
    trader, lead = as_person("trader"), as_person("trading_lead")
    trader.post("/risk/halt/", {"scope": "micro"})
    prove_clear()

    trader.post("/risk/resume/", RESUME)
    own = text_of(trader.get("/risk/"))
    other = text_of(lead.get("/risk/"))
    response = lead.post(f"/risk/resume/{_request_id()}/grant/", {"typed": "RESUME"}, follow=True)

    assert "whoever asked cannot grant it" in own
    assert "trader (Trader)" in other
    assert "BTCUSDT: TAKER grid, 8 slots of 6.00 USDT" in other
    assert "Micro $300 resumes." in text_of(response)
    assert Account.objects.get(slug="micro").state == "ACTIVE"
    assert "trader + trading_lead" in text_of(lead.get("/risk/"))


def test_a_drill_is_run_from_the_page_and_named_with_its_person(as_person: AsPerson) -> None:
    engineer = as_person("engineer")

    response = engineer.post("/risk/drill/", {"drill": "MANUAL"}, follow=True)
    again = engineer.post("/risk/drill/", {"drill": "DRAWDOWN"}, follow=True)
    prove_clear()

    assert "Drill under way: Micro $300 halts." in text_of(response)
    assert "No drill was run. Micro $300 is halted already: resume it first." in text_of(again)
    shown = engineer.get("/risk/drills/")
    assert "✓ passed" in text_of(shown)
    assert shown.headers["HX-Trigger"] == "gc:drill"
    assert "by engineer" in text_of(engineer.get("/risk/drills/"))
    assert dict(Account.objects.values_list("slug", "state")) == {"micro": "HALTED", "production": "ACTIVE"}


def test_a_drill_that_does_not_exist_halts_nothing(as_person: AsPerson) -> None:
    response = as_person("engineer").post("/risk/drill/", {"drill": "FIRE"}, follow=True)

    assert "No drill was run: the form is damaged." in text_of(response)
    assert not Halt.objects.exists()


def test_one_symbol_is_halted_and_resumed_by_itself(as_person: AsPerson) -> None:
    trader, lead = as_person("trader"), as_person("trading_lead")

    done = trader.post("/risk/halt/", {"scope": "micro/BTCUSDT"}, follow=True)
    prove_clear()
    page = text_of(trader.get("/risk/"))
    trader.post("/risk/resume/", {**RESUME, "symbol": "BTCUSDT"})
    granted = lead.post(f"/risk/resume/{_request_id()}/grant/", {"typed": "RESUME"}, follow=True)

    assert "Halt latched: BTCUSDT at Micro $300." in text_of(done)
    assert "HALTED BTCUSDT at Micro $300 by trader" in page
    assert "Resume BTCUSDT at Micro $300" in page
    assert set(Account.objects.values_list("state", flat=True)) == {"ACTIVE"}
    assert "BTCUSDT at Micro $300 resumes." in text_of(granted)
    assert not Halt.objects.filter(released_at=None).exists()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            '{"micro": {"by": "trader", "reason": "no database", "at": "2026-11-21T11:59:58+00:00"}}',
            "HALTED Micro $300 by trader 11:59:58 UTC no database",
        ),
        ('{"micro/BTCUSDT": null}', "HALTED BTCUSDT at Micro $300 by the latch file"),
        ("{half", "the latch file is damaged"),
    ],
)
def test_a_halt_that_only_the_latch_file_knows_is_shown(
    as_person: AsPerson, latch_file: Path, text: str, shown: str
) -> None:
    trader = as_person("trader")
    latch_file.write_text(text)

    assert shown in text_of(trader.get("/risk/"))


def test_what_resumes_says_what_another_halt_still_holds(as_person: AsPerson) -> None:
    trader = as_person("trader")
    trader.post("/risk/halt/", {"scope": "micro"})
    trader.post("/risk/halt/", {"scope": "micro/BTCUSDT"})

    page = text_of(trader.get("/risk/"))

    assert "BTCUSDT: stays halted by another halt" in page
    assert "Resume Micro $300" in page
    assert "Resume BTCUSDT at Micro $300" in page


def test_asking_for_a_symbol_that_is_not_halted_says_so(as_person: AsPerson) -> None:
    trader = as_person("trader")
    trader.post("/risk/halt/", {"scope": "micro"})

    response = trader.post("/risk/resume/", {**RESUME, "symbol": "BTCUSDT"})

    assert response.status_code == 422
    assert "BTCUSDT at Micro $300 is not halted." in text_of(response)


def test_the_effect_of_one_symbol_is_counted_before_the_press(as_person: AsPerson) -> None:
    text = text_of(as_person("trader").get("/risk/halt/effect/", {"scope": "micro/BTCUSDT", "flatten": "1"}))

    assert "Halt BTCUSDT at Micro $300?" in text
    assert "none at Micro $300" in text
    assert "Production $25,000." not in text.split("What")[0]


def _request_id() -> str:
    from riskops.models import ResumeRequest

    return str(ResumeRequest.objects.latest("pk").pk)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"reason": "", "typed": "RESUME"}, "Say why it is safe to resume."),
        ({"reason": "ok", "typed": "RESUME"}, "at least 10 characters"),
        ({"reason": "the feed is back", "typed": "resume"}, "Type RESUME in capitals"),
        ({"reason": "the feed is back"}, "Type the word to confirm."),
    ],
    ids=["no reason", "a reason that says nothing", "the word in small letters", "no word"],
)
def test_asking_needs_a_reason_and_the_word(as_person: AsPerson, form: dict[str, str], message: str) -> None:
    trader = as_person("trader")
    trader.post("/risk/halt/", {"scope": "micro"})

    response = trader.post("/risk/resume/", form)

    assert response.status_code == 422
    assert message in text_of(response)


def test_before_the_halt_is_proven_clear_nobody_can_grant(as_person: AsPerson) -> None:
    trader, lead = as_person("trader"), as_person("trading_lead")
    trader.post("/risk/halt/", {"scope": "micro"})
    trader.post("/risk/resume/", RESUME)

    page = lead.get("/risk/")
    response = lead.post(f"/risk/resume/{_request_id()}/grant/", {"typed": "RESUME"})

    assert 'disabled title="The halt is not proven clear yet' in page.content.decode()
    assert response.status_code == 422
    assert "not proven clear yet" in text_of(response)
    assert Account.objects.get(slug="micro").state == "HALTED"


def test_a_request_can_be_taken_back(as_person: AsPerson) -> None:
    trader = as_person("trader")
    trader.post("/risk/halt/", {"scope": "micro"})
    trader.post("/risk/resume/", RESUME)

    response = trader.post(f"/risk/resume/{_request_id()}/withdraw/", follow=True)

    assert "Withdrawn. The desk stays halted." in text_of(response)
    assert "withdrawn by trader" in text_of(response)


def test_the_history_names_the_audit_event(as_person: AsPerson) -> None:
    trader = as_person("trader")
    trader.post("/risk/halt/", {"scope": "micro"})
    sequence = AuditEvent.objects.get(action="halt.latched").sequence

    assert f"#{sequence}" in text_of(trader.get("/risk/halt/history/"))


def test_an_armed_desk_names_the_way_without_the_page(as_person: AsPerson) -> None:
    text = text_of(as_person("trader").get("/risk/"))

    assert "./console halt" in text
    assert "At a daily drawdown of 2.00 % the desk halts by itself." in text


# --- STOPPED, PROVEN CLEAR and FLAT are states of their own -----------------------------------------------------


def halted(stage: str, *, seconds_ago: float, flatten: bool = False) -> None:
    """Halt the micro desk, and let it have come as far as `stage`."""
    latched = now() - timedelta(seconds=seconds_ago)
    reached = ["LATCHED", "STOPPED", "PROVEN_CLEAR", "FLAT"].index(stage)
    stamps = [latched + timedelta(milliseconds=200 * step) for step in range(4)]
    Halt.objects.create(
        account=Account.objects.get(slug="micro"), requested_by="trader", reason="drill", stage=stage, flatten=flatten,
        latched_at=latched,
        stopped_at=stamps[1] if reached >= 1 else None,
        proven_clear_at=stamps[2] if reached >= 2 else None,
        flat_at=stamps[3] if reached >= 3 else None,
    )  # fmt: skip


@pytest.mark.parametrize("address", ["/risk/", "/risk/halt/stages/", "/panels/state_bar/"])
@pytest.mark.parametrize(
    ("stage", "seconds_ago", "flatten", "said"),
    [
        ("LATCHED", 2, False, "STOPPED cancels under way"),
        ("LATCHED", 14, False, "STOPPED cancels not confirmed, 15 s after the latch"),
        ("STOPPED", 2, False, "PROVEN CLEAR proof expected within 11 s"),
        ("STOPPED", 12.5, False, "PROVEN CLEAR proof expected within 1 s"),
        ("STOPPED", 13, False, "PROVEN CLEAR proof overdue, 14 s after the latch"),
        ("PROVEN_CLEAR", 5, True, "FLAT selling at market for 5 s"),
    ],
)
def test_the_stage_under_way_says_when_it_is_due(
    as_person: AsPerson,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    stage: str,
    seconds_ago: float,
    flatten: bool,
    said: str,
) -> None:
    trader = as_person("trader")
    halted(stage, seconds_ago=seconds_ago, flatten=flatten)
    moment = now() + timedelta(milliseconds=20)  # however long the page takes on a busy machine
    for module in ("trading.views", "riskops.views.framing", "riskops.views.risk"):
        monkeypatch.setattr(f"{module}.now", lambda: moment)

    response = trader.get(address)

    assert said in text_of(response)
    assert "every 1s" in response.content.decode()


def test_stopped_is_never_shown_as_proven_clear(as_person: AsPerson) -> None:
    trader = as_person("trader")
    halted("STOPPED", seconds_ago=60)

    html = trader.get("/risk/halt/stages/").content.decode()

    assert re.findall(r'data-done="(\w+)"><b>([^<]+)', html) == [
        ("yes", "Latched"), ("yes", "STOPPED"), ("now", "PROVEN CLEAR"), ("no", "FLAT"),
    ]  # fmt: skip
    assert "FLAT not asked" in text_of(trader.get("/risk/halt/stages/"))


def test_flat_is_a_third_state_where_it_was_asked(as_person: AsPerson) -> None:
    trader = as_person("trader")
    halted("FLAT", seconds_ago=30, flatten=True)

    text = text_of(trader.get("/risk/halt/stages/"))

    assert "PROVEN CLEAR after 0.40 s, at" in text
    assert "FLAT after 0.60 s, at" in text
    assert "30 s ago" in text
    assert "not asked" not in text

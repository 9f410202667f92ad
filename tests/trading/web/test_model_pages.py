"""Models in the browser's words: who is heard and why not, what is trained, one model in full, what is due."""

import html
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from tests.trading.models_at_hand import change, forecasts, health, model, training
from trading.models import AuditEvent, MarketPart, TrainingRun
from trading.services import trainings

pytestmark = pytest.mark.django_db
PAGE, READY = "/models/", "/models/readiness/"
FORM = {"stage": "0", "source": "shipped", "symbols": "btcusdt, ETHUSDT", "quick": "on"}
EVALUATED = {
    "stages": [
        {"name": "lstm", "mse": 0.98, "skill_vs_har": 0.062, "interval": [0.04, 0.081],
         "reliability": [[400, 0.1, 0.12], [410, 0.9, 0.88]],
         "evidence": {"folds": 8, "seeds": 3, "best_rival": "ridge", "t_vs_best": 1.5}},
        {"name": "tcn", "mse": 0.90, "skill_vs_har": 0.10, "interval": [0.05, 0.15]},
    ],
    "folds": [{"fold": 0, "test": ["2026-09-01", "2026-10-31"], "rows": [4_000, 812],
               "mse": {"lstm": 0.31, "har": 0.33, "ridge": 0.32}}],
    "learning_curves": {"lstm": {
        "rows": [10_000, 20_000], "mse": [0.5, 0.4], "low": [0.45], "high": [0.55],
        "doublings": [[0.002, -0.001, 0.005]] * 2,
    }},
    "baselines": [{"name": "ridge", "mse": 1.0, "skill_vs_har": 0.05, "interval": [0.03, 0.07]}],
}  # fmt: skip


@pytest.fixture
def engineer(client: Client, desks: Any) -> Client:
    client.force_login(User.objects.get(username="engineer"))
    return client


def text(answer: Any) -> str:
    """Return the words of a page, without its tags."""
    assert answer.status_code in (200, 422)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())))


def queries(ask: Callable[[], Any]) -> int:
    with CaptureQueriesContext(
        connection,
    ) as seen:
        ask()
    return len(seen)


# --- the list ---------------------------------------------------------------------------------------------------------


def test_without_a_model_the_page_says_that_the_rule_forecasts_and_what_comes_next(signed_in: Client) -> None:
    seen = text(signed_in.get(PAGE))

    assert "No model yet. Every desk forecasts by its rule" in seen
    assert "Nothing was trained yet." in seen
    assert "QueryDict" not in seen
    assert "0 of 10.0 M → stage 1" in seen
    assert "Not yet: 10,000,000 ticks are missing." in seen


def test_a_champion_shows_its_skill_with_interval_its_speed_and_why_the_rule_is_used(signed_in: Client) -> None:
    champion = model(1, "CHAMPION", evaluation=EVALUATED)
    forecasts(champion, 2, off=0.1, rule_off=0.2, until=now())
    health(champion, "BTCUSDT")
    health(champion, "ETHUSDT", fault="late", reason="7.1 ms of 5 ms")

    seen = text(signed_in.get(PAGE))

    assert "+6.2 % (+4.0 to +8.1 %)" in seen
    assert "20 / 21 µs" in seen
    assert "★ Champion" in seen
    assert "ETHUSDT : the rule is used, late since" in seen
    assert "7.1 ms of 5 ms" in seen
    assert "BTCUSDT : the rule" not in seen
    assert "8,770" in seen
    assert "The rule forecasts" not in seen


def test_what_was_never_evaluated_claims_nothing(signed_in: Client) -> None:
    model(1, card={"quick": True})

    seen = text(signed_in.get(PAGE))

    assert "— not evaluated" in seen
    assert "quick: no claim" in seen
    assert "○ Registered" in seen
    assert "No model is champion." in seen


def test_a_refused_model_stands_in_the_list_with_its_reason(signed_in: Client) -> None:
    model(1, "REFUSED", why="model.onnx: hash mismatch, it was changed or cut off.")

    seen = text(signed_in.get(PAGE))

    assert "✗ Refused" in seen
    assert "hash mismatch, it was changed" in seen


def test_the_stages_show_where_the_desk_stands(signed_in: Client) -> None:
    model(1, "CHAMPION", card={"stage": 1})
    model(2, "REGISTERED", card={"stage": 2})
    model(3, "REFUSED", card={"stage": 5})

    page = signed_in.get(PAGE).content.decode()

    stages = re.findall(r'<li data-state="(\w+)"[^>]*><div class="stop">', page)
    assert stages == ["ahead", "now", "done", "ahead", "ahead", "ahead"]


# --- training ---------------------------------------------------------------------------------------------------------


def test_an_engineer_has_a_model_trained(engineer: Client) -> None:
    answer = engineer.post("/models/train/", FORM)

    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    asked = TrainingRun.objects.get()
    assert asked.settings == {"stage": 0, "data": "shipped", "symbols": ["BTCUSDT", "ETHUSDT"], "quick": True}
    assert (asked.stage, asked.asked_by, asked.state) == (0, "engineer", "WAITING")
    assert "waits for its turn" in text(engineer.get(PAGE))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"stage": "6"}, "stage : is none of the stages 0 to 5; choose one."),
        ({"stage": ""}, "stage : This field is required."),
        ({"source": "/etc"}, "source : is not stored here; choose from the list."),
        ({"symbols": "BTCUSDT NOPE"}, "symbols : NOPE: not in these data; they have"),
        ({"symbols": "x" * 201}, "symbols : Ensure this value has at most 200 characters"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_field_reason_and_a_row(
    engineer: Client, typed: dict[str, str], said: str
) -> None:
    answer = engineer.post("/models/train/", FORM | typed)

    assert answer.status_code == 422
    assert said in text(answer)
    assert not TrainingRun.objects.exists()
    assert AuditEvent.objects.latest("sequence").action == "refused"


def test_a_fourth_training_of_one_person_is_refused_in_words(engineer: Client) -> None:
    for _ in range(trainings.MOST_AT_ONCE):
        engineer.post("/models/train/", FORM)

    assert "3 trainings of yours have not ended" in text(engineer.post("/models/train/", FORM))


def test_a_trader_reads_and_does_not_train(signed_in: Client) -> None:
    assert "Trading Lead, Engineer and CTO have models trained" in text(signed_in.get(PAGE))
    refused = text(signed_in.post("/models/train/", FORM, follow=True))

    assert "Only Trading Lead, Engineer or CTO may train a model." in refused
    assert not TrainingRun.objects.exists()


def test_progress_is_followed_and_the_page_is_loaded_anew_when_it_ends(engineer: Client) -> None:
    run = training("RUNNING", progress=0.42, doing="epoch 1 of 2", tries=2)
    page = engineer.get(PAGE).content.decode()
    follow = f"/models/trainings/?open={run.pk}"

    assert f'hx-get="{follow}"' in page
    assert 'value="42"' in page
    assert "42 %: epoch 1 of 2" in page
    assert "begun 2 times" in page
    assert "HX-Refresh" not in engineer.get(follow)

    TrainingRun.objects.update(state="FAILED", why="memory", ended_at=now())
    ended = engineer.get(follow)
    assert ended["HX-Refresh"] == "true"
    assert "✗ Failed" in text(ended)
    assert "memory" in text(ended)


def test_a_training_is_cancelled_once(engineer: Client) -> None:
    run = training("WAITING")

    assert f"Asked training {run.pk} to end" in text(engineer.post(f"/models/trainings/{run.pk}/cancel/", follow=True))
    again = engineer.post(f"/models/trainings/{run.pk}/cancel/", follow=True)
    assert f"Nothing was changed. Training {run.pk} has ended: cancelled." in text(again)
    assert engineer.post(f"/models/trainings/{run.pk + 1}/cancel/").status_code == 404


def test_a_training_that_is_done_leads_to_its_model(signed_in: Client) -> None:
    made = model(1, training=training("DONE", trials=7))

    page = signed_in.get(PAGE).content.decode()

    assert f'<a href="/models/{made.digest}/">Its model</a>' in page
    assert "7 trials" in page


# --- one model --------------------------------------------------------------------------------------------------------


def test_a_model_shows_its_evaluation_in_numbers(signed_in: Client) -> None:
    made = model(1, evaluation=EVALUATED, training=training(curves={"epochs": [{"epoch": 1, "train": 0.5}]}))

    seen = text(signed_in.get(f"/models/{made.digest}/"))

    assert "2026-09-01 to 2026-10-31 812 0.3100 ridge 0.3200 +6.1 %" in seen
    assert "folds >= 8 8 ✓ yes" in seen
    assert "seeds >= 5 3 ✗ no" in seen
    assert "? not measured" in seen
    assert "0.10 0.12 400" in seen
    assert "10,000 0.5000 0.4500 to 0.5500" in seen
    assert "20,000 0.4000 — not measured" in seen
    assert "ridge +5.0 % (+3.0 to +7.0 %)" in seen
    assert "Reliability" in seen
    assert "It was never asked." in seen


def test_a_model_shows_what_it_forecast_against_what_came(signed_in: Client) -> None:
    made = model(1, "CHAMPION")
    forecasts(made, 3, off=0.1, rule_off=0.2)

    seen = text(signed_in.get(f"/models/{made.digest}/"))

    assert "BTCUSDT 6 0.0 % 6 0.0100 0.0400 +75.0 % 100.0 %" in seen
    assert "Not evaluated." in seen


def test_a_model_shows_its_health_and_who_moved_it_and_why(signed_in: Client) -> None:
    made = model(1, "ROLLED_BACK", why="PSI 0.31 of rv12")
    health(made, "BTCUSDT", fault="drift", reason="PSI 0.31 of rv12", bars=400, fallbacks=12, psi=0.31)
    change(made, "CHAMPION", "ROLLED_BACK", "PSI 0.31 of rv12")

    seen = text(signed_in.get(f"/models/{made.digest}/"))

    assert "Champion → Rolled back by cto" in seen
    assert "▲ rule: drift PSI 0.31 of rv12" in seen
    assert "400 12 0.310 —" in seen
    assert "Registered by engineer" in seen


def test_a_refused_model_says_why_first(signed_in: Client) -> None:
    made = model(1, "REFUSED", why="weights.safetensors: holds a pickle.")

    assert "Its files are refused, and nothing uses them: weights.safetensors: holds a pickle." in text(
        signed_in.get(f"/models/{made.digest}/")
    )


def test_the_charts_hold_the_numbers_of_the_tables(signed_in: Client) -> None:
    run = training(curves={"epochs": [{"epoch": 1, "train": 0.5, "validation": 0.6}]})
    made = model(1, "CHAMPION", evaluation=EVALUATED, training=run)
    forecasts(made, 2, off=0.1, rule_off=0.2)

    drawn = json.loads(signed_in.get(f"/models/{made.digest}/figures/").content)

    assert drawn["training"]["data"][1]["y"] == [0.6]
    assert drawn["learning"]["data"][2]["x"] == [10_000, 20_000]
    assert drawn["reliability"]["data"][1]["y"] == [0.12, 0.88]
    assert len(drawn["forecasts"]["data"][3]["y"]) == 4


@pytest.mark.parametrize("digest", ["0" * 64, "0" * 63, "A" * 64, "readines"])
def test_a_model_that_is_not_here_is_not_found(signed_in: Client, digest: str) -> None:
    assert signed_in.get(f"/models/{digest}/").status_code == 404


def test_the_evaluation_that_comes_with_a_training_is_read_as_well(signed_in: Client) -> None:
    told = {
        "standing": {"name": "lstm", "mse": 0.9, "skill_vs_har": -0.02, "interval": [-0.08, 0.03],
                     "reliability": [[300, 0.2, 0.25]]},
        "best_baseline": "ridge", "quick": True,
        "baselines": [{"name": "ridge", "mse": 0.8, "skill": {"value": 0.04, "low": 0.01, "high": 0.06}}],
        "folds": [{"name": "2025-05-12 to 2025-05-13", "rows": 640, "loss": 0.5, "best_baseline": "ridge",
                   "best_loss": 0.4, "skill": -0.1, "mse": {"lstm": 0.5, "ridge": 0.4, "har": 0.45}}],
        "learning_curves": {},
    }  # fmt: skip
    made = model(1, evaluation=told)

    seen = text(signed_in.get(f"/models/{made.digest}/"))

    assert "−2.0 % (−8.0 to +3.0 %)" in seen  # noqa: RUF001  # a true minus
    assert "2025-05-12 to 2025-05-13 640 0.5000 ridge 0.4000 −11.1 %" in seen  # noqa: RUF001  # a true minus
    assert "ridge +4.0 % (+1.0 to +6.0 %)" in seen
    assert "0.20 0.25 300" in seen


def test_an_odd_evaluation_is_shown_as_not_known(signed_in: Client) -> None:
    odd = {
        "skill_vs_har": "x", "interval": [0, 1], "folds": [1, {"mse": {"lstm": True}}], "reliability": [[1, 2], "no"],
        "learning_curves": {"lstm": {"rows": [-1], "mse": [None]}}, "baselines": [{"name": 7}], "stages": "none",
    }  # fmt: skip
    made = model(1, evaluation=odd)

    seen = text(signed_in.get(f"/models/{made.digest}/"))

    assert "— not evaluated" in seen
    assert "— — — — — —" in seen


# --- readiness --------------------------------------------------------------------------------------------------------


def test_readiness_says_unknown_where_nothing_was_measured(signed_in: Client) -> None:
    seen = text(signed_in.get(READY))

    assert "? UNKNOWN" in seen
    assert "0 NOW · 0 PLAN · 3 OK" in seen
    assert "Not measured: run ./console evaluate --registered --indicators." in seen


def test_readiness_weighs_data_doublings_live_losses_and_hardware(signed_in: Client) -> None:
    champion = model(1, "CHAMPION", evaluation=EVALUATED)
    shadow = model(2, "SHADOW", card={"name": "tcn"})
    forecasts(champion, 20, off=0.2, rule_off=0.1, until=now())
    forecasts(shadow, 20, off=0.1, rule_off=0.1, until=now())
    training(curves={"peak_bytes": 1})
    part("trades", rows=9_000_000)
    part("tops", rows=1_000_000)
    part("bars", rows=77_000_000)  # no ticks

    page = signed_in.get(READY).content.decode()
    found = {
        code: re.search(r'data-verdict="(\w+)"', row)[1]  # type: ignore[index]  # every row has one
        for code, row in re.findall(r'<tr data-code="(\w+)">(.*?)</tr>', page, re.DOTALL)
    }

    assert found["ticks_stage_1"] == "NOW"
    assert found["ticks_stage_4"] == "OK"
    assert found["saturation"] == "NOW"
    assert found["capacity"] == "UNKNOWN"
    behind = re.findall(r'<tr data-code="competition">.*?strong">(.*?)</td>.*?data-verdict="(\w+)"', page, re.DOTALL)
    assert behind == [
        ("Behind ridge", "OK"), ("Behind the live rule", "NOW"), (f"Behind tcn {shadow.digest[:8]}, shadow", "NOW"),
    ]  # fmt: skip
    assert (found["memory"], found["retrain"], found["deadline"]) == ("OK", "OK", "OK")


def part(kind: str, rows: int) -> MarketPart:
    first = 1_723_075_200 * 10**9
    return MarketPart.objects.create(
        source="file", kind=kind, venue="binance-spot", symbol="BTCUSDT", day="2024-08-08", path=kind, sha256="0" * 64,
        size=1, rows=rows, first_at_ns=first, last_at_ns=first + 3_600 * 10**9, stored_at=now(),
    )  # fmt: skip


# --- cost -------------------------------------------------------------------------------------------------------------


def test_the_pages_ask_the_same_number_of_questions_however_many_models_there_are(signed_in: Client) -> None:
    first = model(1, "CHAMPION", evaluation=EVALUATED, training=training())
    health(first)
    forecasts(first, 12, off=0.1, rule_off=0.2, until=now())
    pages = (PAGE, READY, f"/models/{first.digest}/", f"/models/{first.digest}/figures/", "/models/trainings/")
    for page in pages:  # what is cached for a process is cached now
        signed_in.get(page)
    before = [queries(lambda page=page: signed_in.get(page)) for page in pages]  # type: ignore[misc]  # bound at once

    for number in range(2, 30):
        other = model(number, "SHADOW" if number < 12 else "REGISTERED", evaluation=EVALUATED, training=training())
        health(other)
        forecasts(other, 12, off=0.1, rule_off=0.2, until=now() - timedelta(hours=number))
        change(other, "REGISTERED", "SHADOW", "x")
    for _ in range(3):
        training("WAITING")

    after = [queries(lambda page=page: signed_in.get(page)) for page in pages]  # type: ignore[misc]  # bound at once
    assert after == before


def test_models_that_moved_are_loaded_anew_without_the_form(engineer: Client) -> None:
    model(1, "CHAMPION")
    assert 'hx-trigger="gc:models from:body' in engineer.get(PAGE).content.decode()

    part = engineer.get(PAGE, headers={"HX-Request": "true"}).content.decode()

    assert part.lstrip().startswith('<div class="stack" id="model-list"')
    assert "Champion" in part
    assert "Train a model" not in part

"""A search from end to end: repeated by its seed, every trial counted, shared by workers, ended when somebody asks."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from trading import searching
from trading.adapters import study_optuna
from trading.backtesting import Done, UnableToBacktest
from trading.domain.backtest_settings import BacktestSettings, read
from trading.domain.search_plan import Plan, read_plan
from trading.services import studies

LONG = read({"mode": "long"})
VARY = {"levels": "6..16", "step": "0.0004..0.002 log"}


def plan(**values: object) -> Plan:
    return read_plan({"vary": VARY, **values}, LONG)


def searched(of: Plan, settings: BacktestSettings = LONG) -> Done:
    study = study_optuna.alone(of.space, of.size, of.seed) if of.method == "optuna" else None
    return searching.carry_out(settings, of, study=study)


@pytest.mark.parametrize("method", ["random", "optuna"])
def test_the_same_seed_finds_the_same_and_another_one_something_else(method: str) -> None:
    first, again, other = (searched(plan(method=method, trials="12", seed=seed)).facts for seed in ("3", "3", "4"))

    assert first["trials_sha256"] == again["trials_sha256"] != other["trials_sha256"]
    assert first["counts"]["tried"] == 12


def test_a_grid_tries_every_combination_and_counts_those_that_cannot_run() -> None:
    of = plan(vary={"levels": "6..30 by 6", "step": "0.0005, 0.001"})

    done = searched(of)

    counts = done.facts["counts"]
    assert [row["number"] for row in done.curves["rows"]] == list(range(10))
    assert counts["tried"] == counts["done"] + counts["failed"] == 10
    assert counts["failed"] > 0
    failed = [row for row in done.curves["rows"] if row["state"] == "failed"]
    assert all(row["why"].startswith("cash: ") and row["score"] is None for row in failed)
    assert done.facts["deflated"]["trials"] == 10
    assert len(done.facts["folds"]) == 4
    assert done.facts["best"]["number"] in range(10)


def test_what_was_tried_before_is_pruned_and_counted() -> None:
    done = searched(plan(method="random", trials="20", vary={"levels": "6..8"}))

    assert done.facts["counts"] == {"tried": 20, "done": 3, "failed": 0, "pruned": 17, "before": 0}
    assert done.facts["deflated"]["trials"] == 20


def test_a_grid_that_follows_is_searched_by_campaigns() -> None:
    done = searched(plan(vary={"recentre_steps": "1, 3"}, split="none"), read({"mode": "long", "levels": "8"}))

    assert done.facts["counts"]["done"] == 2
    assert done.facts["out_of_sample"] is None
    assert any("traded at the touch" in line for line in done.facts["assumptions"])


def test_no_test_window_decides_what_a_search_that_learns_proposes(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Mapping[str, Any]] = []
    real = study_optuna.OptunaStudy.tell

    def heard(self: study_optuna.OptunaStudy, row: dict[str, Any]) -> None:
        told.append(row)
        real(self, row)

    monkeypatch.setattr(study_optuna.OptunaStudy, "tell", heard)

    searched(plan(method="optuna", trials="6"))

    done = [row for row in told if row["state"] == "done"]
    assert done
    assert all(f"{row['aim'][0]:.8f}" == row["trained"][0]["return"] for row in done)


def test_a_search_without_any_run_fails_and_says_why() -> None:
    with pytest.raises(UnableToBacktest, match=r"No trial of 2 could be run. The first one: lot: 1 is below"):
        searched(plan(vary={"levels": "8, 9"}), read({"mode": "long", "lot": "1"}))


def test_it_ends_where_somebody_asked_for_that() -> None:
    class Enough(Exception):
        pass

    seen: list[float] = []

    def progress(fraction: float) -> None:
        seen.append(fraction)
        if len(seen) == 2:
            raise Enough

    with pytest.raises(Enough):
        searching.carry_out(LONG, plan(method="random", trials="100"), progress)
    assert 0 < seen[1] < 0.5


# --- shared: whoever takes part reads what others have committed ------------------------------------------------------

committed = pytest.mark.django_db(transaction=True)


@committed
def test_workers_share_one_study_and_each_trial_is_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    of = plan(method="optuna", trials="10")
    monkeypatch.setattr(searching, "OTHERS_S", 0.3)
    first, second = (studies.join("shared", LONG, of) for _ in range(2))

    taken = first.ask(4)
    done = searching.carry_out(LONG, of, study=second)

    assert sorted(taken) == [0, 1, 2, 3]
    assert done.facts["counts"]["tried"] == 10
    rows = done.curves["rows"]
    assert [row["why"] for row in rows[:4]] == ["Its worker has told nothing of it."] * 4
    assert first.ask(1) == {}
    for one in (first, second):
        one.close()
    assert studies.asked_of("shared")["plan"] == of.as_json()
    studies.forget("shared")


@committed
def test_a_study_of_another_plan_is_not_joined() -> None:
    studies.join("other", LONG, plan(method="optuna", trials="10")).close()

    with pytest.raises(UnableToBacktest, match=r"study: 'other' was begun with another plan"):
        searching.carry_out_shared(LONG, plan(method="optuna", trials="11"), lambda _: None, "other", 0, keep=True)
    studies.forget("other")
    with pytest.raises(studies.UnableToJoin, match="there is none called 'other'"):
        studies.asked_of("other")


@committed
def test_a_search_of_the_page_leaves_no_study_behind() -> None:
    done = searching.carry_out_shared(LONG, plan(method="optuna", trials="8"), lambda _: None, "search-1", 30)

    assert done.facts["counts"]["before"] == 30
    with pytest.raises(studies.UnableToJoin):
        studies.asked_of("search-1")


@committed
def test_a_worker_whose_study_is_ended_says_so() -> None:
    def ended(_: float) -> None:
        studies.forget("ended")

    with pytest.raises(UnableToBacktest, match="study: whoever began it has ended it"):
        searching.carry_out_shared(LONG, plan(method="optuna", trials="8"), ended, "ended", 0, keep=True)


COLD: Final = """
from trading import searching
from trading.domain.sweeping import _one_after_another
from trading.domain.backtest_settings import read
from trading.domain.search_plan import read_plan

assert not _one_after_another.signatures
searching.warm()
warm = list(_one_after_another.signatures)
assert warm
settings = read({"mode": "long"})
searching.carry_out(settings, read_plan({"vary": {"levels": "6, 8"}, "folds": "3"}, settings))
assert list(_one_after_another.signatures) == warm, "compiled again, for other types"
"""


def test_a_warm_process_compiles_nothing_for_its_first_search() -> None:
    root = Path(__file__).resolve().parents[2]

    done = subprocess.run([sys.executable, "-c", COLD], cwd=root, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")

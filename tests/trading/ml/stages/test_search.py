"""Stage 5 finds a net that is fast enough, counts everything it tried, and shares its trials."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch

from tests.trading.ml.made_learnable import made
from trading.domain.learned import Output
from trading.ml.export import onnx_of, parity_of
from trading.ml.learnable import Fitted, Learnable, Plan
from trading.ml.networks.blocks import parameters_of
from trading.ml.networks.multitask import OUTPUTS, MultiTask, along
from trading.ml.stages import search
from trading.ml.stages.search import STAGE
from trading.ml.training import UnableToTrain
from trading.services import studies


def quiet(share: float, words: str) -> None:
    assert 0 <= share <= 1
    assert words


@pytest.fixture(scope="module")
def data() -> Learnable:
    return made()


@pytest.fixture(scope="module")
def fitted(data: Learnable) -> Fitted:
    return STAGE.fit(data, data.rows((data.span,), stride=3), Plan(quick=True), quiet)


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let every net take so many milliseconds, without measuring."""
    took = [0.1]
    monkeypatch.setattr(search, "latency_ms", lambda *_: took[0])
    return took


def test_the_winner_tells_four_things(data: Learnable, fitted: Fitted) -> None:
    rows = data.rows((data.span,), stride=7)
    with torch.no_grad():
        tensors = fitted.net(*map(torch.from_numpy, data.windows(rows)))
    told = {name: each.numpy() for name, each in zip(fitted.outputs, tensors, strict=True)}

    target = data.target(rows, "log_rv")
    assert (told[Output.LOG_RV] - target).var() < 0.6 * target.var()
    assert told[Output.REGIME].sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert told[Output.TREND].shape == told[Output.VOLUME].shape == (len(rows),)


def test_everything_that_was_tried_is_counted(fitted: Fitted) -> None:
    hyper = fitted.hyper

    assert hyper["paths_judged"] == hyper["rounds"] * hyper["proposals"] + 1
    assert fitted.trials == hyper["paths_judged"] + hyper["n_trials"] + 1
    assert len(hyper["path"]) == hyper["layers"]


def test_the_winner_is_within_the_limit_as_measured(fitted: Fitted) -> None:
    assert 0 < fitted.hyper["latency_ms"] <= fitted.hyper["limit_ms"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("instant")
def test_workers_share_the_trials_of_one_study(data: Learnable) -> None:
    rows, plan, said = data.rows((data.span,), stride=3), Plan(quick=True, epochs=1), list[str]()
    with studies.shared_trials() as trials:
        one = replace(STAGE, storage=trials).fit(data, rows, plan, quiet)
    with studies.shared_trials() as trials:
        two = replace(STAGE, storage=trials).fit(data, rows, plan, lambda share, words: said.append(words))
        found = optuna.get_all_study_summaries(trials)
        for study in found:
            optuna.delete_study(study_name=study.study_name, storage=trials)

    assert [study.n_trials for study in found] == [2]
    assert not [words for words in said if words.startswith("trial")]
    assert one.trials == two.trials
    first, second = one.net.state_dict(), two.net.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.usefixtures("instant")
def test_another_seed_is_another_study(data: Learnable) -> None:
    storage = optuna.storages.InMemoryStorage()
    for seed in (0, 1):
        plan = Plan(quick=True, epochs=1, seed=seed)
        replace(STAGE, storage=storage).fit(data, data.rows((data.span,), stride=3), plan, quiet)

    found = [
        study.trials
        for study in (
            optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)
        )
    ]
    assert [len(trials) for trials in found] == [2, 2]
    assert len({trial.params["rate"] for trials in found for trial in trials}) == 4


class BrokenOff(Exception):
    pass


@pytest.mark.usefixtures("instant")
def test_a_search_that_was_broken_off_goes_on_from_its_last_trial(data: Learnable, tmp_path: Path) -> None:
    said = list[str]()
    plan = Plan(quick=True, epochs=1, checkpoints=tmp_path)

    def ends(share: float, words: str) -> None:
        if words == "trial 2, 2 wanted":
            raise BrokenOff

    with pytest.raises(BrokenOff):
        STAGE.fit(data, data.rows((data.span,), stride=3), plan, ends)
    fitted = STAGE.fit(data, data.rows((data.span,), stride=3), plan, lambda share, words: said.append(words))

    trials = [words for words in said if words.startswith("trial")]
    # What was broken off may have looked at the data: it is counted, and made again.
    assert trials == ["trial 3, 2 wanted"]
    assert fitted.trials == fitted.hyper["paths_judged"] + 3 + 1


def test_a_net_that_is_too_slow_never_wins(data: Learnable, instant: list[float]) -> None:
    instant[0] = 1.001

    with pytest.raises(UnableToTrain, match="none of 2 nets takes at most 1 ms"):
        STAGE.fit(data, data.rows((data.span,), stride=3), Plan(quick=True, epochs=1), quiet)


@pytest.mark.usefixtures("instant")
def test_volume_that_is_not_known_is_not_learned_from(data: Learnable) -> None:
    labels = [replace(each, volume=np.full_like(each.volume, np.nan)) for each in data.labels]

    fitted = STAGE.fit(replace(data, labels=tuple(labels)), data.rows((data.span,)), Plan(quick=True, epochs=1), quiet)

    assert all(torch.isfinite(each).all() for each in fitted.net.state_dict().values())


@pytest.mark.usefixtures("instant")
def test_a_quick_search_of_half_a_day_chooses_without_a_gap() -> None:
    """A fold so short has no room for one: a label reaches further than its rows are apart."""
    data, plan = made(bars=150), Plan(quick=True, epochs=1, hyper={"held_out": 0.0})

    curve = STAGE.fit(data, data.rows((data.span,)), plan, quiet).curve

    assert [sorted(row) for row in curve] == [["epoch", "train"]] * 2


def test_onnx_says_the_same_whatever_the_path(data: Learnable) -> None:
    torch.manual_seed(3)
    words = ("attention", "average", "skip", "dilated3")
    net = MultiTask(along(words, 8, data.window, 0.1), 6, 2, width=8, specific=1, regimes=4).eval()
    example = (torch.zeros(2, data.window, 6), torch.ones(2, data.window))

    onnx = onnx_of(net, example, ("x", "known"), tuple(map(str, OUTPUTS)))

    assert parity_of(net, onnx, data.windows(data.rows((data.span,), stride=50))) <= 1e-5


def test_the_roadmaps_sizes_can_be_built() -> None:
    words = ("conv3", "attention", "dense", "dilated3", "conv5")
    net = MultiTask(along(words, 256, 64, 0.1), 50, 3, width=256, specific=3, regimes=4)

    assert 2_000_000 < parameters_of(net) < 4_000_000

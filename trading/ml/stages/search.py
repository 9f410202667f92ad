"""Stage 5: which net? A controller searches the paths, Optuna the rest, and the winner forecasts four things."""

import hashlib
import json
import os
import socket
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path as Folder
from typing import Any
from zlib import crc32

import numpy as np
import optuna
import torch
from optuna.storages.journal import JournalFileBackend

from trading.domain.bars import Ints
from trading.ml.forecasting import Forecasting, Hyper
from trading.ml.learnable import Fitted, Learnable, Plan, Progress
from trading.ml.levelling import level
from trading.ml.losses import batch_of
from trading.ml.networks.blocks import Trunk
from trading.ml.networks.multitask import OUTPUTS, MultiTask, MultiTaskLoss, along
from trading.ml.networks.regime import RegimeTeacher
from trading.ml.networks.supernet import Controller, Path, Supernet, TradingModelSpace
from trading.ml.searching import Teacher, latency_ms
from trading.ml.training import Recipe, UnableToTrain, split, train

CHOSEN_BY = 0.2  # last part of the training rows, by which nets are chosen; what stops the winner's training is later
JUDGED_ROWS = 512  # at most, by which a path is judged
SHARES = (0.3, 0.7, 1.0)  # of the progress: paths, hyper-parameters, the winner
JOURNAL = "trials.journal"
OVER = "over_ms"  # constraint of a trial: how far over the limit; <= 0 is within

USUAL = {
    "layers": 5, "specific": 3, "rounds": 30, "weight_steps": 20, "proposals": 8, "search_width": 32,
    "widths": (16, 32, 64), "n_trials": 20, "trial_epochs": 1, "limit_ms": 1.0,
}  # fmt: skip
QUICK = {
    **USUAL, "layers": 3, "specific": 1, "rounds": 2, "weight_steps": 3, "proposals": 3, "search_width": 8,
    "widths": (8,), "n_trials": 2,
}  # fmt: skip
ROADMAP = {**USUAL, "layers": 20, "rounds": 300, "widths": (64, 128, 256), "search_width": 64, "n_trials": 1_000}


@dataclass(frozen=True, slots=True)
class Search(Forecasting):
    """Optuna's trials lie in `storage`, which Optuna takes and workers on any hosts can share.

    None is a journal beside the checkpoints of the plan, so that a search that was broken off goes on from its last
    trial, and memory where there are none.

    Workers with the same data, rows and plan walk to the same path, since the seed decides, and share the trials.
    """

    storage: str | optuna.storages.BaseStorage | None = field(default=None, compare=False)

    def fit(self, data: Learnable, rows: Ints, plan: Plan, progress: Progress) -> Fitted:
        """Train on `rows` and nothing else; every net that was judged on the way is counted.

        Raises:
            UnableToTrain: a hyper-parameter is unknown, the rows are too few, or no net is fast enough.
        """
        recipe, hyper = self.read(plan)
        torch.manual_seed(plan.seed)
        rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
        fitted, later = split(data, rows, recipe.held_out)
        task = Task(data, *_to_choose_by(data, fitted, is_quick=plan.quick), recipe, hyper)
        path, tried = task.path(_part(progress, 0.0, SHARES[0]))
        study = self._study(task, path, rows, plan.checkpoints)
        task.tune(study, path, _part(progress, *SHARES[:2]))
        best = _best(study, float(hyper["limit_ms"]))
        width, dropout = int(best.params["width"]), float(best.params["dropout"])
        final = replace(task, rows=fitted, chosen_by=later, recipe=_recipe(recipe, best.params))
        net, curve = final.trained(path, width, dropout, _part(progress, *SHARES[1:]), plan)
        told = {
            "path": list(task.space.words(path)), "width": width, "dropout": dropout,
            "latency_ms": best.user_attrs["latency_ms"], "paths_judged": tried,
        }  # fmt: skip
        trials = tried + len(study.get_trials(deepcopy=False)) + 1
        return Fitted(net.eval(), OUTPUTS, {**hyper, **asdict(final.recipe), **told}, curve, trials)

    def _study(self, task: "Task", path: Path, rows: Ints, folder: Folder | None) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        plan = json.dumps([task.data.sha256, task.data.schema, path, task.hyper, asdict(task.recipe)], sort_keys=True)
        name = hashlib.sha256(plan.encode() + rows.tobytes()).hexdigest()[:16]
        storage = self.storage
        if storage is None and folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            storage = optuna.storages.JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
        study = optuna.create_study(storage=storage, study_name=f"search-{name}", load_if_exists=True)
        # Constant liar: what others run at this moment is taken as bad, so that nobody proposes it again.
        study.sampler = optuna.samplers.TPESampler(seed=self._own_seed(task.recipe.seed, study), constant_liar=True)
        return study

    def _own_seed(self, seed: int, study: optuna.Study) -> int:
        """Return a seed that draws what no worker before or beside this one has drawn."""
        worker = f"{socket.gethostname()} {os.getpid()}" if self.storage is not None else ""
        return crc32(f"{seed} {len(study.get_trials(deepcopy=False))} {worker}".encode())


def _to_choose_by(data: Learnable, rows: Ints, *, is_quick: bool) -> tuple[Ints, Ints]:
    """Return the rows to fit on and those to choose by; a quick search of a day or two has no room for a gap.

    Then both may share a label: the choice is a little less sharp, and what is held out of `rows` stays unseen.
    """
    try:
        return split(data, rows, CHOSEN_BY)
    except UnableToTrain:
        if not is_quick:
            raise
    at_ns = np.array([data.frames[frame].at_ns[bar] for frame, bar in rows], np.int64)
    is_early = at_ns < np.quantile(at_ns, 1 - CHOSEN_BY, method="higher")
    if is_early.all() or not is_early.any():
        raise UnableToTrain(f"data: {len(rows)} rows are too few to choose a net by; use a longer recording.")
    return rows[is_early], rows[~is_early]


@dataclass(frozen=True, slots=True)
class Task:
    """What a search is about: the rows to fit on, those to choose by, and the sizes."""

    data: Learnable
    rows: Ints
    chosen_by: Ints
    recipe: Recipe
    hyper: Hyper

    @property
    def space(self) -> TradingModelSpace:
        """The paths there are."""
        return TradingModelSpace(int(self.hyper["layers"]))

    def path(self, progress: Progress) -> tuple[Path, int]:
        """Return the best path found by a controller over shared weights, and how many were judged."""
        hyper, seed = self.hyper, self.recipe.seed
        supernet = Supernet(self.space, int(hyper["search_width"]), self.data.window, 0.0)
        net, loss = self._net(supernet, int(hyper["search_width"]), 0.0)
        few = self.chosen_by[np.linspace(0, len(self.chosen_by) - 1, JUDGED_ROWS).astype(np.int64)]
        judged_by = batch_of(self.data, few if len(few) < len(self.chosen_by) else self.chosen_by)

        @torch.no_grad()
        def reward(path: Path) -> float:
            supernet.path = path
            return -float(loss(net.eval()(judged_by.x, judged_by.known), judged_by).mean())

        teacher = Teacher(Controller(self.space), reward, seed)
        optimizer = torch.optim.AdamW(net.parameters(), self.recipe.rate)
        draw = np.random.default_rng(seed)
        for number in range(int(hyper["rounds"])):
            progress(number / int(hyper["rounds"]), f"paths, round {number + 1} of {hyper['rounds']}")
            for _ in range(int(hyper["weight_steps"])):
                supernet.path = teacher.propose()
                some = self.rows[draw.integers(len(self.rows), size=self.recipe.batch)]
                batch = batch_of(self.data, some)
                optimizer.zero_grad()
                loss(net.train()(batch.x, batch.known), batch).mean().backward()
                optimizer.step()
            teacher.learn(int(hyper["proposals"]))
        return teacher.finish(), teacher.tried

    def tune(self, study: optuna.Study, path: Path, progress: Progress) -> None:
        """Let Optuna try widths, rates and regularisation until the study has its trials, whoever made them."""
        wanted, took = int(self.hyper["n_trials"]), dict[int, float]()

        def objective(trial: optuna.Trial) -> float:
            width = int(trial.suggest_categorical("width", tuple(self.hyper["widths"])))
            dropout = trial.suggest_float("dropout", 0.0, 0.3)
            trial.suggest_float("rate", 3e-4, 1e-2, log=True)
            trial.suggest_float("decay", 1e-4, 1e-1, log=True)
            epochs = int(self.hyper["trial_epochs"])
            progress(min(1.0, trial.number / wanted), f"trial {trial.number + 1}, {wanted} wanted")
            one = replace(self, recipe=replace(_recipe(self.recipe, trial.params), epochs=epochs))
            net, curve = one.trained(path, width, dropout, lambda share, words: None)
            if width not in took:
                took[width] = latency_ms(net, self.data.window, len(self.data.features), tuple(map(str, OUTPUTS)))
            trial.set_user_attr("latency_ms", took[width])
            trial.set_constraint(OVER, took[width] - float(self.hyper["limit_ms"]))
            return min(row["validation"] for row in curve)

        # What failed or was broken off is made again, but one worker makes no more than were wanted in all.
        done = (optuna.trial.TrialState.COMPLETE,)
        if len(study.get_trials(deepcopy=False, states=done)) < wanted:
            enough = optuna.study.MaxTrialsCallback(wanted, states=done)
            study.optimize(objective, n_trials=wanted, callbacks=[enough], catch=(UnableToTrain,))

    def trained(
        self, path: Path, width: int, dropout: float, progress: Progress, plan: Plan | None = None
    ) -> tuple[MultiTask, list[dict[str, float]]]:
        """Return the net of one path, trained, and its curve."""
        torch.manual_seed(self.recipe.seed)
        shared = along(self.space.words(path), width, self.data.window, dropout)
        net, loss = self._net(shared, width, dropout)
        folder = plan.checkpoints if plan else None
        return net, train(net, loss, self.data, self.rows, self.chosen_by, self.recipe, progress, folder=folder)

    def _net(self, shared: torch.nn.Module, width: int, dropout: float) -> tuple[MultiTask, MultiTaskLoss]:
        """Return a net around `shared`, levelled on the rows to fit on, and what it costs to be wrong."""
        data, regimes = self.data, int(self.hyper["regimes"])
        net = MultiTask(
            shared, len(data.features), len(data.horizons_s), width=width, specific=int(self.hyper["specific"]),
            regimes=regimes, dropout=dropout,
        )  # fmt: skip
        level(net, data, self.rows)
        teacher = RegimeTeacher(regimes, data.horizons_s[0])
        log_rv, returns = (torch.from_numpy(data.target(self.rows, name)).float() for name in ("log_rv", "returns"))
        teacher.fit(log_rv, returns, self.recipe.seed)
        return net, MultiTaskLoss(net.heads.target_spread, data.horizons_s[0], teacher)


def _best(study: optuna.Study, limit_ms: float) -> optuna.trial.FrozenTrial:
    done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    within = [trial for trial in done if trial.constraints.get(OVER, 1.0) <= 0]  # not measured is not within
    if not within:
        raise UnableToTrain(f"limit_ms: none of {len(done)} nets takes at most {limit_ms:g} ms; try smaller widths.")
    return min(within, key=lambda trial: (trial.value, trial.number))


def _recipe(recipe: Recipe, params: dict[str, Any]) -> Recipe:
    return replace(recipe, rate=float(params["rate"]), decay=float(params["decay"]))


def _part(progress: Progress, begin: float, end: float) -> Progress:
    return lambda share, words: progress(begin + (end - begin) * share, words)


STAGE = Search(5, "search", Trunk, {"quick": QUICK, "usual": USUAL, "roadmap": ROADMAP})

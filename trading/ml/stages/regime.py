"""Stage 3: deep regime detection: an autoencoder of bars, a GRU of their transitions, a classifier that adapts."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from trading.domain.bars import Ints
from trading.domain.learned import Output
from trading.ml.forecasting import Forecasting, Hyper
from trading.ml.learnable import Fitted, Learnable, Plan, Progress
from trading.ml.levelling import level
from trading.ml.losses import Batch, ForecastLoss
from trading.ml.meta import Tasks, adapt, meta_train
from trading.ml.networks.blocks import Trunk
from trading.ml.networks.regime import OUTPUTS, DeepRegime, RegimeTeacher, divergence
from trading.ml.training import split, train

AUTOENCODER, CLASSES = 0.1, 0.2  # weights beside the volatility (ours)
TRAIN_SHARE = 0.8  # of the progress that is shown
AT_ONCE = 512  # windows

USUAL = {
    "latent": 16, "hidden": (64, 128), "gru": 32, "layers": 2, "classifier": 32, "support": 32, "tasks": 16,
    "rounds": 100, "adaptation_steps": 5, "adaptation_rate": 0.01, "outer_rate": 1e-3,
}  # fmt: skip
QUICK = {
    **USUAL, "latent": 4, "hidden": (8, 16), "gru": 4, "layers": 1, "classifier": 8, "support": 8, "tasks": 4,
    "rounds": 5,
}  # fmt: skip
ROADMAP = {**USUAL, "hidden": (128, 256, 512), "gru": 64, "layers": 3, "classifier": 64}


class RegimeLoss(ForecastLoss):
    """What a forecast costs, a wrong regime, and while it trains the autoencoder."""

    def __init__(self, spread: Tensor, first_horizon_s: int, teacher: RegimeTeacher) -> None:
        super().__init__(OUTPUTS, spread, first_horizon_s)
        self.teacher = teacher

    def forward(self, said: Sequence[Tensor], batch: Batch) -> Tensor:
        """Return (B,) what `said` costs; what comes after the outputs is the autoencoder's."""
        outputs = said[: len(self.outputs)]
        regime = outputs[self.outputs.index(Output.REGIME)]
        total = super().forward(outputs, batch)
        total = total + CLASSES * divergence(regime, self.teacher(batch.log_rv, batch.returns))
        return total + AUTOENCODER * said[-1] if len(said) > len(outputs) else total


class Regime(Forecasting):
    """The forecasting is trained as ever; then the classifier learns to adapt, and adapts to the newest stretch."""

    __slots__ = ()

    def fit(self, data: Learnable, rows: Ints, plan: Plan, progress: Progress) -> Fitted:
        """Train on `rows` and nothing else; what adapting gained in training is told under "adaptation".

        Raises:
            UnableToTrain: a hyper-parameter is unknown, or the rows are too few.
        """
        recipe, hyper = self.read(plan)
        torch.manual_seed(plan.seed)
        net = net_of(len(data.features), len(data.horizons_s), hyper)
        rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
        fitted, later = split(data, rows, recipe.held_out)
        level(net, data, fitted)
        teacher = RegimeTeacher(int(hyper["regimes"]), data.horizons_s[0])
        teacher.fit(*_labels(data, fitted), plan.seed)
        loss = RegimeLoss(net.heads.target_spread, data.horizons_s[0], teacher)
        curve = train(net, loss, data, fitted, later, recipe, _first(progress), folder=plan.checkpoints)
        progress(TRAIN_SHARE, "learning to adapt")
        told = _adapt(net, teacher, data, fitted, hyper, plan.seed)
        return Fitted(net.eval(), OUTPUTS, {**hyper, **asdict(recipe), "adaptation": told}, curve)


def net_of(features: int, horizons: int, hyper: Hyper) -> DeepRegime:
    """Return the net of these sizes, not trained yet."""
    latent, gru, layers, classifier, regimes = (
        int(hyper[name]) for name in ("latent", "gru", "layers", "classifier", "regimes")
    )
    return DeepRegime(
        features, horizons, latent=latent, hidden=tuple(hyper["hidden"]), gru=gru, layers=layers,
        classifier=classifier, regimes=regimes,
    )  # fmt: skip


def tasks_of(data: Learnable, rows: Ints, states: Tensor, labels: Tensor, support: int) -> Tasks | None:
    """Return one task for each symbol and stretch of time: adapt on its first rows, be judged on those after them.

    No label of the support is known after the query begins. `rows` (n, 2) by symbol and time, `states` (n, D) and
    `labels` (n,) are theirs. None where no stretch is long enough.
    """
    first_ns = data.horizons_s[0] * 10**9
    picked = []
    for number, frame in enumerate(data.frames):
        mine = np.flatnonzero(rows[:, 0] == number)
        at_ns, start = frame.at_ns[rows[mine, 1]], 0
        while start + support < len(mine):
            query = int(np.searchsorted(at_ns, at_ns[start + support - 1] + first_ns, side="right"))
            if query + support > len(mine):
                break
            picked.append(np.concatenate((mine[start : start + support], mine[query : query + support])))
            start = query + support
    if not picked:
        return None
    chosen = torch.from_numpy(np.stack(picked))
    one, two = chosen.split(support, dim=1)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return Tasks(states[one], labels[one], states[two], labels[two])


def _adapt(
    net: DeepRegime, teacher: RegimeTeacher, data: Learnable, rows: Ints, hyper: Hyper, seed: int
) -> dict[str, float]:
    """Let the classifier learn to adapt, and adapt it to the newest rows; return what it cost before and after."""
    support, steps, rate = int(hyper["support"]), int(hyper["adaptation_steps"]), float(hyper["adaptation_rate"])
    states, labels = states_of(net, data, rows), teacher(*_labels(data, rows)).argmax(dim=1)
    tasks = tasks_of(data, rows, states, labels, support)
    if tasks is None:
        return {"tasks": 0}
    costs = meta_train(
        net.classifier, tasks, rounds=int(hyper["rounds"]), batch=int(hyper["tasks"]), steps=steps, rate=rate,
        outer_rate=float(hyper["outer_rate"]), seed=seed,
    )  # fmt: skip
    until = np.array([data.labels[frame].until_ns[bar] for frame, bar in rows])
    newest = torch.from_numpy(np.argsort(until, kind="stable")[-support:])
    adapt(net.classifier, states[newest], labels[newest], steps=steps, rate=rate)
    return {"tasks": len(tasks.support), "first_cost": costs[0], "last_cost": costs[-1]}


@torch.no_grad()
def states_of(net: DeepRegime, data: Learnable, rows: Ints) -> Tensor:
    """Return (n, width), what the classifier reads at each of `rows`."""
    parts = np.array_split(rows, max(1, -(-len(rows) // AT_ONCE)))
    return torch.cat([net.eval().state(*map(torch.from_numpy, data.windows(part))) for part in parts])


def _labels(data: Learnable, rows: Ints) -> tuple[Tensor, Tensor]:
    log_rv, returns = (torch.from_numpy(data.target(rows, name)).float() for name in ("log_rv", "returns"))
    return log_rv, returns


def _first(progress: Progress) -> Progress:
    return lambda share, words: progress(TRAIN_SHARE * share, words)


STAGE = Regime(3, "regime", Trunk, {"quick": QUICK, "usual": USUAL, "roadmap": ROADMAP})

"""A training put together: recorded bars in, the sealed files of a model out. It loads the libraries of nets."""

import json
import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from trading.domain.bars import Ints, UnsoundBars
from trading.domain.learned import HORIZONS_S
from trading.domain.model_package import EVALUATION, UnsoundModel, sealed
from trading.domain.splits import UnableToSplit
from trading.domain.training_settings import SHIPPED, TrainingSettings, UnusableTraining, Wrong
from trading.learning_data import STORED, UnableToLoad, load
from trading.ml.contenders import Contender, Net, simple
from trading.ml.evaluation import UnableToEvaluate, evaluate, walk_of
from trading.ml.export import Origin, UnableToExport, export
from trading.ml.forecasting import Forecasting
from trading.ml.learnable import Fitted, Learnable, Plan, Progress, Stage, learnable
from trading.ml.stages import STAGES, Later
from trading.ml.stages.light import LIGHT, TO_THE_END
from trading.ml.training import UnableToTrain
from trading.ml.transfer import fine_tune
from trading.runtime.build import digest

WINDOW: Final = 64  # bars a net sees at once
GO_ON: Final = (0, 1, 2)  # stages whose nets can begin with a parent's weights
SEARCH: Final = 5  # the stage whose trials workers can share
QUICK_ROWS: Final = 4_000  # that a quick training learns from
LOADED, FITTED, EXPORTED = 0.05, 0.6, 0.7  # fractions of the work, as people see it
REFUSALS: Final = (
    UnableToEvaluate, UnableToExport, UnableToLoad, UnableToSplit, UnableToTrain, UnsoundBars, UnsoundModel,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training."""

    files: Mapping[str, bytes]  # of the model, sealed
    curves: Mapping[str, Any]  # "epochs" as `Fitted.curve`, "peak_bytes"
    trials: int  # nets that were fitted on the way to it


def train(settings: TrainingSettings, progress: Progress, checkpoints: Path, *, trials: Any = None) -> Trained:
    """Train one stage, export it and, where it is quick, hold it against the baselines in a short walk-forward.

    A training that was broken off goes on from `checkpoints`; what `progress` raises ends it. `trials` is where a
    search for nets shares its trials with other workers, None: nowhere.

    Raises:
        UnusableTraining: the data, the parent or the device cannot be used as asked.
    """
    with _refusals():
        progress(0.0, "loading bars")
        data = data_of(settings)
        rows = rows_of(settings, data)
        plan = plan_of(settings, checkpoints)
        stage = _sharing(chosen(settings), trials)
        fitted = _fitted(settings, stage, data, rows, plan, _part(progress, LOADED, FITTED))
        progress(FITTED, "exporting")
        files = export(fitted, data, rows, origin_of(settings, stage))
        if settings.quick:
            files[EVALUATION] = _held_against(stage, data, plan, _part(progress, EXPORTED, 1.0))
        return Trained(sealed(files), {"epochs": fitted.curve, "peak_bytes": _peak_bytes()}, fitted.trials)


def data_of(settings: TrainingSettings) -> Learnable:
    """Return features and labels of the bars that are asked for."""
    bars = load(settings.data, settings.symbols)
    return learnable(bars, window=WINDOW, horizons_s=HORIZONS_S, source=source_of(settings.data))


def source_of(data: str) -> str:
    """Return where bars come from as a card tells it: of a folder its name alone, wherever it lies."""
    return data if data == SHIPPED or data.startswith(STORED) else Path(data).name


def rows_of(settings: TrainingSettings, data: Learnable) -> Ints:
    """Return the rows to learn from: every so many-th bar, of a quick training no more than a few thousand in all.

    Raises:
        UnusableTraining: there is none.
    """
    rows = data.rows((data.span,), stride=settings.stride)
    if not len(rows):
        needed = "a day before the first bar and as much after the last"
        raise UnusableTraining(Wrong("data", f"no bar has its features and labels known; they need {needed}."))
    return rows[:: -(-len(rows) // QUICK_ROWS)] if settings.quick else rows


def plan_of(settings: TrainingSettings, checkpoints: Path | None) -> Plan:
    """Return how the net is trained."""
    named: dict[str, Any] = {"size": settings.size} if settings.size else {}
    if light_of(settings) is not None:
        named = dict(TO_THE_END)
    return Plan(
        quick=settings.quick,
        seed=settings.seed,
        epochs=settings.epochs,
        stride=settings.stride,
        device=settings.device,
        hyper={**named, **settings.hyper},
        checkpoints=checkpoints,
    )


def origin_of(settings: TrainingSettings, stage: Stage) -> Origin:
    """Return what the card tells beside the net."""
    return Origin(
        name=stage.name,
        stage=stage.number,
        quick=settings.quick,
        seeds=(settings.seed,),
        at=datetime.now(UTC),
        build=digest().split("-")[0],
        parent=settings.parent,
    )


def chosen(settings: TrainingSettings) -> Stage:
    """Return the stage; a light net of its number is asked for by its name in place of a size."""
    return light_of(settings) or loaded(STAGES[settings.stage])


def light_of(settings: TrainingSettings) -> Stage | None:
    """Return the light net that is asked for, None where none of that number is."""
    light = LIGHT.get(settings.size)
    return light if light is not None and light.number == settings.stage else None


def loaded(stage: Stage) -> Stage:
    """Return the stage itself, its code loaded."""
    return stage.load() if isinstance(stage, Later) else stage


def _sharing(stage: Stage, trials: Any) -> Stage:
    if trials is None:
        return stage
    if stage.number != SEARCH:
        raise UnusableTraining(Wrong("shared", f"stage {stage.number} makes no trials; leave it out, or take stage 5."))
    from trading.ml.stages.search import Search  # Optuna: only where something is searched

    assert isinstance(stage, Search)
    return replace(stage, storage=trials)


def _fitted(
    settings: TrainingSettings, stage: Stage, data: Learnable, rows: Ints, plan: Plan, progress: Progress
) -> Fitted:
    if not settings.parent:
        return stage.fit(data, rows, plan, progress)
    if not isinstance(stage, Forecasting) or stage.number not in GO_ON:
        raise UnusableTraining(Wrong("parent", f"stage {stage.number} begins anew each time; leave it out."))
    return fine_tune(stage, _parent(settings.parent), data, rows, plan, progress)


def _parent(digest_: str) -> Mapping[str, bytes]:
    from trading.ports import ArtifactError
    from trading.services import model_registry  # its store is asked only where there is a parent

    try:
        return model_registry.load(digest_)
    except (ArtifactError, UnsoundModel) as error:
        raise UnusableTraining(Wrong("parent", str(error))) from error


def _held_against(stage: Stage, data: Learnable, plan: Plan, progress: Progress) -> bytes:
    """Return evaluation.json: the stage trained anew on each fold, beside every baseline. It proves the way works."""
    walk = walk_of(data, seeds=(plan.seed,), stride=_stride(data))
    hyper = {name: value for name, value in plan.hyper.items() if name != "keep"}  # of a child alone
    # A day of labels lies between rows to fit on and rows to stop by: folds of days have no room for it.
    short = replace(plan, checkpoints=None, hyper={**hyper, "held_out": 0.0})
    contenders: list[Contender] = [*simple(data.features), Net(stage, short, stage.name)]
    report = evaluate(data, contenders, walk, progress)
    return json.dumps(told(report, stage.name), indent=1).encode()


def told(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what a walk-forward says of `name`, as the page of a model reads it; what is not known is None."""
    standings = report["standings"]
    others = {each: standings[each]["mse"] for each in standings if each != name}
    best = min(others, key=lambda each: others[each])
    return {
        **{key: report[key] for key in report if key not in ("folds", "standings")},
        "quick": True,
        "skill": _estimate(standings[name]),
        "standing": standings[name],
        "best_baseline": best,
        "baselines": [{"name": each, "mse": others[each], "skill": _estimate(standings[each])} for each in others],
        "folds": [_fold(fold, name, others) for fold in report["folds"]],
    }


def _fold(fold: Mapping[str, Any], name: str, others: Mapping[str, float]) -> dict[str, Any]:
    best = min(others, key=lambda each: fold["mse"][each])
    loss, har = fold["mse"][name], fold["mse"]["har"]
    return {
        "name": f"{fold['test'][0]} to {fold['test'][1]}",
        "rows": fold["rows"][1],
        "symbols": fold["symbols"],
        "loss": loss,
        "best_baseline": best,
        "best_loss": fold["mse"][best],
        "skill": 1 - loss / har if har > 0 else None,
        "mse": fold["mse"],
    }


def _estimate(standing: Mapping[str, Any]) -> dict[str, float] | None:
    value, interval = standing["skill_vs_har"], standing["interval"]
    return None if value is None or interval is None else {"value": value, "low": interval[0], "high": interval[1]}


def _stride(data: Learnable) -> int:
    """Return every how many-th bar leaves no more than a quick training learns from."""
    return max(1, -(-len(data.rows((data.span,))) // QUICK_ROWS))


@contextmanager
def _refusals() -> Iterator[None]:
    """Say what any part refuses as one thing: this training cannot be carried out."""
    try:
        yield
    except REFUSALS as error:
        field, gap, reason = str(error).partition(": ")
        wrong = Wrong(field, reason) if gap and field.isidentifier() else Wrong("data", str(error))
        raise UnusableTraining(wrong) from error


def _peak_bytes() -> int:
    """Return the most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024


def _part(progress: Progress, begin: float, end: float) -> Progress:
    return lambda share, words: progress(begin + (end - begin) * share, words)

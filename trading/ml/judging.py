"""Every stage of the roadmap beside every baseline over one walk-forward: exported, timed, held against the gate."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np

from trading.domain.baselines import UnableToFit
from trading.domain.contest import Heard, shown
from trading.domain.model_card import read_card
from trading.domain.offline_gate import judge, passed, read_evidence
from trading.domain.splits import UnableToSplit
from trading.ml.contenders import Contender, Fit, Net, simple
from trading.ml.evaluation import UnableToEvaluate, Walk, walked
from trading.ml.export import DEADLINE_MS, Origin, UnableToExport, export, session_of
from trading.ml.indicating import NOTHING, Look, looked
from trading.ml.learnable import Learnable, Plan, Progress, Stage
from trading.ml.replaying import replayed
from trading.ml.stages import STAGES
from trading.ml.stages.light import DLINEAR, LIGHT, TO_THE_END
from trading.ml.training import UnableToTrain

REFUSALS: Final = (UnableToEvaluate, UnableToFit, UnableToSplit, UnableToTrain)
RIVALS: Final = ("ewma", "har", "ridge", "dlinear")  # the best of them is to be beaten
OF_A_RUN: Final = ("seed", "device", "epochs", "batch")  # a plan says them
BATCH: Final = 512  # windows a step
ASKED: Final = 300  # times a model is asked for the figure of its latency


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be judged."""

    stages: tuple[int, ...] = ()  # of the roadmap; () none
    light: tuple[str, ...] = tuple(LIGHT)  # of LIGHT
    quick: bool = False
    epochs: int = 3
    thin: int = 2  # every so many-th of the rows is learned from
    look: Look = NOTHING  # besides skill
    of: tuple[str, ...] = ()  # the nets that are looked at; (): the best alone


def judged(
    data: Learnable, nets: Sequence[Net], ask: Ask, walk: Walk, at: datetime, progress: Progress
) -> dict[str, Any]:
    """Return the report as plain JSON: folds, baselines and stages with intervals, evidence and findings of each net.

    Raises:
        UnableToEvaluate: no fold has enough rows.
        UnableToSplit: the data are too short.
        UnableToFit: a feature that a baseline reads is missing.
    """
    plain: list[Contender] = [*simple(data.features)]
    mixed = {"mixture": ("ridge", *ask.light)} if ask.light else {}
    heard, report, fits = walked(data, [*plain, *nets], walk, progress, mixed)
    standings: Mapping[str, Any] = report.pop("standings")
    of_stage = {net.name: net for net in nets if net.name != DLINEAR.name}
    stages = []
    for name, net in sorted(of_stage.items(), key=_place):
        progress(1.0, f"{name}: export, latency, evidence")
        stages.append(
            {
                "stage": net.stage.number,
                "quick": net.plan.quick,
                **standings[name],
                **_made(fits[name], data, net, walk, at),
            }
        )
    for each in stages:
        progress(1.0, f"{each['name']}: advice lived through by exact books")
        each["replay"] = replayed(data, heard, each["name"])
        each |= _against_gate(heard, each, walk)
    baselines = [each for name, each in standings.items() if name not in of_stage]
    named = ask.of or tuple(sorted(of_stage, key=lambda name: standings[name]["mse"])[:1])
    seen = looked(data, heard, [of_stage[name] for name in named if name in of_stage], ask.look, walk, progress)
    for each in stages:
        each |= seen["capacity"].get(each["name"], {})
    return {
        **report,
        **seen["market"],
        "learning_curves": {**report["learning_curves"], **seen["learning_curves"]},
        "trials": report["trials"] + seen["trials"],
        "stages": stages,
        "baselines": baselines,
        "quick": ask.quick,
    }


def _place(named: tuple[str, Net]) -> tuple[bool, int]:
    """The roadmap's stages come first, in its order."""
    return named[0] in LIGHT, named[1].stage.number


def nets_of(ask: Ask) -> list[Net]:
    """Return the nets that are asked for, the cheap ones first."""
    plan = Plan(quick=ask.quick, epochs=ask.epochs, batch=BATCH)
    chosen: list[Stage] = [*(LIGHT[name] for name in ask.light), *(STAGES[number] for number in ask.stages)]
    return [Net(each, replace(plan, hyper=_hyper(each, ask)), each.name, ask.thin) for each in chosen]


def _hyper(stage: Stage, ask: Ask) -> Mapping[str, Any]:
    """Folds of days have no room for rows to stop by: a day of labels lies between them and the others."""
    return TO_THE_END if ask.quick or stage.name in LIGHT else {}


def again(card: Mapping[str, Any], digest: str, *, thin: int) -> Net:
    """Return the stage that a card tells of, to be trained in the same way; its name says which model it stands for.

    Raises:
        UnableToEvaluate: this version has no such stage.
    """
    number, name = card["stage"], card["name"]
    stage: Stage | None = LIGHT.get(name) or STAGES.get(number)
    if stage is None:
        raise UnableToEvaluate(f"stage: {number} of {name} is unknown here; use the version that trained it.")
    hyper = {key: value for key, value in card["hyper"].items() if key not in OF_A_RUN}
    epochs, batch = int(card["hyper"].get("epochs", 2)), int(card["hyper"].get("batch", 128))
    return Net(
        stage, Plan(quick=bool(card["quick"]), epochs=epochs, batch=batch, hyper=hyper), f"{name}:{digest[:8]}", thin
    )


def _made(fit: Fit, data: Learnable, net: Net, walk: Walk, at: datetime) -> dict[str, Any]:
    """Return what the last fit became as a file: parameters, whether it was exported, parity, latency."""
    told: dict[str, Any] = {"parameters": fit.parameters, "exported": False, "parity": None, "latency_p99_ms": None}
    if fit.fitted is None or fit.rows is None:
        return told
    origin = Origin(
        net.name.partition(":")[0], net.stage.number, net.plan.quick, walk.seeds, at, deadline_ms=DEADLINE_MS
    )
    try:
        files = export(fit.fitted, data, fit.rows, origin)
    except UnableToExport as error:
        return told | {"why_not_exported": str(error)}
    parity = read_card(files["card.json"]).parity
    return told | {"exported": True, "parity": parity, "latency_p99_ms": _latency_ms(files["model.onnx"], data, fit)}


def _latency_ms(onnx: bytes, data: Learnable, fit: Fit) -> float:
    """Return the 99 % quantile of the processor time of one answer for one symbol."""
    assert fit.rows is not None
    x, known = data.windows(fit.rows[:1])
    session, took = session_of(onnx), list[float]()
    names = [each.name for each in session.get_inputs()]
    for _ in range(ASKED):
        began = time.thread_time_ns()
        session.run(None, dict(zip(names, (x, known), strict=True)))
        took.append((time.thread_time_ns() - began) / 1e6)
    return float(np.quantile(took, 0.99))


def _against_gate(heard: Heard, stage: Mapping[str, Any], walk: Walk) -> dict[str, Any]:
    """Return evidence, findings and the word of the offline gate; what is measured elsewhere is not measured here."""
    rivals = [name for name in RIVALS if name in heard.said]
    found = shown(heard, str(stage["name"]), rivals)
    evidence = {
        **found,
        "seeds": len(walk.seeds),
        "quick": bool(stage["quick"]),
        "claims_profit": False,
        "replayed": True if stage["replay"] else None,
        "replayed_adverse": True if stage["replay"] else None,
        "deflated": stage["replay"] and stage["replay"]["deflated"],
        "overfit": stage["replay"] and stage["replay"]["overfit"],
        "parity": stage["parity"],
        "latency_p99_ms": stage["latency_p99_ms"],
        "deadline_ms": DEADLINE_MS,
    }
    if walk.opening is not None:
        evidence |= {"holdout_openings": 1, "holdout_skill": found["skill_vs_har"]}
    findings = judge(read_evidence({"evidence": evidence}))
    return {"evidence": evidence, "findings": [asdict(each) for each in findings], "offline_pass": passed(findings)}

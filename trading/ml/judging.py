"""Every stage of the roadmap beside every baseline over one walk-forward: exported, timed, held against the gate."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np

from trading.domain.contest import Heard, shown
from trading.domain.model_card import read_card
from trading.domain.offline_gate import judge, passed, read_evidence
from trading.ml.contenders import Contender, Fit, Net, simple
from trading.ml.evaluation import Walk, walked
from trading.ml.export import DEADLINE_MS, Origin, UnableToExport, export, session_of
from trading.ml.learnable import Learnable, Plan, Progress, Stage
from trading.ml.stages import STAGES
from trading.ml.stages.light import DLINEAR, POINTWISE, TCN

RIVALS: Final = ("ewma", "har", "ridge", "dlinear")  # the best of them is to be beaten
LIGHT: Final = {
    each.name: each for each in (DLINEAR, POINTWISE, TCN)
}  # the baseline, and challengers beside the stages
ASKED: Final = 300  # times a model is asked for the figure of its latency
TO_THE_END: Final = {"held_out": 0.0}  # no row is kept for stopping early: the newest ones tell most


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be judged."""

    stages: tuple[int, ...] = ()  # of the roadmap; () none
    light: bool = True  # DLinear and the challengers
    quick: bool = False
    epochs: int = 3
    thin: int = 2  # every so many-th of the rows is learned from
    mixed: bool = True  # also the mean of what baselines and challengers say


def judged(data: Learnable, ask: Ask, walk: Walk, at: datetime, progress: Progress) -> dict[str, Any]:
    """Return the report as plain JSON: folds, baselines and stages with intervals, evidence and findings of each net.

    Raises:
        UnableToEvaluate: no fold has enough rows.
        UnableToSplit: the data are too short.
        UnableToFit: a feature that a baseline reads is missing.
    """
    nets = nets_of(ask)
    plain: list[Contender] = [*simple(data.features)]
    mixed = {"mixture": ("ridge", *(net.name for net in nets if net.name in LIGHT))}
    heard, report, fits = walked(data, [*plain, *nets], walk, progress, mixed if ask.mixed and ask.light else {})
    standings: Mapping[str, Any] = report.pop("standings")
    of_stage = {net.name: net for net in nets if net.name != DLINEAR.name}
    stages = []
    for name, net in of_stage.items():
        progress(1.0, f"{name}: export, latency, evidence")
        stages.append(
            {
                "stage": net.stage.number,
                **standings[name],
                **_made(fits[name], data, net, walk, at),
            }
        )
    for each in stages:
        each |= _against_gate(heard, each, walk, ask)
    baselines = [each for name, each in standings.items() if name not in of_stage]
    return {**report, "stages": stages, "baselines": baselines, "quick": ask.quick}


def nets_of(ask: Ask) -> list[Net]:
    """Return the nets that are asked for, the cheap ones first."""
    plan = Plan(quick=ask.quick, epochs=ask.epochs, batch=256)
    chosen: list[Stage] = [*(LIGHT.values() if ask.light else ()), *(STAGES[number] for number in ask.stages)]
    return [
        Net(each, replace(plan, hyper=TO_THE_END if each.name in LIGHT else {}), each.name, ask.thin) for each in chosen
    ]


def _made(fit: Fit, data: Learnable, net: Net, walk: Walk, at: datetime) -> dict[str, Any]:
    """Return what the last fit became as a file: parameters, whether it was exported, parity, latency."""
    told: dict[str, Any] = {"parameters": fit.parameters, "exported": False, "parity": None, "latency_p99_ms": None}
    if fit.fitted is None or fit.rows is None:
        return told
    origin = Origin(net.name, net.stage.number, net.plan.quick, walk.seeds, at, deadline_ms=DEADLINE_MS)
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


def _against_gate(heard: Heard, stage: Mapping[str, Any], walk: Walk, ask: Ask) -> dict[str, Any]:
    """Return evidence, findings and the word of the offline gate; what is measured elsewhere is not measured here."""
    rivals = [name for name in RIVALS if name in heard.said]
    found = shown(heard, str(stage["name"]), rivals)
    evidence = {
        **found,
        "seeds": len(walk.seeds),
        "quick": ask.quick,
        "claims_profit": False,
        "parity": stage["parity"],
        "latency_p99_ms": stage["latency_p99_ms"],
        "deadline_ms": DEADLINE_MS,
    }
    if walk.opening is not None:
        evidence |= {"holdout_openings": 1, "holdout_skill": found["skill_vs_har"]}
    findings = judge(read_evidence({"evidence": evidence}))
    return {"evidence": evidence, "findings": [asdict(each) for each in findings], "offline_pass": passed(findings)}

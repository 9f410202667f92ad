"""What is told of a search: the best trial, deflated by all of them; what each fold chose, and how that was tested."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Any

from trading.domain.backtest_run import BY_HAND, RATIOS, assumed
from trading.domain.backtest_settings import OF_A_CAMPAIGN, BacktestSettings, Mode
from trading.domain.campaign import ASSUMPTIONS
from trading.domain.deflation import FEWEST_RETURNS, Moments, deflated, probabilistic_sharpe
from trading.domain.scoring import Score, Scored, together
from trading.domain.search_plan import Method, Plan, Split
from trading.domain.search_space import Parameters
from trading.domain.splits import Fold, Span

Row = dict[str, Any]  # one trial as plain JSON, see `row_of`


class State(StrEnum):
    """How a trial ended; each of them is counted."""

    DONE = "done"
    FAILED = "failed"  # together its parameters are no grid, or it cannot be paid for
    PRUNED = "pruned"  # the same parameters were tried before


@dataclass(frozen=True, slots=True)
class Found:
    """Everything a search has found."""

    rows: Sequence[Row]
    folds: Sequence[Fold]
    tested: Sequence[tuple[Row, Score, Scored] | None]  # of each fold: what it chose, trained and tested
    before: int = 0  # trials of earlier searches over the same data
    period_ns: int = 1
    tape_assumptions: Sequence[str] = field(default_factory=tuple)


def row_of(number: int, parameters: Parameters, whole: Scored, trained: Sequence[Scored], aim: Scored) -> Row:
    """Return one trial as JSON; `aim` is what a search that learns is told of it."""
    state = State.FAILED if isinstance(whole, str) or isinstance(aim, str) else State.DONE
    why = next((one for one in (whole, aim) if isinstance(one, str)), "")
    return {
        "number": number,
        "state": state,
        "why": why,
        "parameters": dict(parameters),
        "score": None if isinstance(whole, str) or state is State.FAILED else whole.as_json(),
        "trained": [None if isinstance(one, str) else _short(one) for one in trained],
        "aim": None if isinstance(aim, str) else aims(aim),
    }


def pruned(number: int, parameters: Parameters, first: int) -> Row:
    """Return a trial whose parameters were those of trial `first`."""
    return {
        "number": number, "state": State.PRUNED, "why": f"Trial {first} had the same parameters.",
        "parameters": dict(parameters), "score": None, "trained": [], "aim": None,
    }  # fmt: skip


def aims(of: Score) -> list[float]:
    """Return what is sought: return (up), largest drawdown (down), turnover (down)."""
    return [float(of.return_fraction), float(of.max_drawdown), float(of.turnover)]


def _short(score: Score) -> dict[str, Any]:
    told = score.as_json()
    return {name: told[name] for name in ("sharpe", "return")}


# --- choosing ---------------------------------------------------------------------------------------------------------


def best(rows: Sequence[Row]) -> Row | None:
    """Return the trial with the highest Sharpe ratio over the whole recording; where none is known, return."""
    done = [row for row in rows if row["score"] is not None]
    return max(done, key=lambda row: _rank(row["score"], row), default=None)


def chosen(rows: Sequence[Row], fold: int) -> Row | None:
    """Return the trial with the highest Sharpe ratio over the training windows of a fold; None where none ran there."""
    ran = [row for row in rows if row["state"] == State.DONE and row["trained"][fold] is not None]
    return max(ran, key=lambda row: _rank(row["trained"][fold], row), default=None)


def _rank(score: Mapping[str, Any], row: Row) -> tuple[bool, float, Decimal, int]:
    sharpe = score["sharpe"]
    return sharpe is not None, sharpe or 0.0, Decimal(score["return"]), -row["number"]


def pareto(rows: Sequence[Row]) -> list[int]:
    """Return the numbers of the trials that no other beats: none has a return as high, a drawdown and a turnover as low
    and one of them better.
    """
    points = sorted(
        (-Decimal(row["score"]["return"]), Decimal(row["score"]["max_drawdown"]), Decimal(row["score"]["turnover"]),
         row["number"])
        for row in rows if row["score"] is not None
    )  # fmt: skip
    front = list[tuple[Decimal, Decimal, Decimal, int]]()
    for point in points:  # whoever beats a point comes before it
        if not any(_beats(one, point) for one in front):
            front.append(point)
    return sorted(number for *_, number in front)


def _beats(one: Sequence[Any], other: Sequence[Any]) -> bool:
    pairs = list(zip(one[:3], other[:3], strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


# --- telling ----------------------------------------------------------------------------------------------------------


def told(found: Found, plan: Plan, settings: BacktestSettings) -> dict[str, Any]:
    """Return what a search found as plain JSON: amounts as text, ratios as numbers, None where unknown."""
    states = [row["state"] for row in found.rows]
    leading = best(found.rows)
    return {
        "settings": settings.as_json(),
        "plan": plan.as_json(),
        "counts": {
            "tried": len(states),
            **{state.value: states.count(state) for state in State},
            "before": found.before,
        },
        "best": leading,
        "deflated": _deflated(found, leading),
        "folds": [_fold(*one) for one in zip(found.folds, found.tested, strict=True)],
        "out_of_sample": _out_of_sample(found.tested),
        "pareto": pareto(found.rows),
        "period_s": found.period_ns / 1e9,
        "assumptions": list(_assumptions(found, plan, settings)),
        "trials_sha256": digest(found.rows),
    }


def digest(rows: Sequence[Row]) -> str:
    """Return the SHA-256 (hex) of every trial: two searches with the same one did the same."""
    return sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _deflated(found: Found, leading: Row | None) -> dict[str, Any]:
    """Return the deflated Sharpe ratio of the best trial, or why it is unknown."""
    unknown = {"probability": None, "why": f"no trial has {FEWEST_RETURNS} returns that vary"}
    if leading is None or leading["score"]["sharpe"] is None:
        return unknown
    sharpes = [row["score"]["sharpe"] for row in found.rows if row["score"] and row["score"]["sharpe"] is not None]
    trials = len(found.rows) + found.before
    result = deflated(_moments(leading["score"]), sharpes, trials)
    if result is None:
        return unknown | {"why": f"one Sharpe ratio of {trials} trials is known, and one has no variance"}
    return {
        "probability": result.probability, "why": "", "trials": result.trials, "sharpes": result.sharpes,
        "variance": result.variance, "expected": result.expected, "sharpe": leading["score"]["sharpe"],
    }  # fmt: skip


def _moments(score: Mapping[str, Any]) -> Moments:
    return Moments(score["returns"], score["sharpe"], score["skewness"], score["kurtosis"])


def _fold(fold: Fold, tested: tuple[Row, Score, Scored] | None) -> dict[str, Any]:
    spans = {"train": [_times(span) for span in fold.train], "test": _times(fold.test)}
    if tested is None:
        return {**spans, "number": None, "why": "No trial ran in its training window.", "trained": None, "tested": None}
    row, trained, score = tested
    return {
        **spans,
        "number": row["number"],
        "parameters": row["parameters"],
        "trained": trained.as_json(),
        "tested": None if isinstance(score, str) else score.as_json(),
        "why": score if isinstance(score, str) else "",
    }


def _out_of_sample(tested: Sequence[tuple[Row, Score, Scored] | None]) -> dict[str, Any] | None:
    """Return the test windows of all folds together; None where one of them is missing: unknown, not zero."""
    scores = [one[2] for one in tested if one is not None and isinstance(one[2], Score)]
    if not tested or len(scores) < len(tested):
        return None
    whole = together(scores)
    known = whole.moments
    return {**whole.as_json(), "probability": known and probabilistic_sharpe(known, 0.0)}


def _times(span: Span) -> list[str]:
    return [
        datetime.fromtimestamp(at / 1e9, UTC).isoformat(timespec="milliseconds") for at in (span.begin_ns, span.end_ns)
    ]


def _assumptions(found: Found, plan: Plan, settings: BacktestSettings) -> Iterator[str]:
    yield from found.tape_assumptions
    modes = [Mode(one) for one in plan.vary["mode"].replace(" ", "").split(",")] if "mode" in plan.vary else []
    each = (line for mode in modes or [settings.mode] for line in assumed(replace(settings, mode=mode)))
    yield from (line for line in dict.fromkeys(each) if line not in (RATIOS, BY_HAND))
    if settings.lower is not None or {"lower", "upper"} & plan.vary.keys():
        yield BY_HAND
    if not settings.is_plain or set(OF_A_CAMPAIGN) & plan.vary.keys():
        yield from ASSUMPTIONS
    yield (
        "Every trial begins each window with its cash and no position, and ends valued at the last mark; nothing is "
        "carried from a window into the next."
    )
    yield (
        f"The best trial has the highest Sharpe ratio of returns over spans of {found.period_ns / 1e9:g} s, not of a "
        "year. It was chosen on the recording it is shown for: what it earned there is no forecast."
    )
    yield from _of_split(plan)
    yield _counted(found)
    yield (
        "The deflated Sharpe ratio takes returns of neighbouring spans as independent, and trials as well; trials that "
        "resemble each other make it too strict. One recording says nothing of other days."
    )


def _of_split(plan: Plan) -> Iterator[str]:
    if plan.split is Split.NONE:
        yield "No test window was kept apart: everything told here is in-sample."
        return
    apart = f"{plan.purge_s:f} s purged before it"
    if plan.split is Split.PURGED:
        apart += f" and after it, and an embargo of {plan.embargo_s:f} s"
    yield f"Each fold chooses on its training window alone; no part of it touches its test window, {apart}."
    if plan.method is Method.OPTUNA:
        yield "Optuna learned from the first training window alone, which lies before every test window."


def _counted(found: Found) -> str:
    states = [row["state"] for row in found.rows]
    words = ", ".join(f"{states.count(state)} {state}" for state in State)
    earlier = f", and {found.before} of earlier searches over the same data" if found.before else ""
    return f"{len(states) + found.before} trials are counted against the best one: {words}{earlier}."

"""A search as its page shows it: what was tried, what is left once every trial is counted, what can be adopted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from trading.domain.backtest_settings import BacktestSettings, UnusableSettings, read
from trading.domain.candidates import why_not_live
from trading.domain.search_plan import settings_of
from trading.models import Account, Backtest, GridCandidate
from trading.selectors.backtests import Money, listed_settings, title_of
from trading.selectors.numbers import UNKNOWN, percent, plain, sign, signed

USUAL: Final = 0.95  # what is asked of a deflated Sharpe ratio
SHOWN: Final = 25  # trials in the table
PLAN_NAMES: Final = {
    "method": "Method", "trials": "Trials", "seed": "Seed", "split": "Split", "folds": "Folds",
    "purge_s": "Purge, s", "embargo_s": "Embargo, s", "periods": "Spans of the recording",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrialLine:
    """One trial."""

    number: int
    parameters: str
    earned: Money  # percent
    drawdown: str
    turnover: str
    fills: str
    sharpe: str
    why_not: str  # the live core cannot run it; empty: it can
    marks: str  # why it stands in the table


@dataclass(frozen=True, slots=True)
class FoldLine:
    """What one fold chose, and what that was worth where it had not been looked at."""

    number: int
    train: str
    test: str
    trial: str
    trained: Money | None
    tested: Money | None
    sharpe: str
    why: str


@dataclass(frozen=True, slots=True)
class Search:
    """One search that is done."""

    run: Backtest
    title: str
    quote: str
    data: Mapping[str, Any]
    counts: Mapping[str, int]
    counted: int
    deflated: str
    deflated_words: str
    level: str  # "ok" | "warn"
    best: TrialLine
    out_of_sample: Money | None
    out_of_sample_words: str
    folds: Sequence[FoldLine]
    trials: Sequence[TrialLine]
    front_size: int
    axes: Sequence[str]
    settings: Sequence[tuple[str, str]]
    assumptions: Sequence[str]
    digest: str


def done(run_id: int) -> tuple[Backtest, dict[str, Any], list[dict[str, Any]]] | None:
    """Return (search, facts, trials) of one that is done; None where there is none."""
    found = Backtest.objects.filter(pk=run_id, state=Backtest.State.DONE, plan__isnull=False).first()
    return None if found is None else (found, found.facts or {}, (found.curves or {})["rows"])


def trial(run_id: int, number: int) -> tuple[dict[str, Any], BacktestSettings] | None:
    """Return (facts of the search, settings) of a trial that was run; None where there is none."""
    found = done(run_id)
    row = next((row for row in found[2] if row["number"] == number and row["score"]), None) if found else None
    if found is None or row is None:
        return None
    return found[1], settings_of(_base(found[0]), row["parameters"])


def page(run: Backtest, facts: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Search:
    """Return a search that is done, as its page shows it."""
    by_number = {row["number"]: row for row in rows}
    marks = _marks(facts)
    chosen = list(dict.fromkeys([facts["best"]["number"], *_of_folds(facts), *facts["pareto"]]))[:SHOWN]
    lines = {number: _trial(run, by_number[number], marks.get(number, [])) for number in chosen}
    out, plan = facts["out_of_sample"], facts["plan"]
    return Search(
        run=run,
        title=title_of(run),
        quote=facts["quote"],
        data=facts["data"],
        counts=facts["counts"],
        counted=facts["counts"]["tried"] + facts["counts"]["before"],
        deflated=UNKNOWN if facts["deflated"]["probability"] is None else _percent(facts["deflated"]["probability"], 1),
        deflated_words=_deflated(facts["deflated"]),
        level="ok" if (facts["deflated"]["probability"] or 0) >= USUAL else "warn",
        best=lines[facts["best"]["number"]],
        out_of_sample=None if out is None else _earned(out),
        out_of_sample_words=_out_words(facts),
        folds=[_fold(number, fold) for number, fold in enumerate(facts["folds"], 1)],
        trials=list(lines.values()),
        front_size=len(facts["pareto"]),
        axes=sorted(plan["vary"]),
        settings=[
            *((f"Varied: {name}", text) for name, text in sorted(plan["vary"].items())),
            *((label, str(plan[name])) for name, label in PLAN_NAMES.items() if plan[name] is not None),
            *listed_settings(run),
        ],
        assumptions=facts["assumptions"],
        digest=facts["trials_sha256"],
    )


def candidate(account: Account, symbol: str) -> GridCandidate | None:
    """Return what is proposed for the grid of `account` on `symbol`, if anything."""
    waiting = GridCandidate.objects.filter(account=account, symbol=symbol, taken_up_at=None, dropped_at=None)
    return waiting.first()


def _base(run: Backtest) -> BacktestSettings:
    return read({name: value for name, value in run.settings.items() if value is not None})


def _marks(facts: Mapping[str, Any]) -> dict[int, list[str]]:
    found = dict[int, list[str]]()
    found.setdefault(facts["best"]["number"], []).append("best")
    for number, fold in enumerate(facts["folds"], 1):
        if fold["number"] is not None:
            found.setdefault(fold["number"], []).append(f"fold {number}")
    for number in facts["pareto"]:
        found.setdefault(number, []).append("front")
    return found


def _of_folds(facts: Mapping[str, Any]) -> list[int]:
    return [fold["number"] for fold in facts["folds"] if fold["number"] is not None]


def _trial(run: Backtest, row: Mapping[str, Any], marks: Sequence[str]) -> TrialLine:
    score = row["score"]
    return TrialLine(
        number=row["number"],
        parameters=_parameters(row),
        earned=_earned(score),
        drawdown=percent(Decimal(score["max_drawdown"]), 4),
        turnover=plain(Decimal(score["turnover"])),
        fills=f"{score['fills']:,}",
        sharpe=_sharpe(score),
        why_not=_why_not(run, row),
        marks=", ".join(marks),
    )


def _why_not(run: Backtest, row: Mapping[str, Any]) -> str:
    try:
        return " ".join(why_not_live(settings_of(_base(run), row["parameters"])))
    except UnusableSettings as error:
        return str(error)


def _fold(number: int, fold: Mapping[str, Any]) -> FoldLine:
    tested, trained = fold["tested"], fold["trained"]
    return FoldLine(
        number=number,
        train=", ".join(_span(one) for one in fold["train"]),
        test=_span(fold["test"]),
        trial=UNKNOWN if fold["number"] is None else f"#{fold['number']} {_parameters(fold)}",
        trained=None if trained is None else _earned(trained),
        tested=None if tested is None else _earned(tested),
        sharpe=UNKNOWN if tested is None else _sharpe(tested),
        why=fold["why"],
    )


def _span(times: Sequence[str]) -> str:
    """Return a span of time to the second; the day once where both ends are on it."""
    begin, end = (text[:19].replace("T", " ") for text in times)
    return f"{begin} to {end[11:] if begin[:10] == end[:10] else end}"


def _parameters(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(row["parameters"].items()))


def _earned(score: Mapping[str, Any]) -> Money:
    share = Decimal(score["return"]) * 100
    return Money(f"{signed(share, 4)} %", sign(share))


def _sharpe(score: Mapping[str, Any]) -> str:
    return UNKNOWN if score["sharpe"] is None else _ratio(score["sharpe"])


def _ratio(value: float) -> str:
    return plain(Decimal(str(value)), 4)


def _percent(value: float, places: int) -> str:
    return percent(Decimal(str(value)), places)


def _deflated(found: Mapping[str, Any]) -> str:
    if found["probability"] is None:
        return f"The deflated Sharpe ratio is not known: {found['why']}."
    luck = f"the {_ratio(found['expected'])} that luck alone shows in {found['trials']:,} trials"
    sure = f"{_percent(found['probability'], 1)} is how likely the Sharpe ratio of the best trial"
    return f"{sure}, {_ratio(found['sharpe'])} a span, is more than {luck}. At least {USUAL * 100:.0f} % is usual."


def _out_words(facts: Mapping[str, Any]) -> str:
    if not facts["folds"]:
        return "no test window was kept apart"
    out = facts["out_of_sample"]
    if out is None:
        return "a fold could not be tested"
    return f"drawdown {percent(Decimal(out['max_drawdown']), 4)}"

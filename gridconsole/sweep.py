"""`./console sweep`: many grids over recorded data, held against themselves, as text or as one JSON object."""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gridconsole import backtest
from gridconsole.backtest import Refused, as_numbers
from trading.domain.backtest_settings import FIELDS as SETTINGS
from trading.domain.backtest_settings import STORED, BacktestSettings, UnusableSettings, Wrong, read
from trading.domain.search_plan import FIELDS, Method, Plan, read_plan

EPILOG: Final = """One --vary a setting: "levels=10, 20, 40", "levels=8..40 by 4" or "step=0.0002..0.002 log in 7" for a
grid; "step=0.0002..0.002 log" for random and optuna. What is not varied is said as to ./console backtest."""
HELP: Final[Mapping[str, tuple[str, str]]] = {
    "method": ("METHOD", "grid (default): every combination; random; optuna: learns from what was tried"),
    "trials": ("N", "how many, of random and optuna (default 100)"),
    "seed": ("N", "the same seed tries the same (default 1)"),
    "split": ("SPLIT", "walk_forward (default), purged, none"),
    "folds": ("N", "training and test windows (default 4)"),
    "purge_s": ("SECONDS", "left out of training beside a test window (default 0)"),
    "embargo_s": ("SECONDS", "and so much more after it, of purged (default 0)"),
    "periods": ("N", "equal spans of which a return is taken (default 100)"),
}
SHOWN: Final = 10  # trials of the front
CANCELED: Final = 130  # exit status


def main(argv: Sequence[str]) -> int:
    """Search and print what was found; 2 where what was asked cannot be done."""
    parser = argparse.ArgumentParser(prog="./console sweep", description=__doc__, epilog=EPILOG, allow_abbrev=False)
    add_arguments(parser)
    return run(vars(parser.parse_args(argv)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--vary", metavar="NAME=VALUES", action="append", default=[], help="a setting and its values")
    for name, (value, text) in HELP.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar=value, help=text)
    parser.add_argument("--study", metavar="NAME", help="optuna: a study that several workers share; alone, join it")
    parser.add_argument("--threads", metavar="N", default="1", help="of the compiled sweep (default 1)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON on the last line")
    backtest.add_settings(parser)


def run(options: Mapping[str, Any]) -> int:
    """Carry out what the options say and print it; 2 where that cannot be done, with the reason in one line."""
    try:
        for line in _lines(options):
            sys.stdout.write(f"{line}\n")
    except BrokenPipeError:  # whoever reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nCancelled; nothing of it was kept.\n")
        return CANCELED
    except Refused as error:
        sys.stderr.write(" ".join(f"{error}".split("\n")) + "\n")
        return 2
    return 0


def _lines(options: Mapping[str, Any]) -> Iterator[str]:
    began = time.perf_counter()
    threads, study = _threads(options["threads"]), options["study"]
    away = backtest.database() if study is not None else ()
    try:
        settings, plan = _asked(options)
        from trading import backtesting  # after the settings: a slip of the pen is answered before a library is loaded

        if settings.data.startswith(STORED):
            away = backtest.database()
        try:
            done = _searched(settings, plan, study, threads)
        except backtesting.UnableToBacktest as error:
            raise Refused(f"Cannot search. {error}") from error
    except away as error:
        reason = str(error).strip().splitlines()[0]
        raise Refused(f"The database does not answer: {reason} Is it running?") from error
    facts = {**done.facts, "seconds": round(time.perf_counter() - began, 3)}
    if options["json"]:
        yield json.dumps(as_numbers({**facts, "trials": done.curves["rows"]}))
    else:
        yield from in_words(facts, {row["number"]: row for row in done.curves["rows"]})


def _searched(settings: BacktestSettings, plan: Plan, study: str | None, threads: int) -> Any:
    from trading import searching

    shown = backtest.Shown()
    try:
        if study is not None:
            return searching.carry_out_shared(settings, plan, shown.show, study, 0, keep=True, threads=threads)
        if plan.method is Method.OPTUNA:
            return searching.carry_out_alone(settings, plan, shown.show, threads=threads)
        return searching.carry_out(settings, plan, shown.show, threads=threads)
    finally:
        shown.clear()


def _asked(options: Mapping[str, Any]) -> tuple[BacktestSettings, Plan]:
    """Return what is to be searched: as the options say, or as the study says that is joined."""
    said = {name: options[name] for name in FIELDS if options[name] is not None}
    study = options["study"]
    try:
        if study is not None and not options["vary"]:
            return _joined(options, said)
        if empty := [Wrong(name, "is empty; give a value or leave it out.") for name in said if said[name] == ""]:
            raise UnusableSettings(*empty)
        settings = backtest.settings_of(options)
        plan = read_plan({**said, "vary": _varied(options["vary"])}, settings)
    except UnusableSettings as error:
        words = (f"--{one.field.replace('_', '-')}: {one.reason}" for one in error.wrong)
        raise Refused(f"Cannot search. {' '.join(words)}") from error
    if study is not None and plan.method is not Method.OPTUNA:
        raise Refused("--study: only trials of method optuna learn from each other; add --method optuna.")
    return settings, plan


def _joined(options: Mapping[str, Any], said: Mapping[str, object]) -> tuple[BacktestSettings, Plan]:
    given = [name for name in (*said, *SETTINGS, "config") if options.get(name) is not None]
    if given:
        raise Refused(
            f"--study: who joins takes the options of who began it; leave out --{given[0].replace('_', '-')}."
        )
    from trading.services import studies

    try:
        asked = studies.asked_of(options["study"])
    except studies.UnableToJoin as error:
        raise Refused(f"--{error}") from error
    settings = read({name: value for name, value in asked["settings"].items() if value is not None})
    return settings, read_plan(asked["plan"], settings)


def _varied(given: Sequence[str]) -> dict[str, str]:
    """Return what each --vary names.

    Raises:
        Refused: one names nothing, or a setting comes twice.
    """
    found = dict[str, str]()
    for text in given:
        name, equals, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name in found:
            why = "comes twice" if name in found else "has no values"
            raise Refused(f"--vary: {text[:80]!a} {why}; write each setting once, such as --vary 'levels=8..40 by 4'.")
        found[name] = values
    return found


def _threads(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= 256 and len(text) <= 3:
        return int(text)
    raise Refused(f"--threads: {text[:60]!a} is no whole number from 1 to 256; use at most as many as processors.")


# --- words ------------------------------------------------------------------------------------------------------------


def in_words(facts: Mapping[str, Any], rows: Mapping[int, Mapping[str, Any]]) -> Iterator[str]:
    """Yield what a search found as lines for a terminal."""
    counts, data, quote = facts["counts"], facts["data"], facts["quote"]
    tried = f"{counts['tried']:,} trials: {counts['done']} done, {counts['failed']} failed, {counts['pruned']} pruned"
    yield f"{data['symbol']}, {data['name']} ({data['label']}), {data['events']:,} events; {tried}"
    best = facts["best"]
    yield f"  best          trial {best['number']}: {_parameters(best)}"
    yield f"                {_scores(best['score'], quote)}"
    yield f"  deflated      {deflated_in_words(facts['deflated'])}"
    for number, fold in enumerate(facts["folds"], 1):
        yield f"  fold {number:<8} {_fold(fold)}"
    out = facts["out_of_sample"]
    if facts["folds"]:
        yield f"  out of sample {'unknown: a fold could not be tested' if out is None else _scores(out, quote)}"
    front = facts["pareto"]
    yield f"  front         {len(front)} trials that none beats in return, drawdown and turnover:"
    for number in front[:SHOWN]:
        yield f"    {number:>6}  {_parameters(rows[number])}: {_scores(rows[number]['score'], quote)}"
    if len(front) > SHOWN:
        yield f"    and {len(front) - SHOWN} more; --json has them all"
    yield "Assumptions:"
    yield from (f"  - {line}" for line in facts["assumptions"])
    yield f"Trials, SHA-256 {facts['trials_sha256']}. Done in {facts['seconds']:.2f} s."


def deflated_in_words(found: Mapping[str, Any]) -> str:
    """Return the deflated Sharpe ratio in one line, or why it is unknown."""
    if found["probability"] is None:
        return f"unknown: {found['why']}"
    luck = f"the {found['expected']:.4f} that luck alone shows in {found['trials']:,} trials"
    return f"{found['probability']:.1%} that its Sharpe ratio of {found['sharpe']:.4f} a span is more than {luck}"


def _parameters(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row["parameters"].items())


def _scores(score: Mapping[str, Any], quote: str) -> str:
    sharpe = "unknown" if score["sharpe"] is None else f"{score['sharpe']:.4f}"
    amounts = f"return {float(score['return']):+.4%}, max drawdown {float(score['max_drawdown']):.4%}"
    return f"{amounts}, turnover {float(score['turnover']):,.2f} {quote}, {score['fills']} fills, Sharpe {sharpe}"


def _fold(fold: Mapping[str, Any]) -> str:
    if fold["tested"] is None:
        return f"unknown: {fold['why']}"
    trained, tested = (f"{float(fold[name]['return']):+.4%}" for name in ("trained", "tested"))
    return f"trial {fold['number']} ({_parameters(fold)}): trained {trained}, tested {tested}"

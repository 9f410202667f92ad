"""A search put together: recorded data in, many trials, what came of them out. Needs no database of its own."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from trading import backtesting
from trading.backtesting import Done, Prepared, Progress, UnableToBacktest
from trading.domain.backtest_settings import OF_A_CAMPAIGN, BacktestSettings, UnusableSettings
from trading.domain.scoring import Score, Scored, score, together
from trading.domain.search_plan import Method, Plan, folds_of, settings_of
from trading.domain.search_report import Found, Row, State, chosen, pruned, row_of, told
from trading.domain.search_space import Parameters
from trading.domain.splits import Fold, Span

BATCH: Final = 32  # trials between two looks at whether to go on
LEARNING_BATCH: Final = 8  # of a search that learns: what it asks for at once
OTHERS_S: Final = 60.0  # how long the trials of other workers are waited for at the end
LOOK_EVERY_S: Final = 0.2
READ: Final = 0.05  # fraction of the work, as people see it


class Study(Protocol):
    """Whoever proposes parameters and learns from what came of them; several workers may share one."""

    def ask(self, count: int) -> Mapping[int, Parameters]:
        """Return up to `count` numbered proposals; none when there are enough."""
        ...

    def tell(self, row: Row) -> None:
        """Keep what came of one."""
        ...

    def rows(self) -> list[Row]:
        """Return every trial of every worker so far, by number; one that is not done yet has failed."""
        ...

    @property
    def is_over(self) -> bool:
        """True when no trial is still with a worker."""
        ...


def carry_out(
    settings: BacktestSettings, plan: Plan, progress: Progress = lambda _: None, *, study: Study | None = None,
    before: int = 0, threads: int = 1,
) -> Done:  # fmt: skip
    """Try what `plan` says around `settings`; return facts, and every trial as `curves["rows"]`.

    `study` is needed by method optuna alone; `before` counts trials of earlier searches over the same data.

    Raises:
        UnableToBacktest: data, settings or plan cannot be used, or no trial could be run.
    """
    with backtesting.refusals():
        over = backtesting.prepared(settings)
        progress(READ)
        return _Search(over, settings, plan, progress, threads).told(study, before)


def carry_out_alone(
    settings: BacktestSettings, plan: Plan, progress: Progress = lambda _: None, *, threads: int = 1
) -> Done:
    """Do what `carry_out` does for a search that learns, in this process alone: the same seed finds the same.

    Raises:
        UnableToBacktest: as `carry_out`.
    """
    from trading.adapters import study_optuna

    with backtesting.refusals():
        study = study_optuna.alone(plan.space, plan.size, plan.seed)
    return carry_out(settings, plan, progress, study=study, threads=threads)


def carry_out_shared(
    settings: BacktestSettings, plan: Plan, progress: Progress, name: str, before: int, *, keep: bool = False,
    threads: int = 1,
) -> Done:  # fmt: skip
    """Do what `carry_out` does; of a search that learns, take part in the study `name`, which any number may join.

    Unless it is kept, the study is forgotten when this one is done: all of it is in what is returned.

    Raises:
        UnableToBacktest: as `carry_out`; or the study has another plan, or was ended by whoever began it.
    """
    if plan.method is not Method.OPTUNA:
        return carry_out(settings, plan, progress, before=before, threads=threads)
    from trading.services import studies  # half a second of imports that only a search that learns needs

    try:
        study = studies.join(name, settings, plan)
    except studies.UnableToJoin as error:
        raise UnableToBacktest(str(error)) from error
    try:
        return carry_out(settings, plan, progress, study=study, before=before, threads=threads)
    except studies.StudyLost as error:
        raise UnableToBacktest(str(error)) from error
    finally:
        study.close()
        if not keep:
            studies.forget(name)


@dataclass(slots=True)
class _Search:
    over: Prepared
    settings: BacktestSettings
    plan: Plan
    progress: Progress
    threads: int
    whole: Span = field(init=False)
    folds: Sequence[Fold] = field(init=False)
    period_ns: int = field(init=False)

    def __post_init__(self) -> None:
        at_ns = self.over.tape.at_ns
        self.whole = Span(int(at_ns[0]), int(at_ns[-1]) + 1)
        self.folds = folds_of(self.plan, self.whole)
        self.period_ns = max(self.whole.length_ns // self.plan.periods, 1)

    def told(self, study: Study | None, before: int) -> Done:
        rows = self._learned(study) if study is not None else self._tried(list(self._proposed()))
        if all(row["state"] == State.FAILED for row in rows):
            why = rows[0]["why"] if rows else "there was none."
            raise UnableToBacktest(f"No trial of {len(rows)} could be run. The first one: {why}")
        tested = [self._tested(rows, number) for number in range(len(self.folds))]
        found = Found(rows, self.folds, tested, before, self.period_ns, self.over.tape.assumptions)
        facts = {
            **told(found, self.plan, self.settings),
            "data": self.over.described(),
            "quote": self.over.instrument.quote,
        }
        return Done(facts, {"rows": rows})

    # --- trials ---

    def _proposed(self) -> Iterator[Parameters]:
        space = self.plan.space
        if self.plan.method is Method.GRID:
            yield from space.every()
            return
        generator = np.random.default_rng(self.plan.seed)
        for _ in range(self.plan.size):
            yield space.drawn(generator)

    def _tried(self, proposed: Sequence[Parameters]) -> list[Row]:
        rows, seen = list[Row](), dict[tuple[str, ...], int]()
        size = self._at_once(BATCH)
        for begin in range(0, len(proposed), size):
            asked = dict(enumerate(proposed[begin : begin + size], begin))
            rows += self._rows(asked, seen)
            self.progress(READ + (1 - READ) * len(rows) / len(proposed))
        return rows

    def _learned(self, study: Study) -> list[Row]:
        """Take what `study` proposes until it has enough, whoever else takes from it."""
        seen = {_key(row["parameters"]): row["number"] for row in reversed(study.rows())}
        while asked := study.ask(self._at_once(LEARNING_BATCH)):
            for row in self._rows(asked, seen):
                study.tell(row)
            self.progress(READ + (1 - READ) * min((max(asked) + 1) / self.plan.size, 1.0))
        until = time.monotonic() + OTHERS_S
        while not study.is_over and time.monotonic() < until:
            self.progress(1.0)
            time.sleep(LOOK_EVERY_S)
        return study.rows()

    def _at_once(self, size: int) -> int:
        """Return how many trials are run before the next look: swept together they are quick, others are not."""
        plain = self.settings.is_plain and not set(OF_A_CAMPAIGN) & self.plan.vary.keys()
        return size if plain else 1

    def _rows(self, asked: Mapping[int, Parameters], seen: dict[tuple[str, ...], int]) -> list[Row]:
        """Run what is asked, but for what was run before; return a row of each."""
        rows, runs = dict[int, Row](), dict[int, BacktestSettings]()
        for number, parameters in asked.items():
            if (first := seen.setdefault(_key(parameters), number)) != number:
                rows[number] = pruned(number, parameters, first)
                continue
            try:
                runs[number] = settings_of(self.settings, parameters)
            except UnusableSettings as error:
                rows[number] = row_of(number, parameters, str(error), (), str(error))
        for number, (whole, trained) in self._scored(runs).items():
            aim = trained[0] if self.plan.method is Method.OPTUNA and trained else whole
            rows[number] = row_of(number, asked[number], whole, trained, aim)
        return [rows[number] for number in asked]

    def _scored(self, runs: Mapping[int, BacktestSettings]) -> dict[int, tuple[Scored, list[Scored]]]:
        """Return of each run what it did over the whole recording, and in the training windows of each fold."""
        spans = dict.fromkeys((self.whole, *(span for fold in self.folds for span in fold.train)))
        found = {span: self._over(span, runs) for span in spans}
        return {
            number: (
                found[self.whole][number],
                [_joined([found[s][number] for s in fold.train]) for fold in self.folds],
            )
            for number in runs
        }

    def _over(self, span: Span, runs: Mapping[int, BacktestSettings]) -> dict[int, Scored]:
        return score(self.over.tape, runs, self.over.instrument, span, self.period_ns, self.threads)

    def _tested(self, rows: Sequence[Row], number: int) -> tuple[Row, Score, Scored] | None:
        """Return what a fold chose, and what that did in its training and test windows."""
        row, fold = chosen(rows, number), self.folds[number]
        if row is None:
            return None
        run = {0: settings_of(self.settings, row["parameters"])}
        trained = _joined([self._over(span, run)[0] for span in fold.train])
        if isinstance(trained, str):
            raise TypeError(f"trial {row['number']} ran in the training window and no longer does: {trained}")
        return row, trained, self._over(fold.test, run)[0]


def _joined(scores: Sequence[Scored]) -> Scored:
    refused = [one for one in scores if isinstance(one, str)]
    return refused[0] if refused else together([one for one in scores if isinstance(one, Score)])


def _key(parameters: Parameters) -> tuple[str, ...]:
    return tuple(part for item in sorted(parameters.items()) for part in item)

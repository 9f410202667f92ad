"""A purged walk-forward: every contender is trained anew on each fold and forecasts what came after it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

import numpy as np

from trading.domain import contest, skill
from trading.domain.bars import Floats, Ints
from trading.domain.contest import Heard
from trading.domain.offline_gate import Opening, locked_year
from trading.domain.splits import Fold, Span, rolling
from trading.ml.contenders import Contender, Fit
from trading.ml.learnable import Learnable, Progress

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400_000_000_000
TRAIN_NS: Final = 180 * DAY_NS  # six months
TEST_NS: Final = 60 * DAY_NS  # two
EMBARGO_NS: Final = DAY_NS
LEAST_KNOWN: Final = 0.25  # of the rows a window would have without a hole; of less a fold says nothing of a symbol
SEEDS: Final = (0, 1, 2, 3, 4)
SHARES: Final = (0.125, 0.25, 0.5, 1.0)  # of the training rows, newest first: the learning curve
LEAST_SPREAD: Final = 1e-6


class UnableToEvaluate(ValueError):
    """Nothing can be said of these data; the message names the reason and what to do."""


@dataclass(frozen=True, slots=True)
class Walk:
    """How the time is cut, and what is looked at."""

    train_ns: int = TRAIN_NS
    test_ns: int = TEST_NS
    embargo_ns: int = EMBARGO_NS
    stride: int = 3  # every so many-th bar
    seeds: tuple[int, ...] = SEEDS
    curve: tuple[str, ...] = ()  # contenders whose learning curve is drawn
    newest: int = 0  # so many folds alone; 0: all
    opening: Opening | None = None  # only the locked year is looked at; None: it is not


@dataclass(frozen=True, slots=True)
class Part:
    """One fold with what can be learned and tested in it."""

    number: int
    fold: Fold
    train: Ints
    test: Ints


@dataclass(slots=True, eq=False)
class _Said:
    """What was said on the parts so far."""

    rows: list[Ints] = field(default_factory=list)
    folds: list[Ints] = field(default_factory=list)
    said: dict[str, list[Floats]] = field(default_factory=dict)
    spread: dict[str, list[Floats]] = field(default_factory=dict)


def walk_of(data: Learnable, **how: Any) -> Walk:
    """Return six months and two where the data are that long; of shorter data four sevenths and one."""
    length = data.span.length_ns
    if length >= TRAIN_NS + TEST_NS:
        return Walk(**how)
    return Walk(train_ns=length * 4 // 7, test_ns=length // 7, embargo_ns=0, **how)


def evaluate(data: Learnable, contenders: Sequence[Contender], walk: Walk, progress: Progress) -> dict[str, Any]:
    """Return the report of `walked` alone."""
    return walked(data, contenders, walk, progress)[1]


def walked(
    data: Learnable,
    contenders: Sequence[Contender],
    walk: Walk,
    progress: Progress,
    mixed: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[Heard, dict[str, Any], dict[str, Fit]]:
    """Return what was said, the report as plain JSON, and the last fit of each contender.

    Nothing of the locked year is read unless `walk.opening` says that it was opened; then nothing else is tested.
    `mixed` names who also stands by the mean of which contenders' words.

    Raises:
        UnableToEvaluate: no fold has enough rows.
        UnableToSplit: the data are too short.
    """
    parts, dropped = parts_of(data, walk)
    if not parts:
        raise UnableToEvaluate("data: no fold has enough known bars of any symbol; load a longer time.")
    parts = parts[-walk.newest :]
    said, fits = _Said(), dict[str, Fit]()
    for k, part in enumerate(parts):
        fits = _hold(data, part, contenders, walk, said, _within(progress, k, len(parts)))
    for name, members in (mixed or {}).items():
        _mix(said, name, members)
    heard = _heard(data, said, walk)
    report = {
        **_frame(data, walk),
        "folds": [_fold(part, data, heard) for part in parts],
        "dropped": dropped,
        "standings": {name: contest.standing(heard, name) for name in heard.said},
        "learning_curves": _curves(data, heard, parts, contenders, walk, progress),
        "trials": sum(len(walk.seeds) if each.seeded else 1 for each in contenders) + len(mixed or {}),
    }
    return heard, report, fits


def parts_of(data: Learnable, walk: Walk) -> tuple[list[Part], list[dict[str, Any]]]:
    """Return the folds that have rows, and what was dropped, by fold and symbol, with what is known of its windows."""
    whole, purge_ns = looked_at(data.span, walk), max(data.horizons_s) * SECOND_NS
    folds = rolling(whole, walk.train_ns, walk.test_ns, purge_ns=purge_ns, embargo_ns=walk.embargo_ns)
    parts, dropped = list[Part](), list[dict[str, Any]]()
    for number, fold in enumerate(folds):
        train = _aligned(data, data.rows(fold.train), walk)
        # A label of the last test hours may be known only after the window; never after the time that is looked at.
        test = _aligned(data, data.rows((fold.test,), labels_within=False), walk)
        test = test[of_rows(data, test, "until_ns") <= whole.end_ns]
        kept = []
        for frame, symbol in enumerate(data.symbols):
            known = _known(data, train, frame, fold.train[0], walk), _known(data, test, frame, fold.test, walk)
            if min(known) >= LEAST_KNOWN:
                kept.append(frame)
            else:
                dropped.append({"fold": number, "symbol": symbol, "train_known": known[0], "test_known": known[1]})
        if kept:
            parts.append(Part(number, fold, train[np.isin(train[:, 0], kept)], test[np.isin(test[:, 0], kept)]))
    return parts, dropped


def looked_at(whole: Span, walk: Walk) -> Span:
    """Return the time that may be looked at: all before the locked year, or it with what it is learned on."""
    locked = locked_year(whole)
    if locked is None:
        return whole
    if walk.opening is None:
        return Span(whole.begin_ns, locked.begin_ns)
    return Span(max(locked.begin_ns - walk.train_ns, whole.begin_ns), whole.end_ns)


def _aligned(data: Learnable, rows: Ints, walk: Walk) -> Ints:
    """Return every so many-th bar by the clock, so that the symbols of one moment stay together."""
    number: Ints = of_rows(data, rows, "at_ns") // (data.bar_s * SECOND_NS)
    aligned: Ints = rows[number % walk.stride == 0]
    return aligned


def of_rows(data: Learnable, rows: Ints, name: str) -> Ints:
    """Return (k,) when each of `rows` closed, `at_ns`, or until when its labels look, `until_ns`."""
    found = np.empty(len(rows), np.int64)
    for number, frame in enumerate(data.frames):
        mine = rows[:, 0] == number
        found[mine] = getattr(frame if name == "at_ns" else data.labels[number], name)[rows[mine, 1]]
    return found


def _known(data: Learnable, rows: Ints, frame: int, span: Span, walk: Walk) -> float:
    """Return how many of the bars that `span` would hold without a hole are there."""
    return round(int((rows[:, 0] == frame).sum()) * walk.stride * data.bar_s * SECOND_NS / span.length_ns, 4)


def _hold(
    data: Learnable, part: Part, contenders: Sequence[Contender], walk: Walk, said: _Said, progress: Progress
) -> dict[str, Fit]:
    """Fit every contender on the part and keep what it says; return the last fit of each."""
    fits = {}
    said.rows.append(part.test)
    said.folds.append(np.full(len(part.test), part.number))
    for k, each in enumerate(contenders):
        seeds = walk.seeds if each.seeded else walk.seeds[:1]
        told = []
        for seed in seeds:
            progress(k / len(contenders), f"fold {part.number}: {each.name}, seed {seed}")
            fits[each.name] = each.fit(data, part.train, seed, _silent)
            told.append(fits[each.name].forecast(part.test))
        said.said.setdefault(each.name, []).append(np.stack(told))
        said.spread.setdefault(each.name, []).append(_spread(data, part, fits[each.name]))
    return fits


def _mix(said: _Said, name: str, members: tuple[str, ...]) -> None:
    """Add the mean of what `members` said, seed by seed; who has one seed says the same with each."""
    words = zip(*(said.said[each] for each in members), strict=True)
    said.said[name] = [np.mean(np.broadcast_arrays(*each), axis=0) for each in words]
    said.spread[name] = [np.mean(each, axis=0) for each in zip(*(said.spread[one] for one in members), strict=True)]


def _spread(data: Learnable, part: Part, fit: Fit) -> Floats:
    """Return (n,) for each test row the standard deviation of the errors on training rows of its symbol."""
    some = part.train[::5]
    error = fit.forecast(some) - data.target(some, "log_rv")[:, 0]
    found = np.empty(len(part.test))
    for number in np.unique(part.test[:, 0]).tolist():
        found[part.test[:, 0] == number] = max(float(error[some[:, 0] == number].std()), LEAST_SPREAD)
    return found


def _heard(data: Learnable, said: _Said, walk: Walk) -> Heard:
    rows = np.concatenate(said.rows)
    return Heard(
        data.symbols,
        of_rows(data, rows, "at_ns"),
        rows[:, 0],
        np.concatenate(said.folds),
        data.target(rows, "log_rv")[:, 0],
        {name: np.concatenate(parts, axis=1) for name, parts in said.said.items()},
        {name: np.concatenate(parts) for name, parts in said.spread.items()},
        walk.stride * data.bar_s * SECOND_NS,
        data.horizons_s[0] * SECOND_NS,
    )


def _frame(data: Learnable, walk: Walk) -> dict[str, Any]:
    """Return what was looked at, and how."""
    locked = locked_year(data.span)
    return {
        "data": data.source, "sha256": data.sha256, "schema": data.schema, "bar_s": data.bar_s,
        "symbols": list(data.symbols), "horizon_s": data.horizons_s[0], "stride": walk.stride,
        "train_days": walk.train_ns / DAY_NS, "test_days": walk.test_ns / DAY_NS,
        "purge_s": max(data.horizons_s), "embargo_s": walk.embargo_ns // SECOND_NS, "seeds": list(walk.seeds),
        "locked_year": None if locked is None else _days(locked),
        "opened": None if walk.opening is None else asdict(walk.opening),
    }  # fmt: skip


def _fold(part: Part, data: Learnable, heard: Heard) -> dict[str, Any]:
    mine = heard.fold == part.number
    return {
        "fold": part.number,
        "train": _days(part.fold.train[0]),
        "test": _days(part.fold.test),
        "symbols": [data.symbols[number] for number in np.unique(part.test[:, 0]).tolist()],
        "rows": [len(part.train), len(part.test)],
        "mse": {name: float(heard.loss(name)[mine].mean()) for name in heard.said},
    }


def _curves(
    data: Learnable, heard: Heard, parts: Sequence[Part], contenders: Sequence[Contender], walk: Walk,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Return for each contender in `walk.curve` its loss by the share of the training rows, the newest of them."""
    return {
        each.name: curve_of(data, heard, parts, each, SHARES, walk, progress)
        for each in contenders
        if each.name in walk.curve
    }


def curve_of(
    data: Learnable, heard: Heard, parts: Sequence[Part], each: Contender, shares: Sequence[float], walk: Walk,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Return the loss of `each` by the share of the training rows, the newest of them; the last share is all of them.

    Of all rows `heard` has what the first seed said, so only the smaller shares are learned from anew, with that seed.
    """
    losses = []
    for share in shares[:-1]:
        rows = [_newest(part.train, share) for part in parts]
        losses.append(loss_of(data, parts, rows, each, walk.seeds[0], _saying(progress, f"{each.name}: {share:.0%}")))
    losses.append(skill.squared(heard.y, heard.said[each.name][0]))
    counts = [sum(len(_newest(part.train, share)) for part in parts) / len(parts) for share in shares]
    found = compared(losses, heard)
    return {"shares": list(shares), "rows": counts, **found, "last_doubling": found["doublings"][-1]}


def loss_of(
    data: Learnable, parts: Sequence[Part], rows: Sequence[Ints], each: Contender, seed: int, progress: Progress
) -> Floats:
    """Return the squared error of each test row, in order of the parts, of `each` that learned from `rows` of each."""
    losses = []
    for part, learned in zip(parts, rows, strict=True):
        progress(1.0, f"fold {part.number}")
        fit = each.fit(data, learned, seed, _silent)
        losses.append(skill.squared(data.target(part.test, "log_rv")[:, 0], fit.forecast(part.test)))
    return np.concatenate(losses)


def _saying(progress: Progress, what: str) -> Progress:
    return lambda share, doing: progress(share, f"{what}, {doing}")


def _newest(rows: Ints, share: float) -> Ints:
    """Return the newest `share` of the rows of each symbol."""
    mine = [rows[rows[:, 0] == number] for number in np.unique(rows[:, 0]).tolist()]
    return np.concatenate([each[-max(int(len(each) * share), 1) :] for each in mine])


def compared(losses: Sequence[Floats], heard: Heard) -> dict[str, Any]:
    """Return each mean loss with its 95 % band, and what each gained over the one before; what is not known is None."""
    a_row = len(np.unique(heard.at_ns)) / len(heard.at_ns)  # of the sum over the symbols of a moment
    timed = [a_row * skill.by_time(heard.at_ns, loss) for loss in losses]
    block = heard.block(len(timed[0]))
    band = [skill.mean_difference(loss, np.zeros_like(loss), block) for loss in timed]
    gained = [skill.relative_skill(later, before, block) for before, later in pairwise(timed)]
    return {
        "mse": [float(loss.mean()) for loss in losses],
        "low": [None if one is None else one.low for one in band],
        "high": [None if one is None else one.high for one in band],
        "doublings": [None if one is None else [one.estimate, one.low, one.high] for one in gained],
    }


def _days(span: Span) -> list[str]:
    return [datetime.fromtimestamp(at / 1e9, UTC).strftime("%Y-%m-%d") for at in (span.begin_ns, span.end_ns)]


def _within(progress: Progress, k: int, count: int) -> Progress:
    return lambda share, doing: progress((k + share) / count, doing)


def _silent(share: float, doing: str) -> None:
    """Say nothing of the steps of one training; its fold is said."""

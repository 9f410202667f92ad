"""The roadmap as data: one strictly read template for each phase, and what a chain of them must hold to."""

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from decimal import Context, Decimal
from enum import StrEnum
from functools import partial
from typing import Any, Final, TypeVar

from trading.domain.events import Severity
from trading.domain.evidence import METRICS
from trading.domain.measuring import Over
from trading.domain.people import Role

T = TypeVar("T")
_BOUNDS: Final = ("at_least", "at_most", "above", "below", "of_previous")
LARGEST_FILE: Final = 64_000  # characters
LONGEST_LINE: Final = 500  # characters; keeps names and numbers to a length that can be read and printed
_MOST: Final = Decimal(10**9)  # no number of a phase is larger
_FINEST: Final = 9  # decimals; no number of a phase is finer
_SHOWN: Final = 60  # characters of what was found that an error repeats


class OnMiss(StrEnum):
    """What a missed criterion asks for, from the mildest to the gravest."""

    ADVISE = "ADVISE"  # shown, never needed
    STAY = "STAY"
    INVESTIGATE = "INVESTIGATE"  # an incident that blocks PASS
    HALT = "HALT"
    AUTO_HALT = "AUTO_HALT"  # the runtime halts by itself; the run fails all the same


@dataclass(frozen=True, slots=True)
class Criterion:
    """One measured condition; exactly one of the bounds is set."""

    metric: str  # a name of `trading.domain.evidence.METRICS`
    on_miss: OnMiss
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    above: Decimal | None = None
    below: Decimal | None = None
    of_previous: Decimal | None = None  # at most so many times what the phase before measured
    over: Over = Over.RUN
    says: str = ""  # the roadmap's own words where it gives more than a bound

    @property
    def bound(self) -> tuple[str, Decimal]:
        """Return the kind and the value of the one bound."""
        return next((name, value) for name in _BOUNDS if (value := getattr(self, name)) is not None)


@dataclass(frozen=True, slots=True)
class Automatic:
    """One item of the checklist that nobody ticks: every criterion of this metric in the phase before must be met."""

    item: str
    metric: str  # a name of `trading.domain.evidence.METRICS`


@dataclass(frozen=True, slots=True)
class PhaseLimits:
    """Limits of one phase; fractions are of capital."""

    max_position_fraction: Decimal
    max_symbol_exposure_fraction: Decimal
    max_total_exposure_fraction: Decimal
    max_daily_drawdown_fraction: Decimal
    max_daily_drawdown_hard_fraction: Decimal
    max_daily_trades: int
    max_open_orders: int
    max_symbol_drawdown_fraction: Decimal | None = None
    max_trade_loss_quote: Decimal | None = None
    max_slippage_loss_quote: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Executor:
    """How orders are sent."""

    order_types: tuple[str, ...]
    timeout_ms: int
    max_retries: int


@dataclass(frozen=True, slots=True)
class Monitoring:
    """How often people and machines look."""

    alert_level: str
    health_every_s: int
    metrics_every_s: int
    position_sync_every_s: int
    review_every_h: int


@dataclass(frozen=True, slots=True)
class Duration:
    """How long a phase is observed, in hours in force."""

    min_hours: int


@dataclass(frozen=True, slots=True)
class Stay:
    """The roadmap's word for staying, and how long the next window is."""

    label: str
    extend_hours: int


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase template."""

    id: str
    version: int
    name: str
    capital_quote: Decimal
    leverage: int
    symbols: tuple[str, ...]
    signers: tuple[str, ...]  # roles that must sign the step to the next phase
    ours: tuple[str, ...]  # dotted names of what the roadmap leaves unset
    goals: tuple[str, ...]
    limits: PhaseLimits
    executor: Executor
    monitoring: Monitoring
    duration: Duration
    stay: Stay
    criteria: tuple[Criterion, ...]
    automatic: tuple[Automatic, ...] = ()  # what the evidence ticks before this phase may begin
    checklist: tuple[str, ...] = ()  # what a person ticks before this phase may begin
    infrastructure: tuple[str, ...] = ()
    compliance: tuple[str, ...] = ()
    digest: str = field(default="", compare=False)  # SHA-256 of the contents, whatever the layout of the file

    @property
    def to_tick(self) -> tuple[str, ...]:
        """Everything a person ticks before this phase may begin."""
        return (*self.checklist, *self.infrastructure, *self.compliance)


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing wrong with a template."""

    line: int  # 1-based; 0: of the whole file
    where: str  # dotted name
    reason: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.where}: {self.reason}" if self.where else f"{place}{self.reason}"


class UnreadablePhase(ValueError):
    """A template that must not be used; `defects` says everything that is wrong with it."""

    def __init__(self, name: str, defects: Sequence[Defect]) -> None:
        super().__init__("\n".join(f"{name}, {defect}" for defect in defects))
        self.defects = tuple(defects)


def read(text: str, *, name: str) -> Phase:
    """Return the template written in `text`; `name` is the file's, without its ending, and must be the phase's id.

    Raises:
        UnreadablePhase: with every defect found, each with its line, its name and what to do.
    """
    if defect := _too_large(text):
        raise UnreadablePhase(name, [defect])
    try:
        found = tomllib.loads(text, parse_float=partial(Decimal, context=Context(traps=[])))
    except tomllib.TOMLDecodeError as error:
        raise UnreadablePhase(name, [_not_toml(text, str(error))]) from error
    except RecursionError as error:
        reason = "lists stand too deep within lists; a template needs one within none."
        raise UnreadablePhase(name, [Defect(0, "", reason)]) from error
    reader = _Reader(text)
    phase: Phase | None = reader.table(Phase, found, "", skip={"digest"})
    if phase is not None:
        for where, reason in _unsound(phase, name):
            reader.note(where, reason)
    if reader.defects or phase is None:
        raise UnreadablePhase(name, sorted(reader.defects, key=lambda defect: defect.line))
    return _with_digest(phase, found)


def digest_of(contents: Mapping[str, Any]) -> str:
    """Return the SHA-256 of canonical JSON: sorted keys, numbers as normalized text (300 and 300.0 are one value)."""
    text = json.dumps(_canonical(contents), sort_keys=True, separators=(",", ":"), default=_plain, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def steps_up(before: Phase, after: Phase) -> list[str]:
    """Return why `after` cannot follow `before`: capital must rise, and no limit may get looser."""
    found = []
    if after.capital_quote <= before.capital_quote:
        found.append(f"capital {after.capital_quote} is not above {before.capital_quote} of {before.id}")
    for name in (
        "max_position_fraction",
        "max_daily_drawdown_fraction",
        "max_daily_drawdown_hard_fraction",
        "max_symbol_drawdown_fraction",
        "max_trade_loss_quote",
        "max_slippage_loss_quote",
    ):
        old, new = getattr(before.limits, name), getattr(after.limits, name)
        if old is not None and (new is None or new > old):
            found.append(f"limits.{name} {new} is looser than {old} of {before.id}")
    judged = {criterion.metric for criterion in before.criteria}
    if unknown := [one.metric for one in after.automatic if one.metric not in judged]:
        found.append(f"automatic item on {unknown[0]}, which {before.id} does not judge")
    if lost := sorted(set(before.signers) - set(after.signers)):
        found.append(f"signers of {before.id} are missing: {', '.join(lost)}")
    return found


def _unsound(phase: Phase, name: str) -> list[tuple[str, str]]:
    """Return (where, reason) of everything a well-formed template gets wrong."""
    limits, found = phase.limits, []
    if phase.id != name:
        found.append(("id", f"is {phase.id}, the file is named {name}."))
    if phase.leverage != 1:
        found.append(("leverage", f"is {phase.leverage}; spot trades with 1."))
    for where, names in (
        ("symbols", phase.symbols),
        ("signers", phase.signers),
        ("criteria", phase.criteria),
        ("executor.order_types", phase.executor.order_types),
    ):
        if not names or len(set(names)) != len(names):
            found.append((where, "must name at least one, and each once."))
    if odd := [symbol for symbol in phase.symbols if not (symbol.isascii() and symbol.isalnum() and symbol.isupper())]:
        found.append(("symbols", f"{odd[0]!r} is no symbol of a venue, such as BTCUSDT."))
    if odd := [role for role in phase.signers if role not in set(Role)]:
        found.append(("signers", f"{odd[0]!r} is no role; use {', '.join(Role)}."))
    for number, criterion in enumerate(phase.criteria):
        if criterion.metric not in METRICS:
            known = ", ".join(METRICS)
            found.append((f"criteria.{number}.metric", f"{criterion.metric!r} is not measured; use one of {known}."))
    for number, automatic in enumerate(phase.automatic):
        if automatic.metric not in METRICS:
            known = ", ".join(METRICS)
            found.append((f"automatic.{number}.metric", f"{automatic.metric!r} is not measured; use one of {known}."))
    items = [one.item for one in phase.automatic] + list(phase.to_tick)
    if twice := sorted({item for item in items if items.count(item) > 1}):
        found.append(("checklist", f"names {twice[0]!r} twice; each item once."))
    if odd := [kind for kind in phase.executor.order_types if kind not in {"MARKET", "LIMIT"}]:
        found.append(("executor.order_types", f'{odd[0]!r}; use ["MARKET"], ["LIMIT"] or ["MARKET", "LIMIT"].'))
    if phase.monitoring.alert_level not in set(Severity):
        found.append(("monitoring.alert_level", f"is {phase.monitoring.alert_level!r}; use {', '.join(Severity)}."))
    for one in fields(PhaseLimits):
        value = getattr(limits, one.name)
        if value is not None and one.name.endswith("_fraction") and value > 1:
            found.append((f"limits.{one.name}", f"is {value}; a fraction of capital is at most 1."))
    pairs = (
        ("max_daily_drawdown_fraction", "max_daily_drawdown_hard_fraction"),
        ("max_symbol_drawdown_fraction", "max_daily_drawdown_fraction"),
        ("max_position_fraction", "max_symbol_exposure_fraction"),
        ("max_symbol_exposure_fraction", "max_total_exposure_fraction"),
    )
    for small, large in pairs:
        low, high = getattr(limits, small), getattr(limits, large)
        if low is not None and low > high:
            found.append((f"limits.{small}", f"is {low}, above {large} {high}."))
    return found


class _Reader:
    """Reads tables into dataclasses; notes every defect instead of stopping at the first."""

    def __init__(self, text: str) -> None:
        self._lines = _lines_of(text)
        self.defects: list[Defect] = []

    def note(self, where: str, reason: str) -> None:
        """Note a defect of `where` on its line, or on that of the nearest table around it."""
        around = where
        while around and around not in self._lines:
            around = around.rpartition(".")[0]
        shown = where if where and where.isprintable() else ascii(where)
        self.defects.append(Defect(self._lines.get(around, 0), shown, reason))

    def table(
        self, kind: type[T], found: object, where: str, *, skip: frozenset[str] | set[str] = frozenset()
    ) -> T | None:
        """Return `found` as `kind`; None when something of it is wrong."""
        if not isinstance(found, dict):
            header = f"[[{where.rpartition('.')[0]}]]" if where[-1].isdigit() else f"[{where}]"
            self.note(where, f"must be a table, under {header}.")
            return None
        wanted = {one.name: one for one in fields(kind) if one.name not in skip}  # type: ignore[arg-type]
        prefix, before = f"{where}." if where else "", len(self.defects)
        for extra in sorted(found.keys() - wanted.keys()):
            self.note(f"{prefix}{extra}", f"is not known here; known are {', '.join(wanted)}.")
        values: dict[str, Any] = {}
        for name, one in wanted.items():
            if name in found:
                values[name] = self._value(one.type, found[name], f"{prefix}{name}")
            elif one.default is MISSING:
                self.note(f"{prefix}{name}", "is missing; every template sets it.")
        return kind(**values) if len(self.defects) == before else None

    def _value(self, kind: Any, found: object, where: str) -> object:
        reads: Mapping[Any, Callable[[object, str], object]] = {
            str: self._text,
            int: self._whole,
            Decimal: self._number,
            Decimal | None: self._number,
            tuple[str, ...]: self._texts,
            tuple[Criterion, ...]: self._criteria,
            tuple[Automatic, ...]: self._automatic,
        }
        if kind in reads:
            return reads[kind](found, where)
        return self._one_of(kind, found, where) if issubclass(kind, StrEnum) else self.table(kind, found, where)

    def _text(self, found: object, where: str) -> str:
        if isinstance(found, str) and found.strip() == found and found and found.isprintable() and len(found) <= 200:
            return found
        self.note(where, f"is {_shown(found)}; expected a text in quotes of 1 to 200 visible characters.")
        return ""

    def _whole(self, found: object, where: str) -> int:
        if isinstance(found, int) and not isinstance(found, bool) and 0 < found <= _MOST:
            return found
        self.note(where, f"is {_shown(found)}; expected a whole number from 1 to {_MOST}, without quotes.")
        return 1

    def _number(self, found: object, where: str) -> Decimal:
        is_bound = where.startswith("criteria")
        if isinstance(found, Decimal | int) and not isinstance(found, bool):
            value = Decimal(found)
            is_fit = value.is_finite() and value <= _MOST and int(value.as_tuple().exponent) >= -_FINEST
            if is_fit and (value > 0 or (is_bound and value == 0)):
                return value
        least = "from 0" if is_bound else "above 0"
        words = f"expected a number {least}, at most {_MOST}, of at most {_FINEST} decimals, without quotes."
        self.note(where, f"is {_shown(found)}; {words}")
        return Decimal(1)

    def _texts(self, found: object, where: str) -> tuple[str, ...]:
        if not isinstance(found, list):
            self.note(where, f'is {_shown(found)}; expected a list of texts, as ["a", "b"].')
            return ()
        return tuple(self._text(one, where) for one in found)

    def _one_of(self, kind: type[StrEnum], found: object, where: str) -> StrEnum:
        if isinstance(found, str) and found in set(kind):
            return kind(found)
        self.note(where, f"is {_shown(found)}; use one of {', '.join(kind)}.")
        return next(iter(kind))

    def _automatic(self, found: object, where: str) -> tuple[Automatic, ...]:
        if not isinstance(found, list):
            self.note(where, "must be tables, each under [[automatic]].")
            return ()
        read = (self.table(Automatic, one, f"{where}.{number}") for number, one in enumerate(found))
        return tuple(one for one in read if one is not None)

    def _criteria(self, found: object, where: str) -> tuple[Criterion, ...]:
        if not isinstance(found, list):
            self.note(where, "must be tables, each under [[criteria]].")
            return ()
        read = []
        for number, one in enumerate(found):
            place = f"{where}.{number}"
            criterion = self.table(Criterion, one, place)
            if criterion is None:
                continue
            if sum(getattr(criterion, name) is not None for name in _BOUNDS) != 1:
                self.note(place, f"needs exactly one of {', '.join(_BOUNDS)}.")
            else:
                read.append(criterion)
        return tuple(read)


def _too_large(text: str) -> Defect | None:
    if len(text) > LARGEST_FILE:
        return Defect(0, "", f"has {len(text)} characters; shorten it to at most {LARGEST_FILE}.")
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > LONGEST_LINE:
            return Defect(number, "", f"has {len(line)} characters; break it into lines of at most {LONGEST_LINE}.")
    return None


def _not_toml(text: str, error: str) -> Defect:
    """Return what the parser says, with its line and the name that stands there."""
    number = int(place[1]) if (place := re.search(r"at line (\d+)", error)) else text.count("\n") + 1
    key, equals, _ = text.split("\n")[number - 1].partition("=")
    where = ascii(_bare(key))[1:-1] if equals else ""
    advice = "write each name once." if re.search("overwrite|twice|redefine", error) else "correct this line."
    if text.startswith("\ufeff"):
        advice = "save the file as UTF-8 without a byte order mark."
    return Defect(number, where, f"is no valid TOML: {ascii(error)[1:-1]}; {advice}")


def _lines_of(text: str) -> dict[str, int]:
    """Return the first line of each dotted name ("limits", "limits.max_open_orders", "criteria.2.metric")."""
    found, count, table = dict[str, int](), dict[str, int](), ""
    for number, line in enumerate(text.split("\n"), start=1):
        if header := re.match(r"\s*(\[\[?)([^\[\],]+)\]", line):
            name = table = _bare(header[2])
            if header[1] == "[[":
                count[name] = count.get(name, -1) + 1
                name = table = f"{name}.{count[name]}"
        elif "=" in line:
            key = _bare(line.partition("=")[0])
            name = f"{table}.{key}" if table else key
        else:
            continue
        while name and name not in found:
            found[name] = number
            name = name.rpartition(".")[0]
    return found


def _bare(key: str) -> str:
    return key.strip().strip("\"'")


def _shown(value: object) -> str:
    """Return `value` as a template writes it, cut to what a person reads."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    text = str(value).lower() if isinstance(value, bool) else ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _with_digest(phase: Phase, found: Mapping[str, Any]) -> Phase:
    values = {one.name: getattr(phase, one.name) for one in fields(Phase)}
    return Phase(**{**values, "digest": digest_of(found)})


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _canonical(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(part) for part in value]
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    raise TypeError(f"{value!r} has no place in a template")

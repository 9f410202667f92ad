"""What one training is asked to do, read strictly: every value that is wrong is named with its reason and a remedy."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, NamedTuple

from trading.domain.model_card import STAGES

SHIPPED: Final = "shipped"
LONGEST_TEXT: Final = 1_000  # characters of a folder's name
MOST_SYMBOLS: Final = 50
MOST_EPOCHS: Final = 1_000
MOST_STRIDE: Final = 1_000
MOST_SEED: Final = 2**31 - 1
DEVICES: Final = ("cpu", "cuda")
SYMBOL: Final = re.compile(r"[A-Z0-9]{2,20}")
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
NAME: Final = re.compile(r"[a-z_]{1,40}")
MOST_HYPER: Final = 50
LARGEST: Final = 1e9  # of a hyper-parameter
WORD: Final = re.compile(r"[a-z]{0,20}")


class Wrong(NamedTuple):
    """One value that cannot be used."""

    field: str
    reason: str  # and what to do

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class UnusableTraining(ValueError):
    """A training cannot be carried out as asked; `wrong` names every field, its reason and what to do."""

    def __init__(self, *wrong: Wrong) -> None:
        super().__init__("; ".join(map(str, wrong)))
        self.wrong = wrong


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """One training of one stage."""

    stage: int
    data: str = SHIPPED  # or a folder of klines, or store:VENUE
    symbols: tuple[str, ...] = ()  # none: every symbol of the data
    quick: bool = True  # tiny and short: shows that the way works, claims no skill
    seed: int = 0
    epochs: int = 2
    stride: int = 3  # every so many-th bar is learned from
    parent: str = ""  # digest of the model it goes on from; "": none
    device: str = "cpu"
    size: str = ""  # of the stage's named sizes; "": its usual one, or the quick one
    hyper: Mapping[str, float] = field(default_factory=dict)  # over the stage's own, as "rate"; the stage knows which

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON that `read` reads."""
        return {**asdict(self), "symbols": list(self.symbols), "hyper": dict(self.hyper)}


def read(raw: Mapping[str, Any]) -> TrainingSettings:
    """Return what `raw` asks for; what it leaves out is as usual.

    Raises:
        UnusableTraining: the stage is missing, a field is unknown, or a value is of another type or out of range.
    """
    if wrong := tuple(_wrong(raw)):
        raise UnusableTraining(*wrong)
    return TrainingSettings(**{**raw, "symbols": tuple(raw.get("symbols", ()))})


def _wrong(raw: Mapping[str, Any]) -> Iterator[Wrong]:
    names = [each.name for each in fields(TrainingSettings)]
    for name in raw:
        if name not in names:
            yield Wrong(str(name)[:40], f"is nothing a training can be asked for; use {', '.join(names)}.")
    if "stage" not in raw:
        yield Wrong("stage", f"is missing; name one of {_numbers(STAGES)}.")
    for name, (holds, reason) in RULES.items():
        if name in raw and not holds(raw[name]):
            yield Wrong(name, f"{raw[name]!r:.60} {reason}")


def _numbers(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))


def _between(least: int, most: int) -> "Rule":
    def holds(value: object) -> bool:
        return type(value) is int and least <= value <= most

    return holds, f"is no whole number from {least} to {most}."


def _text(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _are_symbols(value: object) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) <= MOST_SYMBOLS
        and all(map(_text(SYMBOL), value))
        and len(set(value)) == len(value)
    )


def _are_numbers(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) <= MOST_HYPER
        and all(map(_text(NAME), value))
        and all(type(each) in (bool, int, float) and -LARGEST <= each <= LARGEST for each in value.values())
    )


def _is_data(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT and value.isprintable()


Rule = tuple[Callable[[object], bool], str]  # does it hold, and what to say where it does not
RULES: Final[Mapping[str, Rule]] = {
    "stage": (lambda value: type(value) is int and value in STAGES, f"is none of the stages {_numbers(STAGES)}."),
    "data": (_is_data, "names no data; write shipped, store:VENUE or the path of a folder."),
    "symbols": (_are_symbols, f"are not at most {MOST_SYMBOLS} different symbols as in BTCUSDT."),
    "quick": (lambda value: type(value) is bool, "is neither true nor false."),
    "seed": _between(0, MOST_SEED),
    "epochs": _between(1, MOST_EPOCHS),
    "stride": _between(1, MOST_STRIDE),
    "parent": (lambda value: value == "" or _text(DIGEST)(value), "is no digest of a model; copy all 64 digits."),
    "device": (lambda value: value in DEVICES, f"is none of {', '.join(DEVICES)}."),
    "hyper": (_are_numbers, "is no table of names and numbers, as rate=0.001."),
    "size": (_text(WORD), "is no size; write quick, usual, or another one of the stage, in small letters."),
}

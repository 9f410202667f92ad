"""A grid in plain words: from the names and texts of a file, a form or flags to a specification, and back."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from trading.domain.grids import Carried, GridSpec, Kind, Problem, UnsoundGrid
from trading.domain.instruments import UnreadableNumber, parse_decimal
from trading.domain.levels import Spacing
from trading.domain.limits import ExecutionStyle
from trading.domain.terms import Mode

Reader = Callable[[object, str], object]

_CHOICES: Final[Mapping[str, type[StrEnum]]] = {
    "kind": Kind,
    "mode": Mode,
    "style": ExecutionStyle,
    "spacing": Spacing,
    "carried": Carried,
}
_COUNTS: Final = frozenset({"slots", "atr_bars", "atr_bar_s", "recentre_steps", "reinvest_every_s", "resting"})
FIELDS: Final = {field.name: field for field in fields(GridSpec)}


def read(words: Mapping[str, object]) -> GridSpec:
    """Return the grid that `words` spell, a text or number for each name; None or "" is what is not wanted.

    Raises:
        UnsoundGrid: a name that is no field, a field that is missing or unreadable, or a grid that is none; all names
            that are wrong at once.
    """
    symbol = str(words.get("symbol") or "a")
    given = {name: value for name, value in words.items() if value is not None and value != ""}
    problems = [Problem(name, f"no such field; use one of {', '.join(FIELDS)}") for name in words if name not in FIELDS]
    problems += [
        Problem(name, "it is missing; give a value")
        for name, field in FIELDS.items()
        if field.default is MISSING and name not in given
    ]
    values: dict[str, Any] = {}
    for name in FIELDS.keys() & given.keys():
        try:
            values[name] = _reader(name)(given[name], name)
        except UnreadableNumber as e:
            problems.append(Problem(name, str(e).removeprefix(f"{name}: ").rstrip(".")))
    if problems:
        raise UnsoundGrid(symbol, tuple(sorted(problems)))
    return GridSpec(**values)


def spell(spec: GridSpec) -> dict[str, str | int | bool]:
    """Return the words of `spec`, what is not wanted left out; `read` makes the same grid of them."""
    words: dict[str, str | int | bool] = {}
    for name in FIELDS:
        value = getattr(spec, name)
        if value is not None:
            words[name] = _word(value)
    return words


def _word(value: Decimal | StrEnum | str | int | bool) -> str | int | bool:
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value) if isinstance(value, StrEnum) else value


def _reader(name: str) -> Reader:
    if name == "symbol":
        return _text
    if name == "flatten":
        return _truth
    if name in _CHOICES:
        return _choice
    return _count if name in _COUNTS else _decimal


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise UnreadableNumber(f"{name}: {value!r} is no text; write the venue's symbol, such as BTCUSDT.")
    return value


def _decimal(value: object, name: str) -> Decimal:
    if isinstance(value, float):
        raise UnreadableNumber(f"{name}: {value!r} is a float, which is not exact; write it as text, such as '0.001'.")
    return parse_decimal(value, field=name)


def _count(value: object, name: str) -> int:
    number = parse_decimal(value, field=name)
    if number != number.to_integral_value():
        raise UnreadableNumber(f"{name}: {value} is not a whole number; round it.")
    return int(number)


def _truth(value: object, name: str) -> bool:
    known = {"true": True, "yes": True, "false": False, "no": False}
    word = str(value).lower()
    if word not in known:
        raise UnreadableNumber(f"{name}: {value!r} is neither yes nor no; write one of them.")
    return known[word]


def _choice(value: object, name: str) -> StrEnum:
    choices = _CHOICES[name]
    for choice in choices:
        if str(value).lower() == choice.value.lower():
            return choice
    raise UnreadableNumber(f"{name}: {value!r} is none of {', '.join(choices)}; choose one of them.")

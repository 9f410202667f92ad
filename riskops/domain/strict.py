"""Files read strictly: TOML into dataclasses, or every defect with its line, its name and what to do."""

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from decimal import Context, Decimal
from enum import StrEnum
from functools import partial
from typing import Any, Final, TypeVar

T = TypeVar("T")
LARGEST_FILE: Final = 64_000  # characters
LONGEST_LINE: Final = 500  # characters; keeps names and numbers to a length that can be read and printed
_MOST: Final = Decimal(10**9)  # no number is larger
_FINEST: Final = 9  # decimals; no number is finer
_SHOWN: Final = 60  # characters of what was found that an error repeats


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing wrong with a template."""

    line: int  # 1-based; 0: of the whole file
    where: str  # dotted name
    reason: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.where}: {self.reason}" if self.where else f"{place}{self.reason}"


def parse(text: str) -> dict[str, Any] | Defect:
    """Return what TOML makes of `text`, numbers as decimals; or why it is none."""
    if defect := _too_large(text):
        return defect
    try:
        return tomllib.loads(text, parse_float=partial(Decimal, context=Context(traps=[])))
    except tomllib.TOMLDecodeError as error:
        return _not_toml(text, str(error))
    except RecursionError:
        return Defect(0, "", "lists stand too deep within lists; a template needs one within none.")


def digest_of(contents: Mapping[str, Any]) -> str:
    """Return the SHA-256 of canonical JSON: sorted keys, numbers as normalized text (300 and 300.0 are one value)."""
    text = json.dumps(_canonical(contents), sort_keys=True, separators=(",", ":"), default=_plain, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list of tables is made of, and what one of them may get wrong."""

    kind: type[Any]
    why_not: Callable[[Any], str]


class Reader:
    """Reads tables into dataclasses; notes every defect instead of stopping at the first."""

    def __init__(self, text: str, lists: Mapping[Any, "Listed"], *, zero_under: str = "") -> None:
        """`lists` says what each list of tables is made of; below `zero_under` a number may be 0."""
        self._lines = _lines_of(text)
        self._lists = lists
        self._zero_under = zero_under
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
            self.note(
                where, f"must be a table, under {f'[[{_around(where)}]]' if where[-1].isdigit() else f'[{where}]'}."
            )
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
            bool: self._yes_or_no,
            tuple[str, ...]: self._texts,
        }
        if kind in self._lists:
            return self._tables(self._lists[kind], found, where)
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
        is_bound = bool(self._zero_under) and where.startswith(self._zero_under)
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

    def _yes_or_no(self, found: object, where: str) -> bool:
        if isinstance(found, bool):
            return found
        self.note(where, f"is {_shown(found)}; expected true or false.")
        return False

    def _tables(self, listed: "Listed", found: object, where: str) -> tuple[Any, ...]:
        if not isinstance(found, list):
            self.note(where, f"must be tables, each under [[{where}]].")
            return ()
        read = []
        for number, one in enumerate(found):
            place = f"{where}.{number}"
            made = self.table(listed.kind, one, place)
            if made is None:
                continue
            if refusal := listed.why_not(made):
                self.note(place, refusal)
            else:
                read.append(made)
        return tuple(read)


def _around(where: str) -> str:
    return where.rpartition(".")[0]


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


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _canonical(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(part) for part in value]
    if isinstance(value, str) and _is_a_number_written(value):
        return {"text": value}  # "5" is not 5
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _is_a_number_written(text: str) -> bool:
    """Return whether `text` is what a number becomes in canonical JSON."""
    return re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) is not None and _plain(Decimal(text)) == text


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    raise TypeError(f"{value!r} has no place in a template")

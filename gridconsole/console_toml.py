"""Settings of a command in a TOML file: plain names and values, read strictly, each with its line."""

from collections.abc import Iterator, Mapping
from typing import Any

from riskops.domain.strict import Defect, Reader, parse


def values(text: str) -> tuple[dict[str, Any], dict[str, int]] | str:
    """Return the values in `text` and the line of each; or what is wrong with it, in one line.

    A table named in capitals is that of a symbol: its values are a dictionary, their lines those of SYMBOL.name.
    """
    found = parse(text)
    if isinstance(found, Defect):
        return str(found)
    reader = Reader(text, {})
    for name, value in _flat(found):
        reader.note(name, "must be a single value, not a table or a list." if isinstance(value, dict | list) else "")
    if wrong := [defect for defect in reader.defects if defect.reason]:
        return " ".join(map(str, wrong))
    return found, {name: defect.line for (name, _), defect in zip(_flat(found), reader.defects, strict=True)}


def _flat(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in found.items():
        if isinstance(value, dict) and name.isupper():
            yield from ((f"{name}.{inner}", one) for inner, one in value.items())
        else:
            yield name, value

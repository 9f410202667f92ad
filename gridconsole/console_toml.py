"""Settings of a command in a TOML file: plain names and values, read strictly, each with its line."""

from typing import Any

from riskops.domain.strict import Defect, Reader, parse


def values(text: str) -> tuple[dict[str, Any], dict[str, int]] | str:
    """Return the values in `text` and the line of each; or what is wrong with it, in one line."""
    found = parse(text)
    if isinstance(found, Defect):
        return str(found)
    reader = Reader(text, {})
    for name, value in found.items():
        reader.note(name, "must be a single value, not a table or a list." if isinstance(value, dict | list) else "")
    if wrong := [defect for defect in reader.defects if defect.reason]:
        return " ".join(map(str, wrong))
    return found, {name: defect.line for name, defect in zip(found, reader.defects, strict=True)}
